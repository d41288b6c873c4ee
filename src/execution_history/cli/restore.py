"""The command ``restore``."""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer

from execution_history.cli.backup import At, facts, tell_of_damaged
from execution_history.cli.open_history import open_history, place_of, refuse_archive
from execution_history.cli.options import command
from execution_history.cli.output import Cell, aligned
from execution_history.cli.progress_bar import progress_bar
from execution_history.cli.session import CommandFailed, ExitCode, Session
from execution_history.errors import N_
from execution_history.history import name_book, views
from execution_history.maintenance import rules
from execution_history.presentation.formatting import clock, grouped, one_line
from execution_history.presentation.phrases import enumerated
from execution_history.records import price_book
from execution_history.stores.administration import KEY
from execution_history.stores.presence import holds_history

if TYPE_CHECKING:
    from execution_history.maintenance.backup import MissingReport, RestoreReport

_MOST_NAMES: Final = 10
_LONGEST_NAME: Final = 40
_KINDS: Final = {
    name_book.KIND: N_("Names of workflows"),
    views.KIND: N_("Views"),
    price_book.KIND: N_("Prices"),
    rules.KIND: N_("Rules of retention"),
    KEY: N_("Keys"),
}


@command()
async def restore(
    session: Session,
    place: Annotated[str, typer.Argument(metavar="FOLDER|s3://…", help=N_("Where the backups are."))],
    at: At = "",
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help=N_("Move the history that is in the folder aside first; its keys and audit log stay.")
        ),
    ] = False,
    missing: Annotated[
        bool,
        typer.Option(
            "--missing",
            help=N_(
                "Only add what the history lacks of runs, names, views, prices, rules, keys and lines of the audit log."
            ),
        ),
    ] = False,
    removed: Annotated[
        bool, typer.Option("--removed", help=N_("With --missing: also add what the history has removed since."))
    ] = False,
    keep_keys: Annotated[
        bool, typer.Option("--keep-keys", help=N_("Let the keys of the backup in, also those that were revoked since."))
    ] = False,
) -> ExitCode:
    """Restore a backup."""
    from execution_history.maintenance.backup import restore as restored  # noqa: PLC0415 - most commands need none
    from execution_history.maintenance.backup import target_at  # noqa: PLC0415 - as above

    refuse_archive(session, N_("%(store)s is an archive, in which nothing changes: name another place with --store."))
    if missing:
        if replace:
            raise CommandFailed("--missing adds to a history, and --replace moves it aside: choose one of them.")
        return await _add_missing(session, place, at, keep_keys=keep_keys, with_removed=removed)
    if removed:
        raise CommandFailed("--removed belongs to --missing: a whole restore has what the backup has.")
    began, settings = time.monotonic(), session.settings()
    with progress_bar(session) as bar:
        report = await restored(
            target_at(place), settings, at=at, replace=replace, keep_keys=keep_keys, on_progress=bar.of_runs
        )
    if session.as_json:
        session.output.document({**report.to_json(), "store": place_of(settings.store)})
    else:
        _show(session, report, began)
    return ExitCode.SUCCESS


def _show(session: Session, report: "RestoreReport", began: float) -> None:
    plural = session.translate.plural
    sentence = plural(
        "Restored %(num)s run (%(size)s) to %(store)s, as it was on %(time)s (backup %(id)s), and compared it: the "
        "checksum is %(digest)s. In %(duration)s.",
        "Restored %(num)s runs (%(size)s) to %(store)s, as they were on %(time)s (backup %(id)s), and compared them: "
        "the checksum is %(digest)s. In %(duration)s.",
        report.records,
        store=place_of(session.settings().store),
        **facts(report, began),
    )
    session.output.answer(sentence)
    if report.replaced is not None:
        _tell_of_replaced(session, report)
    if report.unread is not None:
        session.notice(
            "It could not be read (%(reason)s), so its audit log and its keys are in that folder only.",
            reason=session.translate.message(report.unread).rstrip("."),
            style="yellow",
        )
    if report.later_lines:
        session.output.remark(
            plural(
                "%(num)s line of its audit log, which the backup does not have, was added.",
                "%(num)s lines of its audit log, which the backup does not have, were added.",
                report.later_lines,
            )
        )
    _tell_of_keys(session, report.keys, report.key_names)
    tell_of_damaged(session, report.damaged)


def _tell_of_replaced(session: Session, report: "RestoreReport") -> None:
    """Tell where the history that was there is, and by how many runs it differs, if it could be read."""
    if report.replaced_records is None:
        session.notice("The history that was there is in %(folder)s now.", folder=report.replaced)
        return
    sentence = session.translate.plural(
        "%(num)s run before, %(now)s now. The history that was there is in %(folder)s.",
        "%(num)s runs before, %(now)s now. The history that was there is in %(folder)s.",
        report.replaced_records,
        now=grouped(report.records),
        folder=report.replaced,
    )
    session.output.remark(sentence)


def _tell_of_keys(session: Session, keys: str, names: Sequence[str]) -> None:
    """Tell who can come in with which key, if there are keys."""
    if not names:
        return
    shown = [one_line(name, _LONGEST_NAME) for name in names[:_MOST_NAMES]]
    listed = enumerated([*shown, *(["…"] if len(names) > _MOST_NAMES else [])])
    if keys == "present":
        session.notice("The keys are those of the history that was there: %(names)s.", names=listed)
    elif keys == "kept":
        session.notice(
            "These keys are valid as they were in the backup; revoke again what was revoked since: %(names)s.",
            names=listed,
            style="yellow",
        )
    else:
        session.notice(
            "These keys have expired, as they may have been revoked since the backup: %(names)s. To let a holder in "
            "again: %(command)s",
            names=listed,
            command=session.command("keys", "renew", "NAME"),
            style="yellow",
        )


async def _add_missing(session: Session, place: str, at: str, *, keep_keys: bool, with_removed: bool) -> ExitCode:
    from execution_history.maintenance.backup import restore_missing, target_at  # noqa: PLC0415 - as above

    settings = session.settings()
    store = place_of(settings.store)
    if not await holds_history(settings.store):
        raise CommandFailed("There is no history in %(store)s.", code=ExitCode.NOT_FOUND, store=store)
    async with open_history(session) as history:
        with progress_bar(session) as bar:
            report = await restore_missing(
                target_at(place),
                history.service,
                at=at,
                keep_keys=keep_keys,
                with_removed=with_removed,
                on_progress=bar.of_runs,
            )
    if session.as_json:
        session.output.document({**report.to_json(), "store": store})
        return ExitCode.SUCCESS
    _show_missing(session, report, store, keep_keys=keep_keys)
    if left := _by_label(session, report.removed_records, report.removed):
        session.notice(
            "Not added, as the history has removed them since the backup, or may have: %(what)s. To add them, too: "
            "%(command)s",
            what=enumerated(f"{label} ({count})" for label, count in left.items()),
            command=session.command("restore", place, "--missing", "--removed", "--at", report.id),
        )
    if report.are_forgotten:
        session.notice(
            "The history does not know all that it has removed since the backup. So no run was added, and some of the "
            "rest may have been removed on purpose.",
            style="yellow",
        )
    return ExitCode.SUCCESS


def _by_label(session: Session, records: int, entries: Mapping[str, int]) -> dict[str, int]:
    """Return how many runs and entries of a registry there are, if any, by what people call their kind."""
    _ = session.translate
    known = {_(_KINDS[kind]): count for kind, count in entries.items() if kind in _KINDS}
    found = {_("Recorded runs"): records, **known, _("Other entries"): sum(entries.values()) - sum(known.values())}
    return {label: count for label, count in found.items() if count}


def _show_missing(session: Session, report: "MissingReport", store: str, *, keep_keys: bool) -> None:
    _ = session.translate
    counts = _by_label(session, report.records, report.entries) | {_("Lines of the audit log"): report.audit_lines}
    rows = [[Cell(label), Cell(grouped(count), right=True)] for label, count in counts.items() if count]
    facts = {"store": store, "id": report.id, "time": clock(report.moment)}
    if rows:
        session.output.answer(_("Added to %(store)s from the backup %(id)s of %(time)s:", **facts))
        session.output.lines(aligned(rows))
    else:
        session.output.answer(_("Nothing to add to %(store)s from the backup %(id)s of %(time)s.", **facts))
    _tell_of_keys(session, "kept" if keep_keys else "expired", report.key_names)
