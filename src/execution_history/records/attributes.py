"""What a record is found, sorted and counted by beyond its columns: one definition for every store and page. Pure."""

import re
from collections.abc import Mapping
from hashlib import blake2b
from itertools import islice
from typing import Any, Final, NamedTuple

from execution_history.records.cost import cost_of, units_of
from execution_history.records.metadata import (
    ACCOUNT,
    CALLER,
    COST,
    COZE_EXECUTE_ID,
    ENDED_AT,
    LOG_ID,
    PARENT,
    PINNED,
    PROOF,
    RATING,
    TAGS,
)
from execution_history.records.proof import UNCERTAIN, Proof
from execution_history.records.timeline import Node, failing_node, nodes_of
from execution_history.records.usage import usage_of
from execution_history.records.values import identifier, integer, text
from execution_history.records.waiting import waited_ms

_LONGEST_MESSAGE: Final = 2_000
LONGEST_TITLE: Final = 200
"""Characters of the title of a failure."""

_LONGEST_NAME: Final = 1_000
_MOST_TAGS: Final = 1_000
_BEGAN_NOTHING: Final = frozenset({304, 307, 308, *range(400, 500)})
_EMPTY: Final[tuple[object, ...]] = (None, "", [], {})

_VARYING: Final = re.compile(
    r"""
      (?P<url>\b[a-z][a-z0-9+.-]{0,20}://[^\s"'<>，。]+)
    | (?P<uuid>\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b)
    | (?P<value>"[^"]*"|'[^']*'|“[^”]*”|‘[^’]*’|「[^」]*」|`[^`]*`)
    | (?P<hex>\b0x[0-9a-f]+\b|\b(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{8,}\b)
    | (?P<id>\b(?=\w*[0-9])[a-z_][\w]{7,}\b)
    | (?P<n>[0-9]+(?:[.,:][0-9]+)*)
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_SPACES: Final = re.compile(r"\s+")


class RunAttributes(NamedTuple):
    """What is derived from one record. Times are milliseconds since the epoch, durations milliseconds.

    Attributes:
        end_time: when the run ended: ``metadata.ended_at``, else ``update_time``; ``None`` while it runs.
        duration_ms: how long it worked: from ``create_time`` to ``end_time`` without the time for which it waited for
            answers of people, never below 0; ``None`` while it runs.
        waited_ms: how long it waited for answers that came (:mod:`execution_history.records.waiting`).
        account: ``metadata.account``.
        caller: the name of the calling program, ``metadata.caller.name`` or ``metadata.caller``.
        error_code: as text, whatever its type in the record; 0 is none.
        tokens: all tokens of the run, of the input and the output (:mod:`execution_history.records.usage`).
        input_tokens: those of the input.
        output_tokens: those of the output.
        cost: what it has cost, in millionths of the currency (:mod:`execution_history.records.cost`).
        currency: that of the cost.
        log_id: under which Coze has logged the call.
        parent: the execute id of the run within which it began: ``metadata.parent``, or the id in it.
        has_output: whether the output is neither null nor empty (``""``, ``{}``, ``[]``).
        tags: each once, in the order of ``metadata.tags``; of more than 1,000 the first.
        fingerprint: of a failure, 16 hexadecimal digits: failures alike but for their numbers, ids, addresses and
            quoted values have the same; ``None`` where nothing failed.
        error_title: the error message without what varies, for people; ``None`` where nothing failed.
        failed_node: what the node is called in which a failed run failed (:mod:`execution_history.records.timeline`).
    """

    status: str
    create_time: int
    end_time: int | None
    duration_ms: int | None
    waited_ms: int
    run_mode: int | None
    bot_id: str | None
    conversation_id: str | None
    account: str | None
    caller: str | None
    error_code: str | None
    tokens: int | None
    input_tokens: int | None
    output_tokens: int | None
    cost: int | None
    currency: str | None
    has_output: bool
    tags: tuple[str, ...]
    pinned: bool
    rating: int | None
    upstream_id: str | None
    log_id: str | None
    parent: str | None
    fingerprint: str | None
    error_title: str | None
    failed_node: str | None

    @property
    def amount(self) -> float | None:
        """What it has cost, in units of the currency."""
        return None if self.cost is None else units_of(self.cost)

    def elapsed_ms(self, now: int) -> int:
        """Return how long the run worked or, while it runs, has worked at *now*; both in milliseconds."""
        return elapsed_ms(self.create_time, self.duration_ms, now, self.waited_ms)


def elapsed_ms(create_time: int, duration_ms: int | None, now: int, waited_ms: int = 0) -> int:
    """Return *duration_ms* or, of a run that goes on, how long it has worked from *create_time* to *now*.

    All are milliseconds, as is the result, which is never below 0.
    """
    return max(0, now - create_time - waited_ms) if duration_ms is None else duration_ms


def caller_text(record: Mapping[str, Any]) -> str | None:
    """Return the program that called with its version, language and system, as far as they are known, for people."""
    return caller_words(CALLER.raw(record))


def caller_words(caller: object) -> str | None:
    """Return the words for a program, as records keep it of who calls and who answers; ``None`` for none."""
    if isinstance(caller, dict):
        said = (caller.get(key) for key in ("name", "version", "language", "system"))
        return " ".join(part for part in said if isinstance(part, str)) or None
    return caller if isinstance(caller, str) else None


def error_code_of(record: Mapping[str, Any]) -> str | None:
    """Return the error code of *record* as text; 0 is none, as Coze gives it to what went well."""
    code = identifier(record["error_code"])
    return None if code == "0" else code


def may_have_run(record: Mapping[str, Any]) -> bool:
    """Return whether a call ended without the run's result, and the workflow may have run all the same.

    An HTTP error that is the caller's own fault, or the redirect of a call that was not repeated, began nothing.
    """
    proof = PROOF.of(record)
    if record["execute_status"] not in {"failed", "interrupted"} or proof not in UNCERTAIN:
        return False
    code = record["error_code"]
    return proof is not Proof.HTTP_STATUS or code not in _BEGAN_NOTHING


def node_of_failure(record: Mapping[str, Any]) -> Node | None:
    """Return the node in which a run failed, or stopped: the first that has an error, else the open one.

    Where only the call is known to have failed, and the run may have gone on, the open node has not failed.
    """
    nodes = nodes_of(record["node_execute_status"])
    return failing_node(nodes, is_certain=PROOF.of(record) not in UNCERTAIN)


def names_of_failed_node(record: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what the node in which a run failed is called: its name in the timeline, its title and its id.

    Empty where the run has not failed, or its timeline does not show where.
    """
    node = node_of_failure(record) if record["execute_status"] == "failed" else None
    return () if node is None else tuple(name for name in (node.name, node.node_title, node.node_id) if name)


def attributes_of(record: Mapping[str, Any]) -> RunAttributes:
    """Return the attributes of *record*, a parsed document or its outline (:mod:`execution_history.records.partial`).

    What is of the wrong kind in it counts as not there.
    """
    status, create_time = record["execute_status"], record["create_time"]
    end_time = None
    if status != "running":
        ended = ENDED_AT.of(record)
        end_time = record["update_time"] if ended is None else ended
    usage, waited = usage_of(record["usage"]), waited_ms(record, end_time)
    cost = cost_of(COST.of(record))
    fingerprint, title, failed_node = _failure(record)
    return RunAttributes(
        status=status,
        create_time=create_time,
        end_time=end_time,
        duration_ms=None if end_time is None else max(0, end_time - create_time - waited),
        waited_ms=waited,
        run_mode=integer(record["run_mode"]),
        bot_id=identifier(record["bot_id"]),
        conversation_id=identifier(record["conversation_id"]),
        account=ACCOUNT.of(record),
        caller=CALLER.of(record),
        error_code=error_code_of(record),
        tokens=usage.total,
        input_tokens=usage.input,
        output_tokens=usage.output,
        cost=None if cost is None else cost.amount,
        currency=None if cost is None else cost.currency,
        has_output=record["output"] not in _EMPTY,
        tags=_tags(TAGS.of(record) or []),
        pinned=PINNED.of(record) is True,
        rating=RATING.of(record),
        upstream_id=COZE_EXECUTE_ID.of(record),
        log_id=LOG_ID.of(record),
        parent=PARENT.of(record),
        fingerprint=fingerprint,
        error_title=title,
        failed_node=failed_node,
    )


def normalised_message(message: str) -> str:
    """Return *message* with numbers, ids, quoted values and addresses as their kinds, cut at 200 characters."""
    replaced = _VARYING.sub(lambda found: f"<{found.lastgroup}>", message[:_LONGEST_MESSAGE])
    return _SPACES.sub(" ", replaced).strip()[:LONGEST_TITLE]


def _failure(record: Mapping[str, Any]) -> tuple[str | None, str | None, str | None]:
    """Return the fingerprint of a failure, its title and the node that failed."""
    status, code, message = record["execute_status"], error_code_of(record), record["error_message"]
    if status != "failed" and (status != "interrupted" or (code is None and message is None)):
        return None, None, None
    title = normalised_message(message) if isinstance(message, str) else ""
    node = node_of_failure(record)
    parts = (code or "", title, "" if node is None else node.label[:_LONGEST_NAME])
    fingerprint = blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=8).hexdigest()
    return fingerprint, title, (parts[2] or None) if status == "failed" else None


def _tags(tags: list[Any]) -> tuple[str, ...]:
    return tuple(islice(dict.fromkeys(tag for tag in tags if text(tag) is not None), _MOST_TAGS))
