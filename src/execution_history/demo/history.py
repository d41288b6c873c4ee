"""Fills a history with the demo, and lets a sandbox play its workflows."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import AsyncExitStack, suppress
from itertools import islice
from typing import Any, Final

from execution_history.coze import CozeRunner
from execution_history.demo.runs import DemoRuns
from execution_history.demo.workflows import CURRENCY, FUNCTIONS, WORKFLOWS, DemoNode, DemoWorkflow, filled
from execution_history.history.service import ExecutionHistoryService
from execution_history.records.encoding import encode
from execution_history.sandbox import WORKFLOWS as OF_SANDBOX
from execution_history.sandbox import Workflow
from execution_history.sandbox.scripts import QUESTION_INTERRUPT, pieces, say
from execution_history.sandbox.steps import Ask, Finished, Inputs, Node, Script, Step, Usage

ACCOUNTS: Final = ("default", "china")
"""The accounts of the demo; all call its sandbox."""

_BATCH: Final = 250
_BUDGET: Final = 40
_INDEXING_SECONDS: Final = 10
_PACKETS: Final = 8
_ASKING, _RUNNING = WORKFLOWS[5], WORKFLOWS[4]
_SLOW_MS: Final = 12_000


async def fill(service: ExecutionHistoryService, upstream: str, now: int) -> None:
    """Write runs, names and prices of the demo; the runs went to *upstream* and end at *now* (milliseconds).

    Raises:
        StoreError: they could not be written.
    """
    prices = {each.workflow_id: await _priced(service, each) for each in WORKFLOWS}
    await service.set_budget(_BUDGET, CURRENCY)
    documents = DemoRuns(now, upstream, prices).documents()
    while batch := list(islice(documents, _BATCH)):
        await service.merge(batch, settle=False)
    named = [(each.workflow_id, each.name, each.description) for each in WORKFLOWS]
    named += [(workflow_id, *names) for workflow_id, names in FUNCTIONS.items()]
    await service.learn_names(named, "demo")
    await service.name_workflow(WORKFLOWS[0].workflow_id, starred=True)
    with suppress(TimeoutError):  # whoever looks sooner is told that it is being indexed
        async with asyncio.timeout(_INDEXING_SECONDS):
            await service.follow_index()


async def _priced(service: ExecutionHistoryService, workflow: DemoWorkflow) -> str:
    """Set the price of a workflow, and return its version."""
    read, written = (cny / 1_000 for cny in workflow.cny)
    price = {"workflow": workflow.workflow_id, "input": read, "output": written, "currency": CURRENCY}
    return (await service.set_price(price)).version


def playable() -> Mapping[str, Workflow]:
    """Return what the sandbox of the demo can run: its workflows, and those of every sandbox."""
    own = (Workflow(each.workflow_id, each.name, each.description, _script(each)) for each in WORKFLOWS)
    return {**{each.workflow_id: each for each in own}, **OF_SANDBOX}


def begin_runs(runner: CozeRunner, stack: AsyncExitStack) -> None:
    """Begin a run that goes on for some minutes and one that asks a question, which can be answered."""
    for workflow, pace_ms in ((_ASKING, 0), (_RUNNING, _SLOW_MS)):
        parameters = {**workflow.inputs[0], "pace_ms": pace_ms}
        frames = runner.stream_workflow(workflow.workflow_id, parameters, account_id=workflow.account)
        task = asyncio.create_task(_read(frames))
        stack.callback(task.cancel)


async def _read(frames: AsyncGenerator[dict[str, Any], None]) -> None:
    async for _ in frames:
        pass


def _script(workflow: DemoWorkflow) -> Script:
    """Return the steps of *workflow*: what its nodes say, its question where it has one, and its output."""

    def steps(inputs: Inputs) -> Iterator[Step]:
        *nodes, last = workflow.nodes
        if not inputs.answers:
            for number, planned in enumerate(nodes):
                yield from _said(planned, number, inputs)
        if workflow.asks is not None and not inputs.answers:
            node = Node("190001", "Ask", "Question")
            yield from say(inputs, node, [workflow.asks])
            yield Ask(node, QUESTION_INTERRUPT, encode({"content_type": "text", "content": workflow.asks}).decode())
            return
        # Coze says what a run has used with the last message.
        total = Usage(*map(sum, zip(*(each.tokens for each in workflow.nodes), strict=True)))
        yield from _said(last, len(nodes), inputs, total)
        output = {workflow.answer_key: filled(last.says, inputs.parameters)}
        yield Finished(encode(output | ({"answer": inputs.answers[-1]} if inputs.answers else {})).decode())

    return steps


def _said(planned: DemoNode, number: int, inputs: Inputs, total: Usage | None = None) -> Iterator[Step]:
    """Yield what a node says, in some packets, with the tokens that it used, or *total*."""
    node = Node(f"{100 + number}001", planned.title, planned.kind)
    usage = total or (Usage(*planned.tokens) if planned.tokens != (0, 0) else None)
    yield from say(inputs, node, pieces(filled(planned.says, inputs.parameters), _PACKETS) or [""], usage)
