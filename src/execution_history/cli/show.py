"""The command ``show``: one run, from its headline down to the messages of every node."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from execution_history.cli.open_history import open_history
from execution_history.cli.options import ExecuteId, WorkflowOption, command
from execution_history.cli.output import Cell, aligned, cropped
from execution_history.cli.run_pages import shape_of
from execution_history.cli.run_reporter import answer_lines, question_lines
from execution_history.cli.session import Session
from execution_history.cli.tag import annotation_rows
from execution_history.cli.trace_lines import show_trace
from execution_history.cli.workflow_text import workflow_text
from execution_history.clock import now_ms
from execution_history.errors import N_
from execution_history.presentation import phrases, redaction_sentences
from execution_history.presentation.dialogue import SPEAKERS, dialogue_of
from execution_history.presentation.formatting import as_text, cost_text, duration, exact, grouped, one_line, visible
from execution_history.presentation.headlines import headline_of
from execution_history.presentation.phrases import enumerated, labelled, remarked
from execution_history.presentation.translator import Translator
from execution_history.recording.process_identity import is_dead
from execution_history.records import metadata
from execution_history.records.attributes import (
    RunAttributes,
    attributes_of,
    caller_text,
    may_have_run,
    names_of_failed_node,
)
from execution_history.records.origin import is_function
from execution_history.records.timeline import Node, timed_nodes
from execution_history.records.usage import usage_of

_MOST_CHARACTERS: Final = 8_000
_AXIS: Final = 24
_LEAST_WIDTH_FOR_AXIS: Final = 96
_LONGEST_TITLE: Final = 32
_LONGEST_CONTENT: Final = 400

Record = dict[str, Any]


@command()
async def show(
    session: Session,
    execute_id: ExecuteId,
    workflow: WorkflowOption = None,
    full: Annotated[
        bool, typer.Option("--full", help=N_("Show inputs, outputs and node texts in full, however long."))
    ] = False,
    trace: Annotated[
        bool, typer.Option("--trace", help=N_("Show the runs around it and within it as a tree instead."))
    ] = False,
) -> None:
    """Show one record, or print it as the JSON that is stored."""
    async with open_history(session) as history:
        record: Record = dict(await history.run(execute_id, workflow))
        if trace:
            found = await history.service.trace(record["workflow_id"], record["execute_id"])
            show_trace(session, found, await history.service.names())
            return
        stored = await history.service.detail_bytes(record["workflow_id"], record["execute_id"])
        workflow = workflow_text(record["workflow_id"], await history.service.names(), is_brief=False)
    if session.as_json:
        session.output.document(stored if stored is not None else record)
        return
    _show_headline(session, record)
    session.output.lines(aligned([*_facts(session, record, workflow), *annotation_rows(session.translate, record)]))
    _show_missing(session, record)
    _show_hint(session, record)
    _show_question(session, record)
    _show_dialogue(session, record)
    if traceback := metadata.TRACEBACK.of(record):
        session.output.heading(session.translate("Traceback"))
        session.output.text(traceback if traceback.endswith("\n") else traceback + "\n")
    cuts, _ = _cuts(record), session.translate
    _show_value(session, _("Input"), record["input_parameters"], full=full)
    _show_cut(session, cuts.pop("input_parameters", None))
    _show_value(session, _("Output"), record["output"], full=full)
    _show_cut(session, cuts.pop("output", None))
    _show_nodes(session, record, full=full)
    _show_cut(session, cuts.pop("node_execute_status", None))
    known = metadata.metadata_of(record)
    others = {key: known[key] for key in known if metadata.Use.PLACED not in metadata.uses_of(key)}
    _show_value(session, _("Other metadata"), others, full=full)
    for name, size in cuts.items():
        _show_cut(session, size, one_line(name, 200))


def _show_missing(session: Session, record: Record) -> None:
    """Show what the record has not, because a rule took it out."""
    if missing := redaction_sentences.missing(session.translate, record):
        session.output.answer()
        for sentence in missing:
            session.output.answer(sentence, style="yellow")


def _show_headline(session: Session, record: Record) -> None:
    status = record["execute_status"]
    shape, colour = shape_of(status)
    found = headline_of(record, attributes_of(record), now_ms())
    headline = found.translated(session.translate)
    if found.reason:
        headline = session.translate.message(labelled(headline, found.reason))
    session.output.answer(f"{shape} {headline}", style=f"bold {colour}")
    if may_have_run(record):
        for sentence in phrases.LOST_RESULT:
            session.output.answer(session.translate(sentence), style="yellow")
    recorder = metadata.RECORDER.of(record)
    if status == "running" and recorder is not None and is_dead(recorder):
        session.output.answer(
            session.translate(
                "The program that recorded this run is gone; the next `serve` or `run` on this store "
                "settles its status."
            ),
            style="yellow",
        )
    session.output.answer()


def _facts(session: Session, record: Record, workflow: str) -> list[list[Cell]]:
    """Return the facts of the run as rows of name and value; an unknown one has no row."""
    _, known, proof = session.translate, attributes_of(record), metadata.PROOF.of(record)
    mode = phrases.mode_words(_, record)
    facts = {
        "execute_id": record["execute_id"],
        "workflow_id": workflow,
        "create_time": exact(record["create_time"]),
        "update_time": exact(record["update_time"]),
        "proof": metadata.PROOF.raw(record)
        if proof is None
        else _.message(labelled(proof, phrases.proof_sentence(_, record))),
        "recorded_as" if is_function(record) else "run_mode": record["run_mode"] if mode is None else mode,
        "tokens": _tokens(session, known),
        "cost": cost_text(record),
        "account": metadata.ACCOUNT.raw(record),
        "caller": caller_text(record),
        "bot_id": record["bot_id"],
        "conversation_id": record["conversation_id"],
        "connector_uid": record["connector_uid"],
        "connector_id": record["connector_id"],
        "coze_execute_id": metadata.COZE_EXECUTE_ID.raw(record),
        "log_id": metadata.LOG_ID.raw(record),
        "debug_url": record["debug_url"],
        "is_output_trimmed": _("truncated by Coze") if record["is_output_trimmed"] is True else None,
    }
    return [
        [Cell(f"  {_(phrases.FACTS[name])}", "dim"), Cell(one_line(as_text(value), 2_000))]
        for name, value in facts.items()
        if value not in (None, "")
    ]


def _show_hint(session: Session, record: Record) -> None:
    """Show how to compare a failed run with the last success; only to people at a terminal."""
    if record["execute_status"] == "failed" and session.output.width is not None:
        command = session.command("diff", record["execute_id"])
        session.output.answer()
        session.output.answer(
            session.translate("To compare it with the last success before it: %(command)s", command=command),
            style="dim",
        )


def _tokens(session: Session, known: RunAttributes) -> str:
    total, read, written = map(grouped, (known.tokens, known.input_tokens, known.output_tokens))
    parts = phrases.token_parts(session.translate, read, written)
    return session.translate.message(remarked(total, parts)) if read and written else total


def _show_question(session: Session, record: Record) -> None:
    interrupt = metadata.INTERRUPT.of(record)
    if record["execute_status"] != "interrupted" or interrupt is None or is_function(record):
        return
    lines = question_lines(session, interrupt)
    lines += answer_lines(session, record)
    session.output.answer()
    session.output.lines(lines)


def _show_dialogue(session: Session, record: Record) -> None:
    """Show what was asked and answered, and the messages of a chat: a line about each, then what was said."""
    turns, _ = dialogue_of(record), session.translate
    if turns:
        session.output.heading(_("Questions and answers"))
    for turn in turns:
        said = [_(SPEAKERS[turn.kind]), turn.by or "", "" if turn.at is None else exact(turn.at)]
        said += [] if turn.waited_ms is None else [_("after %(waited)s", waited=duration(turn.waited_ms))]
        session.output.answer("  " + "  ".join(visible(part) for part in said if part), style="dim")
        for line in (turn.text or _("It asked for values.")).splitlines():
            session.output.answer(f"    {line}")
        if turn.outcome:
            sentence = _("The run did not go on with this answer: %(outcome)s", outcome=turn.outcome)
            session.output.answer(f"    {sentence}", style="yellow")


def _show_nodes(session: Session, record: Record, *, full: bool) -> None:
    lines = _node_lines(session.translate, record, session.output.width, full=full)
    if lines is None:
        _show_value(session, session.translate("Nodes"), record["node_execute_status"], full=full)
        return
    session.output.heading(session.translate("Nodes"))
    session.output.lines(lines)


def _show_value(session: Session, head: str, value: object, *, full: bool) -> None:
    """Show a value under its heading, cut where it is long; nothing when there is none."""
    if value in (None, {}, []):
        return
    session.output.heading(head)
    text = as_text(value)
    shown = text if full else text[:_MOST_CHARACTERS]
    session.output.text(shown if shown.endswith("\n") else shown + "\n")
    if len(shown) < len(text):
        session.output.answer(
            session.translate.plural(
                "… %(num)s more character; --full shows it, --json prints the record as stored.",
                "… %(num)s more characters; --full shows them, --json prints the record as stored.",
                len(text) - len(shown),
            ),
            style="dim",
        )


def _cuts(record: Record) -> dict[str, object]:
    """Return the keys that were cut at recording, each with its former size; true for an answer too large to keep."""
    known = metadata.RECORDING_IS_CUT.of(record)
    return {"output": True} if known is True else dict(known) if isinstance(known, dict) else {}


def _show_cut(session: Session, size: object, name: str = "") -> None:
    """Show that a value was cut, where it was."""
    if size is not None:
        shown = f"{grouped(size)} B" if isinstance(size, int) else one_line(as_text(size), 40)
        sentence = phrases.cut_sentence(session.translate, None if size is True else shown)
        sentence = session.translate.message(labelled(name, sentence)) if name else sentence
        session.output.answer(sentence, style="yellow")


def _node_lines(_: Translator, record: Mapping[str, Any], width: int | None, *, full: bool) -> list[Text] | None:
    """Return the lines of a record's timeline.

    ``None`` when it is not a timeline of ours (Coze's own has other keys), to be shown as it is.
    """
    began = record["create_time"]
    known = timed_nodes(record["node_execute_status"], began)
    if not known:
        return None
    failed = names_of_failed_node(record)[:1]
    end = max(node.ended for node in known)
    has_axis = (width is None or width >= _LEAST_WIDTH_FOR_AXIS) and end > began
    rows = [
        _row(_, node, began, end if has_axis else None, is_failed=node.name in failed or node.error != "")
        for node in known
    ]
    lines: list[Text] = []
    for node, line in zip(known, aligned(rows), strict=True):
        lines.append(cropped(line, width))
        for text, style in ((node.text, "dim"), (node.error, "red")):
            if full:
                lines += [Text("    " + part, "" if style == "dim" else style) for part in visible(text).splitlines()]
            elif text:
                lines.append(cropped(Text("    " + one_line(text, _LONGEST_CONTENT), style=style), width or 120))
    return lines


def _row(_: Translator, node: Node, began: int, axis_end: int | None, *, is_failed: bool) -> list[Cell]:
    is_finished, count, length = node.is_finish is not False, node.packet_count, len(node.text)
    used = usage_of(node.usage).total
    name, kind = one_line(node.name, _LONGEST_TITLE), one_line(node.node_type or "", _LONGEST_TITLE)
    row = [Cell(f"  {name}"), Cell(kind, "dim"), Cell(f"+{duration(node.started - began)}", "dim", right=True)]
    if axis_end is not None:
        row.append(Cell(_bar(node.started - began, node.ended - began, axis_end - began), "blue"))
    row.append(Cell(duration(node.took_ms), right=True))
    parts = [] if count is None else [_.plural("%(num)s message", "%(num)s messages", count)]
    parts += [_.plural("%(num)s character", "%(num)s characters", length)]
    parts += [] if used is None else [_.plural("%(num)s token", "%(num)s tokens", used)]
    parts += [] if is_finished or is_failed else [_("unfinished")]
    parts += [_("failed")] if is_failed else []
    row.append(Cell(_.message(enumerated(parts)), "red" if is_failed else "" if is_finished else "yellow"))
    return row


def _bar(start: int, end: int, length: int) -> str:
    """Return the time from *start* to *end* as a bar on an axis of *length*; never less than one mark."""
    first = min(_AXIS - 1, max(0, start * _AXIS // length))
    last = min(_AXIS, max(first + 1, -(-end * _AXIS // length)))
    return "·" * first + "━" * (last - first) + "·" * (_AXIS - last)
