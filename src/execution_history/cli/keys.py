"""The command ``keys``: who may use a server of this history."""

from fnmatch import fnmatchcase
from typing import Annotated, Literal

import typer

from execution_history.access.keys import Key, Keys
from execution_history.access.limits import lifetime_of, rate_of, size_of
from execution_history.access.sessions import Sessions
from execution_history.cli.open_history import open_service, refuse_archive
from execution_history.cli.options import command
from execution_history.cli.output import Cell, aligned
from execution_history.cli.session import CommandFailed, Session
from execution_history.clock import now_ms
from execution_history.errors import N_, Message
from execution_history.history.service import ExecutionHistoryService
from execution_history.presentation.formatting import clock, day, one_line, size

_LONGEST = 40

_Action = Annotated[
    Literal["add", "list", "renew", "revoke", "rotate-cookie"],
    typer.Argument(help=N_("What to do; without it the keys are listed.")),
]
_Name = Annotated[
    str | None, typer.Argument(metavar="NAME", help=N_("The name of the key; of renew and revoke also its id."))
]
_Scopes = Annotated[
    list[str] | None,
    typer.Option("--scope", metavar="SCOPE", help=N_("What it allows: read, run, write or admin; repeatable.")),
]
_Workflows = Annotated[
    list[str] | None,
    typer.Option("--workflow", metavar="PATTERN",
                 help=N_("Only this workflow, or those whose ids match this pattern, such as 'order-*'; repeatable."),
                 show_default=N_("all workflows")),
]  # fmt: skip
_Expires = Annotated[str | None, typer.Option(metavar="TIME", help=N_("How long it is valid: 12h, 90d or 8w."))]
_Rate = Annotated[str | None, typer.Option(metavar="RATE", help=N_("How many requests it may send: 10/s, 60/m."))]
_Largest = Annotated[str | None, typer.Option(metavar="SIZE", help=N_("How large a request may be: 1MB."))]


@command()
async def keys(
    session: Session,
    action: _Action = "list",
    name: _Name = None,
    scope: _Scopes = None,
    workflow: _Workflows = None,
    expires: _Expires = None,
    rate: _Rate = None,
    largest_body: _Largest = None,
    *,
    sign_out: Annotated[
        bool, typer.Option("--sign-out", help=N_("Of rotate-cookie: also sign all browsers out at once."))
    ] = False,
) -> None:
    """Add, list, renew and revoke keys."""
    _check_words(action, name, [scope, workflow, rate, largest_body], expires, sign_out=sign_out)
    refuse_archive(
        session, N_("%(store)s is an archive, which has no keys: serve it with those of a history (--keys-store).")
    )
    lifetime = None if expires is None else lifetime_of(expires)
    async with open_service(session, makes=action == "add") as service:
        known = Keys(service.store, now_ms)
        if action == "add":
            patterns, remarks = await _patterns_of(service, workflow or [])
            made = await known.add(
                name or "",
                scope or [],
                workflows=patterns,
                lifetime_ms=lifetime,
                rate=None if rate is None else rate_of(rate),
                largest_body=None if largest_body is None else size_of(largest_body),
            )
            _show_new(session, made.key, made.secret, remarks)
        elif action == "renew":
            _show_renewed(session, await known.renew(name or "", lifetime_ms=lifetime))
        elif action == "revoke":
            _show_revoked(session, await known.revoke(name or ""))
        elif action == "rotate-cookie":
            await Sessions(service.store, now_ms).rotate(ends_all=sign_out)
            session.notice(
                N_("All browsers are signed out.") if sign_out else N_("Cookies are signed with a new key from now on.")
            )
        else:
            _show(session, await known.all())


def _check_words(action: str, name: str | None, limits: list[object], expires: str | None, *, sign_out: bool) -> None:
    """Check that a call has what its *action* needs, and nothing else.

    Raises:
        CommandFailed: it has not.
    """
    if (name is None) is (action in ("add", "renew", "revoke")):
        raise CommandFailed("Give a name with add, renew and revoke, and only there: keys add NAME --scope read.")
    if (any(limits) and action != "add") or (expires and action not in ("add", "renew")):
        raise CommandFailed("What a key may do is given when it is added: only --expires belongs to keys renew, too.")
    if sign_out and action != "rotate-cookie":
        raise CommandFailed("--sign-out belongs to keys rotate-cookie.")


async def _patterns_of(service: ExecutionHistoryService, given: list[str]) -> tuple[list[str], list[Message]]:
    """Return the patterns of ids that people mean by *given*, which may be names, and what to tell about them."""
    known = [*await service.names(), *(each.workflow_id for each in await service.workflow_summaries())]
    patterns, remarks = list[str](), list[Message]()
    for each in map(str.strip, given):
        is_known = any(fnmatchcase(workflow_id, each) for workflow_id in known)
        named = None if is_known else await service.known_workflow(each, parts=False)
        if named is not None:
            shown = one_line(each, _LONGEST)
            remarks.append(Message("%(name)s is the workflow %(workflow)s.", name=shown, workflow=named))
        elif not is_known:
            shown = one_line(each, _LONGEST)
            remarks.append(Message("No workflow has an id that matches %(pattern)s yet.", pattern=shown))
        patterns.append(named or each)
    return patterns, remarks


def _show_new(session: Session, key: Key, secret: str, remarks: list[Message]) -> None:
    if session.as_json:
        session.output.document({"key": key.to_json(), "secret": secret})
        return
    session.output.answer(secret)
    session.notice("This is the key %(name)s. It is not shown again.", name=one_line(key.name, _LONGEST))
    for remark in remarks:
        session.output.remark(session.translate.message(remark), style="yellow")
    for hint in _uses_of(key):
        session.notice(hint, style="dim")


def _uses_of(key: Key) -> list[str]:
    """Return how a key is sent, for what it allows, to be translated."""
    uses = []
    if key.principal.may("read"):
        uses.append(N_("Send it as Authorization: Bearer …, or sign in with it on the page."))
    if key.principal.may("run"):
        uses.append(
            N_(
                "For runs through the gateway send it as X-Execution-History-Key, or put it into the base address of a "
                "Coze SDK: http://127.0.0.1:8765/k/KEY"
            )
        )
    return uses


def _show_renewed(session: Session, key: Key) -> None:
    name = one_line(key.name, _LONGEST)
    if session.as_json:
        session.output.document({"key": key.to_json()})
    elif key.expires is None:
        session.notice("The key %(name)s is valid, and does not expire.", name=name)
    else:
        session.notice("The key %(name)s is valid until %(time)s.", name=name, time=clock(key.expires))


def _show_revoked(session: Session, key: Key) -> None:
    if session.as_json:
        session.output.document({"key": key.to_json()})
    else:
        session.notice("The key %(name)s is revoked.", name=one_line(key.name, _LONGEST))


def _show(session: Session, known: list[Key]) -> None:
    """Show a line for each key."""
    if session.as_json:
        session.output.document({"keys": [key.to_json() for key in known]})
        return
    _ = session.translate
    if not known:
        session.notice("There are no keys; add one: %(command)s",
                       command=session.command("keys", "add", "NAME", "--scope", "read"))  # fmt: skip
        return
    heads = (_("Name"), _("Id"), _("Scopes"), _("Workflows"), _("Limits"), _("Added"), _("Expires"), _("Last used"))
    rows = [[Cell(head.upper(), "dim") for head in heads], *(_cells(session, key) for key in known)]
    session.output.lines(aligned(rows), are_cut=True)


def _cells(session: Session, key: Key) -> list[Cell]:
    _ = session.translate
    expires = _("never") if key.expires is None else _("expired") if key.has_expired(now_ms()) else day(key.expires)
    limits = [str(key.rate)] if key.rate else []
    limits += [size(key.largest_body)] if key.largest_body else []
    texts = (
        one_line(key.name, _LONGEST),
        key.id,
        ", ".join(key.scopes),
        one_line(" ".join(key.workflows), _LONGEST) if key.workflows else _("all"),
        " ".join(limits),
        day(key.created),
        expires,
        _("not yet") if key.last_used is None else day(key.last_used),
    )
    return [Cell(text) for text in texts]
