"""What ``/metrics`` reads when somebody asks, and the text in which it stands beside the counters."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from execution_history import metrics
from execution_history.application import Application
from execution_history.errors import StoreError
from execution_history.jobs.job import last_runs
from execution_history.maintenance.backup.status import current, statuses
from execution_history.metrics import Metric, Sample
from execution_history.stores import place_named
from execution_history.stores.capabilities import Sized
from execution_history.web.readiness import disk_of, local_findings

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric as Family

_ANSWER_SECONDS: Final = 5.0
_TOTALS_SECONDS: Final = 10.0
"""How long totals of all workflows are used again: a history of very many takes a while to add up."""

_FOLLOWERS: Final = frozenset({"mirror", "otel", "sync"})
_PARTS: Final = ("database", "log", "index", "files", "other")


class Gauges:
    """Reads what is not counted where it happens.

    Args:
        application: the open parts of the server.
    """

    def __init__(self, application: Application) -> None:
        metrics.registry()  # from now on there is somebody to count for
        self._application = application
        self._info = Sample(metrics.INFO, 1, (version("execution-history"), _kind_of(application)))
        self._totals: list[Sample] = []
        self._added_up_at = float("-inf")

    async def samples(self) -> list[Sample]:
        """Return all values; those of a store that cannot be read, or does not answer in time, are left out."""
        application = self._application
        found = [self._info, Sample(metrics.UNRECORDED, application.recorder.unrecorded)]
        found += await asyncio.to_thread(metrics.watched_samples)
        counts = Counter((check, severity) for check, severity, _ in await local_findings(application))
        found += [Sample(metrics.PROBLEMS, count, labels) for labels, count in counts.items()]
        if disk := await disk_of(application):
            found += [Sample(metrics.DISK_FREE, disk.free), Sample(metrics.DISK_SIZE, disk.size)]
        if application.certificate is not None:
            found.append(Sample(metrics.TLS_EXPIRES, application.certificate.expires / 1000))
        of_store: list[Sample] = []
        with suppress(StoreError, TimeoutError):
            async with asyncio.timeout(_ANSWER_SECONDS):
                of_store = [*await self._of_store(), Sample(metrics.STORE_UP, 1)]
        return found + (of_store or [Sample(metrics.STORE_UP, 0)])

    async def _of_store(self) -> list[Sample]:
        service = self._application.service
        newest, reach = await service.revision(), await service.index_reach()
        lags: Counter[str] = Counter()
        for name, place in (await service.places()).items():
            kind = name.partition(":")[0]
            kind = kind if kind in _FOLLOWERS else "other"
            lags[kind] = max(lags[kind], newest - place, 0)
        return [
            *await self._added_up(),
            *await self._of_jobs(),
            *await self._of_backups(),
            *await self._of_mirror(),
            *(Sample(metrics.DISK, size, (part,)) for part, size in (await self._sizes()).items()),
            *(Sample(metrics.FOLLOWER_LAG, lag, (kind,)) for kind, lag in lags.items()),
            Sample(metrics.REVISION, newest),
            Sample(metrics.INDEX_LAG, max(0, reach.newest - reach.revision)),
            Sample(metrics.INDEX_MISSING, reach.missing),
            Sample(metrics.RECORDERS, await service.count_recorders()),
        ]

    async def _added_up(self) -> list[Sample]:
        if time.monotonic() > self._added_up_at + _TOTALS_SECONDS:
            workflows = await self._application.service.workflow_summaries()
            counts = Counter(dict.fromkeys(("running", "success", "failed", "interrupted"), 0))
            for each in workflows:
                counts.update(each.counts)
            self._totals = [Sample(metrics.WORKFLOWS, len(workflows))]
            self._totals += [Sample(metrics.RUNS, count, (status,)) for status, count in counts.items()]
            self._added_up_at = time.monotonic()
        return self._totals

    async def _of_jobs(self) -> list[Sample]:
        found: list[Sample] = []
        for name, run in (await last_runs(self._application.service)).items():
            found.append(Sample(metrics.JOB_AT, run.began / 1000, (name,)))
            if run.ended is not None:
                found.append(Sample(metrics.JOB_SECONDS, (run.ended - run.began) / 1000, (name,)))
                found.append(Sample(metrics.JOB_OK, float(run.outcome == "done"), (name,)))
        return found

    async def _of_backups(self) -> list[Sample]:
        found: list[Sample] = []
        for each in current(await statuses(self._application.service), self._application.backups):
            if each.last is not None:
                found.append(Sample(metrics.BACKUP_AT, each.last.ended_at / 1000, (each.place,)))
                found.append(Sample(metrics.BACKUPS_UNVERIFIED, each.unverified, (each.place,)))
            if each.verified is not None:
                found.append(Sample(metrics.BACKUP_VERIFIED_AT, each.verified.at / 1000, (each.place,)))
        return found

    async def _of_mirror(self) -> list[Sample]:
        if self._application.mirror is None:
            return []
        status = await self._application.mirror.status()
        found = [Sample(metrics.MIRROR_LEFT, status.files_left)]
        if status.behind_ms is not None:
            found.append(Sample(metrics.MIRROR_BEHIND, status.behind_ms / 1000))
        return found

    async def _sizes(self) -> dict[str, int]:
        store = self._application.service.store
        if not isinstance(store, Sized):
            return {}
        use = await store.disk_use()
        return {part: getattr(use, part) for part in _PARTS}


def exposition(samples: Iterable[Sample], accept: str) -> tuple[bytes, str]:
    """Return counters and *samples* in the format that a scraper accepts, and the content type of that."""
    from prometheus_client import CollectorRegistry  # noqa: PLC0415 - with the first scrape, not with every server
    from prometheus_client.exposition import choose_encoder  # noqa: PLC0415 - as above

    beside = CollectorRegistry(auto_describe=False)
    beside.register(_Everything(samples))
    encode, media_type = choose_encoder(accept)
    return encode(beside), media_type


class _Everything:
    """A collector of the process's counters and of samples."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._samples = list(samples)

    def collect(self) -> "Iterator[Family]":
        """Yield each metric with its values; without the times at which the library made its counters."""
        from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily  # noqa: PLC0415 - as above

        for family in metrics.registry().collect():
            family.samples = [each for each in family.samples if not each.name.endswith("_created")]
            yield family
        families: dict[Metric, CounterMetricFamily | GaugeMetricFamily] = {}
        for metric, value, labels in self._samples:
            if metric not in families:
                kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
                families[metric] = kind(metric.name, metric.help_text, labels=metric.labels)  # made by the first value
            families[metric].add_metric(labels, value)
        yield from families.values()


def _kind_of(application: Application) -> str:
    return place_named(application.settings.store).kind
