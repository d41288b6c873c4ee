"""The first page over HTTP, beside bare uvicorn and Starlette that answer with the same bytes."""

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

_BARE = """
import sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
content = open(sys.argv[1], "rb").read()
async def page(request):
    return Response(content, media_type="application/json")
uvicorn.run(Starlette(routes=[Route("/page", page)]), port=int(sys.argv[2]), log_level="error", access_log=False)
"""


@contextmanager
def server(arguments: list[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(arguments, stderr=subprocess.DEVNULL, env={**os.environ})
    try:
        for _ in range(400):
            try:
                http.client.HTTPConnection("127.0.0.1", port, timeout=1).connect()
                break
            except OSError:
                time.sleep(0.025)
        yield
    finally:
        process.terminate()
        process.wait()


def _rate(port: int, path: str, times: int) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    began = time.perf_counter()
    for _ in range(times):
        connection.request("GET", path)
        connection.getresponse().read()
    connection.close()
    return times / (time.perf_counter() - began)


def _body(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", path)
    return connection.getresponse().read()


def first_page(folder: Path, workflow_id: str, scratch: Path) -> tuple[float, float]:
    """Pages per second of ours and of the bare server, over one connection that is kept alive."""
    ours_port, bare_port = 18_765, 18_766
    path = f"/coze/workflows/{workflow_id}/history"
    serve = [sys.executable, "-m", "execution_history", "serve", "--store", str(folder), "--port", str(ours_port)]
    with server(serve, ours_port):
        content = scratch / "page.json"
        content.write_bytes(_body(ours_port, path))
        with server([sys.executable, "-c", _BARE, str(content), str(bare_port)], bare_port):
            rounds = [(_rate(ours_port, path, 1_000), _rate(bare_port, "/page", 1_000)) for _ in range(5)]
    return median(ours for ours, _ in rounds), median(bare for _, bare in rounds)
