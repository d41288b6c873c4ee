"""Times, durations, tokens, and text from runs made harmless."""

import time
from decimal import Decimal
from typing import Any

import pytest

from execution_history.presentation.formatting import (
    clock,
    duration,
    exact,
    gist,
    grouped,
    money,
    one_line,
    plain,
    question_text,
    round_money,
    sums,
    visible,
)


def record(**fields: Any) -> dict[str, Any]:
    """The keys of a record that the formatting looks at."""
    empty = dict.fromkeys(("error_code", "error_message", "output", "usage"))
    return {**empty, "execute_status": "success", "metadata": {}, "create_time": 1_000, "update_time": 3_500, **fields}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, 中文 and 😀", "plain, 中文 and 😀"),
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("\x1b]0;title\x07", "␛]0;title␇"),
        ("one\r\ntwo\tthree\n", "one\ntwo\tthree\n"),
        ("over\rwritten\x08", "over␍written␈"),
        ("\x9b31m\x85\x7f", "\\u009b31m\\u0085␡"),
        ("evil\u202etxt.exe", "evil\\u202etxt.exe"),
        ("half \ud800", "half \\ud800"),
    ],
)
def test_what_a_terminal_would_obey_is_shown_instead(text: str, shown: str) -> None:
    """Control characters become visible; line breaks and tabs stay."""
    assert shown == visible(text)


def test_one_line_has_no_breaks_and_says_where_it_was_cut() -> None:
    """White space is one space, and a cut ends with an ellipsis."""
    assert "a b c" == one_line("a\n  b\t\u0085c".replace("\u0085", " "))
    assert "abcd…" == one_line("abcdefgh", 5)
    assert "x" * 4 + "…" == one_line("x" * 1_000_000, 5)
    assert "a…" == one_line("a" + " " * 100 + "b", 20)


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [
        (-5, "0 ms"),
        (840, "840 ms"),
        (12_449, "12.4 s"),
        (59_999, "59.9 s"),
        (187_000, "3 min 07 s"),
        (7_500_000, "2 h 05 min"),
        (273_600_000, "3 d 04 h"),
    ],
)
def test_a_duration_has_the_unit_that_fits(milliseconds: int, shown: str) -> None:
    """Milliseconds up to days, never rounded up into the next unit."""
    assert shown == duration(milliseconds)


def test_numbers_are_grouped_in_threes() -> None:
    """Groups are set apart by a space; what is not known is nothing."""
    assert "5 000 000 000" == grouped(5_000_000_000)
    assert "" == grouped(None)


def test_a_time_is_in_the_zone_of_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exact form names the zone and the milliseconds."""
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    try:
        assert "2023-11-15 06:13:20" == clock(1_700_000_000_007)
        assert "2023-11-15 06:13:20.007 +08:00" == exact(1_700_000_000_007)
    finally:
        monkeypatch.setenv("TZ", "UTC")
        time.tzset()


def test_a_time_beyond_all_calendars_is_its_number() -> None:
    """An adopted record may say anything; showing it must not fail."""
    assert str(10**18) == clock(10**18)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"output": None}, ""),
        ({"output": "two\nlines"}, "two lines"),
        ({"output": {"output": "the answer"}}, "the answer"),
        ({"output": {"a": [1, 2]}}, '{"a":[1,2]}'),
        ({"error_message": "broke", "error_code": 4200, "output": "kept"}, "broke (4200)"),
        ({"error_message": "broke: 4200", "error_code": 4200}, "broke: 4200"),
        ({"error_code": "E1"}, "(E1)"),
        ({"error_code": 0, "output": "fine"}, "fine"),
        ({"execute_status": "interrupted", "metadata": {"interrupt": {"data": "Which city?"}}}, "Which city?"),
    ],
)
def test_the_gist_is_the_error_the_question_or_the_output(fields: dict[str, Any], expected: str) -> None:
    """One line says what a run came to."""
    assert expected == gist(record(**fields), 50)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("Plain?", "Plain?"),
        ('{"content_type":"text","content":"Packed once?"}', "Packed once?"),
        ('{"content_type":"text","content":"{\\"question\\":\\"Packed twice?\\"}"}', "Packed twice?"),
        ('{"content_type":"form_schema","content":"[{\\"name\\":\\"city\\"}]"}', ""),
        ('{"content_type":"text"}', ""),
        ("", ""),
        (None, ""),
    ],
)
def test_a_question_is_unpacked(data: object, expected: str) -> None:
    """Coze packs it into JSON once or twice; a form has no question of its own."""
    assert expected == question_text({"data": data})


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (1234.5, "CNY", "¥1\u202f234.50"),
        (0.12345, "USD", "$0.123"),
        (0.00281, "EUR", "€0.0028"),
        (0.000012, "CNY", "¥0.000012"),
        (0.0, "CNY", "¥0"),
        (3, "CREDITS", "3.00\u202fCREDITS"),
        (1, "\u202eX", "1.00\u202f\\u202eX"),
    ],
)
def test_money_has_as_many_decimals_as_tell_it_from_nothing(amount: float, currency: str, text: str) -> None:
    """With the sign of a currency that is well known, else its name."""
    assert text == money(amount, currency)


def test_round_amounts_are_short() -> None:
    """As they stand beside a chart."""
    assert ["¥1\u202f000", "¥0.5", "$0"] == [round_money(1_000, "CNY"), round_money(0.5, "CNY"), round_money(0, "USD")]
    assert ["0.02", "2000", "0"] == [plain(Decimal(text)) for text in ("0.020", "2E+3", "0.00")]
    assert "¥1.00 + $2.00" == sums({"CNY": 1.0, "USD": 2.0})
