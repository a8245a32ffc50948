"""Superclusters of every shape."""

from collections.abc import Mapping
from typing import Any

_IMAGE = "nats:2.15.1@sha256:c31a2bb78de34c86167ff873abb519531ba8771b34c94ca2e0fc7dd2bd73f084"
_RELOADER = (
    "natsio/nats-server-config-reloader:0.23.0@sha256:0000000000000000000000000000000000000000000000000000000000000000"
)
_EXPORTER = (
    "natsio/prometheus-nats-exporter:0.20.1@sha256:0000000000000000000000000000000000000000000000000000000000000000"
)
_GATEWAYS: Mapping[str, Any] = {
    "expose": {"type": "LoadBalancer", "per_pod": True, "internal": True, "ports": ["gateway"]},
    "gateway": {"endpoint": "{pod}.nats.example.com"},
    "tls": {"secret": "events-tls"},
    "network": {"allow_from": ["10.0.0.0/8"]},
}

EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "supercluster": {
        "name": "events",
        "image": _IMAGE,
        "pvc": {"size": "40Gi"},
        **_GATEWAYS,
        "reloader": {"image": _RELOADER},
        "exporter": {"image": _EXPORTER},
        "streams": [
            {
                "name": "MATCHES",
                "subjects": ["matches.>"],
                "regions": ["us-east-1"],
                "max_age_secs": 604800,
                "max_bytes": "10Gi",
                "mirrors": ["eu-west-1", "ap-south-1"],
            },
            {
                "name": "TELEMETRY",
                "subjects": ["telemetry.{region}.>"],
                "max_bytes": "4Gi",
                "aggregate_in": "us-east-1",
                "aggregate_max_bytes": "12Gi",
            },
        ],
    },
    "one-region": {
        "name": "events",
        "image": _IMAGE,
        "regions": ["eu-west-1"],
        "pvc": {"size": "10Gi"},
        "expose": {"type": "LoadBalancer", "internal": True, "ports": ["client"]},
        "endpoint": "events.{region}.example.com",
        "network": {"allow_from": ["10.0.0.0/8"]},
    },
}
