"""Any store beside the specification: whatever is called, from any process, both always agree."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from execution_history.errors import ExecutionHistoryError
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordKey, RecordQuery
from execution_history.stores import MemoryStore
from execution_history.stores.protocol import HistoryStore
from tests.sample_records import change, document, page_of

BASE: Final = 1_761_901_941_000  # times that cannot be taken for seconds
WORKFLOWS: Final = st.sampled_from(["w", "a/b", "W"])
IDS: Final = st.sampled_from([f"e{number}" for number in range(6)])
TIMES: Final = st.integers(BASE, BASE + 8)
TEXTS: Final = st.sampled_from(["", "x" * 50, "长文" * 400, 'quote " \n    }\n    {'])


class StoreMachine(RuleBasedStateMachine):
    """Every change goes to the specification and to one of the processes that have the store open."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.new_event_loop()
        self._now = BASE + 100

    @initialize()
    def begin(self) -> None:
        """Both stores are empty."""
        self._model: Any = MemoryStore()
        self._stores: list[Any] = [self._opened()]

    def new_store(self) -> HistoryStore:
        """The store once more, as another process has it; not yet opened."""
        raise NotImplementedError

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._loop.run_until_complete(work)

    def _opened(self) -> HistoryStore:
        store = self.new_store()
        self._run(store.open())
        return store

    def _both(self, name: str, *arguments: Any, which: int) -> None:
        """The same call on the model and on one of the stores has the same result."""
        results = []
        for store in (self._model, self._stores[which % len(self._stores)]):
            try:
                results.append(self._run(getattr(store, name)(*arguments)))
            except ExecutionHistoryError as error:
                results.append((type(error), str(error)))
        assert results[0] == results[1]

    @rule(workflow=WORKFLOWS, execute_id=IDS, time=TIMES, text=TEXTS, which=st.integers(0, 1))
    def create(self, workflow: str, execute_id: str, time: int, text: str, which: int) -> None:
        """A new record, or one that exists already."""
        self._both("create", document(execute_id, workflow, time, parameters={"t": text}), which=which)

    @rule(
        workflow=WORKFLOWS,
        execute_id=IDS,
        text=TEXTS,
        status=st.sampled_from([None, "running", "success", "failed", "interrupted"]),
        which=st.integers(0, 1),
    )
    def update(self, workflow: str, execute_id: str, text: str, status: str | None, which: int) -> None:
        """A legal or illegal change of a record that may exist."""
        self._now += 1
        self._both("update", workflow, execute_id, change(self._now, status, output={"o": text}), which=which)

    @rule(workflow=WORKFLOWS, execute_id=IDS, which=st.integers(0, 1))
    def delete(self, workflow: str, execute_id: str, which: int) -> None:
        """One record goes."""
        self._both("delete", workflow, execute_id, which=which)

    @rule(workflow=WORKFLOWS, which=st.integers(0, 1))
    def clear(self, workflow: str, which: int) -> None:
        """A whole history goes."""
        self._both("clear", workflow, which=which)

    @rule(workflow=WORKFLOWS, times=st.lists(st.tuples(IDS, TIMES), max_size=8), which=st.integers(0, 1))
    def merge(self, workflow: str, times: list[tuple[str, int]], which: int) -> None:
        """Records come from elsewhere."""
        self._now += 1
        documents = []
        for execute_id, time in times:
            body = change(self._now, output="m").apply(document(execute_id, workflow, time).body)
            assert body is not None
            documents.append(body)
        self._both("merge", documents, which=which)

    @rule(key=IDS, value=st.integers(0, 3), which=st.integers(0, 1))
    def register(self, key: str, value: int, which: int) -> None:
        """An entry of the registry is put there, or removed."""
        for store in (self._model, self._stores[which % len(self._stores)]):
            self._run(store.put_entry("view", key, b"%d" % value) if value else store.drop_entry("view", key))

    @rule(workflow=WORKFLOWS, execute_id=IDS, which=st.integers(0, 1))
    def discard(self, workflow: str, execute_id: str, which: int) -> None:
        """One record goes into the bin."""
        self._both("discard", [RecordKey(workflow, execute_id)], 86_400_000, which=which)

    @rule(workflow=WORKFLOWS, execute_id=IDS, which=st.integers(0, 1))
    def restore(self, workflow: str, execute_id: str, which: int) -> None:
        """One record comes back from the bin, if it is there and nothing has taken its place."""
        self._both("restore", [RecordKey(workflow, execute_id)], which=which)

    @precondition(lambda self: len(self._stores) == 1)
    @rule()
    def second_process(self) -> None:
        """Another process opens the store and works beside the first."""
        self._stores.append(self._opened())

    @rule()
    def close_and_open(self) -> None:
        """An orderly restart."""
        self._close()
        self._stores = [self._opened()]

    @invariant()
    def what_is_no_record_is_the_same_too(self) -> None:
        """The registry and the bin, in every process that is open."""
        for store in self._stores:
            kept = [
                (
                    [(entry.name, entry.value) for entry in self._run(each.entries("view"))],
                    [binned.key for binned in self._run(each.binned())],
                )
                for each in (self._model, store)
            ]
            assert kept[0] == kept[1]

    @invariant()
    def both_stores_agree(self) -> None:
        """The same workflows, counts and pages from every process that is open."""
        for store in self._stores:
            mine = {s.workflow_id: s for s in self._run(store.workflows())}
            theirs = {s.workflow_id: s for s in self._run(self._model.workflows())}
            assert set(theirs) == set(mine)
            for workflow_id, summary in theirs.items():
                assert summary.counts == mine[workflow_id].counts
                expected = self._run(page_of(self._model, workflow_id, 100, 1))
                found = self._run(page_of(store, workflow_id, 100, 1))
                assert _in_time_order(expected.documents) == _in_time_order(found.documents)
                assert expected.total == found.total

    @invariant()
    def the_index_shows_the_store(self) -> None:
        """A question through the index finds the same records in every process, whatever happened to the database."""
        for store in self._stores:
            for wanted in (RecordFilter(), RecordFilter(workflow_ids=("W",), statuses=("running",))):
                query = RecordQuery(filter=wanted, size=100)
                expected, found = self._run(self._model.select(query)), self._run(store.select(query))
                assert _in_time_order(expected.documents) == _in_time_order(found.documents)
                assert (expected.total, True) == (found.total, found.reach.is_complete)

    def _close(self) -> None:
        for store in self._stores:
            self._run(store.aclose())
        self._stores = []

    def teardown(self) -> None:
        """Let go of everything."""
        self._close()
        self._loop.close()


def _in_time_order(documents: Any) -> list[bytes]:
    """Documents sorted so that those of one millisecond, whose order a lost database cannot know, compare equal."""
    return sorted(bytes(body) for body in documents)
