"""What a run's page says of runs within runs, of questions and answers, of Markdown and of tracebacks."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from playwright.async_api import expect

from execution_history.clock import now_ms
from execution_history.presentation.dialogue import dialogue_of
from execution_history.records.encoding import encode
from execution_history.records.record import KEYS, Document, new_document
from execution_history.web.pages.markdown import is_markdown, rendered
from execution_history.web.pages.run_axis import RunAxis
from execution_history.web.pages.traceback_view import traceback_view
from execution_history.web.pages.waterfall import waterfall_of
from tests.web.pages.conftest import FIRST, OpenContext, Site
from tests.web.pages.test_browser import HOSTILE, faults_of

pytestmark = pytest.mark.anyio

TRACEBACK = (
    'Traceback (most recent call last):\n  File "a.py", line 1, in outer\n    inner()\n'
    '  File "b.py", line 2, in inner\n    raise ValueError("no")\nValueError: no\n'
)


async def keep(
    site: Site,
    execute_id: str,
    parent: str | None = None,
    workflow_id: str = "tree",
    around: str = "tree",
    **fields: Any,
) -> str:
    """Keep a run that began within another one; the path of its page."""
    metadata = {"recorded_as": "function"} | ({} if parent is None else {
        "parent": {"workflow_id": around, "execute_id": parent}, "root": {"workflow_id": "tree", "execute_id": "root"},
    })  # fmt: skip
    document = new_document(workflow_id=workflow_id, execute_id=execute_id, now=now_ms(), metadata=metadata)
    await site.application.service.store.create(document)
    status = fields.pop("execute_status", "success")
    await site.application.service.update_execution_record(workflow_id, execute_id, status, **fields)
    await site.indexed()
    return f"/workflows/{workflow_id}/runs/{execute_id}"


@pytest.fixture(scope="module")
async def tree(site: Site) -> None:
    """A run with two within it, one of which failed and has one of its own."""
    await keep(site, "root")
    await keep(site, "left", "root")
    await keep(site, "right", "root", "tool", execute_status="failed", error_message="<b>no</b> room")
    await keep(site, "inner", "left")
    await keep(site, "orphan", "deleted-long-ago")


@pytest.mark.usefixtures("tree")
async def test_runs_within_runs_are_one_waterfall(site: Site) -> None:
    """Indented, each a link but for the one that is shown, with the runs around it over the headline."""
    page = (await site.client.get("/workflows/tree/runs/left")).text
    body = page[page.index('class="waterfall"') :]
    assert ["in-0", "in-1", "in-2", "in-1"] == re.findall(r'<th scope="row" class="(in-\d)"', body)
    assert 'href="/workflows/tool/runs/right"' in body
    assert 'href="/workflows/tree/runs/left"' not in body
    assert "&lt;b&gt;no&lt;/b&gt; room" in body
    assert "2 runs within" in body
    where = page[page.index('class="where"') : page.index("<h1>")]
    assert 'href="/workflows/tree/runs/root"' in where


async def test_runs_within_a_run_that_goes_on_come_by_themselves(site: Site, open_context: OpenContext) -> None:
    """The page of the run around them shows them as they begin."""
    path = await keep(site, "going", workflow_id="live", execute_status="running")
    page = await (await open_context()).new_page()
    await page.goto(path)
    await expect(page.locator(".run-row")).to_have_count(0)
    await keep(site, "begun", "going", workflow_id="live", around="live")
    await expect(page.locator(".run-row")).to_have_count(2)
    await site.application.service.update_execution_record("live", "going", "success")


@pytest.mark.usefixtures("tree")
async def test_a_parent_without_a_record_is_said(site: Site) -> None:
    """Its id is shown, and what may have become of it; nothing leads nowhere."""
    page = (await site.client.get("/workflows/tree/runs/orphan")).text
    assert "there is no record here" in page
    assert 'href="/workflows/tree/runs/deleted-long-ago"' not in page


@pytest.mark.usefixtures("tree")
async def test_runs_within_a_run_are_folded_in_lists(open_context: OpenContext) -> None:
    """Under the run around them, where they are shown on request; a filter for single runs folds none."""
    page = await (await open_context()).new_page()
    await page.goto("/workflows/tree/runs")
    rows = page.locator("tr[data-row]")
    names = "rows => rows.map((row) => row.dataset.row.split('/')[1])"
    assert ["orphan", "root"] == await rows.evaluate_all(names)
    await expect(page.locator(".folded")).to_contain_text("2 nested runs")
    await page.locator('tr[data-row="tree/root"] a.within').click()
    await expect(rows).to_have_count(4)
    assert ["orphan", "root", "left", "right"] == await rows.evaluate_all(names)
    await page.locator('tr[data-row="tree/left"] a.within').click()
    await expect(rows).to_have_count(5)
    await page.locator('tr[data-row="tree/root"] a.within').click()
    await expect(rows).to_have_count(2)
    await page.goto("/runs?parent=root")
    assert ["right", "left"] == await rows.evaluate_all(names)


@pytest.mark.usefixtures("tree")
async def test_without_scripts_runs_within_a_run_are_a_list(site: Site, open_context: OpenContext) -> None:
    """The same link leads to them."""
    page = await (await open_context(java_script_enabled=False)).new_page()
    await page.goto("/workflows/tree/runs")
    await page.locator('tr[data-row="tree/root"] a.within').click()
    assert page.url == f"{site.base}/runs?parent=root"
    await expect(page.locator("tr[data-row]")).to_have_count(2)


@pytest.mark.usefixtures("tree")
async def test_enter_leads_into_the_open_run_and_escape_back(site: Site, open_context: OpenContext) -> None:
    """The panel has the keyboard at once, and the row gets it back."""
    await site.run(3, city="Rome")
    page = await (await open_context()).new_page()
    await page.goto(f"/workflows/{FIRST + 3}/runs")
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await expect(page.locator(".open-run")).to_be_focused()
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.closest('.open-run') !== null")
    await page.keyboard.press("Escape")
    await expect(page.locator("tr.current a[data-open]")).to_be_focused()


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize("width", [1440, 390])
async def test_pages_of_trees_are_accessible(site: Site, open_context: OpenContext, width: int) -> None:
    """By axe's rules, and no wider than the screen."""
    path = await said(site, f"axe-{width}", "# Title\n\n- one\n- two\n\n|a|b|\n|-|-|\n|1|2|\n", pieces=3)
    page = await (await open_context(width=width)).new_page()
    found = {}
    for address in ("/workflows/tree/runs/left", path, "/workflows/tree/runs"):
        await page.goto(address)
        await page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        if faults := await faults_of(page):
            found[address] = faults
        assert await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert {} == found


async def said(site: Site, execute_id: str, text: str, pieces: int = 1) -> str:
    """Keep a run one node of which said *text* in so many messages; the path of its page."""
    began, step = now_ms() - 1_000, -(-len(text) // pieces)
    packets = [[n + 1, n * 10, len(text[n * step : (n + 1) * step])] for n in range(pieces)]
    node = {"node_type": "LLM", "is_finish": True, "start_time": began, "update_time": began + 500, "content": text,
            "packets": packets, "packet_count": pieces}  # fmt: skip
    record = {**dict.fromkeys(KEYS), "workflow_id": "said", "execute_id": execute_id, "execute_status": "success",
              "create_time": began, "update_time": began + 900, "input_parameters": {}, "metadata": {},
              "node_execute_status": {"Writer": node}}  # fmt: skip
    await site.application.service.store.merge([Document.of(record, encode(record))])
    return f"/workflows/said/runs/{execute_id}"


async def test_a_text_is_joined_and_its_messages_are_a_switch_away(site: Site, open_context: OpenContext) -> None:
    """As one text, as Markdown where it is, as its source, and as it came, without a script."""
    path = await said(site, "markdown", "# Title\n\nSome **bold** words.", pieces=4)
    page = await (await open_context(java_script_enabled=False)).new_page()
    await page.goto(path)
    await page.locator(".said summary").click()
    await expect(page.locator(".markdown strong")).to_have_text("bold")
    await expect(page.locator(".pieces")).to_be_hidden()
    await page.get_by_text("Source", exact=True).click()
    await expect(page.locator(".markdown")).to_be_hidden()
    assert "# Title\n\nSome **bold** words." == await page.locator(".pieces").inner_text()
    await page.get_by_text("As it came", exact=True).click()
    await expect(page.locator(".pieces .at").first).to_have_text("+0 ms")
    await expect(page.locator(".pieces li")).to_have_count(4)


async def test_a_long_first_message_does_not_widen_the_page(site: Site, open_context: OpenContext) -> None:
    """In the panel beside the list, too: the bars stay inside the window."""
    await said(site, "wide", "word " * 2_000, pieces=3)
    for width in (1440, 1280):
        page = await (await open_context(width=width)).new_page()
        await page.goto("/workflows/said/runs?open=said/wide")
        ends = await page.locator(".track").evaluate_all("all => all.map((each) => each.getBoundingClientRect().right)")
        assert max(ends) <= width


async def test_an_output_that_is_markdown_is_formatted(site: Site) -> None:
    """Alone or as the only value of an object; any other is a tree."""
    for number, (output, is_formatted) in enumerate((
        ("**bold** text", True), ({"output": "**bold** text"}, True), ({"a": "**bold**", "b": 1}, False), ([1], False),
    )):  # fmt: skip
        path = await site.record("outputs", f"o-{number}", execute_status="success", output=output)
        assert is_formatted == ("<strong>bold</strong>" in (await site.client.get(path)).text)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("# Title\ntext", True), ("a **b** c", True), ("- a\n- b", True), ("1. a\n2. b", True),
        ("```\ncode\n```", True),
        ("|a|b|\n|-|-|\n|1|2|", True), ("see [it](https://a.b)", True), ("> quoted", True),
        ("text", False), ("a - b - c", False), ("2 * 3 * 4", False), ('{"a": "**b**"}', False), ("", False),
        ("#hashtag", False), ("<p>**x**</p>", False), ("- only one", False), ("a | b | c", False),
    ],
)  # fmt: skip
def test_what_looks_like_markdown_is_shown_as_such(text: str, is_one: bool) -> None:
    """Everything else is shown as it is."""
    assert is_one == is_markdown(text)


class _Tags(HTMLParser):
    """What a browser finds in some HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.addresses: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag, and what it has."""
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.addresses |= {value or "" for name, value in attrs if name == "href"}


@pytest.mark.parametrize(
    "text",
    [
        *HOSTILE, "[x](javascript:alert(1))", "[x](data:text/html,x)", "[x](/relative)", "![x](https://a.b/c.png)",
        "<https://a.b/\u202e>", "&#x202e;", "[x]: javascript:alert(1)\n\n[x]", "<a href='javascript:x'>y</a>",
        "|a|\n|:-:|\n|b|", "[x](vbscript:x)", '[x](https://a.b "title \\" onclick=x")',
    ],
)  # fmt: skip
def test_markdown_brings_no_html_and_no_foreign_addresses(text: str) -> None:
    """Only tags of the renderer's own, links to the web and to mail, and no character that turns text around."""
    html = str(rendered(text))
    found = _Tags()
    found.feed(html)
    assert found.tags <= {"p", "a", "strong", "em", "code", "pre", "table", "thead", "tbody", "tr", "th", "td"}
    assert found.attributes <= {"href", "rel", "title", "class"}
    assert all(address.startswith(("http", "mailto:")) for address in found.addresses)
    assert not set(html) & set("\u202e\u2066\u200f\x1b\x00\x9b")


def test_links_of_markdown_tell_nothing_of_the_page() -> None:
    """They name no referrer and get no opener."""
    assert 'rel="noopener noreferrer nofollow"' in rendered("[x](https://a.b)")


def test_a_traceback_has_its_last_frame_marked() -> None:
    """What leads there stands before it, the error behind it."""
    found = traceback_view(TRACEBACK)
    assert found is not None
    assert TRACEBACK == "".join(found)
    assert '  File "b.py", line 2, in inner\n    raise ValueError("no")\n' == found.frame
    assert "ValueError: no\n" == found.after
    assert ("no frames", "", "") == traceback_view("no frames")
    assert traceback_view(" ") is None
    assert traceback_view(None) is None


async def test_a_failed_function_shows_its_traceback(site: Site) -> None:
    """In the box that says why, in a sentence that suits a function."""
    known = {"recorded_as": "function", "proof": "raised", "traceback": TRACEBACK}
    failure = {"execute_status": "failed", "error_code": "ValueError", "error_message": "no"}
    path = await site.record("f", "raised", **failure, metadata=known)
    page = (await site.client.get(path)).text
    assert "<mark><bdi>  File &#34;b.py&#34;, line 2" in page
    assert "The function raised an exception." in page
    assert "a Python function" in page
    assert "synchronous" not in page


async def test_a_lost_answer_is_not_called_a_failure_of_the_run(site: Site) -> None:
    """The page says that it may have run, and what to do before it is run again; the log id stands first."""
    path = await site.record("lost", "one", execute_status="failed", error_code=502, error_message="Bad Gateway",
                             metadata={"proof": "http_status", "log_id": "LOG-1", "account": "a"})  # fmt: skip
    page = (await site.client.get(path)).text
    assert "the workflow may have run" in page[page.index("<h1>") : page.index("</h1>")]
    assert "before you run it again" in page
    assert "LOG-1" in page[: page.index('class="actions"')]


def test_a_dialogue_has_questions_and_answers_in_order() -> None:
    """With who asked and answered, when, and after how long; what others wrote there is no turn."""
    question = {"node_title": "Ask", "data": '{"content_type":"text","content":"Which city?"}'}
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}, 1]
    record = {
        **dict.fromkeys(KEYS),
        "input_parameters": {"additional_messages": messages},
        "metadata": {"answers": [
            {"asked_at": 1_000, "at": 5_000, "question": question, "resume_data": "Paris",
             "caller": {"name": "curl", "version": "8"}},
            {"at": 6_000, "resume_data": {"city": "Rome"}, "outcome": "Coze did not take it"}, "odd", None,
        ]},
    }  # fmt: skip
    turns = dialogue_of(record)
    assert [("message", "Hi"), ("reply", "Yes?"), ("question", "Which city?"), ("answer", "Paris")] == [
        turn[:2] for turn in turns[:4]
    ]
    assert ("Ask", 1_000) == (turns[2].by, turns[2].at)
    assert ("curl 8", 5_000, 4_000) == (turns[3].by, turns[3].at, turns[3].waited_ms)
    assert ("Coze did not take it", None) == (turns[4].outcome, turns[4].waited_ms)
    assert [] == dialogue_of({**dict.fromkeys(KEYS), "metadata": {"answers": "x"}})


async def test_a_question_that_was_answered_is_shown_as_a_dialogue(site: Site) -> None:
    """The page of the run has the question, the answer, and how long that took; waiting is cut out of its axis."""
    path = await site.run(5)
    workflow_id, execute_id = path.split("/")[2], path.split("/")[4]
    asked = await site.application.service.get_execution_detail(workflow_id, execute_id)
    assert asked is not None
    answer = await site.client.post(
        f"/coze/workflows/{workflow_id}/history/{execute_id}/resume", json={"data": "Paris"}
    )
    assert 200 == answer.status_code
    record = await site.application.service.get_execution_detail(workflow_id, execute_id)
    assert record is not None
    first = record["metadata"]["answers"][0]
    assert first["asked_at"] == asked["update_time"] <= first["at"]
    page = (await site.client.get(path)).text
    body = page[page.index('class="dialogue"') : page.index('class="waterfall"')]
    assert body.index("city") < body.index("Paris")


def test_waiting_is_cut_out_of_the_axis() -> None:
    """Bars stand as if nobody had waited, and what is cut is said."""
    axis = RunAxis(1_000, 11_000, ((3_000, 9_000),))
    assert (4_000, 2_000, 4_000) == (axis.length, axis.at(3_000), axis.at(11_000))
    assert axis.at(8_000) == axis.at(9_000) == 2_000
    assert (500, 500) == axis.span(5_000, 11_000)
    assert [(500, "6.0 s")] == [tuple(cut) for cut in axis.cuts()]
    node = {"is_finish": True, "start_time": 2_000, "update_time": 10_000, "content": "x"}
    drawn = waterfall_of({"Ask": node}, 1_000, 11_000, None, waits=axis.waits)
    assert drawn is not None
    assert (2_000, 6_000, 250, 500) == tuple(drawn.rows[0][key] for key in ("took", "waited", "x", "width"))


def test_many_messages_are_grouped_and_none_of_the_text_is_lost() -> None:
    """Of five hundred small messages all text is there, in few pieces."""
    text = "abc" * 500
    packets = [[n + 1, n, 3] for n in range(500)]
    node = {"is_finish": True, "start_time": 0, "update_time": 500, "content": text, "packets": packets}
    drawn = waterfall_of({"A": node}, 0, 500, None)
    assert drawn is not None
    pieces = drawn.rows[0]["pieces"]
    assert text == "".join(piece.text for piece in pieces)
    assert len(pieces) <= 40
    assert [piece.at for piece in pieces] == sorted(piece.at for piece in pieces)


def test_a_table_of_empty_cells_is_shown_as_it_is_written() -> None:
    """Rows are filled up to the columns of the first: six thousand characters could become a million cells."""
    wide = "|" + "a|" * 1_000 + "\n|" + "-|" * 1_000 + "\n" + "|\n" * 900
    assert "<table" not in rendered(wide)
    assert len(rendered(wide)) < 2 * len(wide)
    assert "<table" in rendered("|a|b|\n|-|-|\n|1|2|")
