"""``changes``, and what a deletion says while it goes on."""

import asyncio
import os
from collections.abc import Iterable

import pytest

from execution_history import ExecutionHistoryService
from execution_history.cli.bulk import followed
from execution_history.cli.session import ExitCode, Session
from execution_history.history.annotations import Annotation
from execution_history.presentation.translator import LANGUAGES
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordKey
from execution_history.stores import MemoryStore
from tests.chosen_store import CHOSEN
from tests.cli.conftest import Call, History

FAILED = RecordFilter(statuses=("failed",))


class _Waiting(MemoryStore):
    """A store that deletes and annotates nothing until it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.may_go_on = asyncio.Event()

    async def discard(self, keys: Iterable[RecordKey], keep_ms: int, rule: str | None = None) -> list[RecordKey]:
        """See :meth:`Bin.discard`."""
        await self.may_go_on.wait()
        return await super().discard(keys, keep_ms, rule)


def test_a_long_deletion_says_at_once_how_to_undo_it(capsys: pytest.CaptureFixture[str]) -> None:
    """With its id, before it is over, and only once: whoever kills the program can still bring the runs back."""
    store = _Waiting()

    async def delete() -> tuple[str, str]:
        async with ExecutionHistoryService(store) as service:
            await service.create_execution_record("w", "bad")
            await service.update_execution_record("w", "bad", "failed")
            change = await service.bulk.delete(FAILED, "cli")
            following = asyncio.create_task(
                followed(Session(LANGUAGES.of_environment(os.environ)), service.bulk, change)
            )
            while not (said := capsys.readouterr().err):
                await asyncio.sleep(0.02)
            assert not following.done()
            store.may_go_on.set()
            assert ExitCode.SUCCESS == await following
            return change.id, said

    change_id, said = asyncio.run(delete())
    assert f"To undo it: execution-history delete --undo {change_id}" == " ".join(said.split())
    after = capsys.readouterr()
    assert ("1 run deleted.\n", "") == (after.out, after.err)


def test_changes_are_listed_and_undone(call: Call, history: History) -> None:
    """The newest first, with what was done to which runs; nothing is listed where nothing was changed."""
    for number in range(3):
        history.keep(f"bad-{number}", execute_status="failed")
    store = ("--store", "history")
    assert "Nothing was changed in many runs at once" in call("changes", *store).err
    call("tag", "seen", "--pin", "--status", "failed", *store)
    call("delete", "--status", "failed", "--since", "2020-01-01", *store)
    shown = call("changes", *store)
    lines = [" ".join(line.split()) for line in shown.out.splitlines()]
    assert "ID BEGUN STATE RUNS ACTION" == lines[0]
    assert lines[1].endswith("done 3 Delete · --status=failed --since=2020-01-01T00:00:00 · on the command line")
    assert lines[2].endswith("done 3 Annotate: +seen, pinned · --status=failed · on the command line")
    [deletion, _] = call("changes", "--json", *store).json()["changes"]
    assert 1 == call("changes", "-n", "1", "--json", *store).json()["total"]
    one = call("changes", deletion["id"], *store)
    assert "3 runs deleted.\n" == one.out
    assert f"delete --undo {deletion['id']}" in one.err
    assert "3 runs restored.\n" == call("changes", "--undo", deletion["id"], *store).out
    assert "3 runs were deleted; that was undone.\n" == call("changes", deletion["id"], *store).out


def test_a_change_is_stopped_and_carried_on_by_its_id(call: Call, history: History) -> None:
    """In whatever program it goes on; the calls to do so are printed."""
    history.keep("bad", execute_status="failed")
    store = ("--store", "history")

    async def begin() -> str:
        async with ExecutionHistoryService(CHOSEN.location(history.folder)) as service:
            await service.follow_index()
            change = await service.bulk.annotate(FAILED, Annotation(add_tags=("seen",)))
            await service.bulk.stop(change.id)
            return change.id

    change_id = asyncio.run(begin())
    stopped = call("changes", "--stop", change_id, *store)
    assert (0, True) == (stopped.code, f"changes --resume {change_id}" in stopped.err)
    assert "stopped" in call("changes", *store).out
    assert 0 == call("changes", "--resume", change_id, *store).code
    assert 1 == call("list", "--tag", "seen", "--json", *store).json()["total"]
    again = call("changes", "--resume", change_id, *store)
    assert (2, True) == (again.code, "cannot be carried on" in again.err)


def test_what_is_no_change_is_refused(call: Call, history: History) -> None:
    """One that is not there ends with 5, and two things at once with 2."""
    history.keep("bad", execute_status="failed")
    store = ("--store", "history")
    for words in (["none"], ["--stop", "none"]):
        assert 5 == call("changes", *words, *store).code, words
    for words in (["--resume", "none"], ["--undo", "none"], ["none", "--stop", "none"]):
        assert 2 == call("changes", *words, *store).code, words
