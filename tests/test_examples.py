"""The examples do what they say."""

import subprocess
import sys
from pathlib import Path

_EXAMPLES = Path(__file__).parents[1] / "examples"


def _printed(name: str, folder: Path) -> str:
    command = [sys.executable, str(_EXAMPLES / name)]
    found = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=True)
    return found.stdout


def test_functions_are_recorded(tmp_path: Path) -> None:
    """Each run with the one it was for, and without its secrets."""
    printed = _printed("record_a_function.py", tmp_path)
    lines = [line.split()[:4] for line in printed.splitlines() if " for " in line and line[0] != " "]
    assert [
        ["divide", "failed", "for", "nobody"],
        ["search", "success", "for", "answer"],
        ["answer", "success", "for", "conversation"],
        ["conversation", "success", "for", "nobody"],
    ] == lines
    assert "sk-not-for-the-history" not in printed


def test_a_synchronous_script_is_recorded(tmp_path: Path) -> None:
    """A run, a stream and a refusal."""
    lines = [line.split()[1:4] for line in _printed("cozepy_sync.py", tmp_path).splitlines() if "history" in line]
    assert [
        ["7000000000000000004", "failed", "4200"],
        ["7000000000000000002", "success", "{'input_count':"],
        ["7000000000000000001", "success", "{'input_count':"],
    ] == lines
