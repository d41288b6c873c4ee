"""The time zone of this machine."""

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import tzlocal


def local_zone() -> tzinfo:
    """Return this machine's time zone with its daylight-saving rules; where it has no name, its present UTC offset."""
    try:
        return tzlocal.reload_localzone()
    except (LookupError, ValueError, OSError):
        return datetime.now().astimezone().tzinfo or UTC


def local_zone_name() -> str:
    """Return the IANA name of this machine's time zone; UTC where it has none."""
    zone = local_zone()
    name = zone.key if isinstance(zone, ZoneInfo) else None
    return name if name and name != "local" else "UTC"
