"""Recording never breaks the workflow, and a status is a claim that somebody can stand behind."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import orjson
import pytest

from execution_history.errors import StoreFull
from execution_history.record import Document, RecordChange
from execution_history.recorder import RECORDER_KEY, Recorder
from execution_history.service import ExecutionHistoryService
from execution_history.signs_of_life import is_dead, sign_of_life
from execution_history.stores import MemoryStore, SQLiteStore
from tests.stores.damage import damage

pytestmark = pytest.mark.anyio


class _FullStore(MemoryStore):
    """A store whose disk is full until somebody makes room."""

    is_full = True

    async def create(self, document: Document) -> None:
        """Refuse while there is no room."""
        self._check_room()
        await super().create(document)

    async def update(self, workflow_id: str, execute_id: str, change: RecordChange) -> bytes | None:
        """Refuse while there is no room."""
        self._check_room()
        return await super().update(workflow_id, execute_id, change)

    def _check_room(self) -> None:
        if self.is_full:
            raise StoreFull("The disk is full.")


async def _record(store: MemoryStore, execute_id: str) -> dict[str, Any]:
    body = await store.get("w", execute_id)
    assert body is not None
    found: dict[str, Any] = orjson.loads(body)
    return found


async def test_a_run_is_opened_followed_and_closed() -> None:
    """The record says running, shows progress, and ends once."""
    store = MemoryStore()
    recorder = Recorder(store, progress_interval_ms=1)
    recording = await recorder.open("w", parameters={"a": 1}, run_mode=1)
    assert "running" == (await _record(store, recording.execute_id))["execute_status"]
    recording.follow(lambda: {"usage": {"token_count": 1}})
    recording.touched()
    async with asyncio.timeout(10):
        while (await _record(store, recording.execute_id))["usage"] is None:
            await asyncio.sleep(0)
    await recording.close("success", output="x", metadata={"proof": "test"})
    await recording.close("failed")
    record = await _record(store, recording.execute_id)
    assert ("success", "x", "test", recorder.owner) == (
        record["execute_status"], record["output"], record["metadata"]["proof"], record["metadata"][RECORDER_KEY],
    )  # fmt: skip


async def test_what_a_full_store_refuses_is_written_when_there_is_room() -> None:
    """The run is not disturbed; the trouble is told; nothing is lost and nothing out of order."""
    store = _FullStore()
    recorder = Recorder(store, lease_seconds=0.03)
    recording = await recorder.open("w", parameters={"a": 1})
    await recording.close("success", output=[1])
    assert await store.get("w", recording.execute_id) is None
    assert 1 == len(recorder.problems())
    assert "The disk is full." in recorder.problems()[0]
    await recorder.start()
    store.is_full = False
    async with asyncio.timeout(10):
        while recorder.problems():
            await asyncio.sleep(0.01)
    record = await _record(store, recording.execute_id)
    assert ("success", [1]) == (record["execute_status"], record["output"])
    await recorder.aclose()


async def test_a_run_is_refused_where_recording_is_required() -> None:
    """For people who prefer no run to an unrecorded one."""
    recorder = Recorder(_FullStore(), require_recording=True)
    with pytest.raises(StoreFull):
        await recorder.open("w")


async def test_the_runs_of_a_dead_recorder_are_ended_and_live_ones_are_not() -> None:
    """By its lease; once; with the reason and the transition."""
    now = 1_000_000
    store = MemoryStore()
    recorders = [Recorder(store, clock=lambda: now, lease_seconds=10) for _ in range(2)]
    await store.renew_lease(recorders[0].owner, now + 10_000)
    dead = Recorder(store, clock=lambda: now, lease_seconds=10)
    dead.owner = "somebody-on-another-machine"
    await store.renew_lease(dead.owner, now + 10_000)
    store_ids = []
    for recorder, execute_id in ((recorders[0], "live"), (dead, "orphan")):
        store_ids.append((await recorder.open("w", execute_id=execute_id)).execute_id)
    finished = await dead.open("w", execute_id="done")
    await finished.close("success")
    assert 0 == await recorders[1].end_orphans()
    now += 11_000
    await store.renew_lease(recorders[0].owner, now + 10_000)
    assert [1, 0] == [await recorders[1].end_orphans(), await recorders[1].end_orphans()]
    orphan = await _record(store, "orphan")
    assert ("interrupted", "recorder_died", "running") == (
        orphan["execute_status"], orphan["metadata"]["proof"], orphan["metadata"]["transition"]["from"],
    )  # fmt: skip
    assert orphan["metadata"]["ended_at"] == orphan["metadata"]["transition"]["last_sign_of_life"] == 1_000_000
    assert ["running", "success"] == [(await _record(store, name))["execute_status"] for name in ("live", "done")]


async def test_a_damaged_record_does_not_keep_others_from_being_ended(tmp_path: Path) -> None:
    """Whatever comes first."""
    store = SQLiteStore(tmp_path, json_files=False)
    await store.open()
    dead = Recorder(store, clock=lambda: 1_000)
    dead.owner = "somebody-on-another-machine"
    for name in ("a", "b"):
        await dead.open("w", execute_id=name)
    damage(tmp_path, "a")
    assert 1 == await Recorder(store, clock=lambda: 10**13).end_orphans()
    body = await store.get("w", "b")
    assert body is not None
    assert "interrupted" == orjson.loads(body)["execute_status"]
    await store.aclose()


async def test_records_that_no_recorder_keeps_are_left_alone() -> None:
    """A caller of the service ends its own records."""
    store = MemoryStore()
    service = ExecutionHistoryService(store)
    await service.create_execution_record("w", "mine")
    assert 0 == await Recorder(store, clock=lambda: 10**13).end_orphans()


def test_this_process_is_alive_and_a_dead_one_is_not() -> None:
    """By process number and start; of another machine nothing is known."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    own = sign_of_life("x")
    parts = own.split(":")
    name = ":".join(
        [*parts[:3], str(child.pid), Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[19]]
    )
    assert [False, False] == [is_dead(own), is_dead(name)]
    child.kill()
    child.wait()
    assert is_dead(name)
    assert not is_dead("somebody:else")
    assert not is_dead(name.replace(parts[1], "another-boot"))


async def test_a_killed_program_leaves_the_truth(tmp_path: Path) -> None:
    """kill -9 in mid-run: the next program on the folder ends the record at once, as interrupted."""
    program = textwrap.dedent(
        """
        import asyncio, sys
        from execution_history.recorder import Recorder
        from execution_history.stores import store_at

        async def main():
            recorder = Recorder(store_at(sys.argv[1]))
            await recorder.start()
            await recorder.open("w", execute_id="victim")
            print("running", flush=True)
            await asyncio.sleep(60)

        asyncio.run(main())
        """
    )
    folder = tmp_path / "history"
    child = subprocess.Popen([sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert b"running\n" == await asyncio.to_thread(child.stdout.readline)
    child.stdout.close()
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    service = ExecutionHistoryService(folder)
    recorder = Recorder(service.store)
    await recorder.start()
    record = await service.get_execution_detail("w", "victim")
    assert record is not None
    assert "interrupted" == record["execute_status"]
    assert orjson.loads((folder / "w.json").read_bytes())["histories"] == [record]
    await recorder.aclose()
    await service.aclose()
