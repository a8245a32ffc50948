"""The flags by which the programs of a control plane run without root, on the loopback address alone."""

import json
from pathlib import Path
from typing import Any

import msgspec

AUTOSCALER = "system:serviceaccount:kube-system:horizontal-pod-autoscaler"
"""The user as which the controller of HorizontalPodAutoscalers asks and acts."""

_UNTHROTTLED = ("--kube-api-qps=500", "--kube-api-burst=1000")  # else a thousand pods take minutes to be made


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How fast the controllers react, seconds. The defaults are faster than a cluster's, so that one need not wait.

    Attributes:
        hpa_sync_secs: Pause between two looks of the HorizontalPodAutoscaler controller; 15 in a cluster.
        node_grace_secs: Silence after which a node counts as unreachable; 50 in a cluster.
        toleration_secs: How long pods bear an unreachable node before they are evicted; 300 in a cluster.
    """

    hpa_sync_secs: int = 2
    node_grace_secs: int = 12
    toleration_secs: int = 5


def etcd_flags(at: Path, port: int, peers: int) -> list[str]:
    """Return the flags of etcd, which forgets everything when it ends."""
    client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peers}"
    return [
        f"--data-dir={at / 'etcd'}",
        "--unsafe-no-fsync",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--log-level=warn",
    ]


AUDIT_LOG = "audit.log"
"""File in the folder of a control plane that records its autoscalers: what their controller asked and was told."""


def audit_policy() -> str:
    """Return the policy by which kube-apiserver records the counts that autoscalers read and write."""
    policy = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "omitManagedFields": True,
        "rules": [
            {
                "level": "RequestResponse",
                "users": [AUTOSCALER],
                "resources": [{"group": "apps", "resources": ["*/scale"]}],
            },
            {"level": "None"},
        ],
    }
    return json.dumps(policy)


def api_server_flags(at: Path, port: int, etcd: int, pace: Pace, *, recorded: bool = False) -> list[str]:
    """Return the flags of kube-apiserver; ``recorded``, it writes down what autoscalers do."""
    audit = [f"--audit-policy-file={at / 'audit.yaml'}", f"--audit-log-path={at / AUDIT_LOG}"]
    return [
        *(audit if recorded else ()),
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        "--endpoint-reconciler-type=none",  # else: "cannot use public IP 127.0.0.1"
        f"--etcd-servers=http://127.0.0.1:{etcd}",
        f"--tls-cert-file={at / 'server.crt'}",
        f"--tls-private-key-file={at / 'server.key'}",
        f"--client-ca-file={at / 'ca.crt'}",
        f"--cert-dir={at}",
        "--authorization-mode=RBAC",
        "--allow-privileged",  # as clusters have it, so that pod security judges privileged pods
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-signing-key-file={at / 'service-accounts.key'}",
        f"--service-account-key-file={at / 'service-accounts.pub'}",
        "--service-cluster-ip-range=10.96.0.0/16",
        f"--requestheader-client-ca-file={at / 'front-proxy-ca.crt'}",
        "--requestheader-allowed-names=front-proxy",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={at / 'front-proxy.crt'}",
        f"--proxy-client-key-file={at / 'front-proxy.key'}",
        f"--default-not-ready-toleration-seconds={pace.toleration_secs}",
        f"--default-unreachable-toleration-seconds={pace.toleration_secs}",
        "--profiling=false",
    ]


def controller_manager_flags(at: Path, port: int, pace: Pace, *, recorded: bool = False) -> list[str]:
    """Return the flags of kube-controller-manager; ``recorded``, it logs what autoscalers propose."""
    return [
        *(["--vmodule=horizontal=4"] if recorded else ()),
        *_component_flags(at, "kube-controller-manager", port),
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={at / 'service-accounts.key'}",
        f"--root-ca-file={at / 'ca.crt'}",
        f"--horizontal-pod-autoscaler-sync-period={pace.hpa_sync_secs}s",
        "--concurrent-horizontal-pod-autoscaler-syncs=20",  # or many that look often wait for each other
        f"--node-monitor-grace-period={pace.node_grace_secs}s",
        "--node-monitor-period=2s",
        "--node-eviction-rate=10",
    ]


def scheduler_flags(at: Path, port: int) -> list[str]:
    """Return the flags of kube-scheduler."""
    return _component_flags(at, "kube-scheduler", port)


def _component_flags(at: Path, name: str, port: int) -> list[str]:
    config = at / f"{name}.kubeconfig"
    return [
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={at}",
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        "--leader-elect=false",
        *_UNTHROTTLED,
        "--profiling=false",
    ]


def kubeconfig(at: Path, user: str, port: int) -> str:
    """Return a kubeconfig by which ``user`` reaches the API server."""
    cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(at / "ca.crt")}
    keys = {"client-certificate": str(at / f"{user}.crt"), "client-key": str(at / f"{user}.key")}
    config: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "lab", "cluster": cluster}],
        "users": [{"name": user, "user": keys}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": user}}],
        "current-context": "lab",
    }
    return json.dumps(config)
