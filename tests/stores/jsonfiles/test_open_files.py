"""Files that are kept open between edits: the same one again, unless it is not what it was."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from execution_history.stores.jsonfiles.file_format import Header
from execution_history.stores.jsonfiles.file_sizes import SIZES
from execution_history.stores.jsonfiles.json_file import JSONFile
from execution_history.stores.jsonfiles.json_file_reader import NotOurs
from execution_history.stores.jsonfiles.open_files import OpenFiles
from execution_history.stores.jsonfiles.rebuild import write_new
from execution_history.stores.mirror_port import FileState
from tests.sample_records import document

_STATE = FileState(1, 7, 1_000)


def _write(folder: Path, workflow_id: str) -> Path:
    path = folder / f"{workflow_id}.json"
    write_new(path, Header(workflow_id, _STATE), [document("e", workflow_id).body])
    return path


@pytest.fixture
def files(tmp_path: Path) -> Iterator[OpenFiles]:
    """The files of an empty folder."""
    opened = OpenFiles(lambda workflow_id: tmp_path / f"{workflow_id}.json", JSONFile.close, SIZES)
    yield opened
    opened.close()


def test_a_file_stays_open_as_long_as_nobody_changes_it(files: OpenFiles, tmp_path: Path) -> None:
    """Whoever asks by its state or without gets the same one."""
    _write(tmp_path, "w")
    file = files.untouched("w")
    assert file is not None
    assert file is files.untouched("w") is files.current("w", _STATE)
    assert _STATE == file.header.state


def test_a_file_that_is_missing_is_none(files: OpenFiles) -> None:
    """It is made anew, or was never there."""
    assert (None, None) == (files.untouched("w"), files.current("w", _STATE))


@pytest.mark.parametrize("was_open", [False, True])
def test_a_file_that_somebody_has_changed_is_not_ours(files: OpenFiles, tmp_path: Path, *, was_open: bool) -> None:
    """When it was open before, too; what stands there later is opened anew."""
    path = _write(tmp_path, "w")
    if was_open:
        files.untouched("w")
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(NotOurs):
        files.untouched("w")
    assert files.current("w", _STATE) is None
    _write(tmp_path, "w")
    assert files.untouched("w") is not None


def test_the_file_of_another_workflow_is_not_ours(files: OpenFiles, tmp_path: Path) -> None:
    """As after somebody has renamed it."""
    _write(tmp_path, "other").rename(tmp_path / "w.json")
    with pytest.raises(NotOurs):
        files.untouched("w")


def test_the_files_that_were_used_last_stay_open(files: OpenFiles, tmp_path: Path) -> None:
    """The others are closed, and opened again when they are asked for."""
    for number in range(200):
        _write(tmp_path, f"w{number}")
    first, used = files.untouched("w0"), files.untouched("w1")
    for number in range(2, 200):
        files.untouched(f"w{number}")
        assert used is files.untouched("w1")
    assert first is not files.untouched("w0")
