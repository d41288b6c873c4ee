"""The JSON files of a folder that follow a history, compared with its records."""

import asyncio
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from execution_history.errors import N_, Message, quoted
from execution_history.followers.mirror import MirrorFollower
from execution_history.followers.mirror_place import save_place
from execution_history.history.service import ExecutionHistoryService
from execution_history.maintenance.open_store_source import OpenStoreSource
from execution_history.presentation.command_line import command_line
from execution_history.stores.capabilities import Verifiable
from execution_history.stores.folder_place import FolderPlace, followed_in
from execution_history.stores.foreign_files import begins_like_history
from execution_history.stores.jsonfiles.comparison import FileComparison, compared
from execution_history.stores.jsonfiles.file_names import SUFFIX, file_of
from execution_history.stores.mirror_port import ComparedSource
from execution_history.stores.protocol import HistoryStore
from execution_history.stores.verification import Check, Fault, Finding, Outcome, Progress, counted

_DIFFERING: Final = Fault(
    N_("1 JSON file in %(folder)s is not what the history says: %(names)s."),
    N_("%(count)s JSON files in %(folder)s are not what the history says: %(names)s."),
    N_("--repair rewrites them from the history."),
)
_BEHIND: Final = Fault(
    N_("1 JSON file in %(folder)s is behind the history: %(names)s."),
    N_("%(count)s JSON files in %(folder)s are behind the history: %(names)s."),
    N_("serve brings them up to date, and so does %(command)s."),
    is_problem=False,
)


def mirror_check(store: HistoryStore, folder: Path, location: str | None = None) -> Check:
    """Return the check of the JSON files in *folder* that follow *store*, which commands know by its *location*."""
    return Check("mirror", N_("Mirror"), partial(_look, store, folder.absolute(), location))


async def _look(store: HistoryStore, folder: Path, location: str | None, tell: Progress) -> Outcome:
    follow = command_line("mirror", folder, "--once", store=location)
    place = await asyncio.to_thread(followed_in, folder)
    if place is None or place.revision is None:
        sentence = Message("The JSON files in %(folder)s are still to be written.", folder=quoted(folder))
        remedy = Message(_BEHIND.remedy or "", command=follow)
        return Outcome(Message("none yet"), [Finding(sentence, remedy, is_problem=False)])
    source = store.record_source() if isinstance(store, Verifiable) else None
    if source is None:
        source = await OpenStoreSource.of(store, place.revision)
    if place.follower not in await asyncio.to_thread(source.cursors):
        sentence = Message(
            "The JSON files in %(folder)s follow another history (%(store)s).",
            folder=quoted(folder),
            store=place.shown_store,
        )
        remedy = Message(
            "Choose another folder, or give this one up: %(command)s",
            command=command_line("mirror", folder, "--forget", store=place.store or location),
        )
        return Outcome(Message("of another history"), [Finding(sentence, remedy)])
    found = await asyncio.to_thread(_compare, folder, place.revision, source, tell)
    findings = [
        *_DIFFERING.of(found.differing, partial(_repaired, store, folder, place, found.paths), folder=quoted(folder)),
        *_BEHIND.of(found.behind, folder=quoted(folder), command=follow),
    ]
    one, several = N_("1 file compared with the history"), N_("%(count)s files compared with the history")
    return Outcome(counted(found.count, one, several), findings)


@dataclass(slots=True)
class _FolderFaults:
    count: int = 0
    behind: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)

    def add(self, path: Path, where: Message) -> None:
        """Note where a file differs."""
        self.differing.append(Message("%(file)s (%(where)s)", file=path.name, where=where))
        self.paths.append(path)


def _compare(folder: Path, since: int, source: ComparedSource, tell: Progress) -> _FolderFaults:
    """Compare the files of workflows without changes after *since*, up to which the folder has everything."""
    with source.snapshot() as records:
        states, newest = records.states(), records.revision()
    found, expected, done = _FolderFaults(), set[str](), 0
    total = sum(state.total for state in states.values())
    for workflow_id, state in sorted(states.items()):
        path = file_of(folder, workflow_id)
        expected.add(path.name)
        done += state.total
        if not state.total:
            continue
        if state.revision > since:
            found.behind.append(path.name)
            continue
        comparison = compared(FileComparison(path, workflow_id, source, follows=True), are_in_use=True)
        found.count += 1
        if comparison.difference is not None:
            found.add(path, comparison.difference)
        tell(done, total)
    for path in folder.glob(f"*{SUFFIX}"):
        if newest <= since and path.name not in expected and begins_like_history(path):
            found.add(path, Message("its workflow has no runs"))
    return found


async def _repaired(store: HistoryStore, folder: Path, place: FolderPlace, paths: list[Path]) -> Message:
    """Have whoever writes the folder make these files anew; unless another process does, this one."""

    def take_away() -> None:
        for path in paths:
            path.unlink(missing_ok=True)
        # The file of the place is another one now: a process that follows looks at the whole folder again.
        save_place(folder, place, place.revision or 0, place.store)

    await asyncio.to_thread(take_away)
    follower = MirrorFollower(ExecutionHistoryService(store), folder)
    try:
        await follower.start()
        await follower.until_current()
    finally:
        await follower.aclose()
    one = N_("1 JSON file was rewritten from the history.")
    return counted(len(paths), one, N_("%(count)s JSON files were rewritten from the history."))
