"""The endpoints of coze.cn and coze.com that Coze Studio lacks or has in another place."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from execution_history.sandbox.bodies import (
    file_object,
    history_object,
    node_object,
    version_page,
    workflow_object,
    workflow_page,
)
from execution_history.sandbox.chat_routes import ChatRoutes, ConversationRoutes
from execution_history.sandbox.errors import not_found
from execution_history.sandbox.executions import RunMode
from execution_history.sandbox.requests import read_page, read_resume, read_token_page
from execution_history.sandbox.responses import read_body
from execution_history.sandbox.routes import Routes

WORKSPACE = {
    "id": "7000000000000009000",
    "name": "sandbox",
    "icon_url": "",
    "role_type": "owner",
    "workspace_type": "personal",
    "enterprise_id": "",
}
"""The workspace of everything in the sandbox."""

_MAX_PAGE_SIZE = 100  # documented as 30, but cozepy asks for 100 by default (1.10)


class CozeRoutes(Routes):
    """Everything that protocol section 1 lists for workflows."""

    def table(self) -> list[Route]:
        """Return the routes."""
        history = "/v1/workflows/{workflow_id}/run_histories/{execute_id}"
        return [
            *super().table(),
            Route("/v1/workflows/resume", self.resume, methods=["POST"]),
            Route(history, self.history, methods=["GET"]),
            Route(f"{history}/execute_nodes/{{node_uuid}}", self.node, methods=["GET"]),
            Route("/v1/files/retrieve", self.file, methods=["GET"]),
            Route("/v1/workspaces", self.workspaces, methods=["GET"]),
            Route("/v1/workflows", self.workflows, methods=["GET"]),
            Route("/v1/workflows/{workflow_id}", self.workflow, methods=["GET"]),
            Route("/v1/workflows/{workflow_id}/versions", self.versions, methods=["GET"]),
            *ChatRoutes(self._chats, self._dialect).table(),
            *ConversationRoutes(self._chats).table(),
        ]

    async def resume(self, request: Request) -> Response:
        """Answer the question of a run that was not streamed (protocol 1.5)."""
        execution, outlet = self._engine.resume(read_resume(await read_body(request)), RunMode.SYNC)
        return await self._answer_outcome(request, execution, outlet)

    async def history(self, request: Request) -> Response:
        """Tell one execution's state (protocol 1.6)."""
        path = request.path_params
        execution, with_output = self._engine.recall(path["workflow_id"], path["execute_id"])
        return self._tell(request, [history_object(execution, with_output=with_output)])

    async def node(self, request: Request) -> Response:
        """Tell what an output node put out (protocol 1.8)."""
        path = request.path_params
        data = node_object(self._engine.find(path["workflow_id"], path["execute_id"]), path["node_uuid"])
        if data is None:
            raise not_found("This execution has no output node with such a node_execute_uuid.")
        return self._tell(request, data)

    async def workspaces(self, request: Request) -> Response:
        """List the one workspace that the sandbox is."""
        return self._tell(request, {"total_count": 1, "workspaces": [WORKSPACE]})

    async def workflows(self, request: Request) -> Response:
        """List the sandbox's workflows (protocol 1.10)."""
        page_num, page_size = read_page(request.query_params, most=_MAX_PAGE_SIZE)
        listed = list(self._engine.workflows.values())
        if request.query_params.get("publish_status") == "published_online":
            listed = [entry for entry in listed if entry.versions()]
        return self._tell(request, workflow_page(listed, page_num, page_size))

    async def workflow(self, request: Request) -> Response:
        """Describe one workflow (protocol 1.10)."""
        detail = workflow_object(self._engine.workflow(request.path_params["workflow_id"]))
        return self._tell(request, {"workflow_detail": detail})

    async def versions(self, request: Request) -> Response:
        """List the versions of a workflow (protocol 1.10)."""
        query = request.query_params
        workflow = self._engine.workflow(request.path_params["workflow_id"])
        first, page_size = read_token_page(query, most=_MAX_PAGE_SIZE)
        versions = () if query.get("publish_status") == "unpublished_draft" else workflow.versions()
        return self._tell(request, version_page(workflow, versions, slice(first, first + page_size)))

    async def file(self, request: Request) -> Response:
        """Describe a file that was uploaded."""
        uploaded = self._files.get(request.query_params.get("file_id", ""))
        if uploaded is None:
            raise not_found("There is no such file; the sandbox remembers the newest ones only.")
        return self._tell(request, file_object(uploaded))
