"""The format of a JSON file: bytes in, bytes out.

    {
      "workflow_id": "7321",
      "total":                    2,
      "updated_at":   1761901941290,
      "revision":                17,
      "newest_at":             4096,
      "histories": [
    (slack: spaces)    {
          "execute_id": …          the newest record
        },
    (a gap: spaces)    {
          …
        }
      ]
    }

The spaces before the newest record are the slack, those before other records the gaps: JSON allows them, and a record
is written into them or grows into them. ``newest_at`` is the offset at which the slack ends, and ``revision`` the
change of the store up to which the file is current.

Every line of a record is indented by four spaces more than in a document of its own, and a JSON string has no line
break (RFC 8259, section 7). A line of four spaces and a brace is therefore always the start or the end of a record.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final

import orjson

from execution_history.records.depth import LEVELS
from execution_history.records.encoding import encode, indent
from execution_history.records.json_text import HUGE, read_json
from execution_history.records.partial import LARGE, members_of
from execution_history.stores.mirror_port import FileState

OPENING: Final = b"    {"
CLOSING: Final = b"\n    }"
RECORD_START: Final = b'    {\n      "execute_id": '
FIRST_LINES: Final = 1024
"""Bytes in which the first lines of a record stand, unless its ids are long."""

RUNNING: Final = b'\n      "execute_status": "running",\n'
SEPARATOR: Final = b",\n"
FOOTER: Final = b"  ]\n}\n"

_FORM: Final = (
    b'{\n  "workflow_id": %b,\n  "total": %%20d,\n  "updated_at": %%20d,\n  "revision": %%20d,\n'
    b'  "newest_at": %%20d,\n  "histories": [\n'
)
_CREATE_TIME: Final = b'\n      "create_time": '
_HEADER: Final = re.compile(
    rb'\{\n  "workflow_id": ("(?:[^"\\\n]|\\.)*"),\n  "total": +(\d{1,18}),\n  "updated_at": +(\d{1,18}),\n'
    rb'  "revision": +(\d{1,18}),\n  "newest_at": +(\d{1,18}),\n  "histories": \[\n'
)
HEADER_LIMIT: Final = 16_384
"""No header is longer: an id has at most 1 000 characters, each at most six bytes of JSON."""


@dataclass(slots=True)
class Header:
    """The header of a JSON file."""

    workflow_id: str
    state: FileState
    newest_at: int = 0

    def encode(self) -> bytes:
        """Return the header as text; its length depends on the workflow id only."""
        total, revision, updated_at = self.state
        return _form_of(self.workflow_id) % (total, updated_at, revision, self.newest_at)


@lru_cache
def _form_of(workflow_id: str) -> bytes:
    return _FORM % orjson.dumps(workflow_id).replace(b"%", b"%%")


def parse_header(start: bytes) -> tuple[Header, int] | None:
    """Return the header that *start* begins with and its length; ``None`` for any other file."""
    match = _HEADER.match(start)
    if match is None:
        return None
    try:
        workflow_id = orjson.loads(match[1])
    except orjson.JSONDecodeError:
        return None
    total, updated_at, revision, newest_at = map(int, match.groups()[1:])
    return Header(workflow_id, FileState(total, revision, updated_at), newest_at), match.end()


def render(body: bytes) -> bytes:
    """Return the indented lines of a record, without a separator; a huge one has large values in one line.

    Indenting those would take long, while others wait, and nobody reads a megabyte line by line.
    """
    if len(body) <= HUGE:
        try:
            # Inside two lists it is indented as it has to be; the text around it is cut off.
            return _indenter()(b"[[%b]]" % body, indent=2)[len("[\n  [\n") : -len("\n  ]\n]")]
        except RecursionError:  # stored by an earlier version, and nested more deeply than any record today
            return render(encode(read_json(body), levels=LEVELS))
    pieces: list[bytes | memoryview] = []
    for key, value in members_of(body).items():
        json = memoryview(value)
        pieces += (SEPARATOR if pieces else OPENING + b"\n", b"      ", orjson.dumps(key), b": ")
        pieces.append(indent(bytes(json)).replace(b"\n", b"\n      ") if len(json) <= LARGE else json)
    return b"".join((*pieces, CLOSING))


@cache
def _indenter() -> Callable[..., bytes]:
    from msgspec.json import format as indented  # noqa: PLC0415 - 20 ms that whoever only reads need not wait for

    return indented


def record_key(execute_id: str) -> bytes:
    """Return the beginning of the record with this id."""
    return RECORD_START + orjson.dumps(execute_id) + SEPARATOR


def create_time_at(window: bytes, start: int) -> int | None:
    """Return the ``create_time`` of the record that begins at *start*, or ``None`` when it is not in the window."""
    at = window.find(_CREATE_TIME, start)
    if at < 0:
        return None
    at += len(_CREATE_TIME)
    end = window.find(b",", at, at + 24)
    return int(window[at:end]) if end > 0 else None


def whole_file(header: Header, records: list[bytes], slack: int) -> bytes:
    """Return a file of *records* (rendered, newest first) after *slack* spaces; set ``header.newest_at``."""
    header.newest_at = len(header.encode()) + slack
    end = b"\n" if records else b""
    return b"".join((header.encode(), b" " * slack, SEPARATOR.join(records), end, FOOTER))


def stamp(state: FileState, *, complete: bool = True) -> int:
    """Return the modification time, in nanoseconds, that this package gives to a file in this state.

    It lies within the millisecond of ``updated_at``; the rest is derived from the revision, in steps of 100 ns, the
    coarsest that NTFS, APFS and ext4 share. A file with any other time was changed by somebody else, or an edit was cut
    short. A file that still lacks records has another time than a *complete* one.
    """
    step = state.revision * 7919 + (0 if complete else 5_000)
    return (state.updated_at % (1 << 42)) * 1_000_000 + step % 10_000 * 100
