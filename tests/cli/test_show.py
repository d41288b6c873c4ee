"""``show``: one run from its headline to what its nodes said."""

import subprocess
import sys
from typing import Any

import pytest

from execution_history.recording.process_identity import sign_of_life
from execution_history.records.metadata import KEYS
from tests.cli.conftest import BEGAN, Call, History

NODES = {
    "Writer": {
        "node_type": "LLM",
        "is_finish": True,
        "start_time": BEGAN + 100,
        "update_time": BEGAN + 600,
        "content": "A story.\nIts end.",
        "packet_count": 2,
        "usage": {"token_count": 30},
    },
    "Weather": {
        "node_type": "Plugin",
        "is_finish": False,
        "start_time": BEGAN + 600,
        "update_time": BEGAN + 1_000,
        "content": "",
        "packet_count": 1,
    },
}


def shown(call: Call, *arguments: str) -> list[str]:
    """The lines of ``show run-1``."""
    said = call("show", "run-1", "--store", "history", *arguments)
    assert (0, "") == (said.code, said.err)
    return [line.rstrip() for line in said.out.splitlines()]


@pytest.mark.parametrize(
    ("change", "headline"),
    [
        ({"execute_status": "success"}, "● Succeeded after 1.5 s"),
        (
            {"execute_status": "failed", "error_message": "plugin timed out", "error_code": 720702017},
            "✕ Failed after 1.5 s: plugin timed out (720702017)",
        ),
        ({"execute_status": "interrupted"}, "◇ Interrupted after 1.5 s"),
    ],
)
def test_the_headline_says_how_it_ended(call: Call, history: History, change: dict[str, Any], headline: str) -> None:
    """After how long, and why when it failed."""
    history.keep(after=1_500, **change)
    assert headline == shown(call)[0]


def test_the_facts_that_are_known_have_a_line(call: Call, history: History) -> None:
    """Ids, times, how we know; what is not known has none."""
    history.keep(
        after=1_500,
        bot_id="bot_7",
        execute_status="success",
        usage={"input_count": 1_280, "output_count": 640, "token_count": 1_920},
        debug_url="https://www.coze.cn/work_flow?execute_id=1",
        metadata={"proof": "done_event", "coze_execute_id": "111", "log_id": "L1", "account": "default"},
    )
    assert [
        "  Run id          run-1",
        "  Workflow        w",
        "  Started         2023-11-14 22:13:20.000 +00:00",
        "  Last changed    2023-11-14 22:13:21.500 +00:00",
        "  Proof           done_event: Coze’s stream ended with a Done event.",
        "  Run mode        streaming",
        "  Tokens          1 920 (1 280 in, 640 out)",
        "  Account         default",
        "  Bot             bot_7",
        "  Run id at Coze  111",
        "  Coze log id     L1",
        "  Debug page      https://www.coze.cn/work_flow?execute_id=1",
    ] == shown(call)[2:14]


def test_input_and_output_are_shown_as_they_are(call: Call, history: History) -> None:
    """JSON is indented, text is text, and metadata that has no line of its own comes last."""
    history.keep(
        parameters={"城市": "北京"}, execute_status="success", output="two\nlines", metadata={"tag": ["a", "b"]}
    )
    lines = shown(call)
    assert ["Input", "{", '  "城市": "北京"', "}"] == lines[lines.index("Input") : lines.index("Output") - 1]
    assert ["Output", "two", "lines"] == lines[lines.index("Output") : lines.index("Other metadata") - 1]
    assert '  "tag": [' in lines[lines.index("Other metadata") :]


def test_long_values_are_cut_unless_asked_for(call: Call, history: History) -> None:
    """The cut says how much is missing and how to see it."""
    history.keep(execute_status="success", output="x" * 10_000 + "end")
    cut = shown(call)
    assert "… 2 003 more characters; --full shows them, --json prints the record as stored." == cut[-1]
    assert shown(call, "--full")[-1].endswith("xend")


def test_the_nodes_stand_on_one_time_axis(call: Call, history: History) -> None:
    """Each shows when it began, its share of the time, how much it said, and the beginning of that."""
    history.keep(after=1_000, execute_status="interrupted", node_execute_status=NODES)
    lines = shown(call)
    assert [
        "Nodes",
        "  Writer   LLM     +100 ms  ··━━━━━━━━━━━━━·········  500 ms  2 messages, 17 characters, 30 tokens",
        "    A story. Its end.",
        "  Weather  Plugin  +600 ms  ··············━━━━━━━━━━  400 ms  1 message, 0 characters, unfinished",
    ] == lines[lines.index("Nodes") :]


def test_the_node_that_failed_is_named(call: Call, history: History) -> None:
    """Of a failed run whose nodes have no error it is the one that did not finish."""
    history.keep(after=1_000, execute_status="failed", node_execute_status=NODES)
    assert "400 ms  1 message, 0 characters, failed" in shown(call)[-1]


def test_nodes_are_shown_whole_when_asked_for(call: Call, history: History) -> None:
    """Every line that a node said."""
    history.keep(after=1_000, execute_status="failed", node_execute_status=NODES)
    lines = shown(call, "--full")
    assert ["    A story.", "    Its end."] == [line for line in lines if line.startswith("    ")]


def test_the_error_of_a_node_stands_below_it(call: Call, history: History) -> None:
    """Also of one that is said to be finished, as Coze Studio says of those that failed."""
    failed = {**NODES["Writer"], "content": "", "error_message": "no such\ntable"}
    history.keep(after=1_000, execute_status="failed", node_execute_status={"Query": failed})
    first, below = shown(call)[-2:]
    assert (True, "    no such table") == (first.endswith("30 tokens, failed"), below)
    assert ["    no such", "    table"] == shown(call, "--full")[-2:]


def test_nodes_in_another_form_are_shown_as_json(call: Call, history: History) -> None:
    """Coze's own history names other facts; they are not lost."""
    history.keep(execute_status="success", node_execute_status={"Output": {"node_id": "9", "is_finish": True}})
    lines = shown(call)
    assert ["Nodes", "{", '  "Output": {', '    "node_id": "9",'] == lines[lines.index("Nodes") :][:4]


def test_json_is_the_stored_document(call: Call, history: History) -> None:
    """All 19 keys, indented."""
    history.keep(parameters={"n": 1}, execute_status="success", output={"a": "中"})
    said = call("show", "run-1", "--json", "--store", "history")
    assert history.read("w")[0] == said.json()
    assert said.out.startswith('{\n  "execute_id": "run-1"')


def test_nothing_from_a_run_reaches_the_terminal_raw(call: Call, history: History) -> None:
    """Escape sequences in ids, values, errors and nodes are shown, and markup is not read."""
    evil = "\x1b[2J\x9b31m[red]x[/red]"
    history.keep(
        "run-1",
        f"w{evil}",
        parameters={evil: evil},
        execute_status="failed",
        output=evil,
        error_message=evil,
        error_code=evil,
        node_execute_status={evil: {**NODES["Writer"], "content": evil}},
        metadata={evil: evil},
    )
    for command in (["show", "run-1"], ["show", "run-1", "--full"], ["list"], ["workflows"], ["delete", "run-1"]):
        said = call(*command, "--store", "history")
        assert not {"\x1b", "\x9b"} & set(said.out + said.err)
        assert "[red]x[/red]" in said.out + said.err


def test_json_keeps_control_characters_as_escapes(call: Call, history: History) -> None:
    """The document is the same; a terminal finds nothing to obey in it."""
    history.keep(execute_status="success", output="\x1b\x9b\x7f")
    said = call("show", "run-1", "--json", "--store", "history")
    assert not {"\x1b", "\x9b", "\x7f"} & set(said.out)
    assert "\x1b\x9b\x7f" == said.json()["output"]


def test_a_run_that_does_not_exist_is_not_found(call: Call, history: History) -> None:
    """The code is 5, and the sentence says where to look."""
    history.keep()
    said = call("show", "run-2-of-two", "--store", "history")
    sentence = (
        "There is no run 'run-2-of-two' in history; `execution-history list --store history` lists the runs there are."
    )
    assert (5, "", f"Error: {sentence}\n") == (said.code, said.out, said.err)


def test_an_id_in_several_workflows_needs_the_workflow(call: Call, history: History) -> None:
    """They are named, and --workflow chooses one."""
    history.keep("run-1", "v", parameters={"of": "v"})
    history.keep("run-1", "w", parameters={"of": "w"})
    said = call("show", "run-1", "--store", "history")
    assert (2, "Error: Several workflows have a run 'run-1' (w, v): name one with --workflow.\n") == (
        said.code,
        said.err,
    )
    chosen = call("show", "run-1", "--workflow", "v", "--json", "--store", "history")
    assert {"of": "v"} == chosen.json()["input_parameters"]


def test_a_run_of_another_workflow_is_not_found(call: Call, history: History) -> None:
    """--workflow is believed."""
    history.keep("run-1", "w")
    assert 5 == call("show", "run-1", "--workflow", "v", "--store", "history").code


def test_a_question_and_how_to_answer_it_are_shown(call: Call, history: History) -> None:
    """The command can be copied."""
    interrupt = {
        "event_id": "111/1",
        "type": 5,
        "data": "Where to?",
        "required_parameters": {"city": {"type": "string", "required": True, "description": "Where to go"}},
    }
    history.keep(execute_status="interrupted", metadata={"interrupt": interrupt})
    lines = shown(call)
    at = lines.index("The workflow asks: Where to?")
    assert "  city (string, required): Where to go" == lines[at + 1]
    assert lines[at + 2].startswith("To answer: execution-history resume ")


@pytest.mark.parametrize(
    ("interrupt", "conversation_id", "can_be_answered"),
    [
        ({"status": "requires_action", "data": "Where to?"}, "c7", True),
        ({"status": "requires_action", "data": "Where to?"}, None, False),
        ({"event_id": 1111, "type": 2, "data": "Where to?"}, None, True),
        ({"type": 2, "data": "Where to?"}, None, False),
    ],
)
def test_how_to_answer_is_shown_where_resume_can(
    history: History, call: Call, interrupt: dict[str, object], conversation_id: str | None, can_be_answered: bool
) -> None:
    """The question itself is shown in any case."""
    history.keep(execute_status="interrupted", conversation_id=conversation_id, metadata={"interrupt": interrupt})
    lines = shown(call)
    assert "The workflow asks: Where to?" in lines
    assert can_be_answered == any(line.startswith("To answer: ") for line in lines)


def test_a_function_asks_nothing(call: Call, history: History) -> None:
    """Whatever its record says: nobody at Coze waits for an answer."""
    interrupt = {"event_id": "111/1", "type": 2, "data": "Where to?"}
    history.keep(execute_status="interrupted", metadata={"interrupt": interrupt, "proof": "cancelled"})
    assert not any("asks" in line or "resume" in line for line in shown(call))
    said = call("resume", "run-1", "Paris", "--store", "history")
    assert "is not waiting for an answer" in said.err
    assert 0 != said.code


@pytest.mark.parametrize(
    "odd", [True, -1, 1.5, "x" * 3_000, "\x1b[2J%s{}", [[{}]], {"name": [], "execute_id": {}}, {"": 1}]
)
def test_odd_metadata_is_shown(call: Call, history: History, odd: Any) -> None:
    """Of every status, with such a value under every key that has a meaning; lists and statistics take it too."""
    for status in ("success", "failed", "interrupted", None):
        history.keep(f"run-{status}", execute_status=status, metadata=dict.fromkeys(KEYS, odd))
        said = call("show", f"run-{status}", "--store", "history")
        assert (0, "") == (said.code, said.err)
        assert "\x1b" not in said.out
    for command in (("list",), ("stats",), ("search", "w"), ("list", "--json"), ("export", "-", "--format", "csv")):
        said = call(*command, "--store", "history")
        assert 0 == said.code, said.err


def test_a_run_whose_recorder_has_died_says_so(call: Call, history: History) -> None:
    """The record says running, and who could have ended it is gone."""
    script = "from execution_history.recording.process_identity import sign_of_life; print(sign_of_life('dead'))"
    dead = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.strip()
    history.keep("run-1", begun_with={"recorder": dead})
    history.keep("run-2", begun_with={"recorder": sign_of_life("alive")})
    sentence = "The program that recorded this run is gone"
    assert sentence in call("show", "run-1", "--store", "history").out
    assert sentence not in call("show", "run-2", "--store", "history").out


_NOT_WHOLE = (
    "Incomplete: this value had {}; only its beginning is kept, because the record was larger than record_limit_bytes."
)


def test_a_value_that_was_cut_at_recording_is_said_to_be(call: Call, history: History) -> None:
    """Below the value, with the size that it had; what has no place of its own is named at the end."""
    cuts = {"input_parameters": 71_000_000, "output": 523_000_002, "metadata.trace": 80_000, "error_message": 90_000}
    history.keep(
        parameters="The question…",
        execute_status="success",
        output="The beginning…",
        metadata={"recording_is_cut": cuts},
    )
    lines = shown(call)
    assert _NOT_WHOLE.format("71 000 000 B") == lines[lines.index("The question…") + 1]
    assert _NOT_WHOLE.format("523 000 002 B") == lines[lines.index("The beginning…") + 1]
    assert [
        f"metadata.trace: {_NOT_WHOLE.format('80 000 B')}",
        f"error_message: {_NOT_WHOLE.format('90 000 B')}",
    ] == lines[-2:]


@pytest.mark.parametrize(
    ("language", "cut", "line"),
    [
        (
            "C.UTF-8",
            True,
            "Incomplete: the response was larger than largest_recorded_bytes; the rest was passed on, not recorded.",
        ),
        ("zh_CN.UTF-8", True, "不完整：响应超过 largest_recorded_bytes，其余部分只转发，没有记录。"),
        (
            "zh_CN.UTF-8",
            {"output": 90_000},
            "不完整：这个值原有 90 000 B，只保留了开头，因为整条记录超过了 record_limit_bytes。",
        ),
    ],
)
def test_an_answer_that_was_cut_is_said_to_be(
    call: Call, history: History, monkeypatch: pytest.MonkeyPatch, language: str, cut: object, line: str
) -> None:
    """In both languages, below what was kept of it."""
    monkeypatch.setenv("LANG", language)
    history.keep(execute_status="success", output="The beginning…", metadata={"recording_is_cut": cut})
    lines = shown(call)
    assert line == lines[lines.index("The beginning…") + 1]


def test_waiting_is_told_apart_and_the_dialogue_is_shown(call: Call, history: History) -> None:
    """How long it worked, how long it waited; what was asked and answered, by whom."""
    question = {"node_title": "Ask", "data": '{"content_type":"text","content":"Which city?"}'}
    answer = {"asked_at": BEGAN + 1_000, "at": BEGAN + 61_000, "question": question, "resume_data": "Paris\nplease",
              "caller": "curl"}  # fmt: skip
    history.keep(after=62_000, execute_status="success", metadata={"answers": [answer]})
    lines = shown(call)
    assert "● Succeeded after 2.0 s of work and 1 min 00 s of waiting for answers" == lines[0]
    at = lines.index("Questions and answers")
    assert ["Question", "Ask"] == lines[at + 1].split()[:2]
    assert "    Which city?" == lines[at + 2]
    assert lines[at + 3].endswith("after 1 min 00 s")
    assert ["    Paris", "    please"] == lines[at + 4 : at + 6]


def test_a_lost_answer_may_have_run(call: Call, history: History) -> None:
    """The headline says so, and what to do before running it again."""
    history.keep(after=1_000, execute_status="failed", error_code=502, metadata={"proof": "http_status"})
    lines = shown(call)
    assert lines[0].startswith("✕ No result after 1.0 s; the workflow may have run")
    assert "before you run it again" in " ".join(lines[1:3])


def test_a_function_says_what_it_is_and_where_it_failed(call: Call, history: History) -> None:
    """No run mode of Coze, and the traceback under a heading of its own."""
    metadata = {"recorded_as": "generator", "proof": "raised", "traceback": "Traceback (most recent call last):\n  x"}
    history.keep(execute_status="failed", error_message="no", metadata=metadata)
    lines = shown(call)
    assert any(line.split() == ["Kind", "a", "Python", "generator"] for line in lines)
    assert not any("Run mode" in line for line in lines)
    at = lines.index("Traceback")
    assert ["Traceback (most recent call last):", "  x"] == lines[at + 1 : at + 3]
