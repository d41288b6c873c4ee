"""A run as one line of a list, made from its summary. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Final, NamedTuple

import orjson

from execution_history.history.children import parent_of
from execution_history.presentation.formatting import error_text, one_line, only_text
from execution_history.query.text import Search, Snippet, snippets
from execution_history.records.attributes import attributes_of, elapsed_ms
from execution_history.records.cost import cost_of, units_of
from execution_history.records.metadata import COST, PINNED, TAGS
from execution_history.records.partial import outline_of
from execution_history.records.summary import summary_of

_LONGEST_LINE: Final = 160
_PASSAGES: Final = 2


class Stretch(NamedTuple):
    """A piece of text, and whether to mark it: as a hit of a search, or as text that only one run has."""

    text: str
    is_marked: bool


class Passage(NamedTuple):
    """A piece of a record with hits of a search, and the field that it is from."""

    field: str
    stretches: list[Stretch]


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run in a list. Times are milliseconds; the ``duration`` of a running run is its time so far.

    ``parent`` names the run within which it began by workflow id, where that is known, and execute id; ``within``
    counts the runs that began directly within it; ``facts`` is the summary that it was made from.
    """

    workflow_id: str
    execute_id: str
    status: str
    create_time: int
    duration: int
    tokens: int | None
    input: str
    result: str
    is_error: bool
    tags: tuple[str, ...]
    is_pinned: bool
    passages: tuple[Passage, ...] = ()
    parent: tuple[str | None, str] | None = None
    within: int = 0
    cost: tuple[float, str] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


def line_of_run(summary: bytes, now: int) -> RunLine:
    """Return the line of the run whose *summary* this is (see :mod:`execution_history.records.summary`)."""
    facts: dict[str, Any] = orjson.loads(summary)
    error, cost = error_text(facts), cost_of(COST.of(facts))
    return RunLine(
        facts["workflow_id"],
        facts["execute_id"],
        facts["execute_status"],
        facts["create_time"],
        elapsed_ms(facts["create_time"], facts["duration_ms"], now, facts.get("waited_ms") or 0),
        facts["tokens"],
        one_line(facts["input_line"], _LONGEST_LINE),
        one_line(error or only_text(facts["output_line"]), _LONGEST_LINE),
        bool(error),
        tuple(tag for tag in TAGS.of(facts) or () if isinstance(tag, str)),
        PINNED.of(facts) is True,
        parent=parent_of(facts),
        cost=None if cost is None else (units_of(cost.amount), cost.currency),
        facts=facts,
    )


def line_of_hit(body: bytes, now: int, search: Search) -> RunLine:
    """Return the line of the record whose stored bytes are *body*, with the places where *search* has hits."""
    record = outline_of(body)
    line = line_of_run(summary_of(record, attributes_of(record)), now)
    return replace(line, passages=tuple(map(_passage, snippets(record, search, limit=_PASSAGES))))


def _passage(snippet: Snippet) -> Passage:
    """Return a snippet in stretches, every second of which is a hit."""
    places = [0, *(place for hit in snippet.hits for place in hit), len(snippet.text)]
    stretches = (Stretch(snippet.text[begin:end], n % 2 == 1) for n, (begin, end) in enumerate(pairwise(places)))
    return Passage(snippet.field, [stretch for stretch in stretches if stretch.text])
