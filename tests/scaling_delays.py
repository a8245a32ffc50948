"""How long a change of players takes to be seen by an autoscaler."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from aether_deploy.lab.syncs import ObservedSync
from tests.players import PLAYERS, Placed
from tests.scaling_traces import Played, TraceLab


class Delay(NamedTuple):
    """How long a change of players took to be seen by the autoscaler, and what it can take, seconds."""

    took: float
    bound: float


def delays(lab: TraceLab, played: Played, metric: str, *, slack_secs: float) -> list[Delay]:
    """Return the delay of every change of players that was seen, each with its bound.

    That is a scrape of every pod, an evaluation of the rules where ``metric`` is recorded, and the next sync. How far
    these are apart is taken from what Prometheus keeps and from what was seen: a machine that is busy is late, and a
    scrape that takes too long counts for nothing.
    """
    found = []
    kept = _Kept(lab, played, metric)
    # Where the metrics API failed, as it does on a machine that is too busy, there was nothing to be seen.
    syncs = [sync for sync in played.syncs if sync.values(metric)]
    for change in played.placed:
        until = _until(played, metric, change.at)
        late = [sync for sync in syncs if change.at < sync.served_secs < until and _tells(sync, metric, change, syncs)]
        ready = kept.secs(change) + slack_secs
        after = [sync.served_secs for sync in syncs if sync.read_secs > ready]
        if late and after and change.said:
            found.append(Delay(late[0].served_secs - change.at, after[0] - change.at))
    return found


def _until(played: Played, metric: str, at: float) -> float:
    """Return when something else was to be seen than what was since ``at``."""
    changes = played.said if metric == PLAYERS else played.placed
    return next((each.at for each in changes if each.at > at), float("inf"))


def _tells(sync: ObservedSync, metric: str, change: Placed, syncs: Sequence[ObservedSync]) -> bool:
    """Return whether the sync was served what is new: of pods what all of them said, else what it was not before."""
    served = sync.values(metric)
    if metric == PLAYERS:
        return all(served.get(pod) == round(count * 1000) for pod, count in change.said.items())
    before = [each.values(metric) for each in syncs if each.served_secs <= change.at]
    return bool(before) and [*served.values()] != [*before[-1].values()]


class _Kept:
    """When Prometheus scraped the pods of a workload, and evaluated the rule of a metric."""

    def __init__(self, lab: TraceLab, played: Played, metric: str) -> None:
        name = played.autoscaler["metadata"]["name"]
        scrapes = lab.chain.query(f'{PLAYERS}{{namespace="{lab.namespace}",pod=~"{name}-[0-9]+"}}[1h]')
        self._scrapes = {each["metric"]["pod"]: _moments(each) for each in scrapes}
        rules = [] if metric == PLAYERS else lab.chain.query(f'{metric}{{statefulset="{name}"}}[1h]')
        self._rules = None if metric == PLAYERS else sorted(at for each in rules for at in _moments(each))

    def secs(self, change: Placed) -> float:
        """Return when it knew a change, seconds since the epoch; infinity where it never did."""
        scraped = max((_next(self._scrapes.get(pod, ()), change.at) for pod in change.said), default=change.at)
        return scraped if self._rules is None else _next(self._rules, scraped)


def _moments(series: Mapping[str, Any]) -> list[float]:
    return [at for at, _ in series["values"]]


def _next(moments: Sequence[float], at: float) -> float:
    return next((each for each in moments if each > at), float("inf"))
