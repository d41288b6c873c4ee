"""The command ``copy``: a whole history into another store."""

import asyncio
import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from execution_history.cli.open_history import place_of
from execution_history.cli.options import command
from execution_history.cli.progress_bar import index_seconds, progress_bar
from execution_history.cli.run_pages import notice_damaged
from execution_history.cli.session import CommandFailed, ExitCode, Session
from execution_history.errors import N_
from execution_history.history.service import ExecutionHistoryService
from execution_history.presentation.formatting import duration, grouped, size
from execution_history.presentation.phrases import enumerated, remarked
from execution_history.stores import store_of
from execution_history.stores.presence import holds_history

if TYPE_CHECKING:
    from execution_history.settings import Settings
    from execution_history.transfer import CopyReport, NamedRecords

_MOST_SHOWN: Final = 10
_DIGITS: Final = 16

_Place = Annotated[str, typer.Argument(metavar="SOURCE", help=N_("The history to copy: a folder or a URL."))]
_Target = Annotated[
    str, typer.Argument(metavar="TARGET", help=N_("The store to copy it to: a folder or a URL; it may have runs."))
]


@command("store")
async def copy_history(session: Session, source: _Place, target: _Target) -> ExitCode:
    """Copy a whole history into another store, compare both, and show what was compared."""
    from execution_history import transfer  # noqa: PLC0415 - formats that `list` need not wait for

    settings = session.settings()
    settings_of = {place: settings.model_copy(update={"store": place}) for place in (source, target)}
    if not await holds_history(source):
        raise CommandFailed("There is no history in %(store)s.", code=ExitCode.NOT_FOUND, store=place_of(source))
    began = time.monotonic()
    async with _service(settings_of[source]) as original, _service(settings_of[target]) as copy:
        try:
            with progress_bar(session) as bar:
                report = await transfer.copy_history(original, copy, bar.of_copy)
        except asyncio.CancelledError:
            session.notice("Stopped. The same command continues where it stopped.", style="yellow")
            raise
        seconds = time.monotonic() - began
        try:
            await index_seconds(session, copy, N_("The runs are copied; indexing them now."))
        finally:  # who stops the index has copied all the same
            code = _show(session, report, seconds, place_of(source), place_of(target))
    return code


def _service(settings: "Settings") -> ExecutionHistoryService:
    return ExecutionHistoryService(store_of(settings), rules=settings.content_rules)


def _show(session: Session, report: "CopyReport", seconds: float, source: str, target: str) -> ExitCode:
    """Show the report; return the exit code.

    Raises:
        CommandFailed: the two sides differ.
    """
    if session.as_json:
        session.output.document({**report.to_json(), "seconds": round(seconds, 3)})
        return ExitCode.SUCCESS if report.is_equal and not report.damaged.count else ExitCode.SOME_REFUSED
    names: dict[str, Any] = {"source": source, "target": target}
    _show_further(session, report, names)
    notice_damaged(session, report.damaged.keys, report.damaged.count)
    if not report.is_equal:
        raise CommandFailed(
            "%(source)s and %(target)s differ: %(runs)s (runs that are missing in the target: %(missing)s; with other "
            "content there: %(differing)s; compared: %(first)s with the checksum %(digest)s, and %(second)s with "
            "%(other)s).",
            code=ExitCode.SOME_REFUSED,
            missing=grouped(report.missing.count),
            differing=grouped(report.differing.count),
            first=grouped(report.source.records),
            digest=report.source.digest[:_DIGITS],
            second=grouped(report.target.records),
            other=report.target.digest[:_DIGITS],
            runs=_named(report.missing, report.differing),
            **names,
        )
    sentence = session.translate.plural(
        "%(num)s run (%(size)s) is the same in %(source)s and in %(target)s, byte for byte: both have the checksum "
        "%(digest)s. %(added)s added, %(replaced)s replaced, in %(duration)s.",
        "%(num)s runs (%(size)s) are the same in %(source)s and in %(target)s, byte for byte: both have the checksum "
        "%(digest)s. %(added)s added, %(replaced)s replaced, in %(duration)s.",
        report.source.records,
        size=size(report.source.size),
        digest=report.source.digest[:_DIGITS],
        added=grouped(report.added),
        replaced=grouped(report.replaced),
        duration=duration(int(seconds * 1000)),
        **names,
    )
    session.output.answer(sentence)
    return ExitCode.SOME_REFUSED if report.damaged.count else ExitCode.SUCCESS


def _show_further(session: Session, report: "CopyReport", names: dict[str, Any]) -> None:
    """Print what else is to be known of the two sides."""
    plural = session.translate.plural
    if report.newer.count:
        sentence = plural(
            "%(num)s run is newer in %(target)s and stays so: %(runs)s.",
            "%(num)s runs are newer in %(target)s and stay so: %(runs)s.",
            report.newer.count,
            runs=_named(report.newer),
            **names,
        )
        session.output.remark(sentence)
    if report.others:
        sentence = plural(
            "%(target)s has %(num)s further run, which %(source)s does not have.",
            "%(target)s has %(num)s further runs, which %(source)s does not have.",
            report.others,
            **names,
        )
        session.output.remark(sentence)
    if report.cleared:
        session.notice(
            "Workflows that were cleared in %(source)s meanwhile still have their runs in %(target)s: %(workflows)s.",
            workflows=enumerated(report.cleared[:_MOST_SHOWN]),
            style="yellow",
            **names,
        )
    if report.kept_entries:
        session.notice(
            "Of what is not a run, these have another value in %(target)s, which stays: %(entries)s.",
            entries=enumerated([remarked(entry.key, entry.kind) for entry in report.kept_entries[:_MOST_SHOWN]]),
            style="yellow",
            **names,
        )
    if report.binned:
        sentence = plural(
            "%(num)s deleted run can still be restored in %(source)s only.",
            "%(num)s deleted runs can still be restored in %(source)s only.",
            report.binned,
            **names,
        )
        session.output.remark(sentence)


def _named(*records: "NamedRecords") -> str:
    """Return the first ten of *records* by their ids, and a mark where there are more."""
    keys = [key for each in records for key in each.keys][:_MOST_SHOWN]
    count = sum(each.count for each in records)
    shown = [remarked(key.execute_id, key.workflow_id) for key in keys]
    return enumerated(shown + (["…"] if count > len(keys) else []))
