"""The write path: create and finish beside bare ``sqlite3``, runs that end together, and deletions."""

from collections.abc import Iterator
from typing import Final

from bench.figures import Goal, Measure, Sample
from bench.setup import Code, Setup

_FILES, _NONE, _MEMORY = "64 callers, JSON files", "64 callers, no files", "64 callers, memory:"
_BARE, _ALONE, _BARE_ALONE = "sqlite3, 50 a commit", "1 caller, JSON files", "sqlite3, 1 a commit"
_TOGETHER, _FEW_TOGETHER = "each end of 2,000 open runs of one workflow", "each end of 200 open runs"
_OLDEST, _NEWEST = "oldest run", "newest run"
_LARGE, _SMALL = "of 20,000", "of 1,000"

WRITE: Final = (
    Measure(_FILES, "/s", _BARE, Goal(of="cpu ratio", at_most=2.0)),
    Measure(_NONE, "/s", _BARE, Goal(of="cpu ratio", at_most=1.3)),
    Measure(_MEMORY, "/s", _BARE),
    Measure(_ALONE, "/s", _BARE_ALONE, Goal(at_least=1_000)),
    Measure(_TOGETHER, "ms", _FEW_TOGETHER),
    Measure(_FEW_TOGETHER, "ms", is_detail=True),
    Measure("a sync of 4 KiB", "ms"),
    Measure(_BARE, "/s", is_detail=True),
    Measure(_BARE_ALONE, "/s", is_detail=True),
)
"""Pairs of create and finish, and ends of runs; CPU times are microseconds for each."""


def write(setup: Setup) -> Iterator[Sample]:
    """Measure pairs of create and finish in a new history each time."""
    many, few = setup.size(20_000, 200), setup.size(2_000, 40)
    kinds = ((_FILES, True, many, 64), (_NONE, False, many, 64), (_MEMORY, False, many, 64), (_ALONE, True, few, 1))
    contestants = [(code, *kind) for kind in kinds for code in setup.codes]
    for number in setup.turns():
        for code, name, json_files, pairs, clients in setup.in_turn(contestants, number):
            place = "memory:" if name == _MEMORY else setup.folder()
            found = setup.call(code, "write", folder=place, json_files=json_files, pairs=pairs, clients=clients)
            yield Sample(name, found["rate"], found["cpu"], code.name)
        for code in setup.in_turn(setup.codes, number):
            for name, count in ((_TOGETHER, setup.size(2_000, 40)), (_FEW_TOGETHER, setup.size(200, 20))):
                found = setup.call(code, "end_together", folder=setup.folder(), count=count)
                yield Sample(name, found["ms"], found["cpu"], code.name)
        if setup.has_baselines:
            yield Sample("a sync of 4 KiB", setup.call(None, "sync", folder=setup.folder())["ms"])
            for name, pairs, per_commit in ((_BARE, many, 50), (_BARE_ALONE, few, 1)):
                found = setup.call(None, "bare_write", folder=setup.folder(), pairs=pairs, per_commit=per_commit)
                yield Sample(name, found["rate"], found["cpu"])


def _deleted(kind: str) -> Iterator[Measure]:
    for at, most in (("p50", 0.5), ("p99", 0.5), ("max", None)):
        yield Measure(
            f"{kind}, {at}, {_LARGE}", "ms", f"{kind}, {at}, {_SMALL}", None if most is None else Goal(at_most=most)
        )
        yield Measure(f"{kind}, {at}, {_SMALL}", "ms", is_detail=True)


DELETES: Final = (*_deleted(_OLDEST), *_deleted(_NEWEST))
"""Single deletions in a workflow of 20,000 runs beside one of 1,000, with JSON files."""


def deletes(setup: Setup) -> Iterator[Sample]:
    """Measure deletions of single runs, one after the other."""
    sizes = ((_LARGE, setup.size(20_000, 600)), (_SMALL, setup.size(1_000, 300)))
    contestants: list[tuple[Code, str, int]] = [(code, *size) for size in sizes for code in setup.codes]
    for number in setup.turns():
        for code, size, stored in setup.in_turn(contestants, number):
            found = setup.call(code, "deletes", folder=setup.folder(), stored=stored, times=setup.size(300, 10))
            for kind, spent in ((_OLDEST, found["oldest"]), (_NEWEST, found["newest"])):
                for at, value in spent.items():
                    yield Sample(f"{kind}, {at}, {size}", value, found["cpu"], code.name)
