"""Language and theme, kept in cookies."""

from http import HTTPStatus
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from execution_history.presentation.translator import LANGUAGES
from execution_history.web.pages import urls
from execution_history.web.pages.forms import form_of
from execution_history.web.pages.viewer import THEMES

_YEAR: Final = 365 * 24 * 3600


def add_preferences(router: APIRouter) -> None:
    """Add the route that keeps what was chosen and goes back to where it was chosen."""

    @router.post(urls.PREFERENCES)
    async def prefer(request: Request) -> Response:
        form = await form_of(request)
        answer = RedirectResponse(urls.own(form.get("back", "")), HTTPStatus.SEE_OTHER)
        chosen = {"language": LANGUAGES.find([form.get("language", "")]), "theme": form.get("theme") in THEMES}
        for name in (name for name, is_known in chosen.items() if is_known):
            answer.set_cookie(name, form[name], max_age=_YEAR, path="/", samesite="lax", httponly=True)
        return answer
