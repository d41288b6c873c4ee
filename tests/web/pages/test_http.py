"""The pages over HTTP: what they say, their headers, and what forms do."""

import gzip
import html
import re
from typing import Any

import orjson
import pytest

from execution_history.records.encoding import encode
from execution_history.records.record import KEYS, Document
from execution_history.web.pages import urls
from tests.web.pages.conftest import FIRST, Site

pytestmark = pytest.mark.anyio

NOT_WHOLE = "The input of this run was too large to be kept whole; only its beginning is here"


async def test_an_empty_history_says_what_to_do_first(site: Site) -> None:
    """With lines to copy that name this very server; this test comes first, before anything ran."""
    page = html.unescape((await site.client.get("/")).text)
    assert f"curl -N {site.base}/coze/workflows/stream_run" in page
    assert f'base_url="{site.base}"' in page


async def test_every_page_is_guarded_and_packed(site: Site) -> None:
    """No inline script or style could run, and what is kept by browsers is kept for one reader."""
    path = await site.run(1, city="Paris")
    for address in ("/", "/runs", path, f"/workflows/{FIRST + 1}", f"{path}/value?at=/output", "/nothing"):
        answer = await site.client.get(address)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert ["same-origin"] == answer.headers.get_list("referrer-policy")
        assert 1 == len(answer.headers.get_list("content-security-policy"))
        assert "gzip" == answer.headers["content-encoding"]
        assert not re.search(r"<script(?![^>]* src=)|\son\w+=|\sstyle=|<style", answer.text)


async def test_assets_are_kept_for_ever_at_addresses_that_change(site: Site) -> None:
    """An address that is out of date still gives the file, but is not kept."""
    page = (await site.client.get("/nothing")).text
    names = set(re.findall(r"/assets/[0-9a-f]{12}/[a-z.]+", page))
    assert {"page.css", "page.js", "icon.svg"} <= {name.rpartition("/")[2] for name in names}
    for name in names:
        answer = await site.client.get(name)
        assert (200, "public, max-age=31536000, immutable") == (answer.status_code, answer.headers["cache-control"])
    old = await site.client.get("/assets/000000000000/page.css")
    assert (200, "no-cache") == (old.status_code, old.headers["cache-control"])
    assert 404 == (await site.client.get("/assets/000000000000/page.txt")).status_code
    assert 404 == (await site.client.get("/assets/x/..%2f..%2fdocs.html")).status_code


async def test_a_page_weighs_little(site: Site) -> None:
    """With everything that it needs, as it crosses the wire."""
    path = await site.run(2, city="Paris")
    page = await site.client.get(path)
    names = set(re.findall(r"/assets/[0-9a-f]{12}/[a-z.]+", page.text))
    weight = len(gzip.compress(page.content, 4))
    for name in names:
        async with site.client.stream("GET", name) as answer:
            weight += len(b"".join([chunk async for chunk in answer.aiter_raw()]))
    assert 60_000 > weight


async def test_the_reader_chooses_language_and_theme(site: Site) -> None:
    """By what the browser says, and by a form whose choice is kept in a cookie."""
    assert '<html lang="en" data-theme="auto"' in (await site.client.get("/runs")).text
    headers = {"accept-language": "zh-CN,zh;q=0.9"}
    assert '<html lang="zh-CN"' in (await site.client.get("/runs", headers=headers)).text
    answer = await site.client.post("/preferences", data={"language": "zh", "back": "/runs?status=failed"})
    assert (303, "/runs?status=failed") == (answer.status_code, answer.headers["location"])
    cookies = {"cookie": "language=zh; theme=dark; zone=Asia/Shanghai"}
    page = (await site.client.get("/runs", headers=cookies)).text
    assert '<html lang="zh-CN" data-theme="dark"' in page
    assert "运行记录" in page
    assert "+08:00" in page
    away = await site.client.post("/preferences", data={"theme": "odd", "back": "https://evil.example/"})
    assert ("/", None) == (away.headers["location"], away.headers.get("set-cookie"))
    site.client.cookies.clear()


async def test_errors_are_pages_for_browsers_and_json_for_programs(site: Site) -> None:
    """At the same addresses; the API stays as it is whoever asks."""
    page = await site.client.get("/workflows/none/runs/none")
    assert (404, "text/html; charset=utf-8") == (page.status_code, page.headers["content-type"])
    assert "<h1>Not found</h1>" in page.text
    assert 404 == (await site.client.get("/no/such/page")).status_code
    program = await site.client.get("/no/such/page", headers={"accept": "application/json"})
    assert "not_found" == program.json()["error"]["code"]
    api = await site.client.get("/coze/workflows/none/history/none")
    assert "not_found" == api.json()["error"]["code"]
    assert 405 == (await site.client.delete("/runs")).status_code
    assert "text/html" in (await site.client.get("/runs?status=odd")).headers["content-type"]


async def test_a_filter_that_is_wrong_is_said_and_stays(site: Site) -> None:
    """As a chip that can be taken away."""
    answer = await site.client.get("/runs?status=fialed&since=24h")
    assert 422 == answer.status_code
    assert "perhaps you meant failed" in answer.text
    assert 'href="/runs?since=24h"' in answer.text


async def test_the_node_that_a_run_failed_in_is_a_filter_with_a_chip(site: Site) -> None:
    """The node that the run's page names, in both languages; the chip takes the filter away again."""
    nodes = {
        "Start": {"node_title": "Start", "node_id": "1", "is_finish": True, "start_time": 1, "update_time": 2},
        "Weather": {"node_title": "Weather", "node_id": "2", "is_finish": False, "start_time": 2, "update_time": 3},
    }
    path = await site.record("failing", "here", execute_status="failed", node_execute_status=nodes)
    await site.record("failing", "elsewhere", execute_status="failed", node_execute_status={"Start": nodes["Start"]})
    assert "in <bdi>Weather</bdi>" in (await site.client.get(path)).text
    for value, language, label in (("Weather", "en", "Failed node"), ("2", "zh", "失败节点")):
        address = f"/workflows/failing/runs?failed_node={value}&sort=duration"
        page = (await site.client.get(address, headers={"accept-language": language})).text
        assert ["failing/here"] == re.findall(r'data-row="([^"]+)"', page)
        assert f'<span class="quiet">{label}</span>' in page
        assert '<a href="/workflows/failing/runs?sort=duration" aria-label=' in page


async def test_faults_are_said_in_the_readers_language(site: Site) -> None:
    """On a page and in an answer of the API."""
    for address, (chinese, english) in {
        "/runs?status=odd": ("不是状态：可用的有 running", "is not a status: there are running"),
        "/runs?after=broken": ("无效：请原样传回上一页给出的 next", "is broken: pass the `next` of the previous page"),
        "/coze/history?status=odd": ("不是状态：可用的有 running", "is not a status: there are running"),
        "/coze/workflows/w/history/none": ("工作流 'w' 没有运行 'none'。", "Workflow 'w' has no run 'none'."),
    }.items():
        languages = ("zh", "en")
        asked = {each: await site.client.get(address, headers={"accept-language": each}) for each in languages}
        texts = {language: html.unescape(answer.text) for language, answer in asked.items()}
        assert (True, False) == (chinese in texts["zh"], english in texts["zh"])
        assert (False, True) == (chinese in texts["en"], english in texts["en"])


async def test_filters_find_runs_and_pages_follow_each_other(site: Site) -> None:
    """By cursor, each run once."""
    for number in range(60):
        await site.record("paged", f"run-{number:03}", execute_status="success")
    first = (await site.client.get("/workflows/paged/runs")).text
    following = re.search(r'rel="next" href="([^"]+)"', first)
    assert following is not None
    second = (await site.client.get(following[1].replace("&amp;", "&"))).text
    seen = [re.findall(r'data-row="paged/(run-\d+)"', page) for page in (first, second)]
    assert (50, 10) == (len(seen[0]), len(seen[1]))
    assert 60 == len({*seen[0], *seen[1]})
    assert "60 runs" in first
    assert "No runs match" in (await site.client.get("/workflows/paged/runs?status=failed")).text


async def test_an_id_leads_to_its_run(site: Site) -> None:
    """Typed into the search box, whatever the workflow."""
    path = await site.record("by/id", "looked-for", execute_status="success")
    answer = await site.client.get("/runs", params={"q": "looked-for"})
    assert (303, path.replace("by/id", "by%2Fid")) == (answer.status_code, answer.headers["location"])


async def test_a_search_finds_texts_and_marks_them(site: Site) -> None:
    """Anywhere in a record, with the field; what cannot be searched for is said."""
    await site.record("sought", "one", execute_status="success", output={"deep": ["the <i>Quokka</i> sleeps"]})
    await site.record("sought", "two", execute_status="success", output="nothing of the kind")
    page = (await site.client.get("/runs?q=quokka")).text
    assert ["one"] == re.findall(r'data-row="sought/(\w+)"', page)
    assert "&lt;i&gt;</bdi></span><mark><bdi>Quokka</bdi></mark>" in page
    assert 422 == (await site.client.get("/runs?q=-quokka")).status_code


async def test_odd_ids_have_pages(site: Site) -> None:
    """Slashes, percent signs, spaces, markup and Chinese, in both ids."""
    for odd in ("a/b", "100%", "%2F", "客服 机器人", '"><script>alert(1)</script>', "a?b#c", "x" * 1000):
        await site.record(odd, odd, execute_status="success", output="here it is")
        answer = await site.client.get(urls.run(odd, odd))
        assert (200, True) == (answer.status_code, "here it is" in answer.text)
        assert 200 == (await site.client.get(urls.runs(odd))).status_code
        assert 200 == (await site.client.get(urls.workflow(odd))).status_code


async def test_a_large_output_is_sent_in_pieces(site: Site) -> None:
    """Four megabytes of text and a list of a hundred thousand: pages of some kilobytes that lead to the rest."""
    output = {"text": "0123456789" * 400_000, "list": [{"n": number} for number in range(100_000)]}
    path = await site.record("large", "one", execute_status="success", output=output)
    page = await site.client.get(path)
    assert 80_000 > len(page.content)
    assert "4.0 MB" not in page.text  # its size is counted in the branches, not in the texts
    stretch = await site.client.get(f"{path}/value?at=/output/text&from=3990000")
    assert "Characters 3\u202f990\u202f001 to 4\u202f000\u202f000 of 4\u202f000\u202f000" in stretch.text
    items = await site.client.get(f"{path}/value?at=/output/list&from=99950&fragment=1")
    assert 50 == items.text.count('data-at="/output/list/999') / 2
    raw = await site.client.get(f"{path}/raw?at=/output/text")
    assert (4_000_000, "text/plain; charset=utf-8") == (len(raw.content), raw.headers["content-type"])
    assert "attachment" in raw.headers["content-disposition"]
    assert 404 == (await site.client.get(f"{path}/value?at=/output/none")).status_code


async def test_a_value_can_be_searched(site: Site) -> None:
    """The places are links, the words are marked."""
    path = await site.record("search", "one", execute_status="success", output={"a": {"b": "find the Needle here"}})
    page = (await site.client.get(f"{path}/value?find=needle")).text
    assert 'href="/workflows/search/runs/one/value?at=%2Foutput%2Fa%2Fb"' in page
    assert "<mark><bdi>Needle</bdi></mark>" in page


async def test_a_run_can_be_repeated_with_its_input_or_another(site: Site) -> None:
    """Both become runs of their own; what is no input is said, and what was typed stays."""
    path = await site.run(1, city="Paris")
    same = await site.client.post(f"{path}/again", data={})
    assert 303 == same.status_code
    typed = '{"city": "Rome", "order": 80241446968629135069}'
    edited = await site.client.post(f"{path}/again", data={"parameters": typed})
    shown = re.search(
        r"<textarea name=\"parameters\"[^>]*>(.*?)</textarea>", (await site.client.get(path)).text, re.DOTALL
    )
    assert shown is not None
    untouched = html.unescape(shown[1]).replace("\n", "\r\n")
    as_shown = await site.client.post(f"{path}/again", data={"parameters": untouched})
    inputs = []
    for answer in (same, edited, as_shown):
        workflow_id, execute_id = answer.headers["location"].split("/")[2::2]
        record = await site.application.service.get_execution_detail(workflow_id, execute_id)
        assert record is not None
        inputs.append(record["input_parameters"])
    paris = {"pace_ms": 1, "city": "Paris"}
    assert [paris, {"city": "Rome", "order": "80241446968629135069"}, paris] == inputs
    wrong = await site.client.post(f"{path}/again", data={"parameters": "{city"})
    assert 422 == wrong.status_code
    assert "The input is not JSON" in wrong.text
    assert ">{city</textarea>" in wrong.text
    assert 422 == (await site.client.post(f"{path}/again", data={"parameters": "null"})).status_code


@pytest.mark.parametrize("cut", [{"input_parameters": 71_000_000, "metadata.trace": 70_000}, True])
async def test_a_run_whose_input_is_not_whole_cannot_be_repeated(site: Site, cut: object) -> None:
    """Its page says so in the place of every button, and whoever sends one of them starts nothing."""
    workflow_id, execute_id = str(FIRST + 1), f"cut-{type(cut).__name__}"
    record: dict[str, Any] = {
        **dict.fromkeys(KEYS), "workflow_id": workflow_id, "execute_id": execute_id, "execute_status": "success",
        "create_time": 1_000, "update_time": 2_000, "input_parameters": '{"city":"Par…',
        "metadata": {"recording_is_cut": cut},
    }  # fmt: skip
    await site.application.service.store.merge([Document.of(record, encode(record))])
    path = urls.run(workflow_id, execute_id)
    for page in (path, f"{path}/live?since=0"):
        text = (await site.client.get(page)).text
        assert NOT_WHOLE in text
        assert "/again" not in text
        assert "#again" not in text
    assert 409 == (await site.client.get(f"{path}/again")).status_code
    before = (await site.application.service.get_execution_history(workflow_id))["total"]
    for form in ({}, {"parameters": '{"city": "Par"}'}):
        answer = await site.client.post(f"{path}/again", data=form)
        assert (409, True) == (answer.status_code, NOT_WHOLE in answer.text)
    answer = await site.client.post(f"{path}/again", data={}, headers={"cookie": "language=zh"})
    assert "这次运行的输入太大，没有完整保留，这里只有开头" in answer.text
    assert before == (await site.application.service.get_execution_history(workflow_id))["total"]


async def test_an_input_that_is_no_object_is_not_sent_as_none(site: Site) -> None:
    """A run whose record has a list for its input is not started with nothing instead."""
    record: dict[str, Any] = {
        **dict.fromkeys(KEYS), "workflow_id": str(FIRST + 1), "execute_id": "listed", "execute_status": "success",
        "create_time": 1_000, "update_time": 2_000, "input_parameters": ["Paris"], "metadata": {},
    }  # fmt: skip
    await site.application.service.store.merge([Document.of(record, encode(record))])
    answer = await site.client.post(f"{urls.run(str(FIRST + 1), 'listed')}/again", data={})
    assert (422, True) == (answer.status_code, "The input is a JSON object" in answer.text)


async def test_a_value_that_was_cut_is_called_that(site: Site) -> None:
    """Under each of them how large it was, in both languages; values without a section of their own by their names."""
    sizes = {"output": 523_000_002, "node_execute_status": 3_100_000, "error_message": 70_000, "debug_url": 90_000,
             "metadata.<trace>": 71_000_000, "metadata": 1_500, "usage": True, "logid": "long",
             "bot_id": 10**30}  # fmt: skip
    record: dict[str, Any] = {
        **dict.fromkeys(KEYS), "workflow_id": "cut", "execute_id": "some", "execute_status": "failed",
        "create_time": 1_000, "update_time": 2_000, "input_parameters": {}, "output": "out…",
        "node_execute_status": "nodes…", "error_message": "no\n" * 20_000, "debug_url": "https…",
        "metadata": {"recording_is_cut": sizes, "<trace>": "trace…"},
    }  # fmt: skip
    await site.application.service.store.merge([Document.of(record, encode(record))])
    page = (await site.client.get("/workflows/cut/runs/some")).text
    output = page[page.index('id="output"') : page.index('id="nodes"')]
    assert (
        "Incomplete: this value had 523.0 MB; only its beginning is kept, because the record was larger than" in output
    )
    assert "this value had 3.1 MB;" in page[page.index('id="nodes"') : page.index('id="facts"')]
    assert "this value had 70.0 KB;" in page[: page.index('id="input"')]
    assert "<code><bdi>debug_url</bdi></code> Incomplete: this value had 90.0 KB;" in page
    assert "<code><bdi>metadata.&lt;trace&gt;</bdi></code> Incomplete: this value had 71.0 MB;" in page
    assert "the metadata had 1.5 KB; parts of it are left out" in page
    assert 6 == page.count("Incomplete: ")
    assert 'href="#again"' in page
    chinese = (await site.client.get("/workflows/cut/runs/some", headers={"cookie": "language=zh"})).text
    assert "不完整：这个值原有 523.0 MB，只保留了开头，因为整条记录超过了 record_limit_bytes。" in chinese


async def test_an_answer_that_was_too_large_is_not_called_whole(site: Site) -> None:
    """Its run can be repeated all the same, since its input was kept."""
    path = await site.record("cut", "answer", execute_status="success", metadata={"recording_is_cut": True})
    page = (await site.client.get(path)).text
    assert (
        "Incomplete: the response was larger than largest_recorded_bytes; the rest was passed on, not recorded." in page
    )
    assert 'href="#again"' in page


async def test_a_question_is_answered_from_its_page(site: Site) -> None:
    """In words, or field by field; an answer to what is no longer asked is refused."""
    path = await site.run(5)
    page = (await site.client.get(path)).text
    event = re.search(r'name="event_id" value="([^"]+)"', page)
    assert event is not None
    answered = await site.client.post(f"{path}/answer", data={"event_id": event[1], "answer": "Oslo"})
    assert (303, path) == (answered.status_code, answered.headers["location"])
    late = await site.client.post(f"{path}/answer", data={"event_id": "9/9", "answer": "Oslo"})
    assert 409 == late.status_code
    fields = await site.run(16)
    page = (await site.client.get(fields)).text
    event = re.search(r'name="event_id" value="([^"]+)"', page)
    assert event is not None
    missing = await site.client.post(f"{fields}/answer", data={"event_id": event[1], "field.days": "3"})
    assert (422, True) == (missing.status_code, "city is needed" in missing.text)
    assert 'name="field.days" value="3"' in missing.text


async def test_what_is_deleted_can_be_brought_back(site: Site) -> None:
    """Several at once, byte for byte, once."""
    for name in ("one", "two"):
        await site.record("gone", name, execute_status="success", output={"n": name}, metadata={"k": "é"})
    before = await site.application.service.detail_bytes("gone", "one")
    runs = ["gone/one", "gone/two", "gone/never"]
    answer = await site.client.post("/runs/act", data={"run": runs, "do": "delete", "back": "/runs?status=success"})
    back = answer.headers["location"]
    assert back.startswith("/runs?status=success&change=")
    assert await site.application.service.detail_bytes("gone", "one") is None
    assert "2 runs deleted. 1 was not there." in (await site.client.get(back)).text
    word = back.rpartition("=")[2]
    undone = await site.client.post("/runs/change/undo", data={"change": word, "back": "/runs"})
    assert 303 == undone.status_code
    assert "2 runs restored." in (await site.client.get(undone.headers["location"])).text
    assert before == await site.application.service.detail_bytes("gone", "one")
    assert 422 == (await site.client.post("/runs/change/undo", data={"change": word, "back": "/runs"})).status_code


async def test_all_that_match_are_changed_from_a_list(site: Site) -> None:
    """What the filters of the list match is pinned, deleted and exported, on further pages too; nothing else."""
    for number in range(60):
        await site.application.service.create_execution_record("many", f"run-{number}", {})
    await site.record("many", "other", execute_status="success")
    page = (await site.client.get("/workflows/many/runs?status=running")).text
    assert "All 60 that match" in page
    view = re.search(r'name="view" value="([^"]*)"', page)
    assert view is not None
    form = {"all": "1", "view": html.unescape(view[1]), "run": "many/other", "back": "/runs"}
    for action, count in (("pin", 60), ("unpin", 60), ("delete", 60)):
        answer = await site.client.post("/runs/act", data={**form, "do": action})
        assert f"{count} runs " in (await site.client.get(answer.headers["location"])).text
    assert await site.application.service.detail_bytes("many", "other") is not None
    exported = await site.client.post("/runs/chosen", data={**form, "do": "export"})
    assert exported.headers["location"].startswith("/coze/export?workflow=many&status=running&")
    assert "Undo" in (await site.client.get(answer.headers["location"])).text


async def test_chosen_runs_are_exported_and_tagged(site: Site) -> None:
    """As JSON lines; a choice of nothing, or of nothing to do, is said."""
    for name in ("one", "two"):
        await site.record("chosen", name, execute_status="success", output=name)
    runs = ["chosen/one", "chosen/two"]
    exported = await site.client.post("/runs/chosen", data={"run": runs, "do": "export"})
    assert ["one", "two"] == [orjson.loads(line)["output"] for line in exported.content.splitlines()]
    await site.client.post("/runs/act", data={"run": runs, "do": "tag", "tag": "重要", "back": "/runs"})
    assert "重要" in (await site.client.get("/workflows/chosen/runs")).text
    for wrong in ({"do": "delete"}, {"run": runs, "do": "dance"}, {"run": runs, "do": "tag", "tag": "x" * 65}):
        assert 422 == (await site.client.post("/runs/act", data=wrong)).status_code


async def test_notes_are_taken(site: Site) -> None:
    """Tags, a note, a rating and a pin, each without touching the others."""
    path = await site.record("noted", "one", execute_status="success")

    async def noted(**form: str) -> dict[str, Any]:
        assert 303 == (await site.client.post(f"{path}/notes", data=form)).status_code
        record = await site.application.service.get_execution_detail("noted", "one")
        assert record is not None
        return record["metadata"]

    await noted(add="a")
    await noted(note="line one\r\ntwo", rating="4")
    assert {"tags": ["a"], "note": "line one\ntwo", "rating": 4}.items() <= (await noted()).items()
    assert (await noted(pinned="true"))["pinned"] is True
    last = await noted(remove="a", rating="0")
    assert ([], None, True) == (last["tags"], last["rating"], last["pinned"])


async def test_runs_are_compared(site: Site) -> None:
    """Two of a choice, the older one left; one with the last success before it; anything else is said."""
    await site.record("pair", "old", parameters={"city": "Paris"}, execute_status="success", output={"same": 1})
    await site.record("pair", "new", parameters={"city": "Rome"}, execute_status="failed", error_message="<b>no</b>")
    for address in ("/compare?run=pair/new&run=pair/old", "/compare?run=pair/new"):
        page = (await site.client.get(address)).text
        older, newer = '<mark class="older"><bdi>Paris</bdi></mark>', '<mark class="newer"><bdi>Rome</bdi></mark>'
        assert page.index(older) < page.index(newer)
        assert "&lt;b&gt;no&lt;/b&gt;" in page
    assert "No differences" in (await site.client.get("/compare?run=pair/new&run=pair/new")).text
    assert 422 == (await site.client.get("/compare")).status_code
    assert 404 == (await site.client.get("/compare?run=pair/none&run=pair/old")).status_code


async def test_news_are_counted(site: Site) -> None:
    """Runs that are newer than what is shown, under the same filter, and how runs that went on are now."""
    await site.record("news", "one", execute_status="failed")
    record = await site.application.service.get_execution_detail("news", "one")
    assert record is not None
    newest = record["create_time"]
    assert "new</a>" not in (await site.client.get(f"/workflows/news/news?newest={newest}")).text
    await site.record("news", "two", execute_status="success")
    answer = await site.client.get(f"/workflows/news/news?newest={newest - 1}&rows=news/one")
    assert "2 new" in answer.text
    assert 'data-row="news/one" data-status="failed"' in answer.text
    assert "1 new" in (await site.client.get(f"/workflows/news/news?newest={newest - 1}&status=failed")).text


async def test_what_needs_a_person_stands_first(site: Site) -> None:
    """Failures with an example, and the workflows with their counts, sorted as one likes."""
    await site.record(
        "needs", "one", execute_status="failed", error_message="Something <i>odd</i> 123", error_code=5000
    )
    page = (await site.client.get("/?find=needs")).text
    assert ' title="Something &lt;i&gt;odd&lt;/i&gt; &lt;n&gt;">' in page
    assert ">Something &lt;i&gt;odd&lt;/i&gt; 123</bdi></span>" in page
    assert 'href="/workflows/needs/runs?status=failed&amp;since=24h"' in page
    assert "The last run: failed 1<" in page
    assert 'aria-sort="descending"><a href="/?order=asc&amp;find=needs">Failed</a>' in page
    found = (await site.client.get("/switcher?q=NEED")).text
    assert 'href="/workflows/needs/runs"' in found


async def test_a_workflow_has_charts_with_a_table_behind(site: Site) -> None:
    """For every stretch of time; one without runs says so."""
    await site.run(3)
    for name in ("24h", "7d", "30d", "1y", "odd"):
        page = (await site.client.get(f"/workflows/{FIRST + 3}?window={name}")).text
        assert '<path class="bars failed"' in page
        assert "As a table" in page
    assert "No runs in this period." in (await site.client.get("/workflows/none")).text


async def test_a_total_that_was_not_counted_to_its_end_says_so(site: Site) -> None:
    """A search for a common word stops counting; the page has its first hits, in both languages."""
    for number in range(120):
        await site.application.service.create_execution_record("common", f"c{number}", {"word": "ordinary"})
    await site.indexed()
    page = await site.client.get("/runs?q=ordinary")
    assert 200 == page.status_code
    assert re.search(r"at least \d+ runs", page.text)
    assert re.search(
        r"至少 \d+ 次运行", (await site.client.get("/runs?q=ordinary", headers={"cookie": "language=zh"})).text
    )
