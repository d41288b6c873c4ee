"""The certificate with which a server speaks TLS: read anew when its files change, and known for when it expires.

The files are looked at with a handshake, ten times a second at most, so the next connection uses a renewed certificate.
Files that cannot be used, such as a certificate whose key has not been replaced yet, leave the one before in use.
"""

import logging
import os
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from execution_history.errors import N_, Message, SettingsError, quoted
from execution_history.records.time_units import DAY_MS
from execution_history.stores.foreign_files import open_regular

_log = logging.getLogger("execution_history.access")

_LOOKED_AT_SECONDS: Final = 0.1
_LARGEST: Final = 1_000_000
_WARNED_MS: Final = 14 * DAY_MS
_WARNED_SHARE: Final = 1 / 3
"""How much of its life a certificate has left when that is worth a warning: less than both."""


class _Loaded(NamedTuple):
    """A certificate in use, and when it is valid (milliseconds)."""

    context: ssl.SSLContext
    begins: int
    expires: int


class Certificate:
    """The certificate of a server, in PEM files; for one thread.

    Args:
        certificate: the file of the certificate, with those it is signed with behind it.
        key: the file of its private key, without a password; ``None`` where the certificate's file has it.
        clock: milliseconds since the epoch.
        seconds: seconds, from any beginning, that only rise.

    Attributes:
        context: for the server's connections.

    Raises:
        SettingsError: the files cannot be used.
    """

    def __init__(
        self,
        certificate: Path,
        key: Path | None,
        clock: Callable[[], int],
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._files = [certificate] if key is None else [certificate, key]
        self._clock, self._seconds = clock, seconds
        self._looked_at, self._seen = seconds(), self._state()
        self._trouble: str | None = None
        try:
            self._loaded = self._load()
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise SettingsError(
                "The files for TLS cannot be used (%(certificate)s): %(reason)s.",
                certificate=certificate,
                reason=_reason(error),
            ) from None
        self.context: ssl.SSLContext = self._loaded.context
        self.context.sni_callback = self._use_current

    @property
    def expires(self) -> int:
        """When the certificate in use expires (milliseconds since the epoch)."""
        return self._loaded.expires

    def look(self) -> None:
        """Use what is in the files now, if they have changed and can be used."""
        now = self._seconds()
        if now - self._looked_at < _LOOKED_AT_SECONDS:
            return
        self._looked_at, state = now, self._state()
        if state == self._seen:
            return
        self._seen, level = state, logging.INFO if self._trouble is None else logging.WARNING
        try:
            self._loaded, self._trouble = self._load(), None
        except (OSError, ValueError) as error:
            self._trouble = _reason(error)
            _log.error("The renewed files for TLS (%s) cannot be used, so the certificate before stays in use: %s.",
                       self._files[0], self._trouble)  # fmt: skip
        else:
            _log.log(level, "The certificate in %s was read anew; it is valid until %s.",
                     self._files[0], _day(self.expires))  # fmt: skip

    def problems(self) -> list[Message]:
        """Return what is wrong with the certificate, or soon will be."""
        self.look()
        found = []
        file, day, left = quoted(self._files[0]), _day(self.expires), self.expires - self._clock()
        if self._trouble is not None:
            sentence = N_("The renewed files for TLS (%(file)s) cannot be used: %(reason)s. Those before stay in use.")
            found.append(Message(sentence, file=file, reason=self._trouble))
        if left <= 0:
            found.append(Message("The certificate in %(file)s expired on %(day)s: renew it.", file=file, day=day))
        elif left < min(_WARNED_MS, (self.expires - self._loaded.begins) * _WARNED_SHARE):
            sentence = N_("The certificate in %(file)s expires on %(day)s (days left: %(left)s): renew it.")
            found.append(Message(sentence, file=file, day=day, left=left // DAY_MS))
        return found

    def _use_current(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        """Give a connection that begins the certificate that is in the files now."""
        self.look()
        connection.context = self._loaded.context

    def _load(self) -> _Loaded:
        """Return what is in the files.

        Raises:
            OSError: they cannot be read, or do not belong together.
            ValueError: there is no certificate in them.
        """
        from cryptography.x509 import load_pem_x509_certificates  # noqa: PLC0415 - for servers that speak TLS only

        texts = [_text_of(each) for each in self._files]
        context = _context(self._files)
        found = load_pem_x509_certificates(texts[0])[0]
        begins, expires = found.not_valid_before_utc.timestamp(), found.not_valid_after_utc.timestamp()
        return _Loaded(context, int(begins * 1000), int(expires * 1000))

    def _state(self) -> list[tuple[int, ...] | None]:
        """Return what changes with the files, or with which files have their names."""
        return [_state_of(each) for each in self._files]


def _context(files: list[Path]) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    # Without a password: asking for one would wait for a terminal.
    context.load_cert_chain(files[0], files[-1], password="")
    return context


def _text_of(file: Path) -> bytes:
    """Return what is in a file; a pipe, which may never be written, or a huge file would make all callers wait.

    Raises:
        OSError: it cannot be read, or is no file.
        ValueError: it is too large.
    """
    with open_regular(file) as content:
        text = content.read(_LARGEST + 1)
    if len(text) > _LARGEST:
        raise ValueError(f"it has more than {_LARGEST:,} bytes")
    return text


def _state_of(file: Path) -> tuple[int, ...] | None:
    try:
        found = os.stat(file)  # noqa: PTH116 - one call, with a handshake
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).rstrip(".")


def _day(moment: int) -> str:
    return f"{datetime.fromtimestamp(moment / 1000, UTC):%Y-%m-%d %H:%M} UTC"
