"""The program that sent a request to Coze, by its headers (coze-protocol 4.3). Pure."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from execution_history.coze.protocol.messages import parse_json, text

_PRODUCT: Final = re.compile(r"\s*([^\s/()]+)(?:/([^\s()]+))?")
_MOST_CHARACTERS: Final = 200


def caller_of(headers: Mapping[str, str]) -> dict[str, str] | None:
    """Return the calling program: its ``name`` and, where known, ``version``, ``language`` and ``system``.

    Args:
        headers: of the request; names in any case where the mapping ignores it, as httpx's and Starlette's do.

    Returns:
        ``None`` where the request has none of these headers.
    """
    return dict(_caller(headers.get("user-agent", ""), headers.get("x-coze-client-user-agent", ""))) or None


@lru_cache(maxsize=256)  # the same few programs send every request
def _caller(user_agent: str, client: str) -> tuple[tuple[str, str], ...]:
    product = _PRODUCT.match(user_agent[:_MOST_CHARACTERS])
    found: dict[str, str | None] = {} if product is None else {"name": product[1], "version": product[2]}
    content = parse_json(client.encode("utf-8", "replace")) if client else None
    if isinstance(content, dict):
        found["version"] = text(content.get("version")) or found.get("version")
        found["language"] = _together(content.get("lang"), content.get("lang_version"))
        found["system"] = _together(content.get("os_name"), content.get("os_version"))
    return tuple((key, value[:_MOST_CHARACTERS]) for key, value in found.items() if value)


def _together(name: object, version: object) -> str | None:
    return " ".join(part for part in (text(name), text(version)) if part) or None
