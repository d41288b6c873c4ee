"""The files for containers and services name what exists, and give away nothing."""

import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from execution_history.cli.app import COMMANDS
from execution_history.settings import PREFIX, Settings

_ROOT = Path(__file__).parents[1]
_DEPLOY = _ROOT / "deploy"
_DOCKERFILE = _DEPLOY.joinpath("Dockerfile").read_text("utf-8")
_COMPOSE = _DEPLOY.joinpath("compose.yaml").read_text("utf-8")
_TEXTS = (
    "deploy/Dockerfile",
    "deploy/compose.yaml",
    "deploy/execution-history.service",
    "docs/deploy.md",
    "docs/zh/deploy.md",
)


@pytest.mark.parametrize("name", _TEXTS)
def test_every_setting_and_command_that_is_named_exists(name: str) -> None:
    """A setting that was renamed would stop the server with exit code 2."""
    text = _ROOT.joinpath(name).read_text("utf-8")
    named = {setting.split("__")[0].lower() for setting in re.findall(rf"\b{PREFIX}([A-Z_]+[A-Z])\b", text)}
    assert set() == named - Settings.model_fields.keys()
    called = set(re.findall(r"(?:bin/|`|exec history |execution-history )execution-history (?!--)([a-z]+)", text))
    called |= set(re.findall(r'^CMD \["(\w+)"', text, re.MULTILINE))
    assert set() == called - set(COMMANDS)


def test_the_image_has_extras_that_exist() -> None:
    """The default of its argument names what pip installs."""
    project = tomllib.loads(_ROOT.joinpath("pyproject.toml").read_text("utf-8"))["project"]
    [extras] = re.findall(r"^ARG EXTRAS=(\S+)", _DOCKERFILE, re.MULTILINE)
    assert set() == set(extras.split(",")) - project["optional-dependencies"].keys()


class _Alive(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_the_health_check_asks_where_the_settings_make_the_server_listen() -> None:
    """A container that listens on another port, or has a proxy for Coze, is not unhealthy; one that is silent is."""
    check = [sys.executable, str(_DEPLOY / "healthcheck.py")]
    with HTTPServer(("127.0.0.1", 0), _Alive) as server:
        environment = os.environ | {"EXECUTION_HISTORY_HOST": "::", "EXECUTION_HISTORY_PORT": str(server.server_port)}
        environment["HTTP_PROXY"] = environment["http_proxy"] = "http://127.0.0.1:9"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        subprocess.run(check, env=environment, check=True)
        server.shutdown()
    assert 0 != subprocess.run(check, env=environment, check=False, capture_output=True).returncode


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
    assert "healthcheck.py" in _DOCKERFILE[_DOCKERFILE.index("HEALTHCHECK") :]
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
