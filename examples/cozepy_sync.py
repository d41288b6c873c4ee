"""An existing, synchronous cozepy script whose runs are recorded; the history is printed at the end.

Run it with ``python cozepy_sync.py``: it calls the sandbox, which it starts beside itself. The only line that recording
needs is the one that makes the client; the rest of the script is what it was.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from cozepy import Coze, CozeAPIError, TokenAuth
from cozepy.request import SyncHTTPClient

from execution_history import get_execution_history_service, recording_transport, run_sync


@contextmanager
def sandbox() -> Iterator[tuple[str, str]]:
    """Yield the address and the token of a sandbox that runs beside this script."""
    command = [sys.executable, "-m", "execution_history", "sandbox", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:  # noqa: S603 - our own
        lines = iter(process.stdout or ())
        said = "".join(next(lines) for _ in range(3))
        base_url, token = re.findall(r': "(.*)"', said)
        yield base_url, token
        process.terminate()


def script(base_url: str, token: str) -> None:
    """Run a workflow as the team did before."""
    with SyncHTTPClient(transport=recording_transport()) as client:  # type: ignore[no-untyped-call]
        coze = Coze(auth=TokenAuth(token), base_url=base_url, http_client=client)
        result = coze.workflows.runs.create(workflow_id="7000000000000000001", parameters={"city": "Oslo"})
        print("answer  ", result.data)
        for event in coze.workflows.runs.stream(workflow_id="7000000000000000002", parameters={"city": "Oslo"}):
            print("event   ", event.event.value, event.message.content if event.message else "")
        try:
            coze.workflows.runs.create(workflow_id="7000000000000000004")
        except CozeAPIError as error:
            print("refused ", error.code)


def show() -> None:
    """Print what was recorded."""
    service = get_execution_history_service()
    for workflow_id in run_sync(service.get_all_workflows()):
        for run in run_sync(service.get_execution_history(workflow_id))["histories"]:
            nodes = ", ".join(run["node_execute_status"] or {})
            print("history ", workflow_id, run["execute_status"], run["error_code"] or "", run["usage"] or "", nodes)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("EXECUTION_HISTORY_STORE", folder)
        with sandbox() as (base_url, token):
            script(base_url, token)
        show()
        run_sync(get_execution_history_service().aclose())
