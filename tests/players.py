"""Players on the pods of workloads, told to Prometheus by the exporters of a metrics chain."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import NamedTuple, Self

from aether_deploy.lab.exporters import Exporters
from aether_deploy.lab.watching import Pod, PodWatch

PLAYERS = "aether_world_player_count"
ORDINAL_FLOOR = "aether_world_ordinal_floor"
_LOOK_SECS = 0.05

Placing = Callable[[Iterable[Pod]], Mapping[str, float]]
"""Says how many players each pod that runs has. One that it leaves out is not scraped."""


def spread(total: int, *, silent: Iterable[int] = ()) -> Placing:
    """Return the placing of a crowd that is as even as may be, on the pods that are not about to end.

    Args:
        total: How many they are.
        silent: Ordinals of pods that are not scraped.
    """
    unheard = set(silent)

    def place(pods: Iterable[Pod]) -> dict[str, float]:
        staying = sorted((pod for pod in pods if not pod.terminating), key=lambda pod: pod.ordinal or 0)
        each, more = divmod(total, max(len(staying), 1))
        return {pod.name: each + (place < more) for place, pod in enumerate(staying) if pod.ordinal not in unheard}

    return place


def each(count: float, *, silent: Iterable[int] = ()) -> Placing:
    """Return the placing of ``count`` players on every pod, those that are about to end included."""
    unheard = set(silent)
    return lambda pods: {pod.name: count for pod in pods if pod.ordinal not in unheard}


def on(placed: Mapping[int, float]) -> Placing:
    """Return the placing of players on the pods of these ordinals; the others have none."""
    return lambda pods: {pod.name: placed.get(pod.ordinal or 0, 0) for pod in pods}


class Placed(NamedTuple):
    """Players of each pod that is scraped, since ``at``, seconds since the epoch."""

    at: float
    said: Mapping[str, float]


class Players:
    """The players of all workloads of a namespace, kept up to date as pods come and go.

    Attributes:
        history: What the pods of each workload said, whenever that changed, by the workload's name.
    """

    def __init__(self, exporters: Exporters, watch: PodWatch, namespace: str) -> None:
        self.history: dict[str, list[Placed]] = {}
        self._exporters = exporters
        self._watch = watch
        self._namespace = namespace
        self._placings: dict[str, Placing] = {}
        self._said: dict[str, dict[str, dict[str, float]]] = {}
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="players", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join()

    def place(self, workload: str, placing: Placing) -> Placed:
        """Place players, and return what the pods say from now on."""
        with self._lock:
            self._placings[workload] = placing
            self._update(workload)
            return Placed(time.time(), {pod: values[PLAYERS] for pod, values in self._said[workload].items()})

    def _follow(self) -> None:
        seen = -1
        while not self._ending.wait(_LOOK_SECS):
            if (now := len(self._watch.history)) != seen:
                seen = now
                with self._lock:
                    for workload in self._placings:
                        self._update(workload)

    def _update(self, workload: str) -> None:
        pods = [pod for pod in self._watch.pods(workload) if pod.phase == "Running"]
        ordinals = {pod.name: pod.ordinal or 0 for pod in pods}
        wanted = {
            name: {PLAYERS: count, ORDINAL_FLOOR: ordinals[name] + 1 if count else 0}
            for name, count in self._placings[workload](pods).items()
        }
        before = self._said.get(workload, {})
        for pod in before.keys() - wanted.keys():
            self._exporters.silence(self._namespace, pod)
        for pod, values in wanted.items():
            if before.get(pod) != values:
                self._exporters.serve(self._namespace, pod, values)
        self._said[workload] = wanted
        if before != wanted:
            said = {pod: values[PLAYERS] for pod, values in wanted.items()}
            self.history.setdefault(workload, []).append(Placed(time.time(), said))
