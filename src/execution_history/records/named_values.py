"""Where in a text, or an object, values stand whose name says that they are secret. Pure.

In a text that is not whole JSON a name and its value are written in many ways: ``name=value`` and ``name: value``,
options of a command line, elements and attributes of XML and HTML, and two members or attributes, one with the name and
one with the value. Every finder reads a text once: what it looks through from one place ends where the next begins.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

from execution_history.records.redaction import MARK, plain_name
from execution_history.records.redaction_rules import RedactionRule

Span = tuple[int, int]
RuleForName = Callable[[str], RedactionRule | None]

NAME: Final = re.compile(r"[\w.-]{1,80}\Z")
"""Matches a text that may be a name."""

_BACKWARDS: Final = re.compile(r"[\w.-]{1,80}")

_QUOTE: Final = r"""\\{0,15}["']"""  # as JSON text within JSON text escapes it, to four levels
_BARE: Final = r"""[^\s"'\\,;&<>(){}\[\]，。；、]"""
_ENTRY: Final = re.compile(
    r"""(?:token|password|passwd|pwd|pass|passphrase|secret|key|authorization|credentials?|cookies?|密码|口令|密钥|令牌)"""
    rf"""(?:{_QUOTE})?[ \t\r\n]{{0,9}}(?P<sign>=>|[:=：](?!=))\s{{0,9}}""",
    re.IGNORECASE,
)
_VALUE: Final = re.compile(
    rf"""b?(?P<quote>{_QUOTE})(?P<quoted>(?:(?!(?P=quote))[\s\S])*+)"""
    rf"""|(?P<bare>(?:(?:Bearer|Basic|Token|ApiKey|Digest|Negotiate)\s+)?(?:{_BARE}{{200}}{_BARE}*+|{_BARE}{{1,199}}+(?!\()))""",
    re.IGNORECASE,
)
"""Matches a value: in quotes, or what is no call of a function; the name of one is not longer than that."""

_LONGEST_COUNT: Final = 3
_COOKIE: Final = re.compile(r"cookies?\Z", re.IGNORECASE)
_COOKIES: Final = re.compile(r"(?:(?:;[ ]?)?+[\w.-]{1,80}=(?!\[redacted)[^\s\"'\\,;&<>]*+)++")
_ENDLESS: Final = re.compile(r"""[^\s"'\\,;&<>(){}\[\]，。；、0-9_!@#$%^*~+/]{300}""")
"""So many letters are no secret, and are not looked through from every name in them."""

_LONGEST_ENTRY: Final = 40
"""So far before the end of a value another entry may begin whose value follows: ``password=…|token: …``."""

_LINE_BREAK: Final = re.compile(r"\\[nrt]")
_SIGN: Final = re.compile(r"[0-9_!@#$%^*~+/]")
_LIKE_A_SECRET: Final = re.compile(rf"(?=.*{_SIGN.pattern})\S{{4,}}|(?i:bearer|basic|token|apikey)\s+\S+", re.DOTALL)

_OPTION: Final = re.compile(r"(?:(?<![\w-])|(?<=\\[nrt]))--?(?P<name>[A-Za-z][\w-]{2,60})[ \t]{1,9}(?![-<])")
_VARIABLE: Final = re.compile(r"\$\{?\w*\}?")
_PROSE: Final = re.compile(
    r"(?:options?|flags?|switch|arguments?|parameters?|values?|is|or|and|to|for|in|as|with|if)\b"
)
_END_OF_COMMAND: Final = re.compile(r"[ \t]*(?:\Z|[\r\n|&]|-)")

_GROUP: Final = re.compile(r"[<{](?P<inner>[^<>{}]{1,4000}+)")
_MEMBER: Final = re.compile(
    rf"""(?P<quote>{_QUOTE})?(?<![\w.-])(?P<key>\w[\w.-]{{0,40}}+)(?(quote)(?P=quote))\s{{0,9}}(?:=>|[:=])\s{{0,9}}"""
)
_VALUE_LINE: Final = re.compile("value:", re.IGNORECASE)
_LINES: Final = re.compile(
    r"""(?<![\w.-])(?P<key>\w[\w.-]{0,40}+):[ \t]{0,9}(?P<quote>["'])?(?P<name>[\w.-]{1,80}+)(?(quote)(?P=quote))"""
    r"""[ \t]{0,9}(?:\r?\n|\\n)[ \t]{0,80}value:[ \t]{0,9}""",
    re.IGNORECASE,
)
_PAIR: Final = re.compile(
    rf"""(?:[(\[]\s{{0,9}}b?(?P<quote>{_QUOTE})|(?P<before>{_QUOTE})(?=--?\w))(?P<name>[\w.-]{{1,80}}+)"""
    rf"""(?(quote)(?P=quote)|(?P=before))\s{{0,9}},\s{{0,9}}(?=b?{_QUOTE})"""
)
_ELEMENT: Final = re.compile(
    r"<(?P<tag>[\w.:-]{1,80}+)(?P<attributes>\s[^<>]{0,2000}+)?>"
    r"(?:\s*+<!\[CDATA\[(?P<data>(?:(?!\]\]>|<!\[CDATA\[)[\s\S])*+)\]\]>\s*+|(?P<text>[^<]*+))"
    r"(?P<end>\Z|</(?P=tag)\s*>)?"
)
_NEXT_ELEMENT: Final = re.compile(
    r"(?:\s|\\[nrt])*+<(?P<tag>[\w.-]{1,80}+)(?:\s[^<>]{0,2000}+)?>\s*+(?:<string>)?(?P<text>[^<]++)"
)

_OF_NAME: Final = re.compile(
    r"(?:.*_)?(?:name|key|header|field|param|parameter|var|variable|property|attribute|option|setting|label|id|k|n"
    r"|名称|键|字段)"
)
_OF_VALUE: Final = re.compile(r"(?:.*_)?(?:values?|val|v|default|值)")
_WORDS: Final = frozenset({"token", "tokens", "cookie", "cookies"})
"""Elements whose text may be a word of a sentence, say."""

_OF_SETTINGS: Final = frozenset(
    {"add", "attribute", "entry", "env", "field", "header", "item", "param", "parameter", "property", "prop", "setting"}
    | {"variable"}
)
"""Elements whose text is the value of what their attribute names, also where it is a word."""


@lru_cache(maxsize=4096)
def _holds_name(key: str) -> bool:
    """Return whether what stands under *key* may be the name of a value beside it."""
    return _OF_NAME.fullmatch(plain_name(key)) is not None


@lru_cache(maxsize=4096)
def _holds_value(key: str) -> bool:
    """Return whether what stands under *key* may be the value of a name beside it."""
    return _OF_VALUE.fullmatch(plain_name(key)) is not None


@dataclass(frozen=True, slots=True)
class Found:
    """A secret in a text: where it begins and ends, and the rule for its name."""

    start: int
    end: int
    rule: RedactionRule


def secret_members(
    members: Mapping[str, Any], rule_for_name: RuleForName
) -> tuple[frozenset[str], RedactionRule | None]:
    """Return which *members* of an object are values of a secret name that another member of it is, and the rule.

    Such as ``value`` in ``{"name": "password", "value": …}``.
    """
    values = [key for key in members if _holds_value(key)]
    for key, name in members.items() if values else ():
        if isinstance(name, str) and (rule := _rule_for_pair(key, name, rule_for_name)) is not None:
            # Of tokens there are often numbers, which are counts; a number can be a password.
            is_count = plain_name(name).endswith("token")
            found = frozenset(each for each in values if not (is_count and isinstance(members[each], (int, float))))
            return found, rule
    return frozenset(), None


def secret_arguments(items: list[Any], rule_for_name: RuleForName) -> dict[int, RedactionRule]:
    """Return which *items* of a list are values of options before them, by their indexes: ``["--password", …]``."""
    found = {}
    for number, (option, value) in enumerate(pairwise(items), 1):
        if isinstance(option, str) and option.startswith("-") and NAME.match(option) and isinstance(value, str):
            rule = rule_for_name(option)
            if rule is not None and not value.startswith("-"):
                found[number] = rule
    return found


def secrets_in(text: str, rule_for_name: RuleForName, *, grows: bool = False) -> list[Found]:
    """Return where in *text* secrets stand whose names say that they are, in order; none within another.

    Args:
        text: any text; JSON that is not whole, say.
        rule_for_name: returns the rule for what stands under a name, if there is one.
        grows: whether more of the text comes, so that the end of an element may be missing.
    """
    found = [*_entries(text, rule_for_name), *_options(text, rule_for_name)]
    if "<" in text:
        found += _elements(text, rule_for_name, grows=grows)
    found += (*_members(text, rule_for_name), *_pairs(text, rule_for_name))
    made: list[Found] = []
    for each in sorted(found, key=lambda one: (one.start, -one.end)):
        if made and each.start < made[-1].end:
            made[-1] = Found(made[-1].start, max(made[-1].end, each.end), made[-1].rule)
        else:
            made.append(each)
    return made


def _entries(text: str, rule_for_name: RuleForName) -> Iterator[Found]:
    """Yield the values in ``api_key=…``, ``"password": "…"`` and the like."""
    at = 0
    while (found := _ENTRY.search(text, at)) is not None:
        at = found.end()  # what is no secret may hold one
        name, rule = _rule_for_entry(text, found.start(), _end_of_name(found), rule_for_name)
        if rule is None:
            continue
        cookies = _COOKIES.match(text, at) if _COOKIE.search(name) else None
        span = _secret_at(text, at, name, found["sign"]) if cookies is None else cookies.span()
        if span is not None:
            at = span[1] if text[at] in "\\\"'" else max(at, span[1] - _LONGEST_ENTRY)
            yield Found(*span, rule)


def _rule_for_entry(text: str, start: int, end: int, rule_for_name: RuleForName) -> tuple[str, RedactionRule | None]:
    """Return the name that ends at *end* and begins at *start*, or before, and its rule."""
    found = _BACKWARDS.match(text[max(0, start - 80) : end][::-1])
    if found is None:
        return "", None
    name = found[0].partition(".")[0][::-1]
    rule = rule_for_name(name)
    if rule is None and _LINE_BREAK.match(text, end - found.end() - 1):  # of a text that was JSON, and is not whole
        return name, rule_for_name(name[1:])
    return name, rule


def _end_of_name(found: "re.Match[str]") -> int:
    """Return where the name ends that an entry begins with."""
    sign = found.start("sign")
    return found.start() + len(found.string[found.start() : sign].rstrip().rstrip("\\\"'"))


def _secret_at(text: str, at: int, name: str, sign: str = "=") -> Span | None:
    """Return where the value begins and ends that a secret name has at this place; ``None`` where it is none."""
    if _ENDLESS.match(text, at):
        return None
    found = _VALUE.match(text, at)
    if found is None:
        return None
    kind = "bare" if found["quoted"] is None else "quoted"
    value = found[kind]
    if not value or value.startswith(MARK):
        return None
    is_word = _is_count(name, value) if sign.startswith("=") else _LIKE_A_SECRET.fullmatch(value) is None
    return None if kind == "bare" and is_word else found.span(kind)


def _is_count(name: str, value: str) -> bool:
    """Return whether *value* is a number that counts something: tokens, or a few."""
    return value.isdigit() and (len(value) <= _LONGEST_COUNT or plain_name(name).endswith("token"))


def _options(text: str, rule_for_name: RuleForName) -> Iterator[Found]:
    """Yield the values of options of command lines: ``--password …``, ``-Token …``.

    A word without a digit or sign is one where the command goes on with an option or ends; else it may be prose.
    """
    for found in _OPTION.finditer(text):
        rule = rule_for_name(found["name"])
        span = None if rule is None else _secret_at(text, found.end(), found["name"])
        if rule is None or span is None or _VARIABLE.fullmatch(text, *span):
            continue
        is_word = span[0] == found.end() and _LIKE_A_SECRET.fullmatch(text, *span) is None
        if not is_word or (_END_OF_COMMAND.match(text, span[1]) and not _PROSE.match(text, *span)):
            yield Found(*span, rule)


def _members(text: str, rule_for_name: RuleForName) -> Iterator[Found]:
    """Yield the values in ``<add key="password" value="…"/>``, and in objects that are not whole JSON."""
    for group in _GROUP.finditer(text):
        places = _places(text, group.span("inner"))
        name, rule = _named_by(text, places, rule_for_name) if len(places) > 1 else ("", None)
        is_tag = text[group.start()] == "<"
        for key, at in () if rule is None else places:
            if _holds_value(key) or (is_tag and key == "content"):
                yield from _found_at(text, at, name, rule)


def _places(text: str, span: Span) -> list[tuple[str, int]]:
    """Return the keys in a piece of *text*, and where their values begin."""
    return [(each["key"], each.end()) for each in _MEMBER.finditer(text, *span)]


def _named_by(text: str, places: list[tuple[str, int]], rule_for_name: RuleForName) -> tuple[str, RedactionRule | None]:
    """Return the secret name that one of several members is, and its rule; *places* has where the members stand."""
    for key, at in places:
        value = _VALUE.match(text, at, at + 120)
        if value is not None and value["quoted"]:
            rule = _rule_for_pair(key, value["quoted"], rule_for_name)
            if rule is not None:
                return value["quoted"], rule
    return "", None


def _rule_for_pair(key: str, name: str, rule_for_name: RuleForName) -> RedactionRule | None:
    """Return the rule for *name*, where what stands under *key* is the name of a value beside it."""
    if key == "type":  # of a field in a form
        return rule_for_name(name) if name == "password" else None
    return rule_for_name(name) if NAME.match(name) and _holds_name(key) else None


def _found_at(text: str, at: int, name: str, rule: RedactionRule | None) -> Iterator[Found]:
    span = None if rule is None else _secret_at(text, at, name)
    if rule is not None and span is not None:
        yield Found(*span, rule)


def _pairs(text: str, rule_for_name: RuleForName) -> Iterator[Found]:
    """Yield the values in ``["Authorization", "…"]``, ``["--token", "…"]`` and in two lines of YAML."""
    for found in _PAIR.finditer(text):
        rule = rule_for_name(found["name"])
        for each in _found_at(text, found.end(), found["name"], rule):
            is_option = found["before"] is not None and text[each.start] != "-"
            if is_option or _SIGN.search(text, each.start, each.end):
                yield each
    for found in _LINES.finditer(text) if _VALUE_LINE.search(text) else ():
        rule = _rule_for_pair(found["key"], found["name"], rule_for_name)
        yield from _found_at(text, found.end(), found["name"], rule)


def _elements(text: str, rule_for_name: RuleForName, *, grows: bool) -> Iterator[Found]:
    """Yield the texts of elements such as ``<password>…</password>`` and ``<property name="password">…``."""
    for found in _ELEMENT.finditer(text):
        if found["end"] is None or (found["end"] == "" and not grows):
            continue
        tag = found["tag"].rpartition(":")[2]
        span = _stripped(text, found.span("text" if found["data"] is None else "data"))
        is_like_one = _LIKE_A_SECRET.fullmatch(text, *span) is not None
        rule = rule_for_name(tag)
        if rule is not None:
            is_value = is_like_one or tag.lower() not in _WORDS
        elif found["attributes"] is not None:
            _, rule = _named_by(text, _places(text, found.span("attributes")), rule_for_name)
            is_value = is_like_one or tag.lower() in _OF_SETTINGS
        else:
            rule = _rule_for_pair(tag, text[slice(*span)], rule_for_name)
            span = (0, 0) if rule is None else _in_next_element(text, found.end())
            is_value = True
        if rule is not None and is_value and span[0] < span[1] and not text.startswith(MARK, span[0]):
            yield Found(*span, rule)


def _in_next_element(text: str, at: int) -> Span:
    """Return where the text of the element of a value is that begins at *at*: ``<key>token</key><string>…``."""
    found = _NEXT_ELEMENT.match(text, at)
    is_value = found is not None and (found["tag"] == "string" or _holds_value(found["tag"]))
    return _stripped(text, found.span("text")) if found is not None and is_value else (0, 0)


def _stripped(text: str, span: Span) -> Span:
    """Return *span* of *text* without blanks at its ends."""
    piece = text[slice(*span)]
    start = span[0] + len(piece) - len(piece.lstrip())
    return start, start + len(piece.strip())
