"""The gateway: recording beside the same without recording, a bare proxy, and mitmproxy writing to a file.

All stand in front of one upstream and take turns; each is a process of its own, as are the upstream and the load. What
is not recorded is called at an address of Coze's that is no run, and answered with the same bytes.
"""

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import linear_regression, median, quantiles
from typing import Final

from bench import http_load
from bench.figures import Goal, Measure, Sample
from bench.machine import allow_many_files, cpu_seconds, memory_mb
from bench.setup import ROOT, Server, Setup, free_port, listening

# A plain uvicorn, as one gets it without further packages; mitmproxy's settings are its own, too. The client keeps 20
# idle connections, httpx's own number: it looks at each of them whenever an answer ends, and at 2,000 for a minute.
_BARE: Final = """
import sys, httpx, uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import StreamingResponse
from starlette.routing import Route
limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
client = httpx.AsyncClient(base_url=sys.argv[1], limits=limits, timeout=60)
async def proxy(request):
    headers = [(k, v) for k, v in request.headers.raw if k not in (b"host", b"connection")]
    going = client.build_request(request.method, request.url.path, headers=headers, content=request.stream())
    answer = await client.send(going, stream=True)
    kept = {k: v for k, v in answer.headers.items() if k not in ("transfer-encoding", "connection", "date", "server")}
    return StreamingResponse(answer.aiter_raw(), answer.status_code, kept, background=BackgroundTask(answer.aclose))
app = Starlette(routes=[Route("/{rest:path}", proxy, methods=["GET", "POST"])])
uvicorn.run(app, port=int(sys.argv[2]), log_level="error", access_log=False, http="h11", loop="asyncio", backlog=4096)
"""

_ON, _OFF, _BARE_PROXY, _MITM = "recording", "recording off", "httpx+Starlette h11", "mitmdump -w"
_NO_PROXY: Final = "no proxy"
_RUN, _STREAM = "run", "stream_run"
_UNRECORDED: Final = "/v1/bench/"
RECORDED: Final = "/v1/workflow/"
_HELD: Final = 2_000
_CLIENTS: Final = 16


def _named(kind: str, proxy: str) -> str:
    return f"{kind}, {proxy}"


_FLAT: Final = Goal(at_most=100)
"""Bytes of memory that a run may leave behind in the second half: ten megabytes in 100,000 runs."""

GATEWAY: Final = (
    Measure(_named(_RUN, _ON), "/s", _named(_RUN, _BARE_PROXY), Goal(of="ratio", at_least=3.0)),
    Measure(_named(_RUN, _ON), "/s", _named(_RUN, _MITM), Goal(of="ratio", at_least=1.5)),
    Measure(_named(_RUN, _ON), "/s", _named(_RUN, _OFF)),
    Measure(_named(_RUN, _NO_PROXY), "/s"),
    Measure(_named(_STREAM, _ON), "/s", _named(_STREAM, _BARE_PROXY), Goal(of="ratio", at_least=2.5)),
    Measure(_named(_STREAM, _ON), "/s", _named(_STREAM, _MITM), Goal(of="ratio", at_least=1.5)),
    Measure(_named(_STREAM, _ON), "/s", _named(_STREAM, _OFF)),
    Measure(_named(_STREAM, _NO_PROXY), "/s"),
    *(
        Measure(_named(f"first byte {at}", _ON), "ms", _named(f"first byte {at}", other), goal)
        for at, most in (("p50", 1.0), ("p99", 5.0))
        for other, goal in ((_OFF, Goal(of="difference", at_most=most)), (_BARE_PROXY, None))
    ),
    Measure(_named("2,000 streams", _ON), "MB", _named("2,000 streams", _BARE_PROXY), Goal(at_most=400)),
    Measure(_named("2,000 streams", _OFF), "MB"),
    Measure("memory, after 100,000 runs", "MB", "memory, after 50,000 runs"),
    Measure("memory, second 50,000 runs", "B/run", goal=_FLAT),
    Measure("memory, after 50,000 runs", "MB", is_detail=True),
    *(
        Measure(_named(kind, proxy), unit, is_detail=True)
        for kind, unit in ((_RUN, "/s"), (_STREAM, "/s"), ("first byte p50", "ms"), ("first byte p99", "ms"))
        for proxy in (_OFF, _BARE_PROXY, _MITM)
    ),
    Measure(_named("2,000 streams", _BARE_PROXY), "MB", is_detail=True),
)
"""Runs by 16 callers; the CPU time is that of the proxy, in microseconds a run."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """One that takes part: what it is called, the checkout if it is ours, and where calls go."""

    name: str
    code: str
    server: Server
    prefix: str

    def call(self, kind: str, *, is_held: bool = False) -> bytes:
        return http_load.request(self.prefix + kind, is_held=is_held)


def gateway(setup: Setup) -> Iterator[Sample]:
    """Measure all proxies."""
    allow_many_files()
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(upstream_server())
        proxies = list(_proxies(setup, stack, upstream))
        for proxy in proxies:
            for kind in (_RUN, _STREAM):
                http_load.rate(proxy.server.port, proxy.call(kind), _CLIENTS, most=setup.size(300, 20))
        for number in setup.turns():
            for proxy in setup.in_turn(proxies, number):
                yield from round_of(setup, proxy)
        for proxy in proxies:
            if proxy.name not in {_MITM, _NO_PROXY}:
                yield _open_at_once(setup, proxy, upstream)
    yield from _memory(setup)


def round_of(setup: Setup, proxy: Proxy) -> Iterator[Sample]:
    port, process = proxy.server.port, proxy.server.process
    for kind in (_RUN, _STREAM):
        used = cpu_seconds(process)
        done, seconds = http_load.rate(port, proxy.call(kind), _CLIENTS, seconds=setup.size(30, 2) / 10)
        cpu = (cpu_seconds(process) - used) / done * 1e6
        yield Sample(_named(kind, proxy.name), done / seconds, cpu, proxy.code)
    spent = http_load.first_bytes(port, proxy.call(_STREAM), setup.size(300, 10))
    yield Sample(_named("first byte p50", proxy.name), median(spent) * 1000, code=proxy.code)
    yield Sample(_named("first byte p99", proxy.name), quantiles(spent, n=100)[98] * 1000, code=proxy.code)


def _open_at_once(setup: Setup, proxy: Proxy, upstream: Server) -> Sample:
    with http_load.held(proxy.server.port, proxy.call(_STREAM, is_held=True), setup.size(_HELD, 50)):
        found = memory_mb(proxy.server.process)
        http_load.rate(upstream.port, http_load.request("/release"), 1, most=1)
    return Sample(_named("2,000 streams", proxy.name), found, code=proxy.code)


def _memory(setup: Setup) -> Iterator[Sample]:
    """Measure a recording gateway over 100,000 runs, half of them streams; its memory and the slope of its second half."""
    total, parts = setup.size(100_000, 400), 20
    for code in setup.codes:
        with upstream_server() as upstream, setup.serving(code, setup.folder(), **account_at(upstream)) as server:
            samples = []
            for number in range(parts):
                kind = (_RUN, _STREAM)[number % 2]
                call = http_load.request(RECORDED + kind)
                http_load.rate(server.port, call, _CLIENTS, most=total / parts)
                samples.append((number * total / parts, memory_mb(server.process)))
            late = samples[parts // 2 :]
            slope = linear_regression([runs for runs, _ in late], [memory for _, memory in late]).slope
            yield Sample("memory, second 50,000 runs", slope * 2**20, code=code.name)
            yield Sample("memory, after 100,000 runs", samples[-1][1], code=code.name)
            yield Sample("memory, after 50,000 runs", samples[parts // 2 - 1][1], code=code.name)


@contextlib.contextmanager
def upstream_server() -> Iterator[Server]:
    command = [sys.executable, "-m", "bench.upstream"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            yield Server(int(process.stdout.readline()), process.pid)
        finally:
            process.terminate()


def account_at(upstream: Server) -> dict[str, str]:
    return {"COZE_API_BASE": f"http://127.0.0.1:{upstream.port}", "COZE_API_TOKEN": "t"}


def _proxies(setup: Setup, stack: contextlib.ExitStack, upstream: Server) -> Iterator[Proxy]:
    for code in setup.codes:
        for name, prefix in ((_ON, RECORDED), (_OFF, _UNRECORDED)):
            server = stack.enter_context(setup.serving(code, setup.folder(), **account_at(upstream)))
            yield Proxy(name, code.name, server, prefix)
    if not setup.has_baselines:
        return
    yield Proxy(_NO_PROXY, "", upstream, RECORDED)
    base, variables = f"http://127.0.0.1:{upstream.port}", setup.variables(setup.codes[0])
    commands: dict[str, Sequence[str]] = {_BARE_PROXY: (sys.executable, "-c", _BARE, base)}
    if setup.mitmdump is None:
        setup.remark("mitmproxy was left out: `python -m bench mitmproxy` installs it for the next time.")
    else:
        written = str(setup.folder())
        commands[_MITM] = (setup.mitmdump, "--mode", f"reverse:{base}", "-w", written, "-q", "--listen-port")
    for name, command in commands.items():
        port = free_port()
        server = stack.enter_context(listening([*command, str(port)], setup.scratch, variables, port))
        yield Proxy(name, "", server, RECORDED)


def install_mitmproxy() -> str:
    """Make an environment for mitmproxy, which pins what we use in other versions; its command."""
    place = ROOT / "bench" / "results" / "mitmproxy"
    command = place / "bin" / "mitmdump"
    if not command.exists():
        import venv  # noqa: PLC0415 - only where it is installed

        venv.create(place, with_pip=True)
        subprocess.run([str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "mitmproxy"], check=True)
    return str(command)
