"""What tests on real Patroni clusters share."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any

from aether_deploy.failover.bound import FailoverBound
from aether_deploy.failover.bounds import bounds
from aether_deploy.failover.policy import FailoverPolicy
from aether_deploy.failover.timings import StoreKind
from aether_deploy.lab.patroni.cluster import PatroniCluster
from aether_deploy.lab.patroni.configuration import Place, Settings, member_configuration
from aether_deploy.lab.patroni.etcd_store import EtcdStore
from aether_deploy.lab.patroni.kubernetes_store import KubernetesStore
from aether_deploy.lab.patroni.programs import PatroniPrograms, find_patroni_programs
from aether_deploy.lab.patroni.stores import Store
from aether_deploy.lab.programs import MissingProgramsError
from aether_deploy.timespan import TimeSpan
from tests.lab_cases import boot_for_tests
from tests.real import miss

FAST: Mapping[str, Any] = {"ttl": 20, "loop_wait": 2, "retry_timeout": 3}
"""The shortest lease that Patroni allows, and a short loop: tests wait for them."""

QUICK: Mapping[str, Any] = {**FAST, "loop_wait": 1}
"""The shortest loop besides, for tests that wait for loops alone."""

BOOT_SECS = 180.0
"""How long a first row may take on a machine that runs all tests at once; a few seconds on an idle one."""

KINDS = ("etcd3", "kubernetes")


def database_programs() -> PatroniPrograms:
    """Return how Patroni and PostgreSQL run here, or end the calling test where they are missing."""
    try:
        return find_patroni_programs()
    except MissingProgramsError as error:
        miss(str(error))


@contextlib.contextmanager
def store_of(kind: str, *, count: int = 1, relayed: bool = False) -> Iterator[Store]:
    """Return a store of a kind (etcd of ``count`` members), or end the calling test where programs are missing."""
    database_programs()
    if kind == "kubernetes":
        with boot_for_tests(zones=("zone-a",), per_zone=1) as plane:
            yield KubernetesStore(plane, "data", relayed=relayed)
        return
    try:
        store = EtcdStore(count, relayed=relayed)
    except MissingProgramsError as error:
        miss(str(error))
    yield store


@contextlib.contextmanager
def under(cluster: PatroniCluster, settings: Settings) -> Iterator[None]:
    """Let the cluster live under other dynamic settings while the block runs; each returns to its default after it."""
    _change(cluster, settings)
    try:
        yield
    finally:
        _change(cluster, {name: FAST.get(name) for name in settings})


def _change(cluster: PatroniCluster, settings: Settings) -> None:
    cluster.wait_healthy()
    cluster.patch_config(settings)
    for _ in range(2):  # the leader hears of it in one loop and acts on it in that or the next
        cluster.lease.next_renewal(60)
    cluster.wait_healthy()


def timelines(cluster: PatroniCluster) -> set[int]:
    """Return the timelines that members are on; it grows with each promotion."""
    return {each["timeline"] for each in cluster.told()}


def wait_role(cluster: PatroniCluster, role: str, within_secs: float = 60.0) -> list[str]:
    """Wait until some members have a role, and return their names."""
    deadline = time.monotonic() + within_secs
    while not (names := [each["name"] for each in cluster.told() if each["role"] == role]):
        assert time.monotonic() < deadline, f"no member became {role}: {cluster.told()}"
        time.sleep(0.2)
    return names


def kubernetes_configuration(place: Place, programs: PatroniPrograms, **dynamic: Any) -> dict[str, Any]:
    """Return a member's configuration whose store is Kubernetes and whose addresses are no loopback ones."""
    section = {"kubernetes": {"namespace": "data", "labels": {"application": "patroni"}, "use_endpoints": False}}
    configuration = member_configuration({}, dynamic, section, place, scope="accounts", bin_dir=programs.bin_dir)
    for part, port in (("restapi", 8008), ("postgresql", 5432)):
        configuration[part]["connect_address"] = f"10.0.0.1:{port}"
    return configuration


SLACK_SECS = 1.5
"""What a machine that does other work besides may be late by; a prediction holds to within a second on an idle one."""

WORK_SECS = 6.0
"""The same where it is no timer that is waited for but work: PostgreSQL that starts and recovers."""

_EARLY_SECS = 0.3
"""What a clock of whole ticks may be early by: etcd counts from the renewal, and a renewal is seen a moment later."""


def bound_of(cluster: PatroniCluster, failure: str, **settings: Any) -> FailoverBound:
    """Return what was predicted for a failure of the cluster under these settings."""
    policy = FailoverPolicy(**{**FAST, **settings})
    store: StoreKind = "kubernetes" if cluster.store.kind == "kubernetes" else "etcd3"
    return bounds(policy, dcs=store, members=len(cluster.members)).of(failure)


def lies_in(secs: float, times: TimeSpan | None, *, slack_secs: float = SLACK_SECS) -> bool:
    """Return whether a time that was measured lies between the best and the worst that was predicted."""
    assert times is not None, "nothing was predicted"
    return times.best - _EARLY_SECS <= secs <= times.worst + slack_secs


def detection_secs(kind: str, policy: Settings, phase_secs: float) -> float:
    """Return when the lease of a leader that is gone is taken by another, seconds after it went.

    etcd ends a lease by its own clock. Kubernetes has no such thing: who watches looks at the lease once per
    ``loop_wait``, and half a second after the leader would have renewed it.
    """
    ttl, loop_wait = policy["ttl"], policy["loop_wait"]
    if kind != "kubernetes":
        return float(ttl - phase_secs)
    looks = next(count for count in range(1, ttl + 2) if count * loop_wait + 0.5 > ttl)
    return float(looks * loop_wait + 0.5 - phase_secs)
