"""What a trial needs: the sandbox upstream, and the demo's folder and runs."""

from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from execution_history.clock import now_ms
from execution_history.coze import CozeRunner
from execution_history.history.service import ExecutionHistoryService
from execution_history.settings import AccountSettings, Settings

if TYPE_CHECKING:
    from execution_history.sandbox import Sandbox


def in_temporary_folder(settings: Settings, stack: AsyncExitStack) -> Settings:
    """Return *settings* of the demo: with a store in a folder that *stack* removes, and no accounts but the sandbox."""
    folder = stack.enter_context(TemporaryDirectory(prefix="execution-history-demo-", ignore_cleanup_errors=True))
    changes: dict[str, Any] = {
        "store": str(Path(folder) / "history"),
        "accounts": {},
        "keys_store": None,
        "mirror_folder": None,
        "otel_endpoint": None,
        "backup": None,
        "sandbox_port": 0,
    }
    return settings.model_copy(update=changes)


async def start_sandbox(
    settings: Settings, stack: AsyncExitStack, *, demo: bool
) -> "tuple[Sandbox, dict[str, AccountSettings]]":
    """Return the sandbox upstream, which runs until *stack* ends, and the accounts that call it."""
    from execution_history.sandbox import WORKFLOWS, serve_sandbox  # noqa: PLC0415 - another server, for trials only

    names: tuple[str, ...] = ("default",)
    workflows = WORKFLOWS
    if demo:
        from execution_history.demo.history import ACCOUNTS, playable  # noqa: PLC0415 - as above

        names, workflows = ACCOUNTS, playable()
    running = await stack.enter_async_context(serve_sandbox("127.0.0.1", settings.sandbox_port, workflows=workflows))
    account = AccountSettings(base_url=running.base_url, token=SecretStr(running.token))
    return running, dict.fromkeys(names, account)


async def fill_demo(
    service: ExecutionHistoryService, runner: CozeRunner, running: "Sandbox", stack: AsyncExitStack
) -> None:
    """Write thirty days of runs into the demo's history, and begin to run its workflows until *stack* ends."""
    from execution_history.demo.history import begin_runs, fill  # noqa: PLC0415 - as above

    await fill(service, running.base_url, now_ms())
    begin_runs(runner, stack)
