"""What the API and the overview tell of backups."""

from pathlib import Path

import pytest

from execution_history.errors import BackupFailed
from execution_history.maintenance.backup import back_up, note_verification, target_at, verify
from tests.sample_records import document
from tests.web.conftest import Served

pytestmark = pytest.mark.anyio


async def test_the_last_backup_is_told_and_why_a_later_one_failed(web: Served, tmp_path: Path) -> None:
    """Over HTTP and on the overview, in both languages; before the first one there is nothing to tell."""
    service, place = web.application.service, tmp_path / "kept"
    await service.store.create(document("e"))
    assert {"success": True, "backups": [], "planned": None} == (await web.client.get("/coze/backups")).json()
    made = (await back_up(service, target_at(place))).manifest
    [found] = (await web.client.get("/coze/backups")).json()["backups"]
    assert (str(place), made.id, "full", 1, None, False) == (
        found["place"], *(found["last"][name] for name in ("id", "kind", "records")),
        found["failure"], found["is_late"],
    )  # fmt: skip
    assert (None, 1) == (found["verified"], found["unverified"])
    ready = (await web.client.get("/readyz")).json()["backups"]
    assert [{"place": str(place), "last": found["last"]["ended_at"], "verified": None}] == ready
    await verify(target_at(place), clock=lambda: 1_000)
    await note_verification(service, target_at(place))
    [found] = (await web.client.get("/coze/backups")).json()["backups"]
    assert ({"id": made.id, "at": 1_000}, 0) == (found["verified"], found["unverified"])
    assert [1_000] == [each["verified"] for each in (await web.client.get("/readyz")).json()["backups"]]
    told = (await web.client.get("/metrics")).text
    assert f'execution_history_backup_verified_timestamp_seconds{{place="{place}"}} 1.0' in told
    assert f'execution_history_backups_unverified{{place="{place}"}} 0.0' in told
    page = (await web.client.get("/", headers={"Accept-Language": "en"})).text
    assert "Last backup: " in page
    assert str(place) in page
    assert "The backup to" not in page
    (place / "blocked").write_text("")
    with pytest.raises(BackupFailed):
        await back_up(service, target_at(place / "blocked"))
    failed = [each for each in (await web.client.get("/coze/backups")).json()["backups"] if each["failure"]]
    assert [(f"{place}/blocked", None)] == [(each["place"], each["last"]) for each in failed]
    assert f"The backup to {place}/blocked failed on " in (await web.client.get("/")).text
    assert f"向 {place}/blocked 的备份失败" in (await web.client.get("/", headers={"Accept-Language": "zh-CN"})).text
    zh = (await web.client.get("/coze/backups", headers={"Accept-Language": "zh-CN"})).json()["backups"]
    assert ["无法读写"] == [each["failure"]["problem"][:4] for each in zh if each["failure"]]
    assert 200 == (await web.client.get("/readyz")).status_code
