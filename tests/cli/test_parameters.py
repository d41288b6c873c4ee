"""Parameters: what is sent is what was given, or nothing is."""

import sys
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from execution_history.cli.run import read_parameters
from execution_history.cli.session import CommandFailed, ExitCode
from execution_history.records.encoding import encode
from execution_history.records.json_text import read_json
from tests.cli.conftest import Call, History

SHORT = "7000000000000000001"
MOST = 253
Given = Callable[[Path, int], tuple[str | None, list[str]]]


def nested(levels: int) -> str:
    """JSON of so many objects in each other."""
    return '{"a":' * levels + "1" + "}" * levels


def in_file(folder: Path, levels: int) -> tuple[str | None, list[str]]:
    """A file of so many levels."""
    (folder / "deep.json").write_text(nested(levels))
    return str(folder / "deep.json"), []


def in_assignment(folder: Path, levels: int) -> tuple[str | None, list[str]]:
    """One parameter that makes so many levels of the object that has it."""
    del folder
    return None, [f"a={nested(levels - 1)}"]


@pytest.mark.parametrize("given", [in_file, in_assignment])
@pytest.mark.parametrize("levels", [1 + 1, 129, MOST])
def test_deep_parameters_are_sent_as_they_were_given(tmp_path: Path, given: Given, levels: int) -> None:
    """Also where a record keeps only the text of what lies deeper, and after the way through the request."""
    parameters = read_parameters(*given(tmp_path, levels))
    assert nested(levels).encode() == orjson.dumps(parameters)
    assert (parameters,) == tuple(read_json(encode((parameters,))))


@pytest.mark.parametrize("given", [in_file, in_assignment])
@pytest.mark.parametrize("levels", [MOST + 1, 2_000, 100_000])
def test_parameters_that_are_too_deep_to_be_sent_are_refused(tmp_path: Path, given: Given, levels: int) -> None:
    """The sentence has the number of levels that can be sent, and a deep text that is no JSON stays a text."""
    with pytest.raises(CommandFailed, match=f"nested too deeply to be sent: at most {MOST} levels") as refused:
        read_parameters(*given(tmp_path, levels))
    assert ExitCode.WRONG_CALL == refused.value.code
    assert {"a": "[" * levels} == read_parameters(None, [f"a={'[' * levels}"])


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("C.UTF-8", "The parameters are nested too deeply to be sent: at most 253 levels of lists and objects.\n"),
        ("zh_CN.UTF-8", "参数嵌套太深，无法发送：列表和对象最多 253 层。\n"),
    ],
)
def test_a_run_of_such_parameters_ends_with_2(
    call: Call, history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str, sentence: str
) -> None:
    """Before anything is sent or recorded."""
    monkeypatch.setenv("LANG", language)
    file, _ = in_file(tmp_path, sys.getrecursionlimit() * 2)
    said = call("run", SHORT, "--parameters-file", str(file), "--sandbox", "--store", "history")
    assert (2, "", True) == (said.code, said.out, said.err.endswith(sentence))
    assert not history.folder.exists()
