"""What is wrong with a setting, in one sentence that never has its value."""

import os
import re
import tomllib
from collections.abc import Callable, Container
from difflib import get_close_matches
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError as SourceError

from execution_history.errors import N_, Message, message_of, quoted
from execution_history.records.byte_sizes import written
from execution_history.settings.model import NESTED, PREFIX, Settings, config_file

_WHOLE: Final = N_("must be a whole number")
_PROBLEMS: Final = {
    "greater_than_equal": N_("must be at least %(ge)s"),
    "greater_than": N_("must be more than %(gt)s"),
    "less_than_equal": N_("must be at most %(le)s"),
    **dict.fromkeys(("int_type", "int_parsing", "int_parsing_size", "int_from_float"), _WHOLE),
    **dict.fromkeys(
        ("float_type", "float_parsing", "finite_number", "decimal_type", "decimal_parsing"), N_("must be a number")
    ),
    **dict.fromkeys(("bool_type", "bool_parsing"), N_("must be true or false")),
    **dict.fromkeys(("list_type", "tuple_type"), N_("must be a list")),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), N_("must be an object")),
    "string_type": N_("must be text"),
    "literal_error": N_("must be one of %(expected)s"),
}
"""What a value must be, by pydantic's name of the error."""

_FIELD: Final = re.compile(r'field "(\w+)"')


def source_sentence(error: SourceError) -> str:
    """Return the fault of a variable that should hold JSON; *error* has its field and nothing of its value."""
    named: str = Message("A setting in the environment")
    if found := _FIELD.search(str(error)):
        variable = PREFIX + found[1].upper()
        named = Message("The setting %(field)s (variable %(variable)s)", field=found[1], variable=variable)
    return Message(
        '%(named)s is wrong: it must be JSON, a list such as ["a", "b"] or an object such as {"name": {}}.', named=named
    )


def validation_sentence(error: ValidationError, arguments: Container[str] = ()) -> str:
    """Return the first fault of *error*, with the names by which the setting can be set; never its value.

    Args:
        error: what pydantic raised.
        arguments: the settings that the program itself gave, which win over variables and the file.
    """
    fault = first_fault(error)
    path = [str(part) for part in fault["loc"]]
    # An element of a list has no variable of its own.
    named = [str(part) for part in fault["loc"] if isinstance(part, str)]
    variable = PREFIX + "__".join(named).upper()
    if fault["type"] == "extra_forbidden":
        hint = hint_at(path[0]) if len(path) == 1 else _hint_at_nested(path[0])
        return Message("There is no setting %(names)s: %(hint)s.", names=quoted(".".join(path)), hint=hint)
    facts = {"names": ".".join(path) or "settings", "problem": problem_of(fault)}
    if named and named[0] not in arguments and _is_of_file(named, variable):
        return Message(
            "The setting %(names)s in %(config_file)s is wrong: it %(problem)s.", config_file=config_file(), **facts
        )
    return Message(
        "The setting %(names)s (variable %(variable)s) is wrong: it %(problem)s.", variable=variable, **facts
    )


def _is_of_file(names: list[str], variable: str) -> bool:
    """Return whether the setting at *names* has its value from the TOML file, and not from a *variable*."""
    variables = [f"{each.upper()}__" for each in os.environ]
    if any(f"{variable}__".startswith(each) or each.startswith(f"{variable}__") for each in variables):
        return False
    try:
        found: object = tomllib.loads(config_file().read_text("utf-8"))
    except (OSError, ValueError):
        return False
    for name in names:
        if isinstance(found, dict) and name in found:
            found = found[name]
        else:
            return name != names[0] and isinstance(found, dict)  # what an account lacks
    return True


def first_fault(error: ValidationError) -> ErrorDetails:
    """Return the first fault of *error*, without its value."""
    return error.errors(include_url=False, include_input=False)[0]


def problem_of(fault: ErrorDetails) -> str:
    """Return what the value must be, to stand behind "it" in a sentence; pydantic's own words for rare kinds."""
    context = fault.get("ctx", {})
    if fault["type"] == "value_error":
        return message_of(context["error"])
    if fault["loc"] and str(fault["loc"][-1]).endswith("_bytes"):
        context = {name: written(limit) if isinstance(limit, int) else limit for name, limit in context.items()}
    problem = _PROBLEMS.get(fault["type"])
    return fault["msg"].removeprefix("Input ") if problem is None else Message(problem, **context)


def hint_at(name: str, shown: Callable[[str], str] = str) -> str:
    """Return a hint at the setting that is nearest to *name*, or at all of them, each as *shown*."""
    near = get_close_matches(name, Settings.model_fields, n=1)
    if near:
        return Message("perhaps you meant %(near)s", near=shown(near[0]))
    return Message("there are %(names)s", names=", ".join(map(shown, sorted(Settings.model_fields))))


def _hint_at_nested(setting: str) -> str:
    """Return a hint at all settings within *setting*."""
    names = ", ".join(NESTED[setting].model_fields)
    if setting == "accounts":
        return Message("an account has %(account_keys)s", account_keys=names)
    return Message("%(setting)s has %(names)s", setting=setting, names=names)
