"""Asking, counting, comparing, noting, following, exporting and importing from the command line."""

import signal
from pathlib import Path

import orjson
import pytest

from tests.cli.conftest import Call, History
from tests.cli.processes import started

_STORE = ("--store", "history")


@pytest.fixture
def filled(history: History) -> History:
    """Three runs: two of ``w``, a success and then a failure, and a success of ``v``."""
    history.keep("ok", "w", after=200, parameters={"city": "北京"}, execute_status="success", output={"score": 91})
    history.keep(
        "bad", "w", after=1_500, parameters={"city": "Paris"},
        execute_status="failed", error_code=5000, error_message="the plugin timed out",
    )  # fmt: skip
    history.keep("other", "v", after=50, parameters={"city": "Paris"}, execute_status="success", output="plain")
    return history


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--status", "failed"], ["bad"]),
        (["w", "--where", "output.score >= 90"], ["ok"]),
        (["--sort", "duration"], ["bad", "ok", "other"]),
        (["--sort", "duration", "--ascending", "--page-size", "1"], ["other"]),
        (["--since", "2023-11-14", "--min-duration", "1s"], ["bad"]),
        (["--q", "timed out"], ["bad"]),
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
    said = call("list", "--sort", "duration", "--page-size", "2", "--explain", *_STORE)
    cursor = said.err.split("--cursor ")[1].split()[0]
    assert "by_duration" in said.err
    assert "bad" in said.out
    assert "other" in call("list", "--sort", "duration", "--page-size", "2", "--cursor", cursor, *_STORE).out


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
        (["diff", "ok"], "no successful execution before"),
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
    """The field and the piece; 5 where there is none."""
    said = call("search", "timed", *_STORE)
    assert (0, True) == (said.code, "error_message: the plugin timed out" in said.out)
    hit = call("search", "北", "--json", *_STORE).json()["hits"][0]
    assert "ok" == hit["execution"]["execute_id"]
    assert 5 == call("search", "nowhere", *_STORE).code


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
    for part in ("− ok", "+ bad", "input.city", '− "北京"', '+ "Paris"', "200 ms → 1.5 s"):
        assert part in said.out
    assert "other" == call("diff", "ok", "other", "--json", *_STORE).json()["new"]["execute_id"]


@pytest.mark.usefixtures("filled")
def test_what_is_noted_is_found_and_does_not_change_the_duration(call: Call) -> None:
    """Tags, a note, a rating and a pin."""
    noted = call("tag", "ok", "a", "b", "--remove", "c", "--note", "fine", "--rating", "5", "--pin", "--json", *_STORE)
    assert (["a", "b"], "fine", 5, True) == tuple(noted.json()[key] for key in ("tags", "note", "rating", "pinned"))
    assert "200 ms" in call("list", "--tag", "a", "--pinned", "true", *_STORE).out
    assert "Tags  a" in call("tag", "ok", "--remove", "b", *_STORE).out


@pytest.mark.usefixtures("filled")
def test_what_is_exported_can_be_imported(call: Call, tmp_path: Path) -> None:
    """JSON Lines and JSON, into a file, a folder and the standard output."""
    lines = call("export", *_STORE).out
    assert 3 == len(lines.splitlines())
    assert 0 == call("export", "-o", "runs.jsonl", *_STORE).code
    assert lines == (tmp_path / "runs.jsonl").read_text("utf-8")
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
    assert 0 == said.code
    assert "2 added, 0 replaced, 0 there already, 1 refused" in said.out
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
        assert 0 == process.wait(20)


def test_people_may_follow_a_run_that_goes_on(history: History, tmp_path: Path) -> None:
    """It has no duration yet."""
    history.keep("going", "w")
    with started("follow", "--since", "0", *_STORE, folder=tmp_path) as process:
        assert process.stdout is not None
        assert b"going" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert 0 == process.wait(20)
