"""The two languages: both whole, and chosen by the locale."""

from pathlib import Path

import pytest

from execution_history.cli.app import COMMANDS
from tests.cli.conftest import Call, History


@pytest.mark.parametrize("language", ["en_GB.UTF-8", "zh_CN.UTF-8"])
@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_help_is_in_words(call: Call, monkeypatch: pytest.MonkeyPatch, language: str, command: list[str]) -> None:
    """Also what typer adds is in the language of the locale; every help has an example."""
    monkeypatch.setenv("LANG", language)
    said = call(*command, "--help").out
    assert f"execution-history {' '.join(command)}" in said
    assert ("Usage: " in said, "用法：" in said) == (language[:2] == "en", language[:2] == "zh")
    assert ("Show this message" in said, "显示此帮助" in said) == (language[:2] == "en", language[:2] == "zh")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "nobody-at-all"], "没有运行“nobody-at-all”"), (["list", "--status", "done"], "'done' 不是状态"),
        (["search", "超时 -"], "搜索文本以减号结尾"), (["fetch", "7", "8"], "没有令牌：请设置 COZE_API_TOKEN"),
        (["import", "none.jsonl"], "'none.jsonl' 无法导入"),
        (["list", "--store", "mysql://x"], "没有 'mysql' 类型的存储"),
        (["resume", "run-1", "Paris"], "没有在等待回答（状态：成功）"), (["diff", "run-1"], "之前没有成功的运行"),
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
    """After which all runs are there again."""
    history.keep("run-1")
    (history.folder / "history.db").write_bytes(b"no database" * 1_000)
    said = call("list", "--store", "history")
    assert (4, True) == (said.code, "run: execution-history doctor --repair --store history\n" in said.err)
    assert 0 == call("doctor", "--repair", "--store", "history").code
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


def test_people_are_spoken_to_in_chinese(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Chinese locale gives Chinese sentences."""
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert "还没有运行记录" in call("list").err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lisst"], "没有命令 'lisst'。你是想用 'list' 吗？"), (["list", "--pge", "2"], "没有选项 --pge"),
        (["show"], "缺少参数"), (["list", "a", "b"], "多余的参数：b"), (["list", "--page"], "选项 '--page' 需要一个值"),
        (["list", "--page", "x"], "'--page' 的值无效：不是整数"), (["list", "--page", "0"], "的值无效：不能小于 1"),
        (["stats", "--by", "eon"], "的值无效：'eon' 不在可选值"), (["delete", "x", "--yes=1"], "没有选项 --yes"),
    ],
)  # fmt: skip
def test_a_wrong_call_is_explained_in_chinese(
    call: Call, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    """What typer says of it is said again in the language of the locale."""
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    monkeypatch.setenv("COLUMNS", "200")
    answer = call(*words)
    assert (2, True) == (answer.code, said in answer.err)
    assert not {"Invalid", "Error", "No such", "Missing", "Usage"} & set(answer.err.split())


def test_an_import_tells_in_chinese_what_it_refused(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The place and the reason too."""
    (tmp_path / "runs.jsonl").write_text('{"execute_id": "1"}\n[]\n')
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    said = call("import", "runs.jsonl", "--store", "history").out
    assert "第 1 行：没有 workflow_id。" in said
    assert "第 2 行：这不是 JSON 对象" in said
