"""A value that is no text where an id belongs is an error that says so, never an answer about nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from execution_history import ExecutionHistoryService, record, recorded
from execution_history.errors import InvalidIdentifier, InvalidInput, InvalidQuery
from execution_history.history.annotations import Annotation
from execution_history.history.comparison import Run
from execution_history.query.fields import RecordFilter

pytestmark = pytest.mark.anyio

_NO_IDS: tuple[Any, ...] = (123, 7_321_000_000_000_000_001, 1.5, True, b"w", ["w"], object())

_Call = Callable[[ExecutionHistoryService, Any], Awaitable[object]]

_CALLS: dict[str, _Call] = {
    "create": lambda service, odd: service.create_execution_record(odd),
    "create with an id": lambda service, odd: service.create_execution_record("w", odd),
    "update": lambda service, odd: service.update_execution_record(odd, "e", "success"),
    "update of an id": lambda service, odd: service.update_execution_record("w", odd, "success"),
    "history": lambda service, odd: service.get_execution_history(odd),
    "filtered history": lambda service, odd: service.get_execution_history(odd, status="failed"),
    "bytes of a page": lambda service, odd: service.page_bytes(odd),
    "detail": lambda service, odd: service.get_execution_detail(odd, "e"),
    "detail of an id": lambda service, odd: service.get_execution_detail("w", odd),
    "bytes of a record": lambda service, odd: service.detail_bytes("w", odd),
    "delete": lambda service, odd: service.delete_execution_record(odd, "e"),
    "delete an id": lambda service, odd: service.delete_execution_record("w", odd),
    "delete several": lambda service, odd: service.delete_execution_records([("w", "e"), ("w", odd)]),
    "annotate several": lambda service, odd: service.annotate_many([("w", "e"), ("w", odd)], Annotation(pinned=True)),
    "clear": lambda service, odd: service.clear_workflow_history(odd),
    "annotate": lambda service, odd: service.annotate(odd, "e", Annotation(pinned=True)),
    "annotate an id": lambda service, odd: service.annotate("w", odd, Annotation(pinned=True)),
    "compare": lambda service, odd: service.compare(Run(odd, "w"), Run("e", "w")),
    "compare with": lambda service, odd: service.compare_with_last_success(Run(odd)),
    "follow": lambda service, odd: asyncio.sleep(0, service.follow(workflow_ids=["w", odd])),
}

_FOR_NONE = {"history", "filtered history", "bytes of a page", "create with an id"}


@pytest.mark.parametrize("call", _CALLS)
@pytest.mark.parametrize("odd", _NO_IDS, ids=lambda odd: type(odd).__name__)
async def test_the_service_refuses_it(call: str, odd: Any) -> None:
    """With a sentence that shows the value, before anything is done."""
    service = ExecutionHistoryService("memory:")
    await service.create_execution_record("w", "e")
    with pytest.raises(InvalidIdentifier) as refused:
        await _CALLS[call](service, odd)
    assert str(odd)[:5] in str(refused.value)
    assert str(refused.value).endswith(".")
    found = await service.get_execution_history("w")
    assert ["running"] == [each["execute_status"] for each in found["histories"]]


@pytest.mark.parametrize("call", sorted(_CALLS.keys() - _FOR_NONE))
async def test_nothing_is_no_id_either(call: str) -> None:
    """Only where it stands for all workflows, or for a new id."""
    service = ExecutionHistoryService("memory:")
    with pytest.raises(InvalidIdentifier, match="not None"):
        await _CALLS[call](service, None)


async def test_a_text_that_cannot_be_an_id_is_the_id_of_nothing() -> None:
    """As of any other unknown workflow, the page is empty."""
    service = ExecutionHistoryService("memory:")
    for odd in ("", "x" * 1_001, "\ud800"):
        assert {"histories": [], "total": 0, "has_more": False} == await service.get_execution_history(odd)
        assert await service.get_execution_detail("w", odd) is None
        assert not await service.delete_execution_record(odd, "e")
        assert await service.update_execution_record("w", odd, "success") is None


@pytest.mark.parametrize("odd", _NO_IDS, ids=lambda odd: type(odd).__name__)
def test_recording_refuses_it(odd: Any) -> None:
    """When the block or the function is declared."""
    with pytest.raises(InvalidIdentifier, match="workflow id"):
        record(odd)
    if not callable(odd):
        with pytest.raises(InvalidIdentifier, match="workflow id"):
            recorded(odd)(lambda: None)


@pytest.mark.parametrize("name", ["workflow", "bot", "conversation", "account", "parent", "upstream", "tag", "error"])
@pytest.mark.parametrize("odd", [True, b"w", [b"w"], 7.5, 7.321e18, [True]], ids=repr)
async def test_filters_refuse_what_is_no_id(name: str, odd: Any) -> None:
    """A float that large has lost digits; true is no text, and bytes are no list of numbers."""
    with pytest.raises(InvalidQuery) as refused:
        await ExecutionHistoryService("memory:").get_execution_history(None, **{name: odd})
    assert name in str(refused.value)


async def test_filters_take_a_whole_number_for_its_digits() -> None:
    """As HTTP and the command line do, which know only digits."""
    service = ExecutionHistoryService("memory:")
    made = await service.create_execution_record("7321000000000000001")
    found = await service.get_execution_history(None, workflow=7_321_000_000_000_000_001)
    assert [made] == found["histories"]
    with pytest.raises(InvalidQuery, match="takes text, not 7"):
        RecordFilter(workflow_ids=(7,))  # type: ignore[arg-type]  # that is what is tested


@pytest.mark.parametrize("odd", ["5", True, 1.0, -1])
async def test_a_revision_is_a_whole_number(odd: Any) -> None:
    """From 0 on."""
    with pytest.raises(InvalidInput, match="Revisions"):
        ExecutionHistoryService("memory:").follow(odd)


async def test_workflows_to_follow_are_a_list() -> None:
    """The letters of one id are hardly meant."""
    with pytest.raises(InvalidInput, match="list of ids"):
        ExecutionHistoryService("memory:").follow(workflow_ids="7321")


@pytest.mark.parametrize("odd", [5, "w", None, {"w": "e"}, [5], ["we"], [("w",)], [("w", "e", "x")], [None]], ids=repr)
async def test_runs_are_named_by_pairs_of_ids(odd: Any) -> None:
    """Anything else is refused with a sentence, before anything is done; pairs may be lists, as JSON has them."""
    service = ExecutionHistoryService("memory:")
    await service.create_execution_record("w", "e")
    for call in (service.delete_execution_records, partial(service.annotate_many, annotation=Annotation(pinned=True))):
        with pytest.raises(InvalidInput, match="pair"):
            await call(odd)
    assert 1 == (await service.annotate_many([["w", "e"]], Annotation(pinned=True))).changed  # type: ignore[list-item]
    assert [("w", "e")] == await service.delete_execution_records([["w", "e"]])  # type: ignore[list-item]


@pytest.mark.parametrize("as_words", [True, False])
async def test_a_filter_of_another_workflow_finds_nothing(as_words: bool) -> None:
    """It neither widens what was asked for nor is left out; the same workflow is no contradiction."""
    service = ExecutionHistoryService("memory:")
    for name in ("124", "5"):
        await service.create_execution_record(name)

    async def found(*names: int) -> list[str]:
        filters: dict[str, Any] = {"workflow": names}
        if not as_words:
            filters = {"record_filter": RecordFilter(workflow_ids=tuple(map(str, names)))}
        return [each["workflow_id"] for each in (await service.get_execution_history("124", **filters))["histories"]]

    assert [] == await found(5)
    assert ["124"] == await found(124)
    assert ["124"] == await found(5, 124)
