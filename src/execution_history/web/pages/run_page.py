"""The pages of one run: the run, its parts, and their updates while it goes on."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, Final, TypeVar

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from execution_history.errors import ExecutionNotFound, Message
from execution_history.history.index_wait import IndexWait
from execution_history.history.service import ExecutionHistoryService
from execution_history.history.trace import Trace
from execution_history.records.metadata import PARENT
from execution_history.records.partial import outline_of
from execution_history.web.api.records import no_such
from execution_history.web.pages import urls
from execution_history.web.pages.forms import query, whole_number
from execution_history.web.pages.json_pointer import NoSuchPart
from execution_history.web.pages.run_view import Record, edited, not_again, parsed, run_view
from execution_history.web.pages.templates import Renderer, viewer_for
from execution_history.web.pages.trace_view import MOST_RUNS
from execution_history.web.pages.value_view import part_view, raw_part

_Result = TypeVar("_Result")

RUN: Final = "/workflows/{workflow_id}/runs/{execute_id}"
PARENT_MARK: Final = f'"{PARENT.name}"'.encode()
"""What stands in the bytes of every record that may have a parent."""

_LARGE: Final = 256_000
_MOST: Final = 10**12
_LARGEST_EDITED: Final = 100_000


async def run_in_thread_if_large(size: int, work: Callable[[], _Result]) -> _Result:
    """Return the result of *work* on *size* bytes, run in a thread where it may take long."""
    return work() if size < _LARGE else await asyncio.to_thread(work)


@dataclass(frozen=True, slots=True)
class RunPages:
    """Shows runs.

    Args:
        service: where the records are.
        renderer: renders pages.
    """

    service: ExecutionHistoryService
    renderer: Renderer

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route(RUN, self.run, methods=["GET", "HEAD"])
        router.add_api_route(f"{RUN}/value", self.value, methods=["GET", "HEAD"])
        router.add_api_route(f"{RUN}/raw", self.raw, methods=["GET", "HEAD"])
        router.add_api_route(f"{RUN}/live", self.live, methods=["GET"])
        router.add_api_route(f"{RUN}/again", self.again, methods=["GET", "HEAD"])

    async def run(self, request: Request, workflow_id: str, execute_id: str) -> Response:
        """Render the page of one run."""
        return await self.shown(request, workflow_id, execute_id)

    async def shown(
        self,
        request: Request,
        workflow_id: str,
        execute_id: str,
        *,
        notice: str = "",
        answers: Mapping[str, str] | None = None,
        status: int = HTTPStatus.OK,
    ) -> Response:
        """Render a run's page, with a *notice* above the part that it is about, and with the typed *answers* kept."""
        context = await self.context(request, workflow_id, execute_id, notice=notice, answers=answers)
        return self.renderer.page(request, "run.html", context, status)

    async def context(
        self,
        request: Request,
        workflow_id: str,
        execute_id: str,
        *,
        body: bytes | None = None,
        notice: str = "",
        answers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Return the context for the template of a run; ``None`` for *body* reads it.

        Raises:
            HTTPException: there is no such record (404).
        """
        body = await self.body(workflow_id, execute_id) if body is None else body
        viewer, form = viewer_for(request), answers or {}
        trace = await self._trace(workflow_id, execute_id, body)
        view = await run_in_thread_if_large(len(body), lambda: run_view(body, viewer, trace))
        return {
            "run": view,
            "run_address": urls.run(workflow_id, execute_id),
            "at": partial(urls.part, workflow_id, execute_id),
            "edited": form.get("parameters", view["edited"]),
            "answers": form,
            "notice": notice,
        }

    async def _trace(self, workflow_id: str, execute_id: str, body: bytes) -> Trace | None:
        """Return the tree of a run with these stored bytes; ``None`` where it stands alone, or has been deleted."""
        wait = IndexWait()
        if PARENT_MARK not in body:
            counts = await self.service.count_children([(workflow_id, execute_id)], wait_seconds=wait.seconds)
            if not counts:
                return None
        with suppress(ExecutionNotFound):
            found = await self.service.trace(workflow_id, execute_id, limit=MOST_RUNS, wait_seconds=wait.seconds)
            return None if found.is_single else found
        return None

    async def live(self, request: Request, workflow_id: str, execute_id: str) -> Response:
        """Render the contents of a run's page as they are now; 204 where the record has not changed since ``since``."""
        body = await self.body(workflow_id, execute_id)
        known = await run_in_thread_if_large(len(body), lambda: outline_of(body))
        if known["update_time"] == whole_number(request, "since", _MOST * 10):
            return Response(status_code=HTTPStatus.NO_CONTENT, headers={"Cache-Control": "no-store"})
        context = await self.context(request, workflow_id, execute_id, body=body)
        # Its forms lead back to the page that this is inserted into.
        return self.renderer.page(request, "run_body.html", {**context, "here": context["run_address"]})

    async def value(self, request: Request, workflow_id: str, execute_id: str) -> Response:
        """Render a part of a run's record, on a page of its own or as the children of a branch (``fragment``)."""
        body = await self.body(workflow_id, execute_id)
        pointer, start, words = query(request, "at"), whole_number(request, "from", _MOST), query(request, "find")
        link = len(urls.part(workflow_id, execute_id, ""))
        view = await run_in_thread_if_large(len(body), lambda: _found(part_view, body, pointer, start, words, link))
        run_address = urls.run(workflow_id, execute_id)
        context = {
            "run_address": run_address,
            "raw_address": urls.with_query(f"{run_address}/raw", {"at": view["part"].pointer}),
            "execute_id": execute_id,
            "at": partial(urls.part, workflow_id, execute_id),
            **view,
        }
        template = "part_children.html" if query(request, "fragment") else "part.html"
        return self.renderer.page(request, template, context)

    async def raw(self, request: Request, workflow_id: str, execute_id: str) -> Response:
        """Return a part as it is stored, to be copied or downloaded: text as text, everything else as JSON."""
        body = await self.body(workflow_id, execute_id)
        pointer = query(request, "at")
        content, is_text = await run_in_thread_if_large(len(body), lambda: _found(raw_part, body, pointer))
        ending, kind = ("txt", "text/plain; charset=utf-8") if is_text else ("json", "application/json")
        headers = {"Content-Disposition": f'attachment; filename="part.{ending}"', "Cache-Control": "no-cache, private"}
        return Response(content, HTTPStatus.OK, headers, kind)

    async def again(self, request: Request, workflow_id: str, execute_id: str) -> Response:
        """Render a page for editing a long input."""
        record = await self.record(workflow_id, execute_id)
        if (reason := not_again(record)) is not None:
            return await self.refused(request, workflow_id, execute_id, reason)
        text = await asyncio.to_thread(edited, record, _LARGEST_EDITED)
        if text is None:
            raise HTTPException(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                Message(
                    "This input is too large for a page: save it from its own page, and send it edited to the API."
                ),
            )
        return self.edit_page(request, workflow_id, execute_id, text)

    async def refused(self, request: Request, workflow_id: str, execute_id: str, reason: Message) -> Response:
        """Render a run's page, with the *reason* why it cannot be run again."""
        return await self.shown(request, workflow_id, execute_id, notice=reason, status=HTTPStatus.CONFLICT)

    def edit_page(
        self,
        request: Request,
        workflow_id: str,
        execute_id: str,
        text: str,
        notice: str = "",
        status: int = HTTPStatus.OK,
    ) -> Response:
        """Render the page on which an input is edited, with *text* in it."""
        context = {
            "run_address": urls.run(workflow_id, execute_id),
            "execute_id": execute_id,
            "edited": text,
            "notice": notice,
        }
        return self.renderer.page(request, "again_page.html", context, status)

    async def body(self, workflow_id: str, execute_id: str) -> bytes:
        """Return the stored bytes of a record.

        Raises:
            HTTPException: there is no such record (404).
        """
        body = await self.service.detail_bytes(workflow_id, execute_id)
        if body is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, no_such(workflow_id, execute_id).message)
        return body

    async def record(self, workflow_id: str, execute_id: str) -> Record:
        """Return a record, parsed.

        Raises:
            HTTPException: there is no such record (404).
        """
        body = await self.body(workflow_id, execute_id)
        return await run_in_thread_if_large(len(body), lambda: parsed(body))


def _found(work: Callable[..., _Result], *arguments: object) -> _Result:
    """Return the result of *work*.

    Raises:
        HTTPException: the record has no such part (404).
    """
    try:
        return work(*arguments)
    except NoSuchPart:
        raise HTTPException(HTTPStatus.NOT_FOUND, Message("The record has nothing at this place.")) from None
