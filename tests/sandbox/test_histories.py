"""GET run_histories and execute_nodes over a socket."""

import json
from typing import Any

import httpx
import pytest

from execution_history.sandbox import WORKFLOWS

pytestmark = pytest.mark.anyio

IDS = {workflow.name: workflow_id for workflow_id, workflow in WORKFLOWS.items()}
REQUIRED = {
    "execute_id", "execute_status", "run_mode", "bot_id", "connector_id", "connector_uid", "create_time",
    "update_time", "output", "token", "is_output_trimmed", "logid", "error_code", "error_message", "debug_url",
    "node_execute_status",
}  # fmt: skip


async def run(client: httpx.AsyncClient, name: str, **fields: object) -> httpx.Response:
    """Run a workflow with more fields in its body."""
    return await client.post("/v1/workflow/run", json={"workflow_id": IDS[name], **fields})


async def history(client: httpx.AsyncClient, name: str, execute_id: str) -> dict[str, Any]:
    """Return the one entry that the history of an execution has."""
    answer = (await client.get(f"/v1/workflows/{IDS[name]}/run_histories/{execute_id}")).json()
    assert answer["code"] == 0
    entries: list[dict[str, Any]] = answer["data"]
    assert len(entries) == 1
    return entries[0]


async def history_after_run(client: httpx.AsyncClient, name: str, **fields: object) -> dict[str, Any]:
    """Run a workflow and return its entry in the history."""
    answer = (await run(client, name, **fields)).json()
    return await history(client, name, httpx.URL(answer["debug_url"]).params["execute_id"])


async def test_an_entry_has_every_required_field(client: httpx.AsyncClient) -> None:
    """Nothing the SDKs insist on is missing, and usage is there when tokens were used."""
    entry = await history_after_run(client, "short_answer")

    assert set(entry) == REQUIRED | {"usage"}


async def test_an_entry_repeats_what_the_run_was_given(client: httpx.AsyncClient) -> None:
    """Bot, connector and user are the caller's, as strings."""
    entry = await history_after_run(client, "short_answer", bot_id="71", connector_id="999", ext={"user_id": "42"})

    assert (entry["bot_id"], entry["connector_id"], entry["connector_uid"]) == ("71", "999", "42")


async def test_an_entry_has_defaults_for_what_was_not_given(client: httpx.AsyncClient) -> None:
    """Without a bot its id is 0, and the connector is the API's, 1024."""
    entry = await history_after_run(client, "short_answer")

    assert (entry["bot_id"], entry["connector_id"]) == ("0", "1024")


async def test_the_log_id_is_that_of_the_run(client: httpx.AsyncClient) -> None:
    """The entry names the log id of the request that started the run, not of the one that asks."""
    started = await run(client, "short_answer")
    entry = await history(client, "short_answer", started.json()["execute_id"])

    assert entry["logid"] == started.headers["x-tt-logid"]


async def test_the_output_is_encoded_twice(client: httpx.AsyncClient) -> None:
    """The output is a JSON object whose Output is the run's data string."""
    data = (await run(client, "short_answer")).json()["data"]
    entry = await history_after_run(client, "short_answer")

    assert json.loads(entry["output"]) == {"Output": data}


async def test_each_output_node_has_its_own_key(client: httpx.AsyncClient) -> None:
    """Output nodes stand beside Output by title, a repeated one with a suffix."""
    entry = await history_after_run(client, "long_stream")

    first, second, third = json.loads(entry["output"])
    assert (first, second, third[:7]) == ("Output", "Report", "Report_")
    assert json.loads(entry["output"])[third] == "Day 2 of 2 is planned."


async def test_node_status_covers_the_output_nodes_only(client: httpx.AsyncClient) -> None:
    """Each execution of an output node is listed with its uuid and its place in the loop."""
    nodes = (await history_after_run(client, "long_stream"))["node_execute_status"]

    assert [node["loop_index"] for node in nodes.values()] == [0, 1]
    assert all(node["is_finish"] and node["node_id"] == "130001" for node in nodes.values())


async def test_a_success_has_no_error(client: httpx.AsyncClient) -> None:
    """The error code of a success is an empty string."""
    entry = await history_after_run(client, "short_answer")

    assert (entry["execute_status"], entry["error_code"], entry["error_message"]) == ("Success", "", "")


async def test_a_failure_has_its_code_as_a_string(client: httpx.AsyncClient) -> None:
    """The error code of a failure is a string of digits, and there is no output."""
    entry = await history_after_run(client, "fails_in_a_node")

    assert (entry["execute_status"], entry["error_code"], entry["output"]) == ("Fail", "720702017", "")
    assert "Weather lookup" in entry["error_message"]


async def test_a_streamed_run_is_in_the_history(client: httpx.AsyncClient) -> None:
    """A stream's execute id, learned from Done, can be asked for and has run mode 1."""
    body = {"workflow_id": IDS["short_answer"]}
    raw = (await client.post("/v1/workflow/stream_run", json=body)).text
    done = json.loads(raw.strip().rpartition("data: ")[2])
    entry = await history(client, "short_answer", httpx.URL(done["debug_url"]).params["execute_id"])

    assert (entry["execute_status"], entry["run_mode"]) == ("Success", 1)


async def test_a_waiting_run_is_running_with_its_question(client: httpx.AsyncClient) -> None:
    """There is no fourth status: a run at a question is Running and has interrupt_data."""
    asked = (await run(client, "asks_a_question")).json()
    entry = await history(client, "asks_a_question", asked["execute_id"])

    assert entry["execute_status"] == "Running"
    assert entry["interrupt_data"] == asked["interrupt_data"]


async def test_a_large_output_is_trimmed_to_1_mb(client: httpx.AsyncClient) -> None:
    """The history keeps the first 1 MB of each output and says that it does."""
    entry = await history_after_run(client, "large_output")

    outputs = json.loads(entry["output"])
    assert entry["is_output_trimmed"] is True
    assert {name: len(text) for name, text in outputs.items()} == {"Output": 1_048_576, "Report": 1_048_576}


async def test_a_small_output_is_not_trimmed(client: httpx.AsyncClient) -> None:
    """An output below 1 MB is complete and says so."""
    entry = await history_after_run(client, "large_output", parameters={"size": 1_000})

    assert entry["is_output_trimmed"] is False
    assert len(json.loads(json.loads(entry["output"])["Output"])["output"]) == 1_000


async def test_a_node_tells_its_output(client: httpx.AsyncClient) -> None:
    """The uuid from node_execute_status leads to what that execution of the node put out."""
    entry = await history_after_run(client, "long_stream")
    uuid = entry["node_execute_status"]["Report"]["node_execute_uuid"]
    path = f"/v1/workflows/{IDS['long_stream']}/run_histories/{entry['execute_id']}/execute_nodes/{uuid}"
    answer = (await client.get(path)).json()

    assert answer["data"] == {"is_finish": True, "node_output": "Day 1 of 2 is planned."}


async def test_an_unknown_node_is_not_found(client: httpx.AsyncClient) -> None:
    """A uuid that belongs to no output node of the execution gets 4200."""
    entry = await history_after_run(client, "long_stream")
    path = f"/v1/workflows/{IDS['long_stream']}/run_histories/{entry['execute_id']}/execute_nodes/none"

    assert (await client.get(path)).json()["code"] == 4200


@pytest.mark.parametrize("workflow_id", [IDS["short_answer"], "7999999999999999999"])
async def test_an_unknown_execution_is_not_found(client: httpx.AsyncClient, workflow_id: str) -> None:
    """An id that never was gets a non-zero code and no data, never an empty list."""
    answer = (await client.get(f"/v1/workflows/{workflow_id}/run_histories/1")).json()

    assert answer["code"] == 4200
    assert "data" not in answer


async def test_an_execution_belongs_to_its_workflow(client: httpx.AsyncClient) -> None:
    """The execute id of another workflow is not found."""
    answer = (await run(client, "short_answer")).json()
    path = f"/v1/workflows/{IDS['long_stream']}/run_histories/{answer['execute_id']}"

    assert (await client.get(path)).json()["code"] == 4200


async def node_output(client: httpx.AsyncClient, name: str, execute_id: str, uuid: str) -> dict[str, Any]:
    """Return the answer to the question what an output node put out."""
    path = f"/v1/workflows/{IDS[name]}/run_histories/{execute_id}/execute_nodes/{uuid}"
    answer: dict[str, Any] = (await client.get(path)).json()
    return answer


async def test_each_output_node_is_told_whole_when_asked_for_alone(client: httpx.AsyncClient) -> None:
    """What a history trims of several output nodes, execute_nodes gives whole, node by node."""
    entry = await history_after_run(client, "large_output", parameters={"size": 8_000_000, "nodes": 3})

    outputs, nodes = json.loads(entry["output"]), entry["node_execute_status"]
    assert list(nodes) == ["Report", "Report 2", "Report 3"]
    assert entry["is_output_trimmed"] is True
    for title, node in nodes.items():
        answer = await node_output(client, "large_output", entry["execute_id"], node["node_execute_uuid"])
        assert (len(outputs[title]), len(answer["data"]["node_output"])) == (1_048_576, 2_000_000)
        assert answer["data"]["node_output"].startswith(outputs[title])


async def test_a_forgotten_execution_is_unknown_once_it_has_ended(client: httpx.AsyncClient) -> None:
    """run_histories answers with code 4200, as an upstream does that no longer knows the run."""
    answer = (await run(client, "forgotten")).json()
    path = f"/v1/workflows/{IDS['forgotten']}/run_histories/{answer['execute_id']}"

    assert (await client.get(path)).json()["code"] == 4200


async def test_a_forgotten_execution_is_known_while_it_runs(client: httpx.AsyncClient) -> None:
    """Only what has ended is forgotten."""
    answer = (await run(client, "forgotten", is_async=True, parameters={"delay_ms": 600_000})).json()

    assert (await history(client, "forgotten", answer["execute_id"]))["execute_status"] == "Running"


async def test_forgetting_can_wait_for_some_polls(client: httpx.AsyncClient) -> None:
    """The setting polls says how often the end is told before it is forgotten, nodes included."""
    answer = (await run(client, "forgotten", parameters={"polls": 2})).json()
    told = [await history(client, "forgotten", answer["execute_id"]) for _ in range(2)]
    uuid = told[0]["node_execute_status"]["Report"]["node_execute_uuid"]
    path = f"/v1/workflows/{IDS['forgotten']}/run_histories/{answer['execute_id']}"

    assert [entry["execute_status"] for entry in told] == ["Success", "Success"]
    assert (await client.get(path)).json()["code"] == 4200
    assert (await node_output(client, "forgotten", answer["execute_id"], uuid))["code"] == 4200


async def test_an_output_expires(client: httpx.AsyncClient) -> None:
    """An expired entry still says Success and what it used, but has no output, which counts as trimmed."""
    entry = await history_after_run(client, "output_expired")

    assert (entry["execute_status"], entry["output"], entry["is_output_trimmed"]) == ("Success", "", True)
    assert entry["node_execute_status"] == {}
    assert entry["usage"]["token_count"] == 1_920


async def test_an_output_is_told_as_often_as_was_asked_for(client: httpx.AsyncClient) -> None:
    """With polls, the first histories have the output, and its nodes can be asked for until the last of them."""
    answer = (await run(client, "output_expired", parameters={"polls": 2})).json()
    first = await history(client, "output_expired", answer["execute_id"])
    uuid = first["node_execute_status"]["Report"]["node_execute_uuid"]
    node = await node_output(client, "output_expired", answer["execute_id"], uuid)
    second = await history(client, "output_expired", answer["execute_id"])
    third = await history(client, "output_expired", answer["execute_id"])

    assert node["data"]["node_output"] == "Day 1 of 2 is planned."
    assert (second["output"], second["is_output_trimmed"]) == (first["output"], False)
    assert (third["output"], third["is_output_trimmed"]) == ("", True)
    assert (await node_output(client, "output_expired", answer["execute_id"], uuid))["code"] == 4200
