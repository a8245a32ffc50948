"""What is wrong with a PostgreSQL component that no single failure shows."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from aether_deploy.failover.bounds import bounds
from aether_deploy.infrastructure.analysis.findings import Finding
from aether_deploy.infrastructure.estate import Estate, EstateRegion
from aether_deploy.infrastructure.postgres.probes import probes

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.postgres import PostgresConfig


_LATE_SECS = 2


def findings_in(config: "PostgresConfig", estate: Estate, region: EstateRegion) -> Iterator[Finding]:
    """Yield what is wrong with ``config``, whose primary is in ``region``."""
    yield from _two_primaries(config)
    yield from _late_look(config)
    yield from _zones(config, region)
    yield from _link(config, estate, region)


def killed_after_secs(config: "PostgresConfig") -> float | None:
    """Return when the liveness probe has ended a member whose Patroni hangs, seconds at most; None: never."""
    if config.backend != "patroni":
        return None
    probe = probes(config.failover, "api")["livenessProbe"]
    waits = probe["periodSeconds"] * probe["failureThreshold"] + probe["timeoutSeconds"]
    return float(waits + probe["terminationGracePeriodSeconds"])


def _two_primaries(config: "PostgresConfig") -> Iterator[Finding]:
    """Yield whether two PostgreSQL may take writes at once: the old one until it is killed, if its Patroni hangs."""
    policy = config.failover
    if config.members < 2 or policy.synchronous_mode is True:
        return  # a write of the old one is acknowledged by nobody
    killed = killed_after_secs(config)
    bound = bounds(policy, members=config.members, repair_secs=killed).of("patroni-frozen")
    if bound.dual_primary_secs == 0.0 or bound.detect is None:
        return
    long = "until somebody ends it" if bound.dual_primary_secs is None else f"for up to {bound.dual_primary_secs:g} s"
    ends = "nothing ends the old one" if killed is None else f"the liveness probe ends the old one within {killed:g} s"
    late = "" if killed is None else f"raise failover.ttl to {killed + policy.loop_wait:g}: the old one ends first; or "
    yield Finding(
        rule="two-primaries",
        severity="note" if policy.synchronous_mode == "quorum" else "warning",
        component=config.name,
        text=f"if the leader's Patroni hangs, two PostgreSQL may take writes {long}: its key is free after "
        f"{bound.detect.best:g} s, and {ends}. Lost is then: {bound.loss}",
        fix=f"{late}set failover.synchronous_mode to true",
        source=bound.source,
    )


def _late_look(config: "PostgresConfig") -> Iterator[Finding]:
    """Yield whether replicas look for a free key long after it is free: on Kubernetes nothing tells them of it."""
    policy = config.failover
    late = -policy.ttl % policy.loop_wait
    if config.members < 2 or late <= _LATE_SECS:
        return
    fits = [each for each in range(policy.loop_wait, 0, -1) if policy.ttl % each <= 1]
    yield Finding(
        rule="late-look",
        severity="note",
        component=config.name,
        text=f"a leader that is lost may be noticed {late} s after its key is free: replicas look every loop_wait, "
        f"{policy.loop_wait} s, and ttl, {policy.ttl}, is no multiple of it",
        fix=f"set failover.loop_wait to {fits[0]}, or failover.ttl to a multiple of it",
        source="measured: 20/9/5 sees a loss 27.5 s after the last renewal, 20/10/5 after 20.5 s",
    )


def _zones(config: "PostgresConfig", region: EstateRegion) -> Iterator[Finding]:
    members, zones = config.members, len(region.zones)
    if 1 < zones < members and config.failover.is_synchronous:
        return  # the loss of a zone says it, where it is one
    if 1 < zones < members:
        yield Finding(
            rule="shared-zones", severity="note", component=config.name, source="Kubernetes, topologySpreadConstraints",
            text=f"{members} members in {zones} zones: the loss of one may take {-(-members // zones)} of them",
            fix=f"give region {region.code} a zone for each member",
        )  # fmt: skip


def _link(config: "PostgresConfig", estate: Estate, region: EstateRegion) -> Iterator[Finding]:
    if config.standby is None or frozenset((region.code, config.standby.region)) in estate.bandwidths:
        return
    yield Finding(
        rule="standby-bandwidth", severity="note", component=config.name, source="links",
        text=f"the standby streams over {region.code} - {config.standby.region}, whose bandwidth is not said: whether "
        "it keeps up cannot be told",
        fix="give that link bandwidth_mbps",
    )  # fmt: skip
