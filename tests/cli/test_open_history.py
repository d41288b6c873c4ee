"""Which run is meant by what people write: a whole id, its beginning, or the id at Coze."""

import pytest

from tests.cli.conftest import Call, History

_STORE = ("--store", "history")
_FIRST, _SECOND = "01a212e1-889a-7366-89be-5c037de2cedc", "01a212e1-884e-7301-bf8b-7e00f30756d6"


@pytest.fixture
def two(history: History) -> History:
    """Two runs of one minute, the second with an id at Coze and an end."""
    history.keep(_FIRST, "w", execute_status="success", output="first")
    history.keep(_SECOND, "w", execute_status="success", output="second", begun_with={"coze_execute_id": "7531347208"})
    return history


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize(
    "words",
    [[_SECOND[:13]], [_SECOND[:-1]], ["7531347208"], [_SECOND[:13], "--workflow", "w"], [_SECOND[-8:]], [_SECOND[1:]]],
)
def test_a_part_of_an_id_is_enough(call: Call, words: list[str]) -> None:
    """To show, note, compare and delete a run: its beginning or its end, which lists show; so is the id at Coze."""
    assert _SECOND == call("show", *words, "--json", *_STORE).json()["execute_id"]
    assert _SECOND == call("tag", *words, "seen", "--json", *_STORE).json()["execute_id"]
    assert _SECOND == call("diff", _FIRST[:13], words[0], "--json", *_STORE).json()["new"]["execute_id"]
    assert call("delete", *words, *_STORE).err.startswith(f"Deleted run '{_SECOND}' of workflow 'w'.\n")


@pytest.mark.parametrize("command", [["show"], ["delete"], ["tag"], ["diff"], ["resume"]])
def test_a_beginning_of_several_is_refused_with_all_of_them(call: Call, two: History, command: list[str]) -> None:
    """It is a wrong call, and nothing is done."""
    said = call(*command, _FIRST[:8], *(["Paris"] if command == ["resume"] else []), *_STORE)
    lines = [f"  {each}  2023-11-14 22:13:20  success  w\n" for each in (_SECOND, _FIRST)]
    sentence = "Error: '01a212e1' matches several runs; write more of the id:\n"
    assert (2, "", sentence + "".join(lines)) == (said.code, said.out, said.err)
    assert 2 == len(two.read("w"))


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize("workflow", [[], ["--workflow", "w"]])
@pytest.mark.parametrize("beginning", [_FIRST[:7], "01a212e2", "%", "_" * 36, "x" * 2_000])
def test_what_no_run_begins_with_is_not_there(call: Call, beginning: str, workflow: list[str]) -> None:
    """Nor is less than eight characters of an id."""
    assert 5 == call("show", beginning, *workflow, *_STORE).code


def test_less_than_a_beginning_is_told_so(call: Call, two: History) -> None:
    """The sentence says how much of an id is needed."""
    del two
    assert "the beginning of an id needs at least 8 characters" in call("show", _FIRST[:7], *_STORE).err


def test_a_whole_id_is_never_the_beginning_of_another(call: Call, history: History) -> None:
    """It means the run that has it."""
    history.keep("nightly-1")
    history.keep("nightly-10")
    assert "nightly-1" == call("show", "nightly-1", "--json", *_STORE).json()["execute_id"]
