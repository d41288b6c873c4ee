"""``python -m bench.soak``: the memory of ``serve`` under a mixed load that goes on and on.

The server is a process of its own with the sandbox in it, as ``scripts/run`` starts it. Its memory is read from ``/proc``,
so this runs on Linux only. The command ends with 1 when the server grew by more than the bound between the second and
the last quarter of the time, or when a request failed; what the server wrote on standard error is shown.
"""

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import IO, Any

from bench.load import MixedLoad
from bench.machine import cpu_seconds
from bench.setup import ROOT, Code, started

_MEMORY = {
    "RSS": "VmRSS", "anonymous": "RssAnon", "files": "RssFile",
    "PSS": "Pss", "PSS anonymous": "Pss_Anon", "PSS files": "Pss_File",
}  # fmt: skip
"""The kinds of memory in the order of the table, and their fields in ``status`` or ``smaps_rollup`` of a process."""

_LOGS = ("history.db-wal", "index.db-wal")
_FEWEST = 8  # samples: two for each quarter


@dataclass(frozen=True)
class Sample:
    """The server at one moment.

    Attributes:
        seconds: since the load began.
        sent: requests so far.
        failed: how many of them failed.
        records: in the history.
        memory: kilobytes, by the names of ``_MEMORY``.
        cpu: seconds of processor time that the server has used.
        threads: of the server.
        descriptors: its open files and connections.
        logs: bytes of each of ``_LOGS``.
    """

    seconds: float
    sent: int
    failed: int
    records: int
    memory: dict[str, int]
    cpu: float
    threads: int
    descriptors: int
    logs: dict[str, int]


@contextmanager
def serving(
    folder: Path,
    remarks: Path,
    *,
    apart: bool,
    module: Sequence[str] = ("execution_history",),
    store: str = "",
    **more: str,
) -> Iterator[tuple[int, str, str]]:
    """Start a server with a sandbox, in it or *apart*; its process id, address and token.

    Args:
        folder: where it works.
        remarks: the file that takes the standard error of both.
        apart: whether the sandbox has a process of its own.
        module: what is run, with the arguments before those of the command.
        store: the history; one in *folder* unless it is given.
        more: variables of its environment.
    """
    free = ("--port", "0", "--json")
    serve = ("serve", *free, "--store", store or str(folder / "history"))
    with remarks.open("wb") as errors, ExitStack() as stack:
        if not apart:
            both = _started(errors, folder, *serve, "--sandbox", "--sandbox-port", "0", module=module, **more)
            process, announced = stack.enter_context(both)
            yield process, announced["url"], announced["sandbox"]["token"]
        else:
            _, sandbox = stack.enter_context(_started(errors, folder, "sandbox", *free))
            account = {"COZE_API_BASE": sandbox["base_url"], "COZE_API_TOKEN": sandbox["token"]}
            of_server = _started(errors, folder, *serve, module=module, **account, **more)
            process, announced = stack.enter_context(of_server)
            yield process, announced["url"], sandbox["token"]


def _started(
    errors: IO[bytes], folder: Path, *arguments: str, module: Sequence[str] = ("execution_history",), **more: str
) -> AbstractContextManager[tuple[int, Any]]:
    """Start a command of ours that serves; its process id and the document that it announces itself with."""
    command = [sys.executable, "-m", *module, *arguments]
    return started(command, folder, Code("here", ROOT).variables(folder, more), errors)


async def soak(load: MixedLoad, process: int, folder: Path, options: argparse.Namespace) -> list[Sample]:
    """Put *load* on the server and take a sample now and then, until the time is over and there are enough."""
    samples: list[Sample] = []
    began = time.monotonic()
    loading = asyncio.create_task(load.run(options.rate, options.minutes * 60))
    while not loading.done() or len(samples) < _FEWEST:
        records = await load.records()
        samples.append(_sample(load, process, folder, records=records, seconds=time.monotonic() - began))
        await asyncio.wait((loading,), timeout=options.every)
    await loading
    return samples


def _sample(load: MixedLoad, process: int, folder: Path, *, seconds: float, records: int) -> Sample:
    proc = Path(f"/proc/{process}")
    lines = ((proc / "status").read_text() + (proc / "smaps_rollup").read_text()).splitlines()
    found = {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}
    paths = {name: folder / "history" / name for name in _LOGS}
    return Sample(
        seconds,
        sum(load.sent.values()),
        sum(load.failed.values()),
        records,
        {name: int(found[field][0]) for name, field in _MEMORY.items()},
        cpu_seconds(process),
        int(found["Threads"][0]),
        sum(1 for _ in (proc / "fd").iterdir()),
        {name: path.stat().st_size if path.exists() else 0 for name, path in paths.items()},
    )


def quarters(samples: Sequence[Sample]) -> list[Sequence[Sample]]:
    """Return the samples, which are of equal distance, in four parts."""
    return [samples[begin:end] for begin, end in pairwise(number * len(samples) // 4 for number in range(5))]


def table(parts: Sequence[Sequence[Sample]]) -> Iterator[str]:
    """Yield a Markdown table with a line for each quarter."""
    columns: dict[str, Callable[[Sequence[Sample]], str]] = {
        "requests": lambda part: f"{part[-1].sent:,}",
        "a second": lambda part: f"{(part[-1].sent - part[0].sent) / (part[-1].seconds - part[0].seconds):.1f}",
        "CPU each": lambda part: f"{1000 * (part[-1].cpu - part[0].cpu) / max(1, part[-1].sent - part[0].sent):.1f} ms",
        "failed": lambda part: f"{part[-1].failed:,}",
        "records": lambda part: f"{part[-1].records:,}",
        **{name: lambda part, name=name: f"{_megabytes(part, name):.1f} MB" for name in _MEMORY},  # type: ignore[misc]
        "threads": lambda part: str(max(each.threads for each in part)),
        "open files": lambda part: str(max(each.descriptors for each in part)),
        **{name: lambda part, name=name: f"{max(s.logs[name] for s in part) / 2**20:.1f} MB" for name in _LOGS},  # type: ignore[misc]
    }
    yield f"| quarter | {' | '.join(columns)} |"
    yield "|---" * (len(columns) + 1) + "|"
    for number, part in enumerate(parts, 1):
        yield f"| {number} | {' | '.join(cell(part) for cell in columns.values())} |"
    yield "Memory is the median of a quarter; threads, files and logs are the most in it; the counts go on."


def _megabytes(part: Sequence[Sample], name: str) -> float:
    return median(each.memory[name] for each in part) / 1024


def verdict(parts: Sequence[Sequence[Sample]], load: MixedLoad, warnings: list[str], bound: float) -> Iterator[str]:
    """Yield what was sent and what failed, and at the end whether the server has kept within its bound."""
    failed, sent = sum(load.failed.values()), sum(load.sent.values())
    yield f"{sent:,} requests: " + ", ".join(f"{name} {count:,}" for name, count in load.sent.most_common())
    yield f"Failed: {failed:,} of {sent:,} requests." if failed else "No request failed."
    for what, count in load.failed.most_common(10):
        yield f"  {count:,} × {what}"
    if warnings:
        yield f"The server wrote {len(warnings):,} lines on standard error. The last are:"
        yield from warnings[-10:]
    yield f"RSS grew by {_grown(parts):+.1f} MB between the second and the last quarter (bound: {bound:g} MB)."


def _grown(parts: Sequence[Sequence[Sample]]) -> float:
    return _megabytes(parts[3], "RSS") - _megabytes(parts[1], "RSS")


def main() -> None:
    """Soak, print the table and the verdict, and end with 1 when something is not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--rate", type=float, default=25, help="requests a second")
    parser.add_argument("--every", type=float, default=5, help="seconds between two samples")
    parser.add_argument("--bound", type=float, default=8, help="megabytes by which the server may grow")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--apart", action="store_true", help="run the sandbox in a process of its own, as Coze is")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder when not given")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server ends too
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    remarks = folder / "standard-error"
    try:
        with serving(folder, remarks, apart=options.apart) as (process, url, token):
            load = MixedLoad(url, token, options.seed)
            samples = asyncio.run(soak(load, process, folder, options))
        warnings = [line for line in remarks.read_text().splitlines() if line != "Stopped."]
    finally:
        shutil.rmtree(folder)
    parts = quarters(samples)
    print("\n".join([*table(parts), *verdict(parts, load, warnings, options.bound)]))
    sys.exit(1 if load.failed or _grown(parts) > options.bound else 0)


if __name__ == "__main__":
    main()
