r"""The characters of a body: read by what it declares, else by what it is, else with visible escapes. Pure."""

import re
from typing import Final

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
"""UTF-8's mark, which some programs write before a text."""

UTF_8: Final = "utf-8"
"""The name of JSON's own charset, which needs no mention."""

GB18030: Final = "gb18030"
"""The name of the charset that Chinese programs use beside UTF-8; GBK and GB2312 are parts of it."""

ESCAPES: Final = "escapes"
"""What stands for a charset where none reads a body: UTF-8 with ``\xff`` for each byte that is none."""

UTF_16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
"""The marks of UTF-16, in both orders of its bytes."""

# Python has more codecs: some of them are no charsets, and some take time in the square of what they read.
_CODECS: Final = {
    **{name: name for name in ("utf-16", "utf-16le", "utf-16be", "utf-32", "utf-32le", "utf-32be", "us-ascii")},
    **{name: name for name in ("big5", "big5-hkscs", "euc-jp", "iso-2022-jp", "euc-kr", "koi8-r", "koi8-u")},
    **{f"iso-8859-{part}": f"iso-8859-{part}" for part in (*range(1, 12), *range(13, 17))},
    **{f"windows-{page}": f"cp{page}" for page in (874, *range(1250, 1259))},
    **dict.fromkeys(("gbk", "gb2312", GB18030), GB18030),
    "shift-jis": "cp932",
    UTF_8: UTF_8,
}
_OTHER_NAMES: Final = {
    "utf8": UTF_8, "utf-8-sig": UTF_8, "cp936": "gbk", "x-gbk": "gbk", "euc-cn": "gb2312", "ascii": "us-ascii",
    "latin1": "iso-8859-1", "latin-1": "iso-8859-1", "sjis": "shift-jis", "windows-31j": "shift-jis",
}  # fmt: skip

# What shows that a text is UTF-8, whatever is declared, once it can be that. A letter of two bytes is often two letters
# in other charsets, or one of GBK; three bytes are none but in Thai. JSON in UTF-16 has zeros.
_WIDE: Final = "[\u0800-\U0010ffff]"
_SHOWS_UTF_8: Final = {
    **dict.fromkeys(_CODECS, f"{_WIDE}|[\x80-\u07ff][\\s\\S]*?[\x80-\u07ff]"),
    **dict.fromkeys((GB18030, "gbk", "gb2312", "big5", "big5-hkscs", "shift-jis", "euc-jp", "euc-kr"), _WIDE),
    **dict.fromkeys(("windows-874", "iso-8859-11"), f"{_WIDE}[\\s\\S]*?{_WIDE}"),
    **dict.fromkeys(("iso-8859-1", "iso-8859-9", "iso-8859-15", "windows-1252", "windows-1254"), "[^\x00-\x7f]"),
    **dict.fromkeys((name for name in _CODECS if name.startswith(("utf-16", "utf-32"))), "\\A[^\0]+\\Z"),
}
_USUAL: Final = ((UTF_8, UTF_8, "strict"), (UTF_8, UTF_8, "surrogatepass"), (GB18030, GB18030, "strict"))
_UTF_16_FIRST: Final = (("utf-16", "utf-16", "surrogatepass"), *_USUAL)
_NOISE: Final = re.compile(r"[\s\"']+")
_LONGEST_NAME: Final = 40


def decode_text(body: bytes, declared: str | None) -> tuple[str, str]:
    r"""Return the text of *body* and the name of the charset that read it; never an error.

    That is UTF-8 where the body plainly is that, whatever is declared: many programs declare what they do not write
    (RFC 8259 section 8.1 has no other for JSON). Else it is the declared one, else UTF-8 without its mark (UTF-16
    where the body begins with that one's), else GB18030 where all of it is, else :data:`ESCAPES`. Halves of surrogate
    pairs stay in the text, so that the other half may follow in the next one.

    Args:
        body: any bytes.
        declared: the ``charset`` of its content type; unknown ones are passed over.
    """
    name = charset_name(declared)
    if body.isascii() and b"\0" not in body and b"\x1b" not in body:  # UTF-16 and ISO-2022 have these
        return body.decode(), UTF_8
    if name not in {None, UTF_8} and (found := _plain_utf_8(body, _SHOWS_UTF_8[name])) is not None:
        return found, UTF_8
    named = () if name is None else ((name, _CODECS[name], "strict"),)
    for charset, codec, errors in (*named, *(_UTF_16_FIRST if body.startswith(UTF_16_MARKS) else _USUAL)):
        try:
            text = body.removeprefix(BYTE_ORDER_MARK).decode(codec, errors)
        except UnicodeError:
            continue
        return text if errors == "strict" else with_joined_pairs(text), charset
    return body.removeprefix(BYTE_ORDER_MARK).decode(errors="backslashreplace"), ESCAPES


def _plain_utf_8(body: bytes, shows: str) -> str | None:
    try:
        text = body.removeprefix(BYTE_ORDER_MARK).decode()
    except UnicodeError:
        return None
    return None if re.search(shows, text) is None else text


def charset_name(declared: str | None) -> str | None:
    """Return the usual name of a declared charset that can be read; ``None`` where there is no such."""
    if declared is None or len(declared) > _LONGEST_NAME:
        return None
    name = _NOISE.sub("", declared).lower().replace("_", "-")
    name = _OTHER_NAMES.get(name, name)
    return name if name in _CODECS else None


def with_joined_pairs(text: str) -> str:
    """Return *text* with the character for each two halves of a surrogate pair that meet in it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return text
