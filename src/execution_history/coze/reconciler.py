"""Bringing our histories and the upstream's together: runs that were left behind, and runs that happened elsewhere."""

from typing import Any

import orjson

from execution_history.coze.accounts import Upstream
from execution_history.coze.protocol.messages import Outcome
from execution_history.coze.protocol.run_history import HistoryCall, HistoryRefusal, RunHistory
from execution_history.coze.tracking.history_merge import change_of, document_of
from execution_history.coze.tracking.poller import FollowedRun
from execution_history.errors import ExecutionNotFound, Message, UpstreamRefused, quoted, shortened
from execution_history.recording.orphans import RECORDER_DIED, RECORDER_KEY
from execution_history.recording.recorder import Recorder
from execution_history.records.record import UPSTREAM_KEY, RecordChange, check_identifier

_BY_ITS_ID = "recorder_died"


class Reconciler:
    """Asks the upstream about runs whose records cannot tell.

    Args:
        recorder: what keeps the records.
        upstream: the accounts that ask.
    """

    def __init__(self, recorder: Recorder, upstream: Upstream) -> None:
        self._recorder = recorder
        self._upstream = upstream

    async def take_over(self, record: dict[str, Any]) -> bool:
        """Follow the run of a dead recorder as one's own, where an account can ask for it; whether it is looked after.

        Of several that try, one gets it: the record's recorder is replaced only while it is still the dead one.

        Raises:
            StoreError: the record cannot be written.
        """
        account = self._upstream.account_of(record)
        if account is None:
            return False
        metadata, now = record["metadata"], self._recorder.clock()
        dead = metadata.get(RECORDER_KEY)
        claim = RecordChange.of(
            now,
            metadata={RECORDER_KEY: self._recorder.owner, "taken_over": {"from": dead, "at": now}},
            only_from=frozenset({"running"}),
            only_while={RECORDER_KEY: dead},
            largest=self._recorder.record_limit,
        )
        key = (record["workflow_id"], record["execute_id"])
        if await self._recorder.store.update(*key, claim) is not None:
            self._upstream.transport().follower.follow(
                FollowedRun(
                    *key,
                    metadata[UPSTREAM_KEY],
                    self._upstream.address(account),
                    record["create_time"],
                    Outcome("interrupted", _BY_ITS_ID, error_message=RECORDER_DIED),
                )
            )
        return True

    async def fetch(self, workflow_id: str, execute_id: str, account_id: str = "default") -> dict[str, Any]:
        """Record a run that happened elsewhere, or bring its record up to what the upstream says; the record.

        Args:
            workflow_id: the workflow.
            execute_id: the id that the run has upstream, or that of its record here.
            account_id: who asks.

        Raises:
            InvalidIdentifier: an id cannot be one.
            UnknownAccount: there is no such account.
            AccountError: the account is incomplete.
            ExecutionNotFound: the upstream does not know the run.
            UpstreamRefused: the upstream could not be asked, or does not tell.
            StoreError: the record cannot be read or written.
        """
        check_identifier("workflow id", workflow_id)
        check_identifier("execute id", execute_id)
        store = self._recorder.store
        await store.open()
        known = await self._known(workflow_id, execute_id)
        upstream_id = execute_id if known is None else str(known["metadata"].get(UPSTREAM_KEY) or execute_id)
        history = await self._ask(account_id, HistoryCall(workflow_id, upstream_id))
        now = self._recorder.clock()
        if known is None:
            document = document_of(workflow_id, self._recorder.new_id(), history, upstream_id, now, account_id)
            document = document.fitted(self._recorder.record_limit)
            await store.create(document)
            return dict(orjson.loads(document.body))
        change = change_of(known, history, now, self._recorder.record_limit)
        changed = None if change is None else await store.update(workflow_id, known["execute_id"], change)
        return known if changed is None else dict(orjson.loads(changed))

    async def _known(self, workflow_id: str, execute_id: str) -> dict[str, Any] | None:
        """The record with this id upstream, or here."""
        found = [orjson.loads(body) for body in await self._recorder.store.find_upstream(execute_id)]
        ours = [record for record in found if record["workflow_id"] == workflow_id]
        stored = None if ours else await self._recorder.store.get(workflow_id, execute_id)
        return next(iter(ours), None) if stored is None else dict(orjson.loads(stored))

    async def _ask(self, account_id: str, call: HistoryCall) -> RunHistory:
        transport, address = self._upstream.transport(), self._upstream.address(account_id)
        history = await transport.follower.ask_whole(address, call)
        if isinstance(history, HistoryRefusal):
            kind = ExecutionNotFound if history.kind == "unknown" else UpstreamRefused
            raise kind(
                Message(
                    "The upstream does not tell of run %(run)s of workflow %(workflow)s: %(shortened)s",
                    run=quoted(call.execute_id),
                    workflow=quoted(call.workflow_id),
                    shortened=shortened(history.message, 300),
                )
            )
        return history
