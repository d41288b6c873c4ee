"""A server carries out what its settings say."""

from pathlib import Path

import pytest

from execution_history.application import open_application
from execution_history.errors import SettingsError
from execution_history.jobs.job import run_job
from execution_history.settings import load_settings

pytestmark = pytest.mark.anyio


async def test_a_server_has_retention_among_its_jobs(tmp_path: Path) -> None:
    """With the rules of its settings; what only runs commands has no jobs."""
    settings = load_settings(store=str(tmp_path / "history"), retention=[{"status": "success", "keep_runs": 0}])
    async with open_application(settings) as application:
        assert application.schedule is None
    async with open_application(settings, serving=True) as application:
        service, schedule = application.service, application.schedule
        assert schedule is not None
        await service.create_execution_record("w", "a")
        await service.update_execution_record("w", "a", "success")
        run = await run_job(service, schedule.jobs["retention"])
        assert run is not None
        assert run == await application.retention.last_run()
        assert (run.report or {})["runs"] == 1
        assert 1 == (await service.bin.page()).total


async def test_a_server_whose_rules_are_wrong_does_not_start(tmp_path: Path) -> None:
    """And says which rule that is."""
    settings = load_settings(store=str(tmp_path / "history"), retention=[{"status": "success"}])
    with pytest.raises(SettingsError, match="Rule 1 of the setting retention"):
        async with open_application(settings, serving=True):
            pass
