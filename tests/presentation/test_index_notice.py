"""The sentence about what an index lacks, for each of the ways in which it can be behind."""

import pytest

from execution_history.presentation.index_notice import index_notice, left_of
from execution_history.query.model import IndexReach


@pytest.mark.parametrize(
    ("reach", "left", "sentence"),
    [
        (
            IndexReach(40, 52),
            12,
            "Still indexing: the latest changes may be missing here (12 to go). They are added automatically.",
        ),
        (
            IndexReach(52, 52, since=5_000, missing=7),
            7,
            "Still indexing: every run from 5000 on is included; older ones are added automatically (7 to go).",
        ),
        (
            IndexReach(50, 52, since=4_001, missing=7),
            9,
            (
                "Still indexing: runs from before 5000 (7 to go) and the latest changes (2) may be missing here. "
                "They are added automatically."
            ),
        ),
    ],
)
def test_the_sentence_names_what_is_missing(reach: IndexReach, left: int, sentence: str) -> None:
    """The latest changes, the older runs, or both; a time is rounded up, so that what is called whole is whole."""
    assert sentence == index_notice(
        revision=reach.revision, newest=reach.newest, since=reach.since, missing=reach.missing, moment=str, number=str
    )
    assert left == left_of(reach.revision, reach.newest, reach.missing)
