"""Players over time on a real autoscaler."""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

from aether_deploy.lab.client import Body
from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.flags import AUDIT_LOG
from aether_deploy.lab.metrics_chain import MetricsChain
from aether_deploy.lab.syncs import ObservedSync
from aether_deploy.lab.watching import PodWatch
from tests.players import PLAYERS, Placed, Placing, Players
from tests.scaling_cases import apply

_LOOKS = 4
_STEP_SECS = 0.1
_PATIENCE_SECS = 240.0

Act = Callable[["TraceLab", str], bool]
"""Something that happens to a workload beside its players. It says whether it has happened: else it is tried again."""

Steps = Mapping[float, Placing | tuple[Act]]
"""What happens how many seconds after autoscalers began, or later: players are placed, or something else."""


class TraceLab(NamedTuple):
    """Where traces are played."""

    plane: ControlPlane
    chain: MetricsChain
    watch: PodWatch
    players: Players
    namespace: str


@dataclass(frozen=True, kw_only=True)
class Trace:
    """One workload, its autoscaler, and what happens.

    Attributes:
        workload: The StatefulSet.
        autoscaler: Its autoscaler.
        steps: What happens; the first step, at 0, places players before the autoscaler begins.
        secs: How long it is watched, seconds; longer where the autoscaler looks less often than once a second.
        unrecorded: Metrics of the autoscaler that nothing records.
        shows: What must have happened, or the trace proves nothing: see ``Judged.shown``.
        top: Ordinals below this are listed to Prometheus beforehand.
    """

    workload: Body
    autoscaler: Body
    steps: Steps
    secs: float
    unrecorded: Set[str] = frozenset()
    shows: Set[str] = frozenset()
    top: int = 14

    @property
    def name(self) -> str:
        name: str = self.workload["metadata"]["name"]
        return name

    @property
    def metrics(self) -> list[str]:
        """The names of the metrics that the autoscaler reads."""
        return [each[each["type"].lower()]["metric"]["name"] for each in self.autoscaler["spec"]["metrics"]]


@dataclass(frozen=True, kw_only=True)
class Played:
    """What became of a trace.

    Attributes:
        autoscaler: The autoscaler as it was sent.
        syncs: Its syncs, in order.
        placed: Every change of players.
        said: What the pods said, whenever that changed, also because of pods that came or went.
        offset_secs: What added to the monotonic clock makes seconds since the epoch.
    """

    autoscaler: Body
    syncs: Sequence[ObservedSync]
    placed: Sequence[Placed]
    said: Sequence[Placed]
    offset_secs: float

    @property
    def counts(self) -> list[int]:
        """Every count that the workload was to have, in order, each change once."""
        counts = [count for sync in self.syncs for count in (sync.spec_replicas, sync.desired)]
        return [count for place, count in enumerate(counts) if not place or counts[place - 1] != count]


def play_all(lab: TraceLab, traces: Iterable[Trace]) -> dict[str, Played]:
    """Play traces side by side, and return what became of each, by the workload's name.

    Every step waits until the autoscaler has looked a few times at what the step before has made, however long
    that takes on a machine that is busy.
    """
    known = {trace.name: trace for trace in traces}
    _prepare(lab, known)
    apply(lab.plane, *(trace.autoscaler for trace in known.values()))
    looks = _Looks(lab)
    under_way = [_Course(lab, trace, looks) for trace in known.values()]
    deadline = time.monotonic() + _PATIENCE_SECS
    while [each for each in under_way if not each.is_over(deadline)]:  # every one has to be asked
        lab.watch.wait(lambda: False, _STEP_SECS)
        lab.chain.check()
        assert time.monotonic() < deadline + _PATIENCE_SECS, "a step that waits for something is not taken"
    record = lab.chain.record
    return {
        each.trace.name: Played(
            autoscaler=each.trace.autoscaler,
            syncs=record.syncs(each.trace.autoscaler, lab.watch),
            placed=tuple(each.placed),
            said=tuple(lab.players.history[each.trace.name]),
            offset_secs=time.time() - time.monotonic(),
        )
        for each in under_way
    }


class _Looks:
    """Counts how often each workload's autoscaler has begun to look."""

    def __init__(self, lab: TraceLab) -> None:
        self._path = lab.plane.folder / AUDIT_LOG
        self._line = re.compile(rf'/namespaces/{lab.namespace}/statefulsets/([^/]+)/scale","verb":"get"')
        self._read = 0
        self._counts: Counter[str] = Counter()

    def at(self, name: str) -> int:
        """Return the count so far."""
        with self._path.open("rb") as file:
            file.seek(self._read)
            new = file.read()
        complete = new[: new.rfind(b"\n") + 1]
        self._read += len(complete)
        self._counts.update(self._line.findall(complete.decode("utf-8", "replace")))
        return self._counts[name]


class _Course:
    """A trace under way."""

    def __init__(self, lab: TraceLab, trace: Trace, looks: _Looks) -> None:
        self.trace = trace
        self.placed: list[Placed] = []
        self._lab = lab
        self._looks = looks
        self._left = sorted(trace.steps)
        self._take_step()

    def is_over(self, deadline: float) -> bool:
        """Take the next step if its time has come, and return whether there is nothing left to see."""
        now = time.monotonic()
        following = self._left[0] if self._left else self.trace.secs
        gap = following - self._at
        looked = self._looks.at(self.trace.name) - self._looked > min(_LOOKS, gap / 2)
        if now < self._since + gap or not (looked or now > deadline):
            return False
        if self._left:
            self._take_step()
            return False
        return True

    def _take_step(self) -> None:
        match self.trace.steps[self._left[0]]:
            case (act,):
                if not act(self._lab, self.trace.name):
                    return
            case placing:
                self.placed.append(self._lab.players.place(self.trace.name, placing))
        self._at = self._left.pop(0)
        self._since, self._looked = time.monotonic(), self._looks.at(self.trace.name)


def _prepare(lab: TraceLab, traces: Mapping[str, Trace]) -> None:
    """Run the workloads with their first players, until Prometheus knows all of them."""
    for trace in traces.values():
        lab.chain.exporters.expect(lab.namespace, [f"{trace.name}-{ordinal}" for ordinal in range(trace.top)])
    apply(lab.plane, *(trace.workload for trace in traces.values()))
    for trace in traces.values():
        lab.players.place(trace.name, _first(trace))
    for trace in traces.values():
        wanted = trace.workload["spec"]["replicas"]
        lab.plane.wait_for(lambda n=trace.name, w=wanted: _running(lab, n) == w, f"{trace.name} runs")  # type: ignore[misc]
    for trace in traces.values():
        said = len(lab.players.place(trace.name, _first(trace)).said)  # on all pods, which run only now
        scraped = f'count({PLAYERS}{{pod=~"{trace.name}-[0-9]+"}})'
        lab.chain.wait_for(lambda q=scraped, s=said: lab.chain.value(q) == s, f"{trace.name} is scraped")  # type: ignore[misc]
    now = time.time()
    for trace in traces.values():
        for metric in set(trace.metrics) - trace.unrecorded - {PLAYERS}:
            lab.chain.wait_for(lambda m=metric, n=trace.name: _recorded(lab, m, n) > now, f"{metric} is recorded")  # type: ignore[misc]


def _recorded(lab: TraceLab, metric: str, name: str) -> float:
    """Return when a metric of a workload was recorded last, seconds since the epoch."""
    return lab.chain.value(f'timestamp({metric}{{statefulset="{name}"}})') or 0


def _running(lab: TraceLab, name: str) -> int:
    return sum(pod.phase == "Running" for pod in lab.watch.pods(name))


def _first(trace: Trace) -> Placing:
    step = trace.steps[0]
    assert not isinstance(step, tuple)
    return step


# --- what happens beside players


def scale_to(count: int) -> tuple[Act]:
    """Return the act of somebody who sets the count."""

    def act(lab: TraceLab, name: str) -> bool:
        path = lab.plane.client.path_of("apps/v1", "StatefulSet", lab.namespace, name)
        lab.plane.client.patch(path, {"spec": {"replicas": count}}, subresource="scale")
        return True

    return (act,)


def await_scrape_of_count(fresh_secs: float) -> tuple[Act]:
    """Return the act of waiting until the count of the workload was scraped just now, at most some seconds ago."""

    def act(lab: TraceLab, name: str) -> bool:
        scraped = lab.chain.value(f'timestamp(kube_statefulset_replicas{{statefulset="{name}"}})')
        return scraped is not None and time.time() - scraped < fresh_secs

    return (act,)
