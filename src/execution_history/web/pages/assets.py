"""The page's own files, at addresses that change with their contents."""

import gzip
import hashlib
from dataclasses import dataclass
from http import HTTPStatus
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

_TYPES: Final = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
_WORKER: Final = "worker.js"
_STYLES: Final = "page.css"
_FOR_EVER: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class _File:
    kind: str
    content: bytes
    packed: bytes


class Assets:
    """The files in ``static/page``; all addresses have one hash over all of them, so modules can name each other.

    The style sheets, one for each part of the page, are sent as one, ``page.css``, which is the first of them.
    """

    def __init__(self) -> None:
        self._files: dict[str, _File] = {}
        digest = hashlib.sha256()
        place = files("execution_history.web").joinpath("static", "page")
        contents = {each.name: each.read_bytes() for each in sorted(place.iterdir(), key=lambda found: found.name)}
        styles = sorted((name for name in contents if name.endswith(".css")), key=lambda name: (name != _STYLES, name))
        contents[_STYLES] = b"".join(map(contents.pop, styles))
        for name, content in contents.items():
            digest.update(name.encode() + b"\0" + content)
            kind = _TYPES.get(name.rpartition(".")[2], "application/octet-stream")
            self._files[name] = _File(kind, content, gzip.compress(content, 9, mtime=0))
        self.version = digest.hexdigest()[:12]

    def address(self, name: str) -> str:
        """Return the address of the file *name*.

        Raises:
            KeyError: there is no such file.
        """
        if name not in self._files:
            raise KeyError(name)
        return f"/assets/{self.version}/{name}"

    def modules(self) -> list[str]:
        """Return the addresses of the scripts that every page runs."""
        return [self.address(name) for name in self._files if name.endswith(".js") and name != _WORKER]

    def answer(self, request: Request, version: str, name: str) -> Response | None:
        """Return the file, cached by browsers for ever when requested by its current address; ``None`` without one."""
        found = self._files.get(name)
        if found is None:
            return None
        headers = {"Cache-Control": _FOR_EVER if version == self.version else "no-cache", "Vary": "Accept-Encoding"}
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(found.content, HTTPStatus.OK, headers, found.kind)
        headers["Content-Encoding"] = "gzip"
        return Response(found.packed, HTTPStatus.OK, headers, found.kind)
