"""What was edited in a text: word by word, or line by line where that is too much. Pure and bounded."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from operator import eq
from typing import Any, Final, Literal

TextEditKind = Literal["same", "removed", "added"]

_SHORTEST: Final = 24
_LONGEST: Final = 1_000_000
_MOST_PIECES: Final = 1_000
_LONGEST_SAME: Final = 120
_LONGEST_EDIT: Final = 4_000

# A word is a run of letters and digits; Chinese has no spaces between words, so there each character is one.
_WORDS: Final = re.compile(r"[^\W_\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+|\s+|.", re.DOTALL)
_LINES: Final = re.compile(r"[^\n]*\n|[^\n]+")


@dataclass(frozen=True, slots=True)
class TextEdit:
    """A piece of a text that is the same in both, or that only one of them has.

    A long piece is shortened in its middle; ``…`` stands for what is left out.
    """

    kind: TextEditKind
    text: str


def text_edits(old: str, new: str) -> tuple[TextEdit, ...] | None:
    """Return the edits that lead from *old* to *new*, in the order of the texts.

    ``None`` stands for two texts that are so short that they show the difference themselves, or so long and so
    different that finding the edits would take too long.
    """
    if not _SHORTEST <= max(len(old), len(new)) <= _LONGEST:
        return None
    for pieces in (_WORDS, _LINES):
        first, second = pieces.findall(old), pieces.findall(new)
        begin, end = common_ends(first, second)
        middle = first[begin : len(first) - end], second[begin : len(second) - end]
        if max(map(len, middle)) <= _MOST_PIECES:
            edits = [("same", "".join(first[:begin])), *_edits(*middle), ("same", "".join(first[len(first) - end :]))]
            return tuple(_shown(edits))
    return None


def common_ends(first: list[Any], second: list[Any], same: Callable[[Any, Any], bool] = eq) -> tuple[int, int]:
    """How many items the two lists begin with alike, and how many of the others they end with alike."""
    shorter = min(len(first), len(second))
    begin = next((at for at in range(shorter) if not same(first[at], second[at])), shorter)
    rest = shorter - begin
    end = next((at for at in range(rest) if not same(first[-1 - at], second[-1 - at])), rest)
    return begin, end


def _edits(first: list[str], second: list[str]) -> Iterator[tuple[TextEditKind, str]]:
    # Frequent pieces are no anchors (autojunk): without that, repetitive texts take cubic time.
    for tag, a, b, c, d in SequenceMatcher(None, first, second).get_opcodes():
        if tag == "equal":
            yield "same", "".join(first[a:b])
        else:
            yield "removed", "".join(first[a:b])
            yield "added", "".join(second[c:d])


def _shown(edits: list[tuple[TextEditKind, str]]) -> Iterator[TextEdit]:
    """Yield the edits that are not empty, neighbours of one kind joined."""
    kind: TextEditKind = "same"
    text = ""
    for each, piece in edits:
        if each == kind or not piece:
            text += piece
            continue
        if text:
            yield TextEdit(kind, _shortened(text, kind))
        kind, text = each, piece
    if text:
        yield TextEdit(kind, _shortened(text, kind))


def _shortened(text: str, kind: TextEditKind) -> str:
    most = _LONGEST_SAME if kind == "same" else _LONGEST_EDIT
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-most // 2 :]}"
