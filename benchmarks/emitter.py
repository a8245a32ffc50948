"""How fast our YAML emitter is next to PyYAML's, the usual one: ``python benchmarks/emitter.py``.

The work is 1000 hardened world-server StatefulSets of about 3.5 KB. Rounds of both emitters alternate, so
that a busy machine slows both; the medians are compared. ``ratio`` is how many times faster ours is.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import yaml

from aether_deploy.manifest.yaml_text import to_yaml_documents

DOCUMENTS = 1000
ROUNDS = 9


def world_server(number: int) -> dict[str, Any]:
    """Return the StatefulSet of world ``number`` as plain values.

    No two places share one object: PyYAML would write an anchor for it and be spared the work.
    """
    name = f"world-{number:04d}"
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {
            "name": name,
            "namespace": "aether-prod",
            "labels": _labels(name),
            "annotations": {"aether.io/scaling-target-players-per-pod": "50"},
        },
        "spec": {
            "replicas": 2 + number % 4,
            "serviceName": f"{name}-headless",
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": _selector(name)},
            "updateStrategy": {"type": "RollingUpdate"},
            "template": {
                "metadata": {
                    "labels": _labels(name),
                    "annotations": {"checksum/config": f"{number * 2654435761 % 2**40:010x}"},
                },
                "spec": _pod(name, number),
            },
            "volumeClaimTemplates": [_claim(name)],
        },
    }


def _selector(name: str) -> dict[str, str]:
    return {"app.kubernetes.io/instance": name, "app.kubernetes.io/name": name}


def _labels(name: str) -> dict[str, str]:
    return {**_selector(name), "app.kubernetes.io/component": "world-server"}


def _claim(name: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "wal", "labels": _selector(name)},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "fast-ssd",
            "resources": {"requests": {"storage": "10Gi"}},
        },
    }


def _pod(name: str, number: int) -> dict[str, Any]:
    return {
        "serviceAccountName": name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 60,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "fsGroup": 10001,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": _selector(name)},
            }
        ],
        "containers": [_container(number)],
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}],
    }


def _container(number: int) -> dict[str, Any]:
    return {
        "name": "world-server",
        "image": f"registry.example.com/aether/world-server:1.4.2@sha256:{number * 7919:064x}",
        "imagePullPolicy": "Always",
        "args": ["--world", f"world-{number:04d}", "--tick-rate=60"],
        "env": [
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "WORLD_SEED", "value": str(number * 104729)},
        ],
        "ports": [
            {"name": "game", "containerPort": 7777, "protocol": "UDP"},
            {"name": "metrics", "containerPort": 9090, "protocol": "TCP"},
        ],
        "resources": {
            "requests": {"cpu": "500m", "memory": "1Gi", "ephemeral-storage": "1Gi"},
            "limits": {"cpu": "2", "memory": "2Gi", "ephemeral-storage": "2Gi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "startupProbe": _probe("/startup", 5, 60),
        "readinessProbe": _probe("/ready", 5, 3),
        "livenessProbe": _probe("/alive", 10, 6),
        "volumeMounts": [
            {"name": "wal", "mountPath": "/data/wal"},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }


def _probe(path: str, period: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": "metrics"},
        "periodSeconds": period,
        "timeoutSeconds": 2,
        "failureThreshold": failures,
    }


def _pyyaml(documents: list[dict[str, Any]]) -> str:
    return "".join(f"---\n{yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False)}" for document in documents)


def _seconds(emit: Callable[[list[dict[str, Any]]], str], documents: list[dict[str, Any]]) -> float:
    start = time.perf_counter()
    emit(documents)
    return time.perf_counter() - start


def measure(documents: int = DOCUMENTS, rounds: int = ROUNDS) -> dict[str, float]:
    """Return the medians: ``ms_per_1000``, ``ns_per_byte``, ``pyyaml_ms_per_1000``, ``ratio`` and sizes."""
    worlds = [world_server(number) for number in range(documents)]
    text = to_yaml_documents(worlds)
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(_seconds(to_yaml_documents, worlds))
        theirs.append(_seconds(_pyyaml, worlds))
    secs, pyyaml_secs = statistics.median(ours), statistics.median(theirs)
    return {
        "bytes_per_document": len(text.encode()) / documents,
        "lines_per_document": text.count("\n") / documents,
        "ms_per_1000": secs * 1e6 / documents,
        "ns_per_byte": secs * 1e9 / len(text.encode()),
        "pyyaml_ms_per_1000": pyyaml_secs * 1e6 / documents,
        "ratio": pyyaml_secs / secs,
    }


def main() -> None:
    """Print what :func:`measure` finds."""
    for name, value in measure().items():
        print(f"{name:20} {value:10.2f}")


if __name__ == "__main__":
    main()
