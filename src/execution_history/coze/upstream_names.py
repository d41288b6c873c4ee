"""The names of workflows as an account's upstream has them, requested and kept."""

from collections.abc import AsyncGenerator
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

from execution_history.coze.accounts import Upstream
from execution_history.coze.protocol.messages import is_success, text
from execution_history.coze.protocol.run_history import HistoryRefusal
from execution_history.coze.protocol.workflow_names import NamedWorkflows, names_of, parsed
from execution_history.coze.tracking.history_client import Address, RunHistoryClient
from execution_history.errors import UpstreamRefused, shortened
from execution_history.history.names import HistoryNaming
from execution_history.query.workflow_patterns import EVERY_WORKFLOW, WorkflowPatterns

_LIST: Final = "/v1/workflows"
_WORKSPACES: Final = "/v1/workspaces"
_PAGE_SIZE: Final = 30  # the largest that is documented (coze-protocol 1.10)
_MOST_PAGES: Final = 100
_MOST_SINGLE: Final = 100
_LONGEST_REASON: Final = 300
_OK: Final = 200


class LearnedNames(NamedTuple):
    """How many workflows an upstream named, and how many of these names were new or changed."""

    listed: int
    learned: int


class UpstreamNames:
    """Asks upstreams what they call their workflows.

    Args:
        history: keeps the names.
        upstream: the accounts that call.
        workflows: those that exist for whoever asks; the names of others are left out.
    """

    def __init__(
        self, history: HistoryNaming, upstream: Upstream, workflows: WorkflowPatterns = EVERY_WORKFLOW
    ) -> None:
        self._history = history
        self._upstream = upstream
        self._workflows = workflows

    def within(self, history: HistoryNaming, workflows: WorkflowPatterns) -> "UpstreamNames":
        """Return one that keeps the names of these *workflows* alone, in *history*."""
        return UpstreamNames(history, self._upstream, workflows)

    async def learn(self, account_id: str = "default") -> LearnedNames:
        """Keep the names of an account's workflows; those that people gave stay before them.

        The upstream's list is requested; where that needs a workspace, that of each workspace. Workflows
        that have history here and are in no list are requested one by one, as Coze Studio needs it.

        Args:
            account_id: the account that calls.

        Raises:
            UnknownAccount: there is no such account.
            AccountError: the account is incomplete.
            UpstreamRefused: the upstream could not be reached, or names no workflow.
            StoreError: the names could not be read or written.
        """
        client = _Client(self._upstream, self._upstream.address(account_id))
        listed = learned = 0
        for found in [page async for page in client.lists()]:
            of_list, kept = await self._keep(found)
            listed, learned = listed + of_list, learned + kept
        known = await self._history.names()
        recorded = await self._history.get_all_workflows()
        unnamed = [each for each in recorded if each not in known or known[each].learned is None]
        for workflow_id in unnamed[:_MOST_SINGLE]:
            if client.is_unreachable:
                break
            found = await client.names(f"{_LIST}/{quote(workflow_id, safe='')}")
            of_list, kept = await self._keep(found)
            listed, learned = listed + of_list, learned + kept
        if not listed and client.reason is not None:
            raise UpstreamRefused("The upstream names no workflow: %(reason)s", reason=client.reason)
        return LearnedNames(listed, learned)

    async def _keep(self, found: NamedWorkflows) -> tuple[int, int]:
        """Keep the names that were found; return how many there are, and how many are news."""
        names = [each for each in found.names if self._workflows.match(each[0])]
        return len(names), await self._history.learn_names(names, found.source)


class _Client:
    """The requests to one upstream; ``reason`` is why the first without an answer has none."""

    def __init__(self, upstream: Upstream, address: Address) -> None:
        self._client = RunHistoryClient(upstream.connected())
        self._address = address
        self.reason: str | None = None
        self.is_unreachable = False

    async def lists(self) -> AsyncGenerator[NamedWorkflows]:
        """Yield the pages of the list of workflows, or of each workspace's where there is none of all."""
        first = await self.names(_with(_LIST, page_num=1, page_size=_PAGE_SIZE))
        if self.reason is None:
            async for page in self._pages({}, first):
                yield page
            return
        for workspace_id in await self._workspaces():
            async for page in self._pages({"workspace_id": workspace_id}):
                yield page

    async def names(self, path: str) -> NamedWorkflows:
        """Return the workflows that the answer at *path* names."""
        content = await self._get(path)
        return NamedWorkflows() if content is None else names_of(content)

    async def _pages(
        self, which: dict[str, str], first: NamedWorkflows | None = None
    ) -> AsyncGenerator[NamedWorkflows]:
        for number in range(1, _MOST_PAGES + 1):
            page = first or await self.names(_with(_LIST, **which, page_num=number, page_size=_PAGE_SIZE))
            first = None
            yield page
            if not page.has_more:
                return

    async def _workspaces(self) -> list[str]:
        content = None if self.is_unreachable else await self._get(_with(_WORKSPACES, page_num=1, page_size=50))
        data = None if content is None else content.get("data")
        found = data.get("workspaces") if isinstance(data, dict) else None
        ids = [text(each.get("id")) for each in found if isinstance(each, dict)] if isinstance(found, list) else []
        return [each for each in ids if each]

    async def _get(self, path: str) -> dict[str, Any] | None:
        """Return the envelope at *path*; ``None`` where the upstream refuses the request."""
        if self.is_unreachable:
            return None
        answer = await self._client.get(self._address, path)
        if isinstance(answer, HistoryRefusal):
            self.reason, self.is_unreachable = self.reason or answer.message, True
            return None
        status_code, body, content_type = answer
        content = parsed(body, content_type)
        if content is not None and status_code == _OK and is_success(content.get("code")):
            return content
        said = None if content is None else text(content.get("msg"))
        self.reason = self.reason or shortened(said or f"HTTP {status_code}", _LONGEST_REASON)
        return None


def _with(path: str, **query: object) -> str:
    return f"{path}?{urlencode(query)}"
