"""What the page of a run says: its sentence, its proof, its nodes, its question."""

from typing import Any

import orjson
import pytest

from execution_history.errors import InvalidInput
from execution_history.presentation.coze_error_codes import explanation
from execution_history.presentation.translator import LANGUAGES
from execution_history.web.pages.interrupt_form import answer_to, question_of
from execution_history.web.pages.run_view import run_view
from execution_history.web.pages.viewer import viewer_of
from execution_history.web.pages.waterfall import waterfall_of

VIEWER = viewer_of({}, "en", 10_000_000)
CHINESE_VIEWER = viewer_of({}, "zh", 10_000_000)


def node(start: int, end: int, **facts: Any) -> dict[str, Any]:
    """A node as the timeline has it."""
    return {"node_type": "LLM", "is_finish": True, "start_time": start, "update_time": end, "content": "",
            "packets": [], "packet_count": 0, "usage": None, **facts}  # fmt: skip


def view(viewer: Any = VIEWER, **fields: Any) -> dict[str, Any]:
    """The view of a record with these fields."""
    record: dict[str, Any] = {
        "execute_id": "e", "workflow_id": "w", "create_time": 1_000_000, "update_time": 1_012_400,
        "execute_status": "success", "metadata": {}, "input_parameters": {}, **fields,
    }  # fmt: skip
    return run_view(orjson.dumps(record), viewer)


def test_the_sentence_of_a_failure_names_its_node_and_reason() -> None:
    """In both languages."""
    fields: dict[str, Any] = {
        "execute_status": "failed", "error_message": "plugin timed out", "error_code": 720702017,
        "node_execute_status": {
            "Start": node(1_000_000, 1_000_100), "Writer": node(1_000_200, 1_001_000, is_finish=False)
        },
    }  # fmt: skip
    assert "Failed after 12.4 s in Writer: plugin timed out (720702017)" == view(**fields)["headline"].text
    assert (
        "在节点 Writer 失败，用时 12.4 s：plugin timed out (720702017)"
        == view(CHINESE_VIEWER, **fields)["headline"].text
    )


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "Succeeded after 12.4 s"),
        ({"execute_status": "failed"}, "Failed after 12.4 s"),
        (
            {"metadata": {"answers": [{"asked_at": 1_002_000, "at": 1_008_000}]}},
            "Succeeded after 6.4 s of work and 6.0 s of waiting for answers",
        ),
        (
            {"execute_status": "failed", "metadata": {"answers": [{"asked_at": 1_002_000, "at": 1_008_000}]}},
            "Failed after 6.4 s, after waiting 6.0 s for answers",
        ),
        (
            {"execute_status": "failed", "error_code": 502, "metadata": {"proof": "http_status"}},
            "No result after 12.4 s; the workflow may have run: (502)",
        ),
        (
            {"execute_status": "failed", "error_code": 404, "metadata": {"proof": "http_status"}},
            "Failed after 12.4 s: (404)",
        ),
        ({"execute_status": "odd one"}, "Status odd one, last changed after 12.4 s"),
        ({"execute_status": "interrupted", "error_message": "gone"}, "Interrupted after 12.4 s: gone"),
        (
            {
                "execute_status": "interrupted",
                "metadata": {"interrupt": {"node_title": "Ask", "event_id": "1/1", "type": 2, "data": "Which city?"}},
            },
            "Interrupted after 12.4 s in Ask, waiting for an answer for 2 h 29 min: Which city?",
        ),
        (
            {
                "execute_status": "running",
                "create_time": 9_990_000,
                "node_execute_status": {"Poet": node(9_990_000, 9_990_010, is_finish=False)},
            },
            "Running for 10.0 s, now in Poet",
        ),
        (
            {
                "execute_status": "running",
                "create_time": 9_990_000,
                "node_execute_status": {
                    "Tool": {**node(9_990_000, 9_990_005), "error_message": "caught"},
                    "Poet": node(9_990_006, 9_990_010, is_finish=False),
                },
            },
            "Running for 10.0 s, now in Poet",
        ),
    ],
)
def test_every_status_has_its_sentence(fields: dict[str, Any], sentence: str) -> None:
    """Also one that is none of ours."""
    assert sentence == view(**fields)["headline"].text


def test_a_long_reason_is_shown_below() -> None:
    """The sentence has its beginning, and what is below says how much more there is."""
    shown = view(execute_status="failed", error_message="line one\n" + "x" * 5_000)
    assert 400 > len(shown["headline"].text)
    assert (4_000, 1_009) == (len(shown["headline"].reason), shown["headline"].reason_missing)


def test_a_node_that_says_its_error_is_the_one_that_failed() -> None:
    """Before one that has not finished, and even if it is said to be; the beginning of what it says is shown."""
    nodes = {
        "Query": {**node(0, 10), "error_message": "no such table " * 1_000},
        "Waiting": node(0, 90, is_finish=False),
    }
    shown = view(execute_status="failed", create_time=0, node_execute_status=nodes)
    assert shown["waterfall"] is not None
    query, waiting = shown["waterfall"].rows
    assert (True, False, True, 600) == (
        query["is_failed"],
        waiting["is_failed"],
        query["error"].startswith("no such"),
        len(query["error"]),
    )
    assert "in Query" in shown["headline"].text


def test_the_sentence_and_the_timeline_name_the_same_node() -> None:
    """Also where the clocks of the nodes were behind that of the run."""
    nodes = {"A": node(10, 900, is_finish=False), "B": node(950, 700, is_finish=False)}
    shown = view(execute_status="failed", create_time=1_000, node_execute_status=nodes)
    assert shown["waterfall"] is not None
    assert ["A"] == [row["node"].name for row in shown["waterfall"].rows if row["is_failed"]]
    assert " in A" in shown["headline"].text


def test_how_we_know_is_said() -> None:
    """Each proof has a sentence, an unknown one is named, and a missing one is told."""
    assert "Coze’s stream ended with a Done event." == view(metadata={"proof": "done_event"})["proof"]
    assert "Recorded with the proof “later kind”." == view(metadata={"proof": "later kind"})["proof"]
    assert "Whoever recorded the run set the status; no proof is recorded." == view()["proof"]


@pytest.mark.parametrize(
    ("code", "is_known"),
    [(4200, True), ("4100", True), (720712345, True), ("503", True), (200, False), (None, False), ("abc", False),
     (True, False)],
)  # fmt: skip
def test_known_codes_are_explained(code: object, is_known: bool) -> None:
    """With what to do; unknown ones are not guessed at."""
    assert is_known == (explanation(LANGUAGES["en"], code) is not None)


def test_a_debug_page_is_a_link_until_it_is_gone() -> None:
    """Seven days after the run, and only when it is an address of the web."""
    page = view(debug_url="https://www.coze.cn/work_flow?execute_id=1")["debug_page"]
    assert page is not None
    assert ("www.coze.cn", 1_000_000 + 7 * 86_400_000, False) == (page["host"], page["until"], page["is_gone"])
    assert view(debug_url="javascript:alert(1)")["debug_page"] is None


def test_a_record_that_lacks_keys_still_has_a_page() -> None:
    """Adopted records are whatever somebody else wrote."""
    shown = view(metadata={"adopted_fields": {"x": [1]}}, usage="odd", node_execute_status={"N": "text"}, run_mode="x")
    assert shown["nodes"] is not None
    assert shown["metadata"] is not None
    assert shown["known"].tokens is None


def test_the_waterfall_puts_nodes_on_one_axis() -> None:
    """In thousandths of the run, with a mark for each packet, and what is slowest."""
    drawn = waterfall_of(
        {
            "A": node(1_000, 1_250, content="hello", packets=[[1, 0, 2], [2, 250, 3]], packet_count=2),
            "B": node(1_500, 2_000),
        },
        1_000,
        2_000,
        None,
    )
    assert drawn is not None
    first, second = drawn.rows
    assert (0, 250, "M1 0v1M251 0v1") == (first["x"], first["width"], first["marks"])
    assert [(0, "he"), (250, "llo")] == [(piece.at, piece.text) for piece in first["pieces"]]
    assert (500, 500, True, False) == (second["x"], second["width"], second["is_slowest"], first["is_slowest"])
    assert ["0 ms", "200 ms", "400 ms", "600 ms", "800 ms"] == [label.text for label in drawn.labels]


def test_a_waterfall_is_bounded() -> None:
    """A thousand nodes that said a lot do not make a page of megabytes."""
    nodes = {
        f"n{number}": node(0, 9, content="x" * 10_000, packets=[[n, n, 5] for n in range(2_000)], packet_count=2_000)
        for number in range(1_000)
    }
    drawn = waterfall_of(nodes, 0, 2_000, None)
    assert drawn is not None
    assert (60, 940) == (len(drawn.rows), drawn.missing)
    assert 40_000 > sum(len(row["marks"]) + sum(len(piece.text) for piece in row["pieces"]) for row in drawn.rows)


@pytest.mark.parametrize("nodes", [None, [], "x", {}, {"a": 1}, {"a": {"start_time": "1"}}, {"a": {"is_finish": True}}])
def test_what_is_no_timeline_of_ours_has_no_waterfall(nodes: object) -> None:
    """Coze's own node statuses are shown as the JSON they are."""
    assert waterfall_of(nodes, 0, 10, None) is None


def test_a_question_becomes_a_form() -> None:
    """Its text, and the choices that it offers, which stand in JSON within JSON."""
    inner = orjson.dumps({"question": "Tea?", "options": [{"name": "yes"}, {"name": "no"}]}).decode()
    data = orjson.dumps({"content_type": "option", "content": inner}).decode()
    question = question_of({"event_id": "1/1", "type": 2, "data": data})
    assert question is not None
    assert ("question", "Tea?", ("yes", "no")) == (question.kind, question.text, question.choices)
    assert "tea" == answer_to(question, {"answer": "tea"})


def test_fields_are_asked_for_and_answered_by_their_kinds() -> None:
    """As the JSON object that Coze takes."""
    question = question_of({
        "event_id": "1/1", "type": 5, "data": "",
        "required_parameters": {
            "city": {"type": "string", "required": True}, "days": {"type": "integer", "default_value": 2},
            "wet": {"type": "boolean"}, "list": {"type": "array"}, "odd": None,
        },
    })  # fmt: skip
    assert question is not None
    assert [("city", True, ""), ("days", False, "2")] == [
        (field.name, field.is_required, field.default) for field in question.fields[:2]
    ]
    form = {"field.city": "上海", "field.days": "3", "field.wet": "yes", "field.list": "[1]", "field.odd": " "}
    assert {"city": "上海", "days": 3, "wet": True, "list": [1]} == orjson.loads(answer_to(question, form))
    for wrong in (
        {"field.city": " "},
        {"field.city": "x", "field.days": "many"},
        {"field.city": "x", "field.days": "1.5"},
    ):
        with pytest.raises(InvalidInput):
            answer_to(question, wrong)


def test_what_has_no_event_cannot_be_answered() -> None:
    """And shows no form that would fail."""
    assert question_of({"type": 2, "data": "?"}) is None
    assert question_of({}) is None
