"""Folded texts: without differences of case and width, and without invisible characters.

Folding is NFKC, Unicode's case folding, and NFKC again, so ``ＡＢＣ１２３`` becomes ``abc123``, ``ｶﾞ`` becomes ``ガ``,
``…`` three dots and ``Straße`` ``strasse``. Marks that belong to a letter stay: ``é`` is not ``e``.
"""

import unicodedata
from bisect import bisect_right
from functools import lru_cache
from itertools import accumulate
from typing import Final

from execution_history.query.text.character_classes import patterns

_BLOCK_CHARACTERS: Final = 1_000

# Frequent in Chinese texts, and slow in NFKC; replacing them first does not change the result.
_WIDE_SIGNS: Final = (*zip("，：；！？（）", ",:;!?()", strict=True), ("…", "..."))


def fold(text: str) -> str:
    """Return *text* folded; the same for texts that differ only in case or width."""
    if text.isascii():
        return text.lower()
    if len(text) <= _BLOCK_CHARACTERS:
        return _fold_block(text)
    return "".join(map(_fold_block, patterns().blocks.findall(text)))


def _fold_block(text: str) -> str:
    for wide, sign in _WIDE_SIGNS:
        text = text.replace(wide, sign)
    text = patterns().invisible.sub("", text)
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _folded_length(cluster: str) -> int:
    return _length_of_one(cluster) if len(cluster) == 1 else len(_fold_block(cluster))


@lru_cache(maxsize=16_384)  # more characters than a language has; a snippet needs it for each one round a hit
def _length_of_one(character: str) -> int:
    return len(_fold_block(character))


class Folded:
    """A text with its folded form, and the origin of each place of the folded form in the text.

    Attributes:
        original: the text.
        text: the same as ``fold(original)``.
    """

    def __init__(self, original: str) -> None:
        self.original = original
        self._blocks: list[str] = []
        self._begins: list[int] = []
        self._ends: list[int] = []
        self._clusters: dict[int, tuple[list[int], list[int]]] = {}
        if original.isascii():
            self.text = original.lower()
            return
        self._blocks = patterns().blocks.findall(original)
        folded = list(map(_fold_block, self._blocks))
        self._begins = [0, *accumulate(map(len, self._blocks))]
        self._ends = list(accumulate(map(len, folded)))
        self.text = "".join(folded)

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Return where in ``original`` the characters that became ``text[start:end]``, not empty, begin and end.

        Characters that became one, or one that became several, are never divided.
        """
        if not self._blocks:
            return start, end
        return self._place(start)[0], self._place(end - 1)[1]

    def _place(self, at: int) -> tuple[int, int]:
        """Return where, in the original, the cluster that the folded character *at* came from begins and ends."""
        number = bisect_right(self._ends, at)
        if number not in self._clusters:
            clusters = patterns().clusters.findall(self._blocks[number])
            origins = list(accumulate(map(len, clusters), initial=self._begins[number]))
            reached = self._ends[number - 1] if number else 0
            self._clusters[number] = origins, list(accumulate(map(_folded_length, clusters), initial=reached))
        origins, ends = self._clusters[number]
        place = bisect_right(ends, at)
        return origins[place - 1], origins[place]
