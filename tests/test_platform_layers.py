"""Layers make one document: files, environments, --set; and where each value came from."""

from typing import Any

import pytest

from aether_deploy import ConfigError
from aether_deploy.fleet.config import DeploymentConfig
from aether_deploy.platform.config import Platform
from aether_deploy.platform.layers import Origin, Setting
from tests.platform_cases import document, evaluate, platform, said
from tests.rule_case import DIGEST

STAGES = "environments: {prod: {}, staging: {services: [{name: gateway, replicas: 4}]}, dev: {kubernetes: v1.36}}"


def entry(system: Platform, name: str, region: str = "us-east-1") -> DeploymentConfig:
    (view,) = system.entries_by_name[name]
    config = system.config_of(view.at, region)
    assert config is not None
    return config


# --- how layers meet


def test_a_later_file_beats_an_earlier_one() -> None:
    system = platform("kubernetes: v1.36", "kubernetes: v1.35")

    assert system.kubernetes == "v1.35"


def test_a_list_of_named_things_merges_by_name_and_new_items_go_last() -> None:
    system = platform(f"services: [{{name: lobby, image: 'l:v1@{DIGEST}'}}, {{name: gateway, replicas: 5}}]")

    assert [view.name for view in system.entries] == [
        "world-server", "gateway", "matchmaking", "voice-relay", "lobby"
    ]  # fmt: skip
    assert entry(system, "gateway").replicas == 5
    assert entry(system, "gateway").uses == ("world-server", "matchmaking")


def test_every_other_list_is_replaced() -> None:
    system = platform("services: [{name: gateway, uses: [matchmaking]}]")

    assert entry(system, "gateway").uses == ("matchmaking",)


def test_links_meet_whatever_the_order_of_their_ends() -> None:
    system = platform(
        "links: [{between: [us-east-1, eu-west-1], latency_ms: 76, bandwidth_mbps: 10}]",
        "links: [{between: [eu-west-1, us-east-1], latency_ms: 80}]",
    )

    assert [(link.latency_ms, link.bandwidth_mbps) for link in system.links] == [(80, 10)]


def test_null_removes_so_that_the_default_returns() -> None:
    system = platform(
        "worlds: [{name: world-server, drain: {grace_period_secs: 600}}]",
        "worlds: [{name: world-server, drain: null, ports: null}]",
    )

    assert entry(system, "world-server").drain.grace_period_secs == 300
    assert [port.name for port in entry(system, "world-server").ports] == ["http"]


def test_none_switches_a_default_off() -> None:
    system = platform("worlds: [{name: world-server, scaling: none, metrics: none, replicas: 3}]")

    assert (entry(system, "world-server").scaling, entry(system, "world-server").metrics) == (None, None)


def test_ports_of_an_entry_join_those_of_its_class() -> None:
    ports = entry(platform(), "world-server").ports

    assert [(port.name, port.port, port.protocol) for port in ports] == [("http", 8080, "TCP"), ("game", 7777, "UDP")]


# --- environments


def test_without_environments_there_is_one_which_is_prod() -> None:
    assert document().environments() == ("prod",)
    assert platform().namespace == "aether-prod"


def test_the_first_environment_is_the_default() -> None:
    assert document("environments: {dev: {}, prod: {}}").environments() == ("dev", "prod")
    assert platform("environments: {dev: {}, prod: {}}").environment == "dev"


def test_an_environment_is_an_overlay_of_everything() -> None:
    assert entry(platform(STAGES, environment="prod"), "gateway").replicas == 2
    assert entry(platform(STAGES, environment="staging"), "gateway").replicas == 4
    assert platform(STAGES, environment="dev").kubernetes == "v1.36"
    assert platform(STAGES, environment="dev").namespace == "aether-dev"


def test_an_overlay_of_a_later_file_beats_that_of_an_earlier_one() -> None:
    later = "environments: {staging: {services: [{name: gateway, replicas: 6}]}}"

    assert entry(platform(STAGES, later, environment="staging"), "gateway").replicas == 6


def test_null_in_an_overlay_removes_what_the_files_say() -> None:
    overlay = (
        "environments: {dev: {services: [{name: gateway, uses: null}], regions: [{code: eu-west-1, enabled: false}]}}"
    )

    assert entry(platform(overlay, environment="dev"), "gateway").uses == ()


def test_an_environment_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError) as raised:
        evaluate(STAGES, environment="stagin")

    assert str(raised.value) == "$.environments: has no environment 'stagin'\n  fix: did you mean 'staging'?"


FAULTS = {
    "an overlay has a name": (
        "environments: {dev: {name: other}}",
        ["$.environments.dev.name: is 'other'; the same in every environment\n  fix: remove it from the overlay"],
    ),
    "an overlay has environments": (
        "environments: {dev: {environments: {}}}",
        [
            "$.environments.dev.environments: is a mapping; the same in every environment\n"
            "  fix: remove it from the overlay"
        ],
    ),
    "a file chooses its environment": (
        "environment: dev",
        ["$.environment: is 'dev'; not set in a file; --env chooses it\n  fix: remove it"],
    ),
    "a file chooses a namespace": (
        "services: [{name: gateway, namespace: other}]",
        [
            "$.services[0].namespace: is 'other'; not set in a file; it follows from the system's name and the "
            "environment\n  fix: remove it"
        ],
    ),
    "a file chooses a class": (
        "services: [{name: gateway, workload_class: worlds}]",
        ["$.services[0].workload_class: is 'worlds'; not set in a file; its section decides\n  fix: remove it"],
    ),
    "an overlay is no mapping": (
        "environments: {dev: [1]}",
        ["$.environments.dev: is a list; expected a mapping\n  fix: write a mapping: { ... }"],
    ),
    "an environment's name is none": (
        "environments: {prod: {}, Dev: {}}",
        [
            "$.environments: has key 'Dev'; not a DNS-1123 label\n"
            "  fix: use lower-case letters, digits and '-', and begin and end with a letter or digit"
        ],
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_it_is_a_problem_that(fault: str) -> None:
    text, says = FAULTS[fault]

    assert said(text) == says


# --- --set

SETTINGS: dict[str, tuple[str, tuple[str | int, ...]]] = {
    "by name": ("worlds.world-server.image", ("worlds", "world-server", "image")),
    "by position": ("worlds[0].image", ("worlds", 0, "image")),
    "with a quoted key": ('services.gateway.labels."a.b/c"', ("services", "gateway", "labels", "a.b/c")),
    "with a singly quoted key": ("services[1].labels.'a.b/c'", ("services", 1, "labels", "a.b/c")),
    "of one step": ("kubernetes", ("kubernetes",)),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_a_path_is_read(case: str) -> None:
    path, steps = SETTINGS[case]

    assert Setting(path, 1).steps == steps


UNREADABLE = ["", ".", "worlds.", "worlds..image", "worlds[x]", "worlds[0", "worlds[-1]", 'a."b', "a b]"]


@pytest.mark.parametrize("path", UNREADABLE)
def test_a_path_that_cannot_be_read_is_refused(path: str) -> None:
    with pytest.raises(ConfigError) as raised:
        _ = Setting(path, 1).steps

    assert str(raised.value) == (
        f"--set {path}: cannot be read as a path\n  fix: write it like worlds.world-server.image or worlds[0].image"
    )


def test_a_setting_beats_files_and_environments() -> None:
    system = platform(STAGES, environment="staging", sets={"services.gateway.replicas": 8, "kubernetes": "v1.36"})

    assert (entry(system, "gateway").replicas, system.kubernetes) == (8, "v1.36")


def test_a_later_setting_beats_an_earlier_one() -> None:
    system = platform(sets={"services.gateway.replicas": 8, "services[0].replicas": 9})

    assert entry(system, "gateway").replicas == 9


def test_a_setting_makes_the_mappings_on_its_way() -> None:
    system = platform(sets={"services.gateway.drain.grace_period_secs": 60})

    assert entry(system, "gateway").drain.grace_period_secs == 60


def test_a_setting_of_null_removes_a_value_or_an_item() -> None:
    system = platform(sets={"services.gateway.uses": None, "services.matchmaking": None})

    assert entry(system, "gateway").uses == ()
    assert "matchmaking" not in system.entries_by_name


def test_what_a_region_says_beats_a_setting_on_the_entry() -> None:
    text = "services: [{name: gateway, per_region: {eu-west-1: {replicas: 3}}}]"
    system = platform(text, sets={"services.gateway.replicas": 8})

    assert (entry(system, "gateway").replicas, entry(system, "gateway", "eu-west-1").replicas) == (8, 3)


MISFITS: dict[str, tuple[str, Any, str]] = {
    "a name that is none": (
        "worlds.world-sever.image", "x", "$.worlds has no item 'world-sever'\n  fix: did you mean 'world-server'?"
    ),
    "a position that is none": (
        "worlds[3].image", "x", "$.worlds has no item 3\n  fix: known are world-server"
    ),
    "a name in a list without names": (
        "services.gateway.uses.matchmaking", "x",
        "$.services[0].uses has no item 'matchmaking'\n  fix: add the item in a file",
    ),
    "an item of a list that is not there": (
        "services.gateway.ports.http.port", 9000,
        "$.services[0].ports has no item 'http'\n  fix: add the item in a file",
    ),
    "a step into text": ("name.first", "x", "$.name is no mapping\n  fix: shorten the path"),
    "a position in a mapping": ("worlds[0].pvc[0]", "x", "$.worlds[0].pvc is no list\n  fix: shorten the path"),
}  # fmt: skip


@pytest.mark.parametrize("case", MISFITS)
def test_a_setting_that_does_not_fit_is_refused(case: str) -> None:
    path, value, says = MISFITS[case]

    with pytest.raises(ConfigError) as raised:
        evaluate(sets={path: value})

    assert str(raised.value) == f"--set {path}: {says}"


# --- where a value came from

ORIGINS: dict[str, tuple[tuple[str | int, ...], Origin | None]] = {
    "a scalar of the first file": (("name",), Origin(0, ("name",))),
    "a scalar of a later file": (("services", 0, "image"), Origin(1, ("services", 1, "image"))),
    "a scalar of the environment's overlay": (
        ("services", 0, "replicas"), Origin(1, ("environments", "staging", "services", 0, "replicas"), "staging")
    ),
    "a scalar of --set": (("services", 1, "replicas"), Origin(None, ("services", 1, "replicas"))),
    "a container belongs to who began it": (("services", 0), Origin(0, ("services", 0))),
    "an item of a keyed list, by its key": (("services", 3, "name"), Origin(1, ("services", 0, "name"))),
    "a default has none": (("services", 2, "replicas"), None),
}  # fmt: skip


@pytest.mark.parametrize("case", ORIGINS)
def test_the_place_of(case: str) -> None:
    steps, origin = ORIGINS[case]
    layers = document(
        f"""
services: [{{name: lobby, image: "l:v1@{DIGEST}"}}, {{name: gateway, image: "g:v2@{DIGEST}"}}]
environments: {{prod: {{}}, staging: {{services: [{{name: gateway, replicas: 4}}]}}}}
""",
        **{"services.matchmaking.replicas": 6},
    )

    assert layers.origin(layers.evaluate("staging"), steps) == origin


# --- what must not vanish

UNKNOWN_NULLS = {
    "in a file": ("services: [{name: gateway, exposse: null}]", "$.services[0]: has unknown key 'exposse'"),
    "in a part of an entry": (
        "worlds: [{name: world-server, pvc: {size: 10Gi, 'mount_path:/foo': null}}]",
        "$.worlds[0].pvc: has unknown key 'mount_path:/foo'",
    ),
    "of the whole document": ("gitop: null", "$: has unknown key 'gitop'"),
    "in defaults": ("defaults: {workloads: {labls: null}}", "$.defaults.workloads: has unknown key 'labls'"),
    "for one region": (
        "services: [{name: gateway, per_region: {eu-west-1: {replica: null}}}]",
        "$.services[0].per_region.eu-west-1: has unknown key 'replica'",
    ),
}


@pytest.mark.parametrize("where", UNKNOWN_NULLS)
def test_an_unknown_key_is_a_fault_without_a_value_too(where: str) -> None:
    text, says = UNKNOWN_NULLS[where]

    assert [problem.partition("\n")[0] for problem in said(text)] == [says]


def test_an_unknown_key_of_an_overlay_is_a_fault_without_a_value_too() -> None:
    found = evaluate("environments: {dev: {services: [{name: gateway, exposse: null}]}}", environment="dev").found

    assert [problem.reason for _, problem in found] == ["has unknown key 'exposse'"]


def test_a_setting_of_an_overlay_is_refused_because_it_would_do_nothing() -> None:
    with pytest.raises(ConfigError) as raised:
        evaluate(STAGES, environment="dev", sets={"environments.dev.kubernetes": "v1.35"})

    assert str(raised.value) == (
        "--set environments.dev.kubernetes: changes an overlay, and --set is stronger than overlays\n"
        "  fix: write the path as it is without overlays, and choose the environment with --env"
    )


def test_a_setting_that_a_region_beats_is_a_warning() -> None:
    per_region = "services: [{name: gateway, per_region: {eu-west-1: {replicas: 4}}}]"

    assert said(per_region, sets={"services.gateway.replicas": 3}) == [
        "$.services[0].per_region.eu-west-1.replicas: warning: stronger than --set services.gateway.replicas\n"
        "  fix: set it there, too, or remove it from per_region"
    ]


def test_a_warning_about_a_default_says_whose_it_is() -> None:
    problems = said("defaults: {services: {image: 'a/b:v1'}}", "services: [{name: chat}]")

    assert [problem.partition("\n")[0] for problem in problems] == [
        "$.defaults.services.image: warning: is 'a/b:v1'; named by its tag only, which can be moved (for services.chat)"
    ]
