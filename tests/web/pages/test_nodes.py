"""The page of a workflow's nodes over its runs, and what it links to."""

import html
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from execution_history.clock import now_ms
from execution_history.records.record import Document, RecordChange, new_document
from tests.web.conftest import Served, opened

pytestmark = pytest.mark.anyio

_HOUR: Final = 3_600_000


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Served]:
    """Five runs of a workflow whose writer is slow once and fails once, in a history of its own."""
    async with opened(tmp_path) as web:
        await web.application.service.merge([
            *(_run(f"e{number}", writer_ms=1_000 + number) for number in range(3)),
            _run("slow", writer_ms=60_000), _run("bad", "failed", writer_ms=10),
        ])  # fmt: skip
        await web.application.service.follow_index()
        yield web


def _run(execute_id: str, status: str = "success", *, writer_ms: int) -> Document:
    began = now_ms() - _HOUR
    nodes: dict[str, Any] = {
        "Start": {"node_id": "1", "node_title": "Start", "node_type": "Start", "start_time": began, "is_finish": True},
        "Writer <1>": {
            "node_id": "7", "node_title": "Writer <1>", "node_type": "LLM", "start_time": began,
            "update_time": began + writer_ms, "is_finish": True, "usage": {"tokens": 10},
        },
    }  # fmt: skip
    if status == "failed":
        nodes["Writer <1>"] |= {"error_message": "no", "is_finish": False}
    document = new_document(workflow_id="w", execute_id=execute_id, now=began)
    fields = {"node_execute_status": nodes, "error_message": "no" if status == "failed" else None}
    changed = RecordChange.of(began + writer_ms, status, None, fields=fields).apply(document.body)
    assert changed is not None
    return changed


async def _page(web: Served, path: str, language: str = "en") -> str:
    answer = await web.client.get(path, headers={"accept": "text/html", "cookie": f"language={language}"})
    assert 200 == answer.status_code
    return answer.text


def _words(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page[page.index("<main") : page.index("</main>")])).split())


async def test_nodes_have_figures_over_runs(web: Served) -> None:
    """The failing one first, with the times that are known, and how many of them there are."""
    shown = _words(await _page(web, "/workflows/w/nodes?window=24h"))
    assert "they are known for 5 of 5 runs" in shown
    assert "Coze reports when a node produced output, not when it began" in shown
    assert re.search(r"Writer <1> LLM 5 1 1\.0 s 1\.0 s 100 % 50 .* 5 of 5 Start 5 0 .* 0 of 5", shown)
    chinese = _words(await _page(web, "/workflows/w/nodes?window=24h", "zh"))
    assert "5/5 次有数据" in chinese


async def test_from_a_node_one_comes_to_the_runs_in_which_it_failed_or_was_slow(web: Served) -> None:
    """The lists behind the links hold these runs only."""
    page = await _page(web, "/workflows/w/nodes?window=24h")
    links = [html.unescape(link) for link in re.findall(r'href="(/workflows/w/runs\?[^"]+)"', page)]
    listed = {
        link: set(re.findall(r'data-row="w/([a-z0-9]+)"', await _page(web, link)))
        for link in links
    }  # fmt: skip
    assert [{"bad"}] == [found for link, found in listed.items() if "failed_node" in link]
    [slow] = [found for link, found in listed.items() if "%3E%3D" in link]
    assert {"slow"} <= slow < {"slow", "e0", "e1", "e2"}
    some = _words(await _page(web, "/workflows/w/runs?node=Writer+%3C1%3E+%3E%3D+30s"))
    assert "1 run" in some


async def test_nodes_are_sorted_by_a_click(web: Served) -> None:
    """By whatever stands in the head; a second one turns the order round."""

    def names(page: str) -> list[str]:
        return re.findall(r'<tr data-row="([0-9]+)"', page)

    assert ["7", "1"] == names(await _page(web, "/workflows/w/nodes"))
    by_name = await _page(web, "/workflows/w/nodes?sort=name")
    assert ["1", "7"] == names(by_name)
    turned = re.search(r'aria-sort="ascending"><a href="([^"]+)"', by_name)
    assert turned is not None
    assert ["7", "1"] == names(await _page(web, html.unescape(turned[1])))
    assert ["7", "1"] == names(await _page(web, "/workflows/w/nodes?sort=odd&window=odd"))


async def test_a_workflow_without_nodes_says_so(web: Served) -> None:
    """And one without runs as well."""
    service = web.application.service
    await service.create_execution_record("plain", "e")
    await service.follow_index()
    assert "The runs of this period have no nodes" in _words(await _page(web, "/workflows/plain/nodes"))
    assert "No runs in this period." in _words(await _page(web, "/workflows/none/nodes"))
