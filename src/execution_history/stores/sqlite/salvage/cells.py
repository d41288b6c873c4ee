"""The rows on the pages of a table (sqlite.org/fileformat.html, sections 1.6 and 2.1)."""

import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from execution_history.stores.sqlite.queries import Value
from execution_history.stores.sqlite.salvage.pages import Pages

INTERIOR: Final = 0x05
LEAF: Final = 0x0D
INDEX_INTERIOR: Final = 0x02
INDEX_LEAF: Final = 0x0A
_LEAF_HEADER: Final = 8
_INTERIOR_HEADER: Final = 12
_FIRST_PAGE_OFFSET: Final = 100
_LONGEST_VARINT: Final = 9
_INTEGERS: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_FLOAT: Final = 7
_ZERO: Final = 8
_ONE: Final = 9
_FIRST_BLOB: Final = 12

Row = tuple[Value, ...]


class BrokenCell(Exception):  # noqa: N818 - a finding within this room
    """A cell, or a page of it, cannot be read."""


def header_at(number: int) -> int:
    """Return where the header of a page begins: on the first one behind that of the database."""
    return _FIRST_PAGE_OFFSET if number == 1 else 0


def kind_of(page: bytes, number: int) -> int:
    """Return the kind of a page; 0 where there is none."""
    at = header_at(number)
    return page[at] if len(page) > at else 0


def children(page: bytes, number: int) -> list[int]:
    """Return the pages below an interior page.

    Raises:
        BrokenCell: it is damaged.
    """
    at = header_at(number)
    try:
        places = _places(page, at, _INTERIOR_HEADER)
        return [struct.unpack_from(">I", page, place)[0] for place in (*places, at + 8)]
    except (struct.error, IndexError) as error:
        raise BrokenCell from error


def rows_on(pages: Pages, page: bytes, number: int, broken: Callable[[], None]) -> Iterator[tuple[int, Row]]:
    """Yield the number and the values of each row on a leaf; call *broken* for each that cannot be read."""
    try:
        places = _places(page, header_at(number), _LEAF_HEADER)
    except (struct.error, IndexError):
        broken()
        return
    for place in places:
        try:
            size, at = _varint(page, place)
            rowid, at = _varint(page, at)
            yield rowid, _values(_payload(pages, page, at, size))
        except (BrokenCell, struct.error, IndexError, ValueError):
            broken()


def keys_on(page: bytes, number: int) -> Iterator[Row]:
    """Yield the keys on a page of an index, each followed by the number of its row; those that cannot be read are not.

    A key that goes on in another page is none either: it would be larger than a quarter of a page.
    """
    is_interior = kind_of(page, number) == INDEX_INTERIOR
    with suppress(struct.error, IndexError):
        for place in _places(page, header_at(number), _INTERIOR_HEADER if is_interior else _LEAF_HEADER):
            with suppress(BrokenCell, struct.error, IndexError, ValueError):
                size, at = _varint(page, place + 4 * is_interior)
                yield _values(_whole([page[at : at + size]], size))


def _places(page: bytes, at: int, header: int) -> tuple[int, ...]:
    [count] = struct.unpack_from(">H", page, at + 3)
    count = min(count, (len(page) - at - header) // 2)  # the rest of a number that is wrong leads nowhere
    return struct.unpack_from(f">{count}H", page, at + header)


def _payload(pages: Pages, page: bytes, at: int, size: int) -> bytes:
    """Return the *size* bytes of a row that begin at *at* and go on in overflow pages."""
    usable = pages.usable
    if size > pages.count * pages.size:
        raise BrokenCell
    local = size
    if size > usable - 35:
        least = (usable - 12) * 32 // 255 - 23
        local = least + (size - least) % (usable - 4)
        local = local if local <= usable - 35 else least
    parts = [page[at : at + local]]
    if local == size:
        return _whole(parts, size)
    [following] = struct.unpack_from(">I", page, at + local)
    missing, passed = size - local, set[int]()
    while missing > 0:
        content = pages.overflow(following)
        if len(content) < pages.usable or following in passed:
            raise BrokenCell
        passed.add(following)
        parts.append(content[4 : 4 + min(missing, usable - 4)])
        missing -= usable - 4
        [following] = struct.unpack_from(">I", content, 0)
    return _whole(parts, size)


def _whole(parts: list[bytes], size: int) -> bytes:
    payload = b"".join(parts)
    if len(payload) != size:
        raise BrokenCell
    return payload


def _values(payload: bytes) -> Row:
    """Return the values of a row; text that is not UTF-8 has escapes for its bytes."""
    end, at = _varint(payload, 0)
    body = end
    found: list[Value] = []
    while at < end:
        kind, at = _varint(payload, at)
        value, body = _value(payload, kind, body)
        found.append(value)
    if at != end or body != len(payload):
        raise BrokenCell
    return tuple(found)


def _value(payload: bytes, kind: int, at: int) -> tuple[Value, int]:
    if kind == 0:
        return None, at
    if kind in (_ZERO, _ONE):
        return kind - _ZERO, at
    if kind in _INTEGERS:
        length = _INTEGERS[kind]
        return int.from_bytes(payload[at : at + length], "big", signed=True), at + length
    if kind == _FLOAT:
        return struct.unpack_from(">d", payload, at)[0], at + 8
    if kind < _FIRST_BLOB:
        raise BrokenCell
    length = (kind - _FIRST_BLOB) // 2
    content = payload[at : at + length]
    return (content.decode(errors="surrogateescape") if kind % 2 else content), at + length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins at *at*, and where it ends (section 1.6)."""
    value = 0
    for place in range(at, at + _LONGEST_VARINT - 1):
        byte = data[place]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:  # noqa: PLR2004 - its highest bit
            return value, place + 1
    value = value << 8 | data[at + _LONGEST_VARINT - 1]
    return value - (1 << 64 if value >> 63 else 0), at + _LONGEST_VARINT
