"""What is read from files: JSON files and tables of others, JSON Lines, zip files, backups, spools, damaged databases."""

import io
import tempfile
import zipfile
from contextlib import suppress
from datetime import UTC
from functools import cache
from pathlib import Path
from typing import Final, Self

import msgspec
import orjson

from bench.parsers.target import Target, pieces, split, text_of
from execution_history.errors import BackupDamaged, ImportFailed
from execution_history.maintenance.backup.lines import read_line
from execution_history.maintenance.backup.manifest import Manifest, opened, sealed
from execution_history.recording.step_lines import BadLineError, key_in, line_of, step_in, text_in
from execution_history.records.charset import decode_text
from execution_history.records.depth import LEVELS, cut
from execution_history.records.encoding import encode
from execution_history.records.json_text import read_json
from execution_history.records.reading_limits import ReadingLimits
from execution_history.records.record import Document, new_document
from execution_history.stores.jsonfiles.file_format import Header, parse_header, render, whole_file
from execution_history.stores.jsonfiles.file_names import file_name, workflow_id_of
from execution_history.stores.jsonfiles.tolerant_reader import FoundFile
from execution_history.stores.mirror_port import FileState
from execution_history.stores.sqlite.salvage.log import read_log
from execution_history.transfer.coze_studio.importer import StudioSource
from execution_history.transfer.coze_studio.table_dump import Dump
from execution_history.transfer.sources import HistoryFileSource, Item, LinesSource, Source, Taken
from execution_history.transfer.zip_source import ZipSource

_LIMITS: Final = ReadingLimits(record=100_000, memory=2_000_000, temporary=10_000_000)
_PARSED_FOR_EACH: Final = 40
_PARSED_ALWAYS: Final = 300_000
"""How many characters of a damaged file are parsed at most: for each of its bytes, and of a small one."""


def _document(number: int) -> Document:
    return new_document(
        workflow_id="w",
        execute_id=f"run-{number}",
        now=1_700_000_000_000 + number,
        parameters={"城市": "北京", "n": number, "note": 'a "quote", \\ and ]}'},
        output=[1, None, "x"],
    )


@cache
def _folder() -> Path:
    """Return a folder for what is read from a path only; it goes with the process."""
    holder = tempfile.TemporaryDirectory(prefix="parsers-")
    _held.append(holder)
    return Path(holder.name)


_held: Final[list[tempfile.TemporaryDirectory[str]]] = []


class _Slow:
    """A stream that gives what it has piece by piece."""

    def __init__(self, data: bytes) -> None:
        self._pieces = filter(None, pieces(data))

    def read(self, size: int = -1, /) -> bytes:  # noqa: ARG002 - as a stream has it
        return next(self._pieces, b"")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""


def _kept(source: Source) -> list[Item]:
    """Read a source to its end; whatever it took has to be a whole record."""
    found = list(source.read(UTC))
    for item in found:
        if isinstance(item, Taken):
            assert orjson.loads(item.document.body)["execute_id"] == item.document.execute_id
    return found


def _whole_file(count: int) -> bytes:
    documents = [_document(number) for number in reversed(range(count))]
    header = Header("w", FileState(count, 7, 1_700_000_000_999))
    return whole_file(header, [render(each.body) for each in documents], 64)


def _json_file(data: bytes) -> None:
    found = FoundFile(lambda: io.BytesIO(data), _LIMITS)
    records = list(found.records())
    assert found.parsed <= _PARSED_FOR_EACH * len(data) + _PARSED_ALWAYS, f"{found.parsed} of {len(data)}"
    again = FoundFile(lambda: _Slow(data), _LIMITS)
    assert records == list(again.records())
    _kept(HistoryFileSource("w.json", len(data), lambda: io.BytesIO(data), _LIMITS))
    parse_header(data)


def _json_file_with_rubbish(data: bytes) -> None:
    """What follows a whole file costs none of its records."""
    whole = _whole_file(3)
    records = list(FoundFile(lambda: io.BytesIO(whole + data), _LIMITS).records())
    ids = {each["execute_id"] for each in records if isinstance(each, dict)}
    assert {"run-0", "run-1", "run-2"} <= ids


def _json_lines(data: bytes) -> None:
    def read(stream: type[io.BytesIO] | type[_Slow]) -> list[Item]:
        return _kept(LinesSource("a.jsonl", None, lambda: stream(data), _LIMITS))

    assert read(io.BytesIO) == read(_Slow)
    more = _document(1).body + b"\n" + data
    first = next(iter(LinesSource("a.jsonl", None, lambda: io.BytesIO(more), _LIMITS).items(UTC)))
    assert isinstance(first, Taken) or b"\0" in more, first


def _zip_file(data: bytes) -> None:
    path = _folder() / "a.zip"
    path.write_bytes(data)
    _kept(ZipSource(path, _LIMITS))


def _studio(data: bytes) -> None:
    runs, nodes = _folder() / "runs", _folder() / "nodes"
    for path, part in zip((runs, nodes), split(data, b"\n--\n"), strict=True):
        path.write_bytes(part)
    with suppress(ImportFailed):
        _kept(StudioSource(Dump(runs, _LIMITS), Dump(nodes, _LIMITS), _LIMITS))


def _backup(data: bytes) -> None:
    with suppress(BackupDamaged):
        known = opened(data, "x")
        assert opened(*sealed(known.manifest)).manifest == known.manifest
    with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        body = msgspec.json.encode(msgspec.json.decode(data, type=Manifest))
        assert msgspec.json.encode(msgspec.json.decode(body, type=Manifest)) == body
    for line in data.split(b"\n"):
        with suppress(ValueError):
            read_line(line)


def _spool(data: bytes) -> None:
    for line in data.split(b"\n"):
        with suppress(BadLineError):
            store, key = key_in(line)
            step = step_in(line)
            assert key_in(line_of(store, key, step)) == (store, key)
        with suppress(BadLineError):
            text_in(line, "reason")


def _json(data: bytes) -> None:
    with suppress(ValueError):
        value = read_json(data)
        body = encode(value)
        assert encode(read_json(body)) == body
        assert len(cut(body, 3)) >= 1
        orjson.loads(cut(body, LEVELS))
    with suppress(ValueError):
        read_json(text_of(data))
    cut(data, 3)


def _charset(data: bytes) -> None:
    declared, body = split(data)
    text, name = decode_text(body, declared.decode("latin-1"))
    encode([text, name])


def _file_names(data: bytes) -> None:
    """A name leads back to the workflow, unless it is a digest."""
    workflow_id = data.decode("utf-8", "replace")[:1_000] or "w"
    for is_case_sensitive in (True, False):
        name = file_name(workflow_id, case_sensitive=is_case_sensitive)
        assert len(name.encode()) <= 255
        assert "/" not in name
        assert workflow_id_of(name) in (None, workflow_id)
    workflow_id_of(text_of(data))


def _log(data: bytes) -> None:
    read_log(data)


def _packed(*members: tuple[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content)
    return file.getvalue()


_LINES: Final = b"".join(_document(number).body + b"\n" for number in range(3))
_OLD: Final = (
    b'{"workflow_id": "w", "histories": [' + b", ".join(_document(n).body for n in range(2)) + b'], "total": 2}'
)
_STUDIO: Final = (
    b"id,workflow_id,created_at,updated_at,status,input,output,duration,mode\n"
    b'1,7,1700000000000,1700000000100,2,"{""a"": 1}",,100,2\n2,7,1700000000000,,3,"x\ny",NULL,\\N,1\n--\n'
    b'id\texecute_id\tnode_id\tnode_name\tcreated_at\tstatus\tinput\n5\t1\t100\tEnd\t1700000000001\t3\t{\\"a\\":1}\n',
    b'{"id":1,"workflow_id":"7","created_at":1,"status":2}\n--\n'
    b'{"id":5,"execute_id":1,"node_id":"1","node_name":"End","created_at":1,"status":3}',
)
_MANIFEST: Final = sealed(
    Manifest(
        id="20260101T000000Z-a", version="0.1.0", source="data", created_at=1, moment=2, revision=3, audited=0, records=1,
        deletions=0, entries=0, audit_lines=0, segments=(),
    )
)[0]  # fmt: skip
_WORDS: Final = (
    b'"histories"', b'"execute_id"', b'"workflow_id"', b'"create_time"', b'"execute_status"', b"\n  ]\n}", b"{", b"[", b"]", b"}",
    b'"', b"\\", b"\n", b"\r\n", b"\0", b"\xef\xbb\xbf", b"\xff\xfe", b"1e400", b"-0", b"9" * 30, b"\\ud800", b"NaN", b"\t", b",", b"\\N",
)  # fmt: skip

TARGETS: Final = (
    Target("JSON files", _json_file, (_whole_file(3), _OLD, _OLD[:-200]), _WORDS),
    Target("rubbish behind JSON files", _json_file_with_rubbish, (b"", _OLD, b"]}"), _WORDS),
    Target("JSON Lines", _json_lines, (_LINES, _LINES.decode().encode("utf-16")), _WORDS),
    Target("zip files", _zip_file, (_packed(("w.json", _OLD), ("a.jsonl", _LINES)), _packed())),
    Target("tables of Coze Studio", _studio, _STUDIO, _WORDS),
    Target(
        "backups",
        _backup,
        (
            _MANIFEST,
            b"[" * 100_000,
            b'{"op":"delete","workflow_id":"w","execute_id":"e"}\n{"op":"put","record":{}}\n{"op":"\xa2',
        ),
        (b'"op"', b'"manifest"', b'"checksum"', b'"segments"'),
    ),
    Target("spools", _spool, (line_of("data", ("w", "run-1"), _document(1), reason="x"),), _WORDS),
    Target("JSON", _json, (_document(1).body, b"[[[[1e5]]]]", b'{"a":-0.0,"a":1}'), _WORDS),
    Target("charsets", _charset, ("gb18030\n值".encode("gb18030"), "utf-16\nä".encode()), (b"gbk", b"utf-8", b"\n")),
    Target("file names", _file_names, ("../工作流~%2F".encode(), b"CON.a", b"7" * 300), (b"%", b"~", b".", b"/")),
    Target("logs of databases", _log, (b"\x37\x7f\x06\x82" + bytes(28) + bytes(24 + 512),)),
)
