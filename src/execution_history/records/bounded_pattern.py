"""A regular expression of a user, whose searches end in time. Pure.

An engine that goes back on its way may take the square of a text's length, or longer than anybody lives. So a search
has a limit. Which pieces of a text match is unknown where the limit is too low; which lines hold a match, the engine of
Rust finds out in linear time.
"""

from collections.abc import Callable
from typing import Final

Span = tuple[int, int]

_SHORTEST_SEARCH: Final = 0.005
_SEARCH_OF_A_CHARACTER: Final = 2e-7
"""Seconds of CPU time that a search may take: 25 ms for 100,000 characters. Usual patterns take a tenth of that."""


class BoundedPattern:
    """A pattern, compiled.

    Args:
        pattern: a regular expression, as :mod:`re` describes it.

    Raises:
        ValueError: it is none.
    """

    def __init__(self, pattern: str) -> None:
        # Loaded with the first pattern: programs without one do without it.
        import regex  # noqa: PLC0415

        try:
            self._pattern = regex.compile(pattern)
        except regex.error as error:
            raise ValueError(error) from None
        self._group = min(1, self._pattern.groups)
        self._holds_match = _linear_search(pattern)

    def spans(self, text: str) -> list[Span]:
        """Return where in *text* the pattern matches, or its first group, in order.

        Raises:
            TimeoutError: the search reached its limit.
        """
        limit = _SHORTEST_SEARCH + _SEARCH_OF_A_CHARACTER * len(text)
        spans = [found.span(self._group) for found in self._pattern.finditer(text, timeout=limit)]
        return [span for span in spans if span[0] < span[1]]

    def lines(self, text: str) -> list[Span]:
        """Return where the lines of *text* are in which the pattern matches, in linear time.

        It is all of *text* where a match is longer than a line, or where that cannot be found out.
        """
        holds_match = self._holds_match
        if holds_match is None:  # the pattern looks around, or back at a group
            return [(0, len(text))]
        document = text.encode("utf-8", "replace")
        if not holds_match(document) and not holds_match(document.rstrip(b"\r\n")):  # before which $ matches, too
            return []
        found, at = [], 0
        for line in text.splitlines(keepends=True):
            content = line.rstrip("\r\n")
            if content and holds_match(content.encode("utf-8", "replace")):
                found.append((at, at + len(content)))
            at += len(line)
        return found or [(0, len(text))]


def _linear_search(pattern: str) -> Callable[[bytes], bool] | None:
    """Return what returns whether *pattern* matches somewhere in UTF-8, in linear time; ``None`` if nothing can."""
    from pydantic_core import SchemaError, SchemaValidator, core_schema  # noqa: PLC0415

    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex")).isinstance_python
    except SchemaError:
        return None
