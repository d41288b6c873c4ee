"""Actions on several chosen runs at once, and the annotations of one."""

import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, NamedTuple

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from execution_history.clock import now_ms
from execution_history.errors import InvalidInput, RecordDamaged, StoreError
from execution_history.history.annotations import RATINGS, Annotation
from execution_history.history.service import ExecutionHistoryService
from execution_history.web.pages import urls
from execution_history.web.pages.forms import form_of
from execution_history.web.pages.run_page import RUN

_log = logging.getLogger("execution_history.web")

KEPT_FOR: Final = 15 * 60_000
"""Milliseconds for which a deletion can be undone, as long as there is room."""

_MOST: Final = 1_000
_ROOM: Final = 64_000_000
_RATINGS: Final = frozenset(map(str, (0, *RATINGS)))

Keys = Sequence[tuple[str, str]]


class Deletion(NamedTuple):
    """The records of one deletion as they were stored, and when they were deleted (milliseconds)."""

    bodies: tuple[bytes, ...]
    at: int


@dataclass(slots=True)
class Trash:
    """Keeps deletions under a secret word, which only the browser that deleted has.

    Args:
        clock: milliseconds since the epoch.
    """

    clock: Callable[[], int] = now_ms
    _deletions: "OrderedDict[str, Deletion]" = field(default_factory=OrderedDict)
    _size: int = 0

    def put(self, bodies: Sequence[bytes]) -> str | None:
        """Keep deleted records; return the word that restores them, ``None`` where they are too large to keep."""
        size = sum(map(len, bodies))
        if size > _ROOM:
            return None
        self._discard(_ROOM - size)
        word = secrets.token_urlsafe(12)
        self._deletions[word] = Deletion(tuple(bodies), self.clock())
        self._size += size
        return word

    def bodies(self, word: str) -> tuple[bytes, ...]:
        """Return the records that *word* restores, none for an unknown word; discard deletions that are too old."""
        self._discard(_ROOM)
        found = self._deletions.get(word)
        return () if found is None else found.bodies

    def forget(self, word: str) -> None:
        """Keep the records that *word* restores no longer."""
        found = self._deletions.pop(word, None)
        if found is not None:
            self._size -= sum(map(len, found.bodies))

    def _discard(self, room: int) -> None:
        """Discard deletions that are too old, and the oldest until at most *room* bytes are kept."""
        oldest = self.clock() - KEPT_FOR
        for word, deletion in list(self._deletions.items()):
            if deletion.at >= oldest and self._size <= room:
                break
            del self._deletions[word]
            self._size -= sum(map(len, deletion.bodies))


@dataclass(frozen=True, slots=True)
class RunChoices:
    """Carries out actions on chosen runs.

    Args:
        service: where the records are.
        trash: keeps deleted ones, so that they can be restored.
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
        form = await form_of(request)
        keys = [urls.run_of(key) for key in dict.fromkeys(form.getlist("run"))][:_MOST]
        back = urls.own(form.get("back", ""))
        action = form.get("do", "")
        if not keys:
            raise InvalidInput("No run is selected: tick the boxes of one or more runs.")
        if action == "delete":
            return await self._delete(keys, back)
        if action == "export":
            return await self._export(keys)
        if action == "tag":
            tags = tuple(tag for tag in form.getlist("tag") if tag.strip())
            report = await self.service.annotate_many(keys, Annotation(add_tags=tags))
            if report.refused:
                raise InvalidInput(report.refused[0].reason)
            return RedirectResponse(back, HTTPStatus.SEE_OTHER)
        raise InvalidInput("Runs can be compared, tagged, exported or deleted.")

    async def undo(self, request: Request) -> Response:
        """Restore deleted records, byte for byte."""
        form = await form_of(request)
        word = form.get("word", "")
        bodies = self.trash.bodies(word)
        if not bodies:
            raise InvalidInput("This deletion cannot be undone any more: it is kept for fifteen minutes.")
        await self.service.restore(bodies)
        self.trash.forget(word)  # only now: a store that refused is asked again
        return RedirectResponse(urls.own(form.get("back", "")), HTTPStatus.SEE_OTHER)

    async def annotate(self, request: Request, workflow_id: str, execute_id: str) -> Response:
        """Change the annotations of a run that the form has fields for, and no others."""
        form = await form_of(request)
        rating, pinned = form.get("rating", ""), form.get("pinned", "")
        annotation = Annotation(
            add_tags=tuple(tag for tag in form.getlist("add") if tag.strip()),
            remove_tags=tuple(form.getlist("remove")),
            note=form["note"].replace("\r\n", "\n") if "note" in form else None,
            rating=int(rating) if rating in _RATINGS else None,
            pinned=pinned == "true" if pinned else None,
        )
        await self.service.annotate(workflow_id, execute_id, annotation)
        back = urls.own(form.get("back", "") or urls.run(workflow_id, execute_id))
        return RedirectResponse(back, HTTPStatus.SEE_OTHER)

    async def _delete(self, keys: Keys, back: str) -> Response:
        bodies: list[bytes] = []
        try:
            for workflow_id, execute_id in keys:  # one by one, so that what is kept is what was deleted
                body = None
                with suppress(RecordDamaged):  # it is deleted too, and cannot be restored
                    body = await self.service.detail_bytes(workflow_id, execute_id)
                if await self.service.delete_execution_record(workflow_id, execute_id) and body is not None:
                    bodies.append(body)
        except StoreError as error:
            if not bodies:
                raise
            _log.warning("Only %d of %d runs were deleted: %s", len(bodies), len(keys), error)
        word = self.trash.put(bodies)
        return RedirectResponse(urls.and_query(back, "undo", word or ""), HTTPStatus.SEE_OTHER)

    async def _export(self, keys: Keys) -> Response:
        """Return the chosen records as JSON lines, each as its stored bytes."""
        found = [await self.service.detail_bytes(*key) for key in keys]
        content = b"".join(body + b"\n" for body in found if body is not None)
        headers = {"Content-Disposition": 'attachment; filename="runs.jsonl"', "Cache-Control": "no-store"}
        return Response(content, HTTPStatus.OK, headers, "application/x-ndjson")
