"""The base of all configuration types: checked once, every fault at once, trusted after."""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from msgspec import UNSET, UnsetType

from aether_deploy import (
    AffinityRule,
    ConfigError,
    DeploymentConfig,
    PortConfig,
    Probe,
    PvcConfig,
    ScalingConfig,
    TopologyConfig,
)
from aether_deploy.config.base import FILLED, Config, Fault, rule, spec_of
from aether_deploy.config.marks import Keyed, NumberRule, Placeholders, PythonOnly
from aether_deploy.config.types import Count, DnsLabel, ImageRef, LabelKey, PortNumber, Seconds, SizeQuantity
from tests.rule_case import IMAGE


class Colour(StrEnum):
    Red = "red"
    Green = "green"


class Item(Config):
    name: DnsLabel
    port: PortNumber = 80


class Thing(Config):
    """One field for every kind of value."""

    text: str = ""
    label: DnsLabel = "x"
    image: ImageRef = "x:v1"
    host: Annotated[str, Placeholders(("region", "cluster"))] = "x"
    size: SizeQuantity = "1Gi"
    count: Count = 1
    wait_secs: Seconds = 0
    ratio: Annotated[float, NumberRule(ge=0, le=1)] = 0.5
    on: bool = False
    word: Literal["Retain", "Delete"] = "Retain"
    colour: Colour = Colour.Red
    switch: bool | Literal["quorum"] = False
    maybe: Count | None = 1
    late: Item | None | UnsetType = UNSET
    item: Item | None = None
    names: Sequence[DnsLabel] = ()
    items: Annotated[Sequence[Item], Keyed("name")] = ()
    where: Literal["all"] | Sequence[DnsLabel] = "all"
    labels: dict[LabelKey, str] = {}
    inner: Annotated[str, PythonOnly("the section decides")] = "x"


class Span(Config):
    """A class with two rules, one of which warns."""

    first: Count
    last: Count
    step: Count = 1

    @rule
    def ends_are_ordered(self) -> Iterator[Fault]:
        if self.last < self.first:
            yield Fault(("last",), f"before first, which is {self.first}", "raise it", self.last)

    @rule
    def steps_are_short(self) -> Iterator[Fault]:
        if self.step > self.width:
            yield Fault(("step",), "longer than the span", "shorten it", self.step, "warning")

    @rule
    def there_is_a_step(self) -> Iterator[Fault]:
        if self.step == 0:
            yield Fault(("step",), "leads nowhere", "set it to 1", 0)

    @property
    def width(self) -> int:
        return self.last - self.first


class Spans(Config):
    spans: Sequence[Span] = ()
    doubled: Count = FILLED

    @classmethod
    def fill(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        spans = given.get("spans")
        return {"doubled": 2 * len(spans) if isinstance(spans, (list, tuple)) else 0, **given}


def faults_of(cls: type[Config], values: Any) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        cls.load(values)
    return [str(problem) for problem in raised.value.problems]


# --- objects


def test_an_object_cannot_be_changed() -> None:
    scaling = ScalingConfig()

    with pytest.raises(AttributeError):
        scaling.min_replicas = 3  # type: ignore[misc]


def test_an_object_takes_keywords_only() -> None:
    with pytest.raises(TypeError, match=r"^ScalingConfig takes keyword arguments only$"):
        ScalingConfig(50)  # type: ignore[call-arg]


def test_lists_become_tuples_so_that_equal_values_compare_equal() -> None:
    given = TopologyConfig(preferred_colocation=[AffinityRule(service="voice-relay")])

    loaded = TopologyConfig.load({"preferred_colocation": [{"service": "voice-relay"}]})

    assert given == loaded
    assert isinstance(given.preferred_colocation, tuple)
    assert hash(given) == hash(loaded)


def test_what_is_loaded_equals_what_is_built() -> None:
    loaded = DeploymentConfig.load(
        {"name": "world", "image": IMAGE, "pvc": {"size": "10Gi"}, "ports": [{"name": "game", "port": 7777}]}
    )

    built = DeploymentConfig(
        name="world", image=IMAGE, pvc=PvcConfig(size="10Gi"), ports=(PortConfig(name="game", port=7777),)
    )

    assert loaded == built


def test_defaults_that_depend_on_what_is_given_are_filled_in() -> None:
    spans = Spans.load({"spans": [{"first": 1, "last": 2}, {"first": 3, "last": 4}]})

    assert (spans.doubled, Spans().doubled, Spans(doubled=7).doubled) == (4, 0, 7)


def test_the_plain_values_of_an_object_leave_defaults_out_and_load_back() -> None:
    thing = Thing(count=3, late=None, items=(Item(name="a"),), colour=Colour.Green, maybe=None)

    values = thing.to_values()

    assert values == {"count": 3, "colour": "green", "maybe": "none", "late": "none", "items": [{"name": "a"}]}
    assert Thing.load(values) == thing


def test_unset_is_not_off() -> None:
    assert Thing().late is UNSET
    assert Thing(late=None).late is None
    assert Thing.load({"late": "none"}).late is None


def test_a_default_that_can_be_changed_is_not_shared() -> None:
    Thing().labels["a"] = "b"

    assert Thing().labels == {}


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
            "$.wait_secs: is '5 minutes'; is no duration: whole hours, minutes and seconds in this order, such as "
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
        {"switch": "quorm"}, ["$.switch: is 'quorm'; expected true or false or quorum\n  fix: did you mean 'quorum'?"]
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
            "$.labels['a b']: its key is not a label key\n"
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
        Item.load({"port": 0})

    assert str(raised.value) == (
        "$: lacks 'name'\n  fix: add name: a DNS-1123 label\n$.port: is 0; less than 1\n  fix: set it to 1 or more"
    )
    assert isinstance(raised.value, ValueError)


# --- values that are read as something else

SCRIPTS = "Welt für Übermut — 世界 🌍\n\tzwei"
READ: dict[str, tuple[dict[str, Any], Any]] = {
    "a duration as seconds": ({"wait_secs": "1h30m"}, ("wait_secs", 5400)),
    "whole seconds as they are": ({"wait_secs": 90}, ("wait_secs", 90)),
    "a whole number as a size": ({"size": 1024}, ("size", "1024")),
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

    assert getattr(Thing.load(values), name) == expected


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


# --- rules


def test_a_rule_reports_at_its_field() -> None:
    assert faults_of(Span, {"first": 5, "last": 3}) == [
        "$.last: is 3; before first, which is 5\n  fix: raise it",
        "$.step: warning: is 1; longer than the span\n  fix: shorten it",
    ]


def test_a_rule_that_looks_at_a_faulty_field_is_left_out_and_the_others_still_report() -> None:
    assert faults_of(Span, {"first": "x", "last": 3, "step": 0}) == [
        "$.first: is 'x'; expected a whole number\n  fix: write a whole number",
        "$.step: is 0; leads nowhere\n  fix: set it to 1",
    ]


def test_a_missing_field_is_a_faulty_one() -> None:
    assert faults_of(Span, {"last": 3, "step": 0}) == [
        "$: lacks 'first'\n  fix: add first: a whole number",
        "$.step: is 0; leads nowhere\n  fix: set it to 1",
    ]


def test_faults_inside_hide_none_beside() -> None:
    spans = [{"first": 5, "last": 3}, {"first": 1}, {"first": 2, "last": 1, "stp": 1}]

    assert [text.partition("\n")[0] for text in faults_of(Spans, {"spans": spans})] == [
        "$.spans[0].last: is 3; before first, which is 5",
        "$.spans[0].step: warning: is 1; longer than the span",
        "$.spans[1]: lacks 'last'",
        "$.spans[2]: has unknown key 'stp'",
        "$.spans[2].last: is 1; before first, which is 2",
        "$.spans[2].step: warning: is 1; longer than the span",
    ]


def test_a_warning_stops_nothing_and_is_found_where_it_is() -> None:
    spans = Spans(spans=(Span(first=1, last=2), Span(first=1, last=2, step=5)))

    assert [str(problem) for problem in spans.problems()] == [
        "$.spans[1].step: warning: is 5; longer than the span\n  fix: shorten it"
    ]


def test_an_exception_from_building_carries_errors_only() -> None:
    with pytest.raises(ConfigError) as raised:
        Span(first=5, last=3)

    assert [problem.severity for problem in raised.value.problems] == ["error"]


def test_rules_are_inherited() -> None:
    class Longer(Span):
        last: Count = 100

        @rule
        def it_is_long(self) -> Iterator[Fault]:
            if self.width < 10:
                yield Fault((), "is short", "make it longer")

    assert len(spec_of(Longer).rules) == len(spec_of(Span).rules) + 1
    assert faults_of(Longer, {"first": 95}) == ["$: is short\n  fix: make it longer"]


def test_a_probe_reports_its_own_faults_before_its_workload_does() -> None:
    with pytest.raises(ConfigError) as raised:
        Probe(path="healthz", port=0)

    assert [str(problem) for problem in raised.value.problems] == [
        "$.path: is 'healthz'; not an HTTP path\n  fix: begin with '/'",
        "$.port: is 0; less than 1\n  fix: set it to 1 or more",
    ]
