"""Sentences in the reader's language: which one that is, and how arguments stand in them."""

import os
import pickle
from pathlib import Path

import pytest
from markupsafe import Markup

from execution_history.errors import ExecutionHistoryError, InvalidQuery, Message
from execution_history.presentation import coze_error_codes, headlines, phrases
from execution_history.presentation.po_file import compiled
from execution_history.presentation.translator import LANGUAGES, LOCALE, Languages, isolated
from execution_history.presentation.validation_errors import sentence_of
from execution_history.query.fields import FILTERS
from execution_history.records.proof import OF_FUNCTIONS, Proof

CHINESE, ENGLISH = LANGUAGES["zh_CN"], LANGUAGES["en"]

PO = """\
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"

#: a.py
msgid "one"
msgstr "eins"

#, fuzzy
msgid "two"
msgstr "drei"

msgid "%(num)s run"
msgid_plural "%(num)s runs"
msgstr[0] "%(num)s Lauf"
msgstr[1] "%(num)s "
"Läufe"

#~ msgid "old"
#~ msgstr "alt"
"""


@pytest.fixture
def german(tmp_path: Path) -> Path:
    """A folder of languages with a German catalogue; gives its ``.po`` file."""
    file = tmp_path / "de" / "LC_MESSAGES" / "execution_history.po"
    file.parent.mkdir(parents=True)
    file.write_text(PO, "utf-8")
    return file


def test_a_catalogue_needs_no_compiling(german: Path, tmp_path: Path) -> None:
    """Without a .mo file the .po file is read; what is fuzzy, obsolete or not there stays English."""
    translate = Languages(tmp_path)["de"]
    assert ["eins", "two", "old", "three"] == [translate(each) for each in ("one", "two", "old", "three")]
    assert ["1 Lauf", "2 Läufe"] == [translate.plural("%(num)s run", "%(num)s runs", count) for count in (1, 2)]
    assert german.exists()


def test_a_compiled_catalogue_is_taken_unless_it_is_older(german: Path, tmp_path: Path) -> None:
    """Editing a .po file shows at once, also where an installation has compiled it."""
    compiled_file = german.with_suffix(".mo")
    compiled_file.write_bytes(compiled(PO.replace("eins", "ein Stück")))
    assert "ein Stück" == Languages(tmp_path)["de"]("one")
    os.utime(compiled_file, (1, 1))
    assert "eins" == Languages(tmp_path)["de"]("one")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh_CN"),
        ({"LANG": "zh_TW"}, "zh_CN"),
        ({"LANG": "qaa.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "en_GB.UTF-8"}, "en"),
        ({"LANG": "en_GB.UTF-8", "LC_ALL": "zh_CN.UTF-8"}, "zh_CN"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": ""}, "zh_CN"),
        ({"LANG": "en_GB.UTF-8", "LANGUAGE": "zh_CN:en"}, "zh_CN"),
        ({"LANG": "en_GB.UTF-8", "LANGUAGE": "qaa:zh"}, "zh_CN"),
        ({"LANG": "C", "LANGUAGE": "zh_CN"}, "en"),
    ],
)
def test_the_locale_chooses_the_language(environment: dict[str, str], expected: str) -> None:
    """POSIX variables in their order, and LANGUAGE above them outside the C locale."""
    assert expected == LANGUAGES.of_environment(environment).language


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh_CN"),
        ("en-GB,en;q=0.9,zh;q=0.8", "en"),
        ("qaa,qab;q=0.9", "en"),
        ("qaa,zh;q=0.5,en;q=0.4", "zh_CN"),
        ("zh;q=0,en;q=0.1", "en"),
        ("zh;q=oops,en", "en"),
        ("zh-TW", "zh_CN"),
    ],
)
def test_the_browser_chooses_the_language(header: str, language: str) -> None:
    """The one that it likes best of those we speak."""
    assert language == LANGUAGES.of_header(header).language


def test_an_error_is_shown_in_any_language() -> None:
    """It keeps its msgid and its arguments; a message among these is translated too, and str() stays English."""
    hint = Message("perhaps you meant %(near)s", near="status")
    error = InvalidQuery("There is no filter %(name)s: %(nearest)s.", name="'stauts'", nearest=hint)
    assert "There is no filter 'stauts': perhaps you meant status." == str(error) == ENGLISH.message(error.message)
    assert "没有筛选 'stauts'：可能是想写 status。" == CHINESE.message(error.message)
    assert "words of others" == CHINESE.message("words of others")
    assert "100 % wrong" == str(ExecutionHistoryError("100 % wrong"))


def test_an_empty_message_stays_empty() -> None:
    """A catalogue has its own header in the place of an empty sentence."""
    assert "" == CHINESE.message(Message())


def test_a_message_survives_being_written_down() -> None:
    """As text, wherever it goes; pickled, with all it has."""
    message = Message("record %(number)s", number=3)
    again = pickle.loads(pickle.dumps(message))  # noqa: S301 - our own
    assert ("record 3", "record %(number)s", {"number": 3}) == (again, again.msgid, again.arguments)


def test_arguments_cannot_command_a_terminal() -> None:
    """An id from a run cannot send anything to it; in an error a long one is cut."""
    assert "Next: ␛[2J" == ENGLISH("Next: %(command)s", command="\x1b[2J")
    assert 40 == len(ENGLISH.message(Message("%(name)s", name="x" * 100), longest=40))


def test_arguments_cannot_change_a_page() -> None:
    """In markup they are escaped and isolated, and marks that reverse text are shown."""
    said = ENGLISH.markup(headlines.IN_NODE["failed"], duration="1 s", node="<b>\u202ex")
    assert "Failed after <bdi>1 s</bdi> in <bdi>&lt;b&gt;\\u202ex</bdi>" == str(said)
    assert "<bdi>␛[2J</bdi>" == str(isolated("\x1b[2J"))


def test_whatever_can_be_named_has_its_words() -> None:
    """Every filter has a label; every proof that a recorder gives, and every known error code, an explanation."""
    assert all(row.label and row.meaning for row in FILTERS)
    assert set(Proof) == phrases.PROOFS.keys()
    for proof, sentence in phrases.PROOFS.items():
        assert CHINESE(sentence) != ENGLISH(sentence)
        assert ("Coze" in sentence) is False or proof not in OF_FUNCTIONS
    for code in ("4000", "720712345", "503"):
        assert coze_error_codes.explanation(CHINESE, code) != coze_error_codes.explanation(ENGLISH, code)


def test_english_names_the_chinese_as_it_names_itself() -> None:
    """Each language is shown by its own name."""
    assert "en" == LANGUAGES.names[0]
    assert "zh_CN" in LANGUAGES.names
    assert ["English", "中文"] == [LANGUAGES[name].name for name in ("en", "zh_CN")]
    assert LOCALE.is_dir()


def test_parts_are_joined_as_the_language_does() -> None:
    """Chinese has marks of its own, and no spaces beside them."""
    joined = phrases.labelled(phrases.remarked("a", phrases.enumerated(["b", "c", "d"])), "e")
    assert ("a (b, c, d): e", "a（b、c、d）：e") == (ENGLISH.message(joined), CHINESE.message(joined))
    assert ("", "a") == (phrases.enumerated([]), phrases.enumerated(["a"]))


def test_any_number_of_values_can_be_enumerated() -> None:
    """In their order, in both languages."""
    values = [str(number) for number in range(5_000)]
    assert "、".join(values) == CHINESE.message(phrases.enumerated(values))
    assert ", ".join(values) == phrases.enumerated(values)


def test_a_wrong_call_names_the_option_and_not_the_value() -> None:
    """Also where the value has a colon."""
    found = sentence_of("Invalid value for '--sort': 'a: b' is not one of 'x', 'y'.")
    assert "'--sort'" == found.arguments["name"]


def test_an_argument_that_is_html_stays_html() -> None:
    """Text beside it is escaped and isolated."""
    said = ENGLISH.markup("%(a)s %(b)s", a=Markup("<b>1</b>"), b="<i>")
    assert "<b>1</b> <bdi>&lt;i&gt;</bdi>" == said
