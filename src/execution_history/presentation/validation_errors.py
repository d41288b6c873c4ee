"""What pydantic finds wrong with a value, as sentences that can be translated."""

from collections.abc import Mapping
from typing import Any, Final

from execution_history.errors import N_, Message

_NUMBER: Final = N_("%(name)s should be a whole number.")
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
    **dict.fromkeys(("string_type", "string_unicode"), _TEXT),
    **dict.fromkeys(("bool_type", "bool_parsing"), _FLAG),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), _OBJECT),
}


def validation_message(name: str, kind: str, context: Mapping[str, Any]) -> Message:
    """Return the sentence for an error of pydantic's.

    Args:
        name: what the value is called.
        kind: pydantic's name for the error, such as ``int_parsing``.
        context: what pydantic says with it, such as the limit that was passed.
    """
    return Message(_SENTENCES.get(kind, _ANY), name=name, **context)
