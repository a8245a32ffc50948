"""Where an autoscaler does something else than the rule of the specification, and why.

Rule and autoscaler go through the same players, each with the pods that it wants itself; pods are there at once.
Up to their first difference both have the same pods, so what they see is the same, and the difference has a cause in
how they decide. :mod:`aether_deploy.simulation.causes` names it.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from aether_deploy.problems import InvariantError
from aether_deploy.scaling.autoscaler import Autoscaler
from aether_deploy.scaling.config import ScalingConfig
from aether_deploy.scaling.controller.policy import HpaPolicy
from aether_deploy.scaling.decision import Hold, ScaleDown, ScaleUp
from aether_deploy.scaling.modes import SYNC_SECS, keeps_tolerance
from aether_deploy.simulation.backends import compile_policy
from aether_deploy.simulation.carriers import Carrier, Sight
from aether_deploy.simulation.causes import Cause, Change, Onset, cause_of
from aether_deploy.simulation.findings import counted
from aether_deploy.simulation.placing import occupied_floor_evenly, place_on_running
from aether_deploy.simulation.replay import Row, rows_of
from aether_deploy.simulation.traces import Trace

BackendName = Literal["pods", "desired", "legacy", "keda"]
Moment = tuple[int, int, Row]
Decision = ScaleUp | ScaleDown | Hold


class Steps(Protocol):
    """The scaling rule over time."""

    def step(self, now_secs: float, players: int, replicas: int, *, occupied_floor: int = 0) -> Decision:
        """Decide for this moment, and take the decision as carried out."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A sync at which an autoscaler and the rule, with the same pods until then, want different counts.

    Attributes:
        secs: The time, seconds from the first sample.
        players: Players at that time, those on ending pods included.
        replicas: Pods before.
        rule_wants: What the rule wants.
        gets: What the autoscaler does.
        cause: Why.
        rule_after: The rule's changes from then on, for as long as it takes to tell the cause.
        other_after: Those of the autoscaler.
    """

    secs: int
    players: int
    replicas: int
    rule_wants: int
    gets: int
    cause: Cause
    rule_after: tuple[Change, ...]
    other_after: tuple[Change, ...]

    def __str__(self) -> str:
        return (
            f"{self.cause.id} at {self.secs} s: {counted(self.players, 'player')} on {counted(self.replicas, 'pod')}, "
            f"the rule wants {self.rule_wants}, the autoscaler {self.gets}: {self.cause.text}"
        )


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """What a comparison comes to.

    Attributes:
        backend: The autoscaler.
        syncs: How many syncs were compared.
        differing: After how many of them the counts differ.
        differences: The first difference of each cause, in order. Once two counts differ, nothing is compared until
            they are equal again.
    """

    backend: str
    syncs: int
    differing: int
    differences: tuple[Difference, ...]

    @property
    def exact(self) -> bool:
        """Whether there is no difference."""
        return not self.differences

    def __str__(self) -> str:
        if self.exact:
            return f"{self.backend}: exact, at each of {self.syncs} syncs"
        return f"{self.backend}: {self.differences[0]}"


def compare_backends(
    scaling: ScalingConfig,
    trace: Trace,
    *,
    kubernetes: str,
    backends: Sequence[BackendName] | None = None,
    start_replicas: int | None = None,
    scrape_interval_secs: int = 15,
    ending_pods: bool = False,
) -> list[Compared]:
    """Return where each backend first differs from the rule.

    Args:
        scaling: The settings; their mode is left aside.
        trace: Players over time.
        kubernetes: The cluster's version, ``v1.<minor>``.
        backends: What to compare: a mode of the autoscaler, or ``keda``. None is what the cluster can run:
            ``pods`` and ``desired``, or before 1.35 ``legacy``.
        start_replicas: Pods before the first sync; None is the minimum.
        scrape_interval_secs: Pause between two scrapes, seconds.
        ending_pods: Whether pods of the trace beyond the count are pods that are ending, with players still on
            them; else their players are taken to be on the others.

    Returns:
        One result for each backend, in their order. Equal input gives equal results.
    """
    able: tuple[BackendName, ...] = ("pods", "desired") if keeps_tolerance(kubernetes) else ("legacy",)
    found = []
    for backend in able if backends is None else backends:
        if backend == "keda":
            policy = compile_policy(scaling, "keda", kubernetes=kubernetes, interval_secs=scrape_interval_secs)
        else:
            moded = ScalingConfig(**msgspec.structs.asdict(scaling) | {"mode": backend, "backend": "hpa"})
            policy = compile_policy(moded, "hpa", kubernetes=kubernetes, interval_secs=scrape_interval_secs)
        found.append(
            compare_policy(
                scaling,
                policy,
                trace,
                backend=backend,
                start_replicas=start_replicas,
                scrape_interval_secs=scrape_interval_secs,
                ending_pods=ending_pods,
            )
        )
    return found


def compare_policy(
    scaling: ScalingConfig,
    policy: HpaPolicy,
    trace: Trace,
    *,
    backend: str = "hpa",
    start_replicas: int | None = None,
    scrape_interval_secs: int = 15,
    ending_pods: bool = False,
    readings: Mapping[str, int] = {},
    rule: Steps | None = None,
) -> Compared:
    """Return where ``policy``, which may be any autoscaler, first differs from the rule.

    Args:
        scaling: The settings.
        policy: The autoscaler.
        trace: Players over time.
        backend: What to call it.
        start_replicas: Pods before the first sync; None is the minimum.
        scrape_interval_secs: Pause between two scrapes, seconds.
        ending_pods: See ``compare_backends``.
        readings: What its other metrics say all the time, in thousandths, by name; one that is not there fails.
        rule: What to compare with instead of the rule of ``scaling``.
    """
    start = scaling.min_replicas if start_replicas is None else start_replicas
    run = _Run(
        scaling,
        rule or Autoscaler(scaling),
        Carrier(policy, scaling, interval_secs=scrape_interval_secs, readings=readings),
        ending_pods=ending_pods,
    )
    return run.compare(backend, _moments(trace), start)


def _moments(trace: Trace) -> Iterator[Moment]:
    """Yield seconds from the first sample, players, and those of each pod where they are known."""
    start = trace.start_secs
    if trace.pods:
        return ((secs - start, 0, row) for secs, row in rows_of(trace, SYNC_SECS))
    return ((secs - start, players, ()) for secs, players in trace.synced(SYNC_SECS))


class _Watch:
    """A difference that has begun, and what comes after it."""

    def __init__(self, onset: Onset, until_secs: int) -> None:
        self.onset, self.until_secs = onset, until_secs
        self._rule: list[Change] = []
        self._other: list[Change] = []
        self.see(onset.sight.secs, onset.rule_wants, onset.gets)

    def see(self, secs: int, wants: int, gets: int) -> None:
        """Take note of both counts."""
        for changes, count in ((self._rule, wants), (self._other, gets)):
            if count != (changes[-1].replicas if changes else self.onset.replicas):
                changes.append(Change(secs, count))

    def difference(self) -> Difference:
        """Return the difference with its cause."""
        onset = msgspec.structs.replace(self.onset, rule_after=tuple(self._rule), other_after=tuple(self._other))
        sight = onset.sight
        return Difference(
            secs=sight.secs,
            players=sight.players + sight.ending_players,
            replicas=sight.replicas,
            rule_wants=onset.rule_wants,
            gets=onset.gets,
            cause=cause_of(onset),
            rule_after=onset.rule_after,
            other_after=onset.other_after,
        )


class _Run:
    """Rule and autoscaler side by side."""

    def __init__(self, scaling: ScalingConfig, rule: Steps, carrier: Carrier, *, ending_pods: bool) -> None:
        self._scaling, self._rule, self._carrier = scaling, rule, carrier
        self._ending_pods = ending_pods
        self._last_move: Literal["up", "down"] | None = None
        policy = carrier.policy
        cooldowns = scaling.scale_up_cooldown_secs, scaling.scale_down_cooldown_secs
        waits = max(*cooldowns, policy.up.window_secs, policy.down.window_secs)
        periods = max(policy.up.longest_period_secs, policy.down.longest_period_secs)
        self._watched_secs = 2 * waits + 4 * SYNC_SECS
        # Longer than anything is remembered, by the controller or in a range of samples.
        self._recent: deque[Sight] = deque(maxlen=2 * max(waits, periods) // SYNC_SECS + 8)

    def compare(self, backend: str, moments: Iterator[Moment], replicas: int) -> Compared:
        """Return what differs, both beginning with ``replicas`` pods."""
        rule_replicas = replicas
        found: dict[str, Difference] = {}
        watch: _Watch | None = None
        syncs = differing = 0
        for moment in moments:
            sight = self._sight(moment, replicas)
            same = rule_replicas == replicas
            decision, wants = self._decide(sight if same else self._sight(moment, rule_replicas))
            gets = self._carrier.wanted(sight)
            self._recent.append(sight)
            syncs += 1
            differing += wants != gets
            if watch is not None and sight.secs > watch.until_secs:
                _keep(found, watch)
                watch = None
            if watch is not None:
                watch.see(sight.secs, wants, gets)
            elif same and (gets != wants or (isinstance(decision, ScaleUp) and wants < replicas)):
                watch = _Watch(self._onset(sight, decision, wants, gets), sight.secs + self._watched_secs)
            if wants != rule_replicas:
                self._last_move = "up" if wants > rule_replicas else "down"
            rule_replicas, replicas = wants, gets
        if watch is not None:
            _keep(found, watch)
        return Compared(backend=backend, syncs=syncs, differing=differing, differences=tuple(found.values()))

    def _decide(self, sight: Sight) -> tuple[Decision, int]:
        players = sight.players + sight.ending_players
        decision = self._rule.step(sight.secs, players, sight.replicas, occupied_floor=sight.floor)
        return decision, sight.replicas if isinstance(decision, Hold) else decision.target_replicas

    def _sight(self, moment: Moment, replicas: int) -> Sight:
        secs, players, row = moment
        if not row:
            floor = occupied_floor_evenly(players, replicas)
            return Sight(secs=secs, replicas=replicas, players=players, floor=floor, said_floor=floor)
        ending: list[int] = []
        if self._ending_pods:
            live: Row = [*row[:replicas], *[0] * (replicas - len(row))]
            ending = [each for each in row[replicas:] if each]
        else:
            live = place_on_running(row, replicas)
        return Sight(
            secs=secs,
            replicas=replicas,
            players=sum(each for each in live if each),
            missing=sum(each is None for each in live),
            floor=max((place + 1 for place, each in enumerate(live) if each != 0), default=0),
            said_floor=max((place + 1 for place, each in enumerate(live) if each), default=0),
            ending_players=sum(ending),
            ending_pods=len(ending),
        )

    def _onset(self, sight: Sight, decision: Decision, wants: int, gets: int) -> Onset:
        sync, recorded = self._carrier.explained(self._recent)
        if sync.replicas != gets:
            raise InvariantError(f"two models of one autoscaler differ: {sync.replicas} and {gets} for {sight}")
        target = self._scaling.target_players_per_pod
        before = [each for each in self._recent if each is not sight and each.replicas == sight.replicas]
        return Onset(
            scaling=self._scaling,
            policy=self._carrier.policy,
            sight=sight,
            decision=decision,
            rule_wants=wants,
            sync=sync,
            recorded=recorded,
            last_move=self._last_move,
            was_busy=any(2 * each.players >= target * each.replicas for each in before),
        )


def _keep(found: dict[str, Difference], watch: _Watch) -> None:
    difference = watch.difference()
    found.setdefault(difference.cause.id, difference)
