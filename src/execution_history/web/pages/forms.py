"""Input of pages: the fields of forms, and the parameters of addresses."""

from typing import Final
from urllib.parse import parse_qsl

from starlette.datastructures import ImmutableMultiDict
from starlette.requests import Request

from execution_history.errors import InvalidInput

_MOST_FIELDS: Final = 1_000
_MOST_DIGITS: Final = 15

Form = ImmutableMultiDict[str, str]


async def form_of(request: Request) -> Form:
    """Return the fields of a form as browsers send it by default; ``get`` returns the last of one name.

    Raises:
        InvalidInput: the body is not such a form.
    """
    body = await request.body()
    try:
        return ImmutableMultiDict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except (UnicodeDecodeError, ValueError):
        raise InvalidInput("The form cannot be read: it must be UTF-8 text with at most 1,000 fields.") from None


def query(request: Request, name: str) -> str:
    """Return the query parameter *name*; empty when there is none."""
    return request.query_params.get(name, "")


def whole_number(request: Request, name: str, limit: int) -> int:
    """Return the query parameter *name* as a number from 0 to *limit*; 0 when it is not a number."""
    text = query(request, name)
    return min(int(text), limit) if text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS else 0
