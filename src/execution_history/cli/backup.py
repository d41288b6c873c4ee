"""The command ``backup``."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer

from execution_history.cli.figure_table import show_fitting
from execution_history.cli.open_history import archive_named, open_history, place_of, refuse_archive
from execution_history.cli.options import command
from execution_history.cli.output import Cell
from execution_history.cli.progress_bar import progress_bar
from execution_history.cli.session import CommandFailed, ExitCode, Session
from execution_history.clock import now_ms
from execution_history.errors import N_, ExecutionHistoryError
from execution_history.presentation.formatting import clock, duration, grouped, size
from execution_history.presentation.phrases import ago, enumerated
from execution_history.stores.presence import holds_history

if TYPE_CHECKING:
    from execution_history.maintenance.backup import BackupReport, Backups, BackupTarget, RestoreReport
    from execution_history.maintenance.backup.manifest import KnownBackup

_LIST: Final = "list"
_VERIFY: Final = "verify"
_DIGITS: Final = 16

At = Annotated[
    str,
    typer.Option(
        "--at",
        metavar="ID|TIME",
        help=N_("The newest backup whose id begins so, such as 2026-11-30, or the last one by a time."),
        show_default=N_("the newest"),
    ),
]


@command()
async def backup(
    session: Session,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[list|verify] FOLDER|s3://…",
            help=N_("Where the backups are; that of the setting backup unless given."),
        ),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help=N_("Make a full backup in any case."))] = False,
    keep: Annotated[
        int | None,
        typer.Option(
            "--keep", min=1, help=N_("Remove older ones: so many full backups stay, each with those that need it.")
        ),
    ] = None,
    at: At = "",
) -> ExitCode:
    """Make, list or verify backups."""
    from execution_history.maintenance.backup import known_backups, target_at  # noqa: PLC0415 - most commands need none

    action, place = _called(words or [])
    settings = session.settings()
    if not place and settings.backup is not None:
        place = settings.backup.to
    if not place:
        raise CommandFailed("Name the place of the backups: %(command)s", command=session.command("backup", "FOLDER"))
    if at and action != _VERIFY:
        raise CommandFailed("--at belongs to backup verify, and to restore.")
    if action and (full or keep):
        raise CommandFailed("--full and --keep belong to a backup that is made.")
    target = target_at(place)
    if action == _LIST:
        return _show_list(session, await known_backups(target), target.name)
    if action == _VERIFY:
        return await _verify(session, target, at)
    return await _make(session, target, full=full, keep=keep)


def _called(words: list[str]) -> tuple[str, str]:
    """Return what to do, empty for a backup, and the place, where it is named.

    Raises:
        CommandFailed: there are words that mean nothing.
    """
    action = words[0] if words and words[0] in (_LIST, _VERIFY) else ""
    rest = words[1:] if action else words
    if len(rest) > 1:
        raise CommandFailed("Name one place: backup FOLDER, backup list FOLDER or backup verify FOLDER.")
    return action, rest[0] if rest else ""


async def _make(session: Session, target: "BackupTarget", *, full: bool, keep: int | None) -> ExitCode:
    from execution_history.maintenance.backup import back_up  # noqa: PLC0415 - as above

    settings = session.settings()
    if not await holds_history(settings.store):
        store = place_of(settings.store)
        raise CommandFailed("There is no history in %(store)s.", code=ExitCode.NOT_FOUND, store=store)
    refuse_archive(session, N_("%(store)s is an archive, in which nothing changes: a copy of the file is its backup."))
    async with open_history(session) as history:
        with progress_bar(session) as bar:
            report = await back_up(history.service, target, full=full, keep=keep, on_progress=bar.of_runs)
    if session.as_json:
        session.output.document(report.to_json())
    else:
        _show_made(session, report)
    return ExitCode.SOME_REFUSED if report.manifest.damaged_count else ExitCode.SUCCESS


def _show_made(session: Session, report: "BackupReport") -> None:
    manifest, plural = report.manifest, session.translate.plural
    if report.reason is not None:
        session.notice("This backup is a full one: %(reason)s", reason=report.reason, style="yellow")
    facts = {
        "size": size(manifest.size),
        "place": report.place,
        "id": manifest.id,
        "duration": duration(int(report.seconds * 1000)),
    }
    if manifest.parent is None:
        sentence = plural(
            "Backed up %(num)s run (%(size)s packed) to %(place)s as %(id)s, in %(duration)s.",
            "Backed up %(num)s runs (%(size)s packed) to %(place)s as %(id)s, in %(duration)s.",
            manifest.records,
            **facts,
        )
    else:
        sentence = plural(
            "Backed up what has changed since %(parent)s: %(num)s run, %(deletions)s deleted (%(size)s packed), to "
            "%(place)s as %(id)s, in %(duration)s.",
            "Backed up what has changed since %(parent)s: %(num)s runs, %(deletions)s deleted (%(size)s packed), to "
            "%(place)s as %(id)s, in %(duration)s.",
            manifest.records,
            parent=manifest.parent,
            deletions=grouped(manifest.deletions),
            **facts,
        )
    session.output.answer(sentence)
    if report.removed:
        removed = len(report.removed)
        session.output.remark(
            plural("Removed %(num)s older backup.", "Removed %(num)s older backups.", removed), style="dim"
        )
    tell_of_damaged(session, manifest.damaged_count)


def tell_of_damaged(session: Session, count: int) -> None:
    """Tell how many runs could not be read when a backup was made, if there were any."""
    if count:
        sentence = session.translate.plural(
            "%(num)s run could not be read when the backup was made, and is not in it.",
            "%(num)s runs could not be read when the backup was made, and are not in it.",
            count,
        )
        session.output.remark(sentence, style="yellow")


async def _verify(session: Session, target: "BackupTarget", at: str) -> ExitCode:
    from execution_history.maintenance.backup import verify  # noqa: PLC0415 - as above

    began = time.monotonic()
    with progress_bar(session) as bar:
        report = await verify(target, at=at, on_progress=bar.of_runs)
    await _note_in_history(session, target)
    if session.as_json:
        session.output.document({**report.to_json(), "place": target.name})
        return ExitCode.SUCCESS
    sentence = session.translate.plural(
        "The backup %(id)s of %(time)s is sound: %(num)s run (%(size)s) was restored into a temporary history and "
        "compared; the checksum is %(digest)s. In %(duration)s.",
        "The backup %(id)s of %(time)s is sound: %(num)s runs (%(size)s) were restored into a temporary history and "
        "compared; the checksum is %(digest)s. In %(duration)s.",
        report.records,
        **facts(report, began),
    )
    session.output.answer(sentence)
    if report.unnoted is not None:
        session.notice("This could not be noted beside the backup: %(reason)s", reason=report.unnoted, style="yellow")
    tell_of_damaged(session, report.damaged)
    return ExitCode.SUCCESS


async def _note_in_history(session: Session, target: "BackupTarget") -> None:
    """Keep in the history whose backup it is, where that is here, that one was verified."""
    from execution_history.maintenance.backup import note_verification  # noqa: PLC0415 - as above

    store = session.settings().store
    try:
        if archive_named(store) is None and await holds_history(store):
            async with open_history(session) as history:
                await note_verification(history.service, target)
    except ExecutionHistoryError as error:  # the backup is sound, whatever is wrong with the history
        session.notice("This could not be noted in the history: %(reason)s", reason=error.message, style="yellow")


def facts(report: "RestoreReport", began: float) -> dict[str, str]:
    """Return the sentences on a backup that was restored, for real or to verify it, since *began*."""
    return {
        "id": report.id,
        "time": clock(report.moment),
        "size": size(report.size),
        "digest": report.digest[:_DIGITS],
        "duration": duration(int((time.monotonic() - began) * 1000)),
    }


def _show_list(session: Session, backups: "Backups", place: str) -> ExitCode:
    from execution_history.maintenance.backup.writer import shown  # noqa: PLC0415 - as above

    if session.as_json:
        damaged = [session.translate.message(error.message) for error in backups.damaged]
        known = [{**shown(each.manifest), "verified": each.verified} for each in backups.all]
        session.output.document(
            {"place": place, "backups": known, "damaged": damaged, "unfinished": backups.unfinished}
        )
    elif backups.all:
        _show_table(session, backups.all)
    else:
        session.notice("There is no whole backup in %(place)s.", place=place)
    if not session.as_json:
        for error in backups.damaged:
            session.output.remark(session.translate.message(error.message), style="yellow")
        if backups.unfinished:
            session.notice(
                "Unfinished, so no backup: %(ids)s. It is under way, or a later backup removes it.",
                ids=enumerated(backups.unfinished),
                style="yellow",
            )
    return ExitCode.SOME_REFUSED if backups.damaged else ExitCode.SUCCESS


def _show_table(session: Session, backups: "Sequence[KnownBackup]") -> None:
    _, now = session.translate, now_ms()
    heads = {
        "id": Cell(_("Backup").upper(), "dim"),
        "kind": Cell(_("Kind").upper(), "dim"),
        "runs": Cell(_("Runs").upper(), "dim", right=True),
        "deleted": Cell(_("Deletions").upper(), "dim", right=True),
        "size": Cell(_("Size").upper(), "dim", right=True),
        "verified": Cell(_("Verified").upper(), "dim"),
    }
    kinds = {"full": _("full"), "incremental": _("incremental")}
    rows = [heads] + [
        {
            "id": Cell(each.id),
            "kind": Cell(kinds[each.kind]),
            "runs": Cell(grouped(each.records), right=True),
            "deleted": Cell(grouped(each.deletions), right=True),
            "size": Cell(size(each.size), right=True),
            "verified": Cell(_("never verified") if verified is None else ago(_, verified, now)),
        }
        for each, verified in ((known.manifest, known.verified) for known in backups)
    ]
    show_fitting(session, rows, list(heads), ("deleted", "size"))
