"""The four kinds of characters that text search distinguishes, and the atoms that a text consists of.

* A *single* is a word of its own: Chinese characters, Japanese kana, Korean syllables, symbols such as emoji. Such
  scripts write no spaces between words, so they are searched from one character on, anywhere.
* A *letter* is any other letter, digit or combining mark; letters that follow each other are a word.
* A *separator* is everything else: spaces, punctuation, control characters, halves of surrogate pairs.
* :data:`BREAK` is the separator that no search term reaches across; it divides the texts of a record.

An *atom* is a longest run of singles or of letters. The kinds follow the Unicode version of the running Python,
:data:`UNICODE_VERSION`; an index that stores atoms has to be rebuilt when that changes.
"""

import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Final

BREAK: Final = "\0"
UNICODE_VERSION: Final = unicodedata.unidata_version

_SINGLES: Final = (
    (0x1100, 0x11FF), (0x2600, 0x27BF), (0x2E80, 0x2FDF), (0x3005, 0x3007), (0x3021, 0x3029), (0x3031, 0x3035),
    (0x3038, 0x303C), (0x3041, 0x3096), (0x309D, 0x309F), (0x30A1, 0x30FA), (0x30FC, 0x30FF), (0x3105, 0x318E),
    (0x31A0, 0x31BF), (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xA000, 0xA48C), (0xA960, 0xA97C),
    (0xAC00, 0xD7FB), (0xF900, 0xFAFF), (0x1F000, 0x1FAFF), (0x20000, 0x3FFFD),
)  # fmt: skip
_BASIC_PLANE: Final = 0x10000
_LETTERS_END: Final = 0x1F000  # beyond it all scripts are singles
_INVISIBLE: Final = (
    (0xAD, 0xAD), (0x180E, 0x180E), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x2064), (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF), (0xE0100, 0xE01EF),
)  # fmt: skip
_JOINING_JAMO: Final = range(0x1160, 0x1200)
# Without Chinese and Korean characters, surrogates and the private area, of which none clings, for speed.
_PERHAPS_CLINGING: Final = (
    range(0x300, 0x3400), range(0xA000, 0xAC00), range(0xD7B0, 0xD800), range(0xF900, _LETTERS_END),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Patterns:
    """The patterns that find the kinds.

    ``atoms`` matches a run of singles or of letters, ``letters`` and ``singles`` one of one kind; ``separators`` a
    run, perhaps empty, that one term may reach across; ``invisible`` characters that draw nothing. ``blocks`` and
    ``clusters`` cut a text where its parts can be folded on their own.
    """

    atoms: re.Pattern[str]
    letters: re.Pattern[str]
    singles: re.Pattern[str]
    separators: re.Pattern[str]
    invisible: re.Pattern[str]
    blocks: re.Pattern[str]
    clusters: re.Pattern[str]


@cache
def patterns() -> Patterns:
    """Return the patterns for this Python's version of Unicode; made on the first call, in tens of milliseconds."""
    singles, separators = _ranges(_SINGLES), _ranges(_separators())
    invisible = _ranges(_INVISIBLE)
    clinging = _ranges(_runs(_clinging())) + invisible
    letters = f"[^{singles}{separators}{BREAK}]+"
    return Patterns(
        atoms=re.compile(f"[{singles}]+|{letters}"),
        letters=re.compile(letters),
        singles=re.compile(f"[{singles}]+"),
        separators=re.compile(f"[{separators}]*"),
        invisible=re.compile(f"[{invisible}]+"),
        # Bounded, because bringing many marks on one character into their order takes time that grows with the square.
        blocks=re.compile(f"(?s:.){{1,1000}}[{clinging}]{{0,100}}"),
        clusters=re.compile(f"(?s:.)[{clinging}]{{0,100}}"),
    )


def _separators() -> Iterator[tuple[int, int]]:
    """Yield the separators; rare scripts above the basic plane count as letters, as ranges there make patterns slow."""
    singles = {code for first, last in _SINGLES if last < _BASIC_PLANE for code in range(first, last + 1)}
    others = (code for code in range(ord(BREAK) + 1, _BASIC_PLANE) if code not in singles)
    yield from _runs(code for code in others if not (chr(code).isalnum() or _is_mark(chr(code))))
    symbols_end, characters_end = (last for _, last in _SINGLES if last >= _LETTERS_END)
    yield symbols_end + 1, 0x1FFFF
    yield characters_end + 1, sys.maxunicode


def _clinging() -> Iterator[int]:
    """Yield the characters that may merge with the character before them when a text is folded."""
    for code in chain.from_iterable(_PERHAPS_CLINGING):
        is_composed = unicodedata.decomposition(chr(code))
        first = unicodedata.normalize("NFKD", chr(code))[0] if is_composed else chr(code)
        if _is_mark(first) or ord(first) in _JOINING_JAMO:
            yield code


def _is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] == "M"


def _runs(codes: Iterable[int]) -> Iterator[tuple[int, int]]:
    first = last = -1
    for code in codes:
        if code != last + 1:
            if last >= 0:
                yield first, last
            first = code
        last = code
    yield first, last


def _ranges(runs: Iterable[tuple[int, int]]) -> str:
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in runs)
