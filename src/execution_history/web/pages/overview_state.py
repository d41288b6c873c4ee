"""What the overview shows, as its address has it: window, order, words, page. Pure."""

from dataclasses import dataclass, replace
from typing import Final

from starlette.requests import Request

from execution_history.history.overview import FIRST_ASCENDING, SORTS, WINDOWS, Window, WorkflowSort
from execution_history.web.pages import urls
from execution_history.web.pages.forms import query, whole_number

_MOST_PAGES: Final = 10**6


@dataclass(frozen=True, slots=True)
class OverviewState:
    """The state of the overview; without anything in its address it is the first one of each."""

    window: Window = "24h"
    sort: WorkflowSort = "failed"
    is_reversed: bool = False
    find: str = ""
    page: int = 1
    has_all_failures: bool = False
    has_hidden: bool = False

    @property
    def is_descending(self) -> bool:
        """Whether the largest, or newest, stands first."""
        return (self.sort not in FIRST_ASCENDING) != self.is_reversed

    @property
    def address(self) -> str:
        """The address."""
        return urls.with_query(urls.OVERVIEW, self.parameters())

    def parameters(self, *without: str) -> dict[str, str]:
        """Return the parameters of the address, but for those *without*: only those that are not as usual."""
        first = OverviewState()
        given = {
            "window": self.window if self.window != first.window else "",
            "sort": self.sort if self.sort != first.sort else "",
            "order": ("desc" if self.is_descending else "asc") if self.is_reversed else "",
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
        return self.but(sort=sort, is_reversed=sort == self.sort and not self.is_reversed)


def overview_state(request: Request) -> OverviewState:
    """Return the state in the address of *request*; what cannot be is as usual."""
    window, sort = query(request, "window"), query(request, "sort")
    usual = "asc" if sort in FIRST_ASCENDING else "desc"
    return OverviewState(
        window=window if window in WINDOWS else "24h",
        sort=sort if sort in SORTS else "failed",
        is_reversed=query(request, "order") in {"asc", "desc"} - {usual},
        find=query(request, "find").strip(),
        page=max(1, whole_number(request, "page", _MOST_PAGES)),
        has_all_failures=query(request, "failures") == "all",
        has_hidden=query(request, "hidden") == "1",
    )
