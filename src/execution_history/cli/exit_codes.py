"""What a script learns from the exit code, and which error means which."""

from enum import IntEnum

from execution_history.errors import ExecutionHistoryError, ExecutionNotFound, ExportFailed, Message, StoreError


class ExitCode(IntEnum):
    """Every code the command ends with."""

    SUCCESS = 0
    WORKFLOW_FAILED = 1
    SOME_REFUSED = 1
    WRONG_CALL = 2
    INTERRUPTED = 3
    STORE_TROUBLE = 4
    NOT_FOUND = 5
    FAULT = 70
    STOPPED = 130
    BROKEN_PIPE = 141
    TERMINATED = 143


class CommandFailed(Exception):  # noqa: N818 - named as the errors of this package are
    """A command cannot do what it was asked.

    Args:
        code: what the command ends with.
        sentence: the msgid of one sentence for a person.
        arguments: what stands in its placeholders.
    """

    def __init__(self, code: ExitCode, sentence: str, /, **arguments: object) -> None:
        self.code = code
        self.message = Message(sentence, **arguments)
        super().__init__(self.message)


def code_of(error: ExecutionHistoryError) -> ExitCode:
    """Return the exit code of *error*: the store's trouble, the machine's, something missing, or else a wrong call."""
    match error:
        case StoreError():
            return ExitCode.STORE_TROUBLE
        case ExportFailed():
            return ExitCode.FAULT
        case ExecutionNotFound():
            return ExitCode.NOT_FOUND
    return ExitCode.WRONG_CALL
