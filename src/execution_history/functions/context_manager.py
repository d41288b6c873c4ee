"""``record``: what happens inside a ``with`` or ``async with`` block is a run in the history."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from types import TracebackType

from execution_history.functions.arguments import names
from execution_history.functions.options import plan_for
from execution_history.functions.run import MODE_CALL, MODE_STREAM, Run
from execution_history.history.service import ExecutionHistoryService
from execution_history.recording.recorder import Recorder


class record:  # noqa: N801 - read as a verb: with record("summarise") as run
    """Record a block of code: ``with record("summarise", {"text": text}) as run: …; run.output = summary``.

    It succeeds when the block ends, fails with its exception, and is interrupted when the block is cancelled. What is
    said with ``run.message`` while it runs is in its timeline. One object is for one run.

    Args:
        workflow_id: the history that the run belongs to.
        parameters: its input, any value.
        service: whose store the run goes to; the shared one when not given.
        recorder: what records, instead of *service*; it has to be started and closed by the caller.
        tags: words to find the run by, in ``metadata.tags``.
        metadata: what else to keep.
        redact: names, besides the usual ones, whose values are secret, at any depth.
        capture_input: whether the input is kept.
        capture_output: whether output and messages are kept.
        bot_id: the bot it runs for.
        conversation_id: the conversation it belongs to.
        streams: whether the block says its output piece by piece: the record then has ``run_mode`` 1, and its progress
            is saved while it runs.

    Raises:
        InvalidIdentifier: the workflow id cannot be one.
        StoreError: at the beginning of the block, where recording is required and cannot be done.
    """

    def __init__(
        self,
        workflow_id: str,
        parameters: object = None,
        *,
        service: ExecutionHistoryService | None = None,
        recorder: Recorder | None = None,
        tags: Iterable[str] = (),
        metadata: Mapping[str, object] | None = None,
        redact: Iterable[str] = (),
        capture_input: bool = True,
        capture_output: bool = True,
        bot_id: str | None = None,
        conversation_id: str | None = None,
        streams: bool = False,
    ) -> None:
        self._plan = plan_for(
            workflow_id,
            service,
            recorder,
            title=workflow_id,
            kind="block",
            run_mode=MODE_STREAM if streams else MODE_CALL,
            tags=tags,
            metadata=metadata,
            redact=names(redact),
            capture_input=capture_input,
            capture_output=capture_output,
            bot_id=bot_id,
            conversation_id=conversation_id,
        )
        self._parameters = {} if parameters is None else parameters
        self._run: Run | None = None
        self._active: AbstractContextManager[None] | None = None

    def __enter__(self) -> Run:
        run = self._begin()
        run.start()
        self._enter(run)
        return run

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave().finish(error)

    async def __aenter__(self) -> Run:
        run = self._begin()
        await run.astart()
        self._enter(run)
        return run

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave().afinish(error)

    def _begin(self) -> Run:
        if self._run is not None:
            raise RuntimeError("A block is recorded once: call record(…) again for the next one.")
        self._run = Run(self._plan, self._parameters)
        return self._run

    def _enter(self, run: Run) -> None:
        self._active = run.active()
        self._active.__enter__()

    def _leave(self) -> Run:
        assert self._run is not None  # noqa: S101 - a block is left after it was entered
        if self._active is not None:
            self._active.__exit__(None, None, None)
        return self._run
