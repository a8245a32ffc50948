"""Settings of player-count scaling and the specification's five rules."""

from collections.abc import Iterator
from typing import Annotated, Literal

from aether_deploy.config.base import Config, Fault, rule
from aether_deploy.config.marks import TextRule, WholeRule
from aether_deploy.config.types import LabelValue, PositiveCount, seconds
from aether_deploy.manifest.boxes import YamlConfig
from aether_deploy.scaling.decision import Hold, ScaleDown, ScaleUp, Sizing, decide_replicas

Replicas = Annotated[int, WholeRule(ge=1, le=100_000)]
MetricName = Annotated[
    str,
    TextRule(
        what="a metric name",
        pattern="[a-zA-Z_:][a-zA-Z0-9_:]*",
        max_length=253,
        fix="use letters, digits, '_' and ':', not beginning with a digit",
    ),
]
MetricLabel = Annotated[
    str,
    TextRule(
        what="a label of a metric",
        pattern="[a-zA-Z]([a-zA-Z0-9_]*[a-zA-Z0-9])?",
        max_length=63,
        fix="use at most 63 letters, digits and '_', beginning with a letter and not ending with '_'",
    ),
]


class CustomMetric(Config):
    """A metric that the autoscaler reads through the custom metrics API.

    Attributes:
        name: The metric's name in the metrics API.
        target_value: Wanted average per pod; left out, it follows ``target_players_per_pod``.
        metric_type: ``Pods`` (averaged over pods), ``Object`` (read on the workload) or ``External``.
        target_type: ``AverageValue``, wanted of each pod, or ``Value``, wanted of the whole; a metric of pods
            has only the first.
        selector: Labels that a series must have, where the metric has several.

    Rule:
        Kubernetes, ``autoscaling/v2`` ``MetricSpec``; the two kinds of target,
        ``pkg/controller/podautoscaler/replica_calculator.go``.
    """

    name: MetricName
    target_value: PositiveCount | None = None
    metric_type: Literal["Pods", "Object", "External"] = "Pods"
    target_type: Literal["AverageValue", "Value"] = "AverageValue"
    selector: dict[MetricLabel, LabelValue] = {}

    @rule
    def pods_have_averages(self) -> Iterator[Fault]:
        if self.metric_type == "Pods" and self.target_type == "Value":
            yield Fault(
                ("target_type",), "a metric of pods has only an average", "set it to AverageValue", self.target_type
            )
        elif self.target_type == "Value":
            yield Fault(
                ("target_type",),
                "multiplies the pods that are ready: while some are not, more load means fewer pods",
                "set it to AverageValue, unless that is meant",
                self.target_type,
                "warning",
            )


class ScalingConfig(YamlConfig):
    """How many pods a number of players needs.

    Attributes:
        target_players_per_pod: Players that one pod serves.
        min_replicas: Fewest pods; never scaled below.
        max_replicas: Most pods; never scaled above.
        scale_up_cooldown_secs: Least time between a change and a scale-up, seconds.
        scale_down_cooldown_secs: Least time between a change and a scale-down, seconds. On the cluster it
            is the autoscaler's downscale window: a scale-down waits until no higher count was wanted for
            that long, and a second scale-up does not wait at all.
        backend: What scales: ``hpa``, a HorizontalPodAutoscaler, or ``keda``, a ScaledObject of KEDA.
        mode: How the rule becomes configuration: ``pods`` (players per pod, with exact tolerances; Kubernetes
            1.35 and newer), ``desired`` (a recording rule computes the count, the autoscaler carries it out;
            1.35 and newer, needs ``observability.prometheus``), ``legacy`` (players per pod within a tenth;
            older versions), or ``auto``: ``desired`` where ``protect_occupied`` or KEDA need it, else ``pods``,
            and ``legacy`` before 1.35.
        headroom_percent: Part of the target that stays free after a change, percent: a changed count is sized
            for ``target_players_per_pod`` less this. When to change stays as it is.
        max_step_up: Most pods that one scale-up adds; left out, any number.
        max_step_down: Most pods that one scale-down removes; left out, any number.
        protect_occupied: Scale-downs never remove a pod that has players, or whose WAL is not archived, nor one
            with a lower ordinal than such a pod. It needs somebody who keeps players off the ordinals that are to
            go (docs/world-server-contract.md, "The gate"): one player on the highest ordinal keeps all pods. A
            ``max_replicas`` that is lowered removes what is above it at once, occupied or not.
        max_players_displaced_per_hour: Most players whose pod scale-downs remove within any hour, reckoned
            with full pods; left out, any number. Pods get at least the time to end that the players of a full one
            need at this pace, up to 1800 seconds, even where ``drain.grace_period_secs`` is shorter.

    Rule:
        The specification, "Player-Count Autoscaling".
    """

    target_players_per_pod: PositiveCount = 50
    min_replicas: Replicas = 2
    max_replicas: Replicas = 20
    scale_up_cooldown_secs: Annotated[int, seconds(ge=0, le=3600)] = 60
    scale_down_cooldown_secs: Annotated[int, seconds(ge=0, le=3600)] = 300
    backend: Literal["hpa", "keda"] = "hpa"
    mode: Literal["auto", "pods", "desired", "legacy"] = "auto"
    headroom_percent: Annotated[int, WholeRule(ge=0, le=50)] = 0
    max_step_up: Replicas | None = None
    max_step_down: Replicas | None = None
    protect_occupied: bool = False
    max_players_displaced_per_hour: PositiveCount | None = None

    @rule
    def bounds_are_ordered(self) -> Iterator[Fault]:
        if self.max_replicas < self.min_replicas:
            yield Fault(
                ("max_replicas",),
                f"less than min_replicas, which is {self.min_replicas}",
                f"set it to {self.min_replicas} or more, or lower min_replicas",
                self.max_replicas,
            )

    @rule
    def the_budget_lets_pods_go(self) -> Iterator[Fault]:
        budget, least = self.max_players_displaced_per_hour, 2 * self.target_players_per_pod
        if budget is not None and budget < least:
            yield Fault(
                ("max_players_displaced_per_hour",),
                f"less than one pod of {self.target_players_per_pod} players in 1800 s, the longest period that "
                "autoscalers keep account of",
                f"set it to {least} or more, or set min_replicas to max_replicas to keep all pods",
                budget,
            )

    @rule
    def steps_keep_to_their_cooldown(self) -> Iterator[Fault]:
        for step, cooldown in (
            ("max_step_up", self.scale_up_cooldown_secs),
            ("max_step_down", self.scale_down_cooldown_secs),
        ):
            if getattr(self, step) is not None and cooldown > 1800:
                yield Fault(
                    (step,),
                    f"autoscalers keep account of steps for 1800 s, and the cooldown is {cooldown} s: "
                    "steps come sooner than it says",
                    "set the cooldown to 1800 or less",
                    getattr(self, step),
                    "warning",
                )

    @rule
    def shrinking_is_slower_than_growing(self) -> Iterator[Fault]:
        if self.scale_down_cooldown_secs < self.scale_up_cooldown_secs:
            yield Fault(
                ("scale_down_cooldown_secs",),
                f"shorter than scale_up_cooldown_secs, which is {self.scale_up_cooldown_secs}: the count will flap",
                f"set it to {self.scale_up_cooldown_secs} or more",
                self.scale_down_cooldown_secs,
                "warning",
            )

    def compute_desired_replicas(
        self,
        current_players: int,
        current_replicas: int,
        *,
        secs_since_scale_up: float | None = None,
        secs_since_scale_down: float | None = None,
        separate_clocks: bool = False,
        occupied_floor: int = 0,
        pods_removed_last_hour: int = 0,
    ) -> ScaleUp | ScaleDown | Hold:
        """Decide the replica count for a number of players, by the specification's five rules.

        Args:
            current_players: Players on all pods together.
            current_replicas: Pods now; 0 counts as 1 in the load ratio.
            secs_since_scale_up: Seconds since the last scale-up; None is long ago.
            secs_since_scale_down: Seconds since the last scale-down; None is long ago.
            separate_clocks: Each direction waits for its own last change only; otherwise both wait for
                the later one.
            occupied_floor: Highest ordinal of a pod with players or an unarchived WAL, plus one. With
                ``protect_occupied`` no scale-down goes below it.
            pods_removed_last_hour: Pods that scale-downs removed within the last hour; heeded with
                ``max_players_displaced_per_hour``. ``Autoscaler`` counts them.

        Returns:
            A decision whose count lies in [min_replicas, max_replicas]. A correction of bounds ignores
            cooldowns; a count that does not change is Hold, with its reason.

        Raises:
            ValueError: If a count or a time is negative.
        """
        return decide_replicas(
            self.sizing,
            players=current_players,
            replicas=current_replicas,
            since_up_secs=secs_since_scale_up,
            since_down_secs=secs_since_scale_down,
            separate_clocks=separate_clocks,
            floor=occupied_floor if self.protect_occupied else 0,
            removed_last_hour=pods_removed_last_hour,
        )

    @property
    def sizing(self) -> Sizing:
        """The settings as plain numbers; of a budget in players, the pods that it lets go."""
        budget = self.max_players_displaced_per_hour
        return Sizing(
            target=self.target_players_per_pod,
            least=self.min_replicas,
            most=self.max_replicas,
            up_cooldown_secs=self.scale_up_cooldown_secs,
            down_cooldown_secs=self.scale_down_cooldown_secs,
            headroom_percent=self.headroom_percent,
            step_up=self.max_step_up,
            step_down=self.max_step_down,
            removed_per_hour=None if budget is None else budget // self.target_players_per_pod,
        )
