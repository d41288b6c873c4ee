"""Models of prices, of the budget, and of costs that are computed again."""

from pydantic import BaseModel, ConfigDict, Field

from execution_history.web.api.schemas.executions import Amount, Count, Text


class PriceRequest(BaseModel):
    """A price to set; amounts are numbers, or texts where every digit counts."""

    model_config = ConfigDict(extra="forbid")

    workflow: Text = Field("*", description="The workflow for whose runs it holds, by id or name; * for all.")
    account: Text = Field("*", description="The account for whose runs it holds; * for all.")
    input: Amount = Field(description="Of 1,000 tokens that are read.")
    output: Amount = Field(description="Of 1,000 tokens that are written.")
    total: Amount | None = Field(None, description="Of 1,000 tokens of runs that do not tell them apart.")
    currency: Text | None = Field(None, description="Such as CNY; by default that of the budget.")
    entry: Count | None = Field(
        None, description="The entry that you have seen, 0 for none; another one is not replaced."
    )


class BudgetRequest(BaseModel):
    """What may be spent in a month."""

    model_config = ConfigDict(extra="forbid")

    amount: Amount | None = Field(None, description="null: no limit.")
    currency: Text | None = Field(None, description="The currency of the budget, and of prices that name none.")


class PriceVersion(BaseModel):
    """What 1,000 tokens cost, or cost once."""

    workflow: str = Field(description="The id of a workflow, or * for all.")
    account: str = Field(description="The name of an account, or * for all.")
    input: float
    output: float
    total: float | None
    currency: str
    version: str = Field(description="What metadata.cost.price of a run names.")
    since: int | None = Field(description="When it came (milliseconds); null for one of the settings.")


class PriceAnswer(PriceVersion):
    """A price, with those that held before for the same runs."""

    entry: int = Field(description="Pass it on with a change that is only to replace this.")
    earlier: list[PriceVersion]


class PricesAnswer(BaseModel):
    """All prices."""

    success: bool
    source: str = Field(description="registry, or settings: those can only be changed there.")
    currency: str
    budget: float | None = Field(description="What may be spent in a month, in this currency.")
    budget_source: str
    prices: list[PriceAnswer]
    removed: list[PriceAnswer] = Field(description="Prices that hold no more; runs may name them.")


class RepriceAnswer(BaseModel):
    """The result of computing costs again."""

    success: bool
    matched: int = Field(description="How many runs that have ended match.")
    changed: int = Field(description="How many cost something else now, or would.")
    unpriced: int = Field(description="How many keep what they have: no price holds, or their tokens are not known.")
    before: dict[str, float] = Field(description="What they cost before, by currency.")
    after: dict[str, float] = Field(description="What they cost now, by currency.")
    dry_run: bool
