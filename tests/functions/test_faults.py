"""If recording fails, the run does not: real stores in real processes that are locked, gone and full."""

import os
import sys
from pathlib import Path

import pytest

from tests.programs import begin, histories, run, spooled, statuses

pytestmark = pytest.mark.anyio

_LOCKER = """
import sys
from pathlib import Path
import apsw

connection = apsw.Connection(str(Path("history") / "history.db"))
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
"""

_RUNS = """
import sys
from execution_history import record, recorded
from execution_history.functions import default_recorder

@recorded("call")
def call(number):
    return number

assert [call(number) for number in range(5)] == list(range(5))
print("; ".join(default_recorder().problems()), flush=True)
"""


async def test_a_store_that_another_process_has_locked(tmp_path: Path) -> None:
    """Runs go on, wait, are told of, and are written in order once the lock is gone, by the same program."""
    run(tmp_path, "from execution_history import recorded\nrecorded('before')(lambda: 0)()")
    with begin(tmp_path / "other", _LOCKER.replace('"history"', f'"{tmp_path}/history"')) as locker:
        assert locker.stdin is not None
        assert locker.stdout is not None
        assert "locked\n" == locker.stdout.readline()
        with begin(tmp_path, _RUNS + "sys.stdin.readline()\n") as program:
            assert program.stdin is not None
            assert program.stdout is not None
            assert program.stdout.readline().startswith("5 runs wait to be recorded")
            locker.communicate("unlock\n", timeout=60)
            _, complaints = program.communicate("end\n", timeout=60)
            assert 0 == program.returncode, complaints
    found = (await histories(tmp_path))["call"]
    assert [0, 1, 2, 3, 4] == [each["output"] for each in found]
    assert {"success"} == {each["execute_status"] for each in found}
    assert [] == spooled(tmp_path)


async def test_a_store_that_is_gone_until_the_program_has_ended(tmp_path: Path) -> None:
    """A file is where the folder should be: the runs wait beside it, and the next program writes them, in order."""
    tmp_path.joinpath("history").write_text("in the way")
    out, complaints = run(tmp_path, _RUNS)
    assert "that is a file, not a folder" in out
    assert "5 runs could not be recorded" in complaints
    assert [0, 1, 2, 3, 4] == [line["record"]["output"] for line in spooled(tmp_path)]  # type: ignore[index]
    tmp_path.joinpath("history").unlink()
    run(tmp_path, "from execution_history import recorded\nrecorded('after')(lambda: 0)()")
    found = await histories(tmp_path)
    assert [0, 1, 2, 3, 4] == [each["output"] for each in found["call"]]
    assert ["success"] == [each["execute_status"] for each in found["after"]]
    assert [] == spooled(tmp_path)


async def test_a_store_that_comes_back_while_the_program_runs(tmp_path: Path) -> None:
    """It is opened then, and has everything."""
    tmp_path.joinpath("history").write_text("in the way")
    with begin(
        tmp_path,
        _RUNS
        + """
import time
sys.stdin.readline()
while default_recorder().problems():
    time.sleep(0.01)
print("written", flush=True)
sys.stdin.readline()
""",
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        assert "file" in program.stdout.readline()
        tmp_path.joinpath("history").unlink()
        program.stdin.write("go on\n")
        program.stdin.flush()
        assert "written\n" == program.stdout.readline()
        assert {"call": ["success"] * 5} == await statuses(tmp_path)
        program.communicate("end\n", timeout=60)


@pytest.mark.skipif(sys.platform == "win32", reason="it has no limits on files")
async def test_a_disk_that_is_full(tmp_path: Path) -> None:
    """A limit on the size of files stands for it: what did not fit is written when there is room, nothing twice."""
    out, _ = run(
        tmp_path,
        """
        import resource, signal, sys, time
        from execution_history import recorded
        from execution_history.functions import default_recorder

        @recorded("call")
        def call(number, text):
            return number

        call(0, "")
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
        for number in range(1, 40):
            assert number == call(number, str(number) * 20_000)
        print(len(default_recorder().problems()))
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        while default_recorder().problems():
            time.sleep(0.01)
        """,
    )
    assert "1\n" == out
    found = (await histories(tmp_path))["call"]
    assert list(range(40)) == [each["output"] for each in found]
    assert {"success"} == {each["execute_status"] for each in found}


async def test_a_run_is_refused_where_recording_is_required(tmp_path: Path) -> None:
    """The setting turns the rule round."""
    tmp_path.joinpath("history").write_text("in the way")
    out, _ = run(
        tmp_path,
        """
        from execution_history import recorded
        from execution_history.errors import StoreError

        try:
            recorded("call")(lambda: print("ran"))()
        except StoreError as error:
            print(f"refused: {error}")
        """,
        EXECUTION_HISTORY_REQUIRE_RECORDING="true",
    )
    assert out.startswith("refused: The history cannot be kept in")


@pytest.mark.parametrize(
    ("store", "port", "sentence"),
    [
        ("mysql://db", "8765", "There is no store for 'mysql'"),
        ("history", "none", "The setting port (variable EXECUTION_HISTORY_PORT) is wrong"),
    ],
)
async def test_a_run_is_refused_where_recording_is_required_and_a_setting_is_wrong(
    tmp_path: Path, store: str, port: str, sentence: str
) -> None:
    """A store that cannot be named keeps no record either."""
    out, _ = run(
        tmp_path,
        """
        from execution_history import recorded
        from execution_history.errors import SettingsError

        try:
            recorded("call")(lambda: print("ran"))()
        except SettingsError as error:
            print(f"refused: {error}")
        """,
        EXECUTION_HISTORY_REQUIRE_RECORDING="true",
        EXECUTION_HISTORY_STORE=store,
        EXECUTION_HISTORY_PORT=port,
    )
    assert out.startswith(f"refused: {sentence}")


async def test_a_run_whose_settings_are_wrong_is_said_to_be_lost(tmp_path: Path) -> None:
    """It goes on; nothing of it waits anywhere, and the log does not promise that."""
    source = "from execution_history import recorded\nprint(recorded('call')(lambda: 'ran')())"
    out, complaints = run(tmp_path, source, EXECUTION_HISTORY_STORE="mysql://db")
    assert "ran\n" == out
    assert "The run 'call' will not be recorded: There is no store for 'mysql'" in complaints
    assert [] == spooled(tmp_path)


_KILLED = """
import asyncio, itertools, os, signal, sys
from pathlib import Path
import orjson
from execution_history.errors import InvalidInput, StoreFull
from execution_history.recording.outbox import Outbox
from execution_history.records.record import RecordChange, new_document
from execution_history.recording.spool import Spool
from execution_history.stores.sqlite import SQLiteStore

NAMES = ("first", "bad", "last")
until_killed, watched, is_full = 0, "", False

def step():
    global until_killed
    until_killed -= 1
    if until_killed == 0:
        os.kill(os.getpid(), signal.SIGKILL)

def audit(event, arguments):
    if event in ("open", "os.rename", "os.remove", "os.mkdir", "os.chmod", "os.scandir", "os.listdir"):
        if watched and watched in str(arguments[0]):
            step()

class Store(SQLiteStore):
    async def create(self, document):
        step()
        if is_full:
            raise StoreFull("The disk is full.")
        if document.execute_id == "bad":
            raise InvalidInput("This cannot be.")
        await super().create(document)
        step()

    async def update(self, *arguments):
        step()
        await super().update(*arguments)
        step()

async def write(home):
    global is_full
    is_full = True
    store = Store(home / "history", json_files=False, search=False)
    outbox = Outbox(store, spool=spool_of(home))
    for name in NAMES:
        await outbox.write("w", name, new_document(workflow_id="w", execute_id=name, now=1, parameters="x" * 9999))
        await outbox.write("w", name, RecordChange.of(2, "success", fields={"output": name}))
    await outbox.aclose()

async def recover(home):
    store = Store(home / "history", json_files=False, search=False)
    outbox = Outbox(store, spool=spool_of(home))
    await outbox.save()
    await outbox.aclose()
    await store.aclose()

async def check(home, has_all):
    await recover(home)
    store = Store(home / "history", json_files=False, search=False)
    await store.open()
    for name in ("first", "last"):
        body = await store.get("w", name)
        assert body or not has_all, name
        if body:
            record = orjson.loads(body)
            assert record["execute_status"] == "success" and record["output"] == name, record
    left = {path.suffix: path for path in (home / "waiting").glob("*")}
    assert {".refused", ".damaged"}.issuperset(left), left
    assert ".refused" in left or not has_all
    if ".refused" in left:
        assert [line["execute_id"] for line in map(orjson.loads, left[".refused"].open("rb"))] == ["bad"]
    await store.aclose()

def spool_of(home):
    return Spool("here", home / "waiting", abandoned_seconds=0)

def is_killed(work, home, steps, *more):
    child = os.fork()
    if child == 0:
        global until_killed, watched
        until_killed, watched = steps, str(home / "waiting")
        sys.addaudithook(audit)
        try:
            asyncio.run(work(home, *more))
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL), f"{work.__name__} at step {steps}: {status}"
    return status != 0

def all_steps(work, prepare):
    for steps in itertools.count(1):
        home = Path(work.__name__, str(steps)).absolute()
        home.mkdir(parents=True)
        prepare(home)
        was_killed = is_killed(work, home, steps)
        waiting = list((home / "waiting").glob("*.*"))
        has_all = work is recover or any(path.suffix == ".jsonl" for path in waiting)
        is_killed(check, home, 0, has_all)
        if not was_killed:
            return steps
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("work", ["write", "recover"])
def test_a_program_that_is_killed_at_any_step_of_the_spool(tmp_path: Path, work: str) -> None:
    """kill -9 before each thing that it does with a file or with the store: the next one brings all to its end."""
    out, _ = run(
        tmp_path,
        _KILLED
        + f"""
def prepare(home):
    if {work!r} == "recover":
        is_killed(write, home, 0)
        path, = spool_of(home).batches()
        path.write_bytes(path.read_bytes() + b"no JSON")

print(all_steps({work}, prepare))
""",
    )
    assert 8 < int(out)


async def test_programs_that_find_the_same_spool_at_once(tmp_path: Path) -> None:
    """However short they are, each goes on where another has ended; all is written in order, and nothing is left."""
    tmp_path.joinpath("history").write_text("in the way")
    run(tmp_path, _RUNS.replace("range(5)", "range(300)"))
    assert 300 == len(spooled(tmp_path))
    tmp_path.joinpath("history").unlink()
    after = "from execution_history import recorded\nrecorded('after')(lambda: 0)()"
    for _ in range(20):
        if not spooled(tmp_path):
            break
        programs = [begin(tmp_path, after) for _ in range(3)]
        for program in programs:
            with program:
                _, complaints = program.communicate(timeout=120)
                assert 0 == program.returncode, complaints
    assert [] == spooled(tmp_path)
    found = await histories(tmp_path)
    assert list(range(200, 300)) == [each["output"] for each in found["call"]]
    assert {"success"} == {each["execute_status"] for each in found["after"]}
