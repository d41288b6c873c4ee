"""What the package asks for and what is tested are the same versions."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

_ROOT = Path(__file__).parents[1]
_PROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def _pins(name: str) -> dict[str, Version]:
    """Return the versions that a file of constraints names."""
    lines = (_ROOT / name).read_text("utf-8").splitlines()
    pins = (line.partition("==") for line in lines if not line.startswith("#"))
    return {re.sub("[-_.]+", "-", package).lower(): Version(version) for package, _, version in pins}


def _asked_for(*extras: str) -> dict[str, Requirement]:
    """Return what the package depends on, by name."""
    groups = [_PROJECT["dependencies"], *(_PROJECT["optional-dependencies"][extra] for extra in extras)]
    requirements = [Requirement(text) for group in groups for text in group]
    return {each.name.lower(): each for each in requirements if each.name != _PROJECT["name"]}


def test_the_oldest_versions_that_are_tested_are_the_oldest_that_are_allowed() -> None:
    """A lower bound that is raised, or lowered, is so in constraints-oldest.txt too."""
    pins = _pins("constraints-oldest.txt")
    bounds = {
        name: str(each.specifier).removeprefix(">=")
        for name, each in _asked_for("otel", "parquet", "postgres", "s3").items()
    }
    assert {name: Version(bound) for name, bound in bounds.items()} == {name: pins[name] for name in bounds}


@pytest.mark.parametrize("name", ["constraints.txt", "constraints-oldest.txt"])
def test_every_version_that_is_tested_is_allowed(name: str) -> None:
    """The pins name each dependency, those of the tools too, in a version that pyproject.toml allows."""
    pins = _pins(name)
    tools = ("test", "docs", "dev", "release", "fuzz") if name == "constraints.txt" else ()
    asked_for = _asked_for("otel", "parquet", "postgres", "s3", *tools)
    assert set() == asked_for.keys() - pins.keys()
    assert [] == [package for package, each in asked_for.items() if pins[package] not in each.specifier]


@pytest.mark.parametrize("name", ["constraints.txt", "constraints-oldest.txt"])
def test_pins_are_names_and_versions_only(name: str) -> None:
    """No address of an index, no path."""
    lines = (_ROOT / name).read_text("utf-8").splitlines()
    assert [] == [line for line in lines if not re.fullmatch(r"#.*|[A-Za-z0-9_.-]+==[0-9a-z.]+", line)]


@pytest.mark.parametrize("page", ["docs/install.md", "docs/zh/install.md"])
def test_the_documentation_names_every_extra_of_users(page: str) -> None:
    """Those that only people who work on the package need are not for it."""
    extras = _PROJECT["optional-dependencies"].keys() - {"bench", "dev", "docs", "fuzz", "release", "test"}
    named = re.findall(r"^\| `(\w+)` \|", (_ROOT / page).read_text("utf-8"), re.MULTILINE)
    assert extras == set(named)
