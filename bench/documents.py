"""The places in documents that are written from a file of results, between two marks."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.figures import Figure, Results
from bench.render import about, amount, beside, compared, markdown
from bench.setup import ROOT

_MARKS: Final = "<!-- figures: {} -->\n", "<!-- end of figures -->"

# The figures that READMEs show: part, name and what it is compared with, and both languages' words for it.
_SHOWN: Final = (
    ("gateway", "run, recording", "run, httpx+Starlette h11", "recorded `run`s through the gateway", "经网关并被记录的 `run`"),
    ("gateway", "stream_run, recording", "stream_run, httpx+Starlette h11", "recorded `stream_run`s", "经网关并被记录的 `stream_run`"),
    ("gateway", "first byte p50, recording", "first byte p50, recording off", "first byte of a stream", "流的首字节"),
    ("write", "64 callers, JSON files", "sqlite3, 50 a commit", "create+finish, 64 callers, JSON files", "创建并结束，64 个调用者，含 JSON 文件"),
    ("write", "64 callers, no files", "sqlite3, 50 a commit", "the same without JSON files", "同上，不含 JSON 文件"),
    ("write", "1 caller, JSON files", "sqlite3, 1 a commit", "one caller, JSON files", "一个调用者，含 JSON 文件"),
    ("read", "first page, 100,000 runs", "first page, 1,000 runs", "first page of 20 at 100,000 runs", "100,000 次运行时的第一页（20 条）"),
    ("read", "opening, 100,000 runs", "opening, 1,000 runs", "opening a history of 100,000 runs", "打开有 100,000 次运行的历史"),
    ("search", "filter, slowest", "no question", "slowest of 23 filters, over HTTP", "23 种筛选中最慢的，经 HTTP"),
    ("search", "text, slowest", "no question", "slowest of 20 text searches, over HTTP", "20 种全文搜索中最慢的，经 HTTP"),
    ("index", "facets", None, "records a second into the index", "每秒进入索引的记录"),
    ("start", "list", "its libraries", "`execution-history list`", "`execution-history list`"),
)  # fmt: skip
_BESIDE_ZH: Final = {
    "httpx+Starlette h11": "httpx + Starlette（h11）",
    "recording off": "不记录时",
    "sqlite3, 50 a commit": "sqlite3，每个事务 50 条",
    "sqlite3, 1 a commit": "sqlite3，每个事务 1 条",
    "1,000 runs": "1,000 次运行时",
    "no question": "/healthz 请求",
    "its libraries": "只导入它的库",
}
_HEADS: Final = {"en": "| | measured | beside, in the same run |", "zh": "| | 测得 | 同一次运行中的对照 |"}


def write(results: Results) -> None:
    """Write the figures into ``docs/performance.md``, its translation, and both READMEs."""
    for path, language in ((ROOT / "README.md", "en"), (ROOT / "README.zh-CN.md", "zh")):
        _replace(path, "README", "\n".join(short(results, language)))
    for path, language in ((ROOT / "docs" / "performance.md", "en"), (ROOT / "docs" / "zh" / "performance.md", "zh")):
        _replace(path, "all", "\n".join(markdown(results, language)))


def _replace(path: Path, name: str, text: str) -> None:
    begin, end = _MARKS[0].format(name), _MARKS[1]
    before, after = path.read_text("utf-8"), f"{begin}{text}\n{end}"
    pattern = re.escape(begin) + ".*?" + re.escape(end)
    path.write_text(re.sub(pattern, lambda _: after, before, flags=re.DOTALL), "utf-8")


def shown(path: Path, name: str) -> str:
    """Return what stands between the marks of a document."""
    begin, end = _MARKS[0].format(name), _MARKS[1]
    return path.read_text("utf-8").partition(begin)[2].partition(f"\n{end}")[0]


def short(results: Results, language: str) -> Iterator[str]:
    """Yield the table of a README, with the date and the machine."""
    by_key = {figure.key: figure for figure in results.figures}
    yield _HEADS[language]
    yield "|---|---|---|"
    for part, name, other, english, chinese in _SHOWN:
        figure = by_key.get((part, name, other))
        if figure is not None:
            yield f"| {english if language == 'en' else chinese} | {amount(figure.value, figure.unit)} | {_ratio(figure, language)} |"
    yield ""
    yield about(results, language)


def _ratio(figure: Figure, language: str) -> str:
    (of, cpu), other = compared(figure), beside(figure)
    if language == "zh":
        other = _BESIDE_ZH.get(other, other)
    if of.endswith("ms"):  # a difference
        return f"{of} over {other}" if language == "en" else f"比{other} {of}"
    return f"{of} {other}" + (f" (CPU {cpu})" if cpu and language == "en" else f"（CPU {cpu}）" if cpu else "")
