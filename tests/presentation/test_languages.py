"""The catalogues are complete, and a language is added in four steps."""

import ast
import importlib.util
import re
import sys
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest

from execution_history import errors
from execution_history.cli import main
from execution_history.presentation.translator import Languages
from execution_history.web.pages.templates import Renderer
from execution_history.web.pages.viewer import viewer_of
from execution_history.web.route_scopes import may

pytest.importorskip("babel")


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """The script that keeps the catalogues."""
    path = Path(__file__).parents[2] / "scripts" / "languages.py"
    spec = importlib.util.spec_from_file_location("languages_script", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_a_language_is_added_in_four_steps(
    tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Begin its catalogue, translate, check, and it is there: for the command line, the browser and the page."""
    file: Path = tool.add(tmp_path, "eo")  # Esperanto: gettext knows its plural forms, and we have no catalogue of it

    catalog = tool.read(file)
    for message in catalog:
        if message.id:
            forms = [message.id] if isinstance(message.id, str) else list(message.id)
            shouted = [
                re.sub(r"(%\(\w+\)s|\{\w*\}|\[/?blue\]|%%)|(.)", _shouted, form, flags=re.DOTALL) for form in forms
            ]
            message.string = shouted[0] if isinstance(message.id, str) else tuple(shouted)
    catalog["English"].string = "ESPERANTO"
    tool.write(file, catalog)

    assert 0 == tool.check(tmp_path)

    languages = Languages(tmp_path)
    assert ("en", "eo") == languages.names
    monkeypatch.setenv("LC_ALL", "eo.UTF-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["list"], languages)
    assert "NO RUNS ARE RECORDED IN data/execution_history YET." in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["show", "nobody-at-all"], languages)
    assert "ERROR: THERE IS NO RUN 'nobody-at-all' IN" in capsys.readouterr().err
    viewer = viewer_of({}, "eo", 0, languages)
    view = {
        "viewer": viewer,
        "principal": None,
        "may": partial(may, None),
        "here": "/",
        "has_demo": False,
        "base": "http://h",
        "trial": None,
        "trial_token": None,
        "has_account": True,
    }
    page = Renderer(languages).text("empty.html", view)
    assert '<html lang="eo"' in page
    assert "NO RUNS HERE" in page
    assert ">English</button>" in page


def _shouted(found: "re.Match[str]") -> str:
    return found[1] or found[2].upper()


def test_the_check_fails_on_what_is_missing_fuzzy_stale_or_malformed(tool: ModuleType, tmp_path: Path) -> None:
    """Each is named, with its language."""
    file: Path = tool.add(tmp_path, "eo")
    catalog = tool.read(file)
    catalog["No runs here"].string = "Neniu"
    catalog["No runs here"].flags.add("fuzzy")
    catalog["Page %(page)s of %(pages)s"].string = "Paĝo %(pages)s"
    catalog.add("Nobody says this.", "Neniu diras tion.")
    tool.write(file, catalog)
    found = list(tool.problems(file, tool.extracted()))
    assert "fuzzy: 'No runs here'" in found
    assert "stale: 'Nobody says this.'" in found
    assert "missing: 'All runs'" in found
    assert "placeholder %(page)s is missing: 'Page %(page)s of %(pages)s'" in found


def test_every_language_is_complete(tool: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """What `./scripts/test` checks."""
    assert (0, "") == (tool.check(tool._LOCALE), capsys.readouterr().err)


def test_no_error_is_put_together_before_it_can_be_translated() -> None:
    """Each has a msgid with placeholders and its arguments, never a finished sentence."""
    kinds = {name for name, each in vars(errors).items() if isinstance(each, type)}
    source = Path(errors.__file__).parent
    found = [
        f"{path.relative_to(source)}:{node.lineno}"
        for path in sorted(source.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and node.args
        and isinstance(node.args[0], ast.JoinedStr)
        and getattr(node.func, "id", getattr(node.func, "attr", "")) in kinds
    ]
    assert [] == found
