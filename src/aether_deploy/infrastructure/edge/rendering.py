"""The objects of an edge in one Kubernetes cluster."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from aether_deploy.infrastructure.component import Place, Port
from aether_deploy.infrastructure.edge.nginx import (
    READY_PATH,
    STATUS_PATH,
    NginxPlace,
    needs_resolver,
    nginx_text,
    resolver_script,
    stages_needed,
)
from aether_deploy.infrastructure.edge.policy import EdgePolicy, policy_of
from aether_deploy.infrastructure.edge.ports import HTTP, HTTPS, OUTSIDE_HTTP, OUTSIDE_HTTPS, STATUS
from aether_deploy.infrastructure.objects.network import (
    network_policy,
    outside_service,
    pods_of_component,
    policy_ports,
    service,
)
from aether_deploy.infrastructure.objects.pods import ComponentPod, budget, deployment
from aether_deploy.infrastructure.objects.rights import config_map, service_account
from aether_deploy.manifest.labels import selector_labels
from aether_deploy.pods.fragments import SECRET_MODE, content_checksum, mount_fragment, resources_fragment
from aether_deploy.pods.parts import IdentityConfig
from aether_deploy.pods.paths import TLS_FOLDER
from aether_deploy.quantities import bytes_of, canonical, parse_quantity

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.edge import EdgeConfig

CONFIG_FOLDER = "/etc/aether"
CONFIG_FILE = "nginx.conf"
CACHE_FOLDER = "/var/cache/edge"
RESOLVER_FILE = "/tmp/resolver.conf"
FIRST_STAGE = 9001
DRAIN_SECS = 5
GRACE_SECS = 60
UNLIMITED_WORKERS = 4
"""Processes where no limit says how many cores they may use."""


def preparing_to_end(
    *,
    run: str = "/tmp",
    file: str = f"{CONFIG_FOLDER}/{CONFIG_FILE}",
    errors: str = "/dev/stderr",
    drain_secs: int = DRAIN_SECS,
) -> str:
    """Return the script that runs before a pod is told to end.

    It takes new requests until nobody sends any, and ends what it began: the signal that follows would cut it off.

    Args:
        run: Folder with its process id.
        file: The file that it reads.
        errors: Where it says what went wrong.
        drain_secs: How long others may take to send it nothing, seconds.
    """
    return (
        f"sleep {drain_secs}\nmain=$(cat {run}/nginx.pid)\nnginx -s quit -c {file} -e {errors}\n"
        'while kill -0 "$main" 2>/dev/null; do sleep 1; done\n'
    )


def objects_of(config: "EdgeConfig", place: Place) -> list[dict[str, Any]]:
    """Return the component's objects at ``place``."""
    policy = policy_of(config, place.estate, place.region.code)
    files = {CONFIG_FILE: config_text(config, place, policy)}
    objects = [_deployment(config, place, policy, files), service(config, place, config.name, config.client_ports)]
    if config.expose is not None:
        outside: list[Port] = [(HTTP[0], OUTSIDE_HTTP, "TCP"), (HTTPS[0], OUTSIDE_HTTPS, "TCP")]
        objects.append(outside_service(config, place, f"{config.name}-external", outside, selector={}))
    objects.append(config_map(config, place, f"{config.name}-config", files))
    objects += [service_account(config, place), budget(config, place), _policy(config, place, policy)]
    return objects


def config_text(config: "EdgeConfig", place: Place, policy: EdgePolicy) -> str:
    """Return the file that nginx reads at ``place``."""
    listens = {"http": str(HTTP[1]), "status": str(STATUS[1])}
    if config.tls is not None:
        listens["https"] = str(HTTPS[1])
    where = NginxPlace(
        listens=listens,
        stages=[f"127.0.0.1:{FIRST_STAGE + at}" for at in range(stages_needed(policy))],
        cache=f"{CACHE_FOLDER}/objects",
        cache_mb=bytes_of(config.cache_size) // 2**20,
        tls=TLS_FOLDER,
        resolver=RESOLVER_FILE if _resolves(policy) else None,
        workers=_workers(config),
    )
    return nginx_text(policy, where)


def _workers(config: "EdgeConfig") -> int:
    """Return how many cores it may use: by itself nginx counts those of the node."""
    limit = config.resources.cpu_limit
    return max(1, parse_quantity(limit).value) if isinstance(limit, str) else UNLIMITED_WORKERS


def _resolves(policy: EdgePolicy) -> bool:
    return any(needs_resolver(each) for each in policy.origins)


def _deployment(config: "EdgeConfig", place: Place, policy: EdgePolicy, files: dict[str, str]) -> dict[str, Any]:
    pod = ComponentPod(
        part=config.name,
        containers=[_container(config, policy)],
        identity=IdentityConfig(),
        volumes=list(_volumes(config)),
        grace_secs=GRACE_SECS,
        account=config.name,
        checksum=content_checksum(files, {}),
    )
    return deployment(config, place, pod, replicas=config.replicas)


def _container(config: "EdgeConfig", policy: EdgePolicy) -> dict[str, Any]:
    ports = [HTTP, STATUS, *([HTTPS] if config.tls is not None else [])]
    mounts = [
        mount_fragment("config", CONFIG_FOLDER, read_only=True),
        mount_fragment("cache", CACHE_FOLDER),
        mount_fragment("tmp", "/tmp"),
    ]
    mounts += [mount_fragment("tls", TLS_FOLDER, read_only=True)] if config.tls is not None else []
    start = f"exec nginx -c {CONFIG_FOLDER}/{CONFIG_FILE} -e /dev/stderr -g 'daemon off;'"
    script = f"{resolver_script(RESOLVER_FILE)}\n{start}\n" if _resolves(policy) else f"{start}\n"
    return {
        "name": "nginx",
        "image": config.image,
        "command": ["sh", "-c"],
        "args": [script],
        "ports": [{"name": name, "containerPort": number, "protocol": protocol} for name, number, protocol in ports],
        "resources": resources_fragment(config.resources),
        "volumeMounts": mounts,
        "livenessProbe": _probe(STATUS_PATH, period_secs=10, failures=3),
        "readinessProbe": _probe(READY_PATH, period_secs=5, failures=2),
        "lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", preparing_to_end()]}}},
    }


def _probe(path: str, *, period_secs: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": STATUS[1]},
        "periodSeconds": period_secs,
        "timeoutSeconds": 3,
        "failureThreshold": failures,
    }


def _volumes(config: "EdgeConfig") -> Iterator[dict[str, Any]]:
    yield {"name": "config", "configMap": {"name": f"{config.name}-config"}}
    room = -(-bytes_of(config.cache_size) * 11 // 10) // 2**20
    yield {"name": "cache", "emptyDir": {"sizeLimit": canonical(f"{room}Mi")}}
    if config.tls is not None:
        yield {"name": "tls", "secret": {"secretName": config.tls.secret, "defaultMode": SECRET_MODE}}


def _policy(config: "EdgeConfig", place: Place, policy: EdgePolicy) -> dict[str, Any]:
    exposed = () if config.expose is None else config.expose.ports
    own = place.estate.component(config.store)
    inside = [each.address.port for each in policy.origins if each.address.host.endswith(".svc")]
    outside = [each.address.port for each in policy.origins if not each.address.host.endswith(".svc")]
    egress: list[dict[str, Any]] = []
    if inside:
        peer = {**pods_of_component(config), "podSelector": {"matchLabels": selector_labels(own.name)}}
        egress.append({"to": [peer], "ports": policy_ports([("s3", port, "TCP") for port in dict.fromkeys(inside)])})
    if outside and not config.network.allow_to:
        egress.append({"ports": policy_ports([("s3", port, "TCP") for port in dict.fromkeys(outside)])})
    return network_policy(
        config,
        place,
        client_ports=config.client_ports,
        outside_ports=[port for port in config.client_ports if port[0] in exposed],
        egress=egress,
    )
