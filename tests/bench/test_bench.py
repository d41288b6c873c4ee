"""The bench runs, and what it writes is what documents and comparisons are made of."""

import platform
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from bench import documents
from bench.figures import Figure, Goal, Measure, Results, Sample, figures_of
from bench.render import comparison, markdown, terminal

_ROOT = Path(__file__).parents[2]
_RECORDED = _ROOT / "docs" / "performance.json"


def _bench(*arguments: str) -> str:
    command = [sys.executable, "-m", "bench", *arguments]
    ended = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert 0 == ended.returncode, ended.stderr
    return ended.stdout


def _figures(code: str, *samples: Sample) -> list[Figure]:
    measures = (
        Measure("ours", "/s", "bare", Goal(of="ratio", at_least=2.0)),
        Measure("ours", "/s", "skipped"),
        Measure("late", "ms", "bare", Goal(of="difference", at_most=1.0)),
    )
    return list(figures_of("part", measures, samples, code))


@pytest.mark.skipif(sys.platform != "linux", reason="the bench needs Linux")
def test_a_quick_run_writes_its_figures_with_the_machine_and_compares_with_another(tmp_path: Path) -> None:
    """Every figure has the fields that the document names; of the folder and the kernel nothing stays."""
    saved, folder = tmp_path / "results.json", tmp_path / "work"
    folder.mkdir()
    _bench("write", "--quick", "--sync", "real", "--folder", str(folder), "--save", str(saved))
    found = orjson.loads(saved.read_bytes())
    assert {"schema", "run", "date", "commit", "changed", "machine", "figures", "remarks"} == set(found)
    described = (_ROOT / "docs" / "performance.md").read_text("utf-8")
    fields = {name for each in (found, found["machine"], *found["figures"]) for name in each}
    assert [] == sorted(name for name in fields if f"`{name}`" not in described)
    assert {"write"} == {figure["part"] for figure in found["figures"]}
    assert [] == list(folder.iterdir())
    assert [] == [name for name in (str(tmp_path), platform.release()) if name in saved.read_text("utf-8")]
    assert found["machine"]["folder"] in {"memory", "disk"}
    other = tmp_path / "other.json"
    other.write_bytes(orjson.dumps({**found, "run": "another"}))
    assert " 1.00 ×" in _bench("compare", str(saved), str(other))


def test_a_ratio_is_that_of_contestants_within_a_round() -> None:
    """A slow round of both changes nothing, and a checkout only meets its own samples and what all share."""
    rounds = [(300, 100), (30, 10), (320, 100)]
    samples = [Sample("ours", float(mine), 5.0, "here") for mine, _ in rounds]
    samples += [Sample("bare", float(theirs), 2.0) for _, theirs in rounds]
    samples += [Sample("ours", 1.0, 1.0, "elsewhere")]
    (figure,) = _figures("here", *samples)
    assert (300, (30, 320), 3.0, (3.0, 3.2)) == (figure.value, figure.spread, figure.ratio, figure.ratio_spread)
    assert (2.5, True) == (figure.cpu_ratio, figure.met)


def test_a_figure_stands_alone_where_nothing_that_it_is_compared_with_took_part() -> None:
    """It appears once, and a goal on a ratio is neither met nor missed."""
    (figure,) = _figures("here", Sample("ours", 4.0, code="here"))
    assert (4.0, None, None) == (figure.value, figure.beside, figure.met)


def test_a_difference_can_have_a_goal() -> None:
    """It is that of the medians."""
    (figure,) = _figures("here", Sample("late", 4.5, code="here"), Sample("bare", 3.0))
    assert figure.met is False
    assert "+1.50 ms" in "\n".join(terminal([figure]))


def test_a_part_that_is_measured_again_replaces_only_itself_in_a_file(tmp_path: Path) -> None:
    """What stays says at which commit it was measured."""
    path = tmp_path / "results.json"
    for part, commit, rate in (("write", "a" * 40, 1.0), ("read", "b" * 40, 2.0), ("read", "b" * 40, 3.0)):
        figures = figures_of(part, (Measure("ours", "/s"),), [Sample("ours", rate)], "")
        Results({"commit": commit, "date": "2026-11-29T20:00:00+00:00"}, list(figures), []).add_to(path)
    found = Results.load(path)
    assert [("write", 1.0), ("read", 3.0)] == [(figure.part, figure.value) for figure in found.figures]
    assert ["At commit aaaaaaaa, 2026-11-29: write."] == found.remarks


def test_two_checkouts_that_took_turns_are_compared_round_by_round() -> None:
    """The slower machine of the second round is no difference between them."""
    about = {"run": "one", "machine": {}}
    old, new = (
        Results(about, _figures(code, *(Sample("ours", rate, code=code) for rate in rates), Sample("bare", 1.0)), [])
        for code, rates in (("old", (100.0, 10.0)), ("new", (200.0, 20.0)))
    )
    (line,) = list(comparison(old, new))[1:]
    assert ["2.00", "×", "2.00–2.00", "better"] == line.split()[-4:]


@pytest.mark.skipif(not _RECORDED.exists(), reason="no results are kept yet")
def test_documents_show_the_figures_that_are_kept() -> None:
    """``python -m bench table docs/performance.json --write`` has been run since the file changed."""
    results = Results.load(_RECORDED)
    for path, language in (("README.md", "en"), ("README.zh-CN.md", "zh")):
        assert "\n".join(documents.short(results, language)) == documents.shown(_ROOT / path, "README")
    assert "\n".join(markdown(results)) == documents.shown(_ROOT / "docs/performance.md", "all")
