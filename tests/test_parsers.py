"""Whatever others send or write, parsers read it or refuse it in words of ours; cut anywhere, they read the same."""

from importlib import import_module

import pytest
from bench.parsers import GROUPS
from bench.parsers.target import Target, checked
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples

_MOST_PARTS = 8
_TARGETS: list[Target] = [each for name in GROUPS for each in import_module(f"bench.parsers.{name}").TARGETS]


@st.composite
def _damaged(draw: st.DrawFn, target: Target) -> bytes:
    """Pieces of what the parser knows, in any order, with words and bytes between them."""

    def piece() -> bytes:
        seed = draw(st.sampled_from(list(target.seeds)))
        begin, end = sorted((draw(st.integers(0, len(seed))), draw(st.integers(0, len(seed)))))
        return seed[begin:end]

    words = st.sampled_from(list(target.words)) if target.words else st.binary(max_size=2)
    kinds = draw(st.lists(st.sampled_from("swb"), min_size=1, max_size=_MOST_PARTS))
    return b"".join(
        piece() if kind == "s" else draw(words) if kind == "w" else draw(st.binary(max_size=6)) for kind in kinds
    )


@pytest.mark.parametrize("target", _TARGETS, ids=lambda target: target.name.replace(" ", "-"))
def test_a_parser_takes_whatever_comes(target: Target) -> None:
    """Its seeds, and what is made of them."""
    check = checked(target)
    for seed in target.seeds:
        check(seed)

    @given(_damaged(target))
    @examples(5)
    def damaged(data: bytes) -> None:
        check(data)

    damaged()
