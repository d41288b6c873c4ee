"""The memory that a server's C library keeps, seen in a program of its own: it cannot be undone within one."""

import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only glibc can be told")

_PROGRAM = """
import ctypes, threading
from execution_history.cli.server import return_freed_memory

libc = ctypes.CDLL(None)
if not hasattr(libc, "malloc_info"):
    raise SystemExit(77)
return_freed_memory()

everybody = threading.Barrier(9)

def work():
    kept = [bytes(4_000) for _ in range(100)]
    everybody.wait()

for _ in range(8):
    threading.Thread(target=work, daemon=True).start()
everybody.wait()
bytes(20_000_000)  # freed at once
kept = bytes(8_000_000)
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
"""


@pytest.fixture(scope="module")
def heaps() -> str:
    """What glibc tells of its heaps when eight threads have memory, and a large block stands where a larger one was."""
    ended = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=False)
    if ended.returncode == 77:
        pytest.skip("this C library tells nothing")
    assert (0, "") == (ended.returncode, ended.stderr)
    return ended.stdout


def test_threads_share_two_heaps(heaps: str) -> None:
    """What a thread has freed can be used by the next one."""
    assert 2 >= heaps.count("<heap nr=")


def test_a_large_block_goes_back_to_the_system_when_it_is_freed(heaps: str) -> None:
    """It lies outside the heaps, also when a larger one was freed before."""
    found = re.search(r'<total type="mmap" count="(\d+)" size="(\d+)"/>', heaps)
    assert found is not None
    assert int(found[2]) >= 8_000_000


_SCATTERED = """
import ctypes, sys
from execution_history.cli.server import return_freed_memory, trim_memory

def resident():
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

if not hasattr(ctypes.CDLL(None), "malloc_trim"):
    raise SystemExit(77)
return_freed_memory()
blocks = [bytes(60_000) for _ in range(1_000)]
kept = blocks[::10]
del blocks
before = resident()
trim_memory()
print(before - resident())
"""


def test_free_blocks_between_those_in_use_go_back_to_the_system_too() -> None:
    """Of 60 MB in blocks of 60 KB every tenth is kept: most of the rest is returned when the memory is trimmed."""
    ended = subprocess.run([sys.executable, "-c", _SCATTERED], capture_output=True, text=True, check=False)
    if ended.returncode == 77:
        pytest.skip("this C library cannot do it")
    assert (0, "") == (ended.returncode, ended.stderr)
    assert int(ended.stdout) > 40_000
