"""How long a change of players takes to be seen by an autoscaler."""

from collections.abc import Sequence
from typing import NamedTuple

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
    scrapes and syncs are apart is taken from what was seen: a machine that is busy is late.
    """
    found = []
    secs = slack_secs if metric == PLAYERS else slack_secs + lab.chain.cadence.rule_secs
    # Where the metrics API failed, as it does on a machine that is too busy, there was nothing to be seen.
    syncs = [sync for sync in played.syncs if sync.values(metric)]
    for change in played.placed:
        until = _until(played, metric, change.at)
        late = [sync for sync in syncs if change.at < sync.served_secs < until and _tells(sync, metric, change, syncs)]
        ready = _scraped_secs(lab, change) + secs
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


def _scraped_secs(lab: TraceLab, change: Placed) -> float:
    """Return when the last pod was scraped for the first time after a change, seconds since the epoch."""
    names = {(lab.namespace, pod) for pod in change.said}
    firsts: dict[tuple[str, str], float] = {}
    for each in lab.chain.exporters.scrapes:
        if each.at > change.at and (each.namespace, each.pod) in names:
            firsts.setdefault((each.namespace, each.pod), each.at)
    return max(firsts.values(), default=change.at)
