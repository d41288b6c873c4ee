"""A run of the bench: where it works, how much it does, which checkouts it measures and how their processes start."""

import contextlib
import http.client
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, TypeVar

import orjson

from bench.fixture import Fixture

ROOT: Final = Path(__file__).parents[1]
_T = TypeVar("_T")
_OURS: Final = ("EXECUTION_HISTORY_", "COZE_")


@dataclass(frozen=True, slots=True)
class Code:
    """A checkout that is measured: its name in results, its folder, and the interpreter with its dependencies."""

    name: str
    folder: Path
    python: Path = Path(sys.executable)

    def variables(self, scratch: Path, more: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of a process of it: none of the user's settings, and this bench beside its code."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(_OURS)}
        path = os.pathsep.join((str(self.folder / "src"), str(ROOT)))
        return {**kept, "PYTHONPATH": path, "LANG": "C.UTF-8", "XDG_STATE_HOME": str(scratch / "state"), **more}


@dataclass(frozen=True, slots=True)
class History:
    """A history that was made to be read: its folder, and the bytes of its records and of its database."""

    folder: Path
    json: int
    database: int


@dataclass(slots=True)
class Setup:
    """What all parts need.

    Attributes:
        scratch: a folder for histories and everything else; removed at the end.
        codes: the checkouts that are measured; one, or two that are compared.
        rounds: how often contestants take turns.
        is_quick: whether everything is so small that it only shows that it works.
        has_baselines: whether what we are compared with takes part.
        sync: the variables with which a sync takes a fixed time; empty for those of the disk.
        mitmdump: the command of mitmproxy, where there is one.
        remarks: sentences on what was left out.
    """

    scratch: Path
    codes: Sequence[Code]
    rounds: int = 5
    is_quick: bool = False
    has_baselines: bool = True
    sync: dict[str, str] = field(default_factory=dict)
    mitmdump: str | None = None
    remarks: list[str] = field(default_factory=list)
    _folders: int = 0
    _end: int = field(default_factory=lambda: int(time.time() * 1000))
    _histories: dict[tuple[Code, int], History] = field(default_factory=dict)

    def size(self, usual: int, quick: int) -> int:
        """Return how many of something there are."""
        return quick if self.is_quick else usual

    def turns(self, rounds: int | None = None) -> Iterator[int]:
        """Yield the number of each round."""
        yield from range(1 if self.is_quick else rounds or self.rounds)

    def in_turn(self, contestants: Sequence[_T], number: int) -> Sequence[_T]:
        """Return the contestants in the order of this round: every second one is backwards."""
        return contestants[::-1] if number % 2 else contestants

    def folder(self) -> Path:
        """Return a path that nothing is at yet."""
        self._folders += 1
        return self.scratch / str(self._folders)

    def fixture(self, count: int) -> Fixture:
        """Return the description of a history of so many runs, of which the last have just ended."""
        return Fixture(count, self._end)

    def history(self, code: Code, count: int) -> History:
        """Return a history of so many runs with its index, made by *code*; several parts read the same."""
        key = code, count
        if key not in self._histories:
            folder = self.scratch / f"history-{len(self._histories)}"
            made = self.call(code, "preload", folder=folder, stored=count, end=self._end)
            self._histories[key] = History(folder, made["json"], made["database"])
        return self._histories[key]

    def tidy(self) -> None:
        """Remove what a part left, but for histories that others read too."""
        for number in range(1, self._folders + 1):
            for path in self.scratch.glob(f"{number}*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def remark(self, sentence: str) -> None:
        """Note once what was left out."""
        if sentence not in self.remarks:
            self.remarks.append(sentence)
            print(sentence, file=sys.stderr)

    def call(
        self, code: Code | None, program: str, *, module: str = "bench.programs", **options: Any
    ) -> dict[str, Any]:
        """Run a program of a module with the code under test (or with none of it); what it found."""
        used = code or self.codes[0]
        command = [str(used.python), "-m", module, program, orjson.dumps(options, default=str).decode()]
        variables = used.variables(self.scratch, {**self.sync, "BENCH_CODE": str(used.folder)})
        ended = subprocess.run(command, stdout=subprocess.PIPE, cwd=self.scratch, env=variables, check=False)
        if ended.returncode:
            raise SystemExit(f"The program {program} failed with the code {used.name}.")
        found: dict[str, Any] = orjson.loads(ended.stdout.splitlines()[-1])
        return found

    def command(self, code: Code, *arguments: object, **more: str) -> "Spent":
        """Run a command of ours to its end."""
        command = [str(code.python), "-m", "execution_history", *map(str, arguments)]
        return spent(command, self.scratch, self.variables(code, **more))

    def variables(self, code: Code, **more: str) -> dict[str, str]:
        """Return the environment of a process of *code*."""
        return code.variables(self.scratch, {**self.sync, **more})

    @contextlib.contextmanager
    def serving(self, code: Code, store: Path | str, **more: str) -> Iterator["Server"]:
        """Start ``serve`` on a history; the server once it has announced itself."""
        command = [str(code.python), "-m", "execution_history", "serve", "--port", "0", "--json", "--store", str(store)]
        with (
            (self.scratch / "standard-error").open("ab") as errors,
            started(command, self.scratch, self.variables(code, **more), errors) as (process, announced),
        ):
            yield Server(int(announced["url"].rpartition(":")[2]), process)


@dataclass(frozen=True, slots=True)
class Spent:
    """What a command took: seconds on the clock, seconds of CPU time; and its answer."""

    wall: float
    cpu: float
    answer: bytes


def spent(command: list[str], folder: Path, variables: dict[str, str]) -> Spent:
    """Run a command to its end.

    Raises:
        SystemExit: it failed.
    """
    began = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder, env=variables
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        answer, complaints = process.stdout.read(), process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - began
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}: {complaints.decode()[-2000:]}")
    return Spent(wall, used.ru_utime + used.ru_stime, answer)


@dataclass(frozen=True, slots=True)
class Server:
    """A server on this machine: its port and its process."""

    port: int
    process: int

    def connection(self) -> http.client.HTTPConnection:
        """Return a connection that is kept alive."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    def get(self, address: str, connection: http.client.HTTPConnection | None = None) -> bytes:
        """Return what is at an address.

        Raises:
            SystemExit: it was refused.
        """
        used = connection or self.connection()
        used.request("GET", address, headers={"Accept": "text/html, application/json"})
        answer = used.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise SystemExit(f"GET {address} answered {answer.status}: {body[:500].decode()}")
        if connection is None:
            used.close()
        return body


@contextlib.contextmanager
def started(
    command: list[str], folder: Path, variables: dict[str, str], errors: IO[bytes] | None = None
) -> Iterator[tuple[int, Any]]:
    """Start a command of ours that serves; its process id and the document that it announces itself with."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, cwd=folder, env=variables) as process:
        try:
            assert process.stdout is not None
            lines = [b""]
            while lines[-1] not in {b"}\n", b"]\n"}:
                lines.append(process.stdout.readline())
                assert lines[-1], f"{' '.join(command)} ended at once: {_said(errors)}"
            yield process.pid, orjson.loads(b"".join(lines))
        finally:
            process.terminate()


@contextlib.contextmanager
def listening(command: list[str], folder: Path, variables: dict[str, str], port: int) -> Iterator[Server]:
    """Start a command that listens on *port*; the server once it does."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=folder, env=variables) as process:
        try:
            deadline = time.monotonic() + 60
            while not _answers(port):
                assert process.poll() is None, f"{' '.join(command)} ended at once."
                assert time.monotonic() < deadline, f"{' '.join(command)} does not listen."
                time.sleep(0.01)
            yield Server(port, process.pid)
        finally:
            process.terminate()


def free_port() -> int:
    """Return a port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _said(errors: IO[bytes] | None) -> str:
    return "" if errors is None else Path(errors.name).read_text("utf-8")[-2000:]


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
