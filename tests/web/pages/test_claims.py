"""What the pages claim is so: of failures, of what follows, and of what can be done with a run."""

import html
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import anyio
import httpx
import orjson
import pytest

from execution_history import recorded
from execution_history.application import open_application
from execution_history.clock import now_ms
from execution_history.records.record import Document, ExecutionRecord, RecordChange, new_document
from execution_history.settings import load_settings
from execution_history.web import create_app
from tests.late_index import build_held_up, records, settled
from tests.web.conftest import Served, opened, served

pytestmark = pytest.mark.anyio

_HOUR: Final = 3_600_000
_DAY: Final = 24 * _HOUR
_NOTHING: Final = "Nothing failed since yesterday (1 run)"
_CHINESE_NOTHING: Final = "过去 24 小时没有失败（共 1 次运行）"


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Served]:
    """An empty history on a server of its own: what needs attention is kept for a second."""
    async with opened(tmp_path) as web:
        yield web


def _ended(execute_id: str, ago: int, status: str = "failed", workflow_id: str = "w", **fields: Any) -> Document:
    """A run that began *ago* milliseconds ago, and took a second."""
    began = now_ms() - ago
    document = new_document(workflow_id=workflow_id, execute_id=execute_id, now=began)
    metadata = fields.pop("metadata", None)
    changed = RecordChange.of(began + 1_000, status, metadata, fields=fields).apply(document.body)
    assert changed is not None
    return changed


async def _page(web: Served, path: str = "/", language: str = "en", *, is_behind: bool = False) -> str:
    """A page, once the index is whole, unless it is meant to be behind."""
    if not is_behind:
        await web.application.service.follow_index()
    answer = await web.client.get(path, headers={"accept": "text/html", "cookie": f"language={language}"})
    assert 200 == answer.status_code
    return html.unescape(answer.text)


def _main(page: str) -> str:
    """The words of a page, without its frame."""
    return " ".join(re.sub(r"<[^>]*>", " ", page[page.index("<main") : page.index("</main>")]).split())


async def test_failures_of_a_known_kind_need_attention(web: Served) -> None:
    """Sixty of them in a row, of a kind that was there last week too: at first sight, in the tab too, and linked."""
    known = {"error_code": "4000", "error_message": "the plugin timed out"}
    await web.application.service.merge([_ended("old", 5 * _DAY, **known)])
    await web.application.service.merge([_ended(f"e{number}", number * 60_000, **known) for number in range(60)])
    shown = _main(page := await _page(web))
    assert "60 of 60 runs failed since yesterday" in shown
    assert re.search(r"back the plugin timed out 4000 .* 60× just now", shown)
    assert "<title>(60) Overview" in page
    assert 'href="/runs?status=failed&since=24h"' in page
    assert "Nothing" not in shown
    chinese = _main(await _page(web, language="zh"))
    assert "过去 24 小时 60 次运行中有 60 次失败" in chinese
    assert "没有失败" not in chinese
    listed = re.search(r'href="(/runs\?fingerprint=[^"]+)"', page)
    assert listed is not None
    assert "60 runs" in _main(await _page(web, listed[1]))
    assert "60 runs" in _main(await _page(web, "/runs?status=failed&since=24h"))


async def test_a_window_holds_for_the_whole_page(web: Served) -> None:
    """Failures, figures and links are all of the last week where the address says so, and stay so on its links."""
    await web.application.service.merge([
        _ended("old", 5 * _DAY, error_message="no"), _ended("new", _HOUR, "success"),
        _ended("older", 9 * _DAY, "success"),
    ])  # fmt: skip
    assert "Nothing failed since yesterday (1 run)" in _main(await _page(web))
    shown = _main(page := await _page(web, "/?window=7d"))
    assert "1 of 2 runs failed in the last 7 days" in shown
    assert 'href="/workflows/w/runs?status=failed&since=7d"' in page
    assert 'href="/?window=7d&sort=runs"' in page
    assert 'aria-current="page">7 days' in page
    assert "1 of 3 runs failed in the last 30 days" in _main(await _page(web, "/?window=30d"))
    assert "since yesterday" in _main(await _page(web, "/?window=never&sort=odd&page=x"))


async def test_failures_that_are_not_shown_are_counted(web: Served) -> None:
    """The eight most frequent kinds are there at first, and all others behind a link that says how many are new."""
    await web.application.service.merge([
        _ended("old", 72 * _HOUR, "success"),
        *(
            _ended(f"e{letter}{number}", _HOUR, error_message=f"cannot {letter}")
            for number, letter in enumerate("abcdefghij")
        ),
    ])  # fmt: skip
    page = await _page(web)
    assert "and 2 more 2 of them new" in _main(page)
    assert 8 == page.count('class="what"')
    everything = await _page(web, "/?failures=all")
    assert 10 == everything.count('class="what"')
    assert "Show only the most frequent" in _main(everything)


@pytest.mark.parametrize(
    "record",
    [
        None,
        _ended("success", _HOUR, "success"),
        _ended("long-ago", 2 * _DAY),
        _ended("no-page", 6 * _DAY + _HOUR, error_message="no"),
        _ended("deleted", _HOUR),
    ],
    ids=lambda record: record.execute_id if record else "nothing",
)
async def test_nothing_failed_only_where_that_is_so(web: Served, record: Document | None) -> None:
    """Neither what is long ago, nor what has no page at Coze that could expire, nor what was deleted."""
    service = web.application.service
    await service.merge([_ended("first", 30 * _DAY, "success"), *([record] if record else [])])
    is_lately = record is not None and record.execute_id == "success"
    if record and record.execute_id == "deleted":
        await service.delete_execution_record("w", "deleted")
    assert (_NOTHING if is_lately else "No run began since yesterday") in _main(page := await _page(web))
    assert "Expiring at Coze today" not in page
    assert (_CHINESE_NOTHING if is_lately else "过去 24 小时没有新的运行") in _main(await _page(web, language="zh"))


async def test_what_passed_without_a_record_needs_attention(web: Served) -> None:
    """At once, though nothing has changed in the history since the page was last made."""
    await web.application.service.merge([_ended("first", _HOUR, "success")])
    assert _NOTHING in _main(await _page(web))
    web.application.recorder.count_unrecorded("The body is too large.")
    shown = _main(await _page(web))
    assert (
        "Needs attention 1 run passed without a record since this server started; its log says why. "
        "The last one: just now" in shown
    )
    assert "No failure is known since yesterday (1 run counted)" in shown
    assert "自本服务器启动以来，有 1 次运行未被记录，原因见日志。 最近一次： 刚刚" in _main(
        await _page(web, language="zh")
    )


async def test_what_passed_without_a_record_needs_attention_for_a_day(web: Served) -> None:
    """Later nothing can be done about it; another one that passes is news again."""
    await web.application.service.merge([_ended("first", _HOUR, "success")])
    recorder = web.application.recorder
    recorder.clock = lambda: now_ms() - _DAY - _HOUR
    recorder.count_unrecorded("The body is too large.")
    assert _NOTHING in _main(await _page(web))
    recorder.clock = lambda: now_ms() - _HOUR
    recorder.count_unrecorded("The body is too large.")
    assert "2 runs passed without a record since this server started" in _main(await _page(web))


async def test_debug_pages_expire_only_where_there_are_any(web: Served) -> None:
    """Of three unsuccessful runs of a week ago one has an address at Coze."""
    ago = 6 * _DAY + _HOUR
    address = "https://www.coze.cn/work_flow?execute_id=1"
    await web.application.service.merge([
        _ended("with", ago, debug_url=address), _ended("without", ago), _ended("odd", ago, debug_url="javascript:1"),
    ])  # fmt: skip
    assert "Expiring at Coze today the debug page of 1 unsuccessful run" in _main(await _page(web))


async def test_what_is_listed_in_part_is_counted(web: Served) -> None:
    """Of seven runs that wait the newest five are listed, and all of them are a click away."""
    await web.application.service.merge([_ended(f"e{number}", number * _HOUR, "interrupted") for number in range(7)])
    page = await _page(web)
    assert "All of them: 7 runs" in _main(page)
    assert 'href="/runs?status=interrupted&since=7d"' in page


async def test_counts_are_the_least_while_the_index_is_behind(tmp_path: Path) -> None:
    """What failed lately is counted as far as it is indexed."""
    folder = tmp_path / "history"
    with build_held_up(folder):
        async with open_application(load_settings(store=str(folder), json_files=False)) as application:
            service = application.service
            await service.merge(list(records(1_764_000_000_000)))
            async with served(create_app(application)) as base:
                web = Served(application, _client(base))
                async with web.client:
                    await web.client.get("/runs?status=failed")
                    await settled(service)
                    await service.merge([_ended("new", _HOUR), _ended("newer", 0)])
                    await settled(service)
                    shown = _main(page := await _page(web, is_behind=True))
                    chinese = _main(await _page(web, language="zh", is_behind=True))
    assert "Still indexing" in shown
    assert "At least 2 runs failed since yesterday" in shown
    assert ("<title>(2+) Overview" in page, 'class="mark' in page) == (True, False)  # it may have been there before
    assert "过去 24 小时至少有 2 次运行失败" in chinese
    assert "Nothing" not in shown


def _client(base: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=base, timeout=30)


async def test_a_page_behind_the_last_one_does_not_say_that_no_run_matches(web: Served) -> None:
    """What followed was deleted meanwhile."""
    service = web.application.service
    await service.merge([_ended(f"e{number:02}", number * 1_000, "success") for number in range(51)])
    first = await _page(web, "/runs")
    following = re.search(r'rel="next" href="([^"]+)"', first)
    assert following is not None
    await service.delete_execution_record("w", "e50")
    shown = _main(await _page(web, following[1]))
    assert "There are no more runs" in shown
    assert "Back to the newest" in shown
    assert "No runs match" not in shown
    assert "Clear all filters" not in shown


async def test_an_emptied_history_is_not_called_new(web: Served) -> None:
    """Everything may have been deleted: nothing is said about what there was."""
    service = web.application.service
    await service.create_execution_record("w")
    await service.clear_workflow_history("w")
    for path in ("/", "/runs"):
        assert "No run is recorded here." in _main(await _page(web, path))
        assert " yet" not in _main(await _page(web, path))


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_a_function_is_not_run_again_from_here(web: Served, language: str) -> None:
    """Neither offered nor done: nothing is asked of Coze, and no failure of it is recorded."""

    @recorded("shop.sell", service=web.application.service)
    def sell(what: str) -> None:
        raise ValueError(f"no {what}")

    with pytest.raises(ValueError, match="no tea"):
        sell("tea")
    [found] = (await web.application.service.get_execution_history("shop.sell"))["histories"]
    path = f"/workflows/shop.sell/runs/{found['execute_id']}"
    reason = "start it again there" if language == "en" else "请在程序中重新运行"
    proof = "The function raised an exception." if language == "en" else "函数抛出了异常。"
    page = await _page(web, path, language)
    assert proof in _main(page)
    assert reason in _main(page)
    assert f'action="{path}/again"' not in page
    assert 'href="#again"' not in page
    headers = {"accept": "text/html", "cookie": f"language={language}", "origin": str(web.client.base_url)}
    for method, data in (("GET", None), ("POST", {}), ("POST", {"parameters": "{}"})):
        refused = await web.client.request(method, f"{path}/again", data=data, headers=headers)
        assert 409 == refused.status_code
        assert reason in refused.text
    fetched = await web.client.post(f"/coze/workflows/shop.sell/history/{found['execute_id']}/fetch")
    assert 400 <= fetched.status_code < 500
    assert "Coze has no history of it" in orjson.loads(fetched.content)["error"]["message"]
    assert 1 == (await web.application.service.get_execution_history("shop.sell"))["total"]


async def test_a_functions_question_is_not_asked(web: Served) -> None:
    """A record of an earlier version may look like one of Coze's that waits."""
    question = {"event_id": "1/2", "type": 2, "data": "Which city?"}
    metadata = {"interrupt": question, "proof": "cancelled", "recorder": "r"}
    await web.application.service.merge([_ended("asks", _HOUR, "interrupted", metadata=metadata)])
    page = await _page(web, "/workflows/w/runs/asks")
    assert "/answer" not in page
    headers = {"accept": "text/html", "origin": str(web.client.base_url)}
    data = {"event_id": "1/2", "answer": "Paris"}
    refused = await web.client.post("/workflows/w/runs/asks/answer", data=data, headers=headers)
    assert "no longer open" in refused.text


async def test_a_run_of_coze_is_run_again_with_the_account_of_its_recorder(web: Served) -> None:
    """One that only a caller has named does not act."""
    for execute_id, metadata in (("pretended", {}), ("recorded", {"recorder": "r"})):
        named = {"account": "somebody-elses", **metadata}
        await web.application.service.merge(
            [_ended(execute_id, _HOUR, "success", "7000000000000000002", metadata=named)]
        )
    headers = {"accept": "text/html", "origin": str(web.client.base_url)}
    paths = [f"/workflows/7000000000000000002/runs/{name}/again" for name in ("pretended", "recorded")]
    pretended, refused = [await web.client.post(path, data={}, headers=headers) for path in paths]
    assert 303 == pretended.status_code
    assert "somebody-elses" in refused.text
    assert refused.status_code >= 400


async def _again(web: Served, workflow_id: str, execute_id: str, **data: str) -> httpx.Response:
    headers = {"accept": "text/html", "origin": str(web.client.base_url)}
    path = f"/workflows/{workflow_id}/runs/{execute_id}/again"
    return await web.client.post(path, data=data, headers=headers)


async def test_a_chat_is_run_again_as_a_chat(web: Served) -> None:
    """With its messages, in a conversation of its own: nobody's question is answered by it."""
    workflow_id = "7000000000000000001"
    message = {"role": "user", "content_type": "text", "content": "hello"}
    sandbox = web.application.sandbox
    assert sandbox is not None
    created = await web.client.post(
        "/v1/conversation/create", json={}, headers={"authorization": f"Bearer {sandbox.token}"}
    )
    conversation_id = created.json()["data"]["id"]
    body = {
        "workflow_id": workflow_id, "bot_id": "7000000000000000901", "conversation_id": conversation_id,
        "additional_messages": [message],
    }  # fmt: skip
    headers = {"authorization": f"Bearer {sandbox.token}"}
    told = await web.client.post("/v1/workflows/chat", json=body, headers=headers)
    assert b"conversation.chat.completed" in told.content
    [first] = (await web.application.service.get_execution_history(workflow_id))["histories"]
    again = await _again(web, workflow_id, first["execute_id"])
    assert 303 == again.status_code
    new_id = again.headers["location"].rpartition("/")[2]
    found = await _record_once_ended(web, workflow_id, new_id)
    assert ("success", first["input_parameters"]) == (found["execute_status"], found["input_parameters"])
    assert first["output"] == found["output"]
    assert conversation_id == first["conversation_id"] != found["conversation_id"]


async def _record_once_ended(web: Served, workflow_id: str, execute_id: str) -> ExecutionRecord:
    while True:
        record = await web.application.service.get_execution_detail(workflow_id, execute_id)
        if record is not None and record["execute_status"] != "running":
            return record
        await anyio.sleep(0.01)


@pytest.mark.parametrize(("workflow_id", "metadata"), [("unknown", {}), ("7", {"unread": "It is no JSON object."})])
async def test_what_could_not_be_read_is_not_run_again(web: Served, workflow_id: str, metadata: dict[str, Any]) -> None:
    """Its input here is not what the workflow got."""
    record = _ended("e", _HOUR, "failed", workflow_id, metadata={**metadata, "recorder": "r", "account": "default"})
    await web.application.service.merge([record])
    refused = await _again(web, workflow_id, "e")
    assert (409, True) == (refused.status_code, "could not be read" in refused.text)
    assert 1 == (await web.application.service.get_execution_history(workflow_id))["total"]


async def test_a_run_is_run_again_only_where_it_took_place(web: Served) -> None:
    """Another address has another workflow of that number, or another account."""
    metadata = {"account": "default", "recorder": "r", "upstream": "http://studio.internal:8888"}
    await web.application.service.merge([_ended("e", _HOUR, "success", "7000000000000000002", metadata=metadata)])
    refused = await _again(web, "7000000000000000002", "e")
    assert 503 == refused.status_code
    assert "COZE_API_BASE=http://studio.internal:8888" in refused.text
    assert 1 == (await web.application.service.get_execution_history("7000000000000000002"))["total"]
