"""The objects of a NATS component in one Kubernetes cluster."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from aether_deploy.infrastructure.component import Place
from aether_deploy.infrastructure.estate import Datacenter
from aether_deploy.infrastructure.nats.job import streams_job
from aether_deploy.infrastructure.nats.options import options_of
from aether_deploy.infrastructure.nats.ports import CLIENT, GATEWAY, LEAFNODE, METRICS, MONITOR, ROUTES
from aether_deploy.infrastructure.nats.reloading import restart_part
from aether_deploy.infrastructure.nats.supercluster import Server, servers_of, stateful_set_name
from aether_deploy.infrastructure.nats.text import text_of
from aether_deploy.infrastructure.nats.wiring import (
    CONFIG_FOLDER,
    PID_FILE,
    RUN_FOLDER,
    kubernetes_wiring,
    variables_of,
)
from aether_deploy.infrastructure.objects.naming import PART, SERVER
from aether_deploy.infrastructure.objects.network import (
    network_policy,
    outside_service,
    pod_monitor,
    policy_ports,
    service,
)
from aether_deploy.infrastructure.objects.pods import CLAIM, ComponentPod, budget, stateful_set
from aether_deploy.infrastructure.objects.rights import config_map, service_account
from aether_deploy.manifest.labels import POD_INDEX
from aether_deploy.pods.fragments import SECRET_MODE, content_checksum, mount_fragment, resources_fragment
from aether_deploy.pods.parts import IdentityConfig
from aether_deploy.pods.paths import TLS_FOLDER

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.nats import NatsConfig

CONFIG_FILE = "nats.conf"
# After the last client is sent away a server closes its streams.
_CLOSING_SECS = 20
_STARTUP_TRIES = 90


def objects_of(config: "NatsConfig", place: Place) -> list[dict[str, Any]]:
    """Return the component's objects at ``place``."""
    here = [each for each in servers_of(config, place.estate) if each.datacenter.cluster == place.cluster]
    datacenters = list(dict.fromkeys(each.datacenter for each in here))
    objects = [_stateful_set(config, place, each, here) for each in datacenters]
    objects += _services(config, place, here)
    objects.append(config_map(config, place, f"{config.name}-config", _files(config, place, datacenters)))
    objects.append(service_account(config, place))
    objects.append(budget(config, place, selector=SERVER))
    objects.append(_policy(config, place))
    if config.exporter is not None:
        objects += pod_monitor(config, place, METRICS[0])
    return objects + streams_job(config, place)


def file_key(datacenter: Datacenter) -> str:
    """Return the key in the ConfigMap of the file that a datacenter's servers read."""
    return f"{datacenter.name}.conf"


def server_options(config: "NatsConfig", place: Place, datacenter: Datacenter) -> dict[str, Any]:
    """Return the options of every server of one datacenter."""
    server = next(each for each in servers_of(config, place.estate) if each.datacenter == datacenter)
    wiring = kubernetes_wiring(config, place.estate, datacenter)
    return options_of(config, cluster=server.cluster, tags=server.tags, wiring=wiring)


def _files(config: "NatsConfig", place: Place, datacenters: Sequence[Datacenter]) -> dict[str, str]:
    return {file_key(each): text_of(server_options(config, place, each)) for each in datacenters}


def checksum_of(config: "NatsConfig", options: dict[str, Any]) -> str:
    """Return what changes with everything that needs a restart: without a reloader that is the whole file."""
    told = options if config.reloader is None else restart_part(options)
    return content_checksum({CONFIG_FILE: text_of(told)}, {})


def _stateful_set(config: "NatsConfig", place: Place, datacenter: Datacenter, here: Sequence[Server]) -> dict[str, Any]:
    name = stateful_set_name(config.name, datacenter.name)
    duck = config.lame_duck
    containers = [_server_container(config, place, datacenter), *_sidecars(config)]
    pod = ComponentPod(
        part=name,
        containers=containers,
        # The image has no user of its own and its program is static: any id will do.
        identity=IdentityConfig(),
        volumes=list(_volumes(config, datacenter)),
        zone=datacenter.zone,
        grace_secs=duck.grace_secs + duck.duration_secs + _CLOSING_SECS,
        account=config.name,
        labels=SERVER,
        checksum=checksum_of(config, server_options(config, place, datacenter)),
        share_processes=config.reloader is not None,
    )
    return stateful_set(
        config,
        place,
        pod,
        replicas=sum(each.datacenter == datacenter for each in here),
        pvc=config.pvc,
        service=f"{config.name}-headless",
        on_delete=config.update.strategy == "OnDelete",
        # A server takes logins from variables in its file, and from nowhere else but the file itself.
        deviations=("secret_variables", *(("sidecar_probes",) if len(containers) > 1 else ())),
    )


def _server_container(config: "NatsConfig", place: Place, datacenter: Datacenter) -> dict[str, Any]:
    ports = [CLIENT, ROUTES, MONITOR]
    ports += [GATEWAY] if config.gateway is not None else []
    ports += [LEAFNODE] if config.leafnodes is not None else []
    mounts = [
        mount_fragment(CLAIM, config.pvc.mount_path),
        mount_fragment("config", CONFIG_FOLDER, read_only=True),
        mount_fragment("run", RUN_FOLDER),
    ]
    mounts += [mount_fragment("tls", TLS_FOLDER, read_only=True)] if config.tls is not None else []
    return {
        "name": "nats",
        "image": config.image,
        "command": ["nats-server"],
        "args": ["--config", f"{CONFIG_FOLDER}/{CONFIG_FILE}"],
        "ports": [{"name": name, "containerPort": number, "protocol": protocol} for name, number, protocol in ports],
        "env": variables_of(config, place.estate, datacenter),
        "resources": resources_fragment(config.resources),
        "volumeMounts": mounts,
        "livenessProbe": _probe("js-enabled-only", period_secs=30, failures=3),
        "readinessProbe": _probe("js-server-only", period_secs=10, failures=3),
        # Plain /healthz also asks for a leader of all regions. With a region lost there may be none, and the server
        # would be killed after a quarter of an hour, again and again.
        "startupProbe": _probe("js-server-only", period_secs=10, failures=_STARTUP_TRIES),
        "lifecycle": {"preStop": {"exec": {"command": ["nats-server", f"-sl=ldm={PID_FILE}"]}}},
    }


def _probe(question: str, *, period_secs: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": f"/healthz?{question}=true", "port": MONITOR[0]},
        "periodSeconds": period_secs,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def _sidecars(config: "NatsConfig") -> Iterator[dict[str, Any]]:
    if config.reloader is not None:
        yield {
            "name": "reloader",
            "image": config.reloader.image,
            "args": ["-pid", PID_FILE, "-config", f"{CONFIG_FOLDER}/{CONFIG_FILE}"],
            "resources": resources_fragment(config.reloader.resources),
            "volumeMounts": [
                mount_fragment("config", CONFIG_FOLDER, read_only=True),
                mount_fragment("run", RUN_FOLDER, read_only=True),
            ],
        }
    if config.exporter is not None:
        yield {
            "name": "exporter",
            "image": config.exporter.image,
            "args": [
                f"-port={METRICS[1]}", "-connz", "-gatewayz", "-jsz=all", "-leafz", "-routez", "-subz", "-varz",
                f"http://localhost:{MONITOR[1]}",
            ],
            "ports": [{"name": METRICS[0], "containerPort": METRICS[1], "protocol": METRICS[2]}],
            "resources": resources_fragment(config.exporter.resources),
        }  # fmt: skip


def _volumes(config: "NatsConfig", datacenter: Datacenter) -> Iterator[dict[str, Any]]:
    items = [{"key": file_key(datacenter), "path": CONFIG_FILE}]
    yield {"name": "config", "configMap": {"name": f"{config.name}-config", "items": items}}
    yield {"name": "run", "emptyDir": {}}
    if config.tls is not None:
        yield {"name": "tls", "secret": {"secretName": config.tls.secret, "defaultMode": SECRET_MODE}}


def _services(config: "NatsConfig", place: Place, here: Sequence[Server]) -> Iterator[dict[str, Any]]:
    headless = [CLIENT, ROUTES, MONITOR]
    headless += [GATEWAY] if config.gateway is not None else []
    yield service(config, place, f"{config.name}-headless", headless, selector=SERVER, headless=True)
    voters = {each.name for each in config.witnesses(place.estate)}
    if any(each.datacenter.name not in voters for each in here):
        yield service(config, place, config.name, config.client_ports, selector=SERVER)
    if config.expose is None:
        return
    ports = [CLIENT, GATEWAY, LEAFNODE]
    if not config.expose.per_pod:
        yield outside_service(config, place, f"{config.name}-external", ports, selector=SERVER)
        return
    for server in here:
        ordinal = server.pod.removeprefix(f"{server.stateful_set}-")
        selector = {PART: server.stateful_set, POD_INDEX: ordinal}
        yield outside_service(config, place, server.pod, ports, selector=selector)


def _policy(config: "NatsConfig", place: Place) -> dict[str, Any]:
    exposed = () if config.expose is None else config.expose.ports
    # Without addresses to go by, gateways may dial any; those of network.allow_to are open on every port anyway.
    gateways = {each.cluster for each in servers_of(config, place.estate)}
    egress = [{"ports": policy_ports([GATEWAY])}] if len(gateways) > 1 and not config.network.allow_to else []
    watched = place.surroundings.monitoring_namespace or place.surroundings.scrape_interval_secs
    metrics = [MONITOR, *([METRICS] if config.exporter is not None else [])] if watched else []
    return network_policy(
        config,
        place,
        client_ports=[CLIENT],
        own_ports=[CLIENT, ROUTES],
        metrics_ports=metrics,
        outside_ports=[port for port in (CLIENT, GATEWAY, LEAFNODE) if port[0] in exposed],
        egress=egress,
    )
