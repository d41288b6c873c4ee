"""The command ``mirror``: JSON files in a folder that follow a history."""

import asyncio
import contextlib
from pathlib import Path
from typing import Annotated, Final

import typer

from execution_history.cli.open_history import place_of
from execution_history.cli.options import command
from execution_history.cli.session import CommandFailed, ExitCode, Session
from execution_history.cli.signals import stops_call
from execution_history.errors import N_
from execution_history.followers.mirror import MirrorFollower, give_up
from execution_history.followers.mirror_trouble import MirrorTrouble
from execution_history.history.service import ExecutionHistoryService
from execution_history.presentation.formatting import grouped
from execution_history.settings import Settings
from execution_history.stores import store_of
from execution_history.stores.factory import folder_named
from execution_history.stores.presence import holds_history

_LOOK_SECONDS: Final = 1.0


@command()
async def mirror(
    session: Session,
    folder: Annotated[
        str,
        typer.Argument(metavar="FOLDER", help=N_("The folder for the JSON files: an empty one, or one used before.")),
    ],
    once: Annotated[
        bool, typer.Option("--once", help=N_("Bring the files up to date and end, rather than follow until Ctrl-C."))
    ] = False,
    forget: Annotated[
        bool, typer.Option("--forget", help=N_("Give the folder up: its files stay, and nothing follows any more."))
    ] = False,
) -> ExitCode:
    """Keep JSON files near the history."""
    settings, path = session.settings(), folder_named(folder)
    has_history = await holds_history(settings.store)
    if forget:
        await _give_up(session, settings if has_history else None, path)
        return ExitCode.SUCCESS
    store = place_of(settings.store)
    if not has_history:
        raise CommandFailed("There is no history in %(store)s.", code=ExitCode.NOT_FOUND, store=store)

    def show_problem(problem: MirrorTrouble) -> None:
        if not once:  # which ends with it
            session.output.remark(session.translate.message(problem.message), style="yellow")

    async with ExecutionHistoryService(store_of(settings), rules=settings.content_rules) as service:
        follower = MirrorFollower(service, path, on_problem=show_problem)
        await follower.start()
        try:
            await (_once(session, follower, store) if once else _until_stopped(session, follower, store))
        finally:
            await follower.aclose()
    return ExitCode.SUCCESS


async def _give_up(session: Session, settings: Settings | None, folder: Path) -> None:
    """Give *folder* up, and its place in the history of *settings*, where there is one."""
    was_known = False
    if settings is None:
        await give_up(folder, None)
    else:
        async with ExecutionHistoryService(store_of(settings), rules=settings.content_rules) as service:
            was_known = await give_up(folder, service)
    if was_known:
        session.notice("The history does not keep anything for %(folder)s any more.", folder=folder)
        return
    session.notice(
        "The JSON files in %(folder)s follow no history any more. They did not follow this one: the one that they "
        "followed goes on keeping for them what is deleted.",
        folder=folder,
    )


async def _once(session: Session, follower: MirrorFollower, store: str) -> None:
    """Return when the files are current.

    Raises:
        MirrorTrouble: they cannot be written.
    """
    await follower.until_current()
    await _show(session, follower, store)


async def _until_stopped(session: Session, follower: MirrorFollower, store: str) -> None:
    """Follow until a signal; print when the files are current for the first time."""
    stop = asyncio.Event()
    with stops_call(stop.set):
        session.notice(
            "JSON files in %(folder)s follow %(store)s; press Ctrl-C to stop.",
            folder=follower.folder,
            store=store,
            style="dim",
        )
        is_told = False
        while not stop.is_set():
            if follower.is_current and not is_told:
                is_told = True
                await _show(session, follower, store)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await stop.wait()


async def _show(session: Session, follower: MirrorFollower, store: str) -> None:
    status = await follower.status()
    if session.as_json:
        session.output.json_line({**status.to_json(), "store": store})
        return
    sentence = session.translate(
        "The JSON files in %(folder)s are up to date with change %(revision)s of %(store)s.",
        folder=status.folder,
        revision=grouped(status.revision or 0),
        store=store,
    )
    session.output.answer(sentence)
