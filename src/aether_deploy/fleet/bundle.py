"""Every object of one workload."""

from typing import Any

from aether_deploy.fleet.config import DeploymentConfig
from aether_deploy.fleet.deviations import deviations
from aether_deploy.fleet.network import render_network_policy, render_services
from aether_deploy.fleet.pod import (
    config_data,
    metadata_of,
    pod_template,
)
from aether_deploy.fleet.scaling import scaling_bodies
from aether_deploy.manifest.labels import selector_labels
from aether_deploy.manifest.value import Manifest, in_apply_order
from aether_deploy.pods.fragments import content_checksum
from aether_deploy.pods.surroundings import Surroundings
from aether_deploy.pods.waivers import waiver_annotations
from aether_deploy.quantities import canonical
from aether_deploy.scaling.hpa import scaling_annotations
from aether_deploy.scaling.modes import minor_of

# Older API servers drop maxUnavailable from a StatefulSet silently: the gate is off before 1.37.
STATEFUL_MAX_UNAVAILABLE_SINCE = 37


def render_manifests(
    config: DeploymentConfig, surroundings: Surroundings, *, source: str | None = None
) -> list[Manifest]:
    """Return every object of the workload in the order in which they are applied.

    Args:
        config: The workload.
        surroundings: The platform around it.
        source: The entry that it comes from, for the index.

    Raises:
        ConfigError: If the content of a config file is not known.
    """
    data, binary = config_data(config, surroundings.files)
    checksum = content_checksum(data, binary) if data or binary else None
    bodies = [
        render_workload(config, surroundings, with_replicas=config.scaling is None, checksum=checksum),
        *render_services(config, surroundings),
        render_network_policy(config, surroundings),
        _budget(config, surroundings),
    ]
    if config.identity.service_account is None:
        bodies.append(_service_account(config, surroundings))
    if checksum is not None:
        bodies.append(_config_map(config, surroundings, data, binary))
    bodies += scaling_bodies(config, surroundings)
    if surroundings.scrape_interval_secs is not None and config.metrics is not None:
        bodies.append(_pod_monitor(config, surroundings, surroundings.scrape_interval_secs))
    where = source or f"{config.workload_class}.{config.name}"
    return in_apply_order(Manifest(body, where) for body in bodies)


def render_workload(
    config: DeploymentConfig,
    surroundings: Surroundings,
    *,
    with_replicas: bool,
    checksum: str | None = None,
) -> dict[str, Any]:
    """Return the StatefulSet or Deployment of the workload."""
    annotations = waiver_annotations(deviations(config), "workload")
    if config.scaling is not None:
        annotations |= scaling_annotations(config.scaling, config.custom_metrics)
    if config.formerly is not None:
        annotations["aether.io/formerly"] = config.formerly
    body = {
        "apiVersion": "apps/v1",
        "kind": config.target_kind,
        "metadata": metadata_of(config, surroundings, annotations=annotations),
    }
    replicas = {"replicas": config.replicas} if with_replicas else {}
    template = pod_template(config, surroundings, checksum)
    make_spec = _stateful_spec if config.is_stateful else _deployment_spec
    return {**body, "spec": make_spec(config, surroundings, replicas, template)}


def _stateful_spec(
    config: DeploymentConfig, surroundings: Surroundings, replicas: dict[str, int], template: dict[str, Any]
) -> dict[str, Any]:
    assert config.pvc is not None
    update = config.update
    strategy: dict[str, Any] = {"type": update.strategy}
    if update.strategy == "RollingUpdate":
        strategy["rollingUpdate"] = {"partition": update.partition or 0}
        if update.max_unavailable is not None and minor_of(surroundings.kubernetes) >= STATEFUL_MAX_UNAVAILABLE_SINCE:
            strategy["rollingUpdate"]["maxUnavailable"] = update.max_unavailable
    retention = config.pvc.retention
    spec: dict[str, Any] = {
        "serviceName": f"{config.name}-headless",
        **replicas,
        "podManagementPolicy": "Parallel",
        "updateStrategy": strategy,
        "persistentVolumeClaimRetentionPolicy": {
            "whenDeleted": retention.when_deleted if retention else "Retain",
            "whenScaled": retention.when_scaled if retention else "Retain",
        },
    }
    if update.min_ready_secs:
        spec["minReadySeconds"] = update.min_ready_secs
    return {
        **spec,
        "selector": {"matchLabels": selector_labels(config.name)},
        "template": template,
        "volumeClaimTemplates": [_claim_template(config, surroundings)],
    }


def _claim_template(config: DeploymentConfig, surroundings: Surroundings) -> dict[str, Any]:
    assert config.pvc is not None
    storage_class = config.pvc.storage_class or surroundings.storage_class
    return {
        "metadata": {"name": "wal"},
        "spec": {
            "accessModes": [config.pvc.access_mode],
            **({"storageClassName": storage_class} if storage_class else {}),
            "resources": {"requests": {"storage": canonical(config.pvc.size)}},
        },
    }


def _deployment_spec(
    config: DeploymentConfig, surroundings: Surroundings, replicas: dict[str, int], template: dict[str, Any]
) -> dict[str, Any]:
    update = config.update
    strategy: dict[str, Any] = {"type": update.strategy}
    if update.strategy == "RollingUpdate":
        strategy["rollingUpdate"] = {
            "maxSurge": 1 if update.max_surge is None else update.max_surge,
            "maxUnavailable": update.max_unavailable or 0,
        }
    spec: dict[str, Any] = {**replicas, "strategy": strategy}
    if update.min_ready_secs:
        spec["minReadySeconds"] = update.min_ready_secs
    return {**spec, "selector": {"matchLabels": selector_labels(config.name)}, "template": template}


def _budget(config: DeploymentConfig, surroundings: Surroundings) -> dict[str, Any]:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata_of(config, surroundings),
        "spec": {
            "maxUnavailable": config.disruption_budget.max_unavailable,
            "selector": {"matchLabels": selector_labels(config.name)},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }


def _service_account(config: DeploymentConfig, surroundings: Surroundings) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata_of(config, surroundings),
        "automountServiceAccountToken": False,
    }


def _config_map(
    config: DeploymentConfig, surroundings: Surroundings, data: dict[str, str], binary: dict[str, str]
) -> dict[str, Any]:
    body: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        # Flux would replace ${...} in the files.
        "metadata": metadata_of(
            config,
            surroundings,
            name=f"{config.name}-config",
            annotations={"kustomize.toolkit.fluxcd.io/substitute": "disabled"},
        ),
    }
    if data:
        body["data"] = data
    if binary:
        body["binaryData"] = binary
    return body


def _pod_monitor(config: DeploymentConfig, surroundings: Surroundings, interval_secs: int) -> dict[str, Any]:
    assert config.metrics is not None
    endpoint = {"port": config.metrics.port, "path": config.metrics.path, "interval": f"{interval_secs}s"}
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": metadata_of(config, surroundings),
        "spec": {
            "selector": {"matchLabels": selector_labels(config.name)},
            "podMetricsEndpoints": [endpoint],
        },
    }
