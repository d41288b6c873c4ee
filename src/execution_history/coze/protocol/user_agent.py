"""Who sent a request to Coze, as its headers say (coze-protocol 4.3). Pure."""

import re
from collections.abc import Mapping
from typing import Final

from execution_history.coze.protocol.messages import parse_json, text

_PRODUCT: Final = re.compile(r"\s*([^\s/()]+)(?:/([^\s()]+))?")
_MOST_CHARACTERS: Final = 200


def caller_of(headers: Mapping[str, str]) -> dict[str, str] | None:
    """The program that calls: its ``name`` and, where they are known, ``version``, ``language`` and ``system``.

    Args:
        headers: of the request; names in any case when the mapping ignores it, as httpx's and Starlette's do.

    Returns:
        ``None`` when the request does not say.
    """
    product = _PRODUCT.match(headers.get("user-agent", "")[:_MOST_CHARACTERS])
    found: dict[str, str | None] = {} if product is None else {"name": product[1], "version": product[2]}
    said = parse_json(headers.get("x-coze-client-user-agent", "").encode("utf-8", "replace"))
    if isinstance(said, dict):
        found["version"] = text(said.get("version")) or found.get("version")
        found["language"] = _together(said.get("lang"), said.get("lang_version"))
        found["system"] = _together(said.get("os_name"), said.get("os_version"))
    return {key: value[:_MOST_CHARACTERS] for key, value in found.items() if value} or None


def _together(name: object, version: object) -> str | None:
    return " ".join(part for part in (text(name), text(version)) if part) or None
