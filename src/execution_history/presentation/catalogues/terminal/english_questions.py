"""What the commands that ask, note, take out and bring in say, in English."""

from typing import Final

from execution_history.query.fields import FILTERS

ENGLISH_QUESTIONS: Final[dict[str, str]] = {
    "help.list": """List runs, newest first.

\b
Examples:
  execution-history list
  execution-history list 7000000000000000002 --page 2
  execution-history list --status failed --since 2h
  execution-history list --where 'input.city = "Paris"' --sort duration
  execution-history list --json | jq -r '.histories[].execute_id'
""",
    "help.search": """Search the texts of runs: inputs, outputs, errors, what nodes said, notes and tags.

Words are found inside other words; "quotes" keep words together, * ends a prefix, - excludes. A text that breaks off
(a quote without its end, a minus without a word) is refused.

\b
Examples:
  execution-history search timeout
  execution-history search '"out of memory" -retry' --since 7d
  execution-history search 北京 --status success --json
""",
    "help.follow": """Tell what happens in a history, as it happens, until Ctrl-C.

\b
Examples:
  execution-history follow
  execution-history follow 7000000000000000002 --json | jq -r .summary.execute_status
  execution-history follow --since 0 --json
""",
    "help.stats": """Count runs by time: success rate, durations, tokens, error codes, failures that are alike.

\b
Examples:
  execution-history stats
  execution-history stats 7000000000000000002 --by hour --since 1d
  execution-history stats --json | jq .totals
""",
    "help.diff": """Show where two runs differ; with one run, from the last success of its workflow before it.

\b
Examples:
  execution-history diff 01a20dba-b801-7732-a3b5-fd1635d97bad
  execution-history diff 01a20dba-b801-7732-a3b5-fd1635d97bad 01a20dbc-1f6e-7a10-9c11-0d6f2f8c5c21
""",
    "help.tag": """Note something about a run: tags, a note, a rating, a pin. Without any, say what is noted.

\b
Examples:
  execution-history tag 01a20dba-b801-7732-a3b5-fd1635d97bad checked "for the report"
  execution-history tag 01a20dba-b801-7732-a3b5-fd1635d97bad --remove checked --rating 5 --pin
  execution-history tag 01a20dba-b801-7732-a3b5-fd1635d97bad --note "The plugin was down."
""",
    "help.export": """Write runs into a file, a folder or the standard output; whole, or not at all.

JSON Lines (.jsonl) keeps every record byte for byte; JSON is the format of the files beside the database: a .json
file for one workflow, a .zip file or a folder for several. Both can be imported again. CSV and Parquet are for
spreadsheets and data frames, and cannot.

\b
Examples:
  execution-history export -o runs.jsonl
  execution-history export 7000000000000000002 -o runs.json
  execution-history export --status failed -o failed.csv --columns execute_id,input.city
  execution-history export -o history.zip --format json
  execution-history export -o runs.parquet
""",
    "help.import": """Merge runs into the history: exports, files of older deployments, folders of other histories.

What is there already stays, unless the other version is newer. Importing again goes on where it was cut off.

\b
Examples:
  execution-history import runs.jsonl
  execution-history import data/old_history
  execution-history import --coze-studio workflow_execution.csv --nodes node_execution.csv
""",
    "panel.filters": "Which runs",
    "frame.arguments": "Arguments",
    "frame.options": "Options",
    "frame.commands": "Commands",
    "frame.errors": "Error",
    "frame.default": "[default: {}]",
    "frame.required": "[required]",
    "frame.help": "Show this text and end.",
    "frame.install_completion": "Install completion for the current shell.",
    "frame.show_completion": "Show what that would install.",
    "argument.text": "What is looked for.",
    "argument.other": "The run that it is compared with; the first one is then the older side.",
    "argument.tags": "Tags to add.",
    "argument.paths": "What to import.",
    "option.cursor": "Go on behind this place, as the page before names it.",
    "option.sort": "What runs are ordered by.",
    "option.ascending": "The oldest, shortest or cheapest first.",
    "option.explain": "Say how the runs are found.",
    "option.best": "The best of the hundred newest hits first, instead of the newest.",
    "option.since_revision": "Begin behind this revision; 0 tells everything that is there.",
    "option.by": "The length of a row of time; a day when not given, or more where days are too many.",
    "option.zone": "The time zone of the rows, such as Asia/Shanghai; this machine's by default.",
    "option.new_since": "A failure is new that was not seen before then.",
    "option.remove": "A tag to take away; repeatable.",
    "option.note": "The note; an empty text removes it.",
    "option.rating": "From 1 (bad) to 5 (very good); 0 removes it.",
    "option.pin": "Pin the run, or let it go.",
    "option.output": "Where to; - is the standard output.",
    "option.format": "What to write; the name's ending tells it otherwise.",
    "option.columns": "Of CSV: its columns, with dots into documents: execute_id,input.city,output.score.",
    "option.excel": "Of CSV: begin with the mark by which Excel knows UTF-8.",
    "option.raw_cells": "Of CSV: do not keep spreadsheets from taking texts as formulas.",
    "option.coze_studio": "The file is a dump of Coze Studio's table workflow_execution, CSV or JSON Lines.",
    "option.nodes": "A dump of its table node_execution, for the timelines.",
    "found.total": "Found: {total}.",
    "found.at_least": "Found: at least {total}.",
    "found.nothing": "No run in {store} is like that.",
    "found.reach": "The index is still being made: the answer knows {done} of {newest} changes.",
    "found.damaged": "Left out are {count} runs that cannot be read, because history.db is damaged there: {runs}. "
    "Repair them: {program} import BACKUP. Or give them up: {program} delete ID.",
    "found.damaged.one": "Left out is 1 run that cannot be read, because history.db is damaged there: {runs}. "
    "Repair it: {program} import BACKUP. Or give it up: {program} delete ID.",
    "follow.waiting": "There is no history in {store} yet; waiting for its first run. Ctrl-C stops.",
    "follow.begun": "Following {store}; Ctrl-C stops.",
    "follow.deleted": "deleted",
    "follow.reset": "This is another history than the one that the revision is from: read it anew.",
    "stats.total": "all",
    "stats.codes": "Error codes: {codes}",
    "stats.zone": "Times are those of {zone}.",
    "stats.new": "new: ",
    "head.when": "WHEN",
    "head.failed": "FAILED",
    "head.open": "OPEN",
    "head.success_rate": "SUCCESS",
    "head.p50": "P50",
    "head.p95": "P95",
    "head.p99": "P99",
    "head.count": "COUNT",
    "head.last_seen": "LAST SEEN",
    "head.failure": "FAILURE",
    "head.example": "EXAMPLE",
    "diff.duration": "Duration",
    "diff.tokens": "Tokens",
    "diff.same": "Nothing else differs.",
    "diff.ending": "How they ended",
    "diff.input": "Input",
    "diff.output": "Output",
    "diff.settings": "Settings",
    "diff.divergence.order": "From node {position} on, the same nodes spoke in another order: {node}",
    "diff.divergence.node": "At node {position} another one spoke: {node}",
    "diff.divergence.content": "At node {position}, {node} said something else",
    "diff.divergence.state": "At node {position}, {node} differs in how it went",
    "diff.divergence.end": "One of them has no node {position}: {node}",
    "note.tags": "Tags",
    "note.rating": "Rating",
    "note.pinned": "Pinned",
    "note.note": "Note",
    "note.yes": "yes",
    "note.nothing": "Nothing is noted about this run.",
    "show.compare": "Compare it with the last success before it: {command}",
    "progress": "{count} runs, {size}",
    "progress.one": "1 run, {size}",
    "export.done": "{count} runs, {size}, in {target}.",
    "export.done.one": "1 run, {size}, in {target}.",
    "import.done": "{added} added, {replaced} replaced, {skipped} there already, {refused} refused; in {store}.",
    "import.more": "And {count} more that were refused; --json lists them.",
    "import.more.one": "And 1 more that was refused; --json lists it.",
    "error.format": "The name {target} does not tell a format: end it in .jsonl, .json, .zip, .csv or .parquet, "
    "or say --format.",
    "error.studio": "--coze-studio takes one file: the dump of workflow_execution.",
    **{f"filter.{row.name}": row.meaning for row in FILTERS},
}
