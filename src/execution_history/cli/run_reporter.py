"""Report a run while it goes on and when it has ended: to people as text, to programs as JSON lines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from execution_history.cli.run_pages import status_cell
from execution_history.cli.session import Session
from execution_history.clock import now_ms
from execution_history.coze.protocol.answers import open_question
from execution_history.errors import N_
from execution_history.presentation.formatting import as_text, duration, error_text, one_line, question_text, visible
from execution_history.presentation.phrases import enumerated, labelled, remarked
from execution_history.records.attributes import attributes_of
from execution_history.records.metadata import INTERRUPT
from execution_history.records.record import ExecutionRecord

Frame = Mapping[str, Any]


@dataclass(slots=True)
class Ending:
    """The end of a run, as far as its frames or its result, and its record where there is one, describe it.

    ``waits`` is true while steps of the run still wait to be recorded, ``is_left_out`` of a run that a rule leaves out.
    """

    workflow_id: str
    execute_id: str = ""
    status: str = "failed"
    error_message: str | None = None
    output: Any = None
    interrupt: Any = None
    record: ExecutionRecord | None = None
    streamed: bool = True
    waits: bool = False
    is_left_out: bool = False

    def update(self, frame: Frame) -> None:
        """Update the ending from a frame of the stream; the last frame with a status counts."""
        data = frame["data"]
        if frame["event"] == "workflow_started":
            self.execute_id = data["execution_id"]
        elif frame["event"] == "error":
            self.status, self.error_message = "failed", data["message"]
        elif data["status"] is not None:
            self.status = data["status"]
        if data.get("type") == "Interrupt" and isinstance(data["data"], dict):
            self.interrupt = data["data"].get("interrupt_data") or {}

    def update_from_result(self, result: Mapping[str, Any] | None) -> None:
        """Update the ending from the result of a run that was not streamed; ``None`` where another call received it."""
        if result is not None:
            self.execute_id, self.status = result["execution_id"], result["status"]
            self.error_message, self.output, self.streamed = result["error_message"], result["output_data"], False

    def settle(self, record: ExecutionRecord | None) -> None:
        """Keep the record; its status counts unless it is running, as the end may just not be written yet."""
        self.record = record
        if record is not None and record["execute_status"] != "running":
            self.status = record["execute_status"]

    def summary(self) -> dict[str, Any]:
        """Return the ending as JSON for programs."""
        record = self.record
        return {
            "workflow_id": self.workflow_id,
            "execution_id": self.execute_id,
            "status": self.status,
            "output_data": self.output if record is None else record["output"],
            "error_code": None if record is None else record["error_code"],
            "error_message": self.error_message if record is None else record["error_message"],
            "conversation_id": None if record is None else record["conversation_id"],
            "duration_ms": None if record is None else attributes_of(record).elapsed_ms(now_ms()),
            "usage": None if record is None else record["usage"],
            "interrupt": self.open_interrupt() or None,
            "recorded": record is not None,
        }

    def open_interrupt(self) -> dict[str, Any]:
        """Return the interrupt as Coze described it, empty when there is none."""
        interrupt = self.interrupt if self.record is None else INTERRUPT.of(self.record)
        return interrupt if isinstance(interrupt, dict) else {}


class RunReporter:
    """Prints every frame as a line of JSON for programs; for people the messages of the nodes, as they arrive.

    The names of the nodes go to the standard error.

    Args:
        session: where to print.
        embedded: whether the upstream is a sandbox that ends with the run.
    """

    def __init__(self, session: Session, *, embedded: bool = False) -> None:
        self._session = session
        self._embedded = embedded
        self._node: object = None
        self._is_line_open = False

    def report(self, frame: Frame) -> None:
        """Report a frame of the stream."""
        if self._session.as_json:
            self._session.output.json_line(frame)
        elif frame["event"] == "data" and isinstance(message := frame["data"].get("message"), dict):
            node = message.get("node_execute_uuid") or message.get("node_id") or message.get("node_title")
            if node != self._node:
                self._end_line()
                self._session.output.remark(one_line(str(message.get("node_title") or node)), style="dim")
                self._node = node
            if content := str(message.get("content") or ""):
                self._session.output.text(content)
                self._is_line_open = not content.endswith("\n")

    def stopped(self, execute_id: str) -> None:
        """Report that the run was stopped by a signal; its record is closed."""
        self._end_line()
        if execute_id:
            self._session.notice(
                "Stopped. Run %(execute_id)s is recorded up to this point; the workflow may still be running at Coze.",
                execute_id=execute_id,
            )
        else:
            self._session.notice("Stopped before the run started.")

    def ended(self, ending: Ending, problems: Sequence[str]) -> None:
        """Report that the run has ended, with the recorder's *problems*, of this run or of others."""
        output = self._session.output
        if not self._session.as_json:
            self._end_line()
            self._show_end(ending)
        elif ending.streamed:
            output.json_line({"event": "finished", "data": ending.summary(), "timestamp": now_ms()})
        else:
            output.document(ending.summary())
        self._show_problems(ending, problems)

    def _end_line(self) -> None:
        if self._is_line_open:
            self._is_line_open = False
            self._session.output.text("\n")

    def _show_end(self, ending: Ending) -> None:
        output = self._session.output
        if not ending.streamed and ending.output is not None:
            output.text(as_text(ending.output) + "\n")
        output.remark(_last_line(self._session, ending))
        message = ending.error_message if ending.record is None else error_text(dict(ending.record))
        if message:
            output.remark(message, style="red" if ending.status == "failed" else "")
        if ending.status == "interrupted" and (interrupt := ending.open_interrupt()):
            lines = question_lines(self._session, interrupt)
            if self._embedded:
                hint = self._session.translate(
                    "The embedded sandbox forgets its questions when the run ends; with `execution-history "
                    "serve --sandbox` they can be answered later."
                )
                lines.append(hint)
            else:
                lines += answer_lines(self._session, ending.record)
            for line in lines:
                output.remark(line)

    def _show_problems(self, ending: Ending, problems: Sequence[str]) -> None:
        """Show why this run is not recorded (the first of the *problems* where it waits), then the other problems."""
        is_explained = ending.waits and bool(problems)
        if ending.record is None and ending.is_left_out:
            self._session.notice("This run is not recorded: the setting recording leaves it out.", style="dim")
        elif ending.record is None and not is_explained:
            self._session.notice("This run could not be recorded.", style="yellow")
        for number, problem in enumerate(problems):
            sentence = N_("The history needs attention: %(problem)s")
            if is_explained and number == 0:
                sentence = N_("This run could not be recorded: %(problem)s")
            self._session.notice(sentence, problem=problem, style="yellow")


def _last_line(session: Session, ending: Ending) -> Text:
    """Return status, execute id, duration and tokens on one line."""
    status = status_cell(session.translate, ending.status)
    parts = [visible(ending.execute_id)]
    if ending.record is not None:
        known = attributes_of(ending.record)
        parts.append(duration(known.elapsed_ms(now_ms())))
        if (count := known.tokens) is not None:
            parts.append(session.translate.plural("%(num)s token", "%(num)s tokens", count))
    return Text.assemble((status.text, status.style), *(f"  {part}" for part in parts))


def question_lines(session: Session, interrupt: Mapping[str, Any]) -> list[str]:
    """Return the question and the fields that the answer must fill in, as far as *interrupt* describes them."""
    question = question_text(interrupt)
    first = (
        session.translate("The workflow asks: %(question)s", question=question)
        if question
        else session.translate("The workflow is waiting for an answer.")
    )
    fields = interrupt.get("required_parameters")
    described = fields.items() if isinstance(fields, dict) else ()
    return [first, *(_field(session, str(name), field) for name, field in described)]


def answer_lines(session: Session, record: Mapping[str, Any] | None) -> list[str]:
    """Return how to answer a recorded run later: a command that can be copied; nothing where that is not possible."""
    if record is None or open_question(record) is None:
        return []
    command = session.command("resume", record["execute_id"], "…")
    return [session.translate("To answer: %(command)s", command=command)]


def _field(session: Session, name: str, field: object) -> str:
    facts: dict[str, Any] = field if isinstance(field, dict) else {}
    kind = [str(facts["type"])] if facts.get("type") else []
    kind += [session.translate("required")] if facts.get("required") else []
    shown = remarked(name, enumerated(kind)) if kind else name
    shown = labelled(shown, str(facts["description"])) if facts.get("description") else shown
    return "  " + one_line(session.translate.message(shown), 500)
