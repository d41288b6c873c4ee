"""What the fields that two runs differ in are called, and their values, in people's words. Pure."""

from typing import Any, Final

from execution_history.errors import N_
from execution_history.presentation.phrases import FACTS, PARTS, RUN_MODES, STATUSES
from execution_history.presentation.translator import Translator

KNOWN_FIELDS: Final = {
    **FACTS,
    "execute_status": N_("Status"),
    "error_message": N_("Error message"),
    "is_output_trimmed": N_("Output truncated by Coze"),
}
"""The names of the fields of a record that are compared."""

_VALUES: Final[dict[str, dict[Any, str]]] = {"execute_status": STATUSES, "run_mode": RUN_MODES}
_ROOTS: Final = ("input", "output", "metadata")


def field_label(_: Translator, path: str) -> str:
    """Return what the field at *path* of a comparison is called: a known one by its name, others by their own path."""
    if path in KNOWN_FIELDS:
        return _(KNOWN_FIELDS[path])
    for root in _ROOTS:
        if path == root:
            return _(PARTS[root]) if root in PARTS else _("Metadata")
        inner = path.removeprefix(root)
        if inner != path and inner[0] in ".[":
            inner = inner.removeprefix(".")
            return _(KNOWN_FIELDS[inner]) if root == "metadata" and inner in KNOWN_FIELDS else inner
    return path


def field_value(_: Translator, path: str, value: object) -> str | None:
    """Return the words for a *value* of the field at *path*; ``None`` for one that is shown as it is."""
    if isinstance(value, bool) and path in KNOWN_FIELDS:
        return _("yes") if value else _("no")
    words = _VALUES.get(path, {})
    return _(words[value]) if type(value) in {str, int} and value in words else None
