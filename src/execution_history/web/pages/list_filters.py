"""The filter bar of a list: tabs with numbers, presets of time, facets with counts, the values of fields. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from execution_history.errors import N_
from execution_history.presentation.formatting import exact, one_line
from execution_history.presentation.phrases import RUN_MODES, STATUSES, WINDOWS
from execution_history.query.breakdown import Breakdown, By
from execution_history.query.fields import FILTERS
from execution_history.query.model import Statistics
from execution_history.query.values import MODE_NAMES
from execution_history.web.pages.list_state import ListState
from execution_history.web.pages.viewer import Viewer

TAB_FILTERS: Final = ("status", "pinned")
"""The filters that tabs set; their numbers are counted without them."""

PRESETS: Final = {"1h": N_("1 hour"), **WINDOWS}

FACETS: Final[tuple[By, ...]] = ("error", "failed_node", "tag", "account", "caller", "mode", "bot")
"""What the values of a list are counted by; each is the name of its filter, too."""

_NAMES: Final = {
    "success": N_("Success"),
    "running": N_("Running"),
    "failed": N_("Failed"),
    "interrupted": N_("Interrupted"),
}
_ORDER: Final = ("failed", "running", "interrupted", "success", "other")
_TIMES: Final = frozenset(row.name for row in FILTERS if row.values.kind == "time")
_FLAGS: Final = frozenset(row.name for row in FILTERS if row.values.kind == "bool")
_LABELS: Final = {row.name: row.label for row in FILTERS}
_MODES: Final = {word: RUN_MODES[number] for number, name in MODE_NAMES.items() for word in (name, str(number))}
_LONGEST: Final = 60


class Count(NamedTuple):
    """A number of runs, or the least that there are; ``None`` where it is not known yet."""

    number: int | None = None
    is_exact: bool = True


class Tab(NamedTuple):
    """A part of a list that is one click away: its key, its name, its address, and the number of its runs."""

    key: str
    label: str
    address: str
    runs: Count
    is_current: bool


class FacetValue(NamedTuple):
    """A value of a facet: how it is shown, how many runs have it, and the address that adds it or takes it away."""

    key: str
    runs: int
    address: str
    is_on: bool


class Facet(NamedTuple):
    """The values of a filter with their counts, the most frequent first, and how many more there are."""

    name: str
    values: list[FacetValue]
    more: int


def current_tab(state: ListState) -> str:
    """Return the key of the tab that a list shows; empty where it shows something between them."""
    statuses, pinned = state.values("status"), state.value("pinned")
    if not statuses:
        return "pinned" if pinned == "true" else "" if pinned else "all"
    return statuses[0] if len(statuses) == 1 and statuses[0] in _ORDER else ""


def tabs_of(state: ListState, counts: Mapping[str, Count]) -> list[Tab]:
    """Return the tabs of a list; ``counts`` has what is known by their keys."""
    current = current_tab(state)
    found: list[tuple[str, str, tuple[tuple[str, str], ...]]] = [("all", N_("All"), ())]
    found += [(key, _NAMES.get(key, N_("Other")), (("status", key),)) for key in _ORDER]
    found += [("pinned", N_("Pinned"), (("pinned", "true"),))]
    tabs = [
        Tab(key, label, state.only(pairs, *TAB_FILTERS), counts.get(key, Count()), key == current)
        for key, label, pairs in found
    ]
    return [tab for tab in tabs if tab.key != "other" or tab.runs.number or tab.is_current]


def counts_of(breakdown: Breakdown) -> dict[str, Count]:
    """Return the numbers of the tabs from a breakdown by status."""
    is_exact = breakdown.covers is None and breakdown.reach.is_complete
    runs = {group.key: group.figures.runs for group in breakdown.groups}
    known = {key: Count(runs.get(key, 0), is_exact) for key in _ORDER}
    return {"all": Count(sum(runs.values()), is_exact), **known}


def counts_of_statistics(found: Statistics) -> dict[str, Count]:
    """Return the numbers of the tabs from statistics, which count all runs."""
    known = {"all": found.totals.runs, **found.totals.counts}
    return {key: Count(runs, found.reach.is_complete) for key, runs in known.items()}


def facet_of(state: ListState, by: By, breakdown: Breakdown) -> Facet:
    """Return the values of one facet of a list; those that are on stand first."""
    on = state.values(by)
    values = [
        FacetValue(group.key, group.figures.runs, state.also(by, group.key), group.key in on)
        for group in breakdown.groups
    ]
    values.sort(key=lambda value: not value.is_on)
    return Facet(by, values, breakdown.total_groups - len(values))


def chips_shown(state: ListState) -> list[tuple[str, str, str]]:
    """Return the filters to show as chips: all but those that a tab shows."""
    hidden = TAB_FILTERS if current_tab(state) else ()
    both = current_tab(state) in STATUSES and state.value("pinned")
    return [chip for chip in state.chips() if chip.name not in hidden or (both and chip.name == "pinned")]


def chip_label(name: str, value: str) -> str:
    """Return what stands before the value of a filter, to be translated: "Started in" the last 24 hours."""
    return N_("Started in") if name == "since" and value in dict(PRESETS) else _LABELS[name]


def shown_value(viewer: Viewer, name: str, value: str) -> str:
    """Return the value of a filter as people read it, on one line."""
    translate = viewer.translate
    if name == "status" and value in STATUSES:
        return translate(STATUSES[value])
    if name in _FLAGS:
        return translate(N_("yes") if value.lower() in {"true", "yes", "1"} else N_("no"))
    if name in _TIMES:
        return _shown_time(viewer, value)
    if name == "mode":
        named = (translate(_MODES[each]) if each in _MODES else one_line(each, _LONGEST) for each in value.split(","))
        return translate(", ").join(named)
    return one_line(value, _LONGEST)


def local_time(viewer: Viewer, value: str) -> str:
    """Return the time in a filter for a field of date and time in the viewer's zone; empty for one such as ``24h``."""
    if value.isascii() and value.isdigit():
        try:
            return datetime.fromtimestamp(int(value) / 1000, viewer.zone).strftime("%Y-%m-%dT%H:%M")
        except (OverflowError, ValueError, OSError):
            return ""
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return ""
    return (found if found.tzinfo is None else found.astimezone(viewer.zone)).strftime("%Y-%m-%dT%H:%M")


def _shown_time(viewer: Viewer, value: str) -> str:
    preset = PRESETS.get(value)
    if preset is not None:
        return viewer.translate("the last %(time)s", time=viewer.translate(preset))
    if value.isascii() and value.isdigit():
        return exact(int(value[:15]), viewer.zone)
    return one_line(value.replace("T", " "), _LONGEST)


def has_blanks(parameters: Sequence[tuple[str, str]]) -> bool:
    """Return whether a form has sent fields that were left empty, which only make an address long."""
    names = {row.name for row in FILTERS}
    return any(name in names and not value.strip() for name, value in parameters)
