"""Hours, days, weeks and months of a time zone, across changes of its clocks. Pure."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from execution_history.errors import InvalidQuery, Message, quoted
from execution_history.query.model import BucketSize
from execution_history.records.time_units import DAY_MS, HOUR_MS

MOST_BUCKETS: Final = 5_000

_DAYS: Final[tuple[tuple[BucketSize, int], ...]] = (("day", 1), ("week", 7))
_LONGEST_DAYS: Final[dict[BucketSize, int]] = {"day": 1, "week": 7, "month": 31}
_LAST_YEAR: Final = 9_998
LONGEST_ZONE: Final = 64
"""No zone has a longer name, and each slash in one is a package that Python searches for."""


def zone_of(name: str) -> ZoneInfo:
    """Return the time zone with an IANA name.

    Raises:
        InvalidQuery: there is no such zone.
    """
    try:
        if len(name) > LONGEST_ZONE:
            raise KeyError(name)  # noqa: TRY301 - as for one that is not known
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        near = next((zone for zone in available_timezones() if zone.lower() == name.lower()), None)
        otherwise = Message("write a name such as Asia/Shanghai or UTC")
        hint = Message("perhaps you meant %(near)s", near=near) if near else otherwise
        raise InvalidQuery("There is no time zone %(name)s: %(hint)s.", name=quoted(name), hint=hint) from None


def moment_of(milliseconds: int, zone: tzinfo) -> datetime:
    """Return a time in milliseconds since the epoch, in *zone*."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone(zone)


def bucket_edges(first: int, last: int, size: BucketSize | None, zone: ZoneInfo) -> list[int]:
    """Return the starts (ms) of the buckets from the one with *first* to the one with *last*, and the end of that one.

    Without a *size* they are days, or weeks or months where days, or weeks, would be too many.

    Raises:
        InvalidQuery: they would be more than 5 000, or in the year 9999.
    """
    if moment_of(last, UTC).year > _LAST_YEAR:
        raise InvalidQuery("The statistics end before the year 9999: give an earlier end of the time range.")
    size = _fitting(first, last) if size is None else size
    edges = [_start(first, size, zone)]
    while edges[-1] <= last:
        if len(edges) > MOST_BUCKETS:
            raise InvalidQuery(
                "One %(size)s each would be more than %(most_buckets)s buckets: take a larger bucket "
                "or a shorter time range.",
                size=size,
                most_buckets=MOST_BUCKETS,
            )
        edges.append(_next(edges[-1], size, zone))
    return edges


def bucket_size(start: int, end: int) -> BucketSize:
    """Return the size of the bucket from *start* to *end* (ms); clocks may have changed in it."""
    length = end - start
    if length <= 2 * HOUR_MS:
        return "hour"
    return next((name for name, days in _DAYS if length <= days * DAY_MS + 2 * HOUR_MS), "month")


def _fitting(first: int, last: int) -> BucketSize:
    """Return the shortest of day, week and month that does not make too many buckets."""
    fitting: list[BucketSize] = [name for name, days in _DAYS if (last - first) // (days * DAY_MS) < MOST_BUCKETS - 1]
    return fitting[0] if fitting else "month"


def bucket_number(edges: Sequence[int], time: int) -> int:
    """Return the number of the bucket of *edges* that contains *time*."""
    return bisect_right(edges, time) - 1


def _start(time: int, size: BucketSize, zone: ZoneInfo) -> int:
    if size == "hour":
        return _hour_start(time, zone)
    return midnight(_first_day(_day(time, zone), size), zone)


def _next(start: int, size: BucketSize, zone: ZoneInfo) -> int:
    if size == "hour":
        # Where clocks go back by half an hour, the hour that would start again early goes on instead.
        following = _hour_start(start + HOUR_MS, zone)
        return following if following > start else start + HOUR_MS
    # Noon is the same day whatever the clocks did at midnight.
    day = _day(start + DAY_MS // 2, zone)
    return midnight(_first_day(day + timedelta(days=_LONGEST_DAYS[size]), size), zone)


def _day(time: int, zone: ZoneInfo) -> date:
    return moment_of(time, zone).date()


def _first_day(day: date, size: BucketSize) -> date:
    """Return the first day of the day, week or month that *day* is in."""
    if size == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if size == "month" else day


def _hour_start(time: int, zone: ZoneInfo) -> int:
    offset = moment_of(time, zone).utcoffset() or timedelta()
    shift = round(offset.total_seconds() * 1000)
    return (time + shift) // HOUR_MS * HOUR_MS - shift


def midnight(day: date, zone: ZoneInfo) -> int:
    """Return when *day* begins in *zone* (ms)."""
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)
