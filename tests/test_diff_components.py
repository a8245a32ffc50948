"""What a change of a component does to its running pods: what they take as they run, and what only by a restart."""

import pytest

from aether_deploy.delivery.comparing import diff_trees
from aether_deploy.gitops.diff.changes import Effect
from aether_deploy.gitops.render import render_tree
from aether_deploy.infrastructure.registry import component_types
from tests.platform_cases import platform
from tests.rule_case import DIGEST

DATA = f"""
tools_image: aether/deploy-tools:v1@{DIGEST}
components:
  - name: accounts
    kind: postgres
    image: ghcr.io/zalando/spilo-18:4.1-p2@{DIGEST}
    regions: [us-east-1]
    pvc: {{size: 10Gi}}
  - name: events
    kind: nats
    image: nats:2.15.1@{DIGEST}
    regions: [us-east-1]
    pvc: {{size: 10Gi}}
    streams:
      - {{name: A, subjects: [a.>], max_bytes: 1Gi}}
      - {{name: B, subjects: [b.>], max_bytes: 1Gi}}
    reloader: {{image: "natsio/nats-server-config-reloader:0.23.0@{DIGEST}"}}
"""

CASES: dict[str, tuple[str, set[tuple[str, str, Effect]]]] = {
    "a larger payload": (
        "{name: events, max_payload: 2Mi}",
        {("ConfigMap", "events-config", Effect.RELOADS)},
    ),
    "another pause between writes to disk": (
        "{name: events, jetstream: {sync_interval_secs: 10}}",
        {
            ("ConfigMap", "events-config", Effect.RESTARTS),
            *(("StatefulSet", f"events-us-east-1-{zone}", Effect.IN_PLACE) for zone in "abc"),
        },
    ),
    "another pause between elections": (
        "{name: accounts, failover: {loop_wait: 5}}",
        {("ConfigMap", "accounts-config", Effect.BY_HAND)},
    ),
    "a user that is new": (
        "{name: events, accounts: [{name: APP, users: [{name: app}, {name: bob, secret: bob}]}]}",
        {
            ("ConfigMap", "events-config", Effect.RESTARTS),
            *(("StatefulSet", f"events-us-east-1-{zone}", Effect.IN_PLACE) for zone in "abc"),
        },
    ),
    "a larger stream": (
        "{name: events, streams: [{name: A, max_bytes: 2Gi}]}",
        {("ConfigMap", "events-streams", Effect.RELOADS)},
    ),
    "a smaller stream": (
        "{name: events, streams: [{name: A, max_bytes: 512Mi}]}",
        {("ConfigMap", "events-streams", Effect.DATA)},
    ),
    "a stream on other media": (
        "{name: events, streams: [{name: A, storage: memory}]}",
        {("ConfigMap", "events-streams", Effect.BY_HAND)},
    ),
    "another stream": (
        "{name: events, streams: [{name: C, subjects: [c.>], max_bytes: 1Gi}]}",
        {("ConfigMap", "events-streams", Effect.RELOADS)},
    ),
    "a stream less": (
        "{name: events, streams: [{name: B, enabled: false}]}",
        {("ConfigMap", "events-streams", Effect.BY_HAND)},
    ),
    "more members": (
        "{name: accounts, members: 5}",
        {("StatefulSet", "accounts-us-east-1", Effect.SCALES)},
    ),
}


@pytest.mark.parametrize("title", CASES)
def test_a_change_does_to_a_component_what_its_programs_do_with_it(title: str) -> None:
    overlay, expected = CASES[title]
    before, after = platform(DATA), platform(DATA, f"components: [{overlay}]")

    diff = diff_trees([after], render_tree([before])[0], render_tree([after])[0], root="deploy")

    found = {(change.key.kind, change.key.name, change.effect) for change in diff.changes}
    # A probe that waits longer, for a longer election, rolls the members.
    assert {each for each in found if each[2] is not Effect.ROLLS} == expected


def test_what_reloads_is_named_with_what_tells_the_server() -> None:
    before, after = platform(DATA), platform(DATA, "components: [{name: events, max_payload: 2Mi}]")

    (change,) = diff_trees([after], render_tree([before])[0], render_tree([after])[0], root="deploy").changes

    assert change.says == (
        "a running server takes max_payload, once it is told of the new file: by its reloader, or by a SIGHUP",
    )


UNTOLD = {
    "OnDelete": "they take it when somebody deletes them, as the runbook says",
    "RollingUpdate": "they take it as they are replaced",
}


@pytest.mark.parametrize("strategy, words", UNTOLD.items())
def test_without_a_reloader_no_running_server_is_told(strategy: str, words: str) -> None:
    untold = f"name: events, reloader: none, update: {{strategy: {strategy}}}"
    before = platform(DATA, f"components: [{{{untold}}}]")
    after = platform(DATA, f"components: [{{{untold}, max_payload: 2Mi}}]")

    changes = diff_trees([after], render_tree([before])[0], render_tree([after])[0], root="deploy").changes

    assert [(each.effect, each.says) for each in changes if each.key.kind == "ConfigMap"] == [
        (Effect.RESTARTS, (f"nothing tells running pods of the new file: {words}",))
    ]
    others = {each.effect for each in changes if each.key.kind == "StatefulSet"}
    assert others == {Effect.IN_PLACE if strategy == "OnDelete" else Effect.ROLLS}


def test_a_reload_beside_another_restart_stays_a_reload() -> None:
    after = platform(DATA, "components: [{name: events, max_payload: 2Mi, resources: {cpu_limit: 3}}]")

    changes = diff_trees([after], render_tree([platform(DATA)])[0], render_tree([after])[0], root="deploy").changes

    assert {(each.key.kind, each.effect) for each in changes} == {
        ("ConfigMap", Effect.RELOADS),
        ("StatefulSet", Effect.IN_PLACE),
    }


POSTGRES: dict[str, tuple[str, str, str, Effect, str]] = {
    "an older version than the data, with Spilo": (
        "{name: accounts, postgresql: {version: 17}}",
        "ConfigMap",
        "accounts-config",
        Effect.REFUSED,
        "members keep running 18, and start no more if the image lacks it; PostgreSQL 17 does not read data of 18",
    ),
    "another database": (
        "{name: accounts, database: lobby}",
        "ConfigMap",
        "accounts-config",
        Effect.BY_HAND,
        "post-init.sh ran once, when the cluster was made",
    ),
    "an older version than the data, with another image": (
        "{name: ledger, postgresql: {version: 16}}",
        "ConfigMap",
        "ledger-config",
        Effect.REFUSED,
        "PostgreSQL 16 does not read data of 17; make a second component of version 16, and copy",
    ),
    "a newer version than the data, with another image": (
        "{name: ledger, postgresql: {version: 18}}",
        "ConfigMap",
        "ledger-config",
        Effect.REFUSED,
        "a member that rolls does not start again, and the rolling update stops at it",
    ),
    "another database of shards": (
        "{name: shards, sharding: {database: lobby}}",
        "ConfigMap",
        "shards-config",
        Effect.REFUSED,
        "Citus keeps its tables in the database that it was made with",
    ),
    "an older version by the operator": (
        "{name: acid-bank, postgresql: {version: 17}}",
        "postgresql",
        "acid-bank",
        Effect.REFUSED,
        "the operator leaves 18 as it is",
    ),
    "more memory by the operator": (
        "{name: acid-bank, resources: {memory_limit: 4Gi}}",
        "postgresql",
        "acid-bank",
        Effect.RESTARTS,
        "the operator replaces the pods one after another",
    ),
    "a smaller volume by the operator": (
        "{name: acid-bank, pvc: {size: 5Gi}}",
        "postgresql",
        "acid-bank",
        Effect.REFUSED,
        "volumes do not shrink",
    ),
    "a larger volume by the operator": (
        "{name: acid-bank, pvc: {size: 50Gi}}",
        "postgresql",
        "acid-bank",
        Effect.IN_PLACE,
        "",
    ),
    "another class of volumes by the operator": (
        "{name: acid-bank, pvc: {storage_class: nvme}}",
        "postgresql",
        "acid-bank",
        Effect.REFUSED,
        "volumes that exist keep their class",
    ),
    "a database that the operator takes away": (
        "{name: acid-bank, enabled: false}",
        "postgresql",
        "acid-bank",
        Effect.DATA,
        "deletes its claims, with all data",
    ),
}
DATABASES = f"""
components:
  - name: accounts
    kind: postgres
    image: ghcr.io/zalando/spilo-18:4.1-p2@{DIGEST}
    regions: [us-east-1]
    pvc: {{size: 10Gi}}
  - name: ledger
    kind: postgres
    image: registry.example.com/patroni:18.6@{DIGEST}
    regions: [us-east-1]
    pvc: {{size: 10Gi}}
    postgresql: {{version: 17}}
  - name: shards
    kind: postgres
    image: registry.example.com/patroni-citus:18.6@{DIGEST}
    regions: [us-east-1]
    pvc: {{size: 10Gi}}
    sharding: {{database: game, workers: 1}}
  - name: acid-bank
    kind: postgres
    backend: zalando
    team: acid
    regions: [us-east-1]
    pvc: {{size: 10Gi}}
"""


@pytest.mark.parametrize("title", POSTGRES)
def test_a_change_that_a_database_does_not_take_is_said(title: str) -> None:
    overlay, kind, name, effect, told = POSTGRES[title]
    before, after = platform(DATABASES), platform(DATABASES, f"components: [{overlay}]")

    diff = diff_trees([after], render_tree([before])[0], render_tree([after])[0], root="deploy")

    (change,) = [each for each in diff.changes if (each.key.kind, each.key.name) == (kind, name)]
    assert change.effect is effect
    assert told in " ".join(change.says)


@pytest.mark.parametrize(
    "name,kind,effect,told",
    [
        ("accounts", "ConfigMap", Effect.BY_HAND, "members keep running 17 until somebody upgrades them in place"),
        ("acid-bank", "postgresql", Effect.RESTARTS, "the operator upgrades 17 to 18 in place"),
    ],
)
def test_a_newer_version_is_an_upgrade_in_place_where_there_is_one(
    name: str, kind: str, effect: Effect, told: str
) -> None:
    before = platform(DATABASES, f"components: [{{name: {name}, postgresql: {{version: 17}}}}]")
    after = platform(DATABASES)

    diff = diff_trees([after], render_tree([before])[0], render_tree([after])[0], root="deploy")

    (change,) = [each for each in diff.changes if each.key.kind == kind]
    assert change.effect is effect
    assert told in " ".join(change.says)


@pytest.mark.parametrize("text", ["", "null", "[]", "a: [", "a: 1\nb"])
def test_a_file_that_somebody_broke_by_hand_is_still_compared(text: str) -> None:
    told = component_types()["postgres"].file_changes({"patroni.yml": "a: 1\n"}, {"patroni.yml": text})

    assert [each.effect for each in told] == ["restarts"]
