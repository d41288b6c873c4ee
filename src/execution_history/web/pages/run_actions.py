"""The actions of a run's page: run the workflow again, and answer the question of an interrupted run."""

import asyncio
import logging
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from execution_history.coze import CozeRunner
from execution_history.coze.protocol.answers import open_question
from execution_history.errors import ExecutionHistoryError, InvalidInput, NotInterrupted
from execution_history.records.json_text import read_json
from execution_history.web.errors import fault_of
from execution_history.web.pages import urls
from execution_history.web.pages.forms import form_of
from execution_history.web.pages.interrupt_form import answer_to, question_of
from execution_history.web.pages.run_page import RUN, RunPages
from execution_history.web.pages.run_view import edited, not_again

_log = logging.getLogger("execution_history.web")

Frame = dict[str, Any]
_ANY: Final = sys.maxsize


@dataclass(frozen=True, slots=True)
class RunActions:
    """Starts runs from a page.

    Args:
        pages: show an error on the page of the run.
        runner: runs workflows.
    """

    pages: RunPages
    runner: CozeRunner
    _running: set["asyncio.Task[None]"] = field(default_factory=set)

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route(f"{RUN}/again", self.again, methods=["POST"])
        router.add_api_route(f"{RUN}/answer", self.answer, methods=["POST"])

    async def again(self, request: Request, workflow_id: str, execute_id: str) -> Response:
        """Run the workflow again, with the input in the form where there is one, and show the new run."""
        record = await self.pages.record(workflow_id, execute_id)
        if (reason := not_again(record)) is not None:
            return await self.pages.refused(request, workflow_id, execute_id, reason)
        form = await form_of(request)
        text, recorded = form.get("parameters", ""), record["input_parameters"]
        is_edited = "parameters" in form and text.replace("\r\n", "\n") != edited(record, _ANY)
        try:
            parameters = _object(text) if is_edited else None if recorded is None else _checked(recorded)
            new_id = await self._started(self.runner.stream_again(record, parameters))
        except ExecutionHistoryError as error:
            fault = fault_of(error, request.url.path)
            if is_edited:
                return self.pages.edit_page(request, workflow_id, execute_id, text, fault.message, fault.status)
            return await self.pages.shown(request, workflow_id, execute_id, notice=fault.message, status=fault.status)
        return RedirectResponse(urls.run(workflow_id, new_id), HTTPStatus.SEE_OTHER)

    async def answer(self, request: Request, workflow_id: str, execute_id: str) -> Response:
        """Answer the question of an interrupted run; its page then follows it."""
        record = await self.pages.record(workflow_id, execute_id)
        form = await form_of(request)
        asked = open_question(record)
        question = None if asked is None else question_of(asked)
        try:
            if question is None or question.event_id != form.get("event_id"):
                raise NotInterrupted("This question is no longer open: the page of the run shows the current one.")
            answer = form.get("choice") or answer_to(question, form)
            await self._started(self.runner.stream_resumption(workflow_id, execute_id, answer.replace("\r\n", "\n")))
        except ExecutionHistoryError as error:
            fault = fault_of(error, request.url.path)
            return await self.pages.shown(
                request, workflow_id, execute_id, notice=fault.message, answers=form, status=fault.status
            )
        return RedirectResponse(urls.run(workflow_id, execute_id), HTTPStatus.SEE_OTHER)

    async def _started(self, frames: AsyncGenerator[Frame, None]) -> str:
        """Return the id of the run that *frames* begin; read the rest of them in a task of its own."""
        first = await anext(frames)
        task = asyncio.create_task(_read(frames))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return str(first["data"]["execution_id"])


async def _read(frames: AsyncGenerator[Frame, None]) -> None:
    """Read a run to its end, so that it is recorded whole; its frames go nowhere."""
    try:
        async for _ in frames:
            pass
    except ExecutionHistoryError as error:
        _log.warning("A run that was started from the page could not be read to its end: %s", error)


def _object(text: str) -> dict[str, Any]:
    """Return the input in *text*.

    Raises:
        InvalidInput: it is no JSON object.
    """
    try:
        found = read_json(text or "{}")
    except ValueError:
        raise InvalidInput("The input is not JSON: write an object of names and values.") from None
    return _checked(found)


def _checked(found: object) -> dict[str, Any]:
    """Return *found*, which has to be a JSON object.

    Raises:
        InvalidInput: it is no JSON object.
    """
    if not isinstance(found, dict):
        raise InvalidInput("The input is a JSON object of names and values.")
    return found
