"""Values as text for people, in a terminal and on the page: numbers, times, ids, and text made harmless. Pure."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any, Final

import orjson

from execution_history.records.attributes import error_code_of
from execution_history.records.cost import cost_of, units_of
from execution_history.records.json_text import read_json
from execution_history.records.metadata import COST, INTERRUPT
from execution_history.records.partial import Unread
from execution_history.records.time_units import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

_THIN: Final = "\u202f"
_UNITS: Final = ("KB", "MB", "GB", "TB")
_TAIL_OF_ID: Final = 8
_SHORT_ID: Final = 12
_LONGEST_NAME: Final = 32
_CUT_TEXT: Final = re.compile(r'\{"output":\s*"((?:[^"\\]|\\u[0-9a-fA-F]{4}|\\[^u…])*)')
_IDENTIFIER: Final = re.compile(r"[0-9a-fA-F-]+")

_SIGNS: Final = {"CNY": "¥", "USD": "$", "EUR": "€", "GBP": "£", "JPY": "JP¥"}
_SMALL: Final = ((1, 2), (0.1, 3), (0.001, 4))
_MOST_DECIMALS: Final = 6

_BREAKS: Final = frozenset("\n\t")
_DIRECTIONS: Final = (*range(0x200E, 0x2010), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
"""Marks that reverse the direction of the text after them, so that it can be made to read differently."""

_HARMLESS: Final[dict[int, str]] = (
    {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in _BREAKS}
    | {0x7F: "\u2421"}
    | {code: f"\\u{code:04x}" for code in (*range(0x80, 0xA0), *_DIRECTIONS, *range(0xD800, 0xE000))}
)


def visible(text: str) -> str:
    r"""Return *text* without what a terminal or a browser would obey: control characters are shown instead.

    Line breaks and tabs stay. Everything else below a space becomes its picture (``␛``), and C1 controls, marks that
    reverse the direction of text and halves of surrogate pairs become escapes (``\u009b``).
    """
    # Most texts have nothing of this, which is known at once; a list has thousands of them.
    return text if text.isprintable() else text.replace("\r\n", "\n").translate(_HARMLESS)


def one_line(text: str, limit: int = 200) -> str:
    """Return *text* on one line, harmless, cut with ``…`` to *limit* characters."""
    line = " ".join(visible(text[: limit * 4]).split())
    return line if len(line) <= limit and len(text) <= limit * 4 else line[: limit - 1] + "…"


def duration(milliseconds: int) -> str:
    """Return a time as ``840 ms``, ``12.4 s``, ``3 min 07 s``, ``2 h 05 min`` or ``3 d 04 h``."""
    tenths = milliseconds // 100
    if milliseconds < SECOND_MS:
        return f"{max(0, milliseconds)} ms"
    if milliseconds < MINUTE_MS:
        return f"{tenths // 10}.{tenths % 10} s"
    if milliseconds < HOUR_MS:
        return f"{milliseconds // MINUTE_MS} min {milliseconds % MINUTE_MS // SECOND_MS:02d} s"
    if milliseconds < DAY_MS:
        return f"{milliseconds // HOUR_MS} h {milliseconds % HOUR_MS // MINUTE_MS:02d} min"
    return f"{milliseconds // DAY_MS} d {milliseconds % DAY_MS // HOUR_MS:02d} h"


def grouped(number: int | None) -> str:
    """Return a number as ``12 345``, in groups with plain spaces, which any tool can remove; empty for ``None``."""
    return "" if number is None else f"{number:,}".replace(",", " ")


def thin(number: int | None) -> str:
    """Return a number as ``12 345``, in groups with narrow no-break spaces; empty for ``None``."""
    return "" if number is None else f"{number:,}".replace(",", _THIN)


def money(amount: float, currency: str) -> str:
    """Return an amount as ``¥12.40``, ``$0.0031`` or ``3.00 CREDITS``: as many decimals as tell it from nothing."""
    small = next((digits for least, digits in _SMALL if amount >= least), _MOST_DECIMALS)
    return _in_currency("0" if not amount else f"{amount:,.{small}f}", currency)


def cost_text(record: Mapping[str, Any]) -> str:
    """Return what a run has cost and by which version of a price; empty where that is not known."""
    kept = COST.of(record)
    cost = cost_of(kept)
    if cost is None or kept is None:
        return ""
    price, amount = kept.get("price"), money(units_of(cost.amount), cost.currency)
    return f"{amount} ({one_line(price, _LONGEST_NAME)})" if isinstance(price, str) else amount


def round_money(amount: float, currency: str) -> str:
    """Return a round amount with no more decimals than it needs: ``¥1 000``, ``¥0.5``."""
    return _in_currency(f"{amount:,.6f}".rstrip("0").rstrip("."), currency)


def _in_currency(number: str, currency: str) -> str:
    number, sign = number.replace(",", _THIN), _SIGNS.get(currency)
    return f"{number}{_THIN}{visible(currency)}" if sign is None else f"{sign}{number}"


def plain(number: Decimal) -> str:
    """Return a number as it is written, without digits that say nothing: ``0.02``, ``2000``."""
    return f"{number.normalize():f}"


def sums(amounts: Mapping[str, float]) -> str:
    """Return amounts by currency as ``¥12.40 + $3.00``; ``0`` for none."""
    return " + ".join(money(amount, currency) for currency, amount in amounts.items()) or "0"


def size(count: int) -> str:
    """Return a number of bytes as ``840 B``, ``12.4 KB`` or ``3.2 MB``; a kilobyte has a thousand."""
    if count < 1_000:  # noqa: PLR2004 - where the next unit begins
        return f"{count} B"
    amount = float(count)
    for unit in _UNITS:
        amount /= 1_000
        if amount < 999.95 or unit == _UNITS[-1]:  # noqa: PLR2004 - what would be rounded up to the next unit
            return f"{amount:.1f} {unit}"
    raise AssertionError


def percent(part: int, whole: int) -> str:
    """Return a share as ``98.4 %``; only all of it is 100, only none of it 0, and a share of nothing is empty."""
    if whole <= 0:
        return ""
    if part in {0, whole}:
        return "100 %" if part else "0 %"
    return f"{min(99.9, max(0.1, 100 * part / whole)):.1f} %"


def day(moment: int, zone: tzinfo | None = None) -> str:
    """Return the date in *zone*, by default this machine's, as ``2026-11-24``."""
    found = _moment(moment, zone)
    return str(moment) if found is None else f"{found:%Y-%m-%d}"


def clock(moment: int, zone: tzinfo | None = None) -> str:
    """Return date and time to the second in *zone*, by default this machine's, as ``2026-11-24 09:30:12``."""
    found = _moment(moment, zone)
    return str(moment) if found is None else f"{found:%Y-%m-%d %H:%M:%S}"


def brief_clock(moment: int, zone: tzinfo | None = None, *, now: int) -> str:
    """Return the time in *zone*, by default this machine's: ``09:30:12`` today, ``11-24 09:30`` this year."""
    found, today = _moment(moment, zone), _moment(now, zone)
    if found is None or today is None or found.year != today.year:
        return day(moment, zone)
    return f"{found:%H:%M:%S}" if found.date() == today.date() else f"{found:%m-%d %H:%M}"


def exact(moment: int, zone: tzinfo | None = None) -> str:
    """Return the time in *zone*, by default this machine's, as ``2026-11-24 09:30:12.345 +08:00``."""
    found = _moment(moment, zone)
    if found is None:
        return str(moment)
    offset = f"{found:%z}"
    return f"{found:%Y-%m-%d %H:%M:%S}.{moment % 1000:03d} {offset[:3]}:{offset[3:5]}"


def machine(moment: int) -> str:
    """Return the time as HTML's ``datetime`` has it, in UTC; empty when it is beyond the calendar."""
    found = _moment(moment, UTC)
    return "" if found is None else f"{found:%Y-%m-%dT%H:%M:%S}.{moment % 1000:03d}Z"


def _moment(milliseconds: int, zone: tzinfo | None = None) -> datetime | None:
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone(zone)
    except (OverflowError, OSError, ValueError):
        return None


def short_id(identifier: str) -> str:
    """Return the last eight characters of a long hexadecimal id; a name as it is, cut where it is long."""
    if len(identifier) > _SHORT_ID and _IDENTIFIER.fullmatch(identifier):
        return "…" + identifier[-_TAIL_OF_ID:]
    return identifier if len(identifier) <= _LONGEST_NAME else identifier[: _LONGEST_NAME - 1] + "…"


def as_text(value: object) -> str:
    """Return a value of a record as text for people: text as it is, everything else as indented JSON."""
    return value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def error_text(record: dict[str, Any]) -> str:
    """Return a record's error message with its code, as far as it has them."""
    message, code = record["error_message"], error_code_of(record)
    text = "" if message is None else as_text(message)
    if code is None or code in text:
        return text
    return f"{text} ({code})".strip()


def gist(record: dict[str, Any], limit: int) -> str:
    """Return one short line on a run, from its record, outline or summary: its error, its question, or its output."""
    if error := error_text(record):
        return one_line(error, limit)
    output = record["output"] if "output" in record else only_text(record["output_line"]) or None
    if record["execute_status"] == "interrupted" and (interrupt := INTERRUPT.of(record)) is not None:
        output = question_text(interrupt) or asked_fields(interrupt) or output
    if output is None:
        return ""
    if isinstance(output, Unread):
        return one_line(output.beginning(4 * limit + 1), limit)
    if isinstance(output, dict) and isinstance(only := output.get("output"), str):
        output = only
    return one_line(output if isinstance(output, str) else orjson.dumps(output).decode(), limit)


def only_text(line: str) -> str:
    """Return the text in the one key ``output`` of a line of JSON, which may be cut; any other line as it is."""
    if not line.startswith("{"):
        return line
    if isinstance(whole := _parsed(line), dict):
        only = whole.get("output")
        return only if isinstance(only, str) else line
    found = _CUT_TEXT.match(line)
    text = _parsed(f'"{found[1]}"') if found else None
    return text.rstrip("…") + "…" if isinstance(text, str) else line


def question_text(interrupt: Mapping[str, Any]) -> str:
    """Return an interrupt's question, packed by Coze into JSON once or twice (coze-protocol 1.7); empty for a form."""
    content, inner = _unpacked(interrupt)
    if isinstance(inner, dict):
        inner = inner.get("question") or inner.get("content")
        return one_line(inner, 500) if isinstance(inner, str) else ""
    return one_line(content, 500) if isinstance(content, str) and not isinstance(inner, list) else ""


def asked_fields(interrupt: Mapping[str, Any]) -> str:
    """Return the names of the fields that an interrupt asks for, as ``city, days?``; empty where it asks for none."""
    inner = _unpacked(interrupt)[1]
    names = [each.get("name") for each in inner if isinstance(each, dict)] if isinstance(inner, list) else []
    shown = ", ".join(one_line(name, 40) for name in names[:10] if isinstance(name, str) and name)
    return f"{shown}?" if shown else ""


def _unpacked(interrupt: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return the content of an interrupt's question, and what it is where that is JSON."""
    data = interrupt.get("data")
    if not isinstance(data, str):
        return None, None
    content = _parsed(data)
    content = content.get("content") if isinstance(content, dict) else data
    return content, _parsed(content) if isinstance(content, str) else content


def _parsed(text: str) -> Any:  # noqa: ANN401 - JSON is any of six things
    try:
        return read_json(text)
    except ValueError:
        return None
