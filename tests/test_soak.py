"""The command that puts a mixed load on a server and watches its memory."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_a_server_answers_every_request_of_the_mixed_load(tmp_path: Path) -> None:
    """A few seconds of it end with 0: nothing failed, nothing was logged, and there is a line for each quarter."""
    command = [sys.executable, "-m", "bench.soak", "--minutes", "0.04", "--rate", "20", "--every", "0.2"]
    ended = subprocess.run(
        [*command, "--bound", "1000", "--folder", str(tmp_path)],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (0, "") == (ended.returncode, ended.stderr), ended.stdout
    assert "No request failed." in ended.stdout
    assert 4 == sum(line.startswith(("| 1", "| 2", "| 3", "| 4")) for line in ended.stdout.splitlines())
    assert [] == list(tmp_path.iterdir())
