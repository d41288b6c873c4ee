"""Every setting can be given in three places, and a wrong one is one sentence that names it."""

from pathlib import Path

import pytest

from execution_history.errors import SettingsError
from execution_history.settings import PREFIX, Settings, load_settings


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_without_any_there_are_defaults() -> None:
    """The folder, the address and the port that the documentation names."""
    settings = load_settings()
    assert ("data/execution_history", "127.0.0.1", 8765, {}) == (
        settings.store, settings.host, settings.port, settings.accounts,
    )  # fmt: skip


def test_an_argument_goes_before_a_variable_and_that_before_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each where the one before is silent."""
    Path("execution-history.toml").write_text('store = "file"\nport = 1\nhost = "0.0.0.0"\n')
    monkeypatch.setenv("EXECUTION_HISTORY_STORE", "variable")
    monkeypatch.setenv("EXECUTION_HISTORY_PORT", "2")
    settings = load_settings(store="argument", host=None)
    assert ("argument", 2, "0.0.0.0") == (settings.store, settings.port, settings.host)  # noqa: S104 - a value, not a bind


_VALUES = {bool: "false", int: "77", float: "7.5", str: "x"}


@pytest.mark.parametrize("name", sorted(set(Settings.model_fields) - {"accounts", "allowed_hosts"}))
def test_every_setting_has_a_variable_and_a_place_in_the_file(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same name, in capitals and in small letters."""
    kind = Settings.model_fields[name].annotation
    assert isinstance(kind, type)
    value = _VALUES[kind]
    Path("execution-history.toml").write_text(f"{name} = {value!r}\n" if kind is str else f"{name} = {value}\n")
    from_file = getattr(load_settings(), name)
    Path("execution-history.toml").unlink()
    monkeypatch.setenv(PREFIX + name.upper(), value)
    assert from_file == getattr(load_settings(), name) == kind({"false": ""}.get(value, value))


def test_accounts_come_from_variables_and_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """By name, with a token that no text shows."""
    Path("other.toml").write_text('[accounts.cn]\nbase_url = "https://api.coze.cn/"\ntoken = "secret-1"\n')
    monkeypatch.setenv("EXECUTION_HISTORY_CONFIG", "other.toml")
    monkeypatch.setenv("EXECUTION_HISTORY_ACCOUNTS__STUDIO__TOKEN", "secret-2")
    monkeypatch.setenv("EXECUTION_HISTORY_ALLOWED_HOSTS", '["a.example"]')
    settings = load_settings()
    assert {"cn": "https://api.coze.cn", "studio": "https://api.coze.com"} == {
        name: account.base_url for name, account in settings.accounts.items()
    }
    assert "secret" not in f"{settings!r} {settings}"


def test_the_default_account_comes_from_cozes_own_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless the settings have one."""
    monkeypatch.setenv("COZE_API_TOKEN", "secret")
    monkeypatch.setenv("COZE_API_BASE", "https://api.coze.cn/")
    account = load_settings().accounts["default"]
    assert account.token is not None
    assert ("https://api.coze.cn", "secret") == (account.base_url, account.token.get_secret_value())
    monkeypatch.setenv("EXECUTION_HISTORY_ACCOUNTS", '{"default": {"token": "other"}}')
    other = load_settings().accounts["default"].token
    assert other is not None
    assert "other" == other.get_secret_value()


@pytest.mark.parametrize(
    ("variables", "file", "named"),
    [
        ({"EXECUTION_HISTORY_PORT": "many"}, "", "port (variable EXECUTION_HISTORY_PORT)"),
        ({"EXECUTION_HISTORY_PORT": "70000"}, "", "port"),
        ({"EXECUTION_HISTORY_PROT": "1"}, "", "EXECUTION_HISTORY_PROT"),
        ({"EXECUTION_HISTORY_ACCOUNTS": "{"}, "", "accounts"),
        ({"EXECUTION_HISTORY_CONFIG": "missing.toml"}, "", "missing.toml"),
        ({"COZE_API_BASE": "api.coze.cn"}, "", "COZE_API_BASE"),
        ({}, "prot = 1", "prot"),
        ({}, "port = ", "execution-history.toml"),
        ({}, '[accounts.x]\nbase_url = "ftp://x"', "accounts.x.base_url"),
        ({}, '[accounts.x]\nclient_id = "1"\ntoken = "very-secret"', "accounts.x"),
        ({}, '[accounts.x]\ntoken = ["very-secret"]', "accounts.x.token"),
    ],
)
def test_a_wrong_setting_is_one_sentence_that_names_it(
    variables: dict[str, str], file: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And never shows a token."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if file:
        Path("execution-history.toml").write_text(file)
    with pytest.raises(SettingsError) as raised:
        load_settings()
    sentence = str(raised.value)
    assert named in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert "very-secret" not in sentence
