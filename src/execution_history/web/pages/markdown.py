"""Markdown as HTML that may stand in a page, whoever wrote it: no HTML of its own, no images, links to the web only."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from execution_history.presentation.formatting import visible

MOST_MARKDOWN: Final = 8_000
"""Characters of Markdown that a page renders, which takes a hundredth of a second for each thousand of the densest."""

_SIGNS: Final = re.compile(
    r"""
      ^\#{1,6}[ ]+\S                                            # a heading
    | ^(?:```|~~~)                                              # code
    | \*\*(?=\S)[^*\n]{1,200}\*\*                               # strong
    | ^[ ]{0,3}(?:[-*+]|\d{1,3}[.)])[ ]+\S.*\n+[ ]{0,3}(?:[-*+]|\d{1,3}[.)])[ ]+\S     # two items of a list
    | ^[ ]{0,3}\|?[^|\n]{1,200}\|.*\n[ ]{0,3}\|?[ ]*:?-+:?[ ]*\|                    # a table
    | \[[^\]\n]{1,200}\]\(https?://[^)\s]{1,2000}\)             # a link
    | ^>[ ]\S                                                   # a quotation
    """,
    re.VERBOSE | re.MULTILINE,
)
_ADDRESSES: Final = ("http://", "https://", "mailto:")


def is_markdown(text: str) -> bool:
    """Return whether *text* looks like Markdown: JSON and HTML do not."""
    return text.lstrip()[:1] not in {"{", "[", "<"} and _SIGNS.search(text) is not None


@lru_cache(128)
def rendered(text: str) -> Markup:
    """Return the HTML of a Markdown *text*; what a browser would obey in it is shown instead."""
    markdown = _MARKDOWN if _cells(text) <= MOST_MARKDOWN else _WITHOUT_TABLES
    tokens = markdown.parse(visible(text))
    for token in _all(tokens):
        if token.type in {"heading_open", "heading_close"}:
            token.tag = "p"  # the headings of a page are its own
            token.attrs = {"class": "heading"} if token.nesting == 1 else {}
        elif token.type == "link_open":
            token.attrSet("rel", "noopener noreferrer nofollow")
        token.attrs.pop("style", None)  # the page's policy refuses it
    return Markup(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}))  # noqa: S704 - the renderer escapes


class _Markdown(MarkdownIt):
    """Markdown without HTML, images and character references, which could be any character."""

    def __init__(self, *more: str) -> None:
        super().__init__("commonmark", {"html": False})
        self.enable(["strikethrough", *more])
        self.disable(["html_block", "html_inline", "image", "entity"])

    def validateLink(self, url: str) -> bool:  # noqa: N802 - the library's name
        """Return whether *url* may be an address of a link."""
        return url.lower().startswith(_ADDRESSES)

    def normalizeLinkText(self, link: str) -> str:  # noqa: N802 - as above
        """Return the text of an address that is its own text: as it was written, nothing in it decoded."""
        return link


def _all(tokens: Iterable[Token]) -> Iterator[Token]:
    """Yield *tokens* and those within them, which are never nested more deeply."""
    for token in tokens:
        yield token
        yield from token.children or ()


def _cells(text: str) -> int:
    """Return how many cells a table in *text* has at most: rows are filled up to the columns of the first."""
    lines = text.splitlines()
    return len(lines) * max((line.count("|") for line in lines), default=0)


_MARKDOWN: Final = _Markdown("table")
_WITHOUT_TABLES: Final = _Markdown()
