"""The files for containers and services name what exists, and give away nothing."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from execution_history.settings import PREFIX, Settings

_ROOT = Path(__file__).parents[1]
_DEPLOY = _ROOT / "deploy"
_DOCKERFILE = _DEPLOY.joinpath("Dockerfile").read_text("utf-8")
_COMPOSE = _DEPLOY.joinpath("compose.yaml").read_text("utf-8")


@pytest.mark.parametrize("name", ["Dockerfile", "compose.yaml", "execution-history.service"])
def test_every_setting_that_is_set_exists(name: str) -> None:
    """A setting that was renamed would stop the server with exit code 2."""
    named = re.findall(rf"\b{PREFIX}([A-Z_]+)\b", _DEPLOY.joinpath(name).read_text("utf-8"))
    assert [] == [setting for setting in named if setting.lower() not in Settings.model_fields]


def test_the_image_is_made_of_files_that_are_sent_to_the_builder() -> None:
    """Whatever it copies from the checkout is there, and not ignored."""
    copied = [
        word for line in re.findall(r"^COPY (?!--from)(.+)", _DOCKERFILE, re.MULTILINE) for word in line.split()[:-1]
    ]
    sent = re.findall(r"^!(\S+)", _DEPLOY.joinpath("Dockerfile.dockerignore").read_text("utf-8"), re.MULTILINE)
    assert sorted(copied) == sorted(sent)
    assert [] == [name for name in copied if not (_ROOT / name).exists()]


def test_the_image_runs_without_rights_and_asks_after_its_health() -> None:
    """By a number, so that a cluster can check that it is not root; its base images name no registry."""
    assert ["10001:10001"] == re.findall(r"^USER (\S+)", _DOCKERFILE, re.MULTILINE)
    assert "/healthz" in _DOCKERFILE[_DOCKERFILE.index("HEALTHCHECK") :]
    images = re.findall(r"^FROM (\S+)", _DOCKERFILE, re.MULTILINE) + re.findall(r"image: (\S+)", _COMPOSE)
    assert [] == [image for image in images if "/" in image]


def test_the_composed_server_can_write_only_its_volume_and_has_no_password_in_sight() -> None:
    """The port is on this machine only."""
    for line in ("read_only: true", "cap_drop: [ALL]", "no-new-privileges:true", '"127.0.0.1:8765:8765"'):
        assert line in _COMPOSE
    assert [] == re.findall(r"PASSWORD: |://\w+:[^$\s]*@", _COMPOSE)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed here")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    """And finds little that it may do."""
    unit = tmp_path / "execution-history.service"
    text = _DEPLOY.joinpath(unit.name).read_text("utf-8")
    unit.write_text(text.replace("/opt/execution-history/bin/execution-history", "/bin/true"), "utf-8")
    checked = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=True)
    assert "" == "".join(line for line in checked.stderr.splitlines() if unit.name in line)
    subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=20", unit], check=True, capture_output=True
    )
