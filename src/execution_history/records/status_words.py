"""The words in which other programs write the status of a run. Pure."""

from typing import Final

from execution_history.records.record import STATUSES, ExecutionStatus
from execution_history.records.values import text

_WORDS: Final[dict[ExecutionStatus, str]] = {
    "running": "running 1 in_progress processing started 运行中 执行中",
    "success": "success 2 succeeded succeed successful completed complete 成功",
    "failed": "failed 3 fail failure error errored exception timeout 失败 4 cancel canceled cancelled 已取消",
    "interrupted": "interrupted 5 interrupt paused requires_action 中断 已中断",
}
"""Beside the words of the Coze API and of other programs: the numbers of Coze and of Coze Studio."""

_STATUSES: Final = {word: status for status, words in _WORDS.items() for word in words.split()}


def status_of(written: object) -> ExecutionStatus | None:
    """Return the status that *written* stands for, in any case; ``None`` for what is none.

    A cancelled run has failed: it ended without what it was to give.
    """
    if written in STATUSES:
        return _STATUSES[str(written)]
    word = str(written) if isinstance(written, int) and not isinstance(written, bool) else text(written)
    return None if word is None else _STATUSES.get("_".join(word.lower().replace("-", " ").split()))
