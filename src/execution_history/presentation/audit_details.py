"""The keys of an audit line's details by which the lines of an act that takes a while are told apart. Pure."""

from typing import Final

BEGUN: Final = "begun"
"""In the first line, which is written before anything is changed."""

FAILED: Final = "failed"
"""In a line about its failure: why it failed."""
