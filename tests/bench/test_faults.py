"""The command that does harm to histories: a little of each part loses nothing; what looks for losses finds them."""

import asyncio
import itertools
import math
from pathlib import Path
from typing import Any

import apsw
import orjson
import pytest
from bench import fault_clock, fault_damage, fault_disk, fault_kill, fault_power, fault_worst, fault_writers
from bench.fault_damage import chance_of, opened, some_json
from bench.fault_load import Known, Load, Subject
from bench.fault_order import Call, Impossible, Kind, after, is_explained
from bench.fault_results import Row, ended_at, keep, kept, table
from bench.fault_work import Doing, Work, template
from bench.fault_works import WORKS
from bench.faults import main

from execution_history.errors import StoreFull
from execution_history.stores import MemoryStore, SQLiteStore

pytestmark = pytest.mark.anyio


def _well(rows: list[Row]) -> None:
    assert [[]] * len(rows) == [row.remarks for row in rows]
    assert not any(row.has_failed for row in rows)
    assert all(row.calls and row.rounds for row in rows)


def test_programs_that_are_killed_have_kept_what_they_answered_for(tmp_path: Path) -> None:
    """In the database and in the files, also after the next one was killed on the same folder."""
    _well(list(itertools.islice(fault_kill.rounds(tmp_path, 1, 0, length=3), 1)))


def test_answers_of_many_writers_are_those_of_calls_one_after_the_other(tmp_path: Path) -> None:
    """Record by record; those who follow the feed miss nothing."""
    _well([fault_writers.one_round(tmp_path / "w", 1, 0, seconds=1.0, processes=2)])


async def test_what_was_answered_for_is_there_when_the_power_has_failed(tmp_path: Path) -> None:
    """What was written after the last sync may be lost; the next program goes on with that."""
    machine, row = fault_power.Machine(tmp_path / "h"), Row("power", "", 1, 0)
    await machine.round(0, 1, row, most=4)
    await machine.round(1, 1, row, most=4)
    _well([row])
    assert 8 == row.faults


async def test_a_disk_that_only_pretends_to_sync_is_found_out(tmp_path: Path) -> None:
    """So a store that would not sync would be too."""
    _, images = await fault_power.images_of(tmp_path / "h", "p", chance_of(1), 24, is_honest=False)
    image = [each for each in images if each.what == "all of it is lost"][-1]
    image.files = {name: each for name, each in image.files.items() if not name.endswith(".json")}
    image.write(tmp_path / "image")
    assert await fault_power.wrong_in(tmp_path / "image", Known(), "p", image.answered)


@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.name)
async def test_an_error_below_sqlite_is_clear_and_loses_nothing(tmp_path: Path, work: Work) -> None:
    """At some of the calls; the long run fails at every one."""
    known = await template(tmp_path / "template", work)
    chance = chance_of(work.name)
    for fault, length in chance.sample([*fault_disk.SQLITE_FAULTS.values()], 2):
        if work.name == "doctor --repair":
            break
        series = fault_disk.Series(tmp_path, work, fault, length, known)
        failed, doing, wrong = await series.round(1 + chance.randrange(4))
        assert ([], []) == (doing.odd, wrong)
        assert 0 <= failed <= length
    assert not [name for name in apsw.vfs_names() if name.startswith("execution-history")]


def test_failing_calls_of_the_system_lose_nothing_either(tmp_path: Path) -> None:
    """The command makes what lets them fail; the results tell what was done."""
    if fault_disk.run_with_system_faults(["-c", "pass"]) is None:
        pytest.skip("there is no C compiler")
    results = tmp_path / "results"
    assert 0 == main(["--part", "disk", "--seed", "3", "--rounds", "4", "--results", str(results)])
    rows = list(kept(results))
    assert 4 <= sum(row.rounds for row in rows)
    assert 4 <= ended_at(rows, "disk", 3)


def test_an_unclear_error_and_a_lost_run_are_found(tmp_path: Path) -> None:
    """Of whatever work."""

    async def lose(doing: Doing) -> None:
        async def fail() -> None:
            raise OSError(5, "Input/output error")

        await doing.part(fail)
        async with opened(doing.history) as store:
            await store.delete(*next(key for key, state in doing.known.runs.items() if state is not None))

    work = Work("lose", lose)
    known = asyncio.run(template(tmp_path / "template", work))
    _, doing, wrong = asyncio.run(
        fault_disk.Series(tmp_path, work, fault_disk.SQLITE_FAULTS["a short read"][0], 1, known).round(10**6)
    )
    assert ["fail: OSError(5, 'Input/output error')"] == doing.odd
    assert wrong


def test_a_clock_that_goes_back_changes_no_order_and_loses_nothing(tmp_path: Path) -> None:
    """The lists are those of the memory store, and leases hold."""
    rows = list(itertools.islice(fault_clock.rounds(tmp_path / "c", 1, 0), 1))
    _well(rows)
    assert 0 < rows[0].faults


async def test_leases_by_a_clock_that_is_set_are_found_out() -> None:
    """A store must not have them."""
    clock = fault_clock.JumpingClock(chance_of(1), 10**12)
    assert await fault_clock.leases_hold(MemoryStore(), clock) == []
    assert await fault_clock.leases_hold(MemoryStore(uptime=lambda: -clock.time), clock)


def test_damage_is_repaired(tmp_path: Path) -> None:
    """The table says how often, and of how many runs."""
    rows = list(itertools.islice(fault_damage.rounds(tmp_path, 1, 0, runs=30), 1))
    _well(rows)
    assert [29] == [row.calls for row in rows]


def test_the_worst_case_loses_nothing(tmp_path: Path) -> None:
    """A full disk, a kill, a power cut, flipped bits, and the loss of all but a backup."""
    rows = list(itertools.islice(fault_worst.rounds(tmp_path / "worst", 1, 0, seconds=0.5), 1))
    if not rows[0].rounds:
        pytest.skip("this machine lets nobody mount a small disk")
    assert not rows[0].has_failed, rows[0].remarks


@pytest.fixture
async def learnt(tmp_path: Path) -> tuple[SQLiteStore, Load, Known]:
    """A history that a program has written, and what is known of it."""
    store, load, known = SQLiteStore(tmp_path / "h"), Load("p"), Known()
    await store.open()
    await load.run(store, range(16), 4)
    assert [] == await known.learn(store, "p", load.answered)
    return store, load, known


async def test_a_run_an_entry_and_a_line_that_are_missing_are_found(learnt: tuple[SQLiteStore, Load, Known]) -> None:
    """As is one that came back, and a file that says otherwise."""
    store, load, known = learnt
    await store.delete(*Subject("p", 0).key)
    await store.restore([Subject("p", 5).key])
    await store.put_entry("view", Subject("p", 7).name, orjson.dumps({"mark": 1}))
    answered = load.answered | {0: 2, 8: 2, 2: 4}
    found = await known.learn(store, "p", answered)
    for name in ("p-0 is None", "p-5 is ('running', 1)", "p-7 is ('entry', 1)", "audit line p-"):
        assert [each for each in found if each.startswith(name)], name
    assert [] == await known.compare(store)
    await store.delete(*Subject("p", 8).key)
    assert 1 == len(await known.compare(store))
    path = some_json(Path(store.location.removeprefix("sqlite:")), chance_of(1))
    path.write_bytes(path.read_bytes().replace(b'"success"', b'"failed"'))
    assert known.compare_files(path.parent)
    await store.aclose()


async def test_what_is_refused_without_a_clear_sentence_is_found() -> None:
    """And an update time that does not rise."""

    class Poor(MemoryStore):
        async def create(self, document: Any) -> None:
            if document.execute_id.endswith("-8"):
                raise StoreFull("The disk is full.")
            raise KeyError(document.execute_id)

    load = Load("p")
    await load.run(Poor(), [0, 8], 1)
    assert (2, ["create: KeyError('p-0')"]) == (load.refused, load.odd)


_INFINITE = math.inf
_KINDS: list[Kind] = ["create", "create", "create", "change", "change", "get", "get", "get", "delete", "finish"]


@pytest.mark.parametrize(
    ("calls", "possible"),
    [
        ([("create", 1, 0, 1, True), ("get", 0, 2, 3, ["running", 1])], True),
        ([("create", 1, 0, 1, True), ("get", 0, 2, 3, None)], False),
        ([("create", 1, 0, 3, True), ("get", 0, 2, 4, None)], True),
        ([("create", 1, 0, 1, True), ("create", 2, 0, 1, True)], False),
        ([("create", 1, 0, 1, True), ("change", 2, 2, 3, True), ("get", 0, 4, 5, ["running", 1])], False),
        (
            [
                ("create", 1, 0, 1, True),
                ("change", 2, 2, 9, True),
                ("get", 0, 3, 4, ["running", 2]),
                ("get", 0, 5, 6, ["running", 1]),
            ],
            False,
        ),
        ([("create", 1, 0, 1, True), ("finish", 2, 2, 3, True), ("fail", 3, 4, 5, True)], False),
        ([("create", 1, 0, 1, True), ("finish", 2, 2, 3, True), ("fail", 3, 4, 5, None)], True),
        ([("create", 1, 0, 1, True), ("delete", 2, 2, 5, True), ("delete", 3, 2, 5, True)], False),
        ([("create", 1, 0, _INFINITE, None), ("get", 0, 3, 4, ["running", 1])], True),
        ([("create", 1, 0, _INFINITE, None), ("get", 0, 3, 4, None)], True),
    ],
)
def test_only_what_can_have_been_is_explained(calls: list[tuple[Any, ...]], possible: bool) -> None:
    """A stale read, a change that was lost, a run that was made twice and so on are not."""
    assert possible is is_explained([Call(*call) for call in calls])


def test_the_search_for_an_explanation_finds_what_trying_all_orders_does() -> None:
    """And nothing else."""
    chance, outcomes = chance_of(4), []
    for _ in range(400):
        calls = []
        for mark in range(1, 6):
            began = chance.randrange(8)
            kind = chance.choice(_KINDS)
            states: list[Any] = [None, ["running", 1], ["running", mark - 1]]
            answer = chance.choice(states) if kind == "get" else chance.random() < 0.7
            calls.append(Call(kind, mark, began, began + chance.randrange(1, 5), answer))
        outcomes.append(is_explained(calls))
        assert outcomes[-1] is any(map(_is_possible, itertools.permutations(calls)))
    assert {True, False} == set(outcomes)


def _is_possible(calls: tuple[Call, ...]) -> bool:
    if any(later.ended < call.began for place, call in enumerate(calls) for later in calls[place + 1 :]):
        return False
    state = None
    try:
        for call in calls:
            state = after(state, call)
    except Impossible:
        return False
    return True


def test_a_change_that_a_follower_has_missed_is_found() -> None:
    """One after the last that it has read is none."""
    assert [(2, "b")] == fault_writers.unseen([(1, "a"), (2, "b"), (4, "c")], {(1, "a"), (3, "x")})


def test_results_are_added_up_over_several_calls(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table tells how to repeat what has failed, and the exit code that something has."""
    results = tmp_path / "results"
    keep(results, Row("kill", "kill -9 under load", 7, 0, rounds=12, calls=1_000))
    bad = Row("kill", "kill -9 under load", 7, 12, rounds=12, calls=1_500)
    bad.add(["w/1 is gone"])
    assert 24 == ended_at([*kept(results), bad], "kill", 7)
    assert 0 == main(["--show", "--results", str(results)])
    keep(results, bad)
    assert 1 == main(["--show", "--results", str(results)])
    shown = capsys.readouterr().out
    assert "| kill -9 under load | 24 | 0 | 2,500 | 1 | 0 |" in shown
    assert "scripts/faults --part kill --seed 7 --first 12 --rounds 12" in shown
    assert table(list(kept(results))) in shown
