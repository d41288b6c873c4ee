"""How the sandbox refuses a request before anything has run (protocol 4.1 and 4.2)."""

from dataclasses import dataclass

BAD_REQUEST = 4000
RATE_LIMITED = 4013
CHAT_IN_PROGRESS = 4016
AUTHENTICATION_INVALID = 4100
CHAT_OVER = 4104
NOT_FOUND = 4200
INTERNAL = 5000

STUDIO_BAD_REQUEST = (400, 400)
STUDIO_FAULT = (500, 500)
STUDIO_NOT_FOUND = (720702004, 200)
STUDIO_NOT_PUBLISHED = (6031, 200)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer instead of a run: an envelope with ``code``, or ``message`` as a plain body when that is ``None``.

    ``in_studio`` are the code and the HTTP status that Coze Studio has for it, where they differ.
    """

    code: int | None
    message: str
    status: int = 200
    in_studio: tuple[int, int] | None = None


class RefusedError(Exception):
    """Raised where a request turns out to be impossible; the application answers with its refusal."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal
        super().__init__(refusal.message)


def bad_request(reason: str) -> RefusedError:
    """Return the refusal of a request that is malformed as ``reason`` describes."""
    return RefusedError(Refusal(BAD_REQUEST, f"Request parameter error: {reason}", in_studio=STUDIO_BAD_REQUEST))


def not_found(what: str) -> RefusedError:
    """Return the refusal of ``what``, a sentence about the thing that does not exist."""
    return RefusedError(Refusal(NOT_FOUND, what, in_studio=STUDIO_NOT_FOUND))
