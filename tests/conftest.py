"""What every test shares: a clean environment and asyncio as the only event loop."""

import gc
import os
import tempfile
from pathlib import Path

import certifi
import pytest

from tests.chosen_store import _chosen, _removed, choose_tests
from tests.examples import register_profiles
from tests.postgres_server import postgres, postgres_url
from tests.stores_under_test import clock, place, store

_SHORT = tuple(
    f"tests/{name}" for name in ("coze/protocol", "presentation", "query", "records", "sandbox", "test_", "transfer")
)
"""Where no module takes long: last, so that no process waits long for another's."""

__all__ = ["_chosen", "_removed", "clock", "place", "postgres", "postgres_url", "store"]

for name in [key for key in os.environ if key.startswith(("EXECUTION_HISTORY_", "COZE_", "SSL_CERT_"))]:
    del os.environ[name]  # the developer's own settings must not reach a test

register_profiles()

# Ten thousand tests are a million objects, which a collector would go through again and again; see below.
gc.disable()

# Nor must what a test leaves waiting reach the developer's own state.
_state = tempfile.TemporaryDirectory()
os.environ["XDG_STATE_HOME"] = _state.name

# No test calls the internet, but each of thousands of HTTP clients would read all its authorities; one of them will do.
_authority, _end, _ = Path(certifi.where()).read_text("ascii", "replace").partition("-----END CERTIFICATE-----\n")
(Path(_state.name) / "authority.pem").write_text(_authority + _end, "ascii", "replace")
certifi.where = lambda: f"{_state.name}/authority.pem"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Choose the store of the tests of pages and commands, and the PostgreSQL server."""
    parser.addoption(
        "--store",
        choices=["sqlite", "postgres"],
        default="sqlite",
        help="the store that the tests of pages and commands run on; with postgres, no others run",
    )
    parser.addoption(
        "--postgres",
        metavar="URL",
        help="the database to make histories in (postgresql://user@host/database); by default on a server of its own",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what does not meet the chosen store, and put last what takes little time."""
    choose_tests(config, items)
    items.sort(key=lambda item: item.nodeid.startswith(_SHORT))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Leave the tests themselves out of all garbage collections from here on."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests run on asyncio, the loop our users' applications have."""
    return "asyncio"


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes after their parameter: packed ones have the time in them, and every worker has to name tests alike."""
    return argname if isinstance(val, bytes) and not val.isascii() else None
