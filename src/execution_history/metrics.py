"""All metrics: one table of names, and the counters that the rooms below the server increment.

A process that serves its metrics calls :func:`registry` once; until then, and in programs that never do, counting costs
a comparison. What can be read when somebody asks (sizes, queues, how far a follower is) has no counter: its owner is a
:class:`Source`, or whoever answers ``/metrics`` reads it. ``docs/observability.md`` documents names and labels;
``scripts/metrics.py`` makes its tables from the ones below. No label holds an id, a name that a caller chose, or a
text: every one has few values.
"""

import threading
import time
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

PREFIX: Final = "execution_history_"

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LONG_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0)
_SIZES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)

Kind = Literal["counter", "gauge", "histogram"]


class Metric:
    """A metric: what it is called, and the counter behind it once this process serves its metrics.

    Args:
        name: without the prefix; that of a counter ends in ``_total``, a unit stands before that.
        kind: what it is to Prometheus.
        help_text: one sentence.
        labels: the names of its labels.
        buckets: upper bounds of a histogram.
    """

    def __init__(
        self, name: str, kind: Kind, help_text: str, labels: tuple[str, ...] = (), buckets: tuple[float, ...] = ()
    ) -> None:
        self.name: str = PREFIX + name
        self.kind: Kind = kind
        self.help_text = help_text
        self.labels = labels
        self.buckets = buckets
        self._counter: Any = None
        self._children: dict[tuple[str, ...], Any] = {}

    def count(self, amount: float = 1, *values: str) -> None:
        """Add *amount* to the counter with the labels *values*."""
        if self._counter is not None:
            self._child(values).inc(amount)

    def observe(self, value: float, *values: str) -> None:
        """Add *value* to the histogram with the labels *values*."""
        if self._counter is not None:
            self._child(values).observe(value)

    @contextmanager
    def timed(self, *values: str) -> Iterator[None]:
        """Add the seconds that the block takes to the histogram, however it ends."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.observe(time.perf_counter() - began, *values)

    def enable(self, found: "CollectorRegistry") -> None:
        """Count from now on, in *found*."""
        from prometheus_client import Counter, Histogram  # noqa: PLC0415 - for those who serve metrics only

        if self.kind == "histogram":
            self._counter = Histogram(self.name, self.help_text, self.labels, registry=found, buckets=self.buckets)
        else:
            self._counter = Counter(self.name, self.help_text, self.labels, registry=found)

    def _child(self, values: tuple[str, ...]) -> Any:  # noqa: ANN401 - a counter or a histogram, as the caller knows
        child = self._children.get(values)
        if child is None:  # looking it up in the library takes as long as counting does
            child = self._children[values] = self._counter.labels(*values) if values else self._counter
        return child


class Sample(NamedTuple):
    """The value of a metric that is read when somebody asks."""

    metric: Metric
    value: float
    labels: tuple[str, ...] = ()


class Source(Protocol):
    """What has values to read; the values of several sources are added."""

    def samples(self) -> Iterable[Sample]:
        """Return its values now; quick, and from any thread."""


_sources: weakref.WeakSet[Source] = weakref.WeakSet()
_registry: "CollectorRegistry | None" = None
_making: Final = threading.RLock()  # a source may be collected, and another one made, while it is held


def watch(source: Source) -> None:
    """Read *source* at every scrape for as long as it lives."""
    with _making:
        _sources.add(source)


def watched_samples() -> list[Sample]:
    """Return the values of all sources of this process, those of the same metric and labels added."""
    found: dict[tuple[Metric, tuple[str, ...]], float] = {}
    with _making:
        sources = list(_sources)
    for source in sources:
        for metric, value, labels in source.samples():
            found[metric, labels] = found.get((metric, labels), 0) + value
    return [Sample(metric, value, labels) for (metric, labels), value in found.items()]


def registry() -> "CollectorRegistry":
    """Return the registry of this process's counters; the first call begins to count."""
    global _registry  # noqa: PLW0603 - metrics are a process's
    with _making:
        if _registry is None:
            from prometheus_client import CollectorRegistry, ProcessCollector  # noqa: PLC0415 - as above

            _registry = CollectorRegistry()
            ProcessCollector(PREFIX.removesuffix("_"), registry=_registry)
            for metric in COUNTED:
                metric.enable(_registry)
    return _registry


HTTP_REQUESTS = Metric(
    "http_requests_total",
    "counter",
    "Requests that were answered, by what answered them: api, page, gateway, health or asset.",
    ("area", "method", "status"),
)
HTTP_SECONDS = Metric(
    "http_request_seconds",
    "histogram",
    "How long answering a request took, to the last byte; event streams are left out.",
    ("area",),
    (*_SECONDS, 30.0, 60.0, 300.0),
)
GATEWAY_REQUESTS = Metric(
    "gateway_requests_total",
    "counter",
    "Requests that the gateway passed on or refused. kind: run, stream_run, resume, stream_resume, chat or other. "
    "outcome: answered, upstream_error (the upstream's status is 400 or more), broken_off (its answer is not whole), "
    "unreachable, refused (here), caller_left or failed (here).",
    ("kind", "outcome"),
)
GATEWAY_BYTES = Metric(
    "gateway_bytes_total",
    "counter",
    "Bytes of bodies that passed through the gateway; direction: request or response.",
    ("direction",),
)
UPSTREAM_SECONDS = Metric(
    "upstream_seconds",
    "histogram",
    "How long the upstream took until the head of its answer, by kind of request.",
    ("kind",),
    _LONG_SECONDS,
)
RUNS_BEGUN = Metric("runs_begun_total", "counter", "Runs whose record this process began.")
RUNS_ENDED = Metric(
    "runs_ended_total",
    "counter",
    "Records that this process closed, by status; running: left open for whoever asks the upstream later.",
    ("status",),
)
COMMIT_SECONDS = Metric("commit_seconds", "histogram", "How long a group of writes took to be committed.", (), _SECONDS)
COMMIT_SIZE = Metric("commit_writes", "histogram", "Writes that were committed together.", (), _SIZES)
READ_SECONDS = Metric(
    "read_seconds",
    "histogram",
    "How long reading the history took. operation: list, detail, statistics, breakdown, workflows or changes.",
    ("operation",),
    _SECONDS,
)
EXPORTED_RUNS = Metric(
    "otel_exported_runs_total", "counter", "Finished runs that an OpenTelemetry receiver has taken as traces."
)
EXPORT_FAILURES = Metric(
    "otel_export_failures_total",
    "counter",
    "Attempts to send traces that failed and are repeated, or were refused for good. reason: unreachable, status or "
    "refused.",
    ("reason",),
)

COUNTED: Final = (
    HTTP_REQUESTS,
    HTTP_SECONDS,
    GATEWAY_REQUESTS,
    GATEWAY_BYTES,
    UPSTREAM_SECONDS,
    RUNS_BEGUN,
    RUNS_ENDED,
    COMMIT_SECONDS,
    COMMIT_SIZE,
    READ_SECONDS,
    EXPORTED_RUNS,
    EXPORT_FAILURES,
)
"""What is counted where it happens."""

INFO = Metric("info", "gauge", "Always 1; the version that runs, and the kind of its store.", ("version", "store"))
STORE_UP = Metric("store_up", "gauge", "Whether the store could be read for this answer: 1 or 0.")
UNRECORDED = Metric("unrecorded_runs_total", "counter", "Runs that passed without a record; the log says why.")
PROBLEMS = Metric(
    "problems",
    "gauge",
    "What /readyz names without asking the store: by what it concerns, and whether the server is useless (problem) or "
    "needs attention (warning).",
    ("check", "severity"),
)
RUNS = Metric("runs", "gauge", "Records in the store, by status; running and interrupted ones are open.", ("status",))
WORKFLOWS = Metric("workflows", "gauge", "Workflows that have records.")
REVISION = Metric("feed_revision", "gauge", "The newest change of the store.")
INDEX_LAG = Metric("index_lag_changes", "gauge", "Changes that the index of filters and searches does not have yet.")
INDEX_MISSING = Metric("index_missing_records", "gauge", "About how many older records the index does not have yet.")
FOLLOWER_LAG = Metric(
    "follower_lag_changes",
    "gauge",
    "Changes that followers of the store have not read yet, the slowest of each kind; kind: mirror, otel, "
    "sync or other.",
    ("kind",),
)
RECORDERS = Metric("recorders", "gauge", "Processes that record into the store and have a lease that has not ended.")
PENDING_RUNS = Metric("pending_runs", "gauge", "Runs with steps that wait, in memory or in the spool, to be written.")
PENDING_BYTES = Metric("pending_bytes", "gauge", "Bytes of steps that wait in memory.")
SPOOL_FILES = Metric("spool_files", "gauge", "Files of the spool that wait to be written into the store.")
SPOOL_BYTES = Metric("spool_bytes", "gauge", "Bytes of the files of the spool.")
LOST_RUNS = Metric("lost_runs_total", "counter", "Runs that could be kept nowhere: neither store nor spool took them.")
QUEUE = Metric("write_queue_depth", "gauge", "Writes that wait for the next commit of this process.")
POOL = Metric(
    "pool_connections",
    "gauge",
    "Connections to PostgreSQL for reading; state: in_use, resting or most (the limit).",
    ("state",),
)
DISK = Metric(
    "store_bytes",
    "gauge",
    "Bytes that the store takes. part: database, log (written before it), index, files (JSON) or other.",
    ("part",),
)
DISK_FREE = Metric("disk_free_bytes", "gauge", "Bytes that are free on the disk of the store's folder.")
DISK_SIZE = Metric("disk_size_bytes", "gauge", "Bytes of the disk of the store's folder.")
TLS_EXPIRES = Metric(
    "tls_certificate_expires_timestamp_seconds", "gauge", "When the certificate of a server that speaks TLS expires."
)
MIRROR_BEHIND = Metric("mirror_behind_seconds", "gauge", "How long ago the JSON files that follow were current.")
MIRROR_LEFT = Metric("mirror_files_left", "gauge", "JSON files that follow and have to be made anew.")
JOB_AT = Metric(
    "job_last_run_timestamp_seconds", "gauge", "When the last run of a periodic job began, in any process.", ("name",)
)
JOB_SECONDS = Metric("job_last_run_seconds", "gauge", "How long the last run of a job took that has ended.", ("name",))
JOB_OK = Metric(
    "job_last_run_success", "gauge", "Whether the last run of a job that has ended did its work.", ("name",)
)
BACKUP_AT = Metric(
    "backup_last_timestamp_seconds", "gauge", "When the newest backup was made, by whatever process.", ("place",)
)
BACKUP_VERIFIED_AT = Metric(
    "backup_verified_timestamp_seconds",
    "gauge",
    "When a backup was last restored to prove that it can be; missing where none was.",
    ("place",),
)
BACKUPS_UNVERIFIED = Metric(
    "backups_unverified", "gauge", "Backups that were made after the newest that was verified.", ("place",)
)

READ: Final = (
    INFO,
    STORE_UP,
    UNRECORDED,
    PROBLEMS,
    RUNS,
    WORKFLOWS,
    REVISION,
    INDEX_LAG,
    INDEX_MISSING,
    FOLLOWER_LAG,
    RECORDERS,
    PENDING_RUNS,
    PENDING_BYTES,
    SPOOL_FILES,
    SPOOL_BYTES,
    LOST_RUNS,
    QUEUE,
    POOL,
    DISK,
    DISK_FREE,
    DISK_SIZE,
    TLS_EXPIRES,
    MIRROR_BEHIND,
    MIRROR_LEFT,
    JOB_AT,
    JOB_SECONDS,
    JOB_OK,
    BACKUP_AT,
    BACKUP_VERIFIED_AT,
    BACKUPS_UNVERIFIED,
)
"""What is read when somebody asks."""

PROCESS: Final = (
    Metric("process_cpu_seconds_total", "counter", "CPU time of this process."),
    Metric("process_resident_memory_bytes", "gauge", "Memory of this process."),
    Metric("process_virtual_memory_bytes", "gauge", "Address space of this process."),
    Metric("process_start_time_seconds", "gauge", "When this process started."),
    Metric("process_open_fds", "gauge", "File handles that are open."),
    Metric("process_max_fds", "gauge", "File handles that may be open."),
)
"""What the library reads of the process."""

METRICS: Final = (*COUNTED, *READ, *PROCESS)
"""All of them."""
