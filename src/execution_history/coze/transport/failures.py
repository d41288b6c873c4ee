"""What an exception means for the run whose call it ended (coze-protocol 3.1): one that was not sent never began."""

import socket
import ssl
from typing import Final

import httpx

from execution_history.coze.protocol.messages import Outcome
from execution_history.coze.transport.call_recording import account_named_by
from execution_history.coze.transport.recorded_call import NEVER_BEGAN, STOPPED
from execution_history.coze.transport.unreachable import reason_of
from execution_history.errors import ExecutionHistoryError
from execution_history.records.proof import Proof

_MAY_RUN: Final = "; the workflow may still be running there."

# By the first entry whose exception fits: how the call's end is known, and its sentence. The former are about a call
# that was not sent, and end none whose answer has begun.
_NOT_SENT: Final = (
    (
        (httpx.ConnectTimeout, httpx.PoolTimeout),
        Proof.CONNECTION_FAILED,
        f"No connection to {{host}} came about in time{NEVER_BEGAN}",
    ),
    (
        (httpx.ConnectError, httpx.ProxyError, ConnectionRefusedError, socket.gaierror, ssl.SSLCertVerificationError),
        Proof.CONNECTION_FAILED,
        f"{{host}} could not be reached ({{reason}}){NEVER_BEGAN}",
    ),
    (
        (
            httpx.UnsupportedProtocol,
            httpx.LocalProtocolError,
            httpx.InvalidURL,
            httpx.StreamError,
            UnicodeError,
            ExecutionHistoryError,
        ),
        Proof.NEVER_SENT,
        f"The call could not be sent ({{reason}}){NEVER_BEGAN}",
    ),
)
_SENT: Final = (
    (httpx.TimeoutException, Proof.TIMEOUT, f"{{host}} was silent for too long{_MAY_RUN}"),
    (
        (httpx.TransportError, httpx.StreamError, OSError),
        Proof.CONNECTION_BROKEN,
        f"The connection to {{host}} broke before the run ended{_MAY_RUN}",
    ),
    (Exception, Proof.CONNECTION_BROKEN, f"The call to {{host}} failed ({{kind}}) before the run ended{_MAY_RUN}"),
)


def failure_of(error: BaseException, request: httpx.Request, *, is_answered: bool = False) -> Outcome:
    """Return the outcome of a call that *error* ended.

    Args:
        error: what was raised; anything that is no ``Exception`` stopped the recording.
        request: the request of the call.
        is_answered: whether its answer has begun, so that it was sent in any case.
    """
    for kinds, proof, sentence in _SENT if is_answered else (*_NOT_SENT, *_SENT):
        if isinstance(error, kinds):
            host = request.url.host
            reason = reason_of(error, host, None, account_named_by(request))
            words = {"host": host, "reason": reason, "kind": type(error).__name__}
            return Outcome("failed", proof, error_message=sentence.format(**words))
    return STOPPED
