"""The backups that a server makes by itself, in the settings."""

from typing import ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

from execution_history.errors import InvalidInput
from execution_history.records.time_units import DAY_MS

LONGEST_HOURS: Final = 960_000
"""The longest time of a setting, a good hundred years: what is added to a time stays one."""


class BackupSettings(BaseModel):
    """Where a server makes backups, and how often."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", hide_input_in_errors=True)

    to: str
    """A folder, or ``s3://bucket/prefix``; what it needs to get in stands in the variables of S3's clients."""
    every_hours: float = Field(default=24, gt=0, le=LONGEST_HOURS)
    """How often a backup is made: what has changed since the last one."""
    full_every_days: float = Field(default=7, gt=0, le=LONGEST_HOURS // 24)
    """How old the last full backup may be before the next one is full again."""
    keep: int = Field(default=4, ge=1)
    """How many full backups stay, each with those that need it."""

    verify_every: int | None = Field(default=None, ge=1)
    """After how many backups the newest is verified, which restores it into a temporary folder; never unless given."""

    @field_validator("to")
    @classmethod
    def _is_named(cls, value: str) -> str:
        if not value.strip():
            raise InvalidInput("must name a folder or s3://bucket/prefix")
        return value

    @property
    def every_seconds(self) -> float:
        """How often a backup is made, in seconds."""
        return self.every_hours * 3600

    @property
    def full_every_ms(self) -> int:
        """How old the last full backup may be, in milliseconds."""
        return int(self.full_every_days * DAY_MS)
