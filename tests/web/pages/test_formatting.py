"""Numbers, times, ids, addresses and readers."""

from datetime import UTC, timedelta
from zoneinfo import ZoneInfo

import pytest

from execution_history.presentation.formatting import clock, day, exact, machine, percent, short_id, size
from execution_history.presentation.phrases import ago
from execution_history.presentation.translator import LANGUAGES
from execution_history.presentation.web_link import web_link
from execution_history.web.pages import urls
from execution_history.web.pages.viewer import viewer_of, zone_of

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = 1_764_000_000_123
HOUR = 3_600_000


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (999, "999 B"), (1_000, "1.0 KB"), (12_400, "12.4 KB"), (999_960, "1.0 MB"), (3_200_000_000, "3.2 GB"),
     (5 * 10**16, "50000.0 TB")],
)  # fmt: skip
def test_sizes(count: int, shown: str) -> None:
    """Three digits and a unit."""
    assert shown == size(count)


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [(0, 0, ""), (0, 5, "0 %"), (5, 5, "100 %"), (1, 3, "33.3 %"), (99_999, 100_000, "99.9 %"), (1, 100_000, "0.1 %")],
)
def test_only_all_is_a_hundred_percent(part: int, whole: int, shown: str) -> None:
    """One failure in a hundred thousand does not look like none."""
    assert shown == percent(part, whole)


@pytest.mark.parametrize(
    ("past", "shown"),
    [
        (0, "just now"), (59_000, "just now"), (60_000, "1 min ago"), (119_000, "1 min ago"), (HOUR, "1 h ago"),
        (25 * HOUR, "1 d ago"), (-2 * HOUR, "in 2 h"), (-3 * 24 * HOUR, "in 3 d"), (-90_000, "in 1 min"),
        (100 * 24 * HOUR, "2025-08-16"),
    ],
)  # fmt: skip
def test_times_are_relative(past: int, shown: str) -> None:
    """And dates when they are long ago."""
    assert shown == ago(LANGUAGES["en"], NOW - past, NOW)


def test_times_are_exact_in_the_readers_zone() -> None:
    """With milliseconds and the offset; for programs in UTC."""
    assert "2025-11-25 00:00:00.123 +08:00" == exact(NOW, SHANGHAI)
    assert "2025-11-24T16:00:00.123Z" == machine(NOW)
    assert "2025-11-25 00:00:00" == clock(NOW, SHANGHAI)
    assert "2025-11-24" == day(NOW, UTC)


def test_times_beyond_the_calendar_are_numbers() -> None:
    """A record with an impossible time does not break its page."""
    assert str(10**18) == exact(10**18, UTC)
    assert "" == machine(10**18)


@pytest.mark.parametrize(
    ("identifier", "shown"),
    [
        ("7431000000000000002", "…00000002"),
        ("01a20dba-b801-7732-a3b5-fd1635d97bad", "…35d97bad"),
        ("客服机器人", "客服机器人"),
        ("short-1", "short-1"),
        ("a name that is rather long, longer than fits", "a name that is rather long, lon…"),
    ],
)
def test_ids_are_shortened(identifier: str, shown: str) -> None:
    """Digits to their last eight; names stay names."""
    assert shown == short_id(identifier)


@pytest.mark.parametrize("identifier", ["a/b", "../..", "客服 机器人", "100%", "?x#y", "a\\b", '"><script>'])
def test_any_id_has_an_address(identifier: str) -> None:
    """Nothing in an id divides, ends or escapes the path."""
    address = urls.run(identifier, identifier)
    assert 5 == len(address.split("/"))
    assert address.isascii()
    assert not set('?#"<>\\ ') & set(address)


@pytest.mark.parametrize(
    ("address", "link"),
    [
        ("https://www.coze.cn/work_flow?execute_id=1", "https://www.coze.cn/work_flow?execute_id=1"),
        ("HTTP://x.example/", "HTTP://x.example/"),
        ("javascript:alert(1)", None),
        ("java\nscript:alert(1)", None),
        ("data:text/html,x", None),
        ("//evil.example", None),
        ("https://", None),
        ("http://[::1", None),
        (7, None),
        (None, None),
    ],
)
def test_only_web_addresses_become_links(address: object, link: str | None) -> None:
    """Whatever a record claims its debug page to be."""
    assert link == web_link(address)


@pytest.mark.parametrize(
    ("address", "back"),
    [
        ("/runs?status=failed", "/runs?status=failed"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("/a\nb", "/"),
        ("", "/"),
        ("/ü", "/"),
    ],
)
def test_forms_lead_back_only_here(address: str, back: str) -> None:
    """A form field cannot send anybody to another server."""
    assert back == urls.own(address)


def test_cookies_describe_the_reader() -> None:
    """What they say goes before the header; what is odd in them is ignored."""
    known = viewer_of({"language": "zh", "theme": "dark", "zone": "Asia/Shanghai"}, "en", NOW)
    assert ("zh_CN", "dark", SHANGHAI) == (known.translate.language, known.theme, known.zone)
    odd = viewer_of({"language": "xx", "theme": "<", "zone": "../../etc/passwd"}, "zh", NOW)
    assert ("zh_CN", "auto", ZoneInfo("UTC")) == (odd.translate.language, odd.theme, odd.zone)
    assert timedelta(0) == zone_of("x" * 1000).utcoffset(None)
