"""The embedded store beside the specification: crashes, foreign edits, two processes, and both always agree."""

import asyncio
import json
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from execution_history.errors import ExecutionHistoryError
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordKey, RecordQuery
from execution_history.records.record import Document
from execution_history.stores import SQLiteStore, store_at
from execution_history.stores.jsonfiles import disk_sync as disk_sync_module
from execution_history.stores.jsonfiles import json_file as json_file_module
from execution_history.stores.jsonfiles import rebuild as rebuild_module
from execution_history.stores.jsonfiles.file_sizes import FileSizes
from tests.sample_records import change, document, page_of
from tests.stores_under_test import KINDS, SPECIFICATION

_WORKFLOWS = st.sampled_from(["w", "a/b", "W"])
_IDS = st.sampled_from([f"e{number}" for number in range(6)])
_BASE = 1_761_901_941_000  # times that cannot be taken for seconds
_TIMES = st.integers(_BASE, _BASE + 8)
_TEXTS = st.sampled_from(["", "x" * 50, "长文" * 400, 'quote " \n    }\n    {'])


class EmbeddedMachine(RuleBasedStateMachine):
    """Every change goes to both stores; the files are compared after each."""

    workflows = Bundle("workflows")
    sizes = FileSizes(small=20_000, near=2_000, reach=2_000, least_slack=100, rows_at_once=3)

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.new_event_loop()
        self._folders = [Path(tempfile.mkdtemp())]
        self._snapshots: list[Path] = []
        self._watching = False
        self._now = _BASE + 100

    @initialize()
    def begin(self) -> None:
        """Both stores are empty."""
        self._model: Any = store_at(KINDS[SPECIFICATION](self._folder))
        self._stores = [self._opened()]

    @property
    def _folder(self) -> Path:
        return self._folders[-1]

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._loop.run_until_complete(work)

    def _opened(self) -> SQLiteStore:
        store = SQLiteStore(self._folder, file_sizes=self.sizes)
        self._run(store.open())
        return store

    def _both(self, name: str, *arguments: Any, which: int) -> None:
        """The same call on the model and on one of the stores has the same result."""
        results = []
        for store in (self._model, self._stores[which % len(self._stores)]):
            try:
                results.append(self._run(getattr(store, name)(*arguments)))
            except ExecutionHistoryError as error:
                results.append((type(error), str(error)))
        assert results[0] == results[1]

    @rule(workflow=_WORKFLOWS, execute_id=_IDS, time=_TIMES, text=_TEXTS, which=st.integers(0, 1))
    def create(self, workflow: str, execute_id: str, time: int, text: str, which: int) -> None:
        """A new record, or one that exists already."""
        self._both("create", document(execute_id, workflow, time, parameters={"t": text}), which=which)

    @rule(
        workflow=_WORKFLOWS,
        execute_id=_IDS,
        text=_TEXTS,
        status=st.sampled_from([None, "running", "success", "failed", "interrupted"]),
        which=st.integers(0, 1),
    )
    def update(self, workflow: str, execute_id: str, text: str, status: str | None, which: int) -> None:
        """A legal or illegal change of a record that may exist."""
        self._now += 1
        self._both("update", workflow, execute_id, change(self._now, status, output={"o": text}), which=which)

    @rule(workflow=_WORKFLOWS, execute_id=_IDS, which=st.integers(0, 1))
    def delete(self, workflow: str, execute_id: str, which: int) -> None:
        """One record goes."""
        self._both("delete", workflow, execute_id, which=which)

    @rule(workflow=_WORKFLOWS, which=st.integers(0, 1))
    def clear(self, workflow: str, which: int) -> None:
        """A whole history goes."""
        self._both("clear", workflow, which=which)

    @rule(workflow=_WORKFLOWS, times=st.lists(st.tuples(_IDS, _TIMES), max_size=8), which=st.integers(0, 1))
    def merge(self, workflow: str, times: list[tuple[str, int]], which: int) -> None:
        """Records come from elsewhere."""
        self._now += 1
        documents = []
        for execute_id, time in times:
            body = change(self._now, output="m").apply(document(execute_id, workflow, time).body)
            assert body is not None
            documents.append(body)
        self._both("merge", documents, which=which)

    @rule(key=_IDS, value=st.integers(0, 3), which=st.integers(0, 1))
    def register(self, key: str, value: int, which: int) -> None:
        """An entry of the registry is put there, or removed."""
        for store in (self._model, self._stores[which % len(self._stores)]):
            self._run(store.put_entry("view", key, b"%d" % value) if value else store.drop_entry("view", key))

    @rule(workflow=_WORKFLOWS, execute_id=_IDS, which=st.integers(0, 1))
    def discard(self, workflow: str, execute_id: str, which: int) -> None:
        """One record goes into the bin."""
        self._both("discard", [RecordKey(workflow, execute_id)], 86_400_000, which=which)

    @rule(workflow=_WORKFLOWS, execute_id=_IDS, which=st.integers(0, 1))
    def restore(self, workflow: str, execute_id: str, which: int) -> None:
        """One record comes back from the bin, if it is there and nothing has taken its place."""
        self._both("restore", [RecordKey(workflow, execute_id)], which=which)

    @precondition(lambda self: len(self._stores) == 1)
    @rule()
    def second_process(self) -> None:
        """Another process opens the folder and works beside the first."""
        self._stores.append(self._opened())

    @rule()
    def close_and_open(self) -> None:
        """An orderly restart."""
        self._close()
        self._stores = [self._opened()]

    @rule(workflow=_WORKFLOWS, execute_id=_IDS, text=_TEXTS, moment=st.integers(0, 12), ends=st.booleans())
    def crash(self, workflow: str, execute_id: str, text: str, moment: int, ends: bool) -> None:
        """The process dies between any two writes to its files; the folder as it was then is opened."""
        snapshots: list[Path] = []
        watch = _Watch(self._folder, snapshots)
        with pytest.MonkeyPatch.context() as patch:
            for module in (json_file_module, rebuild_module, disk_sync_module):
                patch.setattr(module, "os", watch)
            self._now += 1
            if ends:
                self._both("delete", workflow, execute_id, which=0)
            else:
                self._both("update", workflow, execute_id, change(self._now, output={"o": text}), which=0)
        self._close()
        if snapshots:
            chosen = snapshots[moment % len(snapshots)]
            for path in chosen.glob("*.json"):
                json.loads(path.read_bytes())
            self._folders.append(chosen)
        self._stores = [self._opened()]

    @rule(
        workflow=_WORKFLOWS,
        damage=st.sampled_from(["deleted", "rewritten", "trimmed", "touched"]),
        running=st.booleans(),
    )
    def disturb(self, workflow: str, damage: str, running: bool) -> None:
        """Somebody deletes, rewrites, cuts or touches a file, while we run or while we do not."""
        if not running:
            self._close()
        path = self._folder / {"w": "w.json", "a/b": "a%2Fb.json", "W": "W.json"}[workflow]
        if path.exists():
            if damage == "deleted":
                path.unlink()
            elif damage == "rewritten":
                path.write_text(json.dumps(json.loads(path.read_bytes()), indent=1))
            elif damage == "trimmed":
                path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
            else:
                path.write_bytes(path.read_bytes())
        if running:
            self._close()
        self._stores = [self._opened()]

    @rule(workflow=_WORKFLOWS, execute_id=_IDS, time=_TIMES)
    def old_program_writes(self, workflow: str, execute_id: str, time: int) -> None:
        """A program of the old kind rewrites a whole file with one record more or changed; we adopt it."""
        self._close()
        path = self._folder / {"w": "w.json", "a/b": "a%2Fb.json", "W": "W.json"}[workflow]
        self._now += 10
        body = change(self._now, output="old").apply(document(execute_id, workflow, time).body)
        assert body is not None
        record = orjson.loads(body.body)
        kept = json.loads(path.read_bytes())["histories"] if path.exists() else []
        kept = [entry for entry in kept if entry["execute_id"] != execute_id]
        content = {"workflow_id": workflow, "total": 1, "histories": [record, *kept], "updated_at": 1}
        path.write_text(json.dumps(content, ensure_ascii=False, indent=2), "utf-8")
        self._run(self._model.merge([Document.of(record, body.body)]))
        self._stores = [self._opened()]

    @rule()
    def lose_the_database(self) -> None:
        """The database is deleted; the files bring every record back, and nothing that is not one."""
        self._close()
        for path in self._folder.glob("history.db*"):
            path.unlink()
        self._stores = [self._opened()]
        for entry in self._run(self._model.entries("view")):
            self._run(self._model.drop_entry("view", entry.name.key))
        self._run(self._model.empty_bin([each.key for each in self._run(self._model.binned())]))

    @invariant()
    def what_is_no_record_is_the_same_too(self) -> None:
        """The registry and the bin, in every process that is open."""
        for store in self._stores:
            kept = [
                (
                    [(entry.name, entry.value) for entry in self._run(each.entries("view"))],
                    [binned.key for binned in self._run(each.binned())],
                )
                for each in (self._model, store)
            ]
            assert kept[0] == kept[1]

    @invariant()
    def both_stores_agree(self) -> None:
        """The same workflows, counts and pages from every process that is open."""
        for store in self._stores:
            mine = {s.workflow_id: s for s in self._run(store.workflows())}
            theirs = {s.workflow_id: s for s in self._run(self._model.workflows())}
            assert set(theirs) == set(mine)
            for workflow_id, summary in theirs.items():
                assert summary.counts == mine[workflow_id].counts
                expected = self._run(page_of(self._model, workflow_id, 100, 1))
                found = self._run(page_of(store, workflow_id, 100, 1))
                assert _in_time_order(expected.documents) == _in_time_order(found.documents)
                assert expected.total == found.total

    @invariant()
    def the_index_shows_the_store(self) -> None:
        """A question through the index finds the same records in every process, whatever happened to the database."""
        for store in self._stores:
            for wanted in (RecordFilter(), RecordFilter(workflow_ids=("W",), statuses=("running",))):
                query = RecordQuery(filter=wanted, size=100)
                expected, found = self._run(self._model.select(query)), self._run(store.select(query))
                assert _in_time_order(expected.documents) == _in_time_order(found.documents)
                assert (expected.total, True) == (found.total, found.reach.is_complete)

    @invariant()
    def the_files_show_the_store(self) -> None:
        """Every workflow has its file, no other has one, and each holds the store's records in the store's order."""
        store = self._stores[0]
        expected = {}
        for summary in self._run(store.workflows()):
            page = self._run(page_of(store, summary.workflow_id, 100, 1))
            expected[summary.workflow_id] = [orjson.loads(body) for body in page.documents]
        found = {}
        for path in self._folder.glob("*.json"):
            content = json.loads(path.read_bytes())
            assert len(content["histories"]) == content["total"]
            found[content["workflow_id"]] = content["histories"]
        assert expected == found

    def _close(self) -> None:
        for store in self._stores:
            self._run(store.aclose())
        self._stores = []

    def teardown(self) -> None:
        """Let go of everything."""
        self._close()
        self._loop.close()
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)


def _in_time_order(documents: Any) -> list[bytes]:
    """Documents sorted so that those of one millisecond, whose order a lost database cannot know, compare equal."""
    return sorted(bytes(body) for body in documents)


class _Watch:
    """Stands before ``os`` in the JSON files: keeps the folder as it was before each write."""

    def __init__(self, folder: Path, snapshots: list[Path]) -> None:
        self._folder = folder
        self._snapshots = snapshots

    def __getattr__(self, name: str) -> Any:
        import os  # noqa: PLC0415 - what is stood before

        real = getattr(os, name)
        if name not in {"pwrite", "truncate", "utime"}:
            return real

        def watched(*arguments: Any, **keywords: Any) -> Any:
            if len(self._snapshots) < 12:
                snapshot = Path(tempfile.mkdtemp())
                shutil.copytree(self._folder, snapshot, dirs_exist_ok=True)
                self._snapshots.append(snapshot)
            return real(*arguments, **keywords)

        return watched


class CrowdedFilesMachine(EmbeddedMachine):
    """The same with files that are nearly always out of room, so that much is made anew in the background."""

    sizes = replace(EmbeddedMachine.sizes, low_slack=2, front=2_000)


EmbeddedMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
TestEmbeddedStore = EmbeddedMachine.TestCase
CrowdedFilesMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
TestEmbeddedStoreWithCrowdedFiles = CrowdedFilesMachine.TestCase
