"""The documentation as a site: whole, in both languages, made from the code, and with nothing from elsewhere."""

import re
import subprocess
from pathlib import Path

import pytest
from scripts.make_site import DOCS, build, from_elsewhere, render

from execution_history.cli.app import COMMANDS
from execution_history.settings import Settings


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as ``scripts/docs`` makes it; a link or an anchor that leads nowhere would have failed."""
    folder = tmp_path_factory.mktemp("made") / "site"
    build(folder)
    return folder


def test_each_page_is_in_both_languages(site: Path) -> None:
    """In its own words where it is translated, otherwise in English with a note."""
    sources = (path.relative_to(DOCS) for path in DOCS.rglob("*.md") if path.name != "README.md")
    english = {source.with_suffix(".html") for source in sources if source.parts[0] != "zh"}
    assert set() == {page for page in english if not (site / page).exists() or not (site / "zh" / page).exists()}
    assert "第一次运行" in site.joinpath("zh/tutorial.html").read_text("utf-8")
    assert "本页暂无中文版" not in site.joinpath("zh/tutorial.html").read_text("utf-8")
    assert "本页暂无中文版" in site.joinpath("zh/changelog.html").read_text("utf-8")


def _code(text: str) -> str:
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return re.sub(r"\s#.*", "", "\n".join(blocks))  # comments are translated


def _facts(page: Path) -> tuple[int, list[str], set[str], list[str]]:
    """What both languages say alike: headings, commands with their options, names of settings and metrics, figures."""
    text = page.read_text("utf-8")
    headings = len(re.findall(r"^#+ ", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE))
    commands = re.findall(r"(?<=execution-history )[a-z]+|(?<= )--[a-z-]+", _code(text))
    names = (
        set(re.findall(r"\bEXECUTION_HISTORY_[A-Z_]+|\bexecution_history_[a-z_]+", text))
        if page.stem in _NAMED
        else set()
    )
    figures = re.findall(r"\d[\d.,]*", "".join(re.findall(r"^\|.*", text, re.MULTILINE)))
    return headings, commands, names, figures if page.stem == "performance" else []


_NAMED = ("observability", "security", "deploy", "backup")
_PAGES = sorted(path.name for path in DOCS.glob("*.md"))


def test_each_english_page_has_a_chinese_one() -> None:
    """Of the pages for users; decisions are in English."""
    assert sorted(path.name for path in DOCS.joinpath("zh").glob("*.md")) == _PAGES


@pytest.mark.parametrize("name", _PAGES)
def test_a_page_has_the_same_facts_in_both_languages(name: str) -> None:
    """What was changed in one language only is found by what needs no translation."""
    assert _facts(DOCS / name) == _facts(DOCS / "zh" / name)


def test_the_reference_is_what_the_code_has(site: Path) -> None:
    """Every command in both languages, every setting, routes, public names, errors and the keys of a record."""
    for place, word in ((site, "Options"), (site / "zh", "选项")):
        commands = place.joinpath("reference/commands.html").read_text("utf-8")
        assert [] == [name for name in COMMANDS if f'id="{name}"' not in commands]
        assert word in commands
    settings = site.joinpath("reference/settings.html").read_text("utf-8")
    assert [] == [name for name in Settings.model_fields if f"<code>{name}</code>" not in settings]
    for page, name in {
        "http": "GET /coze/history/live",
        "python": "create_execution_record",
        "errors": "StoreTooNew",
        "json-files": "node_execute_status",
    }.items():
        assert name in site.joinpath(f"reference/{page}.html").read_text("utf-8")
    assert " at 0x" not in site.joinpath("reference/python.html").read_text("utf-8")


def test_a_browser_loads_nothing_from_elsewhere(site: Path, tmp_path: Path) -> None:
    """No font, script, style or picture; what would be loaded is found."""
    assert [] == list(from_elsewhere(site))
    tmp_path.joinpath("a.html").write_text('<link href="//fonts.example/a.css"><a href="https://example.com">', "utf-8")
    tmp_path.joinpath("a.css").write_text("a { background: url(https://example.com/a.png) }", "utf-8")
    assert ["a.html: //fonts.example/a.css", "a.css: https://example.com/a.png"] == list(from_elsewhere(tmp_path))


def test_a_link_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    """Also one to a heading that a page does not have."""
    pages = tmp_path / "docs"
    pages.mkdir()
    for number, link in enumerate(("gone.md", "#gone")):
        pages.joinpath("index.md").write_text(f"# A page\n\n[a link]({link})\n", "utf-8")
        with pytest.raises(subprocess.CalledProcessError):
            render("en", pages, tmp_path / f"site{number}")


def test_the_chinese_settings_are_all_of_them() -> None:
    """They are written by hand, in the order of nothing but the reader."""
    named = set(re.findall(r"`(\w+)`", DOCS.joinpath("zh/reference/settings.md").read_text("utf-8")))
    assert set() == Settings.model_fields.keys() - named
