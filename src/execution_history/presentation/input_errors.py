"""What typer and pydantic say of wrong calls and values, in sentences that can be translated. Pure.

Both put their sentences together in English; they are taken apart by the patterns of one table and put together again.
"""

import re
from typing import Final

from execution_history.errors import N_, Message

_SENTENCES: Final = (
    N_("No such command %(name)s. Did you mean %(names)s?"),
    N_("No such command %(name)s."),
    N_("No such option: %(name)s (Possible options: %(names)s)"),
    N_("No such option: %(name)s Did you mean %(names)s?"),
    N_("No such option: %(name)s"),
    N_("Missing command."),
    N_("Missing argument %(name)s."),
    N_("Missing option %(name)s."),
    N_("Got unexpected extra argument (%(values)s)"),
    N_("Got unexpected extra arguments (%(values)s)"),
    N_("Got unexpected extra argument(s) (%(values)s)"),
    N_("Option %(name)s requires an argument."),
    N_("Option %(name)s does not take a value."),
    N_("Invalid value for %(name)s: %(reason)s"),
    N_("Invalid value: %(reason)s"),
)
"""What typer says of a wrong call; a sentence stands before what it would fit into."""

_REASONS: Final = {
    "Input should be a valid integer%(detail)s": N_("it is not a whole number."),
    "Input should be a valid number%(detail)s": N_("it is not a number."),
    "Input should be a valid boolean%(detail)s": N_("it is neither true nor false."),
    "Input should be a valid string": N_("it is not a text."),
    "Input should be a valid list": N_("it is not a list."),
    "Input should be a valid dictionary%(detail)s": N_("it is not a JSON object."),
    "Input should be greater than or equal to %(least)s": N_("it must be at least %(least)s."),
    "Input should be less than or equal to %(most)s": N_("it must be at most %(most)s."),
    "Value error, %(value)s is not one of %(choices)s.": N_("%(value)s is not one of %(choices)s."),
    "%(value)s is not one of %(choices)s.": N_("%(value)s is not one of %(choices)s."),
    "%(value)s is not a valid integer.": N_("it is not a whole number."),
    "%(value)s is not in the range x>=%(least)s.": N_("it must be at least %(least)s."),
    "%(value)s is not in the range %(least)s<=x<=%(most)s.": N_("it must be %(least)s to %(most)s."),
}
"""What a value may lack, as pydantic and versions of typer put it, and as we do."""

_PLACEHOLDER: Final = re.compile(r"%\\\((\w+)\\\)s")
_PATTERNS: Final = [
    (re.compile(_PLACEHOLDER.sub(r"(?P<\1>.*)", re.escape(template)), re.DOTALL), ours)
    for template, ours in [*((sentence, sentence) for sentence in _SENTENCES), *_REASONS.items()]
]


def sentence_of(sentence: str) -> Message:
    """Return what typer or pydantic says as a message of ours; a *sentence* that is not in the table stays as it is."""
    for pattern, ours in _PATTERNS:
        if found := pattern.fullmatch(sentence):
            values = found.groupdict()
            return Message(ours, **{name: sentence_of(v) if name == "reason" else v for name, v in values.items()})
    return Message(sentence)
