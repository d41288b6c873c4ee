"""Questions in words: filters, conditions, time zones; and what is wrong with a wrong one."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from execution_history.errors import InvalidQuery
from execution_history.history.keyword_query import keyword_filter
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordQuery, StatisticsQuery
from execution_history.query.parameters import filter_of
from execution_history.query.path_conditions import PathCondition, holds, parse_condition, split_conditions
from execution_history.query.time_buckets import bucket_edges, zone_of
from execution_history.records.summary import line_of

_NOW = 1_761_900_000_000


def _ms(*parts: int, zone: Any = UTC) -> int:
    return round(datetime(*parts, tzinfo=zone).timestamp() * 1000)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"status": "failed, interrupted"}, RecordFilter(statuses=("failed", "interrupted"))),
        ({"status": ["failed", "running"]}, RecordFilter(statuses=("failed", "running"))),
        ({"since": "2h"}, RecordFilter(created_from=_NOW - 7_200_000)),
        ({"since": "2026-11-01"}, RecordFilter(created_from=_ms(2026, 11, 1, zone=ZoneInfo("Asia/Shanghai")))),
        ({"until": "2026-11-01"}, RecordFilter(created_before=_ms(2026, 11, 2, zone=ZoneInfo("Asia/Shanghai")))),
        ({"since": "2026-11-01T08:00Z"}, RecordFilter(created_from=_ms(2026, 11, 1, 8))),
        ({"until": "1761900000000"}, RecordFilter(created_before=_NOW)),
        ({"min_duration": "1.5s", "max_duration": "2000"}, RecordFilter(duration_from=1_500, duration_to=2_000)),
        ({"mode": "async,0"}, RecordFilter(run_modes=(2, 0))),
        ({"tag": ["a,b", "c"], "pinned": "yes"}, RecordFilter(tags=("a,b", "c"), pinned=True)),
        ({"min_tokens": "5", "max_rating": "3"}, RecordFilter(tokens_from=5, rating_to=3)),
        ({"id": "01", "q": "天气"}, RecordFilter(execute_id_prefix="01", text="天气")),
        ({"bot": "", "caller": "  "}, RecordFilter()),
    ],
)
def test_filters_are_read_as_people_write_them(words: dict[str, Any], expected: RecordFilter) -> None:
    """Local times in the zone that is given; blank values are not given."""
    assert expected == filter_of(words, now=_NOW, zone=ZoneInfo("Asia/Shanghai"))


_SHANGHAI = ZoneInfo("Asia/Shanghai")
_WEDNESDAY = _ms(2026, 11, 4, 1, 30, zone=_SHANGHAI)
"""A Tuesday still in UTC."""


@pytest.mark.parametrize(
    ("words", "begin", "end"),
    [
        ("today", (2026, 11, 4), (2026, 11, 5)),
        ("Yesterday", (2026, 11, 3), (2026, 11, 4)),
        ("昨天", (2026, 11, 3), (2026, 11, 4)),
        ("monday", (2026, 11, 2), (2026, 11, 3)),
        ("wednesday", (2026, 11, 4), (2026, 11, 5)),
        ("thursday", (2026, 10, 29), (2026, 10, 30)),
        ("周日", (2026, 11, 1), (2026, 11, 2)),
        ("星期天", (2026, 11, 1), (2026, 11, 2)),
        ("this  week", (2026, 11, 2), (2026, 11, 9)),
        ("本周", (2026, 11, 2), (2026, 11, 9)),
        ("this month", (2026, 11, 1), (2026, 12, 1)),
    ],
)
def test_periods_are_read_as_people_call_them(words: str, begin: tuple[int, ...], end: tuple[int, ...]) -> None:
    """Their first moment, or as ``until`` the end of them; a weekday is the last one, in the reader's zone."""
    read = filter_of({"since": words, "until": words}, now=_WEDNESDAY, zone=_SHANGHAI)
    expected = RecordFilter(created_from=_ms(*begin, zone=_SHANGHAI), created_before=_ms(*end, zone=_SHANGHAI))
    assert expected == read


def test_a_day_on_which_the_clocks_change_is_whole() -> None:
    """In Berlin the last Sunday of October has 25 hours."""
    berlin = ZoneInfo("Europe/Berlin")
    now = _ms(2026, 10, 26, 9, zone=berlin)
    read = filter_of({"since": "yesterday", "until": "yesterday"}, now=now, zone=berlin)
    assert 25 * 3_600_000 == (read.created_before or 0) - (read.created_from or 0)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"stauts": "failed"}, "There is no filter 'stauts': perhaps you meant status."),
        ({"zzz": "1"}, "There is no filter 'zzz': there are account, bot,"),
        ({"status": "fail"}, "'fail' is not a status: perhaps you meant failed."),
        ({"since": "someday"}, "'since' takes a time such as 2h"),
        ({"since": "1761900000"}, "'since' takes milliseconds"),
        ({"until": "2026-13-01"}, "'until' takes a time"),
        ({"min_duration": "fast"}, "'min_duration' takes a duration"),
        ({"mode": "3"}, "'3' is not a run mode"),
        ({"pinned": "maybe"}, "'pinned' is true or false"),
        ({"min_tokens": "1.5"}, "'min_tokens' takes a whole number"),
        ({"id": ["a", "b"]}, "'id' takes one value"),
        ({"q": "x" * 1_000_000}, "at most 2000 characters; this one has 1000000"),
        ({"bot": ",".join(map(str, range(101)))}, "at most 100 values"),
        ({"caller": "\ud800"}, "half of a surrogate pair"),
        ({"where": "inptu.a = 1"}, "perhaps you meant input"),
        ({"where": ""}, "does not begin with input, output or metadata"),
        ({"where": ["input.a = 1", " "]}, "does not begin with input, output or metadata"),
    ],
)
def test_a_wrong_filter_is_named(words: dict[str, Any], sentence: str) -> None:
    """In one sentence that says what would be right."""
    with pytest.raises(InvalidQuery) as caught:
        filter_of(words, now=_NOW)
    assert sentence in str(caught.value)


def test_keywords_take_plain_values() -> None:
    """Numbers, flags and lists stand for the texts that they would be written as."""
    expected = RecordFilter(workflows=("w",), statuses=("failed",), created_from=_NOW, pinned=True, run_modes=(1,))
    found = keyword_filter(
        {"workflow": "w", "status": ["failed"], "since": _NOW, "pinned": True, "mode": 1, "bot": None}, now=_NOW
    )
    assert expected == found
    with pytest.raises(InvalidQuery, match="'tag' takes text"):
        keyword_filter({"tag": object()}, now=_NOW)  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('input.city = "北京"', PathCondition("input", ("city",), "=", "北京")),
        ("input.city = 北京 市", PathCondition("input", ("city",), "=", "北京 市")),
        ("output.score>=90", PathCondition("output", ("score",), ">=", 90)),
        ('metadata.tags[0] != "x"', PathCondition("metadata", ("tags", 0), "!=", "x")),
        ("output.items[2].name exists", PathCondition("output", ("items", 2, "name"), "exists")),
        ('input."a b".c < 1.5', PathCondition("input", ("a b", "c"), "<", 1.5)),
        ('input"a.\\"b" = null', PathCondition("input", ('a."b',), "=", None)),
        ("output = [1, 2]", PathCondition("output", (), "=", [1, 2])),
        ("output[0][1] = true", PathCondition("output", (0, 1), "=", True)),
        ("input.n == 42", PathCondition("input", ("n",), "=", 42)),
        ("input.n = 80241446968629135069", PathCondition("input", ("n",), "=", 80241446968629135069)),
        ("input.n = 0.1234567890123456789", PathCondition("input", ("n",), "=", "0.1234567890123456789")),
        ("input.n = NaN", PathCondition("input", ("n",), "=", "NaN")),
        (r'input.s = "cut \ud83d"', PathCondition("input", ("s",), "=", r"cut \ud83d")),
        ("input.s = '北京 = 42'", PathCondition("input", ("s",), "=", "北京 = 42")),
        ("input.s = “北京 = 42”", PathCondition("input", ("s",), "=", "北京 = 42")),
        ("input.s = ‘北京’", PathCondition("input", ("s",), "=", "北京")),
        ("input.s = New York", PathCondition("input", ("s",), "=", "New York")),
        ("input.s = Portland, OR", PathCondition("input", ("s",), "=", "Portland, OR")),
        ("input.s = 10 Downing Street", PathCondition("input", ("s",), "=", "10 Downing Street")),
        ("input.s = 2025-10-31", PathCondition("input", ("s",), "=", "2025-10-31")),
        ("input.s = 1.2.3", PathCondition("input", ("s",), "=", "1.2.3")),
        ("input.s = +8613800138000", PathCondition("input", ("s",), "=", "+8613800138000")),
        ('input.s = "1e999"', PathCondition("input", ("s",), "=", "1e999")),
        ("input.s = it's", PathCondition("input", ("s",), "=", "it's")),
        ("input.s = salt and pepper", PathCondition("input", ("s",), "=", "salt and pepper")),
        ('input.s = "a and b = 2"', PathCondition("input", ("s",), "=", "a and b = 2")),
    ],
)
def test_conditions_are_read(text: str, expected: PathCondition) -> None:
    """Keys, quoted keys, indexes, operators, JSON values and bare texts."""
    assert expected == parse_condition(text)


@pytest.mark.parametrize(
    "text",
    ["", "city = 1", "input.", "input.a", "input.a =", "input.a ~ 1", 'input.a = "x', "input[x] = 1", "input.a = [1",
     "input.a exists now", "input.a = 1 and b = 2", 'input.a = "x" or input.b = 2', "input.a = x && y exists",
     "input.n = 42 and", "input.n = 42 or", "input.n = 42 input.m = 0", "input.n =42and input.m=0",
     "input.n = 42, input.m = 0", "input.n=x&&input.m=0", "input.n = x &&", "input.n = 42 output.x exists",
     "input.n = .1", "input.n = -.5", "input.n = - 1", "input.n = 1.", "input.n = 1e999", "input.n > -1e400",
     "input.n = 42,", "input.n = 42；", "input.n = “北京", "input.n = “a” “b”",
     "input.a <> 1", "input.a === 1", "input.a => 1", "input.a =~ x", "input.a = !x",
     "input" + ".a" * 60 + " exists", "input[99999999999] = 1", "input.a = " + "x" * 20_000],
)  # fmt: skip
def test_a_malformed_condition_is_refused(text: str) -> None:
    """With one sentence, whatever is wrong with it."""
    with pytest.raises(InvalidQuery, match=r"ondition|path|index|value"):
        parse_condition(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("input.n = 1", True), ("input.n = 1.0", True), ('input.n = "1"', False), ("input.t = 1", False),
        ("input.t = true", True), ("input.n != 2", True), ('input.n != "1"', True), ("input.absent != 1", False),
        ("input.n < 2", True), ('input.n < "2"', False), ("input.t < 2", False), ('input.s > "a"', True),
        ("input.none exists", False), ("input.none = null", True), ("input.n exists", True), ("input.l[1] = 5", True),
        ("input.l[2] exists", False), ("input.l.0 exists", False), ("input.l = [4, 5]", True),
        ("input.l = [4, true]", False), ("input.o = {\"k\": 1}", True), ("output.deep.x = 7", True),
        ("output.deep = 7", False), ("metadata.m = 1", True), ("input.n[0] exists", False),
        ("input.d = 42", True), ("input.d = 42.0", True), ('input.d = "42"', True), ("input.d != 42", False),
        ("input.d != 43", True), ("input.d > 9", True), ('input.d > "9"', False), ("input.d = [42]", False),
        ("input.big = 80241446968629135069", True), ("input.big = 80241446968629135068", False),
        ("input.big > 80241446968629135068", True), ("input.id = 7300000000000000001", True),
        ("input.id = 7300000000000000002", False), ("input.long = 0.1234567890123456789", True),
        ("input.long < 0.2", True), ("input.long > 0.2", False), ("input.zeros = 7", False),
        ("input.zeros = 007", True),
        ("input.flag = true", True), ("input.flag = false", False), ("input.word = null", True), ("input.s = 1", False),
        ("input.word exists", True), ("output.deep.order = 80241446968629135069", True), ("input.huge = 1", False),
    ],
)  # fmt: skip
def test_comparisons_keep_types_apart(text: str, expected: bool) -> None:
    """Numbers with numbers and texts that are one, texts with texts; a path goes on inside a text that is JSON."""
    record: dict[str, Any] = {
        "input_parameters": {
            "n": 1,
            "t": True,
            "s": "b",
            "none": None,
            "l": [4, 5],
            "o": {"k": 1},
            "d": "42",
            "zeros": "007",
            "big": "80241446968629135069",
            "id": "7300000000000000001",
            "long": "0.1234567890123456789",
            "flag": "true",
            "word": "null",
            "huge": "9" * 100_000,
        },
        "output": '{"deep": "{\\"x\\": 7, \\"order\\": 80241446968629135069}"}',
        "metadata": {"m": 1},
    }
    assert expected == holds(parse_condition(text), record)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("input.a = 1", ["input.a = 1"]),
        ("input.a == 1 and output[0].b >= 2", ["input.a == 1", "output[0].b >= 2"]),
        ('input.a = "x and input.b = 1" AND output exists && metadata."k e" != 2',
         ['input.a = "x and input.b = 1"', "output exists", 'metadata."k e" != 2']),
        ("input.a = salt and pepper", ["input.a = salt and pepper"]),
        ("input.a = “x and input.b = 1” and output exists", ["input.a = “x and input.b = 1”", "output exists"]),
        ("input.a = input and output", ["input.a = input and output"]),
    ],
)  # fmt: skip
def test_conditions_are_joined_by_and(text: str, parts: list[str]) -> None:
    """Where another condition follows the word; within a text it is a word."""
    assert parts == split_conditions(text)
    found = filter_of({"where": text}, now=_NOW)
    assert tuple(map(parse_condition, parts)) == found.conditions


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: RecordQuery(sort="size"), "not a sort order"),  # type: ignore[arg-type]
        (lambda: RecordQuery(size=0), "1 to 100 records"),
        (lambda: RecordQuery(index=0), "numbered from 1"),
        (lambda: RecordQuery(index=1, after="x"), "not both"),
        (lambda: RecordFilter(statuses=("done",)), "not a status"),
        (lambda: RecordFilter(tags=["x"]), "is a tuple"),  # type: ignore[arg-type]
        (lambda: RecordFilter(created_from="x"), "whole number"),  # type: ignore[arg-type]
        (lambda: StatisticsQuery(bucket="year"), "not a bucket"),  # type: ignore[arg-type]
        (lambda: zone_of("asia/shanghai"), "perhaps you meant Asia/Shanghai"),
        (lambda: zone_of("../etc/passwd"), "no time zone"),
        (lambda: bucket_edges(0, _NOW, "hour", zone_of("UTC")), "more than 5000 buckets"),
    ],
)
def test_a_question_that_cannot_be_is_refused(build: Any, sentence: str) -> None:
    """Where it is built, before a store is asked."""
    with pytest.raises(InvalidQuery, match=sentence):
        build()


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", (2026, 3, 29), 23),
        ("Europe/Berlin", (2026, 10, 25), 25),
        ("Asia/Shanghai", (2026, 3, 29), 24),
        ("America/Sao_Paulo", (2018, 11, 4), 23),
    ],
)
def test_days_are_as_long_as_the_clocks_make_them(zone: str, day: tuple[int, int, int], hours: int) -> None:
    """Also where they change at midnight; and every hour bucket is in one day."""
    noon = _ms(*day, 12, zone=ZoneInfo(zone))
    start, end = bucket_edges(noon, noon, "day", zone_of(zone))
    assert hours * 3_600_000 == end - start
    edges = bucket_edges(start, end - 1, "hour", zone_of(zone))
    assert (start, end, hours) == (edges[0], edges[-1], len(edges) - 1)


def test_weeks_begin_on_monday_and_months_on_their_first() -> None:
    """In the caller's zone."""
    zone = ZoneInfo("Asia/Shanghai")
    sunday = _ms(2026, 11, 1, 3, zone=zone)
    assert [_ms(2026, 10, 26, zone=zone), _ms(2026, 11, 2, zone=zone)] == bucket_edges(sunday, sunday, "week", zone)
    assert [_ms(2026, 11, 1, zone=zone), _ms(2026, 12, 1, zone=zone)] == bucket_edges(sunday, sunday, "month", zone)


def test_a_line_is_one_line_of_at_most_120_characters() -> None:
    """Of any value."""
    assert "" == line_of({})
    assert "a b" == line_of("a\n\n b")
    assert '{"a":1}' == line_of({"a": 1})
    assert (120, "…") == (len(line_of("x" * 500)), line_of("x" * 500)[-1])
