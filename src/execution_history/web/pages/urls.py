"""The addresses of all pages. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

OVERVIEW: Final = "/"
RUNS: Final = "/runs"
CHARTS: Final = "/charts"
PRICES: Final = "/prices"
REDACTION: Final = "/redaction"
PRICE_VERSIONS: Final = "/prices/versions"
RECALCULATION: Final = "/prices/recalculation"
RETENTION: Final = "/storage"
BIN: Final = "/bin"
SYSTEM: Final = "/system"
COMPARE: Final = "/compare"
PREFERENCES: Final = "/preferences"
SWITCHER: Final = "/switcher"
INDEXING: Final = "/indexing"
ACT: Final = "/runs/act"
CHOSEN: Final = "/runs/chosen"
CHANGE: Final = "/runs/change"
UNDO: Final = "/runs/change/undo"
STOP: Final = "/runs/change/stop"
RESUME: Final = "/runs/change/resume"
CHANGES: Final = "/runs/changes"
VIEWS: Final = "/views"
EXPORT: Final = "/coze/export"
START: Final = "/run"
SIGN_IN: Final = "/sign-in"
SIGN_OUT: Final = "/sign-out"
KEYS: Final = "/keys"
AUDIT: Final = "/audit"
AUDIT_EXPORT: Final = "/coze/audit/export"
DEMO: Final = "/demo"
DEMO_LEFT: Final = "/demo/leave"


def segment(text: str) -> str:
    """Return any text as one segment of a path; only ``.`` and ``..`` cannot be one: browsers resolve them."""
    return quote(text, safe="")


def workflow(workflow_id: str) -> str:
    """Return the address of the page of a workflow."""
    return f"/workflows/{segment(workflow_id)}"


def naming(workflow_id: str) -> str:
    """Return the address of the form that names a workflow."""
    return f"{workflow(workflow_id)}/name"


def runs(workflow_id: str | None) -> str:
    """Return the address of the runs of a workflow, or of all."""
    return RUNS if workflow_id is None else f"{workflow(workflow_id)}/runs"


def nodes(workflow_id: str, window: str = "") -> str:
    """Return the address of the nodes of a workflow over its runs."""
    return with_query(f"{workflow(workflow_id)}/nodes", {"window": window})


def last_runs(workflow_id: str) -> str:
    """Return the address of the last runs of a workflow as the overview shows them."""
    return f"{workflow(workflow_id)}/last-runs"


def start(workflow_id: str) -> str:
    """Return the address of the form that runs a workflow."""
    return f"{workflow(workflow_id)}/run"


def run(workflow_id: str, execute_id: str) -> str:
    """Return the address of the page of one run."""
    return f"{runs(workflow_id)}/{segment(execute_id)}"


def view(view_id: str) -> str:
    """Return the address to which changes of a saved view are sent."""
    return f"{VIEWS}/{segment(view_id)}"


def part(workflow_id: str, execute_id: str, pointer: str, start: int = 0) -> str:
    """Return the address of a part of a run's record, from child or character number *start* on."""
    query: dict[str, str | int] = {"at": pointer}
    if start:
        query["from"] = start
    return f"{run(workflow_id, execute_id)}/value?{urlencode(query)}"


def record(workflow_id: str, execute_id: str) -> str:
    """Return the address of the record in the API."""
    return f"/coze{workflow(workflow_id)}/history/{segment(execute_id)}"


def with_query(path: str, parameters: Mapping[str, str | int | None]) -> str:
    """Return *path* with those of the *parameters* that have a value."""
    present = {name: value for name, value in parameters.items() if value not in (None, "")}
    return f"{path}?{urlencode(present)}" if present else path


def compare(keys: Sequence[str], baseline: int | None = None, back: str = "") -> str:
    """Return the address that compares the runs that *keys* name, with a link to the list at *back*.

    *baseline* is the number, from 1, of the one that the others are compared with; ``None``: the oldest.
    """
    pairs = [*(("run", key) for key in keys), *([] if baseline is None else [("baseline", str(baseline))])]
    return f"{COMPARE}?{urlencode([*pairs, *([('back', back)] if back else [])])}"


def key_of(workflow_id: str, execute_id: str) -> str:
    """Return a run as one value of a form or a query: ``workflow/execution``, both percent-encoded."""
    return f"{segment(workflow_id)}/{segment(execute_id)}"


def run_of(key: str) -> tuple[str, str]:
    """Return the workflow id and the execute id that *key* names; empty ones where it names none."""
    workflow_id, _, execute_id = key.partition("/")
    return unquote(workflow_id), unquote(execute_id)


def and_query(address: str, name: str, value: str) -> str:
    """Return *address* with one query parameter set to *value*, or without it when that is empty."""
    path, _, query = address.partition("?")
    pairs = [pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] != name]
    pairs += [(name, value)] if value else []
    return f"{path}?{urlencode(pairs)}" if pairs else path


def own(address: str) -> str:
    """Return *address* when it is a path of this server, else the overview: a form must not redirect elsewhere."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return OVERVIEW
    is_path = address.startswith("/") and not address.startswith(("//", "/\\"))
    is_clean = address.isascii() and address.isprintable() and "\\" not in address
    return address if is_path and is_clean and not parts.scheme and not parts.netloc else OVERVIEW
