"""The objects of an object store in one Kubernetes cluster."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from aether_deploy.infrastructure.component import Place
from aether_deploy.infrastructure.object_store.job import (
    ADMIN,
    ENCRYPTION,
    IDENTITIES_MODULE,
    IDENTITIES_SOURCE,
    buckets_job,
    current_job,
    identities_file,
)
from aether_deploy.infrastructure.object_store.ports import ALL, FILER, FILER_GRPC, MASTER, METRICS, S3
from aether_deploy.infrastructure.object_store.regions import (
    SELF_HOSTED,
    active_region,
    external_address,
    home_regions,
)
from aether_deploy.infrastructure.object_store.seaweed import (
    DEFAULT_PORTS,
    IDENTITIES_FILE,
    WeedPlace,
    compare_arguments,
    files_of,
    follow_arguments,
    follow_script,
    lifecycle_script,
    server_arguments,
)
from aether_deploy.infrastructure.objects.naming import PART, SERVER, metadata_of
from aether_deploy.infrastructure.objects.network import (
    network_policy,
    outside_service,
    pod_monitor,
    policy_ports,
    service,
)
from aether_deploy.infrastructure.objects.pods import CLAIM, ComponentPod, budget, cron_job, stateful_set
from aether_deploy.infrastructure.objects.rights import config_map, service_account
from aether_deploy.pods.fragments import SECRET_MODE, content_checksum, mount_fragment, resources_fragment
from aether_deploy.pods.parts import IdentityConfig, ResourceRequirements
from aether_deploy.pods.paths import CREDENTIALS_FOLDER
from aether_deploy.pods.surroundings import Peer

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.object_store import ObjectStoreConfig

CONFIG_FOLDER = "/etc/seaweedfs"
SOURCE_FOLDER = "/etc/aether"
RUN_FOLDER = "/run/aether/store"
POD_NAME = "POD_NAME"
GRACE_SECS = 60
"""A server that is told to end takes 16 s, its last uploads not counted."""

LIFECYCLE_SCHEDULE = "17 * * * *"
COMPARE_SCHEDULE = "37 * * * *"
HOURLY_SECS = 3000
_SMALL = ResourceRequirements(
    cpu_request="100m",
    cpu_limit="500m",
    memory_request="256Mi",
    memory_limit="256Mi",
    ephemeral_request="64Mi",
    ephemeral_limit="64Mi",
)


def objects_of(config: "ObjectStoreConfig", place: Place) -> list[dict[str, Any]]:
    """Return the component's objects at ``place``."""
    return _served(config, place) if config.provider == SELF_HOSTED else _provided(config, place)


def stateful_set_name(config: "ObjectStoreConfig", region: str) -> str:
    """Return the name of a region's StatefulSet."""
    return f"{config.name}-{region}"


# --- a provider's store


def _provided(config: "ObjectStoreConfig", place: Place) -> list[dict[str, Any]]:
    """Return a name for it in this cluster, and what sets its buckets up, where that is done here."""
    address = external_address(config, place.estate, _nearest_home(config, place))
    ports = [{"name": S3[0], "port": address.port, "targetPort": address.port, "protocol": "TCP"}]
    name = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata_of(config, place),
        "spec": {"type": "ExternalName", "externalName": address.host, "ports": ports},
    }
    job = buckets_job(config, place)
    if not job:
        return [name]
    # A load balancer of the provider has no addresses to go by.
    egress = [] if config.network.allow_to else [{"ports": policy_ports([(S3[0], address.port, "TCP")])}]
    policy = network_policy(config, place, client_ports=(), egress=egress)
    return [name, *job, service_account(config, place), policy]


def _nearest_home(config: "ObjectStoreConfig", place: Place) -> str:
    """Return the region of the copy that clients are led to: the one that takes writes."""
    active = active_region(config, place.estate)
    return place.region.code if active is None else active.code


# --- a store that runs here


def _served(config: "ObjectStoreConfig", place: Place) -> list[dict[str, Any]]:
    if place.region.code not in {each.code for each in home_regions(config, place.estate)}:
        return []
    active = leads(config, place)
    objects = [_stateful_set(config, place), *_services(config, place)]
    objects.append(config_map(config, place, f"{config.name}-config", config_files(config, place)))
    objects += [service_account(config, place), budget(config, place, selector=SERVER), _policy(config, place)]
    objects += pod_monitor(config, place, METRICS[0])
    if active and config.has_lifecycle:  # its deletions are copied, too
        script = lifecycle_script(_from_jobs(config, place))
        objects.append(_weed_job(config, place, "lifecycle", LIFECYCLE_SCHEDULE, ["sh", "-c", script]))
    if not active:
        arguments = compare_arguments(_from_jobs(config, place), leader=leader_address(config, place))
        objects.append(_weed_job(config, place, "compare", COMPARE_SCHEDULE, ["weed", *arguments]))
        objects += current_job(config, place, filer=f"http://{_from_jobs(config, place).host}:{FILER[1]}")
    return objects + buckets_job(config, place)


def leads(config: "ObjectStoreConfig", place: Place) -> bool:
    """Return whether the store of ``place`` takes writes."""
    active = active_region(config, place.estate)
    return active is not None and active.code == place.region.code


def weed_place(config: "ObjectStoreConfig", place: Place, *, host: str = "") -> WeedPlace:
    """Return where the server at ``place`` runs, as it says of itself; as ``host``, as its Jobs find it."""
    assert config.pvc is not None
    return WeedPlace(
        host=host or f"$({POD_NAME}).{config.name}-headless.{place.namespace}.svc",
        bind="0.0.0.0",
        ports=DEFAULT_PORTS,
        data=config.pvc.mount_path,
        identities=f"{RUN_FOLDER}/{IDENTITIES_FILE}",
        data_center=place.region.code,
    )


def leader_address(config: "ObjectStoreConfig", place: Place) -> str:
    """Return the address of the active region's filer as a region that follows dials it, with both ports."""
    active = active_region(config, place.estate)
    assert active is not None
    assert config.endpoint is not None
    return f"{place.estate.filled(config.endpoint, active.code)}:{FILER[1]}.{FILER_GRPC[1]}"


def config_files(config: "ObjectStoreConfig", place: Place) -> dict[str, str]:
    """Return the files of the ConfigMap that the server at ``place`` reads."""
    people = identities_file(config, place.estate, place.region.code, folder=RUN_FOLDER)
    identities = json.dumps(people, indent=1, sort_keys=True) + "\n"
    return {**files_of(weed_place(config, place)), IDENTITIES_SOURCE: identities}


def _stateful_set(config: "ObjectStoreConfig", place: Place) -> dict[str, Any]:
    assert config.pvc is not None
    files = config_files(config, place)
    follower = [] if leads(config, place) else [_follower(config, place)]
    pod = ComponentPod(
        part=stateful_set_name(config, place.region.code),
        containers=[_server(config, place, files), *follower],
        init_containers=[_identities(config, place)],
        identity=IdentityConfig(),
        volumes=list(_volumes(config)),
        grace_secs=GRACE_SECS,
        account=config.name,
        labels=SERVER,
        checksum=content_checksum(files, {}),
    )
    return stateful_set(
        config,
        place,
        pod,
        replicas=1,
        pvc=config.pvc,
        service=f"{config.name}-headless",
        deviations=("sidecar_probes",) if follower else (),
    )


def _server(config: "ObjectStoreConfig", place: Place, files: dict[str, str]) -> dict[str, Any]:
    return {
        "name": "seaweedfs",
        "image": config.image,
        "command": ["weed"],
        "args": server_arguments(config, weed_place(config, place)),
        # It looks for its security.toml where it runs.
        "workingDir": RUN_FOLDER,
        "ports": [{"name": name, "containerPort": number, "protocol": protocol} for name, number, protocol in ALL],
        "env": [_pod_name()],
        "resources": resources_fragment(config.resources),
        "volumeMounts": [
            mount_fragment(CLAIM, config.pvc.mount_path if config.pvc else ""),
            mount_fragment("config", CONFIG_FOLDER, read_only=True),
            mount_fragment("run", RUN_FOLDER),
            mount_fragment("tmp", "/tmp"),  # its sockets
        ],
        "livenessProbe": _probe("/cluster/healthz", MASTER[1], period_secs=10, failures=6),
        "readinessProbe": _probe("/healthz", S3[1], period_secs=5, failures=2),
        "startupProbe": {
            # S3 answers some seconds before a volume server has come, and refuses the uploads of these.
            "exec": {"command": ["sh", "-c", startup_script(f"127.0.0.1:{MASTER[1]}")]},
            "periodSeconds": 2,
            "timeoutSeconds": 5,
            "failureThreshold": 150,
        },
    }


def startup_script(master: str) -> str:
    """Return the shell script that succeeds once the master at ``master`` has a server for objects."""
    return f"wget -q -O - http://{master}/dir/status | grep -q '\"DataNodes\":\\[{{'"


def _probe(path: str, port: int, *, period_secs: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": port},
        "periodSeconds": period_secs,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def _pod_name() -> dict[str, Any]:
    return {"name": POD_NAME, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}}


def _follower(config: "ObjectStoreConfig", place: Place) -> dict[str, Any]:
    return {
        "name": "follow",
        "image": config.image,
        "command": ["sh", "-c"],
        "args": [follow_script(follow_arguments(weed_place(config, place), leader=leader_address(config, place)))],
        "workingDir": RUN_FOLDER,
        "env": [_pod_name()],
        "resources": resources_fragment(_SMALL),
        "volumeMounts": [mount_fragment("run", RUN_FOLDER, read_only=True), mount_fragment("tmp", "/tmp")],
    }


def _identities(config: "ObjectStoreConfig", place: Place) -> dict[str, Any]:
    """Return the container that makes the file of those who log in: the server reads keys from a file alone."""
    names = [ADMIN, *(user.name for user, _ in config.logins), *([ENCRYPTION] if config.encrypts else [])]
    logins = [mount_fragment(f"login-{each}", f"{CREDENTIALS_FOLDER}/{each}", read_only=True) for each in names]
    return {
        "name": "identities",
        "image": place.estate.tools_image,
        "command": ["python", "-m", IDENTITIES_MODULE],
        "args": [f"{SOURCE_FOLDER}/{IDENTITIES_SOURCE}"],
        "resources": resources_fragment(_SMALL),
        "volumeMounts": [
            mount_fragment("config", SOURCE_FOLDER, read_only=True),
            mount_fragment("run", RUN_FOLDER),
            *logins,
        ],
    }


def _volumes(config: "ObjectStoreConfig") -> Iterator[dict[str, Any]]:
    yield {"name": "config", "configMap": {"name": f"{config.name}-config"}}
    yield {"name": "run", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}
    secrets = {ADMIN: config.operators_secret, **{user.name: secret for user, secret in config.logins}}
    if config.encrypts:
        secrets[ENCRYPTION] = config.encryption_secret
    for name, secret in secrets.items():
        yield {"name": f"login-{name}", "secret": {"secretName": secret, "defaultMode": SECRET_MODE}}


def _from_jobs(config: "ObjectStoreConfig", place: Place) -> WeedPlace:
    host = f"{stateful_set_name(config, place.region.code)}-0.{config.name}-headless.{place.namespace}.svc"
    return weed_place(config, place, host=host)


def _weed_job(
    config: "ObjectStoreConfig", place: Place, what: str, schedule: str, command: list[str]
) -> dict[str, Any]:
    container = {
        "name": what,
        "image": config.image,
        "command": command,
        "workingDir": "/tmp",
        "resources": resources_fragment(_SMALL),
        "volumeMounts": [mount_fragment("tmp", "/tmp")],
    }
    pod = ComponentPod(
        part=f"{config.name}-{what}",
        containers=[container],
        identity=IdentityConfig(),
        account=config.name,
        restart="Never",
    )
    return cron_job(config, place, pod, schedule=schedule, within_secs=HOURLY_SECS)


def _services(config: "ObjectStoreConfig", place: Place) -> Iterator[dict[str, Any]]:
    own = {**SERVER, PART: stateful_set_name(config, place.region.code)}
    yield service(config, place, f"{config.name}-headless", ALL, selector=own, headless=True)
    name = config.name if leads(config, place) else f"{config.name}-repl"
    yield service(config, place, name, config.client_ports, selector=own)
    if config.expose is not None:
        yield outside_service(config, place, f"{config.name}-external", ALL, selector=own)


def _policy(config: "ObjectStoreConfig", place: Place) -> dict[str, Any]:
    exposed = () if config.expose is None else config.expose.ports
    edges = tuple(Peer(name=each, namespace=place.namespace) for each in edges_of(config, place))
    around = msgspec.structs.replace(place.surroundings, used_by=(*place.surroundings.used_by, *edges))
    follows = not leads(config, place) and not config.network.allow_to
    watched = around.monitoring_namespace or around.scrape_interval_secs
    return network_policy(
        config,
        msgspec.structs.replace(place, surroundings=around),
        client_ports=[S3],
        own_ports=[each for each in ALL if each != METRICS],
        metrics_ports=[METRICS] if watched else [],
        outside_ports=[each for each in ALL if each[0] in exposed],
        egress=[{"ports": policy_ports([FILER, FILER_GRPC])}] if follows else [],
    )


def edges_of(config: "ObjectStoreConfig", place: Place) -> list[str]:
    """Return the edges that run at ``place`` and fetch from this store."""
    return [
        each.name
        for each in place.estate.components
        if getattr(each, "store", None) == config.name and place.region.code in each.placed_in(place.estate)
    ]
