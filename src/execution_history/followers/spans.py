"""A finished run as OpenTelemetry spans: one for the run, one for each node whose time is known.

Names are those of the GenAI semantic conventions (development status; standalone release 0.1 and, for what that has
renamed, 1.41 as well). Ids are made from the ids of the record, so that a run that is sent twice is the same trace.
Without contents nothing of a run's input, output or messages is in a span, nor the message of an error.
"""

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from importlib.metadata import version
from typing import Any, Final, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from execution_history.records.attributes import RunAttributes, attributes_of
from execution_history.records.encoding import as_text, encode
from execution_history.records.metadata import PARENT, PROOF, ROOT, TRACEPARENT
from execution_history.records.origin import is_function
from execution_history.records.timeline import Node, nodes_of
from execution_history.records.usage import Usage, usage_of

_OURS: Final = "execution_history."
_LONGEST_CONTENT: Final = 32_768
_MS: Final = 1_000_000


class RunPlace(NamedTuple):
    """Where a run stands among others: its trace, the span around it, and a run that it is linked to."""

    trace_id: bytes
    parent_id: bytes = b""
    linked: tuple[bytes, bytes] | None = None


def request_of(records: list[tuple[Mapping[str, Any], RunPlace, str]], *, has_contents: bool) -> bytes:
    """Return the body of a request that sends runs.

    Args:
        records: parsed records, each with its place and the name of its workflow.
        has_contents: whether inputs, outputs and messages are in it.
    """
    spans = [span for each in records for span in _spans(*each, has_contents=has_contents)]
    scope = InstrumentationScope(name="execution-history", version=version("execution-history"))
    about = {"service.name": "execution-history", "service.version": version("execution-history")}
    resource = Resource(attributes=_attributes(about))
    found = ResourceSpans(resource=resource, scope_spans=[ScopeSpans(scope=scope, spans=spans)])
    body: bytes = ExportTraceServiceRequest(resource_spans=[found]).SerializeToString()
    return body


def place_of(record: Mapping[str, Any], root: Mapping[str, Any] | None) -> RunPlace:
    """Return the place of a run.

    A caller's own trace, which the record may name, counts most; then that of the outermost run around it.

    Args:
        record: the run.
        root: the record of the outermost run around it, where there is one and it can be read.
    """
    parent = _identity(PARENT.raw(record))
    around = None if parent is None else _span_id(parent)
    outer = _identity(ROOT.raw(record)) or _identity_of(record)
    theirs = _caller(root)
    trace_id = theirs[0] if theirs else _trace_id(outer)
    own = _caller(record)
    if own is not None:
        return RunPlace(*own, linked=None if around is None else (trace_id, around))
    return RunPlace(trace_id, around or b"")


def _caller(record: Mapping[str, Any] | None) -> tuple[bytes, bytes] | None:
    """Return the trace and the span of the caller that a record names."""
    found = None if record is None else TRACEPARENT.of(record)
    if found is None:
        return None
    _, trace_id, span_id, _ = found.split("-")
    return bytes.fromhex(trace_id), bytes.fromhex(span_id)


def root_of(record: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the ids of the outermost run around a run; ``None`` for one that is the outermost itself."""
    found = _identity(ROOT.raw(record))
    return None if found in (None, _identity_of(record)) else found


def _identity(value: object) -> tuple[str, str] | None:
    """Return the workflow and the id of a run that ``metadata`` names; the workflow is empty where it names none."""
    if isinstance(value, str) and value:
        return "", value
    if isinstance(value, dict) and isinstance(value.get("execute_id"), str):
        return str(value.get("workflow_id") or ""), value["execute_id"]
    return None


def _identity_of(record: Mapping[str, Any]) -> tuple[str, str]:
    return record["workflow_id"], record["execute_id"]


def _trace_id(identity: tuple[str, str]) -> bytes:
    return _digest("trace", identity, 16)


def _span_id(identity: tuple[str, str], node: str = "") -> bytes:
    return _digest(f"span\0{node}", identity, 8)


def _digest(kind: str, identity: tuple[str, str], size: int) -> bytes:
    return blake2b("\0".join((kind, *identity)).encode("utf-8", "surrogatepass"), digest_size=size).digest()


def _spans(record: Mapping[str, Any], place: RunPlace, name: str, *, has_contents: bool) -> Iterator[Span]:
    run = attributes_of(record)
    span_id = _span_id(_identity_of(record))
    end = max(run.create_time, run.end_time or run.create_time)
    links = [] if place.linked is None else [Span.Link(trace_id=place.linked[0], span_id=place.linked[1])]
    yield Span(
        trace_id=place.trace_id,
        span_id=span_id,
        parent_span_id=place.parent_id,
        name=name if is_function(record) else f"invoke_workflow {name}",
        kind=Span.SPAN_KIND_INTERNAL if is_function(record) else Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=run.create_time * _MS,
        end_time_unix_nano=end * _MS,
        attributes=_attributes(_of_run(record, run, name, has_contents=has_contents)),
        status=_status(run, has_contents=has_contents),
        links=links,
    )
    for node in nodes_of(record["node_execute_status"]):
        known = [time for time in (node.start_time, node.update_time) if time is not None]
        if known:
            yield Span(
                trace_id=place.trace_id,
                span_id=_span_id(_identity_of(record), node.name),
                parent_span_id=span_id,
                name=_clean(node.label),
                kind=Span.SPAN_KIND_INTERNAL,
                start_time_unix_nano=min(known) * _MS,
                end_time_unix_nano=max(known) * _MS,
                attributes=_attributes(_of_node(node, is_inferred=len(known) == 1, has_contents=has_contents)),
                status=Status(code=Status.STATUS_CODE_ERROR) if node.error else Status(),
            )


def _of_run(record: Mapping[str, Any], run: RunAttributes, name: str, *, has_contents: bool) -> dict[str, Any]:
    proof = PROOF.of(record)
    found: dict[str, Any] = {
        f"{_OURS}workflow_id": record["workflow_id"],
        f"{_OURS}execute_id": record["execute_id"],
        f"{_OURS}status": run.status,
        f"{_OURS}proof": proof,
        f"{_OURS}account": run.account,
        f"{_OURS}caller": run.caller,
        f"{_OURS}waited_ms": run.waited_ms or None,
        f"{_OURS}failed_node": run.failed_node,
        f"{_OURS}tags": list(run.tags) or None,
        f"{_OURS}cost": run.amount,
        f"{_OURS}currency": run.currency,
        "coze.execute_id": run.upstream_id,
        "coze.log_id": run.log_id,
        "gen_ai.conversation.id": run.conversation_id,
        **_tokens(usage_of(record["usage"])),
    }
    if not is_function(record):
        # The first name is that of 1.41, the second that of 0.1 of the standalone conventions.
        named = dict.fromkeys(("gen_ai.workflow.name", "gen_ai.agent.name"), name)
        found |= {"gen_ai.operation.name": "invoke_workflow", "gen_ai.provider.name": "coze", **named}
    if run.status != "success":
        found["error.type"] = run.error_code or proof or "_OTHER"
    if has_contents:
        found["gen_ai.input.messages"] = _message("user", record["input_parameters"])
        found["gen_ai.output.messages"] = _message("assistant", record["output"])
    return found


def _of_node(node: Node, *, is_inferred: bool, has_contents: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        f"{_OURS}node.id": node.node_id,
        f"{_OURS}node.type": node.node_type,
        f"{_OURS}node.status": node.status,
        # Coze does not tell when a node began and ended.
        f"{_OURS}node.times": "one_message" if is_inferred else "first_to_last_message",
        **_tokens(usage_of(node.usage)),
    }
    if node.error:
        found["error.type"] = "node_failed"
    if has_contents:
        found["gen_ai.output.messages"] = _message("assistant", node.text)
    return found


def _tokens(usage: Usage) -> dict[str, int | None]:
    return {"gen_ai.usage.input_tokens": usage.input, "gen_ai.usage.output_tokens": usage.output}


def _status(run: RunAttributes, *, has_contents: bool) -> Status:
    if run.status == "success":
        return Status(code=Status.STATUS_CODE_OK)
    return Status(code=Status.STATUS_CODE_ERROR, message=_clean(run.error_title or "") if has_contents else "")


def _message(role: str, value: object) -> str | None:
    """Return a message in the JSON form of the conventions; a long one is cut."""
    text = as_text(value)
    if not text:
        return None
    return encode([{"role": role, "parts": [{"type": "text", "content": _clean(text[:_LONGEST_CONTENT])}]}]).decode()


def _attributes(values: Mapping[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_value(value)) for key, value in values.items() if value is not None]


def _value(value: object) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=[_value(each) for each in value]))
    return AnyValue(string_value=_clean(str(value)))


def _clean(text: str) -> str:
    """Return *text* without halves of surrogate pairs, which UTF-8 cannot hold."""
    return text.encode("utf-8", "replace").decode()
