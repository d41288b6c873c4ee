"""How long the recording transports wait, and what passes them unrecorded."""

from typing import Final, NamedTuple

QUESTION_SECONDS: Final = 2.0
"""How long the chunk of a stream that holds a question waits until the question is recorded."""

REDIRECT_SECONDS: Final = 5.0
"""How long the record of a redirected call stays open for a client that follows the redirect."""

TOO_LARGE_REQUEST: Final = "its request is larger than any that Coze takes."
"""Why a call passes that the gateway does not read."""


class Limits(NamedTuple):
    """Seconds that one call waits, at most.

    Attributes:
        drain: for the rest of an answer whose caller has left.
        question: until a question is recorded that is on its way to the caller.
        redirect: for the request that follows a redirect.
    """

    drain: float
    question: float
    redirect: float
