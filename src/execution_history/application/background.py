"""What a server does in the background: JSON files and traces that follow, jobs, and names of workflows."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, NamedTuple

from execution_history.coze import UpstreamNames
from execution_history.errors import ExecutionHistoryError, SettingsError
from execution_history.history.service import ExecutionHistoryService
from execution_history.jobs.job import Job
from execution_history.jobs.schedule import Schedule
from execution_history.maintenance.check_job import check_jobs
from execution_history.settings import Settings
from execution_history.settings.backups import BackupSettings
from execution_history.stores.factory import folder_named

if TYPE_CHECKING:
    from execution_history.followers.mirror import MirrorFollower
    from execution_history.followers.traces import TraceFollower
    from execution_history.maintenance.backup.status import PlannedBackups


class Background(NamedTuple):
    """What goes on beside the answers: attributes of an application, each ``None`` where there is none."""

    mirror: "MirrorFollower | None" = None
    traces: "TraceFollower | None" = None
    backups: "PlannedBackups | None" = None
    schedule: Schedule | None = None


async def begin_background(
    service: ExecutionHistoryService, settings: Settings, retention: Job, stack: AsyncExitStack
) -> Background:
    """Begin what *settings* plan, and *retention*, until *stack* ends.

    Raises:
        SettingsError: JSON files cannot follow in their folder, or what backups or traces need is not installed.
        StoreError: the store cannot be read.
    """
    mirror = await _begin_mirror(service, settings.mirror_folder, stack)
    traces = await _begin_traces(service, settings, stack)
    schedule = Schedule(service, [retention, *_jobs(service, settings)])
    schedule.start()
    stack.push_async_callback(schedule.aclose)
    return Background(mirror, traces, _planned_backups(settings.backup), schedule)


def learn_names(names: UpstreamNames, stack: AsyncExitStack) -> None:
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


def _planned_backups(settings: BackupSettings | None) -> "PlannedBackups | None":
    """Return the backups that *settings* plan."""
    if settings is None:
        return None
    from execution_history.maintenance.backup.schedule import planned_by  # noqa: PLC0415 - only where they are planned

    return planned_by(settings)
