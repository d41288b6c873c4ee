"""The composition root: settings in, one opened application out."""

import asyncio
import time
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
from execution_history.stores.protocol import HistoryStore

DATABASE_SECONDS: Final = 30
"""How long a server waits for a database that starts beside it."""

_PAUSE_SECONDS: Final = 1.0


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
        service = await _open_service(settings, stack, waits)
        upstream = _upstream_of(settings, service.store, accounts, serving=serving)
        reconciler = await _begin_recording(upstream, stack)
        runner = CozeRunner(upstream.recorder, upstream)
        stack.push_async_callback(service.live.aclose)
        retention = retention_of(service, settings)
        stack.push_async_callback(retention.aclose)
        is_server = serving and not demo
        background = await begin_background(service, settings, retention.job, stack) if is_server else Background()
        beside = _demo_beside(settings, stack) if is_server else None
        names = UpstreamNames(service, upstream)
        if demo and running is not None:
            await fill_demo(service, runner, running, stack)
        elif serving and running is not None:
            learn_names(names, stack)
        yield Application(
            settings=settings,
            service=service,
            recorder=upstream.recorder,
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
            certificate=certificate,
            **background._asdict(),
        )


async def _open_service(
    settings: Settings, stack: AsyncExitStack, waits: Callable[[StoreBusy], None] | None
) -> ExecutionHistoryService:
    service = ExecutionHistoryService(store_of(settings), rules=settings.content_rules)
    stack.push_async_callback(service.aclose)
    if waits is None or place_named(settings.store).kind != "postgres":
        await service.store.open()
    else:
        await open_when_there(service.store, DATABASE_SECONDS, waits)
    return service


def _demo_beside(settings: Settings, stack: AsyncExitStack) -> Demo:
    beside = Demo(lambda: open_application(settings, demo=True, serving=True))
    stack.push_async_callback(beside.aclose)
    return beside


async def _begin_recording(upstream: Upstream, stack: AsyncExitStack) -> Reconciler:
    """Start the recorder, and return what finds out at the upstream how its unfinished runs ended."""
    recorder = upstream.recorder
    reconciler = Reconciler(recorder, upstream)
    recorder.takes_over = reconciler.take_over
    await recorder.start()
    stack.push_async_callback(recorder.aclose)
    stack.push_async_callback(upstream.aclose)
    return reconciler


async def open_when_there(store: HistoryStore, seconds: float, tell: Callable[[StoreBusy], None]) -> None:
    """Open *store*; while it is busy, as a database that cannot be reached is, try again for so many *seconds*.

    Args:
        store: opened.
        seconds: how long to wait.
        tell: called once, with what is wrong, before the wait.

    Raises:
        StoreBusy: it is busy still.
        StoreError: it cannot be opened for a reason that waiting does not change.
    """
    end, is_told = time.monotonic() + seconds, False
    while True:
        try:
            return await store.open()
        except StoreBusy as error:
            if time.monotonic() >= end:
                raise
            if not is_told:
                is_told = True
                tell(error)
        await asyncio.sleep(min(_PAUSE_SECONDS, seconds))


def _upstream_of(
    settings: Settings, store: HistoryStore, accounts: Mapping[str, AccountSettings], *, serving: bool
) -> Upstream:
    return Upstream(
        {**settings.accounts, **accounts},
        Recorder.of_settings(store, settings),
        timeout_seconds=settings.upstream_timeout_seconds,
        connect_seconds=settings.connect_timeout_seconds,
        drain_limit_seconds=settings.drain_limit_seconds,
        largest_recorded=settings.largest_recorded_bytes,
        connect=_quick_transport if serving else HttpxTransport,
    )


def _quick_transport(connection: ConnectionSettings) -> httpx.AsyncBaseTransport:
    from execution_history.coze.transport.aiohttp_transport import AiohttpTransport  # noqa: PLC0415 - for servers only

    return AiohttpTransport(connection)
