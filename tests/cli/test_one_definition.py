"""One fact, one definition: whatever a record holds, every place that shows, counts, exports or finds it agrees."""

import asyncio
import csv
import io
import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import Phase, given
from hypothesis import strategies as st

from execution_history.history.diff import compare_records
from execution_history.presentation.formatting import duration, grouped
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordQuery, StatisticsQuery
from execution_history.records.adoption import adopt_record
from execution_history.records.attributes import RunAttributes, attributes_of
from execution_history.records.encoding import as_text
from execution_history.records.record import Document
from execution_history.records.timeline import nodes_of
from execution_history.records.values import LAST_TIME
from execution_history.stores import MemoryStore, SQLiteStore
from execution_history.stores.protocol import HistoryStore
from execution_history.transfer.columns import parse_columns
from execution_history.transfer.writers import CSVWriter
from execution_history.web.pages.run_row import line_of_run
from execution_history.web.pages.run_view import run_view
from execution_history.web.pages.viewer import viewer_of
from tests.cli.conftest import BEGAN, Call
from tests.examples import examples

_NOW = BEGAN + 3_600_000
_ODD = st.sampled_from([None, True, "5", "", -1, 4.5, 2**63, 2**70, 10**13, [1], {"a": 1}, "soon"])
_COUNTS = st.integers(0, 9) | st.sampled_from([4.0, 10**12]) | _ODD
_TIMES = st.integers(BEGAN - 5, BEGAN + 5_000) | st.sampled_from([0, LAST_TIME, LAST_TIME + 1]) | _ODD
_USAGES = _ODD | st.dictionaries(
    st.sampled_from([
        "input_count", "output_count", "token_count", "input_tokens", "output_tokens", "total_tokens", "tokens",
        "prompt_tokens", "completion_tokens",
    ]),
    _COUNTS,
    max_size=4,
)  # fmt: skip
_ERRORS = st.sampled_from(["no such table", "timed out", "", " ", 0, "0", 4000]) | _ODD
_NODES = st.fixed_dictionaries(
    {"start_time": st.integers(BEGAN - 5, BEGAN + 900), "update_time": st.integers(BEGAN - 5, BEGAN + 900)},
    optional={
        "node_title": st.sampled_from(["Pay", "Ask", ""]) | _ODD,
        "node_type": _ODD,
        "is_finish": st.booleans() | _ODD,
        "content": st.sampled_from(["said", ""]) | _ODD,
        "packets": _ODD,
        "packet_count": _COUNTS,
        "usage": _USAGES,
        "error_message": _ERRORS,
        "error_code": _ERRORS,
    },
)
_METADATA = st.fixed_dictionaries(
    {},
    optional={
        "ended_at": _TIMES,
        **dict.fromkeys(
            ("tags", "pinned", "rating", "note", "caller", "account", "proof", "interrupt", "parent", "log_id",
             "recorder", "transition", "coze_execute_id", "recording_is_cut", "answers", "mine"),
            _ODD,
        ),
    },
)  # fmt: skip
_RECORDS = st.fixed_dictionaries({
    "create_time": st.just(BEGAN),
    "update_time": st.integers(BEGAN, BEGAN + 90_000),
    "execute_status": st.sampled_from(["success", "failed", "failed", "interrupted", "running", "weird"]),
    "usage": _USAGES,
    "metadata": _METADATA | _ODD,
    "error_code": _ERRORS,
    "error_message": st.sampled_from([None, "it broke", 7]),
    "node_execute_status": st.dictionaries(st.sampled_from("ABCD"), _NODES, max_size=3) | _ODD,
    "output": _ODD,
    "bot_id": _ODD,
    "run_mode": _ODD,
})  # fmt: skip


def _documents(found: list[dict[str, Any]]) -> list[Document]:
    made = [adopt_record({**record, "execute_id": f"run-{number}"}, "w", _NOW) for number, record in enumerate(found)]
    return [document for document in made if document is not None]


@given(found=st.lists(_RECORDS, min_size=1, max_size=5))
# Without shrinking: an example opens two stores and calls the command twice.
@examples(3, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_every_place_agrees_on_what_a_record_says(
    call: Call, tmp_path_factory: pytest.TempPathFactory, found: list[dict[str, Any]]
) -> None:
    """Tokens, duration, end time, failing node: page, command line, statistics, comparison, export and filter."""
    folder = tmp_path_factory.mktemp("history")
    documents = _documents(found)
    facts = {document.execute_id: attributes_of(orjson.loads(document.body)) for document in documents}
    for document in documents:
        _check_page(document.body, facts[document.execute_id])
        _check_comparison(document.plain(), facts[document.execute_id])
    _check_export(documents, facts)
    asyncio.run(_check_stores(documents, facts, folder))
    _check_terminal(call, folder, documents, facts)


def _check_page(body: bytes, facts: RunAttributes) -> None:
    """The page of a run shows them in its first line, among what is known of the run, and in its timeline."""
    shown = run_view(body, viewer_of({}, "en", _NOW))
    assert facts.tokens == shown["known"].tokens
    assert duration(facts.elapsed_ms(_NOW)) in shown["headline"].text
    assert [facts.tokens] == ([fact.value.tokens for fact in shown["facts"] if fact.name == "tokens"] or [None])
    failed = [row["node"].name for row in shown["waterfall"].rows if row["is_failed"]] if shown["waterfall"] else []
    if shown["waterfall"] is not None:
        titles: dict[str, str | None] = {**_titles(orjson.loads(body))}
        assert [facts.failed_node] == ([titles[name] for name in failed] or [None])
    if facts.status == "failed":
        sentence = f"Failed after {duration(facts.duration_ms or 0)}"
        sentence += "" if facts.failed_node is None else f" in {facts.failed_node}"
        assert sentence == shown["headline"].text.partition(": ")[0]


def _titles(record: dict[str, Any]) -> dict[str, str]:
    return {node.name: node.label for node in nodes_of(record["node_execute_status"])}


def _check_comparison(record: dict[str, Any], facts: RunAttributes) -> None:
    """A comparison measures them."""
    compared = compare_records(record, record)
    assert (facts.duration_ms, facts.tokens) == (compared.duration.old, compared.tokens["total"].new)


def _check_export(documents: list[Document], facts: dict[str, RunAttributes]) -> None:
    """A table has columns of them."""
    names = ("execute_id", "tokens", "duration_ms", "end_time", "failed_node")
    writer = CSVWriter(parse_columns(names), defuse=False)
    table = writer.write([document.body for document in documents]) + writer.finish()
    rows = list(csv.reader(io.StringIO(table.decode(), newline="")))[1:]
    assert [[key, *(as_text(getattr(each, name)) for name in names[1:])] for key, each in facts.items()] == rows


async def _check_stores(documents: list[Document], facts: dict[str, RunAttributes], folder: Path) -> None:
    """Lists show them, filters find by them and statistics count them, in every store."""
    for store in (MemoryStore(), SQLiteStore(folder, json_files=False)):
        await store.open()
        try:
            await store.merge(documents)
            filtered = RecordQuery(filter=RecordFilter(statuses=("failed",)), size=1)
            while not (await store.select(filtered)).reach.is_complete:
                pass  # a question that the index answers lets it go on
            await _check_lists(store, facts)
            await _check_statistics(store, facts)
        finally:
            await store.aclose()


async def _check_lists(store: HistoryStore, facts: dict[str, RunAttributes]) -> None:
    page = await store.select(RecordQuery(summaries=True))
    lines = {line.execute_id: line for line in (line_of_run(summary, _NOW) for summary in page.documents)}
    assert {key: (each.tokens, each.elapsed_ms(_NOW)) for key, each in facts.items()} == {
        key: (line.tokens, line.duration) for key, line in lines.items()
    }
    for each in facts.values():
        wanted = RecordFilter(
            tokens_from=each.tokens, tokens_to=each.tokens, duration_from=each.duration_ms, duration_to=each.duration_ms
        )
        answer = await store.select(RecordQuery(filter=wanted))
        assert {
            key
            for key, other in facts.items()
            if each.tokens in {None, other.tokens} and each.duration_ms in {None, other.duration_ms}
        } == {orjson.loads(body)["execute_id"] for body in answer.documents}


async def _check_statistics(store: HistoryStore, facts: dict[str, RunAttributes]) -> None:
    for key, each in facts.items():
        counted = await store.statistics(StatisticsQuery(filter=RecordFilter(execute_id_prefix=key)))
        ended = each.duration_ms if each.status in {"success", "failed"} else None
        assert (each.tokens or 0, ended) == (counted.totals.tokens, counted.totals.p50)
        assert ([] if each.error_code is None else [each.error_code]) == list(counted.error_codes)


def _check_terminal(call: Call, folder: Path, documents: list[Document], facts: dict[str, RunAttributes]) -> None:
    """``list`` and ``show`` print them; of a run that goes on the duration depends on when they are called."""
    listed = call("list", "w", "--store", str(folder)).out.splitlines()
    for key, each in facts.items():
        cells = next(re.split(r"\s{2,}", line.strip()) for line in listed if key in line)
        amounts = cells[2 : cells.index(key)]
        assert ([] if each.tokens is None else [grouped(each.tokens)]) == amounts[1:]
        assert each.duration_ms is None or duration(each.duration_ms) == amounts[0]
    key, titles = documents[0].execute_id, _titles(documents[0].plain())
    shown = call("show", key, "--store", str(folder)).out.splitlines()
    assert facts[key].duration_ms is None or f" after {duration(facts[key].duration_ms or 0)}" in shown[0]
    tokens = [line.split("Tokens")[1].split("(")[0].strip() for line in shown if line.startswith("  Tokens ")]
    assert tokens == ([] if facts[key].tokens is None else [grouped(facts[key].tokens)])
    if facts[key].failed_node is not None and "Nodes" in shown:
        failed = [line.split()[0] for line in shown[shown.index("Nodes") :] if line.endswith(", failed")]
        assert facts[key].failed_node in {titles.get(name) for name in failed}
