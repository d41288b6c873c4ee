r"""A body's characters are read as far as they can be, and the reader is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_history.records.charset import decode_text, with_joined_pairs
from execution_history.records.json_text import read_json

_READ: list[tuple[bytes, str | None, str, str]] = [
    (b"plain", None, "plain", "utf-8"),
    ("中文".encode(), None, "中文", "utf-8"),
    ("中文".encode(), "UTF-8", "中文", "utf-8"),
    ("中文".encode(), "utf8", "中文", "utf-8"),
    ("\ufeff中文".encode(), None, "中文", "utf-8"),
    ("中文".encode("gbk"), None, "中文", "gb18030"),
    ("中文".encode("gbk"), "utf-8", "中文", "gb18030"),
    ("中文".encode("gbk"), "GBK", "中文", "gbk"),
    ("㐀中文".encode("gb18030"), ' "GB2312" ', "㐀中文", "gb2312"),
    ("中文".encode("big5"), "Big5", "中文", "big5"),
    ("日本".encode("shift-jis"), "Shift_JIS", "日本", "shift-jis"),
    ("é".encode("latin-1"), "ISO-8859-1", "é", "iso-8859-1"),
    ("é".encode("latin-1"), "latin1", "é", "iso-8859-1"),
    ("中文".encode(), "big5-nonsense", "中文", "utf-8"),
    ("中文".encode(), "ascii", "中文", "utf-8"),
    ("中文".encode("utf-16"), None, "中文", "utf-16"),
    ("中文".encode("utf-16le"), "utf-16LE", "中文", "utf-16le"),
    (b"na\xff", None, "na\\xff", "escapes"),
    (b"na\xff", "utf-8", "na\\xff", "escapes"),
    (b"\xed\xa0\xbd", None, "\ud83d", "utf-8"),
    (b"\xed\xa0\xbd\xed\xb8\x80", None, "😀", "utf-8"),
    (b"a", "zlib", "a", "utf-8"),
    (b"a", "punycode", "a", "utf-8"),
    (b"a", "\0" * 10_000, "a", "utf-8"),
    (b"", None, "", "utf-8"),
    ("中文".encode(), "gbk", "中文", "utf-8"),
    ("中a".encode(), "gbk", "中a", "utf-8"),
    ("中文，你好".encode(), "ISO-8859-1", "中文，你好", "utf-8"),
    ("中文，你好".encode(), "windows-1251", "中文，你好", "utf-8"),
    ("中文，你好".encode(), "shift-jis", "中文，你好", "utf-8"),
    ("中文，你好".encode(), "koi8-r", "中文，你好", "utf-8"),
    ("café".encode(), "latin1", "café", "utf-8"),
    ("привет".encode(), "windows-1251", "привет", "utf-8"),
    ("一模".encode("gbk"), "gbk", "一模", "gbk"),
    ("SZCZEGÓŁ".encode("iso-8859-2"), "iso-8859-2", "SZCZEGÓŁ", "iso-8859-2"),
    ("แบบ".encode("cp874"), "windows-874", "แบบ", "windows-874"),
    ("แบบฟอร์ม".encode(), "windows-874", "แบบฟอร์ม", "utf-8"),
    ("привет".encode("koi8-r"), "koi8-r", "привет", "koi8-r"),
    ("ТА".encode("iso-8859-5"), "iso-8859-5", "ТА", "iso-8859-5"),
    (b'{"ab":1}', "utf-16", '{"ab":1}', "utf-8"),
    ('{"a":"中文"} '.encode(), "utf-16", '{"a":"中文"} ', "utf-8"),
    (b'{"abcd":12}\n', "utf-32", '{"abcd":12}\n', "utf-8"),
    ('{"a":"中"}'.encode("utf-16"), "utf-16", '{"a":"中"}', "utf-16"),
    ('{"a":"中"}'.encode("utf-32le"), "utf-32le", '{"a":"中"}', "utf-32le"),
]


@pytest.mark.parametrize(("body", "declared", "text", "charset"), _READ)
def test_a_body_is_read_by_the_first_charset_that_fits(
    body: bytes, declared: str | None, text: str, charset: str
) -> None:
    """UTF-8 where it plainly is that, the declared one, UTF-8, GB18030, then escapes."""
    assert (text, charset) == decode_text(body, declared)


@given(st.binary(), st.none() | st.sampled_from(["utf-8", "gbk", "utf-16", "iso-8859-1", "koi8-r"]) | st.text())
def test_any_body_with_any_declaration_is_a_text(body: bytes, declared: str | None) -> None:
    """Nothing that comes from outside raises."""
    assert all(map(isinstance, decode_text(body, declared), (str, str)))


def test_halves_in_two_texts_are_one_character_together() -> None:
    """As where two events of a stream hold them."""
    first, second = decode_text(b"a \xed\xa0\xbd", None)[0], read_json(rb'"\ude00 b"')
    assert "a 😀 b" == with_joined_pairs(first + second)
    assert "b \ud83d" == with_joined_pairs("b \ud83d")
