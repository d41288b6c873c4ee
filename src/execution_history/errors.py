"""Every error this package raises on purpose, and whose fault each one is.

    ExecutionHistoryError
    ├── InvalidInput (ValueError)      the caller asked for something that cannot be
    │   ├── InvalidIdentifier          an empty or impossible workflow or execute id
    │   ├── InvalidPage                a page size outside 1..100, a page index below 1
    │   ├── InvalidQuery               a filter, sort or bucket that cannot be: the message names it
    │   │   └── InvalidCursor          a cursor that is broken or belongs to another question
    │   ├── InvalidStatus              a status that is none of the four
    │   ├── UnknownAccount             a Coze account that is not configured; also an AccountError
    │   └── ImportFailed               what was to be imported cannot be read
    ├── ExecutionNotFound (LookupError) there is no such execution, or none that fits
    ├── ExportFailed                   what was to be exported cannot be written there
    ├── ExecutionExists                the execute id is taken in that workflow
    ├── IllegalTransition              a finished execution cannot change its ending
    ├── SettingsError                  a setting is wrong: the message names it
    ├── AccountError                   a Coze account that cannot be used: the message names the setting
    ├── NotInterrupted                 there is no question to answer
    ├── UpstreamRefused                Coze could not be asked, or would not tell
    └── StoreError                     the disk or the database, not the caller
        ├── StoreBusy                  another process held the store for too long
        ├── StoreFull                  no space left
        ├── StoreUnwritable            read-only, or somebody else's folder
        ├── StoreDamaged               the database file is not what it should be
        │   └── RecordDamaged          one record of it cannot be read, everything else can
        ├── StoreTooNew                written by a newer version of this package
        └── StoreClosed                used after ``aclose``

Each message is one sentence for a person; the facts in it are attributes too. What callers sent stands in it as
:func:`quoted` returns it.
"""

import errno
from collections.abc import Iterable
from pathlib import PurePath
from typing import Final

NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What the operating system says where there is no space left."""

_LONGEST_QUOTED: Final = 80
_LONGEST_PATH: Final = 400
_MOST_LISTED: Final = 10


def quoted(value: object) -> str:
    """Return *value* as it can stand in a sentence, in a log line and on a terminal.

    Text and paths are put in quotes, anything else is written as Python writes it. Control characters, marks that turn
    the direction of text round and halves of surrogate pairs become escapes. The middle of what has more than 80
    characters, or of a path with more than 400, is left out.
    """
    if isinstance(value, PurePath):
        return repr(shortened(str(value), _LONGEST_PATH))
    if isinstance(value, str):
        return repr(shortened(value))
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shortened(repr(value)))


def listed(values: Iterable[object]) -> str:
    """Return *values*, quoted, one behind the other; of more than ten only how many more there are."""
    shown = [quoted(value) for value in values]
    more = len(shown) - _MOST_LISTED
    return ", ".join(shown) if more <= 0 else f"{', '.join(shown[:_MOST_LISTED])} and {more} more"


def shortened(text: str, most: int = _LONGEST_QUOTED) -> str:
    """Return *text* with ``…`` for its middle where it has more than *most* characters."""
    return text if len(text) <= most else f"{text[: most - most // 3 - 1]}…{text[len(text) - most // 3 :]}"


class ExecutionHistoryError(Exception):
    """The root: catch it to catch everything this package raises on purpose."""


class InvalidInput(ExecutionHistoryError, ValueError):
    """The caller's argument cannot be used; nothing was changed."""


class InvalidIdentifier(InvalidInput):
    """A workflow id or execute id that is empty or that no store could hold."""


class InvalidPage(InvalidInput):
    """A page size outside 1..100 or a page index below 1."""


class InvalidQuery(InvalidInput):
    """A filter, a sort order, a condition or a bucket that cannot be; the message says what would be right."""


class InvalidCursor(InvalidQuery):
    """A cursor that is broken, or that was given out for another question."""


class InvalidStatus(InvalidInput):
    """A status that is not running, success, failed or interrupted."""

    def __init__(self, status: object) -> None:
        self.status = status
        super().__init__(f"{quoted(status)} is not an execution status; use running, success, failed or interrupted.")


class ImportFailed(InvalidInput):
    """A file, folder or database that was to be imported is missing, or is nothing that can be imported."""


class ExecutionNotFound(ExecutionHistoryError, LookupError):
    """There is no execution of that id, or none that fits what was asked for; nothing was changed."""


class ExportFailed(ExecutionHistoryError):
    """An export could not be written to its destination, where nothing of it is left."""


class ExecutionExists(ExecutionHistoryError):
    """The workflow already has an execution with this id; the stored one is unchanged."""

    def __init__(self, workflow_id: str, execute_id: str) -> None:
        self.workflow_id = workflow_id
        self.execute_id = execute_id
        super().__init__(
            f"Workflow {quoted(workflow_id)} already has an execution {quoted(execute_id)}: "
            "update it, or leave the id out to get a new one."
        )


class IllegalTransition(ExecutionHistoryError):
    """A finished execution was asked to take another status; the stored record is unchanged."""

    def __init__(self, execute_id: str, current: str, wanted: str) -> None:
        self.execute_id = execute_id
        self.current = current
        self.wanted = wanted
        super().__init__(
            f"Execution {quoted(execute_id)} is {quoted(current)} and cannot become {quoted(wanted)}: "
            "only a running or interrupted execution changes its status."
        )


class SettingsError(ExecutionHistoryError):
    """A setting is missing, unknown or of the wrong kind; the message names it and where it was read."""


class AccountError(ExecutionHistoryError):
    """A Coze account cannot be used as it is configured; the message says what to set."""


class UnknownAccount(AccountError, InvalidInput):
    """The caller named a Coze account that is not configured."""

    def __init__(self, account_id: str, known: Iterable[str]) -> None:
        self.account_id = account_id
        super().__init__(
            f"There is no Coze account {quoted(account_id)}: name one of those in the settings ({listed(known)}), "
            "or add it to them."
        )


class NotInterrupted(ExecutionHistoryError):
    """The execution does not wait for an answer; its record is unchanged."""


class UpstreamRefused(ExecutionHistoryError):
    """The upstream could not be reached, or does not tell what it was asked; the message says which."""


class StoreError(ExecutionHistoryError):
    """The store could not do what was asked; what it had before is unchanged."""


class StoreBusy(StoreError):
    """Another process kept the store locked for longer than the documented wait."""


class StoreFull(StoreError):
    """There is no space left on the device; works again as soon as there is."""


class StoreUnwritable(StoreError):
    """The folder or its database is read-only or belongs to somebody else."""


class StoreDamaged(StoreError):
    """The database is not a database, or fails its integrity check."""


class RecordDamaged(StoreDamaged):
    """What the database holds of one record cannot be read; every other record can."""

    def __init__(self, folder: str, workflow_id: str, execute_id: str) -> None:
        self.workflow_id = workflow_id
        self.execute_id = execute_id
        super().__init__(
            f"Execution {quoted(execute_id)} of workflow {quoted(workflow_id)} cannot be read, because the "
            f"history.db in {quoted(folder)} is damaged there: "
            "import the execution from a backup or an export, or delete it."
        )


class StoreTooNew(StoreError):
    """The store was written by a newer version of this package."""


class FeedExpired(StoreError):
    """The change feed has forgotten deletions that come after the place from which it was to be read."""

    def __init__(self, since: int, floor: int) -> None:
        super().__init__(
            f"The change feed has forgotten what was deleted up to change {floor}: "
            f"whoever stands at change {since} begins anew, from 0."
        )


class StoreClosed(StoreError):
    """The service was closed; make a new one."""
