"""Settings of player-count scaling and the specification's five rules."""

from collections.abc import Iterator
from typing import Annotated, Literal

from aether_deploy.config.base import Config, Fault, rule
from aether_deploy.config.marks import TextRule, WholeRule
from aether_deploy.config.types import PositiveCount, seconds
from aether_deploy.manifest.boxes import YamlConfig
from aether_deploy.scaling.decision import Hold, ScaleDown, ScaleUp, decide_replicas

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


class CustomMetric(Config):
    """A metric that the autoscaler reads through the custom metrics API.

    Attributes:
        name: The metric's name in the metrics API.
        target_value: Wanted average per pod; left out, it follows ``target_players_per_pod``.
        metric_type: ``Pods`` (averaged over pods), ``Object`` (read on the workload) or ``External``.
    """

    name: MetricName
    target_value: PositiveCount | None = None
    metric_type: Literal["Pods", "Object", "External"] = "Pods"


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

    Rule:
        The specification, "Player-Count Autoscaling".
    """

    target_players_per_pod: PositiveCount = 50
    min_replicas: Replicas = 2
    max_replicas: Replicas = 20
    scale_up_cooldown_secs: Annotated[int, seconds(ge=0, le=3600)] = 60
    scale_down_cooldown_secs: Annotated[int, seconds(ge=0, le=3600)] = 300

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
    ) -> ScaleUp | ScaleDown | Hold:
        """Decide the replica count for a number of players, by the specification's five rules.

        Args:
            current_players: Players on all pods together.
            current_replicas: Pods now; 0 counts as 1 in the load ratio.
            secs_since_scale_up: Seconds since the last scale-up; None is long ago.
            secs_since_scale_down: Seconds since the last scale-down; None is long ago.
            separate_clocks: Each direction waits for its own last change only; otherwise both wait for
                the later one.

        Returns:
            A decision whose count lies in [min_replicas, max_replicas]. A correction of bounds ignores
            cooldowns; a count that does not change is Hold, with its reason.

        Raises:
            ValueError: If a count or a time is negative.
        """
        return decide_replicas(
            target=self.target_players_per_pod,
            least=self.min_replicas,
            most=self.max_replicas,
            up_cooldown_secs=self.scale_up_cooldown_secs,
            down_cooldown_secs=self.scale_down_cooldown_secs,
            players=current_players,
            replicas=current_replicas,
            since_up_secs=secs_since_scale_up,
            since_down_secs=secs_since_scale_down,
            separate_clocks=separate_clocks,
        )
