"""Models of the rules of redaction and recording, and of what a redaction did."""

from pydantic import BaseModel, ConfigDict, Field


class RedactionRuleAnswer(BaseModel):
    """A rule of redaction: exactly one of key, path, pattern and detector says what it finds."""

    name: str = Field(description="What records and reports call it.")
    key: str | None = Field(None, description="A name, with * and ?, at any depth.")
    path: str | None = Field(None, description="A path into the record, such as output.items[*].phone.")
    pattern: str | None = Field(None, description="A regular expression.")
    detector: str | None = Field(None, description="A built-in detector, or secrets or personal for all of a kind.")
    workflow: str = Field(description="The ids of workflows, with * and ?.")
    action: str = Field(description="mask, remove, hash or keep.")
    built_in: bool


class RecordingRuleAnswer(BaseModel):
    """A rule of how much is recorded."""

    workflow: str = Field(description="The ids of workflows, with * and ?.")
    record: str = Field(description="everything, summary, sample or nothing.")
    share: float | None = Field(None, description="Of a sample.")
    largest_bytes: int | None = Field(None, description="How many bytes of JSON each value has at most.")


class RedactionExampleAnswer(BaseModel):
    """A value as it is, or would be, after redaction."""

    workflow_id: str
    execute_id: str
    field: str
    rule: str
    text: str


class ArchiveRedactionAnswer(BaseModel):
    """What was, or would be, redacted in an archive."""

    file: str
    records: int = Field(description="Records that were looked at.")
    changed: int = Field(description="Records in which something was, or would be, redacted.")
    values: dict[str, int] = Field(description="How many values by which rule.")
    bytes: int = Field(description="Of JSON that the records have.")
    is_there: bool = Field(description="Whether it is where it was written.")
    trouble: str | None = Field(description="Why it was not redacted.")


class SpoolRedactionAnswer(BaseModel):
    """What was, or would be, redacted of steps of runs that wait for the store."""

    steps: int
    changed: int
    missed: list[str] = Field(description="Files that were not looked at.")


class EarlierBackupsAnswer(BaseModel):
    """Backups that still hold what was redacted."""

    place: str
    count: int | None = Field(description="How many; null where the place cannot be read.")


class RedactionReportAnswer(BaseModel):
    """What a redaction found and did."""

    model_config = ConfigDict(extra="allow")

    records: int = Field(description="Records that were looked at.")
    bytes: int
    changed: int = Field(description="Records in which something was, or would be, redacted.")
    binned: int = Field(description="Those of them that are deleted and can be restored.")
    values: dict[str, int] = Field(description="How many values by which rule.")
    workflows: dict[str, int] = Field(description="How many records of which workflow.")
    damaged: int
    missed: int = Field(description="Records that others changed all the time: redact again.")
    examples: list[RedactionExampleAnswer]
    archives: list[ArchiveRedactionAnswer] = Field([], description="Of the archives of this history.")
    spool: SpoolRedactionAnswer | None = None
    backups: list[EarlierBackupsAnswer] = Field([], description="Where there are backups that were made before.")
    dry_run: bool
    continued: bool = Field(description="Whether it went on where an earlier one had stopped.")
    erased: bool | None = Field(description="Whether the store's files hold no earlier version; null: unknown.")


class RedactionRunAnswer(BaseModel):
    """A redaction; times are milliseconds since the epoch."""

    began: int
    ended: int | None
    outcome: str = Field(description="running, done or failed.")
    reason: str | None = Field(description="Why it failed.")
    report: RedactionReportAnswer | None


class RedactionRulesAnswer(BaseModel):
    """The rules in force, and the last redaction of what the history had already."""

    success: bool
    redaction: list[RedactionRuleAnswer]
    recording: list[RecordingRuleAnswer]
    last: RedactionRunAnswer | None


class RedactionAnswer(BaseModel):
    """A redaction, or what one would do."""

    success: bool
    run: RedactionRunAnswer | None = Field(description="null for a trial; one that is running goes on.")
    report: RedactionReportAnswer | None
