"""How each bound comes about. Rules: Patroni 4.1.5, ``patroni/ha.py``, ``patroni/__main__.py`` and its stores."""

from collections.abc import Callable
from typing import Any

import msgspec

from aether_deploy.failover.bound import FailoverBound
from aether_deploy.failover.bound_case import (
    FAILSAFE_SECS,
    LET_GO,
    RACE,
    REQUEST,
    RESTART,
    RETRY_SECS,
    ROUNDS,
    STEP_DOWN,
    Case,
)
from aether_deploy.failover.faults import MEANWHILE_SECS, FaultName
from aether_deploy.failover.timings import EXPIRY_SECS, REQUEST_TIMEOUT_SECS, WAL_SENDER_TIMEOUT_SECS
from aether_deploy.timespan import TimeSpan


def _gone(case: Case, failure: FaultName, *, silent: bool) -> FailoverBound:
    detect, text = case.detect()
    more, words = case.after_promotion()
    race = case.asked(silent=silent)
    asks = f" + {REQUEST_TIMEOUT_SECS:g} (no answer)" if silent else ""
    row = FailoverBound(
        failure=failure,
        detect=detect,
        fate="back",
        writable=detect + race + case.promote + more,
        **case.lost(case.loop_wait),
        formula=f"{text}{asks} + race + promotion{words}",
        source="Patroni, is_healthiest_node and attempt_to_acquire_leader",
    )
    return case.settled(row)


def _node_loss(case: Case) -> FailoverBound:
    return _gone(case, "node-loss", silent=case.black_hole)


def _leader_killed(case: Case) -> FailoverBound:
    return _gone(case, "leader-killed", silent=False)


def _node_frozen(case: Case) -> FailoverBound:
    row = _gone(case, "node-frozen", silent=True)
    if case.is_alone:
        return row
    note = "when it comes back its PostgreSQL may finish what clients had begun, until Patroni's first loop"
    return msgspec.structs.replace(row, note=note)


def _postgres_killed(case: Case) -> FailoverBound:
    found = TimeSpan(0.0, case.loop_wait / 2, case.loop_wait)
    limit = case.policy.primary_start_timeout
    if not limit:
        more, words = case.after_promotion()
        return FailoverBound(
            failure="postgres-killed",
            detect=found,
            fate="back",
            writable=found + LET_GO + case.promote + TimeSpan(0.0, more.mean, more.worst),
            **case.lost(case.loop_wait),
            formula=f"0..{case.loop_wait:g} (next loop) + release and race + promotion{words}",
            source="Patroni, recover with primary_start_timeout 0",
        )
    later = 2 * case.loop_wait + limit
    more = TimeSpan(0.0, 0.3, 1.1 + case.loop_wait) if case.sync else TimeSpan(0.0, 0.0, 0.0)
    return FailoverBound(
        failure="postgres-killed",
        detect=found,
        fate="back",
        writable=found + RESTART + more,
        formula=f"0..{case.loop_wait:g} (next loop) + crash recovery and start in place",
        source="Patroni, recover",
        note="the same member leads on its timeline; another takes over after "
        f"{limit} s of starting: at most {later:g} s until then",
    )


def _hanging(case: Case, failure: FaultName, *, silent: bool) -> FailoverBound:
    """Patroni is gone and PostgreSQL is not."""
    detect, text = case.detect()
    more, words = case.after_promotion()
    fences = case.policy.watchdog == "required"
    ask = REQUEST_TIMEOUT_SECS if silent or fences else 0.0
    rounds = 0 if fences else ROUNDS
    one = max(case.loop_wait, REQUEST_TIMEOUT_SECS + 0.1 if silent else 0.0)
    defer = TimeSpan(0.0, 0.6 * one if rounds else 0.0, rounds * (one + ask))
    dual: float | None = 0.0
    loss = case.lost(case.loop_wait)
    note = f"the watchdog fires {case.policy.watchdog_timeout_secs} s after the last renewal, before the key is free"
    if not fences:
        dual = None if case.repair_secs is None else max(0.0, case.repair_secs - detect.best)
        note = "the old PostgreSQL takes writes until its Patroni is back; only a watchdog prevents that"
        loss = _loss_of_two(case)
    deferral = f" + 0..{rounds} x {one:g} (replicas that still stream leave it to each other)" if rounds else ""
    asks = f" + {REQUEST_TIMEOUT_SECS:g} (no answer)" if ask else ""
    row = FailoverBound(
        failure=failure,
        detect=detect,
        fate="back",
        writable=detect + case.asked(silent=bool(ask)) + case.promote + defer + more,
        **loss,
        dual_primary_secs=dual,
        formula=f"{text}{asks} + race{deferral} + promotion{words}",
        source="Patroni, is_healthiest_node; watchdog/base.py",
        note=note,
    )
    return case.settled(row)


def _loss_of_two(case: Case) -> dict[str, Any]:
    if case.policy.synchronous_mode is True:
        return {}
    if case.policy.synchronous_mode == "quorum":
        said = "writes of the moment in which a voter answers and still streams"
        return {"loss_bytes": 0, "loss_secs": 0.1, "loss": said}
    return {"loss_bytes": None, "loss_secs": None, "loss": "all that the old primary takes"}


def _patroni_killed(case: Case) -> FailoverBound:
    return _hanging(case, "patroni-killed", silent=False)


def _patroni_frozen(case: Case) -> FailoverBound:
    return _hanging(case, "patroni-frozen", silent=True)


def _switchover(case: Case) -> FailoverBound:
    more, words = case.after_promotion()
    if case.policy.synchronous_mode == "quorum" and not case.is_alone:  # the one that steps down comes back at once
        more, words = case.connecting
    return FailoverBound(
        failure="switchover",
        detect=None,
        fate="back",
        writable=STEP_DOWN + RACE + case.promote + more,
        since="last-write",
        formula=f"1 (poll) + 1 (replicas catch up) + race + promotion{words}; neither ttl nor loop_wait count",
        source="Patroni, demote with mode graceful",
    )


def _patroni_stopped(case: Case) -> FailoverBound:
    row, (more, words) = _switchover(case), case.after_promotion()
    stopped = msgspec.structs.replace(
        row,
        failure="patroni-stopped",
        writable=STEP_DOWN + RACE + case.promote + more,
        formula=f"1 (poll) + 1 (replicas catch up) + race + promotion{words}; neither ttl nor loop_wait count",
        source="Patroni, shutdown",
    )
    return case.settled(stopped)


def _steps_down(case: Case) -> tuple[TimeSpan, str]:
    """Return when a leader without the store has stepped down."""
    worst = case.loop_wait + 2 * case.retry_timeout
    return TimeSpan(
        0.8 * case.retry_timeout, case.loop_wait / 2 + case.retry_timeout, worst
    ), f"0..{case.loop_wait:g} (next loop) + up to 2 x {case.retry_timeout:g} (retries)"


def _dcs_loss(case: Case) -> FailoverBound:
    source = "Patroni, _handle_dcs_error"
    if case.policy.failsafe_mode:
        resets = f"; {case.reset_note}" if case.may_reset else ""
        return FailoverBound(
            failure="dcs-loss",
            detect=None,
            fate="untouched",
            writable=None,
            **case.lost_by_reset(),
            formula="writes go on while the leader reaches every member of /failsafe",
            source=source,
            note="one member that is lost meanwhile makes the leader step down within "
            f"{case.loop_wait + 2 * case.retry_timeout + FAILSAFE_SECS:g} s{resets}",
        )
    detect, text = _steps_down(case)
    idle = max(case.loop_wait - 0.85 * case.retry_timeout, 0.0)
    back = TimeSpan(0.0, 0.6 + idle / 4, idle + RETRY_SECS + case.retry_timeout) + case.promote
    note = "nobody takes writes until the store is back; failsafe_mode keeps the leader"
    if case.may_reset:  # the machine of the leader is gone, and etcd gives its key a whole life
        back = back + TimeSpan(0.0, 0.0, case.ttl + REQUEST_TIMEOUT_SECS)
        note = case.reset_note
    more, _ = case.after_promotion()
    return FailoverBound(
        failure="dcs-loss",
        detect=detect,
        fate="back",
        writable=back + RACE + TimeSpan(0.0, more.mean if case.sync else 0.0, more.worst),
        **case.lost_by_reset(),
        since="store-back",
        formula=f"steps down after {text}, at most ttl {case.ttl:g}; once the store is back: next attempt + promotion",
        source=source,
        note=note,
    )


def _leader_cut_off(case: Case) -> FailoverBound:
    detect, text = case.detect()
    down, down_text = _steps_down(case)
    more, words = case.after_promotion()
    lasts = down.worst + (FAILSAFE_SECS if case.policy.failsafe_mode else 0.0)
    row = FailoverBound(
        failure="leader-cut-off",
        detect=down,
        fate="back",
        writable=detect + case.asked(silent=True) + case.promote + more,
        **case.lost(lasts),
        dual_primary_secs=max(0.0, lasts - case.ttl) if case.policy.failsafe_mode else 0.0,
        formula=f"{text} + {REQUEST_TIMEOUT_SECS:g} (no answer) + race + promotion{words}",
        source="Patroni, _handle_dcs_error and is_healthiest_node",
        note=f"the old leader steps down after {down_text}, before its key is free, and what it took meanwhile is lost"
        if not case.sync
        else f"the old leader steps down after {down_text}",
    )
    return case.settled(row)


def _leader_off_dcs(case: Case) -> FailoverBound:
    if case.policy.failsafe_mode:
        row = _dcs_loss(case)
        return msgspec.structs.replace(row, failure="leader-off-dcs")
    detect, text = case.detect()
    down, down_text = _steps_down(case)
    more, words = case.after_promotion()
    race = RACE + TimeSpan(0.0, 0.0, REQUEST_TIMEOUT_SECS if case.may_reset else 0.0)
    row = FailoverBound(
        failure="leader-off-dcs",
        detect=down,
        fate="back",
        writable=detect + race + case.promote + more,
        **case.lost(case.loop_wait + 2 * case.retry_timeout),
        formula=f"{text} + race + promotion{words}",
        source="Patroni, _handle_dcs_error and is_healthiest_node",
        note=f"the old leader steps down after {down_text}",
    )
    return case.settled(row)


def _replica_gone(case: Case, failure: FaultName, *, silent: bool) -> FailoverBound:
    policy = case.policy
    left = case.members - 2
    goes_on = not case.sync or (policy.synchronous_mode == "quorum" and policy.synchronous_node_count <= left)
    source = "Patroni, process_sync_replication; PostgreSQL, wal_sender_timeout"
    if goes_on:
        text = "replicas are not waited for" if not case.sync else "enough other replicas acknowledge"
        return FailoverBound(failure=failure, detect=None, fate="untouched", writable=None, formula=text, source=source)
    if policy.synchronous_mode_strict and left < 1:  # of several, Patroni waits for as many as there are
        text = "writes wait until a replica is back, as synchronous_mode_strict says"
        return FailoverBound(failure=failure, detect=None, fate="stopped", writable=None, formula=text, source=source)
    next_loop = TimeSpan(0.0, case.loop_wait / 2, case.loop_wait + REQUEST_TIMEOUT_SECS)
    if not silent:
        seen, text = next_loop, f"0..{case.loop_wait:g} (next loop) in which another is chosen"
    elif case.dcs == "kubernetes":
        seen = next_loop.later(WAL_SENDER_TIMEOUT_SECS)
        text = f"wal_sender_timeout {WAL_SENDER_TIMEOUT_SECS:g} + 0..{case.loop_wait:g} (next loop)"
    else:
        seen = next_loop + TimeSpan(
            case.ttl - case.loop_wait, case.ttl - case.loop_wait / 2, case.ttl + EXPIRY_SECS[case.dcs]
        )
        text = f"ttl {case.ttl:g} of its member key + 0..{case.loop_wait:g} (next loop)"
    return FailoverBound(failure=failure, detect=seen, fate="back", writable=seen, formula=text, source=source)


def _replica_loss(case: Case) -> FailoverBound:
    return _replica_gone(case, "replica-loss", silent=case.black_hole)


def _replica_killed(case: Case) -> FailoverBound:
    return _replica_gone(case, "replica-killed", silent=False)


def _dcs_and_replica_loss(case: Case) -> FailoverBound:
    patient = msgspec.structs.replace(case.policy, failsafe_mode=False)
    without = Case(patient, case.dcs, case.members, black_hole=False, replay_secs=0.0, repair_secs=None)
    row = _dcs_loss(without)
    assert row.detect is not None
    text = row.formula
    if case.policy.failsafe_mode:
        text = f"{MEANWHILE_SECS:g} (until a replica is lost) + {text}"
        later = row.detect.later(MEANWHILE_SECS) + TimeSpan(0.0, 0.0, FAILSAFE_SECS)
        row = msgspec.structs.replace(row, detect=later, **case.lost_by_reset())
    named = msgspec.structs.replace(
        row,
        failure="dcs-and-replica-loss",
        formula=text,
        note="failsafe_mode needs every member" if case.policy.failsafe_mode else row.note,
    )
    return case.settled(named)


def _dcs_frozen(case: Case) -> FailoverBound:
    return msgspec.structs.replace(_dcs_loss(case), failure="dcs-frozen")


def _replica_cut_off(case: Case) -> FailoverBound:
    row = _replica_gone(case, "replica-cut-off", silent=True)
    return msgspec.structs.replace(row, note=row.note or "at the latest when it is reached again")


def _resume(case: Case) -> FailoverBound:
    more, words = case.after_promotion()
    row = FailoverBound(
        failure="resume",
        detect=None,
        fate="back",
        writable=REQUEST + RACE + case.promote + more,
        **case.lost(case.loop_wait),
        formula=f"request + race + promotion{words}; nobody takes over in a pause",
        source="Patroni, is_healthiest_node",
    )
    return case.settled(row)


def _region_promoted(case: Case) -> FailoverBound:
    strict = case.after_promotion()[0].worst if case.policy.synchronous_mode_strict and case.sync else 0.0
    return FailoverBound(
        failure="region-promoted",
        detect=None,
        fate="back",
        writable=REQUEST + TimeSpan(0.01, 0.02, 0.05) + case.promote + TimeSpan(0.0, 0.0, strict),
        loss_bytes=None,
        loss_secs=None,
        loss="what had not come from the other region",
        formula="request + promotion; never by itself",
        source="Patroni, docs/standby_cluster.rst",
    )


ROWS: tuple[Callable[[Case], FailoverBound], ...] = (
    _node_loss,
    _leader_killed,
    _node_frozen,
    _postgres_killed,
    _patroni_killed,
    _patroni_frozen,
    _leader_cut_off,
    _leader_off_dcs,
    _dcs_loss,
    _dcs_frozen,
    _dcs_and_replica_loss,
    _replica_loss,
    _replica_killed,
    _replica_cut_off,
    _switchover,
    _patroni_stopped,
    _resume,
    _region_promoted,
)
