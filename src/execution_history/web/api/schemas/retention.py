"""Models of retention and of deleted runs."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from execution_history.web.api.schemas.executions import ActionName, Count, ExecutionName, Flag, Size, Text


class RuleRequest(BaseModel):
    """A rule to set: a run that matches the filters goes when none of the limits keeps it."""

    model_config = ConfigDict(extra="allow")  # the filters, which the rule itself checks

    name: Text | None = Field(None, description="Its name; by default what it says.")
    action: ActionName = Field("remove", description="remove: the runs go; contents: only what went in and came out.")
    older_than: Text | None = Field(None, description="Runs that began later stay: 12h, 30d or 6w.")
    keep_runs: Count | None = Field(None, description="Of each workflow so many of the newest that match stay.")
    keep_bytes: Size | None = Field(
        None, description="Of each workflow the newest stay as long as it has no more: bytes, or a text such as 2GB."
    )
    workflow: Text | list[Text] | None = Field(None, description="A filter: these workflows, by id or name.")
    status: Text | list[Text] | None = Field(None, description="A filter: these statuses.")
    tag: Text | list[Text] | None = Field(None, description="A filter: runs with all of these tags.")


class DiskAnswer(BaseModel):
    """What the history takes of a disk, in bytes."""

    database: int
    log: int
    index: int
    files: int = Field(description="The JSON files.")
    other: int
    free: int = Field(description="Free within all of this; an estimate in PostgreSQL.")
    documents: int = Field(description="The JSON of all records.")
    lines: int = Field(0, description="About what the runs take besides their documents.")
    runs: int = Field(0, description="How many runs there are.")
    total: int
    used: int = Field(description="What is not free.")


class WorkflowPartAnswer(BaseModel):
    """What went of one workflow."""

    workflow_id: str
    runs: int
    bytes: int
    oldest: int | None = Field(description="When the oldest of them began (milliseconds).")
    newest: int | None


class ListedRunAnswer(BaseModel):
    """A run that went."""

    workflow_id: str
    execute_id: str
    create_time: int = Field(description="When it began (milliseconds); of the bin: when it was deleted.")
    bytes: int = Field(description="Of JSON.")


class PartAnswer(BaseModel):
    """What one rule did, or would do."""

    rule: str = Field(description="Its name; max_bytes is the limit of the size.")
    action: Literal["remove", "contents", "bin"] = Field(description="bin: deleted runs that are gone for good.")
    runs: int
    bytes: int = Field(description="Of JSON.")
    shortened: int = Field(0, description="So many of them had lost their contents earlier in the same run.")
    kept: dict[str, int] = Field(
        description="How many stayed, by what keeps them: running, waiting, pinned, rated or tagged; newest and bytes "
        "for the limits keep_runs and keep_bytes."
    )
    workflows: list[WorkflowPartAnswer] = Field(description="The same by workflow; at most 200.")
    listed: list[ListedRunAnswer] = Field([], description="The first of them; at most 200, of as many as runs.")
    is_complete: bool
    error: str | None = Field(description="Why it could not be carried out.")


class RetentionReport(BaseModel):
    """What a run of retention did, or would do; times are milliseconds."""

    began: int
    ended: int | None
    dry_run: bool
    runs: int = Field(description="How many runs went, or lost their contents.")
    freed: int = Field(description="How many bytes the file system got back.")
    reason: str | None = Field(
        description="Why nothing was freed, or not enough: no_rules, no_match, protected, in_bin, over_budget, failed."
    )
    limit: int | None = Field(description="The setting max_bytes.")
    bin_ms: int = Field(description="How long removed runs can be restored.")
    parts: list[PartAnswer]
    before: DiskAnswer | None
    after: DiskAnswer | None
    expected: int | None = Field(
        None, description="Of a preview with a limit: about how many bytes the history would take afterwards."
    )
    rounds: int = Field(
        0,
        description="How often runs went for the limit: first those of a preview; then the history was measured, and "
        "more went only where it still took too much.",
    )
    waits_for_index: bool = Field(
        default=False, description="The index was behind; the next run gives back what it has of the runs that went."
    )
    batches: int
    longest_ms: float = Field(description="How long the longest write took, waiting for others included.")


class JobRunAnswer(BaseModel):
    """A run of retention; times are milliseconds."""

    began: int
    ended: int | None
    outcome: Literal["running", "done", "failed"]
    reason: str | None = Field(description="Why it failed.")
    report: RetentionReport | None


class RetentionAnswer(BaseModel):
    """The rules, what the history takes, the last run, and the last that removed something."""

    success: bool
    source: str = Field(description="registry, or settings: those can only be changed there.")
    rules: list[dict[str, Any]]
    max_bytes: int | None
    keep_tags: list[str]
    disk: DiskAnswer | None
    last_run: JobRunAnswer | None
    last_removal: RetentionReport | None = Field(
        description="What the last run did that removed something; later ones found nothing."
    )


class RetentionPreview(BaseModel):
    """A preview."""

    success: bool
    report: RetentionReport


class RetentionRun(BaseModel):
    """A run that ended, or null for one that goes on."""

    success: bool
    run: JobRunAnswer | None


class BinEntry(BaseModel):
    """A deleted run; times are milliseconds."""

    workflow_id: str
    execute_id: str
    size: int = Field(description="Bytes of JSON.")
    deleted_at: int
    ends: int = Field(description="Until when it can be restored.")
    rule: str | None = Field(description="The rule of retention that removed it; null where people did.")


class BinAnswer(BaseModel):
    """Deleted runs."""

    success: bool
    entries: list[BinEntry]
    total: int
    bytes: int
    keep_ms: int = Field(description="How long a run that is deleted now can be restored; 0: not at all.")
    has_more: bool
    next: str | None = Field(description="Pass it on as after.")


class BinChoice(BaseModel):
    """Which deleted runs; one of the three."""

    model_config = ConfigDict(extra="forbid")

    runs: list[ExecutionName] | None = Field(None, max_length=10_000)
    workflow: Text | None = Field(None, description="All that were of this workflow, by id or name.")
    all: Flag = False


class RestoredAnswer(BaseModel):
    """The runs that were restored, of how many."""

    success: bool
    restored: list[ExecutionName]
    matches: int


class EmptiedAnswer(BaseModel):
    """How many deleted runs are gone for good."""

    success: bool
    removed: int
