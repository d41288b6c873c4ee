"""Settings: where each may stand, and what is said when one is wrong."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import SecretStr, ValidationError

from execution_history.errors import SettingsError, UnknownAccount
from execution_history.settings import AccountSettings, Settings, find_account, load_settings, missing_settings
from execution_history.settings.backups import BackupSettings
from execution_history.stores import store_at

SECRET = "pat_0123456789abcdef"

EVERY: dict[str, tuple[object, object]] = {
    # name: (a value that is not its default, what the setting then is)
    "store": ("elsewhere", "elsewhere"),
    "json_files": (False, False),
    "mirror_folder": ("/backup/histories", "/backup/histories"),
    "search": (False, False),
    "host": ("0.0.0.0", "0.0.0.0"),  # noqa: S104 - a value, nothing listens
    "port": (9_000, 9_000),
    "allowed_hosts": (["history.example"], ["history.example"]),
    "sandbox_port": (9_001, 9_001),
    "accounts": (
        {"work": {"base_url": "https://api.coze.cn/"}},
        {"work": AccountSettings(base_url="https://api.coze.cn")},
    ),
    "upstream_timeout_seconds": (1.5, 1.5),
    "connect_timeout_seconds": (2.5, 2.5),
    "drain_limit_seconds": (3.5, 3.5),
    "largest_recorded_bytes": (2_000_000, 2_000_000),
    "record_limit_bytes": (3_000_000, 3_000_000),
    "import_memory_bytes": (20_000_000, 20_000_000),
    "import_temporary_bytes": (4_000_000, 4_000_000),
    "progress_interval_ms": (50, 50),
    "require_recording": (True, True),
    "lease_seconds": (1.0, 1.0),
    "redaction": ([{"key": "phone*"}], [{"key": "phone*"}]),
    "redaction_key": ("s", SecretStr("s")),
    "recording": ([{"record": "summary"}], [{"record": "summary"}]),
    "allowed_origins": (["HTTP://Page.test:80/", "null", "file://"], ["http://page.test", "null", "file://"]),
    "keep_alive_seconds": (90, 90),
    "require_key": (True, True),
    "keys_store": ("other", "other"),
    "open_to_network": (True, True),
    "largest_body_bytes": (2_048, 2_048),
    "trusted_proxies": (["127.0.0.1", "10.0.0.1/8"], ["127.0.0.1/32", "10.0.0.0/8"]),
    "tls_certificate": ("cert.pem", Path("cert.pem")),
    "tls_key": ("key.pem", Path("key.pem")),
    "otel_endpoint": ("http://collector:4318", "http://collector:4318"),
    "otel_headers": ({"Authorization": "Bearer t"}, {"Authorization": SecretStr("Bearer t")}),
    "otel_contents": (True, True),
    "log_format": ("json", "json"),
    "log_level": ("debug", "debug"),
    "currency": ("usd", "USD"),
    "budget": (250.5, Decimal("250.5")),
    "backup": ({"to": "kept", "keep": 2}, BackupSettings(to="kept", keep=2)),
    "retention": ([{"older_than": "30d"}], [{"older_than": "30d"}]),
    "max_bytes": ("20GB", 20_000_000_000),
    "keep_tags": (["keep", "legal"], ["keep", "legal"]),
    "bin_hours": (72, 72),
    "prices": ([{"input": 0.008, "output": "0.02"}], [{"input": 0.008, "output": "0.02"}]),
}


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of its own for each test: a settings file in it counts."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def as_toml(name: str, value: object) -> str:
    """One setting as a line of TOML."""
    if isinstance(value, dict) and not any(isinstance(part, dict) for part in value.values()):
        return f"[{name}]\n" + "\n".join(f"{key} = {orjson.dumps(part).decode()}" for key, part in value.items())
    if isinstance(value, dict):
        return "\n".join(
            f"[{name}.{key}]\n" + "\n".join(f"{k} = {orjson.dumps(v).decode()}" for k, v in part.items())
            for key, part in value.items()
        )
    if isinstance(value, list) and isinstance(value[0], dict):
        return "\n".join(as_toml(name, {"": part}).replace(f"[{name}.]", f"[[{name}]]") for part in value)
    return f"{name} = {orjson.dumps(value).decode()}"


def wrong(**arguments: Any) -> str:
    """The sentence with which loading the settings fails."""
    with pytest.raises(SettingsError) as caught:
        load_settings(**arguments)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


def test_the_table_of_this_test_is_whole() -> None:
    """A new setting is tried here too."""
    assert Settings.model_fields.keys() == EVERY.keys()


@pytest.mark.parametrize("name", EVERY)
def test_every_setting_has_a_variable(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Text and numbers as they are, lists and objects as JSON."""
    value, expected = EVERY[name]
    monkeypatch.setenv(
        f"EXECUTION_HISTORY_{name.upper()}", value if isinstance(value, str) else orjson.dumps(value).decode()
    )
    assert expected == getattr(load_settings(), name)


@pytest.mark.parametrize("name", EVERY)
def test_every_setting_has_a_place_in_the_file(folder: Path, name: str) -> None:
    """Under its own name in execution-history.toml of the current folder."""
    value, expected = EVERY[name]
    (folder / "execution-history.toml").write_text(as_toml(name, value))
    assert expected == getattr(load_settings(), name)


def test_arguments_come_before_variables_and_variables_before_the_file(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    """The first that has a setting wins; an argument of None is not given."""
    (folder / "execution-history.toml").write_text('host = "file"\nstore = "file"\nport = 1\n')
    monkeypatch.setenv("EXECUTION_HISTORY_STORE", "variable")
    monkeypatch.setenv("EXECUTION_HISTORY_PORT", "2")
    settings = load_settings(port=3, store=None)
    assert ("file", "variable", 3) == (settings.host, settings.store, settings.port)


def test_the_file_may_be_named(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """The named one is read instead of that of the current folder."""
    (folder / "execution-history.toml").write_text("port = 1\n")
    (folder / "other.toml").write_text("port = 2\n")
    monkeypatch.setenv("EXECUTION_HISTORY_CONFIG", "other.toml")
    assert 2 == load_settings().port


def test_an_account_has_variables_for_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name stands between the underscores."""
    monkeypatch.setenv("EXECUTION_HISTORY_ACCOUNTS__WORK__TOKEN", SECRET)
    token = load_settings().accounts["work"].token
    assert token is not None
    assert SECRET == token.get_secret_value()


def test_cozes_own_variables_are_the_account_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Coze's own tools read is enough."""
    monkeypatch.setenv("COZE_API_TOKEN", SECRET)
    monkeypatch.setenv("COZE_API_BASE", "https://api.coze.cn/")
    assert {"default": AccountSettings(base_url="https://api.coze.cn", token=SECRET)} == load_settings().accounts  # type: ignore[arg-type]


def test_cozes_own_variables_fill_in_what_the_file_leaves_open(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """The address stands in the file, the secret does not have to."""
    (folder / "execution-history.toml").write_text('[accounts.default]\nbase_url = "https://api.coze.cn"\n')
    monkeypatch.setenv("COZE_API_TOKEN", SECRET)
    monkeypatch.setenv("COZE_API_BASE", "https://api.coze.com")
    assert {"default": AccountSettings(base_url="https://api.coze.cn", token=SECRET)} == load_settings().accounts  # type: ignore[arg-type]


def test_a_token_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """As containers get secrets; a file that cannot be read is no fault of a command that needs none."""
    monkeypatch.setenv("COZE_API_TOKEN_FILE", str(folder / "token"))
    monkeypatch.setenv("EXECUTION_HISTORY_ACCOUNTS__WORK__TOKEN_FILE", "/run/secrets/work")
    accounts = load_settings().accounts
    assert (folder / "token", None) == (accounts["default"].token_file, accounts["default"].token)
    assert [(), ()] == [accounts[name].missing for name in ("default", "work")]
    monkeypatch.setenv("COZE_API_TOKEN", SECRET)
    assert None is load_settings().accounts["default"].token_file


@pytest.mark.parametrize(
    ("settings", "needs"),
    [
        ({}, None),
        ({"host": "localhost"}, None),
        ({"host": "::1"}, None),
        ({"host": "192.0.2.1"}, True),
        ({"host": ""}, True),
        ({"host": "history.example"}, True),
        ({"host": "192.0.2.1", "open_to_network": True}, None),
        ({"host": "192.0.2.1", "require_key": False}, False),
        ({"require_key": True}, True),
    ],
)
def test_a_key_is_needed_beyond_this_machine(settings: dict[str, Any], needs: bool | None) -> None:
    """Unless something in front takes care; on this machine as soon as there is one."""
    assert needs is load_settings(**settings).needs_key


def test_an_account_that_signs_its_own_tokens_gets_no_other(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """JWT OAuth in the file is not mixed with a token from a variable."""
    (folder / "execution-history.toml").write_text(
        '[accounts.default]\nclient_id = "c"\npublic_key_id = "p"\nprivate_key = "k"\n'
    )
    monkeypatch.setenv("COZE_API_TOKEN", SECRET)
    assert load_settings().accounts["default"].token is None


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({}, ("token",)),
        ({"token": "t"}, ()),
        ({"client_id": "c"}, ("public_key_id", "private_key")),
        ({"token": "t", "public_key_id": "p"}, ("client_id", "private_key")),
        ({"client_id": "c", "public_key_id": "p", "private_key_file": "k"}, ()),
    ],
)
def test_an_incomplete_account_keeps_nobody_from_the_others(given: dict[str, str], missing: tuple[str, ...]) -> None:
    """It says what it lacks when it is called; the settings can be loaded."""
    settings = load_settings(accounts={"work": given, "other": {"token": SECRET}})
    assert missing == settings.accounts["work"].missing
    assert tuple(f"accounts.work.{part}" for part in missing) == missing_settings(settings.accounts["work"], "work")
    assert () == find_account(settings.accounts, "other").missing


def test_an_account_that_is_not_configured_is_the_callers_fault() -> None:
    """The sentence lists those that are, some of them where they are many; ``default`` always is."""
    accounts = {f"account {number:02}": AccountSettings() for number in range(20)}
    with pytest.raises(UnknownAccount, match=r"'account 00', .* and 11 more\)") as caught:
        find_account(accounts, "x" * 1_000)
    assert 400 > len(str(caught.value))
    assert ("COZE_API_TOKEN",) == missing_settings(find_account(accounts, "default"), "default")
    with pytest.raises(UnknownAccount, match=r"account 'x': name one of those in the settings \('default'\)"):
        find_account({}, "x")


@pytest.mark.parametrize(("token", "expected"), [(f" {SECRET}\n", SECRET), ("  ", None), ("", None)])
def test_a_token_is_taken_without_what_surrounds_it(token: str, expected: str | None) -> None:
    """A line's end from a file would make an impossible header; a blank token is none."""
    found = load_settings(accounts={"work": {"token": token}}).accounts["work"].token
    assert expected == (None if found is None else found.get_secret_value())


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (f"{SECRET}\u200b", "U+200B ZERO WIDTH SPACE as its character 21"),
        (f"\ufeff{SECRET}", "U+FEFF ZERO WIDTH NO-BREAK SPACE as its character 1"),
        ("pat\nx", "U+000A LINE FEED as its character 4"),
        ("pat\r\nx", "U+000D CARRIAGE RETURN as its character 4"),
        ("pat x", "U+0020 SPACE as its character 4"),
        ("pat\x00x", "U+0000 as its character 4"),
        ("pat\xa0x", "U+00A0 NO-BREAK SPACE as its character 4"),
        ("pat\u202ex", "U+202E RIGHT-TO-LEFT OVERRIDE as its character 4"),
        ("\u4ee4\u724c", "U+4EE4 CJK UNIFIED IDEOGRAPH-4EE4 as its character 1"),
    ],
)
def test_a_character_that_no_token_has_is_named(monkeypatch: pytest.MonkeyPatch, token: str, said: str) -> None:
    """With its place and with the setting, wherever the token stands; nothing else of the token is shown."""
    problem = f"is wrong: it has {said}, which cannot be part of it: copy the value once more."
    for field in ("token", "client_id", "public_key_id"):
        sentence = wrong(accounts={"work": {field: token}})
        variable = f"EXECUTION_HISTORY_ACCOUNTS__WORK__{field.upper()}"
        assert f"The setting accounts.work.{field} (variable {variable}) {problem}" == sentence
    if "\0" not in token:  # no variable can hold it
        monkeypatch.setenv("COZE_API_TOKEN", token)
        assert f"COZE_API_TOKEN {problem}" == wrong()


def test_a_key_and_an_address_hold_nothing_invisible() -> None:
    """A key may have the lines that PEM has."""
    key = "-----BEGIN PRIVATE KEY-----\r\nAA==\n-----END PRIVATE KEY-----"
    found = load_settings(accounts={"work": {"private_key": key}}).accounts["work"].private_key
    assert found is not None
    assert key == found.get_secret_value()
    for field, value in (
        ("private_key", key.replace("AA", "A\u200b")),
        ("base_url", "https://api.coze.cn\u200b"),
        ("proxy", "http://proxy.test:1\ufeff"),
    ):
        sentence = wrong(accounts={"work": {field: value}})
        assert f"The setting accounts.work.{field} " in sentence
        assert ", which cannot be part of it: copy the value once more." in sentence


@pytest.mark.parametrize(
    ("proxy", "expected"),
    [
        ("http://me:s3@proxy.test:8080", "http://me:s3@proxy.test:8080"),
        ("proxy.test:8080", "proxy.test:8080"),
        ("https://proxy.test", "https://proxy.test"),
        (" NONE ", "none"),
        ("", None),
    ],
)
def test_an_account_has_a_proxy_of_its_own(monkeypatch: pytest.MonkeyPatch, proxy: str, expected: str | None) -> None:
    """Or none, with that word; a blank one is not set, and then the environment's counts."""
    monkeypatch.setenv("EXECUTION_HISTORY_ACCOUNTS__WORK__PROXY", proxy)
    monkeypatch.setenv("EXECUTION_HISTORY_ACCOUNTS__WORK__CA_FILE", "own.pem")
    monkeypatch.setenv("EXECUTION_HISTORY_ACCOUNTS__WORK__VERIFY", "false")
    account = load_settings().accounts["work"]
    assert expected == (None if account.proxy is None else account.proxy.get_secret_value())
    assert (Path("own.pem"), False) == (account.ca_file, account.verify)


@pytest.mark.parametrize(
    ("variable", "value", "part"),
    [
        ("ACCOUNTS__WORK__PROXY", "socks5://a.test:1", "it must be an HTTP proxy: SOCKS proxies are not supported."),
        ("ACCOUNTS__WORK__PROXY", "ftp://a.test", "it must be an HTTP proxy such as http://127.0.0.1:7890, or none"),
        ("ACCOUNTS__WORK__PROXY", "http://a.test:x", "it must be an HTTP proxy such as http://127.0.0.1:7890, or none"),
        ("ACCOUNTS__WORK__VERIFY", "perhaps", "it must be true or false."),
        ("PORT", "many", "The setting port (variable EXECUTION_HISTORY_PORT) is wrong: it must be a whole number."),
        ("MAX_BYTES", "2MB", "EXECUTION_HISTORY_MAX_BYTES) is wrong: it must be at least 16 MB."),
        ("LARGEST_RECORDED_BYTES", "1", "is wrong: it must be at least 1 MiB."),
        ("PORT", "65536", "EXECUTION_HISTORY_PORT) is wrong: it must be at most 65535."),
        ("JSON_FILES", "maybe", "The setting json_files (variable EXECUTION_HISTORY_JSON_FILES) is wrong"),
        ("ALLOWED_ORIGINS", '["localhost:5173"]', "it must hold origins such as http://localhost:5173, without a path"),
        ("ALLOWED_ORIGINS", '["http://a.test/page"]', "it must hold origins such as http://localhost:5173"),
        ("KEEP_ALIVE_SECONDS", "0", "is wrong: it must be at least 1"),
        ("BIN_HOURS", "inf", "EXECUTION_HISTORY_BIN_HOURS) is wrong: it must be at most 960000"),
        ("LEASE_SECONDS", "inf", "EXECUTION_HISTORY_LEASE_SECONDS) is wrong: it must be at most 86400"),
        ("BACKUP", '{"to": "b", "every_hours": 1e300}', "BACKUP__EVERY_HOURS) is wrong: it must be at most 960000"),
        ("BACKUP", '{"to": "b", "full_every_days": 1e300}', "it must be at most 40000"),
        ("LEASE_SECONDS", "nan", "The setting lease_seconds (variable EXECUTION_HISTORY_LEASE_SECONDS) is wrong"),
        ("BUDGET", "much", "The setting budget (variable EXECUTION_HISTORY_BUDGET) is wrong: it must be a number."),
        ("BUDGET", "1e-30", "is wrong: it must be 0 or from 0.000001 to 10¹²."),
        ("BUDGET", "-1", "is wrong: it must be 0 or from 0.000001 to 10¹²."),
        ("CURRENCY", "¥", "is wrong: it must be a name of 1 to 12 letters such as CNY or USD."),
        ("PRICES", '[{"input": 1}]', "must hold prices (The price of 1,000 tokens (output) is a number from 0"),
        ("PRICES", '[{"input": 1, "output": 1, "in": 1}]', "A price has no 'in': it has account, currency, input"),
        ("PRICES", '[{"input": 1, "output": 1}, {"input": 2, "output": 1}]', "for the same workflow and account."),
        ("PRICES", "[1]", "The setting prices.0 (variable EXECUTION_HISTORY_PRICES) is wrong: it must be an object."),
        ("PROGRESS_INTERVAL_MS", "10", "EXECUTION_HISTORY_PROGRESS_INTERVAL_MS) is wrong"),
        (
            "ALLOWED_HOSTS",
            "a,b",
            'EXECUTION_HISTORY_ALLOWED_HOSTS) is wrong: it must be JSON, a list such as ["a", "b"]',
        ),
        ("ALLOWED_HOSTS", "[1]", "The setting allowed_hosts.0 (variable EXECUTION_HISTORY_ALLOWED_HOSTS) is wrong"),
        ("ACCOUNTS__WORK__BASE_URL", "api.coze.cn", "it must be an address that begins with http:// or https://."),
        ("ACCOUNTS__WORK__BASE_URL", "http://[", "it must be an address that begins with http:// or https://."),
        ("ACCOUNTS__WORK__BASE_URL", "https://:1", "it must be an address that begins with http:// or https://."),
        ("ACCOUNTS__WORK__BASE_URL", "https://a.test:x", "it must be an address that begins with http:// or https://."),
        ("ACCOUNTS__WORK__BASE_URL", "https://u:p@a.test", "it must be an address without a user name, a pass"),
        ("ACCOUNTS__WORK__OAUTH_BASE_URL", "https://a.test/?key=p", "an address without a user name, a password"),
    ],
)
def test_a_wrong_value_is_one_sentence_that_names_the_setting(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, part: str
) -> None:
    """Under the name of the variable that has it."""
    monkeypatch.setenv(f"EXECUTION_HISTORY_{variable}", value)
    assert part in wrong()


@pytest.mark.parametrize(
    ("variable", "part"),
    [
        ("EXECUTION_HISTORY_PROT", "EXECUTION_HISTORY_PROT: perhaps you meant EXECUTION_HISTORY_PORT."),
        ("EXECUTION_HISTORY_PORT__X", "EXECUTION_HISTORY_PORT__X: perhaps you meant EXECUTION_HISTORY_PORT."),
        ("execution_history_stroe", "execution_history_stroe: perhaps you meant EXECUTION_HISTORY_STORE."),
        ("EXECUTION_HISTORY_ACCOUNTS__WORK__TOKN", "'accounts.work.tokn': an account has base_url, token"),
        (
            "EXECUTION_HISTORY_1234567890123456789",
            "there are EXECUTION_HISTORY_ACCOUNTS, EXECUTION_HISTORY_ALLOWED_HOSTS",
        ),
    ],
)
def test_an_unknown_variable_is_one_sentence_that_names_it(
    monkeypatch: pytest.MonkeyPatch, variable: str, part: str
) -> None:
    """A misspelt setting is never silently ignored."""
    monkeypatch.setenv(variable, "1")
    assert part in wrong()


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"prot = 1", "There is no setting 'prot': perhaps you meant port."),
        (b'port = "x"', "The setting port in execution-history.toml is wrong: it must be a whole number."),
        (b'max_bytes = "2MB"', "max_bytes in execution-history.toml is wrong: it must be at least 16 MB."),
        (b"record_limit_bytes = 1", "record_limit_bytes in execution-history.toml is wrong: it must be at least"),
        (b"port = ", "The settings file execution-history.toml is not valid TOML"),
        (b'store = "\xff"', "The settings file execution-history.toml is not valid TOML"),
        (b'[accounts]\nwork = "x"', "The setting accounts.work in execution-history.toml is wrong"),
    ],
)
def test_a_wrong_file_is_one_sentence_that_names_what_is_wrong(folder: Path, content: bytes, part: str) -> None:
    """The setting, or the file when it cannot be read at all."""
    (folder / "execution-history.toml").write_bytes(content)
    assert part in wrong()


def test_a_file_that_cannot_be_opened_is_one_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The named file is missing, or the system refuses it."""
    monkeypatch.setenv("EXECUTION_HISTORY_CONFIG", "none.toml")
    assert "EXECUTION_HISTORY_CONFIG names 'none.toml', which is not a file." == wrong()
    (folder / "none.toml").write_text("port = 1")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert "The settings file none.toml cannot be read: Permission denied." == wrong()


def test_an_unknown_argument_is_one_sentence() -> None:
    """Programs that misspell a setting hear of it too."""
    assert "There is no setting 'prot': perhaps you meant port." == wrong(prot=1)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("EXECUTION_HISTORY_ACCOUNTS", f'{{"work": {{"token": "{SECRET}"'),
        ("EXECUTION_HISTORY_ACCOUNTS", SECRET),
        ("EXECUTION_HISTORY_ACCOUNTS", f'{{"work": "{SECRET}"}}'),
        ("EXECUTION_HISTORY_ACCOUNTS__WORK", SECRET),
        ("EXECUTION_HISTORY_ACCOUNTS", f'{{"work": {{"token": ["{SECRET}"]}}}}'),
        ("EXECUTION_HISTORY_ACCOUNTS__WORK__BASE_URL", SECRET),
        ("EXECUTION_HISTORY_ACCOUNTS__WORK__BASE_URL", f"https://u:{SECRET}@a.test"),
        ("EXECUTION_HISTORY_ACCOUNTS__WORK__OAUTH_BASE_URL", f"https://a.test?token={SECRET}"),
        ("EXECUTION_HISTORY_ACCOUNTS__WORK__TOKN", SECRET),
        ("EXECUTION_HISTORY_PORT", SECRET),
        ("EXECUTION_HISTORY_ACCOUNTS__WORK__PROXY", f"ftp://u:{SECRET}@a.test"),
        ("EXECUTION_HISTORY_ACCOUNTS__WORK__PROXY", f"http://u:{SECRET}@a.test:x"),
        ("COZE_API_TOKEN", f"{SECRET}\u200b"),
        ("COZE_API_BASE", SECRET),
        ("COZE_API_BASE", f"https://u:{SECRET}@a.test"),
        ("COZE_API_BASE", f"http://[{SECRET}"),
    ],
)
def test_a_secret_in_the_wrong_place_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """The sentence says what is wrong without the value, and no cause carries it along."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert SECRET not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_secrets_are_not_in_the_settings_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever prints or logs the settings shows no token and no key."""
    monkeypatch.setenv("COZE_API_TOKEN", SECRET)
    account = {"client_id": "c", "public_key_id": "p", "private_key": SECRET}
    store = f"postgresql://me:{SECRET}@db/history"
    account |= {"proxy": f"http://me:{SECRET}@proxy.test"}
    settings = load_settings(store=store, keys_store=store, accounts={"work": account, "home": {"token": SECRET}})
    assert (["default", "home", "work"], store) == (sorted(settings.accounts), settings.store)
    shown = (
        repr(settings), str(settings), f"{settings!r:}", repr(settings.model_dump()), settings.model_dump_json(),
        repr(settings.accounts["work"]), str(vars(settings.accounts["work"])),
    )  # fmt: skip
    for text in shown:
        assert SECRET not in text
    assert 2 == repr(settings).count("postgresql://me:…@db/history")


def test_what_pydantic_says_of_a_wrong_account_does_not_repeat_it() -> None:
    """Programs make accounts themselves, and may log why that failed."""
    with pytest.raises(ValidationError) as caught:
        AccountSettings(base_url=f"https://u:{SECRET}@a.test", token=[SECRET])  # type: ignore[arg-type]
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "store",
    [
        "postgresql://u:{}@db/h?a=1",
        "postgresql-asyncpg://u:{}@db/h",
        "mysql://{}@db",
        "sqlite://u:{}@db",
        "a.b-c://u:{}@h",
    ],
)
def test_a_store_that_there_is_not_is_refused_without_its_password(store: str, folder: Path) -> None:
    """And is not taken for the name of a folder."""
    with pytest.raises(SettingsError) as caught:
        store_at(store.format(SECRET))
    assert SECRET not in str(caught.value)
    assert [] == list(folder.iterdir())
