"""How the programs of a metrics chain are told to find each other, and how a control plane is told of the adapter."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

NAMESPACE = "lab-metrics"
SERVICE = "prometheus-adapter"
CUSTOM = ("custom.metrics.k8s.io", "v1beta2")
EXTERNAL = ("external.metrics.k8s.io", "v1beta1")
RESOURCES = "deployments,horizontalpodautoscalers,pods,replicasets,statefulsets"
"""Kinds that kube-state-metrics tells of."""


class Cadence(msgspec.Struct, frozen=True, kw_only=True):
    """How often each part of the chain looks, seconds. A cluster has 15 to 60 where a test has 1.

    Attributes:
        scrape_secs: Between two scrapes of a pod.
        state_secs: Between two scrapes of kube-state-metrics.
        rule_secs: Between two evaluations of the recording rules.
        relist_secs: Between two looks of the adapter at which series there are.
        max_age_secs: How old a series may be for the adapter to list it; must not be below ``relist_secs``.
    """

    scrape_secs: int = 1
    state_secs: int = 1
    rule_secs: int = 1
    relist_secs: int = 1
    max_age_secs: int = 20


def prometheus_config(cadence: Cadence, *, rules: Iterable[Path], targets: str, state_port: int) -> str:
    """Return the configuration of Prometheus.

    Args:
        cadence: How often it scrapes and evaluates.
        rules: Files of recording rules.
        targets: URL that lists the endpoints of pods.
        state_port: Where kube-state-metrics is, on the loopback address.
    """
    config = {
        "global": {
            "scrape_interval": f"{cadence.scrape_secs}s",
            "scrape_timeout": f"{cadence.scrape_secs}s",
            "evaluation_interval": f"{cadence.rule_secs}s",
        },
        "rule_files": [str(path) for path in rules],
        "scrape_configs": [
            {"job_name": "pods", "http_sd_configs": [{"url": targets, "refresh_interval": "1s"}]},
            {
                "job_name": "kube-state-metrics",
                "scrape_interval": f"{cadence.state_secs}s",
                "scrape_timeout": f"{cadence.state_secs}s",
                "honor_labels": True,  # it tells of other objects, whose names these are
                "static_configs": [{"targets": [f"127.0.0.1:{state_port}"]}],
            },
        ],
    }
    return json.dumps(config, indent=1)


def prometheus_flags(at: Path, port: int) -> list[str]:
    """Return the flags of Prometheus."""
    return [
        f"--config.file={at / 'prometheus.yml'}",
        f"--storage.tsdb.path={at / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]


def kube_state_metrics_flags(kubeconfig: Path, port: int, own_port: int) -> list[str]:
    """Return the flags of kube-state-metrics; ``own_port`` tells of itself."""
    return [
        f"--kubeconfig={kubeconfig}",
        "--host=127.0.0.1",
        f"--port={port}",
        "--telemetry-host=127.0.0.1",
        f"--telemetry-port={own_port}",
        f"--resources={RESOURCES}",
    ]


def adapter_flags(at: Path, keys: Path, kubeconfig: Path, port: int, prometheus: int, cadence: Cadence) -> list[str]:
    """Return the flags of prometheus-adapter, whose configuration is in ``at`` and whose certificate in ``keys``."""
    return [
        f"--lister-kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--tls-cert-file={keys / 'server.crt'}",
        f"--tls-private-key-file={keys / 'server.key'}",
        f"--prometheus-url=http://127.0.0.1:{prometheus}",
        f"--config={at / 'adapter.yaml'}",
        f"--metrics-relist-interval={cadence.relist_secs}s",
        f"--metrics-max-age={cadence.max_age_secs}s",
        # It lists pods for every look of every autoscaler, five times a second unless told otherwise.
        "--client-qps=500",
        "--client-burst=1000",
    ]


def registration(port: int, *, external: bool) -> list[dict[str, Any]]:
    """Return the objects that lead kube-apiserver to ``port`` for metrics, in apply order."""
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": SERVICE, "namespace": NAMESPACE},
        "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]},
    }
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    return [namespace, service, *(api_service(each, port) for each in groups(external=external))]


def groups(*, external: bool) -> list[tuple[str, str]]:
    """Return the groups that the adapter serves, each with its version."""
    return [CUSTOM, EXTERNAL] if external else [CUSTOM]


def api_service(served: tuple[str, str], port: int) -> dict[str, Any]:
    """Return the APIService of a group and version."""
    group, version = served
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": f"{version}.{group}"},
        "spec": {
            "group": group,
            "version": version,
            "service": {"name": SERVICE, "namespace": NAMESPACE, "port": port},
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": True,  # the name that it would verify is that of a Service in a cluster
        },
    }
