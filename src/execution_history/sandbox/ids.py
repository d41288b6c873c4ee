"""Ids as Coze gives them: growing 64-bit numbers written as strings, and log ids that begin with the time."""

import time
import uuid
from collections.abc import Callable

from execution_history.sandbox.steps import Node

_NODE_EXECUTIONS = uuid.UUID("6f0c1f1e-6a1c-5b7e-9a64-3f6d2f1c9b10")


class IdFactory:
    """Makes ids that only grow, also over restarts: each begins with the milliseconds of ``now``.

    ``now`` returns seconds since the epoch; until 2039 the ids have 19 digits and fit 64 bits.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._latest = 0

    def next_id(self) -> str:
        """Return an id greater than every id before it."""
        self._latest = max(self._latest + 1, int(self._now() * 1000) << 22)
        return str(self._latest)

    def log_id(self) -> str:
        """Return a log id: 14 digits of UTC time and 18 hexadecimal ones that do not repeat."""
        moment = time.strftime("%Y%m%d%H%M%S", time.gmtime(self._now()))
        return f"{moment}{int(self.next_id()):018X}"


def node_execute_uuid(execute_id: str, node: Node) -> str:
    """Return the id of one execution of ``node``: always the same for the same execution and loop index."""
    return str(uuid.uuid5(_NODE_EXECUTIONS, f"{execute_id}/{node.node_id}/{node.loop_index}"))
