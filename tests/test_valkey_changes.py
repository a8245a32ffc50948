"""What a change of a session cache does to its running nodes, told by its files and by whole trees."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from aether_deploy.delivery.comparing import diff_trees
from aether_deploy.gitops.diff.changes import Effect
from aether_deploy.gitops.render import render_tree
from aether_deploy.infrastructure.component import FileChange
from aether_deploy.infrastructure.valkey.changes import file_changes
from aether_deploy.infrastructure.valkey.job import plan_file
from aether_deploy.infrastructure.valkey.options import options_of
from aether_deploy.infrastructure.valkey.rendering import files_of
from aether_deploy.infrastructure.valkey.text import options_in, text_of
from tests.platform_cases import platform
from tests.rule_case import DIGEST
from tests.valkey_cases import ONE, objects, place, valkey, zoned


def files(**settings: Any) -> dict[str, str]:
    """Return all files of a component, those of its nodes and that of its Job."""
    config = valkey(**settings)
    job = objects(config, place())["ConfigMap", "sessions-cluster"]["data"]
    return {**files_of(config, ONE), **job}


CHANGES: dict[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "nothing": ({}, []),
    "what goes when a node is full": (
        {"eviction": "volatile-ttl"},
        [
            ("reloads", "the Job reads it when it runs, within 5 minutes"),
            ("reloads", "the Job sets maxmemory-policy on running nodes, within 5 minutes"),
        ],
    ),
    "more memory": (
        {"maxmemory": "1Gi"},
        [("restarts", "a node takes maxmemory when it restarts: one after another, as the runbook says")],
    ),
    "less memory": (
        {"maxmemory": "256Mi"},
        [
            (
                "data at risk",
                "a node that restarts with a smaller maxmemory throws away what is above it, once it is primary",
            ),
            ("restarts", "a node takes maxmemory when it restarts: one after another, as the runbook says"),
        ],
    ),
    "another node timeout": (
        {"node_timeout_ms": 3000},
        [
            ("reloads", "the Job reads it when it runs, within 5 minutes"),
            ("reloads", "the Job sets cluster-node-timeout on running nodes, within 5 minutes"),
        ],
    ),
    "a further replica": (
        {"replicas": 2},
        [("reloads", "the Job sees to it within 5 minutes, once the pods are there: who follows whom")],
    ),
    "more shards": (
        {"shards": 6},
        [
            (
                "refused",
                "slots do not move by themselves: the Job leaves them where they are, and fails; make a component of "
                "another name, and let players log in again, or move slots by hand",
            )
        ],
    ),
}


@pytest.mark.parametrize("settings, expected", CHANGES.values(), ids=CHANGES.keys())
def test_each_change_is_told_by_what_takes_it_up(settings: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert [(each.effect, each.says) for each in file_changes(files(), files(**settings))] == expected


def plan_text(order: str, *, by_zone: bool = False, **settings: Any) -> dict[str, str]:
    """Return the file of the Job with zones in another order, or the copies of each shard in the order of zones."""
    where = zoned(4)
    homes = {each.zone[-1]: each for each in where.regions[0].datacenters}
    region = msgspec.structs.replace(where.regions[0], datacenters=tuple(homes[letter] for letter in order))
    said = plan_file(valkey(**settings), msgspec.structs.replace(where, regions=(region,)), region)
    for shard in said["shards"] if by_zone else ():
        shard["nodes"].sort(key=lambda node: node["zone"])
    return {"cluster.json": json.dumps(said)}


def test_a_pod_that_would_keep_another_shard_is_refused_with_its_name() -> None:
    (found,) = file_changes(plan_text("abc"), plan_text("bac"))

    assert found == FileChange(
        "refused",
        "planned for another shard than before: sessions-us-a-0, sessions-us-a-1, sessions-us-b-0 and 1 more; the Job "
        "gives up no copy for that, and fails; keep the datacenters of the region and their order, or make a component "
        "of another name, and let players log in again",
    )
    (more,) = file_changes(plan_text("abcd", shards=5), plan_text("abc", shards=5))
    assert more.effect == "refused"
    assert "sessions-us-a-1, sessions-us-a-2, sessions-us-b-1 and 1 more;" in more.says


def test_another_order_within_a_shard_and_pods_that_come_are_no_danger() -> None:
    for before, after in (
        (plan_text("abc"), plan_text("abc", by_zone=True)),
        (plan_text("abc"), plan_text("abc", replicas=2)),
        (plan_text("abc"), plan_text("abcd")),
    ):
        (found,) = file_changes(before, after)

        assert found.effect == "reloads"


ODD: dict[str, tuple[Mapping[str, str], Mapping[str, str]]] = {
    "a plan that is none": ({"cluster.json": "["}, {"cluster.json": "{}"}),
    "a plan of another shape": ({"cluster.json": '{"shards": 1}'}, {"cluster.json": '{"shards": [1]}'}),
    "a node's file by hand": ({"valkey.conf": "# mine\n"}, {"valkey.conf": "port\n"}),
    "memory in words": ({"valkey.conf": "maxmemory 1gb\n"}, {"valkey.conf": "maxmemory 512mb\n"}),
    "a file of another kind": ({"notes": "a"}, {"notes": "b"}),
    "a file that comes": ({}, {"valkey.conf": "x"}),
    "a file that goes": ({"cluster.json": "x"}, {}),
}


@pytest.mark.parametrize("before, after", ODD.values(), ids=ODD.keys())
def test_no_file_is_raised_over(before: Mapping[str, str], after: Mapping[str, str]) -> None:
    for found in (file_changes(before, after), file_changes(after, before)):
        assert all(isinstance(each, FileChange) and each.says for each in found)


def test_an_option_that_is_left_out_stays_until_the_restart() -> None:
    options = options_of(valkey())
    less = {name: value for name, value in options.items() if name != "tcp-keepalive"}

    assert [
        each.effect for each in file_changes({"valkey.conf": text_of(options)}, {"valkey.conf": text_of(less)})
    ] == ["restarts"]


def test_a_text_comes_back_as_its_options() -> None:
    options = options_of(valkey())

    assert options_in(text_of(options)) == options
    for text in ("port", "port \n", " 6379\n", "port 1\nport 2\n"):
        with pytest.raises(ValueError, match="no line of ours"):
            options_in(text)


# --- whole trees

DATA = f"""
tools_image: aether/deploy-tools:v1@{DIGEST}
components:
  - {{name: sessions, kind: valkey, image: "valkey/valkey:9.1.2@{DIGEST}", maxmemory: 2Gi, regions: [us-east-1]}}
"""
SETS = [f"sessions-us-east-1-{zone}" for zone in "abc"]
TREES: dict[str, tuple[str, set[tuple[str, str, Effect]]]] = {
    "what goes when a node is full": (
        "eviction: volatile-ttl",
        {("ConfigMap", "sessions-config", Effect.RELOADS), ("ConfigMap", "sessions-cluster", Effect.RELOADS)},
    ),
    "more memory": (
        "maxmemory: 3Gi",
        {
            ("ConfigMap", "sessions-config", Effect.RESTARTS),
            *(("StatefulSet", name, Effect.IN_PLACE) for name in SETS),
        },
    ),
    "less memory": (
        "maxmemory: 1Gi",
        {("ConfigMap", "sessions-config", Effect.DATA), *(("StatefulSet", name, Effect.IN_PLACE) for name in SETS)},
    ),
    "another node timeout": (
        "node_timeout_ms: 3000",
        {
            ("ConfigMap", "sessions-config", Effect.RELOADS),
            ("ConfigMap", "sessions-cluster", Effect.RELOADS),
            *(("StatefulSet", name, Effect.IN_PLACE) for name in SETS),
        },
    ),
    "more shards": (
        "shards: 6",
        {
            ("ConfigMap", "sessions-cluster", Effect.REFUSED),
            *(("StatefulSet", name, Effect.SCALES) for name in SETS),
        },
    ),
    "a further replica": (
        "replicas: 2",
        {
            ("ConfigMap", "sessions-cluster", Effect.RELOADS),
            *(("StatefulSet", name, Effect.SCALES) for name in SETS),
        },
    ),
}


@pytest.mark.parametrize("overlay, expected", TREES.values(), ids=TREES.keys())
def test_a_diff_says_what_nodes_and_pods_do(overlay: str, expected: set[tuple[str, str, Effect]]) -> None:
    before, after = platform(DATA), platform(DATA, f"components: [{{name: sessions, {overlay}}}]")

    diff = diff_trees([after], render_tree([before])[0], render_tree([after])[0], root="deploy")

    assert {(change.key.kind, change.key.name, change.effect) for change in diff.changes} == expected


def test_the_slots_for_people_are_those_of_the_program() -> None:
    config = valkey()
    slots = json.loads(config.runbooks(ONE)["sessions-slots.json"])
    program = json.loads(objects(config, place())["ConfigMap", "sessions-cluster"]["data"]["cluster.json"])

    assert slots == {"us": program["shards"]}
