"""``python -m bench.day``: a server's whole day in some minutes, and whether anything of it has grown.

Its time of day is faster (:mod:`bench.fast_clock`), so that sessions end, rules of retention remove runs, the bin empties, hours
and days turn over and backups are made by schedule, while 20,000 runs and everything else that a day has come in: all that
:mod:`bench.load` sends, questions with their answers, chats, callers that leave, refusals of the upstream, WebSocket
connections, browsers that sign in and keep a page open, restored runs, checks of health. Linux only, as ``/proc`` has the figures.

The command ends with 1 where a figure has grown beyond its bound between the first and the last third, after a third of the
time in which everything warms up, or where requests failed.
"""

import argparse
import asyncio
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import linear_regression, median
from typing import Any, Final

import httpx
import orjson
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from bench.load import FailedRequest, MixedLoad, NothingYet
from bench.machine import cpu_seconds
from bench.soak import serving

_DAY_MINUTES: Final = 24 * 60
_ASKS, _REFUSED, _BREAKS = "7000000000000000005", "7000000000000000004", "7000000000000000007"
_WARM: Final = 0.35
_EVENT: Final = re.compile(r'"event_id": ?"([^"]+)"')
_BOUNDS: Final[dict[str, tuple[float, float]]] = {
    "RSS (MB)": (12, 0.06),
    "anonymous (MB)": (12, 0.06),
    "threads": (3, 0.1),
    "open files": (8, 0.15),
    "sockets": (12, 0.3),
    "WAL (MB)": (24, 0.5),
    "temporary files": (2, 0),
    "log (KB)": (4, 0),
    "history (MB)": (16, 0.35),
    "backups (MB)": (16, 0.5),
}
"""By how much a figure may grow: so much, or this share of itself."""


class DayLoad(MixedLoad):
    """What a day has besides; *key* is one of the server's that may do everything."""

    def __init__(self, url: str, token: str, seed: int, key: str) -> None:
        super().__init__(url, token, seed, {"X-Execution-History-Key": key})
        self._key = key
        self._kinds |= {
            self._question: 3, self._chat: 2, self._leave: 3, self._refused: 2, self._broken: 1, self._websocket: 1,
            self._browser: 2, self._restore: 1, self._health: 2, self._reports: 1,
        }  # fmt: skip

    async def _read(self, method: str, path: str, **more: Any) -> bytes:
        """Read an answer; a run that a rule has removed meanwhile is no failure."""
        try:
            return await super()._read(method, path, **more)
        except FailedRequest as error:
            if str(error).startswith("404"):
                raise NothingYet from None
            raise

    async def _question(self) -> None:
        """Ask and answer, through the gateway."""
        body = {"workflow_id": _ASKS, "parameters": {"topic": self._word()}}
        said = await self._read("POST", "/v1/workflow/stream_run", json=body, headers=self._authorised)
        found = _EVENT.search(said.decode())
        if found is None:
            raise FailedRequest(f"no question: {said[:200]!r}")
        answer = {"workflow_id": _ASKS, "event_id": found[1], "resume_data": "Paris", "interrupt_type": 2}
        await self._read("POST", "/v1/workflow/stream_resume", json=answer, headers=self._authorised)

    async def _chat(self) -> None:
        message = {"role": "user", "content": self._word(), "content_type": "text"}
        body = {"workflow_id": "7000000000000000002", "additional_messages": [message], "parameters": {}}
        await self._read("POST", "/v1/workflows/chat", json=body, headers=self._authorised)

    async def _leave(self) -> None:
        """Hang up amid a stream."""
        body = {"workflow_id": "7000000000000000002", "parameters": {"packets": 40, "pace_ms": 30}}
        async with self._answer("POST", "/v1/workflow/stream_run", json=body, headers=self._authorised) as answer:
            async for _ in answer.aiter_raw():
                return

    async def _refused(self) -> None:
        """Run what Coze refuses, with a token that it does not take."""
        body = {"workflow_id": _REFUSED, "parameters": {}}
        headers = {"Authorization": "Bearer wrong"} if self._chance.random() < 0.5 else self._authorised
        answer = await self._client.post("/v1/workflow/run", json=body, headers=headers)
        if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise FailedRequest(str(answer.status_code))

    async def _broken(self) -> None:
        """Run what breaks its connection amid the answer."""
        body = {"workflow_id": _BREAKS, "parameters": {}}
        try:
            await self._client.post("/v1/workflow/stream_run", json=body, headers=self._authorised)
        except httpx.RemoteProtocolError:
            return

    async def _websocket(self) -> None:
        """Open a connection that the upstream refuses."""
        url = self._url.replace("http://", "ws://") + "/v1/chat?workflow_id=7"
        try:
            async with connect(url, additional_headers={**self._headers, **self._authorised}):
                raise FailedRequest("the upstream of this load has no WebSockets")
        except (WebSocketException, OSError):
            return

    async def _browser(self) -> None:
        """Sign in, look around, keep a page open for a while, and sign out."""
        async with httpx.AsyncClient(base_url=self._url, timeout=60, follow_redirects=True) as browser:
            page = await browser.post("/sign-in", data={"key": self._key, "back": "/"})
            for path in ("/runs", "/runs/news?since=0", f"/workflows/{_ASKS}"):
                page = await browser.get(path, headers={"Accept": "text/html"})
                if page.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
                    raise FailedRequest(f"{path}: {page.status_code}")
            async with browser.stream("GET", "/coze/history/live") as feed:
                until = min(self._end, asyncio.get_running_loop().time() + self._chance.uniform(1, 15))
                try:
                    async with asyncio.timeout_at(until):
                        async for _ in feed.aiter_raw():
                            pass
                except TimeoutError:
                    await browser.post("/sign-out")

    async def _restore(self) -> None:
        """Delete a run that nobody else asks for, and bring it back."""
        if not self._doomed:
            raise NothingYet
        workflow_id, execute_id = self._doomed.popleft()
        await self._read("DELETE", f"/coze/workflows/{workflow_id}/history/{execute_id}")
        runs = {"runs": [{"workflow_id": workflow_id, "execute_id": execute_id}]}
        await self._read("POST", "/coze/bin/restore", json=runs)
        await self._read("GET", "/coze/bin")

    async def _health(self) -> None:
        await self._read("GET", self._chance.choice(("/healthz", "/readyz", "/metrics")))

    async def _reports(self) -> None:
        """Look at what administrators look at."""
        paths = (
            "/coze/audit",
            "/coze/backups",
            "/coze/retention",
            "/coze/keys",
            "/coze/breakdown?by=workflow",
            "/coze/overview",
        )
        await self._read("GET", self._chance.choice(paths))

    async def key_for(self, name: str) -> None:
        """Add a key and revoke it, as administrators do."""
        await self._client.post("/coze/keys", json={"name": name, "scopes": ["read"]})
        await self._read("DELETE", f"/coze/keys/{name}")


def figures(process: int, folder: Path) -> dict[str, float]:
    """Return the figures of the server now, by the names of ``_BOUNDS``, and some that are only shown."""
    proc = Path(f"/proc/{process}")
    status = {
        name: rest.split()
        for name, _, rest in (line.partition(":") for line in (proc / "status").read_text().splitlines())
    }
    links = []
    for each in (proc / "fd").iterdir():
        try:
            links.append(str(each.readlink()))
        except OSError:
            continue  # closed meanwhile
    sockets = sum(each.startswith("socket:") for each in links)
    return {
        "RSS (MB)": int(status["VmRSS"][0]) / 1024,
        "anonymous (MB)": int(status["RssAnon"][0]) / 1024,
        "threads": int(status["Threads"][0]),
        "open files": len(links) - sockets,
        "sockets": sockets,
        "WAL (MB)": sum(_size(each) for each in (folder / "history").glob("*-wal")) / 2**20,
        "temporary files": sum(1 for _ in (folder / "tmp").iterdir()),
        "log (KB)": _size(folder / "standard-error") / 1024,
        "history (MB)": sum(map(_size, (folder / "history").iterdir())) / 2**20,
        "backups (MB)": sum(map(_size, (folder / "backups").rglob("*"))) / 2**20,
        "CPU (s)": cpu_seconds(process),
    }


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


async def watch(load: DayLoad, process: int, folder: Path, options: argparse.Namespace) -> list[dict[str, float]]:
    """Put the load on the server, and take the figures every few seconds until it is over."""
    samples: list[dict[str, float]] = []
    began = time.monotonic()
    loading = asyncio.create_task(load.run(options.rate, options.minutes * 60))
    while not loading.done():
        await asyncio.wait((loading,), timeout=options.every)
        samples.append(
            {"seconds": time.monotonic() - began, "records": await load.records(), **figures(process, folder)}
        )
        if len(samples) % 6 == 1 and not loading.done():
            await load.key_for(f"guest-{len(samples)}")
    await loading
    return samples


def table(samples: Sequence[dict[str, float]]) -> Iterator[str]:
    """Yield a Markdown table: each figure at the quarters, in the first and the last third, its slope, whether it is flat."""
    quarters = [samples[(len(samples) - 1) * number // 4] for number in range(1, 5)]
    warm = [each for each in samples if each["seconds"] >= _WARM * samples[-1]["seconds"]]
    third = max(1, len(warm) // 3)
    hours = [each["seconds"] / 3600 for each in warm]
    yield "| figure | at 1/4 | 2/4 | 3/4 | the end | first third | last third | most | slope in an hour | |"
    yield "|---" * 10 + "|"
    for name in samples[0]:
        if name in {"seconds", "CPU (s)"}:
            continue
        values = [each[name] for each in warm]
        begin, end = median(values[:third]), median(values[-third:])
        slope = linear_regression(hours, values).slope if len(values) > 1 else 0.0
        word = "" if name not in _BOUNDS else "flat" if _is_flat(name, begin, end) else "GROWN"
        at = " | ".join(f"{each[name]:,.1f}" for each in quarters)
        yield f"| {name} | {at} | {begin:,.1f} | {end:,.1f} | {max(values):,.1f} | {slope:+,.1f} | {word} |"


def _is_flat(name: str, begin: float, end: float) -> bool:
    least, share = _BOUNDS[name]
    return end - begin <= max(least, share * begin)


def main() -> None:
    """Run the day, print the table, and end with 1 where something has grown or failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.day", description=__doc__)
    parser.add_argument("--minutes", type=float, default=11)
    parser.add_argument("--rate", type=float, default=50, help="requests a second; every second one is a run")
    parser.add_argument("--every", type=float, default=10, help="seconds between two samples")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder when not given")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server ends too
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        lines, is_well = asyncio.run(_day(folder, options))
    finally:
        shutil.rmtree(folder)
    print("\n".join(lines))
    sys.exit(0 if is_well else 1)


async def _day(folder: Path, options: argparse.Namespace) -> tuple[list[str], bool]:
    (folder / "tmp").mkdir()
    hour = options.minutes / 24  # minutes of ours in an hour of the server's
    variables = {
        "TMPDIR": str(folder / "tmp"),
        "EXECUTION_HISTORY_RETENTION": '[{"older_than":"2h"}]',
        "EXECUTION_HISTORY_BIN_HOURS": "1",
        "EXECUTION_HISTORY_BACKUP": orjson.dumps(
            {"to": str(folder / "backups"), "every_hours": 2, "full_every_days": 0.25, "keep": 1}
        ).decode(),
    }
    module = ("bench.fast_clock", str(60 / (hour * 60) * 60))
    with serving(folder, folder / "standard-error", apart=False, module=module, **variables) as (process, url, token):
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            made = (await client.post("/coze/keys", json={"name": "day", "scopes": ["admin", "run"]})).json()
        load = DayLoad(url, token, options.seed, made["secret"])
        samples = await watch(load, process, folder, options)
        jobs = await _state(url, made["secret"])
    remarks = [each for each in (folder / "standard-error").read_text().splitlines() if each != "Stopped."]
    sent, failed = sum(load.sent.values()), sum(load.failed.values())
    lines = [
        *table(samples),
        f"{sent:,} requests: " + ", ".join(f"{name} {count:,}" for name, count in load.sent.most_common()),
    ]
    lines += [f"{failed:,} failed.", *(f"  {count:,} × {what}" for what, count in load.failed.most_common(10))]
    lines += [f"CPU {samples[-1]['CPU (s)']:,.0f} s of the server. {jobs}"]
    lines += [f"The server wrote {len(remarks):,} lines on standard error.", *remarks[-5:]]
    return lines, not failed and "GROWN" not in "\n".join(lines)


async def _state(url: str, key: str) -> str:
    """Say what the schedule has done."""
    async with httpx.AsyncClient(base_url=url, timeout=60, headers={"X-Execution-History-Key": key}) as client:
        backups = (await client.get("/coze/backups")).json()
        retention = (await client.get("/coze/retention")).json()
    return f"Last backup: {orjson.dumps(backups)[:300].decode()}; last retention: {orjson.dumps(retention['last_run'])[:300].decode()}"


if __name__ == "__main__":
    main()
