"""Models of keys and of the audit log."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from execution_history.access.principals import Scope
from execution_history.web.api.schemas.executions import Name, Text


class KeyRequest(BaseModel):
    """A key to add."""

    model_config = ConfigDict(extra="forbid")

    name: Name = Field(description="What people call it; at most 100 characters, no two keys have the same.")
    scopes: list[Scope] = Field(description="read, run, write (which reads too) or admin (everything).")
    workflows: list[Text] = Field(
        default_factory=list, description="Shell patterns of workflow ids such as order-*; none for all workflows."
    )
    expires: Text | None = Field(None, description="After how long it is not valid any more: 12h, 90d or 8w.")
    rate: Text | None = Field(None, description="How many requests it may send: 10/s, 60/m or 1000/h.")
    largest_body: Text | None = Field(None, description="How large a request may be: 1MB.")


class KeyRenewal(BaseModel):
    """How long a key is valid from now on."""

    model_config = ConfigDict(extra="forbid")

    expires: Text | None = Field(None, description="After how long it is not valid any more: 12h, 90d or 8w.")


class KeyLine(BaseModel):
    """A key, without its secret."""

    id: str = Field(description="Names it; stands in the key itself.")
    name: str
    scopes: list[Scope]
    workflows: list[str] = Field(description="The patterns of the workflows that exist for its holder; none: all.")
    created: int = Field(description="Milliseconds since 1970-01-01 UTC, as all times here.")
    expires: int | None
    rate: str | None
    largest_body: int | None = Field(description="Bytes.")
    last_used: int | None = Field(description="Within a minute.")


class KeysAnswer(BaseModel):
    """All keys."""

    success: bool
    keys: list[KeyLine]
    total: int


class KeyAnswer(BaseModel):
    """A key."""

    success: bool
    key: KeyLine
    secret: str | None = Field(None, description="Of a new key: what its holder sends. It is never shown again.")


class AuditLineAnswer(BaseModel):
    """A line of the audit log."""

    number: int
    at: int = Field(description="Milliseconds since 1970-01-01 UTC.")
    actor: str = Field(description="The id and name of a key, or local and who ran the command.")
    action: str
    details: dict[str, Any]


class AuditAnswer(BaseModel):
    """Lines of the audit log."""

    success: bool
    lines: list[AuditLineAnswer] = Field(description="The newest first.")
    next: int | None = Field(description="With `before` it has the lines that follow; null at the end.")
