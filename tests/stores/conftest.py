"""Every contract test runs on every store and configuration."""

import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from execution_history.stores import store_at
from execution_history.stores.protocol import HistoryStore
from tests.postgres_server import PostgresServer
from tests.stores_under_test import KINDS, VARIANTS, Clock


@pytest.fixture(params=VARIANTS)
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, postgres: PostgresServer, clock: Clock
) -> AsyncIterator[HistoryStore]:
    """An opened, empty store of each kind, in each configuration."""
    kind, options = VARIANTS[request.param]
    with KINDS[kind](tmp_path / "history", postgres) as location:
        made = store_at(location, clock=clock, **options)
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
