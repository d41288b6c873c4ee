"""Help: whole at any width, with examples that can be pasted; what shells offer while a call is typed."""

import pytest
from rich.cells import cell_len

from execution_history.cli.app import COMMANDS
from execution_history.cli.help_page import wrapped
from tests.cli.conftest import Call, History

_CHINESE = "在此之后开始的：2h 或 7d（之前）、2026-11-01、2026-11-01T08:00 或毫秒。"


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_a_flag_takes_no_value_in_its_help(call: Call, command: list[str]) -> None:
    """What has to follow an option is named, and nothing else."""
    shown = call(*command, "--help").out
    assert not {"<bool>", "<int>", "<str>"} & set(shown.split())
    assert "\n  --debug  " in shown


@pytest.mark.parametrize("language", ["en_GB.UTF-8", "zh_CN.UTF-8"])
@pytest.mark.parametrize("command", COMMANDS)
def test_help_cuts_nothing_off(call: Call, monkeypatch: pytest.MonkeyPatch, language: str, command: str) -> None:
    """Where a terminal has 80 columns, in either language; only examples are longer."""
    monkeypatch.setenv("LANG", language)
    lines = call(command, "--help").out.splitlines()
    assert not [line for line in lines if line.endswith("…")]
    assert not [line for line in lines if cell_len(line) > 80 and not line.startswith("  execution-history")]


def test_a_long_example_stays_on_one_line(call: Call) -> None:
    """So that it can be pasted."""
    example = "  execution-history follow 7000000000000000002 --json | jq -r .summary.execute_status"
    assert example in call("follow", "--help").out.splitlines()


@pytest.mark.parametrize("width", [20, 40, 60])
def test_chinese_is_wrapped_between_characters_and_not_before_a_closing_mark(width: int) -> None:
    """A wide character takes two columns; words of other scripts stay whole."""
    lines = wrapped(_CHINESE, width)
    assert _CHINESE.replace(" ", "") == "".join(lines).replace(" ", "")
    assert all(cell_len(line) <= width for line in lines)
    assert not [line for line in lines if line[0] in "，。：、）"]
    assert "2026-11-01T08:00" in " ".join(lines)


def _offered(call: Call, monkeypatch: pytest.MonkeyPatch, typed: str) -> list[str]:
    """Return what bash is offered for the last word of *typed*."""
    monkeypatch.setenv("_EXECUTION_HISTORY_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(len(typed.split(" ")) - 1))
    return call().out.split()


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("execution-history list --store history w", ["weather", "writer"]),
        ("execution-history clear --store history we", ["weather"]),
        ("execution-history show --store history run-", ["run-2", "run-1"]),
        ("execution-history show --store history --workflow weather run-", ["run-1"]),
        ("execution-history list --status in", ["interrupted"]),
        ("execution-history list --status failed,in", ["failed,interrupted"]),
        ("execution-history list --since y", ["yesterday"]),
        ("execution-history list --mode s", ["sync", "stream"]),
    ],
)
def test_a_shell_is_offered_what_fits(
    call: Call, history: History, monkeypatch: pytest.MonkeyPatch, typed: str, offered: list[str]
) -> None:
    """Workflows and the newest runs of the history that the call names, and the values of filters."""
    history.keep("run-1", "weather")
    history.now += 1_000
    history.keep("run-2", "writer")
    assert sorted(offered) == sorted(_offered(call, monkeypatch, typed))


@pytest.mark.parametrize("store", ["nowhere", "mysql://x", "postgresql://nobody@127.0.0.1:1/none"])
def test_an_offer_that_cannot_be_made_is_silent(call: Call, monkeypatch: pytest.MonkeyPatch, store: str) -> None:
    """Somebody is typing: there is no history, or it cannot be opened, and nothing is printed or created."""
    assert [] == _offered(call, monkeypatch, f"execution-history show --store {store} r")


def test_a_narrow_terminal_has_one_line_for_each_workflow(
    call: Call, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last run included; what has no room is the middle of a long id."""
    history.keep("run-1", "tools.orders.synchronise_everything_with_the_warehouse", execute_status="success")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "60")
    _, line, _ = call("workflows", "--store", "history").out.splitlines()
    assert cell_len(line) <= 60
    assert line.startswith("tools.orders")
    assert "warehouse " in line
    assert line.endswith("2023-11-14")


def test_a_page_may_be_sized_by_one_letter(call: Call, history: History) -> None:
    """``list -n 1`` shows one run."""
    for number in range(2):
        history.keep(f"run-{number}")
    assert 1 == len(call("list", "-n", "1", "--json", "--store", "history").json()["histories"])
