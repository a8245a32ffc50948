"""How fast players are replayed: one world for a year, a thousand worlds for a day, and traces of each pod."""

import itertools
import math
import random
import statistics
import time
import tracemalloc
from collections.abc import Iterable, Iterator

from aether_deploy import ScalingConfig
from aether_deploy.scaling.controller.reconcile import HpaController
from aether_deploy.scaling.controller.seen import PodTotals, Seen
from aether_deploy.simulation.backends import PLAYERS, BackendKind, backend_of, compile_policy
from aether_deploy.simulation.replay import Replay, Row

SYNC_SECS = 15
DAY_SYNCS = 86_400 // SYNC_SECS
YEAR_SYNCS = 365 * DAY_SYNCS
WORLDS = 1000
KUBERNETES = "v1.37"
SETTINGS = ScalingConfig(max_replicas=40)
DESIRED = ScalingConfig(max_replicas=40, mode="desired")
BACKENDS: tuple[tuple[str, BackendKind, ScalingConfig], ...] = (
    ("the rule", "decide", SETTINGS),
    ("the autoscaler", "hpa", SETTINGS),
    ("mode desired", "hpa", DESIRED),
)
ROUNDS = 3


def measure() -> dict[str, float]:
    """Return syncs per second, multiples of real time, and how memory grows with the length of a trace."""
    found: dict[str, float] = {}
    for name, kind, scaling in BACKENDS:
        per_sec = YEAR_SYNCS / _secs_of(kind, scaling, _year(), YEAR_SYNCS)
        found[f"replay of a year by {name}, thousand syncs per s"] = per_sec / 1e3
        found[f"replay of a year by {name}, million times real time"] = per_sec * SYNC_SECS / 1e6
    found |= _worlds_and_pods()
    found["replay, times as fast as the controller that explains itself"] = _against_explaining()
    once, fourfold = (_peak_bytes(syncs) for syncs in (50_000, 200_000))
    found["replay, memory of a trace four times as long, times"] = fourfold / once
    return found


def _worlds_and_pods() -> dict[str, float]:
    begin = time.perf_counter()
    for world in range(WORLDS):
        _secs_of("hpa", SETTINGS, _year(first=world * 5), DAY_SYNCS)
    many = time.perf_counter() - begin
    rows = list(_rows(pods=20, syncs=7 * DAY_SYNCS))
    begin = time.perf_counter()
    for _ in _replay("hpa", SETTINGS).steps_by_pod(rows):
        pass
    by_pod = time.perf_counter() - begin
    return {
        f"replay of a day of {WORLDS} worlds, s": many,
        f"replay of a day of {WORLDS} worlds, thousand syncs per s": WORLDS * DAY_SYNCS / many / 1e3,
        "replay of a week of 20 pods each by itself, thousand syncs per s": len(rows) / by_pod / 1e3,
    }


def _replay(kind: BackendKind, scaling: ScalingConfig) -> Replay:
    backend = backend_of(scaling, kind, kubernetes=KUBERNETES)
    return Replay(backend, target=scaling.target_players_per_pod, start_replicas=8)


def _secs_of(kind: BackendKind, scaling: ScalingConfig, players: Iterable[int], syncs: int) -> float:
    replay = _replay(kind, scaling)
    samples = zip(range(0, syncs * SYNC_SECS, SYNC_SECS), players, strict=False)
    begin = time.perf_counter()
    replay.totals(samples)
    return time.perf_counter() - begin


def _day(seed: int = 1) -> list[int]:
    """Return the players of one day: few in the morning, many in the evening, and a crowd at random."""
    chance = random.Random(seed)
    waves = (400 + 350 * math.sin(2 * math.pi * place / DAY_SYNCS) for place in range(DAY_SYNCS))
    return [max(int(wave + chance.gauss(0, 15)) + 300 * (chance.random() < 0.001), 0) for wave in waves]


_DAY = _day()


def _year(first: int = 0) -> Iterator[int]:
    """Return the players of one day after the other, beginning at a time of day."""
    return itertools.islice(itertools.cycle(_DAY), first, None)


def _rows(pods: int, syncs: int) -> Iterator[tuple[int, Row]]:
    chance = random.Random(2)
    for place, players in zip(range(syncs), _year(), strict=False):
        each, more = divmod(players, pods)
        row: list[int | None] = [each + (pod < more) for pod in range(pods)]
        if chance.random() < 0.05:
            row[chance.randrange(pods)] = None
        yield place * SYNC_SECS, row


def _against_explaining(syncs: int = 20_000) -> float:
    """Return how many times as fast a sync of the fast controller is, replay and all."""
    policy = compile_policy(SETTINGS, "hpa", kubernetes=KUBERNETES, interval_secs=SYNC_SECS)
    ratios = []
    for _ in range(ROUNDS):
        controller, replicas = HpaController(policy), 8
        begin = time.perf_counter()
        for place, players in zip(range(syncs), _year(), strict=False):
            totals = PodTotals(counted=replicas, sum_milli=players * 1000)
            seen = Seen(spec_replicas=replicas, values={PLAYERS.name: totals})
            replicas = controller.sync(place * SYNC_SECS, seen).replicas
        explained = time.perf_counter() - begin
        ratios.append(explained / _secs_of("hpa", SETTINGS, _year(), syncs))
    return statistics.median(ratios)


def _peak_bytes(syncs: int) -> int:
    tracemalloc.start()
    _secs_of("hpa", SETTINGS, _year(), syncs)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak
