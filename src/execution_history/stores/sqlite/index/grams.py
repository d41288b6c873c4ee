"""Tokens: what the text index keeps of a text, and which of them a search term needs.

Of a run of singles every character and every pair is a token, so one character and two are found exactly, more by
their pairs. Of a word, with ``^`` and ``=`` as marks that no word has::

    ^d  ^de             what it begins with
    =deploy             the word; of a long one its first 24 letters
    dep epl plo loy     every three letters, for terms of three
    depl eplo ploy      every four, for longer terms: on words put together of the same parts they leave a fifth of the
                        wrong candidates that three letters leave

No token is kept for a place where terms need none, so nothing is said of what stands beside what: where a term has
several tokens, its candidates are looked at.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from operator import add
from typing import Final

from execution_history.text.characters import BREAK, patterns
from execution_history.text.terms import Atom, Search, Term

_LONGEST_WHOLE: Final = 24
_LONGEST_REMEMBERED: Final = 32
_MOST_REMEMBERED: Final = 50_000
_MOST_TOKENS: Final = 48
_PIECE: Final = 65_536
_INSIDE: Final = 3
_LONGER: Final = 4

# ASCII text has no singles: its words are what stands between these.
_SPACED: Final = "".join(chr(code) if chr(code).isalnum() else " " for code in range(128))
_SEPARATOR: Final = re.compile(r"[\0-/:-@\[-`{-\x7f]")


class Tokens:
    """Turns folded texts into tokens; remembers those of words it has met, because few words make most of a text."""

    def __init__(self) -> None:
        self._words = _Words()

    def of(self, searched: str) -> str:
        """The tokens of a folded text with spaces between them; some may be there twice."""
        words: set[str] = set()
        singles: set[str] = set()
        kinds = patterns()
        for piece in _pieces(searched):
            if piece.isascii():
                words.update(piece.translate(_SPACED).split())
            else:
                words.update(kinds.letters.findall(piece))
                singles.update(kinds.singles.findall(piece))
        tokens = [self._words[word] for word in words]
        if singles:
            runs = " ".join(singles)
            # A pair of a character and a space is that character alone once more.
            tokens += set(runs)
            tokens += map(add, runs, runs[1:])
        return " ".join(tokens)


class _Words(dict[str, str]):
    """The tokens of words, made when they are first asked for."""

    def __missing__(self, word: str) -> str:
        inner = [
            word[at : at + size]
            for size in (_INSIDE, _LONGER)
            if len(word) >= size
            for at in range(len(word) + 1 - size)
        ]
        tokens = " ".join([f"^{word[0]}", f"^{word[:2]}", f"={word[:_LONGEST_WHOLE]}", *inner])
        if len(word) <= _LONGEST_REMEMBERED:
            if len(self) >= _MOST_REMEMBERED:
                self.clear()
            self[word] = tokens
        return tokens


def _pieces(text: str) -> Iterator[str]:
    """*text* in pieces that end where a word does: its texts, and of a very long one some at a time."""
    for part in text.split(BREAK):
        begin = 0
        while begin < len(part):
            end = _SEPARATOR.search(part, begin + _PIECE) if len(part) > begin + _PIECE else None
            stop = len(part) if end is None else end.start()
            yield part[begin:stop]
            begin = stop


@dataclass(frozen=True, slots=True)
class Needed:
    """What the candidates for a search have and lack.

    Attributes:
        tokens: all of these.
        lacking: none of these.
        is_exact: whether every candidate is a hit; otherwise each has to be looked at.
    """

    tokens: tuple[str, ...]
    lacking: tuple[str, ...]
    is_exact: bool


def needed(search: Search) -> Needed:
    """The tokens that a record which matches *search* has, and lacks; at least one that it has."""
    tokens: list[str] = []
    is_exact = True
    for term in search.wanted:
        found, is_whole = _tokens_of(term)
        tokens += found
        is_exact = is_exact and is_whole
    lacking: list[str] = []
    for term in search.unwanted:
        found, is_whole = _tokens_of(term)
        lacking += found if is_whole else []
        is_exact = is_exact and is_whole
    tokens = list(dict.fromkeys(tokens))
    if len(tokens) > _MOST_TOKENS:
        # Every n-th of very many excludes as much as all of them would.
        tokens, is_exact = tokens[:: -(-len(tokens) // _MOST_TOKENS)], False
    return Needed(tuple(tokens), tuple(lacking), is_exact)


def _tokens_of(term: Term) -> tuple[list[str], bool]:
    """Tokens that a text with *term* has, and whether a text with them always has the term: then it is one token."""
    tokens: list[str] = []
    for atom in term.atoms:
        tokens += _tokens_of_atom(atom)
    return tokens, len(term.atoms) == 1 and len(tokens) == 1 and _is_kept_whole(term.atoms[0])


def _tokens_of_atom(atom: Atom) -> list[str]:
    text = atom.text
    if atom.is_singles:
        return [text] if len(text) == 1 else list(map(add, text, text[1:]))
    if atom.begins and atom.ends:
        return [f"={text[:_LONGEST_WHOLE]}"]
    size = min(len(text), _LONGER)
    inner = [text[at : at + size] for at in range(len(text) + 1 - size)] if len(text) >= _INSIDE else []
    return [f"^{text[:2]}", *inner] if atom.begins else inner


def _is_kept_whole(atom: Atom) -> bool:
    return not (atom.begins and atom.ends) or len(atom.text) <= _LONGEST_WHOLE
