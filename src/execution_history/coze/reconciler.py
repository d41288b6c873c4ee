"""The histories here and upstream, reconciled: runs that were left behind, and runs that happened elsewhere."""

from typing import Any

from execution_history.access.principals import check_workflow
from execution_history.coze.accounts import Upstream
from execution_history.coze.protocol.messages import Outcome
from execution_history.coze.protocol.run_history import HistoryRefusal, HistoryRequest, RunHistory
from execution_history.coze.tracking.history_client import origin_of
from execution_history.coze.tracking.history_merge import change_of, document_of
from execution_history.coze.tracking.poller import PolledRun
from execution_history.errors import (
    AccountError,
    ExecutionNotFound,
    InvalidInput,
    Message,
    UpstreamRefused,
    quoted,
    shortened,
)
from execution_history.query.workflow_patterns import EVERY_WORKFLOW, WorkflowPatterns
from execution_history.recording.orphans import RECORDER_DIED
from execution_history.recording.recorder import Recorder
from execution_history.records.identifiers import check_identifier
from execution_history.records.metadata import COZE_EXECUTE_ID
from execution_history.records.origin import acting_account, is_function
from execution_history.records.proof import Proof


class Reconciler:
    """Completes records from the upstream's histories.

    Args:
        recorder: keeps the records.
        upstream: the accounts whose histories are requested.
        workflows: those that exist for whoever fetches.
    """

    def __init__(self, recorder: Recorder, upstream: Upstream, workflows: WorkflowPatterns = EVERY_WORKFLOW) -> None:
        self._recorder = recorder
        self._upstream = upstream
        self._workflows = workflows

    def within(self, workflows: WorkflowPatterns) -> "Reconciler":
        """Return one that fetches runs of these *workflows* alone; any other is refused with :class:`NotAllowed`."""
        return Reconciler(self._recorder, self._upstream, workflows)

    async def take_over(self, record: dict[str, Any]) -> bool:
        """Poll the run of a dead recorder from now on; return whether somebody does.

        Of several that try, one gets it: the record's recorder is replaced only while it is still the dead one.

        Args:
            record: the run's record.

        Returns:
            ``False`` where no account can poll the run.

        Raises:
            StoreError: the record cannot be written.
        """
        if acting_account(record) is None:
            return False
        try:
            address = self._upstream.address(self._upstream.account_that_acts(record))
        except AccountError:
            return False
        if await self._recorder.claim(record):
            self._upstream.transport().poller.poll(
                PolledRun(
                    record["workflow_id"],
                    record["execute_id"],
                    record["metadata"][COZE_EXECUTE_ID.name],
                    address,
                    record["create_time"],
                    Outcome("interrupted", Proof.RECORDER_DIED, error_message=RECORDER_DIED),
                )
            )
        return True

    async def fetch(self, workflow_id: str, execute_id: str, account_id: str = "default") -> dict[str, Any]:
        """Record a run that happened elsewhere, or bring its record up to the upstream's history.

        Args:
            workflow_id: the workflow.
            execute_id: the id of the run upstream, or that of its record here.
            account_id: the account that requests the history.

        Returns:
            The record.

        Raises:
            InvalidIdentifier: an id cannot be one.
            NotAllowed: the workflow is none of those that exist here.
            InvalidInput: the record is of a Python function.
            UnknownAccount: there is no such account.
            AccountError: the account is incomplete.
            ExecutionNotFound: the upstream does not know the run.
            UpstreamRefused: the upstream could not be reached, or has no answer.
            StoreError: the record cannot be read or written.
        """
        check_identifier("workflow id", workflow_id)
        check_identifier("execute id", execute_id)
        check_workflow(self._workflows, workflow_id)
        known = await self._recorder.records.find(workflow_id, execute_id)
        if known is not None and is_function(known):
            raise InvalidInput(
                "Run %(run)s is of a Python function: Coze has no history of it.", run=quoted(execute_id)
            )
        upstream_id = execute_id if known is None else COZE_EXECUTE_ID.of(known) or execute_id
        history = await self._history(account_id, HistoryRequest(workflow_id, upstream_id))
        now = self._recorder.clock()
        if known is None:
            origin = origin_of(self._upstream.base_url(account_id))
            document = document_of(workflow_id, self._recorder.new_id(), history, upstream_id, now, account_id, origin)
            return await self._recorder.records.create(document)
        change = change_of(known, history, now, self._recorder.record_limit)
        changed = (
            None if change is None else await self._recorder.records.update(workflow_id, known["execute_id"], change)
        )
        return known if changed is None else changed

    async def _history(self, account_id: str, call: HistoryRequest) -> RunHistory:
        transport, address = self._upstream.transport(), self._upstream.address(account_id)
        history = await transport.poller.fetch_history(address, call)
        if isinstance(history, HistoryRefusal):
            kind = ExecutionNotFound if history.kind == "unknown" else UpstreamRefused
            raise kind(
                Message(
                    "The upstream has no history of run %(run)s of workflow %(workflow)s: %(shortened)s",
                    run=quoted(call.execute_id),
                    workflow=quoted(call.workflow_id),
                    shortened=shortened(history.message, 300),
                )
            )
        return history
