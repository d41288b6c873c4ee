"""What we are compared with: bare ``sqlite3``, and a folder of JSON files rewritten whole at every call."""

import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import orjson

from bench.records import Run
from execution_history.records.record import new_document


def _begun(run: Run) -> bytes:
    return new_document(
        workflow_id=run.workflow_id, execute_id=run.execute_id, now=run.create_time, parameters=run.parameters
    ).body


class BareSQLite:
    """One table with a primary key and documents of the same size; WAL, ``synchronous=FULL``."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute("CREATE TABLE IF NOT EXISTS runs (id TEXT PRIMARY KEY, workflow TEXT, document TEXT)")

    def preload(self, runs: Iterable[Run]) -> None:
        """Store finished runs."""
        self._connection.execute("BEGIN")
        rows = ((run.execute_id, run.workflow_id, orjson.dumps(run.record()).decode()) for run in runs)
        self._connection.executemany("INSERT INTO runs VALUES (?, ?, ?)", rows)
        self._connection.execute("COMMIT")

    def create_and_finish(self, runs: Sequence[Run], per_commit: int) -> float:
        """Runs per second, with so many statements in each transaction; the JSON is made on the way, as we have to."""
        began = time.perf_counter()
        done = 0
        for run in runs:
            for statement, values in (
                ("INSERT INTO runs VALUES (?, ?, ?)", (run.execute_id, run.workflow_id, _begun(run).decode())),
                ("UPDATE runs SET document = ? WHERE id = ?", (orjson.dumps(run.record()).decode(), run.execute_id)),
            ):
                if done % per_commit == 0:
                    self._connection.execute("BEGIN IMMEDIATE")
                self._connection.execute(statement, values)
                done += 1
                if done % per_commit == 0:
                    self._connection.execute("COMMIT")
        if done % per_commit:
            self._connection.execute("COMMIT")
        return len(runs) / (time.perf_counter() - began)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


class WholeFileJSON:
    """Today's way: a call loads the workflow's file, changes it and writes all of it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def preload(self, runs: Iterable[Run]) -> None:
        """Store finished runs."""
        by_workflow: dict[str, list[dict[str, object]]] = {}
        for run in runs:
            by_workflow.setdefault(run.workflow_id, []).insert(0, run.record())
        for workflow_id, histories in by_workflow.items():
            self._save(workflow_id, histories)

    def create_and_finish(self, runs: Sequence[Run]) -> float:
        """Runs per second."""
        began = time.perf_counter()
        for run in runs:
            histories = self._load(run.workflow_id)
            histories.insert(0, orjson.loads(_begun(run)))
            self._save(run.workflow_id, histories)
            histories = self._load(run.workflow_id)
            histories[0] = run.record()
            self._save(run.workflow_id, histories)
        return len(runs) / (time.perf_counter() - began)

    def first_page(self, workflow_id: str) -> list[dict[str, object]]:
        """The newest twenty."""
        return self._load(workflow_id)[:20]

    def _load(self, workflow_id: str) -> list[dict[str, object]]:
        path = self._folder / f"{workflow_id}.json"
        if not path.exists():
            return []
        found: list[dict[str, object]] = json.loads(path.read_text("utf-8"))["histories"]
        return found

    def _save(self, workflow_id: str, histories: list[dict[str, object]]) -> None:
        content = {"workflow_id": workflow_id, "total": len(histories), "histories": histories}
        text = json.dumps(content, ensure_ascii=False, indent=2)
        (self._folder / f"{workflow_id}.json").write_text(text, "utf-8")
