"""The embedded store beside the specification: crashes, foreign edits, two processes, and both always agree."""

import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from execution_history.records.record import Document
from execution_history.stores import SQLiteStore
from execution_history.stores.jsonfiles import disk_sync as disk_sync_module
from execution_history.stores.jsonfiles import json_file as json_file_module
from execution_history.stores.jsonfiles import rebuild as rebuild_module
from execution_history.stores.jsonfiles.file_sizes import FileSizes
from execution_history.stores.protocol import HistoryStore
from tests.examples import examples
from tests.sample_records import change, document, page_of
from tests.stores.state_machine import IDS, TEXTS, TIMES, WORKFLOWS, StoreMachine


class EmbeddedMachine(StoreMachine):
    """The files are compared after each change."""

    sizes = FileSizes(small=20_000, near=2_000, reach=2_000, least_slack=100, rows_at_once=3)

    def __init__(self) -> None:
        super().__init__()
        self._folders = [Path(tempfile.mkdtemp())]

    @property
    def _folder(self) -> Path:
        return self._folders[-1]

    def new_store(self) -> HistoryStore:
        """The store in the folder as it is now."""
        return SQLiteStore(self._folder, file_sizes=self.sizes)

    @rule(workflow=WORKFLOWS, execute_id=IDS, text=TEXTS, moment=st.integers(0, 12), ends=st.booleans())
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
        workflow=WORKFLOWS,
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

    @rule(workflow=WORKFLOWS, execute_id=IDS, time=TIMES)
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

    def teardown(self) -> None:
        """Let go of everything."""
        super().teardown()
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)


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


EmbeddedMachine.TestCase.settings = examples(8, stateful_step_count=20)
TestEmbeddedStore = EmbeddedMachine.TestCase
CrowdedFilesMachine.TestCase.settings = examples(8, stateful_step_count=20)
TestEmbeddedStoreWithCrowdedFiles = CrowdedFilesMachine.TestCase
