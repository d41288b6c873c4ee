"""Whether the sums of ``index.db``, by hour and by day, are those of its rows."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

import apsw

from execution_history.stores.sqlite.connections import BUSY_MS, one_moment
from execution_history.stores.sqlite.index.connections import rows
from execution_history.stores.sqlite.index.rollup_writer import Rollups
from execution_history.stores.sqlite.index.row_writer import RowWriter

_SUMS: Final = ("rollups", "durations", "costs", "days", "day_nodes")
_AT_ONCE: Final = 5_000
_SEQS: Final = "SELECT seq FROM facets WHERE seq > ? ORDER BY seq LIMIT ?"
_DIFFERENCE: Final = "SELECT 1 FROM (SELECT * FROM {} EXCEPT SELECT * FROM {}) LIMIT 1"


def wrong_sums(path: Path, tell: Callable[[int], None]) -> list[str]:
    """Return the tables whose sums are not those of the rows, which are added up once more beside the file.

    Args:
        path: of ``index.db``.
        tell: gets how many rows were added up.

    Raises:
        apsw.Error: the file cannot be read.
    """
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_URI
    with closing(apsw.Connection("", flags=flags)) as sums:  # a file of its own, which SQLite removes
        sums.set_busy_timeout(BUSY_MS)
        sums.pragma("synchronous", 0)
        sums.execute("ATTACH ? AS i", (f"file:{quote(str(path.absolute()))}?mode=ro",))
        for table in _SUMS:
            sums.execute(str(sums.execute("SELECT sql FROM i.sqlite_schema WHERE name = ?", (table,)).get))
        # Of a workflow that names its nodes anew in each run only so many have days: those that have them.
        sums.execute("INSERT INTO day_nodes SELECT * FROM i.day_nodes")
        with one_moment(sums):
            _add_up(sums, tell)
            return [
                table
                for table in _SUMS
                if rows(sums, _DIFFERENCE.format(f"i.{table}", f"main.{table}"))
                or rows(sums, _DIFFERENCE.format(f"main.{table}", f"i.{table}"))
            ]


def _add_up(sums: apsw.Connection, tell: Callable[[int], None]) -> None:
    writer, place, count = RowWriter(), 0, 0
    while seqs := [seq for (seq,) in rows(sums, _SEQS, (place, _AT_ONCE))]:
        rollups = Rollups()
        rollups.count((cell for _, cell in writer.known(sums, seqs).values()), 1)
        rollups.write(sums)
        place, count = seqs[-1], count + len(seqs)
        tell(count)
