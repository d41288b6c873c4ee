"""Which of HTTP's rules an upstream broke, in words of ours: the parsers' own quote the bytes that they got."""

from collections.abc import Iterator
from typing import Final

_BROKE: Final = "broke HTTP's rules: "

# The names of aiohttp's errors, and the beginnings of h11's sentences, for the same faults.
_FAULTS: Final = (
    (("BadStatusLine", "illegal status line"), f"{_BROKE}its first line is no status line"),
    (("LineTooLong", "Receive buffer too long"), f"{_BROKE}its head is too long"),
    (("ContentLengthError", "TransferEncodingError", "peer closed"), f"{_BROKE}its body is not whole"),
    (("BadHttpMessage", "illegal header", "illegal chunk", "bad "), f"{_BROKE}its head or its body cannot be parsed"),
    (("ServerDisconnectedError", "Server disconnected", "ConnectionError"), "hung up before its answer was whole"),
)


def rule_broken(error: BaseException) -> str:
    """Return a sentence on the rule that an answer broke, by *error* or its cause; it holds nothing of the answer."""
    for cause in _causes(error):
        kinds, words = {kind.__name__ for kind in type(cause).__mro__}, str(cause)
        for faults, what in _FAULTS:
            if any(fault in kinds or words.startswith(fault) for fault in faults):
                return f"The upstream {what}."
    return f"The upstream {_BROKE}its answer cannot be read."


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
