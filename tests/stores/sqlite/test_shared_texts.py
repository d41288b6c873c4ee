"""The numbers of texts that records share."""

from contextlib import closing

import apsw
import pytest

from execution_history.stores.sqlite.index.record_rows import SharedTexts


@pytest.mark.parametrize("is_alone", [True, False])
def test_texts_that_do_not_come_again_do_not_fill_the_memory(*, is_alone: bool) -> None:
    """Those of a file that is built beside as little as others; each keeps its number."""
    with closing(apsw.Connection(":memory:")) as connection:
        connection.execute("CREATE TABLE texts (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE)")
        texts = SharedTexts(is_alone=is_alone)
        texts.index = connection
        numbers = {}
        for batch in range(60):
            for number in range(1_000):
                text = f"conversation {1_000 * batch + number}"
                numbers[text] = texts[text]
            texts.add_new()
        assert 51_000 > len(texts)
        assert numbers == dict(connection.execute("SELECT text, id FROM texts"))
        assert numbers["conversation 7"] == texts["conversation 7"]
