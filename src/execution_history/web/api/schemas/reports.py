"""Models of requests that annotate or delete, and of answers that report, compare and count."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from execution_history.history.annotations import Refusal
from execution_history.history.bulk_changes import BulkChange
from execution_history.history.trace import TraceRun
from execution_history.query.breakdown import Group
from execution_history.query.model import Bucket, FailureGroup, Figures
from execution_history.web.api.schemas.executions import (
    Count,
    DamagedRecord,
    ExecutionName,
    Flag,
    Number,
    Reach,
    Tag,
    Text,
)

FilterWords = Text | int | bool | list[Text | int]
"""The value of a filter: what the parameter of that name takes, several as a list."""


class TagChange(BaseModel):
    """Tags to add and to remove."""

    model_config = ConfigDict(extra="forbid")

    add: list[Tag] = Field(default_factory=list, description="Tags of 1 to 64 characters.")
    remove: list[Tag] = Field(default_factory=list, description="A tag that the run does not have is ignored.")


class AnnotationRequest(BaseModel):
    """Annotations to set; a missing field stays as it is, and null removes it."""

    model_config = ConfigDict(extra="forbid")

    tags: list[Tag] | TagChange | None = Field(None, description="All tags as a list, or what to add and remove.")
    note: Text | None = Field(None, description="At most 64 KiB.")
    rating: Count | None = Field(
        None, description="1 (bad) to 5 (very good); 0 removes it.", json_schema_extra={"minimum": 0, "maximum": 5}
    )
    pinned: Flag | None = None


class RunsRequest(BaseModel):
    """Runs to change: those that are named, or all that match."""

    model_config = ConfigDict(extra="forbid")

    executions: list[ExecutionName] | None = Field(None, min_length=1, max_length=10_000, description="These runs.")
    filters: dict[str, FilterWords] | None = Field(
        None, description='All runs that match, such as {"status": "failed", "since": "7d"}; at least one filter.'
    )
    zone: Text = Field("UTC", description="The time zone of times in filters that have none.")
    dry_run: Flag = Field(default=False, description="Change nothing, count the runs that match or exist.")
    wait_seconds: Number = Field(
        default=10.0, ge=0, le=60, description="With filters: how long to wait for the end; it goes on afterwards."
    )


class AnnotateRequest(RunsRequest, AnnotationRequest):
    """Annotations to set on several runs."""


class DeleteRequest(RunsRequest):
    """The records to delete."""


class BulkChangeAnswer(BulkChange):
    """A change of many runs, as far as it has come; times are milliseconds since 1970-01-01 UTC.

    Its state is running, done, stopped, interrupted (its program ended first) or undone. The total is at least so many
    where it is not exact. Runs that others changed meanwhile are left_alone. A deletion can be undone until it ends;
    one that is_resumable can be carried on where it is stopped or interrupted.
    """


class ChangeAnswer(BaseModel):
    """How far a change of many runs has come."""

    success: bool
    change: BulkChangeAnswer


class ChangesAnswer(BaseModel):
    """Changes of many runs, the newest first."""

    success: bool
    changes: list[BulkChangeAnswer]
    total: int = Field(description="How many are in changes.")


class MatchesAnswer(BaseModel):
    """How many runs match, or exist of those that are named."""

    success: bool
    matches: int
    matches_are_exact: bool = Field(description="Otherwise at least so many match.")


class RefusalAnswer(Refusal):
    """A run that could not be annotated, and why."""


class AnnotationReportAnswer(BaseModel):
    """The result of annotating several runs."""

    success: bool
    changed: int
    unchanged: int = Field(description="How many were annotated so already.")
    refused: list[RefusalAnswer]


class DeleteReportAnswer(BaseModel):
    """The result of deleting several records."""

    success: bool
    deleted: int
    missing: list[ExecutionName] = Field(description="The records that did not exist.")


class ComparisonAnswer(BaseModel):
    """How two runs differ."""

    success: bool
    comparison: dict[str, Any] = Field(
        description="old and new (which runs), is_same, the differences of input, output, settings and ending, the "
        "first node that differs (divergence), what each node did in both (nodes), duration and tokens of both, and "
        "left_out: what was too large."
    )


class SeveralAnswer(BaseModel):
    """How several runs compare with one of them."""

    success: bool
    runs: list[dict[str, Any]] = Field(description="The runs and their figures, the baseline first.")
    comparisons: list[dict[str, Any]] = Field(
        description="Of each other run with the baseline, in the same order, as for two runs."
    )
    nodes: list[dict[str, Any]] = Field(description="What each node did in every run, those that failed first.")
    equal_values: dict[str, int] = Field(description="How many single values of input and output are alike in all.")


class TracedRun(TraceRun):
    """A run of a tree; times and durations are milliseconds.

    The duration is how long it worked, without waited_ms, for which it waited for answers. depth counts the runs of the
    tree around it, parent is the execute_id of the next of them, children counts those directly within it.
    """


class TraceAnswer(BaseModel):
    """The tree of runs around a run."""

    success: bool
    runs: list[TracedRun] = Field(description="Each before those within it, which are in the order of their beginning.")
    path: list[ExecutionName] = Field(description="From the outermost run down to the one of the address.")
    missing_parent: dict[str, str | None] | None = Field(
        description="The parent of the outermost run where it has one without a record: workflow_id, if known, and "
        "execute_id."
    )
    is_circular: bool = Field(
        description="Whether the parents lead round in a circle, so that no run is the outermost."
    )
    left_out: int = Field(description="How many further runs there are at least, beyond the limit or too deep.")
    damaged: list[DamagedRecord] | None = Field(
        None, description="Only present when records of the tree are damaged and cannot be read: these."
    )
    reach: Reach | None = Field(None, description="Only present while the index is behind the history.")


class FiguresAnswer(Figures):
    """Counts over some runs; durations are milliseconds of those that succeeded or failed."""


@dataclass(frozen=True)
class BucketAnswer(Bucket):
    """The figures of the runs that began from start on and before end (milliseconds)."""

    figures: FiguresAnswer


class FailureAnswer(FailureGroup):
    """A group of similar failures; the example is the newest."""


class StatisticsAnswer(BaseModel):
    """The statistics of some runs."""

    success: bool
    totals: FiguresAnswer
    buckets: list[BucketAnswer]
    error_codes: dict[str, int]
    failures: list[FailureAnswer]
    percentiles_are_exact: bool = Field(
        default=True, description="False where percentiles of very many runs are approximate, each within 2 %."
    )
    damaged: list[DamagedRecord] | None = Field(
        None, description="Only present when records that had to be read are damaged: these, which are not counted."
    )
    reach: Reach | None = Field(None, description="Only present while the index is behind the history.")


@dataclass(frozen=True)
class GroupAnswer(Group):
    """The runs that have one value in common."""

    figures: FiguresAnswer


class BreakdownAnswer(BaseModel):
    """The figures of some runs by group."""

    success: bool
    groups: list[GroupAnswer]
    total_groups: int = Field(description="How many groups there are, of which the first are in groups.")
    bucket_edges: list[int] = Field(
        description="The starts of the buckets of trends and the end of the last one (milliseconds); empty without."
    )
    covers: int | None = Field(
        description="Where the runs are too many to be counted: of how many of the newest the figures are; else null."
    )
    percentiles_are_exact: bool = Field(description="False where percentiles are approximate, each within 2 %.")
    damaged: list[DamagedRecord] | None = Field(
        None, description="Only present when records that had to be read are damaged: these, which are not counted."
    )
    reach: Reach | None = Field(None, description="Only present while the index is behind the history.")


class ImportAnswer(BaseModel):
    """The result of an import."""

    success: bool
    added: int
    replaced: int = Field(description="How many replaced an older version.")
    skipped: int = Field(description="How many existed already in the same or a newer version.")
    refused_count: int
    refused: list[dict[str, str]] = Field(description="source, place and reason of the first thousand.")
    size: int
