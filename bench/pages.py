"""``python -m bench.pages``: what the pages cost: the server's time, the weight on the wire, and the first paint.

The history has runs of the last thirty days. The server is the command ``serve`` in a process of its own. A page is
asked for over one connection that is kept alive; its weight is that of itself and of everything that it loads,
compressed as browsers get it; the first paint is what headless Chromium says, in a browser whose cache is empty.
"""

import argparse
import asyncio
import http.client
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median, quantiles

from bench.over_http import server
from bench.records import Run, runs
from execution_history import ExecutionHistoryService
from execution_history.web.pages import urls

_PORT = 18_767
_CHROMIUM = Path("/usr/bin/chromium")
_DAYS = 30
_HEADERS = {"Accept": "text/html", "Accept-Encoding": "gzip"}
_PAINT = """() => new Promise((resolve) => {
  const known = performance.getEntriesByName("first-contentful-paint")[0];
  if (known) resolve(known.startTime);
  new PerformanceObserver((list) => {
    for (const entry of list.getEntriesByName("first-contentful-paint")) resolve(entry.startTime);
  }).observe({ type: "paint", buffered: true });
})"""


@dataclass
class Cost:
    """What one page costs: milliseconds, and bytes on the wire."""

    name: str
    p50: float
    p95: float
    page: int
    weight: int
    paint: float | None = None


async def prepare(folder: Path, stored: int) -> dict[str, str]:
    """Store so many runs; the pages to look at."""
    now = int(time.time() * 1000)
    step = _DAYS * 86_400_000 / stored

    def recent() -> Iterator[Run]:
        for number, run in enumerate(runs(stored)):
            yield replace(run, create_time=now - int((stored - number) * step))

    last: list[Run] = []

    def documents() -> Iterator[object]:
        for run in recent():
            if run.node_execute_status is not None:
                last[:] = [run, *last[:1]]
            yield run.document()

    async with ExecutionHistoryService(folder) as service:
        await service.store.merge(documents())  # type: ignore[arg-type]
        await service.rebuild_index()
    newest, other = last
    keys = [urls.key_of(run.workflow_id, run.execute_id) for run in (newest, other)]
    return {
        "overview": "/",
        "all runs": "/runs",
        "a workflow's runs": urls.runs(newest.workflow_id),
        "failed since yesterday": "/runs?status=failed&since=24h",
        "slowest of a workflow": f"{urls.runs(newest.workflow_id)}?sort=duration",
        "a run": urls.run(newest.workflow_id, newest.execute_id),
        "a run beside its list": f"{urls.runs(newest.workflow_id)}?open={keys[0]}",
        "charts": f"{urls.workflow(newest.workflow_id)}?range=7d",
        "comparison": f"/compare?run={keys[0]}&run={keys[1]}",
    }


def measure(name: str, path: str, times: int) -> Cost:
    """Ask for a page again and again, and once for what it loads."""
    connection = http.client.HTTPConnection("127.0.0.1", _PORT)

    def fetched(address: str) -> tuple[int, bytes]:
        connection.request("GET", address, headers=_HEADERS)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, (address, answer.status)
        return len(body), body

    spent = []
    for _ in range(times):
        began = time.perf_counter()
        size, _ = fetched(path)
        spent.append((time.perf_counter() - began) * 1000)
    connection.request("GET", path, headers={"Accept": "text/html"})
    text = connection.getresponse().read().decode()
    loaded = sum(fetched(address)[0] for address in set(re.findall(r"/assets/[0-9a-f]{12}/[a-z.]+", text)))
    connection.close()
    return Cost(name, median(spent), quantiles(spent, n=20)[18], size, size + loaded)


async def paint(pages: dict[str, str], rounds: int) -> dict[str, float]:
    """Milliseconds to the first paint of each page, the median over browsers that have nothing in their cache."""
    from playwright.async_api import async_playwright  # noqa: PLC0415 - the other figures need no browser

    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    painted: dict[str, float] = {}
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=_CHROMIUM, args=flags)
        for name, path in pages.items():
            spent = []
            for _ in range(rounds):
                context = await browser.new_context(viewport={"width": 1440, "height": 900})
                page = await context.new_page()
                await page.goto(f"http://127.0.0.1:{_PORT}{path}")
                spent.append(float(await page.evaluate(_PAINT)))
                await context.close()
            painted[name] = median(spent)
        await browser.close()
    return painted


def main() -> None:
    """Measure at one size and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.pages", description=__doc__)
    parser.add_argument("--stored", type=int, default=100_000, help="stored runs")
    parser.add_argument("--times", type=int, default=100, help="requests for each page")
    parser.add_argument("--rounds", type=int, default=5, help="browsers for each page; 0 for none")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder when not given")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        pages = asyncio.run(prepare(folder / "history", options.stored))
        serve = [sys.executable, "-m", "execution_history", "serve", "--store", str(folder / "history")]
        with server([*serve, "--port", str(_PORT)], _PORT):
            costs = [measure(name, path, options.times) for name, path in pages.items()]
            painted = asyncio.run(paint(pages, options.rounds)) if options.rounds and _CHROMIUM.exists() else {}
    finally:
        shutil.rmtree(folder)
    print(f"| page at {options.stored:,} runs | server p50 | p95 | page | with everything | first paint |")
    print("|---|---|---|---|---|---|")
    for cost in costs:
        shown = f"{painted[cost.name]:.0f} ms" if cost.name in painted else "–"
        sizes = f"{cost.page / 1000:.1f} KB | {cost.weight / 1000:.1f} KB"
        print(f"| {cost.name} | {cost.p50:.1f} ms | {cost.p95:.1f} ms | {sizes} | {shown} |")


if __name__ == "__main__":
    main()
