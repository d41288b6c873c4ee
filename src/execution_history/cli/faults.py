"""What a person is told of an error of the library, with the library's own words. Pure."""

from typing import Final

from execution_history import errors
from execution_history.cli.speech import Speech

_KINDS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (errors.InvalidCursor, "cursor"),
    (errors.InvalidQuery, "query"),
    (errors.InvalidIdentifier, "identifier"),
    (errors.ImportFailed, "import"),
    (errors.InvalidInput, "input"),
    (errors.ExecutionNotFound, "not_found"),
    (errors.ExportFailed, "export"),
    (errors.SettingsError, "settings"),
    (errors.AccountError, "account"),
    (errors.NotInterrupted, "not_interrupted"),
    (errors.UpstreamRefused, "upstream"),
    (errors.StoreFull, "store_full"),
    (errors.StoreBusy, "store_busy"),
    (errors.StoreUnwritable, "store_unwritable"),
    (errors.StoreDamaged, "store_damaged"),
    (errors.StoreTooNew, "store_too_new"),
    (errors.StoreError, "store"),
)
"""From the particular to the general, since the first that fits is taken."""


def sentence_of(say: Speech, error: errors.ExecutionHistoryError) -> str:
    """What to say of *error*: the library's English alone, or behind what its kind means in the reader's language."""
    for kind, name in _KINDS:
        if isinstance(error, kind):
            return say(f"fault.{name}", message=str(error))
    return str(error)
