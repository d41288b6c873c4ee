"""The place in the change feed of what sends finished runs as traces; known without the library for that."""

import contextlib
import uuid
from typing import Final

from execution_history.errors import StoreError
from execution_history.history.service import ExecutionHistoryService

FOLLOWER: Final = "otel"
"""The name of the place, and of the lease."""

LEASE_MS: Final = 15_000
"""How long another process waits after the one that sends has died (milliseconds)."""


async def give_up(service: ExecutionHistoryService) -> None:
    """Let the feed keep nothing for receivers any more, unless another process sends to one; never raises."""
    with contextlib.suppress(StoreError):
        if await service.place_of(FOLLOWER) is not None:
            owner = uuid.uuid4().hex
            if await service.lease(FOLLOWER, owner, LEASE_MS):
                await service.save_place(FOLLOWER, None)
                await service.lease(FOLLOWER, owner, 0)
