"""Workflows on the command line: named there, shown by name, and taken by name wherever one is asked for."""

import pytest

from tests.cli.conftest import Call, History

_ONE, _TWO = "7000000000000000001", "7000000000000000002"
_STORE = ("--store", "history")


@pytest.fixture
def two(history: History, call: Call) -> History:
    """Two workflows with a run each, one of them with a name."""
    history.keep("run-1", _ONE, execute_status="success", output="sunny")
    history.keep("run-2", _TWO, execute_status="failed", error_message="rain")
    assert call("name", _ONE, "Weather report", "--star", *_STORE).code == 0
    return history


@pytest.mark.usefixtures("two")
def test_a_name_is_shown_and_changed(call: Call) -> None:
    """What is noted about a workflow is shown, as text and as JSON; what a call leaves out stays."""
    said = call("name", "weather report", "--description", "Tells it", "--hide", "--json", *_STORE)
    assert said.json() == {
        "workflow_id": _ONE, "name": "Weather report", "description": "Tells it", "starred": True, "hidden": True,
    }  # fmt: skip
    lines = call("name", "Weather report", *_STORE).out.splitlines()
    assert [line.split(maxsplit=1) for line in lines] == [
        ["Workflow", _ONE], ["Name", "Weather report"], ["Description", "Tells it"], ["Starred", "yes"],
        ["Hidden", "yes"],
    ]  # fmt: skip
    assert call("name", _ONE, "", *_STORE).out.split() == ["Workflow", _ONE, "Description", "Tells", "it",
                                                         "Starred", "yes", "Hidden", "yes"]  # fmt: skip


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize("name", ["Weather report", "WEATHER REPORT", _ONE, "70000001"[-8:]])
def test_a_workflow_is_taken_by_its_name(call: Call, name: str) -> None:
    """By every command that asks for one, as an argument and as an option."""
    name = _ONE[-8:] if name == "70000001" else name
    assert [run["execute_id"] for run in call("list", name, "--json", *_STORE).json()["histories"]] == ["run-1"]
    assert call("list", name, "--status", "failed", "--json", *_STORE).json()["histories"] == []
    assert call("search", "sunny", "--workflow", name, "--json", *_STORE).json()["total"] == 1
    assert call("stats", name, "--json", *_STORE).json()["totals"]["runs"] == 1
    assert call("show", "run-1", "--workflow", name, "--json", *_STORE).json()["workflow_id"] == _ONE
    assert '"run-1"' in call("export", name, *_STORE).out
    assert '"run-2"' not in call("export", name, *_STORE).out


def test_several_of_one_name_are_listed(call: Call, two: History) -> None:
    """A name of several workflows is a wrong call, and the error has their ids."""
    assert call("name", _TWO, "Weather report", *_STORE).code == 0
    said = call("list", "Weather report", *_STORE)
    assert (said.code, said.out) == (2, "")
    assert _ONE in said.err
    assert _TWO in said.err
    assert len(two.read(_TWO)) == 1


@pytest.mark.usefixtures("two")
def test_lists_show_names(call: Call) -> None:
    """Of runs and of workflows, each with the id; starred ones first."""
    assert f"Weather report {_ONE}" in call("list", *_STORE).out
    assert f"Weather report {_ONE}" in call("search", "sunny", *_STORE).out
    assert f"Weather report {_ONE}" in call("show", "run-1", *_STORE).out
    lines = [line.split() for line in call("workflows", *_STORE).out.splitlines()]
    assert lines[0][:3] == ["WORKFLOW", "ID", "RUNS"]
    assert lines[1][:4] == ["★", "Weather", "report", _ONE]
    assert lines[2][:2] == [_TWO, _TWO]
    found = {each["workflow_id"]: each for each in call("workflows", "--json", *_STORE).json()["workflows"]}
    assert (found[_ONE]["name"], found[_ONE]["starred"], found[_TWO]["name"]) == ("Weather report", True, None)


def test_clearing_takes_a_name_and_no_part_of_an_id(call: Call, two: History) -> None:
    """What deletes a whole history is named in full."""
    assert call("clear", _ONE[-8:], "--yes", *_STORE).code == 5
    assert len(two.read(_ONE)) == 1
    assert call("clear", "weather report", "--yes", *_STORE).code == 0
    assert two.read(_ONE) == []


def test_what_cannot_be_a_name_is_one_sentence(call: Call, two: History) -> None:
    """A name that is too long is refused, and the old one stays."""
    said = call("name", _ONE, "x" * 201, *_STORE)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert call("name", _ONE, "--json", *_STORE).json()["name"] == "Weather report"
    assert len(two.read(_ONE)) == 1


def test_looking_at_nothing_makes_nothing(call: Call, history: History) -> None:
    """Asking for a name where there is no history leaves no history there."""
    said = call("name", "w", "--json", *_STORE)
    assert said.json() == {"workflow_id": "w", "name": None, "description": None, "starred": False, "hidden": False}
    assert not history.folder.exists()


@pytest.mark.usefixtures("two")
def test_an_id_as_it_is_shown_in_short_is_taken(call: Call, history: History) -> None:
    """With the dots before or behind it, of a workflow and of a run."""
    history.keep("0190aaaa-0000-7000-8000-0000fa619774", _TWO, execute_status="success")
    for dots in ("…", "..."):
        assert 1 == call("list", f"{dots}{_ONE[-8:]}", "--json", *_STORE).json()["total"]
        for run in (f"{dots}fa619774", f"0190aaaa-0000{dots}"):
            assert call("show", run, "--json", *_STORE).json()["execute_id"].endswith("fa619774"), run


@pytest.mark.usefixtures("two")
def test_names_with_the_text_are_suggested(call: Call) -> None:
    """Where no workflow is called so."""
    assert "Did you mean 'Weather report'?" in call("list", "weather", *_STORE).err
    assert "Did you mean" not in call("list", "nothing", *_STORE).err


@pytest.mark.usefixtures("two")
def test_the_workflow_may_be_an_option_or_an_argument(call: Call) -> None:
    """Of all commands that take one; two different ones are a wrong call."""
    assert 1 == call("list", "--workflow", _ONE, "--json", *_STORE).json()["total"]
    assert 1 == call("list", _ONE, "--workflow", _ONE, "--json", *_STORE).json()["total"]
    assert 1 == call("stats", "--workflow", "weather report", "--json", *_STORE).json()["totals"]["runs"]
    assert '"run-2"' not in call("export", "--workflow", _ONE, *_STORE).out
    said = call("list", _ONE, "--workflow", _TWO, *_STORE)
    assert (2, "") == (said.code, said.out)
    assert "named twice" in said.err


@pytest.mark.usefixtures("two")
def test_a_view_is_exported(call: Call) -> None:
    """As it is listed."""
    assert 0 == call("views", "Bad", "--save", "--status", "failed", *_STORE).code
    assert ["run-2"] == [each["execute_id"] for each in call("export", "--view", "Bad", *_STORE).lines()]


@pytest.mark.usefixtures("two")
def test_words_that_people_try_lead_on(call: Call) -> None:
    """`rename` is `name`, and the overview says which option it has instead of --since."""
    assert 0 == call("rename", _TWO, "Ferry", *_STORE).code
    assert "Ferry" == call("name", _TWO, "--json", *_STORE).json()["name"]
    said = call("overview", "--since", "7d", *_STORE)
    assert (2, True) == (said.code, "--window 24h" in said.err)
