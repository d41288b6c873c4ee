"""What a search text means: what is folded, what is searched, what matches, and how hits are shown."""

import unicodedata
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from execution_history.errors import InvalidQuery
from execution_history.query.text import fold, matches, parse_search, rank, searched_text, snippets, texts_of
from execution_history.query.text.character_classes import patterns
from execution_history.query.text.normalization import Folded
from execution_history.query.text.searchable_fields import MOST_CHARACTERS
from execution_history.query.text.tokens import AllOf, AnyOf, Expression, Token, Tokens, Without, needed

_RECORD: dict[str, Any] = {
    "error_message": "The plugin timed out: upstream-gateway",
    "error_code": 720701002,
    "input_parameters": {"city": "北京", "limit": 12.5, "nested": '{"q": "GPT4 模型"}', "flag": True},
    "output": ["The job ran Out-of-Memory again; redeployed ＡＢＣ１２３", "user@example.com", "北京大学的数据库"],
    "node_execute_status": {"LLM": {"node_title": "LLM", "content": "客户说明", "node_id": "100001"}},
    "metadata": {
        "note": "重要 👍🏽",
        "tags": ["vip"],
        "account": "work",
        "recorder": "secret-recorder",
        "proof": "done",
    },
}


@pytest.mark.parametrize(
    ("folded", "text"),
    [
        ("abc123", "ＡＢＣ１２３"),
        ("ガラス", "ｶﾞﾗｽ"),
        ("strasse", "Straße"),
        ("οδοσ", "ΟΔΟΣ"),
        ("1", "①"),
        ("...", "…"),
        ("北京,好", "北\u200b京，好"),
        ("é", "E\u0301"),
        ("株式会社", "㍿"),
        ("", ""),
    ],
)
def test_case_and_width_are_folded(folded: str, text: str) -> None:
    """And nothing else: a mark stays with its letter."""
    assert folded == fold(text)
    assert folded == Folded(text).text


@given(st.text())
def test_folding_with_places_is_folding(text: str) -> None:
    """Also of long texts, which are folded in blocks; and every place leads to a part of the text that gave it."""
    for original in (text, text * 300):
        folded = Folded(original)
        assert fold(original) == folded.text
    folded = Folded(text)
    for at in range(len(folded.text)):
        start, end = folded.origin(at, at + 1)
        assert folded.text[at] in fold(text[start:end])


def test_a_text_of_marks_alone_is_folded_in_bounded_time() -> None:
    """Python brings marks into their order in time that grows with the square of their number."""
    assert 200_000 == len(fold("e" + "\u0301\u0323" * 100_000))


def test_blocks_end_only_where_folding_does_not_join() -> None:
    """No character that could become one with its predecessor begins a block, in the whole of Unicode."""
    joining = [
        chr(code)
        for code in range(0x110000)
        if not 0xD800 <= code < 0xE000 and unicodedata.normalize("NFKC", chr(code))
        if unicodedata.combining(unicodedata.normalize("NFKD", chr(code))[0])
    ]
    assert [] == [char for char in joining if patterns().clusters.fullmatch("x" + char) is None]


def test_everything_that_is_read_is_searched() -> None:
    """In the order of the fields, a key, a text or a number each, without what recorders note for themselves."""
    assert [
        ("error_message", "The plugin timed out: upstream-gateway"),
        ("error_code", "720701002"),
        ("input_parameters", "city"),
        ("input_parameters", "北京"),
        ("input_parameters", "limit"),
        ("input_parameters", "12.5"),
        ("input_parameters", "nested"),
        ("input_parameters", '{"q": "GPT4 模型"}'),
        ("input_parameters", "flag"),
        ("output", "The job ran Out-of-Memory again; redeployed ＡＢＣ１２３"),
        ("output", "user@example.com"),
        ("output", "北京大学的数据库"),
        ("node_execute_status.LLM", "LLM"),
        ("node_execute_status.LLM", "客户说明"),
        ("metadata.note", "重要 👍🏽"),
        ("metadata.tags", "vip"),
        ("metadata.account", "work"),
    ] == list(texts_of(_RECORD))


def test_what_a_node_said_is_not_searched_twice() -> None:
    """When it is part of the output."""
    record = {"output": {"text": "same"}, "node_execute_status": {"End": {"node_title": "End", "content": "same"}}}
    assert ["text", "same", "End"] == [text.text for text in texts_of(record)]


@pytest.mark.parametrize("nodes", [None, [], "text", 7, {"a": None}, {"a": ["x"]}, {"a": {"content": {"b": 1}}}])
def test_odd_records_are_searched_too(nodes: object) -> None:
    """Adopted records may hold anything anywhere."""
    record = {"node_execute_status": nodes, "metadata": None, "output": [[[[["deep"]]]]], "input_parameters": "plain"}
    assert matches(record, parse_search("deep plain"))


def test_a_record_is_searched_up_to_a_bound() -> None:
    """What comes behind ten million characters is not found."""
    record = {"output": ["x " * (MOST_CHARACTERS // 2 - 2) + "near", "far"]}
    assert (True, False) == (matches(record, parse_search("near")), matches(record, parse_search("far")))


@pytest.mark.parametrize(
    ("hits", "text"),
    [
        (["redeployed"[2:8]], "deploy"),
        ([], '"deploy"'),
        (["redeployed"], '"redeployed"'),
        (["Out-of-Memory"], '"out of memory"'),
        (["Out-of-Memory"], "out-of-memory"),
        (["Out-of-Mem"], '"out of mem"*'),
        ([], '"out of mem"'),
        (["imed out"], "IMED.out"),
        (["timed"], "timed"),
        (["time"], "time*"),
        ([], "imed*"),
        (["ＡＢＣ１２３"], "abc123"),
        (["北", "北"], "北"),
        (["北京", "北京"], "北京"),
        (["数据库"], "数据库"),
        (["数据库"], '"数据库"'),
        ([], "据数"),
        (["GPT4 模型"], "gpt4模型"),
        (["GPT4 模型"], '"GPT4，模型"'),
        (["PT4"], "PT4"),
        (["user@example.com"], "user@example.com"),
        (["720701002"], "720701002"),
        (["0701"], "0701"),
        (["12.5"], "12.5"),
        ([], "2.5"),
        (["👍"], "👍"),
        ([], "ai"),
        (["ran"], "ran"),
        (["job"], "job -missing"),
        ([], "job -memory"),
        ([], 'job -"of memory"'),
        (["job"], 'job -"of mem"'),
        (["job", "客户"], "客户 JOB"),
        ([], "job absent"),
        (["Out", "out"], "“out”"),
        (["客户说明"], '客户"说明"'),
        ([], "secret"),
        ([], "100001"),
        ([], '"北京 大学"'),
        ([], "city北京"),
    ],
)
def test_examples_of_what_is_found(hits: list[str], text: str) -> None:
    """Each with the places that are marked; nothing is marked where the record does not match."""
    search = parse_search(text)
    assert bool(hits) == matches(_RECORD, search)
    if hits:
        shown = snippets(_RECORD, search, limit=9)
        assert sorted(hits) == sorted(piece.text[start:end] for piece in shown for start, end in piece.hits)


@pytest.mark.parametrize(
    ("sentence", "text"),
    [
        ("no word to look for in the search text ''", ""),
        ("no word to look for", " \t\n"),
        ("no word to look for", '?! ""-* "…" _'),
        (r"no word to look for in the search text '\\ud800'", "\ud800"),
        ("no word to look for", "\0\x01\x7f"),
        ("at least one word without a minus", "-x"),
        ("at most 1,000 characters; this one has 1,000,000", "x" * 1_000_000),
        ("quote before 'of memory' of the search text is left open", 'job "of memory'),
        ("quote at the end", '客户 “说明” "'),
        ("ends with a minus", "job -"),
        ("ends with a minus", '"job"－ '),
        ("ends with a minus", "--"),
        ("at most 32 terms; this one has 500", "a " * 500),
    ],
)
def test_what_cannot_be_searched_is_said_in_one_sentence(sentence: str, text: str) -> None:
    """Whatever was typed."""
    with pytest.raises(InvalidQuery, match=sentence):
        parse_search(text)


@given(st.text(max_size=60), st.lists(st.text(max_size=30), max_size=4))
def test_any_text_is_understood_or_refused(text: str, texts: list[str]) -> None:
    """Operators of other search languages, control characters and halves of surrogate pairs among them."""
    record = {"output": texts}
    try:
        search = parse_search(text)
    except InvalidQuery:
        return
    assert isinstance(matches(record, search), bool)
    assert isinstance(snippets(record, search), list)


_LETTERS = st.text(st.sampled_from("abcABC123xyzßЖж"), min_size=3, max_size=12)
_SINGLES = st.text(st.sampled_from("北京数据库模型ガかな한국😀"), min_size=1, max_size=8)
_MIXED = st.lists(_LETTERS | _SINGLES | st.sampled_from([" ", "，", "-", "。", "\n"]), max_size=12).map("".join)


@given(_MIXED, st.data())
def test_every_part_of_a_text_is_found(text: str, data: st.DataObject) -> None:
    """From one Chinese character or three letters on, inside words and over their borders."""
    start = data.draw(st.integers(0, max(0, len(text) - 1)))
    end = data.draw(st.integers(start, len(text)))
    part = text[start:end]
    atoms = patterns().atoms.findall(fold(part))
    assume(atoms and not any(char.isspace() for char in part.strip()))
    for atom in (atoms[0], atoms[-1]):
        assume(patterns().singles.match(atom) or len(atom) >= 3)
    assume(not part.strip().startswith("-"))
    assert matches({"output": text}, parse_search(part))


@given(_MIXED, _LETTERS | _SINGLES, _MIXED, st.integers(20, 200))
def test_marks_stand_on_what_was_searched(before: str, hit: str, behind: str, length: int) -> None:
    """Each marked part folds to something that has the term, and the piece is about as long as was asked."""
    search = parse_search(hit)
    pieces = snippets({"output": before + hit + behind}, search, length)
    assert pieces
    for piece in pieces:
        assert piece.hits
        assert length + 2 >= len(piece.text)
        for start, end in piece.hits:
            assert search.required[0].is_in(fold(piece.text[start:end]))


def _has(tokens: set[str], expression: Expression) -> bool:
    """Whether a text with these tokens fulfils an expression."""
    match expression:
        case Token(text):
            return text in tokens
        case AllOf(parts):
            return all(_has(tokens, part) for part in parts)
        case AnyOf(parts):
            return any(_has(tokens, part) for part in parts)
        case Without(wanted, unwanted):
            return _has(tokens, wanted) and not any(_has(tokens, part) for part in unwanted)


@given(_MIXED, _LETTERS | _SINGLES | _MIXED, st.sampled_from(["{}", '"{}"', "{}*", "a -{}", "{} -北"]), st.booleans())
def test_a_text_with_what_is_searched_for_has_the_tokens_that_it_needs(
    text: str, word: str, form: str, is_inside: bool
) -> None:
    """So no hit is missed; and where the tokens decide alone, nothing else has them."""
    record = {"output": f"{text} a {word}" if is_inside else text}
    try:
        search = parse_search(form.format(word))
    except InvalidQuery:
        return
    required = needed(search)
    has_tokens = _has(set(Tokens().of(searched_text(record)).split()), required.expression)
    if required.is_exact:
        assert matches(record, search) == has_tokens
    else:
        assert has_tokens or not matches(record, search)


def test_a_hit_deep_in_a_large_text_is_shown() -> None:
    """With what stands around it, and dots where the text goes on."""
    text = "这里什么也没有，" * 200_000 + "直到ＮＥＥＤＬＥ出现" + "。" * 1_000
    [piece] = snippets({"output": {"text": text}}, parse_search("needle"))
    assert ("output", "ＮＥＥＤＬＥ") == (piece.field, piece.text[slice(*piece.hits[0])])
    assert "……" == piece.text[0] + piece.text[-1]
    assert 162 == len(piece.text)


def test_snippets_together_show_every_term() -> None:
    """Before one term is shown twice."""
    record = {"input_parameters": ["alpha one", "alpha two", "alpha three"], "output": "beta " * 200 + "gamma"}
    shown = snippets(record, parse_search("alpha beta gamma"))
    assert ["alpha", "beta", "gamma"] == [piece.text[slice(*piece.hits[-1])] for piece in shown]


def test_better_hits_rank_higher() -> None:
    """A whole word over a part of one, often over once, a note over an output, a short text over a long one."""
    records: list[dict[str, Any]] = [
        {"metadata": {"note": "deploy"}},
        {"error_message": "deploy"},
        {"output": "deploy deploy deploy"},
        {"output": "deploy"},
        {"output": "deploy" + " filler" * 2_000},
        {"output": "redeployed" + " filler" * 2_000},
        {"output": "nothing"},
    ]
    ranks = [rank(record, parse_search("deploy")) for record in records]
    assert sorted(ranks, reverse=True) == ranks
    assert (len(ranks), 0.0) == (len(set(ranks)), ranks[-1])


def test_terms_never_reach_over_the_end_of_a_text() -> None:
    """Neither a phrase, nor a run of characters."""
    record = {"output": ["out of", "memory", "北", "京"]}
    assert not matches(record, parse_search('"of memory"'))
    assert not matches(record, parse_search("北京"))
    assert "out of\0memory\0北\0京" == searched_text(record)
