"""Figures as tables: for a terminal, for documents, and two files of results beside each other."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from statistics import median
from typing import Final

from bench.figures import Figure, Results, ratios_of

_HEADS: Final = ("measured", "CPU each", "ratio", "CPU", "beside", "goal", "met")
_WIDTHS: Final = (28, 10, 8, 8, 7, 19, 10, 3)
_LEFT: Final = (0, 5, 6, 7)
_WORDS: Final[Mapping[str, tuple[Sequence[str], str, Sequence[str]]]] = {
    "en": ((_HEADS[0], "least to most", *_HEADS[1:]), " to ", ("yes", "no")),
    "zh": (("测得", "最小到最大", "每次 CPU", "比值", "CPU 比值", "对照", "目标", "达到"), " 到 ", ("是", "否")),
}
"""The heads of a table in a document, what stands between the ends of a spread, and whether a goal is met."""

_ABOUT: Final = (
    "Measured on {date} at commit {commit}: {cpu}, {cores} cores, {memory:.0f} GB, {system}, Python {python}; "
    "a sync takes {sync}; load average {load:.1f} at the beginning."
)
_ABOUT_ZH: Final = (
    "{date} 测于提交 {commit}：{cpu}，{cores} 核，{memory:.0f} GB，{system}，Python {python}；"
    "一次同步 {sync}；开始时的平均负载为 {load:.1f}。"
)
_SIGNS: Final = {"ratio": " ×", "cpu ratio": " CPU"}


def amount(value: float, unit: str) -> str:
    """Return a value with as many digits as mean something."""
    digits = 0 if abs(value) >= 100 or (unit == "/s" and abs(value) >= 10) else 1 if abs(value) >= 10 else 2
    if unit == "ms" and abs(value) < 0.1:
        digits = 3
    return f"{value:,.{digits}f}" + (unit if unit.startswith("/") else f" {unit}")


def ratio(value: float) -> str:
    """Return a ratio."""
    return f"{value:,.2f} ×" if value < 10 else f"{value:,.0f} ×"


def goal(figure: Figure) -> str:
    """Return the goal of a figure."""
    aim = figure.goal
    if aim is None:
        return ""
    sign, bound = ("≥", aim["at_least"]) if aim["at_least"] is not None else ("≤", aim["at_most"])
    unit = _SIGNS.get(aim["of"], "" if figure.unit.startswith("/") else f" {figure.unit}")
    plus = "+" if aim["of"] == "difference" else ""
    return f"{sign} {plus}{bound:,g}{unit}"


def beside(figure: Figure) -> str:
    """Return what a figure is compared with, without the words that both begin with."""
    other = figure.beside or ""
    words = figure.name.split(", ")
    while len(words) > 1 and other.startswith(f"{words[0]}, "):
        other = other.removeprefix(f"{words.pop(0)}, ")
    return other


def compared(figure: Figure) -> tuple[str, str]:
    """Return the ratios of the values and of the CPU times, or the difference of the values where that has the goal."""
    first = "" if figure.ratio is None else ratio(figure.ratio)
    if figure.goal and figure.goal["of"] == "difference" and figure.beside_value is not None:
        first = f"{figure.value - figure.beside_value:+.2f} {figure.unit}"
    return first, "" if figure.cpu_ratio is None else ratio(figure.cpu_ratio)


def microseconds(value: float | None) -> str:
    """Return a CPU time."""
    if value is None:
        return ""
    return (
        f"{value:,.0f} µs"
        if value < 10_000
        else f"{value / 1000:,.0f} ms"
        if value < 10**7
        else f"{value / 1e6:,.0f} s"
    )


def _cells(figure: Figure, words: Sequence[str] = ("yes", "no")) -> Sequence[str]:
    met = "" if figure.met is None else words[0] if figure.met else words[1]
    measured = amount(figure.value, figure.unit), microseconds(figure.cpu_us)
    return figure.name, *measured, *compared(figure), beside(figure), goal(figure), met


def terminal(figures: Iterable[Figure], *, details: bool = False) -> Iterator[str]:
    """Yield the lines of a table that fits into a hundred columns; longer names push the rest of their line."""
    for part, rows in groupby((each for each in figures if details or not each.detail), lambda each: each.part):
        yield _line((part.upper(), *_HEADS))
        yield from (_line(_cells(figure)) for figure in rows)
        yield ""


def _line(cells: Sequence[str]) -> str:
    sized = enumerate(zip(cells, _WIDTHS, strict=True))
    return " ".join(cell.ljust(width) if n in _LEFT else cell.rjust(width) for n, (cell, width) in sized).rstrip()


def markdown(results: Results, language: str = "en") -> Iterator[str]:
    """Yield the tables of ``docs/performance.md``; names of figures are those of the file in any language."""
    heads, to, words = _WORDS[language]
    yield about(results, language)
    figures = [each for each in results.figures if not each.detail]
    for part, rows in groupby(figures, lambda each: each.part):
        yield from ("", f"### {part}", "", f"| | {' | '.join(heads)} |", "|---" * 9 + "|")
        for figure in rows:
            name, value, *rest = _cells(figure, words)
            spread = to.join(amount(end, figure.unit).split()[0].removesuffix("/s") for end in figure.spread)
            yield f"| {' | '.join((name, value, spread, *rest))} |"


def about(results: Results, language: str = "en") -> str:
    """Return when and where results were measured, in sentences; remarks are in English only."""
    machine = results.about["machine"]
    simulated = machine["sync_simulated_ms"]
    values = {
        "date": results.about["date"][:10],
        "commit": results.about["commit"][:8],
        **{name: machine[name] for name in ("cpu", "cores", "system", "python", "load")},
        "memory": machine["memory_gb"],
    }
    if language == "zh":
        sync = f"{machine['sync_ms']:.2f} 毫秒" if simulated is None else f"{simulated:g} 毫秒（模拟）"
        sentence = _ABOUT_ZH.format(sync=sync, **values)
        return (
            f"{sentence}部分数据来自更早的测量，说明（英文）见 docs/performance.md。" if results.remarks else sentence
        )
    sync = f"{machine['sync_ms']:.2f} ms" if simulated is None else f"{simulated:g} ms (simulated)"
    return " ".join((_ABOUT.format(sync=sync, **values), *results.remarks))


def comparison(old: Results, new: Results) -> Iterator[str]:
    """Yield the ratio of each figure of *new* to that of *old*, with the least and the most that it can be.

    Two checkouts that took turns are compared round by round, two other files by the ends of their spreads.
    """
    before = {each.key: each for each in old.figures}
    took_turns = old.about["run"] == new.about["run"]
    yield f"{'':44}  {'old':>12}  {'new':>12}  {'new/old':>8}  {'spread':>13}  {'CPU':>7}"
    shown = set()
    for figure in new.figures:
        earlier = before.get(figure.key)
        is_shared = took_turns and earlier is not None and earlier.values == figure.values
        if earlier is None or is_shared or (figure.part, figure.name) in shown:
            continue
        shown.add((figure.part, figure.name))
        yield _compared_line(earlier, figure, took_turns=took_turns)


def _compared_line(old: Figure, new: Figure, *, took_turns: bool) -> str:
    ratios = ratios_of(new.values, old.values) if took_turns else ratios_of(new.spread, old.spread[::-1])
    middle = median(ratios) if took_turns and ratios else new.value / old.value if old.value else None
    cpu = new.cpu_us / old.cpu_us if new.cpu_us and old.cpu_us else None
    ends = f"{min(ratios):.2f}–{max(ratios):.2f}" if ratios else ""
    verdict = ""
    if ratios and len(new.values) > 1 and (min(ratios) > 1 or max(ratios) < 1):
        verdict = "better" if new.unit.endswith("/s") == (min(ratios) > 1) else "worse"
    return (
        f"{f'{new.part}: {new.name}':44}  {amount(old.value, old.unit):>12}  {amount(new.value, new.unit):>12}  "
        f"{'' if middle is None else ratio(middle):>8}  {ends:>13}  {'' if cpu is None else ratio(cpu):>7}  {verdict}"
    ).rstrip()
