"""Built-in detectors of secrets and of personal data in text: one row each. Pure.

Those of secrets are on unless a rule turns them off; those of personal data are off unless a rule chooses them, because
phone numbers and addresses are what many workflows are about.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from execution_history.errors import N_


@dataclass(frozen=True, slots=True)
class Detector:
    """Finds one kind of secret in a text.

    Attributes:
        name: by which rules choose it, and records name it.
        meaning: what it finds, for people.
        pattern: matches it; where it has a group, that is what is replaced.
        is_personal: whether it finds personal data rather than a secret.
        check: returns whether what the pattern matches really is one; ``None`` where every match is.
        beginning: matches what may be the beginning of one at the end of a text that is still growing.
        prefixes: how all that it finds begin, where that can be told; none: it has to be searched for.
    """

    name: str
    meaning: str
    pattern: "re.Pattern[str]"
    is_personal: bool = False
    check: Callable[[str], bool] | None = None
    beginning: str = ""
    prefixes: tuple[str, ...] = ()

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return where in *text* it finds something, in order."""
        if self.prefixes and not any(prefix in text for prefix in self.prefixes):
            return []
        group, check = min(1, self.pattern.groups), self.check
        return [
            found.span(group) for found in self.pattern.finditer(text) if check is None or check(found.group(group))
        ]


def is_card_number(text: str) -> bool:
    """Return whether *text* is the number of a payment card: its issuer, its length and its last digit fit."""
    digits = re.sub(r"\D", "", text)
    if _ISSUER.fullmatch(digits) is None:
        return False
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0  # noqa: PLR2004 - the digits' sum


def is_chinese_id(text: str) -> bool:
    """Return whether *text* is the number of a Chinese identity card: its date of birth and last character fit."""
    try:
        born = date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return False
    total = sum(int(digit) * weight for digit, weight in zip(text, _WEIGHTS, strict=False))
    return date(1900, 1, 1) <= born and _CHECK_CHARACTERS[total % 11] == text[17].upper()


# Visa (13 digits are no card any more, but an article's number), Mastercard and Mir, American Express, UnionPay,
# Discover, JCB, Diners Club.
_ISSUER: Final = re.compile(
    r"4[0-9]{15}(?:[0-9]{3})?|(?:5[1-5][0-9]{2}|220[0-4]|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}"
    r"|3[47][0-9]{13}|62[0-9]{14,17}|(?:6011|64[4-9][0-9]|65[0-9]{2})[0-9]{12}|35(?:2[89]|[3-8][0-9])[0-9]{12}"
    r"|3(?:0[0-5][0-9]|095|[689][0-9]{2})[0-9]{10}"
)
_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK_CHARACTERS: Final = "10X98765432"

# Not within a longer word, number or id. Repetitions at the ends are possessive, so that none is tried twice. In text
# that was JSON once, and is not whole any more, the letter of a line break stands before a word.
_BEFORE, _AFTER = r"(?:(?<![A-Za-z0-9_])|(?<=\\[nrt])|(?<=\\u[0-9A-Fa-f]{4}))", r"(?![A-Za-z0-9_])"


def _token(
    name: str, meaning: str, prefixes: tuple[str, ...], rest: str, check: Callable[[str], bool] | None = None
) -> Detector:
    """Return the detector of tokens that begin with one of *prefixes*.

    What has to stand far behind is for *check*: a pattern would look for it from every beginning that there is.
    """
    prefix = f"{_BEFORE}(?:{'|'.join(map(re.escape, prefixes))})"
    pattern, beginning = re.compile(prefix + rest), rf"{prefix}[A-Za-z0-9_.~+/=-]*+"
    return Detector(name, meaning, pattern, check=check, beginning=beginning, prefixes=prefixes)


_SIGN_OF_KEY: Final = re.compile("[0-9A-Z]")
_HTTP_LOGIN: Final = (
    _BEFORE + r"(?i:bearer|basic)\s{1,9}((?=[A-Za-z0-9._~+/-]{0,100}[A-Za-z0-9_-]{18})[A-Za-z0-9._~+/-]{18,}+=*)"
)
_URL_LOGIN: Final = r"://[^/?#\s@:\"',]{0,200}:((?!\d{1,5}(?:[/?#\s]|$))[^\s@/\"']{1,200})@"
_URL_KEY: Final = (
    r"(?:[?&]|&amp;)(?i:key|sig|auth|jwt)="
    r"((?=[A-Za-z0-9_%.~+/=-]{0,100}[0-9])[A-Za-z0-9_%.~+/=-]{16,}+)(?![^&\s\"'<>),;#])"
)

COMMAND_LOGIN: Final = "command_login"

_COMMANDS: Final = {
    "curl": r"(?:-u|--user|-U|--proxy-user)(?:\s*|=)[\"']?[^\s:\"']{1,100}:",
    "mysql|mysqldump|mysqladmin|mysqlimport|mariadb|mariadb-dump|mariadb-admin": r"-p[\"']?",
    "sshpass": r"-p\s*[\"']?",
    "(?:docker|podman|nerdctl|helm registry|oras|skopeo|az) login": r"-p[ =][\"']?",
    "redis-cli": r"-a[ =][\"']?",
    "mongo|mongosh|mongodump|mongorestore": r"-p[ =][\"']?",
    "ldapsearch|ldapadd|ldapmodify|ldapdelete|ldappasswd|ldapwhoami": r"-w[ =][\"']?",
    "smbclient": r"-U[ =][\"']?[^\s%\"']{1,100}%",
    "openssl": r"-pass(?:in|out)?[ =][\"']?pass:",
}
"""Programs that are given passwords by options of one letter, and what stands before the password."""

COMMANDS: Final = "|".join(_COMMANDS)

# From a program to its option stands no other program, and no end of a command: no piece is looked through twice.
_LOGIN: Final = (
    r"(?:(?<![\w-])|(?<=\\[nrt]))(?:"
    + "|".join(
        rf"(?:{programs})\b(?:(?!\b(?:{programs})\b)[^\r\n|;])*?\s{option}" for programs, option in _COMMANDS.items()
    )
    + r"|machine\s{1,9}[\w-]{1,80}\.[\w.-]{1,200}\s{1,9}login\s{1,9}[^\s\"]{1,200}\s{1,9}password\s{1,9})"
    r"(?!\$\{?\w+\}?(?:[\"'\s]|\Z))((?<=[\"'])[^\"'\r\n]++"
    rf"|(?:[^\s\"'|;&<>\\]|\\(?![nrt](?:{COMMANDS}|machine)\b))++)"
)
_KEY_BLOCK: Final = (
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:(?!-----BEGIN )[\s\S])*?"
    r"(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)"
)
_CHINESE_MOBILE: Final = "1(?:[389][0-9]|4[579]|5[0-35-9]|6[2567]|7[0-8])"  # as they are assigned; all of 19
_PHONE: Final = (
    rf"(?<![\w.+-])(?:(?:\+|00)86[ -]?|\(\+?86\) ?)?{_CHINESE_MOBILE}"
    r"(?:[0-9]{8}|[ -][0-9]{4}[ -][0-9]{4})(?![\w-]|\.[0-9])"
    r"|(?<![\w+])\+[1-9](?:[ -]?\(?[0-9]\)?){7,14}(?!\w)"
)

# As cards and forms have it: in one, or in groups that are always parted by the same sign.
_CARD: Final = r"(?<![\w.-])(?:[2-6][0-9]{13,18}|" + "|".join(
    rf"[2-6][0-9]{{3}}{sign}(?:[0-9]{{4}}{sign}[0-9]{{4}}{sign}[0-9]{{1,4}}(?:{sign}[0-9]{{1,3}})?|[0-9]{{6}}{sign}[0-9]{{4,5}})"
    rf"|6[0-9]{{5}}{sign}[0-9]{{10,13}}"
    for sign in " -"
) + r")(?![\w-]|\.[0-9])"  # fmt: skip

# fmt: off
DETECTORS: Final[Mapping[str, Detector]] = {each.name: each for each in (
    _token("coze_token", N_("Tokens of Coze"), ("pat_", "sat_", "cztei_", "czu_", "czs_"), "[A-Za-z0-9]{16,}+"),
    _token("openai_key", N_("Keys of OpenAI, Anthropic, DeepSeek, Moonshot and others (sk-…)"),
           ("sk-",), "[A-Za-z0-9_-]{20,}+", check=lambda text: _SIGN_OF_KEY.search(text, 3) is not None),
    _token("aws_key", N_("Access keys of AWS"), ("AKIA", "ASIA", "ABIA", "ACCA", "ABSK"),
           rf"(?:[A-Z0-9]{{16}}{_AFTER}|(?<=ABSK)[A-Za-z0-9]{{14}}[A-Za-z0-9+/]{{60,}}+=*)"),
    _token("aliyun_key", N_("Access keys of Alibaba Cloud"), ("LTAI",), "[A-Za-z0-9]{14,26}" + _AFTER),
    _token("tencent_key", N_("Access keys of Tencent Cloud"), ("AKID",), "[A-Za-z0-9]{32,48}" + _AFTER),
    _token("volcengine_key", N_("Access keys of Volcano Engine"), ("AKLT",), "[A-Za-z0-9_-]{20,}+"),
    _token("google_key", N_("API keys of Google"), ("AIza",), "[A-Za-z0-9_-]{35}" + _AFTER),
    _token("github_token", N_("Tokens of GitHub"),
           ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"), "[A-Za-z0-9_]{22,}+"),
    _token("gitlab_token", N_("Tokens of GitLab"),
           ("glpat-", "glrt-", "glptt-", "gldt-", "glcbt-", "glft-", "glimt-", "glagent-", "gloas-", "glffct-",
            "glsoat-"), r"[A-Za-z0-9_-]{20,}+(?:\.[a-z0-9]{9})?"),
    _token("slack_token", N_("Tokens of Slack"),
           ("xapp-", *(f"xox{kind}-" for kind in "abeoprs")), "[A-Za-z0-9-]{14,}+"),
    _token("stripe_key", N_("Keys of Stripe"),
           tuple(f"{kind}_{mode}_" for kind in ("sk", "rk") for mode in ("live", "test", "prod")), "[A-Za-z0-9]{16,}+"),
    _token("huggingface_token", N_("Tokens of Hugging Face"), ("hf_", "api_org_"), "[A-Za-z0-9]{30,}+"),
    _token("package_token", N_("Tokens of npm and PyPI"), ("npm_", "pypi-"), "[A-Za-z0-9_-]{30,}+"),
    _token("jwt", N_("JSON web tokens"), ("eyJ",),
           r"[A-Za-z0-9_-]{15,}+(?:\.[A-Za-z0-9_-]{8,}+(?:\.[A-Za-z0-9_-]*+)?)?",
           check=lambda text: "." in text),
    Detector("http_login", N_("What follows Bearer or Basic"), re.compile(_HTTP_LOGIN),
             beginning=rf"{_BEFORE}(?i:bearer|basic)\s{{1,9}}[A-Za-z0-9_.~+/=-]*+"),
    Detector("url_login", N_("Passwords in addresses"), re.compile(_URL_LOGIN),
             beginning=r"://[^/?#\s@:\"',]{0,200}:(?!\d{1,5}\Z)[^\s@/\"']++"),
    Detector("url_key", N_("Keys and signatures in addresses: ?key=…, sig=…, auth=…, jwt=…"), re.compile(_URL_KEY),
             beginning=r"(?:[?&]|&amp;)(?i:key|sig|auth|jwt)=[A-Za-z0-9_%.~+/=-]*+"),
    Detector(COMMAND_LOGIN, N_("Passwords in commands: curl -u, mysql -p, docker login -p, .netrc and others"),
             re.compile(_LOGIN)),
    Detector("private_key", N_("Private keys"), re.compile(_KEY_BLOCK)),
    Detector("phone", N_("Phone numbers: Chinese mobiles, and others with + and country code"),
             re.compile(_PHONE, re.ASCII), is_personal=True,
             beginning=r"(?<![\w.])\+?[0-9][0-9 -]{2,}"),
    Detector("chinese_id", N_("Numbers of Chinese identity cards"),
             re.compile(r"(?<![\w-])[1-9][0-9]{16}[0-9Xx](?![\w-])", re.ASCII),
             is_personal=True, check=is_chinese_id, beginning=r"(?<![\w-])[1-9][0-9]{5,}"),
    Detector("email", N_("E-mail addresses"),
             re.compile(r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}"
                        r"(?![A-Za-z0-9])"),
             is_personal=True, beginning=r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]*+"),
    Detector("card", N_("Numbers of payment cards"),
             re.compile(_CARD, re.ASCII),
             is_personal=True, check=is_card_number, beginning=r"(?<![\w.-])[2-6][0-9 -]{5,}"),
)}
# fmt: on
"""Every detector, by its name, in the order in which they look."""
