"""Single values that others wrote are read where they can be, and are not there where they cannot."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_history.records.values import LAST_TIME, moment

_AT = 1_761_901_941_289
_SECOND = 1_761_901_941_000

_UNDERSTOOD: list[tuple[object, int]] = [
    (_AT, _AT),
    (1_761_901_941_289.0, _AT),
    ("1761901941289", _AT),
    (1_761_901_941, _SECOND),
    ("1761901941", _SECOND),
    (1_761_901_941.289, _AT),
    ("1761901941.289", _AT),
    (1_761_901_941_289_000, _AT),
    (1_761_901_941_289_999, _AT),
    (1_761_901_941_289_000_000, _AT),
    ("1761901941289123456", _AT),
    (1.761901941289e18, _AT),
    ("2025-10-31T09:12:21.289Z", _AT),
    ("2025-10-31T09:12:21.289123456Z", _AT),
    ("2025-10-31T17:12:21.289+08:00", _AT),
    ("2025-10-31 17:12:21.289 +0800", _AT),
    ("2025-10-31t09:12:21z", _SECOND),
    ("2025-10-31 09:12:21", _SECOND),
    (" 2025-10-31 09:12:21 UTC\n", _SECOND),
    ("20251031T091221Z", _SECOND),
    ("2025-10-31", 1_761_868_800_000),
    (4_102_444_800_000, 4_102_444_800_000),
    (100_000_000, 100_000_000_000),
    (9_999_999_999, 9_999_999_999_000),
]


@pytest.mark.parametrize(("written", "milliseconds"), _UNDERSTOOD)
def test_a_time_is_read_in_every_form_that_programs_write(written: object, milliseconds: int) -> None:
    """Seconds, milliseconds, micro- and nanoseconds by their magnitude, as numbers and texts, and ISO 8601."""
    assert milliseconds == moment(written)


@pytest.mark.parametrize(
    "written",
    [
        None, True, False, 0, 0.0, "0", -1, -1000, 5, 20251031, "20251031", 20251031091221, "20251031091221", 45961.38,
        float("nan"), float("inf"), 10**400, "9" * 5_000, "1e12", "1.7619E+12", "１７６１９０１９４１", "1_761_901_941",
        "", " ", "yesterday", "2025-13-01", "2025-10-31T09:12:61Z", "0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z",
        {}, [], b"1",
    ],
)  # fmt: skip
def test_what_is_no_time_is_none(written: object) -> None:
    """Nor is a number that would be in no year of any unit: it is not guessed."""
    assert moment(written) is None


def test_a_time_without_an_offset_is_in_the_zone_that_is_named() -> None:
    """One with an offset is not."""
    zone = ZoneInfo("Asia/Shanghai")
    assert _SECOND == moment("2025-10-31 17:12:21", zone)
    assert _SECOND == moment("2025-10-31T09:12:21Z", zone)


@given(
    st.datetimes(datetime(1973, 4, 1), datetime(2286, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.sampled_from([1, 10**3, 10**6, 10**9]),
)
def test_every_unit_gives_the_same_time(at: datetime, per_second: int) -> None:
    """For every second of three hundred years."""
    seconds = int(at.timestamp())
    assert seconds * 1_000 == moment(seconds * per_second) == moment(str(seconds * per_second))
    assert seconds * 1_000 == moment(datetime.fromtimestamp(seconds, UTC).isoformat())


@given(st.one_of(st.text(), st.integers(), st.floats(), st.text("0123456789-:TZ+. ", max_size=30)))
def test_anything_else_is_a_time_or_none(written: Any) -> None:
    """And one that the store can hold."""
    found = moment(written)
    assert found is None or 0 < found <= LAST_TIME
