"""``show --trace``: the runs around a run and within it."""

import pytest

from execution_history.cli.output import Output
from tests.cli.conftest import Call, History


@pytest.fixture
def family(history: History) -> History:
    """A run with two within it, one of them with one of its own that failed."""
    history.keep("root-0001", "agent", after=12_400, execute_status="success")
    within = {"workflow_id": "agent", "execute_id": "root-0001"}
    history.keep("child-001", "search", begun_with={"parent": within}, after=700, execute_status="success")
    history.keep("child-002", "write", begun_with={"parent": within}, after=3_000, execute_status="success")
    history.keep(
        "inner-001", "model", begun_with={"parent": "child-002"}, after=50, execute_status="failed",
        error_message="out of memory",
    )  # fmt: skip
    return history


@pytest.mark.usefixtures("family")
def test_the_tree_is_indented_with_statuses_and_durations(call: Call) -> None:
    """Each run stands before those within it; the one that was named is marked, a failure says why."""
    said = call("show", "child-002", "--trace", "--store", "history")
    assert (0, "") == (said.code, said.err)
    lines = said.out.splitlines()
    assert ["agent", "  search", "  write", "    model"] == [line.rstrip() for line in
        (each.partition("●")[0].partition("✕")[0] for each in lines[:4])]  # fmt: skip
    assert "← child-002" in lines[2]
    assert "12.4 s" in lines[0]
    assert "out of memory" == lines[4].strip()
    assert max(map(len, lines)) <= 80


@pytest.mark.usefixtures("family")
def test_the_tree_as_json(call: Call) -> None:
    """As over HTTP, without the sign of success."""
    found = call("show", "inner-001", "--trace", "--json", "--store", "history").json()
    assert [("root-0001", 0, None), ("child-001", 1, "root-0001"), ("child-002", 1, "root-0001"),
            ("inner-001", 2, "child-002")] == [
        (run["execute_id"], run["depth"], run["parent"]) for run in found["runs"]
    ]  # fmt: skip
    assert ["root-0001", "child-002", "inner-001"] == [run["execute_id"] for run in found["path"]]


def test_a_run_alone_says_so(call: Call, history: History) -> None:
    """No other run is around it or within it."""
    history.keep("alone-001", execute_status="success")
    said = call("show", "alone-001", "--trace", "--store", "history")
    assert "No run is recorded around this one" in said.err
    assert 1 == len(said.out.splitlines())


def test_a_parent_without_a_record_is_named(call: Call, history: History) -> None:
    """It may have been deleted."""
    history.keep("orphan-001", begun_with={"parent": {"workflow_id": "w", "execute_id": "lost-0001"}})
    assert "lost-0001" in call("show", "orphan-001", "--trace", "--store", "history").err


def test_a_narrow_terminal_has_short_ids_in_full(call: Call, history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    """No column is empty, and the eight characters of an id are there to be taken into the next call."""
    root, child = "0190aaaa-0000-7000-8000-0000fa619774", "0190aaaa-0001-7000-8000-00008bad7dec"
    history.keep(root, "a workflow with a long name", after=12_400, execute_status="success")
    history.keep(child, "another workflow of a long name", begun_with={"parent": root}, after=700)
    monkeypatch.setattr(Output, "width", 60)
    lines = call("show", "…8bad7dec", "--trace", "--store", "history").out.splitlines()
    assert ["…fa619774", "…8bad7dec"] == [line.split()[-1] for line in lines]
    assert max(map(len, lines)) <= 60
