"""Hints for unknown names. Pure."""

from collections.abc import Iterable
from difflib import get_close_matches

from execution_history.errors import Message, shortened


def hint(name: str, known: Iterable[str], otherwise: str | None = None) -> str:
    """Return a hint: the *known* name that is most similar to *name*, or *otherwise*.

    Args:
        name: the unknown name.
        known: the names that exist.
        otherwise: the hint where no name is similar; ``None`` lists all names.
    """
    names = list(known)
    if near := get_close_matches(shortened(name), names, n=1):
        return Message("perhaps you meant %(near)s", near=near[0])
    return Message("there are %(names)s", names=", ".join(names)) if otherwise is None else otherwise
