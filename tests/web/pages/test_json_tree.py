"""JSON as a tree: pointing into it, bounding it, searching it."""

import orjson
import pytest

from execution_history.web.pages.json_pointer import NoSuchPart, find_part, root
from execution_history.web.pages.json_tree import Limits, Node, first_lines, matches, tree_of
from execution_history.web.pages.value_view import part_view, raw_part

RECORD = {
    "output": {"a b": [1, {"x/y~z": "deep"}], "said": '{"inner": {"k": [true]}}', "": None},
    "input_parameters": {},
}


def count(node: Node) -> int:
    """How many values are in a tree."""
    inside = [*node.children, *([node.embedded] if node.embedded else [])]
    return 1 + sum(count(child) for child in inside)


@pytest.mark.parametrize(
    ("pointer", "path", "value"),
    [
        ("", ".", RECORD),
        ("/output/a b/0", '.output["a b"][0]', 1),
        ("/output/a b/1/x~1y~0z", '.output["a b"][1]["x/y~z"]', "deep"),
        ("/output/said/~j/inner/k/0", ".output.said | fromjson | .inner.k[0]", True),
        ("/output/", '.output[""]', None),
    ],
)
def test_a_pointer_finds_its_part(pointer: str, path: str, value: object) -> None:
    """With the jq filter that finds it too, also inside of a text that holds JSON."""
    part = find_part(RECORD, pointer)
    assert (pointer, path, value) == (part.pointer, part.path, part.value)


@pytest.mark.parametrize("pointer", ["output", "/nothing", "/output/a b/2", "/output/a b/-1", "/output/a b/٢",
                                     "/output/a b/~j", "/input_parameters/~j", "/" + "/".join("x" * 300)])  # fmt: skip
def test_a_pointer_to_nothing_finds_nothing(pointer: str) -> None:
    """And nothing worse happens."""
    with pytest.raises(NoSuchPart):
        find_part(RECORD, pointer)


def test_json_in_a_text_opens_as_a_tree() -> None:
    """And is told from an object that is one."""
    tree = tree_of(root({"a": '[{"b": 1}]', "c": "plain", "d": "{broken", "e": "7", "f": "[]"}))
    embedded = [child.embedded is not None for child in tree.children]
    assert [True, False, False, False, False] == embedded
    held = tree.children[0].embedded
    assert held is not None
    assert ("array", 1, "/a/~j") == (held.kind, held.count, held.pointer)


def test_numbers_of_json_in_a_text_keep_their_digits() -> None:
    """In the form that they have in a record; what is not strict JSON opens too."""
    text = '{"order": 80241446968629135069, "ratio": 0.1, "score": NaN, "cut": "\\ud83d"}'
    part = find_part({"a": text}, "/a/~j")
    assert {"order": "80241446968629135069", "ratio": 0.1, "score": "NaN", "cut": "\\ud83d"} == part.value


def test_a_huge_value_gives_a_small_tree() -> None:
    """What stands at the top is always there, the rest is named and can be fetched."""
    value = {f"key{number}": [{"n": n, "text": "x" * 50} for n in range(1000)] for number in range(50)}
    tree = tree_of(root(value), limits=Limits(values=200, children=60))
    assert 50 == len(tree.children)
    assert all(child.count == 1000 for child in tree.children)
    assert 300 > count(tree)
    assert any(child.count and not child.children for child in tree.children)
    first = tree.children[0]
    assert (60, 1000, 0) == (len(first.children), first.count, first.start)


def test_a_deep_value_ends_in_a_branch_to_fetch() -> None:
    """A thousand levels do not become a thousand frames."""
    value: list[object] = []
    for _ in range(1000):
        value = [value]
    node = tree_of(root(value))
    for _ in range(12):
        node = node.children[0]
    assert node.count
    assert not node.children


def test_a_branch_goes_on_where_it_was_cut() -> None:
    """The second piece of a list begins with the item that follows the first piece."""
    tree = tree_of(root(list(range(150))), limits=Limits(children=100), start=100)
    assert ["100", "149"] == [tree.children[0].name, tree.children[-1].name]
    assert tree.count == tree.start + len(tree.children)


def test_long_texts_fold_after_six_lines() -> None:
    """Or what would be six lines; what is cut says how long it is."""
    assert "1\n2\n3\n4\n5\n6\n" == first_lines("1\n2\n3\n4\n5\n6\n7\n8")
    assert 480 == len(first_lines("x" * 2000))
    assert "short" == first_lines("short")
    node = tree_of(root("x" * 10_000))
    assert (480, 3520, 10_000, True) == (len(node.head), len(node.rest), node.characters, node.is_cut)


def test_texts_share_what_may_be_sent() -> None:
    """A hundred long texts are not sent whole."""
    tree = tree_of(root(["y" * 4_000] * 60))
    assert 30_000 > sum(len(child.head) + len(child.rest) for child in tree.children)


def test_numbers_are_shown_as_they_are() -> None:
    """Also those of more than 64 bits, and the words of JSON."""
    tree = tree_of(root([2**70, 1.5, True, None, -0.0]))
    assert [str(2**70), "1.5", "true", "null", "-0.0"] == [child.head for child in tree.children]
    assert tree.size is None


def test_words_are_found_in_keys_texts_and_json_in_texts() -> None:
    """Whatever their case, in the order of the record."""
    found = matches(root(RECORD), "INNER")
    assert ["/output/said/~j/inner"] == [part.pointer for part in found.parts]
    assert ["/output/a b/1/x~1y~0z"] == [part.pointer for part in matches(root(RECORD), "DEEP").parts]
    assert found.is_whole


def test_a_search_is_bounded() -> None:
    """In what it finds and in what it looks at, and it says so."""
    assert 50 == len(matches(root(["hit"] * 1000), "hit").parts)
    assert not matches(root(list(range(200_000))), "no such").is_whole


def test_a_text_is_shown_in_stretches() -> None:
    """The second begins where the first ends; a stretch beyond the end is the first."""
    body = orjson.dumps({"output": "ab" * 25_000})
    first = part_view(body, "/output", 0, "")["slice"]
    second = part_view(body, "/output", 20_000, "")["slice"]
    assert first is not None
    assert second is not None
    assert (0, 20_000, 50_000) == (first.start, first.end, first.total)
    assert (20_000, 40_000, 0) == (second.start, second.end, second.before)
    beyond = part_view(body, "/output", 10**9, "")["slice"]
    assert beyond is not None
    assert 0 == beyond.start


def test_a_part_is_given_as_it_is_stored() -> None:
    """A text as text, everything else as JSON."""
    body = orjson.dumps({"output": {"t": "\u202e<x>", "n": [1]}})
    assert ("\u202e<x>".encode(), True) == raw_part(body, "/output/t")
    assert (b"[\n  1\n]", False) == raw_part(body, "/output/n")


def test_a_key_that_is_too_long_for_an_address_goes_by_its_number() -> None:
    """Its value is found there, and no key that is called so is mistaken for it."""
    record = {"a": {"k" * 300: {"x": 5}, "~k0": 6}}
    tree = tree_of(root(record).child("a", record["a"]))
    assert ["/a/~k0", "/a/~0k0"] == [child.pointer for child in tree.children]
    assert (5, 6) == (find_part(record, "/a/~k0/x").value, find_part(record, "/a/~0k0").value)
    assert (120, 180) == (len(tree.children[0].name or ""), tree.children[0].name_rest)
