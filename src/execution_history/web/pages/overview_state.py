"""What the overview shows, as its address has it: window, order, words, page. Pure."""

from dataclasses import dataclass, field, replace
from typing import Final

from starlette.requests import Request

from execution_history.history.overview import FIRST_ASCENDING, SORTS, WINDOWS, Window, WorkflowSort
from execution_history.web.pages import urls
from execution_history.web.pages.forms import query, whole_number
from execution_history.web.pages.table_order import TableOrder, order_of

_MOST_PAGES: Final = 10**6
_USUAL: Final[WorkflowSort] = "failed"


@dataclass(frozen=True, slots=True)
class OverviewState:
    """The state of the overview; without anything in its address it is the first one of each."""

    window: Window = "24h"
    order: TableOrder[WorkflowSort] = field(default_factory=lambda: TableOrder(_USUAL, _USUAL, FIRST_ASCENDING))
    find: str = ""
    page: int = 1
    has_all_failures: bool = False
    has_hidden: bool = False

    @property
    def address(self) -> str:
        """The address."""
        return urls.with_query(urls.OVERVIEW, self.parameters())

    def parameters(self, *without: str) -> dict[str, str]:
        """Return the parameters of the address, but for those *without*: only those that are not as usual."""
        first = OverviewState()
        given = {
            "window": self.window if self.window != first.window else "",
            **self.order.parameters(),
            "find": self.find,
            "page": str(self.page) if self.page > 1 else "",
            "failures": "all" if self.has_all_failures else "",
            "hidden": "1" if self.has_hidden else "",
        }
        return {name: value for name, value in given.items() if value and name not in without}

    def but(self, **changes: object) -> str:
        """Return the address of the overview with *changes*, on the first page unless that is one of them."""
        return replace(self, **{"page": 1, **changes}).address  # type: ignore[arg-type] # of templates

    def sorted_by(self, sort: WorkflowSort) -> str:
        """Return the address of the same workflows sorted by *sort*, or reversed where they are sorted so already."""
        return self.but(order=self.order.by(sort))


def overview_state(request: Request) -> OverviewState:
    """Return the state in the address of *request*; what cannot be is as usual."""
    window = query(request, "window")
    return OverviewState(
        window=window if window in WINDOWS else "24h",
        order=order_of(request, SORTS, _USUAL, FIRST_ASCENDING),
        find=query(request, "find").strip(),
        page=max(1, whole_number(request, "page", _MOST_PAGES)),
        has_all_failures=query(request, "failures") == "all",
        has_hidden=query(request, "hidden") == "1",
    )
