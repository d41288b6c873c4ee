"""``python -m bench large FOLDER``: a history of :mod:`bench.fixture` beside one of 1,000 runs.

Runs that it writes are deleted again. One of the large workflows is deleted at the end, unless it is kept: the history
has five of them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench import questions
from bench.figures import Goal, Measure, Sample
from bench.fixture import Fixture, known
from bench.search import asked
from bench.setup import Code, Setup

_SMALL: Final = "at 1,000 runs"
_KINDS: Final = ("64 callers write", "1 caller writes", "first page", "get", "opening")
_GOALS: Final = {
    "64 callers write": Goal(of="ratio", at_least=0.83),
    "1 caller writes": Goal(of="ratio", at_least=0.83),
    "first page": Goal(of="ratio", at_most=1.1),
    "get": None,
    "opening": Goal(at_most=500),
}
_CLEARED: Final = "delete a workflow of a tenth"
_HOLD: Final = "longest write in that minute"


def _unit(kind: str) -> str:
    return "/s" if "write" in kind else "ms"


_NAMES: Final = Fixture(100, 0)
_FLOOR: Final = "no question"

LARGE: Final = (
    *(Measure(f"{kind}, all runs", _unit(kind), f"{kind}, {_SMALL}", _GOALS[kind]) for kind in _KINDS),
    Measure("filter, median", "ms", _FLOOR),
    Measure("filter, slowest", "ms", _FLOOR, Goal(at_most=10)),
    Measure("condition, slowest", "ms", _FLOOR),
    Measure("text, median", "ms", _FLOOR),
    Measure("text, slowest", "ms", _FLOOR, Goal(at_most=50)),
    Measure("text, one hit, slowest", "ms", _FLOOR, Goal(at_most=50)),
    Measure("statistics, slowest", "ms", _FLOOR),
    Measure(_CLEARED, "ms"),
    Measure(_HOLD, "ms", goal=Goal(at_most=50)),
    *(Measure(f"{kind}, {_SMALL}", _unit(kind), is_detail=True) for kind in _KINDS),
    *(Measure(f"filter: {name}", "ms", is_detail=True) for name in questions.filters(_NAMES)),
    *(
        Measure(f"{kind}: {name}", "ms", is_detail=True)
        for kind in ("text", "text, one hit")
        for name in questions.texts()
    ),
    *(Measure(f"statistics: {name}", "ms", is_detail=True) for name in questions.statistics(_NAMES)),
    Measure(_FLOOR, "ms", is_detail=True),
)


def large(setup: Setup, folder: Path, *, is_kept: bool) -> Iterator[Sample]:
    """Measure writing, reading, questions and deleting in the history of *folder*.

    Raises:
        SystemExit: there is none.
    """
    fixture, code = known(folder), setup.codes[0]
    if fixture is None:
        raise SystemExit(f"{folder} has no history of `python -m bench fixture`.")
    small, place = setup.history(code, 1_000).folder, folder / "history"
    stores = {"all runs": place, _SMALL: small}
    for number in setup.turns():
        for name, store in setup.in_turn(list(stores.items()), number):
            yield from _turn(setup, code, store, name, number)
    with setup.serving(code, place) as server:
        server.get("/")
        yield from asked(server, fixture, setup.size(20, 2), code.name)
    if not is_kept:
        left = setup.call(code, "sizes", folder=place)
        workflow = max(fixture.large_workflows(), key=lambda each: int(left.get(each, 0)))
        setup.remark(f"The workflow that was deleted had {left.get(workflow, 0):,} of {fixture.runs:,} runs.")
        found = setup.call(code, "clear", folder=place, workflow_id=workflow, seconds=setup.size(60, 1))
        yield Sample(_CLEARED, found["spent"], code=code.name)
        yield Sample(_HOLD, found["hold"], code=code.name)


def _turn(setup: Setup, code: Code, store: Path, name: str, number: int) -> Iterator[Sample]:
    for clients, pairs in ((64, setup.size(10_000, 100)), (1, setup.size(1_000, 20))):
        seed = 1_000 + 2 * number + (clients == 1)
        found = setup.call(code, "write_to", folder=store, pairs=pairs, clients=clients, seed=seed)
        kind = "64 callers write" if clients > 1 else "1 caller writes"
        yield Sample(f"{kind}, {name}", found["rate"], found["cpu"], code.name)
    read = setup.call(code, "read", folder=store, times=setup.size(2_000, 20))
    for kind, key in (("first page", "page"), ("get", "get")):
        yield Sample(f"{kind}, {name}", read[key]["p50"], read[key]["cpu"], code.name)
    yield Sample(f"opening, {name}", read["opening"] * 1000, code=code.name)
