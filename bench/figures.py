"""Figures: what a part measures, beside what and with which goal, and the file that keeps them.

A part yields samples, one for each round of each contestant; a figure is their median with its spread. Contestants take
turns, so the ratio of two is the median of the ratios within a round, which a machine that others use disturbs least.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Final, Literal

import orjson

SCHEMA: Final = 1
"""The version of the file of results; ``docs/performance.md`` describes it."""

Subject = Literal["value", "ratio", "cpu ratio", "difference"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A bound on a figure, on its ratio to what it is compared with, on that of their CPU times, or on the difference."""

    of: Subject = "value"
    at_least: float | None = None
    at_most: float | None = None

    def is_met(self, value: float) -> bool:
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)


@dataclass(frozen=True, slots=True)
class Measure:
    """A row of a part's table: the samples of this name, beside those of another.

    Attributes:
        name: of the samples.
        unit: of their values; of one that ends with ``/s`` more is better, of all others less.
        beside: the name of the samples that they are compared with.
        goal: what they should reach.
        is_detail: whether the row stands in the file only, not in the tables.
    """

    name: str
    unit: str
    beside: str = ""
    goal: Goal | None = None
    is_detail: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """What one round gave: a value, and the microseconds of CPU time of all processes that were measured for each unit.

    ``code`` is the name of the checkout that was measured, or empty for what it is compared with.
    """

    name: str
    value: float
    cpu: float | None = None
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of the file; ``docs/performance.md`` describes the fields."""

    part: str
    name: str
    unit: str
    value: float
    spread: tuple[float, float]
    values: list[float]
    cpu_us: float | None
    beside: str | None
    beside_value: float | None
    beside_cpu_us: float | None
    ratio: float | None
    ratio_spread: tuple[float, float] | None
    cpu_ratio: float | None
    goal: dict[str, Any] | None
    met: bool | None
    detail: bool

    @property
    def key(self) -> tuple[str, str, str | None]:
        """What names it in every file."""
        return self.part, self.name, self.beside


def figures_of(part: str, measures: Sequence[Measure], samples: Sequence[Sample], code: str) -> Iterator[Figure]:
    """Yield the figures of the checkout *code*; those without samples, which were skipped, are left out.

    Where nothing that a figure is compared with took part, it stands alone.
    """
    by_name: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.code in {"", code}:
            by_name[sample.name].append(sample)
    present = [each for each in measures if by_name[each.name]]
    complete = [each for each in present if not each.beside or by_name[each.beside]]
    alone = {each.name: each for each in reversed(present)}
    for measure in complete:
        alone.pop(measure.name, None)
    for measure in present:
        if measure in complete:
            yield _figure(part, measure, by_name[measure.name], by_name[measure.beside] if measure.beside else [])
        elif alone.get(measure.name) is measure:
            yield _figure(part, replace(measure, beside=""), by_name[measure.name], [])


def _figure(part: str, measure: Measure, mine: list[Sample], theirs: list[Sample]) -> Figure:
    values, others = [sample.value for sample in mine], [sample.value for sample in theirs]
    ratios = ratios_of(values, others)
    cpu, other_cpu = _cpu(mine), _cpu(theirs)
    subjects: dict[Subject, float | None] = {
        "value": median(values),
        "ratio": median(ratios) if ratios else None,
        "cpu ratio": cpu / other_cpu if cpu and other_cpu else None,
        "difference": median(values) - median(others) if others else None,
    }
    goal = measure.goal
    aimed = None if goal is None else subjects[goal.of]
    return Figure(
        part=part,
        name=measure.name,
        unit=measure.unit,
        value=median(values),
        spread=(min(values), max(values)),
        values=values,
        cpu_us=cpu,
        beside=measure.beside or None,
        beside_value=median(others) if others else None,
        beside_cpu_us=other_cpu,
        ratio=subjects["ratio"],
        ratio_spread=(min(ratios), max(ratios)) if ratios else None,
        cpu_ratio=subjects["cpu ratio"],
        goal=None if goal is None else asdict(goal),
        met=None if goal is None or aimed is None else goal.is_met(aimed),
        detail=measure.is_detail,
    )


def ratios_of(mine: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Return the ratios round by round, where both took part in as many rounds; else that of the medians."""
    if not mine or not theirs:
        return []
    pairs = zip(mine, theirs, strict=True) if len(mine) == len(theirs) else [(median(mine), median(theirs))]
    return [mine / theirs for mine, theirs in pairs if theirs]


def _cpu(samples: Sequence[Sample]) -> float | None:
    known = [sample.cpu for sample in samples if sample.cpu is not None]
    return median(known) if known else None


@dataclass(frozen=True, slots=True)
class Results:
    """The figures of one checkout, with the machine that they were measured on and sentences on what was left out."""

    about: dict[str, Any]
    figures: list[Figure]
    remarks: list[str]

    def save(self, path: Path) -> None:
        """Write them to a file."""
        found = {
            "schema": SCHEMA,
            **self.about,
            "figures": [asdict(each) for each in self.figures],
            "remarks": self.remarks,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))

    def add_to(self, path: Path) -> None:
        """Write them to a file, in place of what it has of the same parts; others stay, with a remark on their commit."""
        there = Results.load(path) if path.exists() else Results(self.about, [], [])
        mine = {each.part for each in self.figures}
        kept = [figure for figure in there.figures if figure.part not in mine]
        remarks = list(dict.fromkeys([*there.remarks, *self.remarks]))
        if kept and there.about["commit"] != self.about["commit"]:
            parts = ", ".join(dict.fromkeys(figure.part for figure in kept))
            remarks.append(f"At commit {there.about['commit'][:8]}, {there.about['date'][:10]}: {parts}.")
        Results(self.about, [*kept, *self.figures], remarks).save(path)

    @classmethod
    def load(cls, path: Path) -> "Results":
        """Read a file.

        Raises:
            SystemExit: it is not one of ours, with a sentence.
        """
        try:
            found = orjson.loads(path.read_bytes())
            version = found.pop("schema")
            figures, remarks = [Figure(**each) for each in found.pop("figures")], found.pop("remarks")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SystemExit(f"{path} is not a file of results of this bench: {error}") from error
        if version != SCHEMA:
            raise SystemExit(f"{path} has version {version} of the schema, and this bench reads {SCHEMA}.")
        return cls(found, figures, remarks)
