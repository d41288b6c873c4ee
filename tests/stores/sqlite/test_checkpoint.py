"""The thread that makes checkpoints ends whenever it is told to."""

import threading
from pathlib import Path

from execution_history.stores.sqlite.checkpoint import Checkpointer
from execution_history.stores.sqlite.connections import open_writer
from execution_history.stores.sqlite.process_lock import ProcessLock


class LockThatHears(ProcessLock):
    """Has the checkpointer told to stop while it is in the middle of a checkpoint."""

    stopping: threading.Thread
    told: threading.Event

    def try_acquire(self) -> bool:
        """Take the lock when somebody waits for the checkpointer's end."""
        self.stopping.start()
        self.told.wait()
        return super().try_acquire()


def test_a_stop_during_a_checkpoint_is_heard(tmp_path: Path) -> None:
    """What a checkpoint clears when it is done may be the call to stop; the thread ends all the same."""
    connection = open_writer(tmp_path)
    lock = LockThatHears(tmp_path / ".lock")
    checkpointer = Checkpointer(tmp_path, connection, threading.Lock(), lock)

    class Heard(threading.Event):
        """Says when the checkpointer has been told to stop."""

        def set(self) -> None:
            super().set()
            if checkpointer._ends:
                lock.told.set()

    lock.told = threading.Event()
    lock.stopping = threading.Thread(target=checkpointer.stop, daemon=True)
    checkpointer._due = Heard()
    checkpointer.start()
    checkpointer._due.set()
    lock.told.wait()
    lock.stopping.join(timeout=60)

    assert not lock.stopping.is_alive()
    connection.close()
    lock.close()
