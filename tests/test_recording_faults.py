"""If recording fails, the run does not: real stores in real processes that are locked, gone and full."""

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
from execution_history.recording import default_recorder

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
        from execution_history.recording import default_recorder

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
