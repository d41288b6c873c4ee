"""What programs under faults do, and what has to be there of it afterwards.

All of it is in *subjects*: a subject is a run, or an entry of the registry, that one caller makes and changes step by
step. Its number decides its script, so that whoever knows how many steps were answered for knows its state: the one
after these steps, or, where a call was under way, the one after the next.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import orjson

from execution_history.clock import now_ms
from execution_history.errors import ExecutionHistoryError
from execution_history.query.model import RecordKey
from execution_history.records.record import Document, RecordChange, new_document
from execution_history.stores import SQLiteStore
from execution_history.stores.protocol import HistoryStore

SCRIPTS: Final = (
    ("create", "finish"),
    ("create", "change", "finish", "audit"),
    ("create", "finish", "change"),
    ("create", "finish", "delete"),
    ("create", "finish", "discard", "restore"),
    ("create", "discard"),
    ("put", "put", "drop"),
    ("put", "audit", "put"),
)
WORKFLOWS: Final = 4

_KEPT_MS: Final = 86_400_000
_AT_ONCE: Final = 1_000

State = tuple[str, int] | None
"""The status of a run, ``entry`` for an entry, and the number of the step that wrote it last; ``None`` is gone."""

Answers = dict[int, int]
"""How many steps of each subject, by its number, were answered for."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One subject: the name of the program that makes it, and its number there."""

    program: str
    number: int

    @property
    def script(self) -> tuple[str, ...]:
        """Its steps."""
        return SCRIPTS[self.number % len(SCRIPTS)]

    @property
    def is_entry(self) -> bool:
        """Whether it is an entry of the registry."""
        return self.script[0] == "put"

    @property
    def name(self) -> str:
        """Its execute id, or its key in the registry."""
        return f"{self.program}-{self.number}"

    @property
    def key(self) -> RecordKey:
        """The key of its run."""
        return RecordKey(f"w{self.number // len(SCRIPTS) % WORKFLOWS}", self.name)

    def after(self, steps: int) -> State:
        """Return its state after so many steps."""
        state: State = None
        before: State = None
        for number, step in enumerate(self.script[:steps], 1):
            if step in {"delete", "discard", "drop"}:
                state, before = None, state
            elif step == "restore":
                state = before
            elif step == "put":
                state = "entry", number
            elif step != "audit":
                state = "success" if step == "finish" else state[0] if state else "running", number
        return state

    def allowed(self, steps: int) -> set[State]:
        """Return the states that it may have when so many steps were answered for."""
        return {self.after(steps), self.after(steps + 1)}

    def has_line(self, steps: int) -> bool:
        """Return whether the audit log has to have its line."""
        return "audit" in self.script[:steps]


async def perform(store: Any, subject: Subject, step: int, clock: Callable[[], int] = now_ms) -> Document | None:
    """Do the step of a subject with this number, from 0 on; return the record that it has written, if any."""
    key, mark, now = subject.key, {"mark": step + 1}, clock()
    match subject.script[step]:
        case "create":
            text = {"text": "x" * (subject.number * 397 % 2_000)}
            made = new_document(workflow_id=key[0], execute_id=key[1], now=now, parameters=text, metadata=mark)
            await store.create(made)
            return made
        case "change":
            return cast("Document | None", await store.update(*key, RecordChange.of(now, None, mark)))
        case "finish":
            output = {"output": "done " * (subject.number % 90)}
            change = RecordChange.of(now, "success", mark, fields=output)
            return cast("Document | None", await store.update(*key, change))
        case "delete":
            await store.delete(*key)
        case "discard":
            await store.discard([key], _KEPT_MS)
        case "restore":
            await store.restore([key])
        case "put":
            await store.put_entry("view", subject.name, orjson.dumps(mark))
        case "drop":
            await store.drop_entry("view", subject.name)
        case "audit":
            await store.append_audit("bench", subject.name)
    return None


@dataclass
class Load:
    """A program: callers that take one subject after the other.

    Attributes:
        program: its name.
        answered: for each subject, how many steps were.
        refused: how many calls raised an error of this package.
        odd: the errors that are not clear.
        note: called with the number of a subject and of its steps, once they were answered for.
        refuse: called with what was raised.
        clock: milliseconds since the epoch.
    """

    program: str
    answered: Answers = field(default_factory=dict)
    refused: int = 0
    odd: list[str] = field(default_factory=list)
    note: Callable[[int, int], object] = lambda _number, _steps: None
    refuse: Callable[[Exception], object] = lambda _: None
    clock: Callable[[], int] = now_ms

    @property
    def calls(self) -> int:
        """How many were answered for."""
        return sum(self.answered.values())

    async def run(self, store: Any, numbers: Iterable[int], callers: int, pause: float = 0.0) -> None:
        """Take the subjects with these *numbers*, by so many *callers* at once, which wait so long after an error."""
        left = iter(numbers)

        async def caller() -> None:
            for number in left:
                if not await self._one(store, Subject(self.program, number)):
                    await asyncio.sleep(pause)

        await asyncio.gather(*(caller() for _ in range(callers)))

    async def _one(self, store: Any, subject: Subject) -> bool:
        self.answered[subject.number] = 0
        newest = 0
        for step in range(len(subject.script)):
            try:
                made = await perform(store, subject, step, self.clock)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is looked at
                self.refused += 1
                self.refuse(error)
                if not is_clear(error):
                    self.odd.append(f"{subject.script[step]}: {error!r}")
                return False
            if made is not None:
                if made.update_time <= newest:
                    self.odd.append(f"{subject.script[step]}: its update_time is no later than before")
                newest = made.update_time
            self.answered[subject.number] = step + 1
            self.note(subject.number, step + 1)
        return True


def is_clear(error: BaseException) -> bool:
    """Return whether *error* is one sentence of this package that says what to do, and blames no bug."""
    text = str(error)
    return isinstance(error, ExecutionHistoryError) and "This is a bug" not in text and " failed: " not in text


def state_of(body: bytes) -> State:
    """Return the state that a run's record shows."""
    record = orjson.loads(body)
    return record["execute_status"], record["metadata"]["mark"]


@dataclass
class Known:
    """What a history has to have, learnt program by program.

    Attributes:
        runs: the state of each run.
        entries: that of each entry.
        lines: what the audit log has to have.
        audited: the number of the last line that was read.
    """

    runs: dict[RecordKey, State] = field(default_factory=dict)
    entries: dict[str, State] = field(default_factory=dict)
    lines: set[str] = field(default_factory=set)
    audited: int = 0

    async def learn(self, store: Any, program: str, answered: Mapping[int, int]) -> list[str]:
        """Compare what a program was answered with what is in *store*, note that, and return what is wrong."""
        subjects = [Subject(program, number) for number in answered]
        runs = [each for each in subjects if not each.is_entry]
        seen: dict[Subject, State] = {}
        for start in range(0, len(runs), _AT_ONCE):
            part = runs[start : start + _AT_ONCE]
            found = await store.get_many([each.key for each in part])
            bodies = found.documents
            seen |= {each: state_of(bodies[each.key]) if each.key in bodies else None for each in part}
        entries = await _entries(store) if len(runs) < len(subjects) else {}
        seen |= {each: entries.get(each.name) for each in subjects if each.is_entry}
        wrong = []
        for each, state in seen.items():
            if state not in (allowed := each.allowed(answered[each.number])):
                wrong.append(f"{each.name} is {state}, not {allowed}")
            if each.is_entry:
                self.entries[each.name] = state
            else:
                self.runs[each.key] = state
        self.lines |= {each.name for each in subjects if each.has_line(answered[each.number])}
        return wrong + await self._lines_missing(store, program)

    async def _lines_missing(self, store: Any, program: str) -> list[str]:
        """Read the new lines of the audit log; return the lines of *program* that are missing or there twice."""
        lines: list[str] = []
        while found := await store.audit(self.audited, _AT_ONCE):
            lines += [each.action for each in found if each.actor == "bench"]
            self.audited = found[-1].number
        wanted = {line for line in self.lines if line.rpartition("-")[0] == program}
        twice = len(lines) - len(set(lines))
        return [f"audit line {line} is missing" for line in wanted - set(lines)] + ["an audit line twice"] * twice

    async def compare(self, store: HistoryStore) -> list[str]:
        """Return what of the whole is not as it was noted."""
        runs = {key: state async for key, state in _records(store)}
        wanted = {key: state for key, state in self.runs.items() if state is not None}
        entries = {name: state for name, state in self.entries.items() if state is not None}
        return [*_differences(wanted, runs, "in the database"), *_differences(entries, await _entries(store), "")]

    def compare_files(self, folder: Path) -> list[str]:
        """Return what of the runs is not in the JSON files as it was noted."""
        shown: dict[RecordKey, State] = {}
        for path in folder.glob("*.json"):
            for record in orjson.loads(path.read_bytes())["histories"]:
                key = RecordKey(record["workflow_id"], record["execute_id"])
                shown[key] = record["execute_status"], record["metadata"]["mark"]
        wanted = {key: state for key, state in self.runs.items() if state is not None}
        return list(_differences(wanted, shown, "in its JSON file"))


def _differences(wanted: Mapping[Any, State], found: Mapping[Any, State], where: str) -> Iterator[str]:
    keys: AbstractSet[Any] = wanted.keys() | found.keys()
    for key in keys:
        if wanted.get(key) != found.get(key):
            yield f"{key} is {found.get(key)} {where}, not {wanted.get(key)}"


async def _records(store: HistoryStore) -> Any:
    after = None
    while True:
        batch = await store.scan(after, _AT_ONCE)
        for body in batch.documents:
            record = orjson.loads(body)
            yield (
                RecordKey(record["workflow_id"], record["execute_id"]),
                (record["execute_status"], record["metadata"]["mark"]),
            )
        after = batch.next
        if after is None:
            return


async def _entries(store: HistoryStore) -> dict[str, State]:
    return {each.name.key: ("entry", orjson.loads(each.value)["mark"]) for each in await store.entries("view")}


async def disturb(store: SQLiteStore) -> None:
    """Do beside the callers, for ever, what a server does in the background."""
    while True:
        for work in (store.flush, store.follow_index, store.prune, store.health):
            with suppress(ExecutionHistoryError):
                await work()
            await asyncio.sleep(0.05)
