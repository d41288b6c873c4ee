"""Tokens: what the text index stores of a text, and which of them a search term needs.

Of a run of singles every character and every pair is a token, so one or two characters are found exactly, more by
their pairs. Of a word, with ``^`` and ``=`` as marks that no word has::

    ^d  ^de             its beginning
    =deploy             the word; of a long one its first 24 letters
    dep epl plo loy     every three letters, for terms of three
    depl eplo ploy      every four, for longer terms: on words made of the same parts they leave a fifth of the
                        wrong candidates that three letters leave
    ~dep ~epl …         instead of these two, every three letters of a number, of a word of more than 20, and of every
                        word of a text that has thousands: pictures in base64, say, would have a million different four
                        letters

Positions are not stored: where a term has several tokens, its candidates are checked.
"""

import re
import sys
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import add
from typing import Final, TypeVar

from execution_history.query.text.character_classes import BREAK, patterns
from execution_history.query.text.syntax import Atom, Search, Term

_Part = TypeVar("_Part")

_LONGEST_WHOLE: Final = 24
_LONGEST_USUAL: Final = 20
_MANY_WORDS: Final = 10_000
_LONGEST_REMEMBERED: Final = 11
_MOST_REMEMBERED: Final = 50_000
_MOST_TOKENS: Final = 24
_PIECE: Final = 65_536
_INSIDE: Final = 3
_SPACE: Final = (32,)
_CODES: Final = f"utf-32-{sys.byteorder[0]}e"
_LONGER: Final = 4

# A text whose letters are all of ASCII: its words stand between these.
_SPACED: Final = bytes(code if chr(code).isalnum() and code < 128 else ord(" ") for code in range(256))  # noqa: PLR2004 - the size of ASCII
_BEYOND_ASCII: Final = re.compile(r"[^\0-\x7f]+")
_SEPARATOR: Final = re.compile(r"[\0-/:-@\[-`{-\x7f]")


class Tokens:
    """Turns folded texts into tokens; for any number of threads.

    Those of words are cached, because few words make up the largest part of a text: in a dictionary whose values depend
    on nothing but the word, so that it does not matter which thread adds or drops one.
    """

    def __init__(self) -> None:
        self._words = _Words()

    def of(self, searched: str) -> str:
        """Return the tokens of a folded text with spaces between them, some perhaps twice."""
        words: set[str] = set()
        singles: set[str] = set()
        kinds = patterns()
        for piece in _pieces(searched) if len(searched) > _PIECE else (searched,):
            others = "" if piece.isascii() else BREAK.join(_BEYOND_ASCII.findall(piece))
            if kinds.letters.search(others):
                words.update(kinds.letters.findall(piece))
            else:
                words.update(_words_of_ascii(piece))
            singles.update(kinds.singles.findall(others))
        tokens = list(map(self._words.__getitem__, words)) if len(words) < _MANY_WORDS else _of_many(words)
        if singles:
            runs = " ".join(singles)
            tokens += set(runs)
            tokens += [_pairs(runs)] if len(runs) < _PIECE else set(map(add, runs, runs[1:]))
        return " ".join(tokens)


class _Words(dict[str, str]):
    """The tokens of words, made on first use."""

    def __missing__(self, word: str) -> str:
        tokens = f"^{word[0]} ^{word[:2]} ={word[:_LONGEST_WHOLE]}"
        if len(word) >= _INSIDE:
            if len(word) > _LONGEST_USUAL or word.isdecimal():
                tokens += " ~" + " ~".join(_parts(word, _INSIDE))
            else:
                tokens += " " + " ".join(_parts(word, _INSIDE) + _parts(word, _LONGER))
        if len(word) > _LONGEST_REMEMBERED:
            return tokens  # an id or a time, which rarely comes again
        if len(self) >= _MOST_REMEMBERED:
            self.clear()
        self[word] = tokens
        return tokens


def _words_of_ascii(text: str) -> list[str]:
    """Return the words of *text*, in which every letter is of ASCII."""
    return text.encode("ascii", "replace").translate(_SPACED).decode("ascii").split()


def _pairs(runs: str) -> str:
    """Return every two characters of *runs* with spaces between them; beside a space, the other one alone."""
    codes = array("I", runs.encode(_CODES))
    pairs = array("I", _SPACE) * (3 * len(codes) - 3)
    pairs[0::3], pairs[1::3] = codes[:-1], codes[1:]
    return pairs.tobytes().decode(_CODES)


def _parts(text: str, size: int) -> list[str]:
    """Return every *size* characters of *text*, none where it is shorter."""
    return [text[at : at + size] for at in range(len(text) + 1 - size)]


def _of_many(words: set[str]) -> list[str]:
    """Return the tokens of very many words, each once."""
    begins = {word[:2] for word in words}
    tokens = {f"^{begin}" for begin in begins} | {f"^{begin[0]}" for begin in begins}
    tokens |= {f"={word[:_LONGEST_WHOLE]}" for word in words}
    parts = {part for word in words for part in _parts(word, _INSIDE)}
    return [*tokens, *(f"~{part}" for part in parts)]


def _long_parts(word: str) -> list[str]:
    return [f"~{part}" for part in dict.fromkeys(_parts(word, _INSIDE))]


def _pieces(text: str) -> Iterator[str]:
    """Yield *text* in pieces that end where a word does: its texts, and very long ones divided."""
    for part in text.split(BREAK):
        begin = 0
        while begin < len(part):
            end = _SEPARATOR.search(part, begin + _PIECE) if len(part) > begin + _PIECE else None
            stop = len(part) if end is None else end.start()
            yield part[begin:stop]
            begin = stop


@dataclass(frozen=True, slots=True)
class Token:
    """The text has this token."""

    text: str


@dataclass(frozen=True, slots=True)
class AllOf:
    """The text has all of these, of which there is at least one."""

    parts: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The text has one of these, of which there is at least one."""

    parts: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True)
class Without:
    """The text has *required*, and none of *excluded*."""

    required: "Expression"
    excluded: "tuple[Expression, ...]"


Expression = Token | AllOf | AnyOf | Without


@dataclass(frozen=True, slots=True)
class Needed:
    """The engine-neutral condition on candidates for a search.

    Attributes:
        expression: the condition on tokens.
        is_exact: whether every candidate is a hit; otherwise each has to be checked.
    """

    expression: Expression
    is_exact: bool


def needed(search: Search) -> Needed:
    """Return the condition that every text which matches *search* fulfils."""
    required = tuple(dict.fromkeys(_condition(atom) for term in search.required for atom in term.atoms))
    excluded = tuple(_condition(term.atoms[0]) for term in search.excluded if _is_exact(term))
    expression = _all(_some_of(required))
    if excluded:
        expression = Without(expression, excluded)
    terms = (*search.required, *search.excluded)
    return Needed(expression, all(map(_is_exact, terms)) and len(required) <= _MOST_TOKENS)


def _is_exact(term: Term) -> bool:
    """Return whether the condition on the term's atom is true of no other text."""
    atom = term.atoms[0]
    if len(term.atoms) > 1:
        return False
    if atom.is_singles or (atom.begins and not atom.ends):
        return len(atom.text) <= len("^d")
    if atom.begins:
        return len(atom.text) <= _LONGEST_WHOLE
    return len(atom.text) == _INSIDE and not atom.ends


def _condition(atom: Atom) -> Expression:
    """Return the condition that every text with *atom* fulfils."""
    text = atom.text
    if atom.is_singles:
        return _tokens([text] if len(text) == 1 else list(map(add, text, text[1:])))
    if atom.begins and atom.ends:
        return Token(f"={text[:_LONGEST_WHOLE]}")
    begin = [f"^{text[:2]}"] if atom.begins else []
    if len(text) < _INSIDE:
        return _tokens(begin)
    long = _tokens(_long_parts(text), begin)
    if len(text) > _LONGEST_USUAL:
        return long
    usual = _parts(text, min(len(text), _LONGER))
    # Every second one and the last leave hardly more candidates, and with half of the lists it takes half of the time.
    return AnyOf((_tokens([*usual[:-1:2], usual[-1]], begin), long))


def _tokens(tokens: list[str], begin: Sequence[str] = ()) -> Expression:
    return _all([Token(text) for text in (*begin, *_some_of(tokens))])


def _some_of(parts: Sequence[_Part]) -> Sequence[_Part]:
    """Return all of *parts*, or every n-th of very many, which leave as few candidates as all would leave."""
    return parts[:: -(-len(parts) // _MOST_TOKENS)] if len(parts) > _MOST_TOKENS else parts


def _all(parts: Sequence[Expression]) -> Expression:
    return parts[0] if len(parts) == 1 else AllOf(tuple(parts))
