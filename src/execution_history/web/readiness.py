"""What is wrong with this server: what keeps it from its work, and what needs attention although it works."""

import asyncio
import contextlib
from typing import Literal, NamedTuple

from execution_history.application import Application, trouble_told
from execution_history.errors import Message, StoreError, quoted
from execution_history.jobs.job import last_runs
from execution_history.stores import place_named
from execution_history.stores.disk_space import Disk

Check = Literal["store", "recorder", "disk", "mirror", "jobs", "otel", "tls"]
Severity = Literal["problem", "warning"]


class Finding(NamedTuple):
    """One thing that is wrong; a problem makes the server useless, a warning does not."""

    check: Check
    severity: Severity
    sentence: str


def checks_of(application: Application) -> tuple[Check, ...]:
    """Return the checks that make sense for *application*."""
    found: list[Check] = ["store", "recorder", "jobs"]
    if place_named(application.settings.store).folder is not None:
        found.append("disk")
    if application.mirror is not None:
        found.append("mirror")
    if application.traces is not None:
        found.append("otel")
    if application.certificate is not None:
        found.append("tls")
    return tuple(found)


async def findings(application: Application) -> list[Finding]:
    """Return everything that is wrong; reads and writes the store."""
    health = await application.service.health()
    return [
        *(Finding("store", "warning" if health.is_usable else "problem", sentence) for sentence in health.problems),
        *await local_findings(application),
        *await _failed_jobs(application),
    ]


async def local_findings(application: Application) -> list[Finding]:
    """Return what is wrong as far as this process can find out without the store."""
    found = [Finding("recorder", "warning", sentence) for sentence in trouble_told(application).problems()]
    if application.mirror is not None:
        found += [Finding("mirror", "warning", sentence) for sentence in application.mirror.problems()]
    if application.traces is not None:
        found += [Finding("otel", "warning", sentence) for sentence in application.traces.problems()]
    if application.certificate is not None:
        found += [Finding("tls", "warning", sentence) for sentence in application.certificate.problems()]
    disk = await disk_of(application)
    if disk is not None and disk.is_nearly_full:
        sentence = Message(
            "The disk of %(folder)s is nearly full: %(free)s MB are free. Make room, or runs can soon not be recorded.",
            folder=quoted(disk.folder),
            free=f"{disk.free // 1_000_000:,}",
        )
        found.append(Finding("disk", "warning", sentence))
    return found


async def disk_of(application: Application) -> Disk | None:
    """Return the disk of the store's folder; ``None`` where it has none, or that cannot be read."""
    folder = place_named(application.settings.store).folder
    if folder is not None:
        with contextlib.suppress(OSError):
            return await asyncio.to_thread(Disk.of, folder)
    return None


async def _failed_jobs(application: Application) -> list[Finding]:
    """Return the periodic jobs whose last run failed, in whatever process."""
    with contextlib.suppress(StoreError):  # the store's own check has it
        return [
            Finding(
                "jobs",
                "warning",
                Message(
                    "The last run of the job %(job)s failed: %(reason)s", job=name, reason=Message(run.reason or "")
                ),
            )
            for name, run in (await last_runs(application.service)).items()
            if run.outcome == "failed"
        ]
    return []
