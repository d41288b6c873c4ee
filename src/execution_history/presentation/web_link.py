"""Addresses from records that may stand in a link. Pure."""

from typing import Final
from urllib.parse import urlsplit

_LONGEST_LINK: Final = 2_000


def web_link(address: object) -> str | None:
    """Return *address* when it is an absolute HTTP address, safe for a link; else ``None``."""
    if not isinstance(address, str) or len(address) > _LONGEST_LINK or not address.isprintable():
        return None
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    return address if parts.scheme.lower() in {"http", "https"} and parts.hostname else None
