"""The keys of a record's ``metadata`` that have a meaning here: one row each. Pure.

Callers may keep anything else under keys of their own; :data:`CALLERS_OWN` is how those are treated. What they set
under ours is read only where its type fits, and what would be a claim about the run goes under another name
(:func:`of_caller`): a caller sets no proof.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Flag, auto
from typing import Any, Final, Generic, TypeVar

from execution_history.records.encoding import encode
from execution_history.records.json_text import read_json
from execution_history.records.proof import known_proof
from execution_history.records.values import identifier, integer, text, time

T = TypeVar("T")

RECORDED_KINDS: Final = ("function", "generator", "context manager", "block")
"""What of a Python program can be recorded."""

_TRACEPARENT: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")


class Use(Flag):
    """What is done with the value of a key beyond keeping it, which includes every export."""

    PLACED = auto()
    """The run's page and ``show`` have a place of its own for it, so that it is not listed with the others."""
    SEARCHED = auto()
    """A text search covers it."""
    COMPARED = auto()
    """Two runs that differ in it were set up differently."""
    SUMMARISED = auto()
    """Lists get it, which see a record without its documents."""
    READ_WHOLE = auto()
    """It is read whatever its size, because runs are found by it."""
    OURS = auto()
    """A claim of ours, of how a status is known, who records and what was kept: callers do not set it."""
    OF_RUN = auto()
    """What the recorder of a run has of it. Callers of the service record runs of Coze themselves and set it; what is
    recorded as a Python function has it from its recorder only."""
    OF_BEGINNING = auto()
    """Who acts for the run, and where: that is settled when its record begins. Who changes a record of others would
    choose with whose token they act on it."""
    CONTENT = auto()
    """Contents of the run, as its input and output are: pruning removes it (:mod:`execution_history.records.contents`),
    and redaction looks into it."""
    CALLERS = auto()
    """A caller's own: what pruning removes only where it is large."""


@dataclass(frozen=True, slots=True)
class Key(Generic[T]):
    """One key, and what is done with its value.

    Attributes:
        name: the key.
        read: returns a value of the key's type, and ``None`` in the place of any other: anybody may write anything.
        meaning: what the value is, in which unit.
        written_by: the modules or people that write it.
        uses: what is done with it.
    """

    name: str
    read: Callable[[object], T | None]
    meaning: str
    written_by: str
    uses: Use

    def of(self, record: Mapping[str, Any]) -> T | None:
        """Return the value in *record*, or ``None`` where there is none of the key's type."""
        found = record["metadata"]
        return self.read(found[self.name]) if isinstance(found, dict) and self.name in found else None

    def raw(self, record: Mapping[str, Any]) -> Any:  # noqa: ANN401 - whatever somebody has written
        """Return the value in *record* whatever its type, to be shown as it is."""
        return metadata_of(record).get(self.name)


def metadata_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ``metadata`` of *record*; those of another type than an object are empty."""
    found = record["metadata"]
    return found if isinstance(found, dict) else {}


def of_caller(given: Mapping[str, object], *, is_function: bool = False, is_change: bool = False) -> dict[str, object]:
    """Return the metadata *given* by a caller, with what it must not set under ``caller.<key>``: it is kept and shown.

    Those keys are :attr:`Use.OURS`, for a Python function :attr:`Use.OF_RUN` too, and in a change of a record that has
    begun :attr:`Use.OF_BEGINNING`.
    """
    claims = Use.OURS | (Use.OF_RUN if is_function else _NONE) | (Use.OF_BEGINNING if is_change else _NONE)
    return {
        f"{CALLER.name}.{name}" if uses_of(name := _name(key)) & claims else key: value for key, value in given.items()
    }


def _name(key: object) -> str:
    """Return the name that *key*, which callers may choose as they like, gets in the record."""
    return str.__str__(key) if isinstance(key, str) else str(next(iter(read_json(encode({key: None})))))


def uses_of(name: str) -> Use:
    """Return what is done with the value of the key *name*, whether or not it has a meaning here."""
    return KEYS.get(name, CALLERS_OWN).uses


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _object(value: object) -> dict[str, Any] | None:
    return value if isinstance(value, dict) else None


def _list(value: object) -> list[Any] | None:
    return value if isinstance(value, list) else None


def _string(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _anything(value: object) -> Any:  # noqa: ANN401 - JSON is any of six things
    return value


def _number(value: object) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _kind(value: object) -> str | None:
    """Return what was recorded: a function, a generator, a context manager or a block."""
    return value if value in RECORDED_KINDS else None


def _cuts(value: object) -> Any:  # noqa: ANN401 - true, or an object of sizes
    return value if value is True or isinstance(value, dict) else None


def _execute_id(value: object) -> str | None:
    """Return the execute id in the name of another run: an id, or an object of its workflow's and its own."""
    return identifier(value.get("execute_id") if isinstance(value, dict) else value)


def _traceparent(value: object) -> str | None:
    """Return a version 00 header of W3C Trace Context, section 3.2; ids of zeros only are none."""
    found = _TRACEPARENT.fullmatch(value) if isinstance(value, str) else None
    return None if found is None or not (found[1].strip("0") and found[2].strip("0")) else found[0]


def _caller_name(value: object) -> str | None:
    return identifier(value.get("name") if isinstance(value, dict) else value)


_NONE: Final = Use(0)
_PLACED, _SEARCHED, _COMPARED, _SUMMARISED, _READ_WHOLE, _OURS, _OF_RUN, _OF_BEGINNING, _CONTENT, _CALLERS = Use

# fmt: off
ACCOUNT: Final = Key(
    "account", identifier, "The name of the account whose token the call had.",
    "coze/transport, coze/tracking", _PLACED | _SEARCHED | _COMPARED | _SUMMARISED | _OF_RUN | _OF_BEGINNING)
CALLER: Final = Key(
    "caller", _caller_name, "The program that called: a name, or name, version, language and system.",
    "coze/transport", _PLACED | _SEARCHED | _SUMMARISED | _READ_WHOLE | _OF_RUN)
UPSTREAM: Final = Key(
    "upstream", _string, "Where the call went: scheme, host and port.",
    "coze/transport", _SEARCHED | _OF_RUN | _OF_BEGINNING)
COZE_EXECUTE_ID: Final = Key(
    "coze_execute_id", text, "The id that the run has upstream, once that is known.",
    "coze/transport, coze/tracking, transfer/coze_studio", _PLACED | _SEARCHED | _SUMMARISED | _OF_RUN)
LOG_ID: Final = Key(
    "log_id", identifier, "The id under which Coze has logged the call.",
    "coze/transport, coze/tracking, transfer/coze_studio", _PLACED | _SEARCHED | _OF_RUN)
COST: Final = Key(
    "cost", _object, "What the run cost when it ended: amount, in units of the currency, and price, a version.",
    "records, history", _PLACED | _SEARCHED | _SUMMARISED | _OURS)
RECORDER: Final = Key(
    "recorder", _string, "The recorder that is, or was, recording the run.",
    "recording, coze/reconciler", _PLACED | _OURS)
PROOF: Final = Key(
    "proof", known_proof, "How the status is known.",
    "coze/transport, coze/tracking, functions, recording", _PLACED | _SUMMARISED | _OURS)
TRANSITION: Final = Key(
    "transition", _object, "What changed the status besides the run itself: from, to, at, because.",
    "coze/tracking, recording", _OURS)
ENDED_AT: Final = Key(
    "ended_at", time, "When the run ended (milliseconds), once its record was changed later.",
    "records, coze/tracking, recording, transfer/coze_studio", _PLACED | _OF_RUN)
INTERRUPT: Final = Key(
    "interrupt", _object, "What the run asks, as Coze describes it; null once that is answered.",
    "coze/transport, coze/tracking", _PLACED | _SEARCHED | _SUMMARISED | _OF_RUN | _CONTENT)
ANSWERS: Final = Key(
    "answers", _list, "What was answered to the run, and by whom, in order; when, and when it was asked.",
    "coze/transport", _SEARCHED | _READ_WHOLE | _OF_RUN | _CONTENT)
ASKED_UPSTREAM: Final = Key(
    "asked_upstream", _string, "Why the upstream did not say what became of the run.",
    "coze/tracking", _SEARCHED | _OF_RUN)
TAKEN_OVER: Final = Key(
    "taken_over", _object, "The recorder from which the run was taken over, and when.",
    "coze/reconciler", _OURS)
FETCHED_AT: Final = Key(
    "fetched_at", time, "When a run that happened elsewhere was asked for (milliseconds).",
    "coze/tracking", _OURS)
MISSING_OUTPUTS: Final = Key(
    "missing_outputs", _list, "The nodes whose outputs the upstream did not give whole.",
    "coze/tracking", _SEARCHED | _OF_RUN)
PARENT: Final = Key(
    "parent", _execute_id, "The run within which it began: its execute id, or an object with it.",
    "functions, coze/transport, transfer/coze_studio", _SEARCHED | _SUMMARISED)
ROOT: Final = Key(
    "root", _execute_id, "The outermost run around it, named like the parent.",
    "functions, coze/transport", _SEARCHED)
DURATION: Final = Key(
    "duration_ms", _number, "How long a function took by its own clock (milliseconds, with decimals).",
    "functions", _OF_RUN)
TRACEBACK: Final = Key(
    "traceback", _string, "Where the error that ended a function was raised.",
    "functions", _PLACED | _SEARCHED | _OF_RUN | _CONTENT)
RETURN_VALUE: Final = Key(
    "return_value", _anything, "What a generator returned behind what it yielded.",
    "functions", _SEARCHED | _COMPARED | _CONTENT)
TRACEPARENT: Final = Key(
    "traceparent", _traceparent, "The caller's span, around the run (W3C Trace Context).",
    "coze/transport, callers", _SEARCHED)
WORKFLOW_NAME: Final = Key(
    "workflow_name", text, "What the caller calls the workflow.",
    "callers", _SEARCHED)
TAGS: Final = Key(
    "tags", _list, "Words that people find the run by.",
    "functions, people", _PLACED | _SEARCHED | _SUMMARISED | _READ_WHOLE)
PINNED: Final = Key("pinned", _flag, "Whether people have pinned the run.", "people", _PLACED | _SEARCHED | _SUMMARISED)
RATING: Final = Key(
    "rating", integer, "How good people find the run, 1 to 5.",
    "people", _PLACED | _SEARCHED | _SUMMARISED)
NOTE: Final = Key("note", _string, "What people wrote about the run.", "people", _PLACED | _SEARCHED | _SUMMARISED)
IMPORTED_FROM: Final = Key(
    "imported_from", _object, "What the system that a run was imported from knew beyond a record.",
    "transfer/coze_studio", _SEARCHED | _CONTENT)
ADOPTED_FIELDS: Final = Key(
    "adopted_fields", _object, "What a foreign record had beyond our keys, or in another type.",
    "records", _SEARCHED | _CONTENT)
RECORDING_IS_CUT: Final = Key(
    "recording_is_cut", _cuts, "Bytes that values had of which only beginnings are kept, by name; or true.",
    "records, functions, coze/transport", _PLACED | _OURS)
RECORDED_AS: Final = Key(
    "recorded_as", _kind, "What was recorded where no workflow of Coze ran: a function, a generator, …, a block.",
    "functions", _OURS)
OUTPUT_TEXT: Final = Key(
    "output_text", _string, "The output as Coze wrote it, where its values cannot stand in JSON as they were.",
    "coze/transport, coze/tracking", _PLACED | _OURS | _CONTENT)
REQUEST_CHARSET: Final = Key(
    "request_charset", _string, "The charset in which the request was read, where that is not UTF-8.",
    "coze/transport", _OURS)
ANSWER_CHARSET: Final = Key(
    "answer_charset", _string, "The charset in which the answer was read, where that is not UTF-8.",
    "coze/transport", _OURS)
UNREAD: Final = Key(
    "unread", _string, "Why the request could not be read, of which the input is then as much as could be.",
    "coze/transport", _SEARCHED | _OURS)
PRUNED: Final = Key(
    "pruned", _object, "That contents were removed: at (milliseconds), bytes, how many, and rule, by which.",
    "records", _PLACED | _SUMMARISED | _OURS)
REDACTED_VALUES: Final = Key(
    "redacted", _object, "How many values were taken out by which rule, by the names of the values they were in.",
    "records", _PLACED | _SUMMARISED | _OURS)
RECORDING: Final = Key(
    "recording", _object, "How much of the run was recorded where that is not everything: record, and share.",
    "records", _PLACED | _OURS)
# fmt: on

CALLERS_OWN: Final = Key(
    "", _anything, "Whatever a caller keeps with its runs.", "callers", _SEARCHED | _COMPARED | _CALLERS
)
"""How a key is treated that has no meaning here."""

KEYS: Final[Mapping[str, Key[Any]]] = {
    key.name: key
    for key in (
        ACCOUNT, CALLER, TAGS, PINNED, RATING, NOTE, PROOF, COZE_EXECUTE_ID, LOG_ID, COST, UPSTREAM, RECORDER,
        TRANSITION, ENDED_AT, INTERRUPT, ANSWERS, ASKED_UPSTREAM, TAKEN_OVER, FETCHED_AT, MISSING_OUTPUTS, PARENT, ROOT,
        DURATION, TRACEBACK, RETURN_VALUE, IMPORTED_FROM, ADOPTED_FIELDS, RECORDING_IS_CUT, RECORDED_AS, OUTPUT_TEXT,
        REQUEST_CHARSET, ANSWER_CHARSET, UNREAD, WORKFLOW_NAME, PRUNED,
        REDACTED_VALUES, RECORDING, TRACEPARENT,
    )
}  # fmt: skip
"""Every key that has a meaning here, by its name."""
