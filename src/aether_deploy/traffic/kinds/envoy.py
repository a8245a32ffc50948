"""The kind ``envoy``: an edge in every region that takes players in, and sends each to the best region that answers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from aether_deploy.config.base import FILLED, Fault, rule
from aether_deploy.config.marks import Distinct, Keyed
from aether_deploy.config.types import (
    AbsolutePath,
    ImageRef,
    LabelKey,
    NonEmpty,
    ObjectName,
    PositiveCount,
    PositiveSeconds,
)
from aether_deploy.pods.images import image_faults
from aether_deploy.pods.parts import ResourceRequirements
from aether_deploy.pods.storage import SecretFile
from aether_deploy.pods.waivers import WaiverName
from aether_deploy.routing.waits import Wait
from aether_deploy.traffic.backend import SOURCES, BackendConfig, Landscape, Port
from aether_deploy.traffic.envoy.bootstrap import bootstrap_text
from aether_deploy.traffic.envoy.bounds import failover_bound_ms
from aether_deploy.traffic.envoy.parts import OPS_PORT, ListenerConfig
from aether_deploy.traffic.envoy.routes import listener_faults, question, stops, target_port

IMAGE = "envoyproxy/envoy:distroless-v1.40.0"
TRUSTED_CA = "/etc/ssl/certs/ca-certificates.crt"
"""Who is trusted by all: Envoy's images have the file there."""
CONFIG_PATH = "/etc/envoy/envoy.yaml"
_RESOURCES = {
    "cpu_request": "500m",
    "cpu_limit": "2",
    "memory_request": "512Mi",
    "memory_limit": "1Gi",
    "ephemeral_request": "64Mi",
    "ephemeral_limit": "1Gi",
}
_CLOSING_SECS = 10


class EnvoyConfig(BackendConfig):
    """Envoy at the edge of every region. It ends no TLS: what players send passes through.

    Attributes:
        kind: ``envoy``.
        image: Image of Envoy 1.40 or later, best ``name:tag@sha256:digest``.
        replicas: Pods in each region.
        listeners: Ports at which players arrive.
        workers: Threads that serve.
        resources: What each pod may use.
        drain_secs: How long a pod that has to go still serves the sessions that it has, seconds. Nobody new reaches
            it; what is left then ends.
        external_traffic_policy: ``Local`` keeps the client's address and skips a hop.
        load_balancer: Annotations of the Service, for the load balancer of your provider.
        priority_class: An existing PriorityClass.
        pull_secrets: Secrets for pulling images.
        secret_files: Files from Secrets.
        trusted_ca: File with the certificates of who vouches for that of the entry, where it is asked by ``https``:
            one of the image, or of ``secret_files``.
        waivers: Reasons for deliberate deviations, by waiver name.
    """

    KIND_NAME: ClassVar[str] = "envoy"

    EXPRESSES: ClassVar[frozenset[str]] = frozenset(
        {"on_none_healthy: error", "on_none_healthy: fail_open", "drain: soft", "drain: hard", SOURCES}
    )

    ASKS: ClassVar[bool] = True

    PROVISO: ClassVar[str] = "where that edge still stands"

    EXAMPLES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "udp": {
            "name": "player-edge",
            "kind": "envoy",
            "listeners": [{"name": "rtp", "port": 3478, "protocol": "UDP", "to": "voice-relay"}],
        },
        "every-protocol": {
            "name": "player-edge",
            "kind": "envoy",
            "listeners": [
                {"name": "https", "port": 8443, "to": "gateway"},
                {"name": "web", "port": 8080, "protocol": "HTTP", "to": "lobby", "response_secs": 30},
                {"name": "rtp", "port": 3478, "protocol": "UDP", "to": "voice-relay", "sessions": 5000},
            ],
            "replicas": 3,
        },
    }

    kind: Literal["envoy"] = FILLED
    image: ImageRef = IMAGE
    replicas: PositiveCount = 2
    listeners: Annotated[Sequence[ListenerConfig], Keyed("name")]
    workers: PositiveCount = 2
    resources: ResourceRequirements = FILLED
    drain_secs: PositiveSeconds = 60
    external_traffic_policy: Literal["Cluster", "Local"] = "Local"
    load_balancer: dict[LabelKey, str] = {}
    priority_class: ObjectName | None = None
    pull_secrets: Annotated[Sequence[ObjectName], Distinct()] = ()
    secret_files: Annotated[Sequence[SecretFile], Keyed("name")] = ()
    trusted_ca: AbsolutePath = TRUSTED_CA
    waivers: dict[WaiverName, NonEmpty] = {}

    @classmethod
    def fill(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        filled = {**super().fill(given)}
        said = filled.get("resources", {})
        if isinstance(said, Mapping):
            filled["resources"] = {**_RESOURCES, **said}
        return filled

    @rule
    def image_is_pinned(self) -> Iterator[Fault]:
        yield from image_faults(("image",), self.image, waived="image_digest" in self.waivers)

    @rule
    def there_is_a_listener(self) -> Iterator[Fault]:
        if not self.listeners:
            yield Fault(("listeners",), "no port takes players", "list at least one listener")

    @rule
    def ports_are_distinct(self) -> Iterator[Fault]:
        seen: dict[tuple[int, str], str] = {}
        for place, each in enumerate(self.listeners):
            other = seen.setdefault((each.port, each.transport), each.name)
            if other != each.name:
                at = ("listeners", place, "port")
                yield Fault(at, f"taken by listener '{other}'", "give it another number", each.port)
            if each.name == "ops":
                at = ("listeners", place, "name")
                yield Fault(at, "the name of Envoy's own metrics and readiness", "give it another name", each.name)

    @property
    def target_names(self) -> frozenset[str]:
        return frozenset(each.to for each in self.listeners)

    def faults(self, landscape: Landscape) -> Iterator[Fault]:
        yield from super().faults(landscape)
        for place, each in enumerate(self.listeners):
            for fault in listener_faults(landscape, each):
                at = ("listeners", place, *fault.at)
                yield Fault(at, fault.reason, fault.fix, fault.value, fault.severity, fault.key)

    def leads_to_what_is_sound(self, landscape: Landscape) -> bool:
        led = [(each, target) for each in self.listeners if (target := landscape.target(each.to)) is not None]
        return all(target.sound and question(landscape, each, target) is not None for each, target in led)

    def bootstrap(self, landscape: Landscape, region: str) -> str:
        """Return the file that its pods in one region start from. Equal input gives equal bytes."""
        return bootstrap_text(landscape, region, self.name, self.listeners, self.trusted_ca)

    def workload(self, landscape: Landscape, region: str) -> Mapping[str, Any]:
        ports = [{"name": each.name, "port": each.port, "protocol": each.transport} for each in self.listeners]
        if all(each.name != "http" for each in self.listeners):
            ports.append({"name": "http", "port": 8080, "enabled": False})  # every service has it otherwise
        said = {name: getattr(self, name) for name in ("priority_class", "pull_secrets", "secret_files", "waivers")}
        return {
            "image": self.image,
            "replicas": self.replicas,
            # Two generations of Envoy in one pod would share memory; here a new pod is the new generation.
            "args": ["-c", CONFIG_PATH, "--disable-hot-restart", "--concurrency", str(self.workers)],
            "ports": [*ports, {"name": "ops", "port": OPS_PORT}],
            "expose": {
                "type": "LoadBalancer",
                "ports": [each.name for each in self.listeners],
                "external_traffic_policy": self.external_traffic_policy,
                **({"annotations": dict(self.load_balancer)} if self.load_balancer else {}),
            },
            "uses": sorted(self.target_names),
            "resources": self.resources.to_values(),
            "config_files": [{"name": "envoy.yaml", "path": CONFIG_PATH, "text": self.bootstrap(landscape, region)}],
            "probes": {
                "liveness": {"path": "/healthz", "port": OPS_PORT},
                "readiness": {"path": "/readyz", "port": OPS_PORT, "initial_delay_secs": 0, "period_secs": 5},
            },
            "metrics": {"port": "ops", "path": "/metrics"},
            # Envoy ends at once when it is told to stop, and with it every session.
            "drain": {
                "grace_period_secs": self.drain_secs + _CLOSING_SECS,
                "pre_stop": {"sleep_secs": self.drain_secs},
            },
            **{name: value for name, value in said.items() if value},
        }

    def waits(self, landscape: Landscape) -> tuple[Wait, ...]:
        health = landscape.health
        bound = failover_bound_ms(interval_ms=health.interval_ms, timeout_ms=health.timeout_ms, fall=health.fall)
        checks = "a check" if health.fall == 1 else f"{health.fall} checks"
        return (Wait(secs=bound / 1000, what=f"until {checks} of its Envoy ran out, each after a pause"),)

    def outside(self, landscape: Landscape, region: str) -> tuple[Port, ...]:
        found: dict[Port, None] = {}
        for each in self.listeners:
            target = landscape.target(each.to)
            if target is None or all(stop.region == region for stop in stops(landscape, region, target)):
                continue
            if (port := target_port(each, target)) is not None:
                found[port] = None
            if (asked := question(landscape, each, target)) is not None:
                found[asked.port] = None
        return tuple(found)


KIND = EnvoyConfig
