"""The time zone of whoever sits at this machine."""

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import tzlocal


def local_zone() -> tzinfo:
    """This machine's time zone with its changes of the clock; where it has no name, as far from UTC as it is now."""
    try:
        return tzlocal.reload_localzone()
    except (LookupError, ValueError, OSError):
        return datetime.now().astimezone().tzinfo or UTC


def local_zone_name() -> str:
    """The IANA name of that zone; UTC where it has none."""
    zone = local_zone()
    name = zone.key if isinstance(zone, ZoneInfo) else None
    return name if name and name != "local" else "UTC"
