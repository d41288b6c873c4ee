r"""Cells that Excel shows as they are when it opens a table of comma-separated values. Pure.

| cell | what Excel makes of it | written |
|---|---|---|
| a text such as ``7300000000000000001``, ``007``, ``3.10``, ``1-2``, ``true`` | a number, a date, a flag | ``="…"`` |
| a whole number of more than 15 digits | its last digits become zeros | ``="…"`` |
| one of these with line breaks before or after it, or in full-width characters | the same | ``="…"&CHAR(10)`` |
| more than 32,767 characters | the rest is lost or in other rows | cut, with a mark that says how many there were |

WPS and LibreOffice (with its option "Evaluate formulas") read ``="…"`` as Excel does: a text.
"""

import re
import unicodedata
from typing import Final

LARGEST_CELL: Final = 32_767
"""Characters that a cell of Excel may have, in UTF-16: one beyond the first 65,536 counts as two."""

_BREAK: Final = re.compile(r"([\r\n])")
_BREAKS: Final = {"\n": "CHAR(10)", "\r": "CHAR(13)"}
_LONGEST_LITERAL: Final = 255
_EXACT_DIGITS: Final = 15
_MONTHS: Final = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
# Numbers, amounts, fractions, times and dates of any country: digits among their signs.
_CONVERTED: Final = re.compile(
    r"(?=[^0-9]*[0-9])[\s(+\-$¥￥€£]*[0-9.,][0-9\s.,:/+\-%()年月日时分秒]*(?:e[+-]?[0-9]+)?[\s)%]*(?:[ap]m?)?\s*"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}t[0-9:.]+(?:z|[+-][0-9:]+)?"
    rf"|(?:[0-9]{{1,4}}[\s\-/,.]*)?(?:{_MONTHS})[a-z]*[\s\-/,.]*[0-9]{{1,4}}(?:[\s\-/,:.]+[0-9]{{1,4}})*"
    rf"|[0-9]{{1,4}}[\s\-/,.]*(?:{_MONTHS})[a-z]*"
    r"|\s*(?:true|false)\s*",
    re.IGNORECASE | re.ASCII,
)


def as_literal(value: object, text: str) -> str | None:
    """Return the cell of *value*, written *text*, as a text that Excel does not convert; ``None`` where it would not.

    Args:
        value: the value of the cell.
        text: how it is written elsewhere.
    """
    if isinstance(value, int):
        is_converted = not isinstance(value, bool) and len(text.lstrip("-")) > _EXACT_DIGITS
    else:
        is_short = isinstance(value, str) and len(text) <= _LONGEST_LITERAL
        is_converted = is_short and bool(_CONVERTED.fullmatch(unicodedata.normalize("NFKC", text)))
    if not is_converted:
        return None
    parts = (_BREAKS.get(part, f'"{part}"') for part in _BREAK.split(text) if part)
    return f"={'&'.join(parts)}"


def fitted(cell: str) -> str:
    """Return *cell* itself, or as much as Excel keeps of it and the number of its characters."""
    if 2 * len(cell) <= LARGEST_CELL:
        return cell
    units = cell.encode("utf-16-le")
    if len(units) <= 2 * LARGEST_CELL:
        return cell
    mark = f"… [{len(cell):,} characters, cut for Excel]"
    return units[: 2 * (LARGEST_CELL - len(mark))].decode("utf-16-le", "ignore") + mark
