"""The filters: each is defined by one row of :class:`RecordFilter`. Pure.

A row defines the Python keyword (the name of the dataclass field), the HTTP parameter (also the option of the command
line, with dashes), the label of its chip on the page, its meaning in the help, the values that it takes, the attribute
of a record that it tests, and with that the predicate and the column of an index. All code that offers, reads, shows or
applies filters uses :data:`FILTERS`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal, NamedTuple, ParamSpec

from execution_history.errors import N_, InvalidQuery
from execution_history.query.path_conditions import MOST_CONDITIONS, PathCondition
from execution_history.query.predicates import (
    And,
    Attribute,
    Exists,
    HasNode,
    HasTag,
    In,
    JsonPath,
    Predicate,
    Prefix,
    Range,
    Suffix,
    Text,
)
from execution_history.query.predicates import all_of as _all_of
from execution_history.query.values import (
    AMOUNT,
    CONDITION,
    DURATION,
    FILTER_STATUSES,
    FLAG,
    ID,
    MODE,
    NODE,
    NUMBER,
    PREFIX,
    SINCE,
    STATUS,
    TEXT,
    UNTIL,
    NodeTime,
    Values,
)
from execution_history.records.attributes import names_of_failed_node
from execution_history.records.record import OPEN_STATUSES, STATUSES

_MOST_VALUES: Final = 100
_ENDED: Final = tuple(each for each in FILTER_STATUSES if each not in OPEN_STATUSES)

_Row = ParamSpec("_Row")

Several = Literal["no", "repeated", "commas", "conditions"]

WORKFLOW: Final = Attribute("workflow", lambda record, _: record["workflow_id"], "workflow", "shared text")
STATE: Final = Attribute(
    "status", lambda _, facts: facts.status if facts.status in STATUSES else "other", "status", "status"
)
CREATED: Final = Attribute("time", lambda _, facts: facts.create_time, "create_time")
TOOK: Final = Attribute("duration", lambda _, facts: facts.duration_ms, "duration")
RUN_MODE: Final = Attribute("mode", lambda _, facts: facts.run_mode, "run_mode")
BOT: Final = Attribute("bot", lambda _, facts: facts.bot_id, "bot", "shared text")
CONVERSATION: Final = Attribute("conversation", lambda _, facts: facts.conversation_id, "conversation")
ACCOUNT: Final = Attribute("account", lambda _, facts: facts.account, "account", "shared text")
CALLER: Final = Attribute("caller", lambda _, facts: facts.caller, "caller", "shared text")
ERROR_CODE: Final = Attribute("error code", lambda _, facts: facts.error_code, "error_code", "shared text")
TOKENS: Final = Attribute("tokens", lambda _, facts: facts.tokens, "tokens")
INPUT_TOKENS: Final = Attribute("input tokens", lambda _, facts: facts.input_tokens, "input_tokens")
OUTPUT_TOKENS: Final = Attribute("output tokens", lambda _, facts: facts.output_tokens, "output_tokens")
COST: Final = Attribute("cost", lambda _, facts: facts.cost, "cost")
CURRENCY: Final = Attribute("currency", lambda _, facts: facts.currency, "currency", "shared text")
HAS_OUTPUT: Final = Attribute("has output", lambda _, facts: facts.has_output, "has_output")
PINNED: Final = Attribute("pinned", lambda _, facts: facts.pinned, "pinned")
RATING: Final = Attribute("rating", lambda _, facts: facts.rating, "rating")
UPSTREAM_ID: Final = Attribute("upstream id", lambda _, facts: facts.upstream_id, "upstream")
LOG_ID: Final = Attribute("log id", lambda _, facts: facts.log_id, "log_id")
FINGERPRINT: Final = Attribute("fingerprint", lambda _, facts: facts.fingerprint, "fingerprint", "fingerprint")
PARENT: Final = Attribute("parent", lambda _, facts: facts.parent, "parent")
EXECUTE_ID: Final = Attribute("execute id", lambda record, _: record["execute_id"], "execute_id")
FAILED_NODE: Final = Attribute("failed node", lambda record, _: names_of_failed_node(record), "failed_nodes", "several")
FAILED_IN: Final = Attribute("failed node", lambda _, facts: facts.failed_node, "failed_in", "shared text")


class FilterField(NamedTuple):
    """The definition of a filter.

    Attributes:
        name: the HTTP parameter; ``min_tokens`` is ``--min-tokens`` on the command line.
        label: its name on the page, to be translated.
        meaning: its help text, to be translated.
        values: the kind of values that it takes.
        attribute: the attribute that it tests; ``None``: the tags, the texts or anything in the document.
        test: returns the predicate for the attribute and a value, or a tuple of them.
        several: whether it takes several values: the parameter repeated, or with commas or, conditions, ``and`` too.
        example: the placeholder in the page's form; ``None``: that form leaves it out.
        keyword: its name in Python.
    """

    name: str
    label: str
    meaning: str
    values: Values
    attribute: Attribute | None
    test: Callable[[Any, Any], Predicate]
    several: Several = "no"
    example: str | None = None
    keyword: str = ""

    @property
    def is_repeatable(self) -> bool:
        """Whether it takes several values."""
        return self.several != "no"

    def check(self, value: object) -> None:
        """Raise :class:`InvalidQuery` where this filter cannot have *value*."""
        if not self.is_repeatable:
            if value is not None:
                self.values.check(self.keyword, value)
            return
        if not isinstance(value, tuple):
            raise InvalidQuery(
                "%(name)s is a tuple of values, not %(kind)s.", name=self.keyword, kind=type(value).__name__
            )
        limit = MOST_CONDITIONS if self.values is CONDITION else _MOST_VALUES
        if len(value) > limit:
            raise InvalidQuery(
                "%(name)s takes at most %(most)s values; these are %(count)s.",
                name=self.keyword,
                most=limit,
                count=len(value),
            )
        for each in value:
            self.values.check(self.keyword, each)


def _offered(make: Callable[_Row, FilterField]) -> Callable[_Row, Any]:
    """Return a function that makes a field of :class:`RecordFilter` from the arguments of its row."""

    def offer(*words: _Row.args, **options: _Row.kwargs) -> Any:  # noqa: ANN401 - the default of a field of any type
        row = make(*words, **options)
        return field(default=() if row.is_repeatable else None, metadata={"row": row})

    return offer


_row = _offered(FilterField)


def _one_of(attribute: Attribute, values: Sequence[Any]) -> Predicate:
    return In(attribute, tuple(dict.fromkeys(values)))


def _is(attribute: Attribute, value: bool) -> Predicate:  # noqa: FBT001 - the value of a filter
    return In(attribute, (value,))


def _from(attribute: Attribute, value: int) -> Predicate:
    return Range(attribute, least=value)


def _to(attribute: Attribute, value: int) -> Predicate:
    return Range(attribute, most=value)


def _before(attribute: Attribute, value: int) -> Predicate:
    return Range(attribute, most=value - 1)


def _failed_in(attribute: Attribute, values: Sequence[Any]) -> Predicate:
    return And((In(STATE, ("failed",)), _one_of(attribute, values)))  # the status has an index


def _with_node(node: NodeTime) -> Predicate:
    return And((In(STATE, _ENDED), HasNode(*node)))  # the nodes of other runs are not indexed


def _with_text(text: str) -> Predicate:
    from execution_history.query.text import parse_search  # noqa: PLC0415 - most queries search no text

    return Text(parse_search(text))


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFilter:
    """The records to select; without any value, all.

    ``workflow_ids`` are exact; ``workflows`` are what people call them: the service puts their ids in the place of
    names, and a store takes them for ids.

    All filters are combined with *and*; the values of one tuple with *or*, except ``tags`` and ``conditions``: a record
    must have all of these. Times are milliseconds since the epoch, ``created_from`` inclusive and ``created_before``
    exclusive; all other ranges include both ends, and a record without the value is in none. Costs are millionths, of
    whatever currency. A status is one of the four, or ``other`` for an adopted record whose status is none of them.

    ``within`` is no filter of its own: it has the patterns from which ``workflow_ids`` was listed
    (:mod:`execution_history.query.workflow_patterns`), however many ids that are.

    Raises:
        InvalidQuery: a value is of the wrong kind or too long, or there are too many.
    """

    # fmt: off
    workflow_ids: tuple[str, ...] = _row("", "", "", ID, WORKFLOW, _one_of, "repeated")
    workflows: tuple[str, ...] = _row(
        "workflow", N_("Workflow"), N_("Runs of this workflow, by its id or its name."), ID, WORKFLOW, _one_of,
        "repeated",
    )
    statuses: tuple[str, ...] = _row(
        "status", N_("Status"),
        N_("In this status: running, success, failed, interrupted or other; several with commas."),
        STATUS, STATE, _one_of, "commas", example="",
    )
    created_from: int | None = _row(
        "since", N_("Started since"),
        N_("Begun since: 2h or 7d ago, yesterday, monday, this week, 2026-11-01, 2026-11-01T08:00 or milliseconds."),
        SINCE, CREATED, _from, example="24h",
    )
    created_before: int | None = _row(
        "until", N_("Until"), N_("Begun before then; a date alone includes its day."), UNTIL, CREATED, _before
    )
    duration_from: int | None = _row(
        "min_duration", N_("Duration from"), N_("Took at least this long: 200ms, 1.5s, 2m or 1h."), DURATION, TOOK,
        _from, example="10s",
    )
    duration_to: int | None = _row(
        "max_duration", N_("Duration to"), N_("Took at most this long."), DURATION, TOOK, _to
    )
    run_modes: tuple[int, ...] = _row(
        "mode", N_("Run mode"), N_("Run this way: sync, stream or async; several with commas."), MODE, RUN_MODE,
        _one_of, "commas",
    )
    bot_ids: tuple[str, ...] = _row("bot", N_("Bot"), N_("Run for this bot."), ID, BOT, _one_of, "commas")
    conversation_ids: tuple[str, ...] = _row(
        "conversation", N_("Conversation"), N_("Run in this conversation."), ID, CONVERSATION, _one_of, "commas"
    )
    accounts: tuple[str, ...] = _row(
        "account", N_("Account"), N_("Run with this Coze account."), ID, ACCOUNT, _one_of, "repeated"
    )
    callers: tuple[str, ...] = _row(
        "caller", N_("Called by"), N_("Called by this program."), ID, CALLER, _one_of, "repeated"
    )
    error_codes: tuple[str, ...] = _row(
        "error", N_("Error code"), N_("Ended with this error code."), ID, ERROR_CODE, _one_of, "commas"
    )
    failed_nodes: tuple[str, ...] = _row(
        "failed_node", N_("Failed node"), N_("Failed in this node, by its title or its id."), ID, FAILED_NODE,
        _failed_in, "repeated",
    )
    node: NodeTime | None = _row(  # noqa: RUF009 - as all others here
        "node", N_("Node"),
        N_("Ended with this node in it, by its title or its id; Writer >= 12s: which took at least so long."),
        NODE, None, lambda _, node: _with_node(node),
    )
    tokens_from: int | None = _row(
        "min_tokens", N_("Tokens from"), N_("Took at least so many tokens."), NUMBER, TOKENS, _from
    )
    tokens_to: int | None = _row("max_tokens", N_("Tokens to"), N_("Took at most so many tokens."), NUMBER, TOKENS, _to)
    cost_from: int | None = _row(
        "min_cost", N_("Cost from"), N_("Cost at least so much, in units of its currency, such as 0.05."), AMOUNT, COST,
        _from,
    )
    cost_to: int | None = _row("max_cost", N_("Cost to"), N_("Cost at most so much."), AMOUNT, COST, _to)
    has_output: bool | None = _row(
        "has_output", N_("Has output"), N_("Whether there is an output: true or false."), FLAG, HAS_OUTPUT, _is
    )
    tags: tuple[str, ...] = _row(
        "tag", N_("Tag"), N_("With this tag; given several times, with all of them."), ID, None,
        lambda _, tags: And(tuple(map(HasTag, dict.fromkeys(tags)))), "repeated", example="",
    )
    pinned: bool | None = _row("pinned", N_("Pinned"), N_("Whether it is pinned: true or false."), FLAG, PINNED, _is)
    rating_from: int | None = _row(
        "min_rating", N_("Rating from"), N_("Rated at least this, 1 to 5."), NUMBER, RATING, _from
    )
    rating_to: int | None = _row("max_rating", N_("Rating to"), N_("Rated at most this."), NUMBER, RATING, _to)
    upstream_ids: tuple[str, ...] = _row(
        "upstream", N_("Run id at Coze"), N_("With this id at Coze."), ID, UPSTREAM_ID, _one_of, "commas"
    )
    log_ids: tuple[str, ...] = _row(
        "log", N_("Log id"), N_("Logged by Coze under this id."), ID, LOG_ID, _one_of, "commas"
    )
    fingerprints: tuple[str, ...] = _row(
        "fingerprint", N_("Kind of failure"), N_("Failed in this way, as the statistics name it."), ID, FINGERPRINT,
        _one_of, "commas",
    )
    parents: tuple[str, ...] = _row(
        "parent", N_("Parent run"), N_("Begun within this run."), ID, PARENT, _one_of, "repeated"
    )
    nested: bool | None = _row(
        "nested", N_("Within another run"), N_("Whether it began within another run: true or false."), FLAG, PARENT,
        Exists,
    )
    execute_id_prefix: str | None = _row(
        "id", N_("Id begins with"), N_("Whose execute id begins so."), PREFIX, EXECUTE_ID, Prefix
    )
    execute_id_suffix: str | None = _row(
        "id_end", N_("Id ends with"), N_("Whose execute id ends so."), PREFIX, EXECUTE_ID, Suffix
    )
    conditions: tuple[PathCondition, ...] = _row(
        "where", N_("Condition"),
        N_('Of which this holds: input.city = "北京", output.score >= 90, metadata.tags[0] exists.'),
        CONDITION, None, lambda _, conditions: And(tuple(map(JsonPath, conditions))), "conditions",
        example='input.city = "北京"',
    )
    text: str | None = _row(
        "q", N_("Text"), N_('With these words: timeout, "out of memory", time*, 北京, -retry.'), TEXT, None,
        lambda _, text: _with_text(text), example="",
    )
    # fmt: on
    within: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for row in _ROWS:
            if not (self.within and row.attribute is WORKFLOW):
                row.check(getattr(self, row.keyword))

    def given(self) -> frozenset[str]:
        """Return the keywords of the filters that have a value."""
        return frozenset(row.keyword for row in _ROWS if getattr(self, row.keyword) not in (None, ()))

    def predicate(self) -> And:
        """Return the predicate that a record has to fulfil.

        Raises:
            InvalidQuery: the text cannot be searched for.
        """
        keywords = self.given()
        return _all_of(row.test(row.attribute, getattr(self, row.keyword)) for row in _ROWS if row.keyword in keywords)


_ROWS: Final[tuple[FilterField, ...]] = tuple(
    each.metadata["row"]._replace(keyword=each.name) for each in fields(RecordFilter) if each.metadata
)

FILTERS: Final = tuple(row for row in _ROWS if row.name)
"""Every filter that is offered, in the order of the help; exact workflow ids are for programs alone."""

LABELS: Final = {row.name: row.label for row in FILTERS}
"""What filters, and what runs are counted by, are called, by their names."""

ATTRIBUTES: Final = tuple(
    dict.fromkeys(
        [
            *(row.attribute for row in FILTERS if row.attribute is not None),
            *(INPUT_TOKENS, OUTPUT_TOKENS, CURRENCY, FAILED_IN),
        ]
    )
)
"""All attributes that they test, and those that are counted or added up besides; an index has a column for each."""
