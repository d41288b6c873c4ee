"""The two languages: both whole, and chosen by the locale."""

import re
import string
from pathlib import Path

import pytest

from execution_history.cli.app import app
from execution_history.errors import ExecutionExists, ExecutionHistoryError, IllegalTransition
from execution_history.presentation.catalogues.terminal.chinese import CHINESE
from execution_history.presentation.catalogues.terminal.english import ENGLISH
from execution_history.presentation.terminal_error_messages import sentence_of
from execution_history.presentation.terminal_translator import Speech, language_of
from tests.cli.conftest import Call, History


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


def _kinds(root: type[ExecutionHistoryError]) -> list[type[ExecutionHistoryError]]:
    return [root, *(kind for each in root.__subclasses__() for kind in _kinds(each))]


@pytest.mark.parametrize("kind", _kinds(ExecutionHistoryError)[1:])
def test_an_error_is_explained_in_chinese_and_keeps_its_own_words(kind: type[ExecutionHistoryError]) -> None:
    """In English those words are enough."""
    error = kind.__new__(kind, "own words")
    assert "own words" in sentence_of(Speech("en"), error)
    if kind not in (IllegalTransition, ExecutionExists):  # which no command raises
        assert re.fullmatch(r"[^a-z]*.*（原文：own words）", sentence_of(Speech("zh"), error))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "nobody-at-all"], "没有执行“nobody-at-all”"), (["list", "--status", "done"], "筛选条件、搜索文字"),
        (["search", "超时 -"], "筛选条件、搜索文字"), (["fetch", "7", "8"], "没有令牌：请设置 COZE_API_TOKEN"),
        (["import", "none.jsonl"], "要导入的内容找不到"), (["list", "--store", "mysql://x"], "有一处设置不正确"),
        (["resume", "run-1", "Paris"], "没有在等待回答（状态：成功）"), (["diff", "run-1"], "没有所要的执行"),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_said_in_chinese(
    call: Call, history: History, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    """For whoever reads Chinese; each is still one line."""
    history.keep("run-1", execute_status="success")
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    err = call(*words, *(() if "--store" in words else ("--store", "history"))).err
    assert (1, True) == (len(err.splitlines()), said in err)


def test_a_damaged_database_names_the_command_that_helps(call: Call, history: History) -> None:
    """After which the records are read back from the JSON files."""
    history.keep("run-1")
    (history.folder / "history.db").write_bytes(b"no database" * 1_000)
    said = call("list", "--store", "history")
    assert (4, True) == (said.code, "mkdir damaged && mv history.db* damaged/" in said.err)
    (history.folder / "damaged").mkdir()
    for file in history.folder.glob("history.db*"):
        file.rename(history.folder / "damaged" / file.name)
    assert "run-1" in call("list", "--store", "history").out


def test_the_program_is_called_as_it_can_be_called(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By its name where the shell finds it by that, else by its path from here."""
    program = tmp_path / ".venv" / "bin" / "execution-history"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh")
    program.chmod(0o755)
    monkeypatch.setattr("sys.argv", [str(program)])
    monkeypatch.setenv("PATH", "/nowhere")
    assert "\n  .venv/bin/execution-history run" in call("list").err
    monkeypatch.setenv("PATH", str(program.parent))
    assert "\n  execution-history run" in call("list").err


def test_one_is_counted_as_one() -> None:
    """Where a sentence has a form for it."""
    say = Speech()
    assert ("1 token", "2 tokens") == (say("run.tokens", count="1"), say("run.tokens", count="2"))


def test_people_are_spoken_to_in_chinese(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Chinese locale gives Chinese sentences."""
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert "还没有执行记录" in call("list").err
