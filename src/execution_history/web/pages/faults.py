"""What a person is told of an error that they can cause, with the library's own words. Pure."""

from typing import Final

from execution_history import errors
from execution_history.web.pages.speech import Speech

_KINDS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (errors.InvalidCursor, "cursor"),
    (errors.InvalidQuery, "query"),
    (errors.InvalidIdentifier, "identifier"),
    (errors.InvalidInput, "input"),
    (errors.ExecutionNotFound, "not_found"),
    (errors.IllegalTransition, "transition"),
    (errors.AccountError, "account"),
    (errors.NotInterrupted, "not_interrupted"),
    (errors.UpstreamRefused, "upstream"),
    (errors.StoreFull, "store_full"),
    (errors.StoreBusy, "store_busy"),
    (errors.StoreError, "store"),
)


def sentence_of(say: Speech, error: Exception, message: str) -> str:
    """What to say of *error*, whose *message* is the library's English: that alone, or behind a translation."""
    for kind, name in _KINDS:
        if isinstance(error, kind):
            return say(f"fault.{name}", message=message)
    return message
