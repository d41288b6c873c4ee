"""What the documents name exists: files, modules, classes and links."""

import importlib.util
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_PACKAGE = _ROOT / "src/execution_history"
_DOCUMENTS = [*_ROOT.glob("*.md"), *_ROOT.joinpath("docs").rglob("*.md"), *_ROOT.joinpath(".github").rglob("*.md")]
_FILES = {
    path.relative_to(_ROOT).as_posix()
    for folder in ("src", "tests", "scripts", "docs", "deploy", "bench", "examples", ".github")
    for path in _ROOT.joinpath(folder).rglob("*")
    if "__pycache__" not in path.parts
} | {path.name for path in _ROOT.iterdir()}
_NOT_READ = {"CHANGELOG.md"}
"""They tell of names that are gone, and of files that the reader will make."""
_QUOTED = re.compile(r"`([^`\n]+)`")
_FILE = re.compile(r"[\w./-]+\.(?:py|sql|html|md|css|js|txt)|(?:[\w-]+/)+")
_MADE_BY_USERS = {"folder/", "file.py", "damaged/", "site/", "reference/"}
"""Paths that stand for something of the reader's, or are made at run time."""
_ELSEWHERE = {"AsyncHTTPClient", "SyncHTTPClient", "TypeVar", "ParamSpec"}
"""Classes of other packages."""


@cache
def _names_in_source() -> set[str]:
    """Return every word in the code and its tests."""
    paths = (path for folder in ("src", "tests") for path in _ROOT.joinpath(folder).rglob("*.py"))
    return {word for path in paths for word in re.findall(r"\w+", path.read_text("utf-8"))}


def _quoted() -> Iterator[tuple[str, str]]:
    for document in _DOCUMENTS:
        if document.name in _NOT_READ:
            continue
        text = re.sub(r"^```.*?^```", "", document.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
        for name in _QUOTED.findall(text):
            yield document.relative_to(_ROOT).as_posix(), name


def _is_there(name: str) -> bool:
    """Whether a file or folder of the checkout has this path, or one that ends so."""
    name = name.rstrip("/")
    return name in _FILES or any(path.endswith(f"/{name}") for path in _FILES)


def test_every_file_that_a_document_names_exists() -> None:
    """By its path in the checkout, or the last steps of it."""
    wrong = [
        (document, name)
        for document, name in _quoted()
        if _FILE.fullmatch(name) and name not in _MADE_BY_USERS and not _is_there(name)
    ]
    assert [] == wrong


def test_every_module_and_class_that_a_document_names_exists() -> None:
    """A dotted name is a module of the package or what one has; a name in capitals is a class, here or in a test."""
    wrong = []
    for document, name in _quoted():
        module = re.match(r"execution_history(?:\.[a-z_]+)+", name)
        if module and importlib.util.find_spec(module[0].rpartition(".")[0]) is None:
            wrong.append((document, name))
        words = re.findall(r"\b[A-Z][a-z]+(?:[A-Z][a-z]+)+\b", name)
        wrong += [(document, word) for word in words if word not in _ELSEWHERE | _names_in_source()]
    assert [] == wrong


@pytest.mark.parametrize("document", _DOCUMENTS, ids=lambda path: path.name)
def test_every_link_within_the_checkout_leads_somewhere(document: Path) -> None:
    """Also that of a picture."""
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text("utf-8"))
    assert [] == [link for link in links if not (document.parent / link).exists()]
