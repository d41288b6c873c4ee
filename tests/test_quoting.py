"""What callers sent, as it stands in sentences and logs."""

import ast
from pathlib import Path

import pytest

import execution_history
from execution_history.errors import listed, quoted

_SOURCE = Path(execution_history.__file__).parent


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("w", "'w'"),
        ("it's", '"it\'s"'),
        ("100%s", "'100%s'"),
        ("北京", "'北京'"),
        ("a\nb\x1b[2J\x9b", r"'a\nb\x1b[2J\x9b'"),
        ("txt\u202eexe\u2066", r"'txt\u202eexe\u2066'"),
        ("\ud800", r"'\ud800'"),
        ("\u2028\u200b\ufeff", r"'\u2028\u200b\ufeff'"),
        (7, "7"),
        (None, "None"),
        (["a\n"], r"['a\n']"),
        (Path("/a/b\n"), r"'/a/b\n'"),
    ],
)
def test_what_is_quoted_cannot_break_a_line(value: object, expected: str) -> None:
    """Nothing is left in it that a terminal or a log would obey."""
    assert expected == quoted(value)


def test_what_python_writes_is_made_printable_too() -> None:
    """A foreign object may write itself in any way."""

    class Odd:
        def __repr__(self) -> str:
            return "\x1b[2J\u202e"

    assert r"\x1b[2J\u202e" == quoted(Odd())


@pytest.mark.parametrize(("value", "most"), [("x" * 1_000, 82), (list(range(1_000)), 80), (Path("y" * 1_000), 402)])
def test_the_middle_of_what_is_long_is_left_out(value: object, most: int) -> None:
    """Both ends stay, by which it is recognised; a path is cut later than others."""
    whole = repr(str(value) if isinstance(value, Path) else value)
    text = quoted(value)
    assert (most, whole[:20], whole[-20:]) == (len(text), text[:20], text[-20:])
    assert "…" in text


def test_of_many_only_some_are_listed() -> None:
    """And how many more there are."""
    assert "'a', 'b'" == listed("ab")
    assert listed("abcdefghijkl").endswith("'j' and 2 more")


def test_everything_that_is_quoted_is_quoted_so() -> None:
    """No sentence of the package uses ``!r``, which neither cuts nor knows what a path is."""
    found = [
        f"{path.relative_to(_SOURCE)}:{node.lineno}"
        for path in sorted(_SOURCE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FormattedValue) and node.conversion != -1
    ]
    assert [] == found
