"""Markdown as HTML that may stand in a page, whoever wrote it: no HTML of its own, no images, links to the web only."""

import re
from collections.abc import Sequence
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup

from execution_history.presentation.formatting import visible

_SIGNS: Final = re.compile(
    r"""
      ^\#{1,6}[ ]+\S                                            # a heading
    | ^(?:```|~~~)                                              # code
    | \*\*(?=\S)[^*\n]{1,200}\*\*                               # strong
    | ^[ ]{0,3}(?:[-*+]|\d{1,3}[.)])[ ]+\S.*\n+[ ]{0,3}(?:[-*+]|\d{1,3}[.)])[ ]+\S     # two items of a list
    | ^[ ]{0,3}\|?[^|\n]{1,200}\|.*\n[ ]{0,3}\|?[ ]*:?-{2,}:?[ ]*\|                    # a table
    | \[[^\]\n]{1,200}\]\(https?://[^)\s]{1,2000}\)             # a link
    | ^>[ ]\S                                                   # a quotation
    """,
    re.VERBOSE | re.MULTILINE,
)
_ADDRESSES: Final = ("http://", "https://", "mailto:")


def is_markdown(text: str) -> bool:
    """Return whether *text* looks like Markdown: JSON and HTML do not."""
    return not text.lstrip()[:1] in {"{", "[", "<"} and _SIGNS.search(text) is not None


def rendered(text: str) -> Markup:
    """Return the HTML of a Markdown *text*; what a browser would obey in it is shown instead."""
    return Markup(_MARKDOWN.render(visible(text)))  # noqa: S704 - everything in it is escaped by the renderer


class _Renderer(RendererHTML):
    """Renders without what the page's policy refuses, and without headings, which belong to the page."""

    def heading_open(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        """Begin a heading as a paragraph."""
        return '<p class="heading">'

    def heading_close(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        """End it."""
        return "</p>\n"

    def link_open(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        """Begin a link that tells the page it leads to nothing of this one."""
        tokens[index].attrSet("rel", "noopener noreferrer nofollow")
        return self.renderToken(tokens, index, options, env)

    def th_open(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        """Begin a cell of a table, without the style that Markdown gives it."""
        tokens[index].attrs.pop("style", None)
        return self.renderToken(tokens, index, options, env)

    td_open = th_open


class _Markdown(MarkdownIt):
    """Markdown with tables, without HTML, images and character references, which could be any character."""

    def __init__(self) -> None:
        super().__init__("commonmark", {"html": False}, renderer_cls=_Renderer)
        self.enable(["table", "strikethrough"])
        self.disable(["html_block", "html_inline", "image", "entity"])

    def validateLink(self, url: str) -> bool:  # noqa: N802 - the library's name
        """Return whether *url* may be an address of a link."""
        return url.lower().startswith(_ADDRESSES)

    def normalizeLinkText(self, link: str) -> str:  # noqa: N802 - as above
        """Return the text of an address that is its own text: as it was written, nothing in it decoded."""
        return link


_MARKDOWN: Final[Any] = _Markdown()
