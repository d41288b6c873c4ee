"""What becomes of a record that is larger than it may be. Pure.

Its largest values, those of its keys and those under ``metadata``, give way to their beginnings until it fits. A
beginning is a string that ends with ``…``: the first 32 KiB of a text, or of the JSON of anything else.
``metadata.recording_is_cut`` lists them, and how many bytes of JSON each had:
``{"output": 523000002, "metadata.trace": 71000000}``. Where metadata have so many keys that this does not help, some
are left out, and the object keeps how many bytes ``metadata`` had.
"""

import re
from collections.abc import Collection, Mapping, MutableMapping
from typing import Any, Final

import orjson

from execution_history.records.metadata import RECORDING_IS_CUT
from execution_history.records.partial import members_of

LARGEST_RECORD: Final = 64 * 1024 * 1024
"""Bytes of JSON that a record has at most unless the settings have another limit."""

LEAST_LIMIT: Final = 1024 * 1024
"""Bytes that a record must be allowed to have: the beginnings of all its keys fit."""

_BEGINNING: Final = 32 * 1024
_LARGEST_BEGINNING: Final = 2 * _BEGINNING + 8  # quotes of JSON that becomes a text are escaped
_LONGEST_NAME: Final = 200
_ENTRY: Final = 6 * _LONGEST_NAME + 64  # what naming a cut value costs at most
_SMALL_ENTRY: Final = 1024
_KEPT: Final = frozenset({"execute_id", "workflow_id", "create_time", "update_time", "metadata"})
_LITERAL: Final = re.compile(r'"(?:[^"\\]|\\u[0-9a-fA-F]{4}|\\[^u])*')


def shortened(name: str, document: bytes, most: int | None, cuts: MutableMapping[str, int]) -> bytes:
    """Return *document*, the JSON of the value *name*; of more than *most* bytes its beginning, noted in *cuts*."""
    if most is None or len(document) <= most:
        return document
    cuts[name] = len(document)
    return _beginning(document[: min(most, _BEGINNING)])


def named(key: str) -> str:
    """Return what the value of a key in ``metadata`` is called."""
    return f"metadata.{key[:_LONGEST_NAME]}"


def fit(body: bytes, most: int) -> bytes:
    """Return the JSON of a record as one of at most *most* bytes; fewer than :data:`LEAST_LIMIT` count as that."""
    most = max(most, LEAST_LIMIT)
    if len(body) <= most:
        return body
    record = {key: memoryview(value) for key, value in members_of(body).items()}
    metadata = {key: memoryview(value) for key, value in members_of(record["metadata"]).items()}
    known = orjson.loads(metadata.pop(RECORDING_IS_CUT.name)) if RECORDING_IS_CUT.name in metadata else None
    cuts: dict[str, int] = {}
    whole, excess = len(record["metadata"]), len(body) - most + _ENTRY
    values = [(len(value), record, key, key) for key, value in record.items() if key not in _KEPT]
    values += [(len(value), metadata, key, named(key)) for key, value in metadata.items()]
    for size, members, key, name in sorted(values, key=lambda value: -value[0]):
        if excess <= 0 or size <= _LARGEST_BEGINNING:
            break
        members[key] = memoryview(_beginning(bytes(members[key][:_BEGINNING])))
        cuts[name] = size
        excess += len(members[key]) - size + _ENTRY
    if excess > 0:
        _leave_out(metadata, excess + _ENTRY)
        cuts["metadata"] = whole
    metadata[RECORDING_IS_CUT.name] = memoryview(orjson.dumps(restated(known, (), cuts)))
    record["metadata"] = memoryview(_object(metadata))
    return _object(record)


def restated(known: Any, replaced: Collection[str], cuts: Any) -> Any:  # noqa: ANN401 - true, or an object of sizes
    """Return the ``recording_is_cut`` that follows *known* when the values *replaced* are new, and *cuts* of them.

    ``None`` when everything is whole again.
    """
    if isinstance(known, dict):
        known = {name: size for name, size in known.items() if name not in replaced}
        return ({**known, **cuts} if isinstance(cuts, dict) else known or cuts) or None
    return cuts if isinstance(cuts, dict) else known or cuts


def _leave_out(metadata: dict[str, memoryview], excess: int) -> None:
    """Take entries out of *metadata* until they have *excess* bytes less: large ones first, then from the beginning."""
    sizes = {key: len(orjson.dumps(key)) + len(value) + 2 for key, value in metadata.items()}
    for key in sorted(sizes, key=lambda key: -max(sizes[key], _SMALL_ENTRY)):
        if excess <= 0:
            break
        excess -= sizes[key]
        del metadata[key]


def _beginning(start: bytes) -> bytes:
    """Return the beginning of a value as JSON; *start* is that of its JSON."""
    text = start.decode(errors="ignore")
    found = _LITERAL.match(text)
    return orjson.dumps((orjson.loads(found[0] + '"') if found else text) + "…")


def _object(members: Mapping[str, memoryview]) -> bytes:
    pieces: list[bytes | memoryview] = []
    for key, value in members.items():
        pieces += (b"," if pieces else b"{", orjson.dumps(key), b":", value)
    return b"".join((*pieces, b"}"))
