"""Whoever records a run keeps of its contents what the rules let them keep, wherever that goes."""

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest

from execution_history.recording.outbox import Outbox
from execution_history.recording.recorder import Recorder
from execution_history.recording.spool import Spool
from execution_history.records.content_rules import ContentRules
from execution_history.records.recording_rules import recording_rules_of
from execution_history.stores import MemoryStore
from tests.faulty_store import FaultyStore
from tests.sample_records import change, document

pytestmark = pytest.mark.anyio

TOKEN = "pat_" + "Ab1" * 8


def _recorder(store: MemoryStore, *rules: dict[str, Any]) -> Recorder:
    return Recorder(store, progress_interval_ms=1, rules=ContentRules(recording=recording_rules_of(rules)))


async def _record(store: MemoryStore, execute_id: str) -> dict[str, Any] | None:
    body = await store.get("w", execute_id)
    return None if body is None else orjson.loads(body)


async def test_no_secret_reaches_the_store_in_any_version_of_a_record() -> None:
    """One that comes in two messages is not there after the first of them either."""
    store = MemoryStore()
    recorder = _recorder(store)
    recording = await recorder.open("w", parameters={"password": "hunter2"})
    said = "the key is " + TOKEN[:10]
    recording.follow(lambda: {"node_execute_status": {"N": {"content": said}}})
    versions = []
    for text in (said, f"the key is {TOKEN}, and hunter2"):
        said = text
        recording.touched()
        async with asyncio.timeout(60):
            while (kept := await _record(store, recording.execute_id)) in versions or (
                kept is not None and kept["node_execute_status"] is None
            ):
                await asyncio.sleep(0)
        versions.append(kept)
    await recording.close("success", output=f"{TOKEN} hunter2")
    versions.append(await _record(store, recording.execute_id))
    assert b"hunter2" not in orjson.dumps(versions)
    assert TOKEN[:10].encode() not in orjson.dumps(versions)
    assert versions[-1] is not None
    assert versions[-1]["output"] == "[redacted] [redacted]"


async def test_no_secret_reaches_the_spool(tmp_path: Path) -> None:
    """What cannot be written waits as it would be kept."""
    store = FaultyStore()
    recorder = Recorder(store)
    recorder.outbox = Outbox(store, spool=Spool("memory:", tmp_path), most_bytes=1)
    store.fault = OSError("broken")
    recording = await recorder.open("w", parameters={"password": "hunter2", "q": TOKEN})
    await recording.close("failed", error_message=f"hunter2 {TOKEN} is wrong")
    await recorder.aclose(1)
    spooled = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"[redacted]" in spooled
    assert b"hunter2" not in spooled
    assert TOKEN.encode() not in spooled


@pytest.mark.parametrize(
    ("rule", "kept"),
    [
        ({"record": "nothing"}, {None}),
        ({"record": "sample", "share": 1e-18}, {"failed", "interrupted", "running"}),
        ({"record": "summary"}, {"success", "failed", "interrupted", "running"}),
        ({"workflow": "other", "record": "nothing"}, {"success", "failed", "interrupted", "running"}),
    ],
)
async def test_runs_are_recorded_as_far_as_their_rule_says(rule: dict[str, Any], kept: set[str | None]) -> None:
    """Of those outside of a sample, the ones that did not succeed; of nothing, none."""
    store = MemoryStore()
    recorder = _recorder(store, rule)
    found = set()
    for status in ("success", "failed", "interrupted", None):
        recording = await recorder.open("w", parameters={"q": "question"})
        recording.follow(lambda: {"usage": {"token_count": 1}})
        recording.touched()
        await recording.close(status, output="x")
        record = await _record(store, recording.execute_id)
        found |= {None if record is None else record["execute_status"]}
        assert record is None or (record["input_parameters"] is None) is (rule["record"] == "summary")
    assert found - {None} == kept - {None}


async def test_a_run_that_is_gone_on_with_is_recorded_whatever_the_rule_is_now() -> None:
    """Its record is there, and would stay interrupted for ever."""
    store = MemoryStore()
    await store.create(document("e"))
    await store.update("w", "e", change(2_000, "interrupted"))
    record = await _record(store, "e")
    assert record is not None
    recording = _recorder(store, {"record": "nothing"}).prepare_again(record)
    assert await recording.begin()
    await recording.close("success")
    ended = await _record(store, "e")
    assert ended is not None
    assert ended["execute_status"] == "success"


async def test_changes_that_wait_together_say_together_what_was_taken_out() -> None:
    """Folding two changes into one loses no count, and keeps none of a value that was replaced."""
    contents = ContentRules().of_run("w")
    store = FaultyStore()
    outbox = Outbox(store, most_bytes=10**9)
    await store.create(document("e"))
    store.fault = OSError("broken")
    for step in (
        change(2_000, output=TOKEN),
        change(3_000, error_message=TOKEN),
        change(4_000, output="fine", metadata={"mine": TOKEN}),
    ):
        await outbox.write("w", "e", contents.change(step))
    store.fault = None
    await outbox.save()
    await outbox.aclose()
    record = await _record(store, "e")
    assert record is not None
    assert {"error_message": {"coze_token": 1}, "metadata.mine": {"coze_token": 1}} == record["metadata"]["redacted"]
