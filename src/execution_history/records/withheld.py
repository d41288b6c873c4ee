"""What a record does not have any more, or never had: such a run cannot be repeated or answered for as it was. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from execution_history.errors import InputsWithheld, listed, quoted
from execution_history.records.encoding import encode
from execution_history.records.metadata import PRUNED, RECORDING, REDACTED_VALUES, metadata_of
from execution_history.records.redaction import MARK

_INPUT: Final = "input_parameters"
_ANSWERED_WITH: Final = ("output", "error_message", "node_execute_status", "metadata.output_text", "metadata.interrupt")
_MOST_NAMES: Final = 10


def check_inputs(record: Mapping[str, Any], parameters: Mapping[str, Any] | None) -> None:
    """See that a run can be repeated with *parameters*, or else as it was recorded.

    Raises:
        InputsWithheld: they hold what was redacted, or the record has them no more; the sentence names them.
    """
    run, recorded = quoted(record["execute_id"]), record[_INPUT]
    given = recorded if parameters is None else parameters
    names = [name for name, value in given.items() if _is_marked({name: value})] if isinstance(given, dict) else []
    if _is_marked(record["connector_uid"]):
        names.append("connector_uid")
    if names or (given is not None and not isinstance(given, dict) and _is_marked(given)):
        raise InputsWithheld(
            "Run %(run)s cannot be repeated with the inputs that were recorded, because these were redacted: "
            "%(names)s. Enter them again.",
            run=run, names=listed((names or [_INPUT])[:_MOST_NAMES]),
        )  # fmt: skip
    if given != recorded:
        return
    if _INPUT in (REDACTED_VALUES.of(record) or ()):
        raise InputsWithheld(
            "Run %(run)s cannot be repeated with the inputs that were recorded, because a rule of redaction removed "
            "some of them. Enter all of them again.",
            run=run,
        )
    if recorded is None and _is_without_contents(record):
        raise InputsWithheld(
            "Run %(run)s cannot be repeated, because its record has no inputs any more: enter them.", run=run
        )


def check_identity(record: Mapping[str, Any], question: Mapping[str, Any] | None) -> None:
    """See that the question of a run can be answered: what names it, and its user, is there.

    Raises:
        InputsWithheld: it was redacted.
    """
    names = [name for name in ("event_id", "id") if question and _is_marked(question.get(name))]
    names += [name for name in ("connector_uid", "conversation_id") if _is_marked(record[name])]
    if names:
        raise InputsWithheld(
            "Run %(run)s cannot be answered, because what Coze has to be told was redacted: %(names)s.",
            run=quoted(record["execute_id"]), names=listed(names),
        )  # fmt: skip


def is_answer_withheld(record: Mapping[str, Any]) -> bool:
    """Return whether a record does not have everything that Coze would answer about its run."""
    redacted = REDACTED_VALUES.of(record) or {}
    return _is_without_contents(record) or any(name in redacted for name in _ANSWERED_WITH)


def _is_without_contents(record: Mapping[str, Any]) -> bool:
    extent = RECORDING.of(record) or {}
    return PRUNED.name in metadata_of(record) or extent.get("record") == "summary"


def _is_marked(value: object) -> bool:
    return value is not None and MARK.encode() in encode(value)
