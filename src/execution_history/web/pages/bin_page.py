"""The page of deleted runs: listed, restored, or removed for good."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from execution_history.errors import ExecutionHistoryError, InvalidInput, quoted
from execution_history.history.service import ExecutionHistoryService
from execution_history.query.model import RecordKey
from execution_history.web.errors import fault_of
from execution_history.web.pages import urls
from execution_history.web.pages.forms import Form, form_of, query
from execution_history.web.pages.templates import Renderer

_SIZE: Final = 50


@dataclass(frozen=True, slots=True)
class BinPages:
    """Shows deleted runs.

    Args:
        service: the history.
        renderer: renders pages.
    """

    service: ExecutionHistoryService
    renderer: Renderer

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route(urls.BIN, self.show, methods=["GET", "HEAD"])
        router.add_api_route(urls.BIN, self.change, methods=["POST"])

    async def show(self, request: Request) -> Response:
        """Render deleted runs, the last deleted first."""
        return await self._page(request, query(request, "after"))

    async def change(self, request: Request) -> Response:
        """Restore the chosen runs or all, or remove them for good."""
        form = await form_of(request)
        action, _, which = form.get("action", "").partition("-")
        try:
            if action not in ("restore", "empty") or which not in ("", "all"):
                raise InvalidInput("There is no action %(action)s.", action=quoted(form.get("action", "")))
            keys = await self.service.bin.of_workflow(None) if which == "all" else _chosen(form)
            if action == "empty":
                await self.service.bin.empty(keys)
            else:
                restored = await self.service.bin.restore(keys)
                if len(restored) < len(keys):
                    raise InvalidInput(
                        "%(count)s of the runs could not be restored: they are not in the bin any more, are damaged, "
                        "or their ids are taken by other runs.",
                        count=len(keys) - len(restored),
                    )
        except ExecutionHistoryError as error:
            fault = fault_of(error, request.url.path)
            return await self._page(request, "", notice=fault.message, status=fault.status)
        return RedirectResponse(urls.BIN, HTTPStatus.SEE_OTHER)

    async def _page(
        self, request: Request, after: str, *, notice: str | None = None, status: int = HTTPStatus.OK
    ) -> Response:
        page = await self.service.bin.page(after or None, _SIZE)
        context: dict[str, Any] = {"page": page, "is_first": not after, "notice": notice}
        return self.renderer.page(request, "bin.html", context, status)


def _chosen(form: Form) -> list[RecordKey]:
    """Return the runs that are ticked.

    Raises:
        InvalidInput: none is.
    """
    keys = [RecordKey(*urls.run_of(value)) for name, value in form.multi_items() if name == "run"]
    if not keys:
        raise InvalidInput("No run is chosen.")
    return keys
