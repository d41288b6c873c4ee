"""What every test shares: a clean environment and asyncio as the only event loop."""

import os
import tempfile
from pathlib import Path

import certifi
import pytest

from tests.stores_under_test import clock, place, store

__all__ = ["clock", "place", "store"]

for name in [key for key in os.environ if key.startswith(("EXECUTION_HISTORY_", "COZE_", "SSL_CERT_"))]:
    del os.environ[name]  # the developer's own settings must not reach a test

# Nor must what a test leaves waiting reach the developer's own state.
_state = tempfile.TemporaryDirectory()
os.environ["XDG_STATE_HOME"] = _state.name

# No test calls the internet, but each of thousands of HTTP clients would read all its authorities; one of them will do.
_authority, _end, _ = Path(certifi.where()).read_text("ascii", "replace").partition("-----END CERTIFICATE-----\n")
(Path(_state.name) / "authority.pem").write_text(_authority + _end, "ascii", "replace")
certifi.where = lambda: f"{_state.name}/authority.pem"


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests run on asyncio, the loop our users' applications have."""
    return "asyncio"


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes after their parameter: packed ones have the time in them, and every worker has to name tests alike."""
    return argname if isinstance(val, bytes) and not val.isascii() else None
