"""Check an installed execution-history as its user meets it: the command, a recorded run, the page in both languages.

``python check_installed.py`` with the Python of an environment that has the package and nothing else of ours; only the
standard library is used here. It serves an empty history and the sandbox on free ports, in a folder of its own, and
ends with 1 and a sentence at the first thing that is not as it should be.
"""

import json
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

COMMAND = str(Path(sysconfig.get_path("scripts")) / "execution-history")
WORKFLOW = "7000000000000000001"
SECONDS = 60
LANGUAGES = {"en": 'lang="en', "zh-CN": 'lang="zh'}


def require(holds: object, sentence: str) -> None:
    """End with *sentence* unless it *holds*."""
    if not holds:
        sys.exit(f"The installed package is not whole: {sentence}")


def run(*arguments: str, **environment: str) -> str:
    """Return what the command prints; it has to succeed."""
    ended = subprocess.run(
        [COMMAND, *arguments],
        env=os.environ | environment,
        capture_output=True,
        encoding="utf-8",
        timeout=SECONDS,
        check=False,
    )
    require(ended.returncode == 0, f"{' '.join(arguments)} ended with {ended.returncode}: {ended.stderr}")
    return ended.stdout


def fetch(url: str, body: object = None, **headers: str) -> bytes:
    """Return the answer to a request; with a *body*, one that posts it as JSON."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"} | headers)  # noqa: S310 - our server
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310 - as above
        content: bytes = answer.read()
    return content


def check_command() -> None:
    """Check that the command names its version, and that its help is there in both languages."""
    require(re.match(r"execution-history \d+\.\d+", run("--version")), "--version names no version")
    english, chinese = (run("--help", LC_ALL=locale) for locale in ("C.UTF-8", "zh_CN.UTF-8"))
    require(re.search("[一-鿿]", chinese), "--help is not Chinese in a Chinese locale")
    require(not re.search("[一-鿿]", english), "--help is not English in an English locale")


def links(page: str) -> set[str]:
    """Return the addresses on this server that a page names."""
    return {each for each in re.findall(r'(?:src|href)="([^"#]+)"', page) if not re.match(r"\w+:|//", each)}


def check_server(url: str) -> None:
    """Check that a run is recorded, and that every page, file and description that a browser loads is served."""
    require(fetch(f"{url}/coze/workflows/{WORKFLOW}/run", {"parameters": {"city": "Paris"}}), "a run has no answer")
    (record,) = json.loads(fetch(f"{url}/coze/workflows/{WORKFLOW}/history"))["histories"]
    require(record["execute_status"] == "success", f"the recorded run is {record['execute_status']}")
    for language, mark in LANGUAGES.items():
        page = fetch(url, **{"Accept-Language": language}).decode()
        require(mark in page and WORKFLOW in page, f"the first page in {language} does not show the run")
        for address in links(page):
            require(fetch(urljoin(url, address), **{"Accept-Language": language}), f"{address} is empty")
    for address in ("/docs", "/openapi.json"):
        require(fetch(url + address), f"{address} is empty")


def main() -> None:
    """Check the command, then a server in a folder of its own."""
    check_command()
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"LC_ALL": "C.UTF-8", "XDG_STATE_HOME": folder}
        server = subprocess.Popen(
            [COMMAND, "serve", "--port", "0", "--sandbox", "--sandbox-port", "0", "--json", "--store", "history"],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        try:
            check_server(announced(server)["url"])
        finally:
            server.terminate()
            code = server.wait(SECONDS)
        require(code == 0, f"serve ended with {code}")
        listed = run("list", "--store", str(Path(folder) / "history"))
        require(WORKFLOW in listed, "list does not show the run")
    print("The installed package is whole.")


def announced(server: "subprocess.Popen[str]") -> dict[str, Any]:
    """Return the JSON document in which the server names its addresses."""
    text = ""
    for line in server.stdout or ():
        text += line
        try:
            document: dict[str, Any] = json.loads(text)
        except ValueError:
            continue
        return document
    sys.exit("The installed package is not whole: serve ended before it named its address")


if __name__ == "__main__":
    main()
