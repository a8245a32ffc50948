"""Fragments of network policies and Services, the same for world servers and for the data plane."""

from collections.abc import Sequence
from typing import Any

from aether_deploy.manifest.labels import selector_labels
from aether_deploy.pods.surroundings import Peer

NAMESPACE_NAME = "kubernetes.io/metadata.name"
# Cloud DNS and NodeLocal DNSCache answer on link-local addresses, which no pod selector matches.
LINK_LOCAL = "169.254.0.0/16"
INTERNAL_ANNOTATIONS = {
    "aws": {
        "service.beta.kubernetes.io/aws-load-balancer-internal": "true",
        "service.beta.kubernetes.io/aws-load-balancer-scheme": "internal",
    },
    "gcp": {"networking.gke.io/load-balancer-type": "Internal"},
    "azure": {"service.beta.kubernetes.io/azure-load-balancer-internal": "true"},
}


def dns_egress() -> dict[str, Any]:
    """Return the rule that lets pods resolve names."""
    return {
        "to": [
            {"namespaceSelector": {"matchLabels": {NAMESPACE_NAME: "kube-system"}}},
            {"ipBlock": {"cidr": LINK_LOCAL}},
        ],
        "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
    }


def monitoring_ingress(namespace: str | None, ports: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the rule that lets Prometheus scrape ``ports``: from its namespace, or from all where none is known."""
    selector = {"matchLabels": {NAMESPACE_NAME: namespace}} if namespace else {}
    return {"from": [{"namespaceSelector": selector}], "ports": ports}


def blocks(cidrs: Sequence[str]) -> list[dict[str, Any]]:
    """Return CIDR blocks as peers of a rule."""
    return [{"ipBlock": {"cidr": cidr}} for cidr in cidrs]


def pods_of(peer: Peer) -> dict[str, Any]:
    """Return the pods of a workload as a peer of a rule."""
    pods: dict[str, Any] = {"podSelector": {"matchLabels": selector_labels(peer.name)}}
    if peer.namespace is not None:
        pods = {"namespaceSelector": {"matchLabels": {NAMESPACE_NAME: peer.namespace}}, **pods}
    return pods


def policy_body(
    metadata: dict[str, Any], name: str, ingress: list[dict[str, Any]], egress: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return the policy of the pods of ``name``: both directions closed but for the rules given."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata,
        "spec": {
            "podSelector": {"matchLabels": selector_labels(name)},
            "policyTypes": ["Ingress", "Egress"],
            **({"ingress": ingress} if ingress else {}),  # an API server drops an empty list; without one all is closed
            "egress": egress,
        },
    }
