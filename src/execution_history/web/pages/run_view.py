"""One run as its page shows it, made from the stored bytes of its record. Pure."""

from dataclasses import replace
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import urlsplit

import orjson
from markupsafe import Markup

from execution_history.coze.protocol.answers import open_question
from execution_history.coze.protocol.repetition import is_request_read
from execution_history.errors import Message
from execution_history.history.annotations import RATINGS
from execution_history.history.overview import DEBUG_PAGE_LIVES
from execution_history.history.trace import Trace
from execution_history.presentation.coze_error_codes import explanation
from execution_history.presentation.dialogue import dialogue_of
from execution_history.presentation.formatting import cost_text, one_line
from execution_history.presentation.phrases import mode_words, proof_sentence
from execution_history.presentation.redaction_sentences import missing
from execution_history.presentation.web_link import web_link
from execution_history.records.attributes import (
    RunAttributes,
    attributes_of,
    caller_text,
    may_have_run,
    node_of_failure,
)
from execution_history.records.encoding import encode
from execution_history.records.json_text import read_json
from execution_history.records.metadata import (
    ACCOUNT,
    COZE_EXECUTE_ID,
    LOG_ID,
    NOTE,
    RECORDING_IS_CUT,
    TRACEBACK,
    Key,
    Use,
    metadata_of,
    uses_of,
)
from execution_history.records.origin import is_function
from execution_history.records.record import KEYS
from execution_history.records.timeline import nodes_of
from execution_history.records.waiting import waits_of
from execution_history.web.pages.headline import headline_of
from execution_history.web.pages.interrupt_form import question_of
from execution_history.web.pages.json_pointer import root
from execution_history.web.pages.json_tree import Limits, tree_of
from execution_history.web.pages.markdown import MOST_MARKDOWN, is_markdown, rendered
from execution_history.web.pages.trace_view import TraceView, trace_view
from execution_history.web.pages.traceback_view import traceback_view
from execution_history.web.pages.urls import part as part_address
from execution_history.web.pages.viewer import Viewer
from execution_history.web.pages.waterfall import Waterfall, waterfall_of

_MOST_CUTS: Final = 20
_MOST_BYTES: Final = 2**63
_PLACED: Final = frozenset({"input_parameters", "output", "node_execute_status", "error_message"})
_LONGEST_FACT: Final = 400
_MOST_TAGS: Final = 20
_LONGEST_TAG: Final = 64
_LONGEST_NOTE: Final = 4_000
_LONGEST_ID: Final = 1_000
_LONGEST_LOG_ID: Final = 100
_LARGEST_EDITED: Final = 20_000
_SMALL: Final = Limits(values=80, characters=6_000, named=20_000)

_IDS: Final[tuple[str | Key[Any], ...]] = (
    "execute_id", "workflow_id", COZE_EXECUTE_ID, LOG_ID, "bot_id", "conversation_id", "connector_uid", "connector_id",
)  # fmt: skip

Record = dict[str, Any]


class Fact(NamedTuple):
    """A name from the catalogue, a value, its form, the pointer to all of it, and how many characters are cut away."""

    name: str
    value: Any
    kind: Literal["id", "time", "text"] = "text"
    pointer: str = ""
    missing: int = 0


def parsed(body: bytes) -> Record:
    """Parse a record's bytes into its 19 keys; those that an adopted record lacks are ``None``."""
    record: Record = read_json(body)
    return {**dict.fromkeys(KEYS), **record}


def run_view(body: bytes, viewer: Viewer, trace: Trace | None = None) -> dict[str, Any]:
    """Return everything on the page of the run whose record's stored bytes are *body*, and of the runs in its *trace*.

    The debug page is Coze's page of the run: its ``address``, its ``host``, ``until`` when it exists (milliseconds) and
    whether it ``is_gone``. ``notes`` are the annotations: the first of many tags, and how many more there are; the
    beginning of a long note, and its length; a rating of 0 stands for none.
    """
    record = parsed(body)
    whole, status = root(record), record["execute_status"]
    link = len(part_address(record["workflow_id"], record["execute_id"], ""))
    limits, small = Limits(link=link), replace(_SMALL, link=link)
    known, is_of_coze = attributes_of(record), not is_function(record)
    nodes, output, metadata = record["node_execute_status"], record["output"], record["metadata"]
    asked = open_question(record)
    family, waterfall = _drawn(record, known, viewer.now, trace)
    has_others = not all(Use.PLACED in uses_of(key) for key in metadata_of(record))
    return {
        "record": record,
        "known": known,
        "headline": headline_of(viewer.translate, record, known, viewer.now),
        "trace": family,
        "is_function": not is_of_coze,
        "log_id": _short_text(LOG_ID.of(record)),
        "traceback": traceback_view(TRACEBACK.of(record)) if status == "failed" else None,
        "is_result_lost": may_have_run(record),
        "dialogue": dialogue_of(record),
        "proof": proof_sentence(viewer.translate, record),
        "explanation": explanation(viewer.translate, known.error_code) if status == "failed" and is_of_coze else None,
        "question": None if asked is None else question_of(asked),
        "waterfall": waterfall,
        "nodes": tree_of(whole.child("node_execute_status", nodes), limits=small) if nodes and not waterfall else None,
        "input": tree_of(whole.child("input_parameters", record["input_parameters"]), limits=limits),
        "output_markdown": _markdown_of(output),
        "output": None if output is None else tree_of(whole.child("output", output), limits=limits),
        "metadata": tree_of(whole.child("metadata", metadata), limits=small) if has_others else None,
        "debug_page": _debug_page(record, viewer.now),
        "facts": _facts(record, known, mode_words(viewer.translate, record)),
        "missing": missing(viewer.translate, record),
        "size": len(body),
        "edited": edited(record, _LARGEST_EDITED),
        "not_again": not_again(record),
        "cuts": _cuts_of(record),
        "notes": _notes(known, NOTE.of(record) or ""),
    }


def _drawn(
    record: Record, known: RunAttributes, now: int, trace: Trace | None
) -> tuple[TraceView | None, Waterfall | None]:
    """Return the runs around and within a run, and its nodes, on one axis where there are both."""
    nodes = record["node_execute_status"]
    ended = now if known.end_time is None else known.end_time
    failed = node_of_failure(record) if record["execute_status"] == "failed" else None
    family = None if trace is None else trace_view(trace, now, [ended, *(node.ended for node in nodes_of(nodes))])
    axis = None if family is None else family.axis
    return family, waterfall_of(nodes, record["create_time"], ended, failed, waits=waits_of(record), axis=axis)


def _markdown_of(output: object) -> Markup | None:
    """Return the HTML of an output that is a Markdown text, or has only that; ``None`` for any other."""
    if isinstance(output, dict) and len(output) == 1:
        output = next(iter(output.values()))
    is_short = isinstance(output, str) and len(output) <= MOST_MARKDOWN
    return rendered(output) if isinstance(output, str) and is_short and is_markdown(output) else None


def _notes(known: RunAttributes, note: str) -> dict[str, Any]:
    tags = [tag for tag in known.tags if len(tag) <= _LONGEST_TAG][:_MOST_TAGS]
    return {
        "tags": tags,
        "tags_missing": len(known.tags) - len(tags),
        "note": note[:_LONGEST_NOTE],
        "note_characters": len(note),
        "rating": known.rating if known.rating in RATINGS else 0,
        "is_pinned": known.pinned,
    }


def edited(record: Record, limit: int) -> str | None:
    """Return the input as JSON text to be edited; ``None`` where it is longer than *limit* bytes."""
    try:
        text = orjson.dumps(record["input_parameters"], option=orjson.OPT_INDENT_2)
    except TypeError:  # an integer of more than 64 bits
        return None
    return text.decode() if len(text) <= limit else None


def _facts(record: Record, known: RunAttributes, mode: str | None) -> tuple[Fact, ...]:
    """Return the known facts of the run; *mode* is how it was called."""
    facts = [
        Fact(key, record[key], "id", f"/{key}") if isinstance(key, str) else _noted(record, key, "id") for key in _IDS
    ]
    facts += [
        _noted(record, ACCOUNT, "text"),
        Fact("caller", caller_text(record), "text", "/metadata/caller"),
        Fact("create_time", record["create_time"], "time"),
        Fact("update_time", record["update_time"], "time"),
        Fact("recorded_as" if is_function(record) else "run_mode", mode),
        Fact("tokens", None if known.tokens is None else known),
        Fact("cost", cost_text(record), "text", "/metadata/cost"),
        Fact("error_code", known.error_code, "text", "/error_code"),
    ]
    return tuple(_shortened(fact) if fact.pointer else fact for fact in facts if fact.value not in (None, ""))


def _short_text(value: str | None) -> str | None:
    return value if value is not None and len(value) <= _LONGEST_LOG_ID else None


def _noted(record: Record, key: Key[Any], kind: Literal["id", "text"]) -> Fact:
    return Fact(key.name, key.raw(record), kind, f"/metadata/{key.name}")


def _shortened(fact: Fact) -> Fact:
    """Return a fact cut to fit; an id stays whole, and one that is too long for an id counts as text."""
    text = fact.value if isinstance(fact.value, str) else encode(fact.value).decode()
    if len(text) <= (_LONGEST_ID if fact.kind == "id" else _LONGEST_FACT):
        return fact._replace(value=text if fact.kind == "id" else one_line(text, _LONGEST_FACT))
    return fact._replace(value=one_line(text, _LONGEST_FACT // 2), kind="text", missing=len(text) - _LONGEST_FACT // 2)


def _debug_page(record: Record, now: int) -> dict[str, Any] | None:
    address = web_link(record["debug_url"])
    if address is None:
        return None
    until = record["create_time"] + DEBUG_PAGE_LIVES
    return {"address": address, "host": urlsplit(address).hostname or "", "until": until, "is_gone": now > until}


def _cuts_of(record: Record) -> dict[str, Any]:
    """Return the values that were cut at recording: names, as in ``recording_is_cut``, and their former bytes.

    ``placed`` are values with a section of their own; of the others, ``facts`` and ``metadata``, the largest are here.
    ``is_answer_cut`` is true where Coze's answer went on after the part that was kept. What is not a size is left out.
    """
    cut = RECORDING_IS_CUT.of(record)
    named = cut.items() if isinstance(cut, dict) else ()
    sizes = {name: size for name, size in named if type(size) is int and 0 <= size < _MOST_BYTES}
    others = sorted((each for each in sizes.items() if each[0] not in _PLACED), key=lambda each: -each[1])
    return {
        "placed": {name: size for name, size in sizes.items() if name in _PLACED},
        "facts": [each for each in others if not _is_metadata(each[0])][:_MOST_CUTS],
        "metadata": [each for each in others if _is_metadata(each[0])][:_MOST_CUTS],
        "is_answer_cut": cut is True,
    }


def not_again(record: Record) -> Message | None:
    """Return why the run of *record* cannot be run again from here; ``None`` where it can."""
    if is_function(record):
        return Message("This run belongs to a Python program; start it again there.")
    if not is_request_read(record):
        return Message(
            "The request of this run could not be read, so its input here is not what the workflow got, and it cannot "
            "be run again from here. Send it once more from your program."
        )
    if _is_input_whole(record):
        return None
    return Message(
        "The input of this run was too large to be kept whole; only its beginning is here, so it cannot be run "
        "again from here. Send the whole input from your program."
    )


def _is_input_whole(record: Record) -> bool:
    """Return whether the recorded input of a run is the whole input; a missing one cannot have been cut."""
    cut, parameters = RECORDING_IS_CUT.of(record), record["input_parameters"]
    if isinstance(cut, dict):
        return "input_parameters" not in cut
    return cut is not True or parameters is None or isinstance(parameters, dict)


def _is_metadata(name: str) -> bool:
    return name == "metadata" or name.startswith("metadata.")
