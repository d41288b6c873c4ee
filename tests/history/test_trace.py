"""Runs within runs as a tree, whatever their parents are."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from execution_history import ExecutionHistoryService, record
from execution_history.errors import ExecutionNotFound
from execution_history.history.trace import MOST_LEVELS, Trace
from execution_history.query.model import RecordKey
from execution_history.records.record import RecordChange, new_document

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["memory", "sqlite"])
async def service(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ExecutionHistoryService]:
    """A service on a store that looks through all records, and on one with an index."""
    async with ExecutionHistoryService("memory:" if request.param == "memory" else tmp_path / "history") as opened:
        yield opened


async def _keep(
    service: ExecutionHistoryService, execute_id: str, parent: Any = None, workflow_id: str = "w", at: int = 1_000
) -> None:
    metadata = {} if parent is None else {"parent": parent}
    document = new_document(workflow_id=workflow_id, execute_id=execute_id, now=at, metadata=metadata)
    await service.store.create(document)


def _lines(trace: Trace) -> list[str]:
    return ["  " * run.depth + run.execute_id for run in trace.runs]


async def test_a_tree_is_the_same_from_each_of_its_runs(service: ExecutionHistoryService) -> None:
    """Whichever run is asked for: each run stands before those within it, in the order in which they began."""
    await _keep(service, "root")
    await _keep(service, "second", {"workflow_id": "w", "execute_id": "root"}, "v", at=3_000)
    await _keep(service, "first", "root", at=2_000)
    await _keep(service, "inner", {"workflow_id": "v", "execute_id": "second"}, at=4_000)
    await _keep(service, "other")
    await service.follow_index()
    expected = ["root", "  first", "  second", "    inner"]
    for workflow_id, execute_id, path in (
        ("w", "root", ["root"]), ("w", "first", ["root", "first"]), ("w", "inner", ["root", "second", "inner"]),
    ):  # fmt: skip
        trace = await service.trace(workflow_id, execute_id)
        assert expected == _lines(trace)
        assert path == [run.execute_id for run in trace.path]
        assert trace.run.execute_id == execute_id
    assert [2, 0, 1, 0] == [run.children for run in trace.runs]
    assert ["root", "root", "second"] == [run.parent for run in trace.runs[1:]]
    assert (await service.trace("w", "other")).is_single


async def test_runs_of_one_millisecond_stand_in_the_order_in_which_they_were_created(
    service: ExecutionHistoryService,
) -> None:
    """Also where the tree is asked for by one of them, which is read before the others."""
    await _keep(service, "root")
    names = ["d", "b", "e", "a", "c"]
    for name in names:
        await _keep(service, name, "root", at=2_000)
    await service.follow_index()
    for name in ("root", *names):
        assert ["root", *(f"  {each}" for each in names)] == _lines(await service.trace("w", name))


async def test_recorded_functions_make_a_tree() -> None:
    """What begins inside a recorded block is within its run."""
    service = ExecutionHistoryService("memory:")
    with record("outer", service=service) as outer:
        with record("inner", service=service):
            pass
        with record("inner", service=service):
            pass
    trace = await service.trace("outer", outer.execute_id)
    assert ["outer", "inner", "inner"] == [run.workflow_id for run in trace.runs]
    assert [0, 1, 1] == [run.depth for run in trace.runs]


async def test_a_parent_without_a_record_is_named(service: ExecutionHistoryService) -> None:
    """The run is then the outermost there is."""
    await _keep(service, "child", {"workflow_id": "gone", "execute_id": "lost"})
    await _keep(service, "nameless", "lost")
    trace = await service.trace("w", "child")
    assert trace.missing_parent == ("gone", "lost")
    assert trace.to_json()["missing_parent"] == {"workflow_id": "gone", "execute_id": "lost"}
    assert (await service.trace("w", "nameless")).missing_parent == (None, "lost")
    assert not trace.is_single


@pytest.mark.parametrize("parents", [{"a": "a"}, {"a": "b", "b": "a"}, {"a": "b", "b": "c", "c": "b"}])
async def test_parents_that_lead_round_in_a_circle(service: ExecutionHistoryService, parents: dict[str, str]) -> None:
    """Each run is there once, and the answer says that none is the outermost."""
    for execute_id, parent in parents.items():
        await _keep(service, execute_id, parent)
    await service.follow_index()
    trace = await service.trace("w", "a")
    assert trace.is_circular
    assert sorted(parents) == sorted(run.execute_id for run in trace.runs)


async def test_a_run_of_another_workflow_with_the_id_of_a_parent_is_none(service: ExecutionHistoryService) -> None:
    """Where the parent's workflow is named, a run of another one with the same id has no child."""
    await _keep(service, "same", workflow_id="a")
    await _keep(service, "same", workflow_id="b")
    await _keep(service, "child", {"workflow_id": "a", "execute_id": "same"})
    await service.follow_index()
    assert ["same", "  child"] == _lines(await service.trace("a", "same"))
    assert ["same"] == _lines(await service.trace("b", "same"))


async def test_what_is_beyond_the_limit_is_counted(service: ExecutionHistoryService) -> None:
    """The run, what is around it and within it come first; the rest says how much it is."""
    await _keep(service, "root")
    for number in range(12):
        await _keep(service, f"child-{number}", "root", at=2_000 + number)
    await _keep(service, "inner", "child-11", at=3_000)
    await service.follow_index()
    trace = await service.trace("w", "child-11", limit=6)
    assert ["root", "  child-0", "  child-1", "  child-2", "  child-11", "    inner"] == _lines(trace)
    assert trace.left_out == 8
    whole = await service.trace("w", "root")
    assert (len(whole.runs), whole.left_out) == (14, 0)


async def test_more_runs_within_one_than_a_page_has(service: ExecutionHistoryService) -> None:
    """All are read, page after page, and counted by one number each."""
    await _keep(service, "root")
    await _keep(service, "small")
    for number in range(230):
        await _keep(service, f"child-{number:03}", "root", at=2_000 + number)
    await _keep(service, "only", "small", at=9_000)
    await service.follow_index()
    trace = await service.trace("w", "root")
    assert ["root", *(f"  child-{number:03}" for number in range(230))] == _lines(trace)
    counts = await service.count_children([("w", "root"), ("w", "small"), ("w", "only")])
    assert counts == {RecordKey("w", "root"): 230, RecordKey("w", "small"): 1}


async def test_a_chain_that_is_too_deep_ends(service: ExecutionHistoryService) -> None:
    """From the outermost and from the innermost run so many levels are read; the rest is left out."""
    for number in range(MOST_LEVELS + 20):
        await _keep(service, f"run-{number}", f"run-{number - 1}" if number else None, at=1_000 + number)
    await service.follow_index()
    down = await service.trace("w", "run-0")
    assert (len(down.runs), down.left_out) == (MOST_LEVELS + 1, 1)
    up = await service.trace("w", f"run-{MOST_LEVELS + 19}")
    assert len(up.path) == MOST_LEVELS + 1
    assert up.left_out == 1


async def test_odd_parents_are_none(service: ExecutionHistoryService) -> None:
    """What is no id names no run: such a run stands alone."""
    for number, parent in enumerate(({}, [], True, "", {"execute_id": 1.5}, {"execute_id": None})):
        await _keep(service, f"run-{number}", parent)
        assert (await service.trace("w", f"run-{number}")).is_single


async def test_a_run_that_is_not_there(service: ExecutionHistoryService) -> None:
    """Asking for the tree of no run is an error that names it."""
    with pytest.raises(ExecutionNotFound, match="nothing"):
        await service.trace("w", "nothing")


async def test_times_of_a_tree_are_those_of_its_records(service: ExecutionHistoryService) -> None:
    """A run that waited for an answer worked for less time than from its beginning to its end."""
    await _keep(service, "root")
    change = RecordChange.of(61_000, "success", {"answers": [{"asked_at": 11_000, "at": 51_000}]})
    await service.store.update("w", "root", change)
    root = (await service.trace("w", "root")).root
    assert (root.end_time, root.duration_ms, root.waited_ms) == (61_000, 20_000, 40_000)
