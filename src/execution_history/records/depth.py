"""How deeply a record may be nested, and what becomes of what lies deeper. Pure.

A record has at most :data:`LEVELS` levels of lists and objects, of which its own object is the first. What lies
deeper is a string: its JSON.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from gc import get_referents
from itertools import accumulate, compress, count
from typing import Final

import orjson

LEVELS: Final = 128
"""Levels of lists and objects in a record, its own object being the first."""

IN_VALUE: Final = LEVELS - 1
"""Levels in the value of a record's key."""

IN_METADATA: Final = LEVELS - 2
"""Levels in a value under ``metadata``."""

WRITABLE: Final = 254
"""Levels that orjson writes; it refuses to write more."""

LEAVES: Final = frozenset({str, int, bool, float, type(None), datetime, date, time, orjson.Fragment})
"""The types that JSON, or orjson, has and in which there is nothing else."""

_CONTAINERS: Final = frozenset({dict, list, tuple})
_PLAIN: Final = _CONTAINERS | LEAVES
_MOST_VALUES: Final = 16_000_000
_PIECE: Final = 256 * 1024
_MOST_PARTS: Final = 100_000
_COARSER: Final = 2
_BRACKETS: Final = b"[{]}"
_OTHERS: Final = bytes(set(range(256)) - set(_BRACKETS))
_NO_BRACKETS: Final = bytes.maketrans(_BRACKETS, b"    ")
_STEPS: Final = bytes.maketrans(_BRACKETS, b"\x01\x01\xff\xff")
_IS_BRACKET: Final = bytes(byte in _BRACKETS for byte in range(256))


def kinds_within(value: object, levels: int) -> set[type] | None:
    """Return the types of *value* and of everything in it; ``None`` where it has more than *levels* levels.

    ``None`` too where it holds anything but plain lists, tuples, dicts and leaves, or more than sixteen million values.
    What an :class:`orjson.Fragment` holds is not seen.
    """
    # orjson 3.12 and 3.13 do not count tuples: more than a thousand in each other overwrite foreign memory.
    here = kinds = {type(value)}
    level: Sequence[object] = (value,)
    most = _MOST_VALUES - 1
    while most >= 0 and here <= _PLAIN:
        if here.isdisjoint(_CONTAINERS):
            return kinds
        if not levels:
            return None
        levels -= 1
        level = get_referents(*level)
        here = set(map(type, level))
        kinds = kinds | here
        most -= len(level)
    return None


def cut(document: bytes, levels: int) -> bytes:
    """Return *document*, JSON of any origin and depth, with every list and object below *levels* levels as a string.

    It takes time and memory in proportion to the document. What makes more than a hundred thousand strings becomes one
    for each value in the second level, or one altogether. What is not JSON stays so.
    """
    if not _has_more_brackets(document, levels):
        return document
    for kept in (levels, min(levels, _COARSER)):
        parts = list(_parts(document, kept))
        if len(parts) <= _MOST_PARTS:
            break
    else:
        parts = list(_parts(document, 0))
    pieces: list[bytes] = []
    at = 0
    for begin, end in parts:
        pieces += (document[at:begin], orjson.dumps(document[begin:end].decode(errors="replace")))
        at = end
    return b"".join((*pieces, document[at:])) if parts else document


def _has_more_brackets(document: bytes, most: int) -> bool:
    """Return whether more than *most* brackets open in *document*, those in its texts included."""
    found = 0
    for at in range(0, len(document), _PIECE):
        piece = document[at : at + _PIECE]
        # Taking a byte out is several times as fast as counting it.
        found += 2 * len(piece) - len(piece.replace(b"[", b"")) - len(piece.replace(b"{", b""))
        if found > most:
            return True
    return False


def _parts(document: bytes, levels: int) -> Iterator[tuple[int, int]]:
    """Yield begin and end of each list and object below *levels* levels that is in no other such; at most one more."""
    depth, begin, found = 0, -1, 0
    for at, pieces, texts in _split(document):
        steps = b"".join(pieces[1 - texts :: 2]).translate(_STEPS, _OTHERS)
        down = steps.count(b"\xff")
        up = len(steps) - down
        if depth - down > levels if begin >= 0 else depth + up <= levels:
            depth += up - down
            continue
        depths = list(accumulate(memoryview(steps).cast("b"), initial=depth))
        depth = depths[-1]
        if min(depths) > levels if begin >= 0 else max(depths) <= levels:
            continue
        places = _places(at, pieces, texts)
        number = 0
        while (number := _next(depths, levels + (begin < 0), number)) >= 0:
            if begin < 0:
                begin = places[number - 1]
                continue
            yield begin, places[number - 1] + 1
            begin, found = -1, found + 1
            if found > _MOST_PARTS:
                return


def _split(document: bytes) -> Iterator[tuple[int, list[bytes], int]]:
    """Yield *document* in pieces: where each begins, what stands between its quotes, and with which of it texts begin.

    Every other one from there on is a text.
    """
    plain = document.replace(b"\\\\", b"  ").replace(b'\\"', b"  ")
    texts = 1
    for at in range(0, len(plain), _PIECE):
        pieces = plain[at : at + _PIECE].split(b'"')
        yield at, pieces, texts
        texts ^= len(pieces) % 2 == 0


def _places(at: int, pieces: list[bytes], texts: int) -> list[int]:
    """Return where the brackets of lists and objects are; see :func:`_split`."""
    if inside := pieces[texts::2]:
        pieces[texts::2] = b'"'.join(inside).translate(_NO_BRACKETS).split(b'"')
    return list(compress(count(at), b'"'.join(pieces).translate(_IS_BRACKET)))


def _next(depths: list[int], depth: int, start: int) -> int:
    """Return where *depth* is next in *depths*; -1 when it is not."""
    try:
        return depths.index(depth, start)
    except ValueError:
        return -1
