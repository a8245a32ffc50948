"""How each bound comes about. Rules: Patroni 4.1.5, ``patroni/ha.py``, ``patroni/__main__.py`` and its stores."""

from collections.abc import Callable
from typing import Any

import msgspec

from aether_deploy.failover.bound import Bound, Times
from aether_deploy.failover.bound_case import (
    FAILSAFE_SECS,
    LET_GO,
    MEANWHILE_SECS,
    RACE,
    REQUEST,
    RESTART,
    RETRY_SECS,
    REWIND_SECS,
    ROUNDS,
    STEP_DOWN,
    Case,
)
from aether_deploy.failover.timings import EXPIRY_SECS, REQUEST_TIMEOUT_SECS, WAL_SENDER_TIMEOUT_SECS


def _gone(case: Case, failure: str, says: str, *, silent: bool) -> Bound:
    detect, text = case.detect()
    more, words = case.after_promotion()
    race = case.asked(silent=silent)
    asks = f" + {REQUEST_TIMEOUT_SECS:g} (no answer)" if silent else ""
    row = Bound(
        failure=failure,
        says=says,
        detect=detect,
        writable=detect + race + case.promote + more,
        **case.lost(case.loop_wait),
        formula=f"{text}{asks} + race + promotion{words}",
        source="Patroni, is_healthiest_node and attempt_to_acquire_leader",
    )
    return case.settled(row)


def _node_loss(case: Case) -> Bound:
    return _gone(case, "node-loss", "the leader's machine is gone", silent=case.black_hole)


def _leader_killed(case: Case) -> Bound:
    return _gone(case, "leader-killed", "the leader's Patroni and PostgreSQL die", silent=False)


def _node_frozen(case: Case) -> Bound:
    row = _gone(case, "node-frozen", "the leader's machine hangs", silent=True)
    if case.is_alone:
        return row
    note = "when it comes back its PostgreSQL may finish what clients had begun, until Patroni's first loop"
    return msgspec.structs.replace(row, note=note)


def _postgres_killed(case: Case) -> Bound:
    found = Times(0.0, case.loop_wait / 2, case.loop_wait)
    limit = case.policy.primary_start_timeout
    if not limit:
        more, words = case.after_promotion()
        return Bound(
            failure="postgres-killed",
            says="the leader's PostgreSQL dies, its Patroni lives",
            detect=found,
            writable=found + LET_GO + case.promote + Times(0.0, more.mean, more.worst),
            **case.lost(case.loop_wait),
            formula=f"0..{case.loop_wait:g} (next loop) + release and race + promotion{words}",
            source="Patroni, recover with primary_start_timeout 0",
        )
    later = 2 * case.loop_wait + limit
    more = Times(0.0, 0.3, 1.1 + case.loop_wait) if case.sync else Times(0.0, 0.0, 0.0)
    return Bound(
        failure="postgres-killed",
        says="the leader's PostgreSQL dies, its Patroni lives",
        detect=found,
        writable=found + RESTART + more,
        formula=f"0..{case.loop_wait:g} (next loop) + crash recovery and start in place",
        source="Patroni, recover",
        note="the same member leads on its timeline; another takes over after "
        f"{limit} s of starting: at most {later:g} s until then",
    )


def _hanging(case: Case, failure: str, says: str, *, silent: bool) -> Bound:
    """Patroni is gone and PostgreSQL is not."""
    detect, text = case.detect()
    more, words = case.after_promotion()
    fences = case.policy.watchdog == "required"
    ask = REQUEST_TIMEOUT_SECS if silent or fences else 0.0
    rounds = 0 if fences else ROUNDS
    one = max(case.loop_wait, REQUEST_TIMEOUT_SECS + 0.1 if silent else 0.0)
    defer = Times(0.0, 0.6 * one if rounds else 0.0, rounds * (one + ask))
    dual: float | None = 0.0
    loss = case.lost(case.loop_wait)
    note = f"the watchdog fires {case.policy.watchdog_timeout_secs} s after the last renewal, before the key is free"
    if not fences:
        dual = None if case.repair_secs is None else max(0.0, case.repair_secs - detect.best)
        note = "the old PostgreSQL takes writes until its Patroni is back; only a watchdog prevents that"
        loss = _loss_of_two(case)
    deferral = f" + 0..{rounds} x {one:g} (replicas that still stream leave it to each other)" if rounds else ""
    asks = f" + {REQUEST_TIMEOUT_SECS:g} (no answer)" if ask else ""
    row = Bound(
        failure=failure,
        says=says,
        detect=detect,
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


def _patroni_killed(case: Case) -> Bound:
    return _hanging(case, "patroni-killed", "the leader's Patroni dies, its PostgreSQL lives", silent=False)


def _patroni_frozen(case: Case) -> Bound:
    return _hanging(case, "patroni-frozen", "the leader's Patroni hangs, its PostgreSQL lives", silent=True)


def _switchover(case: Case) -> Bound:
    more, words = case.after_promotion()
    if case.policy.synchronous_mode == "quorum" and not case.is_alone:  # the one that steps down comes back at once
        more, words = Times(0.0, 0.05, case.loop_wait + REWIND_SECS), " + a replica connects"
    return Bound(
        failure="switchover",
        says="a human asks for another leader",
        detect=None,
        writable=STEP_DOWN + RACE + case.promote + more,
        since="the last write",
        formula=f"1 (poll) + 1 (replicas catch up) + race + promotion{words}; neither ttl nor loop_wait count",
        source="Patroni, demote with mode graceful",
    )


def _patroni_stopped(case: Case) -> Bound:
    row, (more, words) = _switchover(case), case.after_promotion()
    stopped = msgspec.structs.replace(
        row,
        failure="patroni-stopped",
        says="the leader's Patroni is asked to end",
        writable=STEP_DOWN + RACE + case.promote + more,
        formula=f"1 (poll) + 1 (replicas catch up) + race + promotion{words}; neither ttl nor loop_wait count",
        source="Patroni, shutdown",
    )
    return case.settled(stopped)


def _steps_down(case: Case) -> tuple[Times, str]:
    """Return when a leader without the store has stepped down."""
    worst = case.loop_wait + 2 * case.retry_timeout
    return Times(
        0.8 * case.retry_timeout, case.loop_wait / 2 + case.retry_timeout, worst
    ), f"0..{case.loop_wait:g} (next loop) + up to 2 x {case.retry_timeout:g} (retries)"


def _dcs_loss(case: Case) -> Bound:
    source = "Patroni, _handle_dcs_error"
    says = "the store does not answer"
    if case.policy.failsafe_mode:
        resets = f"; {case.reset_note}" if case.may_reset else ""
        return Bound(
            failure="dcs-loss",
            says=says,
            detect=None,
            writable=None,
            formula="writes go on while the leader reaches every member of /failsafe",
            source=source,
            note="one member that is lost meanwhile makes the leader step down within "
            f"{case.loop_wait + 2 * case.retry_timeout + FAILSAFE_SECS:g} s{resets}",
        )
    detect, text = _steps_down(case)
    idle = max(case.loop_wait - 0.85 * case.retry_timeout, 0.0)
    back = Times(0.0, 0.6 + idle / 4, idle + RETRY_SECS + case.retry_timeout) + case.promote
    note = "nobody takes writes until the store is back; failsafe_mode keeps the leader"
    if case.may_reset:  # the machine of the leader is gone, and etcd gives its key a whole life
        back = back + Times(0.0, 0.0, case.ttl + REQUEST_TIMEOUT_SECS)
        note = (
            f"the watchdog may reset the leader's machine {case.policy.watchdog_timeout_secs} s after the last renewal"
        )
    more, _ = case.after_promotion()
    return Bound(
        failure="dcs-loss",
        says=says,
        detect=detect,
        writable=back + RACE + Times(0.0, more.mean if case.sync else 0.0, more.worst),
        since="it answers again",
        formula=f"steps down after {text}, at most ttl {case.ttl:g}; once the store is back: next attempt + promotion",
        source=source,
        note=note,
    )


def _leader_cut_off(case: Case) -> Bound:
    detect, text = case.detect()
    down, down_text = _steps_down(case)
    more, words = case.after_promotion()
    lasts = down.worst + (FAILSAFE_SECS if case.policy.failsafe_mode else 0.0)
    row = Bound(
        failure="leader-cut-off",
        says="the leader reaches neither the store nor the members",
        detect=down,
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


def _leader_off_dcs(case: Case) -> Bound:
    if case.policy.failsafe_mode:
        row = _dcs_loss(case)
        return msgspec.structs.replace(
            row, failure="leader-off-dcs", says="the leader reaches the members, not the store"
        )
    detect, text = case.detect()
    down, down_text = _steps_down(case)
    more, words = case.after_promotion()
    race = RACE + Times(0.0, 0.0, REQUEST_TIMEOUT_SECS if case.may_reset else 0.0)
    row = Bound(
        failure="leader-off-dcs",
        says="the leader reaches the members, not the store",
        detect=down,
        writable=detect + race + case.promote + more,
        **case.lost(case.loop_wait + 2 * case.retry_timeout),
        formula=f"{text} + race + promotion{words}",
        source="Patroni, _handle_dcs_error and is_healthiest_node",
        note=f"the old leader steps down after {down_text}",
    )
    return case.settled(row)


def _replica_gone(case: Case, failure: str, says: str, *, silent: bool) -> Bound:
    policy = case.policy
    left = case.members - 2
    goes_on = not case.sync or (policy.synchronous_mode == "quorum" and policy.synchronous_node_count <= left)
    source = "Patroni, process_sync_replication; PostgreSQL, wal_sender_timeout"
    if goes_on:
        text = "replicas are not waited for" if not case.sync else "enough other replicas acknowledge"
        return Bound(failure=failure, says=says, detect=None, writable=None, formula=text, source=source)
    if policy.synchronous_mode_strict and policy.synchronous_node_count > left:
        text = "writes wait until a replica is back, as synchronous_mode_strict says"
        return Bound(
            failure=failure, says=says, detect=None, writable=None, formula=text, source=source, note="stopped"
        )
    next_loop = Times(0.0, case.loop_wait / 2, case.loop_wait + REQUEST_TIMEOUT_SECS)
    if not silent:
        seen, text = next_loop, f"0..{case.loop_wait:g} (next loop) in which another is chosen"
    elif case.dcs == "kubernetes":
        seen = next_loop.later(WAL_SENDER_TIMEOUT_SECS)
        text = f"wal_sender_timeout {WAL_SENDER_TIMEOUT_SECS:g} + 0..{case.loop_wait:g} (next loop)"
    else:
        seen = next_loop + Times(
            case.ttl - case.loop_wait, case.ttl - case.loop_wait / 2, case.ttl + EXPIRY_SECS[case.dcs]
        )
        text = f"ttl {case.ttl:g} of its member key + 0..{case.loop_wait:g} (next loop)"
    return Bound(failure=failure, says=says, detect=seen, writable=seen, formula=text, source=source)


def _replica_loss(case: Case) -> Bound:
    return _replica_gone(case, "replica-loss", "a synchronous replica's machine is gone", silent=case.black_hole)


def _replica_killed(case: Case) -> Bound:
    return _replica_gone(case, "replica-killed", "a synchronous replica's PostgreSQL dies", silent=False)


def _dcs_and_replica_loss(case: Case) -> Bound:
    patient = msgspec.structs.replace(case.policy, failsafe_mode=False)
    without = Case(patient, case.dcs, case.members, black_hole=False, replay_secs=0.0, repair_secs=None)
    row = _dcs_loss(without)
    assert row.detect is not None
    text = row.formula
    if case.policy.failsafe_mode:
        text = f"{MEANWHILE_SECS:g} (until a replica is lost) + {text}"
        row = msgspec.structs.replace(row, detect=row.detect.later(MEANWHILE_SECS) + Times(0.0, 0.0, FAILSAFE_SECS))
    named = msgspec.structs.replace(
        row,
        failure="dcs-and-replica-loss",
        says="the store does not answer, and a replica is lost meanwhile",
        formula=text,
        note="failsafe_mode needs every member" if case.policy.failsafe_mode else row.note,
    )
    return case.settled(named)


def _dcs_frozen(case: Case) -> Bound:
    return msgspec.structs.replace(_dcs_loss(case), failure="dcs-frozen", says="the store hangs")


def _replica_cut_off(case: Case) -> Bound:
    row = _replica_gone(case, "replica-cut-off", "a synchronous replica reaches nobody", silent=True)
    return msgspec.structs.replace(row, note=row.note or "at the latest when it is reached again")


def _resume(case: Case) -> Bound:
    more, words = case.after_promotion()
    row = Bound(
        failure="resume",
        says="a pause in which the leader died ends",
        detect=None,
        writable=REQUEST + RACE + case.promote + more,
        **case.lost(case.loop_wait),
        formula=f"request + race + promotion{words}; nobody takes over in a pause",
        source="Patroni, is_healthiest_node",
    )
    return case.settled(row)


def _region_promoted(case: Case) -> Bound:
    strict = case.after_promotion()[0].worst if case.policy.synchronous_mode_strict and case.sync else 0.0
    return Bound(
        failure="region-promoted",
        says="a human makes a standby cluster a cluster of its own",
        detect=None,
        writable=REQUEST + Times(0.01, 0.02, 0.05) + case.promote + Times(0.0, 0.0, strict),
        loss_bytes=None,
        loss_secs=None,
        loss="what had not come from the other region",
        formula="request + promotion; never by itself",
        source="Patroni, docs/standby_cluster.rst",
    )


ROWS: tuple[Callable[[Case], Bound], ...] = (
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
