"""Files of others: only files are opened, no more is read than there was, and what would take too much is refused."""

import os
import socket
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from execution_history.records.reading_limits import ReadingLimits, memory_of
from execution_history.stores.foreign_files import NotAFile, in_groups, open_regular, pieces_of

_DENSE = {
    "objects": b"{},",
    "small objects": b'{"a":1,"b":"text"},',
    "lists": b"[],",
    "numbers": b"1.5,",
    "digits": b"1,",
    "texts": b'"abcdef",',
    "nested": b'{"a":{"b":[1,2,3],"c":"hello"}},',
}


@pytest.mark.parametrize("kind", ["folder", "pipe", "socket", "device", "link"])
def test_nothing_but_a_file_is_opened(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a pipe's writer, and a link is none where links are not followed."""
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    path = Path("/dev/zero") if kind == "device" else Path("it")
    if kind == "folder":
        path.mkdir()
    if kind == "pipe":
        os.mkfifo(path)
    if kind == "link":
        Path("file").write_text("x")
        path.symlink_to("file")
    listener = socket.socket(socket.AF_UNIX)
    if kind == "socket":
        listener.bind(str(path))
    with listener, pytest.raises(NotAFile, match="not a file"):
        open_regular(path, follow=False)


def test_a_link_to_a_file_will_do_where_links_are_followed(tmp_path: Path) -> None:
    """A person names a link and means the file."""
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with open_regular(tmp_path / "link") as file:
        assert b"x" == file.read()


def test_a_file_that_grows_while_it_is_read_comes_to_an_end(tmp_path: Path) -> None:
    """What is added behind what was there is left for the next time."""
    path = tmp_path / "grows"
    path.write_bytes(b"x" * 10)
    with open_regular(path) as file, path.open("ab") as writer:
        read = []
        for piece in pieces_of(file, 3):
            read.append(piece)
            writer.write(b"y" * 1_000)
            writer.flush()
    assert [b"xxx", b"xxx", b"xxx", b"x"] == read


@pytest.mark.parametrize("unit", _DENSE.values(), ids=_DENSE.keys())
def test_what_a_text_takes_in_memory_is_not_underestimated(unit: bytes) -> None:
    """Whatever it consists of; and what is dense is refused before it is parsed."""
    text = b"[" + unit * 40_000 + b"1]"
    tracemalloc.start()
    try:
        value = orjson.loads(text)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert value
    assert taken <= memory_of(text) <= 16 * taken
    assert "import_memory_bytes" in (ReadingLimits(memory=taken // 2).fault_of(text) or "")


@pytest.mark.parametrize("text", ["x" * 200_000, "汉" * 100_000, "x" * 100_000 + "😀"])
def test_a_long_text_counts_with_its_copies(text: str) -> None:
    """Python keeps a character in one, two or four bytes; an ordinary long text is not refused."""
    encoded = orjson.dumps(text)
    assert len(encoded) < memory_of(encoded) <= 6 * len(encoded)
    assert ReadingLimits().fault_of(encoded) is None


@pytest.mark.parametrize("unit", ["a: 1, b: {2}; ", '{\\"a\\":[1,2,3]},', "\\\\", '\\\\\\"{,', "汉,{"])
@pytest.mark.parametrize("before", ["", "x", '\\"'])
def test_what_stands_in_texts_takes_no_memory_of_its_own(unit: str, before: str) -> None:
    """A log, or JSON within JSON, is a text; where pieces end makes no difference."""
    text = f'{{"a":"{before}{unit * 60_000}","b":[1,2]}}'.encode()
    assert orjson.loads(text)
    taken = 6 * len(text) + 1_000
    assert ReadingLimits(memory=taken).fault_of(text) is None
    assert ReadingLimits(memory=taken).fault_of(text.decode()) is None
    assert ReadingLimits(memory=taken).fault_of(text[:-2] + b",{}" * 300_000 + b"]}") is not None


def test_the_largest_record_is_a_limit_of_its_own() -> None:
    """One byte more is too much, and the sentence names the setting."""
    limits = ReadingLimits(record=10)
    assert limits.fault_of(b"1" * 10) is None
    assert "It has more than 10 bytes (the setting record_limit_bytes)." == limits.fault_of(b"1" * 11)


def test_groups_are_bounded_in_number_and_in_bytes() -> None:
    """A group ends with the item that fills it, and nothing is read ahead of it."""
    read: list[int] = []

    def items() -> Iterator[int]:
        for size in (1, 1, 1, 50, 1, 1):
            read.append(size)
            yield size

    groups = in_groups(items(), 3, 40, lambda size: size)
    assert [1, 1, 1] == next(groups)
    assert [1, 1, 1] == read
    assert [[50], [1, 1]] == list(groups)
