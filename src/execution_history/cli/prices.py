"""The commands ``prices`` and ``reprice``: what tokens cost, and costs computed again."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from execution_history.cli.open_history import open_history, open_service
from execution_history.cli.options import Filters, command, read_filters
from execution_history.cli.output import Cell, aligned
from execution_history.cli.session import CommandFailed, ExitCode, Session
from execution_history.cli.workflow_text import Names, workflow_text
from execution_history.errors import N_
from execution_history.presentation.formatting import day, grouped, money, one_line, plain
from execution_history.presentation.reprice_sentence import reprice_sentence
from execution_history.records.price_book import EVERY

if TYPE_CHECKING:
    from execution_history.history.prices import PriceLine, PriceList

_LONGEST: Final = 40

_Workflow = Annotated[str, typer.Option(metavar="ID", help=N_("The workflow to whose runs the price applies."))]
_Account = Annotated[str, typer.Option(metavar="NAME", help=N_("The account to whose runs the price applies."))]
_Input = Annotated[str | None, typer.Option("--input", metavar="PRICE", help=N_("Per 1,000 input tokens."))]
_Output = Annotated[str | None, typer.Option("--output", metavar="PRICE", help=N_("Per 1,000 output tokens."))]
_Total = Annotated[
    str | None, typer.Option(metavar="PRICE", help=N_("Per 1,000 tokens of runs that report only a total."))
]


_BELONG_TO: Final = {
    "workflow": ("set", "remove"),
    "account": ("set", "remove"),
    "input": ("set",),
    "output": ("set",),
    "total": ("set",),
    "currency": ("set", "budget"),
}


@command()
async def prices(
    session: Session,
    action: Annotated[
        Literal["set", "remove", "budget"] | None,
        typer.Argument(help=N_("What to do; without it the prices are shown.")),
    ] = None,
    amount: Annotated[
        str | None,
        typer.Argument(metavar="AMOUNT", help=N_("Of budget: what may be spent in a month; none for no limit.")),
    ] = None,
    workflow: _Workflow = EVERY,
    account: _Account = EVERY,
    read: _Input = None,
    written: _Output = None,
    total: _Total = None,
    currency: Annotated[str | None, typer.Option(metavar="NAME", help=N_("The currency, such as CNY."))] = None,
) -> ExitCode:
    """Show the prices, or change them."""
    if (amount is None) is (action == "budget"):
        raise CommandFailed(
            "An amount belongs to budget, and to nothing else: prices budget 2000, or prices budget none."
        )
    values = {"workflow": workflow, "account": account, "input": read, "output": written, "total": total,
              "currency": currency}  # fmt: skip
    _check_options(action, values)
    async with open_service(session, makes=action in ("set", "budget")) as service:
        if action == "set":
            await service.set_price({name: value for name, value in values.items() if value is not None})
        elif action == "remove" and not await service.remove_price(workflow, account):
            raise CommandFailed(
                "There is no price for workflow %(workflow)s and account %(account)s.",
                code=ExitCode.NOT_FOUND,
                workflow=one_line(workflow, _LONGEST),
                account=one_line(account, _LONGEST),
            )
        elif action == "budget":
            await service.set_budget(None if amount == "none" else amount, currency)
        known, names = await service.price_list(), await service.names()
    if session.as_json:
        session.output.document(known.to_json())
    else:
        _show(session, known, names)
    return ExitCode.SUCCESS


def _check_options(action: str | None, values: Mapping[str, str | None]) -> None:
    """Check that each option in *values* that is given means something for the *action*.

    Raises:
        CommandFailed: one would be ignored.
    """
    for name, value in values.items():
        if value not in (None, EVERY) and action not in _BELONG_TO[name]:
            raise CommandFailed(
                "The option %(option)s belongs to %(calls)s.",
                option=f"--{name}",
                calls=", ".join(f"prices {each}" for each in _BELONG_TO[name]),
            )


@command()
async def reprice(
    session: Session,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help=N_("Only report what would change; write nothing."))
    ] = False,
    *,
    filters: Filters,
) -> None:
    """Recalculate costs, and report the sums before and after."""
    async with open_history(session) as history:
        report = await history.service.reprice(read_filters(filters), dry_run=dry_run)
    if session.as_json:
        session.output.document(report.to_json())
    else:
        session.output.answer(reprice_sentence(session.translate, report, grouped))


def _show(session: Session, known: "PriceList", names: Names) -> None:
    """Show a line for each price, and the budget."""
    _ = session.translate
    heads = (
        _("Workflow"),
        _("Account"),
        _("Input"),
        _("Output"),
        _("Total only"),
        _("Currency"),
        _("Valid from"),
        _("Version"),
    )
    rows = [[Cell(head.upper(), "dim", right=number in (2, 3, 4)) for number, head in enumerate(heads)]]
    rows += [_cells(session, line, names) for line in known.lines if not line.is_removed]
    if len(rows) > 1:
        session.output.lines(aligned(rows), are_cut=True)
        session.notice("Per 1,000 tokens.", style="dim")
    else:
        session.notice("There are no prices yet; set one: %(command)s",
                       command=session.command("prices", "set", "--input", "0.008", "--output", "0.02"))  # fmt: skip
    budget = known.budget
    if budget.amount is not None:
        amount = money(float(budget.amount), budget.currency)
        session.output.answer(_("Monthly budget: %(amount)s", amount=amount))
    if known.is_fixed:
        session.notice("The prices are in the settings, and are changed there.", style="dim")


def _cells(session: Session, line: "PriceLine", names: Names) -> list[Cell]:
    price, _ = line.price, session.translate
    amounts: list[Any] = [price.input, price.output, price.total]
    numbers = [Cell("" if each is None else plain(each), right=True) for each in amounts]
    since = _("settings") if line.since is None else day(line.since)
    whose = [
        Cell(_("all") if price.workflow == EVERY else workflow_text(price.workflow, names, is_brief=False)),
        Cell(_("all") if price.account == EVERY else one_line(price.account, _LONGEST)),
    ]
    return [*whose, *numbers, Cell(price.currency), Cell(since), Cell(price.version, "dim")]
