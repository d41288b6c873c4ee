"""The status of a run in one sentence, as HTML and as text. Pure."""

from typing import Any, Final, NamedTuple

from markupsafe import Markup

from execution_history.presentation import headlines
from execution_history.presentation.formatting import one_line
from execution_history.presentation.translator import Translator, isolated
from execution_history.records.attributes import RunAttributes

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


def headline_of(_: Translator, record: dict[str, Any], known: RunAttributes, now: int) -> Headline:
    """Return the sentence of a *record* whose attributes are *known*, at the time *now* in milliseconds."""
    found = headlines.headline_of(record, known, now)
    markup, text = found.translated(_.markup), found.translated(_)
    reason = one_line(found.reason, _LONGEST_REASON)
    if reason:
        markup += Markup("{}{}").format(_(": "), isolated(reason))
        text += _(": ") + reason
    whole = found.reason if len(found.reason) > len(reason) or "\n" in found.reason else ""
    return Headline(markup, text, whole[:_LONGEST_WHOLE], max(0, len(whole) - _LONGEST_WHOLE))
