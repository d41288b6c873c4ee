"""All pages together, on one application."""

from http import HTTPStatus

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from execution_history.application import Application
from execution_history.web.pages.bulk_actions import RunChoices
from execution_history.web.pages.compare_page import ComparePages
from execution_history.web.pages.error_pages import ErrorPages
from execution_history.web.pages.forms import pages_router
from execution_history.web.pages.overview import OverviewPages
from execution_history.web.pages.preferences import add_preferences
from execution_history.web.pages.run_actions import RunActions
from execution_history.web.pages.run_list import ListPages
from execution_history.web.pages.run_page import RunPages
from execution_history.web.pages.statistics_page import FigurePages
from execution_history.web.pages.templates import Renderer
from execution_history.web.pages.undo import Trash


def add_pages(app: FastAPI, application: Application) -> None:
    """Add the pages to *app*, and let browsers see its errors as pages."""
    renderer = Renderer()
    errors = ErrorPages(renderer)
    router = pages_router(errors.page)
    trash = Trash()
    runs = RunPages(application.service, renderer)
    OverviewPages(
        application.service, application.recorder, renderer, has_sandbox=application.sandbox is not None
    ).add_to(router)
    FigurePages(application.service, renderer).add_to(router)
    ListPages(application.service, renderer, runs, trash).add_to(router)
    RunChoices(application.service, trash).add_to(router)
    ComparePages(application.service, renderer).add_to(router)
    runs.add_to(router)
    RunActions(runs, application.runner).add_to(router)
    add_preferences(router)

    @router.get("/assets/{version}/{name}")
    async def asset(request: Request, version: str, name: str) -> Response:
        answer = renderer.assets.answer(request, version, name)
        if answer is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        return answer

    app.include_router(router)
    app.add_exception_handler(HTTPException, errors.answer)
