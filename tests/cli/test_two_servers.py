"""Two servers on one database: they record at once, show the same, and lose nothing where PostgreSQL is restarted."""

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from tests.cli.processes import read_document, started
from tests.cli.test_serve import FREE, get
from tests.stores.postgres.servers import OwnServer, own_server

_CITIES: Final = ["Oslo", "北京", "Rome", "上海"]
_WORKFLOW: Final = "7000000000000000002"
_CALLERS: Final = 8


@pytest.fixture
def database() -> Iterator[OwnServer]:
    """A PostgreSQL server that this test may stop."""
    with own_server() as server:
        yield server


@pytest.fixture
def servers(database: OwnServer, tmp_path: Path) -> Iterator[list[dict[str, Any]]]:
    """Two servers with sandboxes on one database, each in a folder of its own, and what they announced."""
    with ExitStack() as stack:
        announced = []
        for name in "ab":
            (tmp_path / name).mkdir()
            arguments = ["serve", *FREE, "--sandbox", "--sandbox-port", "0", "--json", "--store", database.url]
            process = stack.enter_context(started(*arguments, folder=tmp_path / name))
            announced.append(read_document(process.stdout))
        yield announced


def _send(method: str, address: str, body: object = None) -> Any:
    """The JSON answer to a request with *body*."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(address, json.dumps(body).encode(), headers, method=method)
    with urllib.request.urlopen(request, timeout=90) as answer:
        return json.loads(answer.read())


def _run(base: str, city: str) -> str:
    """Run a workflow to its end; its execute id, as the answer has it."""
    body = {"parameters": {"city": city, "pace_ms": 1}}
    return str(_send("POST", f"{base}/coze/workflows/{_WORKFLOW}/run", body)["execution_id"])


def _cost(base: str) -> object:
    """What a new run costs, with its currency and the version of the price; ``None``: it has no price."""
    run = get(f"{base}/coze/workflows/{_WORKFLOW}/history/{_run(base, _CITIES[0])}")
    return run["execution"]["metadata"].get("cost")


def _said(base: str) -> set[str | None]:
    """What the workflows and the views are called."""
    workflows, views = get(f"{base}/coze/workflows")["workflows"], get(f"{base}/coze/views")["views"]
    return {each["name"] for each in (*workflows, *views)}


def _until(holds: Callable[[], bool]) -> None:
    """Return once something holds; fail where it takes too long."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _listed(base: str) -> list[str]:
    """The execute ids of the workflow's newest runs, as its JSON list has them."""
    found = get(f"{base}/coze/workflows/{_WORKFLOW}/history?page_size=100")
    return [record["execute_id"] for record in found["histories"]]


def _counts(base: str) -> dict[str, int]:
    """How many runs of the workflow have each status."""
    found = get(f"{base}/coze/workflows/{_WORKFLOW}/statistics")["totals"]["counts"]
    return {status: count for status, count in found.items() if count}


def test_both_show_what_both_record(servers: list[dict[str, Any]]) -> None:
    """In lists and on pages; and they know a name, a view and a price, though each has read before what there was."""
    first, second = (each["url"] for each in servers)
    ran = [_run(base, city) for city in _CITIES for base in (first, second)]
    assert ran[::-1] == _listed(first) == _listed(second)
    pages = []
    for base in (first, second):
        request = urllib.request.Request(f"{base}/workflows/{_WORKFLOW}/runs", headers={"Accept": "text/html"})
        with urllib.request.urlopen(request) as answer:
            page = answer.read().decode()
        pages.append([line.partition('"')[0] for line in page.split('data-row="')[1:]])
    assert pages[0] == pages[1]
    assert [f"{_WORKFLOW}/{execute_id}" for execute_id in ran[::-1]] == pages[0]
    for one, other in [(first, second), (second, first)]:
        assert _cost(other) is None
        assert not _said(other) & {f"workflow of {one}", f"view of {one}"}
        _send("PATCH", f"{one}/coze/workflows/{_WORKFLOW}", {"name": f"workflow of {one}"})
        _until(lambda: f"workflow of {one}" in _said(other))  # noqa: B023 - called here
        _send("POST", f"{one}/coze/views", {"name": f"view of {one}", "filters": {"status": "failed"}})
        _until(lambda: f"view of {one}" in _said(other))  # noqa: B023 - likewise
        _send("PUT", f"{one}/coze/prices", {"workflow": _WORKFLOW, "input": 1, "output": 2})
        _until(lambda: _cost(other) is not None)  # noqa: B023 - likewise
        _send("DELETE", f"{one}/coze/prices?workflow={_WORKFLOW}")
        _until(lambda: _cost(other) is None)  # noqa: B023 - likewise


def test_every_answered_call_is_recorded_while_the_database_restarts(
    servers: list[dict[str, Any]], database: OwnServer
) -> None:
    """Callers get their answers; the count of answers is the count of records that succeeded."""
    answered: list[str] = []
    problems: list[BaseException] = []
    is_over = threading.Event()

    def call(number: int) -> None:
        while not is_over.is_set():
            try:
                answered.append(_run(servers[number % 2]["url"], _CITIES[number % len(_CITIES)]))
            except (urllib.error.URLError, OSError, ValueError) as error:
                problems.append(error)
                return

    callers = [threading.Thread(target=call, args=(number,)) for number in range(_CALLERS)]
    for caller in callers:
        caller.start()
    for _ in range(2):
        before = len(answered)
        while len(answered) < before + 20 and not problems:
            is_over.wait(0.05)
        database.crash()
        database.start()
    is_over.set()
    for caller in callers:
        caller.join(120)
    assert [] == problems
    for each in servers:
        # A step that came while the server was away is written once it is back.
        _until(lambda: _counts(each["url"]) == {"success": len(answered)})  # noqa: B023 - called here
    assert len(answered) == len(set(answered))
