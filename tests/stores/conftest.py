"""Every contract test runs on every store; adding a store adds a fixture, not tests."""

import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from execution_history.stores import MemoryStore, SQLiteStore
from execution_history.stores.protocol import HistoryStore


@pytest.fixture(params=["memory", "sqlite", "sqlite without files"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[HistoryStore]:
    """An opened, empty store of each kind."""
    made: HistoryStore
    if request.param == "memory":
        made = MemoryStore()
    else:
        made = SQLiteStore(tmp_path / "history", json_files=request.param != "sqlite without files")
    await made.open()
    yield made
    await made.aclose()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small file system can only be mounted by root")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)
