"""Known runs of spaces: whatever is noted, in whatever order, they are those of a plain set of offsets."""

from hypothesis import given
from hypothesis import strategies as st

from execution_history.stores.jsonfiles.blanks import Blanks

_ranges = st.tuples(st.integers(0, 120), st.integers(1, 40)).map(lambda drawn: (drawn[0], drawn[0] + drawn[1]))


@given(st.lists(st.tuples(st.booleans(), _ranges), max_size=30), st.integers(0, 170))
def test_blanks_are_what_was_added_and_not_cut(steps: list[tuple[bool, tuple[int, int]]], at: int) -> None:
    """From any offset, the end of its run is found but for an indentation, and so is the beginning."""
    blanks, spaces = Blanks(), set[int]()
    for is_added, (begin, end) in steps:
        if is_added:
            blanks.add(begin, end)
            spaces.update(range(begin, end))
        else:
            blanks.cut(begin, end)
            spaces.difference_update(range(begin, end))
    end, begin = at, at
    while end in spaces:
        end += 1
    while begin - 1 in spaces:
        begin -= 1
    assert blanks.past(at) == max(at, end - 8)
    assert blanks.before(at) == begin
