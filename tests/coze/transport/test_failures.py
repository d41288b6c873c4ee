"""What an exception says of a run: nothing that was not sent may still be running."""

import socket

import httpx
import pytest

from execution_history.coze.transport.failures import failure_of
from execution_history.coze.transport.proxies import Proxy
from execution_history.coze.transport.unreachable import explained
from execution_history.errors import SettingsError
from execution_history.records.proof import NEVER_TAKEN, Proof

_REQUEST = httpx.Request("POST", "https://api.coze.cn/v1/workflow/run")


def _caused(error: Exception, *causes: BaseException) -> Exception:
    """*error*, with each of *causes* behind the one before."""
    behind: BaseException = error
    for cause in causes:
        behind.__cause__ = cause
        behind = cause
    return error


_NOBODY = ConnectionRefusedError(111, "Connection refused")
_NO_NAME = socket.gaierror(-2, "Name or service not known")


@pytest.mark.parametrize(
    ("error", "proof", "sentence"),
    [
        (httpx.ConnectTimeout(""), "connection_failed", "No connection to api.coze.cn came about in time"),
        (httpx.PoolTimeout(""), "connection_failed", "No connection to api.coze.cn came about in time"),
        (httpx.ConnectError("no route"), "connection_failed", "api.coze.cn could not be reached (no route)"),
        (httpx.ProxyError("407 No."), "connection_failed", "api.coze.cn could not be reached (407 No)"),
        (_NOBODY, "connection_failed", "api.coze.cn could not be reached (Connection refused)"),
        (_NO_NAME, "connection_failed", "api.coze.cn could not be reached (the name api.coze.cn cannot be resolved"),
        (httpx.UnsupportedProtocol("ftp?"), "never_sent", "The call could not be sent (ftp?)"),
        (httpx.LocalProtocolError("Illegal header"), "never_sent", "The call could not be sent (Illegal header)"),
        (httpx.InvalidURL("No host."), "never_sent", "The call could not be sent (No host)"),
        (httpx.StreamConsumed(), "never_sent", "The call could not be sent (Attempted to read or stream some content"),
        (SettingsError("No such file."), "never_sent", "The call could not be sent (No such file)"),
        (UnicodeEncodeError("ascii", "令", 0, 1, "not ASCII"), "never_sent", "The call could not be sent ('ascii'"),
    ],
    ids=str,
)  # fmt: skip
def test_a_call_that_was_not_sent_began_no_run(error: Exception, proof: str, sentence: str) -> None:
    """The sentence says why, and that the run never began."""
    outcome = failure_of(error, _REQUEST)
    assert ("failed", proof) == (outcome.status, outcome.proof)
    assert str(outcome.error_message).startswith(sentence)
    assert str(outcome.error_message).endswith(", so the run never began.")
    assert outcome.proof in NEVER_TAKEN


@pytest.mark.parametrize(
    ("error", "is_answered", "proof"),
    [
        (httpx.ReadTimeout(""), False, "timeout"),
        (httpx.WriteTimeout(""), False, "timeout"),
        (httpx.ReadError(""), False, "connection_broken"),
        (httpx.RemoteProtocolError(""), False, "connection_broken"),
        (ConnectionResetError(104, "Connection reset"), False, "connection_broken"),
        (RuntimeError("A fault of the client's."), False, "connection_broken"),
        (httpx.LocalProtocolError(""), True, "connection_broken"),
        (httpx.StreamClosed(), True, "connection_broken"),
        (httpx.ConnectError(""), True, "connection_broken"),
    ],
    ids=str,
)
def test_a_call_that_was_sent_may_run_on(error: Exception, is_answered: bool, proof: str) -> None:
    """Whatever broke it off."""
    outcome = failure_of(error, _REQUEST, is_answered=is_answered)
    assert ("failed", proof) == (outcome.status, outcome.proof)
    assert str(outcome.error_message).endswith("; the workflow may still be running there.")


def test_what_is_no_exception_stopped_the_recording() -> None:
    """Somebody pressed Ctrl+C."""
    outcome = failure_of(KeyboardInterrupt(), _REQUEST)
    assert ("interrupted", Proof.ABANDONED) == (outcome.status, outcome.proof)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (_caused(httpx.ConnectError("[Errno -2] x"), _NO_NAME), "the name api.coze.cn cannot be resolved: Na"),
        (_caused(httpx.ConnectError("All connection attempts failed"), _NOBODY), "Connection refused"),
        (
            _caused(httpx.ConnectError("All connection attempts failed"), ExceptionGroup("", [_NOBODY])),
            "Connection ref",
        ),
        (
            explained(httpx.ConnectError, _NOBODY, _REQUEST, Proxy("http://p")),
            "the proxy http://p: Connection refused)",
        ),
        (httpx.ConnectError(""), "ConnectError)"),
    ],
    ids=str,
)
def test_the_reason_is_the_one_that_is_behind_the_error(error: Exception, reason: str) -> None:
    """What the system says where a library only passes it on; words that explain it already stay."""
    sentence = failure_of(error, _REQUEST).error_message
    assert str(sentence).startswith(f"api.coze.cn could not be reached ({reason}")
