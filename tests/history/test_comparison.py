"""Comparing stored runs, and finding the last success by itself."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from execution_history.errors import ExecutionNotFound, InvalidIdentifier, InvalidInput
from execution_history.history.annotations import Annotation, annotate_execution
from execution_history.history.comparison import Run, compare_executions, compare_with_last_success
from execution_history.stores import MemoryStore, SQLiteStore
from execution_history.stores.protocol import HistoryStore
from tests.sample_records import change, document

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[HistoryStore]:
    """An empty store of each kind, not yet opened."""
    made: HistoryStore = MemoryStore() if request.param == "memory" else SQLiteStore(tmp_path / "history")
    await made.open()
    yield made
    await made.aclose()


async def run(store: HistoryStore, execute_id: str, now: int, status: str | None, workflow_id: str = "w") -> None:
    """A run that has ended so, with its id as output."""
    await store.create(document(execute_id, workflow_id, now))
    if status is not None:
        await store.update(workflow_id, execute_id, change(now + 10, status, output={"id": execute_id}))


async def test_two_runs_are_compared_by_their_ids(store: HistoryStore) -> None:
    """The execute id is enough where it is the only one; workflows may differ."""
    await run(store, "a", 1_000, "success")
    await run(store, "b", 2_000, "failed", "v")

    found = await compare_executions(store, Run("a"), Run("b", "v"))

    assert ("a", "b") == (found.old.execute_id, found.new.execute_id)
    assert ["output.id"] == [each.path for each in found.output]
    assert ["workflow_id"] == [each.path for each in found.settings]


async def test_the_last_success_is_found(store: HistoryStore) -> None:
    """Later successes, failures between and other workflows do not count."""
    await run(store, "long ago", 1_000, "success")
    await run(store, "nearest", 2_000, "success")
    await run(store, "failure", 3_000, "failed")
    await run(store, "elsewhere", 3_500, "success", "v")
    await run(store, "asked", 4_000, "failed")
    await run(store, "later", 5_000, "success")

    found = await compare_with_last_success(store, Run("asked"))

    assert ("nearest", "asked") == (found.old.execute_id, found.new.execute_id)


async def test_of_one_millisecond_the_one_that_came_first_is_earlier(store: HistoryStore) -> None:
    """Runs that began at the same time are told apart by their arrival."""
    await run(store, "first", 1_000, "success")
    await run(store, "asked", 1_000, "success")
    for number in range(30):
        await run(store, f"behind {number}", 1_000, "success")

    assert "first" == (await compare_with_last_success(store, Run("asked", "w"))).old.execute_id
    assert "behind 28" == (await compare_with_last_success(store, Run("behind 29", "w"))).old.execute_id


async def test_without_an_earlier_success_that_is_said(store: HistoryStore) -> None:
    """The error names the workflow and what to do."""
    await run(store, "asked", 1_000, "success")
    await run(store, "later", 2_000, "success")

    with pytest.raises(ExecutionNotFound, match=r"'w' has no successful run before 'asked': compare with"):
        await compare_with_last_success(store, Run("asked"))


async def test_a_missing_run_is_named(store: HistoryStore) -> None:
    """Whichever of the two it is."""
    await run(store, "a", 1_000, "success")

    with pytest.raises(ExecutionNotFound, match="There is no run 'b'"):
        await compare_executions(store, Run("a"), Run("b"))
    with pytest.raises(ExecutionNotFound, match="Workflow 'v' has no run 'a'"):
        await compare_executions(store, Run("a", "v"), Run("a"))
    with pytest.raises(InvalidIdentifier):
        await compare_executions(store, Run("a"), Run(""))


async def test_an_id_that_several_workflows_have_needs_its_workflow(store: HistoryStore) -> None:
    """The error names the workflows to choose from."""
    await run(store, "a", 1_000, "success")
    await run(store, "a", 2_000, "success", "v")

    with pytest.raises(InvalidInput, match="Several workflows have a run 'a': name one of 'v', 'w'"):
        await compare_executions(store, Run("a"), Run("a", "w"))


async def test_a_note_does_not_make_a_run_longer(store: HistoryStore) -> None:
    """A run that is tagged a day later took as long as it took."""
    await run(store, "a", 1_000, "success")
    await run(store, "b", 2_000, "success")
    await annotate_execution(store, "w", "b", Annotation(add_tags=("late",)), clock=lambda: 86_400_000)

    found = await compare_with_last_success(store, Run("b"))

    assert (10, 10, 0) == (found.duration.old, found.duration.new, found.duration.difference)
    assert () == found.settings
