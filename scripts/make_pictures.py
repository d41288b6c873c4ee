"""Take the pictures in ``docs/images``: ``python scripts/make_pictures.py`` in a checkout with Chromium.

They are of the demo, which has the same runs each time.
"""

import asyncio
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.async_api import Browser, async_playwright

IMAGES = Path(__file__).resolve().parents[1] / "docs/images"
LANGUAGES = {"en": "", "zh-CN": ".zh-CN"}
FAILED = "/coze/workflows/7536912840317468672/history?status=failed&page_size=1"


@contextmanager
def demo() -> Iterator[str]:
    """Serve the demo; the value is the address."""
    command = [sys.executable, "-m", "execution_history", "serve", "--demo", "--port", "0", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        lines: list[str] = []
        while not lines or lines[-1] != "}\n":
            lines.append((process.stdout or sys.exit("serve has no output")).readline())
        yield json.loads("".join(lines))["url"]
    finally:
        process.terminate()
        process.wait()


def failed_run(url: str) -> str:
    """Return the path of the page of a run that failed."""
    with urllib.request.urlopen(url + FAILED) as answer:  # noqa: S310 - our own server
        record = json.load(answer)["histories"][0]
    return f"/workflows/{record['workflow_id']}/runs/{record['execute_id']}"


async def take(browser: Browser, url: str, language: str, path: str, name: str, height: int) -> None:
    """Take one page in one language, without what stands below the fold."""
    context = await browser.new_context(
        viewport={"width": 1_200, "height": height}, locale=language, color_scheme="light", timezone_id="UTC"
    )
    page = await context.new_page()
    await page.goto(url + path)
    await page.screenshot(path=IMAGES / f"{name}{LANGUAGES[language]}.png")
    await context.close()


async def take_all(url: str) -> None:
    """Take every picture."""
    pages = {"overview": ("/", 760), "run": (failed_run(url), 700)}
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for name, (path, height) in pages.items():
            for language in LANGUAGES:
                await take(browser, url, language, path, name, height)
        await browser.close()


def main() -> None:
    """Serve the demo and take its pictures."""
    with demo() as url:
        asyncio.run(take_all(url))


if __name__ == "__main__":
    main()
