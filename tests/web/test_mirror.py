"""JSON files that a server keeps in a folder: its health says how far they are, and the end of the server is theirs."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import orjson
import pytest

from execution_history.application import open_application
from execution_history.settings import load_settings
from execution_history.web import create_app
from tests.web.conftest import Served, served

pytestmark = pytest.mark.anyio


@pytest.fixture
async def web(place: str, tmp_path: Path) -> AsyncIterator[Served]:
    """The application on a history of each kind, with a folder for JSON files."""
    settings = load_settings(store=place, mirror_folder=str(tmp_path / "files"))
    async with (
        open_application(settings, serving=True) as application,
        served(create_app(application)) as base,
        httpx.AsyncClient(base_url=base, timeout=30) as client,
    ):
        yield Served(application, client)


async def test_health_says_how_far_the_files_are(web: Served, tmp_path: Path) -> None:
    """The change they have come to and the newest; to be behind for a moment is no problem."""
    await web.application.service.create_execution_record("w", "e", {"city": "Paris"})
    assert web.application.mirror is not None
    await web.application.mirror.until_current()
    ready = await web.client.get("/readyz")
    found = ready.json()["mirror"]
    assert (200, str(tmp_path / "files"), True) == (ready.status_code, found["folder"], found["is_writing"])
    assert 1 <= found["revision"] == found["newest"]
    content = orjson.loads((tmp_path / "files" / "w.json").read_bytes())
    assert ["e"] == [each["execute_id"] for each in content["histories"]]


async def test_files_that_cannot_be_written_need_attention_and_disturb_nothing(web: Served, tmp_path: Path) -> None:
    """Health says so in one sentence; runs are recorded as ever."""
    assert web.application.mirror is not None
    await web.application.mirror.until_current()
    (tmp_path / "files" / "w.json").mkdir()
    await web.application.service.create_execution_record("w", "e", {"city": "Paris"})
    with pytest.raises(Exception, match="cannot be written"):
        await web.application.mirror.until_current()
    ready = await web.client.get("/readyz")
    assert (200, "warning") == (ready.status_code, ready.json()["checks"]["mirror"])
    assert ["cannot be written" in each for each in ready.json()["warnings"]] == [True]
    assert await web.application.service.get_execution_detail("w", "e") is not None
