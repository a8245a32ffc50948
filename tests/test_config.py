"""The base of all configuration types: checked once, every fault at once, trusted after."""

from collections.abc import Iterator

import pytest
from msgspec import UNSET

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
from aether_deploy.config.base import Fault, rule, spec_of
from aether_deploy.config.types import Count
from tests.config_cases import Colour, Item, Span, Spans, Thing, faults_of
from tests.rule_case import IMAGE

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

    loaded = TopologyConfig.from_values({"preferred_colocation": [{"service": "voice-relay"}]})

    assert given == loaded
    assert isinstance(given.preferred_colocation, tuple)
    assert hash(given) == hash(loaded)


def test_what_is_loaded_equals_what_is_built() -> None:
    loaded = DeploymentConfig.from_values(
        {"name": "world", "image": IMAGE, "pvc": {"size": "10Gi"}, "ports": [{"name": "game", "port": 7777}]}
    )

    built = DeploymentConfig(
        name="world", image=IMAGE, pvc=PvcConfig(size="10Gi"), ports=(PortConfig(name="game", port=7777),)
    )

    assert loaded == built


def test_defaults_that_depend_on_what_is_given_are_filled_in() -> None:
    spans = Spans.from_values({"spans": [{"first": 1, "last": 2}, {"first": 3, "last": 4}]})

    assert (spans.doubled, Spans().doubled, Spans(doubled=7).doubled) == (4, 0, 7)


def test_the_plain_values_of_an_object_leave_defaults_out_and_load_back() -> None:
    thing = Thing(count=3, late=None, items=(Item(name="a"),), colour=Colour.Green, maybe=None)

    values = thing.to_values()

    assert values == {"count": 3, "colour": "green", "maybe": "none", "late": "none", "items": [{"name": "a"}]}
    assert Thing.from_values(values) == thing


def test_unset_is_not_off() -> None:
    assert Thing().late is UNSET
    assert Thing(late=None).late is None
    assert Thing.from_values({"late": "none"}).late is None


def test_a_default_that_can_be_changed_is_not_shared() -> None:
    Thing().labels["a"] = "b"

    assert Thing().labels == {}


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
        "$.path: is 'healthz'; not an HTTP path\n  fix: begin with '/', and hold no space",
        "$.port: is 0; less than 1\n  fix: set it to 1 or more",
    ]
