"""What goes to the store, in order, also when the store cannot take it: recording never breaks the workflow.

A step that is refused, or that takes longer than its caller may wait, is kept in memory, counted, told by
``problems`` and written when that is possible again.
"""

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

from execution_history.errors import ExecutionHistoryError, IllegalTransition, InvalidInput, StoreError
from execution_history.record import Document, RecordChange
from execution_history.store import HistoryStore

_log = logging.getLogger("execution_history.recorder")

Step = Document | RecordChange
"""The beginning of a record, or a change of one."""

_PATIENCE_SECONDS: Final = 2.0
_MOST_WAITING: Final = 10_000


@dataclass(slots=True)
class _Waiting:
    """The steps of one record that the store has not taken yet; the one before them may still be *under way*."""

    workflow_id: str
    execute_id: str
    steps: deque[Step] = field(default_factory=deque)
    under_way: bool = False


class Outbox:
    """The way into a store for those who must not fail with it.

    Args:
        store: opened when needed.
        patience_seconds: how long a caller waits for the store before it goes on without it.
    """

    def __init__(self, store: HistoryStore, *, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        self._store = store
        self._patience = patience_seconds
        self._waiting: dict[tuple[str, str], _Waiting] = {}
        self._lost = 0
        self._trouble: str | None = None

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return bool(self._waiting)

    def problems(self) -> tuple[str, ...]:
        """One sentence each for what could not be recorded; none when all is well."""
        found = []
        if self._waiting:
            found.append(f"{len(self._waiting)} runs wait to be recorded: {self._trouble}")
        if self._lost:
            found.append(f"{self._lost} runs could not be recorded and were given up.")
        return tuple(found)

    async def write(self, workflow_id: str, execute_id: str, step: Step) -> None:
        """Have one step written, now or, when the store cannot, later and in order.

        Raises:
            ExecutionExists: the workflow has a record with this id.
            InvalidInput: the step cannot be what it says.
        """
        key = (workflow_id, execute_id)
        if key in self._waiting:
            self._waiting[key].steps.append(step)
            return
        task = asyncio.ensure_future(self._apply(workflow_id, execute_id, step))
        task.add_done_callback(_seen)
        try:
            await asyncio.wait_for(asyncio.shield(task), self._patience)
        except StoreError as error:
            self._keep(key, error).steps.append(step)
        except TimeoutError as error:
            self._keep(key, error).under_way = True
            task.add_done_callback(lambda _: self._came_back(key, step, task))

    async def save(self) -> None:
        """Write what waits, oldest first, until the store refuses again."""
        for key, waiting in list(self._waiting.items()):
            if waiting.under_way:
                continue
            while waiting.steps:
                try:
                    await self._apply(waiting.workflow_id, waiting.execute_id, waiting.steps[0])
                except StoreError as error:
                    self._trouble = str(error)
                    return
                except ExecutionHistoryError as error:
                    _log.warning("A step of a record was refused and is left out: %s", error)
                waiting.steps.popleft()
            self._waiting.pop(key, None)

    async def _apply(self, workflow_id: str, execute_id: str, step: Step) -> None:
        await self._store.open()
        if isinstance(step, Document):
            await self._store.create(step)
            return
        try:
            await self._store.update(workflow_id, execute_id, step)
        except IllegalTransition as error:
            _log.warning("A run was ended twice; the first ending stands: %s", error)

    def _keep(self, key: tuple[str, str], error: Exception) -> _Waiting:
        """Where the steps of this record wait from now on."""
        sentence = str(error) or "the store does not answer"
        if self._trouble != sentence or not self._waiting:
            _log.error("A run could not be recorded and waits: %s", sentence)
        self._trouble = sentence
        if len(self._waiting) >= _MOST_WAITING and key not in self._waiting:
            self._waiting.pop(next(iter(self._waiting)))
            self._lost += 1
        return self._waiting.setdefault(key, _Waiting(*key))

    def _came_back(self, key: tuple[str, str], step: Step, task: "asyncio.Task[None]") -> None:
        """A write that nobody waited for any more has ended; a refused one goes back to the head of its queue."""
        waiting = self._waiting.get(key)
        if waiting is None:
            return
        waiting.under_way = False
        if task.cancelled() or isinstance(task.exception(), StoreError):
            waiting.steps.appendleft(step)
        elif not waiting.steps:
            self._waiting.pop(key)


def _seen(task: "asyncio.Future[Any]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, InvalidInput):
        _log.debug("A write of a record failed: %s", type(error).__name__)
