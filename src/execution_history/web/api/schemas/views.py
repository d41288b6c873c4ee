"""Models of saved views."""

from pydantic import BaseModel, ConfigDict, Field

from execution_history.web.api.schemas.executions import Count, Flag, Name, OrderName, SortName, Text
from execution_history.web.api.schemas.reports import FilterWords

_FILTERS = 'Filters by name, such as {"status": "failed", "since": "24h"}; several values as a list.'


class ViewRequest(BaseModel):
    """A view to save."""

    model_config = ConfigDict(extra="forbid")

    name: Name = Field(description="At most 100 characters; no two views have the same.")
    filters: dict[str, FilterWords] = Field(default_factory=dict, description=_FILTERS)
    sort: SortName = Field("create_time", description="As of lists.")
    order: OrderName = Field("desc", description="desc, or asc: the smallest or oldest first.")
    columns: list[Text] = Field(default_factory=list, description="Of the list, in order; none: the usual ones.")
    starred: Flag = Field(default=False, description="Before those without a star.")


class ViewChange(BaseModel):
    """What to change of a view."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    filters: dict[str, FilterWords] | None = Field(None, description=_FILTERS)
    sort: SortName | None = None
    order: OrderName | None = None
    columns: list[Text] | None = None
    starred: Flag | None = None
    position: Count | None = Field(None, ge=0, le=1_000_000, description="Its place; the smaller the sooner.")
    version: Count | None = Field(None, description="Refuse the change where the view has another version.")


class ViewShape(ViewRequest):
    """A saved view."""

    model_config = ConfigDict(extra="ignore")

    id: str
    position: int
    version: int = Field(description="Of its last change.")
    count: int | None = Field(None, description="With counts=true: how many runs are in it.")
    count_is_exact: bool | None = Field(None, description="Otherwise at least so many are.")


class ViewAnswer(BaseModel):
    """One view."""

    success: bool
    view: ViewShape


class ViewsAnswer(BaseModel):
    """The saved views."""

    success: bool
    views: list[ViewShape]
    total: int = Field(description="How many there are.")
