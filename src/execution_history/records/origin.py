"""Where a run took place, and who may act for it there. Pure."""

from collections.abc import Mapping
from typing import Any

from execution_history.records.metadata import ACCOUNT, FETCHED_AT, PROOF, RECORDED_AS, RECORDER, UPSTREAM
from execution_history.records.proof import OF_FUNCTIONS


def is_function(record: Mapping[str, Any]) -> bool:
    """Return whether *record* is of a Python function or block: Coze has no such run, workflow or question.

    Recorders of functions note it in ``metadata.recorded_as``. Records of earlier versions are told by their proof, or
    by having a recorder but neither an account nor an address, which every call of Coze has.
    """
    if RECORDED_AS.of(record) is not None or PROOF.of(record) in OF_FUNCTIONS:
        return True
    return RECORDER.of(record) is not None and ACCOUNT.of(record) is None and UPSTREAM.of(record) is None


def acting_account(record: Mapping[str, Any]) -> str | None:
    """Return the account that acts for the run of *record*; ``None`` where only a caller has named one.

    Whoever writes a record must not choose with whose token others act on it: an account counts where a recorder of
    ours has kept it, or where the run was fetched with it. Callers can neither pretend that nor change it
    (:func:`execution_history.records.metadata.of_caller`).
    """
    is_fetched = FETCHED_AT.of(record) is not None and PROOF.of(record) is not None
    is_ours = RECORDER.of(record) is not None or is_fetched
    return ACCOUNT.of(record) if is_ours and not is_function(record) else None
