"""How many tokens a run or one of its nodes used. Pure."""

from typing import Any, Final, NamedTuple

from execution_history.records.values import count

_INPUT: Final = ("input_count", "input_tokens", "prompt_tokens")
_OUTPUT: Final = ("output_count", "output_tokens", "completion_tokens")
_TOTAL: Final = ("token_count", "total_tokens", "tokens")


class Usage(NamedTuple):
    """The tokens of the input, of the output and of both; ``None`` where that is not known."""

    input: int | None = None
    output: int | None = None
    total: int | None = None


def usage_of(value: object) -> Usage:
    """Return the tokens in *value*, the ``usage`` of a record or of a node in its timeline.

    Coze counts ``input_count``, ``output_count`` and ``token_count``; older deployments ``tokens``; functions that
    call a model themselves keep what its client gave them, such as ``prompt_tokens`` and ``total_tokens``. Of several
    names for one number the first that holds a count is taken; what is no whole number from 0 to 10¹² is no count.

    Two cases are decided here. ``{"input_tokens": 2}`` has a total of 2: those tokens were used, sums and limits must
    count them, and a call that only embeds a text has no others. ``{"tokens": 5, "total_tokens": 9}`` has a total of
    9: ``total_tokens`` can only mean all of them, while ``tokens`` may mean those of one part.
    """
    if not isinstance(value, dict):
        return _NOTHING
    read, written, total = _first(value, _INPUT), _first(value, _OUTPUT), _first(value, _TOTAL)
    if total is None and (read is not None or written is not None):
        total = (read or 0) + (written or 0)
    return Usage(read, written, total)


def _first(usage: dict[str, Any], names: tuple[str, ...]) -> int | None:
    for name in names:
        if name in usage and (number := count(usage[name])) is not None:
            return number
    return None


_NOTHING: Final = Usage()
