"""Texts as PostgreSQL keeps them: without U+0000, which its texts cannot have, and short enough for an index. Pure.

The mapping is exact: two texts are stored alike only where they are equal, and short ones keep the order of their code
points. U+0000 becomes U+0001 U+0001, and U+0001 becomes U+0001 U+0002. Of a text that takes more than 400 bytes only
the beginning is kept, followed by U+0001 U+0003 and its BLAKE2 digest: an index row of PostgreSQL has at most 2,704
bytes (nbtree, "index row size exceeds btree version 4 maximum"). The whole text is in ``long_texts``.
"""

from hashlib import blake2b
from typing import Final

MOST_BYTES: Final = 400
"""Bytes up to which a text is stored whole."""

SEPARATOR: Final = "\x04\x01\x04"
"""Stands in no stored text, nor across the end of one: U+0001 comes in pairs, none of which is with U+0004."""

_ESCAPE: Final = "\x01"
SHORTENED: Final = "\x01\x03"
"""Stands in a text that is shortened, and in no other."""

_BEGINNING: Final = 80
"""Characters that are kept of a text that is too long, which are at most 320 bytes."""

LONGEST_PREFIX: Final = _BEGINNING // 2 - 1
"""Characters of a prefix that every text with it has in its column, whatever has to be escaped in it."""


def stored_text(text: str) -> str:
    """Return what stands for *text* in a column.

    Raises:
        UnicodeEncodeError: it has half of a surrogate pair.
    """
    kept = escaped(text)
    if len(kept) <= MOST_BYTES // 4:
        if not kept.isascii():
            kept.encode()
        return kept
    encoded = kept.encode()
    if len(encoded) <= MOST_BYTES:
        return kept
    return beginning_of(kept) + SHORTENED + blake2b(encoded, digest_size=20).hexdigest()


def escaped(text: str) -> str:
    """Return *text* without U+0000; :func:`text_of` returns it as it was."""
    if "\0" not in text and _ESCAPE not in text:
        return text
    return text.replace("\x01", "\x01\x02").replace("\0", "\x01\x01")


def is_shortened(stored: str) -> bool:
    """Return whether *stored* stands for a longer text, which has to be looked up."""
    return SHORTENED in stored


def text_of(stored: str) -> str:
    """Return the text that *stored*, which is not shortened, stands for."""
    if _ESCAPE not in stored:
        return stored
    return stored.replace("\x01\x01", "\0").replace("\x01\x02", "\x01")


def beginning_of(kept: str) -> str:
    """Return the beginning that a shortened text keeps of an escaped one."""
    beginning = kept[:_BEGINNING]
    # An escape is not divided.
    return beginning[:-1] if (len(beginning) - len(beginning.rstrip(_ESCAPE))) % 2 else beginning
