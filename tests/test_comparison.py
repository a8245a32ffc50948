"""What was rendered is compared with what came back: a server may add, but not drop or rewrite."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from aether_deploy.manifest.comparison import Difference, differences

RENDERED: dict[str, Any] = {
    "metadata": {"name": "gateway", "annotations": {"example.com/team.name": "worlds"}},
    "spec": {"replicas": 2, "paused": False, "args": [], "ports": [{"port": 80}, {"port": 443}], "size": "1Gi"},
}

CASES: dict[str, tuple[list[str | int], Any, list[str]]] = {
    "a field that the server adds is no difference": (["status"], {"replicas": 2}, []),
    "a default that it adds inside a list is none": (["spec", "ports", 0, "protocol"], "TCP", []),
    "an amount in another form is one": (
        ["spec", "size"], "1024Mi", ["spec.size: '1Gi' came back as '1024Mi'"]
    ),
    "text in place of a number is one": (["spec", "replicas"], "2", ["spec.replicas: 2 came back as '2'"]),
    "a number in place of a truth is one": (["spec", "paused"], 0, ["spec.paused: False came back as 0"]),
    "a dropped field is one": (["spec", "size"], UNSET, ["spec.size: '1Gi' was dropped"]),
    "an empty list that is dropped is one": (["spec", "args"], UNSET, ["spec.args: [] was dropped"]),
    "a null is not the value": (["spec", "paused"], None, ["spec.paused: False came back as None"]),
    "an item more is one": (
        ["spec", "ports"],
        [{"port": 80}, {"port": 443}, {"port": 8080}],
        ["spec.ports: [{'port': 80}, {'port': 443}] came back as [{'port': 80}, {'port': 443}, {'port': 8080}]"],
    ),
    "another order is one for each place": (
        ["spec", "ports"],
        [{"port": 443}, {"port": 80}],
        ["spec.ports[0].port: 80 came back as 443", "spec.ports[1].port: 443 came back as 80"],
    ),
    "a mapping that became a text is one": (
        ["metadata", "annotations"], "", ["metadata.annotations: {'example.com/team.name': 'worlds'} came back as ''"]
    ),
}  # fmt: skip


def changed(steps: list[str | int], value: Any) -> dict[str, Any]:
    """Return what was rendered with one value changed, or taken away where it is UNSET."""
    found = copy.deepcopy(RENDERED)
    where: Any = found
    for step in steps[:-1]:
        where = where[step]
    if value is UNSET:
        del where[steps[-1]]
    else:
        where[steps[-1]] = value
    return found


@pytest.mark.parametrize("name", CASES)
def test_a_difference_is_what_was_dropped_or_rewritten(name: str) -> None:
    steps, value, wanted = CASES[name]

    assert [str(each) for each in differences(RENDERED, changed(steps, value))] == wanted


def test_a_difference_names_the_steps_even_where_keys_have_dots() -> None:
    found = changed(["metadata", "annotations", "example.com/team.name"], "games")

    assert differences(RENDERED, found) == [
        Difference(at=("metadata", "annotations", "example.com/team.name"), rendered="worlds", found="games")
    ]


def test_all_differences_are_found_in_document_order() -> None:
    found = differences(RENDERED, {"spec": {}, "metadata": {"name": "other"}})

    assert [each.at for each in found] == [
        ("metadata", "name"),
        ("metadata", "annotations"),
        *(("spec", name) for name in ("replicas", "paused", "args", "ports", "size")),
    ]


scalars = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@given(values)
def test_what_comes_back_as_it_was_has_no_difference(value: object) -> None:
    assert differences(value, copy.deepcopy(value)) == []


@given(values, values)
def test_values_without_a_difference_either_way_are_equal(one: object, other: object) -> None:
    if not differences(one, other) and not differences(other, one):
        assert one == other
