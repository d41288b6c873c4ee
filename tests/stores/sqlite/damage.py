"""Bits of stored documents turned round, as a disk may do it, and documents as earlier versions wrote them."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import apsw
import zstandard

_ONE = "FROM executions WHERE execute_id = ? AND workflow = (SELECT id FROM workflows WHERE workflow_id = ?)"

_LEAF_OF_AN_INDEX = 10


def flipped(document: bytes, bit: int) -> bytes:
    """*document* with one bit turned round."""
    changed = bytearray(document)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def stored(folder: Path, execute_id: str, workflow_id: str = "w") -> bytes:
    """The document of a record as it lies in the database."""
    with closing(apsw.Connection(str(folder / "history.db"))) as connection:
        document: Any = connection.execute(f"SELECT document {_ONE}", (execute_id, workflow_id)).get
        return bytes(document)


def put(folder: Path, document: bytes, execute_id: str, workflow_id: str = "w") -> None:
    """Put another document there."""
    with closing(apsw.Connection(str(folder / "history.db"))) as connection:
        connection.set_busy_timeout(10_000)
        where = _ONE.partition("WHERE")[2]
        sql = f"UPDATE executions SET document = ? WHERE {where}"  # noqa: S608 - ours
        connection.execute(sql, (document, execute_id, workflow_id))


def damage(folder: Path, *execute_ids: str, workflow_id: str = "w", bit: int = 200) -> None:
    """Turn two bits of these records round, so that the documents themselves do not tell which."""
    for execute_id in execute_ids:
        document = flipped(stored(folder, execute_id, workflow_id), bit)
        put(folder, flipped(document, bit + 11), execute_id, workflow_id)


@contextmanager
def damaged(folder: Path, bit: int, execute_id: str, workflow_id: str) -> Iterator[None]:
    """One bit is turned round for the time of the block."""
    whole = stored(folder, execute_id, workflow_id)
    put(folder, flipped(whole, bit), execute_id, workflow_id)
    yield
    put(folder, whole, execute_id, workflow_id)


def make_old(folder: Path, *, plain: bool) -> None:
    """Write every document as earlier versions did: a frame without a checksum, or *plain* JSON."""
    with closing(apsw.Connection(str(folder / "history.db"))) as connection:
        content: Any = connection.execute("SELECT content FROM dictionaries").get
        dictionary = zstandard.ZstdCompressionDict(content)
        packs = zstandard.ZstdCompressor(level=1, dict_data=dictionary)
        unpacks = zstandard.ZstdDecompressor(dict_data=dictionary)
        rows: list[Any] = connection.execute("SELECT seq, document FROM executions").fetchall()
        for seq, document in rows:
            body = unpacks.decompress(bytes(document))
            connection.execute(
                "UPDATE executions SET packing = ?, document = ? WHERE seq = ?",
                (0, body, seq) if plain else (1, packs.compress(body), seq),
            )


def mislead(folder: Path, execute_id: str) -> str:
    """Turn the last bit of an id round where the database's index has it; return what it says now."""
    path = folder / "history.db"
    data = bytearray(path.read_bytes())
    size = int.from_bytes(data[16:18], "big")  # of a page: sqlite.org/fileformat.html, 1.3.2
    at = data.find(execute_id.encode())
    while data[at // size * size] != _LEAF_OF_AN_INDEX:
        at = data.index(execute_id.encode(), at + 1)
    last = at + len(execute_id) - 1
    data[last] ^= 1
    path.write_bytes(data)
    return execute_id[:-1] + chr(data[last])
