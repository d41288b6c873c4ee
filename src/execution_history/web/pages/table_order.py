"""The order of a table in its address: what it is sorted by, and whether that is turned round. Pure."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from starlette.requests import Request

from execution_history.web.pages.forms import query

SortName = TypeVar("SortName", bound=str)


@dataclass(frozen=True, slots=True)
class TableOrder(Generic[SortName]):
    """The order of a table.

    Attributes:
        sort: what it is sorted by.
        usual: what it is sorted by without anything in its address.
        ascending: the sorts in which one looks for the smallest values first.
        is_reversed: whether it is turned round.
    """

    sort: SortName
    usual: SortName
    ascending: frozenset[SortName]
    is_reversed: bool = False

    @property
    def is_descending(self) -> bool:
        """Whether the largest, or newest, stands first."""
        return (self.sort not in self.ascending) != self.is_reversed

    def by(self, sort: SortName) -> "TableOrder[SortName]":
        """Return the order by *sort*, or the reverse of this one where that is its sort already."""
        return replace(self, sort=sort, is_reversed=sort == self.sort and not self.is_reversed)

    def parameters(self) -> dict[str, str]:
        """Return the parameters of the address, empty where they are as usual."""
        return {
            "sort": self.sort if self.sort != self.usual else "",
            "order": ("desc" if self.is_descending else "asc") if self.is_reversed else "",
        }


def order_of(
    request: Request, sorts: Collection[SortName], usual: SortName, ascending: frozenset[SortName]
) -> TableOrder[SortName]:
    """Return the order in the address of *request*: one of *sorts*, the *usual* one where it names none of them."""
    named = query(request, "sort")
    sort = next((each for each in sorts if each == named), usual)
    turned = "desc" if sort in ascending else "asc"
    return TableOrder(sort, usual, ascending, query(request, "order") == turned)
