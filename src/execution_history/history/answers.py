"""Answers about many runs as JSON objects, the same for HTTP and the command line. Pure."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from execution_history.history.overview import Overview
    from execution_history.query.breakdown import Breakdown
    from execution_history.query.model import IndexReach, RecordKey, Selection, Statistics

_REMARKS: Final = frozenset({"reach", "damaged"})


def damaged_of(keys: "Sequence[RecordKey]") -> dict[str, list[dict[str, str]]]:
    """Return the ``damaged`` entry of an answer; empty where all records can be read."""
    return {"damaged": [key._asdict() for key in keys]} if keys else {}


def reach_entry(reach: "IndexReach") -> dict[str, dict[str, int | None]]:
    """Return the ``reach`` entry of an answer; empty while the index has everything."""
    return {} if reach.is_complete else {"reach": asdict(reach)}


def remarks_of(found: "Selection | Statistics | Breakdown | Overview") -> dict[str, Any]:
    """Return what an answer has only where something is missing in it: ``reach`` and ``damaged``."""
    return {**reach_entry(found.reach), **damaged_of(found.damaged)}


def json_of(found: "Statistics | Breakdown | Overview") -> dict[str, Any]:
    """Return the fields of *found* by name, which encoders of dataclasses take, and its remarks last."""
    parts = {field.name: getattr(found, field.name) for field in fields(found) if field.name not in _REMARKS}
    return {**parts, **remarks_of(found)}
