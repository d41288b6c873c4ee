"""The two languages: both whole, and chosen by the locale."""

import string

import pytest

from execution_history.cli.chinese import CHINESE
from execution_history.cli.commands import app
from execution_history.cli.english import ENGLISH
from execution_history.cli.speech import Speech, language_of
from tests.cli.conftest import Call


def fields(sentence: str) -> set[str]:
    """The facts that a sentence wants."""
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


def test_both_languages_say_the_same_things() -> None:
    """Every sentence exists in both."""
    assert ENGLISH.keys() == CHINESE.keys()


@pytest.mark.parametrize("key", [key for key in ENGLISH if not key.startswith(("help.", "option."))])
def test_a_sentence_has_the_same_facts_in_both_languages(key: str) -> None:
    """No translation forgets a fact or invents one."""
    assert fields(ENGLISH[key]) == fields(CHINESE[key])


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_TW"}, "zh"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "en_GB.UTF-8"}, "en"),
        ({"LANG": "en_GB.UTF-8", "LC_ALL": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": ""}, "zh"),
        ({"LANG": "en_GB.UTF-8", "LANGUAGE": "zh_CN:en"}, "zh"),
        ({"LANG": "C", "LANGUAGE": "zh_CN"}, "en"),
    ],
)
def test_the_locale_chooses_the_language(environment: dict[str, str], expected: str) -> None:
    """POSIX variables in their order, and LANGUAGE above them outside the C locale."""
    assert expected == language_of(environment)


def test_facts_are_made_harmless() -> None:
    """An id from a run cannot send anything to the terminal."""
    assert "Deleted run '␛[2J' of workflow 'w'." == Speech()("delete.done", execute_id="\x1b[2J", workflow_id="w")


@pytest.mark.parametrize("language", ["en_GB.UTF-8", "zh_CN.UTF-8"])
@pytest.mark.parametrize("command", [[], *([name.name] for name in app.registered_commands)])
def test_help_is_in_words(call: Call, monkeypatch: pytest.MonkeyPatch, language: str, command: list[str]) -> None:
    """No help shows the key of a text instead of the text, in either language; every one has an example."""
    monkeypatch.setenv("LANG", language)
    said = call(*command, "--help")
    keys = [key for key in ENGLISH if key.startswith(("help.", "option.", "argument."))]
    assert [] == [key for key in keys if key in said.out]
    assert f"execution-history {' '.join(command)}" in said.out


def test_people_are_spoken_to_in_chinese(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Chinese locale gives Chinese sentences."""
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert "还没有执行记录" in call("list").err
