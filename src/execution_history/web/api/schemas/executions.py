"""Models of requests and answers: requests are checked by them, answers documented."""

from typing import Annotated, Any, Final, Literal, get_type_hints

from fastapi import Path, Query
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict, WithJsonSchema
from pydantic_core import PydanticCustomError

from execution_history.followers.mirror import MirrorStatus
from execution_history.history.annotations import LONGEST_TAG
from execution_history.history.names import ListedWorkflow
from execution_history.history.service import MAX_PAGE_SIZE
from execution_history.query.model import ORDERS, SORTS, IndexReach
from execution_history.query.retention import ACTIONS
from execution_history.query.text import Snippet
from execution_history.records.record import ExecutionRecord

Responses = dict[int | str, dict[str, Any]]


def _utf8(value: str) -> str:
    """Return *value* if UTF-8 can hold it: JSON can spell half of a surrogate pair, which no upstream accepts."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise PydanticCustomError("half_surrogate_pair", "half of a surrogate pair") from None
    return value


def _no_flag(value: object) -> object:
    if isinstance(value, bool):
        raise PydanticCustomError("number_type", "true or false")
    return value


def _whole(value: object) -> object:
    if isinstance(value, (bool, str)):
        raise PydanticCustomError("int_type", "true, false or a text")
    return value


def _number(value: object) -> object:
    if isinstance(value, (bool, str)):
        raise PydanticCustomError("number_type", "true, false or a text")
    return value


Text = Annotated[str, AfterValidator(_utf8)]


def _described(**constraints: object) -> WithJsonSchema:
    """Describe what the history itself checks, and refuses in a sentence of its own."""
    return WithJsonSchema({"type": "string", **constraints})


Name = Annotated[Text, _described(minLength=1, maxLength=100)]
Tag = Annotated[Text, _described(minLength=1, maxLength=LONGEST_TAG)]
SortName = Annotated[Text, _described(enum=list(SORTS))]
OrderName = Annotated[Text, _described(enum=list(ORDERS))]
ActionName = Annotated[Text, _described(enum=list(ACTIONS))]
# pydantic takes false for the number 0, which would be a rule that removes every run, and 0 for false.
Flag = Annotated[bool, Strict()]
Count = Annotated[int, BeforeValidator(_whole)]
Number = Annotated[float, BeforeValidator(_number)]
Amount = Annotated[float | int | Text, BeforeValidator(_no_flag)]
Size = Annotated[int | Text, BeforeValidator(_no_flag)]

WorkflowId = Annotated[str, Path(description="The workflow; any text, percent-encoded.")]
ExecuteId = Annotated[str, Path(description="The execution's own id, as in the list.")]
PageSize = Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE, description="Records on a page.")]
PageIndex = Annotated[int, Query(ge=1, description="Which page, counted from 1, newest records first.")]
Answerer = Annotated[str | None, Query(alias="account_id", description="Who answers; by default who began the run.")]
AccountId = Annotated[str, Query(alias="account_id", description="The configured Coze account that calls go to.")]


_MEANINGS: Final = {
    "execute_id": "The record's id within its workflow.",
    "create_time": "When it began, in milliseconds since 1970-01-01 UTC.",
    "update_time": "When the record last changed, in milliseconds since 1970-01-01 UTC.",
    "execute_status": "running, success, failed or interrupted.",
    "output": "The result; JSON where the workflow returned JSON, otherwise its text.",
    "debug_url": "The run in Coze's own editor, for as long as Coze keeps it.",
    "run_mode": "0 synchronous, 1 streamed, 2 asynchronous.",
    "usage": "Tokens, as Coze counted them.",
    "metadata": "Everything else, such as proof, coze_execute_id and log_id; and what the caller added.",
    "is_output_trimmed": "Whether Coze cut the output before it came here.",
    "node_execute_status": "The nodes that sent messages, with their complete content.",
}


class RunRequest(BaseModel):
    """The inputs and the context of a run."""

    parameters: dict[str, Any] | None = Field(None, description="The inputs of the workflow's start node.")
    bot_id: Text | None = Field(None, description="The bot, where the workflow needs one.")
    conversation_id: Text | None = Field(None, description="The conversation the run belongs to; kept and returned.")
    user_id: Text | None = Field(None, description="The end user, passed on to Coze.")


class StreamRunRequest(RunRequest):
    """A run request with its workflow."""

    workflow_id: Text = Field(description="The workflow to run.")


class ResumeRequest(BaseModel):
    """The answer to the question of an interrupted run."""

    data: Any = Field(
        description="The answer: a text, or an object where the question asks for several fields (sent as its JSON)."
    )


class Execution(BaseModel):
    """The record of one execution: always these keys, in this order."""

    __annotations__ = {
        key: Annotated[kind, Field(description=_MEANINGS.get(key))]
        for key, kind in get_type_hints(ExecutionRecord).items()
    }


class ExecutionName(BaseModel):
    """The name of a run: its workflow and its id."""

    workflow_id: Text
    execute_id: Text


class DamagedRecord(ExecutionName):
    """A record that cannot be read."""


class SnippetAnswer(Snippet):
    """A piece of a record's text with hits of the search.

    The field is its source, such as output or metadata.note; hits are the begin and end of each in the text.
    """


class Reach(IndexReach):
    """How much of the history the answer covers: everything up to revision; newest is the newest of all.

    With since, older records than that (milliseconds) may be missing: so many as missing says.
    """


class FoundAnswer(BaseModel):
    """A page of records."""

    success: bool
    histories: list[Execution] = Field(description="The records in the requested order; summaries with view=summary.")
    total: int = Field(description="How many there are; at least so many where total_is_exact is false.")
    has_more: bool = Field(description="Whether records follow this page.")
    damaged: list[DamagedRecord] | None = Field(
        None, description="Only present when records that belong here are damaged and cannot be read: these."
    )
    total_is_exact: bool = Field(default=True, description="Whether the total was counted to its end.")
    next_cursor: str | None = Field(None, description="The cursor of the next page.")
    snippets: list[list[SnippetAnswer]] | None = Field(
        None, description="With q: for each record, in the same order, where it has the text."
    )
    explain: list[str] | None = Field(None, description="With explain=true: how the records were found.")
    reach: Reach | None = Field(None, description="Only present while the index is behind the history.")


class ExecutionAnswer(BaseModel):
    """One record."""

    success: bool
    execution: Execution


class Workflow(ListedWorkflow):
    """A workflow that has history; times are milliseconds since 1970-01-01 UTC.

    The counts are records per status, other for adopted ones of none of the four. The name and the description are a
    person's, or those that the upstream gave; null where there are none.
    """


class WorkflowsAnswer(BaseModel):
    """The workflows that have history."""

    success: bool
    workflows: list[Workflow]
    total: int = Field(description="How many workflows there are.")


class NamingRequest(BaseModel):
    """What is to be noted about a workflow; with PATCH a missing field stays as it is, and null removes it."""

    model_config = ConfigDict(extra="forbid")

    name: Text | None = Field(None, description="At most 200 characters; without it the upstream's name is shown.")
    description: Text | None = Field(None, description="At most 2,000 characters.")
    starred: Flag | None = Field(None, description="Whether it stands first among the workflows of the page.")
    hidden: Flag | None = Field(None, description="Whether the page leaves it out of its lists of workflows.")


class NamingAnswer(BaseModel):
    """A workflow as it is named now."""

    success: bool
    workflow_id: str
    name: str | None
    description: str | None
    starred: bool
    hidden: bool


class LearnedNamesAnswer(BaseModel):
    """The result of asking an upstream for names."""

    success: bool
    listed: int = Field(description="How many workflows the upstream named.")
    learned: int = Field(description="How many of their names were new or changed.")


class RunAnswer(BaseModel):
    """The result of a run."""

    success: bool = Field(description="Whether its status is success.")
    execution_id: str = Field(description="The execute_id of its record.")
    status: str = Field(description="success, failed or interrupted; running for an asynchronous run.")
    output_data: Any
    error_message: str | None
    conversation_id: str | None
    interrupt: dict[str, Any] | None = Field(None, description="The question of the run; absent when it has none.")


class DoneAnswer(BaseModel):
    """The request was carried out."""

    success: bool


class Error(BaseModel):
    """A code for programs and a sentence for people."""

    code: str
    message: str
    request_id: str | None = Field(default=None, description="The id under which the server's log has the request.")


class ErrorAnswer(BaseModel):
    """The shape of every error."""

    success: bool = Field(description="Always false.")
    error: Error


class AliveAnswer(BaseModel):
    """The process is alive."""

    status: str


class MirrorAnswer(MirrorStatus):
    """How far the JSON files that follow the history have come: they are near it, not current.

    This process writes them where is_writing is true; otherwise another one does, or none can. The revision is the
    change up to which they have come, null where it is not known; newest the newest change of the history, null where
    it cannot be read. They were current behind_ms milliseconds ago, 0 where they are, null where this process does not
    know. files_left have to be made anew.
    """


class BackupTimes(BaseModel):
    """When the newest backup in a place was made, and when one was last verified (milliseconds since the epoch)."""

    place: str
    last: int | None
    verified: int | None


class ReadyAnswer(BaseModel):
    """Whether runs can be recorded and read now."""

    status: str
    problems: list[str] = Field(description="Why runs cannot be recorded and read, a sentence each; none with 200.")
    warnings: list[str] = Field(description="What needs attention although they can, a sentence each.")
    checks: dict[str, Literal["ok", "warning", "problem"]] = Field(
        description="How each part is: store, recorder, jobs (periodic), and where there are any disk, mirror and otel."
    )
    unrecorded: int = Field(description="Runs that passed without a record since the start; the log says why.")
    mirror: MirrorAnswer | None = Field(
        default=None, description="Where the setting mirror_folder is set: how far the JSON files there have come."
    )
    backups: list[BackupTimes] = Field(default_factory=list, description="Left out where there are none.")


class NotReadyAnswer(ErrorAnswer, ReadyAnswer):
    """The problems, as an error."""


def described(summary: str, model: type[BaseModel], responses: Responses, tag: str = "history") -> dict[str, Any]:
    """Return the documentation of a route: what it does, its answer, and its errors."""
    return {"summary": summary, "response_model": model, "responses": responses, "tags": [tag]}


def _errors(descriptions: dict[int, str]) -> Responses:
    return {status: {"model": ErrorAnswer, "description": text} for status, text in descriptions.items()}


GUARDED: Final = _errors({421: "The Host of the request is not one of this server's names."})
_KEYED: Final = _errors(
    {
        401: "The server needs a key, and the request has none that is valid.",
        403: "The key does not allow this.",
        429: "The key has sent too many requests; Retry-After says when to try again.",
    }
)
_CHANGES: Final = _errors(
    {
        403: "A page of another origin requested the change, or the key does not allow it.",
        507: "There is no space left on the store's disk.",
    }
)
_TAKES_BODY: Final = _errors({400: "The body cannot be read.", 413: "The body is larger than Coze takes."})
_MISSING: Final = _errors({404: "There is no such record."})

READING: Final = (
    GUARDED
    | _KEYED
    | _errors(
        {422: "A parameter is wrong; the message names it.", 503: "The store cannot be used now; the message says why."}
    )
)
NAMING: Final = _errors({409: "Several workflows have the name; the message lists them."})
FINDING_HISTORY: Final = (
    READING
    | NAMING
    | _errors({422: "A filter, the order, the cursor or another parameter is wrong; the message names it."})
)
FINDING: Final = READING | _MISSING | _errors({500: "The record is damaged; the message says what to do."})
IMPORTING: Final = READING | _CHANGES
DELETING: Final = FINDING | _CHANGES
CHANGING: Final = IMPORTING | _TAKES_BODY | _errors({422: "The body or a parameter is wrong; the message names what."})
ANNOTATING: Final = CHANGING | _MISSING
PRICING: Final = CHANGING | _errors({409: "It was changed meanwhile, or several workflows have the name."})
REVISING: Final = ANNOTATING | _errors({409: "Somebody else has changed it since the version that was seen."})
RUNNING: Final = CHANGING | _errors(
    {
        422: "The body or a parameter is wrong, or there is no such Coze account; the message names what.",
        502: "The upstream gives no token for the account.",
        503: "The Coze account is incomplete, or the run cannot be recorded; the message says what to set.",
    }
)
RESUMING: Final = RUNNING | _MISSING | _errors({409: "The run is not waiting for an answer; the message says why."})
FETCHING: Final = RUNNING | _errors(
    {
        404: "The upstream has no such run.",
        502: "The upstream cannot be reached, or does not return the run.",
        503: "The Coze account is incomplete, or the store cannot be used; the message says which.",
    }
)
