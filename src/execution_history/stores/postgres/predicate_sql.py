"""Predicates as SQL conditions on ``executions e``: literals of this package, and values for their parameters."""

from typing import Any, Final

from execution_history.query.predicates import And, Attribute, Exists, HasTag, In, Predicate, Prefix, Range, Suffix
from execution_history.stores.postgres.stored_texts import SHORTENED, beginning_of, escaped, stored_text
from execution_history.stores.sql_fragments import LARGEST, TAIL, Fragment, fingerprint_number, together, whole
from execution_history.stores.status_numbers import STATUS_NUMBERS

_COLUMNS: Final = {"workflow": "workflow_id"}
_NEVER: Final = "false"


def column_of(attribute: Attribute) -> str:
    """Return the name of the column that has *attribute*."""
    return _COLUMNS.get(attribute.column, attribute.column)


def render(predicate: Predicate) -> Fragment:
    """Return the condition that *predicate* holds.

    Raises:
        TypeError: no column of its own decides it.
    """
    match predicate:
        case In():
            return _in(predicate)
        case Range():
            return _range(predicate)
        case Exists(attribute, is_there):
            return Fragment(f"e.{column_of(attribute)} IS {'NOT ' if is_there else ''}NULL")
        case Prefix() | Suffix():
            return _prefix(predicate) if isinstance(predicate, Prefix) else _suffix(predicate)
        case HasTag(tag):
            return Fragment("e.tags @> %s::text[]", ([stored_text(tag)],))
        case And(parts):
            return together([render(part) for part in parts])
    raise TypeError(f"No column decides {type(predicate).__name__}.")


def _in(predicate: In) -> Fragment:
    attribute = predicate.attribute
    column = f"e.{column_of(attribute)}"
    found = (_stored(attribute, value) for value in predicate.values)
    values = list(dict.fromkeys(value for value in found if value is not None))
    if not values:
        return Fragment(_NEVER)
    if attribute.stored_as == "several":
        return Fragment(f"{column} && %s::text[]", (values,))
    if isinstance(values[0], bool):  # written out, as the partial index of pins needs it
        return Fragment(" OR ".join(column if value else f"NOT {column}" for value in values))
    if len(values) == 1:
        return Fragment(f"{column} = %s", (values[0],))
    return Fragment(f"{column} = ANY(%s)", (values,))


def _stored(attribute: Attribute, value: Any) -> Any:  # noqa: ANN401 - whatever a filter may have
    """Return *value* as the attribute's column has it; ``None`` where it cannot."""
    if attribute.stored_as == "status":
        return STATUS_NUMBERS[value]
    if attribute.stored_as == "fingerprint":
        return fingerprint_number(value)
    if isinstance(value, str):
        return stored_text(value)
    return whole(value)


def _range(predicate: Range) -> Fragment:
    column = f"e.{column_of(predicate.attribute)}"
    least, most = predicate.least, predicate.most
    if (least is not None and least > LARGEST) or (most is not None and most < -LARGEST):
        return Fragment(_NEVER)
    ends = [(">=", least), ("<=", most)]
    bounds = [Fragment(f"{column} {sign} %s", (end,)) for sign, end in ends if end is not None and abs(end) <= LARGEST]
    return together(bounds) if bounds else Fragment(f"{column} IS NOT NULL")


def _prefix(predicate: Prefix) -> Fragment:
    """Return the condition that the text begins so; of a shortened one only the beginning is in the column."""
    column, prefix = f"e.{column_of(predicate.attribute)}", escaped(predicate.prefix)
    begins = Fragment(f"starts_with({column}, %s)", (prefix,))
    beginning = beginning_of(prefix)
    if beginning == prefix:
        return begins
    shortened = (
        f"{column} IN (SELECT l.key FROM execution_history.long_texts l "  # noqa: S608 - literals of ours
        "WHERE starts_with(l.key, %s) AND starts_with(l.text, %s))"
    )
    return Fragment(f"{begins.sql} OR {shortened}", (*begins.values, beginning, prefix))


def _suffix(predicate: Suffix) -> Fragment:
    """Return the condition that the text ends so; of a shortened one the end is not in the column."""
    column, suffix = f"e.{column_of(predicate.attribute)}", escaped(predicate.suffix)
    length = len(suffix)
    # Written as the index has it, where that is long enough.
    last = [Fragment(f"right({column}, {TAIL}) = %s", (suffix[-TAIL:],))] if length >= TAIL else []
    end = Fragment(f"right({column}, {length}) = %s AND strpos({column}, %s) = 0", (suffix, SHORTENED))
    shortened = (
        f"{column} = ANY (ARRAY(SELECT l.key FROM execution_history.long_texts l "  # noqa: S608 - literals of ours
        f"WHERE right(l.text, {length}) = %s))"
    )
    whole = together([*last, end])
    return Fragment(f"{whole.sql} OR {shortened}", (*whole.values, suffix))
