"""What people do by hand with a session cache: restart its nodes, ask them, and decide when it is stuck."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aether_deploy.infrastructure.estate import Estate, EstateRegion
from aether_deploy.infrastructure.valkey.job import WHAT, plan_file
from aether_deploy.infrastructure.valkey.layout import nodes_of, placed_regions, slot_ranges
from aether_deploy.infrastructure.valkey.starting import PASSWORD_COPY
from aether_deploy.infrastructure.valkey.survival import second_losses, shape_of, zone_survival
from aether_deploy.infrastructure.valkey.timing import failover_secs, return_pause_secs

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.valkey import ValkeyConfig


def slots_text(config: "ValkeyConfig", estate: Estate) -> str:
    """Return the plan of every region as JSON: for each shard its slots and its nodes, the primary first."""
    plans = {region.code: plan_file(config, estate, region)["shards"] for region in placed_regions(config, estate)}
    return json.dumps(plans, indent=1, sort_keys=True) + "\n"


def runbook(config: "ValkeyConfig", estate: Estate) -> str:
    """Return the runbook as Markdown."""
    regions = placed_regions(config, estate)
    parts = [
        f"# {config.name}: what is done by hand\n",
        "Commands use `kubectl` with a context for each cluster, named as it is. Each region has a cluster of its own: "
        "no command for one concerns another.\n",
        *(_overview(config, region) for region in regions),
        _asking(estate),
        _restarting(config, estate, regions),
        _job(config, estate),
        _stuck(config, estate),
    ]
    return "\n".join(part for part in parts if part)


def _overview(config: "ValkeyConfig", region: EstateRegion) -> str:
    nodes, ranges = nodes_of(config, region), slot_ranges(config.shards)
    lines = [
        f"## {region.code}: what is planned\n",
        "| node | zone | shard | slots | is to be |",
        "|---|---|---|---|---|",
    ]
    for node in nodes:
        first, last = ranges[node.shard]
        role = "replica" if node.copy else "primary"
        lines.append(f"| `{node.pod}` | {node.datacenter.zone} | {node.shard} | {first}-{last} | {role} |")
    shape = shape_of(config, region)
    lines += [
        "",
        "| zone that is lost | what takes no writes, and for how long | its loss after another zone was back |",
    ]
    lines += ["|---|---|---|"]
    span = failover_secs(config.node_timeout_ms).range_text(" to ")
    for zone, fate in zone_survival(shape).items():
        shards = ", ".join(f"shard {each}" for each in fate.promoted) or "none"
        says = f"{shards}: {span}" if fate.survives else "all of them, until it is back"
        after = [each for each in shape.zones if each != zone and zone in second_losses(shape, each)]
        drift = f"may stop all after the loss of {', '.join(after)}, until the Job ran" if after else "as the first"
        lines.append(f"| {zone} | {says} | {drift} |")
    return "\n".join([*lines, ""])


def _asking(estate: Estate) -> str:
    namespace = estate.data_namespace
    return "\n".join(
        [
            "## Ask a node, and restart one\n",
            "```sh",
            "ask() {  # CONTEXT POD COMMAND...",
            "  context=$1 pod=$2; shift 2",
            f'  kubectl --context "$context" -n {namespace} exec "$pod" -c valkey -- sh -c \\',
            f'    \'REDISCLI_AUTH=$(cat {PASSWORD_COPY}) valkey-cli "$@"\' sh "$@"',
            "}",
            "restart() {  # CONTEXT POD",
            f'  kubectl --context "$1" -n {namespace} delete pod "$2" || return',
            f'  until kubectl --context "$1" -n {namespace} wait --for=condition=Ready "pod/$2" --timeout=60s',
            "  do sleep 2; done",
            '  until ask "$1" "$2" info replication | grep -qE "^(role:master|master_link_status:up)" &&',
            '        ask "$1" "$2" cluster info | grep -q "^cluster_state:ok"',
            "  do sleep 1; done",
            "}",
            "```",
            "",
            "`ask CONTEXT POD cluster nodes` says who is primary, and of what; `cluster info` whether all slots are "
            "served; `info replication` whether a replica has everything (`master_link_status:up`).\n",
        ]
    )


def _restarting(config: "ValkeyConfig", estate: Estate, regions: Sequence[EstateRegion]) -> str:
    lines = [
        "## Restart all nodes, one after another\n",
        "A new template waits until its pod is deleted: each datacenter has a StatefulSet of its own, and none waits "
        "for another. A primary whose replica restarts, too, has nobody to hand over to, and all primaries at a time "
        "may have nobody to vote: sessions would be gone. One that is told to end alone hands over to its replica; "
        f"back again it waits {return_pause_secs(config.node_timeout_ms)} s, and follows. Replicas come first. The "
        "CronJob is suspended meanwhile, so that it moves no primary to a node that is about to end; the Job at the "
        "end moves them back to where they are planned. Where one of these commands fails the rest is left out: see to "
        "the node, and run the rest by hand, the last three lines in any case. What keeps the manifests in the cluster "
        "may set `suspend` back: pause that, too.\n",
    ]
    for region in regions:
        nodes = sorted(nodes_of(config, region), key=lambda each: (each.copy == 0, each.shard))
        job, kubectl = f"{config.name}-{WHAT}", f"kubectl --context {region.cluster} -n {estate.data_namespace}"
        lines += [f"In {region.code}:", "", "```sh", f"{kubectl} {_suspend(job, 'true')} &&"]
        lines += [f"restart {node.datacenter.cluster} {node.pod} &&" for node in nodes]
        lines += [
            f"{kubectl} {_suspend(job, 'false')} &&",
            f"job={job}-$(date +%s) &&",
            f'{kubectl} create job --from=cronjob/{job} "$job"',
            "```",
            "",
        ]
    return "\n".join(lines)


def _suspend(job: str, value: str) -> str:
    return f"""patch cronjob {job} -p '{{"spec":{{"suspend":{value}}}}}'"""


def _job(config: "ValkeyConfig", estate: Estate) -> str:
    name = f"{config.name}-{WHAT}"
    return "\n".join(
        [
            "## The Job\n",
            f"The CronJob `{name}` of each region makes the cluster, and every five minutes brings it back to the "
            "plan: nodes that have other addresses, pods that lost their file, replicas that follow nobody, primaries "
            "that are elsewhere, settings. It never gives up a copy for that: it says what is left to you, and fails.",
            "",
            "```sh",
            f"context=CONTEXT job={name}-$(date +%s)",
            f'kubectl --context "$context" -n {estate.data_namespace} create job --from=cronjob/{name} "$job"',
            f'kubectl --context "$context" -n {estate.data_namespace} logs -f --pod-running-timeout=2m "job/$job"',
            "```",
            "",
        ]
    )


def _stuck(config: "ValkeyConfig", estate: Estate) -> str:
    return "\n".join(
        [
            "## Half of the primaries are gone, and do not come back\n",
            "Replicas need the votes of most primaries, the dead ones counted, so none takes over, and all nodes "
            "refuse clients. Wait for the zones: a node that returns brings its vote, and no sessions. If they are "
            "lost for good, and only then, let each replica that is left take over without votes; its primary must not "
            "run any more, or both take writes:",
            "",
            "```sh",
            "ask CONTEXT REPLICA cluster failover takeover",
            "```",
            "",
            "Sessions of a shard without any copy are gone. Once all pods are there again, with whatever volumes, the "
            "Job gives its slots to the node that is planned for them.\n",
        ]
    )
