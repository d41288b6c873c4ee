"""Pages of runs, as ``list`` and ``search`` show them, and the remarks about them."""

from collections.abc import Sequence
from datetime import tzinfo
from typing import Any, Final

from rich.text import Text

from execution_history.cli.output import Cell, aligned, cropped, on_one_line_or_two, shortened_to
from execution_history.cli.session import Session
from execution_history.cli.workflow_text import Names, workflow_text
from execution_history.clock import now_ms
from execution_history.errors import N_
from execution_history.history.answers import damaged_of, reach_entry
from execution_history.presentation.formatting import brief_clock, clock, duration, gist, grouped, one_line, short_id
from execution_history.presentation.index_notice import index_notice
from execution_history.presentation.phrases import enumerated, status_word
from execution_history.presentation.run_columns import NUMBERS, RUN_COLUMNS, column_text
from execution_history.presentation.translator import Translator
from execution_history.query.model import IndexReach, RecordKey, Selection
from execution_history.records.attributes import attributes_of
from execution_history.records.partial import outline_of

DEFAULT_PAGE_SIZE: Final = 20
LONGEST_GIST: Final = 200
_SHAPES: Final = {
    "success": ("●", "green"),
    "running": ("◐", "blue"),
    "failed": ("✕", "red"),
    "interrupted": ("◇", "yellow"),
}
_MOST_NAMED: Final = 10
_FACTS: Final = ("status", "started", "duration", "tokens", "workflow")
_NAME_COLUMNS: Final = 16
_TOKENS: Final = 3
WHOLE_IDS: Final = 120
"""Columns of a terminal from which on ids are shown in full."""


def size_option(page_size: int) -> list[str]:
    """Return the option for pages of this size, for a call that can be copied; nothing where it is the default."""
    return [] if page_size == DEFAULT_PAGE_SIZE else ["--page-size", str(page_size)]


def shape_of(status: str) -> tuple[str, str]:
    """Return the shape and the colour for a status, which are always shown with its word."""
    return _SHAPES.get(status, ("?", "magenta"))


def status_cell(_: Translator, status: str) -> Cell:
    """Return a status as its shape and its word."""
    shape, colour = shape_of(status)
    return Cell(f"{shape} {status_word(_, status)}", colour)


def run_lines(session: Session, documents: Sequence[bytes], names: Names, *, of_all: bool) -> list[Text]:
    """Return a head and a line for each run; nothing where there are no runs.

    A narrow terminal has ids and times in short, and no tokens.
    """
    if not documents:
        return []
    _, now = session.translate, now_ms()
    records = [outline_of(document) for document in documents]
    if session.output.width is not None and session.output.width < WHOLE_IDS:
        return _brief_lines(session, records, now, names, of_all=of_all)
    facts = [_heads(_), *(_facts(session, record, now, names) for record in records)]
    ids = [Cell(_("Run id").upper(), "dim"), *(Cell(record["execute_id"]) for record in records)]
    gists = [_("Output or error").upper(), *(gist(record, LONGEST_GIST) for record in records)]
    rows = [row if of_all else row[:-1] for row in facts]
    return on_one_line_or_two(rows, ids, [Cell(text, "dim") for text in gists], session.output.width)


def chosen_lines(session: Session, documents: Sequence[bytes], names: Names, columns: Sequence[str]) -> list[Text]:
    """Return a head and a line for each run with the chosen *columns*, cut to the terminal; nothing without runs."""
    if not documents:
        return []
    _, now = session.translate, now_ms()
    rows = [[Cell(_(RUN_COLUMNS[name]).upper(), "dim", right=name in NUMBERS) for name in columns]]
    for record in map(outline_of, documents):
        facts = dict(zip(_FACTS, _facts(session, record, now, names), strict=True))
        facts["summary"] = Cell(gist(record, LONGEST_GIST), "dim")
        rows.append([
            facts[name] if name in facts else Cell(column_text(_, name, record), right=name in NUMBERS)
            for name in columns
        ])  # fmt: skip
    return [cropped(line, session.output.width) for line in aligned(rows)]


def _brief_lines(
    session: Session, records: list[dict[str, Any]], now: int, names: Names, *, of_all: bool
) -> list[Text]:
    _, rows = session.translate, [[head for number, head in enumerate(_heads(session.translate)) if number != _TOKENS]]
    for record in records:
        status, _time, took, _tokens, _workflow = _facts(session, record, now, names)
        workflow_id = record["workflow_id"]
        name = names[workflow_id].name if workflow_id in names else None
        called = short_id(workflow_id) if name is None else name
        started = Cell(brief_clock(record["create_time"], now=now))
        rows.append([status, started, took, Cell(shortened_to(one_line(called, LONGEST_GIST), _NAME_COLUMNS))])
    ids = [_("Run id").upper(), *(short_id(record["execute_id"]) for record in records)]
    texts = [_("Output or error").upper(), *(gist(record, LONGEST_GIST) for record in records)]
    ends = [[Cell(shortened_to(each, _NAME_COLUMNS), "dim"), Cell(text, "dim")]
            for each, text in zip(ids, texts, strict=True)]  # fmt: skip
    lines = aligned([[*(row if of_all else row[:-1]), *end] for row, end in zip(rows, ends, strict=True)])
    return [cropped(line, session.output.width) for line in lines]


def counts_of(found: Selection) -> dict[str, Any]:
    """Return the counts beside the runs of a page as JSON, with the same keys as over HTTP."""
    reach = found.reach
    return {
        "total": found.total,
        "total_is_exact": found.total_is_exact and reach.is_complete,
        "has_more": found.has_more,
        "next_cursor": found.next,
        **damaged_of(found.damaged),
        **reach_entry(reach),
    }


def notice_counts(session: Session, found: Selection, place: str, next_call: str) -> None:
    """Print how many runs there are, as far as that is known, and the call for the next page."""
    notice_damaged(session, found.damaged)
    if found.total == 0 and not found.has_more:
        notice_none(session, found.reach, place)
        return
    is_exact = found.total_is_exact and found.reach.is_complete
    sentence = N_("Found: %(total)s.") if is_exact else N_("Found: at least %(total)s.")
    session.notice(sentence, total=grouped(found.total), style="dim")
    if found.next is not None:
        session.notice("Next: %(command)s", command=next_call, style="dim")


def notice_damaged(session: Session, damaged: Sequence[RecordKey], count: int | None = None) -> None:
    """Print which runs are left out because they cannot be read: *count* of them, by default as many as are named."""
    if damaged:
        named = [key.execute_id for key in damaged[:_MOST_NAMED]]
        count = count or len(damaged)
        sentence = session.translate.plural(
            "%(num)s run is left out because its data is damaged: "
            "%(runs)s. To repair it: %(program)s import BACKUP. To give it up: %(program)s delete ID.",
            "%(num)s runs are left out because their data is damaged: "
            "%(runs)s. To repair them: %(program)s import BACKUP. To give them up: %(program)s "
            "delete ID.",
            count,
            runs=enumerated(named + (["…"] if len(damaged) > _MOST_NAMED else [])),
            program=session.command(),
        )
        session.output.remark(sentence, style="yellow")


def show_reach(session: Session, reach: IndexReach, zone: tzinfo | None = None) -> None:
    """Show, ahead of the answer, what the index lacks, with its time in *zone*; nothing where it is complete."""
    if not reach.is_complete:
        session.output.answer(_lack(session, reach, zone), style="yellow")


def notice_reach(session: Session, reach: IndexReach, zone: tzinfo | None = None) -> None:
    """Print what the index lacks, with its time in *zone*, by default this machine's; nothing where it is complete."""
    if not reach.is_complete:
        session.output.remark(_lack(session, reach, zone), style="yellow")


def _lack(session: Session, reach: IndexReach, zone: tzinfo | None) -> str:
    notice = index_notice(
        revision=reach.revision,
        newest=reach.newest,
        since=reach.since,
        missing=reach.missing,
        moment=lambda moment: clock(moment, zone),
        number=grouped,
    )
    return session.translate.message(notice)


def notice_none(session: Session, reach: IndexReach, place: str) -> None:
    """Print that no runs match, as far as the index has come."""
    sentence = N_("No runs in %(store)s match.")
    if not reach.is_complete:
        sentence = N_("No matches among the runs of %(store)s that are indexed so far.")
    session.notice(sentence, store=place)


def _heads(_: Translator) -> list[Cell]:
    names = ((_("Status"), False), (_("Started"), False), (_("Duration"), True), (_("Tokens"), True))
    return [Cell(name.upper(), "dim", right=right) for name, right in (*names, (_("Workflow"), False))]


def _facts(session: Session, record: dict[str, Any], now: int, names: Names) -> list[Cell]:
    _, known = session.translate, attributes_of(record)
    return [
        status_cell(_, record["execute_status"]),
        Cell(clock(known.create_time)),
        Cell(duration(known.elapsed_ms(now)), right=True),
        Cell(grouped(known.tokens), right=True),
        Cell(workflow_text(record["workflow_id"], names, is_brief=session.output.width is not None)),
    ]
