"""Rules and the budget remove what they should and nothing else, on every store."""

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from execution_history import ExecutionHistoryService
from execution_history.errors import InvalidInput
from execution_history.maintenance.candidates import Candidate, Candidates
from execution_history.maintenance.pruner import Pace, Pruner
from execution_history.maintenance.retention import Retention, RetentionSettings
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordKey, RecordQuery, StatisticsQuery
from execution_history.query.retention import RetentionRule
from execution_history.stores import SQLiteStore
from execution_history.stores.capabilities import Bin, follow_index
from execution_history.stores.protocol import HistoryStore
from tests.sample_records import change, document
from tests.stores_under_test import Clock

pytestmark = pytest.mark.anyio

_DAY = 86_400_000


class _History:
    """A history of some days, and its retention."""

    def __init__(self, store: HistoryStore, clock: Clock) -> None:
        self.store, self.clock = store, clock
        self.service = ExecutionHistoryService(store)

    def retention(self, *rules: dict[str, Any], max_bytes: int | None = None) -> Retention:
        """Retention by these rules of the settings."""
        settings = RetentionSettings(tuple(map(RetentionRule.of, rules)), max_bytes)
        return Retention(self.service, settings, self.clock)

    async def add(self, name: str, days: float, status: str = "success", workflow: str = "w", **metadata: Any) -> None:
        """A run that ended so many days ago."""
        begun = int(self.clock() - days * _DAY)
        await self.store.create(document(name, workflow, begun, parameters={"text": f"private {name} " * 30}))
        await self.store.update(
            workflow, name, change(begun + 1_000, None if status == "running" else status, output="x" * 500,
                                   usage={"token_count": 7}, metadata=metadata)
        )  # fmt: skip

    async def names(self) -> set[str]:
        """What is left."""
        found = await self.store.scan(None, 1_000)
        return {orjson.loads(body)["execute_id"] for body in found.documents}

    async def record(self, name: str, workflow: str = "w") -> Any:
        """One record."""
        return orjson.loads(await self.store.get(workflow, name) or b"null")


@pytest.fixture
def history(store: HistoryStore, clock: Clock) -> _History:
    """An empty history."""
    return _History(store, clock)


async def test_old_runs_go_into_the_bin_and_protected_ones_stay(history: _History) -> None:
    """The preview names the same runs, and why others stay; a second run finds nothing and says why."""
    for number in range(5):
        await history.add(f"old{number}", 40)
    await history.add("new", 1)
    await history.add("failed", 40, "failed")
    await history.add("running", 40, "running")
    await history.add("waiting", 40, "interrupted", interrupt={"event_id": "1"})
    await history.add("pinned", 40, pinned=True)
    await history.add("rated", 40, rating=5)
    await history.add("kept", 40, tags=["keep"])
    retention = history.retention({"name": "old", "older_than": "30d"})
    preview = await retention.preview()
    kept = {"running": 1, "waiting": 1, "pinned": 1, "rated": 1, "tagged": 1}
    assert (6, kept, True) == (preview.runs, preview.parts[0].kept, preview.parts[0].is_complete)
    assert 12 == len(await history.names())
    run = await retention.prune()
    assert run.report is not None
    assert (6, kept) == (run.report["runs"], run.report["parts"][0]["kept"])
    assert preview.parts[0].to_json() == run.report["parts"][0]
    assert "in_bin" == run.report["reason"]
    assert {"new", "running", "waiting", "pinned", "rated", "kept"} == await history.names()
    again = await retention.prune()
    assert again.report is not None
    assert (0, "protected") == (again.report["runs"], again.report["reason"])
    assert isinstance(history.store, Bin)
    assert [RecordKey("w", "old3")] == await history.store.restore([RecordKey("w", "old3")])
    [_, line] = [each for each in await history.store.audit(0, 10) if each.action == "retention.prune"]
    assert [6] == [part["runs"] for part in orjson.loads(line.details)["parts"]]


async def test_of_each_workflow_the_newest_runs_are_kept(history: _History) -> None:
    """By number of those that match; others are left alone."""
    for number in range(6):
        await history.add(f"a{number}", 10 - number, workflow="a")
        await history.add(f"b{number}", 10 - number, "failed" if number % 2 else "success", workflow="b")
    await history.add("c", 50, workflow="c")
    retention = history.retention({"status": "success", "keep_runs": 2})
    preview = await retention.preview()
    assert (5, {"newest": 4}) == (preview.runs, preview.parts[0].kept)
    await retention.prune()
    assert {"a4", "a5", "b1", "b2", "b3", "b4", "b5", "c"} == await history.names()
    report = await history.retention({"keep_runs": 5}).preview()
    assert ("no_match", {"newest": 8}) == (report.reason, report.parts[0].kept)
    await history.retention({"workflow": "b", "keep_runs": 0}).prune()
    assert {"a4", "a5", "c"} == await history.names()


async def test_limits_of_one_rule_keep_what_any_of_them_keeps(history: _History) -> None:
    """Old runs go, but not the newest ones of a workflow that is hardly used."""
    for number in range(4):
        await history.add(f"a{number}", 100 - number)
        await history.add(f"b{number}", 10 - number)
    await history.retention({"older_than": "30d", "keep_runs": 6}).prune()
    assert {"a2", "a3", "b0", "b1", "b2", "b3"} == await history.names()


async def test_of_each_workflow_so_many_bytes_are_kept(history: _History) -> None:
    """The oldest go until the workflow has no more; what is protected stays, and others go instead."""
    await history.add("pinned", 20, pinned=True)
    for number in range(8):
        await history.add(f"e{number}", 10 - number)
    [summary] = await history.store.workflows()
    limit = summary.size // 2
    retention = history.retention({"keep_bytes": limit})
    preview = await retention.preview()
    await retention.prune()
    [summary] = await history.store.workflows()
    assert limit * 0.7 < summary.size <= limit
    assert {"pinned", "e5", "e6", "e7"} == await history.names()
    assert (5, {"pinned": 1, "bytes": 3}) == (preview.runs, preview.parts[0].kept)


async def test_contents_go_and_all_figures_stay(history: _History) -> None:
    """A run without contents says when, how much and by which rule; it is not looked at again."""
    for number in range(12):
        await history.add(f"e{number}", 39.5 - number, "failed" if number % 3 else "success")
    await history.add("pinned", 40, pinned=True)
    begun = history.clock() - 40 * _DAY
    await history.store.create(document("tiny", "w", begun, parameters={"text": "x" * 60}))
    await history.store.update("w", "tiny", change(begun + 1, "success"))
    before = await history.store.statistics(StatisticsQuery())
    retention = history.retention({"name": "thin", "older_than": "30d", "action": "contents"})
    run = await retention.prune()
    assert run.report is not None
    assert (11, {"pinned": 1}) == (run.report["runs"], run.report["parts"][0]["kept"])
    assert 0 == min(each["bytes"] for each in run.report["parts"][0]["listed"])  # the note of it is longer
    after = await history.store.statistics(StatisticsQuery())
    assert before.totals == after.totals
    assert [each.figures for each in before.buckets] == [each.figures for each in after.buckets]
    assert before.failures[0].count == after.failures[0].count
    record = await history.record("e0")
    assert (None, None, 19) == (record["input_parameters"], record["output"], len(record))
    assert ("thin", {"token_count": 7}) == (record["metadata"]["pruned"]["rule"], record["usage"])
    assert "private e11" in (await history.record("e11"))["input_parameters"]["text"]
    again = await retention.prune()
    assert again.report is not None
    assert 0 == again.report["runs"]


async def test_a_run_that_is_pinned_meanwhile_stays(history: _History) -> None:
    """Only the version that was judged goes."""
    await history.add("a", 40)
    await history.add("b", 40)
    candidates = Candidates(history.service, ["keep"], history.clock())
    rule = RetentionRule.of({"older_than": "30d"})
    [judged] = [page async for page in candidates.of(rule)]
    await history.store.update("w", "a", change(history.clock(), metadata={"pinned": True}))
    pruner = Pruner(history.store, history.clock)
    assert ["b"] == [each.candidate.key.execute_id for each in await pruner.prune(judged, "contents", "r")]
    [again] = [page async for page in candidates.of(rule)]
    await history.store.update("w", "b", change(history.clock(), metadata={"rating": 5}))
    assert [] == await pruner.prune(again, "remove", "r", keep_ms=_DAY)
    assert {"a", "b"} == await history.names()


async def test_rules_are_kept_in_the_registry_unless_the_settings_have_some(history: _History) -> None:
    """Those of the settings win and cannot be changed elsewhere."""
    book = history.retention().rule_book
    await book.put({"name": "b", "older_than": "30d"}, "test")
    await book.put({"name": "a", "status": "failed", "keep_runs": 10}, "test")
    await book.put({"name": "b", "older_than": "60d"}, "test")
    rules = await book.rules()
    assert [("a", None), ("b", 60 * _DAY)] == [(rule.name, rule.older_than) for rule in rules.rules]
    assert await book.remove("a", "test")
    assert not await book.remove("a", "test")
    fixed = history.retention({"name": "f", "keep_runs": 1}).rule_book
    assert ["f"] == [rule.name for rule in (await fixed.rules()).rules]
    with pytest.raises(InvalidInput, match="settings"):
        await fixed.put({"name": "b", "older_than": "30d"}, "test")
    with pytest.raises(InvalidInput, match="settings"):
        await fixed.remove("b", "test")
    actions = [each.action for each in await history.store.audit(0, 10)]
    assert ["retention.rule.set"] * 3 + ["retention.rule.remove"] == actions


async def test_rules_can_be_carried_out_alone(history: _History) -> None:
    """By their names; an unknown one is refused before anything is done."""
    await history.add("a", 40)
    await history.add("b", 40, "failed")
    retention = history.retention(
        {"name": "x", "status": "success", "older_than": "1d"}, {"name": "y", "status": "failed", "older_than": "1d"}
    )
    with pytest.raises(InvalidInput, match="'z'"):
        await retention.prune(["x", "z"])
    await retention.prune(["y"])
    assert {"a"} == await history.names()


async def test_without_rules_nothing_is_done_and_that_is_said(history: _History) -> None:
    """And a rule that matches nothing says so too."""
    await history.add("a", 40)
    run = await history.retention().prune()
    assert run.report is not None
    assert "no_rules" == run.report["reason"]
    run = await history.retention({"status": "failed", "older_than": "1d"}).prune()
    assert run.report is not None
    assert "no_match" == run.report["reason"]


async def test_a_store_beyond_its_budget_loses_contents_first_then_lines(history: _History) -> None:
    """Of the oldest runs, and no more than has to go; what is protected stays."""
    store = history.store
    for number in range(40):
        begun = int(history.clock() - (50 - number) * _DAY)
        text = "".join(chr(0x4E00 + (number * 7919 + place * 104729) % 20000) for place in range(20_000))
        await store.create(document(f"e{number:02}", "w", begun, parameters={"text": text}))
        await store.update("w", f"e{number:02}", change(begun + 1_000, "success", metadata={"pinned": number == 0}))
    await store.select(RecordQuery(filter=RecordFilter(statuses=("failed",))))
    use = await history.retention().disk_use()
    assert use is not None
    limit = use.used * 3 // 5
    run = await history.retention(max_bytes=limit).prune()
    assert run.report is not None
    assert run.report["after"]["used"] <= limit
    assert 40 == len(await history.names())
    assert ["contents"] == [part["action"] for part in run.report["parts"]]
    assert {"pinned": 1} == run.report["parts"][0]["kept"]
    has_contents = [bool((await history.record(name))["input_parameters"]) for name in sorted(await history.names())]
    assert [True, False, True] == [has_contents[0], has_contents[1], has_contents[-1]]
    assert has_contents[1:] == sorted(has_contents[1:])
    pruned = (await history.record("e01"))["metadata"]["pruned"]
    assert "max_bytes" == pruned["rule"]


async def test_an_index_that_keeps_what_is_deleted_costs_no_run(tmp_path: Path) -> None:
    """Its texts are written anew when a part of them is gone; until then more would go than the preview names."""
    words = random.Random(7)  # noqa: S311 - no secret
    store = SQLiteStore(tmp_path)
    async with ExecutionHistoryService(store) as service:
        for number in range(16):
            text = " ".join(f"{words.randrange(10**9):x}" for _ in range(20_000))
            await store.create(document(f"e{number:02}", "w", 1_000 + number, parameters={"text": text}))
            await store.update("w", f"e{number:02}", change(9_000 + number, "success"))
        await store.follow_index()
        before = await store.disk_use()
        retention = Retention(service, RetentionSettings((), before.kept * 2 // 5))
        preview = await retention.preview()
        run = await retention.prune()
        assert run.report is not None
        shown = [(part.action, part.runs) for part in preview.parts]
        assert (shown, 1) == ([(part["action"], part["runs"]) for part in run.report["parts"]], run.report["rounds"])
        after = await store.disk_use()
        assert before.index > 2_000_000
        assert after.index < before.index // 2


async def test_a_budget_that_cannot_be_kept_says_so(history: _History) -> None:
    """Everything that may go is gone, the bin too."""
    for number in range(6):
        await history.add(f"e{number}", 10 - number, pinned=number < 2)
    assert isinstance(history.store, Bin)
    await history.store.discard([RecordKey("w", "e5")], _DAY)
    run = await history.retention(max_bytes=1).prune()
    assert run.report is not None
    assert "over_budget" == run.report["reason"]
    assert ["bin", "contents", "remove"] == [part["action"] for part in run.report["parts"]]
    assert (3, [0, 0, 3]) == (run.report["runs"], [part["shortened"] for part in run.report["parts"]])
    assert {"e0", "e1"} == await history.names()
    assert [] == await history.store.binned()


async def test_a_preview_of_the_size_limit_begins_with_the_bin(history: _History) -> None:
    """It names what goes in the order in which it goes, and changes nothing."""
    for number in range(6):
        await history.add(f"e{number}", 10 - number, pinned=number < 2)
    assert isinstance(history.store, Bin)
    await history.store.discard([RecordKey("w", "e5")], _DAY)
    preview = await history.retention(max_bytes=1).preview()
    listed = [(part.action, [each.execute_id for each in part.listed]) for part in preview.parts]
    assert [("bin", ["e5"]), ("contents", ["e2", "e3", "e4"]), ("remove", ["e2", "e3", "e4"])] == listed
    assert (3, [0, 0, 3]) == (preview.runs, [part.shortened for part in preview.parts])
    assert all(each.bytes > 0 for part in preview.parts for each in part.listed)
    assert 5 == len(await history.names())
    assert 1 == len(await history.store.binned())
    assert [] == (await history.retention(max_bytes=1 << 40).preview()).parts
    rules = {"name": "old", "older_than": "9d", "action": "remove", "workflow": "w"}
    await history.add("e6", 20)
    [rule, left, *_] = (await history.retention(rules, max_bytes=1).preview()).parts
    assert (["e6"], ["e5", "e6"]) == tuple([each.execute_id for each in part.listed] for part in (rule, left))


@pytest.mark.parametrize("share", [0.1, 0.65])
@pytest.mark.parametrize("bin_ms", [0, _DAY])
async def test_what_a_preview_shows_is_what_goes(history: _History, share: float, bin_ms: int) -> None:
    """The same runs in the same order for the same reasons, rule by rule, and for the size limit after them."""
    assert isinstance(history.store, Bin)
    history.store.bin_ms = bin_ms
    for number in range(36):
        begun = int(history.clock() - (60 - number) * _DAY)
        name, workflow = f"e{number:02}", f"w{number % 2}"
        text = "".join(chr(0x4E00 + (number * 7919 + place * 104729) % 20000) for place in range(9_000))
        await history.store.create(document(name, workflow, begun, parameters={"text": text}))
        status = "failed" if number % 5 == 0 else "success"
        await history.store.update(workflow, name, change(begun + 1_000, status, metadata={"pinned": number % 7 == 3}))
    await history.store.discard([RecordKey("w0", "e34"), RecordKey("w1", "e35")], _DAY)
    await follow_index(history.store)  # which takes space too
    rules: list[dict[str, Any]] = [
        {"name": "failed", "status": "failed", "older_than": "40d"},
        {"name": "few", "keep_runs": 14},
        {"name": "small", "keep_bytes": 330_000},
        {"name": "thin", "older_than": "42d", "action": "contents"},
    ]
    use = await history.retention().disk_use()
    assert use is not None
    retention = history.retention(*rules, max_bytes=use.kept - int(share * (use.database + use.files)))
    shown = (await retention.preview()).to_json()
    run = await retention.prune()
    assert run.report is not None
    parts = run.report["parts"]
    if run.report["rounds"] > 1:  # measured anew, a few runs on a disk took more than was reckoned
        last = len(shown["parts"]) - 1
        assert shown["parts"][last]["listed"] == parts[last]["listed"][: shown["parts"][last]["runs"]]
        del shown["parts"][last], parts[last:]
    assert shown["parts"] == parts
    gone = {part["rule"] for part in run.report["parts"] if part["runs"]}
    assert {"failed", "few", "small", "thin"} <= gone
    assert run.report["rounds"] == 1 or isinstance(history.store, SQLiteStore) or share < 0.5


async def test_a_preview_ends_after_its_time(history: _History) -> None:
    """And says that it has not seen everything."""
    for number in range(3):
        await history.add(f"e{number}", 40)
    preview = await history.retention({"older_than": "1d"}).preview(seconds=0)
    assert not preview.parts[0].is_complete
    assert preview.dry_run


async def test_a_slow_disk_gets_no_more_commits_than_a_quick_one() -> None:
    """Each takes its time however little is in it: one by one would be fewer than come in."""
    sizes: list[int] = []

    async def work(batch: Sequence[Candidate]) -> None:
        sizes.append(len(batch))
        await asyncio.sleep(0.02)

    await Pace().run([Candidate(RecordKey("w", str(number)), 0, 0, 0, None) for number in range(12)], work)
    assert [4, 4, 4] == sizes
