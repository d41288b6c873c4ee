"""The composition root: opens an application from its settings."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import httpx
from pydantic import SecretStr

from execution_history.access.gate import Gate
from execution_history.clock import now_ms
from execution_history.coze import CozeRunner, Reconciler, Upstream, UpstreamNames
from execution_history.coze.transport.connections import ConnectionSettings
from execution_history.coze.transport.httpx_transport import HttpxTransport
from execution_history.errors import ExecutionHistoryError, SettingsError, StoreBusy
from execution_history.history.live_feed import LiveFeed
from execution_history.history.service import ExecutionHistoryService
from execution_history.jobs.job import Job
from execution_history.jobs.schedule import Schedule
from execution_history.maintenance.check_job import check_jobs
from execution_history.maintenance.retention import Retention, retention_of
from execution_history.query.workflow_patterns import EVERY_WORKFLOW, WorkflowPatterns
from execution_history.recording.recorder import Recorder
from execution_history.recording.trouble import NO_TROUBLE, RecordingTrouble
from execution_history.settings import AccountSettings, Settings
from execution_history.settings.backups import BackupSettings
from execution_history.stores import place_named, store_of
from execution_history.stores.factory import folder_named
from execution_history.stores.opening import open_when_there

if TYPE_CHECKING:
    from execution_history.followers.mirror import MirrorFollower
    from execution_history.followers.traces import TraceFollower
    from execution_history.maintenance.backup.status import PlannedBackups
    from execution_history.sandbox import Sandbox

DATABASE_SECONDS: Final = 30
"""How long a server waits for a database that starts beside it."""


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
        settings: those of the history beside it.

    Attributes:
        application: its open parts, once somebody has.
        token: names it to those who look at it; that of another start of the program names nothing.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
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
        return await self._stack.enter_async_context(open_application(self._settings, demo=True, serving=True))

    async def aclose(self) -> None:
        """Close the demo and remove its folder."""
        if self._opening is not None:
            await asyncio.gather(self._opening, return_exceptions=True)
        await self._stack.aclose()


@asynccontextmanager
async def open_application(
    settings: Settings,
    *,
    sandbox: bool = False,
    demo: bool = False,
    serving: bool = False,
    waits: Callable[[StoreBusy], None] | None = None,
) -> AsyncIterator[Application]:
    """Open the store and start recording; close both in order at the end.

    Args:
        settings: from :func:`~execution_history.settings.load_settings`.
        sandbox: also start the sandbox upstream and let the account ``default`` call it.
        demo: open the demo, in a temporary folder, instead of the store and the accounts that the settings name.
        serving: call the upstreams through the gateway's quicker transport, which takes a tenth of a second to import,
            and write the JSON files that follow, if a folder for them is set.
        waits: makes this wait for a database that cannot be reached yet, :data:`DATABASE_SECONDS` at most; called once
            with what is wrong.

    Raises:
        SettingsError: a file of certificates cannot be read, or JSON files cannot follow in the folder for them.
        StoreError: the store cannot be opened.
        OSError: the sandbox's port is taken.
    """
    async with AsyncExitStack() as stack:
        settings = _in_temporary_folder(settings, stack) if demo else settings
        running, accounts = await _start_sandbox(settings, stack, demo=demo) if sandbox or demo else (None, {})
        service = ExecutionHistoryService(store_of(settings), rules=settings.content_rules)
        stack.push_async_callback(service.aclose)
        if waits is None or place_named(settings.store).kind != "postgres":
            await service.store.open()
        else:
            await open_when_there(service.store, DATABASE_SECONDS, waits)
        recorder = Recorder.of_settings(service.store, settings)
        upstream = _upstream_of(settings, recorder, {**settings.accounts, **accounts}, serving=serving)
        reconciler = Reconciler(recorder, upstream)
        recorder.takes_over = reconciler.take_over
        await recorder.start()
        stack.push_async_callback(recorder.aclose)
        stack.push_async_callback(upstream.aclose)
        runner = CozeRunner(recorder, upstream)
        stack.push_async_callback(service.live.aclose)
        mirror = await _begin_mirror(service, settings.mirror_folder if serving else None, stack)
        traces = await _begin_traces(service, settings, stack) if serving and not demo else None
        retention = retention_of(service, settings)
        stack.push_async_callback(retention.aclose)
        schedule = None
        if serving and not demo:
            schedule = _begin_schedule(service, (retention.job, *_jobs(service, settings)), stack)
        beside = Demo(settings) if serving and not demo else None
        if beside is not None:
            stack.push_async_callback(beside.aclose)
        if demo and running is not None:
            await _fill_demo(service, runner, running, stack)
        names, live = UpstreamNames(service, upstream), service.live
        if serving and running is not None and not demo:
            _learn_names(names, stack)
        limit = settings.largest_body_bytes
        gate = Gate(service.store, now_ms, is_required=settings.needs_key, largest_body=limit)
        await gate.is_closed()  # from here on a store that does not answer keeps nobody out
        parts = (service, recorder, upstream, runner, reconciler, names, live, retention, running, gate, mirror)
        yield Application(
            settings,
            *parts,
            traces=traces,
            demo=beside,
            is_demo=demo,
            backups=_planned_backups(settings.backup if serving and not demo else None),
            schedule=schedule,
        )


def _in_temporary_folder(settings: Settings, stack: AsyncExitStack) -> Settings:
    """Return *settings* of the demo: with a store in a folder that *stack* removes, and no accounts but the sandbox."""
    folder = stack.enter_context(TemporaryDirectory(prefix="execution-history-demo-", ignore_cleanup_errors=True))
    changes: dict[str, Any] = {
        "store": str(Path(folder) / "history"),
        "accounts": {},
        "mirror_folder": None,
        "otel_endpoint": None,
        "backup": None,
        "sandbox_port": 0,
    }
    return settings.model_copy(update=changes)


async def _start_sandbox(
    settings: Settings, stack: AsyncExitStack, *, demo: bool
) -> "tuple[Sandbox, dict[str, AccountSettings]]":
    """Return the sandbox upstream, which runs until *stack* ends, and the accounts that call it."""
    from execution_history.sandbox import WORKFLOWS, serve_sandbox  # noqa: PLC0415 - another server, for trials only

    names: tuple[str, ...] = ("default",)
    workflows = WORKFLOWS
    if demo:
        from execution_history.demo.history import ACCOUNTS, playable  # noqa: PLC0415 - as above

        names, workflows = ACCOUNTS, playable()
    running = await stack.enter_async_context(serve_sandbox("127.0.0.1", settings.sandbox_port, workflows=workflows))
    account = AccountSettings(base_url=running.base_url, token=SecretStr(running.token))
    return running, dict.fromkeys(names, account)


async def _fill_demo(
    service: ExecutionHistoryService, runner: CozeRunner, running: "Sandbox", stack: AsyncExitStack
) -> None:
    from execution_history.demo.history import begin_runs, fill  # noqa: PLC0415 - as above

    await fill(service, running.base_url, now_ms())
    begin_runs(runner, stack)


def _upstream_of(
    settings: Settings, recorder: Recorder, accounts: Mapping[str, AccountSettings], *, serving: bool
) -> Upstream:
    return Upstream(
        dict(accounts),
        recorder,
        timeout_seconds=settings.upstream_timeout_seconds,
        connect_seconds=settings.connect_timeout_seconds,
        drain_limit_seconds=settings.drain_limit_seconds,
        largest_recorded=settings.largest_recorded_bytes,
        connect=_quick_transport if serving else HttpxTransport,
    )


def _learn_names(names: UpstreamNames, stack: AsyncExitStack) -> None:
    """Ask the sandbox in the background what its workflows are called, until *stack* ends; without names it goes on."""

    async def learn() -> None:
        with suppress(ExecutionHistoryError):
            await names.learn()

    async def stop() -> None:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

    asking = asyncio.create_task(learn())
    stack.push_async_callback(stop)


async def _begin_mirror(
    service: ExecutionHistoryService, folder: str | None, stack: AsyncExitStack
) -> "MirrorFollower | None":
    """Begin to write JSON files into *folder*, if there is one, until *stack* ends."""
    if not folder:
        return None
    from execution_history.followers.mirror import MirrorFollower  # noqa: PLC0415 - only where it was asked for

    mirror = MirrorFollower(service, folder_named(folder))
    await mirror.start()
    stack.push_async_callback(mirror.aclose)
    return mirror


async def _begin_traces(
    service: ExecutionHistoryService, settings: Settings, stack: AsyncExitStack
) -> "TraceFollower | None":
    """Begin to send finished runs as traces, if that is set, until *stack* ends.

    Raises:
        SettingsError: what that needs is not installed.
    """
    from execution_history.followers.trace_place import give_up  # noqa: PLC0415 - for servers only

    if settings.otel_endpoint is None:
        await give_up(service)
        return None
    try:
        from execution_history.followers.traces import TraceFollower  # noqa: PLC0415 - an extra
    except ImportError as error:
        if (error.name or "").startswith("execution_history"):
            raise
        raise SettingsError(
            "Sending traces needs opentelemetry-proto, which cannot be loaded (%(reason)s): "
            "pip install 'execution-history[otel]', or pip install '.[otel]' in a checkout.",
            reason=str(error).partition("\n")[0].rstrip("."),
        ) from None
    headers = {name: value.get_secret_value() for name, value in settings.otel_headers.items()}
    traces = TraceFollower(service, settings.otel_endpoint, headers=headers, has_contents=settings.otel_contents)
    await traces.start()
    stack.push_async_callback(traces.aclose)
    return traces


def _jobs(service: ExecutionHistoryService, settings: Settings) -> Iterator[Job]:
    """Yield what a server does periodically.

    Raises:
        SettingsError: the place of the backups is none, or what it needs is not installed.
    """
    yield from check_jobs(service)
    if settings.backup is not None:
        from execution_history.maintenance.backup.schedule import backup_job  # noqa: PLC0415 - only where it is planned

        yield backup_job(service, settings.backup)


def _begin_schedule(service: ExecutionHistoryService, jobs: Iterable[Job], stack: AsyncExitStack) -> Schedule:
    """Begin to run *jobs* periodically, until *stack* ends."""
    schedule = Schedule(service, jobs)
    schedule.start()
    stack.push_async_callback(schedule.aclose)
    return schedule


def _planned_backups(settings: BackupSettings | None) -> "PlannedBackups | None":
    """Return the backups that *settings* plan."""
    if settings is None:
        return None
    from execution_history.maintenance.backup.schedule import planned_by  # noqa: PLC0415 - only where they are planned

    return planned_by(settings)


def _quick_transport(connection: ConnectionSettings) -> httpx.AsyncBaseTransport:
    from execution_history.coze.transport.aiohttp_transport import AiohttpTransport  # noqa: PLC0415 - for servers only

    return AiohttpTransport(connection)
