"""Saved views: kept under a name, looked at again, changed by several people."""

import asyncio
from collections.abc import AsyncIterator

import orjson
import pytest

from execution_history.errors import InvalidInput, InvalidQuery, ViewChanged, ViewNotFound
from execution_history.history.service import ExecutionHistoryService
from execution_history.query.fields import RecordFilter

pytestmark = pytest.mark.anyio

FILTERS = (("status", "failed"), ("since", "24h"), ("tag", "a"), ("tag", "b"))


@pytest.fixture
async def service(place: str) -> AsyncIterator[ExecutionHistoryService]:
    """An empty history of each kind of store."""
    async with ExecutionHistoryService(place) as service:
        yield service


async def test_a_view_keeps_filters_as_they_are_written(service: ExecutionHistoryService) -> None:
    """Times stay relative to when it is looked at; blank values and repeated ones are left out."""
    view = await service.views.save(" Failed  today ", [*FILTERS, ("bot", " "), FILTERS[0]], sort="duration")
    assert ("Failed today", FILTERS, "duration") == (view.name, view.filters, view.sort)
    assert view == await service.views.named("failed TODAY") == await service.views.named(view.id)
    day = 86_400_000
    expected = RecordFilter(statuses=("failed",), created_from=9 * day, tags=("a", "b"))
    assert expected == view.record_filter(10 * day)
    assert {"status": "failed", "since": "24h", "tag": ["a", "b"]} == view.to_json()["filters"]


async def test_what_is_no_view_is_refused(service: ExecutionHistoryService) -> None:
    """A name that is empty, too long, odd or taken; a filter or an order that there is not."""
    await service.views.save("One", ())
    for name in ("", " ", "x" * 101, "a\x00b", "one"):
        with pytest.raises(InvalidInput):
            await service.views.save(name, ())
    with pytest.raises(InvalidQuery, match="stat"):
        await service.views.save("two", [("stat", "failed")])
    with pytest.raises(InvalidQuery, match="colour"):
        await service.views.save("two", (), sort="colour")
    assert ["One"] == [view.name for view in await service.views.all()]


async def test_views_have_an_order(service: ExecutionHistoryService) -> None:
    """Stars come first, then what people arranged, then the order in which views were saved."""
    ids = {name: (await service.views.save(name, ())).id for name in ("a", "b", "c", "d")}
    await service.views.arrange([ids["c"], ids["a"]])
    assert ["c", "a", "b", "d"] == [view.name for view in await service.views.all()]
    await service.views.change(ids["d"], starred=True)
    assert ["d", "c", "a", "b"] == [view.name for view in await service.views.all()]
    assert await service.views.drop(ids["a"])
    assert not await service.views.drop(ids["a"])
    with pytest.raises(ViewNotFound, match="'d', 'c', 'b'"):
        await service.views.named("a")


async def test_several_people_change_a_view(service: ExecutionHistoryService) -> None:
    """Nobody's change is lost; who names the version that he saw is told when it is another one by now."""
    view = await service.views.save("a", ())
    await asyncio.gather(
        service.views.change(view.id, name="b"),
        service.views.change(view.id, filters=FILTERS),
        service.views.change(view.id, starred=True),
    )
    [found] = await service.views.all()
    assert ("b", FILTERS, True) == (found.name, found.filters, found.starred)
    with pytest.raises(ViewChanged, match="'b'"):
        await service.views.change(view.id, expected=view.version, name="c")
    renamed = await service.views.change(view.id, expected=found.version, name="c")
    assert renamed.version > found.version
    with pytest.raises(InvalidInput, match="already"):
        await service.views.change((await service.views.save("z", ())).id, name="C")


@pytest.mark.parametrize(
    "value", [b"", b"[]", b'{"name": 5}', b'{"name": "x", "sort": "odd"}', b'{"name": "x", "position": null}']
)
async def test_what_is_no_view_in_the_registry_is_passed_over(service: ExecutionHistoryService, value: bytes) -> None:
    """Another program may have written into it."""
    view = await service.views.save("One", FILTERS)
    await service.store.put_entry("view", "odd", value)
    assert [view] == await service.views.all()


async def test_a_view_keeps_columns(service: ExecutionHistoryService) -> None:
    """In their order, each once; none means the usual ones, and an unknown one is refused."""
    view = await service.views.save("a", FILTERS, columns=["run,status", "tags", "run"])
    assert ("run", "status", "tags") == view.columns == (await service.views.named("a")).columns
    assert () == (await service.views.change(view.id, columns=())).columns
    with pytest.raises(InvalidQuery, match="'colour'"):
        await service.views.change(view.id, columns=["colour"])
    await service.store.put_entry("view", "odd", b'{"name": "x", "columns": ["colour"]}')
    await service.store.put_entry("view", "old", b'{"name": "old"}')
    assert {"a", "old"} == {each.name for each in await service.views.all()}


async def test_a_view_is_counted(service: ExecutionHistoryService) -> None:
    """By the names that workflows have now; where several have that name it has no number."""
    for workflow_id in ("w", "v"):
        await service.create_execution_record(workflow_id, "e")
    await service.name_workflow("w", name="Weather")
    await service.follow_index()
    view = await service.views.save("a", [("workflow", "Weather")])
    assert {"count": 1, "count_is_exact": True} == (await service.views.count(view)).to_json()
    await service.name_workflow("v", name="Weather")
    assert {"count": None, "count_is_exact": None} == (await service.views.count(view)).to_json()


async def test_a_view_of_before_keeps_its_order_and_its_star(service: ExecutionHistoryService) -> None:
    """The words for both were others once."""
    kept = {"name": "Old", "filters": [["status", "failed"]], "ascending": True, "is_starred": True, "position": 1}
    await service.store.open()
    await service.store.put_entry("view", "v", orjson.dumps(kept))

    [view] = await service.views.all()

    assert ("Old", "asc", True) == (view.name, view.order, view.starred)
