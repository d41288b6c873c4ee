"""The store errors that stand for PostgreSQL's and libpq's errors."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg import errors

from execution_history.errors import (
    N_,
    StoreBusy,
    StoreClosed,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreUnwritable,
    quoted,
)
from execution_history.records.redaction import without_credentials
from execution_history.stores.postgres.pool import PoolClosed, PoolExhausted

_log = logging.getLogger("execution_history.stores.postgres")

_AWAY: Final = N_(
    "The PostgreSQL server of this history cannot be reached (%(reason)s): check that it runs, and the address."
)
_REFUSED: Final = N_("PostgreSQL refuses this history's connection (%(reason)s): check user, password and database.")
_SETTINGS: Final = N_(
    "libpq cannot use the settings of this history's connection (%(reason)s): check the URL of the store, the "
    "variables that begin with PG, and the service file."
)
_NO_PASSWORD: Final = N_(
    "PostgreSQL requires a password, and none was given (%(reason)s): put one into a file that password_file in the "
    "URL of the store names, into PGPASSWORD, or into ~/.pgpass, which is ignored unless its mode is 0600."
)
_WRONG_PASSWORD: Final = N_(
    "PostgreSQL does not accept this user with this password (%(reason)s): check both. The password is that of the URL "
    "of the store or of its password_file, else PGPASSWORD, else that of ~/.pgpass."
)
_TLS: Final = N_(
    "The TLS connection that sslmode requires cannot be made (%(reason)s): check sslmode, sslrootcert and the "
    "certificate of the server."
)
_BUSY: Final = N_("PostgreSQL has not answered in time (%(reason)s); try again.")
_DENIED: Final = N_(
    "The PostgreSQL role of this history lacks a right (%(reason)s): grant it USAGE on the schema and its sequences, "
    "and SELECT, INSERT, UPDATE and DELETE on the tables, as docs/postgresql.md shows, or use another role."
)
_FULL: Final = N_("The PostgreSQL server has no space left (%(reason)s): make room on its disk.")
_READ_ONLY: Final = N_("This history cannot be written (%(reason)s): the server is a read-only copy.")
_DAMAGED: Final = N_("PostgreSQL reports damaged data (%(reason)s): restore the database from a backup.")
_NO_TABLES: Final = N_("The tables of this history are missing or of another form (%(reason)s).")
_POOLED: Final = N_(
    "A connection pool in transaction mode, such as PgBouncer before 1.21, stands before PostgreSQL (%(reason)s): add "
    "prepared_statements=off to the URL of the store."
)
_FAILED: Final = N_("PostgreSQL failed: %(reason)s.")
_OURS: Final = N_("This history failed by a fault of ours: %(reason)s. Nothing of this was written; please report it.")

_CROWDED: Final = N_(
    "The PostgreSQL server takes no more connections (%(reason)s): raise its max_connections, or lower pool_size in "
    "the URLs of its programs."
)
_CROWDED_TEXT: Final = re.compile("too many clients|remaining connection slots|too many connections for|太多的客户")

_PREFIX: Final = re.compile(r"connection (?:failed|is bad): ")
_REFUSALS: Final = (
    (r"no password supplied", _NO_PASSWORD),
    (r"definition of service|service file|invalid \S+ value:|invalid port number:|could not match", _SETTINGS),
    (r"FATAL: +password authentication failed|认证失败", _WRONG_PASSWORD),
    (r"server does not support SSL|root certificate file|certificate verify failed|server certificate for", _TLS),
    (r"FATAL: +(?:[a-z0-9]+ authentication failed|no pg_hba\.conf entry|permission denied for database)", _REFUSED),
    (r"FATAL: +(?:role .* does not exist|role .* is not permitted|database .* does not exist)", _REFUSED),
    (r"致命错误: +(?:角色|数据库) .* 不存在|致命错误: .*pg_hba\.conf", _REFUSED),
)
"""What the text has where the server, also a Chinese one, or libpq refuses for good, and the sentence for it."""


_Errors = type[Exception] | tuple[type[Exception], ...]
_MEANINGS: Final[tuple[tuple[_Errors, type[StoreError], str], ...]] = (
    (PoolClosed, StoreClosed, N_("This history was closed; create a new service.")),
    (PoolExhausted, StoreBusy, N_("All connections to PostgreSQL are in use; try again, or raise "
     "pool_size in the URL of the store.")),
    (errors.DiskFull, StoreFull, _FULL),
    (errors.OutOfMemory, StoreBusy, _BUSY),
    ((errors.InvalidAuthorizationSpecification, errors.InvalidCatalogName), StoreUnwritable, _REFUSED),
    (errors.InsufficientPrivilege, StoreUnwritable, _DENIED),
    (errors.ReadOnlySqlTransaction, StoreUnwritable, _READ_ONLY),
    ((errors.InvalidSqlStatementName, errors.DuplicatePreparedStatement), StoreError, _POOLED),
    ((errors.DataCorrupted, errors.IndexCorrupted), StoreDamaged, _DAMAGED),
    ((errors.UndefinedTable, errors.UndefinedColumn, errors.InvalidSchemaName), StoreError, _NO_TABLES),
    (
        (errors.QueryCanceled, errors.LockNotAvailable, errors.DeadlockDetected, errors.SerializationFailure),
        StoreBusy,
        _BUSY,
    ),
    (psycopg.OperationalError, StoreBusy, _AWAY),
    (psycopg.Error, StoreError, _FAILED),
)  # fmt: skip

_LOST: Final = ("08", "57P01", "57P02", "57P03", "57P05", "25P03")
"""SQLSTATEs of a connection that is gone or cannot be made (PostgreSQL, appendix A): another one may succeed."""


@contextmanager
def faults() -> Iterator[None]:
    """Raise errors of PostgreSQL in the block as a :class:`StoreError`."""
    try:
        yield
    except psycopg.Error as error:
        raise as_store_error(error) from error


def as_store_error(error: Exception) -> StoreError:
    """Return the store error that stands for *error*; its text has no password."""
    refusal = _refusal(error) if isinstance(error, psycopg.OperationalError) else None
    if refusal is not None:
        return StoreUnwritable(refusal, reason=reason_of(error))
    if is_crowded(error):
        return StoreBusy(_CROWDED, reason=reason_of(error))
    for kinds, kind, sentence in _MEANINGS:
        if isinstance(error, kinds):
            return kind(sentence, reason=reason_of(error))
    return StoreError(_OURS, reason=quoted(f"{type(error).__name__}: {error}"))


def is_crowded(error: BaseException) -> bool:
    """Return whether the server has as many connections as it takes."""
    return isinstance(error, psycopg.OperationalError) and _CROWDED_TEXT.search(str(error)) is not None


def _refusal(error: psycopg.Error) -> str | None:
    """Return the sentence for a connection that is refused for a reason that does not pass; libpq gives text only."""
    if error.sqlstate is not None:
        return None
    text = str(error)
    return next((sentence for pattern, sentence in _REFUSALS if re.search(pattern, text, re.IGNORECASE)), None)


def reason_of(error: Exception) -> str:
    """Return what PostgreSQL says, on one line and without a password; libpq's hints and further tries are left out."""
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    first = _PREFIX.sub("", str(error).strip().partition("\n")[0])
    text = " ".join((primary or first or type(error).__name__).split())
    return without_credentials(text.rstrip("."))


def is_lost(error: BaseException) -> bool:
    """Return whether *error* means that the connection is gone or could not be made, so that another may succeed.

    Citus reports a node that has gone as an internal error with such a text.
    """
    if not isinstance(error, psycopg.Error) or isinstance(error, (PoolClosed, PoolExhausted)):
        return False
    if _refusal(error) is not None or is_crowded(error):
        return False
    state = error.sqlstate
    if state is None:
        return isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))
    text = str(error)
    return state.startswith(_LOST) or (state == "XX000" and ("connection" in text or "server closed" in text))


def is_transient(error: BaseException) -> bool:
    """Return whether the same transaction may succeed when it is tried again: a deadlock, a conflict, a lost one."""
    return (
        is_lost(error)
        or is_crowded(error)
        or isinstance(error, (errors.DeadlockDetected, errors.SerializationFailure, errors.LockNotAvailable))
    )
