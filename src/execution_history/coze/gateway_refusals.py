"""Which requests are for the gateway, and what it answers where it passes one on to nobody.

An error of the gateway itself is an envelope with HTTP 200: the one form that all four SDKs hand on whole
(coze-protocol 2.4, 4.2, 9); the header ``x-execution-history-error`` marks it. Where a caller takes whatever comes with
200 for the sound or the file that it wants, or opens a WebSocket, the envelope comes with the status of an error.
"""

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from starlette.types import Scope

from execution_history.coze.protocol.run_history_response import refusal
from execution_history.errors import Message
from execution_history.presentation.formatting import one_line
from execution_history.presentation.translator import LANGUAGES
from execution_history.request_id import current_request_id

ERROR_HEADER: Final = b"x-execution-history-error"
"""Marks an error of the gateway itself; its value is a word for programs."""

BAD_REQUEST: Final = 4000
NO_ANSWER: Final = 5000
"""Codes of envelopes: the caller's fault, as Coze has it too, and the upstream's or ours."""

_LONGEST_SENTENCE: Final = 2_000

_PREFIXES: Final = (b"/v1/", b"/v2/", b"/v3/", b"/api/", b"/open_api/")
_SLASHES: Final = re.compile(rb"/{2,}")
_BINARY_PATH: Final = re.compile(rb"/v\d+/(?:audio/speech|.+/(?:content|download))/?")
_BINARY_TYPES: Final = ("audio/", "image/", "video/", "application/octet-stream")


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error of the gateway itself.

    Attributes:
        code: of the envelope; positive.
        word: for programs; the value of the header.
        sentence: for people; translated where it is a message, and sent on one line.
        status: the HTTP status where it is not 200.
    """

    code: int
    word: str
    sentence: str
    status: int

    def answer(self, scope: Scope) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Return status, headers and body of the answer to the request *scope*, in the language that it prefers."""
        headers = dict(scope["headers"])
        translator = LANGUAGES.of_header(headers.get(b"accept-language", b"").decode("latin-1"))
        body = refusal(self.code, one_line(translator.message(self.sentence), _LONGEST_SENTENCE), current_request_id())
        has_envelope = scope["type"] == "http" and not _wants_bytes(scope, headers.get(b"accept", b""))
        fields = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (ERROR_HEADER, self.word.encode("ascii")),
        ]
        return HTTPStatus.OK if has_envelope else self.status, fields, body


def unreachable(upstream: str, reason: str) -> Refusal:
    """Return the answer to a request that *upstream* gave none to, for this *reason*."""
    sentence = Message(
        "The upstream %(upstream)s gave no answer (%(reason)s): check its address and the network.",
        upstream=upstream,
        reason=reason,
    )
    return Refusal(NO_ANSWER, "upstream_unreachable", sentence, HTTPStatus.BAD_GATEWAY)


def gateway_path(scope: Scope) -> bytes | None:
    """Return the path of a request for the gateway, as it was sent but for double slashes; ``None`` for any other."""
    if scope["type"] not in {"http", "websocket"}:
        return None
    path = _path_of(scope)
    return path if path.startswith(_PREFIXES) else None


def _path_of(scope: Scope) -> bytes:
    raw = scope.get("raw_path") or str(scope["path"]).encode()
    return _SLASHES.sub(b"/", raw.partition(b"?")[0])


def _wants_bytes(scope: Scope, accept: bytes) -> bool:
    """Return whether the caller takes the body of an answer for what it wanted, without looking for an envelope."""
    kinds = [kind.strip().lower() for kind in accept.decode("latin-1").split(",") if kind.strip()]
    wanted = bool(kinds) and all(kind.startswith(_BINARY_TYPES) for kind in kinds)
    return wanted or _BINARY_PATH.fullmatch(_path_of(scope)) is not None
