"""What a program loads by importing this package, and what a command loads to do its work: nothing it does not need."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import execution_history
from execution_history import coze

_REPORT = """
import json, sys
before = set(sys.modules)
try:
    {program}
except SystemExit as ended:
    assert not ended.code, ended.code
print("\\n" + json.dumps(sorted(set(sys.modules) - before)))
"""

_ROOT = {"execution_history", "execution_history.lazy_names"}

_RECORDS = {"orjson", "uuid_utils"}
_STORE = _RECORDS | {"apsw", "zstandard", "backports"}
_SETTINGS = {"annotated_types", "dotenv", "pydantic", "pydantic_core", "pydantic_settings", "typing_extensions",
             "typing_inspection"}  # fmt: skip
_TERMINAL = {"annotated_doc", "click", "colorama", "markupsafe", "orjson", "rich", "shellingham", "typer",
             "typing_extensions", "tzdata", "tzlocal", "uuid_utils"}  # fmt: skip
_COMMAND = _TERMINAL | _SETTINGS | _STORE
_HELP = _TERMINAL | _SETTINGS | {"attr", "attrs", "markdown_it", "mdurl", "pygments"}

_PACKAGES = {
    "import execution_history": set[str](),
    "from execution_history import ExecutionHistoryError": set[str](),
    "from execution_history import run_sync": set[str](),
    "from execution_history import current_run, record, recorded": _RECORDS,
    "from execution_history import ExecutionRecord, HistoryPage, ExecutionHistoryService": _RECORDS,
    "from execution_history import ExecutionHistoryService; ExecutionHistoryService('history')": _STORE,
}
"""The packages of others that a program may load."""

_CALLS = {
    "--version": _TERMINAL | _SETTINGS,
    "--help": _HELP,
    "list --help": _HELP,
    "list": _COMMAND,
    "list --json": _COMMAND,
    "workflows": _COMMAND,
    "show run-00000001": _COMMAND,
    "list --status failed": _COMMAND,
    "stats": _COMMAND,
    "search words": _COMMAND,
}
"""The packages of others that a command may load."""

_LISTS_WITHOUT = {
    "execution_history.application",
    "execution_history.coze",
    "execution_history.functions",
    "execution_history.history.annotations",
    "execution_history.history.diff",
    "execution_history.history.live_feed",
    "execution_history.query.text",
    "execution_history.sandbox",
    "execution_history.stores.memory.store",
    "execution_history.stores.sqlite.index",
    "execution_history.transfer",
    "execution_history.web",
    "typer.rich_utils",
}
"""Rooms and modules that a plain list does without."""


def _loaded(program: str, folder: Path) -> set[str]:
    """Return the modules that *program* loads in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", _REPORT.format(program=program)],
        cwd=folder, capture_output=True, text=True, timeout=120, check=True, env={**os.environ, "COLUMNS": "80"},
    )  # fmt: skip
    return set(json.loads(done.stdout.splitlines()[-1]))


def _called(call: str, folder: Path) -> set[str]:
    return _loaded(f"from execution_history.cli import main; main({call.split()!r})", folder)


def _packages(modules: set[str]) -> set[str]:
    """Return the packages of others among *modules*; a name with an underscore is a part of one, or of Python."""
    names = {name.partition(".")[0] for name in modules if not name.startswith("_")}
    return names - sys.stdlib_module_names - {"execution_history"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a history of one run, in its usual place."""
    folder = tmp_path_factory.mktemp("programs")
    program = (
        "import asyncio, execution_history as e; "
        "asyncio.run(e.ExecutionHistoryService().create_execution_record('w', 'run-00000001'))"
    )
    subprocess.run([sys.executable, "-c", program], cwd=folder, timeout=120, check=True)
    return folder


def test_importing_the_package_loads_the_table_of_its_names_only(folder: Path) -> None:
    """Whatever else there is comes with its first use."""
    assert {name for name in _loaded("import execution_history", folder) if "execution" in name} == _ROOT


@pytest.mark.parametrize("program", _PACKAGES)
def test_a_program_loads_the_packages_that_it_uses(program: str, folder: Path) -> None:
    """Who records functions, or opens a folder, waits for no settings, no terminal and no web framework."""
    assert set() == _packages(_loaded(program, folder)) - _PACKAGES[program]


@pytest.mark.parametrize("program", ["recording_transport", "async_recording_transport"])
def test_who_records_calls_loads_httpx_and_no_server(program: str, folder: Path) -> None:
    """Nor the gateway's own client."""
    loaded = _packages(_loaded(f"from execution_history import {program}", folder))
    assert "httpx" in loaded
    assert not loaded & {"aiohttp", "apsw", "cozepy", "fastapi", "starlette", "typer", "uvicorn", "uvloop"}


@pytest.mark.parametrize("call", _CALLS)
def test_a_command_loads_the_packages_that_it_uses(call: str, folder: Path) -> None:
    """A list or a help text waits for no web framework and no HTTP client."""
    assert set() == _packages(_called(call, folder)) - _CALLS[call]


def test_a_plain_list_loads_no_room_that_it_does_not_enter(folder: Path) -> None:
    """No index, no search, no other store; typer's help neither."""
    assert not _LISTS_WITHOUT & _called("list", folder)


def test_only_servers_load_the_client_and_the_event_loop_of_servers(folder: Path) -> None:
    """A run that is called on the command line, and recorded, goes through httpx on asyncio."""
    loaded = _packages(_called("run 7000000000000000001 --sandbox", folder))
    assert not loaded & {"aiohttp", "uvloop"}


def test_every_name_of_the_package_is_there() -> None:
    """In ``dir()`` too; a name that is not there raises as it does everywhere."""
    for package in (execution_history, execution_history.functions, execution_history.stores, coze):
        names = package.__all__
        assert all(getattr(package, name) is not None for name in names)
        assert set(names) <= set(dir(package))
        with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
            package.nothing  # noqa: B018 - looking it up is the test
