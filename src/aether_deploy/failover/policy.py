"""How a PostgreSQL cluster fails over: Patroni's settings, with the rules that its daemon keeps in silence."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from aether_deploy.config.base import Fault, rule
from aether_deploy.config.marks import WholeRule
from aether_deploy.config.types import Count
from aether_deploy.failover.effective import patroni_effective
from aether_deploy.manifest.boxes import YamlConfig

WAL_SEGMENT_BYTES = 16 * 1024 * 1024
"""What PostgreSQL writes when it closes a segment, as at a shutdown or an ``archive_timeout``; bytes."""

SyncMode = bool | Literal["quorum"]


class FailoverPolicy(YamlConfig):
    """When a replica takes over, and what it may lose by that. Names, units and defaults are Patroni's.

    Attributes:
        loop_wait: Pause between two loops of a member, whole seconds.
        ttl: How long the leader's key lives after a renewal, whole seconds. A dead machine is noticed when it
            expires, never sooner than ``ttl - loop_wait``.
        retry_timeout: How long one call to the store, or to PostgreSQL, is tried again, whole seconds.
        maximum_lag_on_failover: Most bytes that a replica may be behind what the leader last published and
            still take over by itself. A whole number of bytes: Patroni reads no units here.
        synchronous_mode: A write is acknowledged once ``synchronous_node_count`` replicas have it: ``true``
            (named replicas, only they take over), ``quorum`` (any of all), or ``false``.
        synchronous_mode_strict: No replica, no write. Otherwise a leader without replicas writes alone.
        synchronous_node_count: Replicas that must have a write, in a synchronous mode.
        maximum_lag_on_syncnode: Bytes behind at which a synchronous replica is replaced; -1: never.
        failsafe_mode: The leader goes on without the store while it reaches every member.
        primary_start_timeout: How long a crashed primary may take to start again before another takes over,
            whole seconds; 0: another takes over at once.
        primary_stop_timeout: How long a primary may take to stop in a synchronous mode before it is killed,
            whole seconds; 0: as long as it takes.
        check_timeline: A replica on an older timeline than the cluster's never takes over.
        use_pg_rewind: A former primary is rewound, rather than copied anew.
        remove_data_directory_on_rewind_failure: If that fails it is copied anew, by itself.
        remove_data_directory_on_diverged_timelines: If its timeline differs and it is not rewound it is copied
            anew, by itself.
        use_slots: Every member has a replication slot on the leader.
        member_slots_ttl: How long the slot of a member that is gone is kept, whole seconds.
        max_timelines_history: Timelines that are remembered; 0: all.
        watchdog: A device that resets the machine when Patroni hangs while its PostgreSQL is primary: ``off``,
            ``automatic`` (if there is one) or ``required`` (no leader without). Only ``required`` makes sure that
            there are never two PostgreSQL that take writes.
        watchdog_safety_margin: How long before the key expires the device fires, whole seconds; -1: after half
            of ``ttl``.

    Rule:
        ``loop_wait + 2 * retry_timeout <= ttl``, so that a leader that lost the store has stepped down when its
        key expires. Patroni, ``docs/dynamic_configuration.rst`` and ``patroni/config.py``.
    """

    loop_wait: Annotated[int, WholeRule(ge=1, le=86_400)] = 10
    ttl: Annotated[int, WholeRule(ge=20, le=86_400)] = 30
    retry_timeout: Annotated[int, WholeRule(ge=3, le=86_400)] = 10
    maximum_lag_on_failover: Annotated[int, WholeRule(ge=0, le=2**63 - 1)] = 1_048_576
    synchronous_mode: SyncMode = False
    synchronous_mode_strict: bool = False
    synchronous_node_count: Annotated[int, WholeRule(ge=1, le=100)] = 1
    maximum_lag_on_syncnode: Annotated[int, WholeRule(ge=-1, le=2**63 - 1)] = -1
    failsafe_mode: bool = False
    primary_start_timeout: Count = 300
    primary_stop_timeout: Count = 0
    check_timeline: bool = False
    use_pg_rewind: bool = True
    remove_data_directory_on_rewind_failure: bool = False
    remove_data_directory_on_diverged_timelines: bool = False
    use_slots: bool = True
    member_slots_ttl: Count = 1800
    max_timelines_history: Count = 0
    watchdog: Literal["off", "automatic", "required"] = "off"
    watchdog_safety_margin: Annotated[int, WholeRule(ge=-1, le=86_400)] = 5

    @property
    def is_synchronous(self) -> bool:
        """Whether a write waits for replicas."""
        return self.synchronous_mode is not False

    @property
    def watchdog_timeout_secs(self) -> int:
        """How long after the last renewal the watchdog fires, seconds.

        Rule:
            Patroni, ``patroni/watchdog/base.py``.
        """
        margin = self.watchdog_safety_margin
        return self.ttl // 2 if margin == -1 else self.ttl - margin

    @rule
    def a_leader_steps_down_in_time(self) -> Iterator[Fault]:
        needed = self.loop_wait + 2 * self.retry_timeout
        if needed <= self.ttl:
            return
        daemon = patroni_effective({"loop_wait": self.loop_wait, "ttl": self.ttl, "retry_timeout": self.retry_timeout})
        yield Fault(
            ("ttl",),
            f"less than loop_wait + 2 * retry_timeout, which is {needed}; Patroni would run with loop_wait "
            f"{daemon['loop_wait']} and retry_timeout {daemon['retry_timeout']}, and say so in its log only",
            f"set it to {needed} or more, or {_smaller(self.ttl, self.loop_wait, self.retry_timeout)}",
            self.ttl,
        )

    @rule
    def members_stay_in_sight(self) -> Iterator[Fault]:
        if 2 * self.loop_wait > self.ttl:
            yield Fault(
                ("loop_wait",),
                f"more than half of ttl, which is {self.ttl}: a member's key lives as long as the leader's and may "
                "expire between two loops",
                f"set it to {self.ttl // 2} or less",
                self.loop_wait,
                "warning",
            )

    @rule
    def the_watchdog_has_time(self) -> Iterator[Fault]:
        timeout = self.watchdog_timeout_secs
        if self.watchdog == "off" or timeout > self.loop_wait:
            return
        never = timeout < self.loop_wait
        what = "Patroni uses no watchdog then" if never else "a loop that is late at all resets the machine"
        if never and self.watchdog == "required":
            what += ", and without one nobody ever leads"
        yield Fault(
            ("watchdog_safety_margin",),
            f"the watchdog would fire {timeout} s after a renewal, and loop_wait is {self.loop_wait}: {what}",
            f"set it to {max(self.ttl - self.loop_wait - 1, 0)} or less, or lower loop_wait",
            self.watchdog_safety_margin,
            "error" if never and self.watchdog == "required" else "warning",
        )

    @rule
    def a_synchronous_replica_may_be_behind(self) -> Iterator[Fault]:
        if self.is_synchronous and self.maximum_lag_on_failover == 0:
            yield Fault(
                ("maximum_lag_on_failover",),
                "the limit holds in synchronous mode too, and what the leader publishes counts WAL of PostgreSQL's "
                "own that nobody waits for: no replica may ever be allowed to take over",
                "set it to 1048576; acknowledged writes are safe without it",
                self.maximum_lag_on_failover,
                "warning",
            )

    @rule
    def synchronous_settings_have_a_mode(self) -> Iterator[Fault]:
        if self.is_synchronous:
            return
        for name, idle in _IDLE_WITHOUT_SYNC.items():
            if getattr(self, name) != idle:
                yield Fault(
                    (name,),
                    "without synchronous_mode it does nothing",
                    "set synchronous_mode to true or quorum, or remove it",
                    getattr(self, name),
                    "warning",
                )

    @rule
    def a_kept_replica_may_take_over(self) -> Iterator[Fault]:
        if self.synchronous_mode is True and self.maximum_lag_on_syncnode > self.maximum_lag_on_failover:
            yield Fault(
                ("maximum_lag_on_syncnode",),
                "more than maximum_lag_on_failover, which is "
                f"{self.maximum_lag_on_failover}: a replica between the two is kept and may not take over",
                f"set it to {self.maximum_lag_on_failover} or less",
                self.maximum_lag_on_syncnode,
                "warning",
            )


_IDLE_WITHOUT_SYNC = {"synchronous_mode_strict": False, "synchronous_node_count": 1, "maximum_lag_on_syncnode": -1}


def _smaller(ttl: int, loop_wait: int, retry_timeout: int) -> str:
    """Say which smaller values fit: one of them where it alone is enough, else both."""
    fits = []
    if ttl - 2 * retry_timeout >= 1:
        fits.append(f"loop_wait to {ttl - 2 * retry_timeout} or less")
    if (ttl - loop_wait) // 2 >= 3:
        fits.append(f"retry_timeout to {(ttl - loop_wait) // 2} or less")
    return " or ".join(fits) or f"loop_wait to 1 and retry_timeout to {(ttl - 1) // 2}"


def member_faults(policy: FailoverPolicy, members: int) -> Iterator[Fault]:
    """Yield what a policy cannot do with so many members; paths are relative to the policy.

    Args:
        policy: The policy.
        members: Members of one Patroni cluster that hold data, the leader included.

    Rule:
        Patroni, ``_process_multisync_replication`` in ``patroni/ha.py``: it waits for as many as there are, and
        strictly for one at least.
    """
    others = members - 1
    if policy.is_synchronous and policy.synchronous_node_count > others:
        never = policy.synchronous_mode_strict and not others
        lowered = f"Patroni waits for {others} then, strict or not"
        yield Fault(
            ("synchronous_node_count",),
            f"more than the replicas, which are {others}: {'no write is ever acknowledged' if never else lowered}",
            f"set it to {max(others, 1)}, or add members",
            policy.synchronous_node_count,
            "error" if never else "warning",
        )
    elif policy.is_synchronous and policy.synchronous_mode_strict and others == 1:
        yield Fault(
            ("synchronous_mode_strict",),
            "the only replica must have each write: its loss stops writes until it is back",
            "add a member, or set it to false",
            policy.synchronous_mode_strict,
            "warning",
        )


def archiving_fault(policy: FailoverPolicy, segment_bytes: int = WAL_SEGMENT_BYTES) -> Fault | None:
    """Return what is wrong with the lag limit where WAL is archived, or None.

    Closing a segment moves the leader's position by up to a segment, and a replica that has not got it is as far
    behind as that: with the default limit nobody takes over.

    Args:
        policy: The policy.
        segment_bytes: ``wal_segment_size``, bytes.

    Rule:
        Patroni, issues 1849, 1858 and 1860.
    """
    if policy.maximum_lag_on_failover >= segment_bytes:
        return None
    return Fault(
        ("maximum_lag_on_failover",),
        f"less than a segment of WAL, which is {segment_bytes}: one that was closed for the archive just before the "
        "leader died may put every replica over the limit",
        f"set it to {2 * segment_bytes}, or take that nobody leads until a human decides",
        policy.maximum_lag_on_failover,
        "warning",
    )


def dynamic_config(policy: FailoverPolicy) -> dict[str, Any]:
    """Return the policy as Patroni's dynamic configuration: ``bootstrap.dcs``, and the body of ``PATCH /config``.

    ``bootstrap.dcs`` is read once in the life of a cluster, so a change of the policy is a PATCH with the same body.
    Every key is said, defaults too: a PATCH leaves alone what it does not name.
    """
    return {
        **{name: getattr(policy, name) for name in _DYNAMIC},
        "postgresql": {name: getattr(policy, name) for name in _DYNAMIC_POSTGRESQL},
    }


def watchdog_config(policy: FailoverPolicy) -> dict[str, Any]:
    """Return the ``watchdog`` section of a member's own configuration file."""
    if policy.watchdog == "off":
        return {"mode": "off"}
    return {"mode": policy.watchdog, "safety_margin": policy.watchdog_safety_margin}


_DYNAMIC = (
    "loop_wait",
    "ttl",
    "retry_timeout",
    "maximum_lag_on_failover",
    "maximum_lag_on_syncnode",
    "synchronous_mode",
    "synchronous_mode_strict",
    "synchronous_node_count",
    "failsafe_mode",
    "primary_start_timeout",
    "primary_stop_timeout",
    "check_timeline",
    "member_slots_ttl",
    "max_timelines_history",
)
_DYNAMIC_POSTGRESQL = (
    "use_pg_rewind",
    "remove_data_directory_on_rewind_failure",
    "remove_data_directory_on_diverged_timelines",
    "use_slots",
)
