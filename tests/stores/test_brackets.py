"""Stepping through JSON text: what is taken is the text without the blanks that mean nothing."""

import json
import tracemalloc
from collections.abc import Iterator
from itertools import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_history.stores.jsonfiles.bracket_reader import BracketReader

_STRINGS = st.text(alphabet=st.sampled_from(' \t\n"\\{}[],:a'), max_size=8)
_VALUES = st.recursive(
    st.none() | st.integers() | _STRINGS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_STRINGS, inner, max_size=4),
    max_leaves=12,
)


def _cut(text: bytes, at_once: int) -> Iterator[bytes]:
    return (text[at : at + at_once] for at in range(0, len(text), at_once))


def _first(text: bytes, at_once: int, most: int, long: int = 0) -> tuple[bytes | None, int]:
    """The first object or list in a text, and where it ends."""
    reader = BracketReader(_cut(text, at_once), most, long=long)
    reader.step()
    reader.close()
    return reader.take(), reader.offset


@given(
    value=st.lists(_VALUES, min_size=1, max_size=4),
    at_once=st.integers(1, 40),
    indent=st.sampled_from([1, 3, 30]),
    long=st.sampled_from([0, 20, 100]),
)
def test_blanks_do_not_count(value: list[object], at_once: int, indent: int, long: int) -> None:
    """Wherever pieces end; strings keep theirs, the place in the text is right, and a byte less is too little."""
    text = json.dumps(value, indent=indent, separators=(" \n,", "\t:  ")).encode()
    dense = json.dumps(value, separators=(",", ":")).encode()
    found, end = _first(text + b"  ", at_once, len(dense), long)
    assert (dense, len(text)) == (found, end)
    assert (None, len(text)) == _first(text, at_once, len(dense) - 1, long)


@pytest.mark.parametrize("at_once", [1, 2, 5, 100])
def test_two_tokens_stay_two(at_once: int) -> None:
    """What is no JSON does not become JSON."""
    found, _ = _first(b"[1    2]", at_once, 8)
    assert found is not None
    assert b"12" not in found
    with pytest.raises(ValueError, match="delimiter"):
        json.loads(found)


def test_an_endless_indentation_takes_no_memory() -> None:
    """Thirty times the largest record is stepped over, and it is still there."""
    pieces = [b"[", *repeat(b" " * 10_000, 300), b"1", *repeat(b" " * 10_000, 300), b"]"]
    tracemalloc.start()
    try:
        reader = BracketReader(iter(pieces), 200_000, long=10_000)
        reader.step()
        reader.close()
        found = reader.take()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [1] == json.loads(found or b"")
    assert peak < 2_000_000  # of six million; other threads of the tests allocate too
