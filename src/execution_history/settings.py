"""Every setting, its default, and where it may be set.

A setting named ``port`` is read from the first of these that has it: the program's own arguments, the variable
``EXECUTION_HISTORY_PORT``, and one optional TOML file: ``execution-history.toml`` in the
current folder, or the file that ``EXECUTION_HISTORY_CONFIG`` names. Lists and objects are JSON in a variable; an
account's settings have variables of their own, such as ``EXECUTION_HISTORY_ACCOUNTS__WORK__TOKEN``.
``COZE_API_TOKEN``, or ``COZE_API_TOKEN_FILE``, and ``COZE_API_BASE`` fill in what the settings leave out of the
account ``default``.
"""

import os
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from difflib import get_close_matches
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

from pydantic import BaseModel, Field, SecretStr, ValidationError, ValidationInfo, field_serializer, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource
from pydantic_settings import SettingsError as SourceError

from execution_history.account_settings import (
    DEFAULT_ACCOUNT,
    NO_TOKEN,
    AccountSettings,
    find_account,
    missing_settings,
)
from execution_history.backup_settings import BackupSettings
from execution_history.errors import N_, InvalidInput, Message, SettingsError, message_of, quoted
from execution_history.records.byte_sizes import bytes_of
from execution_history.records.content_rules import ContentRules
from execution_history.records.pricing import DEFAULT_CURRENCY, Price, Prices, budget_of, currency_of
from execution_history.records.protection import KEEP_TAGS
from execution_history.records.reading_limits import ReadingLimits
from execution_history.records.recording_rules import recording_rules_of
from execution_history.records.redaction import shown_store
from execution_history.records.redaction_rules import needs_key, rules_of
from execution_history.records.size_limit import LARGEST_RECORD, LEAST_LIMIT

__all__ = ["DEFAULT_ACCOUNT", "AccountSettings", "Settings", "find_account", "load_settings", "missing_settings"]

PREFIX: Final = "EXECUTION_HISTORY_"
CONFIG_VARIABLE: Final = "EXECUTION_HISTORY_CONFIG"
DEFAULT_CONFIG: Final = "execution-history.toml"

LEAST_BUDGET: Final = 16_000_000
"""Less would not hold the indexes of an empty history and a few runs."""

BIN_HOURS: Final = 24

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

_ORIGIN: Final = re.compile(
    r"null|\*|file://|(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>\[[0-9a-f:.]+\]|[^\[\]:@/?#\s]+)(?::(?P<port>[0-9]{1,5}))?/?"
)
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}
_FIELD: Final = re.compile(r'field "(\w+)"')


def _origin(value: str) -> str:
    """Return *value* as browsers send it in ``Origin``: without a default port, and nothing behind it.

    Raises:
        InvalidInput: it is no origin.
    """
    found = _ORIGIN.fullmatch(value)
    if found is None:
        raise InvalidInput("must hold origins such as http://localhost:5173, without a path; null and * are possible")
    scheme, host, port = found["scheme"], found["host"], found["port"]
    if scheme is None:
        return value
    return f"{scheme}://{host}" if port in (None, _DEFAULT_PORTS.get(scheme)) else f"{scheme}://{host}:{port}"


_NESTED: Final[dict[str, type[BaseModel]]] = {"accounts": AccountSettings, "backup": BackupSettings}
"""The settings that have settings of their own."""


class Settings(BaseSettings):
    """All settings; make them with :func:`load_settings`, which raises a fault as one sentence."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", hide_input_in_errors=True
    )

    store: str = "data/execution_history"
    """A folder or a store URL."""
    json_files: bool = True
    """Whether ``{workflow_id}.json`` files are kept beside the embedded database."""
    mirror_folder: str | None = None
    """A folder in which JSON files follow the history, whatever its store; they are near it, not current."""
    search: bool = True
    """Whether texts can be searched for; in a folder, their index is a part of ``index.db`` that a query makes."""
    host: str = "127.0.0.1"
    """The address the server listens on."""
    port: int = Field(default=8765, ge=0, le=65_535)
    """The port the server listens on; 0 takes a free one."""
    allowed_hosts: list[str] = []
    """Names besides localhost and the listening address that a request's ``Host`` may carry."""
    sandbox_port: int = Field(default=8766, ge=0, le=65_535)
    """The port of the sandbox upstream; 0 takes a free one."""
    accounts: dict[str, AccountSettings] = {}
    """Coze accounts by name; ``default`` is used where none is named."""
    upstream_timeout_seconds: float = Field(default=600, gt=0)
    """How long an upstream may stay silent before the run counts as timed out."""
    connect_timeout_seconds: float = Field(default=10, gt=0)
    """How long connecting to an upstream may take."""
    drain_limit_seconds: float = Field(default=1800, gt=0)
    """How long an upstream is still read after its caller has hung up."""
    largest_recorded_bytes: int = Field(default=32 * 1024 * 1024, ge=1024 * 1024)
    """How many bytes of one run's answer are kept; the rest is passed on, and the record notes that it is cut."""
    record_limit_bytes: int = Field(default=LARGEST_RECORD, ge=LEAST_LIMIT)
    """How many bytes of JSON a record has at most.

    The largest values of a larger one are cut, and ``metadata.recording_is_cut`` says which; imports and foreign files
    with a larger one are refused.
    """
    import_memory_bytes: int = Field(default=ReadingLimits().memory, ge=16 * 1024 * 1024)
    """About how much memory a row of a dump, or the text around records, may take while it is imported."""
    import_temporary_bytes: int = Field(default=ReadingLimits().temporary, ge=1024 * 1024)
    """How many bytes imports may use for temporary files, and how many a zip file may always unpack to.

    Imports over HTTP share this space; each import on the command line has its own.
    """
    progress_interval_ms: int = Field(default=1000, ge=50)
    """How often the progress of a stream is saved."""
    require_recording: bool = False
    """Whether a run is refused when its record cannot be written; otherwise the run goes on unrecorded."""
    lease_seconds: float = Field(default=15, ge=1)
    """How long a recorder counts as alive after its last sign of life."""
    currency: str | None = None
    """The currency of prices that name none, and of the budget: ``CNY`` unless it is chosen here or on the page."""
    budget: Decimal | None = None
    """What may be spent on tokens in a month, in ``currency``; charts show it as a line."""
    prices: list[dict[str, Any]] = []
    """What 1,000 tokens cost, such as ``[{"input": 0.008, "output": 0.02}]``.

    Where they differ a price has ``workflow``, ``account``, ``total`` (for runs that do not tell read and written
    apart), ``currency`` and ``version``. Without this setting prices are set on the page, with ``prices set`` or over
    HTTP.
    """
    redaction: list[dict[str, Any]] = []
    """What is taken out of records, beside the built-in secrets: ``key``, ``path``, ``pattern`` or ``detector``."""
    redaction_key: SecretStr | None = Field(default=None, validate_default=True)
    """Any secret of yours, with which rules of redaction make their hashes."""
    recording: list[dict[str, Any]] = []
    """How much is recorded of which workflows: ``everything``, a ``summary``, a ``sample`` or ``nothing``."""
    backup: BackupSettings | None = None
    """The backups that a server makes by itself: ``to``, ``every_hours``, ``full_every_days`` and ``keep``."""
    retention: list[dict[str, Any]] = []
    """Rules by which old runs go: ``older_than``, ``keep_runs``, ``keep_bytes``, ``action`` and filters; see README."""
    max_bytes: int | None = Field(default=None, ge=LEAST_BUDGET)
    """How many bytes the history may take, such as ``20GB``: contents of the oldest runs go first, then the runs."""
    keep_tags: list[str] = list(KEEP_TAGS)
    """The tags that keep a run from being removed by retention."""
    bin_hours: float = Field(default=BIN_HOURS, ge=0)
    """How long deleted runs can be restored; 0 removes them at once."""
    allowed_origins: list[str] = []
    """Origins of pages that may call the gateway, such as ``http://localhost:5173``; ``null`` and ``*`` let in any."""
    require_key: bool | None = None
    """Whether every request needs a key; unless set, as soon as there is one, and always beyond this machine."""
    keys_store: str | None = None
    """The history whose keys let people in, for a server of another one, such as an archive, which has none."""
    open_to_network: bool = False
    """Whether to listen beyond this machine without keys, as something in front takes care of who comes in."""
    largest_body_bytes: int | None = Field(default=None, ge=1024)
    """How many bytes a request may have; a key may have a lower limit of its own."""
    trusted_proxies: list[str] = []
    """Addresses and networks of proxies whose ``X-Forwarded-For``, ``-Proto`` and ``-Host`` are believed."""
    tls_certificate: Path | None = None
    """A PEM file with the server's certificate and those it is signed with: it then serves HTTPS."""
    tls_key: Path | None = None
    """A PEM file with the certificate's private key, where the certificate's file does not have it."""
    otel_endpoint: str | None = None
    """Where a server sends finished runs as OpenTelemetry traces, over HTTP, such as ``http://127.0.0.1:4318``."""
    otel_headers: dict[str, SecretStr] = {}
    """Headers for that, such as ``{"Authorization": "Bearer …"}``."""
    otel_contents: bool = False
    """Whether traces have inputs, outputs and messages; otherwise only times, counts, names and ids."""
    log_format: Literal["text", "json"] = "text"
    """How a server writes its log: lines for people, or an object for each."""
    log_level: Literal["debug", "info", "warning", "error"] = "warning"
    """The least level of the log's lines; those of libraries are warnings at least."""
    keep_alive_seconds: int = Field(default=75, ge=1)
    """How long an idle connection to the server is kept open; clients use theirs again for a minute and longer."""

    @field_validator("allowed_origins")
    @classmethod
    def _are_origins(cls, values: list[str]) -> list[str]:
        return [_origin(value.strip().lower()) for value in values]

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, values: list[str]) -> list[str]:
        try:
            return [str(ip_network(value.strip(), strict=False)) for value in values]
        except ValueError:
            raise InvalidInput("must hold addresses or networks such as 127.0.0.1 or 10.0.0.0/8") from None

    @field_validator("otel_endpoint")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[^\s/]+(?:/\S*)?", value):
            raise InvalidInput("must be an address such as http://127.0.0.1:4318")
        return value

    @field_validator("max_bytes", mode="before")
    @classmethod
    def _is_a_size(cls, value: object) -> object:
        try:
            return bytes_of(value) if isinstance(value, str) else value
        except InvalidInput:
            raise InvalidInput("must be a number of bytes such as 500MB or 20GB") from None

    @field_validator("currency")
    @classmethod
    def _is_a_currency(cls, value: str | None) -> str | None:
        try:
            return None if value is None else currency_of(value)
        except InvalidInput:
            raise InvalidInput("must be a name of 1 to 12 letters such as CNY or USD") from None

    @field_validator("budget")
    @classmethod
    def _is_a_budget(cls, value: Decimal | None) -> Decimal | None:
        try:
            return None if value is None else budget_of(value)
        except InvalidInput:
            raise InvalidInput("must be 0 or from 0.000001 to 10¹²") from None

    @field_validator("prices")
    @classmethod
    def _are_prices(cls, values: list[dict[str, Any]]) -> list[dict[str, Any]]:
        try:
            found = [Price.of(each) for each in values]
        except InvalidInput as error:
            raise InvalidInput("must hold prices (%(reason)s)", reason=error.message) from None
        if len(Prices(found)) < len(found):
            raise InvalidInput("must have one price at most for the same workflow and account")
        return values

    @field_validator("redaction")
    @classmethod
    def _are_redaction_rules(cls, values: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return _checked(values, rules_of)

    @field_validator("recording")
    @classmethod
    def _are_recording_rules(cls, values: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return _checked(values, recording_rules_of)

    @field_validator("redaction_key")
    @classmethod
    def _is_there_for_hashes(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is None and needs_key(rules_of(info.data.get("redaction", ()))):
            raise InvalidInput("must be set, to any secret of yours, because a rule of redaction hashes")
        return value

    @property
    def content_rules(self) -> ContentRules:
        """The rules of what of a run's contents is kept."""
        key = b"" if self.redaction_key is None else self.redaction_key.get_secret_value().encode()
        return ContentRules(rules_of(self.redaction), recording_rules_of(self.recording), key)

    @property
    def is_local(self) -> bool:
        """Whether the server can be reached from this machine only."""
        try:
            return self.host == "localhost" or ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def needs_key(self) -> bool | None:
        """Whether every request needs a key; ``None``: as soon as there is one."""
        if self.require_key is None and not (self.is_local or self.open_to_network):
            return True
        return self.require_key

    @property
    def token_prices(self) -> tuple[Price, ...]:
        """The prices, each with its currency and version."""
        return tuple(Price.of(each, self.currency or DEFAULT_CURRENCY) for each in self.prices)

    @property
    def reading_limits(self) -> ReadingLimits:
        """The limits of reading files that others wrote."""
        return ReadingLimits(self.record_limit_bytes, self.import_memory_bytes, self.import_temporary_bytes)

    @field_serializer("store")
    @staticmethod
    def _is_shown_without_password(store: str) -> str:
        return shown_store(store)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Yield the settings without credentials, as a log may show them."""
        for name, value in super().__repr_args__():
            yield name, shown_store(value) if name == "store" else value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources: arguments, then variables, then the TOML file; no others."""
        del dotenv_settings, file_secret_settings
        return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls, _config_file()))


def _checked(values: list[dict[str, Any]], read: Callable[[list[dict[str, Any]]], object]) -> list[dict[str, Any]]:
    """Return *values* where *read* takes them.

    Raises:
        InvalidInput: it does not.
    """
    try:
        read(values)
    except InvalidInput as error:
        raise InvalidInput("must hold rules (%(reason)s)", reason=error.message) from None
    return values


def load_settings(**arguments: Any) -> Settings:  # noqa: ANN401 - checked by the model
    """Return the settings in force; *arguments* win over all other sources, and ``None`` stands for no argument.

    Raises:
        SettingsError: a value is wrong, a name is unknown, or the file cannot be read.
    """
    _refuse_unknown_variables()
    try:
        settings = Settings(**{key: value for key, value in arguments.items() if value is not None})
    except ValidationError as error:
        raise SettingsError(_sentence(error)) from None
    except SourceError as error:
        raise SettingsError(_source_sentence(error)) from None
    except ValueError as error:  # of the TOML file or its encoding: to name tomllib's would load it for every command
        raise SettingsError(
            "The settings file %(config_file)s is not valid TOML: %(reason)s.", config_file=_config_file(), reason=error
        ) from None
    except OSError as error:
        raise SettingsError(
            "The settings file %(config_file)s cannot be read: %(reason)s.",
            config_file=_config_file(),
            reason=error.strerror,
        ) from None
    _add_default_account(settings)
    return settings


def _config_file() -> Path:
    return Path(os.environ.get(CONFIG_VARIABLE) or DEFAULT_CONFIG)


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
        if name not in Settings.model_fields or (separator and name not in _NESTED):
            hint = _hint(name, lambda known: PREFIX + known.upper())
            raise SettingsError(
                "There is no setting for the variable %(variable)s: %(hint)s.", variable=variable, hint=hint
            )


def _hint(name: str, shown: Callable[[str], str] = str) -> str:
    """Return a hint at the setting that is nearest to *name*, or at all of them, each as *shown*."""
    near = get_close_matches(name, Settings.model_fields, n=1)
    if near:
        return Message("perhaps you meant %(near)s", near=shown(near[0]))
    return Message("there are %(names)s", names=", ".join(map(shown, sorted(Settings.model_fields))))


def _hint_at_nested(setting: str) -> str:
    """Return a hint at all settings within *setting*."""
    names = ", ".join(_NESTED[setting].model_fields)
    if setting == "accounts":
        return Message("an account has %(account_keys)s", account_keys=names)
    return Message("%(setting)s has %(names)s", setting=setting, names=names)


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
        fault = _first(error)
        variable = "COZE_API_TOKEN" if fault["loc"] == NO_TOKEN else "COZE_API_BASE"
        raise SettingsError(
            "%(variable)s is wrong: it %(problem)s.", variable=variable, problem=_problem(fault)
        ) from None


def _source_sentence(error: SourceError) -> str:
    """Return the fault of a variable that should hold JSON; *error* has its field and nothing of its value."""
    named: str = Message("A setting in the environment")
    if found := _FIELD.search(str(error)):
        variable = PREFIX + found[1].upper()
        named = Message("The setting %(field)s (variable %(variable)s)", field=found[1], variable=variable)
    return Message(
        '%(named)s is wrong: it must be JSON, a list such as ["a", "b"] or an object such as {"name": {}}.', named=named
    )


def _sentence(error: ValidationError) -> str:
    """Return the first fault of *error*, with the names by which the setting can be set; never its value."""
    fault = _first(error)
    path = [str(part) for part in fault["loc"]]
    # An element of a list has no variable of its own.
    named = [str(part) for part in fault["loc"] if isinstance(part, str)]
    variable = PREFIX + "__".join(named).upper()
    if fault["type"] == "extra_forbidden":
        hint = _hint(path[0]) if len(path) == 1 else _hint_at_nested(path[0])
        return Message("There is no setting %(names)s: %(hint)s.", names=quoted(".".join(path)), hint=hint)
    return Message(
        "The setting %(names)s (variable %(variable)s) is wrong: it %(problem)s.",
        names=".".join(path) or "settings",
        variable=variable,
        problem=_problem(fault),
    )


def _first(error: ValidationError) -> ErrorDetails:
    return error.errors(include_url=False, include_input=False)[0]


def _problem(fault: ErrorDetails) -> str:
    """Return what the value must be, to stand behind "it" in a sentence; pydantic's own words for rare kinds."""
    context = fault.get("ctx", {})
    if fault["type"] == "value_error":
        return message_of(context["error"])
    problem = _PROBLEMS.get(fault["type"])
    return fault["msg"].removeprefix("Input ") if problem is None else Message(problem, **context)
