"""Where the pages are: every address of them is made here. Pure."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

OVERVIEW: Final = "/"
RUNS: Final = "/runs"
COMPARE: Final = "/compare"
PREFERENCES: Final = "/preferences"
SWITCHER: Final = "/switcher"


def segment(text: str) -> str:
    """Any text as one segment of a path; only ``.`` and ``..`` have none: browsers resolve them."""
    return quote(text, safe="")


def workflow(workflow_id: str) -> str:
    """The page of a workflow."""
    return f"/workflows/{segment(workflow_id)}"


def runs(workflow_id: str | None) -> str:
    """The runs of a workflow, or of all."""
    return RUNS if workflow_id is None else f"{workflow(workflow_id)}/runs"


def run(workflow_id: str, execute_id: str) -> str:
    """The page of one run."""
    return f"{runs(workflow_id)}/{segment(execute_id)}"


def part(workflow_id: str, execute_id: str, pointer: str, start: int = 0) -> str:
    """The page of a part of a run's record, from child or character number *start* on."""
    query: dict[str, str | int] = {"at": pointer}
    if start:
        query["from"] = start
    return f"{run(workflow_id, execute_id)}/value?{urlencode(query)}"


def record(workflow_id: str, execute_id: str) -> str:
    """The record as the API gives it."""
    return f"/coze{workflow(workflow_id)}/history/{segment(execute_id)}"


def with_query(path: str, parameters: Mapping[str, str | int | None]) -> str:
    """*path* with those of the *parameters* that have a value."""
    given = {name: value for name, value in parameters.items() if value not in (None, "")}
    return f"{path}?{urlencode(given)}" if given else path


def own(address: str) -> str:
    """*address* when it is a path of this server, else the overview: a form may not send anybody elsewhere."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return OVERVIEW
    is_path = address.startswith("/") and not address.startswith(("//", "/\\"))
    is_clean = address.isascii() and address.isprintable() and "\\" not in address
    return address if is_path and is_clean and not parts.scheme and not parts.netloc else OVERVIEW


def web_link(address: object) -> str | None:
    """*address* when a browser may be sent there: an absolute one of HTTP, whatever a run's record claims."""
    if not isinstance(address, str) or not address.isprintable():
        return None
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    return address if parts.scheme.lower() in {"http", "https"} and parts.hostname else None
