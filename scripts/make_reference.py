"""The pages of the documentation that are made from the code: what they say is what the program does.

:data:`PAGES` has them by name. Each takes the words of one language; where only the code's docstrings have a sentence,
it is English in both.
"""

import asyncio
import contextlib
import inspect
import io
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple, get_args
from unittest import mock

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

import execution_history
from execution_history import errors, web
from execution_history.application import open_application
from execution_history.cli.app import COMMANDS, main
from execution_history.records import encoding, metadata, record
from execution_history.settings import Settings
from execution_history.stores.jsonfiles import file_format, file_names

_ADDRESS: Final = re.compile(r"<(?:function|class) '?(\w+).*?>|(?:\w+\.)+(?=[A-Z])")
"""What tells where a value or a class is, of which a reader needs the name."""

_ROLE: Final = re.compile(r":\w+:`~?([^`]+)`")


class Words(NamedTuple):
    """The words of a language that only these pages need."""

    locale: str
    titles: Mapping[str, str]
    columns: str
    answers: str
    from_docstrings: str


WORDS: Final = {
    "en": Words(
        "en_US.UTF-8",
        {
            "commands": "Commands",
            "settings": "Settings",
            "http": "HTTP API",
            "python": "Python API",
            "errors": "Errors",
            "json-files": "JSON files and records",
        },
        "| parameter | in | |",
        "Answers",
        "",
    ),
    "zh": Words(
        "zh_CN.UTF-8",
        {
            "commands": "命令",
            "settings": "设置",
            "http": "HTTP 接口",
            "python": "Python 接口",
            "errors": "错误",
            "json-files": "JSON 文件和记录",
        },
        "| 参数 | 位置 | |",
        "返回",
        '\n!!! note "说明"\n\n    本页由代码生成，说明取自代码中的英文文档。\n',
    ),
}
_COLUMNS: Final = 100


def command_page(words: Words) -> str:
    """Return the help of every command, in this language."""
    lines = [f"# {words.titles['commands']}", "", *_help(words)]
    for name in COMMANDS:
        lines += ["", f"## {name}", "", *_help(words, name)]
    return "\n".join(lines)


def _help(words: Words, *command: str) -> tuple[str, ...]:
    """Return what ``--help`` prints for a command, or for all, as a block of text."""
    written = io.StringIO()
    with (
        mock.patch.dict(os.environ, LC_ALL=words.locale, COLUMNS=str(_COLUMNS)),
        contextlib.redirect_stdout(written),
        contextlib.suppress(SystemExit),
    ):
        main([*command, "--help"])
    return ("```text", *(line.rstrip() for line in written.getvalue().splitlines()), "```")


def settings_page(words: Words) -> str:
    """Return every setting with its default and what it is for, then those that are settings within one."""
    lines = [f"# {words.titles['settings']}", words.from_docstrings]
    lines += [*_prose(inspect.getdoc(inspect.getmodule(Settings)) or ""), "", *_fields(Settings)]
    for name, field in Settings.model_fields.items():
        for model in get_args(field.annotation):
            if inspect.isclass(model) and issubclass(model, BaseModel):
                lines += ["", f"## `{name}`", "", *_prose(inspect.getdoc(model) or ""), "", *_fields(model)]
    return "\n".join(lines)


def _fields(model: type[BaseModel]) -> Iterator[str]:
    """Yield a table of the fields of a model: name, default, and what stands below it in the source."""
    meanings = _docstrings(model)
    yield from ("| setting | default | |", "|---|---|---|")
    for name, field in model.model_fields.items():
        default = field.default_factory() if callable(field.default_factory) else field.default  # type: ignore[call-arg]
        shown = "" if default in (None, PydanticUndefined) else f"`{json.dumps(default)}`"
        yield f"| `{name}` | {shown} | {_cell(_plain(meanings.get(name, '')))} |"


def _docstrings(model: type[BaseModel]) -> dict[str, str]:
    """Return the texts that stand below the fields of a model."""
    return dict(re.findall(r'^    (\w+): [^\n]+\n    """(.+?)"""', inspect.getsource(model), re.MULTILINE | re.DOTALL))


def http_page(words: Words) -> str:
    """Return every route of the API with its parameters, body and answers, from its OpenAPI description."""
    described = asyncio.run(_openapi())
    lines = [f"# {words.titles['http']}", words.from_docstrings, _HTTP_HEAD]
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            lines += _operation(f"{method.upper()} {path}", operation, described, words)
    return "\n".join(lines)


_HTTP_HEAD: Final = """
A running server shows the same at `/docs`, where each call can be tried, and hands it out as `/openapi.json`. Errors
are `{"success": false, "error": {"code", "message"}}` with a fitting status. Paths that begin with `/v1/`, `/v2/`,
`/v3/`, `/api/` and `/open_api/` are the [gateway](../gateway.md)'s: Coze's own API.
"""


async def _openapi() -> dict[str, Any]:
    """Return the description of the API that ``serve`` has."""
    with tempfile.TemporaryDirectory() as folder:
        async with open_application(Settings(store=folder)) as application:
            return web.create_app(application).openapi()


def _operation(title: str, operation: Mapping[str, Any], described: Mapping[str, Any], words: Words) -> Iterator[str]:
    """Yield the lines about one route."""
    yield from ("", f"## `{title}`", "", *_prose(operation.get("description") or operation.get("summary", "")))
    parameters = operation.get("parameters", [])
    body = operation.get("requestBody", {}).get("content", {})
    rows = [(f"`{each['name']}`", each["in"], each.get("description", "")) for each in parameters]
    rows += [("", kind, _schema(content.get("schema", {}), described)) for kind, content in body.items()]
    if rows:
        yield from ("", words.columns, "|---|---|---|")
        yield from (f"| {name} | {place} | {_cell(_plain(text))} |" for name, place, text in rows)
    yield from ("", f"{words.answers}:", "")
    yield from (f"* {code}: {_plain(answer['description'])}" for code, answer in operation["responses"].items())


def _schema(schema: Mapping[str, Any], described: Mapping[str, Any]) -> str:
    """Return the keys of an object that a body holds, with what they mean."""
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    found = described["components"]["schemas"].get(name, schema)
    keys = [f"`{key}`: {value.get('description', '')}" for key, value in found.get("properties", {}).items()]
    return " · ".join(key.removesuffix(": ") for key in keys)


def python_page(words: Words) -> str:
    """Return every public name with its signature and docstring."""
    lines = [f"# {words.titles['python']}", words.from_docstrings]
    for module in (execution_history, web):
        lines += ["", f"## {module.__name__}", "", *_prose(inspect.getdoc(module) or "")]
        for name in module.__all__:
            lines += _described(name, getattr(module, name), "###")
    return "\n".join(lines)


def _described(name: str, thing: Any, heading: str) -> Iterator[str]:  # noqa: ANN401 - whatever is public
    """Yield the lines about a function, or a class with its public methods."""
    yield from ("", f"{heading} {name}", "", "```python", _signature(name, thing), "```", "")
    yield from _prose(inspect.getdoc(thing) or "")
    if inspect.isclass(thing) and not issubclass(thing, (Exception, dict)):
        parts = [part for part in thing.__mro__[::-1] if part.__module__.startswith("execution_history.")]
        for attribute, value in {name: value for part in parts for name, value in vars(part).items()}.items():
            function = getattr(value, "__func__", value)
            if not attribute.startswith("_") and (inspect.isfunction(function) or isinstance(value, property)):
                yield from _described(attribute, function, "####")


def _signature(name: str, thing: Any) -> str:  # noqa: ANN401 - as above
    """Return the call of *thing*, one argument a line where there are many; a property is only its name."""
    if not callable(thing):
        return name
    try:
        found = inspect.signature(thing)
    except ValueError:
        return f"{name}(…)"
    shown = [_ADDRESS.sub(r"\1", str(each)) for each in found.parameters.values() if each.name != "self"]
    prefix = "async def " if inspect.iscoroutinefunction(thing) else ""
    separator = ",\n    " if len(", ".join(shown)) > 80 else ", "  # noqa: PLR2004 - about the width of a page
    inner = separator.join(shown)
    return f"{prefix}{name}(\n    {inner},\n)" if "\n" in inner else f"{prefix}{name}({inner})"


def error_page(words: Words) -> str:
    """Return the tree of errors and what each one means."""
    lines = [f"# {words.titles['errors']}", words.from_docstrings, *_prose(inspect.getdoc(errors) or "")]
    for name, thing in vars(errors).items():
        if inspect.isclass(thing) and issubclass(thing, errors.ExecutionHistoryError):
            lines += ["", f"## {name}", "", *_prose(inspect.getdoc(thing) or "")]
    return "\n".join(lines)


def format_page(words: Words) -> str:
    """Return what a record and a JSON file consist of."""
    lines = [f"# {words.titles['json-files']}", words.from_docstrings]
    for part in (file_format, file_names):
        lines += ["", *_prose(inspect.getdoc(part) or "")]
    lines += ["", "## A record", ""]
    lines += _prose(inspect.getdoc(record.ExecutionRecord) or "")
    lines += ["", "| key | type |", "|---|---|"]
    kinds = inspect.get_annotations(record.ExecutionRecord)
    lines += [f"| `{key}` | `{_cell(getattr(kind, '__name__', str(kind)) if isinstance(kind, type) else str(kind))}` |"
              for key, kind in kinds.items()]  # fmt: skip
    lines += ["", "## Values", "", *_prose(inspect.getdoc(encoding) or "")]
    lines += ["", "## Metadata", "", "Any further key is a caller's own. These have a meaning:", ""]
    lines += ["| key | meaning |", "|---|---|"]
    return "\n".join([*lines, *(f"| `{key.name}` | {_cell(key.meaning)} |" for key in metadata.KEYS.values())])


def _prose(text: str) -> list[str]:
    """Return a docstring as Markdown: its sections become lists below a bold word."""
    found: list[str] = []
    in_section = False
    for line in _plain(text, "\n").splitlines():
        if re.fullmatch(r"(Args|Returns|Raises|Yields|Attributes):", line):
            found += ["", f"**{line}**", ""]
            in_section = True
        elif in_section and (item := re.match(r"    (\S[^:]*): (.*)", line)):
            found.append(f"* `{item[1].strip('`')}`: {item[2]}")
        else:
            in_section = in_section and (not line or line.startswith(" "))
            found.append(line)
    return found


def _plain(text: str, joint: str = " ") -> str:
    """Return the text of a docstring without the marks of reStructuredText."""
    text = _ROLE.sub(r"`\1`", text).replace("``", "`")
    return text if joint == "\n" else " ".join(text.split())


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


PAGES: Final[Mapping[str, Callable[[Words], str]]] = {
    "commands.md": command_page,
    "settings.md": settings_page,
    "http.md": http_page,
    "python.md": python_page,
    "errors.md": error_page,
    "json-files.md": format_page,
}
"""The pages by their file names, in the order of the menu."""
