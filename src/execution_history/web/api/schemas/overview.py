"""The model of the overview."""

from dataclasses import dataclass

from pydantic import BaseModel, Field

from execution_history.history.overview import Count, OpenRuns, WorkflowInWindow
from execution_history.web.api.schemas.executions import DamagedRecord, Reach
from execution_history.web.api.schemas.reports import FailureAnswer, FiguresAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowAnswer(WorkflowInWindow):
    """A workflow with its figures in the window; last_run (milliseconds) is the newest of all time.

    figures is null where there are more than a thousand workflows and this one has not been counted.
    """

    figures: FiguresAnswer | None


class OpenRunsAnswer(OpenRuns):
    """The newest of some runs that are not over, and how many there are."""


class OverviewAnswer(BaseModel):
    """What failed in a window of time, how each workflow did in it, and what is open now."""

    success: bool
    window: str
    since: int = Field(description="When the window begins (milliseconds).")
    until: int = Field(description="When it ends: now.")
    runs: int = Field(description="How many runs began in it.")
    failed: Count = Field(description="How many of them failed, or were interrupted by an error.")
    broke_off: int = Field(description="How many of these were interrupted.")
    failures: list[FailureAnswer] = Field(
        description="Groups of similar failures, the most frequent first; at most 100."
    )
    bucket_edges: list[int] = Field(description="Where the buckets of the failures begin, and where the last one ends.")
    workflows: list[WorkflowAnswer] = Field(description="All workflows: starred ones first, hidden ones last.")
    waiting: OpenRunsAnswer = Field(
        description="Runs of the last seven days that ask a question, or stopped without one."
    )
    running: OpenRunsAnswer
    expiring: Count = Field(description="Unsuccessful runs whose debug page at Coze expires within a day.")
    pinned: Count = Field(description="Runs that people have pinned, however old.")
    problems: list[str] = Field(description="A sentence for each reason that runs cannot be recorded or read now.")
    percentiles_are_exact: bool
    damaged: list[DamagedRecord] | None = Field(
        None, description="Only present when records that had to be read are damaged."
    )
    reach: Reach | None = Field(None, description="Only present while the index is behind the history.")
