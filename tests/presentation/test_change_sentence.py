"""What is said of a change of many runs."""

import pytest

from execution_history.history.bulk_change import BulkChange, Tally
from execution_history.presentation.change_sentence import annotation_words, change_sentence
from execution_history.presentation.translator import LANGUAGES


def test_runs_that_others_changed_are_named_in_both_languages() -> None:
    """With their number; they count as reached."""
    change = BulkChange(id="x", action="delete", total=112).plus(Tally(changed=100, left_alone=12))
    assert "Deleting: 112 of 112" == change_sentence(LANGUAGES["en"], change)
    done = change.finished()
    sentence = "100 runs deleted. 12 runs were changed by others meanwhile and left alone."
    assert (112, sentence) == (done.total, change_sentence(LANGUAGES["en"], done))
    assert "有 12 次运行在此期间被他人修改，未作处理。" in change_sentence(LANGUAGES["zh_CN"], done)


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        ({}, ""),
        ({"add_tags": ["a"], "remove_tags": ["b\n"]}, "+a, −b"),
        ({"tags": []}, "no tags"),
        ({"tags": ["a", "b"], "rating": 3, "pinned": False}, "tags a, b, ★★★, not pinned"),
        ({"rating": 0, "note": "Was down.\nTwice."}, "no rating, note “Was down. Twice.”"),
        ({"note": "", "pinned": True}, "pinned, no note"),
        (None, ""),
    ],
)
def test_an_annotation_in_a_few_words(annotation: dict[str, object] | None, words: str) -> None:
    """What it adds, removes and sets, on one line."""
    assert words == annotation_words(LANGUAGES["en"], annotation)
