"""What requests to note something, and answers that report, compare and count, look like."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from execution_history.history.annotations import Refusal
from execution_history.query.model import Bucket, FailureGroup, Figures
from execution_history.web.api.schemas.executions import DamagedRecord, ExecutionName, Text


class TagChange(BaseModel):
    """Tags to add and to take away."""

    model_config = ConfigDict(extra="forbid")

    add: list[Text] = Field(default_factory=list, description="Tags of 1 to 64 characters.")
    remove: list[Text] = Field(default_factory=list, description="One that is not there is no error.")


class AnnotationRequest(BaseModel):
    """What to note; what is not given stays as it is, and null removes it."""

    model_config = ConfigDict(extra="forbid")

    tags: list[Text] | TagChange | None = Field(None, description="All tags as a list, or what to add and remove.")
    note: Text | None = Field(None, description="At most 64 KiB.")
    rating: int | None = Field(None, description="1 (bad) to 5 (very good).")
    pinned: bool | None = None


class AnnotateRequest(AnnotationRequest):
    """What to note about several runs."""

    executions: list[ExecutionName] = Field(min_length=1, max_length=10_000)


class DeleteRequest(BaseModel):
    """Which records to remove."""

    model_config = ConfigDict(extra="forbid")

    executions: list[ExecutionName] = Field(min_length=1, max_length=10_000)


class RefusalAnswer(Refusal):
    """A run that could not be annotated, and why."""


class AnnotationReportAnswer(BaseModel):
    """What annotating several runs did."""

    success: bool
    changed: int
    unchanged: int = Field(description="So many were so already.")
    refused: list[RefusalAnswer]


class DeleteReportAnswer(BaseModel):
    """What deleting several records did."""

    success: bool
    deleted: int
    missing: list[ExecutionName] = Field(description="These were not there.")


class ComparisonAnswer(BaseModel):
    """How two runs differ."""

    success: bool
    comparison: dict[str, Any] = Field(
        description="old and new (which runs), is_same, the differences of input, output, settings and ending, the "
        "first node that differs (divergence), duration and tokens of both, and left_out: what was too large."
    )


class FiguresAnswer(Figures):
    """What is counted of some runs; durations are milliseconds of those that succeeded or failed."""


@dataclass(frozen=True)
class BucketAnswer(Bucket):
    """The figures of the runs that began from start on and before end (milliseconds)."""

    figures: FiguresAnswer


class FailureAnswer(FailureGroup):
    """Failures that are alike; the example is the newest."""


class StatisticsAnswer(BaseModel):
    """What can be counted."""

    success: bool
    totals: FiguresAnswer
    buckets: list[BucketAnswer]
    error_codes: dict[str, int]
    failures: list[FailureAnswer]
    damaged: list[DamagedRecord] | None = Field(
        None, description="There only when records had to be looked into and are damaged: these, which are not counted."
    )


class ImportAnswer(BaseModel):
    """What an import did."""

    success: bool
    added: int
    replaced: int = Field(description="So many were older versions.")
    skipped: int = Field(description="So many were there in the same or a newer version.")
    refused_count: int
    refused: list[dict[str, str]] = Field(description="source, place and reason of the first thousand.")
    size: int
