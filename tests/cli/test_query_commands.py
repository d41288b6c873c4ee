"""Asking, counting, comparing, noting, following, exporting and importing from the command line."""

import re
import shlex
import signal
import warnings
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from rich.cells import cell_len

from execution_history.presentation.time_zone import local_zone_name
from execution_history.web.api.schemas.reports import BreakdownAnswer, StatisticsAnswer
from tests.cli.conftest import BEGAN, Call, History, Said
from tests.cli.processes import started

_STORE = ("--store", "history")


@pytest.fixture
def filled(history: History) -> History:
    """Three runs: two of ``w``, a success and then a failure, and a success of ``v``."""
    history.keep("ok", "w", after=200, parameters={"city": "北京"}, execute_status="success", output={"score": 91})
    history.keep(
        "bad", "w", after=1_500, parameters={"city": "Paris"},
        execute_status="failed", error_code=5000, error_message="the plugin timed out",
        node_execute_status={"天气": {"node_title": "天气", "node_id": "100003", "is_finish": False}},
    )  # fmt: skip
    history.keep("other", "v", after=50, parameters={"city": "Paris"}, execute_status="success", output="plain")
    return history


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--status", "failed"], ["bad"]),
        (["w", "--where", "output.score >= 90"], ["ok"]),
        (["--sort", "duration"], ["bad", "ok", "other"]),
        (["--sort", "duration", "--order", "asc", "--page-size", "1"], ["other"]),
        (["--since", "2023-11-14", "--min-duration", "1s"], ["bad"]),
        (["--q", "timed out"], ["bad"]),
        (["--failed-node", "天气"], ["bad"]),
        (["--workflow", "v"], ["other"]),
        (["--until", "2020-01-01"], []),
    ],
)
@pytest.mark.usefixtures("filled")
def test_runs_are_listed_by_filter_and_order(call: Call, options: list[str], expected: list[str]) -> None:
    """The filters are those of the API; ``--workflow`` is the argument's other name where there is none."""
    if "--workflow" in options:
        options = [options[1]]
    said = call("list", *options, "--json", *_STORE)
    assert expected == [record["execute_id"] for record in said.json()["histories"]]


@pytest.mark.usefixtures("filled")
def test_a_cursor_goes_on_and_the_way_is_explained(call: Call) -> None:
    """People are told both."""
    said = call("list", "--sort", "duration", "--page-size", "2", "--explain", "--id=", *_STORE)
    assert "by_duration" in said.err
    assert "bad" in said.out
    assert "other" in call(*_next(said)).out


@pytest.mark.usefixtures("filled")
def test_the_next_page_is_a_call_that_can_be_copied(call: Call) -> None:
    """With all filters, whatever stands in them, on the same store."""
    where = "input.city exists"
    said = call("list", "w", "--where", where, "--has-output", "false", "--page-size", "1", *_STORE)
    assert "" == said.err.partition("Next")[1]
    said = call("list", "w", "--where", where, "--where", 'input.city != "-"', "--page-size", "1", *_STORE)
    assert "ok" in call(*_next(said)).out
    said = call("search", "--page-size", "1", "--since=2020-01-01", *_STORE, "--", "-nowhere c")
    assert (0, "No runs in history match.\n") == (said.code, said.err)
    said = call("search", "--page-size", "1", "--since=2020-01-01", *_STORE, "--", '-nowhere "Paris"')
    assert "bad" in call(*_next(said)).out


def _next(said: Said) -> list[str]:
    """The words of the call for the next page."""
    return shlex.split(said.err.split("Next: execution-history ")[1])


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["list", "--status", "nope"], "'nope' is not a status"),
        (["list", "--where", "input..x = 1"], "input..x"),
        (["list", "--cursor", "broken"], "cursor"),
        (["search", "!!!"], "!!!"),
        (["search", "x" * 100_000], "characters"),
        (["stats", "--zone", "Mars/Base"], "Mars/Base"),
        (["tag", "ok", "--rating", "9"], "rating"),
        (["export", "-o", "runs.odd"], ".jsonl"),
        (["import", "missing.jsonl"], "missing.jsonl"),
        (["import", "--coze-studio", "a.csv", "b.csv"], "one file"),
    ],
)
@pytest.mark.usefixtures("filled")
def test_a_wrong_call_is_one_sentence(call: Call, words: list[str], named: str) -> None:
    """And ends with 2."""
    said = call(*words, *_STORE)
    assert 2 == said.code
    assert named in said.err
    assert 1 == len(said.err.strip().splitlines())


@pytest.mark.usefixtures("filled")
def test_a_search_shows_where_the_text_is(call: Call) -> None:
    """The field and the piece."""
    said = call("search", "timed", *_STORE)
    assert (0, True) == (said.code, "error_message: the plugin timed out" in said.out)
    hit = call("search", "北", "--json", *_STORE).json()["hits"][0]
    assert "ok" == hit["execution"]["execute_id"]


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    "words",
    [["list", "--status", "running"], ["list", "nobody"], ["list", "--page", "9"], ["search", "nowhere"],
     ["search", "nowhere", "--json"], ["stats", "nobody"], ["export", "nobody"]],
)  # fmt: skip
def test_a_question_that_finds_nothing_ends_with_0(call: Call, words: list[str]) -> None:
    """Whatever is asked; only a thing that is named and not there ends with 5."""
    assert 0 == call(*words, *_STORE).code


@pytest.mark.usefixtures("filled")
def test_a_search_text_that_breaks_off_is_refused(call: Call) -> None:
    """In a quote without its end, or a minus without a word."""
    for text, reason in (('timed "out of', "left open"), ("timed -", "ends with a minus")):
        said = call("search", text, *_STORE)
        assert (2, True) == (said.code, reason in said.err)


@pytest.mark.usefixtures("filled")
def test_runs_are_counted(call: Call) -> None:
    """For people as a table, for programs as numbers."""
    counted = call("stats", "--json", *_STORE).json()
    assert (3, 1) == (counted["totals"]["runs"], counted["totals"]["counts"]["failed"])
    table = call("stats", "w", *_STORE).out
    assert "2023-11-14" in table
    assert "50.0 %" in table
    assert "the plugin timed out" in table


@pytest.mark.usefixtures("filled")
def test_two_runs_are_compared(call: Call) -> None:
    """With the last success, or two that are named."""
    said = call("diff", "bad", *_STORE)
    assert 0 == said.code
    for part in ("− ok", "+ bad", "  city", '− "北京"', '+ "Paris"', "200 ms → 1.5 s"):
        assert part in said.out
    assert "other" == call("diff", "ok", "other", "--json", *_STORE).json()["new"]["execute_id"]


@pytest.mark.usefixtures("filled")
def test_several_runs_are_compared_in_columns(call: Call) -> None:
    """The first is the baseline; what is the same as there is an equals sign."""
    said = call("diff", "ok", "bad", "other", *_STORE)
    assert 0 == said.code
    assert ["ok", "bad", "other"] == said.out.splitlines()[0].split()
    found = call("diff", "ok", "bad", "other", "--json", *_STORE).json()
    assert ["ok", "bad", "other"] == [run["execute_id"] for run in found["runs"]]
    assert 2 == len(found["comparisons"])


def test_nodes_of_two_runs_stand_side_by_side(call: Call, history: History) -> None:
    """The failed one first, with status and time; what is the same is counted."""
    node = {"is_finish": True, "start_time": BEGAN, "update_time": BEGAN + 200, "content": "x"}
    bad = {**node, "content": "", "error_message": "no room"}
    history.keep("fine", execute_status="success", node_execute_status={"Start": node, "Think": node})
    history.keep("poor", execute_status="failed", node_execute_status={"Start": node, "Think": bad})
    lines = [line.strip() for line in call("diff", "fine", "poor", *_STORE).out.splitlines()]
    at = lines.index("Nodes")
    assert ["Think", "●", "200", "ms", "✕", "200", "ms", "different", "text"] == lines[at + 1].split()
    assert "1 node is the same in all of them" == lines[at + 2]


@pytest.mark.parametrize(
    ("language", "said_so", "same"),
    [
        ("C.UTF-8", "output: only the beginnings were kept and compared.", "No other differences"),
        ("zh_CN.UTF-8", "output：只保留并比较了开头部分。", "其余都相同"),
    ],
)
def test_runs_that_were_cut_at_recording_are_not_called_the_same(
    call: Call, history: History, monkeypatch: pytest.MonkeyPatch, language: str, said_so: str, same: str
) -> None:
    """What was not kept cannot be compared, which is said instead."""
    monkeypatch.setenv("LANG", language)
    for execute_id in ("first", "second"):
        cut = {"recording_is_cut": {"output": 523_000_002}}
        history.keep(execute_id, execute_status="success", output="The beginning…", metadata=cut)
    said = call("diff", "first", "second", *_STORE)
    assert (0, f"{said_so}\n") == (said.code, said.err)
    assert same not in said.out
    assert call("diff", "first", "second", "--json", *_STORE).json()["is_same"] is False


@pytest.mark.parametrize(
    ("colours", "line"), [(False, "    I [-saw-]{+took+} the ferry this morning"), (True, "sawtook")]
)
def test_words_that_differ_are_told_apart_without_colours(
    call: Call, history: History, monkeypatch: pytest.MonkeyPatch, colours: bool, line: str
) -> None:
    """By marks in a pipe and with NO_COLOR, by colours on a terminal."""
    history.keep("a", execute_status="success", output="I saw the ferry this morning")
    history.keep("b", execute_status="success", output="I took the ferry this morning")
    if colours:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm-256color")
    shown = call("diff", "a", "b", *_STORE).out
    assert line in re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert colours == ("\x1b[36m" in shown)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "[-saw-]{+took+}" in re.sub(r"\x1b\[[0-9;]*m", "", call("diff", "a", "b", *_STORE).out)


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("words", [["ok"], ["ok", "nobody"], ["nobody"]])
def test_a_run_that_is_not_there_ends_with_5(call: Call, words: list[str]) -> None:
    """Neither the one nor the other, and no success before it."""
    said = call("diff", *words, *_STORE)
    assert (5, 1) == (said.code, len(said.err.splitlines()))


@pytest.mark.usefixtures("filled")
def test_what_is_noted_is_found_and_does_not_change_the_duration(call: Call) -> None:
    """Tags, a note, a rating and a pin."""
    noted = call("tag", "ok", "a", "b", "--remove", "c", "--note", "fine", "--rating", "5", "--pin", "--json", *_STORE)
    assert (["a", "b"], "fine", 5, True) == tuple(noted.json()[key] for key in ("tags", "note", "rating", "pinned"))
    assert "200 ms" in call("list", "--tag", "a", "--pinned", "true", *_STORE).out
    lines = call("tag", "ok", "--remove", "b", "--note", "fine\nindeed", *_STORE).out.splitlines()
    assert ["  Tags    a", "  Rating  ★★★★★", "  Pinned  yes", "  Note    fine", "          indeed"] == lines
    shown = call("show", "ok", *_STORE).out
    assert "Rating" in shown
    assert "ended_at" not in shown


@pytest.mark.usefixtures("filled")
def test_what_is_exported_can_be_imported(call: Call, tmp_path: Path) -> None:
    """JSON Lines and JSON, into a file, a folder and the standard output."""
    lines = call("export", *_STORE).out
    assert 3 == len(lines.splitlines())
    assert 0 == call("export", "-o", "runs.jsonl", *_STORE).code
    assert lines == (tmp_path / "runs.jsonl").read_text("utf-8")
    assert call("export", "v", "-o", "one.jsonl", *_STORE).err.startswith("1 run, ")
    assert 0 == call("export", "--format", "json", "-o", "folder", *_STORE).code
    for source in ("runs.jsonl", "folder"):
        said = call("import", source, "--json", "--store", f"new-{source}")
        assert (3, 0) == (said.json()["added"], said.json()["refused_count"])
    table = call("export", "w", "--format", "csv", "--columns", "execute_id,output.score", *_STORE).out
    assert ["execute_id,output.score", "bad,", "ok,91"] == [table.splitlines()[0], *sorted(table.splitlines()[1:])]


def test_a_truncated_file_gives_up_what_is_whole(call: Call, filled: History, tmp_path: Path) -> None:
    """And says with its line what is not."""
    del filled
    call("export", "-o", "runs.jsonl", *_STORE)
    whole = (tmp_path / "runs.jsonl").read_bytes()
    (tmp_path / "cut.jsonl").write_bytes(whole[:-20])
    said = call("import", "cut.jsonl", "--store", "new")
    assert 1 == said.code
    assert "2 added, 0 replaced, 0 already there, 1 refused" in said.out
    assert "line 3" in said.out


def test_what_happens_is_followed(filled: History, tmp_path: Path) -> None:
    """As lines of JSON from the beginning and as it comes, until it is told to stop."""
    with started("follow", "--since", "0", "--json", *_STORE, folder=tmp_path) as process:
        assert process.stdout is not None
        told = [orjson.loads(process.stdout.readline())["execute_id"] for _ in range(3)]
        assert ["ok", "bad", "other"] == told
        filled.keep("new", "w")
        assert "new" == orjson.loads(process.stdout.readline())["execute_id"]
        process.send_signal(signal.SIGINT)
        assert 0 == process.wait(60)


def test_people_may_follow_a_run_that_goes_on(history: History, tmp_path: Path) -> None:
    """It has no duration yet."""
    history.keep("going", "w")
    with started("follow", "--since", "0", *_STORE, folder=tmp_path) as process:
        assert process.stdout is not None
        assert b"going" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert 0 == process.wait(60)


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"execute_status": "failed", "error_message": "broke", "error_code": 4200}, "broke (4200)"),
        ({"execute_status": "success", "output": {"output": "the answer"}}, "the answer"),
        (
            {"execute_status": "interrupted", "metadata": {"interrupt": {"data": '{"content": "Which city?"}'}}},
            "Which city?",
        ),
        ({}, '{"city":"Paris"}'),
    ],
)
def test_a_followed_run_shows_its_output_or_error(
    history: History, tmp_path: Path, change: dict[str, Any], shown: str
) -> None:
    """As a list does: the error with its code, the question, or the output; before there is any, its input."""
    history.keep("run-1", "w", parameters={"city": "Paris"}, **change)
    with started("follow", "--since", "0", *_STORE, folder=tmp_path) as process:
        assert process.stdout is not None
        assert f"  {shown}\n" == process.stdout.readline().decode()[-len(shown) - 3 :]
        process.send_signal(signal.SIGINT)
        assert 0 == process.wait(60)


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("columns", [40, 60, 80, 120])
def test_statistics_fit_the_terminal_and_cut_no_id(
    call: Call, history: History, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    """What is least needed is left out first; an example's id, which the next call needs, is whole."""
    execute_id = "01a20dba-b801-7732-a3b5-fd1635d97bad"
    history.keep(
        execute_id, "7000000000000000002", after=187_000, execute_status="failed", error_message="插件没有响应 " * 30,
        usage={"token_count": 123_456_789},
    )  # fmt: skip
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in call("stats", *_STORE).out.splitlines()]
    assert columns >= max(map(cell_len, lines))
    assert [execute_id] == re.findall(execute_id, "\n".join(lines))
    assert columns < 60 or any("SUCCESS" in line for line in lines)
    assert any("插件没有响应" in line for line in lines)


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("words", "head", "row"),
    [
        (["--by", "workflow"], "WORKFLOW", "w"),
        (["--by", "error"], "ERROR CODE", "5000"),
        (["--by", "status", "--sort", "failed"], "STATUS", "failed"),
        (["w", "--by", "mode"], "RUN MODE", "stream"),
    ],
)
def test_runs_are_counted_by_group(call: Call, words: list[str], head: str, row: str) -> None:
    """As a table, and as the JSON of the API; nodes need a workflow, which a sentence says."""
    lines = call("stats", *words, *_STORE).out.splitlines()
    assert lines[0].startswith(head)
    assert lines[1].split()[0] == row
    counted = call("stats", *words, "--json", *_STORE).json()
    expected = {"success": True, **counted}
    assert set(BreakdownAnswer.model_validate(expected).model_dump(exclude_unset=True)) == {*expected} - {"zone"}
    refused = call("stats", "--by", "node", *_STORE)
    assert (2, True) == (refused.code, "within one workflow" in refused.err)


@pytest.mark.usefixtures("filled")
def test_statistics_have_one_shape_everywhere(call: Call) -> None:
    """That of the API, and the zone that was taken."""
    counted = call("stats", "--zone", "Asia/Shanghai", "--json", *_STORE).json()
    expected = {"success": True, **counted}
    assert set(StatisticsAnswer.model_validate(expected).model_dump(exclude_unset=True)) == {*expected} - {"zone"}
    assert ("Asia/Shanghai", "2023-11-15") == (
        counted["zone"],
        f"{datetime.fromtimestamp(counted['buckets'][0]['start'] / 1000, ZoneInfo('Asia/Shanghai')):%Y-%m-%d}",
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Asia/Shanghai", "Asia/Shanghai"), (":Europe/Paris", "Europe/Paris"), ("UTC", "UTC"),
        ("Nowhere/At_all", "UTC"),
    ],
)  # fmt: skip
def test_the_zone_is_this_machines(monkeypatch: pytest.MonkeyPatch, name: str, expected: str) -> None:
    """As the variable names it; where that is no name, what is left is UTC."""
    monkeypatch.setenv("TZ", name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tzlocal notices that only the variable changed, and not the process's clock
        assert expected == local_zone_name()
