"""The store in PostgreSQL beside the specification: several processes, lost connections, and both always agree."""

from contextlib import ExitStack
from typing import ClassVar

from hypothesis import HealthCheck
from hypothesis.stateful import rule, run_state_machine_as_test

from execution_history.stores import store_at
from execution_history.stores.protocol import HistoryStore
from tests.examples import examples
from tests.postgres_server import PostgresServer
from tests.stores.state_machine import StoreMachine


class PostgresMachine(StoreMachine):
    """The processes are those of several machines, as far as the database can tell."""

    server: ClassVar[PostgresServer]

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self._url = self._stack.enter_context(self.server.new_history())

    def new_store(self) -> HistoryStore:
        """The store in the one database."""
        return store_at(self._url)

    @rule()
    def lose_the_connections(self) -> None:
        """The server ends all connections, as it does when it is restarted."""
        self.server.end_connections()

    def teardown(self) -> None:
        """Remove the history too."""
        super().teardown()
        self._stack.close()


def test_both_always_agree(postgres: PostgresServer) -> None:
    """Over random calls."""
    given = examples(6, stateful_step_count=20, suppress_health_check=list(HealthCheck))

    class Machine(PostgresMachine):
        server = postgres

    run_state_machine_as_test(Machine, settings=given)
