"""What a description names and does not render: a real cluster has to have it, and a control plane is given it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from aether_deploy.fleet.config import DeploymentConfig
from aether_deploy.lab.client import ApiError, Client
from aether_deploy.lab.nodes import FakeNode
from aether_deploy.manifest.value import Manifest
from aether_deploy.platform.secrets import secrets_brought, secrets_named
from aether_deploy.scaling.controller.keda import autoscaler_of_scaled_object

_HTTP_CONFLICT = 409
_EVERY_CLUSTERS = {"default", "kube-public", "kube-system"}


def assumed_by(
    configs: Iterable[DeploymentConfig], storage_classes: Iterable[str], manifests: Iterable[Manifest]
) -> tuple[str, ...]:
    """Return everything that a cluster must have for these workloads and classes, each as its kind and name."""
    workloads, manifests = list(configs), list(manifests)
    found = [f"Namespace {name}" for name in _namespaces(manifests)]
    found += [f"HorizontalPodAutoscaler {name}, which KEDA makes" for name in _names_of_keda(manifests)]
    found += [f"PriorityClass {name}" for name in _priority_classes(workloads)]
    found += [f"StorageClass {name}" for name in storage_classes]
    found += _secret_stores(manifests)
    brought = secrets_brought(manifests)
    found += [
        f"Secret {namespace}/{name}" for namespace, name in secrets_named(manifests) if (namespace, name) not in brought
    ]
    for config in workloads:
        if config.identity.service_account is not None:
            found.append(f"ServiceAccount {config.namespace}/{config.identity.service_account}")
        found += [f"PersistentVolumeClaim {config.namespace}/{claim}" for claim in _claims(config)]
        found += [f"nodes labelled {key}={value}" for key, value in config.node_selector.items()]
    return tuple(dict.fromkeys(found))


def give_assumed(client: Client, configs: Iterable[DeploymentConfig], manifests: Iterable[Manifest]) -> None:
    """Make those of them without which no object is taken, no pod created or scheduled."""
    workloads, manifests = list(configs), list(manifests)
    for name in _namespaces(manifests):
        _create(client, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    for place, name in enumerate(_priority_classes(workloads)):
        body = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}}
        _create(client, {**body, "value": 1000 + place})
    accounts = {(each.namespace, each.identity.service_account) for each in workloads if each.identity.service_account}
    for namespace, account in sorted(accounts):
        metadata = {"name": account, "namespace": namespace}
        _create(client, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    for namespace, claim in sorted({(each.namespace, claim) for each in workloads for claim in _claims(each)}):
        for body in _shared_volume(namespace, claim):
            _create(client, body)
    for body in _autoscalers_of_keda(manifests):
        _create(client, body)


def _namespaces(manifests: Iterable[Manifest]) -> list[str]:
    """Return the namespaces that objects lie in, but those that are rendered and that every cluster has."""
    given = list(manifests)
    made = {each.name for each in given if each.kind == "Namespace"}
    return sorted({each.namespace for each in given if each.namespace} - made - _EVERY_CLUSTERS)


def _autoscalers_of_keda(manifests: Iterable[Manifest]) -> list[dict[str, Any]]:
    """Return the autoscalers that KEDA would make; nobody runs it here, and without them nothing would scale."""
    return [autoscaler_of_scaled_object(each.body) for each in manifests if each.kind == "ScaledObject"]


def _secret_stores(manifests: Iterable[Manifest]) -> list[str]:
    stores = []
    for each in manifests:
        if each.kind == "ExternalSecret":
            store = each.body["spec"]["secretStoreRef"]
            where = f"{each.namespace}/" if store["kind"] == "SecretStore" else ""
            stores.append(f"{store['kind']} {where}{store['name']}")
    return stores


def _names_of_keda(manifests: Iterable[Manifest]) -> list[str]:
    made = (each["metadata"] for each in _autoscalers_of_keda(manifests))
    return [f"{each['namespace']}/{each['name']}" for each in made]


def _create(client: Client, body: Mapping[str, Any]) -> None:
    """Create an object, unless every cluster has it (``default``, ``system-cluster-critical``)."""
    try:
        client.create(body)
    except ApiError as error:
        if error.status != _HTTP_CONFLICT:
            raise


def in_pools(nodes: Sequence[FakeNode], configs: Iterable[DeploymentConfig]) -> tuple[FakeNode, ...]:
    """Return ``nodes`` with the labels that workloads select by.

    Selectors that contradict each other make pools, and the nodes of each zone take turns in them.
    """
    pools = _pools(config.node_selector for config in configs)
    made, turns = [], dict.fromkeys((node.zone for node in nodes), 0)
    for node in nodes:
        labels = {**pools[turns[node.zone] % len(pools)], **node.labels}
        turns[node.zone] += 1
        made.append(msgspec.structs.replace(node, labels=labels))
    return tuple(made)


def pool_count(configs: Iterable[DeploymentConfig]) -> int:
    """Return how many pools of nodes the workloads need."""
    return len(_pools(config.node_selector for config in configs))


def _pools(selectors: Iterable[Mapping[str, str]]) -> list[dict[str, str]]:
    pools: list[dict[str, str]] = []
    for selector in selectors:
        for pool in pools:
            if all(pool.get(key, value) == value for key, value in selector.items()):
                pool.update(selector)
                break
        else:
            pools.append(dict(selector))
    return pools or [{}]


def _priority_classes(workloads: Iterable[DeploymentConfig]) -> list[str]:
    named = {config.priority_class for config in workloads if config.priority_class}
    return sorted(name for name in named if not name.startswith("system-"))  # those are Kubernetes' own


def _claims(config: DeploymentConfig) -> list[str]:
    return [volume.claim for volume in config.volumes if volume.enabled and volume.claim is not None]


def _shared_volume(namespace: str, claim: str) -> list[dict[str, Any]]:
    """Return a claim that is bound and reached from every zone, as claims of several pods must be."""
    volume = f"{namespace}.{claim}"
    room = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": volume},
            "spec": {
                **room,
                "capacity": {"storage": "1Gi"},
                "claimRef": {"namespace": namespace, "name": claim},
                "hostPath": {"path": f"/lab/{volume}"},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": claim, "namespace": namespace},
            "spec": {**room, "volumeName": volume, "resources": {"requests": {"storage": "1Gi"}}},
        },
    ]
