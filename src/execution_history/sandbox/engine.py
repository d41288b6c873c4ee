"""Plays executions: keeps time, hands each step on, and lets a run go on when its caller has left."""

import asyncio
import time
from collections.abc import Callable, Mapping

from execution_history.sandbox.errors import Refusal, RefusedError, bad_request, not_found
from execution_history.sandbox.executions import Execution, Executions, Interruption, RunMode
from execution_history.sandbox.ids import IdFactory
from execution_history.sandbox.requests import ResumeRequest, RunRequest, read_settings
from execution_history.sandbox.step_queue import Outlet, Shown
from execution_history.sandbox.steps import Ask, Failure, Finished, Happening, Inputs, Packet, Pause, Retention
from execution_history.sandbox.workflows import WORKFLOWS, Workflow


class Engine:
    """Starts, resumes and remembers the executions of one sandbox.

    ``delay_ms`` and ``pace_ms`` stand in for settings that a caller leaves out; ``now`` returns seconds since
    the epoch; ``executions`` is where they are kept, ``workflows`` what can be run. Belongs to one event loop.
    """

    def __init__(
        self,
        *,
        delay_ms: int,
        pace_ms: int,
        now: Callable[[], float] = time.time,
        executions: Executions | None = None,
        workflows: Mapping[str, Workflow] = WORKFLOWS,
    ) -> None:
        self.workflows = workflows
        self.ids = IdFactory(now)
        self._executions = Executions() if executions is None else executions
        self._own_defaults = {"delay_ms": delay_ms, "pace_ms": pace_ms}
        self._now = now
        self._playing: set[asyncio.Task[None]] = set()

    def start(self, request: RunRequest, mode: RunMode, log_id: str) -> tuple[Execution, Outlet]:
        """Start a run; it is played to its end, unless its reader stays and does not read.

        Raises:
            RefusedError: the workflow does not exist, refuses every run, or a setting cannot be used.

        """
        return self.begin(self.workflow(request.workflow_id), request, mode, log_id)

    def begin(self, workflow: Workflow, request: RunRequest, mode: RunMode, log_id: str) -> tuple[Execution, Outlet]:
        """Start a run of ``workflow``, as ``start`` does.

        Raises:
            RefusedError: the workflow refuses every run, or a setting cannot be used.

        """
        if isinstance(workflow.behaviour, Refusal):
            raise RefusedError(workflow.behaviour)
        settings = read_settings(request.parameters, workflow.all_settings(), self._own_defaults)
        second = self.second()
        execution = Execution(
            execute_id=self.ids.next_id(),
            workflow_id=workflow.workflow_id,
            mode=mode,
            log_id=log_id,
            script=workflow.behaviour,
            inputs=Inputs(request.parameters, settings),
            bot_id=request.bot_id,
            connector_id=request.connector_id,
            connector_uid=request.connector_uid,
            create_time=second,
            update_time=second,
            request_size=request.size,
            retention=workflow.retention,
        )
        self._executions.keep(execution)
        return execution, self._play(execution)

    def answer(self, execution: Execution, said: str) -> Outlet:
        """Answer the open question of an execution and play on."""
        execution.answer(said)
        return self._play(execution)

    def resume(self, request: ResumeRequest, mode: RunMode | None) -> tuple[Execution, Outlet]:
        """Answer the open question of an execution and play on.

        ``mode`` is the way in which its answers are sent, ``None`` if any way will do.

        Raises:
            RefusedError: 4200 when there is no such execution, 4000 when it does not wait at that event, is a
                chat's, or was started in the other way (protocol 1.4, 1.5 and 1.9).

        """
        execution = self.find(request.workflow_id, request.execute_id())
        waiting = execution.interruption
        if waiting is None or waiting.event_id != request.event_id:
            raise bad_request("the execution is not waiting at this 'event_id'.")
        if waiting.ask.kind != request.interrupt_type:
            raise bad_request(f"'interrupt_type' must be {waiting.ask.kind}, as in interrupt_data.")
        if execution.is_chat:
            raise bad_request("resume a chat by calling /v1/workflows/chat again with its conversation_id.")
        if mode is not None and (mode is RunMode.STREAM) != (execution.mode is RunMode.STREAM):
            path = "/v1/workflows/resume" if mode is RunMode.STREAM else "/v1/workflow/stream_resume"
            raise bad_request(f"resume this execution with {path}, the way it was started.")
        return execution, self.answer(execution, request.resume_data)

    def workflow(self, workflow_id: str) -> Workflow:
        """Return the workflow with that id.

        Raises:
            RefusedError: 4200 when the sandbox has none.

        """
        workflow = self.workflows.get(workflow_id)
        if workflow is None:
            raise not_found("The workflow does not exist; GET /v1/workflows lists those of the sandbox.")
        return workflow

    def find(self, workflow_id: str, execute_id: str) -> Execution:
        """Return that execution of that workflow.

        Raises:
            RefusedError: 4200 when the workflow or the execution does not exist, or is forgotten.

        """
        workflow = self.workflow(workflow_id)
        execution = self.known(workflow.workflow_id, execute_id)
        if execution is None:
            raise _unknown_execution()
        return execution

    def known(self, workflow_id: str, execute_id: str) -> Execution | None:
        """Return that execution of that workflow, or ``None`` if it does not exist or is forgotten."""
        return self._executions.get(workflow_id, execute_id)

    def recall(self, workflow_id: str, execute_id: str) -> tuple[Execution, bool]:
        """Return that execution, and whether its output is still kept, for a history that is answered now.

        Raises:
            RefusedError: 4200 when the workflow or the execution does not exist, or is forgotten.

        """
        execution = self.find(workflow_id, execute_id)
        retention = execution.recall()
        if retention is Retention.FORGOTTEN:
            raise _unknown_execution()
        return execution, retention is Retention.KEPT

    def second(self) -> int:
        """Return the time in whole seconds since the epoch."""
        return int(self._now())

    async def aclose(self) -> None:
        """Stop every execution that is being played; who reads its outlet sees the end of it."""
        stopped = list(self._playing)
        for task in stopped:
            task.cancel()
        await asyncio.gather(*stopped, return_exceptions=True)

    def _play(self, execution: Execution) -> Outlet:
        outlet = Outlet()
        task = asyncio.get_running_loop().create_task(self._play_leg(execution, outlet))
        self._playing.add(task)

        def end(_: asyncio.Task[None]) -> None:  # also runs for a task that is cancelled before its first step
            self._playing.discard(task)
            execution.rest()
            self._executions.weigh(execution)
            outlet.end()

        task.add_done_callback(end)
        return outlet

    async def _play_leg(self, execution: Execution, outlet: Outlet) -> None:
        for step in execution.leg():
            if not isinstance(step, Pause):
                await outlet.put(self._happen(execution, step))
            elif step.ms:
                await asyncio.sleep(step.ms / 1000)

    def _happen(self, execution: Execution, step: Happening) -> Shown:
        shown = Interruption(self._event_id(execution), step) if isinstance(step, Ask) else step
        if isinstance(shown, Packet | Interruption | Failure | Finished):
            execution.take(shown, self.second())
        return shown

    def _event_id(self, execution: Execution) -> str:
        return f"{execution.execute_id}/{self.ids.next_id()}"


def _unknown_execution() -> RefusedError:
    return not_found("This workflow has no such execution: the sandbox knows the newest ones since it was started.")
