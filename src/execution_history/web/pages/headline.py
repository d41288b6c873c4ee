"""The status of a run in one sentence. Pure."""

from typing import Any, Final, NamedTuple

from markupsafe import Markup

from execution_history.presentation.formatting import duration, error_text, one_line, question_text
from execution_history.presentation.phrases import HEADLINE_OF_OTHERS, HEADLINES, HEADLINES_IN_NODE
from execution_history.presentation.translator import Translator, isolated
from execution_history.records.attributes import attributes_of
from execution_history.records.metadata import INTERRUPT
from execution_history.records.timeline import nodes_of, open_node

_LONGEST_NAME: Final = 60
_LONGEST_REASON: Final = 300
_LONGEST_WHOLE: Final = 4_000


class Headline(NamedTuple):
    """The sentence, as HTML and as plain text, and the reason where the sentence has only its beginning.

    A long reason is cut, and ``reason_missing`` counts the characters that were cut away.
    """

    markup: Markup
    text: str
    reason: str
    reason_missing: int = 0


def headline_of(_: Translator, record: dict[str, Any], took: int) -> Headline:
    """Return the sentence of a *record* whose run took, or has taken, *took* milliseconds."""
    status = record["execute_status"]
    node = _node(record)
    reason_text = error_text(record)
    if status == "interrupted" and (interrupt := INTERRUPT.of(record)):
        reason_text = question_text(interrupt) or reason_text
    sentence = HEADLINES.get(status, HEADLINE_OF_OTHERS) if node is None else HEADLINES_IN_NODE[status]
    facts = {
        "duration": duration(took),
        "status": one_line(status, _LONGEST_NAME),
        "node": one_line(node or "", _LONGEST_NAME),
    }
    markup, text = _.markup(sentence, **facts), _(sentence, **facts)
    reason = one_line(reason_text, _LONGEST_REASON)
    if reason:
        markup += Markup("{}{}").format(_(": "), isolated(reason))
        text += _(": ") + reason
    whole = reason_text if len(reason_text) > len(reason) or "\n" in reason_text else ""
    return Headline(markup, text, whole[:_LONGEST_WHOLE], max(0, len(whole) - _LONGEST_WHOLE))


def _node(record: dict[str, Any]) -> str | None:
    """Return the node that the sentence names: where the run failed, where it waits, where it is now."""
    status = record["execute_status"]
    if status == "interrupted":
        title = (INTERRUPT.of(record) or {}).get("node_title")
        return title if isinstance(title, str) and title else None
    if status == "running":
        found = open_node(nodes_of(record["node_execute_status"]))
        return None if found is None else found.label
    return attributes_of(record).failed_node
