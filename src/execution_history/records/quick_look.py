r"""A quick look at bytes: whether a detector, or a secret name, may find something in them. Pure.

It may say so wrongly, and then the value is read; it never overlooks what a detector would find, nor a secret name. The
bytes are a text, or JSON, in which a text may hold JSON again, by any writer: a line break is ``\n`` or ``\\n`` there,
a slash ``\/``, and a letter or sign ``\u005f``.

All that is looked for is one regular expression, matched in one call and in linear time by the engine of Rust, which
comes with pydantic: one pass by Python's own engine takes ten times as long, and a pass of each detector more.
"""

from collections.abc import Callable
from functools import cache
from typing import Final

from execution_history.records.detectors import COMMANDS, DETECTORS
from execution_history.records.redaction import SECRET_ENDINGS

_HEX: Final = "[0-9A-Fa-f]"
_BEFORE: Final = rf"(?:\A|[^A-Za-z0-9_]|\\[bfnrt]|\\u{_HEX}{{4}})"
_AFTER: Final = r"(?:[^A-Za-z0-9_-]|\z)"
_BLANK: Final = rf"(?:[\s\x1c-\x1f]|\\+(?:[bfnrt]|u{_HEX}{{4}}))"
_PREFIXES: Final = "|".join(prefix for each in DETECTORS.values() for prefix in each.prefixes)
_NAMES: Final = f"(?i:{'|'.join(SECRET_ENDINGS).replace('_', '[_-]?')})"
_ESCAPED_NAMES: Final = "|".join(
    r"\\+u".join(f"{ord(letter):04x}" for letter in name) for name in SECRET_ENDINGS if not name.isascii()
)

_ESCAPES: Final = (
    # Any sign of ASCII but &, < and >, which Go escapes, and which only end a word; the wide colon; secret names.
    rf"\\u(?:00(?:[014-9A-Fa-f]{_HEX}|2[0-57-9A-Fa-f]|3[0-9ABDFabdf])|(?i:ff1a|{_ESCAPED_NAMES}))",
)
_SECRET_NAMES: Final = (
    # Before a sign, at the end of a text, in a tag of XML or as all of an element, and at the end of a line of YAML.
    rf"""{_NAMES}(?:(?:[\\"']|{_BLANK})*[:=：]|\\*["']|{_BLANK}*(?:[<>]|\\+u003[CcEe])|{_BLANK}+(?i:value))""",
    rf"""-[A-Za-z0-9_-]*{_NAMES}{_BLANK}""",  # an option
)
_SECRETS: Final = (
    rf"{_BEFORE}(?:{_PREFIXES})[A-Za-z0-9_-]{{14}}",
    rf"(?i:bearer|basic){_BLANK}+[A-Za-z0-9._~+/-]{{18}}",
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY",
    r""":(?:\\*/){2}[^/?#\s@:"',]*:[^\s@/"']+@""",
    r"(?:[?&;]|\\+u0026)(?i:key|sig|auth|jwt)=",
    rf"""(?:{COMMANDS.replace(" ", "[^A-Za-z0-9]+")})[^A-Za-z0-9_]|machine{_BLANK}[^"]*login{_BLANK}""",
)
_PHONE: Final = "1[3-9][0-9](?:[0-9]{8}|[ -][0-9]{4}[ -][0-9]{4})"
_PERSONAL: Final = (
    "@",
    r"\+[1-9](?:[ -]?\(?[0-9]\)?){7}",
    rf"(?:\A|[^0-9]|86|\\u{_HEX}{{4}})(?:{_PHONE}|[1-9][0-9]{{16}}[0-9Xx]|[2-6](?:[ -]?[0-9]){{12,18}}){_AFTER}",
)

_END: Final = r'\\*"'
_SECRET_ENDS: Final = (
    rf"{_BEFORE}(?:{_PREFIXES})[A-Za-z0-9_.~+/=-]*{_END}",
    rf"(?i:bearer|basic){_BLANK}+[A-Za-z0-9_.~+/=-]*{_END}",
    rf""":(?:\\*/){{2}}[^/?#\s@:"',]*:[^\s@/"']+{_END}""",
)
_PERSONAL_ENDS: Final = (rf"[0-9][0-9 -]{{2}}{_END}",)  # an @ is looked for anyway


@cache
def quick_look(*, names: bool, secrets: bool, personal: bool, grows: bool = False) -> Callable[[bytes | str], bool]:
    """Return what returns whether UTF-8 may hold a secret name, another secret, or personal data.

    Where it *grows*, also whether a text ends in what may be the beginning of such.
    """
    # Loaded with the first value that is looked at: most programs that only read a history do without it.
    from pydantic_core import SchemaValidator, core_schema  # noqa: PLC0415

    chosen = {_ESCAPES: True, _SECRET_NAMES: names, _SECRETS: secrets, _PERSONAL: personal}
    if grows:
        chosen |= {_SECRET_ENDS: secrets, _PERSONAL_ENDS: personal}
    pattern = "|".join(each for patterns, is_chosen in chosen.items() if is_chosen for each in patterns)
    return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex")).isinstance_python
