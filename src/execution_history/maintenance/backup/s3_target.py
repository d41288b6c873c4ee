"""Backups in a bucket that speaks S3: Amazon's, or that of any server with the same protocol.

The address of the server, its region and the keys are those of the environment, in the usual variables:
``AWS_ENDPOINT_URL``, ``AWS_REGION``, ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY`` and ``AWS_SESSION_TOKEN``, or
what the machine has on Amazon's own servers.
"""

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError, NotFoundError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from execution_history.errors import BackupFailed, SettingsError, quoted, shortened
from execution_history.maintenance.backup.manifest import missing_file
from execution_history.records.redaction import without_credentials

_ENDPOINTS: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_SAID: Final = re.compile(r"<Message>([^<]+)</Message>")
"""What a server says of an error, in the middle of what the client says."""

_METADATA: Final = "http://169.254.169.254/"
"""Where the client asks Amazon's own machines for a key, if it has none."""

_LONGEST_REASON: Final = 200
_TIMEOUT: Final = timedelta(seconds=60)


class S3Target:
    """See :class:`~execution_history.maintenance.backup.target.BackupTarget`.

    Args:
        location: ``s3://bucket/prefix``.

    Raises:
        SettingsError: it names no bucket.
    """

    def __init__(self, location: str) -> None:
        parts = urlsplit(location)
        bucket, prefix = parts.hostname or "", parts.path.strip("/")
        if not bucket or parts.username or parts.query:
            raise SettingsError(
                "%(location)s names no bucket: write s3://bucket/prefix, and set the keys as AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY.",
                location=quoted(without_credentials(location)),
            )
        self._name = f"s3://{bucket}/{prefix}".rstrip("/")
        endpoint = next(filter(None, map(os.environ.get, _ENDPOINTS)), "")
        with self._faults():
            self._store = S3Store(
                bucket,
                prefix=prefix or None,
                client_options={"allow_http": endpoint.startswith("http://"), "timeout": _TIMEOUT},
                retry_config={"max_retries": 4, "retry_timeout": _TIMEOUT},
            )

    @property
    def name(self) -> str:
        """The bucket and the prefix."""
        return self._name

    def list(self) -> list[str]:
        """See :meth:`BackupTarget.list`."""
        with self._faults():
            return sorted(found["path"] for found in obstore.list(self._store).collect())

    def read(self, name: str, most: int) -> bytes:
        """See :meth:`BackupTarget.read`."""
        with self._faults():
            try:
                found = obstore.get(self._store, name)
                if found.meta["size"] > most:
                    return bytes(obstore.get_range(self._store, name, start=0, length=most + 1))
                return bytes(found.bytes())
            except (NotFoundError, FileNotFoundError):
                raise missing_file(name, self._name) from None

    def write(self, name: str, data: bytes) -> None:
        """See :meth:`BackupTarget.write`."""
        with self._faults():
            obstore.put(self._store, name, data)

    def delete(self, names: Iterable[str]) -> None:
        """See :meth:`BackupTarget.delete`."""
        with self._faults():
            for name in names:
                with contextlib.suppress(NotFoundError, FileNotFoundError):
                    obstore.delete(self._store, name)

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        """Raise the client's errors in the block as one sentence.

        Raises:
            BackupFailed: the server could not be reached, or refused something.
        """
        try:
            yield
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise BackupFailed(
                "The server refuses access to %(place)s: check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and what "
                "the key may do.",
                place=quoted(self._name),
            ) from error
        except (BaseError, OSError) as error:
            if _METADATA in str(error):
                raise BackupFailed(
                    "There is no key for %(place)s: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and "
                    "AWS_ENDPOINT_URL where the server is not Amazon's.",
                    place=quoted(self._name),
                ) from error
            said = _SAID.search(str(error))
            told = " ".join(str(error).split("\n\nDebug source")[0].split())
            reason = said[1] if said else told.rpartition(" - ")[2]  # before it stand the file and the retries
            raise BackupFailed(
                "The backups in %(place)s cannot be read or written (%(reason)s): check the bucket, and that "
                "AWS_ENDPOINT_URL and AWS_REGION are those of its server.",
                place=quoted(self._name),
                reason=shortened(without_credentials(reason), _LONGEST_REASON).rstrip("."),
            ) from error
