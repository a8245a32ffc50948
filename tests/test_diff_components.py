"""What a change of a component does to its running pods: what they take as they run, and what only by a restart."""

import pytest

from aether_deploy.delivery.comparing import diff_trees
from aether_deploy.gitops.diff.changes import Effect
from aether_deploy.gitops.render import render_tree
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
