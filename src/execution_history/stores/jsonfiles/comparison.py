"""A JSON file compared with the records that it mirrors, part by part, while others may be editing it.

The time of a file shows that nobody but this package has written it; what the disk did to its bytes shows only here.
Nothing is kept for this: what a file should say follows from the records.
"""

import re
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

import orjson

from execution_history.errors import Message, quoted
from execution_history.records.json_text import read_json
from execution_history.stores.jsonfiles.file_format import (
    CLOSING,
    FOOTER,
    OPENING,
    RECORD_START,
    SEPARATOR,
    render,
    stamp,
)
from execution_history.stores.jsonfiles.file_names import SUFFIX
from execution_history.stores.jsonfiles.file_sizes import SIZES, FileSizes
from execution_history.stores.jsonfiles.json_file_reader import JSONFileReader, NotOurs
from execution_history.stores.mirror_port import ComparedSource, FileState, Part

_RECORD_ID: Final = re.compile(re.escape(RECORD_START) + rb'("(?:[^"\\\n]|\\.)*"),?\n')
_BLANKS: Final = re.compile(rb" *")
_ATTEMPTS: Final = 5
_PAUSE_SECONDS: Final = 0.1
_DAMAGED: Final = Message("its text is damaged")


class Differs(Exception):  # noqa: N818 - a finding
    """The file is not what it should be; the message says where."""

    def __init__(self, where: Message) -> None:
        self.where = where
        super().__init__(where)


class FileComparison:
    """Compares the file of one workflow.

    Args:
        path: the file.
        workflow_id: its workflow.
        source: the records.
        part_bytes: about how many bytes of documents are compared at once.
        sizes: the sizes by which files are edited.
        follows: whether it is near the history, not current: of a later revision than the newest change of its
            workflow, and what others write into it is not imported.

    Attributes:
        difference: where the file differs; ``None`` as long as it does not.
        is_done: whether there is nothing left to compare.
        is_behind: whether it is not current, so that it was not compared: others are at work on it, or it was edited by
            somebody else, which the next change or opening notices.
    """

    def __init__(
        self,
        path: Path,
        workflow_id: str,
        source: ComparedSource,
        part_bytes: int = 1 << 20,
        sizes: FileSizes = SIZES,
        *,
        follows: bool = False,
    ) -> None:
        self.difference: Message | None = None
        self.is_done = self.is_behind = False
        self._path, self._workflow_id, self._source = path, workflow_id, source
        self._part_bytes, self._sizes, self._follows = part_bytes, sizes, follows
        self._before: int | None = None  # the next part has the records that began before this time

    def step(self) -> int:
        """Compare the next part; return the bytes of its documents.

        Raises:
            StoreError: the records cannot be read.
            OSError: the file cannot be read.
        """
        with self._source.snapshot() as records:
            state = records.state(self._workflow_id)
            part = records.part(self._workflow_id, self._before, self._part_bytes)
            try:
                with closing(JSONFileReader(self._path, self._sizes)) as file:
                    if self._follows and state is not None and state.total == file.header.state.total:
                        state = file.header.state
                    if file.header.workflow_id != self._workflow_id or state is None or not file.is_current(state):
                        self._stop_not_current(state)
                        return 0
                    text = self._text(file, part)
                    if not file.is_untouched(state):
                        self._stop_behind()
                        return 0
            except (FileNotFoundError, NotOurs) as error:
                is_missing = isinstance(error, FileNotFoundError)
                self._stop(Message("it is missing") if is_missing else _DAMAGED)
                return 0
        try:
            _compare(text, part)
        except Differs as error:
            self._stop(error.where)
            return part.size
        self._before, self.is_done = part.oldest, part.oldest is None
        return part.size

    def again(self) -> None:
        """Forget what the last step found, so that the next one compares the same part again."""
        self.difference, self.is_done, self.is_behind = None, False, False

    def _text(self, file: JSONFileReader, part: Part) -> bytes:
        """Return the text in which the records of *part* stand; before the first, what comes ahead of it is checked.

        Raises:
            NotOurs: something around the records is damaged.
        """
        begin = file.header.newest_at
        if self._before is not None:
            begin = file.first_not_newer(self._before - 1)
        elif file.read(0, file.body_start) != file.header.encode() or not _is_blank(file, file.body_start, begin):
            raise NotOurs(str(file.path))
        end = file.size if part.oldest is None else file.first_not_newer(part.oldest - 1)
        return file.read(begin, end)

    def _stop_not_current(self, state: FileState | None) -> None:
        if self._follows:
            self._stop(Message("others have changed it, or it is damaged"))
        elif state is not None and self._path.stat().st_mtime_ns == stamp(state):
            self._stop(_DAMAGED)
        else:
            self._stop_behind()

    def _stop(self, where: Message) -> None:
        self.difference, self.is_done = where, True

    def _stop_behind(self) -> None:
        self.is_behind = self.is_done = True


def _is_blank(file: JSONFileReader, begin: int, end: int) -> bool:
    """Return whether there are only spaces between two offsets."""
    step = file.sizes.window
    return all(not file.read(at, min(at + step, end)).strip(b" ") for at in range(begin, end, step))


def compared(comparison: FileComparison, *, are_in_use: bool) -> FileComparison:
    """Return the outcome for one file; a part that differs in one that *are_in_use* by others is compared again."""
    attempts = _ATTEMPTS if are_in_use else 1
    for attempt in range(1, attempts + 1):
        while not comparison.is_done:
            comparison.step()
        if (comparison.difference is None and not comparison.is_behind) or attempt == attempts:
            break
        time.sleep(_PAUSE_SECONDS)
        comparison.again()
    return comparison


def _compare(text: bytes, part: Part) -> None:
    """Compare the text of a file with the records that should stand there.

    Raises:
        Differs: it is not theirs.
    """
    missing = dict(part.bodies)
    for found, end in _records(text, is_last=part.oldest is None):
        execute_id, start = found
        if execute_id not in missing:
            raise Differs(Message("run %(run)s does not belong there", run=quoted(execute_id)))
        body = missing.pop(execute_id)
        if body is not None and text[start:end] != render(body) and not _says_the_same(text[start:end], body):
            raise Differs(Message("run %(run)s differs", run=quoted(execute_id)))
    for execute_id, body in missing.items():
        if body is not None:  # one that cannot be read cannot be written either
            raise Differs(Message("run %(run)s is missing", run=quoted(execute_id)))


def _records(text: bytes, *, is_last: bool) -> Iterator[tuple[tuple[str, int], int]]:
    """Yield the id, the beginning and the end of each record in a text.

    Raises:
        Differs: something is no record, nor what stands between two.
    """
    at = 0
    while True:
        blanks = _BLANKS.match(text, at)
        brace = at if blanks is None else blanks.end()
        start = brace - len(OPENING) + 1
        match = _RECORD_ID.match(text, max(start, at))
        if match is None:
            break
        end = text.find(CLOSING, match.end() - 1)
        try:
            execute_id = orjson.loads(match[1])
        except orjson.JSONDecodeError:
            break
        if end < 0:
            break
        end += len(CLOSING)
        yield (execute_id, match.start()), end
        at = end + len(SEPARATOR)
        if text[end:at] != SEPARATOR:
            if is_last and text[end:] == b"\n" + FOOTER:
                return
            raise Differs(Message("the text after run %(run)s is damaged", run=quoted(execute_id)))
    if is_last or text[at:].strip(b" "):
        if is_last and not at and text == FOOTER:
            return
        raise Differs(_DAMAGED)


def _says_the_same(text: bytes, body: bytes) -> bool:
    """Return whether a record is written in another way only, as earlier versions wrote it."""
    try:
        return bool(read_json(text) == read_json(body))
    except (ValueError, RecursionError):
        return False


def newest_in_files(folder: Path) -> int:
    """Return the newest change that a JSON file in *folder* says it has, which nobody has touched since; 0 for none."""
    newest = 0
    for path in folder.glob(f"*{SUFFIX}"):
        with suppress(OSError, NotOurs), closing(JSONFileReader(path)) as file:
            state = file.header.state
            if file.is_untouched(state):
                newest = max(newest, state.revision)
    return newest
