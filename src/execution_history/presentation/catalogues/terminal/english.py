"""Everything the command line says, in English."""

from typing import Final

from execution_history.presentation.catalogues.terminal.english_questions import ENGLISH_QUESTIONS
from execution_history.presentation.formatting import FAULTS_AS_THEY_ARE

ENGLISH: Final[dict[str, str]] = {
    **ENGLISH_QUESTIONS,
    # What the commands are for.
    "help.app": "The history of every Coze workflow run, kept on your own disk.",
    "help.app.epilog": """\b
Examples:
  execution-history serve --sandbox
  execution-history run 7000000000000000002 -p city=Paris --sandbox
  execution-history list --status failed --since 2h
  execution-history search timeout
  execution-history show 01a20dba-b801-7732-a3b5-fd1635d97bad

\b
Exit codes:
  0    all is well; of run: the workflow succeeded
  1    the workflow failed, or nobody can say how it ended; import refused something
  2    the call, a setting or an account is wrong, or an address is taken
  3    the workflow was interrupted: it asks something, or whoever recorded it is gone
  4    the store cannot be used
  5    what was named is not there: a run, or the workflow of clear (a question that finds nothing ends with 0)
  70   a fault of this program or of the machine
  130  stopped by Ctrl-C (143: SIGTERM); serve, sandbox and follow end with 0
""",
    "help.serve": """Serve the HTTP API until Ctrl-C.

\b
Examples:
  execution-history serve
  execution-history serve --sandbox
  execution-history serve --port 9000 --store /var/lib/execution-history
""",
    "help.sandbox": """Serve an upstream that speaks the Coze workflow API, to try things without a Coze account.

\b
Examples:
  execution-history sandbox
  execution-history sandbox --port 0 --json
  execution-history sandbox --studio
""",
    "help.run": """Run a workflow, stream its answer to the terminal, and record it.

The answer's text goes to the standard output, everything else to the standard error.

\b
Examples:
  execution-history run 7000000000000000002 --sandbox
  execution-history run 7321 -p city=Paris -p days=3 -p 'zip="01234"'
  execution-history run 7321 --parameters-file input.json --json | tail -1

Exit codes: 0 it succeeded, 1 it failed, 3 it was interrupted; the others as for every command.
""",
    "help.resume": """Answer the question of an interrupted run, and go on with it in the same record.

\b
Examples:
  execution-history resume 01a20dba-b801-7732-a3b5-fd1635d97bad Paris
  execution-history resume 01a20dba-b801-7732-a3b5-fd1635d97bad '{"city": "Paris", "days": 3}'
  execution-history resume 01a20dba-b801 Paris --sandbox
  echo Paris | execution-history resume 01a20dba-b801-7732-a3b5-fd1635d97bad -

The account that began the run answers, or another at the same address; a run of the sandbox of
`serve --sandbox` needs none.

Exit codes: 0 it succeeded, 1 it failed, 3 it asks again or still; the others as for every command.
""",
    "help.fetch": """Record a run that happened elsewhere, while Coze still knows it (an output for one to seven days).

\b
Example:
  execution-history fetch 7321000000000000000 7432100000000000000
  execution-history fetch 7000000000000000001 7432100000000000000 --sandbox
""",
    "help.workflows": """List the workflows that have history, with counts and the last run.

\b
Examples:
  execution-history workflows
  execution-history workflows --json
""",
    "help.show": """Show one run: how it ended and how we know, its input and output, what every node said.

\b
Examples:
  execution-history show 01a20dba-b801-7732-a3b5-fd1635d97bad
  execution-history show 01a20dba-b801-7732-a3b5-fd1635d97bad --json | jq .output
""",
    "help.delete": """Delete the record of one run.

\b
Example:
  execution-history delete 01a20dba-b801-7732-a3b5-fd1635d97bad
""",
    "help.clear": """Delete the whole history of a workflow.

\b
Example:
  execution-history clear 7000000000000000002 --yes
""",
    # What the options are for.
    "option.store": "Where the history is.",
    "option.json": "Write JSON for programs, and nothing else, to the standard output.",
    "option.debug": "Show where an error came from.",
    "option.version": "Show the version and end.",
    "option.host": "The address to listen on.",
    "option.port": "The port to listen on; 0 takes a free one.",
    "option.serve_sandbox": "Start the sandbox upstream too and let the account default call it.",
    "option.sandbox_port": "The sandbox's port; 0 takes a free one.",
    "option.access_log": "Log every request to the standard error.",
    "option.sandbox_host": "The address to listen on.",
    "option.token": "The bearer token that it asks for.",
    "option.studio": "Answer as Coze Studio, the open-source edition, does: other paths, ids as numbers, fewer fields.",
    "option.parameter": "An input, any number of times. VALUE is JSON where it reads as JSON (n=3, on=true, "
    "list=[1,2]) and text otherwise; n='\"3\"' forces text.",
    "option.parameters_file": "The inputs as one JSON object; - reads the standard input. -p wins over it.",
    "option.bot_id": "The bot, where the workflow needs one.",
    "option.conversation_id": "The conversation the run belongs to.",
    "option.user_id": "The end user, passed on to Coze.",
    "option.account": "The configured Coze account.",
    "option.run_sandbox": "Run it in an embedded sandbox, without a Coze account and without a server.",
    "option.ask_sandbox": "Call the sandbox that `serve --sandbox` runs, as the account default.",
    "option.no_stream": "Wait for the result instead of streaming it.",
    "option.page": "Which page, the newest runs first.",
    "option.page_size": "Runs on a page.",
    "option.workflow": "The workflow, where several have a run with this id.",
    "option.full": "Show inputs, outputs and node texts whole, however long.",
    "option.yes": "Delete without asking.",
    "argument.run_workflow": "The workflow to run.",
    "argument.list_workflow": "Only the runs of this workflow.",
    "argument.answer": "The answer: a text, or JSON where the question asks for several fields; - reads it from the "
    "standard input.",
    "argument.fetch_workflow": "The workflow.",
    "argument.fetch_execution": "The id that the run has at Coze, as its debug page shows it.",
    "option.answerer": "The Coze account that answers; the one that began the run by default.",
    "fetch.done": "Recorded. `{command}` shows it.",
    "argument.execute_id": "The run's id, as list shows it, or its beginning, 8 characters at least; the id at Coze is "
    "understood too.",
    "argument.clear_workflow": "The workflow whose history goes.",
    # Statuses and headings.
    "status.success": "success",
    "status.running": "running",
    "status.failed": "failed",
    "status.interrupted": "interrupted",
    "head.status": "STATUS",
    "head.started": "STARTED",
    "head.duration": "DURATION",
    "head.tokens": "TOKENS",
    "head.execute_id": "EXECUTE ID",
    "head.workflow": "WORKFLOW",
    "head.gist": "OUTPUT OR ERROR",
    "head.runs": "RUNS",
    "head.other": "other",
    "head.last_run": "LAST RUN",
    "head.input": "Input",
    "head.output": "Output",
    "head.nodes": "Nodes",
    "head.metadata": "More",
    # list and workflows.
    "list.counted": "Runs {first} to {last} of {total}, page {page} of {pages}.",
    "list.next": "Next: {command}",
    "list.past_end": "Page {page} is past the end; the last one is {pages}.",
    "list.empty": "No runs are recorded in {store} yet. Record one without a Coze account:\n  {run}\n"
    "or serve the HTTP API with a sandbox to try it on:\n  {serve}",
    "list.empty_workflow": "Workflow '{workflow_id}' has no runs in {store}; `{command}` lists those that have.",
    # show.
    "show.success": "Succeeded after {duration}",
    "show.failed": "Failed after {duration}",
    "show.interrupted": "Interrupted after {duration}",
    "show.running": "Running for {duration}",
    "show.other": "Status {status}, last changed after {duration}",
    "show.recorder_gone": "The program that recorded this run is no longer there; the next `serve` or `run` on this "
    "store settles what the record says.",
    "show.cut": "… {count} more characters; --full shows them, --json writes the record as it is stored.",
    "show.cut.one": "… 1 more character; --full shows it, --json writes the record as it is stored.",
    "show.not_whole": "Not whole: this value had {size}; its beginning is kept, because the record was larger than "
    "record_limit_bytes.",
    "show.not_whole_answer": "Not whole: the answer was larger than largest_recorded_bytes; the rest passed "
    "unrecorded.",
    "show.tokens": "{total} ({read} read, {written} written)",
    "show.mode.0": "in one answer",
    "show.mode.1": "streamed",
    "show.mode.2": "in the background",
    "fact.execute_id": "Execute id",
    "fact.workflow_id": "Workflow",
    "fact.create_time": "Started",
    "fact.update_time": "Last changed",
    "fact.tokens": "Tokens",
    "fact.run_mode": "Ran",
    "fact.account": "Account",
    "fact.caller": "Called by",
    "fact.bot_id": "Bot",
    "fact.conversation_id": "Conversation",
    "fact.connector_uid": "User",
    "fact.connector_id": "Connector",
    "fact.proof": "How we know",
    "fact.coze_execute_id": "Coze's own id",
    "fact.log_id": "Coze's log id",
    "fact.debug_url": "Debug page",
    "fact.is_output_trimmed": "Output",
    "show.trimmed": "was cut by Coze",
    "node.message": "1 message",
    "node.messages": "{count} messages",
    "node.characters": "{count} characters",
    "node.characters.one": "1 character",
    "node.tokens": "{count} tokens",
    "node.tokens.one": "1 token",
    "node.failed": "failed",
    "node.unfinished": "unfinished",
    "proof.done_event": "Coze's stream said that it is done",
    "proof.error_event": "Coze's stream named an error",
    "proof.interrupt_event": "Coze's stream stopped to ask",
    "proof.stream_ended_early": "the stream ended without saying how the run ended",
    "proof.envelope": "Coze's answer says so",
    "proof.accepted": "Coze accepted it to run in the background",
    "proof.rejected": "Coze rejected the call",
    "proof.http_status": "the HTTP status of the answer",
    "proof.not_json": "the answer was not one of Coze's",
    "proof.timeout": "Coze was silent for too long",
    "proof.connection_failed": "no connection came about",
    "proof.connection_broken": "the connection broke",
    "proof.abandoned": "recording was stopped",
    "proof.never_sent": "the call never left",
    "proof.recorder_died": "the program that recorded it ended first",
    "proof.run_history": "Coze's own record of the run says so",
    "proof.upstream_silent": "Coze was asked again and never said how the run ended",
    "proof.returned": "the function returned",
    "proof.raised": "the function raised an exception",
    "proof.cancelled": "the function was cancelled",
    "proof.closed_early": "the caller stopped reading early",
    "proof.program_ended": "the program ended before the function did",
    # run.
    "run.tokens": "{count} tokens",
    "run.tokens.one": "1 token",
    "run.unrecorded": "This run could not be recorded: {problem}",
    "run.attention": "The history needs your attention: {problem}",
    "run.unrecorded_unknown": "This run could not be recorded.",
    "run.stopped": "Stopped. Run {execute_id} is recorded as far as it got; the workflow may still be running at Coze.",
    "run.stopped_early": "Stopped before the run began.",
    "ask.question": "The workflow asks: {question}",
    "ask.unnamed": "The workflow waits for an answer.",
    "ask.required": "required",
    "ask.later": "To answer it: {command}",
    "ask.forgotten": "The embedded sandbox forgets its questions when the run ends; "
    "`execution-history serve --sandbox` keeps one that can be answered.",
    # serve and sandbox.
    "serve.history": "History",
    "serve.store": "Store",
    "serve.sandbox": "Sandbox",
    "serve.docs": "API documentation {url}",
    "serve.token": "token {token}",
    "serve.try": "Try it:",
    "serve.stop": "Ctrl-C stops it.",
    "serve.stopped": "Stopped.",
    "serve.open": "Listening on {host}: whoever can reach this machine can read and delete these histories.",
    "sandbox.use": "To use it: COZE_API_BASE={url} COZE_API_TOKEN={token} {command}",
    "sandbox.head": "WHAT IT DOES",
    # delete and clear.
    "delete.done": "Deleted run '{execute_id}' of workflow '{workflow_id}'.",
    "clear.ask": "Delete the whole history of workflow '{workflow_id}' (runs: {count})?",
    "clear.kept": "Nothing was deleted.",
    "clear.done": "Deleted the history of workflow '{workflow_id}' (runs: {count}).",
    # What goes wrong.
    "error.prefix": "Error: ",
    "error.no_run": "There is no run '{execute_id}' in {store}; `{command}` lists the runs there are.",
    "error.no_run_in_workflow": "Workflow '{workflow_id}' has no run '{execute_id}' in {store}.",
    "error.ambiguous": "Several workflows have a run '{execute_id}' ({workflows}): name one with --workflow.",
    "error.no_run_so_short": "There is no run '{execute_id}' in {store}, and an id's beginning has at least {least} "
    "characters; `{command}` lists the runs there are.",
    "error.several": "Several runs are meant by '{beginning}': {candidates}. Write more of the id.",
    "error.beginning_early": "The index is still being made, so nobody can say yet which runs begin with "
    "'{beginning}': write the whole id, or wait a moment.",
    "error.not_waiting": "Run '{execute_id}' waits for no answer (status: {status}): only a run that asked a question "
    "can be resumed.",
    "error.half_account": "The Coze account '{account}' is incomplete: set {settings}.",
    "error.no_token": "The Coze account '{account}' has no token: set {settings} (and COZE_API_BASE for coze.cn or "
    "Coze Studio), or add --sandbox to try it without an account.",
    "error.no_account_there": "Run '{execute_id}' waits for its answer at {upstream}, and no account calls that "
    "address: set COZE_API_BASE={upstream} and COZE_API_TOKEN (of a sandbox: sandbox-token), or name an account "
    "with --account.",
    "error.no_workflow": "Workflow '{workflow_id}' has no history in {store}.",
    "error.say_yes": "This deletes the whole history of a workflow (runs: {count}) "
    "and nobody can be asked: add --yes if it shall.",
    "error.address": "Cannot listen on {host}:{port}: {reason}. Choose another address with --host or --port.",
    "error.taken": "Port {port} on {host} is taken: choose another with --port, or stop the program that has it.",
    "error.parameter": "The parameter '{text}' is not NAME=VALUE.",
    "error.file": "The parameters file {path} cannot be read: {reason}.",
    "error.file_json": "The parameters file {path} is not JSON.",
    "error.file_object": "The parameters file {path} holds no JSON object of names and values.",
    "error.parameters_deep": "The parameters are nested too deeply to be sent: at most {most} levels of lists and "
    "objects.",
    "error.token": "The sandbox needs a token that is not empty.",
    "error.sandbox_account": "--sandbox and --account exclude each other: the sandbox is the account default.",
    "error.machine": "The machine refused: {reason}.",
    "error.fault": "Something went wrong that should not have ({kind}). "
    "Add --debug to see where, and please report it.",
    # The library's errors, in its own words.
    **FAULTS_AS_THEY_ARE,
    "fault.store_damaged": "{message} To do so, stop what uses the folder and type there: "
    "mkdir damaged && mv history.db* damaged/",
}
