"""Annotations of runs: tags, a note, a rating and a pin, kept in the record's ``metadata``.

| key | value |
|---|---|
| ``tags`` | a list of texts in the order in which they were added, without duplicates; ``a`` is not ``A`` |
| ``note`` | a text of at most 64 KiB, or null |
| ``rating`` | a whole number from 1 (bad) to 5 (very good), or null |
| ``pinned`` | true or false |

A run can be annotated while it goes on and after it has ended; that changes neither its status nor its duration. When
several people tag one run at once, no tag is lost; of two notes written at once the later one stays.
"""

import asyncio
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, Final, cast

import orjson

from execution_history.clock import now_ms
from execution_history.errors import ExecutionNotFound, InvalidInput, RecordDamaged, StoreBusy, message_of, quoted
from execution_history.history.keyword_query import pairs_of_ids
from execution_history.records.content_rules import ContentRules
from execution_history.records.identifiers import check_identifier, may_exist
from execution_history.records.metadata import NOTE, PINNED, RATING, TAGS, metadata_of
from execution_history.records.record import ExecutionRecord, RecordChange
from execution_history.stores.protocol import HistoryStore

MOST_TAGS: Final = 50
LONGEST_TAG: Final = 64
LONGEST_NOTE_BYTES: Final = 64 * 1024
RATINGS: Final = range(1, 6)

_BUILT_IN: Final = ContentRules()
_MOST_ATTEMPTS: Final = 1_000
_AT_ONCE: Final = 64


@dataclass(frozen=True, slots=True)
class Annotation:
    """Changes to the annotations of a run; what is left out stays as it is.

    Args:
        add_tags: tags to add, each of 1 to 64 characters; spaces around them are removed.
        remove_tags: tags to remove; a missing one is no error.
        note: the note, at most 64 KiB of UTF-8; an empty one removes it.
        rating: 1 to 5; 0 removes it.
        pinned: whether the run is pinned.
        tags: the complete list of tags, instead of adding and removing; an empty one removes all.

    Raises:
        InvalidInput: one of them is not possible; the message names it and what it may be.
    """

    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()
    note: str | None = None
    rating: int | None = None
    pinned: bool | None = None
    tags: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("add_tags", "remove_tags", "tags"):
            tags = getattr(self, name)
            if tags is None and name == "tags":
                continue
            if isinstance(tags, str) or not isinstance(tags, Iterable):
                raise InvalidInput(
                    "%(name)s must be a list of texts, not %(kind)s.", name=name, kind=type(tags).__name__
                )
            object.__setattr__(self, name, tuple(dict.fromkeys(_tag(tag) for tag in tags)))
        if both := set(self.add_tags) & set(self.remove_tags):
            raise InvalidInput("The tag %(min)s is to be added and removed at once.", min=quoted(min(both)))
        if self.tags is not None and (self.add_tags or self.remove_tags):
            raise InvalidInput("Tags are either set as a whole, or added and removed.")
        if (count := max(len(self.add_tags), len(self.tags or ()))) > MOST_TAGS:
            raise InvalidInput(
                "A run has at most %(most_tags)s tags; these are %(most)s.", most_tags=MOST_TAGS, most=count
            )
        _check_note(self.note)
        if self.rating is not None and (type(self.rating) is not int or self.rating not in (0, *RATINGS)):
            raise InvalidInput(
                "A rating is a whole number from 1 to 5, or 0 to remove it, not %(rating)s.", rating=quoted(self.rating)
            )
        if self.pinned is not None and not isinstance(self.pinned, bool):
            raise InvalidInput("pinned is true or false, not %(pinned)s.", pinned=quoted(self.pinned))


@dataclass(frozen=True, slots=True)
class Refusal:
    """An execution that could not be annotated, and why."""

    workflow_id: str
    execute_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class AnnotationReport:
    """The outcome of annotating many executions: the number changed and unchanged, and those refused."""

    changed: int = 0
    unchanged: int = 0
    refused: tuple[Refusal, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return ``{"changed", "unchanged", "refused": [{"workflow_id", "execute_id", "reason"}, …]}``."""
        return asdict(self)


async def annotate_execution(
    store: HistoryStore,
    workflow_id: str,
    execute_id: str,
    annotation: Annotation,
    *,
    clock: Callable[[], int] = now_ms,
    rules: ContentRules = _BUILT_IN,
) -> ExecutionRecord:
    """Annotate one execution and return its record; what is so already is not written again.

    Raises:
        ExecutionNotFound: there is no such execution.
        InvalidInput: it would have more than 50 tags, or its ``metadata.tags`` is not a list of texts.
        StoreError: the change could not be written.
    """
    return (await _annotate(store, workflow_id, execute_id, annotation, clock, rules))[0]


async def annotate_executions(
    store: HistoryStore,
    executions: Iterable[tuple[str, str]],
    annotation: Annotation,
    *,
    clock: Callable[[], int] = now_ms,
    rules: ContentRules = _BUILT_IN,
) -> AnnotationReport:
    """Annotate many executions, each a workflow id and an execute id.

    One that cannot be annotated is reported, and the others are annotated all the same.

    Raises:
        InvalidIdentifier: an id is not text; nothing was annotated.
        InvalidInput: one of *executions* is not a pair of ids; nothing was annotated.
        StoreError: the store failed; what was annotated before stays so, and the call can be repeated.
    """
    changed = unchanged = 0
    refused: list[Refusal] = []
    keys = pairs_of_ids(executions)
    for key in keys:
        may_exist(**key._asdict())  # refuses what is no text; a text that can be no id is reported
    remaining = iter(dict.fromkeys(keys))
    while group := list(islice(remaining, _AT_ONCE)):
        # Together, because the store commits what arrives together in one group.
        calls = [_try_annotate(store, *execution, annotation, clock, rules) for execution in group]
        for outcome in await asyncio.gather(*calls):
            if isinstance(outcome, Refusal):
                refused.append(outcome)
            elif outcome:
                changed += 1
            else:
                unchanged += 1
    return AnnotationReport(changed, unchanged, tuple(refused))


async def _try_annotate(
    store: HistoryStore,
    workflow_id: str,
    execute_id: str,
    annotation: Annotation,
    clock: Callable[[], int],
    rules: ContentRules,
) -> bool | Refusal:
    try:
        return (await _annotate(store, workflow_id, execute_id, annotation, clock, rules))[1]
    except (ExecutionNotFound, InvalidInput, RecordDamaged) as error:
        return Refusal(workflow_id, execute_id, message_of(error))


async def _annotate(
    store: HistoryStore,
    workflow_id: str,
    execute_id: str,
    annotation: Annotation,
    clock: Callable[[], int],
    rules: ContentRules,
) -> tuple[ExecutionRecord, bool]:
    """Annotate a record; return the record as it is then, and whether it was changed."""
    check_identifier("workflow id", workflow_id)
    check_identifier("execute id", execute_id)
    await store.open()
    for _ in range(_MOST_ATTEMPTS):
        body = await store.get(workflow_id, execute_id)
        if body is None:
            raise ExecutionNotFound(
                "Workflow %(workflow)s has no run %(run)s.", workflow=quoted(workflow_id), run=quoted(execute_id)
            )
        record = orjson.loads(body)
        kept = metadata_of(record)
        changes = _changes_for(annotation, kept)
        if not changes:
            return cast("ExecutionRecord", record), False
        # Only the tags depend on what was read; for everything else the last writer wins.
        only_while = {TAGS.name: kept.get(TAGS.name)} if TAGS.name in changes else None
        changed = await store.update(
            workflow_id,
            execute_id,
            rules.of_run(workflow_id).change(RecordChange.of(clock(), metadata=changes, only_while=only_while)),
        )
        if changed is not None:
            return cast("ExecutionRecord", changed.plain()), True
    raise StoreBusy(
        "Run %(run)s was tagged by others %(most_attempts)s times meanwhile; try again.",
        run=quoted(execute_id),
        most_attempts=_MOST_ATTEMPTS,
    )


def _changes_for(annotation: Annotation, kept: dict[str, Any]) -> dict[str, object]:
    """Return the metadata that *annotation* changes."""
    changes: dict[str, object] = {}
    if annotation.add_tags or annotation.remove_tags or annotation.tags is not None:
        before = _kept_tags(kept.get(TAGS.name))
        if annotation.tags is None:
            after = [tag for tag in before if tag not in annotation.remove_tags]
            after += [tag for tag in annotation.add_tags if tag not in after]
        else:
            after = list(annotation.tags)
        if len(after) > MOST_TAGS:
            raise InvalidInput(
                "A run has at most %(most_tags)s tags; this one would have %(count)s.",
                most_tags=MOST_TAGS,
                count=len(after),
            )
        if after != before:
            changes[TAGS.name] = after
    if annotation.note is not None and (annotation.note or None) != kept.get(NOTE.name):
        changes[NOTE.name] = annotation.note or None
    if annotation.rating is not None and (annotation.rating or None) != kept.get(RATING.name):
        changes[RATING.name] = annotation.rating or None
    if annotation.pinned is not None and annotation.pinned is not kept.get(PINNED.name, False):
        changes[PINNED.name] = annotation.pinned
    return changes


def _kept_tags(tags: object) -> list[str]:
    if tags is None:
        return []
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise InvalidInput(
            "This run's metadata.tags is not a list of texts, so somebody else uses that key: "
            "move its value to another key before tagging the run."
        )
    return tags


def _tag(tag: object) -> str:
    text = tag.strip() if isinstance(tag, str) else ""
    if not 1 <= len(text) <= LONGEST_TAG:
        raise InvalidInput(
            "A tag is a text of 1 to %(longest_tag)s characters, not %(tag)s.", longest_tag=LONGEST_TAG, tag=quoted(tag)
        )
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        raise InvalidInput("The tag %(text)s holds a control character or half of a surrogate pair.", text=quoted(text))
    return text


def _check_note(note: object) -> None:
    if note is None:
        return
    if not isinstance(note, str):
        raise InvalidInput("A note is a text, not %(name)s.", name=type(note).__name__)
    try:
        size = len(note.encode())
    except UnicodeEncodeError:
        raise InvalidInput("The note holds half of a surrogate pair.") from None
    if size > LONGEST_NOTE_BYTES:
        raise InvalidInput(
            "A note has at most %(longest_note_bytes)s bytes of UTF-8; this one has %(size)s.",
            longest_note_bytes=LONGEST_NOTE_BYTES,
            size=size,
        )
