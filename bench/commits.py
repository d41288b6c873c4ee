"""Checkouts of commits that are compared: a worktree for each, and an environment where dependencies differ."""

import contextlib
import hashlib
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterator
from pathlib import Path

from bench.setup import ROOT, Code


def commit_of(folder: Path, name: str = "HEAD") -> str:
    """Return the number of a commit.

    Raises:
        SystemExit: there is none of this name.
    """
    command = ["git", "-C", str(folder), "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode:
        raise SystemExit(f"{name} is neither a file of results nor a commit.")
    return found.stdout.strip()


def is_changed(folder: Path) -> bool:
    """Return whether the package of a checkout differs from its commit."""
    command = ["git", "-C", str(folder), "status", "--porcelain", "--", "src", "pyproject.toml"]
    return bool(subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip())


@contextlib.contextmanager
def checked_out(names: list[str], scratch: Path) -> Iterator[list[Code]]:
    """Check commits out beside each other; the worktrees are removed at the end."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(_worktree(name, scratch / f"commit-{number}")) for number, name in enumerate(names)]


@contextlib.contextmanager
def _worktree(name: str, folder: Path) -> Iterator[Code]:
    git = ["git", "-C", str(ROOT), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", str(folder), commit_of(ROOT, name)], check=True)
    try:
        yield Code(f"{folder.name} ({name})", folder, _interpreter(folder))
    finally:
        subprocess.run([*git, "remove", "--force", str(folder)], check=True)


def _interpreter(folder: Path) -> Path:
    """Return the present interpreter where a checkout has the dependencies of this one, else one of its own.

    Servers use a library as soon as it is there, so one more than the commit had would change what is measured.
    """
    declared, here = _declared(folder), _declared(ROOT)
    if declared == here:
        return Path(sys.executable)
    pins = folder / "constraints.txt"
    text = declared + (pins.read_text() if pins.exists() else "")
    place = ROOT / "bench" / "results" / "environments" / hashlib.sha256(text.encode()).hexdigest()[:16]
    python = place / "bin" / "python"
    if not (place / "complete").exists():
        venv.create(place, with_pip=True, clear=True)
        constraints = ["-c", str(pins)] if pins.exists() else []
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *constraints, f"{folder}[parquet]"], check=True)
        (place / "complete").touch()
    return python


def _declared(folder: Path) -> str:
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    return "\n".join(sorted(project["dependencies"]))
