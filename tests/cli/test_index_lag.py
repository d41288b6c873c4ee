"""Commands while the index lacks the older part of the history, and the import that completes it."""

import asyncio
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from execution_history import ExecutionHistoryService
from execution_history.stores import store_at
from tests.cli.conftest import Call
from tests.cli.processes import started
from tests.late_index import COUNT, MISSING, build_held_up, records, settled

NEWEST: Final = 1_764_000_000_000
_STORE: Final = ("--store", "history")
_LINE: Final = (
    "Still indexing: every run from 2025-11-22 22:21:01 on is included; older ones are added automatically "
    "(7 550 to go).\n"
)


async def _fill(folder: Path) -> None:
    async with ExecutionHistoryService(store_at(folder, json_files=False)) as service:
        await service.store.merge(list(records(NEWEST)))
        await service.get_execution_history(None, status="failed")
        await settled(service)


@pytest.fixture(scope="module")
def _filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("filled") / "history"
    with build_held_up(folder):
        asyncio.run(_fill(folder))
    return folder


@pytest.fixture
def late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _filled: Path) -> Path:
    """A history in ``history`` whose index has only the newest runs; the ten failed ones are older."""
    monkeypatch.setenv("EXECUTION_HISTORY_JSON_FILES", "false")
    return shutil.copytree(_filled, tmp_path / "history")


@pytest.fixture
def _held_up(late: Path) -> Iterator[None]:
    with build_held_up(late):
        yield


@pytest.mark.usefixtures("late")
@pytest.mark.parametrize("words", [["list", "--status", "failed", "--json"], ["stats", "--status", "failed"]])
def test_commands_bring_the_index_on(call: Call, words: list[str]) -> None:
    """Where no server runs, nobody else does: each spends some time on it, and then answers better."""
    for _ in range(20):
        call(*words, *_STORE)
        answer = call("list", "--status", "failed", "--json", *_STORE).json()
        if "reach" not in answer:
            break
    assert 10 == answer["total"]


@pytest.mark.usefixtures("_held_up")
def test_commands_say_what_is_missing(call: Call) -> None:
    """One line, on the screen and first for lists; nothing found so far is not called nothing; programs get numbers."""
    for words, has_line_first in (
        (["list", "--status", "failed"], True),
        (["search", "plugin"], True),
        (["stats", "--status", "failed", "--zone", "UTC"], False),
    ):
        said = call(*words, *_STORE)
        assert (0, _LINE if has_line_first else "") == (said.code, said.out)
        assert (0 if has_line_first else 1) == said.err.count(_LINE)
        assert "No matches among the runs of" in said.err
        assert "No runs in" not in said.err
    for words in (["list", "--status", "failed"], ["search", "plugin"], ["stats"]):
        reach = call(*words, "--json", *_STORE).json()["reach"]
        assert {"revision": COUNT, "newest": COUNT, "since": 1_763_850_060_001, "missing": MISSING} == reach
    plain = call("list", *_STORE)
    assert "e10049" in plain.out
    assert "indexing" not in plain.err


@pytest.fixture
def _dump(tmp_path: Path) -> None:
    (tmp_path / "runs.jsonl").write_bytes(b"".join(each.body + b"\n" for each in records(NEWEST)))


@pytest.mark.usefixtures("_dump")
def test_an_import_ends_when_everything_can_be_found(tmp_path: Path, call: Call) -> None:
    """The summary has both times, and so has the JSON; whoever comes next waits for nothing."""
    said = call("import", "runs.jsonl", *_STORE)
    assert said.out.startswith("10 050 added, 0 replaced, 0 already there, 0 refused; in ")
    assert ". Imported in " in said.out
    assert ", indexed in " in said.out
    assert "The runs are imported; indexing them now.\n" == said.err

    async def is_complete() -> bool:
        async with ExecutionHistoryService(tmp_path / "history") as service:
            return (await service.index_reach()).is_complete

    assert asyncio.run(is_complete())
    again = call("import", "runs.jsonl", "--json", *_STORE)
    assert "" == again.err
    assert (COUNT, True, True) == (
        again.json()["skipped"], again.json()["import_seconds"] > 0, again.json()["index_seconds"] >= 0,
    )  # fmt: skip


@pytest.mark.usefixtures("_dump")
@pytest.mark.parametrize("words", [[], ["--json"]])
def test_an_import_may_be_stopped_while_it_indexes(tmp_path: Path, call: Call, words: list[str]) -> None:
    """Every run is in; the report says so, and the index goes on later."""
    with (
        build_held_up(tmp_path / "history"),
        started("import", "runs.jsonl", *words, *_STORE, folder=tmp_path) as process,
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        if words:
            while not (tmp_path / "history" / "index.db").exists():
                assert process.poll() is None
        else:
            assert b"The runs are imported; indexing them now.\n" == process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert 130 == process.wait(60)
        out = process.stdout.read()
        assert b"" == process.stderr.read()
    if words:
        assert b'"index_seconds": null' in out
    else:
        assert b"10 050 added, " in out
        assert b"; indexing continues the next time the history is used." in out
    assert "reach" not in call("import", "runs.jsonl", "--json", *_STORE).json()
    found = call("list", "--status", "failed", "--json", *_STORE).json()
    assert (10, True) == (found["total"], found["total_is_exact"])
