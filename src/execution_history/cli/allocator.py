"""The C library's allocator in a server, which runs for months with several threads."""

import contextlib
import ctypes
import sys
from typing import Final

_MOST_ARENAS: Final = 2
_LARGE: Final = 1024 * 1024
_OPTIONS: Final = {
    -8: _MOST_ARENAS,  # M_ARENA_MAX
    -3: _LARGE,  # M_MMAP_THRESHOLD
    -1: _LARGE,  # M_TRIM_THRESHOLD
}
"""Values by the numbers that the options have in glibc's ``malloc.h``."""


def return_freed_memory() -> None:
    """Make glibc return what is freed to the system, or to the next thread that allocates.

    Of itself it gives threads heaps of their own, up to eight for each core, and each keeps what it once needed: after
    a block of 20 MB was freed, all blocks below 20 MB come from the heap, which keeps up to 40 MB at its end. Other C
    libraries are left as they are.
    """
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):  # musl has no such function
            mallopt = ctypes.CDLL(None).mallopt
            for option, value in _OPTIONS.items():
                mallopt(option, value)
