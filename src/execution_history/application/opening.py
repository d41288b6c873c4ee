"""Opening an application from its settings."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import httpx

from execution_history.application.admission import certificate_of, open_gate
from execution_history.application.background import Background, begin_background, learn_names
from execution_history.application.parts import Application, Demo
from execution_history.application.trial import fill_demo, in_temporary_folder, start_sandbox
from execution_history.coze import CozeRunner, Reconciler, Upstream, UpstreamNames
from execution_history.coze.transport.connections import ConnectionSettings
from execution_history.coze.transport.httpx_transport import HttpxTransport
from execution_history.errors import StoreBusy
from execution_history.history.service import ExecutionHistoryService
from execution_history.maintenance.retention import retention_of
from execution_history.recording.recorder import Recorder
from execution_history.settings import AccountSettings, Settings
from execution_history.stores import place_named, store_of
from execution_history.stores.opening import open_when_there

DATABASE_SECONDS: Final = 30
"""How long a server waits for a database that starts beside it."""


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
        SettingsError: a file of certificates cannot be read, JSON files cannot follow in the folder for them, or there
            is no history whose keys are to let people in.
        StoreError: the store cannot be opened.
        OSError: the sandbox's port is taken.
    """
    async with AsyncExitStack() as stack:
        certificate = certificate_of(settings) if serving else None
        settings = in_temporary_folder(settings, stack) if demo else settings
        running, accounts = await start_sandbox(settings, stack, demo=demo) if sandbox or demo else (None, {})
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
        retention = retention_of(service, settings)
        stack.push_async_callback(retention.aclose)
        is_server = serving and not demo
        background = await begin_background(service, settings, retention.job, stack) if is_server else Background()
        beside = Demo(lambda: open_application(settings, demo=True, serving=True)) if is_server else None
        if beside is not None:
            stack.push_async_callback(beside.aclose)
        names = UpstreamNames(service, upstream)
        if demo and running is not None:
            await fill_demo(service, runner, running, stack)
        elif serving and running is not None:
            learn_names(names, stack)
        yield Application(
            settings=settings,
            service=service,
            recorder=recorder,
            upstream=upstream,
            runner=runner,
            reconciler=reconciler,
            names=names,
            live=service.live,
            retention=retention,
            sandbox=running,
            gate=await open_gate(settings, service.store, stack),
            demo=beside,
            is_demo=demo,
            mirror=background.mirror,
            traces=background.traces,
            backups=background.backups,
            schedule=background.schedule,
            certificate=certificate,
        )


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


def _quick_transport(connection: ConnectionSettings) -> httpx.AsyncBaseTransport:
    from execution_history.coze.transport.aiohttp_transport import AiohttpTransport  # noqa: PLC0415 - for servers only

    return AiohttpTransport(connection)
