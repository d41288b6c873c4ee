"""The progress of a long command, as a bar on a terminal."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from execution_history.cli.session import Session
from execution_history.errors import N_, StoreError
from execution_history.history.service import ExecutionHistoryService
from execution_history.presentation.change_sentence import change_sentence
from execution_history.presentation.formatting import grouped, size
from execution_history.presentation.index_notice import left_of
from execution_history.query.model import IndexReach

if TYPE_CHECKING:
    from execution_history.history.bulk_changes import BulkChange
    from execution_history.transfer import Progress as Step


class ProgressBar:
    """The progress of an export, an import or a copy, as a bar on a terminal."""

    def __init__(self, session: Session, shown: Progress) -> None:
        self._session = session
        self._shown = shown
        self._task = shown.add_task("", total=None)
        self._most = self._done = 0

    @property
    def is_hidden(self) -> bool:
        """Whether nobody sees it."""
        return self._shown.disable

    def of_runs(self, step: "Step") -> None:
        """Show how many runs were read or written."""
        description = self._session.translate.plural(
            "%(num)s run, %(size)s", "%(num)s runs, %(size)s", step.records, size=size(step.size)
        )
        if step.total_records is not None:
            self._update(description, step.total_records, step.records)
        else:
            self._update(description, step.total_size, step.size)

    def of_copy(self, copy_step: str, step: "Step") -> None:
        """Show how many runs were copied, or compared."""
        sentence = N_("Copied: %(done)s of %(total)s runs, %(size)s")
        if copy_step == "compare":
            sentence = N_("Compared: %(done)s of %(total)s runs, %(size)s")
        total = step.total_records or 0
        description = self._session.translate(
            sentence, done=grouped(step.records), total=grouped(total), size=size(step.size)
        )
        self._update(description, total, step.records)

    def of_redaction(self, records: int, changed: int, bytes_read: int) -> None:
        """Show how many records were searched, and in how many something was found."""
        description = self._session.translate(
            "Records searched: %(records)s, %(size)s; to be redacted: %(changed)s",
            records=grouped(records), size=size(bytes_read), changed=grouped(changed),
        )  # fmt: skip
        self._update(description, None, records)

    def of_change(self, change: "BulkChange") -> None:
        """Show how many runs a change has reached."""
        done = change.reached
        self._update(change_sentence(self._session.translate, change), max(change.total, done), done)

    def of_check(self, title: str) -> Callable[[int, int], None]:
        """Return what shows the progress of a check called *title*, from any thread."""
        description = self._session.translate(title)
        self._update(description, None, 0)
        return lambda done, total: self._update(description, total, done)

    def of_index(self, reach: IndexReach) -> None:
        """Show how far the index has come, from any thread; never less than before, though texts follow the rows."""
        left = left_of(reach.revision, reach.newest, reach.missing)
        self._most = self._most or left
        self._done = max(self._done, self._most - left)
        description = self._session.translate(
            "Indexing: %(done)s of %(total)s", done=grouped(self._done), total=grouped(self._most)
        )
        self._update(description, self._most, self._done)

    def _update(self, description: str, total: int | None, completed: int) -> None:
        self._shown.update(self._task, description=description, total=total, completed=completed)


@contextmanager
def progress_bar(session: Session, *, beside: bool = False) -> Iterator[ProgressBar]:
    """Show a progress bar on a terminal, unless it would stand *beside* an answer there; nothing elsewhere."""
    console = Console(stderr=True)
    hidden = beside or session.as_json or not console.is_terminal
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=hidden) as shown:
        yield ProgressBar(session, shown)


async def index_seconds(session: Session, service: ExecutionHistoryService, notice: str) -> float | None:
    """Wait until new runs are indexed, and return how long that took; ``None`` where it has to come later.

    It takes no time in a store without an index. Without a bar, *notice* is printed at the beginning.
    """
    if not service.has_index:
        return 0.0
    began = time.monotonic()
    try:
        if (await service.index_reach()).is_complete:
            return 0.0
        with progress_bar(session) as bar:
            if bar.is_hidden and not session.as_json:
                session.notice(notice, style="dim")
            await service.follow_index(bar.of_index)
    except StoreError as error:
        session.notice(
            "The runs are there, but they could not be indexed: %(problem)s", problem=error.message, style="yellow"
        )
        return None
    return time.monotonic() - began
