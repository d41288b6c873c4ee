"""Choose the Coze account of a command, and open the application; imported only by commands that call Coze."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from pydantic import SecretStr

from execution_history.application import Application, open_application
from execution_history.cli.session import CommandFailed
from execution_history.coze.accounts import account_at
from execution_history.errors import N_, StoreBusy
from execution_history.presentation.phrases import enumerated
from execution_history.records.metadata import UPSTREAM
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
) -> tuple[Settings, str | None]:
    """Return settings in which an account can answer *record*'s interrupt, and the account's name.

    It is the account *requested*. Without one there is no name: the record decides
    (:meth:`~execution_history.coze.Upstream.account_that_acts`), and the sandbox of a server on this machine is the
    account ``default`` where the run waits there and no other account calls it.

    Raises:
        UnknownAccount: there is no account *requested*.
        CommandFailed: it is incomplete, or both a sandbox and an account were named.
    """
    if sandbox or requested is not None:
        return account_named(settings, requested, sandbox=sandbox)
    waits_at = UPSTREAM.of(record)
    if waits_at == _sandbox_address(settings) and account_at(settings.accounts, waits_at, settings.accounts) is None:
        return _with_sandbox(settings), None
    return settings, None


@asynccontextmanager
async def opened(
    settings: Settings,
    *,
    sandbox: bool = False,
    demo: bool = False,
    serving: bool = False,
    waits: Callable[[StoreBusy], None] | None = None,
) -> AsyncIterator[Application]:
    """Open the application, with a sandbox of its own where *sandbox* is true; see :func:`open_application`.

    Raises:
        CommandFailed: the sandbox cannot listen at its address.
    """
    with explained_address():
        async with open_application(settings, sandbox=sandbox, demo=demo, serving=serving, waits=waits) as application:
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
