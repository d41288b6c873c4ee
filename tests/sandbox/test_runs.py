"""POST /v1/workflow/run and /v1/workflows/resume over a socket."""

import json
from typing import Any

import anyio
import httpx
import pytest

from execution_history.sandbox import WORKFLOWS

pytestmark = pytest.mark.anyio

IDS = {workflow.name: workflow_id for workflow_id, workflow in WORKFLOWS.items()}


async def run(client: httpx.AsyncClient, name: str, *, is_async: bool = False, **parameters: object) -> dict[str, Any]:
    """Run a workflow and return the body of the answer."""
    body = {"workflow_id": IDS[name], "parameters": parameters, "is_async": is_async}
    answer: dict[str, Any] = (await client.post("/v1/workflow/run", json=body)).json()
    return answer


async def resume(client: httpx.AsyncClient, name: str, interrupt: dict[str, Any], resume_data: str) -> dict[str, Any]:
    """Answer the question of a run and return the body of the answer."""
    body = {
        "workflow_id": IDS[name],
        "event_id": interrupt["event_id"],
        "interrupt_type": interrupt["type"],
        "resume_data": resume_data,
    }
    answer: dict[str, Any] = (await client.post("/v1/workflows/resume", json=body)).json()
    return answer


async def settled(client: httpx.AsyncClient, name: str, execute_id: str) -> dict[str, Any]:
    """Poll the history until the execution is no longer running by itself."""
    path = f"/v1/workflows/{IDS[name]}/run_histories/{execute_id}"
    with anyio.fail_after(10):
        while True:
            entry: dict[str, Any] = (await client.get(path)).json()["data"][0]
            if entry["execute_status"] != "Running" or "interrupt_data" in entry:
                return entry


async def test_a_run_answers_with_its_result_as_a_string(client: httpx.AsyncClient) -> None:
    """The data of a run is JSON encoded once more, with the caller's parameters in it."""
    answer = await run(client, "short_answer", city="Oslo")

    expected = {"output": "Received 1 parameters: city.", "parameters": {"city": "Oslo"}}
    assert json.loads(answer["data"]) == expected


async def test_a_run_has_its_facts_beside_the_data(client: httpx.AsyncClient) -> None:
    """Usage, debug_url and execute_id are siblings of data, not inside it."""
    answer = await run(client, "short_answer")

    assert set(answer) == {"code", "msg", "data", "debug_url", "execute_id", "usage", "detail"}
    assert answer["usage"] == {"input_count": 12, "output_count": 8, "token_count": 20}


async def test_the_debug_url_carries_the_execute_id(client: httpx.AsyncClient) -> None:
    """Where an answer names no execute id, the query of its debug_url does."""
    answer = await run(client, "short_answer")

    query = httpx.URL(answer["debug_url"]).params
    assert query["execute_id"] == answer["execute_id"]
    assert query["workflow_id"] == IDS["short_answer"]


async def test_execute_ids_are_growing_numbers_of_19_digits(client: httpx.AsyncClient) -> None:
    """Ids are 64-bit numbers written as strings, each greater than the one before."""
    first = (await run(client, "short_answer"))["execute_id"]
    second = (await run(client, "short_answer"))["execute_id"]

    assert (len(first), len(second)) == (19, 19)
    assert int(first) < int(second) < 2**63


async def test_the_log_id_is_in_the_header_and_in_the_body(client: httpx.AsyncClient) -> None:
    """Every answer has the same log id in x-tt-logid and in detail."""
    answer = await client.post("/v1/workflow/run", json={"workflow_id": IDS["short_answer"]})

    assert answer.headers["x-tt-logid"] == answer.json()["detail"]["logid"]


async def test_parameters_may_be_a_json_string(client: httpx.AsyncClient) -> None:
    """The documented type of parameters is String, so a string with an object in it is taken too."""
    body = {"workflow_id": IDS["short_answer"], "parameters": '{"city": "Oslo"}'}
    answer = (await client.post("/v1/workflow/run", json=body)).json()

    assert json.loads(answer["data"])["parameters"] == {"city": "Oslo"}


async def test_a_failing_run_has_a_code_and_a_debug_url(client: httpx.AsyncClient) -> None:
    """A run that failed while executing is told from a refused one by its debug_url."""
    answer = await run(client, "fails_in_a_node")

    assert answer["code"] == 720702017
    assert "execute_id=" in answer["debug_url"]
    assert "data" not in answer


async def test_an_async_run_answers_at_once(client: httpx.AsyncClient) -> None:
    """An asynchronous run gives its execute id and no data, and is Running in the history."""
    answer = await run(client, "takes_its_time", is_async=True, delay_ms=600_000)

    path = f"/v1/workflows/{IDS['takes_its_time']}/run_histories/{answer['execute_id']}"
    (entry,) = (await client.get(path)).json()["data"]
    assert "data" not in answer
    assert (entry["execute_status"], entry["run_mode"]) == ("Running", 2)


async def test_an_async_run_ends_in_its_history(client: httpx.AsyncClient) -> None:
    """When an asynchronous run is done, the history says Success and has the output."""
    answer = await run(client, "takes_its_time", is_async=True, delay_ms=1)

    entry = await settled(client, "takes_its_time", answer["execute_id"])
    assert entry["execute_status"] == "Success"
    assert json.loads(json.loads(entry["output"])["Output"])["output"] == "Received 1 parameters: delay_ms."


async def test_an_async_run_can_fail(client: httpx.AsyncClient) -> None:
    """A run that fails in the background is Running first, and its history then says why."""
    slow = await run(client, "fails_later", is_async=True, delay_ms=600_000)
    path = f"/v1/workflows/{IDS['fails_later']}/run_histories/{slow['execute_id']}"
    (before,) = (await client.get(path)).json()["data"]
    quick = await run(client, "fails_later", is_async=True)
    after = await settled(client, "fails_later", quick["execute_id"])

    assert before["execute_status"] == "Running"
    assert (after["execute_status"], after["error_code"]) == ("Fail", "720702017")


async def test_an_async_run_can_ask(client: httpx.AsyncClient) -> None:
    """A run that asks in the background is polled until its question, resumed, and polled until its end."""
    started = await run(client, "asks_later", is_async=True)
    waiting = await settled(client, "asks_later", started["execute_id"])
    await resume(client, "asks_later", waiting["interrupt_data"], "Oslo")
    entry = await settled(client, "asks_later", started["execute_id"])

    assert json.loads(json.loads(entry["output"])["Output"])["answer"] == "Oslo"


async def test_a_question_comes_as_interrupt_data(client: httpx.AsyncClient) -> None:
    """A run that stops at a question has no data but the question and where to answer it."""
    answer = await run(client, "asks_a_question")

    interrupt = answer["interrupt_data"]
    assert interrupt["event_id"].startswith(answer["execute_id"] + "/")
    assert interrupt["type"] == 2
    assert json.loads(interrupt["data"])["content"] == "Which city's weather would you like to know?"
    assert "data" not in answer


async def test_resuming_gives_the_result_of_the_same_execution(client: httpx.AsyncClient) -> None:
    """A resume answers like a run and keeps the execute id."""
    asked = await run(client, "asks_a_question")
    answer = await resume(client, "asks_a_question", asked["interrupt_data"], "Oslo")

    assert json.loads(answer["data"])["answer"] == "Oslo"
    assert answer["execute_id"] == asked["execute_id"]


async def test_an_empty_answer_is_asked_again(client: httpx.AsyncClient) -> None:
    """An answer that does not satisfy leads to a new question with a new event id."""
    asked = (await run(client, "asks_a_question"))["interrupt_data"]
    again = (await resume(client, "asks_a_question", asked, " "))["interrupt_data"]

    assert again["event_id"] != asked["event_id"]
    assert again["event_id"].split("/")[0] == asked["event_id"].split("/")[0]


@pytest.mark.parametrize(
    ("name", "useless"), [("asks_a_question", ""), ("asks_for_fields", "Oslo"), ("asks_for_fields", "[]")]
)
async def test_a_third_useless_answer_fails_the_run(client: httpx.AsyncClient, name: str, useless: str) -> None:
    """After three answers that do not satisfy, the run fails and the history says so."""
    answer = await run(client, name)
    execute_id = answer["execute_id"]
    for _ in range(3):
        answer = await resume(client, name, answer["interrupt_data"], useless)

    entry = await settled(client, name, execute_id)
    assert answer["code"] == 720701013
    assert (entry["execute_status"], entry["error_code"]) == ("Fail", "720701013")


async def test_fields_are_asked_for_by_name(client: httpx.AsyncClient) -> None:
    """An input node names the parameters it needs and takes them as a JSON string."""
    asked = (await run(client, "asks_for_fields"))["interrupt_data"]
    answer = await resume(client, "asks_for_fields", asked, '{"city": "Oslo", "days": 3}')

    assert (asked["type"], set(asked["required_parameters"])) == (5, {"city", "days"})
    assert json.loads(answer["data"])["booking"] == {"city": "Oslo", "days": 3}


async def test_resuming_an_async_run_answers_at_once(client: httpx.AsyncClient) -> None:
    """A resume follows the way the run was started: an asynchronous one is polled again."""
    started = await run(client, "asks_a_question", is_async=True)
    waiting = await settled(client, "asks_a_question", started["execute_id"])
    answer = await resume(client, "asks_a_question", waiting["interrupt_data"], "Oslo")

    entry = await settled(client, "asks_a_question", started["execute_id"])
    assert waiting["execute_status"] == "Running"
    assert answer["execute_id"] == started["execute_id"]
    assert entry["execute_status"] == "Success"


async def test_a_text_end_node_wraps_its_text(client: httpx.AsyncClient) -> None:
    """An end node that returns text gives the documented wrapper as its data."""
    answer = await run(client, "returns_text")

    assert json.loads(answer["data"]) == {
        "content_type": 1,
        "data": "Plain text, not JSON: {see above}.",
        "original_result": None,
        "type_for_model": 2,
    }


async def test_a_text_end_node_can_give_bare_text(client: httpx.AsyncClient) -> None:
    """With wrapped switched off, data is text that is not JSON."""
    answer = await run(client, "returns_text", wrapped=0)

    assert answer["data"] == "Plain text, not JSON: {see above}."


async def test_five_megabytes_come_whole(client: httpx.AsyncClient) -> None:
    """The answer of a run is complete, however long."""
    answer = await run(client, "large_output")

    assert len(json.loads(answer["data"])["output"]) == 5_000_000


async def test_line_separators_come_raw(client: httpx.AsyncClient) -> None:
    """U+2028, U+2029 and U+0085 are in the body as they are, not escaped."""
    body = {"workflow_id": IDS["chinese"]}
    raw = (await client.post("/v1/workflow/run", json=body)).content.decode()

    assert all(separator in raw for separator in "\u2028\u2029\u0085")


async def test_a_traceless_run_tells_no_id(client: httpx.AsyncClient) -> None:
    """An older answer has neither an execute id nor a debug address."""
    answer = await run(client, "no_trace")

    assert answer["debug_url"] == ""
    assert "execute_id" not in answer


async def test_a_broken_connection_gives_no_answer(client: httpx.AsyncClient) -> None:
    """The connection closes without a byte of answer."""
    with pytest.raises(httpx.RemoteProtocolError):
        await run(client, "breaks_the_connection")


async def test_a_connection_can_be_reset(client: httpx.AsyncClient) -> None:
    """With reset switched on, the connection ends with a TCP reset."""
    with pytest.raises(httpx.ReadError):
        await run(client, "breaks_the_connection", reset=1)


async def test_silence_is_an_empty_body(client: httpx.AsyncClient) -> None:
    """A run that falls silent answers HTTP 200 with nothing in it."""
    answer = await client.post("/v1/workflow/run", json={"workflow_id": IDS["no_terminator"]})

    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(("name", "status"), [("breaks_the_connection", "Success"), ("no_terminator", "Fail")])
async def test_a_run_goes_on_without_its_connection(client: httpx.AsyncClient, name: str, status: str) -> None:
    """What only concerns the connection does not touch an asynchronous run."""
    started = await run(client, name, is_async=True)

    assert (await settled(client, name, started["execute_id"]))["execute_status"] == status
