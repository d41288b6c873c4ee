"""Models of backups."""

from pydantic import BaseModel, Field


class LastBackupShape(BaseModel):
    """A backup. Times are milliseconds since the epoch."""

    id: str
    kind: str = Field(description="full or incremental.")
    revision: int = Field(description="The change up to which it is complete.")
    created_at: int
    ended_at: int
    records: int = Field(description="The records in it; of an incremental one those that had changed.")
    size: int = Field(description="In bytes, packed.")


class VerificationShape(BaseModel):
    """The newest backup that was restored to prove that it can be, and when."""

    id: str
    at: int


class BackupFailureShape(BaseModel):
    """Why a backup failed, in the language of the request."""

    at: int
    problem: str


class BackupShape(BaseModel):
    """The backups in one place."""

    place: str
    last: LastBackupShape | None = Field(description="The newest; null before there was one.")
    failure: BackupFailureShape | None = Field(description="What went wrong with a later one; null where nothing did.")
    is_late: bool = Field(description="Two such periods have passed without one.")
    verified: VerificationShape | None = Field(description="The newest that was verified; null where none was.")
    unverified: int = Field(description="How many were made after that.")


class PlannedBackupsShape(BaseModel):
    """The backups that this server makes by itself."""

    place: str
    every_ms: int


class BackupsAnswer(BaseModel):
    """What the history knows of its backups."""

    success: bool
    backups: list[BackupShape] = Field(description="By place.")
    planned: PlannedBackupsShape | None = Field(description="What this server makes by itself; null for nothing.")
