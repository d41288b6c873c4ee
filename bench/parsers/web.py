"""What a browser, a client or a proxy sends along: headers, cookies, keys in paths, pointers into records, Markdown."""

from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final

from starlette.types import Receive, Scope, Send

from bench.parsers.target import Target, split, text_of
from execution_history.coze.forwarded_headers import passed_on
from execution_history.errors import InvalidInput, Message
from execution_history.presentation.translator import LANGUAGES
from execution_history.web.access import TakenKeys
from execution_history.web.cross_origin import CrossOrigin
from execution_history.web.pages.json_pointer import NoSuchPart, find_part
from execution_history.web.pages.markdown import is_markdown, rendered
from execution_history.web.proxies import TrustedProxies
from execution_history.web.security import Guard, SecurityHeaders

_RECORD: Final[dict[str, Any]] = {"a": [1, {"b~/": '{"c": [true]}'}], "k" * 300: {"": 0}}


def _done(awaited: Coroutine[Any, Any, Any]) -> None:
    """Run what never waits."""
    with suppress(StopIteration):
        awaited.send(None)
        raise AssertionError("It waits.")


async def _answer(scope: Scope, _: Receive, send: Send) -> None:
    """What came through the door has its key with it, and not in what is passed on."""
    assert not any(name == b"x-execution-history-key" for name, _ in scope["headers"])
    passed_on(scope["headers"], frozenset())
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def _door(data: bytes) -> None:
    """A request as a server passes it on: a line of method and path, then headers."""
    first, *lines = data.split(b"\n")
    method, path = split(first, b" ")
    raw, query = split(path, b"?")
    headers = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    scope = {
        "type": "http", "method": method.decode("latin-1") or "GET", "path": raw.decode("utf-8", "replace") or "/",
        "raw_path": raw or b"/", "query_string": query, "headers": headers, "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80), "scheme": "http", "root_path": "", "http_version": "1.1", "asgi": {"version": "3.0"},
    }  # fmt: skip

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    app = CrossOrigin(Guard(SecurityHeaders(_answer), ("history.test",), ("https://a.test",)), ("https://a.test",))
    _done(TrustedProxies(TakenKeys(app), ("127.0.0.0/8", "10.0.0.0/8"))(scope, receive, send))
    assert sent[0]["status"] < 500
    for name, value in sent[0]["headers"]:
        assert b"\n" not in name + value
        assert b"\r" not in name + value


def _languages(data: bytes) -> None:
    header, sentence = map(text_of, split(data))
    translator = LANGUAGES.of_header(header)
    LANGUAGES.of_environment({"LANG": header, "LANGUAGE": sentence})
    translator.message(sentence)
    with suppress(InvalidInput):
        raise InvalidInput("There is no rule called %(name)s.", name=sentence)
    translator.message(Message("There is no rule called %(name)s.", name=sentence), 50)


def _pointers(data: bytes) -> None:
    pointer = text_of(data)
    with suppress(NoSuchPart):
        part = find_part(_RECORD, pointer)
        assert find_part(_RECORD, part.pointer).value == part.value


def _markdown(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    if is_markdown(text):
        page = rendered(text)
        assert "<script" not in page
        assert "<img" not in page


TARGETS: Final = (
    Target(
        "requests",
        _door,
        (
            b"GET /k/eh_abc/v1/workflow/run?a=1\nhost: localhost:80\nauthorization: Bearer eh_abc\ncookie: execution_history=a.1.b",
            b"POST /coze/history\nhost: [::1]\nx-forwarded-for: 10.0.0.1, [::2]\nx-forwarded-proto: https\norigin: null",
            b"OPTIONS /v1/chat\nhost: history.test\norigin: https://a.test\naccess-control-request-method: POST\nreferer: x",
        ),
        (
            b"host: ",
            b"x-forwarded-host: ",
            b"x-execution-history-key: ",
            b"cookie: ",
            b"connection: ",
            b"/k/eh_",
            b"%",
            b"\xff",
            b"sec-fetch-site: ",
            b"content-length: ",
            b"[",
            b"]",
            b"accept-language: ",
        ),
    ),
    Target(
        "languages",
        _languages,
        (b"zh-CN,zh;q=0.9,en;q=0.8\n100% %(name)s", b"en;q=nan,*;q=inf,zh_hans.UTF-8@x\nC"),
        (b";q=", b"%(", b")s", b"%", b"-", b"_"),
    ),
    Target("pointers", _pointers, (b"/a/1/b~0~1/~j/c/0", b"/~k2"), (b"/", b"~0", b"~1", b"~k", b"~j")),
    Target(
        "Markdown",
        _markdown,
        ("# 标题\n\n* a\n* **b** `c`\n\n| a | b |\n|---|---|\n| [x](https://y) | ![z](w) |\n\n> <script>\n".encode(),),
        (b"**", b"`", b"[", b"](", b"http://", b"|", b"---", b"<script>", b"~~", b"> ", b"javascript:", b"&#60;"),
    ),
)
