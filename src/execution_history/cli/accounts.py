"""Which Coze account a command calls: the one it names, or the one that can go on with a run where it waits."""

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from execution_history.cli.exit_codes import CommandFailed, ExitCode
from execution_history.cli.session import Session
from execution_history.coze.tracking.history_client import origin_of
from execution_history.records.metadata import ACCOUNT, UPSTREAM
from execution_history.sandbox import DEFAULT_TOKEN
from execution_history.settings import DEFAULT_ACCOUNT, AccountSettings, Settings, find_account, missing_settings


def account_named(
    session: Session, settings: Settings, wanted: str | None, *, sandbox: bool = False
) -> tuple[Settings, str]:
    """The account *wanted*, or ``default``, and settings in which it can be used.

    Args:
        session: whose words are spoken.
        settings: where the accounts are.
        wanted: the account's name, where one was given.
        sandbox: that ``default`` is the sandbox which ``serve --sandbox`` starts.

    Raises:
        UnknownAccount: there is no such account.
        CommandFailed: it is incomplete, or both a sandbox and an account were named.
    """
    if sandbox:
        if wanted not in (None, DEFAULT_ACCOUNT):
            raise CommandFailed(session.say("error.sandbox_account"), ExitCode.WRONG_CALL)
        return _with_sandbox(settings), DEFAULT_ACCOUNT
    name = wanted or DEFAULT_ACCOUNT
    account = find_account(settings.accounts, name)
    if account.missing:
        key = "error.no_token" if account.missing == ("token",) else "error.half_account"
        lacking = ", ".join(missing_settings(account, name))
        raise CommandFailed(session.say(key, account=name, settings=lacking), ExitCode.WRONG_CALL)
    return settings, name


def account_that_answers(
    session: Session, settings: Settings, record: Mapping[str, Any], wanted: str | None, *, sandbox: bool = False
) -> tuple[Settings, str]:
    """The account that can answer what *record* asks, and settings in which it can be used.

    It is the one that is *wanted*; without one, the account that began the run as long as it still calls the
    address where the run waits, else another that calls it, else the sandbox when it waits there. An answer never goes
    to an address that did not ask.

    Raises:
        UnknownAccount: the one that is wanted is not there.
        CommandFailed: none can; the sentence says what to set.
    """
    if sandbox or wanted is not None:
        return account_named(session, settings, wanted, sandbox=sandbox)
    name, waits_at = ACCOUNT.of(record) or DEFAULT_ACCOUNT, UPSTREAM.of(record)
    if waits_at is None:
        return account_named(session, settings, name)
    for candidate in (name, *sorted(settings.accounts)):
        account = settings.accounts.get(candidate)
        if account is not None and not account.missing and origin_of(account.base_url) == waits_at:
            return settings, candidate
    if waits_at == _sandbox_address(settings):
        return _with_sandbox(settings), DEFAULT_ACCOUNT
    sentence = session.say("error.no_account_there", upstream=waits_at, execute_id=record["execute_id"])
    raise CommandFailed(sentence, ExitCode.WRONG_CALL)


def _sandbox_address(settings: Settings) -> str:
    return f"http://127.0.0.1:{settings.sandbox_port}"


def _with_sandbox(settings: Settings) -> Settings:
    """*settings* in which ``default`` is the sandbox beside a server, under the name that the server gives it too."""
    account = AccountSettings(base_url=_sandbox_address(settings), token=SecretStr(DEFAULT_TOKEN))
    return settings.model_copy(update={"accounts": {**settings.accounts, DEFAULT_ACCOUNT: account}})
