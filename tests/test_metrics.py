"""The table of metrics: well-formed, documented, and free of cost where nobody asks."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from execution_history.metrics import METRICS, Metric

_ROOT = Path(__file__).parents[1]
_UNITS = ("_total", "_seconds", "_bytes")


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
    assert not {"id", "workflow", "execute_id", "account", "path", "error", "user"} & set(metric.labels)
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert (metric.kind == "histogram") == bool(metric.buckets)


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
