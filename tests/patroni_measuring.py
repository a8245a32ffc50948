"""Measure what real Patroni does when a leader fails, and write the figures down.

    python -m tests.patroni_measuring kubernetes etcd3

Takes most of an hour: each kill waits for a lease to run out. Documents and simulations are held against what it
writes, so run it on a machine that does nothing else.
"""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.nodes import fake_nodes
from aether_deploy.lab.patroni.cluster import PatroniCluster
from aether_deploy.lab.patroni.etcd_store import EtcdStore
from aether_deploy.lab.patroni.kubernetes_store import KubernetesStore
from aether_deploy.lab.patroni.measuring import Fail, Takeover, measure_takeover
from aether_deploy.lab.patroni.member import PatroniMember
from aether_deploy.lab.patroni.stores import Store
from aether_deploy.lab.programs import NEWEST
from tests.patroni_cases import FAST, under, wait_role

MEASURED = Path(__file__).parent / "cases" / "patroni_lab_measured.json"
Row = dict[str, Any]

# ttl, loop_wait, retry_timeout, kills. With 6 and 9 the last look before the lease ends is far from its end.
KILLS = {
    "kubernetes": ((20, 2, 3, 10), (20, 10, 5, 10), (20, 6, 5, 4), (20, 9, 5, 4)),
    "etcd3": ((20, 2, 3, 6), (20, 10, 5, 6)),
}
_LATEST = 0.85
"""Share of ``loop_wait`` up to which is killed: later, the next renewal may be on its way."""

SAME = ("dcs", "fault", "ttl", "loop_wait", "retry_timeout", "settings")
"""What rows of one series have in common."""


def _stopped(member: PatroniMember) -> float:
    moment = time.monotonic()
    member.stop()
    return moment


# A fault, the settings besides FAST, and how the leader fails; None stands for a switchover.
FAULTS: Sequence[tuple[str, Mapping[str, Any], Fail | None]] = (
    ("leader-killed", {"synchronous_mode": True}, lambda member: member.kill()),
    ("leader-killed", {"synchronous_mode": "quorum"}, lambda member: member.kill()),
    ("node-frozen", {}, lambda member: member.freeze()),
    ("patroni-killed", {}, lambda member: member.kill("patroni")),
    ("patroni-frozen", {}, lambda member: member.freeze("patroni")),
    ("postgres-killed", {"primary_start_timeout": 0}, lambda member: member.kill("postgres")),
    ("patroni-stopped", {}, _stopped),
    ("switchover", {}, None),
)
_SHARES = (0.2, 0.7)
"""Phases at which each of these is tried, as shares of ``loop_wait``."""


@contextlib.contextmanager
def opened(kind: str) -> Iterator[Callable[[], Store]]:
    """Return what gives a new store of a kind."""
    if kind == "etcd3":
        yield EtcdStore
        return
    with ControlPlane(NEWEST, nodes=fake_nodes(["zone-a"], per_zone=1)) as plane:
        numbers = iter(range(100))
        yield lambda: KubernetesStore(plane, f"data-{next(numbers)}")


def measure_kills(store: Store, ttl: int, loop_wait: int, retry_timeout: int, kills: int) -> Iterator[Row]:
    """Kill the leader at phases spread over its loop; yield a row for each."""
    policy = {"ttl": ttl, "loop_wait": loop_wait, "retry_timeout": retry_timeout}
    with PatroniCluster(store, dynamic=policy) as cluster:
        cluster.wait_healthy()
        cluster.writers.start()
        for number in range(kills):
            phase = (number + 0.5) / kills * _LATEST * loop_wait
            seen = measure_takeover(cluster, lambda member: member.kill(), phase_secs=phase)
            yield _row(store, "leader-killed", policy, {}, seen)


def measure_faults(store: Store) -> Iterator[Row]:
    """Let the leader fail in every other way; yield a row for each time."""
    with PatroniCluster(store, dynamic=FAST) as cluster:
        cluster.wait_healthy()
        cluster.writers.start()
        for fault, settings, fail in FAULTS:
            with under(cluster, settings):
                for share in _SHARES:
                    if mode := settings.get("synchronous_mode"):
                        wait_role(cluster, "quorum_standby" if mode == "quorum" else "sync_standby")
                    act = fail or (lambda member: cluster.switchover())
                    seen = measure_takeover(cluster, act, phase_secs=share * FAST["loop_wait"])
                    yield _row(store, fault, FAST, settings, seen)


def _row(store: Store, fault: str, policy: Mapping[str, Any], settings: Mapping[str, Any], seen: Takeover) -> Row:
    times = {
        name: round(getattr(seen, name), 3)
        for name in ("phase_secs", "detected_secs", "writable_secs", "gap_secs", "dual_secs")
    }
    return {"dcs": store.kind, "fault": fault, **policy, "settings": dict(settings), **times, "lost": seen.lost}


def write(rows: Sequence[Row]) -> None:
    """Put rows in the place of those of the same series that were there."""
    before = json.loads(MEASURED.read_text("utf-8")) if MEASURED.exists() else []
    series = [[row[key] for key in SAME] for row in rows]
    kept = [row for row in before if [row[key] for key in SAME] not in series]
    lines = ",\n".join(json.dumps(row) for row in [*kept, *rows])
    MEASURED.write_text(f"[\n{lines}\n]\n", "utf-8")


def main(kinds: Sequence[str]) -> None:
    """Measure, and write after each series, so that what was measured is kept."""
    for kind in kinds:
        with opened(kind) as new_store:
            runs = [measure_kills(new_store(), *series) for series in KILLS[kind]]
            for run in [*runs, measure_faults(new_store())]:
                rows = []
                for row in run:
                    print(json.dumps(row), flush=True)
                    rows.append(row)
                write(rows)


if __name__ == "__main__":
    main(sys.argv[1:] or list(KILLS))
