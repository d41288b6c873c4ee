"""The columns of a table of records: their names and their values. Pure.

| name | value |
|---|---|
| one of the record's 19 keys | the key's value |
| ``input`` | ``input_parameters`` |
| ``duration_ms``, ``tokens``, ``account``, ``caller``, ``tags``, ``pinned`` … | an attribute of the record |
| ``cost`` | what the run has cost, in units of ``currency`` |
| ``output.score``, ``input.items[0].name``, ``metadata.account`` | the value at that path of the record |

A path continues inside a text that is itself JSON, as Coze sends nested values. A missing value is null.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from execution_history.errors import InvalidInput, InvalidQuery, Message, quoted
from execution_history.query.hints import hint
from execution_history.query.path_conditions import MISSING, parse_condition, value_at
from execution_history.records.attributes import RunAttributes
from execution_history.records.record import KEYS

DEFAULT_COLUMNS: Final = (
    "execute_id", "workflow_id", "create_time", "execute_status", "duration_ms", "tokens", "error_code",
    "error_message", "input", "output", "cost", "currency",
)  # fmt: skip

_ATTRIBUTES: Final = frozenset(RunAttributes._fields) - set(KEYS)
_ROOTS: Final = {"input": "input_parameters"} | {key: key for key in KEYS}
_ROOT: Final = re.compile(r"[^.\[\"\s]+")
_MOST_COLUMNS: Final = 500
_LONGEST_NAME: Final = 1_000


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, and its value as a function of a parsed record and, if it needs them, the attributes."""

    name: str
    value: Callable[[Mapping[str, Any], Any], Any]
    needs_attributes: bool = False


def parse_columns(names: Iterable[str]) -> tuple[Column, ...]:
    """Return the columns called *names*, in this order.

    Raises:
        InvalidInput: a name is not in the table above; the message has it and the nearest name.
    """
    columns = tuple(_column(name) for name in names)
    if not columns:
        raise InvalidInput("A table needs at least one column.")
    if len(columns) > _MOST_COLUMNS:
        raise InvalidInput(
            "A table has at most %(most_columns)s columns; these are %(count)s.",
            most_columns=_MOST_COLUMNS,
            count=len(columns),
        )
    return columns


def _column(name: str) -> Column:
    if len(name) > _LONGEST_NAME:
        raise InvalidInput(
            "The name of a column has at most %(longest_name)s characters; this one has %(count)s.",
            longest_name=_LONGEST_NAME,
            count=len(name),
        )
    if name == "cost":
        return Column(name, lambda _, attributes: attributes.amount, needs_attributes=True)
    if name in _ATTRIBUTES:
        return Column(name, lambda _, attributes: getattr(attributes, name), needs_attributes=True)
    found = _ROOT.match(name)
    root = found[0] if found else ""
    if root not in _ROOTS:
        suggestion = hint(
            root, sorted({*_ATTRIBUTES, *_ROOTS}), Message("use a key of the record, or a path such as output.score")
        )
        raise InvalidInput("There is no column %(name)s: %(hint)s.", name=quoted(name), hint=suggestion)
    key, path = _ROOTS[root], _path(name, len(root))
    return Column(name, lambda record, _: _value(record[key], path))


def _path(name: str, at: int) -> tuple[str | int, ...]:
    """Return the path after the root of a name; its grammar is that of conditions."""
    try:
        condition = parse_condition(f"output{name[at:]} exists")
    except InvalidQuery:
        condition = None
    if condition is None or condition.operator != "exists":
        raise InvalidInput(
            "The column %(name)s cannot be read after %(beginning)s: write a path such as output.items[0].name.",
            name=quoted(name),
            beginning=quoted(name[:at]),
        )
    return condition.path


def _value(root: Any, path: tuple[str | int, ...]) -> Any:  # noqa: ANN401 - any JSON value
    found = value_at(root, path)
    return None if found is MISSING else found
