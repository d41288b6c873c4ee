"""Coze's error codes: which of them we can explain (coze-protocol 4.1). Pure."""

from typing import Final

from execution_history.presentation.page_translator import Speech

_KNOWN: Final = {
    "4000": "bad_request",
    "4013": "rate_limited",
    "4015": "not_published_to_api",
    "4100": "authentication",
    "4101": "permission",
    "4200": "not_found",
    "5000": "internal",
    "6003": "paid_plan",
    "6023": "workflow_timeout",
    "6031": "not_published",
    "6039": "sync_interrupt",
    "400": "bad_request",
    "401": "authentication",
    "403": "permission",
    "429": "rate_limited",
    "504": "gateway_timeout",
    "305000002": "code_node",
    "700012006": "session",
    "720701002": "plugin_timeout",
    "720701013": "node_failed",
    "720702004": "node_not_found",
    "720702017": "node_failed",
    "720702085": "node_timeout",
    "777777776": "node_timeout",
    "777777777": "cancelled",
}
_EXECUTION: Final = "7207"
_EXECUTION_DIGITS: Final = 9
_HTTP_ERRORS: Final = range(500, 600)


def explanation(say: Speech, code: object) -> tuple[str, str] | None:
    """What an error *code* means and what to do about it, two sentences; ``None`` for one that we do not know."""
    name = code_name(code)
    return None if name is None else (say(f"code.{name}.meaning"), say(f"code.{name}.remedy"))


def code_name(code: object) -> str | None:
    """Our word for an error *code*; whole families have one too."""
    if isinstance(code, bool) or not isinstance(code, (int, str)):
        return None
    digits = str(code).strip()
    if digits in _KNOWN:
        return _KNOWN[digits]
    if digits.startswith(_EXECUTION) and len(digits) == _EXECUTION_DIGITS and digits.isdecimal():
        return "node_failed"
    if digits.isdecimal() and len(digits) == 3 and int(digits) in _HTTP_ERRORS:  # noqa: PLR2004 - an HTTP status
        return "server_error"
    return None


NAMES: Final = frozenset(_KNOWN.values()) | {"server_error"}
"""Every word that :func:`code_name` can give."""
