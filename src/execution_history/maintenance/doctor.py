"""The doctor: examines a history and what it stands on, and repairs what it can.

The checks are a table; those of the store are the store's own (``stores/capabilities.Verifiable``), the others are in
``surroundings.py`` and ``runs.py``. A check that cannot be made is a problem by itself, never an error.
"""

import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson

from execution_history.access.audit import BEGUN, FAILED, Action
from execution_history.access.principals import current_actor
from execution_history.clock import now_ms
from execution_history.errors import ExecutionHistoryError, Message, StoreBusy, StoreError
from execution_history.maintenance.key_check import key_check
from execution_history.maintenance.mirror_check import mirror_check
from execution_history.maintenance.runs import runs_check
from execution_history.maintenance.surroundings import surrounding_checks
from execution_history.settings import Settings
from execution_history.stores.capabilities import Verifiable
from execution_history.stores.factory import folder_named, location_shown
from execution_history.stores.protocol import HistoryStore
from execution_history.stores.verification import Check, Effort, Finding, Loss, Outcome, Progress

Verdict = Literal["ok", "remark", "problem"]

_MOST_ROUNDS: Final = 3
_log = logging.getLogger("execution_history.maintenance")


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What came of one check.

    Attributes:
        name: of the check, such as ``counters``.
        title: the msgid of its name for people.
        summary: what was looked at; empty where it could not be made.
        findings: what is wrong, or worth knowing, after repairs.
        repaired: a sentence for each thing that was done.
        seconds: how long it took, with its repairs.
        refusal: why nothing was repaired although something could be.
    """

    name: str
    title: str
    summary: Message
    findings: Sequence[Finding] = ()
    repaired: Sequence[Message] = ()
    seconds: float = 0.0
    refusal: Message | None = None

    @property
    def has_losses(self) -> bool:
        """Whether a repair saved less than there was."""
        return any(isinstance(sentence, Loss) for sentence in self.repaired)

    @property
    def verdict(self) -> Verdict:
        """The worst of its findings."""
        if any(finding.is_problem for finding in self.findings):
            return "problem"
        return "remark" if self.findings else "ok"

    def to_json(self, translate: Callable[[str], str] = str) -> dict[str, Any]:
        """Return the report as JSON, its sentences in the language of *translate*."""
        findings = [
            {
                "problem": finding.is_problem,
                "sentence": translate(finding.sentence),
                "remedy": finding.remedy and translate(finding.remedy),
                "repairable": finding.repair is not None,
            }
            for finding in self.findings
        ]
        return {
            "check": self.name,
            "verdict": self.verdict,
            "summary": translate(self.summary),
            "findings": findings,
            "repaired": [translate(sentence) for sentence in self.repaired],
            "lost": self.has_losses,
            "refusal": self.refusal and translate(self.refusal),
            "seconds": round(self.seconds, 3),
        }


class Doctor:
    """Examines one history, and repairs it.

    Args:
        store: the history, which whoever made it closes; it need not be open, and may be unable to.
        settings: what the history stands on besides: folders, limits.
        clock: milliseconds since the epoch.
    """

    def __init__(self, store: HistoryStore, settings: Settings, clock: Callable[[], int] = now_ms) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock

    def checks(self, effort: Effort = "usual") -> list[Check]:
        """Return the checks that take so much *effort*, in their order."""
        checks = surrounding_checks(self._store, self._settings)
        if isinstance(self._store, Verifiable):
            checks += self._store.checks(effort)
            checks.append(runs_check(self._store, self._settings, self._clock))
            if effort != "quick":
                checks.append(key_check(self._store, location_shown(self._settings.store)))
        if self._settings.mirror_folder and effort != "quick":
            folder = folder_named(self._settings.mirror_folder)
            checks.append(mirror_check(self._store, folder, location_shown(self._settings.store)))
        return checks

    async def examine(
        self,
        *,
        is_quick: bool = False,
        is_thorough: bool = False,
        repair: bool = False,
        progress: Callable[[Check], Progress] = lambda _: lambda _done, _total: None,
    ) -> AsyncIterator[CheckReport]:
        """Yield what comes of each check, in their order.

        Args:
            is_quick: look at samples, for a few seconds, however large the history is.
            is_thorough: also cut all texts anew and compare them with the index.
            repair: repair what can be repaired, each thing before the next check, and note it in the audit log.
            progress: returns what is called with the progress of a check.
        """
        is_blocked = False
        for check in self.checks("quick" if is_quick else "thorough" if is_thorough else "usual"):
            if is_blocked:
                yield CheckReport(check.name, check.title, Message(), [_NOT_MADE])
                continue
            report = await self._report(check, progress(check), repair=repair)
            is_blocked = check.blocks and report.verdict == "problem"
            yield report

    async def _report(self, check: Check, tell: Progress, *, repair: bool) -> CheckReport:
        began = time.monotonic()
        outcome = await _outcome(check, tell)
        repaired: list[Message] = []
        refusal: Message | None = None
        # One repair may bring something else to light, such as records in files that were not read before.
        for _ in range(_MOST_ROUNDS if repair else 0):
            repairs = [finding.repair for finding in outcome.findings if finding.repair is not None]
            if not repairs or refusal is not None:
                break
            if not check.blocks and not repaired:  # a damaged database cannot be written
                await self._note({BEGUN: check.name})
            try:
                for each in repairs:
                    repaired.append(await each())  # noqa: PERF401 - what was done before one that fails is kept
            except (ExecutionHistoryError, OSError) as error:
                refusal = _sentence_of(error)
            outcome = await _outcome(check, tell)
        if repaired or refusal is not None:
            failed = {} if refusal is None else {FAILED: str(refusal)}
            await self._note({"repaired": {check.name: list(map(str, repaired))}, **failed})
        seconds = time.monotonic() - began
        return CheckReport(check.name, check.title, outcome.summary, outcome.findings, repaired, seconds, refusal)

    async def _note(self, details: Mapping[str, object]) -> None:
        """Add a line to the audit log; where the history cannot be opened, the log of the program has it."""
        if not isinstance(self._store, Verifiable):
            return  # whose surroundings alone were looked at
        try:
            await self._store.note(current_actor(), Action.REPAIR.value, orjson.dumps(details))
        except StoreError as error:
            _log.warning("A repair could not be noted in the audit log (%s): %s", error, details)


async def _outcome(check: Check, tell: Progress) -> Outcome:
    """Return what a check finds; that it cannot be made is a finding too."""
    try:
        return await check.look(tell)
    except (ExecutionHistoryError, OSError) as error:
        remedy = Message("Try again when it has ended.") if isinstance(error, StoreBusy) else None
        sentence = Message("This could not be checked. %(reason)s", reason=_sentence_of(error))
        return Outcome(Message(), [Finding(sentence, remedy)])


def _sentence_of(error: ExecutionHistoryError | OSError) -> Message:
    if isinstance(error, ExecutionHistoryError):
        return error.message
    return Message("The operating system refused: %(reason)s.", reason=error.strerror or str(error))


_NOT_MADE: Final = Finding(Message("Not checked: the database has to be repaired first."), is_problem=False)
