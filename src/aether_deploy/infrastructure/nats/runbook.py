"""What people do by hand with a NATS component: restart its servers, promote a mirror, and bring the origin back."""

from typing import TYPE_CHECKING

from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.nats.job import WHAT
from aether_deploy.infrastructure.nats.promoting import (
    FUNCTIONS,
    PROMOTING,
    RETURNING,
    going_back,
    mirrored,
    promotion,
    seeing_all_still,
    seeing_still,
)
from aether_deploy.infrastructure.nats.quorum import STEP_DOWN_SECS_MAX, catch_up_secs, election_secs
from aether_deploy.infrastructure.nats.streams import Stream, streams_of
from aether_deploy.infrastructure.nats.supercluster import Server, servers_of
from aether_deploy.timespan import TimeSpan

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.nats import NatsConfig


def runbook(config: "NatsConfig", estate: Estate) -> str:
    """Return the runbook as Markdown."""
    streams = streams_of(config, estate)
    parts = [
        f"# {config.name}: what is done by hand\n",
        _overview(config, estate, streams),
        _restarting(config, estate),
        _regions(config, estate),
        _promotion(config, estate, streams),
        _streams_job(config, estate, streams),
    ]
    return "\n".join(part for part in parts if part)


def _overview(config: "NatsConfig", estate: Estate, streams: tuple[Stream, ...]) -> str:
    servers = servers_of(config, estate)
    rows = [f"| `{each.pod}` | {each.cluster} | {each.datacenter.zone} | {_context(each)} |" for each in servers]
    lines = [
        "Commands use `kubectl` with a context for each cluster, named as it is, and `nats` with a context "
        f"`{config.name}` for the user of Secret `{config.credentials}` and one for that of Secret "
        f"`{config.operators_secret}`.\n",
        "| server | NATS cluster | zone | context |",
        "|---|---|---|---|",
        *rows,
        "",
    ]
    if streams:
        lines += ["| stream | region | replicas | what it is |", "|---|---|---|---|"]
        lines += [f"| `{each.name}` | {each.region} | {each.replicas} | {_what(each)} |" for each in streams]
        lines.append("")
    return "\n".join(lines)


def _context(server: Server) -> str:
    return f"`{server.datacenter.cluster}`"


def _what(stream: Stream) -> str:
    if stream.role == "origin":
        return "keeps " + ", ".join(f"`{subject}`" for subject in stream.subjects)
    copied = ", ".join(f"`{source}`" for source in stream.sources)
    return f"mirror of {copied}" if stream.role == "mirror" else f"gathers {copied}"


def _restarting(config: "NatsConfig", estate: Estate) -> str:
    servers = servers_of(config, estate)
    lines = ["## Restart the servers, one after another\n"]
    lines.append(
        "A change of accounts, routes, certificates or limits that grow is taken without a restart: the reloader sees "
        "to it. A user that is new needs one, as most other settings do: the server takes nothing of the file until "
        "then."
        if config.reloader is not None
        else "Without `reloader` every change needs a restart."
    )
    if config.update.strategy == "OnDelete":
        lines.append(
            "A new template waits until its pod is deleted: each datacenter has a StatefulSet of its own, and none "
            "waits for another, so that Kubernetes would restart all of them at a time."
        )
    lines += [
        "",
        "```sh",
        *_restart_function(estate),
        *(f"restart {server.datacenter.cluster} {server.pod} &&" for server in servers),
        "echo all restarted",
        "```",
        "",
        "Plain `/healthz` also asks for the leader of all regions. While a region is lost and there is none, it says "
        "503 for ever: then wait for `/healthz?js-server-only=true` and for `nats stream report`.",
        "",
    ]
    return "\n".join(lines)


def _restart_function(estate: Estate) -> list[str]:
    return [
        "restart() {  # CONTEXT POD",
        f'  kubectl --context "$1" -n {estate.data_namespace} delete pod "$2" || return',
        f'  until kubectl --context "$1" -n {estate.data_namespace} wait --for=condition=Ready "pod/$2" --timeout=60s',
        "  do sleep 2; done",
        f'  kubectl --context "$1" -n {estate.data_namespace} port-forward "pod/$2" 8222:8222 >/dev/null &',
        "  forward=$!",
        "  until curl -fsS http://localhost:8222/healthz; do sleep 2; done  # its streams have caught up",
        '  kill "$forward"',
        "}",
    ]


def _regions(config: "NatsConfig", estate: Estate) -> str:
    clusters = list(dict.fromkeys(each.cluster for each in servers_of(config, estate)))
    if len(clusters) < 2:
        return ""
    return "\n".join(
        [
            "## A region is lost\n",
            "- Streams of other regions go on. Its own streams do not answer (`no responders`; while its servers are "
            "frozen rather than gone, requests time out).",
            f"- After {_span(election_secs(2))} the rest has a leader again, if it holds more than half of all "
            "servers, and streams and consumers can be made. A leader that is left over in a smaller rest gives up "
            f"after {STEP_DOWN_SECS_MAX:g} s at most.",
            "- Do not remove the region's servers (`nats server cluster peer-remove`) unless they never come back.",
            "- Cut off rather than lost, it still takes messages for its own streams, and nobody there can make "
            "anything. What was refused or timed out meanwhile may exist once the cut is healed: look, do not repeat "
            "blindly.",
            f"- Mirrors have caught up {_span(catch_up_secs(60))} after the end of a minute's cut, and "
            f"{_span(catch_up_secs())} after that of a long one: they ask again ever more rarely.",
            "",
        ]
    )


def _promotion(config: "NatsConfig", estate: Estate, streams: tuple[Stream, ...]) -> str:
    pairs = mirrored(streams)
    if not pairs:
        return ""
    lines = ["## Promote a mirror\n", FUNCTIONS, PROMOTING]
    if len({origin.name for origin, _ in pairs}) < len(pairs):
        lines.append("Of several mirrors one takes over, and the others go.\n")
    for lost in dict.fromkeys(origin.region for origin, _ in pairs):
        lines += [f"### {lost} is lost\n", *seeing_still(config, estate, lost)]
        for origin, mirror in pairs:
            if origin.region == lost:
                others = [each for one, each in pairs if one == origin and each != mirror]
                lines.append(f"`{mirror.name}` of {mirror.region} takes the place of `{origin.name}`:\n")
                lines += promotion(config, origin, mirror, others)
    lines += ["## The region returns\n", RETURNING, *seeing_all_still(config, estate)]
    for origin, mirror in pairs:
        lines.append(f"### Back to `{origin.name}` in {origin.region}, from `{mirror.name}`\n")
        lines += going_back(config, origin, mirror)
    lines.append("Publish without `lost-….yaml` then, so that the Jobs go on: they make the mirrors again.\n")
    return "\n".join(lines)


def _span(secs: TimeSpan) -> str:
    return f"{secs.best:g} to {secs.worst:g} s"


def _streams_job(config: "NatsConfig", estate: Estate, streams: tuple[Stream, ...]) -> str:
    if not streams:
        return ""
    job = f"{config.name}-{WHAT}"
    return "\n".join(
        [
            "## Streams\n",
            f"The CronJob `{job}` of each region makes and changes its streams every five minutes. It "
            "deletes none: what is taken out of aether.yaml stays until somebody runs `nats stream rm`. At once:",
            "",
            "```sh",
            f"context=CONTEXT job={job}-$(date +%s)",
            f'kubectl --context "$context" -n {estate.data_namespace} create job --from=cronjob/{job} "$job"',
            f'kubectl --context "$context" -n {estate.data_namespace} logs -f --pod-running-timeout=2m "job/$job"',
            "```",
            "",
        ]
    )
