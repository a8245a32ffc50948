"""The objects of a Valkey component in one Kubernetes cluster."""

from collections.abc import Iterator, Sequence
from math import ceil
from typing import TYPE_CHECKING, Any

from aether_deploy.infrastructure.component import Place
from aether_deploy.infrastructure.objects.network import network_policy, service
from aether_deploy.infrastructure.objects.pods import CLAIM, ComponentPod, budget, stateful_set
from aether_deploy.infrastructure.objects.rights import config_map, service_account
from aether_deploy.infrastructure.valkey.job import cluster_job
from aether_deploy.infrastructure.valkey.layout import Node, nodes_of
from aether_deploy.infrastructure.valkey.options import AT_START, options_of
from aether_deploy.infrastructure.valkey.ports import BUS, CLIENT
from aether_deploy.infrastructure.valkey.starting import (
    CONFIG_FILE,
    CONFIG_FOLDER,
    PASSWORD_COPY,
    PAUSE,
    POD_IP,
    POD_NAME,
    RUN_FOLDER,
    SCRIPT_FILE,
    start_script,
)
from aether_deploy.infrastructure.valkey.text import text_of
from aether_deploy.infrastructure.valkey.timing import grace_secs, return_pause_secs
from aether_deploy.pods.fragments import SECRET_MODE, content_checksum, mount_fragment, resources_fragment
from aether_deploy.pods.parts import IdentityConfig
from aether_deploy.pods.paths import CREDENTIALS_FOLDER

if TYPE_CHECKING:
    from aether_deploy.infrastructure.estate import Estate
    from aether_deploy.infrastructure.kinds.valkey import ValkeyConfig

NODE = {"aether.io/role": "node"}
"""Label of the pods that are nodes: neither Services nor the budget must see those of the Job."""

_BOOT_SECS = 60
_PROBE_SECS = 5


def objects_of(config: "ValkeyConfig", place: Place) -> list[dict[str, Any]]:
    """Return the component's objects at ``place``."""
    nodes = [each for each in nodes_of(config, place.region) if each.datacenter.cluster == place.cluster]
    names = list(dict.fromkeys(each.stateful_set for each in nodes))
    objects = [
        _stateful_set(config, place, [each for each in nodes if each.stateful_set == name]) for name in sorted(names)
    ]
    objects.append(service(config, place, f"{config.name}-headless", [CLIENT, BUS], selector=NODE, headless=True))
    objects.append(service(config, place, config.name, config.client_ports, selector=NODE))
    objects.append(config_map(config, place, f"{config.name}-config", files_of(config, place.estate)))
    objects.append(service_account(config, place))
    objects.append(budget(config, place, selector=NODE))
    objects.append(network_policy(config, place, client_ports=[CLIENT], own_ports=[CLIENT, BUS]))
    return objects + cluster_job(config, place)


def files_of(config: "ValkeyConfig", estate: "Estate") -> dict[str, str]:
    """Return the files that every node reads when it starts."""
    return {CONFIG_FILE: text_of(options_of(config)), SCRIPT_FILE: start_script(config, estate)}


def _checksum(config: "ValkeyConfig", estate: "Estate") -> str:
    """Return what changes with everything that needs a restart; the rest is seen to by the Job."""
    fixed = {name: value for name, value in options_of(config).items() if name in AT_START}
    return content_checksum({CONFIG_FILE: text_of(fixed), SCRIPT_FILE: start_script(config, estate)}, {})


def _stateful_set(config: "ValkeyConfig", place: Place, nodes: Sequence[Node]) -> dict[str, Any]:
    pod = ComponentPod(
        part=nodes[0].stateful_set,
        containers=[_container(config)],
        # The program needs no user of its own, and its image's entrypoint, which wants root first, is left out.
        identity=IdentityConfig(),
        volumes=list(_volumes(config)),
        zone=nodes[0].datacenter.zone,
        grace_secs=grace_secs(config.node_timeout_ms),
        account=config.name,
        labels=NODE,
        checksum=_checksum(config, place.estate),
    )
    return stateful_set(
        config,
        place,
        pod,
        replicas=len(nodes),
        pvc=config.pvc,
        service=f"{config.name}-headless",
        # Each datacenter has a StatefulSet of its own, and none waits for another: a rolling update would end primaries
        # while their replicas restart, or all at a time, and then there is nobody to hand over to.
        on_delete=True,
    )


def _container(config: "ValkeyConfig") -> dict[str, Any]:
    return {
        "name": "valkey",
        "image": config.image,
        "command": ["sh", f"{CONFIG_FOLDER}/{SCRIPT_FILE}"],
        "ports": [
            {"name": name, "containerPort": number, "protocol": protocol} for name, number, protocol in (CLIENT, BUS)
        ],
        "env": [
            _field(POD_IP, "status.podIP"),
            _field(POD_NAME, "metadata.name"),
            {"name": PAUSE, "value": str(return_pause_secs(config.node_timeout_ms))},
        ],
        "resources": resources_fragment(config.resources),
        "volumeMounts": [
            mount_fragment(CLAIM, config.pvc.mount_path),
            mount_fragment("config", CONFIG_FOLDER, read_only=True),
            mount_fragment("credentials", f"{CREDENTIALS_FOLDER}/{config.name}", read_only=True),
            mount_fragment("run", RUN_FOLDER),
        ],
        # Any answer will do, a refusal of who has not logged in as well.
        "livenessProbe": _probe("valkey-cli -t 3 ping", period_secs=10, failures=3),
        # A replica that still copies is no second copy, so the budget must not count it.
        "readinessProbe": _probe(
            f"REDISCLI_AUTH=$(cat {PASSWORD_COPY}) valkey-cli -t 3 info replication | "
            "grep -qE '^(role:master|master_link_status:up)'",
            period_secs=5,
            failures=2,
        ),
        "startupProbe": _probe(
            "valkey-cli -t 3 ping",
            period_secs=_PROBE_SECS,
            failures=ceil((return_pause_secs(config.node_timeout_ms) + _BOOT_SECS) / _PROBE_SECS),
        ),
    }


def _field(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


def _probe(script: str, *, period_secs: int, failures: int) -> dict[str, Any]:
    return {
        "exec": {"command": ["sh", "-c", script]},
        "periodSeconds": period_secs,
        "timeoutSeconds": 4,
        "failureThreshold": failures,
    }


def _volumes(config: "ValkeyConfig") -> Iterator[dict[str, Any]]:
    yield {"name": "config", "configMap": {"name": f"{config.name}-config"}}
    yield {"name": "credentials", "secret": {"secretName": config.credentials, "defaultMode": SECRET_MODE}}
    yield {"name": "run", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}
