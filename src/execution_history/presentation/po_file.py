"""Compile a `.po` file into a `.mo` file, for installations without a compiled one. Pure."""

import re
import struct
from collections.abc import Iterator
from typing import Final

from orjson import loads

_MAGIC: Final = 0x950412DE
_HEADER_SIZE: Final = 28
_BETWEEN_FORMS: Final = "\0"
_FUZZY: Final = re.compile("^#,.*fuzzy", re.MULTILINE)
_FIELD: Final = re.compile(r'^(\w+(?:\[\d\])?) "(.*(?:"\n".*)*)"$', re.MULTILINE)
_BREAK: Final = re.compile(r'"\n"')


def compiled(text: str) -> bytes:
    """Return the `.mo` file for the *text* of a `.po` file; fuzzy and missing translations are left out.

    Raises:
        ValueError: a string in it is malformed.
    """
    entries = sorted((key.encode(), value.encode()) for key, value in _entries(text) if value.strip(_BETWEEN_FORMS))
    keys = b"".join(key + b"\0" for key, _ in entries)
    values = b"".join(value + b"\0" for _, value in entries)
    at_keys = _HEADER_SIZE + 16 * len(entries)
    tables = [*_places([key for key, _ in entries], at_keys), *_places([v for _, v in entries], at_keys + len(keys))]
    count = len(entries)
    head = struct.pack("<7I", _MAGIC, 0, count, _HEADER_SIZE, _HEADER_SIZE + 8 * count, 0, 0)
    return head + struct.pack(f"<{len(tables)}I", *tables) + keys + values


def _places(strings: list[bytes], begin: int) -> Iterator[int]:
    for string in strings:
        yield from (len(string), begin)
        begin += len(string) + 1


def _entries(text: str) -> Iterator[tuple[str, str]]:
    """Yield every msgid, followed by its plural, with its translations; a null divides the forms."""
    for block in text.split("\n\n"):
        if _FUZZY.search(block) and 'msgid ""\nmsgstr' not in block:
            continue
        fields = {name: loads(f'"{_BREAK.sub("", strings)}"') for name, strings in _FIELD.findall(block)}
        if "msgid" in fields:
            key = _BETWEEN_FORMS.join(fields[each] for each in ("msgid", "msgid_plural") if each in fields)
            yield key, _BETWEEN_FORMS.join(value for name, value in fields.items() if name.startswith("msgstr"))
