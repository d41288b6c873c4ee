"""The parsers of everything that others write: what they are tried with, and what has to hold (:mod:`.target`)."""

from typing import Final

GROUPS: Final = ("wire", "files", "queries", "web")
"""The modules that have targets; each is imported where it is needed only, as coverage is measured from then on."""
