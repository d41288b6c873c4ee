"""Runs beside each other: what differs from the baseline, in people's words, node by node."""

from typing import Any

import pytest

from execution_history.history.diff import SeveralComparison, compare_several
from execution_history.presentation.field_labels import field_label, field_value
from execution_history.presentation.translator import LANGUAGES
from execution_history.web.pages.compare_view import (
    amounts_of,
    divergence_cells,
    node_sections,
    same_parts,
    sections_of,
)
from tests.web.pages.conftest import OpenContext, Site

pytestmark = pytest.mark.anyio

_ = LANGUAGES["en"]


def record(execute_id: str = "e", **fields: Any) -> dict[str, Any]:
    """A record that ended after 2.5 seconds."""
    return {
        "execute_id": execute_id, "workflow_id": "w", "create_time": 1_000, "update_time": 3_500,
        "execute_status": "success", "error_code": None, "error_message": None, "output": None,
        "input_parameters": {}, "bot_id": None, "conversation_id": None, "debug_url": None, "run_mode": 1,
        "usage": None, "metadata": {}, "connector_id": None, "connector_uid": None, "is_output_trimmed": False,
        "node_execute_status": None, **fields,
    }  # fmt: skip


def node(content: str, took: int = 100, **others: Any) -> dict[str, Any]:
    """A node that spoke for *took* milliseconds."""
    return {"node_title": "", "is_finish": True, "start_time": 1_000, "update_time": 1_000 + took, "content": content,
            **others}  # fmt: skip


def texts(found: SeveralComparison, name: str) -> dict[str, list[str]]:
    """What stands in the cells of a part, by the labels of its rows; what is marked in stars."""
    section = next(each for each in sections_of(_, found) if each.name == name)
    return {
        row.label: [
            "".join(f"*{piece.text}*" if piece.is_marked else piece.text for piece in cell.stretches) or cell.kind
            for cell in row.cells
        ]
        for row in section.rows
    }


def test_differences_of_two_stand_beside_each_other() -> None:
    """The ending first; long texts in pieces; what is the same is named and counted."""
    text = "The ferry leaves at nine from the harbour."
    old = record("old", output={"t": text, "gone": 1, "same": [1, 2]}, input_parameters={"a": 1})
    new = record(
        "new", output={"t": text.replace("nine", "ten"), "come": [1], "same": [1, 2]}, input_parameters={"a": 1},
        execute_status="failed", usage={"token_count": 4},
    )  # fmt: skip
    found = compare_several([old, new])
    assert ["ending", "output"] == [section.name for section in sections_of(_, found)]
    assert ("input", "settings") == same_parts(found)
    assert {"Status": ["*success*", "*failed*"]} == texts(found, "ending")
    nothing = compare_several([old, record("none", error_code=500)])
    assert ["absent", "*500*"] == texts(nothing, "ending")["Error code"]
    assert ["absent"] == texts(nothing, "output")["Output"][1:]
    assert texts(found, "output") == {
        "t": [text.replace("nine", "*nine*"), text.replace("nine", "*ten*")],
        "gone": ["*1*", "absent"],
        "come": ["absent", "*[\n  1\n]*"],
    }
    assert [2] == [section.equal for section in sections_of(_, found) if section.name == "output"]
    assert [("Duration", ("2.5 s", "2.5 s"), ("", "×1.00")), ("Tokens", ("", "4"), ("", ""))] == [
        (amount.name, amount.values, amount.ratios) for amount in amounts_of(found)
    ]


def test_several_are_compared_with_the_first() -> None:
    """A run that has what the baseline has says so; where another differs in a part of it, that is said too."""
    found = compare_several(
        [
            record("a", output={"x": {"y": 1, "z": 2}}),
            record("b", output={"x": {"y": 1, "z": 2}}),
            record("c", output={"x": {"y": 3, "z": 2}}),
            record("d", output={"x": "text"}),
        ]
    )
    assert texts(found, "output") == {
        "x.y": ["1", "same", "*3*", "partly"],
        "x": ['{\n  "y": 1,\n  "z": 2\n}', "same", "partly", "*text*"],
    }


def test_nodes_are_compared_one_by_one_the_failed_first() -> None:
    """With statuses and durations side by side; those that are alike are kept apart."""
    nodes = {"Start": node("go"), "Think": node("a", 200), "End": node("done")}
    failed = {
        "Start": node("go", 50), "Think": node("b", 900), "Look": node("?"),
        "End": node("", error_message="no room", is_finish=False),
    }  # fmt: skip
    found = compare_several(
        [record("a", node_execute_status=nodes), record("b", node_execute_status=failed, execute_status="failed")]
    )
    shown = node_sections(found)
    assert ["End", "Think", "Look"] == [row.title for row in shown.different]
    assert ["Start"] == [row.title for row in shown.same]
    end, think, look = shown.different
    assert [("success", False), ("failed", True)] == [(state.status, state.is_failing) for state in end.states if state]
    assert [200, 900] == [state.took_ms for state in think.states if state]
    assert (True, False) == think.says_the_same
    assert (None, "success") == (look.states[0], look.states[1] and look.states[1].status)
    divergence = found.comparisons[0].divergence
    assert divergence is not None
    assert ["a", "b"] == ["".join(piece.text for piece in cell.stretches) for cell in divergence_cells(divergence)]


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("execute_status", "Status"), ("metadata.account", "Account"), ("metadata.mine.deep", "mine.deep"),
        ("input", "Input"), ('input["a key"]', '["a key"]'), ("output.items[3].name", "items[3].name"),
        ("inputs", "inputs"), ("run_mode", "Run mode"),
    ],
)  # fmt: skip
def test_fields_have_names_of_people(path: str, label: str) -> None:
    """Known ones in words, what is inside of a value by its own path."""
    assert label == field_label(_, path)


def test_values_have_words_of_people() -> None:
    """Statuses, run modes and flags; everything else is shown as it is."""
    assert ("failed", "streaming", "yes") == (
        field_value(_, "execute_status", "failed"), field_value(_, "run_mode", 1),
        field_value(_, "is_output_trimmed", True),
    )  # fmt: skip
    assert [None] * 4 == [
        field_value(_, path, value)
        for path, value in (("run_mode", 7), ("run_mode", [1]), ("output.ok", True), ("x", 1))
    ]


async def test_runs_that_are_ticked_become_columns(site: Site, open_context: OpenContext) -> None:
    """Three ticked runs lead to three columns, the oldest as the baseline; another can be chosen."""
    for number, city in enumerate(("Paris", "Rome", "Oslo")):
        await site.record("columns", f"run-{number}", parameters={"city": city}, execute_status="success")
    page = await (await open_context()).new_page()
    await page.goto("/workflows/columns/runs")
    for number in range(3):
        await page.locator(f'input[name=run][value="columns/run-{number}"]').check()
    await page.get_by_role("button", name="Compare").click()
    heads = page.locator("thead th")
    assert ["Baseline", "2", "3"] == await page.locator("thead .side").all_inner_texts()
    assert "run-0" in await heads.nth(1).inner_text()
    row = page.locator("tr", has=page.get_by_role("rowheader", name="city"))
    assert ["Paris", "Rome", "Oslo"] == await row.locator("td").all_inner_texts()
    await heads.nth(3).get_by_role("link", name="Use as baseline").click()
    assert "run-2" in await heads.nth(1).inner_text()
    assert "baseline=3" in page.url


@pytest.mark.parametrize("query", ["", "run=a/b&baseline=9&run=a/c", "&".join(f"run=w/{n}" for n in range(7))])
async def test_what_cannot_be_compared_is_said(site: Site, query: str) -> None:
    """No run, no such baseline, too many: a sentence and no fault."""
    answer = await site.client.get(f"/compare?{query}")
    assert 422 == answer.status_code
    assert "ebaseline" not in answer.text


async def test_several_are_compared_over_http(site: Site) -> None:
    """As in Python: the baseline first, the figures of each, nodes, and how many values are equal."""
    for number in range(3):
        await site.record("several", f"s-{number}", parameters={"same": 1, "n": number}, execute_status="success")
    answer = await site.client.get("/coze/compare?run=several/s-0&run=several/s-1&run=several/s-2&baseline=2")
    found = answer.json()
    assert ["s-1", "s-0", "s-2"] == [run["execute_id"] for run in found["runs"]]
    assert [["input.n"], ["input.n"]] == [[each["path"] for each in one["input"]] for one in found["comparisons"]]
    assert {"input": 1, "output": 0} == found["equal_values"]
    assert 422 == (await site.client.get("/coze/compare?run=several/s-0")).status_code
    assert 422 == (await site.client.get("/coze/compare")).status_code
