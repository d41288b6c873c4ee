"""What it takes to start: commands and imports, beside those of what they are built on."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from bench.figures import Goal, Measure, Sample
from bench.machine import cpu_seconds
from bench.setup import Code, Setup, spent

_BUILT_ON, _ASYNCIO = "its libraries", "import asyncio"

START: Final = (
    Measure("list", "ms", _BUILT_ON, Goal(of="cpu ratio", at_most=1.5)),
    Measure("--help", "ms", _BUILT_ON),
    Measure("import execution_history", "ms", _ASYNCIO, Goal(of="cpu ratio", at_most=3.0)),
    Measure("serve, until it answers", "ms", goal=Goal(at_most=1_000)),
    Measure(_BUILT_ON, "ms", is_detail=True),
    Measure(_ASYNCIO, "ms", is_detail=True),
)
"""Milliseconds from the start of a process to its end, or to its first answer; CPU time in microseconds."""


def start(setup: Setup) -> Iterator[Sample]:
    """Measure commands on a history of 1,000 runs; the first start of each, which writes byte code, is not counted."""
    contestants = [(code, *kind) for code in setup.codes for kind in _commands(setup, code)]
    for _, _, run in contestants:
        run()
    for number in setup.turns(15):
        for code, name, run in setup.in_turn(contestants, number):
            wall, cpu = run()
            is_bare = name in {_BUILT_ON, _ASYNCIO}
            if not is_bare or code is setup.codes[0]:
                yield Sample(name, wall * 1000, cpu * 1e6, "" if is_bare else code.name)


def _commands(setup: Setup, code: Code) -> list[tuple[str, Callable[[], tuple[float, float]]]]:
    store = setup.history(code, setup.size(1_000, 200)).folder
    ours = {
        "list": ("-m", "execution_history", "list", "--store", str(store)),
        "--help": ("-m", "execution_history", "--help"),
    }
    imports = {
        "import execution_history": "import execution_history",
        _BUILT_ON: "import typer, rich, pydantic_settings",
        _ASYNCIO: _ASYNCIO,
    }
    commands = {**ours, **{name: ("-c", statement) for name, statement in imports.items()}}
    found: list[tuple[str, Callable[[], tuple[float, float]]]]
    found = [(name, partial(_command, setup, code, command)) for name, command in commands.items()]
    return [*found, ("serve, until it answers", partial(_served, setup, code, store))]


def _command(setup: Setup, code: Code, arguments: tuple[str, ...]) -> tuple[float, float]:
    found = spent([str(code.python), *arguments], setup.scratch, setup.variables(code))
    return found.wall, found.cpu


def _served(setup: Setup, code: Code, store: Path) -> tuple[float, float]:
    began = time.perf_counter()
    with setup.serving(code, store) as server:
        server.get("/healthz")
        return time.perf_counter() - began, cpu_seconds(server.process)
