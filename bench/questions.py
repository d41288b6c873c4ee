"""What is looked for in a history of :mod:`bench.fixture`: filters, texts and pages, as addresses of the server."""

from collections import deque
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from bench.fixture import Fixture
from bench.records import nouns

_HOUR = 3_600_000


def _history(**parameters: object) -> str:
    return f"/coze/history?{urlencode(parameters, doseq=True)}"


def some_record(fixture: Fixture) -> dict[str, Any]:
    """Return a record with a conversation."""
    return next(each for each in fixture.records() if each["conversation_id"] is not None)


def filters(fixture: Fixture) -> dict[str, str]:
    """Return the addresses of filtered pages by what they are."""
    some, middle = some_record(fixture), fixture.end - 15 * 24 * _HOUR
    large = {"workflow": fixture.large_workflows()[0]}
    by_name: dict[str, Mapping[str, object]] = {
        "all, newest": {},
        "workflow": large,
        "status failed": {"status": "failed"},
        "workflow, failed or interrupted": {**large, "status": "failed,interrupted"},
        "one hour": {"since": middle, "until": middle + _HOUR},
        "duration from 60 s": {"min_duration": "60s"},
        "by duration": {"sort": "duration"},
        "workflow, by tokens, ascending": {**large, "sort": "tokens", "order": "asc"},
        "mode async": {"mode": "async"},
        "bot": {"bot": "7400000000000000003"},
        "conversation": {"conversation": some["conversation_id"]},
        "account": {"account": "account-4"},
        "caller and failed": {"caller": "program-7", "status": "failed"},
        "error code": {"error": "5000"},
        "error code, by duration": {"error": "5000", "sort": "duration"},
        "tokens from 6,000": {"min_tokens": 6_000},
        "tag": {"tag": "tag-3"},
        "pinned": {"pinned": "true"},
        "rating from 5": {"min_rating": 5},
        "upstream id": {"upstream": "7600000000000000077"},
        "execute id prefix": {"id": some["execute_id"][:13]},
        "page 50 of a workflow": {**large, "page_index": 50},
    }
    return {name: _history(**parameters) for name, parameters in by_name.items()}


def conditions(fixture: Fixture) -> dict[str, str]:
    """Return the addresses of pages by a condition on a value within records, which no index has."""
    one = {"workflow": some_record(fixture)["workflow_id"]}
    return {"output.score >= 0.99 in a workflow": _history(**one, where="output.score >= 0.99")}


def texts(page_size: int = 20) -> dict[str, str]:
    """Return the addresses of text searches by what is special about them; words are chosen by their rank.

    Each hit of the page comes with its snippets, so that a page of one hit shows what the search alone takes.
    """
    en, zh = nouns(chinese=False), nouns(chinese=True)
    by_name = {
        "frequent word": en[0],
        "frequent word, whole": f'"{en[0]}"',
        "word of one record in a hundred": en[200],
        "rare word": en[15_000],
        "absent word": "zyzzyva",
        "prefix": "sens*",
        "part of a word": "epor",
        "two frequent words": f"{en[0]} {en[1]}",
        "frequent and rare word": f"{en[0]} {en[15_000]}",
        "phrase": '"what was planned"',
        "without a word": f"{en[0]} -{en[1]}",
        "one frequent character": "的",
        "one rarer character": zh[40][0],
        "Chinese word, frequent": zh[0],
        "Chinese word, rare": zh[15_000],
        "Chinese phrase": "安静的" + zh[1],
        "Chinese, not beside each other": f"{zh[0]} {zh[300]}",
        "both languages": f"percent {zh[0]}",
    }
    found = {name: _history(q=text, page_size=page_size) for name, text in by_name.items()}
    return found | {
        "frequent word, failed": _history(q=en[0], page_size=page_size, status="failed"),
        "frequent word, by duration": _history(q=en[0], page_size=page_size, sort="duration"),
    }


def statistics(fixture: Fixture) -> dict[str, str]:
    """Return the addresses of statistics by day."""
    one = quote(some_record(fixture)["workflow_id"])
    return {
        "statistics of a workflow": f"/coze/workflows/{one}/statistics?bucket=day",
        "statistics of all": "/coze/statistics?bucket=day",
    }


def pages(fixture: Fixture) -> dict[str, str]:
    """Return the addresses of pages that people look at."""
    late = (each for each in fixture.records(fixture.runs - 1_000) if each["node_execute_status"] is not None)
    other, newest = deque(late, maxlen=2)
    runs = f"/workflows/{quote(newest['workflow_id'])}/runs"
    keys = [quote(f"{each['workflow_id']}/{each['execute_id']}", safe="") for each in (newest, other)]
    return {
        "overview": "/",
        "all runs": "/runs",
        "a workflow's runs": runs,
        "failed since yesterday": "/runs?status=failed&since=24h",
        "slowest of a workflow": f"{runs}?sort=duration",
        "a run": f"{runs}/{quote(newest['execute_id'])}",
        "a run beside its list": f"{runs}?open={keys[0]}",
        "charts": f"/workflows/{quote(newest['workflow_id'])}?window=7d",
        "comparison": f"/compare?run={keys[0]}&run={keys[1]}",
    }
