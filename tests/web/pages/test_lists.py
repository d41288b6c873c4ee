"""Lists, figures and comparisons as they are shown: pure views."""

import re
from datetime import UTC
from typing import Any

import orjson
import pytest

from execution_history.errors import InvalidQuery
from execution_history.presentation.formatting import gist, thin
from execution_history.presentation.translator import LANGUAGES
from execution_history.query.text import parse_search
from execution_history.records.attributes import attributes_of
from execution_history.records.record import KEYS
from execution_history.records.summary import summary_of
from execution_history.web.pages.chart_axis import ChartAxis
from execution_history.web.pages.list_state import list_state
from execution_history.web.pages.run_row import RunLine, line_of_hit, line_of_run
from execution_history.web.pages.sparkline import counts_of, links_of, picture_of, spark_of
from execution_history.web.pages.viewer import viewer_of

HOUR = 3_600_000


def record(**fields: Any) -> dict[str, Any]:
    """A record with these fields."""
    return {
        **dict.fromkeys(KEYS), "execute_id": "e", "workflow_id": "w", "create_time": 1_000, "update_time": 3_500,
        "execute_status": "success", "metadata": {}, "input_parameters": {}, **fields,
    }  # fmt: skip


def line(now: int = 9_000, **fields: Any) -> RunLine:
    """The line of a record with these fields."""
    known = record(**fields)
    return line_of_run(summary_of(known, attributes_of(known)), now)


def test_a_line_says_what_went_in_and_what_came_out() -> None:
    """Its error where it failed, and how long it has taken so far while it goes on."""
    done = line(input_parameters={"q": "x"}, output="y", usage={"token_count": 7})
    assert ('{"q":"x"}', "y", 2_500, 7, False) == (
        done.input, done.result, done.duration, done.tokens, done.is_error
    )  # fmt: skip
    failed = line(execute_status="failed", error_message="no", error_code=7, output="part")
    assert ("no (7)", True) == (failed.result, failed.is_error)
    assert 8_000 == line(execute_status="running").duration
    assert ((), False) == (line(metadata={"tags": "odd"}).tags, line(metadata={"pinned": 1}).is_pinned)


def test_what_was_searched_for_is_marked() -> None:
    """With the field that it is in, from anywhere in the record."""
    found = record(input_parameters={"q": "今天北京天气"}, output={"t": "The Ferry leaves", "n": "<b>"})
    shown = line_of_hit(orjson.dumps(found), 9_000, parse_search("ferry 北京"))
    assert {"input_parameters", "output"} == {passage.field for passage in shown.passages}
    hits = [part.text for passage in shown.passages for part in passage.stretches if part.is_marked]
    assert ["北京", "Ferry"] == hits
    assert "The Ferry leaves" in "".join(part.text for part in shown.passages[1].stretches)


def test_filters_are_chips_that_can_be_taken_away() -> None:
    """Each with the address of the list without it; the order and the search stay."""
    state = list_state("/runs", [("status", "failed"), ("tag", "a"), ("tag", "b"), ("sort", "duration"), ("x", "y")])
    assert [
        ("status", "failed", "/runs?tag=a&tag=b&sort=duration"),
        ("tag", "a", "/runs?status=failed&tag=b&sort=duration"),
        ("tag", "b", "/runs?status=failed&tag=a&sort=duration"),
    ] == [(chip.name, chip.value, chip.without) for chip in state.chips()]
    assert "/runs?status=failed&tag=a&tag=b&sort=duration&order=asc" == state.sorted_by("duration")
    assert "/runs?status=failed&tag=a&tag=b" == state.sorted_by("create_time")
    assert [("tag", "a"), ("tag", "b"), ("sort", "duration")] == state.hidden("status")
    assert state.page_after("c/+").endswith("&after=c%2F%2B")


def test_filters_become_a_question_to_the_history() -> None:
    """In the reader's zone; what is wrong is said."""
    viewer = viewer_of({"zone": "Asia/Shanghai"}, "", 1_764_000_000_000)
    wanted = list_state("/runs", [("since", "2025-11-24"), ("status", "failed,running")]).record_filter(viewer, "w")
    assert (("w",), ("failed", "running"), 1_763_913_600_000) == (
        wanted.workflow_ids, wanted.statuses, wanted.created_from
    )  # fmt: skip
    with pytest.raises(InvalidQuery):
        list_state("/runs", [("sort", "colour")])
    assert list_state("/runs", [("status", " "), ("unknown", "1")]).is_plain


def test_the_last_runs_are_ticks() -> None:
    """Oldest left, as high as they were long; the time of one that runs on, perhaps for days, does not count."""
    lines = [line(execute_id=str(number), update_time=1_000 + number * 100) for number in range(20, 0, -1)]
    running = line(execute_status="running", now=2_000_000)
    picture = picture_of([running, *lines])
    assert ["success", "running"] == re.findall(r'path class="([a-z]+)"', picture)
    heights = [int(height) for height in re.findall("v([0-9]+)h-4z", picture)]
    assert [6, 16] == [heights[0], heights[-2]]
    assert "<path" not in picture_of([])
    assert 1_000 > len(picture_of([running, *lines * 2])), "there are many workflows on a page"
    assert "success 20, running 1" == counts_of([running, *lines], LANGUAGES["en"])


def test_each_of_the_last_runs_has_a_link() -> None:
    """That tells its status, its time and its duration, over the whole height of its place."""
    drawn = links_of([line(execute_id="b", execute_status="failed"), line(execute_id="a")], LANGUAGES["en"], UTC)
    assert ["/workflows/w/runs/a", "/workflows/w/runs/b"] == re.findall('href="([^"]+)"', drawn)
    assert re.search(r"<title>failed, [0-9-]+ [0-9:]+, [^<]+</title>", drawn)
    assert ["228", "234"] == re.findall(r'class="room" d="M([0-9]+) 0h6v20h-6z"', drawn)


def test_counts_are_bars_over_a_window() -> None:
    """Whatever is not zero can be seen, failures stand in front, and hovering tells when and how many."""
    axis = ChartAxis([0, HOUR, 2 * HOUR, 3 * HOUR], "hour", UTC)
    drawn = spark_of(axis, [0, 1_000, 1], [0, 250, 0])
    assert [("runs", ["100", "15"]), ("failed", ["25"])] == [
        (bars.kind, re.findall(r"v([0-9.]+)h", bars.path)) for bars in drawn.chart.bars
    ]
    assert [("01-01 01:00 – 02:00", f"{thin(1_000)} (✕ 250)"), ("01-01 02:00 – 03:00", "1")] == [
        (spot.name, spot.text) for spot in drawn.spots
    ]
    [day] = spark_of(ChartAxis([0, 24 * HOUR], "day", UTC), [2], [2]).spots
    assert ("1970-01-01", "2") == (day.name, day.text)


def test_a_summary_is_json_of_ours() -> None:
    """The line is made of what the store gives, whatever is in it."""
    odd = record(error_message={"not": "text"}, error_code=True, usage=[1], metadata={"tags": [1, "t"]})
    shown = line_of_run(orjson.dumps(orjson.loads(summary_of(odd, attributes_of(odd)))), 0)
    assert ("t",) == shown.tags


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        ({"output": '{"de": "Jacke"}'}, '{"de": "Jacke"}'),
        ({"output": '{"de": "' + "x" * 200}, '{"de": "' + "x" * 97 + "…"),
        ({"output": "\\" * 200}, "\\" * 54 + "…"),
        ({"output": {"de": 1}}, '{"output":{"de":1}}'),
    ],
)
def test_json_within_json_is_unwrapped(output: object, shown: str) -> None:
    """Also where the line ends before the text does, as the lists of the command line do it."""
    assert shown == line(output=output).result
    facts = record(output=output)
    assert shown.startswith(gist(orjson.loads(summary_of(facts, attributes_of(facts))), 1_000)[:50])
