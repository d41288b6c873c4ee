"""The pages of storage and of deleted runs."""

import re

import pytest

from execution_history import ExecutionHistoryService
from tests.web.conftest import Served

pytestmark = pytest.mark.anyio

_HTML = {"accept": "text/html"}


async def _page(web: Served, path: str) -> str:
    answered = await web.client.get(path, headers=_HTML)
    assert 200 == answered.status_code
    return answered.text


async def _post(web: Served, path: str, **fields: str) -> tuple[int, str]:
    answered = await web.client.post(path, data=fields, headers={**_HTML, "origin": str(web.client.base_url)})
    return answered.status_code, answered.text


async def _runs(service: ExecutionHistoryService, number: int) -> None:
    for each in range(number):
        await service.create_execution_record("w", f"run-{each}", parameters={"n": each})
        await service.update_execution_record("w", f"run-{each}", "success")


async def test_rules_are_set_previewed_carried_out_and_removed(web: Served) -> None:
    """With what went and why others stay; the form is gone where the settings have the rules."""
    await _runs(web.application.service, 3)
    await web.client.patch("/coze/workflows/w/history/run-0", json={"pinned": True})
    assert "There are no rules: every run is kept." in await _page(web, "/storage")
    status, _ = await _post(web, "/storage", action="set", name="few", workflow="w", keep_runs="1")
    assert 303 == status
    page = await _page(web, "/storage")
    assert "few" in page
    assert "all but the newest 1 per workflow" in page
    assert "The history takes" in page
    status, preview = await _post(web, "/storage", action="preview")
    assert 200 == status
    assert "1 run would be removed." in preview
    assert "1 pinned" in preview
    assert 303 == (await _post(web, "/storage", action="run"))[0]
    done = await _page(web, "/storage")
    assert "1 run removed. The space is freed when" in done
    assert "Last removal" not in done
    assert "A rule that removed a run removes it again" in await _page(web, "/bin")
    assert 303 == (await _post(web, "/storage", action="run"))[0]
    again = (await _page(web, "/storage")).partition("Last removal")
    assert "every run that matches is protected" in again[0]
    assert "1 run removed. The space is freed when" in again[2]
    assert 303 == (await _post(web, "/storage", action="remove", name="few"))[0]
    assert "There are no rules: every run is kept." in await _page(web, "/storage")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"action": "set", "status": "success"}, "A rule needs a limit"),
        ({"action": "set", "older_than": "soon"}, "An age is written as"),
        ({"action": "burn"}, "There is no action"),
    ],
)
async def test_what_is_no_rule_is_said_above_the_form(
    shared_web: Served, fields: dict[str, str], sentence: str
) -> None:
    """Which keeps what was written in it."""
    status, page = await _post(shared_web, "/storage", **fields)
    assert 422 == status
    assert sentence in page
    if "older_than" in fields:
        assert 'value="soon"' in page


async def test_deleted_runs_are_restored_or_removed(web: Served) -> None:
    """Those that are ticked, or all; without a tick nothing happens, and that is said."""
    service = web.application.service
    await _runs(service, 3)
    for each in range(3):
        await service.delete_execution_record("w", f"run-{each}")
    page = await _page(web, "/bin")
    assert 3 == len(re.findall(r'type="checkbox" name="run"', page))
    assert "Runs that are deleted from now on can be restored for 24 hours." in page
    assert 303 == (await _post(web, "/bin", action="restore", run="w/run-1"))[0]
    assert await service.get_execution_detail("w", "run-1") is not None
    assert 303 == (await _post(web, "/bin", action="empty", run="w/run-0"))[0]
    status, page = await _post(web, "/bin", action="restore")
    assert (422, True) == (status, "No run is chosen." in page)
    status, page = await _post(web, "/bin", action="restore", run="w/run-0")
    assert (422, True) == (status, "could not be restored" in page)
    assert 303 == (await _post(web, "/bin", action="restore-all"))[0]
    assert await service.get_execution_detail("w", "run-2") is not None
    assert "The bin is empty." in await _page(web, "/bin")


async def test_the_overview_has_the_size_of_each_workflow(web: Served) -> None:
    """And can be sorted by it."""
    await _runs(web.application.service, 1)
    page = await _page(web, "/?sort=size")
    assert re.search(r'class="num size">\d+ B<', page)
