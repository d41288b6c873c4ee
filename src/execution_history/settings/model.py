"""Every setting, its default, and where it may be set.

A setting named ``port`` is read from the first of these that has it: the program's own arguments, the variable
``EXECUTION_HISTORY_PORT``, and one optional TOML file: ``execution-history.toml`` in the
current folder, or the file that ``EXECUTION_HISTORY_CONFIG`` names. Lists and objects are JSON in a variable; an
account's settings have variables of their own, such as ``EXECUTION_HISTORY_ACCOUNTS__WORK__TOKEN``.
``COZE_API_TOKEN``, or ``COZE_API_TOKEN_FILE``, and ``COZE_API_BASE`` fill in what the settings leave out of the
account ``default``.
"""

import os
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

from pydantic import BaseModel, Field, SecretStr, ValidationInfo, field_serializer, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from execution_history.errors import InvalidInput
from execution_history.records.content_rules import ContentRules
from execution_history.records.price_book import DEFAULT_CURRENCY, Price
from execution_history.records.protection import KEEP_TAGS
from execution_history.records.reading_limits import ReadingLimits
from execution_history.records.recording_rules import recording_rules_of
from execution_history.records.redaction import shown_store
from execution_history.records.redaction_rules import needs_key, rules_of
from execution_history.records.size_limit import LARGEST_RECORD, LEAST_LIMIT
from execution_history.settings.accounts import AccountSettings
from execution_history.settings.backups import LONGEST_HOURS, BackupSettings
from execution_history.settings.values import (
    Budget,
    Currency,
    HttpAddress,
    Networks,
    Objects,
    Origins,
    PriceList,
    RecordingRules,
    RedactionRules,
    Size,
)

PREFIX: Final = "EXECUTION_HISTORY_"
CONFIG_VARIABLE: Final = "EXECUTION_HISTORY_CONFIG"
DEFAULT_CONFIG: Final = "execution-history.toml"

LEAST_BUDGET: Final = 16_000_000
"""Less would not hold the indexes of an empty history and a few runs."""

BIN_HOURS: Final = 24

NESTED: Final[dict[str, type[BaseModel]]] = {"accounts": AccountSettings, "backup": BackupSettings}
"""The settings that have settings of their own."""

_STORES: Final = ("store", "keys_store")
"""The settings that name a store, whose URL may have a password."""


_SANDBOX_PORT: Final = 8766


class _OwnSources(BaseSettings):
    """Settings from the sources of this package."""

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
        return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls, config_file()))


class SandboxSettings(_OwnSources):
    """What the sandbox alone needs, which starts however wrong the other settings are."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        env_prefix=PREFIX, extra="ignore", hide_input_in_errors=True
    )

    sandbox_port: int = Field(default=_SANDBOX_PORT, ge=0, le=65_535)
    """The port of the sandbox upstream; 0 takes a free one."""


class Settings(_OwnSources):
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
    sandbox_port: int = Field(default=_SANDBOX_PORT, ge=0, le=65_535)
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
    lease_seconds: float = Field(default=15, ge=1, le=86_400)
    """How long a recorder counts as alive after its last sign of life."""
    currency: Currency | None = None
    """The currency of prices that name none, and of the budget: ``CNY`` unless it is chosen here or on the page."""
    budget: Budget | None = None
    """What may be spent on tokens in a month, in ``currency``; charts show it as a line."""
    prices: PriceList = []
    """What 1,000 tokens cost, such as ``[{"input": 0.008, "output": 0.02}]``.

    Where they differ a price has ``workflow``, ``account``, ``total`` (for runs that do not tell read and written
    apart), ``currency`` and ``version``. Without this setting prices are set on the page, with ``prices set`` or over
    HTTP.
    """
    redaction: RedactionRules = []
    """What is taken out of records, beside the built-in secrets: ``key``, ``path``, ``pattern`` or ``detector``."""
    redaction_key: SecretStr | None = Field(default=None, validate_default=True)
    """Any secret of yours, with which rules of redaction make their hashes."""
    recording: RecordingRules = []
    """How much is recorded of which workflows: ``everything``, a ``summary``, a ``sample`` or ``nothing``."""
    backup: BackupSettings | None = None
    """The backups that a server makes by itself: ``to``, ``every_hours``, ``full_every_days``, ``keep`` and
    ``verify_every``."""
    retention: Objects = []
    """Rules by which old runs go: ``older_than``, ``keep_runs``, ``keep_bytes``, ``action`` and filters."""
    max_bytes: Size | None = Field(default=None, ge=LEAST_BUDGET)
    """How many bytes the history may take, such as ``20GB``; 16 MB at least.

    Contents of the oldest runs go first, then the runs.
    """
    keep_tags: list[str] = list(KEEP_TAGS)
    """The tags that keep a run from being removed by retention."""
    bin_hours: float = Field(default=BIN_HOURS, ge=0, le=LONGEST_HOURS)
    """How long deleted runs can be restored; 0 removes them at once."""
    allowed_origins: Origins = []
    """Origins of pages that may call the gateway, such as ``http://localhost:5173``; ``null`` and ``*`` let in any."""
    require_key: bool | None = None
    """Whether every request needs a key; unless set, as soon as there is one, and always beyond this machine."""
    keys_store: str | None = None
    """The history whose keys let people in, for a server of another one, such as an archive, which has none."""
    open_to_network: bool = False
    """Whether to listen beyond this machine without keys, as something in front takes care of who comes in."""
    largest_body_bytes: int | None = Field(default=None, ge=1024)
    """How many bytes a request may have; a key may have a lower limit of its own."""
    trusted_proxies: Networks = []
    """Addresses and networks of proxies whose ``X-Forwarded-For``, ``-Proto`` and ``-Host`` are believed."""
    tls_certificate: Path | None = None
    """A PEM file with the server's certificate and those it is signed with: it then serves HTTPS."""
    tls_key: Path | None = None
    """A PEM file with the certificate's private key, where the certificate's file does not have it."""
    otel_endpoint: HttpAddress | None = None
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

    @field_serializer(*_STORES)
    @staticmethod
    def _is_shown_without_password(store: str | None) -> str | None:
        return None if store is None else shown_store(store)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Yield the settings without credentials, as a log may show them."""
        for name, value in super().__repr_args__():
            yield name, shown_store(value) if name in _STORES and value is not None else value


def config_file() -> Path:
    """Return the TOML file that settings are read from, where it exists."""
    return Path(os.environ.get(CONFIG_VARIABLE) or DEFAULT_CONFIG)
