"""Whether a parser's time grows faster than what it reads: the CPU time of four times as much, for each thing repeated."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from bench.parsers.target import Target

_SMALL: Final = 40_000
_TIMES: Final = 4
_WORTH_NOTING: Final = 0.04
"""Seconds; below it the clock decides."""
_TOO_FAST: Final = 9.0
"""Four times the bytes take four times as long where time is in proportion, and sixteen times where it is squared."""


class Growth(NamedTuple):
    """What takes out of proportion: so many seconds for the small one, and for four times as much."""

    parser: str
    repeated: bytes
    small: float
    large: float


def grown(target: Target, allowed: float) -> Iterator[Growth]:
    """Yield what makes *target* slow, in about *allowed* seconds."""
    began = time.monotonic()
    for begin, repeated, end in _shapes(target.seeds, target.words):
        for times in (_alike, _numbered):
            if time.monotonic() - began > allowed:
                return
            small, large = (begin + times(repeated, size) + end for size in (_SMALL, _TIMES * _SMALL))
            least, most = _seconds(target.check, small), _seconds(target.check, large)
            if most > max(_WORTH_NOTING, _TOO_FAST * least):  # the first time something may be imported
                least, most = max(least, _seconds(target.check, small)), min(most, _seconds(target.check, large))
                if most > max(_WORTH_NOTING, _TOO_FAST * least):
                    yield Growth(target.name, begin[-20:] + times(repeated, 60), least, most)


def _alike(repeated: bytes, size: int) -> bytes:
    return repeated * (size // len(repeated))


def _numbered(repeated: bytes, size: int) -> bytes:
    """Return pieces of which no two are alike."""
    return b"".join(b"%d%b" % (number, repeated) for number in range(size // (len(repeated) + 4)))


def _shapes(seeds: Sequence[bytes], words: Sequence[bytes]) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield a beginning, what is repeated, and an end: whole seeds, words, the parts of seeds, the signs in them."""
    for seed in seeds:
        if seed:
            yield b"", seed, b""
    signs = sorted({bytes([byte]) for seed in seeds for byte in seed if not bytes([byte]).isalnum()})
    for repeated in (*filter(None, words), *signs):
        for seed in seeds:
            for at in (0, len(seed) // 2, len(seed)):
                yield seed[:at], repeated, seed[at:]
    for seed in seeds:
        for begin in range(0, len(seed), 7):
            for length in (3, 11, 29):
                if part := seed[begin : begin + length]:
                    yield seed[:begin], part, seed[begin:]


def _seconds(check: Callable[[bytes], None], data: bytes) -> float:
    began = time.process_time()
    check(data)
    return time.process_time() - began
