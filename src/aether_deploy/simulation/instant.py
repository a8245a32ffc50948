"""What a policy wants at once, with no history, no window and no cooldown in the way: players and pods in, pods out.

For a fixed number of pods the answer never falls when players come. So all players that lead to one answer are one
interval, and what holds at its ends holds between them: a statement about all players needs only a few of them.
"""

from functools import cached_property
from typing import Literal, Protocol

from aether_deploy.scaling.config import ScalingConfig
from aether_deploy.scaling.controller.go_numbers import ceil_int32
from aether_deploy.scaling.controller.normalizing import ChangeLog, down_limit, limit_legacy, up_limit
from aether_deploy.scaling.controller.policy import HpaPolicy, MetricTarget
from aether_deploy.scaling.controller.proposals import is_within
from aether_deploy.scaling.decision import Hold, decide_replicas

_PLAYERS_MAX = 1 << 40
_SLACK = 10**9  # one part in so many is more than a float is ever off


class Instant(Protocol):
    """What is wanted at once. ``propose`` never falls with players, for counts in [least, most].

    Attributes:
        name: ``decide``, the specification's rule, or ``hpa``, the autoscaler.
        least: Fewest pods.
        most: Most pods.
    """

    @property
    def name(self) -> Literal["decide", "hpa"]: ...
    @property
    def least(self) -> int: ...
    @property
    def most(self) -> int: ...

    def propose(self, players: int, replicas: int) -> int:
        """Return the count that is wanted for ``players`` on ``replicas`` pods."""

    def fewest(self, players: int) -> int:
        """Return a count below which no count shrinks with ``players``."""

    def largest(self, players: int) -> int:
        """Return a count above which no count grows with ``players``."""


class RuleInstant:
    """The specification's rule, cooldowns past, nothing removed lately, nobody's pod protected."""

    name: Literal["decide"] = "decide"

    def __init__(self, scaling: ScalingConfig) -> None:
        """Take the settings."""
        self._sizing = scaling.sizing
        self.least, self.most = scaling.min_replicas, scaling.max_replicas

    def propose(self, players: int, replicas: int) -> int:
        """Return the count that is wanted for ``players`` on ``replicas`` pods."""
        decision = decide_replicas(self._sizing, players=players, replicas=replicas)
        return replicas if isinstance(decision, Hold) else decision.target_replicas

    def fewest(self, players: int) -> int:
        """Return the size for ``players``: nothing shrinks below it."""
        return min(max(self._sizing.needed(players), self.least), self.most)

    largest = fewest

    def fits(self, replicas: int) -> int:
        """Return the most players for whom ``replicas`` are large enough, headroom included."""
        return replicas * self._sizing.target * (100 - self._sizing.headroom_percent) // 100


class HpaInstant:
    """An autoscaler that has made no recommendation and no change lately, and whose pods all count.

    Its first metric of type Pods counts players; without one, its first average of 1 transports the rule's count.
    Other metrics are taken to want less.

    Rule:
        Kubernetes, ``pkg/controller/podautoscaler/replica_calculator.go`` (``calcPlainMetricReplicas``) and
        ``horizontal.go`` (``convertDesiredReplicasWithBehaviorRate``).
    """

    name: Literal["hpa"] = "hpa"

    def __init__(self, hpa: HpaPolicy, scaling: ScalingConfig) -> None:
        """Take the autoscaler, and the settings whose count it may transport.

        Raises:
            ValueError: If no metric has to do with players.
        """
        metric = player_metric_of(hpa)
        if metric is None:
            raise ValueError("no metric of the autoscaler counts players or transports a count")
        self._hpa, self._metric, self._rule = hpa, metric, RuleInstant(scaling)
        self._rates_by_count: dict[int, tuple[int, int]] = {}
        self.least, self.most = max(hpa.min_replicas, 1), hpa.max_replicas

    def propose(self, players: int, replicas: int) -> int:
        """Return the count that is wanted for ``players`` on ``replicas`` pods."""
        wanted = self._recommended(players, replicas)
        if not self._hpa.has_behavior:
            return limit_legacy(wanted, replicas=replicas, least=self.least, most=self.most).replicas
        fewest, most = self._rates(replicas)
        return min(max(wanted, fewest), most)

    def _rates(self, replicas: int) -> tuple[int, int]:
        """Return how far a count may go at once."""
        rates = self._rates_by_count.get(replicas)
        if rates is None:
            none = ChangeLog()
            fewest = down_limit(replicas, 0.0, self._hpa.down, none, none)
            most = up_limit(replicas, 0.0, self._hpa.up, none, none)
            rates = max(min(fewest, replicas), self.least), min(max(most, replicas), self.most)
            self._rates_by_count[replicas] = rates
        return rates

    def _recommended(self, players: int, replicas: int) -> int:
        """Return what the metric proposes, as the controller reckons: in floats, after cutting off thousandths."""
        down, up, target = self._hpa.down.tolerance, self._hpa.up.tolerance, self._metric.target
        if self._metric.source == "Pods":
            ratio = (1000 * players // replicas) / target
            return replicas if is_within(ratio, down, up) else ceil_int32(ratio * replicas)
        count = 1000 * self._rule.propose(players, replicas)
        return replicas if is_within(count / (target * replicas), down, up) else ceil_int32(count / target)

    def fewest(self, players: int) -> int:
        """Return a count below which no count shrinks with ``players``, whatever is rounded."""
        if self._metric.source != "Pods":
            return self._rule.fewest(players)
        cut = max(1000 * players - self.most, 0) * (_SLACK - 1)
        return self._bounded(-(-cut // (self._metric.target * _SLACK)))

    def largest(self, players: int) -> int:
        """Return a count above which no count grows with ``players``, whatever is rounded."""
        if self._metric.source != "Pods":
            return self._rule.largest(players)
        return self._bounded(-(-1000 * players * (_SLACK + 1) // (self._metric.target * _SLACK)))

    def _bounded(self, count: int) -> int:
        return min(max(count, self.least), self.most)


def player_metric_of(hpa: HpaPolicy) -> MetricTarget | None:
    """Return the metric that counts players on each pod, or else the one that transports a count; None without."""
    averages = [each for each in hpa.metrics if each.kind == "AverageValue"]
    players = [each for each in averages if each.source == "Pods"]
    counts = [each for each in averages if each.source in ("Object", "External") and each.target == 1000]
    return next(iter(players + counts), None)


class Bands:
    """For each count, the players with which it neither grows nor shrinks, found exactly by bisection."""

    def __init__(self, instant: Instant) -> None:
        """Take what is wanted at once."""
        self.instant = instant

    @cached_property
    def grows(self) -> dict[int, int | None]:
        """The fewest players that make a count grow, by count; None where none do."""
        return {n: self._first_above(n) for n in range(self.instant.least, self.instant.most + 1)}

    @cached_property
    def shrinks(self) -> dict[int, int]:
        """The most players with which a count shrinks, by count; -1 where it never does."""
        return {n: self.first(n, n) - 1 for n in range(self.instant.least, self.instant.most + 1)}

    def first(self, replicas: int, wanted: int) -> int:
        """Return the fewest players for whom ``replicas`` want ``wanted`` or more, or a number beyond all players."""
        propose, high = self.instant.propose, 1
        if propose(0, replicas) >= wanted:
            return 0
        while propose(high, replicas) < wanted:
            high *= 2
            if high > _PLAYERS_MAX:
                return high
        low = high // 2
        while high - low > 1:
            middle = (low + high) // 2
            if propose(middle, replicas) >= wanted:
                high = middle
            else:
                low = middle
        return high

    def _first_above(self, replicas: int) -> int | None:
        found = self.first(replicas, replicas + 1)
        return None if found > _PLAYERS_MAX else found
