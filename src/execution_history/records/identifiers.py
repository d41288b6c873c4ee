"""What an id of a workflow or of a run can be. Pure."""

from typing import Final, TypeGuard

from execution_history.errors import InvalidIdentifier, quoted

_MAX_ID_CHARACTERS: Final = 1_000


def check_identifier(what: str, value: object) -> str:
    """Return *value* as an id, when it is a string of 1 to 1 000 characters that UTF-8 can hold.

    Raises:
        InvalidIdentifier: it is not; the message names *what* it should have been.
    """
    if not isinstance(value, str) or not value:
        raise InvalidIdentifier(
            "The %(what)s is a string of at least one character, not %(value)s.", what=what, value=quoted(value)
        )
    if len(value) > _MAX_ID_CHARACTERS:
        raise InvalidIdentifier(
            "The %(what)s has at most 1000 characters; this one has %(count)s.", what=what, count=len(value)
        )
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidIdentifier(
            "The %(what)s %(value)s holds half of a surrogate pair.", what=what, value=quoted(value)
        ) from None
    return str(value)


def is_identifier(value: object) -> TypeGuard[str]:
    """Return whether :func:`check_identifier` takes *value*."""
    try:
        check_identifier("id", value)
    except InvalidIdentifier:
        return False
    return True


def may_exist(**ids: object) -> bool:
    """Return whether all of *ids*, by what they name, can be ids; a text that cannot is just the id of nothing.

    Raises:
        InvalidIdentifier: one is no text: nothing is found by the number that looks like an id.
    """
    for name, value in ids.items():
        if not isinstance(value, str):
            check_identifier(name.replace("_", " "), value)
    return all(map(is_identifier, ids.values()))
