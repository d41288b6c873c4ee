"""What a person is told of an error of the library, with the library's own words. Pure."""

from execution_history.errors import ExecutionHistoryError
from execution_history.presentation.formatting import fault_name
from execution_history.presentation.terminal_translator import Speech


def sentence_of(say: Speech, error: ExecutionHistoryError) -> str:
    """What to say of *error*: the library's English alone, or behind what its kind means in the reader's language."""
    name = fault_name(error)
    return str(error) if name is None else say(f"fault.{name}", message=str(error))
