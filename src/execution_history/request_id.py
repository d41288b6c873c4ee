"""The id of the request that is being answered, in whatever task or thread that is done."""

import re
import secrets
from contextvars import ContextVar
from typing import Final

HEADER: Final = "X-Request-Id"
"""The header of a request that may bring an id, and of our own answers, which have it."""

RELAYED_HEADER: Final = "X-Execution-History-Request-Id"
"""The header of answers of the gateway: an upstream may have an ``X-Request-Id`` of its own, which passes untouched."""

_SANE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,127}")
_current: ContextVar[str | None] = ContextVar("execution_history_request_id", default=None)


def begin_request(sent: str) -> str:
    """Return the id of a request from here on: the one that was *sent*, where it is short and plain, else a new one."""
    chosen = sent if _SANE.fullmatch(sent) else secrets.token_hex(8)
    _current.set(chosen)
    return chosen


def current_request_id() -> str | None:
    """Return the id of the request that is being answered here; ``None`` outside of requests."""
    return _current.get()
