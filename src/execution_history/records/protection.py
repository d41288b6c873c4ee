"""What keeps a run from being removed by retention: one definition for its preview, its rules and its budget. Pure."""

from collections.abc import Collection, Mapping
from typing import Any, Final, Literal

from execution_history.records.metadata import PINNED, RATING, TAGS
from execution_history.records.waiting import waiting_since

Protection = Literal["running", "waiting", "pinned", "rated", "tagged"]

PROTECTIONS: Final[tuple[Protection, ...]] = ("running", "waiting", "pinned", "rated", "tagged")

KEEP_TAGS: Final = ("keep",)
"""The tags that keep a run, unless the settings name others."""


def protection_of(
    record: Mapping[str, Any], keep_tags: Collection[str] = KEEP_TAGS, *, frees_waiting: bool = False
) -> Protection | None:
    """Return what protects the run of *record*, or of its summary; ``None`` for nothing.

    A run that is ``running`` is protected, whether or not its recorder still has its lease: what becomes of it is not
    known yet. So is one that waits for an answer, and one that somebody has pinned, rated or given one of *keep_tags*.

    Args:
        record: the record, or its summary.
        keep_tags: the tags that keep a run.
        frees_waiting: whether runs that wait for an answer are meant to go, as a rule says that names their status.
    """
    if record["execute_status"] == "running":
        return "running"
    if not frees_waiting and waiting_since(record) is not None:
        return "waiting"
    if PINNED.of(record):
        return "pinned"
    if RATING.of(record) is not None:
        return "rated"
    return "tagged" if not set(keep_tags).isdisjoint(filter(_is_text, TAGS.of(record) or ())) else None


def _is_text(value: object) -> bool:
    return isinstance(value, str)
