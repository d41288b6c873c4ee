"""One JSON file: whatever is edited in it, in whatever order, it parses and shows exactly what it should."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from execution_history.records.json_text import HUGE
from execution_history.records.partial import LARGE
from execution_history.stores.jsonfiles.file_format import (
    CLOSING,
    FOOTER,
    Header,
    create_time_at,
    parse_header,
    record_key,
    render,
    stamp,
)
from execution_history.stores.jsonfiles.file_sizes import FileSizes
from execution_history.stores.jsonfiles.json_file import JSONFile
from execution_history.stores.jsonfiles.json_file_reader import NotOurs
from execution_history.stores.jsonfiles.rebuild import regrow, write_new
from execution_history.stores.mirror_port import FileChange, FileState
from tests.examples import examples
from tests.sample_records import changed, document

_hostile = st.text(max_size=40) | st.sampled_from(
    ['\n    {\n      "execute_id": "e1",\n', "\n    }", '"histories": [', "  ]\n}\n", "\u2028", "    ", '",\n']
)
_values = st.recursive(
    _hostile | st.integers(0, 9), lambda v: st.lists(v, max_size=3) | st.dictionaries(_hostile, v, max_size=3)
)


_IO = Path("/proc/self/io")


def _moved() -> int:
    """How many bytes this process has read and written so far."""
    return sum(int(line.split()[1]) for line in _IO.read_text().splitlines() if line.startswith(("rchar", "wchar")))


def _written() -> int:
    """How many bytes this process has written so far."""
    return int(next(line.split()[1] for line in _IO.read_text().splitlines() if line.startswith("wchar")))


# Small distances, so that bisection, windows and gaps all happen within a few records.
_SIZES = FileSizes(near=700, reach=700, window=4_000, gap_every=3_000, gap=200)


class JSONFileMachine(RuleBasedStateMachine):
    """A list of records, newest first, beside the file that should show it."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._path = Path(self._folder.name) / "w.json"
        self._shown: list[tuple[int, int, str, bytes]] = []
        self._sequence = 0
        self._revision = 1

    @initialize()
    def begin(self) -> None:
        """An empty file."""
        write_new(self._path, Header("w", FileState(0, 1, 1)), [], 100)
        self._file = JSONFile(self._path, _SIZES)

    @rule(value=_values, time=st.integers(0, 6))
    def create(self, value: Any, time: int) -> None:
        """A record that is new, at any time."""
        self._sequence += 1
        execute_id = f"e{self._sequence}"
        body = document(execute_id, now=time, parameters={"v": value}).body
        self._shown.append((time, self._sequence, execute_id, body))
        self._apply(FileChange(execute_id, time, body, new=True))

    @precondition(lambda self: self._shown)
    @rule(value=_values, data=st.data())
    def change(self, value: Any, data: st.DataObject) -> None:
        """A record that grows or shrinks."""
        index = data.draw(st.integers(0, len(self._shown) - 1))
        time, sequence, execute_id, _ = self._shown[index]
        body = document(execute_id, now=time, parameters={"w": value}).body
        self._shown[index] = (time, sequence, execute_id, body)
        self._apply(FileChange(execute_id, time, body, new=False))

    @precondition(lambda self: len(self._shown) > 1)
    @rule(value=_values, statuses=st.lists(st.sampled_from(["running", "success", None]), min_size=4, max_size=12))
    def change_several(self, value: Any, statuses: list[str | None]) -> None:
        """Several records that were running change or go in one commit, in any order, and a new one comes with them."""
        changes = []
        for number, status in enumerate(statuses):
            index = number * 7 % len(self._shown)
            time, sequence, execute_id, _ = self._shown[index]
            if status is None:
                if len(self._shown) > 2:
                    del self._shown[index]
                    changes.append(FileChange(execute_id, time, None))
                continue
            body = document(execute_id, now=time, parameters={"w": [value, number]}, execute_status=status).body
            self._shown[index] = (time, sequence, execute_id, body)
            changes.append(FileChange(execute_id, time, body))
        self._sequence += 1
        body = document(f"e{self._sequence}", now=7).body
        self._shown.append((7, self._sequence, f"e{self._sequence}", body))
        self._apply(*changes[:2], FileChange(f"e{self._sequence}", 7, body, new=True), *changes[2:])

    @precondition(lambda self: self._shown)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        """A record that goes."""
        time, _, execute_id, _ = self._shown.pop(data.draw(st.integers(0, len(self._shown) - 1)))
        self._apply(FileChange(execute_id, time, None, new=False))

    @precondition(lambda self: self._shown)
    @rule(count=st.integers(1, 8), step=st.integers(1, 3), oldest=st.booleans(), at_once=st.booleans())
    def delete_several(self, count: int, step: int, oldest: bool, at_once: bool) -> None:
        """Several records go, from one end on, in one commit or one after the other."""
        gone = sorted(self._shown, reverse=not oldest)[: count * step : step]
        self._shown = [each for each in self._shown if each not in gone]
        changes = [FileChange(execute_id, time, None, new=False) for time, _, execute_id, _ in gone]
        for group in [changes] if at_once else [[each] for each in changes]:
            self._apply(*group)

    @rule()
    def delete_what_is_not_there(self) -> None:
        """A deletion that the file has already seen does nothing."""
        self._apply(FileChange("nobody", 3, None, new=False))

    @rule()
    def reopen(self) -> None:
        """Another process goes on with the file."""
        self._file.close()
        self._file = JSONFile(self._path, _SIZES)

    @rule(slack=st.sampled_from([0, 100, 5000]))
    def give_slack(self, slack: int) -> None:
        """The file is made anew with other slack."""
        self._file = regrow(self._file, slack)

    def _apply(self, *changes: FileChange) -> None:
        self._revision += 1
        blocked = self._file.apply(changes)
        if blocked:
            # Where there is no room nothing was changed; with enough slack at the front there always is for the newest.
            json.loads(self._path.read_bytes())
            bodies = [entry[3] for entry in sorted(self._shown, reverse=True)]
            self._file.close()
            write_new(self._path, Header("w", FileState(len(bodies), self._revision, 1)), bodies, 300)
            self._file = JSONFile(self._path, _SIZES)
        self._file.finish(FileState(len(self._shown), self._revision, self._revision))

    @invariant()
    def the_file_shows_the_records(self) -> None:
        """Parsed by the strictest reader there is, it is what deployments expect."""
        content = json.loads(self._path.read_bytes())
        expected = [orjson.loads(entry[3]) for entry in sorted(self._shown, reverse=True)]
        assert expected == content["histories"]
        assert len(expected) == content["total"] == len(content["histories"])
        parsed = parse_header(self._path.read_bytes())
        assert parsed is not None
        assert self._path.read_bytes()[parsed[1] : parsed[0].newest_at].strip(b" ") == b""
        assert self._path.read_bytes().endswith(FOOTER)

    def teardown(self) -> None:
        """Let go of the folder."""
        self._file.close()
        self._folder.cleanup()


JSONFileMachine.TestCase.settings = examples(25, stateful_step_count=25)
TestJSONFile = JSONFileMachine.TestCase


def test_a_file_that_is_not_ours_is_told_apart(tmp_path: Path) -> None:
    """Only the exact head that we write counts."""
    path = tmp_path / "w.json"
    path.write_text('{"workflow_id": "w", "total": 0, "histories": [], "updated_at": 1}')
    with pytest.raises(NotOurs):
        JSONFile(path)


def test_a_touched_file_is_told_apart(tmp_path: Path) -> None:
    """An edit by anybody else changes the time that we gave the file."""
    path = tmp_path / "w.json"
    write_new(path, Header("w", FileState(0, 7, 5)), [], 100)
    file = JSONFile(path)
    assert file.is_untouched(FileState(0, 7, 5))
    path.write_bytes(path.read_bytes())
    assert not file.is_untouched(FileState(0, 7, 5))
    file.close()


def test_a_record_without_room_lets_no_newer_one_pass(tmp_path: Path) -> None:
    """Of two from one millisecond the order in which they came must stay, whatever their size."""
    path = tmp_path / "w.json"
    write_new(path, Header("w", FileState(0, 7, 5)), [], 2_000)
    file = JSONFile(path)
    large = FileChange("large", 9, document("large", now=9, parameters={"t": "x" * 3_000}).body, new=True)
    small = FileChange("small", 9, document("small", now=9).body, new=True)
    assert [large, small] == file.apply([large, small])
    file.close()


def test_a_file_that_lacks_a_record_never_looks_complete(tmp_path: Path) -> None:
    """Killed while a record waits for room, the next opening must see that the file is behind."""
    path = tmp_path / "w.json"
    write_new(path, Header("w", FileState(0, 7, 5)), [], 100)
    file = JSONFile(path)
    state = FileState(1, 8, 6)
    file.finish(state, is_complete=False)
    assert file.is_untouched(state)
    assert stamp(state) != path.stat().st_mtime_ns
    other = JSONFile(path)
    assert not other.is_untouched(state)
    file.finish(state)
    assert stamp(state) == path.stat().st_mtime_ns
    file.close()
    other.close()


@pytest.mark.skipif(not _IO.exists(), reason="needs /proc, which counts bytes")
@pytest.mark.parametrize("order", ["oldest first", "newest first", "from the middle", "towards the middle"])
def test_a_deletion_reads_and_writes_little_whatever_was_deleted_before(tmp_path: Path, order: str) -> None:
    """Not more than a few blocks of a file of megabytes, though the deleted ones leave gaps as large as that."""
    count = 3_000
    bodies = [document(f"e{n}", now=n, parameters={"t": "x" * 700}).body for n in range(count, 0, -1)]
    path = tmp_path / "w.json"
    write_new(path, Header("w", FileState(count, 1, count)), bodies, 100)
    gone = {
        "oldest first": list(range(1, count - 9)),
        "newest first": list(range(count, 10, -1)),
        "from the middle": list(range(count // 2, count - 9)),
        "towards the middle": list(range(10, count // 2)),
    }[order]
    file = JSONFile(path)
    before = _moved()
    for number in gone:
        assert not file.apply([FileChange(f"e{number}", number, None)], is_complete=True)
    moved = _moved() - before
    file.close()
    kept = [number for number in range(count, 0, -1) if number not in set(gone)]
    assert kept == [record["create_time"] for record in json.loads(path.read_bytes())["histories"]]
    assert moved / len(gone) < (60_000 if "middle" not in order else 400_000)


@pytest.mark.skipif(not _IO.exists(), reason="needs /proc, which counts bytes")
def test_a_search_reads_each_very_large_record_once(tmp_path: Path) -> None:
    """At most, however often a bisection falls into it."""
    bodies = [document(f"e{n}", now=n, parameters={"t": "x" * 3_000_000}).body for n in range(12, 0, -1)]
    path = tmp_path / "w.json"
    write_new(path, Header("w", FileState(12, 1, 12)), bodies, 100)
    file = JSONFile(path)
    before = _moved()
    assert all(file.locate(f"e{n}", n) for n in (6, 3, 8, 5, 1, 11, 2, 10))
    assert _moved() - before < 1.2 * path.stat().st_size
    file.close()


@pytest.mark.skipif(not _IO.exists(), reason="needs /proc, which counts bytes")
@pytest.mark.parametrize("at_once", [1, 8, 100, 1_000])
@pytest.mark.parametrize("order", ["oldest first", "newest first", "in any order"])
def test_runs_that_end_after_many_others_began_write_little(tmp_path: Path, order: str, at_once: int) -> None:
    """Each about as much as its record and some neighbours, however many are open, one by one and in groups."""
    count = 1_000
    path = tmp_path / "w.json"
    running = [document(f"e{n}", now=n, parameters={"t": "x" * 700}) for n in range(count, 0, -1)]
    write_new(path, Header("w", FileState(count, 1, count)), [each.body for each in running], 8_000_000)
    keys: dict[str, Callable[[int], int]] = {
        "oldest first": lambda n: n,
        "newest first": lambda n: -n,
        "in any order": lambda n: n * 7_919 % 2_003,
    }
    ends = sorted(running, key=lambda each: keys[order](each.create_time))
    file = JSONFile(path)
    before = _written()
    for begin in range(0, count, at_once):
        ended = [
            changed(each, count, "success", output="y" * (500 + each.create_time * 37 % 1_000))
            for each in ends[begin : begin + at_once]
        ]
        changes = [FileChange(each.execute_id, each.create_time, each.body) for each in ended]
        assert [] == file.apply(changes, is_complete=True)
    written = _written() - before
    size = file.size - file.header.newest_at
    file.close()
    shown = json.loads(path.read_bytes())["histories"]
    assert list(range(count, 0, -1)) == [record["create_time"] for record in shown]
    assert {"success"} == {record["execute_status"] for record in shown}
    assert written / count < 60_000
    assert size < 2 * sum(len(render(orjson.dumps(record))) for record in shown)


def test_a_file_gets_shorter_with_its_oldest_records(tmp_path: Path) -> None:
    """Retention deletes from there."""
    bodies = [document(f"e{n}", now=n, parameters={"t": "x" * 700}).body for n in range(100, 0, -1)]
    path = tmp_path / "w.json"
    write_new(path, Header("w", FileState(100, 1, 100)), bodies, 0)
    size = path.stat().st_size
    file = JSONFile(path)
    file.apply([FileChange(f"e{n}", n, None) for n in range(1, 51)], is_complete=True)
    file.close()
    assert path.stat().st_size < 0.6 * size


def test_room_in_a_gap_is_used_again(tmp_path: Path) -> None:
    """A record that comes late takes the place of one that was deleted, and the file does not grow."""
    bodies = [document(f"e{n}", now=n, parameters={"t": "x" * 700}).body for n in range(100, 0, -1)]
    path = tmp_path / "w.json"
    write_new(path, Header("w", FileState(100, 1, 100)), bodies, 0)
    size = path.stat().st_size
    file = JSONFile(path)
    late = FileChange("late", 30, document("late", now=30, parameters={"t": "y" * 600}).body, new=True)
    assert not file.apply([FileChange("e40", 40, None), late])
    file.close()
    assert size == path.stat().st_size
    shown = [record["execute_id"] for record in json.loads(path.read_bytes())["histories"]]
    assert ["e31", "late", "e30"] == shown[shown.index("e31") :][:3]


@given(
    st.recursive(
        _hostile | st.none() | st.booleans() | st.integers() | st.floats(),
        lambda v: st.lists(v) | st.dictionaries(_hostile, v),
    )
)
def test_a_record_is_indented_as_it_always_was(value: Any) -> None:
    """By two spaces a level; files of all versions look alike."""
    record = orjson.loads(document("e", now=5, output=value).body)
    lines = orjson.dumps([[record]], option=orjson.OPT_INDENT_2)
    assert lines == b"[\n  [\n" + render(orjson.dumps(record)) + b"\n  ]\n]"


def test_the_stamp_lies_within_the_millisecond_it_stands_for() -> None:
    """People who sort the folder by time see the truth."""
    assert 1_761_901_941_290 == stamp(FileState(0, 12_345, 1_761_901_941_290)) // 1_000_000


def test_a_huge_record_is_laid_out_like_others_but_for_its_large_values() -> None:
    """They stand in one line each; every line is one of the record, and it is read back as what it was."""
    value = [{"n": number, "t": '\n    }"', "l": []} for number in range(60_000)]
    for fields in ({"output": value, "usage": {"a": [1, {}]}}, {"metadata": {"m": value}}, {"bot_id": "x" * 2_000_000}):
        body = document("e", now=5, **fields).body
        assert len(body) > HUGE
        lines = render(body)
        record = orjson.loads(body)
        assert record == orjson.loads(lines)
        assert lines.startswith(record_key("e"))
        assert lines.endswith(CLOSING)
        assert all(line.startswith(b"      ") for line in lines.split(b"\n")[1:-1])
        assert 5 == create_time_at(lines, 0)
        small = {key: None if len(orjson.dumps(kept)) > LARGE else kept for key, kept in record.items()}
        indented = [
            line for line in render(orjson.dumps(small)).split(b"\n") if not line.endswith((b": null,", b": null"))
        ]
        assert set(indented) <= set(lines.split(b"\n"))
