"""Build the documentation as a site in both languages: ``python -m scripts.make_site site``.

Each language is a tree of Markdown of its own, laid out in a temporary folder: the pages of ``docs/``, those of the
checkout that concern readers, and the reference that :mod:`scripts.make_reference` makes. The Chinese tree has the
pages of ``docs/zh/`` in the places of the English ones; what has no translation is there in English, and says so.
Zensical renders them, and refuses links that lead nowhere; then the result is looked through for what a browser would
load from elsewhere.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from scripts.make_reference import PAGES, WORDS

ROOT: Final = Path(__file__).resolve().parents[1]
DOCS: Final = ROOT / "docs"
_CHINESE: Final = DOCS / "zh"
_REFERENCE: Final = "reference"
_MADE_FROM: Final = {
    f"src/execution_history/{path}": f"{_REFERENCE}/{page}"
    for path, page in {
        "cli": "commands.md",
        "settings/model.py": "settings.md",
        "web/api": "http.md",
        "__init__.py": "python.md",
        "errors.py": "errors.md",
        "stores/jsonfiles": "json-files.md",
    }.items()
}
"""The pages of the reference by the code that they are made from, to which links lead in a checkout."""

_TAKEN_IN: Final = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md", "SECURITY.md": "report.md"}
"""Pages that stand at the top of the checkout, and their names in the site."""

_DECISIONS: Final = "decisions/README.md"
_DECISION_TITLES: Final = ("Decisions", "设计决定")

_MENU: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("Start", "入门"): ("index.md", "tutorial.md", "install.md", "sandbox.md"),
    ("How to", "操作指南"): (
        "gateway.md",
        "python.md",
        "accounts.md",
        "find.md",
        "command-line.md",
        "http.md",
        "export.md",
        "postgresql.md",
        "*",
    ),
    ("Operate", "运维"): (
        "deploy.md",
        "storage.md",
        "retention.md",
        "backup.md",
        "redaction.md",
        "security.md",
        "observability.md",
        "upgrading.md",
        "citus.md",
    ),
    ("Reference", "参考"): (*(f"{_REFERENCE}/{name}" for name in PAGES), "what-is-recorded.md", "performance.md"),
    ("Why", "原理"): ("architecture.md", _DECISIONS, "changelog.md", "contributing.md", "report.md"),
}
"""The sections with their pages in both languages' order; ``*`` is where pages stand that no section names."""

_LANGUAGES: Final = {"en": "English", "zh": "中文"}
_NOT_TRANSLATED: Final = '!!! note "说明"\n\n    本页暂无中文版，以下为英文原文。\n'
_LINK: Final = re.compile(r"(?P<text>!?\[(?:[^\[\]]|\[[^\]]*\])*\])\((?P<target>[^)\s#:]+)(?P<anchor>#[^)\s]*)?\)")
_LIST_AFTER_TEXT: Final = re.compile(r"^(?![ ]*(?:[*-]|\d+\.) )(\S[^\n]*)\n(?=(?:[*-]|\d+\.) )", re.MULTILINE)
_LINE_WITHIN_CHINESE: Final = re.compile(
    r"(?<=[，。；：、！？）”])\n *(?=[^\s|#>*<\d-])|(?<=[\u4e00-\u9fff])\n *(?=[\u4e00-\u9fff（“])"
)
"""The end of a line that a browser would show as a space, where Chinese has none."""

_FENCED: Final = re.compile(r"^(```.*?^```)", re.DOTALL | re.MULTILINE)


def lay_out(language: str, folder: Path) -> None:
    """Write the Markdown of one language into *folder*."""
    for source in sorted(DOCS.rglob("*")):
        if source.is_file() and not source.is_relative_to(_CHINESE):
            _place(source, folder / source.relative_to(DOCS), language)
    if language == "zh":
        for source in sorted(_CHINESE.glob("*.md")):
            _place(source, folder / source.name, language)
    for name, placed in _TAKEN_IN.items():
        _place(ROOT / name, folder / placed, language)
    reference = folder / _REFERENCE
    reference.mkdir()
    for name, page in PAGES.items():
        translated = _CHINESE / _REFERENCE / name
        if language == "zh" and translated.exists():
            _place(translated, reference / name, language)
        else:
            reference.joinpath(name).write_text(page(WORDS[language]) + "\n", "utf-8")


def _place(source: Path, target: Path, language: str) -> None:
    """Write a page, or its translation, with its links as they are in the site; other files are copied."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix != ".md":
        shutil.copy(source, target)
        return
    note = ""
    if language == "zh" and not source.is_relative_to(_CHINESE):
        translated = _CHINESE / source.relative_to(DOCS) if source.is_relative_to(DOCS) else _CHINESE / target.name
        source, note = (translated, "") if translated.exists() else (source, _NOT_TRANSLATED)
    text = _as_rendered(source.read_text("utf-8"), source)
    head, _, rest = text.partition("\n")
    target.write_text(f"{head}\n\n{note}{rest}" if note else text, "utf-8")


def _as_rendered(text: str, source: Path) -> str:
    """Return a page as the site reads Markdown: an empty line before each list, and links to places in the site.

    Lines of Chinese are joined without a space.
    """
    pieces = _FENCED.split(text)
    for index in range(0, len(pieces), 2):
        piece = _LINE_WITHIN_CHINESE.sub("", pieces[index]) if source.is_relative_to(_CHINESE) else pieces[index]
        piece = _LIST_AFTER_TEXT.sub(r"\1\n\n", piece)
        pieces[index] = _LINK.sub(lambda found: _link(found, source), piece)
    return "".join(pieces)


def _link(found: re.Match[str], source: Path) -> str:
    """Return a link as it is in the site; one to a file of the checkout that the site has not is only its words."""
    place = (source.parent / found["target"]).resolve()
    here = _in_site(source)
    there = _in_site(place)
    if there is None or here is None:
        return found["text"].removeprefix("[").removesuffix("]")
    return f"{found['text']}({os.path.relpath(there, here.parent)}{found['anchor'] or ''})"


def _in_site(place: Path) -> Path | None:
    """Return where a file of the checkout is in the site; None where it is not."""
    if place.is_relative_to(_CHINESE):
        return place.relative_to(_CHINESE)
    if place.is_relative_to(DOCS):
        return place.relative_to(DOCS)
    if not place.is_relative_to(ROOT):
        return None
    path = place.relative_to(ROOT).as_posix()
    name = _TAKEN_IN.get(path) or _MADE_FROM.get(path)
    return Path(name) if name else None


def _menu(language: str, folder: Path) -> list[dict[str, list[Any]]]:
    """Return the sections and their pages, those that are there; what no section names stands where the ``*`` is."""
    number = list(_LANGUAGES).index(language)
    named = {page for pages in _MENU.values() for page in pages}
    others = sorted(path.name for path in folder.glob("*.md") if path.name not in named)
    decisions = sorted(path.relative_to(folder).as_posix() for path in folder.glob("decisions/0*.md"))
    sections = []
    for titles, pages in _MENU.items():
        names = [other for page in pages for other in (others if page == "*" else [page])]
        found: list[Any] = [name for name in names if (folder / name).exists()]
        if decisions and _DECISIONS in found:
            found[found.index(_DECISIONS)] = {_DECISION_TITLES[number]: [_DECISIONS, *decisions]}
        sections.append({titles[number]: found})
    return sections


def configuration(language: str, folder: Path) -> dict[str, Any]:
    """Return the settings of Zensical for one language, whose pages are in *folder*; it loads no fonts."""
    home = "./" if language == "en" else "../"
    schemes = {"light": "default", "dark": "slate"}
    return {
        "site_name": "execution-history",
        "docs_dir": folder.name,
        "site_dir": "site",
        "use_directory_urls": False,
        "nav": _menu(language, folder),
        "theme": {
            "language": language,
            "font": False,
            "features": ["navigation.sections", "navigation.top", "content.code.copy", "toc.follow"],
            "palette": [
                {"media": f"(prefers-color-scheme: {media})", "scheme": scheme} for media, scheme in schemes.items()
            ],
        },
        "plugins": {"search": {}},
        "extra": {
            "generator": False,
            "alternate": [
                {"name": name, "lang": lang, "link": home if lang == "en" else f"{home}zh/"}
                for lang, name in _LANGUAGES.items()
            ],
        },
    }


def build(site: Path) -> None:
    """Make the site of all languages in the folder *site*, of which nothing else stays.

    Raises:
        subprocess.CalledProcessError: a link leads nowhere, or Zensical failed otherwise; it has said why.
    """
    shutil.rmtree(site, ignore_errors=True)
    for language in _LANGUAGES:
        with tempfile.TemporaryDirectory() as folder:
            pages = Path(folder, "docs")
            pages.mkdir()
            lay_out(language, pages)
            render(language, pages, site if language == "en" else site / language)


def render(language: str, pages: Path, site: Path) -> None:
    """Make the pages of one language, which the folder *pages* has as Markdown, in the folder *site*.

    Zensical makes a site beside its configuration only, and that beside the pages.

    Raises:
        subprocess.CalledProcessError: as above.
    """
    config = pages.parent / "mkdocs.yml"
    config.write_text(json.dumps(configuration(language, pages)), "utf-8")  # JSON is YAML
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--config-file", str(config)]
    subprocess.run(command, check=True, cwd=pages.parent)
    shutil.copytree(pages.parent / "site", site)


class _Loaded(HTMLParser):
    """Collects what a browser loads for a page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the addresses of scripts, pictures, style sheets and frames."""
        values = dict(attrs)
        address = values.get("src") or (values.get("href") if tag == "link" else None)
        if address:
            self.addresses.append(address)


def from_elsewhere(site: Path) -> Iterator[str]:
    """Yield what pages and style sheets of *site* load from another host."""
    for path in site.rglob("*.html"):
        loaded = _Loaded()
        loaded.feed(path.read_text("utf-8"))
        yield from (f"{path.name}: {each}" for each in loaded.addresses if urlsplit(each).netloc)
    for path in site.rglob("*.css"):
        found = re.findall(r"(?:url\(|@import )[\"']?((?:https?:)?//[^\"')]+)", path.read_text("utf-8"))
        yield from (f"{path.name}: {each}" for each in found)


def main() -> None:
    """Build the site into the folder that the command line names, and end with 1 where it is not whole by itself."""
    site = Path(sys.argv[1])
    build(site)
    if elsewhere := sorted(set(from_elsewhere(site))):
        sys.exit("The site loads from elsewhere: " + ", ".join(elsewhere))
    print(f"{site}/index.html and {site}/zh/index.html: {len(list(site.rglob('*.html')))} pages.")


if __name__ == "__main__":
    main()
