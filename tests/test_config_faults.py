"""What a field may hold: every kind of fault says where, what and how to fix; and what is read as something else."""

from typing import Any

import pytest

from aether_deploy import (
    ConfigError,
)
from tests.config_cases import Colour, Item, Thing, faults_of

# --- faults

FAULTS: dict[str, tuple[Any, list[str]]] = {
    "text is a number": ({"text": 5}, ['$.text: is 5; expected text\n  fix: quote it: "5"']),
    "text is true": ({"text": True}, ['$.text: is true; expected text\n  fix: quote it: "true"']),
    "text is nothing": ({"text": None}, ["$.text: is null; expected text\n  fix: write text"]),
    "text is a list": ({"text": []}, ["$.text: is a list; expected text\n  fix: write text"]),
    "a name has a rule": (
        {"label": "Lobby_1"},
        [
            "$.label: is 'Lobby_1'; not a DNS-1123 label\n"
            "  fix: use lower-case letters, digits and '-', and begin and end with a letter or digit"
        ],
    ),
    "a name is too long": (
        {"label": "a" * 64},
        [
            f"$.label: is '{'a' * 57}...'; has 64 characters; a DNS-1123 label has at most 63\n"
            "  fix: shorten it"
        ],
    ),
    "an image has upper case": (
        {"image": "Aether/World"},
        [
            "$.image: is 'Aether/World'; not an image reference\n"
            "  fix: write [registry/]name:tag@sha256:<64 hex digits>"
        ],
    ),
    "a placeholder is a slip": (
        {"host": "x.{regoin}.example.com"},
        ["$.host: is 'x.{regoin}.example.com'; has no placeholder {regoin}\n  fix: did you mean 'region'?"],
    ),
    "a placeholder is none": (
        {"host": "{pod}"}, ["$.host: is '{pod}'; has no placeholder {pod}\n  fix: use one of {region}, {cluster}"]
    ),
    "a size has a slip": (
        {"size": "10gi"}, ["$.size: is '10gi'; not a size\n  fix: write a size such as 512Mi or 10Gi"]
    ),
    "a size is nothing": (
        {"size": "0"}, ["$.size: is '0'; not more than zero\n  fix: write a size such as 512Mi or 10Gi"]
    ),
    "a count is text": ({"count": "3"}, ["$.count: is '3'; expected a whole number\n  fix: remove the quotes: 3"]),
    "a count is true": ({"count": True}, ["$.count: is true; expected a whole number\n  fix: write a whole number"]),
    "a count is a fraction": (
        {"count": 1.5}, ["$.count: is 1.5; expected a whole number\n  fix: write a whole number"]
    ),
    "a count is negative": ({"count": -1}, ["$.count: is -1; less than 0\n  fix: set it to 0 or more"]),
    "a count is too large": (
        {"count": 2**31}, ["$.count: is 2147483648; more than 2147483647\n  fix: set it to 2147483647 or less"]
    ),
    "a time is none": (
        {"wait_secs": "5 minutes"},
        [
            "$.wait_secs: is '5 minutes'; no duration: whole hours, minutes and seconds in this order, such as "
            "1h30m or 90s\n  fix: write seconds, or text such as 5m"
        ],
    ),
    "a ratio is text": ({"ratio": "0.5"}, ["$.ratio: is '0.5'; expected a number\n  fix: write a number"]),
    "a ratio is outside": (
        {"ratio": 2}, ["$.ratio: is 2; not between 0 and 1\n  fix: write a number between them"]
    ),
    "a switch is a word": (
        {"on": "yes"}, ["$.on: is 'yes'; expected true or false\n  fix: write true or false, without quotes"]
    ),
    "a word is a slip": (
        {"word": "retain"}, ["$.word: is 'retain'; expected one of Retain, Delete\n  fix: did you mean 'Retain'?"]
    ),
    "a word is a number": (
        {"word": 1}, ["$.word: is 1; expected one of Retain, Delete\n  fix: write one of Retain, Delete"]
    ),
    "a member of an enum is none": (
        {"colour": "blue"}, ["$.colour: is 'blue'; expected one of red, green\n  fix: write one of red, green"]
    ),
    "neither of two types": (
        {"switch": "quorm"},
        ["$.switch: is 'quorm'; expected true or false or quorum\n  fix: write true or false or quorum"],
    ),
    "a list is text": ({"names": "a"}, ["$.names: is 'a'; expected a list\n  fix: write a list: [ ... ]"]),
    "items of a list": (
        {"names": ["a", 5, "B"]},
        [
            '$.names[1]: is 5; expected a DNS-1123 label\n  fix: quote it: "5"',
            "$.names[2]: is 'B'; not a DNS-1123 label\n"
            "  fix: use lower-case letters, digits and '-', and begin and end with a letter or digit",
        ],
    ),
    "an item twice": (
        {"items": [{"name": "a"}, {"name": "b"}, {"name": "a", "port": 1}]},
        ["$.items[2].name: is 'a'; repeats item 0 of the same list\n  fix: give it another name, or merge both"],
    ),
    "a mapping is a list": (
        {"labels": ["a"]}, ["$.labels: is a list; expected a mapping\n  fix: write a mapping: { ... }"]
    ),
    "a key and a value of a mapping": (
        {"labels": {"a b": "x", "c": 5}},
        [
            "$.labels: has key 'a b'; not a label key\n"
            "  fix: use at most 63 letters, digits, '-', '_' or '.', after an optional DNS prefix and '/'",
            '$.labels.c: is 5; expected text\n  fix: quote it: "5"',
        ],
    ),
    "an object is text": ({"item": "a"}, ["$.item: is 'a'; expected a mapping\n  fix: write a mapping: { ... }"]),
    "an object in an object": (
        {"item": {"nam": "a", "port": 0}},
        [
            "$.item: has unknown key 'nam'\n  fix: did you mean 'name'?",
            "$.item: lacks 'name'\n  fix: add name: a DNS-1123 label",
            "$.item.port: is 0; less than 1\n  fix: set it to 1 or more",
        ],
    ),
    "a field that Python alone may set": (
        {"inner": "y"}, ["$.inner: is 'y'; not set in a file; the section decides\n  fix: remove it"]
    ),
    "an unknown key that is like another": (
        {"colours": "red"}, ["$: has unknown key 'colours'\n  fix: did you mean 'colour'?"]
    ),
    "an unknown key in another case": ({"Ratio": 1}, ["$: has unknown key 'Ratio'\n  fix: did you mean 'ratio'?"]),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_says_where_what_and_how_to_fix(fault: str) -> None:
    values, says = FAULTS[fault]

    assert faults_of(Thing, values) == says


@pytest.mark.parametrize("fault", [name for name in FAULTS if name != "a field that Python alone may set"])
def test_a_fault_is_the_same_when_an_object_is_built(fault: str) -> None:
    values, says = FAULTS[fault]
    if "has unknown key" in says[0] or fault == "text is nothing":
        return

    with pytest.raises(ConfigError) as raised:
        Thing(**values)

    assert [str(problem) for problem in raised.value.problems] == says


def test_an_unknown_key_that_is_like_no_other_lists_what_is_known() -> None:
    assert faults_of(Item, {"name": "a", "zzz": 1}) == [
        "$: has unknown key 'zzz'\n  fix: remove it; known are name, port"
    ]


def test_what_is_no_mapping_is_no_object() -> None:
    assert faults_of(Item, ["a"]) == ["$: is a list; expected a mapping\n  fix: write a mapping: { ... }"]


def test_all_faults_are_reported_at_once() -> None:
    values = {name: each for one, _ in FAULTS.values() for name, each in one.items()}

    found = faults_of(Thing, values)

    assert len(found) >= len(values)
    assert (
        sorted(name for name in values if not any(f"$.{name}" in text or f"'{name}'" in text for text in found)) == []
    )


def test_an_exception_says_all_its_problems() -> None:
    with pytest.raises(ConfigError) as raised:
        Item.from_values({"port": 0})

    assert str(raised.value) == (
        "$: lacks 'name'\n  fix: add name: a DNS-1123 label\n$.port: is 0; less than 1\n  fix: set it to 1 or more"
    )
    assert isinstance(raised.value, ValueError)


# --- values that are read as something else

SCRIPTS = "Welt für Übermut — 世界 🌍\n\tzwei"
READ: dict[str, tuple[dict[str, Any], Any]] = {
    "a duration as seconds": ({"wait_secs": "1h30m"}, ("wait_secs", 5400)),
    "whole seconds as they are": ({"wait_secs": 90}, ("wait_secs", 90)),
    "a whole number as a size": ({"size": 2097152}, ("size", "2097152")),
    "a whole number as a number": ({"ratio": 1}, ("ratio", 1.0)),
    "none as off": ({"maybe": "none"}, ("maybe", None)),
    "none as text where nothing can be off": ({"text": "none"}, ("text", "none")),
    "a word as a member": ({"colour": "green"}, ("colour", Colour.Green)),
    "a word beside true and false": ({"switch": "quorum"}, ("switch", "quorum")),
    "a list beside a word": ({"where": ["a"]}, ("where", ("a",))),
    "known placeholders": ({"host": "{region}.{cluster}"}, ("host", "{region}.{cluster}")),
    "text in other scripts": ({"text": SCRIPTS}, ("text", SCRIPTS)),
}  # fmt: skip


@pytest.mark.parametrize("case", READ)
def test_it_is_read(case: str) -> None:
    values, (name, expected) = READ[case]

    assert getattr(Thing.from_values(values), name) == expected


UNCARRIED = "\x00\x07\x0b\x0c\r\x1b\x7f\x80\x85\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800\udfff"


@pytest.mark.parametrize("character", UNCARRIED, ids=lambda c: f"U+{ord(c):04X}")
def test_a_character_that_no_pipeline_carries_is_refused(character: str) -> None:
    (problem,) = faults_of(Thing, {"text": f"ab{character}c"})

    assert f"holds U+{ord(character):04X} at character 3, which no YAML pipeline carries" in problem
    assert problem.endswith("\n  fix: remove the character")
    assert problem.isascii()


def test_a_message_shows_no_character_that_a_terminal_would_act_on() -> None:
    (problem,) = faults_of(Thing, {"text": "a\x1b[31m"})

    assert problem == (
        "$.text: is 'a\\x1b[31m'; holds U+001B at character 2, which no YAML pipeline carries\n"
        "  fix: remove the character"
    )
