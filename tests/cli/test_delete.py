"""``delete`` and ``clear``."""

import asyncio

import pytest

from execution_history.history.bulk_changes import BulkChange, BulkChanges
from tests.cli.conftest import Call, History


def test_one_record_is_deleted(call: Call, history: History) -> None:
    """The others stay."""
    history.keep("run-1")
    history.keep("run-2")
    said = call("delete", "run-1", "--store", "history")
    done, restoring = said.err.splitlines()
    assert (0, "", "Deleted run 'run-1' of workflow 'w'.") == (said.code, said.out, done)
    assert restoring.endswith("bin restore run-1 --store history")
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


def test_all_that_match_are_deleted_and_brought_back(call: Call, history: History) -> None:
    """A dry run counts; the deletion asks nothing, prints how many it removed and the call that undoes it."""
    for number in range(3):
        history.keep(f"bad-{number}", execute_status="failed")
    history.keep("good", execute_status="success")
    said = call("delete", "--status", "failed", "--dry-run", "--store", "history")
    assert (0, "3 runs would be deleted.\n", "") == (said.code, said.out, said.err)
    said = call("delete", "--status", "failed", "--store", "history")
    assert (0, "3 runs deleted.\n") == (said.code, said.out)
    assert ["good"] == [record["execute_id"] for record in history.read("w")]
    undo = said.err.strip().removeprefix("To undo it: execution-history ").split()
    said = call(*undo)
    assert (0, "3 runs restored.\n", "") == (said.code, said.out, said.err)
    assert 4 == len(history.read("w"))
    said = call(*undo)
    assert 2 == said.code
    assert "cannot be undone any more" in said.err


def test_a_deletion_that_is_stopped_says_how_to_undo_it(
    call: Call, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Ctrl-C leaves deleted can be brought back: nothing else tells the id."""
    history.keep("bad", execute_status="failed")
    wait = BulkChanges.wait

    async def stopped(bulk: BulkChanges, change_id: str, seconds: float | None = None) -> BulkChange | None:
        await wait(bulk, change_id, seconds)
        raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr(BulkChanges, "wait", stopped)
        said = call("delete", "--status", "failed", "--store", "history")
    assert 130 == said.code
    undo = said.err.strip().removeprefix("To undo it: execution-history ").split()
    assert "1 run restored.\n" == call(*undo).out
    assert ["bad"] == [record["execute_id"] for record in history.read("w")]


def test_all_that_match_are_tagged(call: Call, history: History) -> None:
    """Every word is a tag then; the report has how many were changed, and how many were so already."""
    for number in range(3):
        history.keep(f"bad-{number}", execute_status="failed")
    call("tag", "bad-1", "seen", "--store", "history")
    change = call("tag", "seen", "--status", "failed", "--workflow", "w", "--json", "--store", "history").json()
    assert ("done", 2, 1) == (change["state"], change["changed"], change["unchanged"])
    assert 3 == call("list", "--tag", "seen", "--json", "--store", "history").json()["total"]


def test_a_call_says_which_runs_it_means(call: Call, history: History) -> None:
    """Neither a run nor filters, both, or nothing to note: nothing is changed, and the code is 2."""
    history.keep("bad-1", execute_status="failed")
    for words in (
        ["delete"],
        ["delete", "bad-1", "--status", "failed"],
        ["delete", "--status", "failed", "--undo", "x"],
        ["tag"],
        ["tag", "--status", "failed"],
    ):
        said = call(*words, "--store", "history")
        assert (2, True) == (said.code, said.err.startswith("Error: Say w")), words
    assert 1 == len(history.read("w"))


def test_a_dry_run_changes_nothing(call: Call, history: History) -> None:
    """Of one run, of a whole workflow or of an undoing: what would be done is named, also as JSON."""
    history.keep("run-1", execute_status="success")
    store = ("--store", "history")
    named = "run 'run-1' of workflow 'w'.\n"
    for words, sentence in (
        (["delete", "run-1"], f"Nothing is changed; it would delete {named}"),
        (["tag", "run-1", "seen", "--pin"], f"Nothing is changed; it would annotate {named}"),
        (["clear", "w"], "Nothing is changed; it would delete the history of workflow 'w' (1 run).\n"),
    ):
        before = history.read("w")
        said = call(*words, "--dry-run", *store)
        assert (0, sentence) == (said.code, said.err), words
        assert call(*words, "--dry-run", "--json", *store).json()["dry_run"] is True
        assert before == history.read("w")
    assert 5 == call("delete", "run-2", "--dry-run", *store).code
    deletion = call("delete", "--status", "success", "--json", *store).json()["id"]
    said = call("delete", "--undo", deletion, "--dry-run", *store)
    assert (0, "Nothing is changed; it would restore 1 run.\n") == (said.code, said.out)
    assert [] == history.read("w")
    assert 0 == call("delete", "--undo", deletion, *store).code
    assert before == history.read("w")


def test_what_is_removed_forever_is_not_in_the_bin(call: Call, history: History) -> None:
    """One run, or a whole workflow; what filters match goes into the bin in any case."""
    for number in range(3):
        history.keep(f"run-{number}", execute_status="success")
    said = call("delete", "run-0", "--forever", "--store", "history")
    assert "Deleted run 'run-0' of workflow 'w'.\n" == said.err
    assert 2 == call("delete", "--status", "success", "--forever", "--store", "history").code
    assert "restore" not in call("clear", "w", "--yes", "--forever", "--store", "history").err
    assert 0 == call("bin", "--json", "--store", "history").json()["total"]
