"""Answers in JSON: plain values, and stored bytes passed through."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from starlette.responses import Response

from execution_history.history.answers import damaged_of
from execution_history.presentation.translator import LANGUAGES, Translator
from execution_history.query.model import Selection
from execution_history.records.encoding import encode


def translator_for(headers: Mapping[str, str]) -> Translator:
    """Return the translator to the language that the *headers* of a request prefer."""
    return LANGUAGES.of_header(headers.get("accept-language", ""))


def json_answer(content: bytes, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer with a body that is JSON already."""
    return Response(content, status, headers, media_type="application/json")


def answer(content: dict[str, Any], status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer of any values, in the JSON form of :mod:`execution_history.records.encoding`."""
    return json_answer(encode(content), status, headers)


def encode_shapes(content: dict[str, Any]) -> bytes:
    """Return the JSON of dataclasses and plain values, none of them a float that is not finite."""
    try:
        return orjson.dumps(content)
    except TypeError:  # half of a surrogate pair, or an integer of more than 64 bits
        return encode(content)


def page_answer(page: Selection) -> Response:
    """Return a page of history as an answer, each record as its stored bytes."""
    more = encode({"total": page.total, "has_more": page.has_more, **damaged_of(page.damaged)})
    return json_answer(b'{"success":true,"histories":[' + b",".join(page.documents) + b"]," + more[1:])


def detail_answer(document: bytes) -> Response:
    """Return one record as an answer, as its stored bytes."""
    return json_answer(b'{"success":true,"execution":' + document + b"}")
