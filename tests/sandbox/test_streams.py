"""POST /v1/workflow/stream_run and /v1/workflow/stream_resume over a socket."""

import json
from typing import Any, NamedTuple

import anyio
import httpx
import pytest

from execution_history.sandbox import WORKFLOWS

pytestmark = pytest.mark.anyio

IDS = {workflow.name: workflow_id for workflow_id, workflow in WORKFLOWS.items()}


class Event(NamedTuple):
    """One server-sent event."""

    number: int
    name: str
    data: dict[str, Any]


def read_events(stream: str) -> list[Event]:
    """Read events that have exactly the lines id, event and data, each followed by a blank line."""
    *frames, rest = stream.split("\n\n")
    assert rest == ""
    events = []
    for frame in frames:
        number, name, data = frame.split("\n")
        assert (number[:4], name[:7], data[:6]) == ("id: ", "event: ", "data: ")
        events.append(Event(int(number[4:]), name[7:], json.loads(data[6:])))
    return events


async def stream(client: httpx.AsyncClient, name: str, **parameters: object) -> list[Event]:
    """Run a workflow and read its stream to the end."""
    body = {"workflow_id": IDS[name], "parameters": parameters}
    return read_events((await client.post("/v1/workflow/stream_run", json=body)).content.decode())


async def resume(client: httpx.AsyncClient, name: str, interrupt: dict[str, Any], answer: str) -> list[Event]:
    """Answer the question of a stream and read on to the end."""
    body = {
        "workflow_id": IDS[name],
        "event_id": interrupt["event_id"],
        "interrupt_type": interrupt["type"],
        "resume_data": answer,
    }
    return read_events((await client.post("/v1/workflow/stream_resume", json=body)).content.decode())


def said(events: list[Event]) -> str:
    """Join what the end node said."""
    return "".join(event.data["content"] for event in events if event.data.get("node_type") == "End")


async def test_a_stream_is_declared_as_one(client: httpx.AsyncClient) -> None:
    """The content type is text/event-stream alone, and the log id is in the header."""
    body = {"workflow_id": IDS["short_answer"]}
    answer = await client.post("/v1/workflow/stream_run", json=body)

    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["x-tt-logid"]


async def test_event_ids_count_from_zero(client: httpx.AsyncClient) -> None:
    """Every event has the next id, PING included."""
    events = await stream(client, "pings")

    assert [event.number for event in events] == list(range(7))


async def test_a_stream_ends_with_done_and_its_debug_url(client: httpx.AsyncClient) -> None:
    """Done is the last event and carries the execute id in its debug_url."""
    *_, done = await stream(client, "short_answer")

    assert done.name == "Done"
    assert len(httpx.URL(done.data["debug_url"]).params["execute_id"]) == 19


async def test_usage_is_on_the_last_message_only(client: httpx.AsyncClient) -> None:
    """The end node's last packet reports the tokens."""
    *messages, last, _ = await stream(client, "short_answer")

    assert last.data["usage"] == {"input_count": 12, "output_count": 8, "token_count": 20}
    assert not any("usage" in message.data for message in messages)


async def test_the_packets_of_a_node_join_to_its_result(client: httpx.AsyncClient) -> None:
    """What the end node streams is what a run would have answered."""
    events = await stream(client, "short_answer", city="Oslo")

    assert json.loads(said(events))["parameters"] == {"city": "Oslo"}


async def test_a_long_stream_passes_through_several_nodes(client: httpx.AsyncClient) -> None:
    """Start, model, plugin, output and end node speak in turn, each with a type and an id."""
    events = await stream(client, "long_stream")

    types = [event.data["node_type"] for event in events if event.data.get("node_is_finish")]
    assert types == ["Start", "LLM", "Plugin", "Message", "Message", "End"]
    assert len({event.data["node_id"] for event in events[:-1]}) == 5


async def test_a_node_in_a_loop_has_one_uuid_per_turn(client: httpx.AsyncClient) -> None:
    """Two executions of one node share its id but not their node_execute_uuid."""
    events = await stream(client, "long_stream")

    looped = [event.data for event in events if event.data.get("node_type") == "Message"]
    assert [data["node_seq_id"] for data in looped] == ["0", "1", "0", "1"]
    assert len({data["node_id"] for data in looped}) == 1
    assert len({data["node_execute_uuid"] for data in looped}) == 2


async def test_the_length_of_a_long_stream_can_be_set(client: httpx.AsyncClient) -> None:
    """The setting packets says how many the model sends, counted per node."""
    events = await stream(client, "long_stream", packets=300)

    counted = [event.data["node_seq_id"] for event in events if event.data.get("node_type") == "LLM"]
    assert counted == [str(number) for number in range(300)]


async def test_the_size_of_a_long_stream_can_be_set(client: httpx.AsyncClient) -> None:
    """The setting packet_size says how many characters each packet of the model has, so that any size can be had."""
    events = await stream(client, "long_stream", packets=20, packet_size=1_000)

    contents = [event.data["content"] for event in events if event.data.get("node_type") == "LLM"]
    assert [len(content) for content in contents] == [1_000] * 20
    assert len(set(contents)) == 20
    assert json.loads(said(events))["output"] == "20 packets of 1000 characters."


async def test_a_failing_stream_ends_with_error(client: httpx.AsyncClient) -> None:
    """Error follows some messages, is the last event and has no debug_url, as coze.cn documents it."""
    *messages, error = await stream(client, "fails_in_a_node")

    assert [message.name for message in messages] == ["Message"] * 4
    assert (error.name, error.data["error_code"]) == ("Error", 720702017)
    assert set(error.data) == {"error_code", "error_message"}


async def test_a_question_ends_the_stream_with_interrupt(client: httpx.AsyncClient) -> None:
    """Interrupt is the last event and names the node that asks."""
    *_, interrupt = await stream(client, "asks_a_question")

    assert (interrupt.name, interrupt.data["node_title"]) == ("Interrupt", "Question")
    assert interrupt.data["interrupt_data"]["type"] == 2


async def test_a_resumed_stream_counts_from_zero_again(client: httpx.AsyncClient) -> None:
    """After a resume event ids and node_seq_id restart, and the stream goes on to Done."""
    *_, interrupt = await stream(client, "asks_a_question")
    events = await resume(client, "asks_a_question", interrupt.data["interrupt_data"], "Oslo")

    assert [event.number for event in events] == [0, 1, 2]
    assert [event.data.get("node_seq_id") for event in events] == ["0", "1", None]
    assert json.loads(said(events))["answer"] == "Oslo"


async def test_a_resumed_stream_is_the_same_execution(client: httpx.AsyncClient) -> None:
    """The execute id before the slash of the event id is the one Done tells."""
    *_, interrupt = await stream(client, "asks_a_question")
    waiting = interrupt.data["interrupt_data"]
    *_, done = await resume(client, "asks_a_question", waiting, "Oslo")

    execute_id = httpx.URL(done.data["debug_url"]).params["execute_id"]
    assert waiting["event_id"].split("/")[0] == execute_id


async def test_a_third_empty_answer_ends_with_error(client: httpx.AsyncClient) -> None:
    """A streamed question that is never answered fails the run."""
    *_, last = await stream(client, "asks_a_question")
    for _ in range(3):
        *_, last = await resume(client, "asks_a_question", last.data["interrupt_data"], "")

    assert (last.name, last.data["error_code"]) == ("Error", 720701013)


async def test_pings_stand_between_messages(client: httpx.AsyncClient) -> None:
    """PING is a whole event with an empty object as its content."""
    events = await stream(client, "pings")

    assert [event.name for event in events] == ["Message", "PING"] * 3 + ["Done"]
    assert events[1].data == {"content": "{}"}


async def test_line_separators_do_not_end_a_line(client: httpx.AsyncClient) -> None:
    """U+2028, U+2029 and U+0085 stand raw inside one data line."""
    body = {"workflow_id": IDS["chinese"]}
    raw = (await client.post("/v1/workflow/stream_run", json=body)).content.decode()

    assert all(separator in raw for separator in "\u2028\u2029\u0085")
    assert json.loads(said(read_events(raw)))["output"] == "第一行\u2028第二行\u0085第三行\u2029结束。😀"


async def test_a_broken_connection_breaks_after_some_events(client: httpx.AsyncClient) -> None:
    """The first packet arrives, then the chunked body ends without its last chunk."""
    received = []
    body = {"workflow_id": IDS["breaks_the_connection"]}
    async with client.stream("POST", "/v1/workflow/stream_run", json=body) as answer:
        with pytest.raises(httpx.RemoteProtocolError):  # noqa: PT012  what came before the error counts
            async for chunk in answer.aiter_bytes():
                received.append(chunk)  # noqa: PERF401

    assert [event.name for event in read_events(b"".join(received).decode())] == ["Message"]


async def test_a_stream_can_be_reset(client: httpx.AsyncClient) -> None:
    """With reset switched on, the connection ends with a TCP reset."""
    with pytest.raises(httpx.ReadError):
        await stream(client, "breaks_the_connection", reset=1)


async def test_a_stream_can_end_without_a_terminator(client: httpx.AsyncClient) -> None:
    """The body is complete as HTTP counts it, but neither Done, Error nor Interrupt was sent."""
    events = await stream(client, "no_terminator")

    assert [event.name for event in events] == ["Message", "Message"]


async def test_a_studio_error_is_no_proper_event(client: httpx.AsyncClient) -> None:
    """The last frame is in lower case, without id, and its data is not JSON."""
    body = {"workflow_id": IDS["studio_error"]}
    raw = (await client.post("/v1/workflow/stream_run", json=body)).text

    assert raw.split("\n\n")[-2] == "event: error\ndata: stream error: workflow execution failed"


async def test_text_is_streamed_without_its_wrapper(client: httpx.AsyncClient) -> None:
    """An end node that returns text streams the text itself."""
    events = await stream(client, "returns_text")

    assert said(events) == "Plain text, not JSON: {see above}."


async def test_five_megabytes_are_streamed_whole(client: httpx.AsyncClient) -> None:
    """No packet is lost however many there are."""
    events = await stream(client, "large_output")

    assert len(json.loads(said(events))["output"]) == 5_000_000
    assert [event.number for event in events] == list(range(len(events)))


async def test_many_tokens_exceed_32_bits(client: httpx.AsyncClient) -> None:
    """Usage is reported in whole numbers of any size."""
    events = await stream(client, "many_tokens")

    assert events[0].data["usage"]["token_count"] == 5_000_000_000


async def test_a_traceless_done_is_an_empty_object(client: httpx.AsyncClient) -> None:
    """An older Done tells nothing."""
    *_, done = await stream(client, "no_trace")

    assert (done.name, done.data) == ("Done", {})


async def test_a_stream_can_stay_open_after_its_question(client: httpx.AsyncClient) -> None:
    """The answer can be sent, and what it leads to be read to its end, before the first stream has closed."""
    body = {"workflow_id": IDS["asks_a_question"], "parameters": {"open_ms": 600_000}}
    async with client.stream("POST", "/v1/workflow/stream_run", json=body) as asking:
        chunks = asking.aiter_text()
        text = ""
        while not text.endswith("\n\n") or "event: Interrupt" not in text:
            text += await anext(chunks)
        interrupt = read_events(text)[-1].data["interrupt_data"]
        answer = {
            "workflow_id": IDS["asks_a_question"],
            "event_id": interrupt["event_id"],
            "interrupt_type": interrupt["type"],
            "resume_data": "Oslo",
        }
        async with client.stream("POST", "/v1/workflow/stream_resume", json=answer) as answering:
            lines = answering.aiter_lines()
            while await anext(lines) != "event: Done":
                pass
        with anyio.move_on_after(0.05) as still_open:
            await anext(chunks, None)

    assert still_open.cancelled_caught
