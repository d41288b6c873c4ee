"""What is shown of a text that has credentials in it."""

import pytest

from execution_history.records.redaction import shown_store, without_credentials

_SECRET = "s3cret"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:s3cret@db/history", "postgresql://me:…@db/history"),
        ("postgresql+psycopg://me:s3cret/@x@db/history", "postgresql+psycopg://me:…@db/history"),
        ("postgresql://me@db/h?sslpassword=s3cret", "postgresql://me@db/h?sslpassword=[redacted]"),
        ("https://s3cret@host/x", "https://…@host/x"),
        ("http://me:80s3cret@host:80/x@y", "http://me:…@host:80/x@y"),
        ("two: http://a:s3cret@b http://:s3cret@c.", "two: http://a:…@b http://:…@c."),
        ("GET /v1/x?a=1&token=s3cret&b=2 HTTP/1.1", "GET /v1/x?a=1&token=[redacted]&b=2 HTTP/1.1"),
        ("/x?access_token=s3cret", "/x?access_token=[redacted]"),
        ("/x?X-Api-Key=s3cret;apiKey=s3cret", "/x?X-Api-Key=[redacted];apiKey=[redacted]"),
        ("/x?%74oken=s3cret&sig=s3cret", "/x?%74oken=[redacted]&sig=[redacted]"),
        ("token=s3cret", "token=[redacted]"),
        ("{'Authorization': 'Bearer s3cret'}", "{'Authorization': '[redacted]'}"),
        ('{"private_key": "s3cret", "a": "b"}', '{"private_key": "[redacted]", "a": "b"}'),
        ("[(b'authorization', b'Bearer s3cret')]", "[(b'authorization', b'[redacted]')]"),
        ('[["cookie", "a=s3cret; b=s3cret"], ["accept", "json"]]', '[["cookie", "[redacted]"], ["accept", "json"]]'),
        ("basic s3cret", "basic [redacted]"),
        ("the token pat_s3cret0123456789abcdef is wrong", "the token pat_[redacted] is wrong"),
    ],
)
def test_credentials_are_taken_out(text: str, shown: str) -> None:
    """Wherever they stand in a line."""
    assert shown == without_credentials(text)
    assert _SECRET not in without_credentials(text)


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:8765/runs?q=a@b.test",
        "http://host:8080/mail@x",
        "postgresql://me@db/history?schema=runs",
        "The run 'w' of me@example.test could not be recorded: token",
        "/runs?status=failed&since=2h&tag=a",
        "max_tokens=5 tokens=7 page_size=20",
        '{"url":"http://a.test","mail":"me@b.test"}',
        "",
    ],
)
def test_everything_else_stays(text: str) -> None:
    """Addresses, ports, mail addresses, counts of tokens."""
    assert text == without_credentials(text)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:s3cret@db/history?schema=x", "postgresql://me:…@db/history?schema=x"),
        ("postgresql:///history?host=/run/pg&port=5433", "postgresql:///history?host=/run/pg&port=5433"),
        ("postgresql://me@[::1]:5432,b:5433/h", "postgresql://me@[::1]:5432,b:5433/h"),
        ("postgresql+psycopg://me:s3cret/@x@db/h", "postgresql+psycopg://me:…@db/h"),
        ("postgresql:me:s3cret@db/h", "postgresql:me:…@db/h"),
        ("postgresql:/me%3As3cret@db/h", "postgresql:/me%3A…@db/h"),
        ("postgresql://me:s3cret/h", "postgresql://me:…"),
        ("postgresql://db/h?passwort=s3cret&user=me&s3cret=1", "postgresql://db/h?…&user=me&…"),
        ("postgresql://me:x@db/h?password=a@s3cret", "postgresql://me:…?…"),
        ("data/execution_history", "data/execution_history"),
        ("memory:?token=s3cret", "memory:?token=[redacted]"),
    ],
)
def test_of_a_store_only_is_shown_what_is_no_secret(url: str, shown: str) -> None:
    """However wrong the URL of a database is; what of it can be used is shown as it stands."""
    assert shown == shown_store(url)
