"""The table of metrics: well-formed, documented, and free of cost where nobody asks."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from execution_history.metrics import METRICS, Metric

_ROOT = Path(__file__).parents[1]
_SERIES = ("_bucket", "_sum", "_count")
_TARGET = {"job", "instance"}
_SELECTOR = re.compile(r"(execution_history_\w+){([^}]*)}")


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("metrics_script", _ROOT / "scripts" / "metrics.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_documentation_has_the_tables_of_today() -> None:
    """``python scripts/metrics.py update`` writes them."""
    script = _script()
    page = script.PAGE.read_text("utf-8")
    assert page == script.current(page)


def test_a_page_that_lacks_a_metric_is_found() -> None:
    """Also where a sentence was changed by hand."""
    script = _script()
    page = script.PAGE.read_text("utf-8")
    assert page != page.replace(METRICS[0].help_text, "Something else.") != script.current(page)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_metric_follows_the_conventions(metric: Metric) -> None:
    """Its prefix, a counter's ending, a sentence, and no label that could have a value for each run or caller."""
    assert re.fullmatch(r"execution_history_[a-z0-9]+(_[a-z0-9]+)*", metric.name)
    assert (metric.kind == "counter") == metric.name.endswith("_total")
    assert metric.help_text.endswith(".")
    assert not {"id", "job", "instance", "workflow", "execute_id", "account", "path", "error", "user"} & set(
        metric.labels
    )
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert (metric.kind == "histogram") == bool(metric.buckets)


_EXEMPT = {
    "execution_history_process_max_fds",
    "execution_history_process_virtual_memory_bytes",
    "execution_history_tls_certificate_expires_timestamp_seconds",
}
"""Metrics that the dashboard does without."""


def _expressions() -> list[str]:
    dashboard = json.loads((_ROOT / "docs/grafana/execution-history.json").read_text("utf-8"))
    return [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]


def _known(name: str) -> Metric | None:
    """The metric that a name in an expression is of; a histogram has three series."""
    for metric in METRICS:
        series = [metric.name + end for end in _SERIES] if metric.kind == "histogram" else [metric.name]
        if name in series:
            return metric
    return None


def test_the_dashboard_names_metrics_and_labels_that_there_are() -> None:
    """Each expression; labels of the target are Prometheus's own."""
    for expression in _expressions():
        selected = _SELECTOR.findall(expression)
        names = {name for name, _ in selected}
        assert names == set(re.findall(r"execution_history_\w+", expression)), expression
        known = [_known(name) for name in names]
        labels = {label for metric in known if metric is not None for label in metric.labels} | _TARGET
        used = {label for _, matchers in selected for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers)}
        used |= {label.strip() for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(",")}
        assert names, expression
        assert None not in known, expression
        assert used <= labels | {"le"}, expression
        assert expression.count("(") == expression.count(")")
        is_rated = bool(re.search(r"\b(?:rate|increase)\(", expression))
        assert is_rated == any(m.kind != "gauge" and "start_time" not in m.name for m in known if m), expression


def test_the_dashboard_shows_every_metric() -> None:
    """But for those that are exempt."""
    shown = {metric.name for text in _expressions() for name, _ in _SELECTOR.findall(text) if (metric := _known(name))}
    assert {metric.name for metric in METRICS} == shown | _EXEMPT


def test_the_dashboard_has_legends_of_labels_that_its_expressions_keep() -> None:
    """A legend of a label that was summed away shows nothing."""
    dashboard = json.loads((_ROOT / "docs/grafana/execution-history.json").read_text("utf-8"))
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            kept = {
                label.strip() for group in re.findall(r"by \(([^)]*)\)", target["expr"]) for label in group.split(",")
            }
            named = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            assert named <= kept | ({"instance"} if " by " not in target["expr"] else set()), target


def test_no_name_stands_twice() -> None:
    """In the whole table."""
    assert len(METRICS) == len({metric.name for metric in METRICS})


def test_who_serves_no_metrics_loads_no_library_for_them() -> None:
    """Counting does nothing then."""
    program = (
        "import sys; from execution_history import metrics; metrics.RUNS_BEGUN.count(); "
        "metrics.COMMIT_SECONDS.observe(1); assert 'prometheus_client' not in sys.modules; "
        "metrics.registry(); metrics.RUNS_BEGUN.count(); metrics.RUNS_ENDED.count(2, 'failed'); "
        "get = metrics.registry().get_sample_value; "
        "print(get('execution_history_runs_begun_total'), "
        "get('execution_history_runs_ended_total', {'status': 'failed'}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert "1.0 2.0\n" == done.stdout
