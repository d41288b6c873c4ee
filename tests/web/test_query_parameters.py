"""Finding, counting, comparing, noting, following, exporting and importing over HTTP."""

import asyncio
import csv
import io
import re
import zipfile
from typing import Any

import httpx
import orjson
import pytest

from tests.web.conftest import Served

pytestmark = pytest.mark.anyio

_BASE = "/coze/workflows/w/history"


@pytest.fixture
async def changed(web: Served) -> Served:
    """The three runs of ``filled``, for one test that changes them."""
    return await _filled(web)


@pytest.fixture(scope="module")
async def filled(shared_web: Served) -> Served:
    """A history of three runs: two of ``w``, a success and a failure, and a success of ``v``; nothing changes it."""
    return await _filled(shared_web)


async def _filled(web: Served) -> Served:
    service = web.application.service
    await service.create_execution_record("w", "ok", {"city": "北京", "n": 1})
    await service.update_execution_record("w", "ok", "success", output={"score": 91, "text": "晴 and dry"})
    await service.create_execution_record("w", "bad", {"city": "Paris", "n": 2})
    await service.update_execution_record(
        "w", "bad", "failed", error_code=5000, error_message="the plugin timed out",
        node_execute_status={"天气": {"node_title": "天气", "node_id": "100003", "is_finish": False}},
    )  # fmt: skip
    await service.create_execution_record("v", "other", {"city": "Paris"})
    await service.update_execution_record("v", "other", "success", output="plain text", usage={"token_count": 7})
    return web


def _ids(answer: httpx.Response) -> list[str]:
    assert 200 == answer.status_code, answer.text
    return [record["execute_id"] for record in answer.json()["histories"]]


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("/coze/history", {}, ["other", "bad", "ok"]),
        ("/coze/history", {"status": "failed,interrupted"}, ["bad"]),
        ("/coze/history", {"where": 'input.city = "Paris"', "workflow": "v"}, ["other"]),
        ("/coze/history", {"where": "output.score >= 90"}, ["ok"]),
        ("/coze/history", {"where": "output.score >= 90 and output.score exists"}, ["ok"]),
        ("/coze/history", {"min_tokens": "1"}, ["other"]),
        ("/coze/history", {"q": "timed"}, ["bad"]),
        ("/coze/history", {"q": "北"}, ["ok"]),
        ("/coze/history", {"order": "asc", "since": "1h"}, ["ok", "bad", "other"]),
        (_BASE, {"has_output": "true"}, ["ok"]),
        (_BASE, {"error": "5000", "id": "ba"}, ["bad"]),
        (_BASE, {"failed_node": "天气"}, ["bad"]),
        ("/coze/history", {"failed_node": "100003", "has_output": "false"}, ["bad"]),
        (_BASE, {"until": "2020-01-01"}, []),
    ],
)
async def test_runs_are_found(filled: Served, path: str, query: dict[str, str], expected: list[str]) -> None:
    """By any filter, over one workflow or all."""
    assert expected == _ids(await filled.client.get(path, params=query))


async def test_pages_follow_each_other_by_cursor(filled: Served) -> None:
    """And one that belongs to another question is refused in a sentence."""
    seen: list[str] = []
    query: dict[str, Any] = {"page_size": 2, "sort": "duration"}
    while True:
        answer = await filled.client.get("/coze/history", params=query)
        seen += _ids(answer)
        if answer.json()["next_cursor"] is None:
            break
        query["cursor"] = answer.json()["next_cursor"]
    assert {"ok", "bad", "other"} == set(seen)
    assert 3 == len(seen)
    refused = await filled.client.get("/coze/history", params={**query, "status": "failed"})
    assert 422 == refused.status_code


async def test_hits_say_where_they_are(filled: Served) -> None:
    """Snippets stand beside the records, with the hits marked; summaries leave the documents out."""
    answer = (await filled.client.get("/coze/history", params={"q": "dry", "view": "summary"})).json()
    (piece,) = answer["snippets"][0]
    begin, end = piece["hits"][0]
    assert ("output", "dry") == (piece["field"], piece["text"][begin:end])
    assert "output" not in answer["histories"][0]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"statsu": "failed"}, "status"),
        ({"status": "nope"}, "nope"),
        ({"where": "input..x = 1"}, "input..x"),
        ({"where": "input.x = 1 and y = 2"}, "more than one value"),
        ({"where": "input.x <> 1"}, "uses an unknown comparison"),
        ({"cursor": "broken"}, "cursor"),
        ({"q": "x" * 5_000}, "characters"),
        ({"sort": "relevance"}, "relevance"),
        ({"zone": "Mars/Base"}, "Mars/Base"),
    ],
)
async def test_a_question_that_cannot_be_is_one_sentence(filled: Served, query: dict[str, str], named: str) -> None:
    """Status 422, and the sentence names what is wrong."""
    answer = await filled.client.get("/coze/history", params=query)
    assert (422, "invalid_input") == (answer.status_code, answer.json()["error"]["code"])
    assert named in answer.json()["error"]["message"]


async def test_the_old_answer_stays_as_it_was(filled: Served) -> None:
    """Without a filter a workflow's page has the four keys that callers know."""
    answer = (await filled.client.get(_BASE)).json()
    assert ["success", "histories", "total", "has_more"] == list(answer)


@pytest.mark.parametrize("query", ["_=1700000000", "token=x&trace=1", "account_id=other&x="])
async def test_what_callers_always_sent_is_still_passed_over(filled: Served, query: str) -> None:
    """Byte for byte the answer without it."""
    plain = await filled.client.get(_BASE)
    assert plain.content == (await filled.client.get(f"{_BASE}?{query}")).content


@pytest.mark.parametrize("query", ["statsu=failed", "tags=a", "sorts=duration", "workflow=v"])
async def test_a_slip_is_not_answered_as_if_nothing_had_been_asked(filled: Served, query: str) -> None:
    """A question that was meant to filter does not get everything."""
    answer = await filled.client.get(f"{_BASE}?{query}")
    assert (422, "invalid_input") == (answer.status_code, answer.json()["error"]["code"])


async def test_runs_are_counted(filled: Served) -> None:
    """Totals, buckets in a time zone, error codes and failures that are alike."""
    answer = (await filled.client.get("/coze/statistics", params={"zone": "Asia/Shanghai", "new_since": "1d"})).json()
    assert (3, 2, 1) == tuple(answer["totals"][k] if k == "runs" else answer["totals"]["counts"][k] for k in (
        "runs", "success", "failed",
    ))  # fmt: skip
    assert ({"5000": 1}, True) == (answer["error_codes"], answer["failures"][0]["is_new"])
    only = (await filled.client.get("/coze/workflows/v/statistics")).json()
    assert 1 == only["totals"]["runs"]
    assert 422 == (await filled.client.get("/coze/statistics", params={"bucket": "year"})).status_code


async def test_runs_are_compared(filled: Served) -> None:
    """With the last success, or with a run that is named."""
    last = (await filled.client.get(f"{_BASE}/bad/compare")).json()["comparison"]
    assert ("ok", "bad", False) == (last["old"]["execute_id"], last["new"]["execute_id"], last["is_same"])
    named = await filled.client.get(f"{_BASE}/bad/compare", params={"with": "other", "with_workflow": "v"})
    assert "other" == named.json()["comparison"]["old"]["execute_id"]
    assert 404 == (await filled.client.get(f"{_BASE}/ok/compare")).status_code


async def test_people_note_things_about_runs(changed: Served) -> None:
    """Tags, note, rating and pin, found by them; several at once; null takes away; nonsense is refused."""
    client = changed.client
    noted = {"tags": {"add": ["a", "b"]}, "note": "looked at", "rating": 4, "pinned": True}
    record = (await client.patch(f"{_BASE}/ok", json=noted)).json()["execution"]
    assert (["a", "b"], "looked at", 4, True) == tuple(
        record["metadata"][key] for key in ("tags", "note", "rating", "pinned")
    )
    assert ["ok"] == _ids(await client.get("/coze/history", params={"tag": "a", "pinned": "true", "min_rating": "4"}))
    cleared = (await client.patch(f"{_BASE}/ok", json={"tags": ["c"], "note": None})).json()["execution"]
    assert (["c"], None) == (cleared["metadata"]["tags"], cleared["metadata"].get("note"))
    names = [{"workflow_id": "w", "execute_id": each} for each in ("ok", "bad", "nobody")]
    report = (await client.post("/coze/history/annotate", json={"executions": names, "rating": 1})).json()
    assert (2, "nobody") == (report["changed"], report["refused"][0]["execute_id"])
    assert 422 == (await client.patch(f"{_BASE}/ok", json={"rating": 9})).status_code
    assert 422 == (await client.patch(f"{_BASE}/ok", json={"stars": 9})).status_code
    assert 404 == (await client.patch(f"{_BASE}/nobody", json={"rating": 3})).status_code
    gone = (await client.post("/coze/history/delete", json={"executions": names})).json()
    assert (2, ["nobody"]) == (gone["deleted"], [each["execute_id"] for each in gone["missing"]])


async def test_what_is_exported_can_be_imported(changed: Served) -> None:
    """JSON Lines keeps every byte; a second import changes nothing; what is no record is refused with its line."""
    client = changed.client
    exported = await client.get("/coze/export", params={"workflow": "w"})
    assert re.fullmatch(r'attachment; filename="runs-\d{8}-\d{6}\.jsonl"', exported.headers["content-disposition"])
    assert 2 == len(exported.content.splitlines())
    await client.delete(_BASE)
    report = (await client.post("/coze/import", content=exported.content + b"{broken\n")).json()
    assert (2, 1, "line 3") == (report["added"], report["refused_count"], report["refused"][0]["place"])
    assert exported.content == (await client.get("/coze/export", params={"workflow": "w"})).content
    again = (await client.post("/coze/import", content=exported.content)).json()
    assert (0, 2) == (again["added"], again["skipped"])


async def test_an_export_has_the_order_of_a_list(filled: Served) -> None:
    """By the key that lists are sorted by, in either direction; columns may be given one by one, for Excel too."""
    query = {"format": "excel", "columns": ["execute_id", "duration_ms"], "sort": "duration", "order": "desc"}
    table = await filled.client.get("/coze/export", params=query)
    listed = await filled.client.get("/coze/history", params={"sort": "duration"})
    assert table.content.startswith(b"\xef\xbb\xbfexecute_id,duration_ms")
    assert _ids(listed) == [row[0] for row in list(csv.reader(io.StringIO(table.text)))[1:]]
    assert 422 == (await filled.client.get("/coze/export", params={"order": "up"})).status_code
    assert 422 == (await filled.client.get("/coze/export", params={"sort": "colour"})).status_code


async def test_exports_have_their_formats(filled: Served) -> None:
    """CSV with chosen columns, JSON for one workflow, a zip file for several; an unknown one is refused."""
    client = filled.client
    table = await client.get("/coze/export", params={"format": "csv", "columns": "execute_id,input.city", "q": "Paris"})
    rows = list(csv.reader(io.StringIO(table.text)))
    assert [["execute_id", "input.city"], ["bad", "Paris"], ["other", "Paris"]] == [rows[0], *sorted(rows[1:])]
    one = (await client.get("/coze/export", params={"format": "json", "workflow": "v"})).json()
    assert (1, "v") == (one["total"], one["workflow_id"])
    both = await client.get("/coze/export", params={"format": "json"})
    with zipfile.ZipFile(io.BytesIO(both.content)) as archive:
        assert {"v.json", "w.json"} == set(archive.namelist())
    assert 422 == (await client.get("/coze/export", params={"format": "xml"})).status_code
    assert 422 == (await client.post("/coze/import", params={"format": "xml"}, content=b"")).status_code


async def _events(answer: httpx.Response, most: int) -> list[tuple[int, str, dict[str, Any]]]:
    """The next events of a live answer: id, name, data."""
    found: list[tuple[int, str, dict[str, Any]]] = []
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            found.append((int(fields["id"]), fields["event"], orjson.loads(fields["data"])))
            fields = {}
            if len(found) == most:
                break
    return found


async def test_what_happens_is_told_without_gaps(changed: Served) -> None:
    """From the beginning, as it comes, and on from the last event."""
    client, service = changed.client, changed.application.service
    async with client.stream("GET", "/coze/history/live", params={"since": 0}) as answer:
        told = await _events(answer, 3)
    assert ["ok", "bad", "other"] == [data["execute_id"] for _, _, data in told]
    async with client.stream("GET", "/coze/history/live", headers={"Last-Event-ID": str(told[-1][0])}) as answer:
        listening = asyncio.create_task(_events(answer, 2))
        await service.create_execution_record("w", "new")
        await service.delete_execution_record("w", "ok")
        events = await asyncio.wait_for(listening, 60)
    assert [("put", "new"), ("delete", "ok")] == [(name, data["execute_id"]) for _, name, data in events]
    assert 422 == (await client.get("/coze/history/live", headers={"Last-Event-ID": "x"})).status_code


async def test_figures_come_by_group(filled: Served) -> None:
    """Of all workflows, and within one; filters apply, and a wrong value is refused with a sentence."""
    answer = (await filled.client.get("/coze/breakdown", params={"bucket": "day", "sort": "failed"})).json()
    assert (["w", "v"], 2, None, True) == (
        [group["key"] for group in answer["groups"]], answer["total_groups"], answer["covers"],
        answer["percentiles_are_exact"],
    )  # fmt: skip
    (point,) = answer["groups"][0]["trend"]
    assert ({"runs": 2, "failed": 1}, 2) == (point, len(answer["bucket_edges"]))
    nodes = (await filled.client.get("/coze/workflows/w/breakdown")).json()["groups"]
    assert [("100003", "天气", 1)] == [(node["key"], node["title"], node["figures"]["runs"]) for node in nodes]
    by_error = {"by": "error", "status": "failed"}
    errors = (await filled.client.get("/coze/workflows/w/breakdown", params=by_error)).json()["groups"]
    assert ["5000"] == [group["key"] for group in errors]
    assert [] == (await filled.client.get("/coze/workflows/none/breakdown")).json()["groups"]
    for wrong in ({"by": "node"}, {"by": "moon"}, {"limit": "0"}, {"limit": "x"}, {"limit": "²"}, {"sort": "moon"}):
        refused = await filled.client.get("/coze/breakdown", params=wrong)
        assert (422, False) == (refused.status_code, refused.json()["success"])


async def test_statistics_by_something_lead_to_the_breakdown(filled: Served) -> None:
    """Its address is named."""
    refused = await filled.client.get("/coze/statistics", params={"by": "workflow"})
    assert 422 == refused.status_code
    assert "/coze/breakdown" in refused.json()["error"]["message"]
