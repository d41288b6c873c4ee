"""The help texts of the commands, with examples: paragraphs are translated, examples are not."""

from typing import Final

from execution_history.errors import N_
from execution_history.presentation.translator import Translator

_ID: Final = "01a20dba-b801-7732-a3b5-fd1635d97bad"
_OTHER_ID: Final = "01a20dbc-1f6e-7a10-9c11-0d6f2f8c5c21"
KEPT_LINES: Final = "\b\n"
"""Keeps the line breaks of a paragraph."""

APP: Final = N_("The history of every Coze workflow run, kept on your own disk.")

_APP_EXAMPLES: Final = (
    "serve --demo",
    "serve --sandbox",
    "run 7000000000000000002 -p city=Paris --sandbox",
    "list --status failed --since 2h",
    "search timeout",
    f"show {_ID}",
)

_EXIT_CODES: Final = {
    "0": N_("success; of run: the workflow succeeded"),
    "1": N_(
        "the workflow failed, or it is unknown how it ended; import refused something, copy found a difference, "
        "doctor found a problem, a backup is damaged"
    ),
    "2": N_("the call, a setting or an account is wrong, or an address is in use"),
    "3": N_("the workflow was interrupted: it asks a question, or the program that recorded it is gone"),
    "4": N_("the store cannot be used"),
    "5": N_("what was named does not exist: a run, or the workflow of clear (a query without results ends with 0)"),
    "70": N_("a fault of this program or of the machine"),
    "130": N_("stopped by Ctrl-C (143: SIGTERM); serve, sandbox, follow and mirror end with 0"),
}

_HELP: Final[dict[str, tuple[str, ...]]] = {
    "serve": (N_("Serve the page and the HTTP API until Ctrl-C."),),
    "sandbox": (N_("Serve an upstream that speaks the Coze workflow API, to try things without a Coze account."),),
    "run": (
        N_("Run a workflow, stream its output to the terminal, and record it."),
        N_("The workflow's output goes to the standard output, everything else to the standard error."),
    ),
    "resume": (
        N_("Answer the question of an interrupted run, which continues in the same record."),
        N_(
            "The account that started the run answers, or another one at the same address; a run in the sandbox of "
            "`serve --sandbox` needs none."
        ),
    ),
    "fetch": (N_("Record a run that happened elsewhere, while Coze still has it (an output for one to seven days)."),),
    "workflows": (N_("List the workflows that have history, with counts and the last run."),),
    "name": (N_("Name, describe, star or hide a workflow, and show what is noted about it."),),
    "show": (N_("Show one run: its status and the proof of it, its input and output, and what every node did."),),
    "views": (
        N_("Show the saved views with the number of their runs, or save, change or delete one."),
        N_("list --view NAME shows the runs of a view. Times such as 24h are counted from when it is looked at."),
    ),
    "redact": (
        N_("Redact the secrets that a history has already, and show the rules."),
        N_(
            "New runs are redacted before they are kept. This command applies the same rules to every record, to "
            "deleted ones that can be restored, to JSON files, to the search index and to the archives that were made "
            "of the history; --dry-run shows what it would do. Stopped, it continues where it was. Backups made before "
            "keep what they have, and are named."
        ),
        N_("An archive that was moved is redacted by itself: redact --store FILE."),
    ),
    "delete": (
        N_("Delete the record of one run, or of all that match filters."),
        N_("Nothing is asked: how many were deleted, and how to undo that, is printed."),
    ),
    "changes": (
        N_("Show what was deleted, annotated or restored of many runs at once; stop, carry on or undo one of them."),
        N_(
            "A change goes on in the program that began it; any other can stop it. One whose program was killed is "
            "interrupted: for 24 hours it can be carried on. A deletion can be undone as long as the bin keeps the "
            "runs."
        ),
    ),
    "clear": (N_("Delete the whole history of a workflow."),),
    "keys": (
        N_("Add, list, renew and revoke the keys that give people and programs access to the server."),
        N_(
            "Once there is a key, the server requires one from everyone. Commands read the history directly and need "
            "none."
        ),
        N_(
            "Scopes: read sees runs, run starts and answers them, write changes and deletes them and reads, admin can "
            "do everything."
        ),
    ),
    "audit": (
        N_(
            "Show who deleted, restored, exported, imported, redacted, archived or backed up runs, changed keys or "
            "retention rules, repaired the history or came with an unknown key."
        ),
        N_("No entry is ever changed or removed. --format exports the entries, which is an entry too."),
    ),
    "bin": (
        N_("List the deleted runs that can be restored, restore some, or remove them for good."),
        N_("Deleted runs stay in the bin for 24 hours, or as long as the setting bin_hours says."),
    ),
    "retention": (
        N_("Show the rules that remove old runs, the size of the history and the last run; set or remove a rule."),
        N_(
            "A rule removes the runs that match its filters and that none of its limits keeps. Runs that are running "
            "or waiting for an answer, pinned, rated, or tagged (keep, or what the setting keep_tags says) are never "
            "removed. `serve` applies the rules every hour, `prune` at once. Rules in the settings win, and can only "
            "be changed there."
        ),
        N_(
            "The setting max_bytes limits the size of the history: beyond it the oldest runs lose their contents "
            "first, while their lines stay; if that is not enough, the oldest runs are removed."
        ),
    ),
    "prune": (
        N_("Apply the retention rules and the size limit now; --dry-run shows what they would do."),
        N_("Runs that a rule removes go to the bin; what the size limit removes is gone for good."),
    ),
    "overview": (
        N_("Show what failed lately, in groups, and how each workflow did: failing ones first; and what is open now."),
        N_("A failure is new, back after a pause, more than usual, or still there, by the period just before."),
    ),
    "list": (N_("List runs, newest first."),),
    "search": (
        N_("Search the texts of runs: inputs, outputs, errors, node outputs, notes and tags."),
        N_(
            'Words are also found inside other words; "quotes" keep words together, * ends a prefix, - excludes. An '
            "unfinished text (a quote that is not closed, a minus without a word) is refused."
        ),
    ),
    "follow": (N_("Show every change of a history as it happens, until Ctrl-C."),),
    "stats": (N_("Count runs over time: success rate, durations, tokens, error codes, failures of one kind."),),
    "diff": (N_("Show where two runs differ; a single run is compared with the last success of its workflow."),),
    "prices": (
        N_("Show what 1,000 tokens cost and what may be spent in a month; set or remove a price, or set the budget."),
        N_(
            "A run keeps what it cost when it ends, by the most specific price: that of its workflow and account, of "
            "its workflow, of its account, or for all. A price that changes later changes no run that has ended. "
            "Prices in the settings win, and can only be changed there."
        ),
    ),
    "reprice": (
        N_("Compute again what runs that have ended cost, with the prices that hold now."),
        N_("Runs for which there is no price, or whose tokens are not known, keep what they have."),
    ),
    "tag": (N_("Annotate a run with tags, a note, a rating or a pin. Without any of these, show what is annotated."),),
    "export": (
        N_("Write runs to a file, a folder or the standard output: completely, or not at all."),
        N_(
            "JSON Lines (.jsonl) keeps every record byte for byte; JSON is the format of the files beside the "
            "database: a .json file for one workflow, a .zip file or a folder for several. Both can be imported "
            "again. CSV and Parquet are for spreadsheets and data frames, and cannot."
        ),
    ),
    "import": (
        N_("Merge runs into the history: exports, files of older deployments, folders of other histories."),
        N_(
            "Records that are there already stay, unless the other version is newer. An import that was interrupted "
            "continues when it is started again."
        ),
    ),
    "mirror": (
        N_("Keep the JSON files {workflow_id}.json in a folder near a history of any store, until Ctrl-C."),
        N_(
            "They have the format of the files beside an embedded database, but are near the history, not current: a "
            "change is there some moments later. They are only written: what is changed in them is undone. Of several "
            "processes with the same folder one writes, and another goes on when it ends. `serve` does the same with "
            "--mirror or the setting mirror_folder."
        ),
        N_(
            "It goes on where it ended, with the history that it began with: another one leaves the files alone. To "
            "give a folder up, or to let it follow another history, use --forget first: otherwise the history keeps "
            "what is deleted in its change feed for as long as the folder may come back."
        ),
    ),
    "doctor": (
        N_("Check the history and what it depends on: database, runs, JSON files, index, permissions, space."),
        N_(
            "Every run is read, and every JSON file and the index are compared with the runs, about 6,000 a second; "
            "--quick looks at samples. It works when the server cannot start, changes nothing without --repair, and "
            "ends with 1 if a problem is left."
        ),
        N_(
            "--repair recounts, rewrites damaged files and runs from sound copies, and builds a new database from "
            "every run that can still be read in a damaged one or in the JSON files. The damaged one is kept. "
            "Stop every program that has the history open first."
        ),
    ),
    "backup": (
        N_("Back up the history, which may be in use, to a folder or a bucket that speaks S3; list or verify backups."),
        N_(
            "The first backup is full, and a later one has what has changed since: restoring it needs those before. "
            "What is written last is a manifest with checksums; without it, there is no backup."
        ),
        N_(
            "backup list shows the backups. backup verify restores the newest one, or the one that --at names, into a "
            "temporary history, compares both, and removes it again."
        ),
        N_(
            "For s3://bucket/prefix, set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION, and AWS_ENDPOINT_URL "
            "where the server is not Amazon's. `serve` makes backups by itself with the setting backup."
        ),
    ),
    "restore": (
        N_("Restore a backup into an empty store, which --store names, and compare it with the backup."),
        N_(
            "The history becomes what it was at the moment of the backup: its runs byte for byte, names, views, prices "
            "and the audit log. Any kind of store can be restored into any other."
        ),
        N_(
            "Keys may have been revoked since the backup, so they come back expired, and keys renew makes one valid "
            "again. With --replace the keys of the history that was there stay as they are, and the lines of its audit "
            "log are added."
        ),
        N_(
            "--missing gives a history what it has lost, as after doctor --repair: runs, names, views, prices, rules, "
            "keys and lines of the audit log. What it has removed since the backup stays removed unless --removed is "
            "given. It may be in use."
        ),
    ),
    "archive": (
        N_("Write the runs of old months that have ended into files, one for each month."),
        N_(
            "Such a file is a history that is only read: list, search, show, stats and `serve` open it with --store "
            "FILE. With --remove, a run leaves the history once its archive has proven to hold it byte for byte; runs "
            "that are pinned, rated, tagged keep or unfinished stay. Months are those of this machine's time zone."
        ),
        N_("An archive has no keys: serve it with those of a history (serve --store FILE --keys-store STORE)."),
    ),
    "copy": (
        N_(
            "Copy a whole history into another store, such as a folder into PostgreSQL, and compare both byte for byte."
        ),
        N_(
            "The source is only read and may be in use: what it changes meanwhile is copied too. A copy that was "
            "interrupted continues when it is started again, and one that is repeated brings what is new. Runs that "
            "are newer in the target stay; damaged ones are named and left out. Deleted runs that can still be "
            "restored stay behind."
        ),
    ),
}

_ENDINGS: Final = {
    "run": N_("Exit codes: 0 it succeeded, 1 it failed, 3 it was interrupted; the others as for every command."),
    "resume": N_(
        "Exit codes: 0 it succeeded, 1 it failed, 3 it asks again or is still waiting; the others as for every command."
    ),
}
"""The paragraph after the examples."""

_EXAMPLES: Final[dict[str, tuple[str, ...]]] = {
    "serve": ("serve", "serve --demo", "serve --sandbox", "serve --port 9000 --store /var/lib/execution-history"),
    "sandbox": ("sandbox", "sandbox --port 0 --json", "sandbox --studio"),
    "run": (
        "run 7000000000000000002 --sandbox",
        """run 7321 -p city=Paris -p days=3 -p 'zip="01234"'""",
        "run 7321 --parameters-file input.json --json | tail -1",
    ),
    "resume": (
        f"resume {_ID} Paris",
        f"""resume {_ID} '{{"city": "Paris", "days": 3}}'""",
        "resume 01a20dba-b801 Paris --sandbox",
        f"resume {_ID} - < answer.txt",
    ),
    "fetch": (
        "fetch 7321000000000000000 7432100000000000000",
        "fetch 7000000000000000001 7432100000000000000 --sandbox",
    ),
    "workflows": ("workflows", "workflows --learn", "workflows --json"),
    "name": (
        "name 7000000000000000002 'Weather report' --star",
        "name 'Weather report' --description 'Tells the weather of a city'",
        "list 'Weather report'",
    ),
    "show": (f"show {_ID}", f"show {_ID} --json | jq .output"),
    "views": (
        "views",
        'views "Failed today" --save --status failed --since 24h',
        'views "Failed today" --star',
        'list --view "Failed today"',
    ),
    "redact": ("redact --rules", "redact --dry-run", "redact", "redact 7000000000000000002 --json"),
    "delete": (f"delete {_ID}", "delete --status failed --since 7d --dry-run", "delete --status failed --since 7d"),
    "changes": (
        "changes",
        "changes --stop Qk3vX0b2sYpR",
        "changes --resume Qk3vX0b2sYpR",
        "changes --undo Qk3vX0b2sYpR",
    ),
    "clear": ("clear 7000000000000000002 --yes",),
    "keys": (
        "keys add dashboard --scope read",
        "keys add orders --scope run --scope read --workflow 'order-*' --expires 90d --rate 60/m",
        "keys",
        "keys renew orders --expires 90d",
        "keys revoke orders",
        "keys rotate-cookie --sign-out",
    ),
    "audit": ("audit --since 7d", "audit --action delete --by ci", "audit --format csv -o audit.csv"),
    "overview": ("overview", "overview --window 7d", "overview --json | jq .failures"),
    "list": (
        "list",
        "list 7000000000000000002 --page 2",
        "list --status failed --since 2h",
        """list --where 'input.city = "Paris"' --sort duration""",
        "list --json | jq -r '.histories[].execute_id'",
    ),
    "search": (
        "search timeout",
        """search '"out of memory" -retry' --since 7d""",
        "search 北京 --status success --json",
    ),
    "follow": (
        "follow",
        "follow 7000000000000000002 --json | jq -r .summary.execute_status",
        "follow --since 0 --json",
    ),
    "stats": ("stats", "stats 7000000000000000002 --bucket hour --since 1d", "stats --json | jq .totals"),
    "diff": (f"diff {_ID}", f"diff {_ID} {_OTHER_ID}"),
    "prices": (
        "prices",
        "prices set --input 0.008 --output 0.02 --currency CNY",
        "prices set --workflow 7321000000000000000 --account work --input 0.3 --output 1.2",
        "prices remove --workflow 7321000000000000000 --account work",
        "prices budget 2000 --currency CNY",
    ),
    "reprice": ("reprice --dry-run --since 30d", "reprice --workflow 7321000000000000000"),
    "tag": (
        f'tag {_ID} checked "for the report"',
        f"tag {_ID} --remove checked --rating 5 --pin",
        "tag checked --status failed --since 7d",
        f'tag {_ID} --note "The plugin was down."',
    ),
    "bin": ("bin", f"bin restore {_ID}", "bin restore --workflow 7000000000000000002", "bin empty --all"),
    "retention": (
        "retention",
        'retention set "old successes" --status success --older-than 30d',
        "retention set --workflow 7000000000000000002 --keep-runs 1000",
        "retention set thin --older-than 7d --contents",
        'retention remove "old successes"',
    ),
    "prune": ("prune --dry-run", "prune", 'prune --rule "old successes"'),
    "export": (
        "export -o runs.jsonl",
        "export 7000000000000000002 -o runs.json",
        "export --status failed -o failed.csv --columns execute_id,input.city",
        "export -o history.zip --format json",
        "export -o runs.parquet",
    ),
    "copy": ("copy data/execution_history postgresql://history@localhost/history", "copy sqlite:old sqlite:new --json"),
    "doctor": ("doctor", "doctor --quick", "doctor --repair", "doctor --thorough --json"),
    "mirror": (
        "mirror /backup/histories",
        "mirror /backup/histories --once --store postgresql://history@localhost/history",
        "mirror /backup/histories --forget",
    ),
    "backup": (
        "backup /backup/history",
        "backup s3://backups/history --keep 4",
        "backup list /backup/history",
        "backup verify /backup/history --at 2026-11-30",
    ),
    "archive": (
        "archive /archive/history --before 2026-06",
        "archive /archive/history --before 2026-06 --remove",
        "list --store /archive/history/2026-05.db",
    ),
    "restore": (
        "restore /backup/history --store data/restored",
        "restore /backup/history --store postgresql://history@localhost/history",
        "restore /backup/history --at 2026-11-30 --store data/execution_history --replace",
        "restore /backup/history --missing",
    ),
    "import": (
        "import runs.jsonl",
        "import data/old_history",
        "import --coze-studio workflow_execution.csv --nodes node_execution.csv",
    ),
}


def help_of(_: Translator, command: str) -> str:
    """Return the help text of the *command* with this name."""
    paragraphs = [_(paragraph) for paragraph in _HELP[command]]
    paragraphs.append(_examples(_, _EXAMPLES[command]))
    paragraphs += [_(_ENDINGS[command])] if command in _ENDINGS else []
    return "\n\n".join(paragraphs)


def epilog_of(_: Translator) -> str:
    """Return the text below the list of all commands."""
    codes = "\n".join(f"  {code:<4} {_(meaning)}" for code, meaning in _EXIT_CODES.items())
    head = _("Exit codes:")
    return f"{_examples(_, _APP_EXAMPLES)}\n\n{KEPT_LINES}{head}\n{codes}"


def _examples(_: Translator, calls: tuple[str, ...]) -> str:
    lines = "\n".join(f"  execution-history {call}" for call in calls)
    head = _("Examples:")
    return f"{KEPT_LINES}{head}\n{lines}"
