"""The syntax of search texts, and where a text has their terms.

=================== ============================================================================================
``deploy``          found anywhere, also inside a word: ``redeployed``
``"out of memory"`` these words, whole, after each other; whatever stands between words is the same
``time*``           a word that begins so; also ``"out of mem"*``
``北京``              found anywhere, from one character on
``-timeout``        not in the record; before any of the above
``GPT4模型`` ``a.b``  parts after each other; between letters and Chinese a space or nothing is the same
=================== ============================================================================================

Every term has to be somewhere in the record. Case and width do not matter. Punctuation separates and is otherwise
ignored. One or two letters or digits are only found as a whole word: ``ai`` is not in ``maintain``. A text that
breaks off, in a quote without its end or a minus without a word, is refused.
"""

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from execution_history.errors import InvalidQuery, Message, quoted
from execution_history.query.text.character_classes import patterns
from execution_history.query.text.normalization import fold

MOST_CHARACTERS: Final = 1_000
MOST_TERMS: Final = 32
SHORTEST_INSIDE: Final = 3
"""The number of letters from which on a term is found inside words; a shorter one only as a whole word."""

_QUOTES: Final = str.maketrans("“”„‟＂－＊　", '"""""-* ')
_OPEN_MINUS: Final = re.compile(r'(?:^|[\s"])-+\s*$')
_TERM: Final = re.compile(r'(?P<sign>-*)(?:"(?P<phrase>[^"]*)"(?P<open>\*?)|(?P<word>[^\s"]+))')


@dataclass(frozen=True, slots=True)
class Atom:
    """A run of singles or of letters in a term.

    Attributes:
        text: the run, folded.
        is_singles: whether it is singles.
        begins: whether it has to stand at the beginning of a word; never for singles.
        ends: whether it has to stand at the end of one.
        is_apart: whether a separator has to stand between it and the atom before.
    """

    text: str
    is_singles: bool
    begins: bool
    ends: bool
    is_apart: bool = False


@dataclass(frozen=True, slots=True)
class Term:
    """One term of a search: atoms that follow each other."""

    atoms: tuple[Atom, ...]

    def find(self, folded: str, start: int = 0) -> tuple[int, int] | None:
        """Return where the term first begins and ends in a folded text, from *start* on; ``None`` where it is not."""
        first = self.atoms[0]
        at = folded.find(first.text, start)
        while at >= 0:
            if _stands(first, folded, at):
                end = self._follow(folded, at + len(first.text))
                if end >= 0:
                    return at, end
            at = folded.find(first.text, at + 1)
        return None

    def is_in(self, folded: str) -> bool:
        """Return whether a folded text has the term."""
        return self.find(folded) is not None

    def _follow(self, folded: str, at: int) -> int:
        """Return where the atoms after the first one end, when they are at *at*; -1 when they are not."""
        for atom in self.atoms[1:]:
            gap = patterns().separators.match(folded, at)
            begin = at if gap is None else gap.end()
            if (atom.is_apart and begin == at) or not folded.startswith(atom.text, begin):
                return -1
            if not _stands(atom, folded, begin):
                return -1
            at = begin + len(atom.text)
        return at


@dataclass(frozen=True, slots=True)
class Search:
    """A parsed search text: all *required* terms are in a record, and none that is *excluded*."""

    required: tuple[Term, ...]
    excluded: tuple[Term, ...] = ()


def parse_search(text: str) -> Search:
    """Parse a search text by the table above.

    Raises:
        InvalidQuery: it is too long, breaks off in the middle of a term, has too many terms, or none that can be
            searched for.
    """
    if len(text) > MOST_CHARACTERS:
        raise InvalidQuery(
            "A search text has at most %(most_characters)s characters; this one has %(count)s.",
            most_characters=f"{MOST_CHARACTERS:,}",
            count=f"{len(text):,}",
        )
    _check_end(text.translate(_QUOTES))
    required: list[Term] = []
    excluded: list[Term] = []
    for match in _TERM.finditer(text.translate(_QUOTES)):
        if (word := match["word"]) is None:
            term = _term(match["phrase"], begins=True, ends=not match["open"])
        else:
            term = _term(word, begins=word.endswith("*"), ends=False)
        if term is not None:
            (excluded if match["sign"] else required).append(term)
    if not required and excluded:
        raise InvalidQuery("A search needs at least one word without a minus.")
    if not required:
        raise InvalidQuery("There is no word to look for in the search text %(text)s.", text=quoted(text))
    if len(required) + len(excluded) > MOST_TERMS:
        raise InvalidQuery(
            "A search text has at most %(most_terms)s terms; this one has %(value)s: put words "
            "that follow each other into quotes.",
            most_terms=MOST_TERMS,
            value=len(required) + len(excluded),
        )
    return Search(tuple(dict.fromkeys(required)), tuple(dict.fromkeys(excluded)))


def _check_end(text: str) -> None:
    """Refuse a text that breaks off: the missing part could have reversed its meaning."""
    if text.count('"') % 2:
        rest = text.rpartition('"')[2].strip()
        where = Message("before %(text)s", text=quoted(rest)) if rest else Message("at the end")
        raise InvalidQuery(
            "The quote %(where)s of the search text is left open: close it, or leave it out.", where=where
        )
    if _OPEN_MINUS.search(text):
        raise InvalidQuery("The search text ends with a minus: add the word to exclude after it, or remove the minus.")


def _term(text: str, *, begins: bool, ends: bool) -> Term | None:
    folded = fold(text)
    matches = list(patterns().atoms.finditer(folded))
    if not matches:
        return None
    singles = [patterns().singles.match(match[0]) is not None for match in matches]
    apart = [False] + [a.end() < b.start() for a, b in pairwise(matches)]
    last = len(matches) - 1
    atoms = []
    for number, match in enumerate(matches):
        is_short = not begins and len(match[0]) < SHORTEST_INSIDE
        is_apart = apart[number] and singles[number - 1] == singles[number]
        atoms.append(
            Atom(
                text=match[0],
                is_singles=singles[number],
                begins=not singles[number] and (number > 0 or begins or is_short),
                ends=not singles[number] and (number < last or ends or is_short),
                is_apart=is_apart,
            )
        )
    return Term(tuple(atoms))


def _stands(atom: Atom, folded: str, at: int) -> bool:
    """Return whether *atom*, which is at *at*, begins and ends a word there where it has to."""
    if not (atom.begins or atom.ends):
        return True
    letters, end = patterns().letters, at + len(atom.text)
    if atom.begins and at and letters.match(folded, at - 1, at):
        return False
    return not (atom.ends and letters.match(folded, end, end + 1))
