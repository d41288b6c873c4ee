"""Backups in a bucket of a real server that speaks S3."""

import pytest

from execution_history import ExecutionHistoryService
from execution_history.errors import BackupFailed, BackupNotFound, SettingsError
from execution_history.maintenance.backup import back_up, known_backups, target_at, verify
from execution_history.stores import MemoryStore
from tests.maintenance.seaweed import SECRET, s3_bucket, s3_endpoint
from tests.transfer.histories import fill

pytestmark = pytest.mark.anyio

__all__ = ["s3_bucket", "s3_endpoint"]


async def test_backups_are_kept_in_a_bucket(s3_bucket: str) -> None:
    """Full and incremental ones are written, listed, verified and removed, below one prefix and another."""
    store = MemoryStore()
    service = ExecutionHistoryService(store)
    await fill(store)
    for place in (f"{s3_bucket}/a/b", f"{s3_bucket}/c"):
        target = target_at(place)
        with pytest.raises(BackupNotFound):
            await verify(target)
        first = await back_up(service, target)
        await store.delete("w", "e0")
        second = await back_up(service, target)
        assert ("full", "incremental") == (first.manifest.kind, second.manifest.kind)
        assert second.manifest.total == (await verify(target)).records
        third = await back_up(service, target, full=True, keep=1)
        assert {first.manifest.id, second.manifest.id} == set(third.removed)
        assert [third.manifest.id] == [each.manifest.id for each in (await known_backups(target)).all]
        assert {third.manifest.id} == {name.split("/")[0] for name in target.list()}


async def test_a_wrong_key_or_address_is_one_sentence_without_secrets(
    s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what to check; so does an address that names no bucket."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with pytest.raises(BackupFailed, match="refuses access") as refused:
        target_at(s3_bucket).write("a/b", b"c")
    assert "another" not in str(refused.value)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    with pytest.raises(BackupFailed, match="bucket does not exist"):
        target_at("s3://another").list()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(BackupFailed, match="check the bucket") as unreachable:
        target_at(s3_bucket).list()
    assert SECRET not in str(unreachable.value)
    for wrong in ("s3://", "s3:///prefix", "s3://key:secret@bucket/x", "gs://bucket"):
        with pytest.raises(SettingsError) as raised:
            target_at(wrong)
        assert "secret@" not in str(raised.value)
