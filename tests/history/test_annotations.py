"""Tags, notes, ratings and pins: kept in the metadata, at any time, and nobody's tag is lost."""

import asyncio
from typing import Any

import orjson
import pytest

from execution_history.errors import ExecutionNotFound, InvalidInput
from execution_history.history.annotations import Annotation, annotate_execution, annotate_executions
from execution_history.stores.protocol import HistoryStore
from tests.sample_records import change, document

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store(store: HistoryStore) -> HistoryStore:
    """A store of each kind with one running execution."""
    await store.create(document("e"))
    return store


async def metadata(store: HistoryStore, execute_id: str = "e") -> dict[str, Any]:
    """The stored metadata."""
    body = await store.get("w", execute_id)
    assert body is not None
    found: dict[str, Any] = orjson.loads(body)["metadata"]
    return found


async def test_everything_is_noted_at_once(store: HistoryStore) -> None:
    """Tags, note, rating and pin stand in the record that comes back and in the stored one."""
    annotation = Annotation(add_tags=("Good", "good", "重要"), note="看起来不错", rating=5, pinned=True)

    record = await annotate_execution(store, "w", "e", annotation)

    assert {"tags": ["Good", "good", "重要"], "note": "看起来不错", "rating": 5, "pinned": True} == record["metadata"]
    assert record["metadata"] == await metadata(store)


async def test_what_is_not_given_stays(store: HistoryStore) -> None:
    """Each call changes only what it names."""
    await annotate_execution(store, "w", "e", Annotation(add_tags=("a", "b"), rating=2))
    await annotate_execution(store, "w", "e", Annotation(add_tags=("c",), remove_tags=("a", "never there")))

    assert {"tags": ["b", "c"], "rating": 2} == await metadata(store)


async def test_notes_can_be_taken_back(store: HistoryStore) -> None:
    """An empty note, a rating of 0 and an unpinned run are as before."""
    await annotate_execution(store, "w", "e", Annotation(add_tags=("a",), note="n", rating=1, pinned=True))
    await annotate_execution(store, "w", "e", Annotation(remove_tags=("a",), note="", rating=0, pinned=False))

    assert {"tags": [], "note": None, "rating": None, "pinned": False} == await metadata(store)


async def test_what_is_so_already_is_not_written_again(store: HistoryStore) -> None:
    """Noting the same twice leaves the same bytes; removing what never was there, too."""
    await annotate_execution(store, "w", "e", Annotation(add_tags=("a",), rating=3))
    before = await store.get("w", "e")

    await annotate_execution(
        store, "w", "e", Annotation(add_tags=("a", " a "), rating=3, note="", remove_tags=("b",), pinned=False)
    )

    assert before == await store.get("w", "e")


async def test_ended_runs_keep_their_ending(store: HistoryStore) -> None:
    """A note on a run that has ended changes neither its status nor its output."""
    await store.update("w", "e", change(2_000, "success", output={"a": 1}))

    record = await annotate_execution(store, "w", "e", Annotation(note="late"), clock=lambda: 99_000)

    assert ("success", {"a": 1}, "late") == (record["execute_status"], record["output"], record["metadata"]["note"])


async def test_people_who_tag_at_once_lose_no_tag(store: HistoryStore) -> None:
    """Forty callers at the same time, each with a tag of its own: all tags are there."""
    tags = [f"tag {number}" for number in range(40)]

    await asyncio.gather(*(annotate_execution(store, "w", "e", Annotation(add_tags=(tag,))) for tag in tags))

    assert set(tags) == set((await metadata(store))["tags"])


async def test_a_tag_is_not_lost_between_reading_and_writing(store: HistoryStore) -> None:
    """Whoever tags between our look and our write makes us look again."""

    class Meddling:
        """The store, with somebody else who tags right after our first look."""

        meddled = False

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        async def get(self, workflow_id: str, execute_id: str) -> bytes | None:
            body = await store.get(workflow_id, execute_id)
            if not self.meddled:
                self.meddled = True
                await annotate_execution(store, workflow_id, execute_id, Annotation(add_tags=("theirs",)))
            return body

    meddling: Any = Meddling()
    record = await annotate_execution(meddling, "w", "e", Annotation(add_tags=("ours",)))

    assert ["theirs", "ours"] == record["metadata"]["tags"]


@pytest.mark.parametrize(
    "fields",
    [
        {"add_tags": ("",)},
        {"add_tags": ("x" * 65,)},
        {"add_tags": ("a\nb",)},
        {"add_tags": ("\ud800",)},
        {"add_tags": (7,)},
        {"add_tags": "text"},
        {"add_tags": tuple(str(number) for number in range(51))},
        {"add_tags": ("a",), "remove_tags": ("a",)},
        {"note": "x" * 65_537},
        {"note": "\ud800"},
        {"note": 7},
        {"rating": 6},
        {"rating": -1},
        {"rating": True},
        {"rating": 2.5},
        {"pinned": 1},
    ],
)
async def test_what_cannot_be_noted_is_refused_in_a_sentence(fields: dict[str, Any]) -> None:
    """Each limit has a clear error, before the store is asked."""
    with pytest.raises(InvalidInput, match=r"^[A-Z].*\.$|^(add_tags|pinned) (is|must be) .*\.$"):
        Annotation(**fields)


async def test_a_run_has_at_most_fifty_tags(store: HistoryStore) -> None:
    """The fifty-first is refused, and the fifty stay."""
    await annotate_execution(store, "w", "e", Annotation(add_tags=tuple(str(number) for number in range(50))))

    with pytest.raises(InvalidInput, match="at most 50 tags"):
        await annotate_execution(store, "w", "e", Annotation(add_tags=("one more",)))

    assert 50 == len((await metadata(store))["tags"])


async def test_tags_of_another_shape_are_not_overwritten(store: HistoryStore) -> None:
    """Where somebody else uses the key, that is said, and their value stays."""
    await store.update("w", "e", change(metadata={"tags": {"mine": 1}}))

    with pytest.raises(InvalidInput, match=r"metadata\.tags is not a list of texts"):
        await annotate_execution(store, "w", "e", Annotation(add_tags=("a",)))

    assert {"mine": 1} == (await metadata(store))["tags"]


async def test_a_missing_run_is_said_to_be_missing(store: HistoryStore) -> None:
    """The error names the workflow and the execution."""
    with pytest.raises(ExecutionNotFound, match="Workflow 'w' has no run 'none'"):
        await annotate_execution(store, "w", "none", Annotation(pinned=True))


async def test_many_runs_are_annotated_with_a_report(store: HistoryStore) -> None:
    """Those that can be are, those that have it already are counted, the others are named with the reason."""
    for number in range(100):
        await store.create(document(f"e{number}"))
    await store.update("w", "e7", change(metadata={"tags": 7}))
    await annotate_execution(store, "w", "e1", Annotation(add_tags=("a",)))

    report = await annotate_executions(
        store, [("w", f"e{number}") for number in (*range(100), 0)] + [("v", "e")], Annotation(add_tags=("a",))
    )

    assert (98, 1) == (report.changed, report.unchanged)
    assert [("w", "e7"), ("v", "e")] == [(each.workflow_id, each.execute_id) for each in report.refused]
    assert {"changed", "unchanged", "refused"} == set(report.to_json())
    assert ["a"] == (await metadata(store, "e99"))["tags"]


async def test_a_secret_in_a_note_is_not_kept(store: HistoryStore) -> None:
    """People paste what a program printed."""
    await annotate_execution(store, "w", "e", Annotation(note=f"it used pat_{'Ab1' * 8}", tags=("a",)))
    found = await metadata(store)
    assert ("it used [redacted]", ["a"]) == (found["note"], found["tags"])
