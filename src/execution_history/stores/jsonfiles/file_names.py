"""File names for workflow ids: readable where possible, always safe and reversible.

Ordinary ids, Chinese ones among them, are their own file names. A character that some file system refuses or treats as
structure is percent-encoded as UTF-8 (RFC 3986, section 2.1), and a name that would be too long ends in the SHA-256 of
the id: then only the file itself has the ``workflow_id``.
"""

import os
import re
import unicodedata
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import unquote

SUFFIX: Final = ".json"

_LONGEST: Final = 200
_UNSAFE: Final = re.compile(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|%\u2028\u2029\ufeff]|[. ](?=$)|^[. ~-]')
_RESERVED: Final = re.compile(r"^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(?=$|\.)", re.IGNORECASE)
_HASHED: Final = re.compile(r"~[0-9a-f]{64}$")
_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]")
_ESCAPE_OR_LETTER: Final = re.compile(r"%[0-9A-F]{2}|[^\W\d_]")


def file_name(workflow_id: str, *, case_sensitive: bool = True) -> str:
    """Return the name of the JSON file of *workflow_id*.

    Args:
        workflow_id: any non-empty text without lone surrogates.
        case_sensitive: whether the file system distinguishes ``a`` and ``A``; otherwise capital letters are escaped, so
            that two ids never share a file.
    """
    name = _UNSAFE.sub(_percent, workflow_id)
    if unicodedata.normalize("NFC", name) != name:
        # macOS treats decomposed characters and their composed form as the same name.
        name = _NOT_ASCII.sub(_percent, name)
    if not case_sensitive:
        name = _ESCAPE_OR_LETTER.sub(_percent_capital, name)
    if _RESERVED.match(name):
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if _HASHED.search(name):
        name = name.replace("~", "%7E")
    if len(name.encode()) > _LONGEST:
        digest = sha256(workflow_id.encode()).hexdigest()
        name = f"{_shortened(name)}~{digest}"
    return name + SUFFIX


def workflow_id_of(name: str) -> str | None:
    """Return the workflow id of a *name* of :func:`file_name`; ``None`` where only the file itself has it."""
    stem = name.removesuffix(SUFFIX)
    if _HASHED.search(stem):
        return None
    try:
        return unquote(stem, errors="strict") or None
    except UnicodeDecodeError:
        return stem


def file_of(folder: Path, workflow_id: str) -> Path:
    """Return the JSON file of a workflow in *folder*, which is only read: its name depends on the file system."""
    names = [file_name(workflow_id, case_sensitive=each) for each in (True, False)]
    return next(filter(Path.exists, map(folder.joinpath, names)), folder / names[0])


def is_case_sensitive(folder: Path) -> bool:
    """Return whether the file system distinguishes ``a`` and ``A``."""
    probe = folder / f".case.{os.getpid()}.a"
    probe.touch(mode=0o600)
    try:
        return not probe.with_name(probe.name[:-1] + "A").exists()
    finally:
        probe.unlink(missing_ok=True)


def _percent(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode())


def _percent_capital(match: re.Match[str]) -> str:
    found = match[0]
    return found if len(found) > 1 or found == found.lower() else _percent(match)


def _shortened(name: str) -> str:
    """Return as much of *name* as fits before a digest, without half an escape at its end."""
    start = name.encode()[: _LONGEST - 65].decode(errors="ignore")
    return re.sub(r"%[0-9A-F]?$", "", start)
