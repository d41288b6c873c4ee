"""The store that tests of pages and commands run on: a folder, or with ``--store postgres`` a database.

With that option only tests of what meets a store run, and those that are about a folder and its files are left out.
"""

import hashlib
import shlex
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from tests.postgres_server import PostgresServer

_OPENING: Final = frozenset({"call", "history", "house", "own_house", "shared_web", "site", "web"})
"""The fixtures that open a history in the chosen store."""

_FILES: Final = "it is about the files in a folder"
_INDEX: Final = "it is about the index beside a folder's database, which is behind"
_SHELL: Final = "it calls the command through a shell or a pipe, whatever the store"
_NAMED: Final = "it names its stores by itself"
_LEFT_OUT: Final = {
    "tests/cli/test_app.py::test_the_store_is_chosen_by_option_or_variable": _NAMED,
    "tests/cli/test_app.py::test_what_is_wrong_is_one_sentence_and_a_code[arguments7-": _FILES,
    "tests/cli/test_backup.py": _NAMED,
    "tests/cli/test_copy.py": _NAMED,
    "tests/cli/test_damage.py": _FILES,
    "tests/cli/test_doctor.py": _FILES,
    "tests/cli/test_errors.py::test_a_store_that_cannot_be_used_is_one_sentence": _FILES,
    "tests/cli/test_errors.py::test_a_command_works_without_standard_streams": _SHELL,
    "tests/cli/test_errors.py::test_a_reader_who_leaves_ends_the_command_quietly": _SHELL,
    "tests/cli/test_errors.py::test_colours_are_for_terminals_that_want_them": _SHELL,
    "tests/cli/test_index_lag.py": _INDEX,
    "tests/cli/test_languages.py::test_a_damaged_database_names_the_command_that_helps": _FILES,
    "tests/cli/test_list.py::test_a_folder_in_the_old_format_is_listed": _FILES,
    "tests/cli/test_one_definition.py": _NAMED,
    "tests/cli/test_postgres.py": _NAMED,
    "tests/cli/test_run.py::test_a_reader_who_leaves_does_not_stop_the_recording": _SHELL,
    "tests/cli/test_transfer.py::test_a_pipe_into_a_full_device_is_one_sentence": _SHELL,
    "tests/cli/test_transfer.py::test_a_terminal_shows_how_far_it_has_come": _SHELL,
    "tests/cli/test_transfer.py::test_an_export_that_is_stopped_leaves_nothing": _FILES,
    "tests/cli/test_transfer.py::test_an_export_to_a_full_disk_leaves_what_was_there": _SHELL,
}
"""Tests that would not meet a database, by the beginning of their names, and why."""


class ChosenStore:
    """Where the histories of tests are that name them by a folder."""

    def __init__(self) -> None:
        self.is_folder = True
        self._server: PostgresServer | None = None
        self._places: dict[Path, ExitStack] = {}
        self._locations: dict[Path, str] = {}

    def begin(self, kind: str, server: PostgresServer) -> None:
        """Take *kind*."""
        self.is_folder, self._server = kind == "sqlite", server

    def location(self, folder: Path) -> str:
        """Return the location of the history that is named by *folder*."""
        if self.is_folder:
            return str(folder)
        if folder not in self._locations:
            assert self._server is not None
            stack = self._places[folder] = ExitStack()
            digest = hashlib.sha256(str(folder).encode()).hexdigest()
            self._locations[folder] = stack.enter_context(self._server.new_history(f"test_{digest[:16]}"))
        return self._locations[folder]

    def located(self, arguments: Iterable[str], folder: Path) -> list[str]:
        """Return the arguments of a command that is called in *folder*, with the location where the store is named."""
        found: list[str] = []
        for argument in arguments:
            is_store = found[-1:] == ["--store"] and argument and ":" not in argument and not self.is_folder
            found.append(self.location(folder / argument) if is_store else argument)
        return found

    def named(self, text: str) -> str:
        """Return what a command has said, with the folder's name where it names the location."""
        for folder, location in self._locations.items():
            text = text.replace(shlex.quote(location), folder.name).replace(location, folder.name)
        return text

    def remove(self, above: Path = Path("/")) -> None:
        """Remove the histories that are named by folders in *above*."""
        for folder in [each for each in self._places if each.is_relative_to(above)]:
            self._places.pop(folder).close()
            del self._locations[folder]


CHOSEN: Final = ChosenStore()


@pytest.fixture(scope="session", autouse=True)
def _chosen(request: pytest.FixtureRequest, postgres: PostgresServer) -> Iterator[None]:
    CHOSEN.begin(request.config.getoption("--store"), postgres)
    yield
    CHOSEN.remove()


@pytest.fixture(autouse=True)
def _removed(request: pytest.FixtureRequest) -> Iterator[None]:
    folder = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    yield
    if folder is not None:
        CHOSEN.remove(folder)


def choose_tests(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that would not meet the store that ``--store`` chooses."""
    if config.getoption("--store") == "sqlite":
        return
    chosen: list[pytest.Item] = []
    others: list[pytest.Item] = []
    for item in items:
        (chosen if _OPENING & set(getattr(item, "fixturenames", ())) else others).append(item)
        for name, reason in _LEFT_OUT.items():
            if item.nodeid.startswith(name):
                item.add_marker(pytest.mark.skip(reason=reason))
    config.hook.pytest_deselected(items=others)
    items[:] = chosen
