"""A Coze account in the settings: its address, its credentials and its connections."""

import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, Final
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr, field_validator

from execution_history.errors import InvalidInput, UnknownAccount

COZE_COM: Final = "https://api.coze.com"
DEFAULT_ACCOUNT: Final = "default"
DIRECT: Final = "none"
"""The ``proxy`` of an account that is called directly, whatever the environment says."""

NO_TOKEN: Final = ("token",)
_UNNAMED: Final = {"\t": "TAB", "\n": "LINE FEED", "\r": "CARRIAGE RETURN"}
_OF_PEM: Final = frozenset(" \t\r\n")


class AccountSettings(BaseModel):
    """One Coze account: its address and its credentials.

    Either ``token`` (a personal or service token) or a ``token_file`` that holds it, or ``client_id``,
    ``public_key_id`` and one of ``private_key`` and ``private_key_file`` for JWT OAuth (coze-protocol 4.5). An
    incomplete account can be configured: it is refused when it is used, and the others can still be used. What cannot
    be a token or a key at all, because it holds an invisible character, say, is an error at once.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", hide_input_in_errors=True)

    base_url: str = COZE_COM
    token: SecretStr | None = None
    token_file: Path | None = None
    """A file that holds the token, as containers get secrets; read when the account is first used."""
    client_id: str | None = None
    public_key_id: str | None = None
    private_key: SecretStr | None = None
    private_key_file: Path | None = None
    oauth_base_url: str | None = None
    """The address for tokens, where it is not ``base_url``: the JWT's audience is its host."""
    proxy: SecretStr | None = None
    """The HTTP proxy of all calls, which may have a name and a password; ``none`` for none.

    Unless given, the environment's proxies count, but never for addresses of this machine itself.
    """
    ca_file: Path | None = None
    """PEM certificates that are trusted besides the usual ones, for the address, its tokens and an HTTPS proxy."""
    verify: bool = True
    """Whether certificates are checked at all."""

    @field_validator("token", "private_key", "proxy")
    @classmethod
    def _is_not_blank(cls, value: SecretStr | None) -> SecretStr | None:
        """Remove the line break that files end with; a blank secret is none."""
        stripped = "" if value is None else value.get_secret_value().strip()
        return SecretStr(stripped) if stripped else None

    @field_validator("token", "client_id", "public_key_id")
    @classmethod
    def _is_sendable(cls, value: SecretStr | str | None) -> SecretStr | str | None:
        _refuse_character(value, lambda character: "!" <= character <= "~")
        return value

    @field_validator("private_key")
    @classmethod
    def _is_pem(cls, value: SecretStr | None) -> SecretStr | None:
        _refuse_character(value, lambda character: "!" <= character <= "~" or character in _OF_PEM)
        return value

    @field_validator("proxy")
    @classmethod
    def _is_a_proxy(cls, value: SecretStr | None) -> SecretStr | None:
        address = "" if value is None else value.get_secret_value()
        if address.lower() == DIRECT:
            return SecretStr(DIRECT)
        _refuse_character(value, lambda character: "!" <= character <= "~")
        if address.lower().startswith("socks"):
            raise InvalidInput("must be an HTTP proxy: SOCKS proxies are not supported")
        if address and not _names_a_host(address if "://" in address else f"http://{address}"):
            raise InvalidInput("must be an HTTP proxy such as http://127.0.0.1:7890, or none to call directly")
        return value

    @field_validator("base_url", "oauth_base_url")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        _refuse_character(value, str.isprintable)
        if not _names_a_host(value):
            raise InvalidInput("must be an address that begins with http:// or https://")
        if "@" in urlsplit(value).netloc or "?" in value or "#" in value:
            raise InvalidInput(
                "must be an address without a user name, a password or a query: a token has a setting of its own"
            )
        return value.rstrip("/")

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of the settings without which it cannot authenticate a call; none where it is complete."""
        parts = {
            "client_id": self.client_id,
            "public_key_id": self.public_key_id,
            "private_key": self.private_key or self.private_key_file,
        }
        missing = tuple(name for name, value in parts.items() if not value)
        if len(missing) < len(parts):
            return missing
        return () if self.token or self.token_file else NO_TOKEN


def refuse_unsendable(value: str) -> None:
    """Refuse a token with a character that no header can carry.

    Raises:
        InvalidInput: it has one; the sentence names that character and its place, and nothing else of the value.
    """
    _refuse_character(value, lambda character: "!" <= character <= "~")


def _refuse_character(value: SecretStr | str | None, is_allowed: Callable[[str], bool]) -> None:
    """Refuse a value with a character that cannot be part of it, such as an invisible one that was copied along.

    Raises:
        InvalidInput: it has one; the sentence names that character and its place, and nothing else of the value.
    """
    text = value.get_secret_value() if isinstance(value, SecretStr) else value or ""
    for place, character in enumerate(text, 1):
        if not is_allowed(character):
            name = _UNNAMED.get(character) or unicodedata.name(character, "")
            raise InvalidInput(
                "has %(character)s as its character %(place)s, which cannot be part of it: copy the value once more",
                character=f"U+{ord(character):04X} {name}".rstrip(),
                place=place,
            )


def _names_a_host(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and " " not in address
    except ValueError:
        return False


def find_account(accounts: Mapping[str, AccountSettings], name: str) -> AccountSettings:
    """Return the account *name*; ``default`` needs no configuration, and has no token then.

    Raises:
        UnknownAccount: there is no account of that name.
    """
    if name not in accounts and name != DEFAULT_ACCOUNT:
        raise UnknownAccount(name, sorted({DEFAULT_ACCOUNT, *accounts}))
    return accounts.get(name) or AccountSettings()


def missing_settings(account: AccountSettings, name: str) -> tuple[str, ...]:
    """Return the names of the settings, as users write them, that *account* needs to authenticate its calls."""
    if name == DEFAULT_ACCOUNT and account.missing == NO_TOKEN:
        return ("COZE_API_TOKEN",)
    return tuple(f"accounts.{name}.{part}" for part in account.missing)
