"""Latency records of Route 53: one for each region, which Route 53 can judge, and what is said where it cannot."""

from typing import Any

import pytest

from aether_deploy.config.base import Fault
from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.crds import CUSTOM_KINDS
from aether_deploy.manifest.yaml_text import to_yaml
from aether_deploy.problems import ConfigError
from aether_deploy.routing.policy import RoutingPolicy
from aether_deploy.traffic.backend import Landscape
from aether_deploy.traffic.kinds.external_dns import ExternalDnsConfig
from aether_deploy.traffic.registry import backend_types
from tests.conftest import Golden
from tests.envoy_cases import GATEWAY, VOICE, landscape, target
from tests.lab_cases import teach_kinds

CODES = ("us-east-1", "eu-west-1", "ap-south-1")
ENTRY = target(
    "gateway", *GATEWAY.ports, regions=frozenset(CODES), addresses={code: f"{code}.play.example.com" for code in CODES}
)


def land(**more: Any) -> Landscape:
    settings = {
        "regions": CODES,
        "order": dict.fromkeys(CODES, CODES),
        "providers": dict.fromkeys(CODES, "aws"),
        "entry": ENTRY,
        "targets": {"voice-relay": VOICE, "gateway": ENTRY},
        "policy": RoutingPolicy(on_none_healthy="fail_open"),
    }
    return landscape(**{**settings, **more})


LAND = land()


def dns(**more: Any) -> ExternalDnsConfig:
    return ExternalDnsConfig.from_values({"name": "player-dns", "provider": "aws", **more})


def record(config: ExternalDnsConfig, region: str, where: Landscape = LAND) -> dict[str, Any]:
    (body,) = config.render(where, region)
    (endpoint,) = body["spec"]["endpoints"]
    settings = {each["name"]: each["value"] for each in endpoint.pop("providerSpecific")}
    return {**endpoint, **settings}


def told(config: ExternalDnsConfig, where: Landscape = LAND) -> list[Fault]:
    return list(config.faults(where))


CHECKS = {code: f"check-{code}" for code in CODES}


def test_every_record_is_the_golden_one(check_golden: Golden) -> None:
    files = {f"alias-{code}.yaml": to_yaml(dns().render(LAND, code)[0]) for code in CODES}
    checked = dns(health_checks=CHECKS, ttl_secs=30)
    files |= {f"checked-{code}.yaml": to_yaml(checked.render(LAND, code)[0]) for code in CODES}

    check_golden("traffic/external-dns", files)


def test_each_cluster_says_its_own_record_of_the_one_name() -> None:
    records = [record(dns(), code) for code in CODES]

    assert {each["dnsName"] for each in records} == {"play.example.com"}
    assert [each["setIdentifier"] for each in records] == list(CODES)
    assert [each["aws/region"] for each in records] == list(CODES)
    assert [each["targets"] for each in records] == [[f"{code}.play.example.com"] for code in CODES]


def test_route_53_can_judge_every_record() -> None:
    alias, checked = record(dns(), CODES[0]), record(dns(health_checks=CHECKS, ttl_secs=30), CODES[0])

    assert (alias["alias"], alias["aws/evaluate-target-health"]) == ("true", "true")
    assert "recordTTL" not in alias, "an alias has none"
    assert (checked["alias"], checked["aws/health-check-id"], checked["recordTTL"]) == ("false", "check-us-east-1", 30)


def test_a_region_without_the_entry_has_no_record() -> None:
    entry = target("gateway", *GATEWAY.ports, regions=frozenset(CODES[:2]))

    assert dns().render(land(entry=entry), CODES[2]) == []


def test_services_are_named_for_external_dns_by_region_and_workload() -> None:
    where = land(
        targets={
            "gateway": ENTRY,
            "relay": target("relay", *VOICE.ports, addresses={"us-east-1": "relay.us-east-1.play.example.com"}),
            "own": target("own", *VOICE.ports, addresses={"us-east-1": "own.example.org"}),
        },
        edges=frozenset({"player-edge"}),
    )
    key = "external-dns.kubernetes.io/hostname"

    assert dns().annotations(where, "us-east-1", "gateway") == {key: "us-east-1.play.example.com"}
    assert dns().annotations(where, "us-east-1", "relay") == {key: "relay.us-east-1.play.example.com"}
    assert dns().annotations(where, "us-east-1", "player-edge") == {key: "player-edge.us-east-1.play.example.com"}
    assert dns().annotations(where, "us-east-1", "own") == {}
    assert dns().annotations(where, "us-east-1", "unknown") == {}
    old = dns(annotation_prefix="external-dns.alpha.kubernetes.io/")
    assert list(old.annotations(where, "us-east-1", "gateway")) == ["external-dns.alpha.kubernetes.io/hostname"]


def test_a_land_that_it_can_serve_has_no_faults() -> None:
    assert told(dns()) == []


def test_refusing_players_is_a_rule_that_route_53_cannot_keep() -> None:
    (warning,) = told(dns(), land(policy=RoutingPolicy()))

    assert (warning.severity, "on_none_healthy: error" in warning.reason) == ("warning", True)


ELSEWHERE = target(
    "gateway", *GATEWAY.ports, regions=frozenset(CODES), addresses={code: f"{code}.example.org" for code in CODES}
)
REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no name": ({}, {"hostname": None}, "has no name to lead players by"),
    "no way in": (
        {},
        {"entry": target("gateway", *GATEWAY.ports, regions=frozenset(CODES), exposed=frozenset())},
        "nobody outside can reach",
    ),
    "another zone": ({}, {"entry": ELSEWHERE}, "is not in the zone"),
    "another cloud": (
        {},
        {"providers": {**dict.fromkeys(CODES, "aws"), "eu-west-1": "gcp"}},
        "region 'eu-west-1' is of provider gcp",
    ),
    "two in one place": ({"aws_regions": {"eu-west-1": "us-east-1"}}, {}, "are both us-east-1"),
    "no place of AWS": ({"aws_regions": {"eu-west-1": "dublin"}}, {}, "'dublin' is no region of AWS"),
    "a place of nobody": ({"aws_regions": {"mars": "us-west-2"}}, {}, "no region has that code"),
    "half of the checks": ({"health_checks": {"us-east-1": "a"}}, {}, "lacks eu-west-1, ap-south-1"),
    "a check of nobody": ({"health_checks": {**CHECKS, "mars": "a"}}, {}, "no region that the entry runs in"),
}


@pytest.mark.parametrize(("config", "where", "reason"), REFUSED.values(), ids=list(REFUSED))
def test_what_route_53_could_not_judge_is_refused(config: dict[str, Any], where: dict[str, Any], reason: str) -> None:
    errors = [fault for fault in told(dns(**config), land(**where)) if fault.severity == "error"]

    assert any(reason in fault.reason for fault in errors), errors
    assert all(fault.fix for fault in errors)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"provider": "cloudflare"}, "to Route 53 only"),
        ({"ttl_secs": 30}, "lives as long as the load balancer's record"),
        ({"annotation_prefix": "external-dns"}, "a prefix of annotations"),
    ],
)
def test_what_external_dns_cannot_do_is_refused_before_any_land_is_known(config: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        dns(**config)


def test_every_kind_has_examples_that_load_and_say_their_kind() -> None:
    for name, kind in backend_types().items():
        for example in kind.EXAMPLES.values():
            assert kind.from_values(example).kind == name == kind.KIND_NAME  # type: ignore[attr-defined]


@pytest.mark.parametrize("example", ExternalDnsConfig.EXAMPLES.values(), ids=list(ExternalDnsConfig.EXAMPLES))
def test_every_example_runs_on_the_land(example: dict[str, Any]) -> None:
    config = ExternalDnsConfig.from_values(example)

    assert told(config) == []
    assert all(len(config.render(LAND, code)) == 1 for code in CODES)


@pytest.mark.real
@pytest.mark.parametrize("config", [dns(), dns(health_checks=CHECKS)], ids=["alias", "checked"])
def test_a_real_server_takes_the_record_as_it_is(control_plane: ControlPlane, config: ExternalDnsConfig) -> None:
    teach_kinds(control_plane, [each for each in CUSTOM_KINDS if each.kind == "DNSEndpoint"])
    (body,) = config.render(land(namespace="default"), "us-east-1")

    taken = control_plane.client.apply(body, manager="test", force=True).body

    assert taken["spec"] == body["spec"], "nothing is dropped or rewritten"
