"""JSON Patch: the examples of RFC 6902 and RFC 6901, the real kubectl, and where a fault is."""

import random
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from aether_deploy.manifest.json_patch import json_patch, operation_faults, pointer_steps, same
from aether_deploy.manifest.patch_fault import PatchFault
from tests.kubectl import COMMAND, find_kubectl
from tests.patch_cases import PatchCase, objects, patched_by_kubectl, random_operations
from tests.real import need

SEED = 20_261_126
PATCHES = 160

# RFC 6902, appendix A: document, operations, result; None where the operations must fail.
RFC_6902: dict[str, tuple[Any, list[dict[str, Any]], Any]] = {
    "A.1 an object member": (
        {"foo": "bar"},
        [{"op": "add", "path": "/baz", "value": "qux"}],
        {"baz": "qux", "foo": "bar"},
    ),
    "A.2 an array element": (
        {"foo": ["bar", "baz"]},
        [{"op": "add", "path": "/foo/1", "value": "qux"}],
        {"foo": ["bar", "qux", "baz"]},
    ),
    "A.3 removing a member": ({"baz": "qux", "foo": "bar"}, [{"op": "remove", "path": "/baz"}], {"foo": "bar"}),
    "A.4 removing an element": (
        {"foo": ["bar", "qux", "baz"]},
        [{"op": "remove", "path": "/foo/1"}],
        {"foo": ["bar", "baz"]},
    ),
    "A.5 replacing": (
        {"baz": "qux", "foo": "bar"},
        [{"op": "replace", "path": "/baz", "value": "boo"}],
        {"baz": "boo", "foo": "bar"},
    ),
    "A.6 moving a value": (
        {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
        [{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}],
        {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}},
    ),
    "A.7 moving an element": (
        {"foo": ["all", "grass", "cows", "eat"]},
        [{"op": "move", "from": "/foo/1", "path": "/foo/3"}],
        {"foo": ["all", "cows", "eat", "grass"]},
    ),
    "A.8 a test that holds": (
        {"baz": "qux", "foo": ["a", 2, "c"]},
        [{"op": "test", "path": "/baz", "value": "qux"}, {"op": "test", "path": "/foo/1", "value": 2}],
        {"baz": "qux", "foo": ["a", 2, "c"]},
    ),
    "A.9 a test that fails": ({"baz": "qux"}, [{"op": "test", "path": "/baz", "value": "bar"}], None),
    "A.10 a nested object": (
        {"foo": "bar"},
        [{"op": "add", "path": "/child", "value": {"grandchild": {}}}],
        {"foo": "bar", "child": {"grandchild": {}}},
    ),
    "A.12 a target that is not there": ({"foo": "bar"}, [{"op": "add", "path": "/baz/bat", "value": "qux"}], None),
    "A.14 an escaped pointer": (
        {"/": 9, "~1": 10},
        [{"op": "test", "path": "/~01", "value": 10}],
        {"/": 9, "~1": 10},
    ),
    "A.15 a text is no number": ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": "10"}], None),
    "A.16 an array value": (
        {"foo": ["bar"]},
        [{"op": "add", "path": "/foo/-", "value": ["abc", "def"]}],
        {"foo": ["bar", ["abc", "def"]]},
    ),
    "copying": (
        {"a": {"b": 1}},
        [{"op": "copy", "from": "/a", "path": "/c"}, {"op": "replace", "path": "/c/b", "value": 2}],
        {"a": {"b": 1}, "c": {"b": 2}},
    ),
    "adding to what is there": ({"a": 1, "b": 2}, [{"op": "add", "path": "/a", "value": 3}], {"a": 3, "b": 2}),
    "an index past the end": ({"a": [1]}, [{"op": "add", "path": "/a/2", "value": 3}], None),
    "an index with a zero before it": ({"a": [1, 2]}, [{"op": "remove", "path": "/a/01"}], None),
    "a negative index": ({"a": [1, 2]}, [{"op": "remove", "path": "/a/-1"}], None),
    "the end of a list is no place": ({"a": [1, 2]}, [{"op": "remove", "path": "/a/-"}], None),
    "removing what is not there": ({"a": 1}, [{"op": "remove", "path": "/b"}], None),
    "replacing what is not there": ({"a": 1}, [{"op": "replace", "path": "/b", "value": 1}], None),
    "a step into a scalar": ({"a": 1}, [{"op": "add", "path": "/a/b", "value": 1}], None),
    "a key that is empty": ({"": 1}, [{"op": "replace", "path": "/", "value": 2}], {"": 2}),
    "the whole document": ({"a": 1}, [{"op": "replace", "path": "", "value": {"b": 2}}], {"b": 2}),
}


@pytest.mark.parametrize("sentence", RFC_6902)
def test_the_examples_of_rfc_6902_hold(sentence: str) -> None:
    document, operations, wanted = RFC_6902[sentence]
    before = deepcopy(document)

    assert operation_faults(operations) == []
    if wanted is None:
        with pytest.raises(PatchFault):
            json_patch(document, operations)
    else:
        assert json_patch(document, operations) == wanted
    assert document == before


def test_the_examples_of_rfc_6901_hold() -> None:
    document = {"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, 'k"l': 6, " ": 7}
    document["m~n"] = 8
    values = {"/foo/0": "bar", "/": 0, "/a~1b": 1, "/c%d": 2, "/e^f": 3, "/g|h": 4, "/i\\j": 5, '/k"l': 6, "/ ": 7}
    values |= {"/m~0n": 8, "/foo": ["bar", "baz"], "": document}
    tests = [{"op": "test", "path": path, "value": value} for path, value in values.items()]

    assert json_patch(document, tests) == document
    assert pointer_steps("/a~1b/m~0n/~01") == ("a/b", "m~n", "~1")


def test_values_are_equal_as_json() -> None:
    assert same(1, 1.0)
    assert same({"a": [1, None]}, {"a": [1, None]})
    assert not same(1, True)
    assert not same(0, False)
    assert not same("1", 1)
    assert not same([1, 2], [1])


def test_a_key_keeps_its_place_when_its_value_is_replaced() -> None:
    changed = json_patch({"a": 1, "b": 2}, [{"op": "add", "path": "/a", "value": 3}])

    assert list(changed) == ["a", "b"]


@pytest.mark.parametrize(
    "operation, at, reason, fix",
    [
        ("add", (0,), "no operation", "write a mapping: {op: replace, path: /spec/…, value: …}"),
        ({"path": "/a"}, (0,), "has no op", "add op: one of add, remove, replace, move, copy, test"),
        ({"op": "replce", "path": "/a"}, (0, "op"), "no operation of JSON Patch", "did you mean 'replace'?"),
        ({"op": {"a": 1}, "path": "/a"}, (0, "op"), "no operation of JSON Patch", None),
        ({"op": "add", "path": "/a"}, (0,), "has no value, which add needs", "add value"),
        ({"op": "copy", "path": "/a"}, (0,), "has no from, which copy needs", "add from"),
        ({"op": "remove", "path": "/a", "value": 1}, (0, "value"), "not used by remove", "remove it"),
        ({"op": "add", "path": "a", "value": 1}, (0, "path"), "no JSON Pointer", None),
        ({"op": "add", "path": 3, "value": 1}, (0, "path"), "no JSON Pointer", None),
        ({"op": "add", "path": "/a~b", "value": 1}, (0, "path"), "has a '~' that escapes nothing", None),
        ({"op": "move", "from": "/a", "path": "/a/b"}, (0, "path"), "inside what is moved", "move it elsewhere"),
    ],
)
def test_an_operation_that_is_none_says_why(operation: Any, at: tuple[Any, ...], reason: str, fix: str | None) -> None:
    (fault,) = operation_faults([operation])

    assert (fault.at, fault.reason) == (at, reason)
    assert fix is None or fault.fix == fix


def test_an_operation_that_leads_nowhere_says_where_and_what_is_there() -> None:
    body = {"spec": {"replicas": 1, "ports": [1, 2]}}
    first = {"op": "test", "path": "/spec/replicas", "value": 1}

    with pytest.raises(PatchFault) as caught:
        json_patch(body, [first, {"op": "replace", "path": "/spec/replcas", "value": 1}])
    assert caught.value.at == (1, "path")
    assert caught.value.reason == "leads nowhere: /spec has no 'replcas'"
    assert caught.value.fix == "did you mean 'replicas'?"
    with pytest.raises(PatchFault, match="/spec/ports has 2 items") as caught:
        json_patch(body, [{"op": "copy", "from": "/spec/ports/2", "path": "/spec/x"}])
    assert caught.value.at == (0, "from")
    with pytest.raises(PatchFault, match="the test fails") as caught:
        json_patch(body, [{"op": "test", "path": "/spec/replicas", "value": 2}])
    assert caught.value.at == (0, "value")


@pytest.mark.real
def test_random_operations_do_what_kubectl_does(tmp_path: Path) -> None:
    program = need(find_kubectl(), "kubectl", COMMAND)
    rng = random.Random(SEED)
    print("seed", SEED)
    cases: list[PatchCase] = []
    while len(cases) < PATCHES:
        case = PatchCase(body := rng.choice(objects()), random_operations(rng, body))
        if not operation_faults(case.patch):
            cases.append(case)
    applied = 0
    for case, theirs in zip(cases, patched_by_kubectl(program, cases, "json", tmp_path), strict=True):
        try:
            ours: Any = json_patch(*case)
        except PatchFault as fault:
            # Kubectl replaces and copies what is not there; RFC 6902, 4.3 and 4.5, wants it to exist.
            if case.patch[int(fault.at[0])]["op"] in ("copy", "replace") and "has no" in fault.reason:
                continue
            ours = None
        applied += ours is not None

        assert ours == (theirs if isinstance(theirs, dict) else None), (case.patch, theirs)
    assert PATCHES // 10 < applied < PATCHES
