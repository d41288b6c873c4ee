"""What a record is found, sorted and counted by beyond its columns: one definition for every store and page. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from typing import Any, Final

from execution_history.records.record import ENDED_KEY, UPSTREAM_KEY

_LONGEST_TEXT: Final = 1_000
_LONGEST_MESSAGE: Final = 2_000
_LONGEST_TITLE: Final = 200
_LARGEST: Final = 2**63 - 1
_LAST_TIME: Final = 253_402_300_799_999
_MOST_TAGS: Final = 1_000
_MOST_TOKENS: Final = 10**12  # what is more is no count of tokens, and sums stay exact
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The facts of one record. Times are milliseconds since the epoch, durations milliseconds.

    Attributes:
        end_time: when the run ended: ``metadata.ended_at``, else ``update_time``; ``None`` while it runs.
        duration_ms: from ``create_time`` to ``end_time``, never below 0; ``None`` while it runs.
        account: ``metadata.account``.
        caller: the name of the calling program, ``metadata.caller.name`` or ``metadata.caller``.
        error_code: as text, whatever its type in the record.
        tokens: all tokens of the run, of the input and the output.
        has_output: whether the output is neither null nor empty (``""``, ``{}``, ``[]``).
        tags: each once, in the order of ``metadata.tags``; of more than 1,000 the first.
        fingerprint: of a failure, 16 hexadecimal digits: failures alike but for their numbers, ids, addresses and
            quoted values have the same; ``None`` where nothing failed.
        error_title: the error message without what varies, for people; ``None`` where nothing failed.
    """

    status: str
    create_time: int
    end_time: int | None
    duration_ms: int | None
    run_mode: int | None
    bot_id: str | None
    conversation_id: str | None
    account: str | None
    caller: str | None
    error_code: str | None
    tokens: int | None
    has_output: bool
    tags: tuple[str, ...]
    pinned: bool
    rating: int | None
    upstream_id: str | None
    parent: str | None
    fingerprint: str | None
    error_title: str | None


def facts_of(record: Mapping[str, Any]) -> Facts:
    """The facts of *record*, a parsed document or its outline (:mod:`execution_history.records.partial`).

    What is of the wrong kind in it counts as not there.
    """
    metadata = record["metadata"] if isinstance(record["metadata"], dict) else {}
    status, create_time = record["execute_status"], record["create_time"]
    end_time = None
    if status != "running":
        said = _integer(metadata.get(ENDED_KEY))
        end_time = said if said is not None and 0 <= said <= _LAST_TIME else record["update_time"]
    caller = metadata.get("caller")
    fingerprint, title = _failure(record)
    return Facts(
        status=status,
        create_time=create_time,
        end_time=end_time,
        duration_ms=None if end_time is None else max(0, end_time - create_time),
        run_mode=_integer(record["run_mode"]),
        bot_id=_identifier(record["bot_id"]),
        conversation_id=_identifier(record["conversation_id"]),
        account=_identifier(metadata.get("account")),
        caller=_identifier(caller.get("name") if isinstance(caller, dict) else caller),
        error_code=_identifier(record["error_code"]),
        tokens=_tokens(record["usage"]),
        has_output=record["output"] not in _EMPTY,
        tags=_tags(metadata.get("tags")),
        pinned=metadata.get("pinned") is True,
        rating=_integer(metadata.get("rating")),
        upstream_id=_text(metadata.get(UPSTREAM_KEY)),
        parent=_identifier(metadata.get("parent")),
        fingerprint=fingerprint,
        error_title=title,
    )


def normalised_message(message: str) -> str:
    """*message* with its numbers, ids, quoted values and addresses replaced by their kinds; at most 200 characters."""
    replaced = _VARYING.sub(lambda found: f"<{found.lastgroup}>", message[:_LONGEST_MESSAGE])
    return _SPACES.sub(" ", replaced).strip()[:_LONGEST_TITLE]


def _failure(record: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The fingerprint of a failure and its title."""
    status, code, message = record["execute_status"], record["error_code"], record["error_message"]
    if status != "failed" and (status != "interrupted" or (code is None and message is None)):
        return None, None
    title = normalised_message(message) if isinstance(message, str) else ""
    name, node = _failing_node(record["node_execute_status"]) or ("", {})
    parts = (_identifier(code) or "", title, _text(node.get("node_title")) or name)
    return blake2b("\0".join(parts).encode(), digest_size=8).hexdigest(), title


def names_of_failed_node(record: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what the node in which a run failed is called: its name in the timeline, its title and its id.

    Empty where the run has not failed, or its timeline does not say where.
    """
    found = _failing_node(record["node_execute_status"]) if record["execute_status"] == "failed" else None
    if found is None:
        return ()
    name, node = found
    titles = (name, _text(node.get("node_title")), _identifier(node.get("node_id")))
    return tuple(title for title in titles if title is not None)


def _failing_node(timeline: object) -> tuple[str, Mapping[str, Any]] | None:
    """Return name and facts of the first node that says an error, else of the last one that has not finished."""
    unfinished = None
    for name, node in timeline.items() if isinstance(timeline, dict) else ():
        if not isinstance(node, dict):
            continue
        if node.get("error_message") or node.get("error_code"):
            return name, node
        if node.get("is_finish") is False:
            unfinished = name, node
    return unfinished


def _tokens(usage: object) -> int | None:
    if not isinstance(usage, dict):
        return None
    for name in ("token_count", "total_tokens", "tokens"):
        if (total := _count(usage.get(name))) is not None:
            return total
    for names in (("input_count", "output_count"), ("input_tokens", "output_tokens")):
        counts = [count for name in names if (count := _count(usage.get(name))) is not None]
        if counts:
            return sum(counts)
    return None


def _tags(tags: object) -> tuple[str, ...]:
    if not isinstance(tags, list):
        return ()
    return tuple(islice(dict.fromkeys(tag for tag in tags if _text(tag) is not None), _MOST_TAGS))


def _integer(value: object) -> int | None:
    """A whole number that every store can hold."""
    return value if isinstance(value, int) and not isinstance(value, bool) and -_LARGEST <= value <= _LARGEST else None


def _count(value: object) -> int | None:
    number = _integer(int(value) if isinstance(value, float) and value.is_integer() else value)
    return number if number is not None and 0 <= number <= _MOST_TOKENS else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= _LONGEST_TEXT else None


def _identifier(value: object) -> str | None:
    """An id or a code, which some write as a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(value)
