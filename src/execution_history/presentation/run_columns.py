"""The columns that a list of runs can have, on the page and on the command line. Pure."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from execution_history.errors import N_, InvalidQuery, Message, quoted
from execution_history.presentation.formatting import grouped, money, one_line, only_text
from execution_history.presentation.phrases import enumerated, mode_words
from execution_history.presentation.translator import Translator
from execution_history.records.attributes import caller_text, error_code_of
from execution_history.records.cost import cost_of, units_of
from execution_history.records.metadata import ACCOUNT, COST, NOTE, RATING, TAGS
from execution_history.records.summary import line_of
from execution_history.records.values import identifier

RUN_COLUMNS: Final = {
    "status": N_("Status"),
    "started": N_("Started"),
    "duration": N_("Duration"),
    "tokens": N_("Tokens"),
    "cost": N_("Cost"),
    "workflow": N_("Workflow"),
    "run": N_("Run id"),
    "summary": N_("Input → output or error"),
    "input": N_("Input"),
    "output": N_("Output"),
    "error": N_("Error code"),
    "tags": N_("Tags"),
    "rating": N_("Rating"),
    "note": N_("Note"),
    "account": N_("Account"),
    "caller": N_("Called by"),
    "bot": N_("Bot"),
    "conversation": N_("Conversation"),
    "mode": N_("Run mode"),
}
"""The label of each column by its name, in the order in which they are offered."""

NUMBERS: Final = frozenset({"duration", "tokens", "cost"})
"""The columns that are aligned to the right."""

SORTS: Final = {"started": "create_time", "duration": "duration", "tokens": "tokens", "cost": "cost"}
"""The order of lists that a column stands for."""

_LONGEST: Final = 120


def columns_of(names: Iterable[str]) -> tuple[str, ...]:
    """Return the columns that *names*, or names with commas between them, mean: each once, in this order.

    Raises:
        InvalidQuery: there is no column of a name; the message lists those there are.
    """
    found = tuple(dict.fromkeys(part.strip() for name in names for part in name.split(",") if part.strip()))
    for name in found:
        if name not in RUN_COLUMNS:
            known: Message | str = enumerated(RUN_COLUMNS)
            raise InvalidQuery("There is no column %(name)s; there are %(known)s.", name=quoted(name), known=known)
    return found


def column_text(_: Translator, name: str, record: Mapping[str, Any]) -> str:
    """Return what stands in a column for a run, on one line; nothing where it has no such value.

    Args:
        _: translates what is no value of the run.
        name: a column whose text is the same wherever it is shown: not its status, time, duration, tokens, workflow or
            summary.
        record: the run's record, outline or summary.
    """
    return one_line(_TEXTS[name](_, record), _LONGEST)


def _cost(_: Translator, record: Mapping[str, Any]) -> str:
    cost = cost_of(COST.of(record))
    return "" if cost is None else money(units_of(cost.amount), cost.currency)


def _input(_: Translator, record: Mapping[str, Any]) -> str:
    return str(record["input_line"]) if "input_line" in record else line_of(record["input_parameters"])


def _output(_: Translator, record: Mapping[str, Any]) -> str:
    return only_text(str(record["output_line"]) if "output_line" in record else line_of(record["output"]))


def _tags(_: Translator, record: Mapping[str, Any]) -> str:
    tags = [tag for tag in TAGS.of(record) or () if isinstance(tag, str)]
    return _.message(enumerated(tags))


def _rating(_: Translator, record: Mapping[str, Any]) -> str:
    rating = RATING.of(record)
    return "" if rating is None else "★" * rating if 0 < rating <= 5 else grouped(rating)  # noqa: PLR2004 - of five


_TEXTS: Final[dict[str, Callable[[Translator, Mapping[str, Any]], str]]] = {
    "run": lambda _, record: str(record["execute_id"]),
    "cost": _cost,
    "input": _input,
    "output": _output,
    "error": lambda _, record: error_code_of(record) or "",
    "tags": _tags,
    "rating": _rating,
    "note": lambda _, record: NOTE.of(record) or "",
    "account": lambda _, record: ACCOUNT.of(record) or "",
    "caller": lambda _, record: caller_text(record) or "",
    "bot": lambda _, record: identifier(record["bot_id"]) or "",
    "conversation": lambda _, record: identifier(record["conversation_id"]) or "",
    "mode": lambda _, record: mode_words(_, dict(record)) or "",
}
