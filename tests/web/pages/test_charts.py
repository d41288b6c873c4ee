"""Charts as they are drawn and shown: pure views."""

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from execution_history.presentation.translator import LANGUAGES
from execution_history.query.model import BucketSize, Figures
from execution_history.web.pages.chart_axis import ChartAxis, axis_of
from execution_history.web.pages.chart_view import Card, Counted, cards_of, round_duration, short
from execution_history.web.pages.charts import lines, round_up, round_up_time, stacked, two_sided
from execution_history.web.pages.month_view import months_of, spent_of

HOUR = 3_600_000
SHANGHAI = ZoneInfo("Asia/Shanghai")
BERLIN = ZoneInfo("Europe/Berlin")


def figures(runs: int = 1, failed: int = 0, **more: Any) -> Figures:
    """Some figures."""
    counts = {"success": runs - failed, "failed": failed}
    known: dict[str, Any] = {"success_rate": None, "p50": None, "p95": None, "p99": None, "tokens": 0}
    return Figures(runs=runs, counts=counts, **(known | more))


def time(text: str, zone: ZoneInfo = SHANGHAI) -> int:
    """A time in milliseconds, as it is written in a zone."""
    return round(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


def axis(since: str, until: str, size: BucketSize | None = None, zone: ZoneInfo = SHANGHAI) -> ChartAxis:
    """An axis from one time of a zone to another."""
    return axis_of(time(since, zone), time(until, zone), zone, size)


def ticks(shown: ChartAxis) -> list[str]:
    """What stands below a chart."""
    return [tick.text for tick in shown.ticks()]


def cards(shown: ChartAxis, totals: Figures, *buckets: Figures, language: str = "en") -> list[Card]:
    """The charts of *buckets*, the first ones of an axis."""
    translate = LANGUAGES.find([language]) or LANGUAGES.of_header("")
    return cards_of(Counted.of(shown, totals, dict(zip(shown.edges, buckets, strict=False)), is_exact=True), translate)


def test_hours_have_ticks_at_whole_hours_of_the_readers_zone() -> None:
    """Midnight is the day; wherever the first hour is."""
    shown = axis("2026-11-30T02:55", "2026-12-01T02:10")
    assert "hour" == shown.size
    assert ["03:00", "06:00", "09:00", "12:00", "15:00", "18:00", "21:00", "12-01"] == ticks(shown)
    assert time("2026-11-30T02:00") == shown.start
    assert all(tick.is_moment for tick in shown.ticks())
    assert 12.5 == round(axis("2026-11-30", "2026-12-01").ticks()[1].x, 1)


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        ("2026-11-25", "2026-12-02", ["11-25", "11-26", "11-27", "11-28", "11-29", "11-30", "12-01"]),
        ("2026-11-02", "2026-12-02", ["11-02", "11-09", "11-16", "11-23", "11-30"]),
        ("2025-12-01", "2026-12-01", ["2026-01", "2026-03", "2026-05", "2026-07", "2026-09", "2026-11"]),
        ("2023-05-07", "2026-12-01", ["2023-07", "2024-01", "2024-07", "2025-01", "2025-07", "2026-01", "2026-07"]),
    ],
)
def test_longer_times_have_ticks_at_whole_days_weeks_and_months(since: str, until: str, expected: list[str]) -> None:
    """Never more than eight, and each at its place."""
    shown = axis(since, until)
    found = [text for text in ticks(shown) if text in expected]
    assert expected == found == ticks(shown)
    assert all(0 <= tick.x <= 100 for tick in shown.ticks())
    assert all(one.x < other.x for one, other in pairwise(shown.ticks()))


def test_a_day_of_twenty_five_hours_is_whole() -> None:
    """Where clocks go back, the ticks stay at whole hours and the days at midnight."""
    shown = axis("2026-10-25", "2026-10-26", "hour", BERLIN)
    assert 25 == len(shown.slots())
    assert "10-25" == ticks(shown)[0]
    days = axis("2026-10-24", "2026-10-27", "day", BERLIN)
    assert [24, 25, 24] == [(slot.end - slot.start) // HOUR for slot in days.slots()]


def test_a_bucket_is_called_by_its_time() -> None:
    """An hour, a day, a week or a month."""
    names: list[tuple[BucketSize, str]] = [
        ("hour", "11-30 23:00 – 00:00"),
        ("day", "2026-11-30"),
        ("week", "2026-11-30 – 12-06"),
        ("month", "2026-11"),
    ]
    for size, name in names:
        shown = axis("2026-11-30T23:10", "2026-11-30T23:20", size)
        assert name == shown.name(*shown.edges[:2])


def test_runs_stand_above_the_axis_and_failures_below_it() -> None:
    """On one scale of round numbers; empty hours have no bar."""
    shown = axis("2026-11-30T00:00", "2026-11-30T04:00")
    drawn = two_sided(shown, [60, 0, 30, 0], [20, 0, 0, 0], ("runs", "failed"))
    assert 75.0 == drawn.zero
    assert ["M25 0h200v75h-200zM525 37.5h200v37.5h-200z", "M25 75h200v25h-200z"] == [bars.path for bars in drawn.bars]
    assert [(0, 60), (37.5, 30), (75, 0), (100, 20)] == [(level.y, level.value) for level in drawn.levels]


def test_numbers_beside_a_chart_do_not_touch() -> None:
    """That of the lowest line is left out where it is near zero; what is counted has no half."""
    shown = axis("2026-11-30T00:00", "2026-11-30T01:00")
    few = two_sided(shown, [1_000], [3], ("runs", "failed"))
    assert [1_000, 500, 0] == [level.value for level in few.levels]
    assert [3, 0] == [level.value for level in two_sided(shown, [3], [0], ("runs", "failed")).levels]
    for drawn in (few, stacked(shown, [("read", [7]), ("written", [6])], is_whole=True)):
        assert all(other.y - one.y >= 14 for one, other in pairwise(drawn.levels))


def test_lines_break_where_there_is_no_value() -> None:
    """A value alone is a dot."""
    shown = axis("2026-11-30T00:00", "2026-11-30T04:00")
    curve = lines(shown, [("p95", [30_000, None, 15_000, 30_000])], is_time=True).curves[0]
    assert ("M125 0M625 50L875 0", "M125 0l0 0") == (curve.path, curve.dots)


def test_charts_of_nothing_are_empty() -> None:
    """And divide by nothing."""
    shown = axis("2026-11-30T00:00", "2026-11-30T02:00")
    for drawn in (two_sided(shown, [0, 0], [0, 0], ("a", "b")), stacked(shown, [("a", [0, 0])]),
                  lines(shown, [("a", [None, None])])):  # fmt: skip
        assert "" == "".join(bars.path for bars in drawn.bars) + "".join(curve.path for curve in drawn.curves)


@pytest.mark.parametrize(
    ("value", "rounded"), [(0, 1), (1, 1), (1.1, 1.2), (105, 120), (0.021, 0.03), (1_000_001, 1_200_000), (0.1, 0.1)]
)
def test_scales_end_at_round_numbers(value: float, rounded: float) -> None:
    """The next one that is not below the value."""
    assert rounded == round_up(value)
    assert 86_400_000 * 3 == round_up_time(86_400_000 * 2.5)


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (500, "500 ms"), (15_000, "15 s"), (1_500, "1.5 s"), (1_200_000, "20 min")]
)
def test_round_durations_are_short(value: float, text: str) -> None:
    """One unit is enough."""
    assert text == round_duration(value)
    assert ["950", "12k", "1.5M"] == [short(number) for number in (950, 12_000, 1_500_000)]


def test_every_bucket_can_be_asked_for_its_values() -> None:
    """In the reader's language; the values of the whole time stand beside the title."""
    shown = axis("2026-11-30T00:00", "2026-11-30T02:00")
    first = figures(4, 1, p50=900, p95=12_400, tokens=30, input_tokens=20, output_tokens=10, costs={"CNY": 0.5})
    runs, times, tokens, cost = cards(shown, first, first)
    assert [("11-30 00:00 – 01:00", "Runs 4 · Failed 1"), ("11-30 01:00 – 02:00", "Runs 0 · Failed 0")] == [
        (spot.name, spot.text) for spot in runs.spots
    ]
    assert "p95 12.4 s · p50 900 ms" == times.spots[0].text
    assert "input 20 · output 10" == tokens.spots[0].text
    assert "¥0.500" == cost.spots[0].text
    assert ["¥0.500"] == [value.text for value in cost.values]
    assert "运行次数 4 · 失败 1" == cards(shown, first, first, language="zh")[0].spots[0].text


def test_tokens_that_are_not_told_apart_are_shown_as_such() -> None:
    """A part of the whole, or all of it; without tokens there is no such chart."""
    shown = axis("2026-11-30T00:00", "2026-11-30T01:00")
    part = figures(tokens=30, input_tokens=10, output_tokens=5)
    assert "input 10 · output 5 · total only 15" == cards(shown, part, part)[2].spots[0].text
    assert "total only 30" == cards(shown, figures(tokens=30), figures(tokens=30))[2].spots[0].text
    assert 2 == len(cards(shown, figures(), figures()))


def test_a_month_is_compared_with_as_many_days_of_the_last_one() -> None:
    """And with all of it; a line shows the budget."""
    months = months_of(time("2026-12-03T12:00"), SHANGHAI)
    assert (3, 31, 30) == (months.days, len(months.this) - 1, len(months.last) - 1)
    days = {
        **{start: figures(costs={"CNY": 2.0}) for start in months.last[:-1]},
        **{start: figures(costs={"CNY": 5.0, "USD": 1.0}) for start in months.this[:3]},
    }
    english = LANGUAGES.of_header("en")
    found = spent_of(months, days, "CNY", 100.0, SHANGHAI, english)
    assert (15.0, 6.0, 60.0) == (found.this, found.last, found.whole)
    assert ["last", "this", "budget"] == [curve.kind for curve in found.card.chart.curves]
    assert "This month ¥10.00 · Last month to the same day ¥4.00 · Budget ¥100.00" == found.card.spots[1].text
    assert "Last month to the same day ¥60.00 · Budget ¥100.00" == found.card.spots[30].text
    without = spent_of(months, days, "USD", None, SHANGHAI, english)
    assert (3.0, 0.0, ["last", "this"]) == (
        without.this, without.last, [curve.kind for curve in without.card.chart.curves],
    )  # fmt: skip


def test_a_month_is_the_readers() -> None:
    """At ten in the evening of the last day, elsewhere the next month has begun."""
    now = round(datetime(2026, 11, 30, 17, tzinfo=UTC).timestamp() * 1000)
    assert (1, 30) == (months_of(now, SHANGHAI).days, months_of(now, ZoneInfo("UTC")).days)
