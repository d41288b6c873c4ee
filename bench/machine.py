"""The machine: what describes it in a file of results, what a process of it uses, and how long a sync takes."""

import datetime as dt
import os
import platform
import resource
import shutil
import subprocess
import time
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any, Final

_LIBRARIES: Final = (
    "aiohttp", "apsw", "dbos", "fastapi", "httptools", "httpx", "orjson", "psycopg", "starlette", "uvicorn", "uvloop", "zstandard",
)  # fmt: skip
_IN_MEMORY: Final = {"tmpfs", "ramfs"}
_AFTER_THE_NAME: Final = 2
_USER_TIME, _SYSTEM_TIME = 14 - 1 - _AFTER_THE_NAME, 15 - 1 - _AFTER_THE_NAME
_PARENT: Final = 4 - 1 - _AFTER_THE_NAME
_TICKS: Final = os.sysconf("SC_CLK_TCK")

# Sleeps most of the time and spins for the rest, because a sleep alone is late by half of what it waits for.
_SLOW_SYNC: Final = """
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
static long wait_ns;
__attribute__((constructor)) static void begin(void) {
    const char *given = getenv("BENCH_SYNC_NS");
    wait_ns = given ? atol(given) : 0;
    prctl(PR_SET_TIMERSLACK, 1);
}
static long now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000L + t.tv_nsec;
}
static int waited(void) {
    long end = now() + wait_ns;
    struct timespec most = {0, wait_ns * 8 / 10};
    nanosleep(&most, NULL);
    while (now() < end) {}
    return 0;
}
int fsync(int fd) { (void)fd; return waited(); }
int fdatasync(int fd) { (void)fd; return waited(); }
"""


def description(folder: Path, sync: dict[str, str]) -> dict[str, Any]:
    """Return what a file of results says of the machine, which is nothing that only this one has.

    Args:
        folder: where the histories of the bench are.
        sync: the variables with which a sync takes a fixed time; empty for those of the disk.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory / 2**30, 1),
        "system": platform.system(),
        "python": platform.python_version(),
        "libraries": {name: version for name in _LIBRARIES if (version := _version(name))},
        "load": round(os.getloadavg()[0], 2),
        "folder": folder_kind(folder),
        "sync_ms": round(sync_ms(folder), 3),
        "sync_simulated_ms": int(sync["BENCH_SYNC_NS"]) / 1e6 if sync else None,
    }


def folder_kind(folder: Path) -> str:
    """Return ``memory`` where the file system of *folder* has no disk under it, else ``disk``."""
    place = folder.resolve()
    mounts = [line.split()[1:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    # Of two at one place the later one hides the other, and sorting keeps their order.
    *_, (_, kind) = sorted((each for each in mounts if place.is_relative_to(each[0])), key=lambda each: len(each[0]))
    return "memory" if kind in _IN_MEMORY else "disk"


def today() -> str:
    """Return the time in UTC, to the second."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _version(library: str) -> str | None:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None


def sync_ms(folder: Path, times: int = 200) -> float:
    """Return the median milliseconds of writing 4 KiB to a file of *folder* and having them on the disk."""
    path, spent = folder / "sync.probe", []
    with path.open("wb") as file:
        for number in range(times):
            os.pwrite(file.fileno(), b"x" * 4096, number * 4096)
            began = time.perf_counter()
            os.fsync(file.fileno())
            spent.append(time.perf_counter() - began)
    path.unlink()
    return median(spent) * 1000


def slow_sync(scratch: Path, milliseconds: float) -> dict[str, str]:
    """Return the variables of a process in which every sync takes so many *milliseconds*; empty where that cannot be.

    A C compiler builds the library that replaces ``fsync`` and ``fdatasync``.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        return {}
    source, library = scratch / "slow_sync.c", scratch / "slow_sync.so"
    source.write_text(_SLOW_SYNC)
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", library, source], check=True)
    return {"LD_PRELOAD": str(library), "BENCH_SYNC_NS": str(int(milliseconds * 1_000_000))}


def cpu_seconds(process: int) -> float:
    """Return the processor time, of the user and the system, that a process has used."""
    times = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(times[_USER_TIME]) + int(times[_SYSTEM_TIME])) / _TICKS


def family_seconds(process: int) -> float:
    """Return the processor time of a process and of all its children, also of those that have ended."""
    total = 0.0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        if int(fields[_PARENT]) == process:
            total += (int(fields[_USER_TIME]) + int(fields[_SYSTEM_TIME])) / _TICKS
        elif path.parent.name == str(process):
            total += sum(map(int, fields[_USER_TIME : _SYSTEM_TIME + 3])) / _TICKS  # its own, and of those that ended
    return total


def memory_mb(process: int) -> float:
    """Return the resident memory of a process."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def allow_many_files() -> None:
    """Raise the limit of open files of this process, which its children inherit, as far as is allowed."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
