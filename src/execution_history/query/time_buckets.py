"""Hours, days, weeks and months of a time zone, also where its clocks change. Pure."""

from bisect import bisect_right
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from execution_history.errors import InvalidQuery, Message, quoted
from execution_history.query.model import BucketSize

MOST_BUCKETS: Final = 5_000

_HOUR: Final = 3_600_000
_DAY: Final = 24 * _HOUR
_DAYS: Final[tuple[tuple[BucketSize, int], ...]] = (("day", 1), ("week", 7))
_DECEMBER: Final = 12
_LAST_YEAR: Final = 9_998


def zone_of(name: str) -> ZoneInfo:
    """Return the time zone with an IANA name.

    Raises:
        InvalidQuery: there is none of that name.
    """
    try:
        return ZoneInfo(str(name))
    except (KeyError, ValueError, OSError):
        written = str(name).lower()
        near = [zone for zone in available_timezones() if zone.lower() == written]
        hint = (
            Message("perhaps %(near)s is meant", near=near[0])
            if near
            else Message("write a name such as Asia/Shanghai or UTC")
        )
        raise InvalidQuery("There is no time zone %(name)s: %(hint)s.", name=quoted(name), hint=hint) from None


def bucket_edges(first: int, last: int, size: BucketSize | None, zone: ZoneInfo) -> list[int]:
    """Return the starts (ms) of the buckets from the one with *first* to the one with *last*, and the end of that one.

    Without a *size* they are days, or weeks or months where days, or weeks, would be too many.

    Raises:
        InvalidQuery: they would be more than 5 000, or in the year 9999.
    """
    if datetime.fromtimestamp(last / 1000, UTC).year > _LAST_YEAR:
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
    """Return what the bucket from *start* to *end* (ms) is; clocks may have been changed in it."""
    length = end - start
    if length <= 2 * _HOUR:
        return "hour"
    return next((name for name, days in _DAYS if length <= days * _DAY + 2 * _HOUR), "month")


def _fitting(first: int, last: int) -> BucketSize:
    """Return the shortest of days, weeks and months that are not too many."""
    fitting: list[BucketSize] = [name for name, days in _DAYS if (last - first) // (days * _DAY) < MOST_BUCKETS - 1]
    return fitting[0] if fitting else "month"


def bucket_number(edges: list[int], time: int) -> int:
    """Which bucket of *edges* holds *time*."""
    return bisect_right(edges, time) - 1


def _start(time: int, size: BucketSize, zone: ZoneInfo) -> int:
    local = datetime.fromtimestamp(time / 1000, UTC).astimezone(zone)
    if size == "hour":
        return _hour_start(time, zone)
    day = local.date()
    if size == "week":
        day -= timedelta(days=day.weekday())
    elif size == "month":
        day = day.replace(day=1)
    return _midnight(day, zone)


def _next(start: int, size: BucketSize, zone: ZoneInfo) -> int:
    if size == "hour":
        # Where clocks go back by half an hour, the hour that would begin anew before its time goes on instead.
        following = _hour_start(start + _HOUR, zone)
        return following if following > start else start + _HOUR
    # Noon is the same day whatever the clocks did at midnight.
    day = datetime.fromtimestamp(start / 1000 + 12 * 3600, UTC).astimezone(zone).date()
    if size == "day":
        return _midnight(day + timedelta(days=1), zone)
    if size == "week":
        return _midnight(day + timedelta(days=7), zone)
    return _midnight(
        day.replace(year=day.year + 1, month=1) if day.month == _DECEMBER else day.replace(month=day.month + 1), zone
    )


def _hour_start(time: int, zone: ZoneInfo) -> int:
    offset = datetime.fromtimestamp(time / 1000, UTC).astimezone(zone).utcoffset() or timedelta()
    shift = round(offset.total_seconds() * 1000)
    return (time + shift) // _HOUR * _HOUR - shift


def _midnight(day: date, zone: ZoneInfo) -> int:
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)
