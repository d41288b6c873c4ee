"""JSON text of any size, parsed. Pure."""

import gc
from typing import Any, Final

import orjson

HUGE: Final = 1024 * 1024
"""Bytes of JSON that take long enough to be read for others to notice."""


def parse(document: bytes) -> Any:  # noqa: ANN401 - JSON is any of six things
    """Return what a JSON text holds.

    While a huge one is parsed, garbage collection is off: it would look at millions of new objects again and again,
    and no other thread runs meanwhile.

    Raises:
        ValueError: it is not valid JSON.
    """
    is_paused = len(document) > HUGE and gc.isenabled()
    if is_paused:
        gc.disable()
    try:
        return orjson.loads(document)
    finally:
        if is_paused:
            gc.enable()
