"""``record``: what happens inside a ``with`` or ``async with`` block is a run in the history."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from execution_history.functions.options import plan_for
from execution_history.functions.plan import MODE_CALL, MODE_STREAM
from execution_history.functions.run import Run

if TYPE_CHECKING:
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
        is_recorded: whether the block is recorded at all.
        bot_id: the bot it runs for.
        conversation_id: the conversation it belongs to.
        streams: whether the block says its output piece by piece: the record then has ``run_mode`` 1, and its progress
            is saved while it runs.

    Raises:
        InvalidIdentifier: the workflow id cannot be one.
        StoreError: at the beginning of the block, where recording is required and cannot be done.
        SettingsError: there, too, where recording is required and a setting is wrong.
    """

    def __init__(
        self,
        workflow_id: str,
        parameters: object = None,
        *,
        service: "ExecutionHistoryService | None" = None,
        recorder: "Recorder | None" = None,
        tags: Iterable[str] = (),
        metadata: Mapping[str, object] | None = None,
        redact: Iterable[str] = (),
        capture_input: bool = True,
        capture_output: bool = True,
        is_recorded: bool = True,
        bot_id: str | None = None,
        conversation_id: str | None = None,
        streams: bool = False,
    ) -> None:
        self._plan = plan_for(
            workflow_id,
            service=service,
            recorder=recorder,
            title=workflow_id,
            kind="block",
            run_mode=MODE_STREAM if streams else MODE_CALL,
            tags=tags,
            metadata=metadata,
            redact=redact,
            capture_input=capture_input,
            capture_output=capture_output,
            record=is_recorded,
            bot_id=bot_id,
            conversation_id=conversation_id,
        )
        self._parameters = {} if parameters is None else parameters
        self._run: Run | None = None

    def __enter__(self) -> Run:
        return self._begin().__enter__()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._run is not None:
            self._run.__exit__(kind, error, trace)

    async def __aenter__(self) -> Run:
        return await self._begin().__aenter__()

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._run is not None:
            await self._run.__aexit__(kind, error, trace)

    def _begin(self) -> Run:
        if self._run is not None:
            raise RuntimeError("A block is recorded once: call record(…) again for the next one.")
        self._run = Run(self._plan, self._parameters)
        return self._run
