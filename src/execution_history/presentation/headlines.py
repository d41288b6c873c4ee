"""How a run went, in one sentence: its status, how long it worked and waited, and in which node. Pure.

The parts are translated where they are shown, as text or as HTML.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeVar

from execution_history.errors import N_
from execution_history.presentation.formatting import duration, error_text, one_line, question_text
from execution_history.records.attributes import RunAttributes, may_have_run
from execution_history.records.metadata import INTERRUPT
from execution_history.records.timeline import nodes_of, open_node
from execution_history.records.waiting import waiting_since

HEADLINES: Final = {
    "success": N_("Succeeded after %(duration)s"),
    "running": N_("Running for %(duration)s"),
    "failed": N_("Failed after %(duration)s"),
    "interrupted": N_("Interrupted after %(duration)s"),
}
"""The status of a run, in a sentence."""

IN_NODE: Final = {
    "running": N_("Running for %(duration)s, now in %(node)s"),
    "failed": N_("Failed after %(duration)s in %(node)s"),
    "interrupted": N_("Interrupted after %(duration)s in %(node)s"),
}
"""The same, with the node in which it happened."""

_OTHER: Final = N_("Status %(status)s, last changed after %(duration)s")
_UNCERTAIN: Final = N_("No result after %(duration)s; the workflow may have run")
_WAITED: Final = N_("%(sentence)s of work and %(waited)s of waiting for answers")
_WAITED_BEFORE: Final = N_("%(sentence)s, after waiting %(waited)s for answers")
_WAITS: Final = N_("%(sentence)s, waiting for an answer for %(waits)s")
_LONGEST_NAME: Final = 60
_LEAST_WAIT: Final = 60_000

_Text = TypeVar("_Text", bound=str)


class Headline(NamedTuple):
    """The parts of the sentence: *sentence* with *facts*, then *frames* around it, then the *reason*.

    ``frames`` are sentences with the one before as ``sentence``. The reason is the whole of what a run said of its
    failure, or what it asks; empty for none.
    """

    sentence: str
    facts: dict[str, str]
    frames: tuple[str, ...]
    reason: str

    def translated(self, translate: Callable[..., _Text]) -> _Text:
        """Return the sentence without the reason; *translate* makes text, or HTML, of a sentence and its arguments."""
        text = translate(self.sentence, **self.facts)
        for frame in self.frames:
            text = translate(frame, sentence=text, **self.facts)
        return text


def headline_of(record: dict[str, Any], known: RunAttributes, now: int) -> Headline:
    """Return the headline of a *record* whose attributes are *known*, at the time *now* in milliseconds."""
    status, since = record["execute_status"], waiting_since(record)
    node = _node(record, known)
    sentence = HEADLINES.get(status, _OTHER) if node is None else IN_NODE[status]
    if may_have_run(record):
        sentence = _UNCERTAIN
    frames = [] if not known.waited_ms else [_WAITED if status == "success" else _WAITED_BEFORE]
    frames += [_WAITS] if since is not None and now - since >= _LEAST_WAIT else []
    facts = {
        "duration": duration(known.elapsed_ms(now)),
        "status": one_line(str(status), _LONGEST_NAME),
        "node": one_line(node or "", _LONGEST_NAME),
        "waited": duration(known.waited_ms),
        "waits": "" if since is None else duration(max(0, now - since)),
    }
    return Headline(sentence, facts, tuple(frames), _reason(record))


def _reason(record: dict[str, Any]) -> str:
    interrupt = INTERRUPT.of(record) if record["execute_status"] == "interrupted" else None
    return (question_text(interrupt) if interrupt else "") or error_text(record)


def _node(record: Mapping[str, Any], known: RunAttributes) -> str | None:
    """Return the node that the sentence names: where the run failed, where it waits, where it is now."""
    status = record["execute_status"]
    if status == "interrupted":
        title = (INTERRUPT.of(record) or {}).get("node_title")
        return title if isinstance(title, str) and title else None
    if status == "running":
        found = open_node(nodes_of(record["node_execute_status"]))
        return None if found is None else found.label
    return known.failed_node
