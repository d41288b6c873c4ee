"""The runs of the demo: thirty days that end now, the same ones each time. Pure."""

import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from execution_history.demo.workflows import (
    CURRENCY,
    FETCH,
    INDEX,
    SYNC,
    TRANSLATION,
    WORKFLOWS,
    DemoFailure,
    DemoNode,
    DemoWorkflow,
    filled,
)
from execution_history.records.encoding import encode
from execution_history.records.proof import Proof
from execution_history.records.record import DEFAULTS, Document
from execution_history.records.time_units import DAY_MS, HOUR_MS
from execution_history.records.timeline import Node

DAYS: Final = 30
_NEWEST: Final = 90_000
"""Milliseconds before now at which the last run began, so that all have ended."""

_WEEKEND: Final = 5
_BUSY_HOURS: Final = range(1, 11)
"""In UTC: the working day of China and of Europe."""

_BROKEN: Final = 19
"""Of so many runs of the Python function one fails."""

_RECORDER: Final = "demo"
_PROOFS: Final = (Proof.ENVELOPE, Proof.DONE_EVENT, Proof.RUN_HISTORY)
_TAGS: Final = ("checked", "vip", "regression", "待跟进", "样例")
_PROGRAMS: Final = {"cozepy": ("0.20.0", "python"), "coze-js": ("1.3.9", "javascript"), "coze-go": ("0.1.0", "go"),
                    "coze-java": ("0.4.2", "java")}  # fmt: skip
_TRACEBACK: Final = """Traceback (most recent call last):
  File "shop/catalog.py", line 88, in fetch_pages
    page = client.get(url, timeout=10)
  File "httpx/_client.py", line 1054, in get
    return self.request("GET", url, **options)
httpx.ReadTimeout: The read operation timed out
"""


class DemoRuns:
    """Makes the records.

    Args:
        now: the end of the thirty days, in milliseconds since the epoch.
        upstream: the address that the runs of workflows went to.
        prices: the versions of the prices that runs are charged by, by workflow.
        seed: decides everything else.
    """

    def __init__(self, now: int, upstream: str, prices: Mapping[str, str], seed: int = 7) -> None:
        self._now, self._upstream, self._prices = now, upstream, prices
        self._chance = random.Random(seed)  # noqa: S311 - not for secrets

    def documents(self) -> Iterator[Document]:
        """Yield the documents of all runs, workflow by workflow."""
        for workflow in WORKFLOWS:
            for moment in self._moments(workflow.per_day):
                yield _document(self._run(workflow, moment, self._chance.choice(workflow.inputs)))
        for number, moment in enumerate(self._moments(3)):
            yield from map(_document, self._synchronisation(moment, is_broken=number % _BROKEN == 0))

    def _moments(self, per_day: float) -> Iterator[int]:
        """Yield when runs began: mostly in working hours, less at weekends."""
        for days in range(DAYS):
            end = self._now - _NEWEST - days * DAY_MS
            is_weekend = datetime.fromtimestamp(end / 1000, UTC).weekday() >= _WEEKEND
            for _ in range(round(per_day * self._chance.uniform(0.8, 1.2) * (0.35 if is_weekend else 1))):
                moment = end - int(self._chance.random() * DAY_MS)
                if moment // HOUR_MS % 24 not in _BUSY_HOURS and self._chance.random() < 0.7:  # noqa: PLR2004 - most
                    moment = end - int(self._chance.random() * DAY_MS)
                yield moment

    def _run(
        self, workflow: DemoWorkflow, moment: int, inputs: Mapping[str, Any], around: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the record of one run of *workflow*."""
        failure = self._failure(workflow, moment)
        is_open = failure is None and workflow.asks is not None and self._chance.random() < 0.04  # noqa: PLR2004 - few
        nodes, clock, usage = self._nodes(workflow, moment, inputs, failure, is_open=is_open)
        status = "failed" if failure else "interrupted" if is_open else "success"
        record = {
            **DEFAULTS,
            "execute_id": self._id(moment),
            "workflow_id": workflow.workflow_id,
            "create_time": moment,
            "update_time": clock,
            "execute_status": status,
            "input_parameters": dict(inputs),
            "run_mode": workflow.mode,
            "usage": {"input_count": usage[0], "output_count": usage[1], "token_count": sum(usage)},
            "node_execute_status": {node.name: node.to_json() for node in nodes},
            "metadata": {**self._metadata(workflow, usage, failure), **(around or {})},
        }
        if workflow.bot:
            record |= {"bot_id": workflow.bot, "conversation_id": f"74991{self._chance.randrange(40):014d}"}
        if failure:
            record |= {"error_code": failure.code, "error_message": failure.message}
        elif is_open:
            question = encode({"content_type": "text", "content": workflow.asks}).decode()
            asked = {"event_id": f"{self._id(moment)}/1", "type": 2, "data": question, "node_title": "Ask"}
            record["metadata"] |= {"proof": Proof.INTERRUPT_EVENT, "interrupt": asked}
        else:
            record["output"] = {workflow.answer_key: self._answer(nodes[-1].content)}
        return record

    def _answer(self, text: str) -> str:
        """Return what is put out; now and then it is very long."""
        return text * 400 if self._chance.random() < 0.004 else text  # noqa: PLR2004 - very few

    def _failure(self, workflow: DemoWorkflow, moment: int) -> DemoFailure | None:
        ago = (self._now - moment) / DAY_MS
        for failure in workflow.failures:
            begin, end = failure.days
            if end < ago <= begin and self._chance.random() < failure.share:
                return failure
        return None

    def _nodes(
        self,
        workflow: DemoWorkflow,
        moment: int,
        inputs: Mapping[str, Any],
        failure: DemoFailure | None,
        *,
        is_open: bool,
    ) -> tuple[list[Node], int, tuple[int, int]]:
        """Return the nodes up to the one that failed or asked, when the last one spoke, and the tokens."""
        clock, made, usage = moment + self._chance.randrange(40, 240), [], (0, 0)
        for number, planned in enumerate(workflow.nodes):
            node = self._node(planned, number, moment, clock, inputs)
            made.append(node)
            clock = (node.update_time or clock) + self._chance.randrange(3, 40)
            if failure is not None and failure.node == planned.title:
                node.is_finish, node.content = False, ""
                node.others = {"error_code": failure.code, "error_message": failure.message}
                break
            if planned.tokens != (0, 0):
                share = self._chance.uniform(0.7, 1.4)
                read, written = (round(count * share) for count in planned.tokens)
                node.usage = {"input_count": read, "output_count": written, "token_count": read + written}
                usage = (usage[0] + read, usage[1] + written)
        if is_open:
            made[-1] = self._node(DemoNode("Ask", "Question", 5, workflow.asks or ""), len(made), moment, clock, inputs)
        return made, clock, usage

    def _node(self, planned: DemoNode, number: int, moment: int, clock: int, inputs: Mapping[str, Any]) -> Node:
        """Return a node that begins to speak at *clock*, in up to twelve messages."""
        text = filled(planned.says, inputs)
        took = round(planned.ms * self._chance.lognormvariate(0, 0.35))
        node = Node(
            name=planned.title, node_id=f"{100 + number}001", node_title=planned.title, node_type=planned.kind,
            node_execute_uuid=self._id(clock), is_finish=True, start_time=clock, update_time=clock + took, content=text,
        )  # fmt: skip
        messages = min(12, 1 + took // 300) if planned.kind == "LLM" else 1
        for index in range(messages):
            at = clock - moment + took * index // max(1, messages - 1)
            node.add_packet(number * 12 + index + 1, at, len(text) // messages)
        return node

    def _metadata(self, workflow: DemoWorkflow, usage: Sequence[int], failure: DemoFailure | None) -> dict[str, Any]:
        chance = self._chance
        version, language = _PROGRAMS[workflow.caller]
        amount = round(sum(count * price for count, price in zip(usage, workflow.cny, strict=True)) / 1_000_000, 6)
        made: dict[str, Any] = {
            "account": workflow.account,
            "upstream": self._upstream,
            "caller": {"name": workflow.caller, "version": version, "language": language},
            "recorder": _RECORDER,
            "coze_execute_id": f"75{chance.randrange(10**17):017d}",
            "log_id": f"20{chance.randrange(10**28):028d}",
            "proof": Proof.ERROR_EVENT if failure and workflow.mode == 1 else _PROOFS[workflow.mode],
            "cost": {"amount": amount, "currency": CURRENCY, "price": self._prices[workflow.workflow_id]},
        }
        if chance.random() < 0.05:  # noqa: PLR2004 - some
            made["tags"] = chance.sample(_TAGS, chance.randrange(1, 3))
        if chance.random() < 0.03:  # noqa: PLR2004 - fewer
            made["rating"] = 2 if failure else chance.randrange(3, 6)
        if chance.random() < 0.004:  # noqa: PLR2004 - very few
            made |= {"pinned": True, "note": chance.choice(("Shown to the team on Monday.", "周一给团队看过。"))}
        return made

    def _synchronisation(self, moment: int, *, is_broken: bool) -> Iterator[dict[str, Any]]:
        """Yield the run of a Python function, and those that began within it."""
        outer = {"workflow_id": SYNC, "execute_id": self._id(moment)}
        around = {"parent": outer, "root": outer}
        fetched = self._function(FETCH, moment + 12, 900, {"since": "1h"}, {"pages": 18}, around, is_broken=is_broken)
        yield fetched
        end = int(fetched["update_time"])
        if not is_broken:
            for sku in self._chance.sample(TRANSLATION.inputs, 2):
                translated = self._run(TRANSLATION, end + 20, sku, around)
                yield translated
                end = translated["update_time"]
            written = self._function(INDEX, end + 15, 350, {"pages": 18}, {"written": 18}, around)
            yield written
            end = written["update_time"]
        took = end - moment + 8
        result = self._function(
            SYNC, moment, took, {"shop": "eu"}, {"updated": 18}, {}, is_broken=is_broken, exact=True
        )
        yield result | {"execute_id": outer["execute_id"]}

    def _function(
        self, name: str, moment: int, usual: int, inputs: object, output: object, around: Mapping[str, Any], *,
        is_broken: bool = False, exact: bool = False,
    ) -> dict[str, Any]:  # fmt: skip
        took = usual if exact else round(usual * self._chance.lognormvariate(0, 0.3))
        metadata = {
            "recorded_as": "function", "recorder": _RECORDER, "duration_ms": took + 0.25, **around,
            "proof": Proof.RAISED if is_broken else Proof.RETURNED, **({"traceback": _TRACEBACK} if is_broken else {}),
        }  # fmt: skip
        error = {"error_code": "ReadTimeout", "error_message": "The read operation timed out"} if is_broken else {}
        return {
            **DEFAULTS, "execute_id": self._id(moment), "workflow_id": name, "create_time": moment,
            "update_time": moment + took, "execute_status": "failed" if is_broken else "success", "run_mode": 0,
            "input_parameters": inputs, "output": None if is_broken else output, "metadata": metadata, **error,
        }  # fmt: skip

    def _id(self, moment: int) -> str:
        """Return an id as runs of that time have it, a UUID of version 7."""
        digits = f"{moment:012x}7{self._chance.randrange(16**3):03x}a{self._chance.randrange(16**15):015x}"
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _document(record: dict[str, Any]) -> Document:
    return Document.of(record, encode(record))
