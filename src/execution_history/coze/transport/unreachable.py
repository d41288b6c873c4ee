"""Why no connection to an upstream came about, in words that name the setting that changes it.

httpx and aiohttp, asynchronous and synchronous, hide the operating system's and OpenSSL's own errors at different
depths of what they raise; here they are found, and put in one way.
"""

import os
import socket
import ssl
from collections.abc import Iterator
from typing import Final, TypeVar

import httpx

from execution_history.coze.transport.call_recording import account_named_by
from execution_history.coze.transport.proxies import Proxy

_Error = TypeVar("_Error", bound=httpx.TransportError)

# The numbers that OpenSSL gives the faults of certificates (X509_V_ERR_…).
_NOT_YET_VALID, _EXPIRED = 9, 10
_OF_ANOTHER_NAME: Final = frozenset({62, 64})

_LONGEST_REASON: Final = 300
_IS_EXPLAINED: Final = "is_explained"
"""The attribute of an error that has its reason as its text, and needs no other."""


def explained(
    kind: type[_Error], error: BaseException, request: httpx.Request, proxy: Proxy | None, account: str | None = None
) -> _Error:
    """Return an error of *kind* whose text is the reason, without credentials.

    Args:
        kind: what the transport raises where no connection came about.
        error: what was raised by what it is made of.
        request: the request that was to be sent.
        proxy: the proxy that it was to go through.
        account: the account that is named; the one that the request names unless given.
    """
    account = account or account_named_by(request)
    made = kind(reason_of(error, request.url.host, proxy, account), request=request)
    setattr(made, _IS_EXPLAINED, True)
    return made


def reason_of(error: BaseException, host: str, proxy: Proxy | None, account: str | None) -> str:
    """Return why no connection to *host* came about; see :func:`explained`."""
    if getattr(error, _IS_EXPLAINED, False):
        return str(error)
    causes = list(_causes(error))
    # aiohttp's own errors are of these classes too, and have nothing of OpenSSL's reason.
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError) and hasattr(cause, "verify_code"):
            return _of_certificate(cause, host, account)
        if isinstance(cause, ssl.SSLError) and getattr(cause, "reason", None):
            return f"TLS failed: {cause.reason.lower().replace('_', ' ')}"
    through = "" if proxy is None else f"the proxy {proxy.url}: "
    for cause in causes:
        if isinstance(cause, socket.gaierror):
            name = host if proxy is None else httpx.URL(proxy.url).host
            return f"{through}the name {name} cannot be resolved: {cause.strerror}"
    for cause in causes:
        if isinstance(cause, OSError) and (cause.errno or 0) > 0:
            return through + os.strerror(cause.errno or 0)
    return through + (_words_of(error) or type(error).__name__)


def _words_of(error: BaseException) -> str:
    status, message = getattr(error, "status", None), getattr(error, "message", None)
    words = str(error) if status is None else f"{status} {message}"  # aiohttp's own text has the whole address too
    return words.strip().rstrip(".")[:_LONGEST_REASON]


def _of_certificate(error: ssl.SSLCertVerificationError, host: str, account: str | None) -> str:
    said = error.verify_message.rstrip(".")
    if error.verify_code == _EXPIRED:
        return f"the certificate of {host} has expired"
    if error.verify_code == _NOT_YET_VALID:
        return f"the certificate of {host} is not valid yet: check this machine's clock"
    if error.verify_code in _OF_ANOTHER_NAME:
        return f"the certificate is for another name than {host}: check the address"
    setting = "ca_file of the account" if account is None else f"accounts.{account}.ca_file"
    return (
        f"the certificate of {host} is not trusted here, {said}: "
        f"name the file of the authority that signed it in {setting}, or in SSL_CERT_FILE"
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Iterate over *error* and what it was raised for; what it happened to be raised amid does not count."""
    while error is not None:
        yield error
        for hidden in (getattr(error, "certificate_error", None), getattr(error, "os_error", None)):
            if isinstance(hidden, BaseException) and hidden is not error:
                yield from _causes(hidden)
        if isinstance(error, BaseExceptionGroup):
            for each in error.exceptions:
                yield from _causes(each)
        is_httpcores = type(error).__module__.startswith("httpcore")  # its pool removes the cause
        error = error.__cause__ or (error.__context__ if is_httpcores else None)
