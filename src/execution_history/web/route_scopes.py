"""The one table of scopes: what a key must allow for each address. A route that is not in it needs ``admin``.

Routes look up what they need, and pages show a form or a link only to whoever may use it (:func:`may`).
"""

import re
from typing import Final, cast

from starlette.types import Scope as ASGIScope

from execution_history.access.principals import NOBODY, Principal, Scope
from execution_history.errors import Message, NotAllowed, NotSignedIn

PRINCIPAL: Final = "execution_history.principal"
"""The key of a request's scope that has who sends it; missing where no access is controlled."""

OPEN: Final = ("/healthz", "/assets/", "/sign-in", "/sign-out", "/preferences")
"""Beginnings of the paths that need no key."""

_RUN = "/coze/workflows/{workflow_id}/history/{execute_id}"
_RUN_PAGE = "/workflows/{workflow_id}/runs/{execute_id}"
_CHANGE = "/coze/history/changes/{change_id}"

_TABLE: Final[dict[Scope, tuple[str, ...]]] = {
    "read": (
        "GET /coze/history/live",
        "GET /coze/history",
        "GET /coze/statistics",
        "GET /coze/workflows/{workflow_id}/statistics",
        "GET /coze/breakdown",
        "GET /coze/workflows/{workflow_id}/breakdown",
        "GET /coze/overview",
        "GET /coze/export",
        "GET /coze/workflows",
        "GET /coze/workflows/{workflow_id}/history",
        f"GET {_RUN}",
        f"GET {_RUN}/trace",
        f"GET {_RUN}/compare",
        "GET /coze/compare",
        "GET /coze/prices",
        "GET /coze/history/changes",
        f"GET {_CHANGE}",
        "GET /coze/views",
        "GET /readyz",
        "GET /metrics",
        "GET /",
        "GET /switcher",
        "GET /charts",
        "GET /prices",
        "GET /prices/recalculation",
        "GET /prices/versions",
        "GET /workflows/{workflow_id}",
        "GET /workflows/{workflow_id}/nodes",
        "GET /workflows/{workflow_id}/last-runs",
        "GET /runs",
        "GET /runs/tabs",
        "GET /runs/facets",
        "GET /runs/news",
        "GET /runs/change",
        "GET /runs/changes",
        "GET /workflows/{workflow_id}/tabs",
        "GET /workflows/{workflow_id}/facets",
        "GET /workflows/{workflow_id}/runs",
        "GET /workflows/{workflow_id}/news",
        "GET /views",
        "GET /coze/bin",
        "GET /bin",
        "GET /indexing",
        "GET /compare",
        f"GET {_RUN_PAGE}",
        f"GET {_RUN_PAGE}/value",
        f"GET {_RUN_PAGE}/raw",
        f"GET {_RUN_PAGE}/live",
        f"GET {_RUN_PAGE}/again",
        f"GET {_RUN_PAGE}/within",
        "GET /run",
        "GET /workflows/{workflow_id}/run",
        "POST /demo",
        "POST /demo/leave",
        "POST /runs/chosen",
    ),
    "run": (
        "POST /coze/workflows/stream_run",
        "POST /coze/workflows/{workflow_id}/run",
        f"POST {_RUN}/resume",
        f"POST {_RUN}/fetch",
        f"POST {_RUN_PAGE}/again",
        f"POST {_RUN_PAGE}/answer",
        "POST /workflows/{workflow_id}/run",
    ),
    "write": (
        "POST /coze/import",
        "PATCH /coze/workflows/{workflow_id}",
        "PUT /coze/workflows/{workflow_id}",
        "POST /coze/workflows/names/learn",
        f"PATCH {_RUN}",
        f"DELETE {_RUN}",
        "DELETE /coze/workflows/{workflow_id}/history",
        "POST /coze/history/annotate",
        "POST /coze/history/delete",
        "POST /coze/history/reprice",
        f"POST {_CHANGE}/stop",
        f"POST {_CHANGE}/resume",
        f"POST {_CHANGE}/undo",
        "POST /coze/views",
        "PATCH /coze/views/{view_id}",
        "DELETE /coze/views/{view_id}",
        "POST /views",
        "POST /coze/bin/restore",
        "POST /coze/bin/empty",
        "POST /bin",
        "POST /views/{view_id}",
        "POST /prices/recalculation",
        "POST /runs/act",
        "POST /runs/change/undo",
        "POST /runs/change/stop",
        "POST /runs/change/resume",
        f"POST {_RUN_PAGE}/notes",
        "POST /workflows/{workflow_id}/name",
    ),
    "admin": (
        "PUT /coze/prices",
        "DELETE /coze/prices",
        "PUT /coze/prices/budget",
        "POST /prices",
        "GET /coze/keys",
        "POST /coze/keys",
        "DELETE /coze/keys/{key}",
        "POST /coze/keys/{key}/renew",
        "POST /coze/keys/sessions/end",
        "GET /coze/audit",
        "GET /coze/audit/export",
        "GET /coze/backups",
        "GET /coze/doctor",
        "GET /coze/retention",
        "PUT /coze/retention/rules",
        "DELETE /coze/retention/rules",
        "GET /coze/retention/preview",
        "POST /coze/retention/run",
        "GET /system",
        "GET /storage",
        "POST /storage",
        "GET /coze/redaction",
        "POST /coze/redaction",
        "GET /redaction",
        "POST /redaction",
        "GET /keys",
        "POST /keys",
        "GET /audit",
    ),
}

_SCOPES: Final = {route: scope for scope, routes in _TABLE.items() for route in routes}
_PATTERNS: Final = tuple(
    (re.compile(re.sub(r"\\{\w+\\}", "[^/]*", re.escape(route))), scope)
    for route, scope in _SCOPES.items()
    if "{" in route
)


def scope_needed(method: str, path: str) -> Scope | None:
    """Return the scope that a route needs, by its method and declared path; ``None`` for one that is not known."""
    return _SCOPES.get(f"{'GET' if method == 'HEAD' else method} {path}")


def may(principal: Principal | None, method: str, address: str) -> bool:
    """Return whether *principal* may send a request to an *address* of this server, such as a form's or a link's.

    Args:
        principal: who looks at the page; ``None`` where no access is controlled.
        method: ``GET`` or ``POST``.
        address: a path as pages write it, with its ids encoded; a query or fragment behind it does not matter.

    Raises:
        LookupError: no route of the table has this address.
    """
    if principal is None or address.startswith(OPEN):
        return True
    route = f"{method} {re.split('[?#]', address, maxsplit=1)[0]}"
    needed = _SCOPES.get(route) or next((scope for pattern, scope in _PATTERNS if pattern.fullmatch(route)), None)
    if needed is None:
        raise LookupError(f"No scope is known for {route}.")
    return principal.may(needed)


def principal_of(scope: ASGIScope) -> Principal | None:
    """Return who sends a request; ``None`` where no access is controlled."""
    return cast("Principal | None", scope.get(PRINCIPAL))


def check_scope(scope: ASGIScope, path: str) -> None:
    """Check that whoever sends a request may use the route that was declared with *path*.

    Raises:
        NotSignedIn: they have no key.
        NotAllowed: their key does not allow it.
    """
    principal = principal_of(scope)
    if principal is None or path.startswith(OPEN):
        return
    if principal is NOBODY:
        raise NotSignedIn(NO_KEY)
    needed = scope_needed(scope["method"], path) or "admin"
    if not principal.may(needed):
        raise NotAllowed("Your key does not allow this: it needs the scope %(scope)s.", scope=needed)


NO_KEY: Final = Message(
    "This server needs a key: send it as Authorization: Bearer eh_…, or as the header X-Execution-History-Key."
)
