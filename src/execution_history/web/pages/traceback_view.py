"""A traceback as its page shows it: what leads up to the last frame, that frame, and the error. Pure."""

import re
from typing import Final, NamedTuple

_FRAME: Final = re.compile(r"^ +(?:[|+-] *)*File \"", re.MULTILINE)
_ERROR: Final = re.compile(r"^(?! )\S", re.MULTILINE)
_LONGEST: Final = 12_000


class Traceback(NamedTuple):
    """The text of a traceback in three parts; ``frame`` is empty where no frame is known."""

    before: str
    frame: str
    after: str


def traceback_view(text: str | None) -> Traceback | None:
    """Return the parts of a Python traceback, the beginning of a long one left out; ``None`` without one."""
    if not text or not text.strip():
        return None
    shown = text if len(text) <= _LONGEST else "…" + text[-_LONGEST:]
    frames = [found.start() for found in _FRAME.finditer(shown)]
    if not frames:
        return Traceback(shown, "", "")
    found = _ERROR.search(shown, frames[-1])
    end = len(shown) if found is None else found.start()
    return Traceback(shown[: frames[-1]], shown[frames[-1] : end], shown[end:])
