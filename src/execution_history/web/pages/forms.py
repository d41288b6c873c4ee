"""Input of pages: the fields of forms, and the parameters of addresses."""

import re
from typing import Final
from urllib.parse import parse_qsl

from starlette.datastructures import ImmutableMultiDict
from starlette.requests import Request

from execution_history.errors import InvalidInput
from execution_history.web.demo_switch import IS_DEMO

_MOST_FIELDS: Final = 1_000
_MOST_DIGITS: Final = 15

Form = ImmutableMultiDict[str, str]

DEMO_FIELD: Final = "of"
"""The field that every form on a page of the demo beside a history has."""

_POST_FORM: Final = re.compile(r'<form\b[^>]*\bmethod="post"[^>]*>')


async def form_of(request: Request) -> Form:
    """Return the fields of a form as browsers send it by default; ``get`` returns the last of one name.

    Raises:
        InvalidInput: the body is not such a form, or the form is the demo's and the history has received it.
    """
    body = await request.body()
    try:
        form = ImmutableMultiDict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except (UnicodeDecodeError, ValueError):
        raise InvalidInput("The form cannot be read: it must be UTF-8 text with at most 1,000 fields.") from None
    if DEMO_FIELD in form and not request.scope.get(IS_DEMO):
        raise InvalidInput(
            "That page showed the demo, which has been left since: nothing was changed. Load the page again."
        )
    return form


def marked_as_demo(page: str) -> str:
    """Return *page* with the field :data:`DEMO_FIELD` in each form that changes something."""
    return _POST_FORM.sub(rf'\g<0><input type="hidden" name="{DEMO_FIELD}" value="demo">', page)


def query(request: Request, name: str) -> str:
    """Return the query parameter *name*; empty when there is none."""
    return request.query_params.get(name, "")


def whole_number(request: Request, name: str, limit: int) -> int:
    """Return the query parameter *name* as a number from 0 to *limit*; 0 when it is not a number."""
    text = query(request, name)
    return min(int(text), limit) if text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS else 0
