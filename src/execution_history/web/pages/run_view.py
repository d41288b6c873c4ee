"""One run as its page shows it, made from the stored bytes of its record. Pure."""

from dataclasses import dataclass, replace
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import orjson

from execution_history.history.annotations import RATINGS
from execution_history.presentation.coze_error_codes import explanation
from execution_history.presentation.formatting import one_line
from execution_history.presentation.phrases import RUN_MODES, proof_sentence
from execution_history.records.attributes import RunAttributes, attributes_of, caller_text
from execution_history.records.encoding import decode, encode
from execution_history.records.metadata import (
    ACCOUNT,
    COZE_EXECUTE_ID,
    INTERRUPT,
    LOG_ID,
    NOTE,
    Key,
    Use,
    metadata_of,
    uses_of,
)
from execution_history.records.record import KEYS
from execution_history.web.pages.cuts import Cuts, cuts_of, is_input_whole
from execution_history.web.pages.headline import Headline, headline_of
from execution_history.web.pages.interrupt_form import Question, question_of
from execution_history.web.pages.json_pointer import root
from execution_history.web.pages.json_tree import Limits, Node, tree_of
from execution_history.web.pages.urls import part as part_address
from execution_history.web.pages.urls import web_link
from execution_history.web.pages.viewer import Reader
from execution_history.web.pages.waterfall import Waterfall, waterfall_of

_DAY: Final = 86_400_000
DEBUG_PAGE_LIVES: Final = 7 * _DAY
"""How long Coze keeps a run's debug page (coze-protocol 1.2)."""

_LONGEST_FACT: Final = 400
_MOST_TAGS: Final = 20
_LONGEST_TAG: Final = 64
_LONGEST_NOTE: Final = 4_000
_LONGEST_ID: Final = 1_000
_LARGEST_EDITED: Final = 20_000
_SMALL: Final = Limits(values=80, characters=6_000, named=20_000)

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fact:
    """A name from the catalogue, a value, how it is shown, where all of it is, and how many characters are cut away."""

    name: str
    value: Any
    kind: Literal["id", "time", "text"] = "text"
    pointer: str = ""
    missing: int = 0


@dataclass(frozen=True, slots=True)
class DebugPage:
    """Where Coze shows the run, whose server that is, and until when (milliseconds)."""

    address: str
    host: str
    until: int
    is_gone: bool


@dataclass(frozen=True, slots=True)
class Notes:
    """What people have noted about the run; a rating of 0 is none.

    Of many tags the first are here, and how many more there are; of a long note its beginning, and how long it is.
    """

    tags: tuple[str, ...]
    tags_missing: int
    note: str
    note_characters: int
    rating: int
    is_pinned: bool


@dataclass(frozen=True, slots=True)
class RunView:
    """Everything on the page of one run."""

    workflow_id: str
    execute_id: str
    status: str
    create_time: int
    update_time: int
    took: int
    tokens: int | None
    headline: Headline
    proof: str
    explanation: tuple[str, str] | None
    question: Question | None
    waterfall: Waterfall | None
    nodes: Node | None
    input: Node
    output: Node | None
    metadata: Node | None
    is_trimmed: bool
    debug_page: DebugPage | None
    facts: tuple[Fact, ...]
    size: int
    edited: str | None
    is_input_whole: bool
    cuts: Cuts
    notes: Notes


def parsed(body: bytes) -> Record:
    """Parse a record's bytes into its 19 keys; those that an adopted record lacks are ``None``."""
    record: Record = decode(body)
    return {**dict.fromkeys(KEYS), **record}


def run_view(body: bytes, reader: Reader) -> RunView:
    """Return the view of the record whose stored bytes are *body*."""
    record = parsed(body)
    whole, status = root(record), record["execute_status"]
    link = len(part_address(record["workflow_id"], record["execute_id"], ""))
    limits, small = Limits(link=link), replace(_SMALL, link=link)
    known = attributes_of(record)
    ended, took = reader.now if known.end_time is None else known.end_time, known.elapsed_ms(reader.now)
    nodes, output, metadata = record["node_execute_status"], record["output"], record["metadata"]
    began = record["create_time"]
    waterfall = waterfall_of(nodes, began, ended, status)
    has_others = not all(Use.PLACED in uses_of(key) for key in metadata_of(record))
    return RunView(
        workflow_id=record["workflow_id"],
        execute_id=record["execute_id"],
        status=status,
        create_time=began,
        update_time=record["update_time"],
        took=took,
        tokens=known.tokens,
        headline=headline_of(reader.translate, record, took),
        proof=proof_sentence(reader.translate, record),
        explanation=explanation(reader.translate, known.error_code) if status == "failed" else None,
        question=question_of(INTERRUPT.of(record) or {}) if status == "interrupted" else None,
        waterfall=waterfall,
        nodes=tree_of(whole.child("node_execute_status", nodes), limits=small) if nodes and not waterfall else None,
        input=tree_of(whole.child("input_parameters", record["input_parameters"]), limits=limits),
        output=None if output is None else tree_of(whole.child("output", output), limits=limits),
        metadata=tree_of(whole.child("metadata", metadata), limits=small) if has_others else None,
        is_trimmed=record["is_output_trimmed"] is True,
        debug_page=_debug_page(record, reader.now),
        facts=_facts(record, known),
        size=len(body),
        edited=edited(record, _LARGEST_EDITED),
        is_input_whole=is_input_whole(record),
        cuts=cuts_of(record),
        notes=_notes(known, NOTE.of(record) or ""),
    )


def _notes(facts: RunAttributes, note: str) -> Notes:
    rating = facts.rating if facts.rating in RATINGS else 0
    tags = [tag for tag in facts.tags if len(tag) <= _LONGEST_TAG][:_MOST_TAGS]
    return Notes(tuple(tags), len(facts.tags) - len(tags), note[:_LONGEST_NOTE], len(note), rating or 0, facts.pinned)


def edited(record: Record, most: int) -> str | None:
    """Return the input as JSON text to be edited; ``None`` where it is longer than *most* bytes."""
    try:
        text = orjson.dumps(record["input_parameters"], option=orjson.OPT_INDENT_2)
    except TypeError:  # an integer of more than 64 bits
        return None
    return text.decode() if len(text) <= most else None


def _facts(record: Record, known: RunAttributes) -> tuple[Fact, ...]:
    """Return what is known of the run; what is not known is not there."""
    mode = known.run_mode
    facts = (
        Fact("execute_id", record["execute_id"], "id", "/execute_id"),
        Fact("workflow_id", record["workflow_id"], "id", "/workflow_id"),
        _noted(record, COZE_EXECUTE_ID, "id"),
        _noted(record, LOG_ID, "id"),
        Fact("bot_id", record["bot_id"], "id", "/bot_id"),
        Fact("conversation_id", record["conversation_id"], "id", "/conversation_id"),
        Fact("connector_uid", record["connector_uid"], "id", "/connector_uid"),
        Fact("connector_id", record["connector_id"], "id", "/connector_id"),
        _noted(record, ACCOUNT, "text"),
        Fact("caller", caller_text(record), "text", "/metadata/caller"),
        Fact("create_time", record["create_time"], "time"),
        Fact("update_time", record["update_time"], "time"),
        Fact("run_mode", mode if mode in RUN_MODES else None),
        Fact("tokens", None if known.tokens is None else known),
        Fact("error_code", known.error_code, "text", "/error_code"),
    )
    return tuple(_shortened(fact) if fact.pointer else fact for fact in facts if fact.value not in (None, ""))


def _noted(record: Record, key: Key[Any], kind: Literal["id", "text"]) -> Fact:
    return Fact(key.name, key.raw(record), kind, f"/metadata/{key.name}")


def _shortened(fact: Fact) -> Fact:
    """Return as much of a fact as has room; an id stays whole, and one longer than an id can be is none."""
    text = fact.value if isinstance(fact.value, str) else encode(fact.value).decode()
    if len(text) <= (_LONGEST_ID if fact.kind == "id" else _LONGEST_FACT):
        return replace(fact, value=text if fact.kind == "id" else one_line(text, _LONGEST_FACT))
    return replace(fact, value=one_line(text, _LONGEST_FACT // 2), kind="text", missing=len(text) - _LONGEST_FACT // 2)


def _debug_page(record: Record, now: int) -> DebugPage | None:
    address = web_link(record["debug_url"])
    if address is None:
        return None
    until = record["create_time"] + DEBUG_PAGE_LIVES
    return DebugPage(address, urlsplit(address).hostname or "", until, now > until)
