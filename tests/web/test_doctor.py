"""The quick checks over HTTP."""

import pytest

from execution_history.jobs.job import run_job
from execution_history.maintenance.check_job import check_jobs
from tests.web.conftest import Served

pytestmark = pytest.mark.anyio


async def test_the_quick_checks_are_answered(web: Served) -> None:
    """With what was found in the course of time, in the language of the reader."""
    await web.application.service.create_execution_record("w", "e", {"city": "Paris"})
    found = (await web.client.get("/coze/doctor")).json()
    assert (0, None) == (found["problems"], found["last_check"])
    assert {"versions", "permissions", "space", "waiting", "runs"} < {check["check"] for check in found["checks"]}
    for job in check_jobs(web.application.service):
        await run_job(web.application.service, job)
        last = (await web.client.get("/coze/doctor")).json()["last_check"]
        assert ("done", []) == (last["outcome"], last["report"]["repaired"])
    chinese = (await web.client.get("/coze/doctor", headers={"accept-language": "zh"})).json()
    assert "GB" in next(check["summary"] for check in chinese["checks"] if check["check"] == "space")
    assert "至少剩余" in str(chinese)
