"""``python -m bench.fuzz``: everything that others send, made up and damaged, for as long as you like.

Four parts. ``http``: schemathesis over the whole OpenAPI description, against a server with a sandbox and some history,
without keys, with a key that may do everything and with one that may read some workflows. ``hostile``: requests byte by byte.
``guided``: each parser under atheris. ``growth``: what takes longer than in proportion to what is read.

The command ends with 1 where something failed. The same seed sends the same, as far as the parts decide it.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import httpx

from bench.growth import grown
from bench.hostile import attack
from bench.parsers import GROUPS
from bench.parsers.target import Target, checked
from bench.setup import ROOT
from bench.soak import serving

_CASES: Final = re.compile(r"([\d,]+) generated")
_UNITS: Final = re.compile(r"number_of_executed_units: *(\d+)")
_COVERAGE: Final = re.compile(r"cov: (\d+)")
_WORKFLOWS: Final = ("7000000000000000001", "7000000000000000002", "7000000000000000003", "7000000000000000004")
_NO_CHECKS: Final = "positive_data_acceptance"  # no description has which cursors, filters and names there are
_CLOSES: Final = ("POST /coze/keys", "DELETE /coze/keys/{key}")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends requests: a name, the headers of it, and what it leaves out."""

    name: str
    headers: dict[str, str]
    spared: tuple[str, ...] = ()


def _filled(url: str, token: str) -> dict[str, list[str]]:
    """Make some history of every kind, and return the ids by the names of parameters."""
    known: dict[str, list[str]] = {"workflow_id": [*_WORKFLOWS, "none"]}
    with httpx.Client(base_url=url, timeout=60) as client:
        runs = []
        for number in range(12):
            workflow = _WORKFLOWS[number % len(_WORKFLOWS)]
            body = {"workflow_id": workflow, "parameters": {"n": number, "text": "北京"}}
            kind = "stream_run" if number % 2 else "run"
            client.post(f"/v1/workflow/{kind}", json=body, headers={"Authorization": f"Bearer {token}"})
            client.post(f"/coze/workflows/{workflow}/run", json={"parameters": {"n": number}})
        for record in client.get("/coze/history").json()["histories"]:
            runs.append(record["execute_id"])
        view = client.post("/coze/views", json={"name": "failed", "filters": {"status": "failed"}}).json()
        change = client.post("/coze/history/annotate", json={"filters": {"q": "北京"}, "tags": ["seen"]}).json()
        client.put("/coze/prices", json={"input": 0.1, "output": "0.2"})
        known |= {
            "execute_id": runs,
            "view_id": [view["view"]["id"]],
            "change_id": [change["change"]["id"]],
            "key": ["spare"],
        }
    return known


def _callers(url: str) -> Iterator[Caller]:
    """Yield the callers; the keys of the later ones are made when it is their turn."""
    yield Caller("no key", {}, _CLOSES)
    with httpx.Client(base_url=url, timeout=60) as client:
        made = client.post("/coze/keys", json={"name": "all", "scopes": ["admin"]}).json()
        admin = {"X-Execution-History-Key": made["secret"]}
        yield Caller("a key for everything", admin, _CLOSES[1:])
        narrow = {"name": "some", "scopes": ["read"], "workflows": ["*1", "*2"]}
        made = client.post("/coze/keys", json=narrow, headers=admin).json()
        yield Caller("a key for some workflows", {"X-Execution-History-Key": made["secret"]})


def over_http(options: argparse.Namespace, folder: Path, seconds: float) -> Iterator[str]:
    """Yield what failed, after a line for each caller on the standard output."""
    remarks = folder / "standard-error"
    with ExitStack() as stack:
        store = ""
        if options.postgres:
            from bench.postgres_server import served  # noqa: PLC0415 - an extra

            store = stack.enter_context(served(Path(stack.enter_context(TemporaryDirectory())))).history("fuzzed")
        _, url, token = stack.enter_context(serving(folder, remarks, apart=False, store=store))
        known = _filled(url, token)
        described = httpx.get(f"{url}/openapi.json", timeout=60).json()["paths"]
        routes = [(method, path) for path, methods in described.items() for method in methods]
        routes += [
            ("get", "/"),
            ("get", "/runs"),
            ("get", "/compare"),
            ("post", "/v1/workflow/run"),
            ("post", "/v1/chat"),
        ]
        for number, caller in enumerate(_callers(url)):
            if "http" in options.parts:
                yield from _described(url, caller, known, options.seed + number, seconds / 3, folder)
            if "hostile" in options.parts:
                headers = [f"{name}: {value}".encode() for name, value in caller.headers.items()]
                found = asyncio.run(attack(url, routes, headers, options.seed + number, seconds / 12))
                print(
                    f"hostile requests with {caller.name}: {found.sent:,}; {dict(found.statuses.most_common(12))}",
                    flush=True,
                )
                yield from found.faults[:10]
            if httpx.get(f"{url}/healthz", timeout=60).status_code != httpx.codes.OK:
                yield f"after {caller.name} the server was not well"
    text = remarks.read_text(errors="replace")
    if "Traceback" in text:
        yield f"the server wrote a traceback: {text[text.index('Traceback') :][:4_000]}"


def _described(
    url: str, caller: Caller, known: dict[str, list[str]], seed: int, seconds: float, folder: Path
) -> Iterator[str]:
    """Run schemathesis once, and yield its report where something failed."""
    command = [str(Path(sys.executable).parent / "schemathesis"), "run", f"{url}/openapi.json", "--checks", "all"]
    command += [
        "--exclude-checks",
        _NO_CHECKS,
        "--phases",
        "coverage,fuzzing,stateful",
        "--seed",
        str(seed),
        "--no-color",
    ]
    command += ["--continue-on-failure", "--suppress-health-check", "all", "--request-timeout", "30"]
    command += ["--generation-database", "none", "--max-time", str(max(1, int(seconds)))]
    for name, value in caller.headers.items():
        command += ["--header", f"{name}: {value}"]
    for each in caller.spared:
        command += ["--exclude-name", each]
    variables = {**os.environ, "SCHEMATHESIS_HOOKS": "bench.described", "EXECUTION_HISTORY_FUZZED": json.dumps(known)}
    variables["PYTHONPATH"] = os.pathsep.join((str(ROOT / "src"), str(ROOT)))
    done = subprocess.run(command, capture_output=True, text=True, env=variables, cwd=folder, check=False)
    cases = _CASES.search(done.stdout)
    print(f"described requests with {caller.name}: {cases[1] if cases else '?'}", flush=True)
    if done.returncode:
        begin = done.stdout.find("= FAILURES =")
        yield done.stdout[begin if begin >= 0 else -4_000 :] + done.stderr[-2_000:]


def guided(target: Target, group: str, seed: int, seconds: float, folder: Path) -> Iterator[str]:
    """Run a parser under atheris in a process of its own, and yield what it failed at."""
    place = folder / "corpora" / target.name.replace(" ", "-")
    place.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "bench.guided", group, target.name, "--folder", str(place)]
    command += ["--seconds", str(max(1, int(seconds))), "--seed", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", cwd=ROOT, check=False)
    units, coverage = _UNITS.search(done.stderr), _COVERAGE.findall(done.stderr)
    print(
        f"{target.name}: {int(units[1]) if units else 0:,} inputs, coverage {coverage[-1] if coverage else '?'}",
        flush=True,
    )
    if done.returncode:
        yield f"{target.name} failed ({place}): {(done.stdout + done.stderr)[-3_000:]}"


def parsers(options: argparse.Namespace, folder: Path, seconds: float) -> Iterator[str]:
    """Yield what failed in the parsers, of each of them in turn."""
    targets = [(group, each) for group in GROUPS for each in import_module(f"bench.parsers.{group}").TARGETS]
    for number, (group, target) in enumerate(targets):
        if "guided" in options.parts:
            yield from guided(target, group, options.seed + number, seconds / len(targets), folder)
        if "growth" in options.parts:
            for found in grown(replace(target, check=checked(target)), seconds / len(targets)):
                yield (
                    f"{found.parser} takes {found.small:.2f} s, and {found.large:.2f} s for four times as much, where this is "
                    f"repeated: {found.repeated!r}"
                )


@contextmanager
def _working_folder(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    folder = Path(tempfile.mkdtemp())
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def main() -> None:
    """Run the parts, one after the other, and end with 1 where something failed."""
    parts: dict[str, Callable[..., Any]] = {
        "http": over_http,
        "hostile": over_http,
        "guided": parsers,
        "growth": parsers,
    }
    parser = argparse.ArgumentParser(prog="python -m bench.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--postgres", action="store_true", help="with the history in PostgreSQL")
    parser.add_argument("--parts", nargs="+", choices=parts, default=list(parts))
    parser.add_argument(
        "--folder", type=Path, help="where to work and to keep corpora; a temporary folder when not given"
    )
    options = parser.parse_args()
    wanted = list(dict.fromkeys(parts[name] for name in options.parts))
    failed = []
    with _working_folder(options.folder) as folder:
        for part in wanted:
            failed += list(part(options, folder, options.minutes * 60 / len(wanted)))
    print("\n".join(failed) if failed else "Nothing failed.")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
