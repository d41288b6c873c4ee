"""Whatever stands under our keys of the metadata, everything that shows or counts a run still does."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_history.clock import now_ms
from execution_history.history.diff import compare_records
from execution_history.presentation.formatting import gist
from execution_history.query.text import texts_of
from execution_history.records.attributes import attributes_of
from execution_history.records.metadata import KEYS
from execution_history.records.origin import acting_account
from execution_history.records.partial import outline_of
from execution_history.records.record import RecordChange
from execution_history.records.summary import summary_of
from execution_history.web.pages.run_row import line_of_run
from execution_history.web.pages.run_view import not_again, run_view
from execution_history.web.pages.viewer import viewer_of
from tests.examples import examples
from tests.sample_records import document
from tests.web.pages.conftest import Site

pytestmark = pytest.mark.anyio

_LEAVES = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=9)
)
_NAMES = st.sampled_from(["name", "execute_id", "event_id", "data", "type", "from", "tokens", *KEYS]) | st.text(
    max_size=5
)
_JSON = st.recursive(_LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_NAMES, inner, max_size=4))
_STATUSES = st.sampled_from(["running", "success", "failed", "interrupted"])
_VIEWERS = [viewer_of({}, language, 10_000_000) for language in ("en", "zh")]


@given(status=_STATUSES, metadata=st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, _JSON)) | _JSON)
@examples(30)
def test_every_reader_takes_any_json(status: str, metadata: Any) -> None:
    """What has another type than its key counts as not there."""
    body = orjson.dumps(document("e").plain() | {"execute_status": status, "metadata": metadata})
    record = outline_of(body)
    facts = attributes_of(record)
    assert facts.duration_ms is None or facts.duration_ms >= 0
    summary = summary_of(record, facts)
    assert "e" == line_of_run(summary, 9_000).execute_id
    assert status == attributes_of(orjson.loads(body)).status
    for viewer in _VIEWERS:
        assert run_view(body, viewer)["proof"].endswith((".", "。"))
    list(texts_of(record))
    gist(record, 100)
    not_again(record)
    account = acting_account(record)
    assert account is None or isinstance(account, str)
    compare_records(orjson.loads(body), document("f").plain())


_ODD: tuple[Any, ...] = (
    None, True, 0, -1, 2**63, 1.5, "", "x" * 5_000, "<script>alert(1)</script>", "%s %(a)s {0}", "\u202e\x1b[2J", [],
    [[]], [{}], {}, {"": {}}, {"name": []}, {"execute_id": {}}, {"event_id": 1, "data": [1], "type": {}}, {"from": []},
)  # fmt: skip


async def test_pages_lists_and_exports_take_odd_values(site: Site) -> None:
    """Over HTTP, for a run of every status with such a value under every key."""
    service = site.application.service
    addresses = []
    for number, odd in enumerate(_ODD):
        for status in ("success", "failed", "interrupted", None):
            execute_id = f"{status}-{number}"
            await service.create_execution_record("odd", execute_id)
            change = RecordChange.of(now_ms(), status, dict.fromkeys(KEYS, odd), fields={"output": number})
            await service.store.update("odd", execute_id, change)
            addresses.append(f"/workflows/odd/runs/{execute_id}")
    await site.indexed()
    addresses += [f"{address}/live?since=1" for address in addresses[:8]]
    addresses += [
        "/",
        "/runs",
        "/workflows/odd",
        "/workflows/odd/runs?sort=duration",
        "/runs?q=script&sort=create_time",
    ]
    addresses += ["/coze/statistics", "/coze/export?format=csv", "/coze/export?format=jsonl"]
    for address in addresses:
        answer = await site.client.get(address)
        is_page = answer.headers["content-type"].startswith("text/html")
        assert not (is_page and "<script>alert" in answer.text)
        assert 200 == answer.status_code, (address, answer.text[:300])
