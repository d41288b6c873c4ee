"""The open parts of the program, and the demo beside them."""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from execution_history.access.certificate import Certificate
from execution_history.access.gate import Gate
from execution_history.coze import CozeRunner, Reconciler, Upstream, UpstreamNames
from execution_history.history.live_feed import LiveFeed
from execution_history.history.service import ExecutionHistoryService
from execution_history.jobs.schedule import Schedule
from execution_history.maintenance.retention import Retention
from execution_history.query.workflow_patterns import EVERY_WORKFLOW, WorkflowPatterns
from execution_history.recording.recorder import Recorder
from execution_history.recording.trouble import NO_TROUBLE, RecordingTrouble
from execution_history.settings import Settings

if TYPE_CHECKING:
    from execution_history.followers.mirror import MirrorFollower
    from execution_history.followers.traces import TraceFollower
    from execution_history.maintenance.backup.status import PlannedBackups
    from execution_history.sandbox import Sandbox


@dataclass(frozen=True, slots=True)
class Application:
    """The open parts of the program, as the command line and the web use them.

    ``demo`` opens the demo beside the history; there is none where the history is the demo itself (``is_demo``).
    ``backups`` are those that this process makes by itself.
    ``workflows`` are those that exist for whoever uses these parts.
    """

    settings: Settings
    service: ExecutionHistoryService
    recorder: Recorder
    upstream: Upstream
    runner: CozeRunner
    reconciler: Reconciler
    names: UpstreamNames
    live: LiveFeed
    retention: Retention
    sandbox: "Sandbox | None"
    gate: Gate
    mirror: "MirrorFollower | None" = None
    traces: "TraceFollower | None" = None
    demo: "Demo | None" = None
    is_demo: bool = False
    backups: "PlannedBackups | None" = None
    schedule: Schedule | None = None
    workflows: WorkflowPatterns = EVERY_WORKFLOW
    certificate: Certificate | None = None

    def within(self, workflows: WorkflowPatterns) -> "Application":
        """Return the application for somebody who may see these *workflows* only; itself where they are all."""
        if workflows.are_all:
            return self
        service = self.service.within(workflows)
        return replace(
            self,
            service=service,
            runner=self.runner.within(workflows),
            reconciler=self.reconciler.within(workflows),
            names=self.names.within(service, workflows),
            mirror=None,
            backups=None,
            workflows=workflows,
        )

    def open_ones(self) -> "list[Application]":
        """Return this application, and the demo beside it where it is open."""
        beside = None if self.demo is None else self.demo.application
        return [self] if beside is None else [self, beside]


def trouble_told(application: Application) -> RecordingTrouble:
    """Return what the users of *application* are told of its recorder: nothing where they see some workflows only."""
    return application.recorder if application.workflows.are_all else NO_TROUBLE


class Demo:
    """The demo beside a history, in a process that serves: opened when somebody looks at it first.

    Args:
        enter: opens it.

    Attributes:
        application: its open parts, once somebody has.
        token: names it to those who look at it; that of another start of the program names nothing.
    """

    def __init__(self, enter: Callable[[], AbstractAsyncContextManager[Application]]) -> None:
        self._enter = enter
        self._stack = AsyncExitStack()
        self._opening: asyncio.Task[Application] | None = None
        self.application: Application | None = None
        self.token: str = secrets.token_urlsafe(9)

    async def opened(self) -> Application:
        """Return the application of the demo; the first call makes its history, which takes some seconds.

        Raises:
            StoreError: its store cannot be opened or written.
            OSError: there is no room for its folder.
        """
        if self.application is None:
            if self._opening is None or self._opening.done():
                self._opening = asyncio.create_task(self._open())
            self.application = await asyncio.shield(self._opening)
        return self.application

    async def _open(self) -> Application:
        return await self._stack.enter_async_context(self._enter())

    async def aclose(self) -> None:
        """Close the demo and remove its folder."""
        if self._opening is not None:
            await asyncio.gather(self._opening, return_exceptions=True)
        await self._stack.aclose()
