"""What makes metrics readable for autoscalers in one cluster: the Prometheus adapter, or its rules alone."""

from collections.abc import Iterable
from typing import Any

from aether_deploy.fleet.bundle import render_manifests
from aether_deploy.fleet.config import DeploymentConfig
from aether_deploy.manifest.labels import system_labels
from aether_deploy.manifest.value import Manifest, in_apply_order
from aether_deploy.manifest.yaml_text import to_yaml
from aether_deploy.platform.config import Platform
from aether_deploy.platform.parts import Site
from aether_deploy.pods.parts import IdentityConfig, NetworkConfig, PortConfig
from aether_deploy.pods.storage import ConfigFile, VolumeConfig
from aether_deploy.pods.surroundings import Surroundings
from aether_deploy.probes.config import Probe, ProbeConfig
from aether_deploy.scaling.adapter import Served, adapter_config, recorded
from aether_deploy.scaling.modes import mode_of, player_metric

ADAPTER_IMAGE = "registry.k8s.io/prometheus-adapter/prometheus-adapter:v0.12.0"
SOURCE = "observability.metrics_adapter"
_RBAC = "rbac.authorization.k8s.io/v1"
_PORT = 6443
_CUSTOM, _EXTERNAL = "custom.metrics.k8s.io", "external.metrics.k8s.io"
_ANYWHERE = ("0.0.0.0/0", "::/0")  # the API server's address is nobody's to know here
_RELIST_SCRAPES = 2


def served_metrics(configs: Iterable[DeploymentConfig], kubernetes: str) -> set[Served]:
    """Return the metrics that the autoscalers of these workloads read through the adapter."""
    found: set[Served] = set()
    for config in configs:
        scaling = config.scaling
        if scaling is None or scaling.backend == "keda":
            continue  # KEDA asks Prometheus itself
        desired = mode_of(scaling, kubernetes) == "desired"
        players = player_metric(config.custom_metrics) if desired else None
        if desired:
            found.update(recorded(config.target_kind))
        for metric in config.custom_metrics:
            if metric is not players:
                kind = config.target_kind if metric.metric_type == "Object" else ""
                found.add(Served(metric.name, metric.metric_type, kind))
    return found


def render_monitoring(platform: Platform, site: Site, configs: Iterable[DeploymentConfig]) -> tuple[Manifest, ...]:
    """Return the objects of ``observability.metrics_adapter`` in a cluster, the APIServices last.

    Args:
        platform: The platform, without faults.
        site: The cluster.
        configs: Its workloads.
    """
    watch = platform.observability
    served = served_metrics(configs, site.kubernetes)
    if watch.prometheus is None or not watch.metrics_adapter or not served:
        return ()
    text = to_yaml(adapter_config(served))
    if watch.metrics_adapter == "existing":
        return (Manifest(_rules_for_existing(platform, text), SOURCE),)
    adapter = _adapter(platform, text)
    around = Surroundings(kubernetes=site.kubernetes, system=platform.name)
    groups = [_CUSTOM] if any(each.metric_type != "External" for each in served) else []
    groups += [_EXTERNAL] if any(each.metric_type == "External" for each in served) else []
    bodies = [*_rights(platform), *(_api_service(platform, group) for group in groups)]
    return tuple(
        in_apply_order(
            [*render_manifests(adapter, around, source=SOURCE), *(Manifest(body, SOURCE) for body in bodies)]
        )
    )


def _name(platform: Platform) -> str:
    """Return the adapter's name: one of its own, since other software installs a ``prometheus-adapter``."""
    return f"{platform.namespace}-metrics-adapter"


def _namespace(platform: Platform) -> str:
    assert platform.observability.prometheus is not None
    return platform.observability.prometheus.namespace


def _adapter(platform: Platform, config_text: str) -> DeploymentConfig:
    watch = platform.observability
    assert watch.prometheus is not None
    alive, ready = (Probe(type="https", path=path, port=_PORT) for path in ("/livez", "/readyz"))
    return DeploymentConfig(
        name=_name(platform),
        namespace=_namespace(platform),
        workload_class="services",
        image=ADAPTER_IMAGE,
        args=[
            "--cert-dir=/run/adapter",
            "--config=/etc/adapter/config.yaml",
            f"--metrics-relist-interval={_RELIST_SCRAPES * watch.scrape_interval_secs}s",
            f"--metrics-max-age={2 * _RELIST_SCRAPES * watch.scrape_interval_secs}s",
            f"--prometheus-url={watch.prometheus.url}",
            f"--secure-port={_PORT}",
        ],
        ports=[PortConfig(name="https", port=_PORT), PortConfig(name="http", port=8080, enabled=False)],
        probes=ProbeConfig(liveness=alive, readiness=ready, startup=alive),
        metrics=None,
        volumes=[VolumeConfig(name="certificates", path="/run/adapter", size="16Mi")],
        config_files=[ConfigFile(name="config.yaml", path="/etc/adapter/config.yaml", text=config_text)],
        identity=IdentityConfig(automount_token=True),
        network=NetworkConfig(allow_from=_ANYWHERE, allow_to=_ANYWHERE),
        waivers={"service_account_token": "it reads the API server"},
    )


def _object(platform: Platform, api: str, kind: str, name: str, namespace: str | None, **rest: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name}
    if namespace is not None:
        metadata["namespace"] = namespace
    return {"apiVersion": api, "kind": kind, "metadata": {**metadata, "labels": system_labels(platform.name)}, **rest}


def _rules_for_existing(platform: Platform, text: str) -> dict[str, Any]:
    name = f"{platform.namespace}-adapter-rules"
    return _object(platform, "v1", "ConfigMap", name, _namespace(platform), data={"config.yaml": text})


def _rights(platform: Platform) -> list[dict[str, Any]]:
    """Return what the adapter may read. The autoscaler's controller may read all metrics by its own role.

    Rule:
        Kubernetes, ``plugin/pkg/auth/authorizer/rbac/bootstrappolicy/controller_policy.go``.
    """
    name = _name(platform)
    account = {"kind": "ServiceAccount", "name": name, "namespace": _namespace(platform)}
    watched = [
        {"apiGroups": [""], "resources": ["namespaces", "pods"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["apps"], "resources": ["deployments", "statefulsets"], "verbs": ["get", "list", "watch"]},
    ]
    return [
        _object(platform, _RBAC, "ClusterRole", f"{name}-reads", None, rules=watched),
        _binding(platform, f"{name}-reads", ("ClusterRole", f"{name}-reads"), account),
        _binding(platform, f"{name}-delegates", ("ClusterRole", "system:auth-delegator"), account),
        _binding(platform, name, ("Role", "extension-apiserver-authentication-reader"), account, "kube-system"),
    ]


def _binding(
    platform: Platform, name: str, role: tuple[str, str], subject: dict[str, str], namespace: str | None = None
) -> dict[str, Any]:
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": role[0], "name": role[1]}
    kind = "ClusterRoleBinding" if namespace is None else "RoleBinding"
    return _object(platform, _RBAC, kind, name, namespace, roleRef=reference, subjects=[subject])


def _api_service(platform: Platform, group: str) -> dict[str, Any]:
    version = "v1beta2" if group == _CUSTOM else "v1beta1"
    spec = {
        "service": {"name": _name(platform), "namespace": _namespace(platform), "port": _PORT},
        "group": group,
        "version": version,
        "insecureSkipTLSVerify": True,  # the adapter makes its certificate itself, and nobody else knows it
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
    }
    return _object(platform, "apiregistration.k8s.io/v1", "APIService", f"{version}.{group}", None, spec=spec)
