"""What the upstreams call workflows, in answers that are about them (coze-protocol 1.10, 6). Pure.

| answer | where the names are |
|---|---|
| ``GET /v1/workflows`` | ``data.items[]``: ``workflow_id``, ``workflow_name``, ``description`` |
| ``GET /v1/workflows/{id}`` | ``data.workflow_detail``, the same |
| the same of Coze Studio | ``data.role``: ``workflow_id``, ``name``, ``description`` |
| ``GET /v1/bots/{id}``, ``GET /v1/bot/get_online_info`` | ``data.workflow_info_list[]``: ``id``, ``name`` |
"""

import re
from collections.abc import Iterator
from typing import Any, Final, Literal, NamedTuple

from execution_history.coze.protocol.messages import api_path, is_success, read_body, text

LARGEST_NAMES: Final = 4 * 1024 * 1024
"""Bytes of an answer that are read for names; a page of workflows has some ten thousand."""

Source = Literal["coze", "coze-studio", "bot"]

_PATHS: Final = re.compile(r"/v1/(?:workflows(?:/[^/?]+)?|bots/[^/?]+|bot/get_online_info)/?")


class NamedWorkflow(NamedTuple):
    """An upstream's names of a workflow; texts of any length and content."""

    workflow_id: str
    name: str
    description: str | None


class NamedWorkflows(NamedTuple):
    """The workflows that an answer names, which kind of answer that is, and whether more pages follow."""

    names: tuple[NamedWorkflow, ...] = ()
    source: Source = "coze"
    has_more: bool = False


def may_name(method: str, path: str) -> bool:
    """Return whether the answer to a request may name workflows."""
    return method.upper() == "GET" and _PATHS.fullmatch(api_path(path)) is not None


def read_names(body: bytes, content_type: str | None) -> NamedWorkflows:
    """Return the workflows that an answer names; none where it is another answer. Never raises.

    Args:
        body: the whole body, without its content encoding.
        content_type: the header of that name.
    """
    content = parsed(body, content_type)
    return NamedWorkflows() if content is None or not is_success(content.get("code")) else names_of(content)


def parsed(body: bytes, content_type: str | None) -> dict[str, Any] | None:
    """Return the JSON object in an answer; ``None`` where it has none."""
    try:
        content, _ = read_body(body, content_type)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def names_of(content: dict[str, Any]) -> NamedWorkflows:
    """Return the workflows that an envelope names."""
    data = content.get("data")
    if not isinstance(data, dict):
        return NamedWorkflows()
    found = next(((data[key], source) for key, source in _SOURCES.items() if data.get(key) is not None), None)
    return (
        NamedWorkflows(tuple(_named(found[0])), found[1], data.get("has_more") is True) if found else NamedWorkflows()
    )


_SOURCES: Final[dict[str, Source]] = {
    "items": "coze",
    "workflow_detail": "coze",
    "role": "coze-studio",
    "workflow_info_list": "bot",
}


def _named(value: Any) -> Iterator[NamedWorkflow]:  # noqa: ANN401 - JSON is any of six things
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, dict):
            workflow_id = text(each.get("workflow_id")) or text(each.get("id"))
            name = text(each.get("workflow_name")) or text(each.get("name"))
            if workflow_id and name:
                yield NamedWorkflow(workflow_id, name, text(each.get("description")))
