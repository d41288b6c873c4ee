"""The command that does harm to histories: one round of each part loses nothing."""

import asyncio
from pathlib import Path

import apsw
from bench.fault_damage import chance_of
from bench.fault_disk import ROUNDS, faulty_files, series
from bench.faults import damages, kills


def test_a_program_that_is_killed_has_kept_what_it_answered_for(tmp_path: Path) -> None:
    """In the database and in the files, also after the next one was killed on the same folder."""
    [row] = kills(tmp_path / "h", 0, chance_of(1))
    assert (1, 0, []) == (row.rounds, row.lost, row.remarks)
    assert 0 < row.calls


def test_an_error_below_sqlite_is_the_callers_and_nobody_elses(tmp_path: Path) -> None:
    """At some of the calls; the long run fails at every one."""
    with faulty_files():
        for name, error, kinds, length in ROUNDS[:5:2]:
            rounds, faults, calls, wrong = asyncio.run(series(tmp_path / "h", error, kinds, length, 67))
            assert [] == wrong, name
            assert 1 <= faults <= rounds * length
            assert 0 < calls
    assert not [name for name in apsw.vfs_names() if name.startswith("execution-history")]


def test_damage_is_repaired(tmp_path: Path) -> None:
    """The table says how often, and of how many runs."""
    rows = damages(tmp_path, 0, seed=1, runs=30)
    assert [(1, 1, 29, 0)] == [(row.rounds, row.faults, row.calls, row.lost) for row in rows if row.rounds]
