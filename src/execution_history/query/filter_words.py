"""A filter in the words that it can be read from again. Pure."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from execution_history.query.fields import FILTERS, RecordFilter
from execution_history.query.path_conditions import PathCondition
from execution_history.query.values import MODE_NAMES, NodeTime
from execution_history.records.cost import MILLIONTHS
from execution_history.records.encoding import encode

_PLAIN: Final = re.compile(r"\w+")


def words_of(record_filter: RecordFilter) -> dict[str, list[str]]:
    """Return the texts of a filter by the names of its parts, as :func:`~.parameters.filter_of` reads them.

    Times are milliseconds since the epoch. What no text describes, such as an id with a comma where commas separate, is
    read as something else: whoever depends on it reads it back and compares.
    """
    words = {}
    for row in FILTERS:
        value = getattr(record_filter, row.keyword)
        if value not in (None, ()):
            write = _WRITERS.get(row.values.kind, str)
            words[row.name] = [write(each) for each in (value if row.is_repeatable else (value,))]
    return words


def _amount(millionths: int) -> str:
    return f"{Decimal(millionths) / MILLIONTHS:f}"


def _node(node: NodeTime) -> str:
    return node.node if node.least_ms is None else f"{node.node} >= {node.least_ms}ms"


def _condition(condition: PathCondition) -> str:
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{_key(step)}" for step in condition.path)
    value = "exists" if condition.operator == "exists" else f"{condition.operator} {_quoted(condition.value)}"
    return f"{condition.part}{path} {value}"


def _key(key: str) -> str:
    return key if _PLAIN.fullmatch(key) else _quoted(key)


def _quoted(value: object) -> str:
    return encode(value).decode()


_WRITERS: Final[dict[str, Callable[[Any], str]]] = {
    "amount": _amount,
    "bool": lambda flag: str(flag).lower(),
    "condition": _condition,
    "duration": lambda milliseconds: f"{milliseconds}ms",
    "mode": lambda number: MODE_NAMES.get(number, str(number)),
    "node": _node,
}
