"""What pages weigh when everything in a record is huge: an import takes in whatever there is."""

import gzip
import random
import re
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import pytest

from execution_history.clock import now_ms
from execution_history.records.encoding import encode
from execution_history.records.record import KEYS, Document
from execution_history.web.pages import urls
from tests.web.pages.conftest import Site

pytestmark = pytest.mark.anyio

MOST_SENT: Final = 150_000
"""Bytes of a page with its scripts and styles, as they cross the wire."""

MOST_SHOWN: Final = 700_000
"""Bytes of the page itself when it is unpacked."""

PARTS: Final = (
    "", "/output", "/metadata", "/metadata/tags", "/metadata/note", "/metadata/interrupt", "/error_message",
    "/node_execute_status", "/input_parameters/deep", "/output/0/held", "/output/0/held/~j",
    "/node_execute_status/~k0", "/node_execute_status/~k0/content", "/conversation_id",
)  # fmt: skip

_RANDOM: Final = random.Random(7)  # noqa: S311 - text that cannot be packed well, not a secret
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz0123456789\"'<>& 的一是在不了有和人这\n\x1b\u202e"


@cache
def _pool() -> str:
    return "".join(_RANDOM.choices(_LETTERS, k=3_000_000))


def noise(length: int) -> str:
    """Text of so many characters that packs badly (it repeats too far apart) and grows when it is escaped."""
    start = _RANDOM.randrange(len(_pool()) - length)
    return _pool()[start : start + length]


def timeline(began: int, count: int) -> dict[str, Any]:
    """So many nodes, the first with a name that is longer than any address may be."""
    said, error = noise(300), noise(500)
    names = [noise(20_000), *(noise(40) for _ in range(count - 1))]
    return {
        name: {"node_type": noise(50), "is_finish": number % 2 == 0, "start_time": began, "update_time": began + number,
               "content": said, "packets": [[at, at * 3, 20] for at in range(100 if number == 1 else 5)],
               "packet_count": 10**30, "usage": {"token_count": 10**18}, "error_message": error}
        for number, name in enumerate(names)
    }  # fmt: skip


def deep(levels: int) -> Any:
    """Objects in objects, each under a long key."""
    value: Any = "bottom"
    for _ in range(levels):
        value = {noise(150): value}
    return value


def huge_record(workflow_id: str, execute_id: str, status: str, kind: str) -> dict[str, Any]:
    """A record in which every field is as large as it can be; its interrupt asks in words or for fields."""
    began, long, error = now_ms() - 60_000, noise(20_000), noise(200_000)
    wide = {noise(20_000): 1, **{noise(190): noise(30) for _ in range(300)}}
    interrupt: dict[str, Any] = {"event_id": "1/1", "type": 5, "node_title": long, "data": long}
    if kind == "fields":
        interrupt["required_parameters"] = {
            noise(60): {"type": noise(90), "description": noise(900), "default_value": noise(9_000)} for _ in range(300)
        }
    elif kind == "choices":
        options = [{"name": noise(9_000)} for _ in range(100)]
        interrupt |= {"type": 2, "data": encode({"content": {"question": long, "options": options}}).decode()}
    elif kind == "unanswerable":
        interrupt["event_id"] = long
    metadata = {
        "tags": [long, *(noise(60) for _ in range(2_000))], "note": long, "log_id": long, "coze_execute_id": long,
        "account": long, "caller": {"name": long, "version": long}, "proof": long, "interrupt": interrupt,
        "rating": 10**30, "wide": wide,
    }  # fmt: skip
    return {
        **dict.fromkeys(KEYS), "workflow_id": workflow_id, "execute_id": execute_id, "execute_status": status,
        "create_time": began, "update_time": began + 50_000, "run_mode": 1, "bot_id": long, "conversation_id": long,
        "connector_id": long, "connector_uid": long,
        "input_parameters": {"deep": deep(300), "wide": wide, "long": long},
        "output": [{"wide": wide, "number": 10**3_000, "held": encode(wide).decode()} for _ in range(2)],
        "node_execute_status": timeline(began, 1_000 if kind == "words" else 50),
        "error_message": error, "error_code": long, "logid": long,
        "debug_url": f"https://example.org/{'x' * 200_000}", "metadata": metadata,
        "usage": {"token_count": 10**30, "input_count": 10**30, "output_count": 10**30},
    }  # fmt: skip


@dataclass(frozen=True)
class Huge:
    """The records: their workflow and what each is called."""

    workflow_id: str
    keys: dict[str, str]


@pytest.fixture(scope="module")
async def huge(site: Site) -> Huge:
    """One record for each status and each kind of question, under ids of 300 characters."""
    workflow_id = "w<'é\"&" * 50
    kinds = {"failed": "words", "interrupted": "words", "fields": "fields", "choices": "choices", "odd" * 30: "words",
             "unanswerable": "unanswerable", "running": "words", "success": "words"}  # fmt: skip
    keys = {}
    for kind, question in kinds.items():
        execute_id = (kind + "e<'é&" * 60)[:300]
        status = kind if question == "words" else "interrupted"
        record = huge_record(workflow_id, execute_id, status, question)
        await site.application.service.store.merge([Document.of(record, encode(record))])
        keys[kind] = execute_id
    await site.indexed()
    return Huge(workflow_id, keys)


async def weights(site: Site, address: str, assets: dict[str, int]) -> tuple[int, int]:
    """What crosses the wire for a page with all that it needs, and what the page itself is when unpacked.

    Its scripts and styles, which never change under their names, are fetched once into *assets*.
    """
    page = await site.client.get(address)
    assert page.status_code in {200, 413, 422}, (page.status_code, address[-80:], page.text[-2000:])
    sent = len(gzip.compress(page.content, 4))
    for name in set(re.findall(r"/assets/[0-9a-f]{12}/[a-z.]+", page.text)):
        if name not in assets:
            async with site.client.stream("GET", name) as answer:
                assets[name] = len(b"".join([chunk async for chunk in answer.aiter_raw()]))
        sent += assets[name]
    return sent, len(page.content)


async def test_no_page_is_heavy_whatever_is_in_a_record(site: Site, huge: Huge) -> None:
    """Every page that shows a huge record, in any status, stays within the weight that any page may have."""
    found: dict[str, tuple[int, int]] = {}
    assets: dict[str, int] = {}
    old = urls.key_of(huge.workflow_id, huge.keys["success"])
    for kind, execute_id in huge.keys.items():
        path = urls.run(huge.workflow_id, execute_id)
        key = urls.key_of(huge.workflow_id, execute_id)
        addresses = {"run": path, "live": f"{path}/live?since=0", "again": f"{path}/again"}
        if kind == "failed":  # what these show does not depend on the status or the question
            addresses |= {
                "beside": urls.with_query("/runs", {"open": key}),
                "compared": f"/compare?run={urls.segment(key)}&run={urls.segment(old)}",
                "found": urls.with_query(f"{path}/value", {"find": "a"}),
                "news": f"{urls.workflow(huge.workflow_id)}/news?newest=0&rows={urls.segment(key)}",
                **{f"part {at}": urls.with_query(f"{path}/value", {"at": at}) for at in PARTS},
                **{f"branch {at}": urls.with_query(f"{path}/value", {"at": at, "fragment": 1}) for at in PARTS},
            }
        for name, address in addresses.items():
            found[f"{kind[:12]}: {name}"] = await weights(site, address, assets)
    for address in ("/", "/runs", "/runs?q=ab", "/switcher", urls.runs(huge.workflow_id),
                    urls.workflow(huge.workflow_id)):  # fmt: skip
        found[address[:40]] = await weights(site, address, assets)
    assert {} == {name: weight for name, weight in found.items() if weight[0] > MOST_SENT or weight[1] > MOST_SHOWN}
