"""Rules of retention: which runs go, what is kept of them, and which stay all the same. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from execution_history.errors import InvalidInput, quoted
from execution_history.query.fields import RecordFilter
from execution_history.query.parameters import filter_of, is_filter
from execution_history.query.values import age_text, read_age
from execution_history.records.byte_sizes import bytes_of

Action = Literal["remove", "contents"]

ACTIONS: Final[tuple[Action, ...]] = ("remove", "contents")

_KEEPS: Final = ("older_than", "keep_runs", "keep_bytes")
_OWN: Final = frozenset({"name", "action", *_KEEPS})
_TIMES: Final = frozenset({"since", "until"})
_LONGEST_NAME: Final = 100
_MOST_RUNS: Final = 2**53


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRule:
    """A rule: a run that matches goes when none of the limits keeps it.

    Attributes:
        name: its name.
        filters: which runs, as people write filters: one text or several by the name of a filter.
        older_than: runs that began later than so many milliseconds ago stay; ``None``: no limit.
        keep_runs: of each workflow so many of the newest runs that match stay; ``None``: no limit.
        keep_bytes: of each workflow the newest stay as long as all its runs together have no more bytes of JSON than
            that; ``None``: no limit.
        action: ``remove`` removes the run; ``contents`` only what went in and came out, its line stays.
    """

    name: str
    filters: Mapping[str, tuple[str, ...]]
    older_than: int | None = None
    keep_runs: int | None = None
    keep_bytes: int | None = None
    action: Action = "remove"

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "RetentionRule":
        """Return the rule that *values* describe, such as ``{"status": "success", "older_than": "30d"}``.

        Keys are ``name``, ``action``, ``older_than``, ``keep_runs``, ``keep_bytes``, and every filter but those for
        times. Without a name it is called by its text.

        Raises:
            InvalidInput: a value is missing, unknown or impossible; the sentence names it.
        """
        filters = {key: _texts(key, value) for key, value in values.items() if key not in _OWN and value is not None}
        for name in filters:
            if name in _TIMES or not is_filter(name):
                raise InvalidInput(
                    "A rule has no %(name)s: it has name, action, older_than, keep_runs, keep_bytes and filters such "
                    "as workflow, status and tag.",
                    name=quoted(name),
                )
        given = {key: values.get(key) for key in _KEEPS if values.get(key) not in (None, "")}
        if not given:
            raise InvalidInput("A rule needs a limit: older_than, keep_runs or keep_bytes.")
        action = values.get("action") or "remove"
        if action not in ACTIONS:
            raise InvalidInput("A rule's action is remove or contents, not %(action)s.", action=quoted(action))
        rule = cls(
            name="",
            filters={key: texts for key, texts in filters.items() if texts},
            older_than=read_age(given["older_than"]) if "older_than" in given else None,
            keep_runs=_count(given["keep_runs"]) if "keep_runs" in given else None,
            keep_bytes=bytes_of(given["keep_bytes"]) if "keep_bytes" in given else None,
            action=action,
        )
        rule.matching(0)
        return replace(rule, name=_name(values.get("name")) or rule.described())

    def matching(self, now: int) -> RecordFilter:
        """Return the filter of the runs that it is about and that are old enough at *now* (ms); limits aside.

        Raises:
            InvalidQuery: a filter has a value that cannot be read.
        """
        found = filter_of(self.filters, now=now)
        return found if self.older_than is None else replace(found, created_before=max(0, now - self.older_than))

    @property
    def is_by_workflow(self) -> bool:
        """Whether it counts what each workflow has."""
        return self.keep_runs is not None or self.keep_bytes is not None

    @property
    def frees_waiting(self) -> bool:
        """Whether it is about runs that wait for an answer, which stay otherwise."""
        return "interrupted" in filter_of(self.filters, now=0).statuses

    def described(self) -> str:
        """Return it in words, as ``status=success older_than=30d``."""
        shown = {key: value for key, value in self.to_json().items() if key != "name" and value not in (None, "remove")}
        words = (f"{key}={','.join(value) if isinstance(value, list) else value}" for key, value in shown.items())
        return " ".join(words)[:_LONGEST_NAME]

    def to_json(self) -> dict[str, Any]:
        """Return the values that :meth:`of` takes."""
        age = None if self.older_than is None else age_text(self.older_than)
        return {
            "name": self.name,
            **{key: list(texts) for key, texts in self.filters.items()},
            "older_than": age,
            "keep_runs": self.keep_runs,
            "keep_bytes": self.keep_bytes,
            "action": self.action,
        }


def _texts(name: str, value: object) -> tuple[str, ...]:
    listed = [value] if isinstance(value, (str, int, float)) else value
    if not isinstance(listed, Sequence) or not all(isinstance(each, (str, int, float)) for each in listed):
        raise InvalidInput("%(name)s of a rule is a text or a list of texts.", name=quoted(name))
    texts = (str(each).lower() if isinstance(each, bool) else str(each) for each in listed)
    return tuple(text for text in texts if text.strip())


def _count(value: object) -> int:
    text = str(value).strip()
    if not (text.isascii() and text.isdecimal()) or int(text[:20]) > _MOST_RUNS:
        raise InvalidInput("keep_runs is a whole number from 0 on, not %(value)s.", value=quoted(value))
    return int(text)


def _name(value: object) -> str:
    name = value.strip() if isinstance(value, str) else ""
    if len(name) > _LONGEST_NAME or not name.isprintable():
        raise InvalidInput("The name of a rule has at most 100 characters, none of them a line break.")
    return name
