"""The digest of a set of records."""

from itertools import permutations

from execution_history.records.digest import RecordDigest

_RECORDS = [("w", "a", b"{}"), ("w", "b", b"{}"), ("v", "a", b"{ }")]


def _digest(*records: tuple[str, str, bytes]) -> RecordDigest:
    made = RecordDigest()
    for record in records:
        made.add(*record)
    return made


def test_the_order_does_not_matter() -> None:
    """The same records in any order have one digest, one number and one size."""
    for order in permutations(_RECORDS):
        assert _digest(*_RECORDS) == _digest(*order)
        assert (3, 7) == (_digest(*order).count, _digest(*order).size)
        assert _digest(*_RECORDS).hex() == _digest(*order).hex()


def test_every_part_of_a_record_counts() -> None:
    """Other bytes, another id, a record less, one twice, or a letter that moved to its neighbour: another digest."""
    others = [
        _digest(*_RECORDS[:2]),
        _digest(*_RECORDS, _RECORDS[0]),
        _digest(_RECORDS[0], _RECORDS[1], ("v", "a", b"{  }")),
        _digest(_RECORDS[0], _RECORDS[1], ("u", "a", b"{ }")),
        _digest(_RECORDS[0], _RECORDS[1], ("va", "", b"{ }")),
        _digest(_RECORDS[0], _RECORDS[1], ("v", "a{", b" }")),
        _digest(*_RECORDS[:1], *_RECORDS[:1], *_RECORDS[2:]),
    ]
    assert len(others) + 1 == len({each.hex() for each in (*others, _digest(*_RECORDS))})


def test_the_definition_does_not_change() -> None:
    """Digests that were written down can be compared with those of later versions."""
    assert "0" * 64 == _digest().hex()
    written_down = "31cb3480adb9648e3476d83606e3f226a4fde4b48526a1b4f37d610eb7fe4896"
    assert written_down == _digest(("w", "e", b"{}")).hex()
