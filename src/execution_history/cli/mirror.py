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
from execution_history.followers.mirror import MirrorFollower
from execution_history.history.service import ExecutionHistoryService
from execution_history.presentation.formatting import grouped
from execution_history.stores import store_of
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
    settings = session.settings()
    if not await holds_history(settings.store):
        raise CommandFailed(
            "There is no history in %(store)s.", code=ExitCode.NOT_FOUND, store=place_of(settings.store)
        )
    async with ExecutionHistoryService(store_of(settings)) as service:
        follower = MirrorFollower(service, Path(folder))
        if forget:
            await follower.forget()
            session.notice("The history does not keep anything for %(folder)s any more.", folder=folder)
            return ExitCode.SUCCESS
        await follower.start()
        try:
            await (_once(session, follower) if once else _until_stopped(session, follower, place_of(settings.store)))
        finally:
            await follower.aclose()
    return ExitCode.SUCCESS


async def _once(session: Session, follower: MirrorFollower) -> None:
    """Return when the files are current.

    Raises:
        MirrorTrouble: they cannot be written.
    """
    await follower.until_current()
    await _show(session, follower)


async def _until_stopped(session: Session, follower: MirrorFollower, store: str) -> None:
    """Follow until a signal; say when the files are current for the first time, and what is wrong, each thing once."""
    stop = asyncio.Event()
    with stops_call(stop.set):
        session.notice(
            "JSON files in %(folder)s follow %(store)s; press Ctrl-C to stop.",
            folder=follower.folder,
            store=store,
            style="dim",
        )
        said: tuple[str, ...] = ()
        is_said = False
        while not stop.is_set():
            for problem in set(problems := follower.problems()) - set(said):
                session.output.remark(session.translate.message(problem), style="yellow")
            said = problems
            if follower.is_current and not is_said:
                is_said = True
                await _show(session, follower)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await stop.wait()


async def _show(session: Session, follower: MirrorFollower) -> None:
    status = await follower.status()
    if session.as_json:
        session.output.json_line(status.to_json())
        return
    sentence = session.translate(
        "The JSON files in %(folder)s are up to date with change %(revision)s.",
        folder=status.folder,
        revision=grouped(status.revision or 0),
    )
    session.output.answer(sentence)
