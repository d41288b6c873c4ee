"""``python -m bench.redaction``: what the detectors find in a generated corpus, what they miss, and false alarms.

Secrets of every kind stand in prose, as values of JSON, in JSON within text, at the beginnings of lines, and in JSON
that was cut off. Their forms are not ours: they are those of RFC 7515 to 7519, 6750 and 7617, of ISO/IEC 7812 and GB
11643, of ITU-T E.123, of the rules of gitleaks 8, and of the test cards of payment services; the names are of word
lists for finding secrets. Only the forms of :data:`OURS` are what we have seen. Whatever else the corpus has (runs of
the other benchmarks, ids of Coze, times, hashes, UUIDs, versions, amounts, articles' numbers, numbers that are nearly
cards, and the modules of Python's own library) is none.
"""

import argparse
import base64
import hashlib
import hmac
import json
import random
import re
import string
import sysconfig
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import orjson

from bench.records import runs
from execution_history.records.content_rules import ContentRules
from execution_history.records.encoding import encode
from execution_history.records.redaction import plain_name
from execution_history.records.redaction_rules import rules_of
from execution_history.records.redactor import Redactor

_WORD: Final = string.ascii_letters + string.digits
_UPPER: Final = string.ascii_uppercase + string.digits
_LOWER: Final = string.ascii_lowercase + string.digits
_BASE32: Final = string.ascii_uppercase + "234567"
_BASE64: Final = _WORD + "+/"
_URL_SAFE: Final = _WORD + "_-"

OURS: Final = frozenset({"coze_token", "tencent_key", "volcengine_key"})
"""Detectors of which the corpus has forms that we have seen, and nobody has written down."""

_NAMES: Final = (
    "api_key apikey api-key x-api-key API_SECRET_KEY access_token access_token_secret auth_token authToken auth_key "
    "authorization_token aws_secret_access_key client_secret clientSecret consumer_secret db_password DB_PASSWORD "
    "encryption_key oauth_token password passwd private_key refresh_token secret secret_key secretKey session_key "
    "slack_api_token ssh_password userPassword accessKeySecret appSecret webhook_secret signing_key db_pass "
    "登录密码 访问令牌"
)
_CARDS: Final = (
    "4111111111111111 4012888888881881 4242424242424242 5555555555554444 5105105105105100 5200828282828210 "
    "2223003122003222 378282246310005 371449635398431 378734493671000 6011111111111117 6011000990139424 "
    "3530111333300000 3566002020360505 30569309025904 38520000023237 36227206271667 6200000000000005 "
    "6205500000000000004"
)
_PHONES: Final = (
    "138 0013 8000", "13800138000", "+86 138-0013-8000", "(+86)13800138000", "+8613800138000", "0086 13800138000",
    "+1 (415) 555-2671", "+14155552671", "+44 20 7946 0958", "+49 30 901820", "+81 3-1234-5678", "+33 1 23 45 67 89",
)  # fmt: skip
_ADDRESSES: Final = (
    "postgresql://app:{}@db.example.com:5432/app", "redis://:{}@10.0.0.5:6379/0", "https://user:{}@example.com/x?y=1",
    "mongodb+srv://admin:{}@cluster0.example.net/test", "amqp://guest:{}@mq:5672", "mysql://root:{}@localhost/shop",
)  # fmt: skip
_LOGINS: Final = (
    "curl -s -u me:{} https://example.com/", "curl --user 'me:{}' -X POST https://example.com", "mysql -h db -uroot -p{} shop",
    "mysqldump -p'{}' shop > shop.sql", "sshpass -p {} ssh me@host", "docker login -u me -p {} registry.example.com",
    "redis-cli -h cache -a {} ping", "mongosh --host db -u me -p {}", "ldapsearch -x -D cn=me -w {} -b dc=a",
    "machine example.com login me password {}", "openssl rsa -in key.pem -passin pass:{}",
)  # fmt: skip
_KEYS: Final = ("PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY", "ENCRYPTED PRIVATE KEY")


def _of(chance: random.Random, letters: str, *counts: int) -> str:
    return "".join(chance.choices(letters, k=chance.choice(counts)))


def _any_of(*makers: Callable[[random.Random], str]) -> Callable[[random.Random], str]:
    return lambda chance: chance.choice(makers)(chance)


def _gitlab(chance: random.Random) -> str:
    kind, count = chance.choice(
        (("pat", 20), ("dt", 20), ("ft", 20), ("rt", 20), ("imt", 25), ("agent", 50), ("oas", 64))
    )
    routed = f".{_of(chance, _LOWER, 9)}" if kind == "pat" and chance.random() < 0.5 else ""
    return f"gl{kind}-{_of(chance, _URL_SAFE, 40 if routed else count)}{routed}"


def _openai(chance: random.Random) -> str:
    if chance.random() < 0.3:
        return f"sk-{_of(chance, _WORD, 20)}T3BlbkFJ{_of(chance, _WORD, 20)}"
    if chance.random() < 0.5:
        return f"sk-ant-api03-{_of(chance, _URL_SAFE, 93)}AA"
    kind, part = chance.choice(("proj", "svcacct", "admin")), chance.choice((58, 74))
    return f"sk-{kind}-{_of(chance, _URL_SAFE, part)}T3BlbkFJ{_of(chance, _URL_SAFE, part)}"


def _slack(chance: random.Random) -> str:
    numbers = [_of(chance, string.digits, 10, 11, 12, 13) for _ in range(3)]
    return chance.choice((
        f"xoxb-{numbers[0]}-{numbers[1]}-{_of(chance, _WORD, 24)}", f"xoxp-{'-'.join(numbers)}-{_of(chance, _LOWER, 32)}",
        f"xapp-1-{_of(chance, _UPPER, 11)}-{numbers[0]}-{_of(chance, _LOWER, 64)}", f"xoxe-1-{_of(chance, _UPPER, 146)}",
    ))  # fmt: skip


def _jwt(chance: random.Random) -> str:
    header = chance.choice((b'{"typ":"JWT",\r\n "alg":"HS256"}', b'{"alg":"HS256","typ":"JWT"}', b'{"alg":"HS512"}'))
    claims = {"sub": str(chance.randrange(10**10)), "iat": 1_700_000_000 + chance.randrange(10**7), "admin": True}
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (header, orjson.dumps(claims)))
    made = base64.urlsafe_b64encode(hmac.digest(b"key", signed, hashlib.sha256)).rstrip(b"=")
    return f"{signed.decode()}.{made.decode()}"


def _login(chance: random.Random) -> str:
    user = base64.b64encode(f"{_of(chance, _LOWER, 6)}:{_of(chance, _WORD, 8, 12)}".encode()).decode()
    opaque = (
        _of(chance, string.hexdigits, 40),
        _of(chance, _URL_SAFE, 43),
        str(uuid.UUID(int=chance.getrandbits(128))),
    )
    return chance.choice((f"Basic {user}", f"Bearer {chance.choice(opaque)}", f"bearer {chance.choice(opaque)}"))


def _identity(chance: random.Random) -> str:
    born = f"{chance.randint(1950, 2010)}{chance.randint(1, 12):02d}{chance.randint(1, 28):02d}"
    digits = f"{chance.choice((110101, 310104, 440304, 510107, 420106))}{born}{chance.randint(1, 999):03d}"
    rest = 0
    for digit in digits:
        rest = (rest + int(digit)) * 2 % 11
    return digits + "0123456789X"[(12 - rest) % 11]


def _card(chance: random.Random) -> str:
    number = chance.choice(_CARDS.split())
    ends = (4, 10, len(number)) if len(number) < 16 else tuple(range(4, len(number) + 4, 4))
    groups = [number[begin:end] for begin, end in zip((0, *ends), ends, strict=False)]
    return chance.choice(("", " ", "-")).join(groups)


def _key_block(chance: random.Random) -> str:
    kind = chance.choice(_KEYS)
    lines = chance.choice(("\n", "\r\n")).join(_of(chance, _BASE64, 64) for _ in range(chance.choice((3, 25))))
    return f"-----BEGIN {kind}-----\n{lines}\n-----END {kind}-----"


def _named(chance: random.Random) -> str:
    name, secret = chance.choice(_NAMES.split()), _of(chance, _WORD, 14)
    return chance.choice((f"{name}={secret}", f"{name}: {secret}", f"{name}='{secret}'", f'"{name}": "{secret}"'))


def _paired(chance: random.Random) -> str:
    name, secret = chance.choice(_NAMES.split()), _of(chance, _WORD, 14)
    one, two = chance.choice((("name", "value"), ("key", "value"), ("header", "value"), ("Key", "Value"), ("k", "v")))
    pair, more = {one: name, two: secret}, {"type": "string", "enabled": True}
    return chance.choice((
        json.dumps(pair), json.dumps([{**more, **pair}, {one: "page", two: "7"}]), repr({**pair, **more}),
        json.dumps({one: name, **more, two: secret}, separators=(",", ":")), json.dumps([[name, secret], ["accept", "json"]]),
        f"- name: {name}\n  value: {secret}\n",
    ))  # fmt: skip


def _option(chance: random.Random) -> str:
    name, secret = plain_name(chance.choice(_NAMES.split()[:-2])).replace("_", "-"), _of(chance, _WORD, 14)
    return chance.choice((
        f"run --{name} {secret} --verbose", f"run --{name}={secret}", f"./load -x 5 --{name} '{secret}' file",
        f"Connect-It -{name} {secret}", json.dumps(["run", f"--{name}", secret, "-v"]),
    ))  # fmt: skip


def _element(chance: random.Random) -> str:
    name, secret = chance.choice(_NAMES.split()), _of(chance, _WORD, 14)
    return chance.choice((
        f"<{name}>{secret}</{name}>", f'<c:{name} Type="text">{secret}</c:{name}>', f'<add key="{name}" value="{secret}"/>',
        f"<input value='{secret}' name='{name}'>", f'<property name="{name}">{secret}</property>', f'<a {name}="{secret}"/>',
        f"<key>{name}</key>\n<string>{secret}</string>", f"<{name}><![CDATA[{secret}]]></{name}>",
        f"<member><name>{name}</name><value><string>{secret}</string></value></member>",
    ))  # fmt: skip


MAKERS: Final[dict[str, Callable[[random.Random], str]]] = {
    "coze_token": lambda c: c.choice(("pat_", "sat_", "cztei_")) + _of(c, _WORD, 64),
    "openai_key": _openai,
    "aws_key": _any_of(lambda c: c.choice(("AKIA", "ASIA")) + _of(c, _BASE32, 16),
                       lambda c: "ABSKQmVkcm9ja0FQSUtleS" + _of(c, _BASE64, 110)),
    "aliyun_key": lambda c: "LTAI" + _of(c, _WORD, 20),
    "tencent_key": lambda c: "AKID" + _of(c, _WORD, 32),
    "volcengine_key": lambda c: "AKLT" + _of(c, _WORD, 40),
    "google_key": lambda c: "AIza" + _of(c, _URL_SAFE, 35),
    "github_token": _any_of(lambda c: c.choice(("ghp_", "gho_", "ghu_", "ghs_", "ghr_")) + _of(c, _WORD, 36),
                            lambda c: f"github_pat_{_of(c, _WORD, 22)}_{_of(c, _WORD, 59)}"),
    "gitlab_token": _gitlab,
    "slack_token": _slack,
    "stripe_key": lambda c: f"{c.choice(('sk', 'rk'))}_{c.choice(('live', 'test'))}_{_of(c, _WORD, 24, 99)}",
    "huggingface_token": lambda c: c.choice(("hf_", "api_org_")) + _of(c, string.ascii_letters, 34),
    "package_token": _any_of(lambda c: "npm_" + _of(c, _WORD, 36), lambda c: "pypi-AgEIcHlwaS5vcmc" + _of(c, _URL_SAFE, 140)),
    "jwt": _jwt,
    "http_login": _login,
    "url_login": lambda c: c.choice(_ADDRESSES).format(_of(c, _WORD + "!$%^*_-", 14)),
    "private_key": _key_block,
    "secret_names": _named,
    "… in pairs": _paired,
    "… of options": _option,
    "… in XML": _element,
    "url_key": lambda c: f"https://example.com/x?{c.choice(('key', 'sig', 'auth', 'jwt', 'a=1&key', 'v=2&sig'))}={_of(c, _WORD, 32)}",
    "command_login": lambda c: c.choice(_LOGINS).format(_of(c, _WORD, 14)),
    "phone": lambda c: c.choice(_PHONES),
    "chinese_id": _identity,
    "email": lambda c: f"{_of(c, _LOWER, 5)}{c.choice('._+-')}{_of(c, _LOWER, 3)}@{_of(c, _LOWER, 6)}.{c.choice(('com', 'co.uk', 'edu.cn'))}",
    "card": _card,
}  # fmt: skip
"""Makes a secret of each kind."""


def _longest(text: str) -> str:
    """Return the run of letters and digits in *text* that no name has."""
    return next(found[0] for found in re.finditer("[A-Za-z0-9]{14,}", text) if found[0] not in _NAMES)


_CORES: Final[dict[str, Callable[[str], str]]] = {
    "secret_names": lambda text: text.strip("\"'")[-14:],
    **dict.fromkeys(("… in pairs", "… of options", "… in XML", "url_key", "command_login"), _longest),
    "private_key": lambda text: text.split("\n")[1].strip(),
    "http_login": lambda text: text.partition(" ")[2],
    "url_login": lambda text: text.rpartition("@")[0].rpartition(":")[2],
}
"""What of a secret must not be left, where that is not all of it."""

_PLACES: Final[tuple[Callable[[str], object], ...]] = (
    lambda text: f"Please use {text} for this.",
    lambda text: f"请使用 {text} 。",
    lambda text: f"One line.\n{text}\nAnother.",
    lambda text: {"note": text, "n": 1},
    lambda text: [{"rows": [{"value": f"see {text}"}]}],
    lambda text: {"data": orjson.dumps({"inner": text, "ok": True}).decode()},
    lambda text: {"data": json.dumps({"内容": f"第一行\n{text}"}, indent=2)},
    lambda text: f'so far: {{"inner": {orjson.dumps(text).decode()[:-1]}',
)


def _innocent(chance: random.Random) -> Iterator[object]:
    """Yield values in which nothing is secret."""
    for run in runs(1_500, seed=7):
        yield from (run.parameters, run.output, run.node_execute_status)
    for _ in range(1_500):
        yield {
            "id": str(7_404_830_425_073_352_713 + chance.randrange(10**12)), "uuid": str(uuid.UUID(int=chance.getrandbits(128))),
            "at": 1_700_000_000_000 + chance.randrange(10**10), "seconds": 1_700_000_000 + chance.randrange(10**7),
            "hash": _of(chance, string.hexdigits[:16], 64), "version": f"v{chance.randint(1, 9)}.{chance.randint(0, 99)}.0",
            "amount": chance.random() * 10**7, "order": f"ORD-{_of(chance, string.digits, 12)}",
            "sixteen": _of(chance, string.digits, 16), "article": f"4{_of(chance, string.digits, 12)}",
            "series": " ".join(str(chance.randint(20, 69)) for _ in range(8)), "token": chance.randint(1, 999), "max_tokens": 4096,
            "image": _of(chance, _BASE64, 400), "text": f"step {chance.randint(1, 9)}: call +{chance.randint(1, 99)}% more",
            "usage": [{"name": "token", "value": chance.randint(1, 99_999)}, {"key": "max_tokens", "value": 4096}],
            "schema": {"name": "password", "type": "string", "required": True}, "tool": {"name": "count_token", "content": "done"},
            "help": "login <user> <password> to begin, or use the --password option; docker run -p 8080:80 web; mkdir -p a/b",
            "form": '<label for="password">Password</label><token>hello</token><a href="?key=artist&sig=short">more</a>',
            "address": f"https://s3.example.com/{_of(chance, _WORD, 40)}?X-Amz-Expires=3600&page_token=7",
        }  # fmt: skip


def _library() -> Iterator[object]:
    """Yield the modules of Python's library, as text."""
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        yield path.read_text(errors="replace")


def _alarms(redactor: Redactor, values: Iterator[object]) -> tuple[Counter[str], int, float]:
    """Return what is found in *values*, their bytes and the CPU time."""
    documents, found = [encode(value) for value in values], Counter[str]()
    began = time.process_time()
    for document in documents:
        tally: dict[str, int] = {}
        redactor.value("output", document, tally, {})
        found.update(tally)
    return found, sum(map(len, documents)), time.process_time() - began


def main() -> None:
    """Print what is found."""
    parser = argparse.ArgumentParser(prog="python -m bench.redaction", description=__doc__)
    parser.add_argument("--of-each", type=int, default=600, help="secrets of each kind")
    options = parser.parse_args()
    chance = random.Random(1)
    redactor: Redactor = ContentRules(rules_of([{"detector": "personal"}])).redactor("w")
    usual: Redactor = ContentRules().redactor("w")
    hits: Counter[str] = Counter()
    misses: Counter[str] = Counter()
    for name, make in MAKERS.items():
        for number in range(options.of_each):
            secret = make(chance)
            found = redactor.value("output", encode(_PLACES[number % len(_PLACES)](secret)), {}, {})
            core = _CORES[name](secret) if name in _CORES else secret
            (misses if core.encode() in found else hits)[name] += 1
    wrong, size, seconds = _alarms(redactor, _innocent(random.Random(2)))
    in_library, library_size, _ = _alarms(redactor, _library())
    _, clean_size, quick = _alarms(usual, (each for run in runs(3_000) for each in (run.parameters, run.output)))
    print(f"{'detector':20}{'hits':>8}{'misses':>8}{'false alarms':>14}{'in the library':>16}")
    for name in MAKERS:
        own = "  (a form that we have seen)" if name in OURS else ""
        print(f"{name:20}{hits[name]:8,}{misses[name]:8,}{wrong[name]:14,}{in_library[name]:16,}{own}")
    print(f"{sum(hits.values()):,} of {sum(hits.values()) + sum(misses.values()):,} secrets; {sum(wrong.values()):,} false alarms in"
          f" {size / 1e6:.1f} MB ({size / seconds / 1e6:.0f} MB/s), {sum(in_library.values()):,} in {library_size / 1e6:.1f} MB of Python's"
          f" library; contents of runs by the usual rules: {clean_size / quick / 1e6:.0f} MB/s")  # fmt: skip


if __name__ == "__main__":
    main()
