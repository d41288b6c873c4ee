"""Choose the Coze account of a command, and open the application; imported only by commands that call Coze."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from pydantic import SecretStr

from execution_history.application import Application, open_application
from execution_history.cli.session import CommandFailed
from execution_history.coze.tracking.history_client import origin_of
from execution_history.errors import N_
from execution_history.presentation.phrases import enumerated
from execution_history.records.metadata import UPSTREAM
from execution_history.records.origin import acting_account
from execution_history.settings import DEFAULT_ACCOUNT, AccountSettings, Settings, find_account, missing_settings


def account_named(settings: Settings, requested: str | None, *, sandbox: bool = False) -> tuple[Settings, str]:
    """Return settings in which the account *requested*, or ``default``, can be used, and the account's name.

    Args:
        settings: where the accounts are.
        requested: the account's name; ``None`` stands for ``default``.
        sandbox: whether ``default`` is the sandbox which ``serve --sandbox`` starts.

    Raises:
        UnknownAccount: there is no such account.
        CommandFailed: it is incomplete, or both a sandbox and an account were named.
    """
    if sandbox:
        return _with_sandbox(settings), account_of_sandbox(requested)
    name = requested or DEFAULT_ACCOUNT
    account = find_account(settings.accounts, name)
    if account.missing:
        sentence = N_("The Coze account '%(account)s' is incomplete: set %(settings)s.")
        if account.missing == ("token",):
            sentence = N_(
                "The Coze account '%(account)s' has no token: set %(settings)s (and COZE_API_BASE for coze.cn or "
                "Coze Studio), or add --sandbox to try it without an account."
            )
        lacking = enumerated(missing_settings(account, name))
        raise CommandFailed(sentence, account=name, settings=lacking)
    return settings, name


def account_of_sandbox(requested: str | None) -> str:
    """Return the name of the sandbox's account.

    Raises:
        CommandFailed: another account was named.
    """
    if requested not in (None, DEFAULT_ACCOUNT):
        raise CommandFailed("--sandbox and --account cannot be used together: the sandbox is the account default.")
    return DEFAULT_ACCOUNT


def account_that_answers(
    settings: Settings, record: Mapping[str, Any], requested: str | None, *, sandbox: bool = False
) -> tuple[Settings, str]:
    """Return settings in which the account that can answer *record*'s interrupt can be used, and the account's name.

    It is the account *requested*; without one, the account that began the run as long as it still calls the address
    where the run waits, else another that calls it, else the sandbox when it waits there. An answer is never sent to
    an address other than the one where the run waits.

    Raises:
        UnknownAccount: there is no account *requested*.
        CommandFailed: no account can; the message names what to set.
    """
    if sandbox or requested is not None:
        return account_named(settings, requested, sandbox=sandbox)
    name, waits_at = acting_account(record) or DEFAULT_ACCOUNT, UPSTREAM.of(record)
    if waits_at is None:
        return account_named(settings, name)
    for candidate in (name, *sorted(settings.accounts)):
        account = settings.accounts.get(candidate)
        if account is not None and not account.missing and origin_of(account.base_url) == waits_at:
            return settings, candidate
    if waits_at == _sandbox_address(settings):
        return _with_sandbox(settings), DEFAULT_ACCOUNT
    raise CommandFailed(
        "Run '%(execute_id)s' is waiting for its answer at %(upstream)s, and no account calls that address: set "
        "COZE_API_BASE=%(upstream)s and COZE_API_TOKEN (of a sandbox: sandbox-token), or name an account with "
        "--account.",
        execute_id=record["execute_id"],
        upstream=waits_at,
    )


@asynccontextmanager
async def opened(settings: Settings, *, sandbox: bool = False, serving: bool = False) -> AsyncIterator[Application]:
    """Open the application, with a sandbox of its own where *sandbox* is true; see :func:`open_application`.

    Raises:
        CommandFailed: the sandbox cannot listen at its address.
    """
    with explained_address():
        async with open_application(settings, sandbox=sandbox, serving=serving) as application:
            yield application


@contextmanager
def explained_address() -> Iterator[None]:
    """Raise :class:`CommandFailed` where a sandbox cannot listen at its address."""
    try:
        yield
    except OSError as error:
        from execution_history.sandbox import AddressError  # noqa: PLC0415 - who calls Coze itself needs no sandbox

        if not isinstance(error, AddressError):
            raise
        raise CommandFailed(
            "The sandbox cannot listen on %(host)s:%(port)s (%(reason)s): choose another port, or 0 for any free one.",
            host=error.host,
            port=error.port,
            reason=error.reason,
        ) from None


def _sandbox_address(settings: Settings) -> str:
    return f"http://127.0.0.1:{settings.sandbox_port}"


def _with_sandbox(settings: Settings) -> Settings:
    """Return *settings* with the sandbox beside a server as ``default``, under the name that the server gives it."""
    from execution_history.sandbox import DEFAULT_TOKEN  # noqa: PLC0415 - as above

    account = AccountSettings(base_url=_sandbox_address(settings), token=SecretStr(DEFAULT_TOKEN))
    return settings.model_copy(update={"accounts": {**settings.accounts, DEFAULT_ACCOUNT: account}})
