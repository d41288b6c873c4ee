"""Actions on several chosen runs, or on all that match a list's filters; and the annotations of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, cast
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from execution_history.access.audit import MOST_NOTED
from execution_history.errors import InvalidInput
from execution_history.history.annotations import RATINGS, Annotation
from execution_history.history.bulk_changes import BulkChange
from execution_history.history.diff.several import MOST_RUNS
from execution_history.history.service import ExecutionHistoryService
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordKey
from execution_history.transfer import DEFAULT_COLUMNS, Export, ExportFormat, export_of, note_export
from execution_history.web.pages import urls
from execution_history.web.pages.forms import Form, form_of, query
from execution_history.web.pages.list_state import list_state
from execution_history.web.pages.run_page import RUN
from execution_history.web.pages.templates import Renderer, viewer_for

_MOST: Final = 1_000
_MOST_SHOWN: Final = 100
_WAIT_SECONDS: Final = 1.0
"""How long an answer waits for the end of a change: most are over by then, and the list shows what has become of it."""

_TYPES: Final = {"jsonl": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}
_RATINGS: Final = frozenset(map(str, (0, *RATINGS)))


@dataclass(frozen=True, slots=True)
class RunChoices:
    """Carries out actions on chosen runs.

    Args:
        service: where the records are.
        renderer: renders how far a change is.
    """

    service: ExecutionHistoryService
    renderer: Renderer

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route(urls.ACT, self.act, methods=["POST"])
        router.add_api_route(urls.CHOSEN, self.take, methods=["POST"])
        router.add_api_route(urls.CHANGE, self.change, methods=["GET"])
        router.add_api_route(urls.UNDO, self.undo, methods=["POST"])
        router.add_api_route(urls.STOP, self.stop, methods=["POST"])
        router.add_api_route(urls.RESUME, self.resume, methods=["POST"])
        router.add_api_route(urls.CHANGES, self.changes, methods=["GET", "HEAD"])
        router.add_api_route(f"{RUN}/notes", self.annotate, methods=["POST"])

    async def act(self, request: Request) -> Response:
        """Delete, tag or pin the runs that the form names, or all that its filters match."""
        form = await form_of(request)
        action, what = form.get("do", ""), _chosen(request, form)
        if action == "delete":
            change = await self.service.bulk.delete(what, "page")
        else:
            change = await self.service.bulk.annotate(what, _annotation(action, form), "page")
        return await self._shown(change, form)

    async def take(self, request: Request) -> Response:
        """Compare or export the runs that the form names, or export all that its filters match."""
        form = await form_of(request)
        what = _chosen(request, form)
        return _comparison(what, form) if form.get("do") == "compare" else await self._export(what, form)

    async def change(self, request: Request) -> Response:
        """Render how far a change is, for the list that shows it."""
        found = await self.service.bulk.find(query(request, "change"))
        context = {"change": found, "back": urls.own(query(request, "back"))}
        return self.renderer.page(request, "change.html", context)

    async def changes(self, request: Request) -> Response:
        """Render the changes of many runs, the newest first."""
        named, changes = query(request, "change"), await self.service.bulk.all(_MOST_SHOWN)
        change = next((each for each in changes if each.id == named), None)
        return self.renderer.page(request, "changes.html", {"changes": changes, "change": change})

    async def resume(self, request: Request) -> Response:
        """Carry on a change that was cut short."""
        form = await form_of(request)
        return await self._shown(await self.service.bulk.resume(form.get("change", "")), form)

    async def undo(self, request: Request) -> Response:
        """Restore deleted records, byte for byte."""
        form = await form_of(request)
        return await self._shown(await self.service.bulk.undo(form.get("change", ""), "page"), form)

    async def stop(self, request: Request) -> Response:
        """Stop a change that goes on."""
        form = await form_of(request)
        change_id = form.get("change", "")
        await self.service.bulk.stop(change_id)
        await self.service.bulk.wait(change_id, 2 * _WAIT_SECONDS)
        back = urls.and_query(urls.own(form.get("back", "")), "change", change_id)
        return RedirectResponse(back, HTTPStatus.SEE_OTHER)

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

    async def _shown(self, change: BulkChange, form: Form) -> Response:
        """Return to the list, which shows how far the change is."""
        await self.service.bulk.wait(change.id, _WAIT_SECONDS)
        back = urls.and_query(urls.own(form.get("back", "")), "change", change.id)
        return RedirectResponse(back, HTTPStatus.SEE_OTHER)

    async def _export(self, what: RecordFilter | Sequence[RecordKey], form: Form) -> Response:
        """Return the chosen records in the format and with the columns of the form; all that match from the API."""
        chosen, columns = form.get("format", "jsonl"), [each for each in form.getlist("columns") if each.strip()]
        if isinstance(what, RecordFilter):
            pairs = [*parse_qsl(form.get("view", "")), ("format", chosen), *(("columns", each) for each in columns)]
            return RedirectResponse(f"{urls.EXPORT}?{urlencode(pairs)}", HTTPStatus.SEE_OTHER)
        is_excel = chosen == "excel"
        names = tuple(part.strip() for each in columns for part in each.split(",") if part.strip())
        export = Export(
            format=cast("ExportFormat", "csv" if is_excel else chosen), columns=names or DEFAULT_COLUMNS, excel=is_excel
        )
        await note_export(self.service, export.format, runs=len(what), first=what[:MOST_NOTED])
        found = [await self.service.detail_bytes(*key) for key in what]
        content = await export_of(self.service, export, [body for body in found if body is not None])
        name = f"runs.{export.format}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        return Response(content, HTTPStatus.OK, headers, _TYPES.get(export.format, "application/octet-stream"))


def _chosen(request: Request, form: Form) -> RecordFilter | Sequence[RecordKey]:
    """Return what a form chooses: everything that its filters match, or single runs.

    Raises:
        InvalidInput: it chooses nothing.
        InvalidQuery: a filter is invalid.
    """
    if form.get("all"):
        pairs = parse_qsl(form.get("view", ""))
        return list_state(urls.RUNS, pairs).record_filter(viewer_for(request), None)
    keys = [RecordKey(*urls.run_of(key)) for key in dict.fromkeys(form.getlist("run"))][:_MOST]
    if not keys:
        raise InvalidInput("No run is selected: tick the boxes of one or more runs.")
    return keys


def _comparison(what: RecordFilter | Sequence[RecordKey], form: Form) -> Response:
    """Return the way to the comparison of the chosen runs, from which a link leads back to the list.

    Raises:
        InvalidInput: they are too many.
    """
    keys = [] if isinstance(what, RecordFilter) else what
    if len(keys) > MOST_RUNS:
        raise InvalidInput(
            "Two to %(most)s runs can be compared; %(count)s are chosen.", most=MOST_RUNS, count=len(keys)
        )
    address = urls.compare([urls.key_of(*key) for key in keys], back=urls.own(form.get("back", "")))
    return RedirectResponse(address, HTTPStatus.SEE_OTHER)


def _annotation(action: str, form: Form) -> Annotation:
    """Return what a form notes about its runs.

    Raises:
        InvalidInput: it is for something else, or its tag is none.
    """
    tags = tuple(tag for tag in form.getlist("tag") if tag.strip())
    if action in {"tag", "untag"} and not tags:
        raise InvalidInput("Write the tag into the field first.")
    match action:
        case "tag":
            return Annotation(add_tags=tags)
        case "untag":
            return Annotation(remove_tags=tags)
        case "pin" | "unpin":
            return Annotation(pinned=action == "pin")
    raise InvalidInput("Runs can be compared, tagged, pinned, exported or deleted.")
