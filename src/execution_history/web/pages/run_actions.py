"""The actions of a run's page: run the workflow again, and answer the question of an interrupted run."""

import sys
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from execution_history.coze import CozeRunner
from execution_history.coze.protocol.answers import open_question
from execution_history.errors import ExecutionHistoryError, NotInterrupted
from execution_history.web.errors import fault_of
from execution_history.web.pages import urls
from execution_history.web.pages.forms import form_of
from execution_history.web.pages.interrupt_form import answer_to, question_of
from execution_history.web.pages.run_page import RUN, RunPages
from execution_history.web.pages.run_starter import RunStarter, checked_input, input_of
from execution_history.web.pages.run_view import edited, not_again

_ANY: Final = sys.maxsize


@dataclass(frozen=True, slots=True)
class RunActions:
    """Starts runs from a page.

    Args:
        pages: show an error on the page of the run.
        runner: runs workflows.
        starter: reads the runs to their end.
    """

    pages: RunPages
    runner: CozeRunner
    starter: RunStarter

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
            parameters = input_of(text) if is_edited else None if recorded is None else checked_input(recorded)
            new_id = await self.starter.started(self.runner.stream_again(record, parameters))
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
            await self.starter.started(
                self.runner.stream_resumption(workflow_id, execute_id, answer.replace("\r\n", "\n"))
            )
        except ExecutionHistoryError as error:
            fault = fault_of(error, request.url.path)
            return await self.pages.shown(
                request, workflow_id, execute_id, notice=fault.message, answers=form, status=fault.status
            )
        return RedirectResponse(urls.run(workflow_id, execute_id), HTTPStatus.SEE_OTHER)
