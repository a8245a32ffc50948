"""A land of three regions with a gateway, a web lobby and a voice relay, and back ends on it."""

from collections.abc import Mapping
from typing import Any

from aether_deploy.routing.policy import HealthPolicy, RoutingPolicy
from aether_deploy.traffic.backend import Landscape, Question, Target
from aether_deploy.traffic.kinds.envoy import EnvoyConfig

REGIONS = ("us", "eu", "ap")
ORDER = {"us": ("us", "eu", "ap"), "eu": ("eu", "us", "ap"), "ap": ("ap", "eu", "us")}
HOSTNAME = "play.example.com"


def target(name: str, *ports: tuple[str, int, str], **more: Any) -> Target:
    """Return a workload in all regions that exposes all of its ports and answers /readyz at its first TCP port."""
    tcp = next((port[1] for port in ports if port[2] == "TCP"), None)
    settings: dict[str, Any] = {
        "exposed": frozenset(port[0] for port in ports),
        "regions": frozenset(REGIONS),
        "addresses": {code: f"{name}.{code}.{HOSTNAME}" for code in REGIONS},
        "readiness": None if tcp is None else ("/readyz", tcp, "http"),
    }
    return Target(name=name, ports=ports, **{**settings, **more})


GATEWAY = target(
    "gateway",
    ("https", 8443, "TCP"),
    ("http", 8080, "TCP"),
    exposed=frozenset({"https"}),
    addresses={code: f"{code}.{HOSTNAME}" for code in REGIONS},
)
LOBBY = target("lobby", ("http", 8080, "TCP"))
ASKED = Question(port=("https", 8443, "TCP"), scheme="https", path="/readyz", server_name=HOSTNAME, verified=True)
VOICE = target("voice-relay", ("rtp", 3478, "UDP"), ("http", 8080, "TCP"))


def landscape(**more: Any) -> Landscape:
    """Return the land, changed by ``more``."""
    settings: dict[str, Any] = {
        "system": "aether",
        "namespace": "aether-prod",
        "regions": REGIONS,
        "order": ORDER,
        "providers": dict.fromkeys(REGIONS, "aws"),
        "hostname": HOSTNAME,
        "entry": GATEWAY,
        "health": HealthPolicy(),
        "question": ASKED,
        "targets": {"gateway": GATEWAY, "lobby": LOBBY, "voice-relay": VOICE},
        "policy": RoutingPolicy(),
    }
    return Landscape(**{**settings, **more})


LAND = landscape()


def envoy(*listeners: Mapping[str, Any], **more: Any) -> EnvoyConfig:
    """Return an edge with ``listeners``."""
    return EnvoyConfig.from_values({"name": "player-edge", "listeners": list(listeners), **more})


HTTPS = {"name": "https", "port": 8443, "to": "gateway"}
WEB = {"name": "web", "port": 8080, "protocol": "HTTP", "to": "lobby"}
RTP = {"name": "rtp", "port": 3478, "protocol": "UDP", "to": "voice-relay"}
EDGE = envoy(HTTPS, WEB, RTP)
