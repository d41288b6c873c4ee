"""What can be done to several chosen runs at once, and what people note about one."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from execution_history.errors import InvalidInput, RecordDamaged
from execution_history.history.annotations import Annotation
from execution_history.history.service import ExecutionHistoryService
from execution_history.web.pages import urls
from execution_history.web.pages.forms import fields_of
from execution_history.web.pages.run_page import RUN
from execution_history.web.pages.undo import Trash

_MOST: Final = 1_000

Keys = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class RunChoices:
    """Acts on chosen runs.

    Args:
        service: where the records are.
        trash: where deleted ones wait to be brought back.
    """

    service: ExecutionHistoryService
    trash: Trash

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route(urls.ACT, self.act, methods=["POST"])
        router.add_api_route(urls.UNDO, self.undo, methods=["POST"])
        router.add_api_route(f"{RUN}/notes", self.annotate, methods=["POST"])

    async def act(self, request: Request) -> Response:
        """Delete, tag or export the runs that the form names."""
        form = await fields_of(request)
        keys = [urls.run_of(key) for key in dict.fromkeys(form.get("run", []))][:_MOST]
        back = urls.own(form.get("back", [""])[-1])
        what = form.get("do", [""])[-1]
        if not keys:
            raise InvalidInput("No run is chosen: tick the boxes of those that are meant.")
        if what == "delete":
            return await self._delete(keys, back)
        if what == "export":
            return await self._export(keys)
        if what == "tag":
            tags = tuple(tag for tag in form.get("tag", []) if tag.strip())
            report = await self.service.annotate_many(keys, Annotation(add_tags=tags))
            if report.refused:
                raise InvalidInput(report.refused[0].reason)
            return RedirectResponse(back, HTTPStatus.SEE_OTHER)
        raise InvalidInput("Runs can be compared, tagged, exported or deleted.")

    async def undo(self, request: Request) -> Response:
        """Bring back what was deleted, every record the bytes that it was."""
        form = await fields_of(request)
        bodies = self.trash.take(form.get("word", [""])[-1])
        if not bodies:
            raise InvalidInput("This deletion cannot be undone any more: it is kept for fifteen minutes.")
        await self.service.restore(bodies)
        return RedirectResponse(urls.own(form.get("back", [""])[-1]), HTTPStatus.SEE_OTHER)

    async def annotate(self, request: Request, workflow_id: str, execute_id: str) -> Response:
        """Note what the form says about a run, and nothing that it does not mention."""
        form = await fields_of(request)
        rating, pinned = form.get("rating", [""])[-1], form.get("pinned", [""])[-1]
        annotation = Annotation(
            add_tags=tuple(tag for tag in form.get("add", []) if tag.strip()),
            remove_tags=tuple(form.get("remove", [])),
            note=form["note"][-1].replace("\r\n", "\n") if "note" in form else None,
            rating=int(rating) if rating in {"0", "1", "2", "3", "4", "5"} else None,
            pinned=pinned == "true" if pinned else None,
        )
        await self.service.annotate(workflow_id, execute_id, annotation)
        back = urls.own(form.get("back", [""])[-1] or urls.run(workflow_id, execute_id))
        return RedirectResponse(back, HTTPStatus.SEE_OTHER)

    async def _delete(self, keys: Keys, back: str) -> Response:
        bodies: list[bytes] = []
        for workflow_id, execute_id in keys:
            body = None
            with suppress(RecordDamaged):  # it goes too, and cannot be brought back
                body = await self.service.detail_bytes(workflow_id, execute_id)
            if await self.service.delete_execution_record(workflow_id, execute_id) and body is not None:
                bodies.append(body)
        word = self.trash.put(bodies)
        return RedirectResponse(urls.and_query(back, "undo", word or ""), HTTPStatus.SEE_OTHER)

    async def _export(self, keys: Keys) -> Response:
        """Return the chosen records as JSON lines, the very bytes that are stored."""
        found = [await self.service.detail_bytes(*key) for key in keys]
        content = b"".join(body + b"\n" for body in found if body is not None)
        headers = {"Content-Disposition": 'attachment; filename="runs.jsonl"', "Cache-Control": "no-store"}
        return Response(content, HTTPStatus.OK, headers, "application/x-ndjson")
