"""Take the pictures in ``docs/images``: ``python scripts/make_pictures.py`` in a checkout with Chromium.

A server with a sandbox records a few dozen runs; they are spread over a day, so that the pages look as they do in use.
"""

import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import async_playwright

IMAGES = Path(__file__).resolve().parents[1] / "docs/images"
LANGUAGES = {"en": "overview.png", "zh-CN": "overview.zh-CN.png"}
FIRST = 7_000_000_000_000_000_000
CITIES = ("Paris", "Lisbon", "Kyoto", "Oslo", "厦门", "Berlin")
COMMON = (1, 1, 2, 2, 2, 9, 11, 12, 13)
RARE = (3, 5, 3, 16)
RUNS = 120
DAY = 24 * 3_600_000
YEAR_2001 = 10**12  # no count in a record is as large as a time


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Serve the history ``history`` in *folder* with a sandbox; the value is the address."""
    command = [sys.executable, "-m", "execution_history", "serve", "--port", "0", "--sandbox", "--sandbox-port", "0"]
    environment = os.environ | {"XDG_STATE_HOME": str(folder)}
    process = subprocess.Popen(
        [*command, "--json", "--store", "history"], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        lines: list[str] = []
        while not lines or lines[-1] != "}\n":
            lines.append((process.stdout or sys.exit("serve has no output")).readline())
        yield json.loads("".join(lines))["url"]
    finally:
        process.terminate()
        process.wait()


def call(url: str, body: bytes | None = None, kind: str = "application/json") -> bytes:
    """Return the answer to a request of the server."""
    request = urllib.request.Request(url, body, {"Content-Type": kind})  # noqa: S310 - our own server
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - as above
        content: bytes = answer.read()
    return content


def record_runs(url: str, choice: random.Random) -> None:
    """Run workflows of the sandbox, some of which fail or ask."""
    for number in range(RUNS):
        workflow = choice.choice(COMMON if number % 9 else RARE)
        parameters: dict[str, object] = {"city": choice.choice(CITIES), "pace_ms": choice.choice((1, 3, 5, 9))}
        if workflow == 2:  # noqa: PLR2004 - the one that takes it
            parameters["packets"] = choice.randint(8, 30)
        body = json.dumps({"workflow_id": str(FIRST + workflow), "parameters": parameters}).encode()
        call(f"{url}/coze/workflows/stream_run", body)


def moved(value: Any, by: int) -> Any:  # noqa: ANN401 - any JSON
    """Return *value* with all times in it earlier by *by* milliseconds."""
    if isinstance(value, dict):
        return {key: moved(each, by) for key, each in value.items()}
    if isinstance(value, list):
        return [moved(each, by) for each in value]
    return value - by if isinstance(value, int) and YEAR_2001 < value < 2 * YEAR_2001 else value


async def take(url: str) -> None:
    """Take the first page in each language."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for language, name in LANGUAGES.items():
            context = await browser.new_context(
                viewport={"width": 1_100, "height": 660}, locale=language, color_scheme="light", timezone_id="UTC"
            )
            page = await context.new_page()
            await page.goto(url)
            await page.screenshot(path=IMAGES / name)
        await browser.close()


def main() -> None:
    """Record runs in one history, move them into another, and take its pictures."""
    choice = random.Random(4)
    with tempfile.TemporaryDirectory() as folder, server(Path(folder)) as url:
        record_runs(url, choice)
        lines = call(f"{url}/coze/export?format=jsonl").splitlines()
    records = [moved(json.loads(line), int(choice.random() ** 2 * DAY)) for line in lines]
    exported = b"".join(json.dumps(record).encode() + b"\n" for record in records)
    with tempfile.TemporaryDirectory() as folder, server(Path(folder)) as url:
        call(f"{url}/coze/import?format=jsonl", exported, "application/x-ndjson")
        asyncio.run(take(url))


if __name__ == "__main__":
    main()
