"""Errors that pydantic and typer find in a value or a call, as sentences that can be translated. Pure.

typer puts its sentences together in English; they are taken apart by the patterns of a table.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from execution_history.errors import N_, Message

_NUMBER: Final = N_("%(name)s should be a whole number.")
_AMOUNT: Final = N_("%(name)s should be a number.")
_TEXT: Final = N_("%(name)s should be text.")
_FLAG: Final = N_("%(name)s should be true or false.")
_OBJECT: Final = N_("%(name)s should be a JSON object.")
_ANY: Final = N_("%(name)s cannot have this value; /docs says which it may have.")
_SENTENCES: Final = {
    "missing": N_("%(name)s is missing."),
    "extra_forbidden": N_("%(name)s is not known here; /docs says what is."),
    "half_surrogate_pair": N_("%(name)s holds half of a surrogate pair."),
    "greater_than_equal": N_("%(name)s should be greater than or equal to %(ge)s."),
    "less_than_equal": N_("%(name)s should be less than or equal to %(le)s."),
    "too_short": N_("%(name)s has too few entries (%(actual_length)s; the minimum is %(min_length)s)."),
    "too_long": N_("%(name)s has too many entries (%(actual_length)s; the maximum is %(max_length)s)."),
    "list_type": N_("%(name)s should be a list."),
    **dict.fromkeys(("int_type", "int_parsing", "int_parsing_size", "int_from_float", "finite_number"), _NUMBER),
    **dict.fromkeys(("number_type", "float_type", "float_parsing"), _AMOUNT),
    **dict.fromkeys(("string_type", "string_unicode"), _TEXT),
    **dict.fromkeys(("bool_type", "bool_parsing"), _FLAG),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), _OBJECT),
}

_CALLS: Final = (
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
"""typer's sentences for wrong calls; each stands before those whose pattern matches it too."""

_REASONS: Final = {
    "Input should be a valid integer, unable to parse string as an integer": N_("it is not a whole number."),
    "Input should be greater than or equal to %(least)s": N_("it must be at least %(least)s."),
    "Input should be less than or equal to %(most)s": N_("it must be at most %(most)s."),
    "Value error, %(value)s is not one of %(choices)s.": N_("%(value)s is not one of %(choices)s."),
    "%(value)s is not one of %(choices)s.": N_("%(value)s is not one of %(choices)s."),
    "%(value)s is not a valid integer.": N_("it is not a whole number."),
    "%(value)s is not in the range x>=%(least)s.": N_("it must be at least %(least)s."),
    "%(value)s is not in the range %(least)s<=x<=%(most)s.": N_("it must be %(least)s to %(most)s."),
}
"""Why a value is refused: in the words of pydantic and of several versions of typer, and in ours."""

_PLACEHOLDER: Final = re.compile(r"%\\\((\w+)\\\)s")
_PATTERNS: Final = [
    (re.compile(_PLACEHOLDER.sub(r"(?P<\1>.*?)", re.escape(template)), re.DOTALL), ours)
    for template, ours in [*((sentence, sentence) for sentence in _CALLS), *_REASONS.items()]
]


def validation_message(name: str, kind: str, context: Mapping[str, Any]) -> Message:
    """Return the sentence for one of pydantic's errors.

    Args:
        name: the name of the value.
        kind: pydantic's name for the error, such as ``int_parsing``.
        context: pydantic's values for it, such as the limit.
    """
    return Message(_SENTENCES.get(kind, _ANY), name=name, **context)


def sentence_of(sentence: str) -> Message:
    """Return typer's *sentence* as a message of ours; one that is not in the table stays as it is."""
    for pattern, ours in _PATTERNS:
        if found := pattern.fullmatch(sentence):
            values = found.groupdict()
            return Message(ours, **{name: sentence_of(v) if name == "reason" else v for name, v in values.items()})
    return Message(sentence)
