"""Every error that this package raises on purpose, and whose fault each one is.

    ExecutionHistoryError
    ├── InvalidInput (ValueError)      the caller passed something that is not possible
    │   ├── InvalidIdentifier          an empty or impossible workflow or execute id
    │   ├── InvalidPage                a page size outside 1..100, a page index below 1
    │   ├── InvalidQuery               a filter, sort or bucket that is not possible: the message names it
    │   │   ├── InvalidCursor          a cursor that is broken or belongs to another query
    │   │   └── AmbiguousName          several workflows are called so: the message lists them
    │   ├── InvalidStatus              a status that is none of the four
    │   ├── UnknownAccount             a Coze account that is not configured; also an AccountError
    │   └── ImportFailed               a source of an import cannot be read
    ├── ExecutionNotFound (LookupError) there is no such execution
    ├── ViewNotFound (LookupError)     there is no such saved view
    ├── ViewChanged                    somebody else has changed the view meanwhile
    ├── NotAllowed                     the caller's key does not allow it
    ├── NotSignedIn                    the caller has no valid key
    ├── KeyNotFound (LookupError)      there is no such key
    ├── BodyTooLarge                   a request is larger than is taken
    ├── ExportFailed                   the export cannot be written there
    ├── BackupFailed                   a backup cannot be made, read or restored
    │   ├── BackupNotFound (LookupError) there is no such backup
    │   └── BackupDamaged              a backup is not what its manifest says: the message names the file
    ├── ExecutionExists                the execute id is taken in that workflow
    ├── IllegalTransition              a finished execution cannot change its ending
    ├── SettingsError                  a setting is wrong: the message names it
    ├── AccountError                   a Coze account that cannot be used: the message names the setting
    ├── NotInterrupted                 there is no question to answer
    ├── InputsWithheld                 a record has not, or not any more, what a call needs
    ├── PriceChanged                   somebody else has changed the price meanwhile
    ├── UpstreamRefused                Coze cannot be reached, or refuses the request
    └── StoreError                     the disk or the database, not the caller
        ├── StoreBusy                  another process held the store for too long
        ├── StoreFull                  no space left
        ├── StoreUnwritable            read-only, or somebody else's folder
        ├── StoreDamaged               the database is damaged
        │   └── RecordDamaged          one record of it cannot be read, everything else can
        ├── StoreTooNew                written by a newer version of this package
        ├── FeedExpired                the change feed has forgotten deletions that a reader needs
        └── StoreClosed                used after ``aclose``

Each message is one sentence for people, in English, and can be translated: it is a :class:`Message`, which keeps its
msgid and its arguments. Values that callers sent are put into it by :func:`quoted`.
"""

import errno
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any, Final, Self

NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""The operating system's error numbers for a disk without space."""

_LONGEST_QUOTED: Final = 80
_LONGEST_PATH: Final = 400
_MOST_LISTED: Final = 10


def quoted(value: object) -> str:
    """Return *value* in a form that is safe in a sentence, in a log line and on a terminal.

    Text and paths are put in quotes, anything else is written as Python writes it. Control characters, marks that
    change the direction of text and halves of surrogate pairs become escapes. The middle of what has more than 80
    characters, or of a path with more than 400, is left out.
    """
    if isinstance(value, PurePath):
        return repr(shortened(str(value), _LONGEST_PATH))
    if isinstance(value, str):
        return repr(shortened(value))
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shortened(repr(value)))


def listed(values: Iterable[object]) -> str:
    """Return *values*, quoted and separated by commas; after the tenth only the number of further ones."""
    shown = [quoted(value) for value in values]
    names, more = ", ".join(shown[:_MOST_LISTED]), len(shown) - _MOST_LISTED
    return names if more <= 0 else Message(N_("%(names)s and %(more)s more"), names=names, more=more)


def shortened(text: str, limit: int = _LONGEST_QUOTED) -> str:
    """Return *text* with ``…`` for its middle where it has more than *limit* characters."""
    return text if len(text) <= limit else f"{text[: limit - limit // 3 - 1]}…{text[len(text) - limit // 3 :]}"


def N_(sentence: str) -> str:  # noqa: N802 - gettext's own name for it
    """Return *sentence* as it is; marks a sentence that is translated where it is shown."""
    return sentence


class Message(str):
    """A sentence in English that keeps its msgid and arguments, so that it can be shown in another language.

    Args:
        msgid: the sentence, with a placeholder such as ``%(name)s`` for each argument.
        arguments: values for the placeholders; those that are messages are translated too. Without any, the sentence
            is taken as it is.
    """

    __slots__ = ("arguments", "msgid")
    msgid: str
    arguments: dict[str, Any]

    def __new__(cls, msgid: str = "", /, **arguments: object) -> Self:
        """Return the sentence with its arguments in their places."""
        message = super().__new__(cls, msgid % arguments if arguments else msgid)
        message.msgid = msgid
        message.arguments = arguments
        return message


class ExecutionHistoryError(Exception):
    """The root: catch it to catch everything this package raises on purpose.

    Args:
        sentence: the message, or its msgid with a placeholder such as ``%(name)s`` for each of the arguments.
        arguments: the values of the placeholders.
    """

    def __init__(self, sentence: str = "", /, **arguments: object) -> None:
        super().__init__(sentence if isinstance(sentence, Message) else Message(sentence, **arguments))

    @property
    def message(self) -> Message:
        """The sentence, with its msgid and arguments."""
        sentence = self.args[0] if self.args else ""
        return sentence if isinstance(sentence, Message) else Message(str(sentence))


def message_of(error: BaseException) -> str:
    """Return the message of *error*, which can be translated where the error is one of this package."""
    return error.message if isinstance(error, ExecutionHistoryError) else str(error)


class InvalidInput(ExecutionHistoryError, ValueError):
    """The caller's argument cannot be used; nothing was changed."""


class InvalidIdentifier(InvalidInput):
    """A workflow id or execute id that is empty or that no store could hold."""


class InvalidPage(InvalidInput):
    """A page size outside 1..100 or a page index below 1."""


class InvalidQuery(InvalidInput):
    """A filter, a sort order, a condition or a bucket that is not possible; the message names what is."""


class InvalidCursor(InvalidQuery):
    """A cursor that is broken, or that belongs to another query."""


class AmbiguousName(InvalidQuery):
    """Several workflows are called by the name that the caller wrote.

    Args:
        text: what the caller wrote.
        candidates: the id of each such workflow, and its name where it has one.
    """

    def __init__(self, text: str, candidates: Iterable[tuple[str, str | None]]) -> None:
        named = list(candidates)
        self.workflow_ids = tuple(workflow_id for workflow_id, _ in named)
        super().__init__(
            N_("%(text)s names several workflows: %(candidates)s. Name one by its id."),
            text=quoted(text),
            candidates=listed(
                workflow_id if name is None else f"{workflow_id} ({name})" for workflow_id, name in named
            ),
        )


class InvalidStatus(InvalidInput):
    """A status that is not running, success, failed or interrupted."""

    def __init__(self, status: object) -> None:
        self.status = status
        super().__init__(
            N_("%(status)s is not a run status; use running, success, failed or interrupted."), status=quoted(status)
        )


class ImportFailed(InvalidInput):
    """A source of an import is missing, or holds nothing that can be imported."""


class ExecutionNotFound(ExecutionHistoryError, LookupError):
    """There is no execution of that id, or none that fits the request; nothing was changed."""


class ViewNotFound(ExecutionHistoryError, LookupError):
    """There is no saved view of that name; the message names those that there are."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        names = list(known)
        if names:
            super().__init__(
                N_("There is no view %(name)s; there are %(known)s."), name=quoted(name), known=listed(names)
            )
        else:
            super().__init__(N_("There is no view %(name)s; none is saved yet."), name=quoted(name))


class ViewChanged(ExecutionHistoryError):
    """Somebody else has changed the view meanwhile; it stays as they left it."""

    def __init__(self, name: str) -> None:
        super().__init__(
            N_("Somebody else has changed the view %(name)s meanwhile: look at it again."), name=quoted(name)
        )


class NotAllowed(ExecutionHistoryError):
    """The key with which the caller came does not allow this; nothing was changed."""


class NotSignedIn(ExecutionHistoryError):
    """The caller has no key, or one that is not known, has expired or was revoked."""


class KeyNotFound(ExecutionHistoryError, LookupError):
    """There is no key of that name or id."""


class BodyTooLarge(ExecutionHistoryError):
    """A request is larger than its key, or this server, takes."""


class ExportFailed(ExecutionHistoryError):
    """An export could not be written to its destination, where nothing of it is left."""


class BackupFailed(ExecutionHistoryError):
    """A backup could not be made, read or restored; the message says what to do."""


class BackupNotFound(BackupFailed, LookupError):
    """There is no such backup, or none at all."""


class BackupDamaged(BackupFailed):
    """A backup is not what its manifest says; the message names the file."""


class ExecutionExists(ExecutionHistoryError):
    """The workflow already has an execution with this id; the stored one is unchanged."""

    def __init__(self, workflow_id: str, execute_id: str) -> None:
        self.workflow_id = workflow_id
        self.execute_id = execute_id
        super().__init__(
            N_("Workflow %(workflow)s already has a run %(run)s: update it, or leave the id out to get a new one."),
            workflow=quoted(workflow_id),
            run=quoted(execute_id),
        )


class IllegalTransition(ExecutionHistoryError):
    """A change would give a finished execution another status; the stored record is unchanged."""

    def __init__(self, execute_id: str, current: str, requested: str) -> None:
        self.execute_id = execute_id
        self.current = current
        self.wanted = requested
        super().__init__(
            N_(
                "Run %(run)s is %(current)s and cannot become %(wanted)s: "
                "only a running or interrupted run changes its status."
            ),
            run=quoted(execute_id),
            current=quoted(current),
            wanted=quoted(requested),
        )


class SettingsError(ExecutionHistoryError):
    """A setting is missing, unknown or of the wrong kind; the message names it and where it was read."""


class AccountError(ExecutionHistoryError):
    """A Coze account cannot be used as it is configured; the message names the setting."""


class UnknownAccount(AccountError, InvalidInput):
    """The caller named a Coze account that is not configured."""

    def __init__(self, account_id: str, known: Iterable[str]) -> None:
        self.account_id = account_id
        super().__init__(
            N_(
                "There is no Coze account %(account)s: name one of those in the settings (%(known)s), "
                "or add it to them."
            ),
            account=quoted(account_id),
            known=listed(known),
        )


class NotInterrupted(ExecutionHistoryError):
    """The execution does not wait for an answer; its record is unchanged."""


class InputsWithheld(ExecutionHistoryError):
    """What a call needs of a record was redacted, removed or never recorded; nothing was sent."""


class PriceChanged(ExecutionHistoryError):
    """A price is not any more what the caller has seen; it is unchanged."""


class UpstreamRefused(ExecutionHistoryError):
    """The upstream could not be reached, or refused the request; the message has the reason."""


class StoreError(ExecutionHistoryError):
    """The store could not carry out the call; what it had before is unchanged."""


class StoreBusy(StoreError):
    """Another process kept the store locked for longer than the documented wait."""


class StoreFull(StoreError):
    """There is no space left on the device; the call can be repeated once there is."""


class StoreUnwritable(StoreError):
    """The folder or its database is read-only or belongs to somebody else."""


class StoreDamaged(StoreError):
    """The database is not a database, or fails its integrity check."""


class RecordDamaged(StoreDamaged):
    """One record of the database cannot be read; every other record can."""

    def __init__(self, place: str, workflow_id: str, execute_id: str) -> None:
        self.workflow_id = workflow_id
        self.execute_id = execute_id
        super().__init__(
            N_(
                "Run %(run)s of workflow %(workflow)s cannot be read, because its data in %(place)s is damaged: "
                "take the run from a backup with execution-history restore FOLDER --missing, import an export of it, "
                "or delete it."
            ),
            run=quoted(execute_id),
            workflow=quoted(workflow_id),
            place=quoted(place),
        )


class StoreTooNew(StoreError):
    """The store was written by a newer version of this package."""


class FeedExpired(StoreError):
    """The change feed has forgotten deletions after the place from which it should be read."""

    def __init__(self, since: int, floor: int) -> None:
        super().__init__(
            N_(
                "The change feed no longer lists what was deleted up to change %(floor)s: a reader that has got as "
                "far as change %(since)s has to start again from 0."
            ),
            floor=floor,
            since=since,
        )


class StoreClosed(StoreError):
    """The service was closed; make a new one."""
