"""What the well-behaved sandbox workflows do, as pure functions from inputs to steps."""

from collections.abc import Iterable, Iterator
from itertools import chain, cycle, islice, pairwise

import orjson

from execution_history.sandbox.json_text import to_text
from execution_history.sandbox.steps import (
    OUTPUT_NODE_TYPE,
    Ask,
    Failure,
    Finished,
    Inputs,
    Node,
    Packet,
    Ping,
    Step,
    Usage,
)

START = Node("100001", "Start", "Start")
LLM = Node("110001", "Travel writer", "LLM")
PLUGIN = Node("120001", "Weather lookup", "Plugin")
OUTPUT = Node("130001", "Report", OUTPUT_NODE_TYPE)
QUESTION = Node("140001", "Question", "Question")
INPUT = Node("150001", "Input", "Input")
END = Node("900001", "End", "End")

EXECUTION_FAILED = 720701013
NODE_FAILED = 720702017
MAX_ANSWERS = 3
QUESTION_INTERRUPT = 2
INPUT_INTERRUPT = 5

_LARGE_PACKET = 65_536
_SENTENCES = ("The ferry leaves at nine. ", "今天有小雨，请带伞。", "Lunch is by the harbour. ", "下午参观博物馆。")


def say(
    inputs: Inputs, node: Node, packets: Iterable[str], usage: Usage | None = None, *, finish: bool = True
) -> Iterator[Step]:
    """Yield the message of ``node`` in ``packets`` with pauses after each; ``usage`` goes on the last.

    With ``finish`` false, the node does not get to its last packet.
    """
    for content, following in pairwise(chain(packets, [None])):
        is_last = finish and following is None
        yield Packet(node, content or "", is_last, usage if is_last else None)
        yield inputs.pace()


def pieces(text: str, count: int) -> list[str]:
    """Return ``text`` cut into at most ``count`` pieces of nearly equal length."""
    width = max(1, -(-len(text) // count))
    return [text[at : at + width] for at in range(0, len(text), width)]


def short_answer(inputs: Inputs) -> Iterator[Step]:
    """Echo the parameters in the end node's answer."""
    names = ", ".join(inputs.parameters)
    summary = f"Received {len(inputs.parameters)} parameters: {names}." if names else "Received no parameters."
    data = to_text({"output": summary, "parameters": inputs.parameters})
    yield from say(inputs, END, pieces(data, 2), Usage(12, 8))
    yield Finished(data)


def long_stream(inputs: Inputs) -> Iterator[Step]:
    """Let a start node, a model, a plugin, an output node in a loop and the end node speak in turn."""
    count, size = inputs.settings["packets"], inputs.settings["packet_size"]
    story = list(islice(cycle(_SENTENCES), 0 if size else count))
    yield from say(inputs, START, ["Started."])
    yield from say(inputs, LLM, _sized_packets(count, size) if size else story)
    yield from say(inputs, PLUGIN, [to_text({"temperature": 18, "sky": "小雨"})])
    for turn in range(2):
        node = Node(OUTPUT.node_id, OUTPUT.title, OUTPUT.node_type, turn)
        yield from say(inputs, node, [f"Day {turn + 1} of 2 ", "is planned."])
    # A story of any length would have to be held whole here to be repeated.
    output = f"{count} packets of {size} characters." if size else "".join(story)
    data = to_text({"output": output, "days": 2})
    yield from say(inputs, END, pieces(data, 4), Usage(1_280, 640))
    yield Finished(data)


def fails_in_a_node(inputs: Inputs) -> Iterator[Step]:
    """Let the model speak, then fail in the plugin."""
    yield from say(inputs, LLM, _SENTENCES[:3])
    yield from say(inputs, PLUGIN, ["Asking the weather service. "], finish=False)
    yield Failure(NODE_FAILED, f"Node '{PLUGIN.title}' failed: the plugin answered HTTP 502.")


def asks_a_question(inputs: Inputs) -> Iterator[Step]:
    """Ask until an answer is not empty, at most three times."""
    answer = inputs.answers[-1].strip() if inputs.answers else ""
    if answer:
        yield from _reply(inputs, {"output": f"Here is the weather of {answer}: light rain.", "answer": answer})
    elif len(inputs.answers) >= MAX_ANSWERS:
        yield _no_usable_answer(QUESTION)
    else:
        question = "Which city's weather would you like to know?"
        yield from say(inputs, QUESTION, [question])
        yield Ask(QUESTION, QUESTION_INTERRUPT, to_text({"content_type": "text", "content": question}))


def asks_for_fields(inputs: Inputs) -> Iterator[Step]:
    """Ask for named fields until the answer is a JSON object with a city, at most three times."""
    fields = _json_object(inputs.answers[-1]) if inputs.answers else {}
    if fields.get("city"):
        yield from _reply(inputs, {"output": "Booked.", "booking": fields})
    elif len(inputs.answers) >= MAX_ANSWERS:
        yield _no_usable_answer(INPUT)
    else:
        required: dict[str, dict[str, object]] = {
            "city": {"type": "string", "required": True, "description": "Where to go"},
            "days": {"type": "integer", "required": False, "description": "How long", "default_value": "2"},
        }
        schema = [{"name": name, "type": field["type"]} for name, field in required.items()]
        data = to_text({"content_type": "form_schema", "content": to_text(schema)})
        yield Ask(INPUT, INPUT_INTERRUPT, data, required)


def large_output(inputs: Inputs) -> Iterator[Step]:
    """Give ``size`` characters from the end node and a quarter of them from each of ``nodes`` output nodes."""
    size = inputs.settings["size"]
    text = numbered_lines(size)
    for number in range(inputs.settings["nodes"]):
        suffix = f" {number + 1}" if number else ""
        node = Node(str(int(OUTPUT.node_id) + number), OUTPUT.title + suffix, OUTPUT.node_type)
        yield from say(inputs, node, _large_packets(text[: size // 4]))
    data = to_text({"output": text})
    yield from say(inputs, END, _large_packets(data), Usage(2_000, size // 4))
    yield Finished(data)


def chinese(inputs: Inputs) -> Iterator[Step]:
    """Speak Chinese with the line separators that naive line splitters trip over."""
    text = "第一行\u2028第二行\u0085第三行\u2029结束。😀"
    yield from say(inputs, Node("130002", "输出", OUTPUT_NODE_TYPE), pieces(text, 3))
    data = to_text({"output": text, "参数": inputs.parameters})
    yield from say(inputs, Node("900001", "结束", "End"), pieces(data, 3), Usage(30, 20))
    yield Finished(data)


def pings(inputs: Inputs) -> Iterator[Step]:
    """Send a PING after each packet."""
    data = to_text({"output": "Still here."})
    for step in say(inputs, END, pieces(data, 3), Usage(5, 4)):
        yield step
        if isinstance(step, Packet):
            yield Ping()
    yield Finished(data)


def returns_text(inputs: Inputs) -> Iterator[Step]:
    """End with text instead of variables: wrapped as in protocol 1.2, or bare when ``wrapped`` is 0."""
    text = "Plain text, not JSON: {see above}."
    yield from say(inputs, END, pieces(text, 2), Usage(9, 7))
    wrapper = {"content_type": 1, "data": text, "original_result": None, "type_for_model": 2}
    yield Finished(to_text(wrapper) if inputs.settings["wrapped"] else text)


def uses_many_tokens(inputs: Inputs) -> Iterator[Step]:
    """Answer briefly after more tokens than 32 bits can count."""
    data = to_text({"output": "That took some thinking."})
    yield from say(inputs, END, [data], Usage(4_000_000_000, 1_000_000_000))
    yield Finished(data)


def leaves_no_trace(inputs: Inputs) -> Iterator[Step]:
    """Succeed without telling the execute id or a debug address, as older answers did."""
    data = to_text({"output": "Done, and nobody knows where."})
    yield from say(inputs, END, [data])
    yield Finished(data, traceless=True)


def numbered_lines(size: int) -> str:
    """Return exactly ``size`` ASCII characters of numbered lines."""
    lines = (f"{number:07d}  what the workflow found out in this step\n" for number in range(size // 50 + 1))
    return "".join(lines)[:size]


def _sized_packets(count: int, size: int) -> Iterator[str]:
    """Yield ``count`` packets of exactly ``size`` characters, each beginning with its number."""
    filler = numbered_lines(size)
    for number in range(count):
        yield f"{number:07d} {filler}"[:size]


def _large_packets(text: str) -> list[str]:
    return [text[at : at + _LARGE_PACKET] for at in range(0, len(text), _LARGE_PACKET)]


def _reply(inputs: Inputs, result: dict[str, object]) -> Iterator[Step]:
    data = to_text(result)
    yield from say(inputs, END, pieces(data, 2), Usage(40, 16))
    yield Finished(data)


def _no_usable_answer(node: Node) -> Failure:
    return Failure(EXECUTION_FAILED, f"Node '{node.title}' failed: no usable answer after {MAX_ANSWERS} attempts.")


def _json_object(text: str) -> dict[str, object]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
