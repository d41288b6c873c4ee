"""What is perhaps meant by a name that is not known. Pure."""

from collections.abc import Iterable
from difflib import get_close_matches

from execution_history.errors import Message, shortened


def hint(name: str, known: Iterable[str], otherwise: str | None = None) -> str:
    """Return which of the names that are *known* is most like *name*.

    Args:
        name: what somebody wrote.
        known: what they may have meant.
        otherwise: said where nothing is like it; all the names, unless given.
    """
    names = list(known)
    if near := get_close_matches(shortened(name), names, n=1):
        return Message("perhaps %(near)s is meant", near=near[0])
    return Message("there are %(names)s", names=", ".join(names)) if otherwise is None else otherwise
