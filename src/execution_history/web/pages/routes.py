"""All pages on one application, with errors as pages, the reader's preferences, and the pages' own files."""

from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Final, Protocol

from fastapi import APIRouter, FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from execution_history.application import Application, trouble_told
from execution_history.errors import N_, StoreError
from execution_history.presentation.command_line import command_line
from execution_history.presentation.translator import LANGUAGES
from execution_history.request_id import current_request_id
from execution_history.stores.factory import location_shown
from execution_history.web.api.route_class import HistoryRoute
from execution_history.web.errors import answer_error, fault_of
from execution_history.web.pages import urls
from execution_history.web.pages.audit_page import AuditPages
from execution_history.web.pages.bin_page import BinPages
from execution_history.web.pages.bulk_actions import RunChoices
from execution_history.web.pages.compare_page import ComparePages
from execution_history.web.pages.demo_page import DemoPages
from execution_history.web.pages.facet_pages import FacetPages
from execution_history.web.pages.forms import form_of
from execution_history.web.pages.index_page import IndexPages
from execution_history.web.pages.key_pages import KeyPages
from execution_history.web.pages.name_form import NameForm
from execution_history.web.pages.nested_runs import NestedRuns
from execution_history.web.pages.node_page import NodePages
from execution_history.web.pages.overview import OverviewPages
from execution_history.web.pages.price_page import PricePages
from execution_history.web.pages.redaction_page import RedactionPages
from execution_history.web.pages.retention_page import RetentionPages
from execution_history.web.pages.run_actions import RunActions
from execution_history.web.pages.run_list import ListPages
from execution_history.web.pages.run_page import RunPages
from execution_history.web.pages.run_starter import RunStarter
from execution_history.web.pages.sign_in import SignInPages
from execution_history.web.pages.start_page import TRIAL_INPUT, TRIAL_WORKFLOW, StartPages
from execution_history.web.pages.statistics_page import FigurePages
from execution_history.web.pages.system_page import SystemPages
from execution_history.web.pages.templates import Renderer, viewer_for
from execution_history.web.pages.view_pages import ViewPages
from execution_history.web.pages.viewer import THEMES

_YEAR: Final = 365 * 24 * 3600
_OF_PROGRAMS: Final = ("/coze/", "/v1/", "/healthz", "/readyz", "/metrics", "/openapi.json", "/assets/")
_BAD: Final = N_("This cannot be done")
_FAULT: Final = N_("Something went wrong")
_TITLES: Final = {
    403: N_("Not allowed"),
    404: N_("Not found"),
    409: N_("No longer possible"),
    413: N_("Too large"),
    503: N_("Temporarily unavailable"),
}


class _Pages(Protocol):
    """Pages that belong together."""

    def add_to(self, router: APIRouter) -> None:
        """Add their routes."""


def add_pages(app: FastAPI, application: Application, *, is_beside: bool = False) -> None:
    """Add the pages to *app*, and show browsers its errors as pages; a demo may stand beside a history."""
    service = application.service
    renderer = Renderer(names=lambda: service.last_names, about=_about(application, is_beside=is_beside))

    class PageRoute(HistoryRoute):
        """A route of the pages: any text in its path, workflows with their names, and errors as pages."""

        async def before(self) -> None:
            """Renew the names that templates show."""
            with suppress(StoreError):  # whatever the page itself needs of the store says what is wrong
                await service.names()

        def error_answer(self, request: Request, error: Exception) -> Response:
            """Return the error as a page."""
            return _error_page(renderer, request, error)

    router = APIRouter(route_class=PageRoute, include_in_schema=False)
    runs = RunPages(service, renderer)
    for pages in _pages_of(application, renderer, runs):
        pages.add_to(router)
    _add_starts(router, application, renderer, runs)
    router.add_api_route(urls.PREFERENCES, _keep_preferences, methods=["POST"])

    @router.get("/assets/{version}/{name}")
    async def asset(request: Request, version: str, name: str) -> Response:
        answer = renderer.assets.answer(request, version, name)
        if answer is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        return answer

    def answer_http_error(request: Request, error: Exception) -> Response:
        return _error_page(renderer, request, error) if _takes_page(request) else answer_error(request, error)

    app.routes.extend(router.routes)
    app.add_exception_handler(HTTPException, answer_http_error)


def _pages_of(application: Application, renderer: Renderer, runs: RunPages) -> list[_Pages]:
    """Return the pages in the order of their routes, of which the first that matches answers."""
    service, facets = application.service, FacetPages(application.service, renderer)
    return [
        OverviewPages(service, trouble_told(application), renderer, application.backups),
        FigurePages(service, renderer),
        PricePages(service, renderer),
        RedactionPages(service, renderer),
        RetentionPages(service, application.retention, application.schedule, renderer),
        BinPages(service, renderer),
        SystemPages(application, renderer),
        NodePages(service, renderer),
        facets,
        ListPages(service, renderer, runs, facets),
        ViewPages(service, renderer),
        RunChoices(service, renderer),
        NameForm(service),
        IndexPages(service, renderer),
        ComparePages(service, renderer),
        runs,
        NestedRuns(service, renderer),
        SignInPages(application.gate, renderer),
        AuditPages(service, renderer),
        KeyPages(application.gate, renderer),
    ]


def _add_starts(router: APIRouter, application: Application, renderer: Renderer, runs: RunPages) -> None:
    """Add what starts runs from a page, and the way into the demo."""
    starter = RunStarter()
    RunActions(runs, application.runner, starter).add_to(router)
    accounts = tuple(application.upstream.account_names)
    StartPages(application.service, application.runner, starter, renderer, accounts).add_to(router)
    if application.demo is not None:
        DemoPages(application.demo).add_to(router)


def _about(application: Application, *, is_beside: bool) -> dict[str, object]:
    """Return what every template may say about this server."""
    sandbox = application.sandbox
    return {
        "command": partial(command_line, store=location_shown(application.settings.store)),
        "demo": ("beside" if is_beside else "alone") if application.is_demo else None,
        "has_demo": application.demo is not None,
        "trial": None if sandbox is None else TRIAL_WORKFLOW,
        "trial_token": None if sandbox is None else sandbox.token,
        "trial_input": TRIAL_INPUT,
        "has_account": any(not account.missing for account in application.settings.accounts.values()),
    }


async def _keep_preferences(request: Request) -> Response:
    """Store the chosen language or theme in a cookie, and redirect back."""
    form = await form_of(request)
    answer = RedirectResponse(urls.own(form.get("back", "")), HTTPStatus.SEE_OTHER)
    chosen = {"language": LANGUAGES.find([form.get("language", "")]), "theme": form.get("theme") in THEMES}
    for name in (name for name, is_known in chosen.items() if is_known):
        answer.set_cookie(name, form[name], max_age=_YEAR, path="/", samesite="lax", httponly=True)
    return answer


def _takes_page(request: Request) -> bool:
    """Return whether the request is a browser's for a page, rather than a program's for JSON."""
    accepts = request.headers.get("accept", "")
    return "text/html" in accepts and not request.url.path.startswith(_OF_PROGRAMS)


def _error_page(renderer: Renderer, request: Request, error: Exception) -> Response:
    """Render the page for an error."""
    fault = fault_of(error, f"{request.method} {request.url.path}")
    translate, sentence = viewer_for(request).translate, fault.message
    if fault.status == HTTPStatus.NOT_FOUND and isinstance(error, HTTPException):
        # The router's own sentence is written for callers of the API.
        sentence = translate(
            "There is no page at this address, or the run or workflow it names has no record here. It may have "
            "been deleted."
        )
    title = _TITLES.get(fault.status, _FAULT if fault.status >= HTTPStatus.INTERNAL_SERVER_ERROR else _BAD)
    view: dict[str, object] = {
        "title": translate(title),
        "sentence": sentence,
        "status": fault.status,
        "code": fault.code,
    }
    view["request_id"] = current_request_id()
    answer = renderer.page(request, "error.html", view, fault.status)
    answer.headers.update(dict(fault.headers))
    return answer
