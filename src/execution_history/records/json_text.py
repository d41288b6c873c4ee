r"""JSON text of any origin and size, parsed. Pure.

:func:`parse` is for what this package wrote itself; :func:`read_json` is the one reader of everything else: it also
takes what Python, Java and JavaScript write although JSON has no form for it, and keeps every number's value.

| in the text | what is read |
|---|---|
| an integer | ``int``, of any size; its digits, as a string, beyond 4,000 of them |
| a decimal that a double holds: its digits are the shortest for the double, or all 17 | ``float`` |
| any other decimal: more digits, ``1e400``, ``1e-400`` | as it is written, a string |
| ``NaN``, ``Infinity``, ``-Infinity`` | the ``float`` of that name |
| half of a surrogate pair in a string or a key | itself; two that meet are the character |
| a control character in a string or a key, such as a raw line break | itself |
| ``\xff`` in a string or a key, as :func:`~execution_history.records.charset.decode_text` escapes bytes | itself |
| a byte order mark before the text | nothing |
| a key twice in one object | the last value, as in every SDK |
| a list or an object below 128 levels, where the text is too deep to be read as it is | its JSON, a string |

:mod:`execution_history.records.encoding` writes each of these values to the form that a record has for it.
"""

import gc
import json
import math
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import orjson

from execution_history.records.charset import BYTE_ORDER_MARK, with_joined_pairs
from execution_history.records.depth import LEVELS, cut

HUGE: Final = 1024 * 1024
"""Bytes of JSON that take long enough to be read for others to notice."""

OPENS: Final = re.compile(r"[\s\ufeff]*[{\[]")
"""Matches the start of a text that may be an object or a list, and of nothing else."""

_BYTE_ESCAPE: Final = re.compile(rb"(?<!\\)(?:\\\\)*+\\x(?=[0-9a-f]{2})")
_MOST_DIGITS: Final = 4_000  # Python refuses to read more than 4,300, and takes time in the square of their number
_ALWAYS_EXACT: Final = 15  # significant digits that every double gives back


def parse(document: bytes) -> Any:  # noqa: ANN401 - JSON is any of six things
    """Return what a JSON text holds.

    While a huge one is parsed, garbage collection is off: it would look at millions of new objects again and again,
    and no other thread runs meanwhile.

    Raises:
        ValueError: it is not valid JSON.
    """
    return _undisturbed(orjson.loads, document)


def read_json(text: bytes | str, *, levels: int = LEVELS) -> Any:  # noqa: ANN401
    """Return what a JSON text of any origin holds, by the table above; bytes are UTF-8.

    Args:
        text: of any size, depth and content.
        levels: the levels of lists and objects that are kept of a text that is nested too deeply to be read.

    Raises:
        ValueError: it is no JSON even so; the message is a sentence.
    """
    document = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if not may_hold_long_numbers(document):
        try:
            return parse(document)
        except ValueError:
            pass
    try:
        return _read_tolerantly(document.removeprefix(BYTE_ORDER_MARK), levels)
    except ValueError as error:
        raise ValueError(f"This is not valid JSON: {error}.") from None


def _read_tolerantly(document: bytes, levels: int) -> Any:  # noqa: ANN401
    try:
        return _undisturbed(_read_exactly, document)
    except (ValueError, RecursionError) as error:
        shallow = cut(_BYTE_ESCAPE.sub(_escaped, document) if b"\\x" in document else document, levels)
        if shallow is document:
            raise ValueError(error) from None
    return _undisturbed(_read_exactly, shallow)


def _escaped(found: "re.Match[bytes]") -> bytes:
    return b"\\" + found[0]


def _read_exactly(document: bytes) -> Any:  # noqa: ANN401
    return TOLERANT.decode(with_joined_pairs(document.decode("utf-8", "surrogatepass")))


def _undisturbed(read: Callable[[bytes], Any], document: bytes) -> Any:  # noqa: ANN401
    """Return ``read(document)``, without garbage collections where the document is huge."""
    is_paused = len(document) > HUGE and gc.isenabled()
    if is_paused:
        gc.disable()
    try:
        return read(document)
    finally:
        if is_paused:
            gc.enable()


def may_hold_long_numbers(document: bytes) -> bool:
    """Return whether a number may be in *document* whose value a double may not hold; orjson would change it."""
    shape = document.translate(_SHAPE)
    return shape.startswith(b"0000000000000000") or any(map(shape.__contains__, _LONG_NUMBERS))


def _shape_of(byte: int) -> int:
    for characters, shape in ((b"0123456789.", b"0"), (b"[:, \t\r\n", b":"), (b"-", b"-"), (b"eE", b"e")):
        if byte in characters:
            return shape[0]
    return 0


_SHAPE: Final = bytes(map(_shape_of, range(256)))
_LONG_NUMBERS: Final = (b":0000000000000000", b"-0000000000000000", b"e-000")  # those in texts follow other characters


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= _MOST_DIGITS else digits


def _decimal(digits: str) -> float | str:
    number = float(digits)
    if repr(number) == digits or (len(digits) <= _ALWAYS_EXACT and "e" not in digits and "E" not in digits):
        return number
    if len(digits) > _MOST_DIGITS or not math.isfinite(number):
        return digits
    try:
        is_held = Decimal(digits) in (Decimal(repr(number)), Decimal(f"{number:.17g}"))
    except ArithmeticError:  # an exponent of more than eighteen digits
        return digits
    return number if is_held else digits


TOLERANT: Final = json.JSONDecoder(parse_int=_integer, parse_float=_decimal, strict=False)
"""The decoder of the table above, for a text in which a JSON value begins somewhere."""
