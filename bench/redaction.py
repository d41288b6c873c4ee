"""``python -m bench.redaction``: what the detectors find in a generated corpus, what they miss, and false alarms.

Secrets of every kind stand in prose, as values of JSON, in JSON within text, and in addresses. Whatever else the corpus
has (runs of the other benchmarks, ids of Coze, times, hashes, UUIDs, versions, amounts, numbers that are nearly cards)
is none.
"""

import argparse
import random
import string
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

import orjson

from bench.records import runs
from execution_history.records.content_rules import ContentRules
from execution_history.records.encoding import encode
from execution_history.records.redaction_rules import rules_of
from execution_history.records.redactor import Redactor

_WORD: Final = string.ascii_letters + string.digits
_BASE64: Final = _WORD + "+/"
_URL_SAFE: Final = _WORD + "_-"
_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def _of(chance: random.Random, letters: str, count: int) -> str:
    return "".join(chance.choices(letters, k=count))


def _card(chance: random.Random) -> str:
    beginning, length = chance.choice((("4", 16), ("51", 16), ("62", 19), ("37", 15)))
    digits = beginning + _of(chance, string.digits, length - len(beginning) - 1)
    total = sum(sum(divmod(int(digit) * (2 - place % 2), 10)) for place, digit in enumerate(reversed(digits)))
    number = digits + str(-total % 10)
    return number if chance.random() < 0.5 else " ".join(number[at : at + 4] for at in range(0, len(number), 4))


def _identity(chance: random.Random) -> str:
    born = f"{chance.randint(1950, 2010)}{chance.randint(1, 12):02d}{chance.randint(1, 28):02d}"
    digits = f"{chance.randint(11, 65)}{chance.randint(1000, 9999)}{born}{chance.randint(100, 999)}"
    return digits + "10X98765432"[sum(int(d) * w for d, w in zip(digits, _WEIGHTS, strict=True)) % 11]


def _key_block(chance: random.Random) -> str:
    lines = "\n".join(_of(chance, _BASE64, 64) for _ in range(12))
    return f"-----BEGIN RSA PRIVATE KEY-----\n{lines}\n-----END RSA PRIVATE KEY-----"


MAKERS: Final[dict[str, Callable[[random.Random], str]]] = {
    "coze_token": lambda c: c.choice(("pat_", "sat_", "cztei_")) + _of(c, _WORD, 64),
    "openai_key": lambda c: c.choice(("sk-", "sk-proj-", "sk-ant-api03-")) + _of(c, _URL_SAFE, 48),
    "aws_key": lambda c: c.choice(("AKIA", "ASIA")) + _of(c, string.ascii_uppercase + string.digits, 16),
    "aliyun_key": lambda c: "LTAI5t" + _of(c, _WORD, 18),
    "tencent_key": lambda c: "AKID" + _of(c, _WORD, 32),
    "volcengine_key": lambda c: "AKLT" + _of(c, _WORD, 40),
    "google_key": lambda c: "AIza" + _of(c, _URL_SAFE, 35),
    "github_token": lambda c: c.choice(("ghp_", "ghs_", "github_pat_")) + _of(c, _WORD, 36),
    "gitlab_token": lambda c: "glpat-" + _of(c, _WORD, 20),
    "slack_token": lambda c: f"xoxb-{_of(c, string.digits, 11)}-{_of(c, string.digits, 12)}-{_of(c, _WORD, 24)}",
    "stripe_key": lambda c: "sk_live_" + _of(c, _WORD, 24),
    "huggingface_token": lambda c: "hf_" + _of(c, _WORD, 34),
    "package_token": lambda c: "npm_" + _of(c, _WORD, 36),
    "jwt": lambda c: f"eyJ{_of(c, _URL_SAFE, 33)}.eyJ{_of(c, _URL_SAFE, 60)}.{_of(c, _URL_SAFE, 43)}",
    "http_login": lambda c: f"Bearer {_of(c, _URL_SAFE, 43)}",
    "url_login": lambda c: f"https://user:{_of(c, _WORD, 14)}@db.example.com/x",
    "private_key": _key_block,
    "secret_names": lambda c: f"{c.choice(('api_key', 'password', 'client_secret', 'accessToken'))}={_of(c, _WORD, 14)}",
    "phone": lambda c: c.choice(("1", "+86 1")) + str(c.randint(3, 9)) + _of(c, string.digits, 9),
    "chinese_id": _identity,
    "email": lambda c: f"{_of(c, string.ascii_lowercase, 8)}@{_of(c, string.ascii_lowercase, 6)}.com",
    "card": _card,
}  # fmt: skip
"""Makes a secret of each kind."""

_CORES: Final[dict[str, Callable[[str], str]]] = {
    "secret_names": lambda text: text.partition("=")[2],
    "private_key": lambda text: text.split("\n")[1],
    "http_login": lambda text: text.removeprefix("Bearer "),
    "url_login": lambda text: text.partition("user:")[2].partition("@")[0],
}
"""What of a secret must not be left, where that is not all of it."""

_PLACES: Final[tuple[Callable[[str], object], ...]] = (
    lambda text: f"Please use {text} for this.",
    lambda text: f"请使用 {text} 。",
    lambda text: {"note": text, "n": 1},
    lambda text: [{"rows": [{"value": f"see {text}"}]}],
    lambda text: {"data": orjson.dumps({"inner": text, "ok": True}).decode()},
    lambda text: f'so far: {{"inner": "{text}',
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
            "nearly": "4" + _of(chance, string.digits, 15), "token": chance.randint(1, 999), "max_tokens": 4096,
            "image": _of(chance, _BASE64, 400), "text": f"step {chance.randint(1, 9)}: call +{chance.randint(1, 99)}% more",
            "address": f"https://s3.example.com/{_of(chance, _WORD, 40)}?X-Amz-Expires=3600&page_token=7",
        }  # fmt: skip


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
    wrong: Counter[str] = Counter()
    size = 0
    began = time.process_time()
    for name, make in MAKERS.items():
        for number in range(options.of_each):
            secret = make(chance)
            document = encode(_PLACES[number % len(_PLACES)](secret))
            size += len(document)
            found = redactor.value("output", document, {}, {})
            core = _CORES[name](secret) if name in _CORES else secret
            (misses if core.encode() in found else hits)[name] += 1
    seconds = time.process_time() - began
    innocent = [encode(value) for value in _innocent(chance)]
    clean = sum(map(len, innocent))
    began = time.process_time()
    for document in innocent:
        tally: dict[str, int] = {}
        redactor.value("output", document, tally, {})
        wrong.update(tally)
    idle, began = time.process_time() - began, time.process_time()
    for document in innocent:
        usual.value("output", document, {}, {})
    quick = time.process_time() - began
    print(f"{'detector':20}{'hits':>8}{'misses':>8}{'false alarms':>14}")
    for name in MAKERS:
        print(f"{name:20}{hits[name]:8,}{misses[name]:8,}{wrong[name]:14,}")
    print(f"{sum(hits.values()):,} of {sum(hits.values()) + sum(misses.values()):,} secrets in {size / 1e6:.1f} MB"
          f" ({size / seconds / 1e6:.0f} MB/s), {sum(wrong.values()):,} false alarms in {clean / 1e6:.1f} MB"
          f" ({clean / idle / 1e6:.0f} MB/s; without the rules for personal data {clean / quick / 1e6:.0f} MB/s)")  # fmt: skip


if __name__ == "__main__":
    main()
