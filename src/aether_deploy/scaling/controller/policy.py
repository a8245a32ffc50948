"""A HorizontalPodAutoscaler as the controller sees it: the object after the API server's defaults."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from aether_deploy.quantities import parse_quantity
from aether_deploy.scaling.modes import TOLERANCE_SINCE, minor_of

CLUSTER_TOLERANCE = 0.1
"""``--horizontal-pod-autoscaler-tolerance``, where neither direction says its own."""

DOWNSCALE_WINDOW_SECS = 300
"""``--horizontal-pod-autoscaler-downscale-stabilization``."""

NEVER_FROM_ZERO = 36
ONLY_OWN_ZERO = 37

Source = Literal["Pods", "Object", "External", "Resource", "ContainerResource", "Unknown"]
TargetKind = Literal["AverageValue", "Value", "Utilization"]


class RatePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How much a direction may change within a period.

    Attributes:
        type: ``Pods``, a number of pods, or ``Percent`` of the count at the period's start.
        value: That number or percentage.
        period_secs: Length of the period, seconds; a change counts while it is younger.
    """

    type: Literal["Pods", "Percent"]
    value: int
    period_secs: int


class Direction(msgspec.Struct, frozen=True, kw_only=True):
    """The behavior of one direction.

    Attributes:
        window_secs: Stabilization window, seconds; a recommendation counts while it is younger.
        tolerance: Relative distance from the target that is not acted upon; both ends belong to it.
        select: Which policy counts: ``Max`` the widest change, ``Min`` the smallest, ``Disabled`` none.
        policies: The rates.
    """

    window_secs: int
    tolerance: float
    select: Literal["Max", "Min", "Disabled"]
    policies: tuple[RatePolicy, ...]

    @property
    def longest_period_secs(self) -> int:
        """The longest period of a policy, seconds; 0 without one."""
        return max((policy.period_secs for policy in self.policies), default=0)


class MetricTarget(msgspec.Struct, frozen=True, kw_only=True):
    """One metric and what it should be.

    Attributes:
        source: Where it is read: ``Pods``, ``Object``, ``External``, ``Resource`` (cpu or memory of a pod) or
            ``ContainerResource`` (of one container); ``Unknown`` is any other, which the API server refuses.
        name: The metric's name.
        kind: ``AverageValue`` (per pod), ``Value`` (of the whole), or ``Utilization`` (percent of the request).
        target: In thousandths for values, in percent for ``Utilization``.
        container: The container of a ``ContainerResource``.
    """

    source: Source
    name: str
    kind: TargetKind
    target: int
    container: str = ""

    @property
    def key(self) -> str:
        """The name under which ``Seen`` holds its readings: ``players``, or ``<container>/cpu``."""
        return f"{self.container}/{self.name}" if self.container else self.name


class HpaPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of a HorizontalPodAutoscaler that decides a replica count.

    Attributes:
        min_replicas: Fewest pods.
        max_replicas: Most pods.
        metrics: The largest proposal of these wins; at least one.
        up: Behavior of scaling up.
        down: Behavior of scaling down.
        has_behavior: Whether the object says any behavior; without one, older limits hold
            (``max(2 * replicas, 4)`` up, nothing down), and both ends of the window count.
        from_zero: When a workload of 0 pods is scaled at all: ``min-zero`` where ``min_replicas`` is 0 (up to
            Kubernetes 1.35), ``never`` (1.36), ``own-zero`` where the controller itself scaled it to zero
            (1.37 and newer).
    """

    min_replicas: int
    max_replicas: int
    metrics: tuple[MetricTarget, ...]
    up: Direction
    down: Direction
    has_behavior: bool
    from_zero: Literal["min-zero", "never", "own-zero"] = "own-zero"

    def __post_init__(self) -> None:
        if not self.metrics:
            raise ValueError("an autoscaler has at least one metric")

    @classmethod
    def from_manifest(
        cls, body: Mapping[str, Any], *, kubernetes: str, cluster_tolerance: float = CLUSTER_TOLERANCE
    ) -> "HpaPolicy":
        """Return the policy that the API server of ``kubernetes`` (``v1.<minor>``) keeps of ``body``.

        Before 1.35 it drops ``tolerance`` without a word. What it refuses outright, such as
        ``minReplicas: 0`` before 1.37, is taken as it stands.

        Rule:
            Kubernetes, ``pkg/apis/autoscaling/v2/defaults.go`` and ``pkg/registry/autoscaling``.
        """
        spec = body["spec"]
        minor = minor_of(kubernetes)
        behavior = spec.get("behavior")
        said = behavior or {}
        up, down = (
            _direction(said.get(name) or {}, default, cluster_tolerance, keeps_tolerance=minor >= TOLERANCE_SINCE)
            for name, default in (("scaleUp", _UP), ("scaleDown", _DOWN))
        )
        return cls(
            min_replicas=1 if spec.get("minReplicas") is None else spec["minReplicas"],
            max_replicas=spec["maxReplicas"],
            metrics=tuple(_target(each) for each in spec.get("metrics") or ()) or (_CPU,),
            up=up,
            down=down,
            has_behavior=behavior is not None,
            from_zero=from_zero_of(minor),
        )


def from_zero_of(minor: int) -> Literal["min-zero", "never", "own-zero"]:
    """Return when the controller of Kubernetes ``1.<minor>`` scales a workload of 0 pods."""
    if minor >= ONLY_OWN_ZERO:
        return "own-zero"
    return "never" if minor == NEVER_FROM_ZERO else "min-zero"


_UP = Direction(
    window_secs=0,
    tolerance=CLUSTER_TOLERANCE,
    select="Max",
    policies=(RatePolicy(type="Pods", value=4, period_secs=15), RatePolicy(type="Percent", value=100, period_secs=15)),
)
_DOWN = Direction(
    window_secs=DOWNSCALE_WINDOW_SECS,
    tolerance=CLUSTER_TOLERANCE,
    select="Max",
    policies=(RatePolicy(type="Percent", value=100, period_secs=15),),
)
_CPU = MetricTarget(source="Resource", name="cpu", kind="Utilization", target=80)


def _direction(
    said: Mapping[str, Any], default: Direction, cluster_tolerance: float, *, keeps_tolerance: bool
) -> Direction:
    tolerance = said.get("tolerance") if keeps_tolerance else None
    window_secs = said.get("stabilizationWindowSeconds")
    return Direction(
        window_secs=default.window_secs if window_secs is None else window_secs,
        tolerance=cluster_tolerance if tolerance is None else _float_of(str(tolerance)),
        select=said.get("selectPolicy") or "Max",
        policies=tuple(
            RatePolicy(type=each["type"], value=each["value"], period_secs=each["periodSeconds"])
            for each in said.get("policies") or ()
        )
        or default.policies,
    )


def _target(metric: Mapping[str, Any]) -> MetricTarget:
    source = metric["type"]
    said = metric[source[0].lower() + source[1:]]
    target = said["target"]
    kind: TargetKind
    # Only of an Object is the type of the target read; elsewhere the controller takes what is there.
    if "averageValue" in target and (source != "Object" or target.get("type") == "AverageValue"):
        kind, amount = "AverageValue", parse_quantity(str(target["averageValue"])).millis
    elif "averageUtilization" in target:
        kind, amount = "Utilization", target["averageUtilization"]
    else:
        kind, amount = "Value", parse_quantity(str(target["value"])).millis
    name = said["name"] if source in ("Resource", "ContainerResource") else said["metric"]["name"]
    return MetricTarget(source=source, name=name, kind=kind, target=amount, container=said.get("container", ""))


def _float_of(quantity: str) -> float:
    """Return a quantity as the controller's float: a whole number times a power of a thousand."""
    number, power = parse_quantity(quantity).nanos, -9
    while number and number % 1000 == 0:
        number //= 1000
        power += 3
    return number * float(f"1e{power}")
