"""Calls of the program that people copy from a sentence into their shell. Pure."""

import shlex
from pathlib import Path
from typing import Final

from execution_history.records.redaction import shown_store

PROGRAM: Final = "execution-history"


def command_line(
    *words: object, store: str | Path | None = None, text: str | None = None, program: str = PROGRAM
) -> str:
    """Return a call that a shell takes as it stands, whatever its words hold.

    A password in the URL of the store is left to be filled in.

    Args:
        words: the command and its arguments.
        store: the store that is meant; that of the reader's settings unless given.
        text: comes last, and may begin with a dash.
        program: how the program is called.
    """
    named = [] if store is None else ["--store", shown_store(str(store))]
    last = [] if text is None else ["--", text] if text.startswith("-") else [text]
    return shlex.join([program, *map(str, words), *named, *last])
