"""The endpoints that Coze Studio has in a place or a form of its own (protocol section 6)."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from execution_history.sandbox.requests import read_conversation
from execution_history.sandbox.responses import json_response, read_body
from execution_history.sandbox.routes import Routes
from execution_history.sandbox.studio_dialect import conversation_answer, history_answer, workflow_answer


class StudioRoutes(Routes):
    """The paths that Coze Studio opens to tokens; the others are closed, those of coze.cn included."""

    def table(self) -> list[Route]:
        """Return the routes."""
        return [
            *super().table(),
            Route("/v1/workflow/get_run_history", self.history, methods=["GET"]),
            Route("/v1/workflow/conversation/create", self.conversation, methods=["POST"]),
            Route("/v1/workflows/{workflow_id}", self.workflow, methods=["GET"]),
        ]

    async def history(self, request: Request) -> Response:
        """Tell one execution's state."""
        query = request.query_params
        execution, with_output = self._engine.recall(query.get("workflow_id", ""), query.get("execute_id", ""))
        return json_response(history_answer(execution, with_output=with_output))

    async def conversation(self, request: Request) -> Response:
        """Find or begin the conversation of that name."""
        conversation = read_conversation(await read_body(request))
        known = self._chats.conversations
        find = known.named if conversation.get_or_create else known.renamed
        found = find(conversation.owner_id, conversation.name)
        return json_response(conversation_answer(found.conversation_id, self._engine.second()))

    async def workflow(self, request: Request) -> Response:
        """Describe one workflow."""
        return json_response(workflow_answer(self._engine.workflow(request.path_params["workflow_id"])))
