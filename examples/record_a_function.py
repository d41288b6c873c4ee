"""Records functions, a stream, a block and a failure in a temporary folder, and prints the history that came of it.

Run it with ``python record_a_function.py``. In a program of yours the decorator is all there is: without ``service``,
runs go to the folder that the settings name, ``data/execution_history`` by default.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from execution_history import ExecutionHistoryService, current_run, record, recorded, run_sync

folder = tempfile.TemporaryDirectory()
service = ExecutionHistoryService(Path(folder.name) / "execution_history")


@recorded("search", service=service, tags=["tools"])
def search(query: str, *, api_key: str, limit: int = 2) -> list[str]:
    """Call a tool; its key is not kept."""
    return [f"{query} {number}, found with a key of {len(api_key)} characters" for number in range(limit)]


@recorded("answer", service=service)
async def answer(question: str) -> AsyncIterator[str]:
    """Stream as a model does; every piece is in the timeline, all of them together are the output."""
    found = search(question, api_key="sk-not-for-the-history")
    run = current_run()
    if run is not None:
        run.usage = {"token_count": 12}
    for word in f"I found {len(found)} things about {question}.".split(" "):
        await asyncio.sleep(0.01)
        yield word + " "


@recorded("divide", service=service)
def divide(a: int, b: int) -> float:
    """Fail now and then."""
    return a / b


async def main() -> None:
    """Make some runs inside one another, and one that fails."""
    async with record("conversation", {"user": "Ada"}, service=service) as run:
        run.output = "".join([piece async for piece in answer("ferries")])
    with contextlib.suppress(ZeroDivisionError):
        divide(1, 0)


def show() -> None:
    """Print the history, for a caller who is not asynchronous."""
    for workflow_id in run_sync(service.get_all_workflows()):
        for run in run_sync(service.get_execution_history(workflow_id))["histories"]:
            parent = run["metadata"].get("parent", {}).get("workflow_id", "nobody")
            print(f"{workflow_id:13} {run['execute_status']:8} for {parent:13} {run['input_parameters']}")
            for node in (run["node_execute_status"] or {}).values():
                print(f"{'':13} {node['packet_count']} messages: {[packet[1] for packet in node['packets']]} ms")
            print(f"{'':13} {run['output'] or run['error_message']}")


if __name__ == "__main__":
    asyncio.run(main())
    show()
    run_sync(service.aclose())
    folder.cleanup()
