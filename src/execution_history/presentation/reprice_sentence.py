"""What page and command line say of costs that were computed again. Pure."""

from collections.abc import Callable, Mapping
from typing import Protocol

from execution_history.errors import N_
from execution_history.presentation.formatting import sums
from execution_history.presentation.translator import Translator


class _Recalculation(Protocol):
    """What :mod:`execution_history.history.cost_recalculation` carries out in the background."""

    @property
    def report(self) -> "_Report": ...
    @property
    def total(self) -> int: ...
    @property
    def state(self) -> str: ...
    @property
    def reason(self) -> str | None: ...


class _Report(Protocol):
    """The outcome that :mod:`execution_history.history.cost_recalculation` defines."""

    @property
    def matched(self) -> int: ...
    @property
    def changed(self) -> int: ...
    @property
    def unpriced(self) -> int: ...
    @property
    def before(self) -> Mapping[str, float]: ...
    @property
    def after(self) -> Mapping[str, float]: ...
    @property
    def is_dry(self) -> bool: ...


def recalculation_sentence(_: Translator, recalculation: _Recalculation, number: Callable[[int], str]) -> str:
    """Return how far costs that are computed again in the background are, or what has become of them."""
    report = recalculation.report
    if recalculation.state == "running":
        sentence = N_("Recalculating costs: %(done)s of %(total)s runs.")
        if report.is_dry:
            sentence = N_("Calculating what would change: %(done)s of %(total)s runs.")
        total = max(report.matched, recalculation.total)
        return _(sentence, done=number(report.matched), total=number(total))
    told = reprice_sentence(_, report, number)
    return told if recalculation.reason is None else f"{_.message(recalculation.reason)} {told}"


def reprice_sentence(_: Translator, report: _Report, number: Callable[[int], str]) -> str:
    """Return how many runs have another cost, the sums before and after, and how many runs cannot have one.

    *number* writes a count.
    """
    if not report.changed:
        told = _("No costs would change.") if report.is_dry else _("No costs changed.")
    else:
        sentence = N_("The cost of %(changed)s of %(matched)s runs changed, from %(before)s to %(after)s.")
        if report.is_dry:
            sentence = N_("The cost of %(changed)s of %(matched)s runs would change, from %(before)s to %(after)s.")
        told = _(
            sentence,
            changed=number(report.changed),
            matched=number(report.matched),
            before=sums(report.before),
            after=sums(report.after),
        )
    if not report.unpriced:
        return told
    more = _.plural(
        "%(num)s run has no price or no token count and stays as it is.",
        "%(num)s runs have no price or no token count and stay as they are.",
        report.unpriced,
        num=number(report.unpriced),
    )
    return f"{told} {more}"
