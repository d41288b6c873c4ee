"""Recording never breaks the workflow, and a status is a claim that somebody can stand behind."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pytest

from execution_history.clock import new_execute_id
from execution_history.errors import StoreError, StoreFull
from execution_history.history.service import ExecutionHistoryService
from execution_history.recording.process_identity import is_dead, sign_of_life
from execution_history.recording.recorder import Recorder
from execution_history.recording.spool import Spool
from execution_history.records.record import Document, RecordChange
from execution_history.stores import MemoryStore, SQLiteStore
from tests.faulty_store import FaultyStore, SharedFaultyStore
from tests.sample_records import change, document
from tests.stores.sqlite.damage import damage

pytestmark = pytest.mark.anyio


class _FullStore(MemoryStore):
    """A store whose disk is full until somebody makes room."""

    is_full = True

    async def create(self, document: Document) -> None:
        """Refuse while there is no room."""
        self._check_room()
        await super().create(document)

    async def update(self, workflow_id: str, execute_id: str, change: RecordChange) -> Document | None:
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
    async with asyncio.timeout(60):
        while (await _record(store, recording.execute_id))["usage"] is None:
            await asyncio.sleep(0)
    await recording.close("success", output="x", metadata={"proof": "test"})
    await recording.close("failed")
    record = await _record(store, recording.execute_id)
    assert ("success", "x", "test", recorder.owner) == (
        record["execute_status"], record["output"], record["metadata"]["proof"], record["metadata"]["recorder"],
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
    async with asyncio.timeout(60):
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


async def test_a_required_recording_that_fails_in_an_unknown_way_refuses_the_run() -> None:
    """With an error of ours, which every caller knows."""
    store = FaultyStore()
    recorder = Recorder(store, require_recording=True)
    store.fault = _Odd("A fault.")
    with pytest.raises(StoreError, match="A fault"):
        await recorder.open("w")


async def test_the_runs_of_a_dead_recorder_are_ended_and_live_ones_are_not() -> None:
    """By its lease; once; with the reason and the transition."""
    now = 1_000_000
    store = MemoryStore(uptime=lambda: now)
    recorders = [Recorder(store, clock=lambda: now, lease_seconds=10) for _ in range(2)]
    await store.renew_lease(recorders[0].owner, 10_000)
    dead = Recorder(store, clock=lambda: now, lease_seconds=10)
    dead.owner = "somebody-on-another-machine"
    await store.renew_lease(dead.owner, 10_000)
    store_ids = []
    for recorder, execute_id in ((recorders[0], "live"), (dead, "orphan")):
        store_ids.append((await recorder.open("w", execute_id=execute_id)).execute_id)
    finished = await dead.open("w", execute_id="done")
    await finished.close("success")
    assert 0 == await recorders[1].end_orphans()
    now += 11_000
    await store.renew_lease(recorders[0].owner, 10_000)
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
        from execution_history.recording.recorder import Recorder
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


class _TroubledStore(SharedFaultyStore):
    """A store that raises something else at each sign of life, and does not take the ending of one run."""

    def __init__(self) -> None:
        super().__init__(f"troubled {new_execute_id()}")
        self.raised = [RuntimeError("A fault."), asyncio.CancelledError(), _Odd("Odd."), StoreFull("Full."), OSError(5)]
        self.renewed = asyncio.Event()
        self.poison = "untouchable"

    async def renew_lease(self, owner: str, ttl_ms: int) -> None:
        """Raise what is left to be raised."""
        if self.raised:
            raise self.raised.pop()
        await super().renew_lease(owner, ttl_ms)
        self.renewed.set()


class _Odd(BaseException):
    """What no store should raise."""


async def test_whatever_a_store_raises_the_recorder_goes_on() -> None:
    """It gives signs of life again as soon as that works."""
    store = _TroubledStore()
    recorder = Recorder(store, lease_seconds=0.03)
    await recorder.start()
    async with asyncio.timeout(60):
        await store.renewed.wait()
    assert not store.raised
    await recorder.aclose()
    assert 0 == (await store.leases()).get(recorder.owner, 0)


def _running(execute_id: str, body: bytes | None = None, **metadata: object) -> Document:
    made = document(execute_id, metadata={"recorder": "dead", **metadata})
    return made if body is None else Document("w", execute_id, 1_000, 1_000, "running", body)


async def test_an_odd_record_keeps_no_other_from_being_ended(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever it is; the log names it once."""
    store = _TroubledStore()
    whole = _running("x").body
    odd = [
        b"no JSON",
        b"[]",
        whole.replace(b'{"recorder":"dead"}', b'["recorder"]'),
        whole.replace(b'"update_time":1000', b'"update_time":null'),
        whole.replace(b'"create_time":1000', b'"create_time":"x"'),
        whole.replace(b'"workflow_id"', b'"workflow"'),
    ]
    await store.merge([_running(f"odd {number}", body) for number, body in enumerate(odd)])
    store.poison = None
    await store.merge([_running("untouchable"), _running("upstream", coze_execute_id="7"), _running("orphan")])
    store.poison = "untouchable"
    recorder = Recorder(store)

    async def take_over(record: dict[str, Any]) -> bool:
        raise LookupError(record["execute_id"])

    recorder.takes_over = take_over
    assert [2, 0, 0] == [await recorder.end_orphans() for _ in range(3)]
    for execute_id in ("upstream", "orphan"):
        assert "interrupted" == (await _record(store, execute_id))["execute_status"]
    told = [message for message in caplog.messages if "is left as it is" in message]
    assert len(set(told)) == len(told) == 6  # a record that names no recorder is none of ours


async def test_a_run_whose_ending_is_in_the_spool_is_no_orphan() -> None:
    """Its program put the ending aside and ended; the next one starts at once, and the spool has the last word."""
    store = SharedFaultyStore(f"spooled {new_execute_id()}")
    await store.create(_running("ended"))
    await store.create(_running("orphan"))
    Spool(store.location).put([(("w", "ended"), change(2_000, "success", output="x"))])
    store.held["ended"] = asyncio.Event()
    recorder = Recorder(store, lease_seconds=0.03)
    await recorder.start()
    recording = await recorder.open("w", execute_id="new")
    await recording.close("success")
    assert "success" == (await _record(store, "new"))["execute_status"]
    async with asyncio.timeout(60):
        while "interrupted" != (await _record(store, "orphan"))["execute_status"]:
            await asyncio.sleep(0.01)
    store.held["ended"].set()
    async with asyncio.timeout(60):
        while recorder.outbox:
            await asyncio.sleep(0.01)
    await recorder.end_orphans()
    record = await _record(store, "ended")
    assert ("success", "x", None) == (record["execute_status"], record["output"], record["error_message"])
    await recorder.aclose()


async def test_a_snapshot_that_fails_is_told_once_and_the_run_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    """Later progress is saved, and so is the ending."""
    store = MemoryStore()
    readings = iter([1_000, None])

    def clock() -> int:
        reading = next(readings, 2_000)
        if reading is None:
            raise LookupError("The clock stood still.")
        return reading

    recording = await Recorder(store, progress_interval_ms=1, clock=clock).open("w")
    failures: list[BaseException] = [RuntimeError("No snapshot."), _Odd("Nor now."), asyncio.CancelledError()]

    def snapshot() -> dict[str, object]:
        if failures:
            raise failures.pop()
        return {"usage": {"token_count": 1}}

    recording.follow(snapshot)
    async with asyncio.timeout(60):
        while (await _record(store, recording.execute_id))["usage"] is None:
            recording.touched()
            await asyncio.sleep(0.001)
    await recording.close("success")
    assert "success" == (await _record(store, recording.execute_id))["execute_status"]
    assert 1 == sum("cannot be saved" in message for message in caplog.messages)


async def test_closing_ends_whatever_the_store_does() -> None:
    """Even where it neither answers nor lets itself be cancelled; what it did not take is in the spool."""

    class Stubborn(SharedFaultyStore):
        """Waits for its event, whoever cancels it."""

        entered: ClassVar[set[str]] = set()

        async def _check(self, execute_id: str) -> None:
            self.entered.add(execute_id)
            while not self.running.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await self.running.wait()
            await super()._check(execute_id)

        async def renew_lease(self, owner: str, ttl_ms: int) -> None:
            await self._check("")
            await super().renew_lease(owner, ttl_ms)

    store = Stubborn(f"stubborn {new_execute_id()}")
    recorder = Recorder(store, lease_seconds=0.03)
    await recorder.start()
    store.running.clear()
    opening = asyncio.create_task(recorder.open("w", execute_id="1"))
    try:
        async with asyncio.timeout(60):
            while "1" not in store.entered:
                await asyncio.sleep(0)
            opening.cancel()
            await recorder.aclose(0.4)
        [path] = Spool(store.location).batches()
        assert b'"execute_id":"1"' in path.read_bytes()
    finally:
        store.running.set()


class _ReadOnlyStore(MemoryStore):
    """A store that takes no sign of life, for a reason that a test may change; ``asked`` counts the tries."""

    def __init__(self) -> None:
        super().__init__()
        self.reason: str | None = "no right to write"
        self.asked = asyncio.Semaphore(0)

    async def renew_lease(self, recorder: str, lease_ms: int) -> None:
        """Refuse, while there is a reason."""
        self.asked.release()
        if self.reason is not None:
            raise StoreError(self.reason)
        await super().renew_lease(recorder, lease_ms)


async def test_what_keeps_a_recorder_from_its_duties_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """Until it changes, or ends: a server of a role that may only read does not fill its log."""
    store = _ReadOnlyStore()
    recorder = Recorder(store, lease_seconds=0.003)
    await recorder.start()
    for reason in ("no right to write", "another reason", None, "another reason"):
        store.reason = reason
        for _ in range(5):
            await store.asked.acquire()
    await recorder.aclose()
    told = [message.rpartition(": ")[2] for message in caplog.messages if "could not look after" in message]
    assert ["no right to write", "another reason", "another reason"] == told
