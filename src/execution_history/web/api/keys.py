"""Keys and sessions over HTTP, for keys with the scope ``admin``."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from execution_history.access.gate import Gate
from execution_history.access.limits import lifetime_of, rate_of, size_of
from execution_history.web.api.refusals import add_refusals
from execution_history.web.api.route_class import HistoryRoute
from execution_history.web.api.schemas.executions import ANNOTATING, CHANGING, READING, DoneAnswer, described
from execution_history.web.api.schemas.keys import KeyAnswer, KeyRenewal, KeyRequest, KeysAnswer
from execution_history.web.responses import answer

KeyName = Annotated[str, Path(description="The id of the key, or its name, percent-encoded.")]
SignsOut = Annotated[bool, Query(description="End all sessions at once, rather than let them end within 12 hours.")]


def keys_router(gate: Gate) -> APIRouter:
    """Return the router of keys and of sessions."""
    router = APIRouter(prefix="/coze", route_class=HistoryRoute)

    @router.get("/keys", **described("List keys", KeysAnswer, READING, "access"))
    async def list_keys() -> Response:
        """Return all keys without their secrets, the newest last, also those that have expired."""
        keys = [key.to_json() for key in await gate.keys.all()]
        return answer({"success": True, "keys": keys, "total": len(keys)})

    @router.post("/keys", status_code=HTTPStatus.CREATED, **described("Add a key", KeyAnswer, CHANGING, "access"))
    async def add_key(request: KeyRequest) -> Response:
        """Add a key and return its secret, which nobody can read later.

        With the first key the server begins to ask everybody for one.
        """
        made = await gate.keys.add(
            request.name,
            request.scopes,
            workflows=request.workflows,
            lifetime_ms=None if request.expires is None else lifetime_of(request.expires),
            rate=None if request.rate is None else rate_of(request.rate),
            largest_body=None if request.largest_body is None else size_of(request.largest_body),
        )
        return answer({"success": True, "key": made.key.to_json(), "secret": made.secret}, HTTPStatus.CREATED)

    @router.post("/keys/{key}/renew", **described("Renew a key", KeyAnswer, ANNOTATING, "access"))
    async def renew_key(key: KeyName, request: KeyRenewal) -> Response:
        """Let a key that has expired, as those of a restored history have, or soon will, be valid from now on."""
        lifetime = None if request.expires is None else lifetime_of(request.expires)
        return answer({"success": True, "key": (await gate.keys.renew(key, lifetime_ms=lifetime)).to_json()})

    @router.delete("/keys/{key}", **described("Revoke a key", KeyAnswer, ANNOTATING, "access"))
    async def revoke_key(key: KeyName) -> Response:
        """Remove a key: from now on neither it nor a session of it opens anything, at any server of the history."""
        revoked = await gate.keys.revoke(key)
        return answer({"success": True, "key": revoked.to_json()})

    @router.post("/keys/sessions/end", **described("Rotate the key of cookies", DoneAnswer, CHANGING, "access"))
    async def rotate_cookies(*, signs_out: SignsOut = False) -> Response:
        """Sign cookies with a new key from now on; sessions signed with the one before it stay until they end."""
        await gate.sessions.rotate(ends_all=signs_out)
        return answer({"success": True})

    add_refusals(router)
    return router
