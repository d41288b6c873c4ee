"""Names of workflows: a person's before the learned one, seen by every process, and as good as an id."""

import asyncio

import orjson
import pytest

from execution_history.errors import AmbiguousName, InvalidInput
from execution_history.history.name_book import FRESH_MS, LearnedName, NameBook, WorkflowName
from execution_history.history.service import ExecutionHistoryService
from execution_history.query.breakdown import BreakdownQuery
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordQuery, StatisticsQuery
from execution_history.stores.protocol import HistoryStore
from execution_history.transfer import Export, export_chunks
from tests.sample_records import document

pytestmark = pytest.mark.anyio

_ONE, _TWO = "7000000000000000001", "7000000000000000002"


@pytest.fixture
async def service(store: HistoryStore) -> ExecutionHistoryService:
    """A history in a store of each kind, with a run of each of two workflows."""
    await store.create(document("a", workflow_id=_ONE))
    await store.create(document("b", workflow_id=_TWO))
    return ExecutionHistoryService(store, clock=lambda: 1_700_000_000_000)


async def test_a_name_and_all_else_is_kept(service: ExecutionHistoryService) -> None:
    """What a call notes about a workflow is what all names have, and what it leaves out stays."""
    await service.name_workflow(_ONE, name=" Weather \n report ", description="Tells the weather")
    noted = await service.name_workflow(_ONE, starred=True, hidden=True)

    assert noted == WorkflowName(_ONE, "Weather report", "Tells the weather", starred=True, hidden=True)
    assert dict(await service.names()) == {_ONE: noted}
    assert (noted.name, noted.description) == ("Weather report", "Tells the weather")


async def test_a_name_can_be_taken_back(service: ExecutionHistoryService) -> None:
    """Without a name, a description, a star and a veil nothing of the workflow is left in the registry."""
    await service.name_workflow(_ONE, name="Weather", description="x", starred=True, hidden=True)
    await service.name_workflow(_ONE, name="", description="", starred=False, hidden=False)

    assert not await service.store.entries("workflow")
    assert not await service.names()


async def test_a_learned_name_gives_way_to_a_persons(service: ExecutionHistoryService) -> None:
    """A person's name stands before what the upstream says, then and later, and comes off to show it again."""
    assert await service.learn_names([(_ONE, "weather_v2", "made by Coze")], "coze") == 1
    await service.name_workflow(_ONE, name="Weather")
    assert await service.learn_names([(_ONE, "weather_v3", None)], "coze") == 1

    named = (await service.names())[_ONE]
    assert (named.name, named.learned) == ("Weather", LearnedName("weather_v3", "coze", 1_700_000_000_000))

    await service.name_workflow(_ONE, name="")
    assert (await service.names())[_ONE].name == "weather_v3"


async def test_what_was_learned_already_is_not_written_again(service: ExecutionHistoryService) -> None:
    """The same name, with the same or no description, leaves the store as it is."""
    await service.learn_names([(_ONE, "weather", "of Coze")], "coze")
    revision = await service.revision()

    assert await service.learn_names([(_ONE, "weather", None), (_ONE, " weather ", "of Coze")], "coze") == 0
    assert await service.revision() == revision


async def test_whatever_an_upstream_says_is_made_a_name(service: ExecutionHistoryService) -> None:
    """Learned names are one line of bounded length; what can be no id and no name is left out."""
    heard: list[tuple[str, str, str | None]] = [
        (_ONE, "a\x1b[31m\nb\u202ec" + "x" * 500, None),
        ("", "nobody", None),
        (_TWO, " \n", None),
        ("\ud800", "x", None),
        (_TWO, "half \ud83d", None),
    ]

    assert await service.learn_names(heard, "coze") == 2

    names = await service.names()
    assert (named := names[_ONE]).name is not None
    assert names[_TWO].name == "half ?"
    assert named.name.startswith("a\x1b[31m b\u202ec")
    assert len(named.name) == 200


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        ({"name": "x" * 201}, "at most 200 characters"),
        ({"description": "x" * 2001}, "at most 2,000 characters"),
        ({"name": "a\x07b"}, "control character"),
        ({"name": "a\ud800"}, "surrogate"),
        ({"name": 5}, "is a text"),
        ({"starred": 1}, "true or false"),
    ],
)
async def test_what_cannot_be_a_name_is_refused(
    service: ExecutionHistoryService, words: dict[str, object], wrong: str
) -> None:
    """A name that is too long or cannot be shown is refused with a sentence, and nothing is kept."""
    with pytest.raises(InvalidInput, match=wrong):
        await service.name_workflow(_ONE, **words)  # type: ignore[arg-type]

    assert not await service.names()


async def test_entries_of_others_are_read_as_far_as_they_can(service: ExecutionHistoryService) -> None:
    """An entry that somebody else wrote in another shape neither breaks reading nor shows what it must not."""
    for key, value in {
        "a": [1],
        "b": {"name": 5, "learned": "x"},
        "c": {"name": "a\nb", "learned": {"name": "c"}},
    }.items():
        await service.store.put_entry("workflow", key, orjson.dumps(value))

    await service.store.put_entry("workflow", "d", b"no JSON")

    names = await service.names()

    assert [names[key].name for key in "abcd"] == [None, None, "a b", None]


async def test_changes_at_once_are_all_kept(service: ExecutionHistoryService) -> None:
    """Of a rename, a star and something learned at the same moment none is lost."""
    await asyncio.gather(
        service.name_workflow(_ONE, name="Weather"),
        service.name_workflow(_ONE, starred=True),
        service.learn_names([(_ONE, "weather_v2", None)], "coze"),
    )

    named = (await service.names())[_ONE]
    assert (named.given, named.starred, named.learned and named.learned.name) == ("Weather", True, "weather_v2")


async def test_another_processs_names_are_seen_within_a_second(store: HistoryStore) -> None:
    """Names in memory are used for half a second, and then read again if the store has changed."""
    uptime = [0]
    book, other = NameBook(store, lambda: uptime[0]), NameBook(store)
    assert not await book.all()
    renamed = await other.change("w", lambda _: WorkflowName("w", "Weather"))

    assert not await book.all()
    uptime[0] = FRESH_MS + 1
    assert dict(await book.all()) == {"w": renamed}
    assert FRESH_MS < 1_000


async def test_a_workflow_is_named_by_id_name_or_part_of_its_id(service: ExecutionHistoryService) -> None:
    """The whole id counts first, then the name as it is written, then in any letters, then 8 characters of the id."""
    await service.name_workflow(_ONE, name="Wetter Köln")
    await service.name_workflow("never-run", name=_TWO)

    assert await service.workflow_named(_ONE) == _ONE
    assert await service.workflow_named(_TWO) == _TWO  # though another is called so
    assert await service.workflow_named("Wetter Köln") == _ONE
    assert await service.workflow_named("wetter KÖLN") == _ONE
    assert await service.workflow_named("00000001") == _ONE
    assert await service.workflow_named("never-ru") == "never-run"
    assert await service.workflow_named("0000001") == "0000001"  # seven characters are no name
    assert await service.workflow_named("…00000001") == _ONE  # as it is printed
    assert await service.workflow_named("… unheard") == "… unheard"
    assert await service.workflow_named("unheard of") == "unheard of"
    assert await service.workflow_named("") == ""


async def test_an_exact_name_stands_before_others_letters(service: ExecutionHistoryService) -> None:
    """Two names that differ in capitals only are two names; neither as written is a question of which."""
    await service.name_workflow(_ONE, name="Weather")
    await service.name_workflow(_TWO, name="weather")

    assert await service.workflow_named("weather") == _TWO
    with pytest.raises(AmbiguousName, match=f"{_ONE} \\(Weather\\).*{_TWO} \\(weather\\)") as raised:
        await service.workflow_named("WEATHER")
    assert set(raised.value.workflow_ids) == {_ONE, _TWO}


async def test_several_that_match_are_listed(service: ExecutionHistoryService) -> None:
    """The beginning that two ids share is refused with both of them."""
    with pytest.raises(AmbiguousName, match=f"{_TWO}.*{_ONE}|{_ONE}.*{_TWO}"):
        await service.workflow_named("70000000")


async def test_every_query_takes_names(service: ExecutionHistoryService) -> None:
    """Lists, statistics, breakdowns, exports and changes of many runs find the workflow that a filter names."""
    await service.name_workflow(_ONE, name="Weather")
    named = RecordFilter(workflows=("weather", "unheard of"))

    page = await service.get_execution_history(None, workflow="weather")
    batches = [batch async for batch in service.batches(named)]

    assert ["a"] == [record["execute_id"] for record in page["histories"]]
    assert 1 == (await service.select(RecordQuery(filter=named))).total
    assert 1 == (await service.statistics(StatisticsQuery(filter=named))).totals.runs
    assert [_ONE] == [group.key for group in (await service.breakdown(BreakdownQuery(filter=named))).groups]
    assert [1] == [len(batch.documents) for batch in batches]
    assert (1, True) == await service.bulk.count(named)
    assert [b"a"] == [_id_of(line) async for line in export_chunks(service, Export(record_filter=named)) if line]


async def test_an_id_is_no_name(service: ExecutionHistoryService) -> None:
    """Exact ids find no workflow that is called so; with a name too, a run has to be of both."""
    await service.name_workflow(_ONE, name="Weather")
    for nothing in (
        RecordFilter(workflow_ids=("Weather",)),
        RecordFilter(workflow_ids=(_TWO,), workflows=("Weather",)),
    ):
        assert 0 == (await service.select(RecordQuery(filter=nothing))).total
    both = RecordFilter(workflow_ids=(_ONE, _TWO), workflows=("Weather",))
    assert 1 == (await service.select(RecordQuery(filter=both))).total


async def test_a_deletion_by_name_finds_the_workflow(service: ExecutionHistoryService) -> None:
    """And leaves the others alone."""
    await service.name_workflow(_ONE, name="Weather")
    change = await service.bulk.delete(RecordFilter(workflows=("weather",)))
    assert {"workflow": [_ONE]} == change.filters  # whatever is called so later
    await service.bulk.wait(change.id)
    assert [_TWO] == await service.get_all_workflows()


def _id_of(line: bytes) -> bytes:
    return str(orjson.loads(line)["execute_id"]).encode()
