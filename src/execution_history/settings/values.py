"""Types of settings whose values follow rules of their own; a wrong one is an ``InvalidInput`` with one sentence.

Each sentence stands behind the name of its setting and "it".
"""

import re
from collections.abc import Callable
from decimal import Decimal
from ipaddress import ip_network
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, BeforeValidator

from execution_history.errors import N_, InvalidInput
from execution_history.records.byte_sizes import bytes_of
from execution_history.records.price_book import Price, Prices, budget_of, currency_of
from execution_history.records.recording_rules import recording_rules_of
from execution_history.records.redaction_rules import rules_of

T = TypeVar("T")
Objects = list[dict[str, Any]]

_ORIGIN: Final = re.compile(
    r"null|\*|file://|(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>\[[0-9a-f:.]+\]|[^\[\]:@/?#\s]+)(?::(?P<port>[0-9]{1,5}))?/?"
)
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}
_ADDRESS: Final = re.compile(r"https?://[^\s/]+(?:/\S*)?")


def _or_else(problem: str, read: Callable[[T], T]) -> Callable[[T], T]:
    """Return *read*, with *problem* as the sentence of whatever it refuses."""

    def read_or_refuse(value: T) -> T:
        try:
            return read(value)
        except ValueError:
            raise InvalidInput(problem) from None

    return read_or_refuse


def _origin(value: str) -> str:
    """Return *value* as browsers send it in ``Origin``: without a default port, and nothing behind it.

    Raises:
        InvalidInput: it is no origin.
    """
    found = _ORIGIN.fullmatch(value)
    if found is None:
        raise InvalidInput("must hold origins such as http://localhost:5173, without a path; null and * are possible")
    scheme, host, port = found["scheme"], found["host"], found["port"]
    if scheme is None:
        return value
    return f"{scheme}://{host}" if port in (None, _DEFAULT_PORTS.get(scheme)) else f"{scheme}://{host}:{port}"


def _origins(values: list[str]) -> list[str]:
    return [_origin(value.strip().lower()) for value in values]


def _networks(values: list[str]) -> list[str]:
    return [str(ip_network(value.strip(), strict=False)) for value in values]


def _address(value: str) -> str:
    if not _ADDRESS.fullmatch(value):
        raise InvalidInput("must be an address such as http://127.0.0.1:4318")
    return value


def _size(value: object) -> object:
    return bytes_of(value) if isinstance(value, str) else value


def _prices(values: Objects) -> Objects:
    try:
        found = [Price.of(each) for each in values]
    except InvalidInput as error:
        raise InvalidInput("must hold prices (%(reason)s)", reason=error.message) from None
    if len(Prices(found)) < len(found):
        raise InvalidInput("must have one price at most for the same workflow and account")
    return values


def _rules(read: Callable[[Objects], object]) -> Callable[[Objects], Objects]:
    def values_with_rules(values: Objects) -> Objects:
        try:
            read(values)
        except InvalidInput as error:
            raise InvalidInput("must hold rules (%(reason)s)", reason=error.message) from None
        return values

    return values_with_rules


Origins = Annotated[list[str], AfterValidator(_origins)]
Networks = Annotated[
    list[str],
    AfterValidator(_or_else(N_("must hold addresses or networks such as 127.0.0.1 or 10.0.0.0/8"), _networks)),
]
HttpAddress = Annotated[str, AfterValidator(_address)]
Size = Annotated[int, BeforeValidator(_or_else(N_("must be a number of bytes such as 500MB or 20GB"), _size))]
Currency = Annotated[
    str, AfterValidator(_or_else(N_("must be a name of 1 to 12 letters such as CNY or USD"), currency_of))
]
Budget = Annotated[Decimal, AfterValidator(_or_else(N_("must be 0 or from 0.000001 to 10¹²"), budget_of))]
PriceList = Annotated[Objects, AfterValidator(_prices)]
RedactionRules = Annotated[Objects, AfterValidator(_rules(rules_of))]
RecordingRules = Annotated[Objects, AfterValidator(_rules(recording_rules_of))]
