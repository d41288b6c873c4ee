"""What a person is told of an error that they can cause, with the library's own words. Pure."""

from execution_history.presentation.formatting import fault_name
from execution_history.presentation.page_translator import Speech


def sentence_of(say: Speech, error: Exception, message: str) -> str:
    """What to say of *error*, whose *message* is the library's English: that alone, or behind a translation."""
    name = fault_name(error)
    return message if name is None else say(f"fault.{name}", message=message)
