"""Templates, and the common parts of every page: viewer, headers, compression."""

import gzip
from collections.abc import Callable, Mapping
from functools import cache, partial
from http import HTTPStatus
from types import CodeType, MappingProxyType
from typing import Any, Final

from jinja2 import BytecodeCache, Environment, PackageLoader, StrictUndefined
from jinja2.bccache import Bucket
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from execution_history.access.principals import SCOPE_WORDS
from execution_history.clock import now_ms
from execution_history.history.name_book import WorkflowName
from execution_history.presentation import change_sentence as change_words
from execution_history.presentation import formatting, phrases, retention_text, run_columns
from execution_history.presentation.command_line import command_line
from execution_history.presentation.dialogue import SPEAKERS
from execution_history.presentation.formatting import duration, one_line, visible
from execution_history.presentation.reprice_sentence import recalculation_sentence
from execution_history.presentation.translator import LANGUAGES, Languages, Translator, isolated
from execution_history.query.fields import FILTERS, LABELS
from execution_history.query.values import MODE_NAMES
from execution_history.web.pages import urls
from execution_history.web.pages.assets import Assets
from execution_history.web.pages.forms import marked_as_demo
from execution_history.web.pages.index_lag import index_line
from execution_history.web.pages.list_columns import cell_class, linked_column
from execution_history.web.pages.list_filters import PRESETS, chip_label, local_time, shown_value
from execution_history.web.pages.viewer import COOKIES, THEMES, Viewer, viewer_of
from execution_history.web.route_scopes import may, principal_of

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    # Forms of the page have to send their origin, which browsers do not do under "no-referrer".
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-cache, private",
    "Vary": "Cookie, Accept-Language, Accept-Encoding",
}
_SMALL: Final = 1_000
_LEVEL: Final = 4
_FIRST: Final = ("overview.html", "base.html", "pieces.html", "keys.html")
"""Templates of the page at which people begin."""


class _Compiled(BytecodeCache):
    """What templates were compiled to: the same for every language, and for as long as the process lives."""

    def __init__(self) -> None:
        self._code: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """See :class:`jinja2.BytecodeCache`."""
        bucket.code = self._code.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        """See :class:`jinja2.BytecodeCache`."""
        if bucket.code is not None:
            self._code[bucket.key, bucket.checksum] = bucket.code


_COMPILED: Final = _Compiled()

_SHARED: Final[Mapping[str, object]] = {
    "address": urls,
    "show": formatting,
    "themes": THEMES,
    "words": phrases,
    "speakers": SPEAKERS,
    "index_line": index_line,
    "filter_labels": LABELS,
    "change_words": change_words,
    "retention_words": retention_text,
    "scope_words": SCOPE_WORDS,
    "all_filters": FILTERS,
    "modes": MODE_NAMES,
    "presets": PRESETS,
    "shown_value": shown_value,
    "chip_label": chip_label,
    "run_columns": run_columns,
    "cell_class": cell_class,
    "linked_column": linked_column,
    "local_time": local_time,
}
"""What templates of every language call by name."""

_OF_LANGUAGE: Final[Mapping[str, Callable[..., object]]] = {
    "status_word": phrases.status_word,
    "cut_sentence": phrases.cut_sentence,
    "change_sentence": change_words.change_sentence,
    "annotation_words": change_words.annotation_words,
    "recalculation_sentence": recalculation_sentence,
    "token_parts": phrases.token_parts,
    "column_text": run_columns.column_text,
}
"""Functions that templates call without their first argument, the translator."""


class Renderer:
    """Renders templates as answers.

    Args:
        languages: the languages that a reader can choose from.
        names: returns the names of workflows, by their ids.
        about: what all templates may say about this server.
    """

    def __init__(
        self,
        languages: Languages = LANGUAGES,
        names: Callable[[], Mapping[str, WorkflowName]] = dict,
        about: Mapping[str, object] = MappingProxyType({"demo": None, "trial": None, "command": command_line}),
    ) -> None:
        self.assets = Assets()
        self._names = names
        self._about = about
        self._languages = languages
        self._environments: dict[str, Environment] = {}
        first = self._of(self._languages[self._languages.names[0]])
        for template in _FIRST:
            first.get_template(template)  # 70 ms, which the first reader need not wait for

    def page(self, request: Request, template: str, view: Mapping[str, Any], status: int = HTTPStatus.OK) -> Response:
        """Render *template* with *view* as a page for the reader of the request."""
        principal = principal_of(request.scope)
        about = {
            "viewer": viewer_for(request),
            "here": _here(request),
            "principal": principal,
            "may": partial(may, principal),
        }
        content = self.text(template, {**about, **view})
        return _packed(request, content.encode("utf-8", "replace"), status)

    def text(self, template: str, view: Mapping[str, Any]) -> str:
        """Render *template* with *view*, in the language of its ``viewer``."""
        text = self._of(view["viewer"].translate).get_template(template).render(view)
        return marked_as_demo(text) if self._about["demo"] == "beside" else text

    def _noted_of(self, workflow_id: str) -> WorkflowName:
        """Return what is noted about a workflow."""
        return self._names().get(workflow_id) or WorkflowName(workflow_id)

    def _name_of(self, workflow_id: str) -> str | None:
        """Return the name of a workflow, where it has one."""
        return self._noted_of(workflow_id).name

    def _called(self, workflow_id: str) -> str:
        """Return a workflow in one word, for titles: its name, or the end of its id."""
        return visible(self._name_of(workflow_id) or formatting.short_id(workflow_id))

    def _of(self, translate: Translator) -> Environment:
        if translate.language not in self._environments:
            self._environments[translate.language] = self._environment(translate)
        return self._environments[translate.language]

    def _environment(self, translate: Translator) -> Environment:
        environment = Environment(
            loader=PackageLoader("execution_history.web", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            bytecode_cache=_COMPILED,
            extensions=["jinja2.ext.i18n"],
        )
        environment.install_gettext_callables(translate.gettext, translate.ngettext, newstyle=True)  # type: ignore[attr-defined] # of the extension
        environment.globals |= {
            **_SHARED,
            **{name: partial(function, translate) for name, function in _OF_LANGUAGE.items()},
            "_": _sentences(translate),
            "translate": translate,
            "asset": self.assets.address,
            "modules": self.assets.modules(),
            "languages": [self._languages[name] for name in self._languages.names],
            **self._about,
            "name_of": self._name_of,
            "noted_of": self._noted_of,
            "called": self._called,
        }
        environment.filters |= {"bdi": isolated, "visible": visible, "line": one_line, "duration": duration}
        return environment


def _sentences(translate: Translator) -> Callable[..., Markup]:
    """Return what templates call ``_``: a sentence that has no arguments is translated once, not in each row."""

    @cache
    def plain(msgid: str) -> Markup:
        return Markup(translate.gettext(msgid)) % {}  # noqa: S704 - translations are ours, and may have markup

    def sentence(msgid: str, /, **arguments: object) -> Markup:
        return Markup(translate.gettext(msgid)) % arguments if arguments else plain(msgid)  # noqa: S704 - as above

    return sentence


def viewer_for(request: Request) -> Viewer:
    """Return the viewer who sent *request*."""
    cookies = {name: request.cookies.get(name, "") for name in COOKIES}
    # Browsers send a zone's slash as it is, other programs as %2F.
    cookies["zone"] = cookies["zone"].replace("%2F", "/")
    return viewer_of(cookies, request.headers.get("accept-language", ""), now_ms())


def _here(request: Request) -> str:
    """Return the path and query of the request, as they were sent."""
    raw = request.scope.get("raw_path")
    path = raw.decode("latin-1") if isinstance(raw, bytes) else urls.OVERVIEW
    return f"{path.partition('?')[0]}?{request.url.query}" if request.url.query else path.partition("?")[0]


def _packed(request: Request, content: bytes, status: int) -> Response:
    headers = dict(_HEADERS)
    if len(content) > _SMALL and "gzip" in request.headers.get("accept-encoding", ""):
        content = gzip.compress(content, _LEVEL, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return Response(content, status, headers, "text/html; charset=utf-8")
