"""Reading the settings: the program's own arguments, the variables and the TOML file, each fault as one sentence."""

import os
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_settings import SettingsError as SourceError

from execution_history.errors import SettingsError, quoted
from execution_history.settings.accounts import DEFAULT_ACCOUNT, NO_TOKEN, AccountSettings
from execution_history.settings.model import CONFIG_VARIABLE, NESTED, PREFIX, SandboxSettings, Settings, config_file
from execution_history.settings.problems import first_fault, hint_at, problem_of, source_sentence, validation_sentence

_Model = TypeVar("_Model", Settings, SandboxSettings)


def load_settings(**arguments: Any) -> Settings:  # noqa: ANN401 - checked by the model
    """Return the settings in force; *arguments* win over all other sources, and ``None`` stands for no argument.

    Raises:
        SettingsError: a value is wrong, a name is unknown, or the file cannot be read.
    """
    _refuse_unknown_variables()
    settings = _read(Settings, arguments)
    _add_default_account(settings)
    return settings


def load_sandbox_settings(**arguments: Any) -> SandboxSettings:  # noqa: ANN401 - checked by the model
    """Return the settings that the sandbox needs, as :func:`load_settings` does; no fault of another one matters.

    Raises:
        SettingsError: one of these is wrong, or the file cannot be read.
    """
    return _read(SandboxSettings, arguments)


def _read(model: type[_Model], arguments: dict[str, Any]) -> _Model:
    given = {key: value for key, value in arguments.items() if value is not None}
    try:
        return model(**given)
    except ValidationError as error:
        raise SettingsError(validation_sentence(error, given)) from None
    except SourceError as error:
        raise SettingsError(source_sentence(error)) from None
    except ValueError as error:  # of the TOML file or its encoding: to name tomllib's would load it for every command
        raise SettingsError(
            "The settings file %(config_file)s is not valid TOML: %(reason)s.", config_file=config_file(), reason=error
        ) from None
    except OSError as error:
        raise SettingsError(
            "The settings file %(config_file)s cannot be read: %(reason)s.",
            config_file=config_file(),
            reason=error.strerror,
        ) from None


def _refuse_unknown_variables() -> None:
    named = os.environ.get(CONFIG_VARIABLE)
    if named and not Path(named).is_file():
        raise SettingsError(
            "%(config_variable)s names %(named)s, which is not a file.",
            config_variable=CONFIG_VARIABLE,
            named=quoted(Path(named)),
        )
    for variable in os.environ:
        name, separator, _ = variable.lower().partition("__")
        if not name.startswith(PREFIX.lower()) or name == CONFIG_VARIABLE.lower():
            continue
        name = name.removeprefix(PREFIX.lower())
        if name not in Settings.model_fields or (separator and name not in NESTED):
            hint = hint_at(name, lambda known: PREFIX + known.upper())
            raise SettingsError(
                "There is no setting for the variable %(variable)s: %(hint)s.", variable=variable, hint=hint
            )


def _add_default_account(settings: Settings) -> None:
    """Fill in what the settings leave out of the account ``default`` from Coze's own variables."""
    token, file, base = (
        os.environ.get(name, "").strip() for name in ("COZE_API_TOKEN", "COZE_API_TOKEN_FILE", "COZE_API_BASE")
    )
    account = settings.accounts.get(DEFAULT_ACCOUNT)
    values = {} if account is None else account.model_dump(exclude_unset=True)
    if base and "base_url" not in values:
        values["base_url"] = base
    if not (values.get("token") or values.get("token_file") or values.get("client_id")):
        values |= {"token": token} if token else {"token_file": file} if file else {}
    if not values:
        return
    try:
        settings.accounts[DEFAULT_ACCOUNT] = AccountSettings(**values)
    except ValidationError as error:
        # Its value is not shown: where the two variables were mixed up it is the token.
        fault = first_fault(error)
        variable = "COZE_API_TOKEN" if fault["loc"] == NO_TOKEN else "COZE_API_BASE"
        raise SettingsError(
            "%(variable)s is wrong: it %(problem)s.", variable=variable, problem=problem_of(fault)
        ) from None
