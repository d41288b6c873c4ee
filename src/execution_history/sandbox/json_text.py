"""JSON as the sandbox writes it."""

import orjson


def to_text(value: object) -> str:
    """Return ``value`` as compact JSON text with Unicode unescaped, as nodes put it into their outputs."""
    return orjson.dumps(value).decode()


def to_wire(value: object) -> bytes:
    r"""Return ``value`` as the JSON bytes of an answer: UTF-8, with ``&`` spelled ``\u0026`` (protocol 1.2)."""
    return orjson.dumps(value).replace(b"&", b"\\u0026")


def from_text(text: str) -> object:
    """Return the value of JSON text that ``to_text`` wrote."""
    value: object = orjson.loads(text)
    return value
