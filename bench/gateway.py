"""``python -m bench.gateway``: the recording gateway beside the same gateway without recording, and a bare proxy.

All three stand in front of one upstream that answers at once; they take turns in one run. Each is a process of its
own, as are the upstream and the load.
"""

import argparse
import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import orjson

# asyncio turns off the delay of small packets only on sockets whose protocol is named.
_SERVING = """
import asyncio, socket, sys, uvicorn
def listening():
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(1024)
    print(listener.getsockname()[1], flush=True)
    return listener
def serve(config):
    uvicorn.Server(config).run(sockets=[listening()])
"""

_UPSTREAM = """
import orjson
BASE = "https://www.coze.cn/work_flow?execute_id=%d&space_id=1&workflow_id=7"
TEXT = "今天的天气很好 and the ferry leaves at nine. "
def answer(number):
    data = orjson.dumps({"output": TEXT * 12}).decode()
    return orjson.dumps({"code": 0, "msg": "", "data": data, "debug_url": BASE % number, "execute_id": str(number),
                         "usage": {"input_count": 9, "output_count": 90, "token_count": 99}})
def events(number):
    for n in range(10):
        message = {"content": TEXT, "node_title": "End", "node_seq_id": str(n), "node_is_finish": n == 9, "node_id": "9"}
        yield b"id: %d\\nevent: Message\\ndata: %s\\n\\n" % (n, orjson.dumps(message))
    yield b"id: 10\\nevent: Done\\ndata: %s\\n\\n" % orjson.dumps({"debug_url": BASE % number})
count = 0
async def app(scope, receive, send):
    global count
    count += 1
    while (await receive()).get("more_body"):
        pass
    streamed = scope["path"].endswith("stream_run")
    kind = b"text/event-stream" if streamed else b"application/json"
    parts = list(events(count)) if streamed else [answer(count)]
    length = [] if streamed else [(b"content-length", b"%d" % len(parts[0]))]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind), *length]})
    for part in parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
        if streamed:
            await asyncio.sleep(0)
    await send({"type": "http.response.body"})
serve(uvicorn.Config(app, log_level="error", access_log=False, lifespan="off"))
"""

_BARE = """
import httpx
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route
client = httpx.AsyncClient(base_url=sys.argv[1], limits=httpx.Limits(max_connections=None), timeout=60)
async def proxy(request):
    headers = [(k, v) for k, v in request.headers.raw if k not in (b"host", b"connection")]
    going = client.build_request(request.method, request.url.path, headers=headers, content=request.stream())
    answer = await client.send(going, stream=True)
    kept = {k: v for k, v in answer.headers.items() if k not in ("transfer-encoding", "connection", "date", "server")}
    return StreamingResponse(answer.aiter_raw(), answer.status_code, kept, background=None)
app = Starlette(routes=[Route("/{rest:path}", proxy, methods=["GET", "POST"])])
serve(uvicorn.Config(app, log_level="error", access_log=False, lifespan="off"))
"""

_OURS = """
import dataclasses, httpx
from pydantic import SecretStr
from execution_history.coze.accounts import Upstream
from execution_history.settings import AccountSettings, load_settings
from execution_history.web import create_app
from execution_history.application import open_application
class Unrecorded(Upstream):
    def transport(self):
        if not hasattr(self, "plain"):
            self.plain = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=None))
        return self.plain
async def main():
    account = AccountSettings(base_url=sys.argv[1], token=SecretStr("t"))
    settings = load_settings(store=sys.argv[2], accounts={"default": account})
    async with open_application(settings) as application:
        if sys.argv[3] == "off":
            application = dataclasses.replace(
                application, upstream=Unrecorded({"default": account}, application.recorder))
        config = uvicorn.Config(create_app(application), log_level="error", access_log=False,
                                date_header=False, server_header=False, lifespan="off")
        await uvicorn.Server(config).serve(sockets=[listening()])
asyncio.run(main())
"""


@dataclass
class Figures:
    """What was measured of one proxy."""

    runs: list[float] = field(default_factory=list)
    streams: list[float] = field(default_factory=list)
    first_byte: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)


@contextlib.contextmanager
def _process(script: str, *arguments: str) -> Iterator[tuple[str, int]]:
    """A server that says on which port it listens: its address and its process number."""
    command = [sys.executable, "-c", _SERVING + script, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}", process.pid
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


class _Connection:
    """One connection that is kept alive."""

    def __init__(self, base: str) -> None:
        self._port = int(base.rpartition(":")[2])

    async def open(self) -> None:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    async def call(self, path: str) -> float:
        """One run, read whole; seconds until the first byte of its body."""
        body = orjson.dumps({"workflow_id": "7", "parameters": {"city": "巴黎", "text": "some input " * 20}})
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nAuthorization: Bearer t\r\n"
        began = time.perf_counter()
        self._writer.write(
            f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        )
        head_bytes = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        assert b" 200 " in head_bytes.split(b"\r\n")[0], head_bytes
        if b"transfer-encoding: chunked" in head_bytes:
            first = 0.0
            while size := int(await self._reader.readuntil(b"\r\n"), 16):
                first = first or time.perf_counter() - began
                await self._reader.readexactly(size + 2)
            await self._reader.readexactly(2)
            return first
        length = int(head_bytes.partition(b"content-length: ")[2].split(b"\r\n")[0])
        await self._reader.readexactly(length)
        return time.perf_counter() - began

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


async def _rate(base: str, path: str, runs: int, clients: int) -> float:
    """Runs per second with so many callers at once."""
    connections = [_Connection(base) for _ in range(clients)]
    for connection in connections:
        await connection.open()
    remaining = iter(range(runs))

    async def client(connection: _Connection) -> None:
        for _ in remaining:
            await connection.call(path)

    began = time.perf_counter()
    await asyncio.gather(*map(client, connections))
    spent = time.perf_counter() - began
    for connection in connections:
        connection.close()
    return runs / spent


async def _first_byte(base: str, times: int) -> float:
    """The median milliseconds until the first byte of a stream, one after the other."""
    connection = _Connection(base)
    await connection.open()
    spent = [await connection.call("/v1/workflow/stream_run") for _ in range(times)]
    connection.close()
    return median(spent) * 1000


def _memory(process: int) -> int:
    """The resident memory of a process in kilobytes."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])


async def _measure(proxies: dict[str, tuple[str, int]], runs: int, rounds: int, clients: int) -> dict[str, Figures]:
    found = {name: Figures() for name in proxies}
    for name, (base, _) in proxies.items():
        await _rate(base, "/v1/workflow/run", 100, clients)
        await _rate(base, "/v1/workflow/stream_run", 100, clients)
        found[name].memory.append(_memory(proxies[name][1]))
    for _ in range(rounds):
        for name, (base, process) in proxies.items():
            found[name].runs.append(await _rate(base, "/v1/workflow/run", runs, clients))
            found[name].streams.append(await _rate(base, "/v1/workflow/stream_run", runs, clients))
            found[name].first_byte.append(await _first_byte(base, 200))
            found[name].memory.append(_memory(process))
    return found


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.gateway", description=__doc__)
    parser.add_argument("--runs", type=int, default=1000, help="runs of each kind in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, default=16)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        upstream, _ = stack.enter_context(_process(_UPSTREAM))
        proxies = {
            "recording": stack.enter_context(_process(_OURS, upstream, f"{folder}/on", "on")),
            "the same, recording off": stack.enter_context(_process(_OURS, upstream, f"{folder}/off", "off")),
            "bare httpx + Starlette": stack.enter_context(_process(_BARE, upstream)),
        }
        found = asyncio.run(_measure(proxies, options.runs, options.rounds, options.clients))
    print("| proxy | run, per second | stream_run, per second | first byte of a stream, p50 | memory first → last |")
    print("|---|---|---|---|---|")
    for name, figures in found.items():
        print(
            f"| {name} | {median(figures.runs):,.0f} | {median(figures.streams):,.0f} | "
            f"{median(figures.first_byte):.2f} ms | {figures.memory[0] / 1024:.0f} → {figures.memory[-1] / 1024:.0f} MB |"
        )
    on, off = found["recording"], found["the same, recording off"]
    print(
        f"recording / off: run {median(on.runs) / median(off.runs):.2f}, "
        f"stream_run {median(on.streams) / median(off.streams):.2f}, "
        f"first byte +{median(on.first_byte) - median(off.first_byte):.2f} ms"
    )


if __name__ == "__main__":
    main()
