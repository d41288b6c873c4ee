"""Runs that go on upstream, polled until they end there: with growing pauses, and a few requests a second.

All run and history calls of an account share one allowance of 50 calls a second or more (coze-protocol 4.6): a
handful a second leaves it to the account's own work.
"""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from execution_history.coze.protocol.messages import Outcome
from execution_history.coze.protocol.run_history import HistoryRefusal, HistoryRequest, RunHistory
from execution_history.coze.tracking.history_client import Address, RunHistoryClient
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
class PolledRun:
    """A run that goes on upstream, and the record it belongs to.

    Attributes:
        workflow_id: the workflow.
        execute_id: the id of the record.
        upstream_id: the id of the run upstream.
        address: where it is polled.
        began: when it began, in milliseconds.
        fallback: the outcome that is recorded where the upstream has none.
    """

    workflow_id: str
    execute_id: str
    upstream_id: str
    address: Address
    began: int
    fallback: Outcome | None = None


class RunPoller:
    """Polls runs, each by a task of its own, until the upstream's history has their end.

    Args:
        recorder: keeps their records.
        client: requests the histories.
        first_pause: seconds before a run is polled for the first time; the pauses grow from there to a minute.
        per_second: the most requests a second, over all runs.
    """

    def __init__(
        self, recorder: Recorder, client: RunHistoryClient, *, first_pause: float = 1.0, per_second: float = 5.0
    ) -> None:
        self._recorder = recorder
        self._client = client
        self.set_pace(first_pause=first_pause, per_second=per_second)
        self._turn = asyncio.Lock()
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}

    def set_pace(self, *, first_pause: float, per_second: float) -> None:
        """Poll at another pace from now on; the arguments are the constructor's."""
        self._first_pause, self._interval = first_pause, 1 / per_second

    def poll(self, run: PolledRun) -> None:
        """Poll *run* from now on; one that is polled already begins anew."""
        key = (run.workflow_id, run.execute_id)
        before = self._tasks.pop(key, None)
        if before is not None:
            before.cancel()
        task = self._tasks[key] = asyncio.create_task(self._poll(run))
        task.add_done_callback(lambda _: self._tasks.pop(key, None) if self._tasks.get(key) is task else None)

    async def merge_history(self, call: HistoryRequest, history: RunHistory) -> None:
        """Bring the records of a run up to a history that somebody else has requested.

        Raises:
            StoreError: the store cannot be read.
        """
        for record in await self._recorder.records.find_upstream(call.workflow_id, call.execute_id):
            await self._write(record, history)

    async def aclose(self) -> None:
        """Stop polling and close the client; the records stay running, for whoever opens the history next."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.aclose()

    async def _poll(self, run: PolledRun) -> None:
        refusals, last = 0, HistoryRefusal("unavailable", "The upstream has not been polled yet.")
        for pause in self._pauses():
            await asyncio.sleep(pause)
            await self._await_turn()
            try:
                found = await self.fetch_history(run.address, HistoryRequest(run.workflow_id, run.upstream_id))
                if not isinstance(found, HistoryRefusal) and await self._settle(run, found):
                    return
            except Exception as error:  # noqa: BLE001 - a run that is no longer polled never ends here
                _log.warning(
                    "The run %s could not be polled, and is polled again: %s", run.execute_id, error, exc_info=error
                )
                found = HistoryRefusal("unavailable", f"The run could not be polled ({type(error).__name__}).")
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

    async def fetch_history(self, address: Address, call: HistoryRequest) -> RunHistory | HistoryRefusal:
        """Return the history of a run; outputs that were cut are fetched one by one while the upstream has them."""
        history = await self._client.history(address, call)
        if isinstance(history, HistoryRefusal):
            return history
        trimmed = trimmed_nodes(history)
        whole: dict[str, str] = {}
        for title, uuid in trimmed.items():
            await self._await_turn()
            output = await self._client.node(address, HistoryRequest(call.workflow_id, call.execute_id, uuid))
            if output is not None:
                whole[title] = output
        return with_nodes(history, whole, trimmed)

    async def _await_turn(self) -> None:
        async with self._turn:
            await asyncio.sleep(self._interval)

    async def _settle(self, run: PolledRun, history: RunHistory) -> bool:
        """Record how the run ended; return whether it needs no more polling."""
        try:
            record = await self._recorder.records.get(run.workflow_id, run.execute_id)
        except StoreError as error:
            _log.warning("The record of a polled run cannot be read now: %s", error)
            return False
        if record is None:
            return True
        if history.outcome.status == "running":
            return bool(record["execute_status"] != "running")
        await self._write(record, history)
        return True

    async def _write(self, record: dict[str, object], history: RunHistory) -> None:
        change = change_of(record, history, self._recorder.clock(), self._recorder.record_limit)
        if change is not None:
            await self._recorder.outbox.write(str(record["workflow_id"]), str(record["execute_id"]), change)

    async def _give_up(self, run: PolledRun, refusal: HistoryRefusal) -> None:
        """End the record without the upstream, which does not answer for this run and will not."""
        fallback = run.fallback or Outcome(
            "interrupted",
            Proof.UPSTREAM_SILENT,
            error_message=f"The outcome of this run is unknown: the upstream has no answer ({refusal.message})",
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
