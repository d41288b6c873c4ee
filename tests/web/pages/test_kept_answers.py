"""Answers that are shown again: for how long, and when they are read anew."""

import asyncio
from dataclasses import dataclass

import pytest

from execution_history.query.model import IndexReach
from execution_history.web.pages.kept_answers import KeptAnswers

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Found:
    """An answer, and how much of the history it covers."""

    number: int
    reach: IndexReach


class Source:
    """Reads answers, each with a number of its own."""

    def __init__(self, reach: IndexReach | None = None) -> None:
        self.read = 0
        self._reach = reach or IndexReach(1, 1)

    async def __call__(self) -> Found:
        """Read one."""
        self.read += 1
        number = self.read
        await asyncio.sleep(0)
        return Found(number, self._reach)


async def test_an_unchanged_history_is_read_once_a_minute() -> None:
    """However often it is asked; another question is read for itself."""
    kept, source = KeptAnswers[Found](5), Source()
    times = (0, 59_999, 60_000)
    assert [1, 1, 2] == [(await kept.answer("a", 1, now, source)).number for now in times]
    assert 3 == (await kept.answer("b", 1, 60_000, source)).number


async def test_a_history_that_changes_is_read_again_after_the_least_time() -> None:
    """Not with each change, and a minute later in any case."""
    kept, source = KeptAnswers[Found](5, least_kept=1_000), Source()
    assert [1, 1] == [(await kept.answer("a", revision, 0, source)).number for revision in (1, 2)]
    assert 2 == (await kept.answer("a", 3, 60_000, source)).number


async def test_what_is_read_fast_or_in_part_is_not_kept() -> None:
    """Nor is more kept than was allowed."""
    kept, source = KeptAnswers[Found](1), Source(IndexReach(1, 2, since=5, missing=1))
    assert [1, 2] == [(await kept.answer("a", 1, now, source, lambda _: False)).number for now in (0, 0)]
    assert [3, 4] == [(await kept.answer("a", 1, now, source)).number for now in (0, 60_000)]
    assert [5, 6] == [(await kept.answer(key, 1, 60_000, source)).number for key in ("b", "a")]


async def test_of_several_who_ask_at_once_one_reads() -> None:
    """The others get its answer; what was forgotten is read again."""
    kept, source = KeptAnswers[Found](5), Source()
    found = await asyncio.gather(*(kept.answer("a", 1, 0, source) for _ in range(3)))
    assert [1, 1, 1] == [each.number for each in found]
    kept.clear()
    assert 2 == (await kept.answer("a", 1, 0, source)).number
