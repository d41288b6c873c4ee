"""``delete`` and ``clear``."""

from tests.cli.conftest import Call, History


def test_one_record_is_deleted(call: Call, history: History) -> None:
    """The others stay."""
    history.keep("run-1")
    history.keep("run-2")
    said = call("delete", "run-1", "--store", "history")
    assert (0, "", "Deleted run 'run-1' of workflow 'w'.\n") == (said.code, said.out, said.err)
    assert ["run-2"] == [record["execute_id"] for record in history.read("w")]


def test_a_deletion_as_json(call: Call, history: History) -> None:
    """What was deleted, in one document."""
    history.keep("run-1")
    said = call("delete", "run-1", "--json", "--store", "history")
    assert {"workflow_id": "w", "execute_id": "run-1", "deleted": 1} == said.json()


def test_what_is_not_there_cannot_be_deleted(call: Call, history: History) -> None:
    """The code is 5 for a run and for a workflow."""
    history.keep("run-1")
    assert 5 == call("delete", "run-2", "--store", "history").code
    said = call("clear", "v", "--yes", "--store", "history")
    assert (5, "Error: Workflow 'v' has no history in history.\n") == (said.code, said.err)


def test_a_workflow_is_cleared(call: Call, history: History) -> None:
    """All its records go, those of others stay."""
    history.keep("run-1", "w")
    history.keep("run-2", "w")
    history.keep("run-1", "v")
    said = call("clear", "w", "--yes", "--json", "--store", "history")
    assert {"workflow_id": "w", "deleted": 2} == said.json()
    assert (0, 1) == (len(history.read("w")), len(history.read("v")))


def test_clearing_is_not_done_where_nobody_can_be_asked(call: Call, history: History) -> None:
    """Without a terminal and without --yes nothing is deleted."""
    history.keep()
    said = call("clear", "w", "--store", "history")
    assert 2 == said.code
    assert "add --yes" in said.err
    assert 1 == len(history.read("w"))
