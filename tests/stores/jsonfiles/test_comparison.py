"""JSON files compared with the records that they mirror."""

import os
from pathlib import Path

import pytest
from bench.fault_damage import chance_of, flip

from execution_history.stores import SQLiteStore
from execution_history.stores.jsonfiles.comparison import FileComparison
from execution_history.stores.jsonfiles.file_sizes import FileSizes
from execution_history.stores.sqlite.checkup import HistoryView
from tests.sample_records import change, document

pytestmark = pytest.mark.anyio

_SMALL = FileSizes(
    small=2_000,
    near=300,
    reach=800,
    window=4_000,
    gap_every=3_000,
    gap=400,
    least_slack=200,
    front=1_000,
    rows_at_once=5,
)


def _compared(folder: Path, workflow_id: str = "w", part_bytes: int = 4_000) -> FileComparison:
    comparison = FileComparison(
        folder / f"{workflow_id}.json", workflow_id, HistoryView(folder, json_files=True), part_bytes, _SMALL
    )
    while not comparison.is_done:
        comparison.step()
    return comparison


async def test_whatever_was_done_to_a_file_by_its_store_it_is_equal(tmp_path: Path) -> None:
    """After every edit: with slack and gaps, with records that grew, shrank, went and came in any order of times."""
    store = SQLiteStore(tmp_path, file_sizes=_SMALL)
    await store.open()
    chance = chance_of(3)
    known: list[str] = []
    for number in range(150):
        kind = chance.random()
        if kind < 0.5 or not known:
            name = f"e{number}"
            known.append(name)
            at = chance.choice([1_000 + number, 1_000, 1_050, 900 - number])
            await store.create(document(name, "w", at, parameters={"t": "ü" * chance.choice([1, 50, 700])}))
        elif kind < 0.85:
            changed = change(10_000 + number, output="o" * chance.choice([0, 30, 900]))
            await store.update("w", chance.choice(known), changed)
        else:
            gone = known.pop(chance.randrange(len(known)))
            await store.delete("w", gone)
        if number % 5 == 0:
            await store.flush()
            comparison = _compared(tmp_path)
            assert (None, False) == (comparison.difference, comparison.is_behind), number
    await store.aclose()
    assert None is _compared(tmp_path).difference


async def test_one_flipped_bit_is_found_wherever_it_is(tmp_path: Path) -> None:
    """In the header, a record, between two, in the slack, and behind them."""
    store = SQLiteStore(tmp_path, file_sizes=_SMALL)
    await store.open()
    for number in range(40):
        await store.create(document(f"e{number}", "w", 1_000 + number % 7, parameters={"t": "x" * 80}))
    await store.flush()
    path, chance = tmp_path / "w.json", chance_of(1)
    kept, status = path.read_bytes(), path.stat()
    for _ in range(60):
        done = flip(path, chance, 1)
        comparison = _compared(tmp_path)
        assert comparison.difference is not None or comparison.is_behind, done
        with path.open("r+b") as file:
            file.write(kept)

        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    await store.aclose()


async def test_a_file_that_somebody_changed_is_behind_and_not_damaged(tmp_path: Path) -> None:
    """The next change, or opening, reads it."""
    store = SQLiteStore(tmp_path)
    await store.open()
    await store.create(document("e1"))
    await store.flush()
    path = tmp_path / "w.json"
    path.write_bytes(path.read_bytes().replace(b"e1", b"e2"))
    comparison = _compared(tmp_path)
    assert (None, True) == (comparison.difference, comparison.is_behind)
    path.unlink()
    assert "it is missing" == _compared(tmp_path).difference
    await store.aclose()
