"""What people do by hand with an object store: look at it, change who leads, and bring a region back."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aether_deploy.infrastructure.estate import Estate, EstateRegion
from aether_deploy.infrastructure.object_store.job import CURRENT, LOGIN_KEYS, WHAT, versioned_buckets
from aether_deploy.infrastructure.object_store.ports import FILER, FILER_GRPC, MASTER, MASTER_GRPC
from aether_deploy.infrastructure.object_store.regions import (
    SELF_HOSTED,
    bucket_name,
    external_address,
    home_regions,
)
from aether_deploy.infrastructure.object_store.rendering import stateful_set_name
from aether_deploy.infrastructure.object_store.seaweed import DEFAULT_PORTS, WeedPlace, compare_arguments
from aether_deploy.infrastructure.objects.pods import CLAIM

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.object_store import ObjectStoreConfig


def runbook(config: "ObjectStoreConfig", estate: Estate) -> str:
    """Return the runbook as Markdown."""
    parts = [f"# {config.name}: what is done by hand\n", _overview(config, estate), _buckets(config, estate)]
    if config.provider == SELF_HOSTED:
        parts += [_asking(config, estate), _keys(config, estate)]
        if len(home_regions(config, estate)) > 1:
            parts += [_comparing(config, estate), _leading(config, estate)]
    return "\n".join(parts)


def _overview(config: "ObjectStoreConfig", estate: Estate) -> str:
    lines = ["Commands use `kubectl` with a context for each cluster, named as it is.\n"]
    lines += ["| region | what it is | where |", "|---|---|---|"]
    for place, region in enumerate(home_regions(config, estate)):
        role = "takes writes" if place == 0 else "follows, and is read"
        where = (
            f"`{_pod(config, region.code)}` in `{region.cluster}`"
            if config.provider == SELF_HOSTED
            else external_address(config, estate, region.code).url
        )
        lines.append(f"| {region.code} | {role} | {where} |")
    return "\n".join([*lines, ""])


def _buckets(config: "ObjectStoreConfig", estate: Estate) -> str:
    homes = home_regions(config, estate)
    lines = ["## Buckets\n", "| bucket | read by anybody | versions | goes |", "|---|---|---|---|"]
    for each in config.buckets:
        if each.enabled and homes:
            public = ", ".join(f"`{prefix}`" for prefix in each.public_prefixes) or "nothing"
            days = None if each.lifecycle is None else each.lifecycle.noncurrent_days
            goes = "nothing by itself" if each.lifecycle is None else "as its lifecycle says"
            goes = f"old versions after {days} days" if days else goes
            name = bucket_name(config, estate, each.name, homes[0].code)
            lines.append(f"| `{name}` | {public} | {'kept' if each.versioning else 'one'} | {goes} |")
    name = f"{config.name}-{WHAT}"
    context = homes[0].cluster if homes else ""
    lines += [
        "",
        "Every five minutes a Job makes them so. It deletes no bucket. To run it now, and to read what it said:\n",
        "```sh",
        f"job={name}-$(date +%s)",
        f'kubectl --context {context} -n {estate.data_namespace} create job --from=cronjob/{name} "$job"',
        f'kubectl --context {context} -n {estate.data_namespace} logs -f --pod-running-timeout=2m "job/$job"',
        "```\n",
    ]
    return "\n".join(lines)


def _asking(config: "ObjectStoreConfig", estate: Estate) -> str:
    lines = ["## Ask a server\n", "```sh"]
    for region in home_regions(config, estate):
        pod = _pod(config, region.code)
        ask = f"kubectl --context {region.cluster} -n {estate.data_namespace} exec {pod} -c seaweedfs --"
        address = f"-master=127.0.0.1:{MASTER[1]}.{MASTER_GRPC[1]} -filer=127.0.0.1:{FILER[1]}.{FILER_GRPC[1]}"
        lines.append(f"{ask} sh -c \"echo 'volume.list; s3.bucket.list' | weed shell {address}\"")
    return "\n".join([*lines, "```\n"])


def _keys(config: "ObjectStoreConfig", estate: Estate) -> str:
    secrets = [config.operators_secret, *(secret for _, secret in config.logins)]
    lines = [
        "## Change a key\n",
        f"Change {' and '.join(f'`{key}`' for key in LOGIN_KEYS)} in the Secret (one of "
        f"{', '.join(f'`{each}`' for each in secrets)}), and restart the server: it reads keys when it starts. It is "
        "away for some seconds.\n",
        "```sh",
    ]
    lines += [
        f"kubectl --context {each.cluster} -n {estate.data_namespace} rollout restart "
        f"statefulset/{stateful_set_name(config, each.code)}"
        for each in home_regions(config, estate)
    ]
    lines.append("```\n")
    if config.encrypts:
        lines.append(
            f"The key in `{config.encryption_secret}` must never change, and must be the same in every region: objects "
            "that were written with another one cannot be read.\n"
        )
    return "\n".join(lines)


def _comparing(config: "ObjectStoreConfig", estate: Estate) -> str:
    first, *others = home_regions(config, estate)
    ask = " ".join(["weed", *compare_arguments(_INSIDE, leader=_leader(config, estate))])
    space = estate.data_namespace
    pods = {each.code: _pod(config, each.code) for each in others}
    return "\n".join(
        [
            "## See that copies agree\n",
            f"Every hour a Job (`{config.name}-compare`) fails where a copy lacks what {first.code} has had for an "
            "hour. To ask now:\n",
            "```sh",
            *(f"kubectl --context {o.cluster} -n {space} exec {pods[o.code]} -c seaweedfs -- {ask}" for o in others),
            "```\n",
            "Where it names more and more objects, what copies is stuck; its log says at which object:\n",
            "```sh",
            *(f"kubectl --context {o.cluster} -n {space} logs {pods[o.code]} -c follow --tail 20" for o in others),
            "```\n",
            f"Upload that object again in {first.code}, or delete it there: copying goes on at once.\n",
            *(_leading_right(config, others, space) if versioned_buckets(config) else []),
        ]
    )


def _leading_right(config: "ObjectStoreConfig", followers: Sequence[EstateRegion], space: str) -> list[str]:
    job = f"{config.name}-{CURRENT}"
    return [
        f"Who asks a copy for an object while it is copied makes it keep to an old version. Every five minutes a Job "
        f"(`{job}`) leads readers to the newest version that the copy has. To do so now:\n",
        "```sh",
        *(
            f"kubectl --context {each.cluster} -n {space} create job --from=cronjob/{job} {job}-$(date +%s)"
            for each in followers
        ),
        "```\n",
    ]


def _pod(config: "ObjectStoreConfig", region: str) -> str:
    return f"{stateful_set_name(config, region)}-0"


_INSIDE = WeedPlace(host="127.0.0.1", bind="", ports=DEFAULT_PORTS, data="", identities="")


def _leader(config: "ObjectStoreConfig", estate: Estate) -> str:
    host = estate.filled(config.endpoint or "", home_regions(config, estate)[0].code)
    return f"{host}:{FILER[1]}.{FILER_GRPC[1]}"


def _leading(config: "ObjectStoreConfig", estate: Estate) -> str:
    first, second, *_ = home_regions(config, estate)
    return "\n".join(
        [
            f"## Let {second.code} take writes\n",
            taking_over(config, estate),
            f"## Bring {first.code} back\n",
            bringing_back(config, estate),
        ]
    )


def taking_over(config: "ObjectStoreConfig", estate: Estate, *, fenced: bool = False) -> str:
    """Return how the second region takes writes while the first is away, as Markdown without a heading.

    ``fenced``: where a step before saw to it that the first one takes none.
    """
    first, second, *_ = home_regions(config, estate)
    steps = [
        f"See that {first.code} is really away: what is written to both is not joined.",
        f"What is published for `{config.name}` is `regions: [{_others(config, estate)}]`, a part of "
        f"`promoted-{first.code}.yaml`.",
        f"The server of {second.code} then restarts with keys that may write; `{config.name}` leads there. What "
        f"{first.code} took in its last moments and nobody had copied is missing.\n",
    ]
    numbered = [f"{place}. {step}" for place, step in enumerate(steps[1:] if fenced else steps, start=1)]
    return "\n".join(
        [
            f"While {first.code} is away, {second.code} is read and refuses writes. When it is not to come back "
            "soon:\n",
            *numbered,
        ]
    )


def _others(config: "ObjectStoreConfig", estate: Estate) -> str:
    return ", ".join(each.code for each in home_regions(config, estate)[1:])


def bringing_back(config: "ObjectStoreConfig", estate: Estate) -> str:
    """Return how the first region follows the second once it is back, as Markdown without a heading."""
    first, second, *_ = home_regions(config, estate)
    asked = f"kubectl --context {first.cluster} -n {estate.data_namespace}"
    pod, leader = _pod(config, first.code), _pod(config, second.code)
    leads = (
        f"kubectl --context {second.cluster} -n {estate.data_namespace} get pod/{leader} "
        "-o jsonpath='{.spec.containers[*].name}' | grep -x seaweedfs"
    )
    return "\n".join(
        [
            f"Where {second.code} was not let take writes, {first.code} takes them, and no other volume has all of "
            "them: leave all this out.\n",
            f"It comes back with an empty volume, and gets everything that {second.code} has, from its first day on. "
            f"With its old volume an object that both changed would become a mixture of both (measured on 4.48).\n",
            f"1. Whoever wants the writes that were missing makes a snapshot of the volume of {first.code} first, and "
            "looks at it elsewhere.",
            f"2. **This destroys the volume of {first.code}, and all that nobody had copied.** It stops where "
            f"{second.code} does not take writes (its pod has `follow` beside `seaweedfs` then), and where the server "
            f"of {first.code} is still there after five minutes.\n",
            "```sh",
            f"{leads} ||",
            f'  {{ echo "{second.code} does not take writes: stop" >&2; false; }} &&',
            f"  {asked} delete statefulset/{stateful_set_name(config, first.code)} --ignore-not-found &&",
            f"  {asked} wait --for=delete pod/{pod} --timeout=5m &&",
            f"  {asked} delete pvc {CLAIM}-{pod}",
            "```\n",
            f"3. It follows {second.code} once `regions: [{_others(config, estate)}, {first.code}]` is published, a "
            f"part of `returning-{first.code}.yaml`.",
            f"4. To lead from {first.code} again: wait until copies agree, stop those who write, and name it first.\n",
        ]
    )
