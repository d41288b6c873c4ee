"""Following runs that go on upstream until they end there: asking with growing pauses, and a little at a time.

All run and history calls of an account share one allowance of 50 calls a second or more (coze-protocol 4.6): a
handful a second leaves it to the account's own work.
"""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import orjson

from execution_history.coze.protocol.messages import Outcome
from execution_history.coze.protocol.run_history import HistoryCall, HistoryRefusal, RunHistory
from execution_history.coze.tracking.history_client import Address, Asker
from execution_history.coze.tracking.history_merge import change_of, trimmed_nodes, with_nodes
from execution_history.errors import StoreError
from execution_history.recording.recorder import Recorder
from execution_history.records.metadata import ASKED_UPSTREAM, PROOF, TRANSITION
from execution_history.records.proof import Proof
from execution_history.records.record import RecordChange

_log = logging.getLogger("execution_history.coze")

_LONGEST_MS: Final = 25 * 3600 * 1000  # an asynchronous run lasts 24 hours at most (coze-protocol 1.2)
_LONGEST_PAUSE: Final = 60.0
_GROWTH: Final = 1.6
_FINAL_REFUSALS: Final = frozenset({"unknown", "unauthorised", "studio"})
_MOST_REFUSALS: Final = 5
_AGAINST_LIMITS: Final = 30.0


@dataclass(frozen=True, slots=True)
class FollowedRun:
    """A run that goes on upstream, and the record it belongs to.

    ``fallback`` is what the record says when the upstream does not tell; ``began`` is in milliseconds.
    """

    workflow_id: str
    execute_id: str
    upstream_id: str
    address: Address
    began: int
    fallback: Outcome | None = None


class RunFollower:
    """Follows runs, each by a task of its own, until the upstream says how they ended.

    Args:
        recorder: whose records they are.
        asker: asks the upstreams.
        first_pause: seconds before a run is asked for the first time; the pauses grow from there to a minute.
        per_second: the most questions a second, over all runs.
    """

    def __init__(self, recorder: Recorder, asker: Asker, *, first_pause: float = 1.0, per_second: float = 5.0) -> None:
        self._recorder = recorder
        self._asker = asker
        self.pace(first_pause=first_pause, per_second=per_second)
        self._turn = asyncio.Lock()
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}

    def pace(self, *, first_pause: float, per_second: float) -> None:
        """Ask at another pace from now on; the arguments are the constructor's."""
        self._first_pause, self._interval = first_pause, 1 / per_second

    def follow(self, run: FollowedRun) -> None:
        """Follow *run* from now on; one that is followed already is followed anew."""
        key = (run.workflow_id, run.execute_id)
        before = self._tasks.pop(key, None)
        if before is not None:
            before.cancel()
        task = self._tasks[key] = asyncio.create_task(self._follow(run))
        task.add_done_callback(lambda _: self._tasks.pop(key, None) if self._tasks.get(key) is task else None)

    async def learn(self, call: HistoryCall, history: RunHistory) -> None:
        """Bring the records of a run up to what somebody else's question has brought to light.

        Raises:
            StoreError: the store cannot be read.
        """
        await self._recorder.store.open()
        for body in await self._recorder.store.find_upstream(call.execute_id):
            record = orjson.loads(body)
            if record["workflow_id"] == call.workflow_id:
                await self._write(record, history)

    async def aclose(self) -> None:
        """Stop following; the records stay running, for whoever looks next."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, run: FollowedRun) -> None:
        refusals, last = 0, HistoryRefusal("unavailable", "The upstream was not asked.")
        for pause in self._pauses():
            await asyncio.sleep(pause)
            await self._await_turn()
            try:
                found = await self.ask_whole(run.address, HistoryCall(run.workflow_id, run.upstream_id))
                if not isinstance(found, HistoryRefusal) and await self._settle(run, found):
                    return
            except Exception as error:  # noqa: BLE001 - a run that is not followed any more never ends here
                _log.warning("The run %s is asked for again: %s", run.execute_id, error, exc_info=error)
                found = HistoryRefusal("unavailable", f"The run could not be asked for ({type(error).__name__}).")
            if not isinstance(found, HistoryRefusal):
                refusals = 0
            elif found.kind == "limited":
                await asyncio.sleep(_AGAINST_LIMITS)
            else:
                last = found
                refusals += found.kind in _FINAL_REFUSALS
            if refusals >= _MOST_REFUSALS or self._recorder.clock() - run.began > _LONGEST_MS:
                await self._give_up(run, last)
                return

    def _pauses(self) -> Iterator[float]:
        pause = self._first_pause
        while True:
            yield pause
            pause = min(pause * _GROWTH, max(_LONGEST_PAUSE, self._first_pause))

    async def ask_whole(self, address: Address, call: HistoryCall) -> RunHistory | HistoryRefusal:
        """The history of a run, with the outputs that were cut fetched one by one while the upstream has them."""
        history = await self._asker.history(address, call)
        if isinstance(history, HistoryRefusal):
            return history
        asked = trimmed_nodes(history)
        whole: dict[str, str] = {}
        for title, uuid in asked.items():
            await self._await_turn()
            said = await self._asker.node(address, HistoryCall(call.workflow_id, call.execute_id, uuid))
            if said is not None:
                whole[title] = said
        return with_nodes(history, whole, asked)

    async def _await_turn(self) -> None:
        async with self._turn:
            await asyncio.sleep(self._interval)

    async def _settle(self, run: FollowedRun, history: RunHistory) -> bool:
        """Write down how the run ended; whether there is nothing left to follow."""
        try:
            body = await self._recorder.store.get(run.workflow_id, run.execute_id)
        except StoreError as error:
            _log.warning("A followed run's record cannot be read now: %s", error)
            return False
        if body is None:
            return True
        record = orjson.loads(body)
        if history.outcome.status == "running":
            return bool(record["execute_status"] != "running")
        await self._write(record, history)
        return True

    async def _write(self, record: dict[str, object], history: RunHistory) -> None:
        change = change_of(record, history, self._recorder.clock(), self._recorder.record_limit)
        if change is not None:
            await self._recorder.outbox.write(str(record["workflow_id"]), str(record["execute_id"]), change)

    async def _give_up(self, run: FollowedRun, refusal: HistoryRefusal) -> None:
        """End the record as far as we know: the upstream does not tell, and will not."""
        fallback = run.fallback or Outcome(
            "interrupted",
            Proof.UPSTREAM_SILENT,
            error_message=f"What became of this run is not known: the upstream does not tell ({refusal.message})",
        )
        now = self._recorder.clock()
        change = RecordChange.of(
            now,
            status=fallback.status,
            fields={"error_code": fallback.error_code, "error_message": fallback.error_message},
            metadata={
                PROOF.name: fallback.proof,
                ASKED_UPSTREAM.name: refusal.message,
                TRANSITION.name: {"from": "running", "to": fallback.status, "at": now, "because": fallback.proof},
            },
            only_from=frozenset({"running"}),
            largest=self._recorder.record_limit,
        )
        await self._recorder.outbox.write(run.workflow_id, run.execute_id, change)
