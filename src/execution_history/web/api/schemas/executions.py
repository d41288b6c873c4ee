"""What requests and answers look like: requests are checked by these models, answers documented by them."""

from typing import Annotated, Any, Final

from fastapi import Path, Query
from pydantic import AfterValidator, BaseModel, Field

from execution_history.history.service import MAX_PAGE_SIZE

Responses = dict[int | str, dict[str, Any]]
Parameters = list[dict[str, Any]]


def _utf8(value: str) -> str:
    """*value*, when UTF-8 can hold it: JSON can spell half of a surrogate pair, which nothing upstream takes."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("it holds half of a surrogate pair") from None
    return value


Text = Annotated[str, AfterValidator(_utf8)]

WorkflowId = Annotated[str, Path(description="The workflow; any text, percent-encoded.")]
ExecuteId = Annotated[str, Path(description="The execution's own id, as the list gives it.")]
PageSize = Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE, description="Records on a page.")]
PageIndex = Annotated[int, Query(ge=1, description="Which page, counted from 1, newest records first.")]
Answerer = Annotated[str | None, Query(alias="account_id", description="Who answers; by default who began the run.")]
AccountId = Annotated[str, Query(description="The configured Coze account that calls go to.")]


class RunRequest(BaseModel):
    """What a run is started with."""

    parameters: dict[str, Any] | None = Field(None, description="The inputs of the workflow's start node.")
    bot_id: Text | None = Field(None, description="The bot, where the workflow needs one.")
    conversation_id: Text | None = Field(None, description="The conversation the run belongs to; kept and given back.")
    user_id: Text | None = Field(None, description="The end user, passed on to Coze.")


class StreamRunRequest(RunRequest):
    """The same, with the workflow."""

    workflow_id: Text = Field(description="The workflow to run.")


class ResumeRequest(BaseModel):
    """The answer to what an interrupted run asks."""

    data: Any = Field(
        description="The answer: a text, or an object where the question asks for several fields (sent as its JSON)."
    )


class Execution(BaseModel):
    """The record of one execution: always these keys, in this order."""

    execute_id: str = Field(description="The record's id within its workflow.")
    workflow_id: str
    create_time: int = Field(description="When it began, in milliseconds since 1970-01-01 UTC.")
    update_time: int = Field(description="When the record last changed, in milliseconds since 1970-01-01 UTC.")
    execute_status: str = Field(description="running, success, failed or interrupted.")
    error_code: int | str | None
    error_message: str | None
    output: Any = Field(description="The result; JSON where the workflow gave JSON, otherwise its text.")
    input_parameters: Any
    bot_id: str | None
    conversation_id: str | None
    debug_url: str | None = Field(description="The run in Coze's own editor, for as long as Coze keeps it.")
    run_mode: int = Field(description="0 synchronous, 1 streamed, 2 asynchronous.")
    usage: Any = Field(description="Tokens, as Coze counted them.")
    metadata: dict[str, Any] = Field(
        description="Whatever else is known, such as proof, coze_execute_id and log_id; and what the caller added."
    )
    connector_id: str | None
    connector_uid: str | None
    is_output_trimmed: bool = Field(description="Whether Coze cut the output before it came here.")
    node_execute_status: Any = Field(description="The nodes that gave messages, with their complete content.")


class DamagedRecord(BaseModel):
    """A record that cannot be read."""

    workflow_id: str
    execute_id: str


class HistoryAnswer(BaseModel):
    """A page of a workflow's history."""

    success: bool
    histories: list[Execution] = Field(description="The records, newest first.")
    total: int = Field(description="How many records the workflow has.")
    has_more: bool = Field(description="Whether records follow this page.")
    damaged: list[DamagedRecord] | None = Field(
        None, description="There only when records that belong here are damaged and cannot be read: these."
    )


class SnippetAnswer(BaseModel):
    """A piece of a record's text that has what was searched for."""

    field: str = Field(description="Where it is from, such as output or metadata.note.")
    text: str
    hits: list[tuple[int, int]] = Field(description="Begin and end of each hit in the text.")


class Reach(BaseModel):
    """How much of the history the answer covers."""

    revision: int = Field(description="Everything up to here is in the answer.")
    newest: int = Field(description="The newest there is.")


class FoundAnswer(HistoryAnswer):
    """A page of records that were asked for."""

    histories: list[Execution] = Field(description="The records in the order asked for; summaries with view=summary.")
    total: int = Field(description="How many there are; at least so many where total_is_exact is false.")
    total_is_exact: bool = Field(default=True, description="Whether the total was counted to its end.")
    next_cursor: str | None = Field(None, description="The cursor of the page behind this one.")
    snippets: list[list[SnippetAnswer]] | None = Field(
        None, description="With q: for each record, in the same order, where it has the text."
    )
    explain: list[str] | None = Field(None, description="With explain=true: how the records were found.")
    reach: Reach | None = Field(None, description="There only while the index is behind the history.")


class ExecutionAnswer(BaseModel):
    """One record."""

    success: bool
    execution: Execution


class Workflow(BaseModel):
    """A workflow that has history; times are milliseconds since 1970-01-01 UTC."""

    workflow_id: str
    total: int = Field(description="How many records it has.")
    counts: dict[str, int] = Field(description="Records per status; other counts adopted ones of none of the four.")
    last_create_time: int = Field(description="When its newest run began.")
    updated_at: int = Field(description="When a record of it last changed.")


class WorkflowsAnswer(BaseModel):
    """The workflows that have history."""

    success: bool
    workflows: list[Workflow]
    total: int = Field(description="How many workflows there are.")


class RunAnswer(BaseModel):
    """What became of a run."""

    success: bool = Field(description="Whether its status is success.")
    execution_id: str = Field(description="The execute_id of its record.")
    status: str = Field(description="success, failed or interrupted; running for an asynchronous run.")
    output_data: Any
    error_message: str | None
    conversation_id: str | None
    interrupt: dict[str, Any] | None = Field(None, description="What the run asks; not there when it asks nothing.")


class DoneAnswer(BaseModel):
    """It was done."""

    success: bool


class Error(BaseModel):
    """A word for programs and a sentence for people."""

    code: str
    message: str


class ErrorAnswer(BaseModel):
    """What every error looks like."""

    success: bool = Field(description="Always false.")
    error: Error


class AliveAnswer(BaseModel):
    """The process is alive."""

    status: str


class ReadyAnswer(BaseModel):
    """Whether runs can be recorded and read now."""

    status: str
    problems: list[str] = Field(description="A sentence for each problem; none when all is well.")


class NotReadyAnswer(ErrorAnswer, ReadyAnswer):
    """The same, as an error."""


def _errors(descriptions: dict[int, str]) -> Responses:
    return {status: {"model": ErrorAnswer, "description": text} for status, text in descriptions.items()}


GUARDED: Final = _errors({421: "The Host of the request is not one of this server's names."})
_CHANGES: Final = _errors(
    {403: "A page of another origin asks for the change.", 507: "There is no space left on the store's disk."}
)
_TAKES_BODY: Final = _errors({400: "The body cannot be read.", 413: "The body is larger than Coze takes."})
_MISSING: Final = _errors({404: "There is no such record."})

READING: Final = GUARDED | _errors(
    {
        422: "A parameter is wrong; the message names it.",
        503: "The store cannot be used now; the message says why.",
    }
)
FINDING_HISTORY: Final = READING | _errors(
    {422: "A filter, the order, the cursor or another parameter is wrong; the message names it."}
)
FINDING: Final = READING | _MISSING | _errors({500: "The record is damaged; the message says what to do."})
IMPORTING: Final = READING | _CHANGES
DELETING: Final = FINDING | _CHANGES
CHANGING: Final = IMPORTING | _TAKES_BODY | _errors({422: "The body or a parameter is wrong; the message names what."})
ANNOTATING: Final = CHANGING | _MISSING
RUNNING: Final = CHANGING | _errors(
    {
        422: "The body or a parameter is wrong, or there is no such Coze account; the message names what.",
        502: "The upstream gives no token for the account.",
        503: "The Coze account is incomplete, or the run cannot be recorded; the message says what to set.",
    }
)
RESUMING: Final = RUNNING | _MISSING | _errors({409: "The run waits for no answer; the message says why."})
ASKING: Final = RUNNING | _errors(
    {
        404: "The upstream does not know the run.",
        502: "The upstream cannot be reached, or does not tell.",
        503: "The Coze account is incomplete, or the store cannot be used; the message says which.",
    }
)
