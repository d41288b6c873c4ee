"""Saved views on the page: a menu of them in the top bar, a page to arrange them, and saving the list one looks at."""

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from execution_history.errors import InvalidInput
from execution_history.history.index_wait import IndexWait
from execution_history.history.service import ExecutionHistoryService
from execution_history.history.views import Pairs, View, ViewFields
from execution_history.query.parameters import is_filter
from execution_history.web.pages import urls
from execution_history.web.pages.forms import Form, form_of, query
from execution_history.web.pages.list_filters import Count
from execution_history.web.pages.list_state import Chip, ListState, list_state
from execution_history.web.pages.templates import Renderer, viewer_for
from execution_history.web.pages.viewer import Viewer

_ADDRESS: Final = f"{urls.VIEWS}/{{view_id}}"


class ViewLine(NamedTuple):
    """A view as one line: the address of its list, its filters, and the number of its runs."""

    view: View
    address: str
    chips: list[Chip]
    runs: Count


@dataclass(frozen=True, slots=True)
class ViewPages:
    """Shows, saves and arranges views.

    Args:
        service: where the views are.
        renderer: renders pages.
    """

    service: ExecutionHistoryService
    renderer: Renderer

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route(urls.VIEWS, self.views, methods=["GET", "HEAD"])
        router.add_api_route(urls.VIEWS, self.save, methods=["POST"])
        router.add_api_route(_ADDRESS, self.change, methods=["POST"])

    async def views(self, request: Request) -> Response:
        """Render all views with the numbers of their runs: as a page, or as the menu of the top bar."""
        viewer, wait = viewer_for(request), IndexWait()
        lines = await asyncio.gather(*(self._line(view, viewer, wait) for view in await self.service.views.all()))
        context = {"lines": lines, "gone": query(request, "gone"), "filters": query(request, "filters")}
        is_menu = query(request, "menu") == "1"
        return self.renderer.page(request, "views_menu.html" if is_menu else "views.html", context)

    async def save(self, request: Request) -> Response:
        """Save the list that the form describes, and show it."""
        form = await form_of(request)
        kept = _kept(form)
        view = await self.service.views.save(
            form.get("name", ""), kept["filters"], sort=kept["sort"], order=kept["order"], columns=kept["columns"]
        )
        return RedirectResponse(address_of(view), HTTPStatus.SEE_OTHER)

    async def change(self, request: Request, view_id: str) -> Response:
        """Rename, star, move or delete a view, or give it the filters, the order and the columns of the list."""
        form = await form_of(request)
        views, action = self.service.views, form.get("do", "")
        back = urls.own(form.get("back", "") or urls.VIEWS)
        if action == "delete":
            view = await views.named(view_id)
            await views.drop(view_id)
            gone = {"gone": view.name, "filters": _state_of(view).kept(None)}
            return RedirectResponse(f"{urls.VIEWS}?{urlencode(gone)}", HTTPStatus.SEE_OTHER)
        if action in {"up", "down"}:
            ids = [view.id for view in await views.all()]
            at = ids.index(view_id) if view_id in ids else 0
            ids.insert(max(0, at + (1 if action == "down" else -1)), ids.pop(at))
            await views.arrange(ids)
        else:
            changed = await views.change(view_id, **_changes(action, form))
            back = address_of(changed) if action == "update" else back
        return RedirectResponse(back, HTTPStatus.SEE_OTHER)

    async def _line(self, view: View, viewer: Viewer, wait: IndexWait) -> ViewLine:
        state = _state_of(view)
        count = await self.service.views.count(view, zone=viewer.zone, wait_seconds=wait.seconds)
        return ViewLine(view, address_of(view), state.chips(), Count(count.number, count.is_exact))


def address_of(view: View) -> str:
    """Return the address of the list of a view."""
    return _state_of(view).address


def is_changed(view: View, state: ListState) -> bool:
    """Return whether a list differs in filters, order or columns from the view from which one came to it."""
    kept = (set(view.filters), view.sort, view.order, view.columns)
    return kept != (set(state.pairs), state.sort, state.order, state.columns)


def _state_of(view: View) -> ListState:
    return ListState(urls.RUNS, view.filters, view.sort, view.order == "asc", view=view.id, columns=view.columns)


def _kept(form: Form) -> ViewFields:
    """Return the filters, the order and the columns in the field ``filters``, the query string of a list."""
    pairs: Pairs = parse_qsl(form.get("filters", ""))
    state = list_state(urls.RUNS, pairs)
    return {
        "filters": [pair for pair in pairs if is_filter(pair[0])],
        "sort": state.sort,
        "order": state.order,
        "columns": state.columns,
    }


def _changes(action: str, form: Form) -> ViewFields:
    """Return what a form changes of a view.

    Raises:
        InvalidInput: it is something else.
    """
    match action:
        case "update":
            return _kept(form)
        case "star" | "unstar":
            return {"starred": action == "star"}
        case "rename":
            return {"name": form.get("name", "")}
    raise InvalidInput("A view can be renamed, moved, updated or deleted.")
