"""The composition root: opens an application from its settings."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httpx
from pydantic import SecretStr

from execution_history.coze import CozeRunner, Reconciler, Upstream, UpstreamNames
from execution_history.coze.transport.connections import ConnectionSettings
from execution_history.coze.transport.httpx_transport import HttpxTransport
from execution_history.errors import StoreBusy
from execution_history.history.live_feed import LiveFeed
from execution_history.history.service import ExecutionHistoryService
from execution_history.recording.recorder import Recorder
from execution_history.settings import AccountSettings, Settings
from execution_history.stores import place_named, store_of
from execution_history.stores.factory import folder_named
from execution_history.stores.opening import open_when_there

if TYPE_CHECKING:
    from execution_history.followers.mirror import MirrorFollower
    from execution_history.sandbox import Sandbox

DATABASE_SECONDS: Final = 30
"""How long a server waits for a database that starts beside it."""


@dataclass(frozen=True, slots=True)
class Application:
    """The open parts of the program, as the command line and the web use them."""

    settings: Settings
    service: ExecutionHistoryService
    recorder: Recorder
    upstream: Upstream
    runner: CozeRunner
    reconciler: Reconciler
    names: UpstreamNames
    live: LiveFeed
    sandbox: "Sandbox | None"
    mirror: "MirrorFollower | None" = None


@asynccontextmanager
async def open_application(
    settings: Settings,
    *,
    sandbox: bool = False,
    serving: bool = False,
    waits: Callable[[StoreBusy], None] | None = None,
) -> AsyncIterator[Application]:
    """Open the store and start recording; close both in order at the end.

    Args:
        settings: from :func:`~execution_history.settings.load_settings`.
        sandbox: also start the sandbox upstream and let the account ``default`` call it.
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
        accounts = dict(settings.accounts)
        running: Sandbox | None = None
        if sandbox:
            from execution_history.sandbox import serve_sandbox  # noqa: PLC0415 - another server, for trials only

            running = await stack.enter_async_context(serve_sandbox("127.0.0.1", settings.sandbox_port))
            accounts["default"] = AccountSettings(base_url=running.base_url, token=SecretStr(running.token))
        service = ExecutionHistoryService(store_of(settings))
        stack.push_async_callback(service.aclose)
        if waits is None or place_named(settings.store).kind != "postgres":
            await service.store.open()
        else:
            await open_when_there(service.store, DATABASE_SECONDS, waits)
        recorder = Recorder.of_settings(service.store, settings)
        upstream = Upstream(
            accounts,
            recorder,
            timeout_seconds=settings.upstream_timeout_seconds,
            connect_seconds=settings.connect_timeout_seconds,
            drain_limit_seconds=settings.drain_limit_seconds,
            largest_recorded=settings.largest_recorded_bytes,
            connect=_quick_transport if serving else HttpxTransport,
        )
        reconciler = Reconciler(recorder, upstream)
        recorder.takes_over = reconciler.take_over
        await recorder.start()
        stack.push_async_callback(recorder.aclose)
        stack.push_async_callback(upstream.aclose)
        runner = CozeRunner(recorder, upstream)
        live = service.live
        stack.push_async_callback(live.aclose)
        mirror = await _begin_mirror(service, settings.mirror_folder if serving else None, stack)
        names = UpstreamNames(service, upstream)
        yield Application(settings, service, recorder, upstream, runner, reconciler, names, live, running, mirror)


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


def _quick_transport(connection: ConnectionSettings) -> httpx.AsyncBaseTransport:
    from execution_history.coze.transport.aiohttp_transport import AiohttpTransport  # noqa: PLC0415 - for servers only

    return AiohttpTransport(connection)
