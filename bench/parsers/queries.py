"""What people write to find runs, and the rules that they set: filters, searches, cursors, times, paths, patterns."""

from base64 import urlsafe_b64encode
from contextlib import suppress
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson

from bench.parsers.target import Target, split, text_of
from execution_history.access.limits import lifetime_of, rate_of, size_of
from execution_history.errors import InvalidCursor, InvalidInput, InvalidQuery
from execution_history.history.bin import _place_of
from execution_history.query.cursor import Position, cursor_at, position_at
from execution_history.query.fields import FILTERS, RecordFilter
from execution_history.query.filter_words import words_of
from execution_history.query.model import RecordQuery
from execution_history.query.parameters import filter_of
from execution_history.query.path_conditions import holds, parse_condition, split_conditions
from execution_history.query.text.ranking import matches, rank
from execution_history.query.text.snippets import snippets
from execution_history.query.text.syntax import parse_search
from execution_history.query.text.tokens import Tokens, needed
from execution_history.query.time_buckets import zone_of
from execution_history.query.values import read_age, read_time
from execution_history.query.workflow_patterns import WorkflowPatterns
from execution_history.records.json_path import matches as leads_to
from execution_history.records.json_path import parse_path
from execution_history.records.recording_rules import RecordingRule
from execution_history.records.redaction import shown_store, without_credentials
from execution_history.records.redaction_rules import BUILT_IN, RedactionRule
from execution_history.records.redactor import Redactor
from execution_history.web.api.query_parameters import history_query

_NOW: Final = 1_700_000_000_000
_IN_BIN: Final = urlsafe_b64encode(b'[18446744073709551615,"w","e"]')
_RECORD: Final[dict[str, Any]] = {
    "workflow_id": "w", "execute_id": "e", "execute_status": "failed", "create_time": _NOW, "update_time": _NOW,
    "input_parameters": {"city": "北京", "n": [1, {"a": "1"}], "text": '{"b": [2]}'}, "output": "straße ﬁn",
    "error_message": "Not found: 404", "error_code": "4000", "node_execute_status": {"End": {"content": "x"}},
    "metadata": {"tags": ["seen"], "note": "n"},
}  # fmt: skip
_SECRET: Final = "pat_" + "Ab1" * 20
_DOCUMENT: Final = orjson.dumps({"phone": "13800138000", "a": {"password": "hunter2", "b": [_SECRET]}, "c": "me@x.org"})


def _filters(data: bytes) -> None:
    """Lines of a name and its value; what was read is written and read again."""
    words = {row.name: text_of(data) for row in FILTERS[: 1 + len(data) % 3]}
    for line in data.split(b"\n"):
        name, value = map(text_of, split(line, b"="))
        words[name] = value
        with suppress(InvalidQuery):
            found = filter_of({name: value}, now=_NOW)
            again = filter_of(words_of(found), now=_NOW)
            assert filter_of(words_of(again), now=_NOW) == again
    with suppress(InvalidQuery):
        filter_of(words, now=_NOW)
    with suppress(InvalidQuery, ValueError):  # too many parameters
        history_query(parse_qsl(text_of(data)), now=_NOW, size=20, index=1, workflow_id=None)


def _conditions(data: bytes) -> None:
    for text in split_conditions(text_of(data)):
        with suppress(InvalidQuery):
            condition = parse_condition(text)
            holds(condition, _RECORD)
            written = words_of(RecordFilter(conditions=(condition,)))["where"][0]
            if text.isprintable() and "\ufffd" not in text:
                assert parse_condition(written) == condition, written


def _search(data: bytes) -> None:
    text = text_of(data)
    with suppress(InvalidQuery):
        search = parse_search(text)
        needed(search)
        if matches(_RECORD, search):
            rank(_RECORD, search)
        snippets(_RECORD, search)
    tokens = Tokens()
    assert set(tokens.of(text).split()) == set(tokens.of(text).split())


def _cursor(data: bytes) -> None:
    query = RecordQuery(after=data.decode("utf-8", "replace"))
    with suppress(InvalidCursor):
        assert 0 <= _place_of(data.decode("utf-8", "replace")).deleted_at < 2**63
    with suppress(InvalidCursor):
        position = position_at(query)
        if position is not None:
            assert position_at(RecordQuery(after=cursor_at(query, position))) == position


def _times(data: bytes) -> None:
    text, zone = map(text_of, split(data))
    with suppress(InvalidQuery):
        read_time("since", text, now=_NOW, zone=zone_of(zone or "UTC"))
    for read in (read_age, rate_of, size_of, lifetime_of):
        with suppress(InvalidInput):
            read(text)


def _paths(data: bytes) -> None:
    path, place = map(text_of, split(data))
    with suppress(InvalidInput):
        leads_to(parse_path(path), tuple(place))


def _rules(data: bytes) -> None:
    """A rule in the words of the settings; one that any pattern but its own obeys is applied to a record."""
    try:
        given = orjson.loads(data)
    except ValueError:
        given = None
    text = text_of(data)
    for each in (given, {"path": text}, {"key": text}, {"pattern": text}, {"detector": text, "workflow": text}):
        if not isinstance(each, dict):
            continue
        with suppress(InvalidInput):
            RecordingRule.of(each)
        with suppress(InvalidInput):
            rule = RedactionRule.of(each)
            if rule.kind != "pattern":  # how long one takes is up to whoever wrote it
                _apply(Redactor((*BUILT_IN, rule)), is_kept=rule.action == "keep")


def _apply(redactor: Redactor, *, is_kept: bool) -> None:
    made = redactor.value("output", _DOCUMENT, {}, {})
    orjson.loads(made)
    assert is_kept or _SECRET.encode() not in made


def _redacted(data: bytes) -> None:
    """Any JSON stays JSON, and text that grows is redacted as the whole is."""
    redactor = Redactor(BUILT_IN)
    for document in (data, orjson.dumps(data.decode("utf-8", "replace"))):
        try:
            orjson.loads(document)
        except ValueError:
            continue
        made = redactor.value("output", document, {}, {})
        orjson.loads(made)
        orjson.loads(redactor.value("output", document, {}, {}, grows=True))
        assert redactor.value("output", made, {}, {}) == made
    without_credentials(text_of(data))
    shown_store(text_of(data))


def _patterns(data: bytes) -> None:
    pattern, name = map(text_of, split(data))
    with suppress(InvalidInput):
        found = WorkflowPatterns.of(pattern.split(","))
        if found.match(name) and not found.are_all:
            assert any(name.startswith(each) for each in found.prefixes())


_WORDS: Final = (
    *(row.name.encode() + b"=" for row in FILTERS),
    b" and ", b" >= ", b" exists", b"input", b"output", b"metadata", b"[0]", b'"', b",", b"\n", b"ms", b"2h", b"yesterday", b"-",
    b"*", b"..", b"$", "北京".encode(), b"9" * 20, b"1e400",
)  # fmt: skip

TARGETS: Final = (
    Target(
        "filters",
        _filters,
        (
            b"status=failed,running\nsince=2h\nmin_cost=0.5\nnode=End >= 5ms\nwhere=input.a = 1 and output[0] exists",
            b"mode=sync&since=yesterday&sort=tokens&order=asc&zone=Asia/Shanghai",
        ),
        _WORDS,
    ),
    Target(
        "conditions",
        _conditions,
        ('input.city = "北京" and output.n[1].a != 2'.encode(), b"metadata.tags[0] exists"),
        _WORDS,
    ),
    Target("searches", _search, ('北京 -"not found" stra* straße'.encode(), b'"a b" c'), _WORDS),
    Target("cursors", _cursor, (cursor_at(RecordQuery(), Position(_NOW, _NOW, 7)).encode(), b"WzFd", _IN_BIN)),
    Target(
        "times",
        _times,
        (
            b"2h\nUTC",
            b"2h\n" + b"a/" * 500,
            b"2026-11-01T08:00+08:00\nAsia/Shanghai",
            b"last monday",
            b"1700000000000",
            b"100/s",
            b"10 MB",
            b"30d",
        ),
        (*_WORDS, b"T", b":", b"/"),
    ),
    Target(
        "paths",
        _paths,
        (b"$.input_parameters.user['a b'][*]..phone\nabc", b"..a..a\n" + b"a" * 20),
        (b"..a", b"[*]", b".*"),
    ),
    Target(
        "rules",
        _rules,
        (
            b'{"path":"output.a","action":"remove"}',
            b'{"key":"api*","action":"hash"}',
            b'{"pattern":"x[0-9]+","workflow":"w*"}',
            b'{"workflow":"w","record":"outline","share":0.5,"largest_bytes":1000}',
        ),
        (
            b'"path"',
            b'"key"',
            b'"pattern"',
            b'"detector"',
            b'"action"',
            b'"keep"',
            b"(?:",
            b"{9}",
            b"\\u0000",
            *_WORDS[-8:],
        ),
    ),
    Target(
        "redacted values",
        _redacted,
        (_DOCUMENT, b"postgresql://u:p@h/d?password=x"),
        (b"eyJ", b"sk-", b"key:", b"token=", b"Bearer ", b"@", b"password", b"138"),
    ),
    Target("workflow patterns", _patterns, (b"a*,b?[!c]\nab", b"*"), (b"*", b"[", b"]", b"!", b"?")),
)
