"""The parts of a workload's settings, but for its files and volumes."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from msgspec import UNSET, UnsetType

from aether_deploy.config.base import FILLED, Config, Fault, rule
from aether_deploy.config.marks import Distinct, Keyed, Placeholders
from aether_deploy.config.types import (
    HOST_NAME,
    Cidr,
    Count,
    CpuQuantity,
    DnsLabel,
    EnvName,
    HttpPath,
    ImageRef,
    LabelKey,
    LabelValue,
    NonEmpty,
    ObjectName,
    PortName,
    PortNumber,
    PositiveCount,
    PositiveSeconds,
    Seconds,
    SizeQuantity,
    UserId,
)
from aether_deploy.pods.storage import MountConfig
from aether_deploy.quantities import parse_quantity

Endpoint = Annotated[str, HOST_NAME, Placeholders(("region", "environment", "cluster"))]


class ResourceRequirements(Config):
    """What one container may use. What is left out comes from the workload's class; sidecars and init
    containers have defaults of their own.

    Attributes:
        cpu_request: CPU set aside.
        cpu_limit: CPU at most; ``none`` lifts the limit and writes the waivers for it.
        memory_request: Memory set aside.
        memory_limit: Memory at most.
        ephemeral_request: Scratch disk set aside (logs, /tmp).
        ephemeral_limit: Scratch disk at most.
    """

    cpu_request: CpuQuantity = FILLED
    cpu_limit: CpuQuantity | None = FILLED
    memory_request: SizeQuantity = FILLED
    memory_limit: SizeQuantity = FILLED
    ephemeral_request: SizeQuantity = FILLED
    ephemeral_limit: SizeQuantity = FILLED

    @rule
    def cpu_request_fits_its_limit(self) -> Iterator[Fault]:
        yield from _request_over_limit("cpu", self.cpu_request, self.cpu_limit)

    @rule
    def memory_request_fits_its_limit(self) -> Iterator[Fault]:
        yield from _request_over_limit("memory", self.memory_request, self.memory_limit)

    @rule
    def ephemeral_request_fits_its_limit(self) -> Iterator[Fault]:
        yield from _request_over_limit("ephemeral", self.ephemeral_request, self.ephemeral_limit)


def _request_over_limit(name: str, request: object, limit: object) -> Iterator[Fault]:
    if isinstance(request, str) and isinstance(limit, str) and parse_quantity(request) > parse_quantity(limit):
        yield Fault(
            (f"{name}_request",),
            f"more than {name}_limit, which is {limit}",
            f"lower it to {limit} or less, or raise {name}_limit",
            request,
        )


class PortConfig(Config):
    """A port that the workload listens on.

    Attributes:
        name: The port's name; Services, probes and policies use it.
        port: Its number.
        protocol: Transport protocol.
        enabled: false takes the port away.
    """

    name: PortName
    port: PortNumber
    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"
    enabled: bool = True


class ContainerConfig(Config):
    """A further container of the pod: a sidecar, which starts before the workload and ends after it, or an
    init container, which ends before the workload starts.

    Attributes:
        name: The container's name.
        image: Its image.
        command: Replaces the image's entry point.
        args: Replaces the image's arguments.
        env: Environment variables; values are text.
        resources: What it may use.
        mounts: Volumes that it sees.
        enabled: false takes it away.
    """

    name: DnsLabel
    image: ImageRef
    command: Sequence[NonEmpty] = ()
    args: Sequence[str] = ()
    env: dict[EnvName, str] = {}
    resources: ResourceRequirements = FILLED
    mounts: Annotated[Sequence[MountConfig], Keyed("path")] = ()
    enabled: bool = True


class PreStopConfig(Config):
    """What happens in the container before it is told to stop; exactly one of three.

    Attributes:
        path: Ask the container to drain: a GET of this path; goes with ``port``.
        port: The port number that is asked; goes with ``path``.
        command: Run a command in the container.
        sleep_secs: Wait, so that routers forget the pod before it stops; seconds.
    """

    path: HttpPath | None = None
    port: PortNumber | None = None
    command: Sequence[NonEmpty] = ()
    sleep_secs: PositiveSeconds | None = None

    @rule
    def there_is_one_way(self) -> Iterator[Fault]:
        if (self.path is None) != (self.port is None):
            lacks = "port" if self.port is None else "path"
            yield Fault((), f"lacks '{lacks}'", f"add {lacks}: a drain over HTTP needs path and port")
            return
        ways = [self.path is not None, bool(self.command), self.sleep_secs is not None]
        if sum(ways) != 1:
            yield Fault((), "is not one way to drain", "give path and port, or command, or sleep_secs")


class DrainConfig(Config):
    """How a pod leaves.

    Attributes:
        grace_period_secs: Longest time from the decision to stop until the pod is killed, pre_stop
            included; seconds.
        pre_stop: What happens before the container is told to stop; ``none`` is nothing.
    """

    grace_period_secs: PositiveSeconds = FILLED
    pre_stop: PreStopConfig | None | UnsetType = UNSET

    @rule
    def the_wait_fits(self) -> Iterator[Fault]:
        stop = self.pre_stop
        wait = stop.sleep_secs if isinstance(stop, PreStopConfig) else None
        grace = self.grace_period_secs
        if wait is not None and isinstance(grace, int) and wait >= grace:
            yield Fault(
                ("pre_stop", "sleep_secs"),
                f"not less than grace_period_secs, which is {grace}: the pod is killed while it waits",
                "raise grace_period_secs",
                wait,
            )


class ExposeConfig(Config):
    """How the outside reaches the workload.

    Attributes:
        type: Type of the Service.
        ports: Names of the ports that are exposed; no other is.
        per_pod: One Service for each ordinal up to ``max_replicas``: a player must reach his own world.
        internal: Only from inside the provider's network; wants ``regions[].provider`` or ``annotations``.
        external_traffic_policy: ``Local`` keeps the client's address and skips a hop.
        annotations: Annotations of the Service, for the load balancer of your provider.
    """

    type: Literal["LoadBalancer", "NodePort"] = "LoadBalancer"
    ports: Annotated[Sequence[PortName], Distinct()]
    per_pod: bool = False
    internal: bool = False
    external_traffic_policy: Literal["Cluster", "Local"] | None = None
    annotations: dict[LabelKey, str] = {}

    @rule
    def something_is_exposed(self) -> Iterator[Fault]:
        if self.ports == ():
            yield Fault(("ports",), "exposes nothing", "name at least one port, or leave expose out")

    @rule
    def a_node_port_is_not_internal(self) -> Iterator[Fault]:
        if self.internal and self.type == "NodePort":
            fix = "use a LoadBalancer, or remove it and keep others off the nodes"
            yield Fault(("internal",), "nothing keeps a NodePort internal: every node opens it", fix, True)


class NetworkConfig(Config):
    """Addresses beyond what ``uses``, ``expose`` and monitoring open.

    Attributes:
        allow_from: CIDR blocks that may reach every port.
        allow_to: CIDR blocks that the pods may reach, on every port.
    """

    allow_from: Annotated[Sequence[Cidr], Distinct()] = ()
    allow_to: Annotated[Sequence[Cidr], Distinct()] = ()


class IdentityConfig(Config):
    """Who the pods are.

    Attributes:
        run_as_user: User id of every process; ids from 10001 on belong to no user of a node.
        run_as_group: Group id.
        fs_group: Group that owns the volumes.
        service_account: An existing ServiceAccount; left out, one of its own is rendered.
        automount_token: Give the pods a token for the API server.
    """

    run_as_user: UserId = 10001
    run_as_group: UserId = 10001
    fs_group: UserId = 10001
    service_account: ObjectName | None = None
    automount_token: bool = False

    @rule
    def nobody_is_root(self) -> Iterator[Fault]:
        for name in ("run_as_user", "run_as_group", "fs_group"):
            value = getattr(self, name)
            if value == 0:
                yield Fault((name,), "root, which a restricted namespace refuses", "use 10001 or more", value)
            elif value <= 10000 and name != "fs_group":
                yield Fault((name,), "an id that a user of the node may have", "use 10001 or more", value, "warning")


class TolerationConfig(Config):
    """A taint that does not keep the pods off a node.

    Attributes:
        key: The taint's key; left out with ``Exists``, every taint.
        operator: ``Equal`` or ``Exists``.
        value: The taint's value.
        effect: The taint's effect; left out, all.
        toleration_secs: How long ``NoExecute`` is borne, seconds.
    """

    key: LabelKey | None = None
    operator: Literal["Equal", "Exists"] = "Equal"
    value: LabelValue | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    toleration_secs: Seconds | None = None

    @rule
    def fields_fit_the_operator(self) -> Iterator[Fault]:
        if self.operator == "Exists" and self.value is not None:
            yield Fault(("value",), "not used with operator Exists", "remove it", self.value)
        if self.operator == "Equal" and self.key is None:
            yield Fault((), "lacks 'key'", "add key, or set operator to Exists")
        if self.toleration_secs is not None and self.effect != "NoExecute":
            yield Fault(("toleration_secs",), "only used with effect NoExecute", "remove it", self.toleration_secs)


class UpdateConfig(Config):
    """How a new version reaches the pods.

    Attributes:
        strategy: ``RollingUpdate``; ``OnDelete`` (StatefulSet: whenever a pod is deleted) or ``Recreate``
            (Deployment: all down, then all up).
        partition: StatefulSet: only ordinals from here on are updated; left out, all.
        max_surge: Deployment: pods more than wanted during an update; left out, 1.
        max_unavailable: Pods fewer than wanted during an update; left out, 0 for a Deployment and 1 for a
            StatefulSet, which takes another number from Kubernetes 1.37 on.
        min_ready_secs: A new pod counts after being ready this long, seconds.
    """

    strategy: Literal["RollingUpdate", "OnDelete", "Recreate"] = "RollingUpdate"
    partition: Count | None = None
    max_surge: Count | None = None
    max_unavailable: Count | None = None
    min_ready_secs: Seconds = 0


class DisruptionBudgetConfig(Config):
    """How many pods a node drain may take at a time.

    Attributes:
        max_unavailable: Pods that may be missing; never 0, which would block every drain.
    """

    max_unavailable: PositiveCount = 1


class MetricsConfig(Config):
    """Where Prometheus scrapes the pods.

    Attributes:
        port: Name of the port.
        path: HTTP path of the metrics.
    """

    port: PortName = "http"
    path: HttpPath = "/metrics"
