"""Which names stand for secrets, and text without the credentials in it. Pure."""

import re
from typing import Final
from urllib.parse import unquote

REDACTED: Final = "[redacted]"
MARK: Final = "[redacted"
"""How every text begins that stands in the place of another: a hash of that may follow."""

SECRET_ENDINGS: Final = (
    "token", "password", "passwd", "pwd", "passphrase", "secret", "secret_key", "secretkey", "api_key",
    "apikey", "access_key", "accesskey", "private_key", "privatekey", "encryption_key", "encryptionkey", "signing_key",
    "signingkey", "auth_key", "authkey", "session_key", "sessionkey", "authorization", "credential", "credentials",
    "cookie", "cookies", "db_pass", "dbpass", "user_pass", "userpass", "root_pass", "admin_pass", "mysql_pass",
    "pgpass", "smtp_pass", "redis_pass", "密码", "口令", "密钥", "令牌",
)  # fmt: skip
"""How names of secrets end; those in Latin letters as whole words, but for :data:`_RUN_TOGETHER`."""

_WORDS: Final = "|".join(filter(str.isascii, SECRET_ENDINGS))
_SIGNS: Final = "|".join(name for name in SECRET_ENDINGS if not name.isascii())
_RUN_TOGETHER: Final = (
    "password|passwd|passphrase|secret|apikey|accesskey|secretkey|privatekey"
    "|(?:access|api|auth|bot|refresh|session)token"
)
"""How no other word ends: ``PGPASSWORD``, ``clientsecret``."""

_SECRET: Final = re.compile(rf"(?:^|[^a-z0-9])(?:{_WORDS})$|(?:{_RUN_TOGETHER}|{_SIGNS})$")
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_OF_QUERIES: Final = frozenset({"key", "sig", "sign", "signature", "jwt", "auth"})

# Repetitions are bounded, for lines that almost match in many places.
_USER: Final = re.compile(
    r"""(://)(?:([^/?#\s@:"',]{0,200}:)(?!\d{1,5}(?:[/?#\s]|$))[^\s@]{0,200}@(?:[^\s/@]{1,200}@)*"""
    r"""|(?<!postgres://)(?<!postgresql://)[^/?#\s@"']{0,200}@)"""
)
_PARAMETER: Final = re.compile(r"""(?<![\w.%-])([\w.%\[\]-]{1,100})=([^&;\s"',)]+)""")
_ENTRY: Final = re.compile(r"""(["'])([\w.-]{1,100})(\1\s{0,9}[:,]\s{0,9}b?)(["'])[^"']{0,4000}\4""")
_SCHEME: Final = re.compile(r"""\b(Bearer|Basic)\s+[^\s"',)]+""", re.IGNORECASE)
_POSTGRES: Final = re.compile(r"\s*postgres(?:ql)?(?:\+[^:]*)?:", re.IGNORECASE)
_COLON: Final = re.compile(r":|%3a", re.IGNORECASE)
_HOSTS: Final = re.compile(r"/*(?:\[[\w.:%]*\]|[^:/?\[\]]|:[0-9]{1,5}(?![^,/?]))*")
_PLAIN: Final = frozenset(
    {"application_name", "connect_timeout", "dbname", "host", "hostaddr", "password_file", "pool_size", "port"}
    | {"prepared_statements", "schema", "service", "sslmode", "sslrootcert", "target_session_attrs", "user"}
)
"""Parameters of a URL of PostgreSQL that are shown."""

_COZE: Final = re.compile(r"\b(pat|sat|cztei)_[A-Za-z0-9]{16,}")
_OURS: Final = re.compile(r"\b(eh_[0-9a-f]{8})_[A-Za-z0-9_-]{8,}")


def plain_name(name: str) -> str:
    """Return *name* in small letters, its words joined by underscores: ``apiKey`` and ``Api-Key`` are one name."""
    return _HUMP.sub("_", name).replace("-", "_").lower()


def is_secret_name(name: str) -> bool:
    """Return whether what stands under *name* is a secret: it ends in ``token``, ``password``, ``api_key``, say."""
    return _SECRET.search(plain_name(name)) is not None


def without_credentials(text: str) -> str:
    """Return *text* without what proves who somebody is.

    That is the password in a URL, or a user name that stands there alone (which names a role in the URL of a PostgreSQL
    database, and stays); what has a secret name, in a query, as an entry of an object or as a pair; what follows
    ``Bearer`` or ``Basic``; and a token of Coze's or the secret of a key of this program's, wherever it stands.
    """
    text = _USER.sub(r"\1\2…@", text)
    text = _PARAMETER.sub(lambda found: f"{found[1]}={REDACTED}" if _hides(found[1]) else found[0], text)
    text = _ENTRY.sub(_entry, text)
    text = _SCHEME.sub(rf"\1 {REDACTED}", text)
    text = _OURS.sub(rf"\1_{REDACTED}", text)
    return _COZE.sub(rf"\1_{REDACTED}", text)


def shown_store(location: str) -> str:
    """Return the *location* of a store as it may be shown.

    Of the URL of a PostgreSQL database, however wrong it is, that leaves out what stands between the first colon behind
    the scheme and the last ``@``, what should be a port and is none, and parameters that are not known to be none of
    a secret.
    """
    scheme = _POSTGRES.match(location)
    if scheme is None:
        return without_credentials(location)
    user, at, hosts = location[scheme.end() :].rpartition("@")
    if "?" in user:  # a password has it, or a parameter has the @: what comes behind it may be a piece of either
        user, at, hosts = user.partition("?")[0], "", "?…"
    colon, end = _COLON.search(user), _HOSTS.match(hosts)
    user = user if colon is None else f"{user[: colon.end()]}…"
    if end is not None and end.end() < len(hosts) and hosts[end.end()] not in "/?":
        hosts = f"{hosts[: end.end() + 1]}…"
    rest, mark, query = f"{user}{at}{hosts}".partition("?")
    shown = "&".join(pair if not pair or pair.partition("=")[0] in _PLAIN else "…" for pair in query.split("&"))
    return without_credentials(f"{scheme[0]}{rest}{mark}{shown}")


def _hides(name: str) -> bool:
    name = unquote(name)
    return is_secret_name(name) or plain_name(name) in _OF_QUERIES


def _entry(found: "re.Match[str]") -> str:
    return f"{found[1]}{found[2]}{found[3]}{found[4]}{REDACTED}{found[4]}" if is_secret_name(found[2]) else found[0]
