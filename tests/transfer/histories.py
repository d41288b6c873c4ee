"""Histories for tests of what is taken out and brought in."""

from typing import Any

import orjson

from execution_history.stores.protocol import HistoryStore, ScanToken
from tests.sample_records import change, document


async def fill(store: HistoryStore, count: int = 10) -> None:
    """So many runs: those with an even number in workflow ``w``, the others in ``工作流``; every third has failed."""
    for number in range(count):
        workflow_id = "w" if number % 2 == 0 else "工作流"
        await store.create(
            document(f"e{number}", workflow_id, 1_000 + number, parameters={"city": "北京", "n": number})
        )
        ending = {"error_code": 4000} if number % 3 == 0 else {"output": {"score": number, "text": "line\u2028\nend"}}
        await store.update(
            workflow_id, f"e{number}", change(2_000 + number, "failed" if number % 3 == 0 else "success", **ending)
        )


async def everything(store: HistoryStore) -> list[bytes]:
    """All stored bytes, in the order of arrival."""
    found: list[bytes] = []
    after: ScanToken | None = None
    while True:
        batch = await store.scan(after, 1_000)
        found += batch.documents
        after = batch.next
        if after is None:
            return found


def lines(data: bytes) -> list[dict[str, Any]]:
    """The records of JSON Lines."""
    return [orjson.loads(line) for line in data.splitlines()]
