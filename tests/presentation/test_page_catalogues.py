"""The two languages of the page: both whole, nothing missing, nothing left over."""

import re
import string
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from types import ModuleType

import pytest

from execution_history.presentation.catalogues.page import chinese, english
from execution_history.presentation.catalogues.page.chinese import CHINESE
from execution_history.presentation.catalogues.page.english import ENGLISH
from execution_history.presentation.catalogues.terminal.chinese import CHINESE as TERMINAL_CHINESE
from execution_history.presentation.catalogues.terminal.english import ENGLISH as TERMINAL_ENGLISH
from execution_history.presentation.coze_error_codes import NAMES
from execution_history.presentation.page_translator import Speech, isolated, language_of
from execution_history.query.fields import FILTERS
from execution_history.records.proof import Proof

WEB = Path(str(files("execution_history.web")))
SHOWN = WEB.parent.joinpath("presentation")
SOURCES = [*WEB.joinpath("templates").iterdir(), *WEB.joinpath("pages").glob("*.py"), *SHOWN.glob("page_*.py"),
           SHOWN / "coze_error_codes.py"]  # fmt: skip
TEXT = "\n".join(path.read_text() for path in SOURCES)
FAMILIES = ("proof.", "status.", "headline.", "keys.", "theme.", "fact.", "mode.", "code.", "filter.", "error.",
            "range.", "time.", "compare.", "head.", "fault.")  # fmt: skip
"""Beginnings of keys that are put together from a word."""


def facts(sentence: str) -> set[str]:
    """The facts that a sentence wants."""
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


def test_both_languages_say_the_same_things() -> None:
    """Every sentence exists in both, and wants the same facts."""
    assert ENGLISH.keys() == CHINESE.keys()
    assert {} == {key: CHINESE[key] for key in ENGLISH if facts(ENGLISH[key]) != facts(CHINESE[key])}


@pytest.mark.parametrize("language", [english, chinese])
def test_no_sentence_stands_in_two_parts(language: ModuleType) -> None:
    """The one would hide the other."""
    assert len(getattr(language, language.__name__.rpartition(".")[2].upper())) == sum(map(len, language.PARTS))


def test_every_sentence_that_is_asked_for_exists() -> None:
    """No template and no module names a key that is not in the catalogue."""
    asked = set(re.findall(r"""say(?:\.markup|\.number)?\(\s*["']([a-z_0-9.]+[a-z_0-9])["']\s*[,)]""", TEXT))
    assert asked
    assert set() == asked - ENGLISH.keys()


def test_no_sentence_is_left_over() -> None:
    """Every key is named somewhere, whole or by the beginning that a word is added to."""
    quoted = set(re.findall(r"""["']([a-z_0-9.]+)["']""", TEXT))
    unused = [
        key
        for key in ENGLISH
        if key.removesuffix(".one") not in quoted and not any(key.startswith(family) for family in FAMILIES)
    ]
    assert [] == unused


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_used(family: str) -> None:
    """A beginning that nothing is added to would hide keys that are left over."""
    assert re.search(rf"""["'f]{re.escape(family)}""", TEXT)


def test_every_code_and_every_filter_has_its_words() -> None:
    """What the modules can name, the catalogue can say."""
    assert set() == {f"code.{name}.{part}" for name in NAMES for part in ("meaning", "remedy")} - ENGLISH.keys()
    assert set() == {f"filter.{row.name}" for row in FILTERS} - ENGLISH.keys()
    codes = {key.split(".")[1] for key in ENGLISH if key.startswith("code.")}
    assert NAMES == codes


@pytest.mark.parametrize("catalogue", [ENGLISH, CHINESE, TERMINAL_ENGLISH, TERMINAL_CHINESE])
def test_every_proof_is_explained(catalogue: Mapping[str, str]) -> None:
    """Each proof that a recorder can write down has a sentence of its own, on the page and in the terminal."""
    assert set() == {f"proof.{proof}" for proof in Proof} - catalogue.keys()


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-GB,en;q=0.9,zh;q=0.8", "en"),
        ("de,fr;q=0.9", "en"),
        ("de,zh;q=0.5,en;q=0.4", "zh"),
        ("zh;q=0,en;q=0.1", "en"),
        ("zh;q=oops,en", "en"),
        ("zh-TW", "zh"),
    ],
)
def test_the_browser_chooses_the_language(header: str, language: str) -> None:
    """The one that it likes best of those we speak."""
    assert language == language_of(header)


def test_facts_cannot_change_a_page() -> None:
    """In markup they are escaped and isolated, and marks that reverse text are shown."""
    said = Speech().markup("headline.failed.in", duration="1 s", node="<b>\u202ex")
    assert "Failed after <bdi>1 s</bdi> in <bdi>&lt;b&gt;\\u202ex</bdi>" == str(said)
    assert "<bdi>␛[2J</bdi>" == str(isolated("\x1b[2J"))


def test_one_is_singular() -> None:
    """One key is not "1 keys"."""
    assert ["1 key", "2 keys", "1\u202f234 keys"] == [Speech().number("tree.keys", count) for count in (1, 2, 1234)]
