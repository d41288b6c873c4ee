"""What an error means for a folder of JSON files that follow a history."""

import logging
from pathlib import Path
from typing import Final

from execution_history.errors import N_, NO_SPACE, SettingsError, StoreError, quoted

_log: Final = logging.getLogger("execution_history.followers")


class MirrorTrouble(StoreError):  # noqa: N818 - named as the errors of this package are
    """The JSON files in a folder are behind the history that they follow; the message says why."""


def mirror_trouble(folder: Path, error: BaseException) -> MirrorTrouble:
    """Return one sentence on why the JSON files in *folder* are behind."""
    named = {"folder": quoted(folder)}
    match error:
        case MirrorTrouble():
            return error
        case SettingsError():
            return MirrorTrouble(error.message)
        case StoreError():
            sentence = N_("The JSON files in %(folder)s are behind the history. %(reason)s")
            return MirrorTrouble(sentence, reason=error.message, **named)
        case OSError() if error.errno in NO_SPACE:
            sentence = N_(
                "The JSON files in %(folder)s are behind the history, which goes on: there is no space left on their "
                "disk; make room."
            )
            return MirrorTrouble(sentence, **named)
        case OSError():
            sentence = N_(
                "The JSON files in %(folder)s are behind the history, which goes on: the folder cannot be written "
                "(%(reason)s); check that it is a folder that you may write."
            )
            return MirrorTrouble(sentence, reason=error.strerror or error, **named)
    _log.error("A folder of JSON files could not be written", exc_info=error)
    sentence = N_(
        "The JSON files in %(folder)s are behind the history, which goes on, because of an unexpected error "
        "(%(kind)s); please report it."
    )
    return MirrorTrouble(sentence, kind=type(error).__name__, **named)
