"""What ``run`` tells while a workflow runs and when it has ended: to people as text, to programs as JSON lines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rich.text import Text

from execution_history.cli.interrupts import answer_lines, question_lines
from execution_history.cli.list import status_cell
from execution_history.cli.session import Session
from execution_history.clock import now_ms
from execution_history.errors import N_
from execution_history.presentation.terminal_formatting import (
    as_text,
    duration,
    error_text,
    grouped,
    one_line,
    visible,
)
from execution_history.records.attributes import attributes_of
from execution_history.records.metadata import INTERRUPT
from execution_history.records.record import ExecutionRecord

Frame = Mapping[str, Any]


@dataclass(slots=True)
class Ending:
    """What is known of a run's end: from its frames, and from its record where there is one.

    ``waits`` says that steps of the run still wait to be recorded.
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

    def take(self, frame: Frame) -> None:
        """Learn from a frame of the stream; the last one that names a status is right."""
        data = frame["data"]
        if frame["event"] == "workflow_started":
            self.execute_id = data["execution_id"]
        elif frame["event"] == "error":
            self.status, self.error_message = "failed", data["message"]
        elif data["status"] is not None:
            self.status = data["status"]
        if data.get("type") == "Interrupt" and isinstance(data["data"], dict):
            self.interrupt = data["data"].get("interrupt_data") or {}

    def settle(self, record: ExecutionRecord | None) -> None:
        """Take the record, which has the last word; what still runs there may only not have been written yet."""
        self.record = record
        if record is not None and record["execute_status"] != "running":
            self.status = record["execute_status"]

    def summary(self) -> dict[str, Any]:
        """Return the ending as programs get it."""
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
            "interrupt": self.asked() or None,
            "recorded": record is not None,
        }

    def asked(self) -> dict[str, Any]:
        """Return the interrupt as Coze described it, empty when there is none."""
        asked = self.interrupt if self.record is None else INTERRUPT.of(self.record)
        return asked if isinstance(asked, dict) else {}


class Telling(Protocol):
    """Somebody who listens to a run."""

    def take(self, frame: Frame) -> None:
        """Handle a frame that has come."""

    def unheard(self) -> None:
        """Nobody reads the standard output any more; nothing more is said there."""

    def stopped(self) -> None:
        """Handle that the run was stopped by a signal; its record is closed."""

    def ended(self, ending: Ending, problems: Sequence[str]) -> None:
        """Handle that the run has ended; *problems* are the recorder's, with this run or with others."""


def telling_of(session: Session, *, embedded: bool) -> Telling:
    """Who tells in this session; *embedded* says that the upstream is a sandbox that ends with the run."""
    return _ToPrograms(session) if session.as_json else _ToPeople(session, embedded=embedded)


class _ToPrograms:
    """Writes every frame as a line of JSON, and at the end one more with the event ``finished``."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._execute_id = ""

    def take(self, frame: Frame) -> None:
        self._execute_id = self._execute_id or frame["data"].get("execution_id", "")
        self._session.output.json_line(frame)

    def unheard(self) -> None:
        self._session.output.forget_answers()

    def stopped(self) -> None:
        _say_stopped(self._session, self._execute_id)

    def ended(self, ending: Ending, problems: Sequence[str]) -> None:
        if ending.streamed:
            self._session.output.json_line({"event": "finished", "data": ending.summary(), "timestamp": now_ms()})
        else:
            self._session.output.document(ending.summary())
        _say_problems(self._session, ending, problems)


class _ToPeople:
    """Writes what the nodes say as they say it; whose words they are goes to the standard error."""

    def __init__(self, session: Session, *, embedded: bool) -> None:
        self._session = session
        self._embedded = embedded
        self._execute_id = ""
        self._node: object = None
        self._is_line_open = False

    def take(self, frame: Frame) -> None:
        data = frame["data"]
        if frame["event"] == "workflow_started":
            self._execute_id = data["execution_id"]
        message = data.get("message") if frame["event"] == "data" else None
        if isinstance(message, dict):
            node = message.get("node_execute_uuid") or message.get("node_id") or message.get("node_title")
            if node != self._node:
                self._end_line()
                self._session.output.remark(one_line(str(message.get("node_title") or node)), style="dim")
                self._node = node
            self._say(str(message.get("content") or ""))

    def _say(self, words: str) -> None:
        if words:
            self._session.output.text(words)
            self._is_line_open = not words.endswith("\n")

    def _end_line(self) -> None:
        if self._is_line_open:
            self._is_line_open = False
            self._session.output.text("\n")

    def unheard(self) -> None:
        self._session.output.forget_answers()

    def stopped(self) -> None:
        self._end_line()
        _say_stopped(self._session, self._execute_id)

    def ended(self, ending: Ending, problems: Sequence[str]) -> None:
        session = self._session
        self._end_line()
        if not ending.streamed and ending.output is not None:
            session.output.text(as_text(ending.output) + "\n")
        session.output.remark(_last_line(session, ending))
        message = ending.error_message if ending.record is None else error_text(dict(ending.record))
        if message:
            session.output.remark(message, style="red" if ending.status == "failed" else "")
        if ending.status == "interrupted" and ending.asked():
            self._say_question(ending)
        _say_problems(session, ending, problems)

    def _say_question(self, ending: Ending) -> None:
        session, asked = self._session, ending.asked()
        lines = question_lines(session, asked)
        if self._embedded:
            lines.append(
                session.translate(
                    "The embedded sandbox forgets its questions when the run ends; with `execution-history "
                    "serve --sandbox` they can be answered later."
                )
            )
        else:
            lines += answer_lines(session, ending.execute_id, asked)
        for line in lines:
            session.output.remark(line)


def _last_line(session: Session, ending: Ending) -> Text:
    """Status, execute id, duration and tokens, on one line."""
    status = status_cell(session.translate, ending.status)
    line = Text(status.text, style=status.style).append(f"  {visible(ending.execute_id)}", style="default")
    if ending.record is not None:
        known = attributes_of(ending.record)
        line.append(f"  {duration(known.elapsed_ms(now_ms()))}", style="default")
        if (count := known.tokens) is not None:
            line.append(
                "  " + session.translate.plural("%(num)s token", "%(num)s tokens", count, num=grouped(count)),
                style="default",
            )
    return line


def _say_stopped(session: Session, execute_id: str) -> None:
    if execute_id:
        session.output.remark(
            session.translate(
                "Stopped. Run %(execute_id)s is recorded up to this point; the workflow may still be running at Coze.",
                execute_id=execute_id,
            )
        )
    else:
        session.output.remark(session.translate("Stopped before the run started."))


def _say_problems(session: Session, ending: Ending, problems: Sequence[str]) -> None:
    """Why the run waits comes first among the *problems*; all the others are of the history, whatever the run."""
    is_explained = ending.waits and bool(problems)
    if ending.record is None and not is_explained:
        session.output.remark(session.translate("This run could not be recorded."), style="yellow")
    for number, problem in enumerate(problems):
        sentence = N_("The history needs attention: %(problem)s")
        if is_explained and number == 0:
            sentence = N_("This run could not be recorded: %(problem)s")
        session.output.remark(session.translate(sentence, problem=problem), style="yellow")
