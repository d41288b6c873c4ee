"""Hourly rollups: their hours, and histograms of durations whose percentiles are within 2 %. Pure.

An hour is counted from the epoch in UTC. A histogram has a bucket for every millisecond below 64, and 32 buckets for
each doubling from there on; the middle of a bucket is at most 1.6 % from every value in it.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Final, Literal, NamedTuple

from execution_history.query.fields import RecordFilter
from execution_history.records.time_units import HOUR_MS

DAY_HOURS: Final = 24

EXACT_RUNS: Final = 10_000
"""Up to so many runs percentiles are exact; of more, where the filter allows, they come from histograms.

Reading so many rows takes 30 ms of a processor.
"""

_BITS: Final = 6
_HALF: Final = 1 << (_BITS - 1)
_ROLLED_UP: Final = frozenset({"workflow_ids", "created_from", "created_before"})

Percentiles = tuple[int | None, int | None, int | None]
Piece = tuple[int, int, int]
"""A part of a bucket: its number, and where the part begins and ends, excluded."""


def hour_of(create_time: int) -> int:
    """Return the number of the hour that *create_time* (ms) is in."""
    return create_time // HOUR_MS


def bucket_of(duration_ms: int) -> int:
    """Return the number of the bucket for a duration of 0 ms or more; longer ones have larger numbers."""
    shift = max(0, duration_ms.bit_length() - _BITS)
    return shift * _HALF + (duration_ms >> shift)


def duration_of(bucket: int) -> int:
    """Return the duration (ms) in the middle of a bucket."""
    shift = max(0, bucket // _HALF - 1)
    least = (bucket - shift * _HALF) << shift
    return least + ((1 << shift) - 1) // 2


def total_in(histogram: Mapping[int, int]) -> int:
    """Return the sum of the durations counted by bucket, within 2 %."""
    return sum(duration_of(bucket) * count for bucket, count in histogram.items())


def percentiles_in(histogram: Mapping[int, int]) -> Percentiles:
    """Return the 50th, 95th and 99th of the durations counted by bucket, each within 2 %, at the places of Figures."""
    buckets = sorted(bucket for bucket, count in histogram.items() if count)
    if not buckets:
        return (None, None, None)
    reached = list(accumulate(histogram[bucket] for bucket in buckets))
    last = reached[-1] - 1

    def at(part: float) -> int:
        return duration_of(buckets[bisect_right(reached, int(part * last))])

    return (at(0.5), at(0.95), at(0.99))


def is_rolled_up(record_filter: RecordFilter, first: int) -> bool:
    """Return whether rollups can count the records of *record_filter*: it has workflows and times only.

    *first* is the create time (ms) of the first record; there are no hours before 1970.
    """
    return first >= 0 and record_filter.given() <= _ROLLED_UP


def is_counted(record_filter: RecordFilter, first: int) -> bool:
    """Return whether rollups have the number of records of *record_filter*: besides these it may have statuses."""
    return first >= 0 and record_filter.given() <= _ROLLED_UP | {"statuses"}


def hours_within(first: int, last: int) -> tuple[int, int]:
    """Return the first hour that begins at *first* (ms) or later, and the first that ends after *last* (ms, included).

    Where the second is not larger there is no whole hour between them.
    """
    return -(-first // HOUR_MS), (last + 1) // HOUR_MS


def pieces_within(first: int, last: int, edges: Sequence[int]) -> tuple[list[Piece], list[Piece]]:
    """Return the whole hours of each bucket from *first* to *last* (ms, included), and the times left at their ends."""
    hours, ends = [], []
    for number, (start, end) in enumerate(pairwise(edges)):
        begin, stop = max(start, first), min(end, last + 1)
        first_hour, last_hour = hours_within(begin, stop - 1)
        if first_hour >= last_hour:
            ends.append((number, begin, stop))
            continue
        hours.append((number, first_hour, last_hour))
        ends += [(number, begin, first_hour * HOUR_MS), (number, last_hour * HOUR_MS, stop)]
    return hours, [piece for piece in ends if piece[1] < piece[2]]


class Stretch(NamedTuple):
    """A range of whole days, of whole hours outside of these, or of milliseconds outside of both; its end excluded."""

    unit: Literal["day", "hour", "row"]
    begin: int
    end: int


def stretches_of(begin: int, end: int) -> list[Stretch]:
    """Return the whole days from *begin* to *end* (ms, excluded), and the hours and milliseconds that are left."""
    found: list[Stretch] = []
    left = [(begin, end)]
    units: tuple[tuple[Literal["day", "hour"], int], ...] = (("day", DAY_HOURS * HOUR_MS), ("hour", HOUR_MS))
    for unit, length in units:
        rest = []
        for start, stop in left:
            first, last = -(-start // length), stop // length
            if first >= last:
                rest.append((start, stop))
                continue
            found.append(Stretch(unit, first, last))
            rest += [(start, first * length), (last * length, stop)]
        left = rest
    return [*found, *(Stretch("row", start, stop) for start, stop in left if start < stop)]
