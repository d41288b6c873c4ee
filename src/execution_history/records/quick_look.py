"""A quick look at bytes: whether a detector, or a secret name, may find something in them. Pure.

It may say so wrongly, and then the value is read; it never overlooks what a detector would find, nor a secret name.
"""

import re
from itertools import repeat
from typing import Final

from execution_history.records.detectors import DETECTORS

# A name stands before a colon or an equals sign, whatever quotes and blanks are between.
_WIDE_COLON: Final = "：".encode()
_FOLD: Final = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ=", b"abcdefghijklmnopqrstuvwxyz:")
_FOLD_PAIRS: Final = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ=,", b"abcdefghijklmnopqrstuvwxyz::")
_DROPPED: Final = b"\\\"' \t"
_NAMES: Final = tuple(
    name.encode()
    for name in ("token", "password", "passwd", "pwd", "passphrase", "secret", "key", "authorization", "credential",
                 "credentials", "cookie", "cookies", "密码", "口令", "密钥", "令牌")
)  # fmt: skip
_ENDING: Final = 4
_ENDS: Final = frozenset(
    ending
    for name in _NAMES
    for ending in (
        [name[-_ENDING:]] if len(name) >= _ENDING else [name, *(bytes([byte]) + name for byte in range(256))]
    )
)
"""The last bytes of names before ``:``, ``=`` and ``,``, by which most of them are told from secret ones."""

_LETTERS: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
_RUNS: Final = bytes(ord("a") if byte in _LETTERS else ord(" ") for byte in range(256))
_LONG_RUN: Final = b"a" * 18
"""What every token has: no detector of secrets but that of passwords in addresses finds a shorter one."""

_PREFIXES: Final = tuple(prefix.encode() for detector in DETECTORS.values() for prefix in detector.prefixes)
_HERALDS: Final = (b"private key", b"bearer", b"basic")
"""What stands not far before a token that has no prefix."""

_HERALDED: Final = 120

_URL_LOGIN: Final = re.compile(DETECTORS["url_login"].pattern.pattern.encode())

_DIGITS: Final = bytes(ord("0") if byte in b"0123456789" else ord(" ") for byte in range(256))
_FOUR_DIGITS: Final = b"0000"


def may_have_logins(document: bytes) -> bool:
    """Return whether *document* may have an address with a password."""
    return _URL_LOGIN.search(document) is not None


def may_have_numbers(document: bytes) -> bool:
    """Return whether *document* may have a number of somebody's: it has four digits in a row."""
    return _FOUR_DIGITS in document.translate(_DIGITS)


def may_have_tokens(document: bytes) -> bool:
    """Return whether one of the long runs of letters and digits in *document* begins as a token does, or follows it."""
    shape = document.translate(_RUNS)
    at = shape.find(_LONG_RUN)
    while at >= 0:
        end = shape.find(b" ", at)
        run = document[at:end] if end >= 0 else document[at:]
        dash = 0
        while dash >= 0:
            if run.startswith(_PREFIXES, dash and dash + 1):
                return True
            dash = run.find(b"-", dash + 1)
        before = document[max(0, at - _HERALDED) : at].lower()
        if any(map(before.__contains__, _HERALDS)):
            return True
        at = shape.find(_LONG_RUN, end) if end >= 0 else -1
    return False


def may_have_secret_names(document: bytes) -> bool:
    """Return whether a secret name may stand before a value, as a key of an object, in a pair, or in a text."""
    if not document.isascii() and _WIDE_COLON in document:
        document = document.replace(_WIDE_COLON, b":")
    fold = _FOLD_PAIRS if b'["' in document else _FOLD
    before = document.translate(fold, _DROPPED).split(b":")
    if _ENDS.isdisjoint([piece[-_ENDING:] for piece in before]):
        return False
    return any(map(bytes.endswith, before, repeat(_NAMES)))
