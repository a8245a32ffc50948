"""Who may lead: the rules by which a member of a Patroni cluster decides, as total functions on what it knows.

The order of the rules is Patroni's, and each answer names the rule that gave it. Rule of it all: Patroni 4.1.5,
``is_healthiest_node``, ``_is_healthiest_node``, ``manual_failover_process_no_leader`` and ``is_failover_possible`` in
``patroni/ha.py``. Several members may find that they may lead, when their positions are equal; the store's
compare-and-create decides between them.
"""

from collections.abc import Iterable, Mapping

import msgspec

from aether_deploy.failover.seen import Known, Peer, RaceView


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a member may lead, and why.

    Attributes:
        may_lead: It tries to take the key.
        rule: The rule that decided: ``lag``, ``peer-ahead``, ``healthiest``.
        reason: The same with the numbers in it.
    """

    may_lead: bool
    rule: str
    reason: str


def decide_candidacy(view: RaceView, peers: Mapping[str, Peer]) -> Verdict:
    """Decide whether a member tries to take the key that nobody holds.

    Args:
        view: What it knows. Its own position was sampled before those of the others.
        peers: What the others said, by name. Who is missing did not answer.

    Returns:
        A verdict for every view.
    """
    return (
        _backing_off(view)
        or _asked_while_paused(view, peers)
        or _own_state(view)
        or _asked(view, peers)
        or _fitness(view)
        or judge_peers(view, _said(peers, members_to_ask(view)), former_leader=view.former_leader)
    )


def decide_alone(view: RaceView) -> Verdict | None:
    """Return the verdict where a member needs nobody's word for it, or None where it must ask the others."""
    if view.request is None:
        return _backing_off(view) or _own_state(view) or _fitness(view)
    return _backing_off(view) or (None if view.paused else _own_state(view))


def _backing_off(view: RaceView) -> Verdict | None:
    if view.released_secs_ago is not None and view.released_secs_ago < view.ttl:
        return _no("backoff", f"gave the key back {view.released_secs_ago:.0f} s ago, as its script failed")
    return None


def _asked_while_paused(view: RaceView, peers: Mapping[str, Peer]) -> Verdict | None:
    """A human's request holds in a pause; None where it decides nothing."""
    asked = view.request
    if not view.paused or view.nofailover or asked is None or asked.scheduled:
        return None
    if asked.candidate is None:
        return _no("paused", "the cluster is paused, and the request names no candidate")
    if asked.candidate == view.me:
        return _yes("requested", "it was asked for")
    is_gone = all(each.name != asked.candidate for each in view.members)
    if is_gone and view.role == "primary":  # it removes the request and goes on as it is
        return None
    return _no("requested", f"{asked.candidate} was asked for")


def _own_state(view: RaceView) -> Verdict | None:
    if view.role == "starting":
        return _no("starting", "its PostgreSQL is starting")
    if view.role == "primary":
        return _running_primary(view)
    if view.paused:
        return _no("paused", "the cluster is paused")
    return _no("nofailover", "the tag nofailover forbids it") if view.nofailover else None


def _fitness(view: RaceView) -> Verdict | None:
    """Return why a replica is not fit, as far as it knows that by itself."""
    if not view.watchdog_usable:
        return _no("watchdog", "a watchdog is required, and it has none")
    if view.failsafe_mode and view.failsafe and view.me not in view.failsafe:
        return _no("failsafe", "it is not in /failsafe, so the last leader did not know it")
    if view.sync_is_active and not view.quorum_is_active and view.me not in view.sync.members:
        return _no("not-synchronous", f"it is not among {', '.join(sorted(view.sync.members))} in /sync")
    if view.lags(view.lsn):
        behind = view.optime - view.lsn
        return _no("lag", f"it is {behind} bytes behind the last leader, and the limit is {view.maximum_lag}")
    return _old_timeline(view)


def _running_primary(view: RaceView) -> Verdict:
    if view.paused:
        if view.same_system:
            return _yes("running-primary", "it runs as primary, and the cluster is paused")
        return _no("other-system", "its data belong to another cluster")
    timeline = view.timeline or 0
    if timeline < view.cluster_timeline:
        return _no("stale-primary", f"its timeline is {timeline}, and the cluster's is {view.cluster_timeline}")
    return _yes("running-primary", "it runs as primary")


def _old_timeline(view: RaceView) -> Verdict | None:
    if view.standby_cluster or not view.check_timeline:
        return None
    if view.timeline is None:
        return _no("timeline", "its timeline is not known")
    if view.timeline < view.cluster_timeline:
        return _no("timeline", f"its timeline is {view.timeline}, and the cluster's is {view.cluster_timeline}")
    return None


def members_to_ask(view: RaceView) -> tuple[str, ...]:
    """Return whose words an automatic election takes: each member known, or with ``/sync`` those in it."""
    everybody: dict[str, Known] = {each.name: each for each in view.former_members}
    if view.failsafe_mode:
        everybody |= {name: Known(name=name) for name in sorted(view.failsafe or ())}
    everybody |= {each.name: each for each in view.members}
    if view.sync_is_active:
        everybody = {name: each for name, each in everybody.items() if name in view.sync.members}
    return _askable(view, everybody.values())


def _askable(view: RaceView, members: Iterable[Known]) -> tuple[str, ...]:
    voters = _voters(view)
    return tuple(each.name for each in members if each.name != view.me and (not each.nofailover or each.name in voters))


def _voters(view: RaceView) -> frozenset[str]:
    return view.sync.members if view.quorum_is_active else frozenset()


def judge_peers(view: RaceView, peers: Iterable[Peer], *, former_leader: str | None) -> Verdict:
    """Decide by what those said who were asked; the order in which they did so does not count.

    Args:
        view: What the member knows.
        peers: Their answers.
        former_leader: Who led last, whose priority does not count; with ``/sync`` its leader is.
    """
    voters = _voters(view)
    votes, ahead = (0 if view.me in voters else -1), 0
    former_leader = view.sync.leader if view.sync_is_active else former_leader
    for peer in peers:
        if peer.hindrance is not None:
            continue
        if peer.in_recovery is False:
            return _no("primary-alive", f"{peer.name} still runs as primary")
        if peer.lsn > view.lsn:
            ahead += 1
            if not view.sync_is_active or peer.name != view.sync.leader:
                return _no("peer-ahead", f"{peer.name} is {peer.lsn - view.lsn} bytes ahead")
        elif peer.lsn > 0:
            is_voter = peer.name in voters
            outranked = peer.lsn == view.lsn and peer.priority > view.priority and peer.name != former_leader
            if outranked and (is_voter or not view.quorum_is_active):
                return _no("priority", f"{peer.name} has as much, and priority {peer.priority} over {view.priority}")
            votes += is_voter
    if not view.quorum_is_active:
        return _yes("healthiest", "nobody who answers is ahead")
    if votes >= view.sync.quorum:
        return _yes("quorum", f"{votes} of {view.sync.quorum} votes")
    if not ahead and view.sync.leader == view.me:
        return _yes("former-leader", "it led last, and nobody is ahead")
    return _no("quorum", f"{votes} of {view.sync.quorum} votes")


def _asked(view: RaceView, peers: Mapping[str, Peer]) -> Verdict | None:
    """A human's request, outside a pause; how far behind the candidates are does not count."""
    asked = view.request
    if asked is None:
        return None
    if asked.leader and view.sync_is_active and view.me not in view.sync.members:
        return _no("not-synchronous", "a switchover in a synchronous mode is for synchronous replicas")
    if asked.candidate is not None:
        if asked.candidate == view.me:
            return _yes("requested", "it was asked for")
        if view.synchronous is True and view.me not in view.sync.members:
            return _no("not-synchronous", f"{asked.candidate} was asked for, and this one is not synchronous")
        exists = any(each.name == asked.candidate for each in view.members)
        if exists and _said(peers, (asked.candidate,))[0].hindrance is None:
            return _no("requested", f"{asked.candidate} was asked for")
    if asked.leader == view.me:
        if failover_possible(view, peers, exclude_candidate=asked.candidate is not None).may_lead:
            return _no("stepped-down", "it stepped down for another")
        return _yes("alone", "it stepped down, and nobody else can lead")
    racing = [
        each
        for each in view.members
        if each.name != asked.leader and (not view.sync_is_active or each.name in view.sync.standbys)
    ]
    said = _said(peers, _askable(view, racing))
    return _old_timeline(view) or judge_peers(view, said, former_leader=None)


def candidates_for_failover(view: RaceView, *, exclude_candidate: bool = False) -> tuple[str, ...]:
    """Return who could take over from this member, by the keys alone.

    Args:
        view: What this member knows.
        exclude_candidate: Leave out whom a human asked for, rather than all others.
    """
    asked = view.request
    named = asked.candidate if asked is not None else None
    anybody = not view.sync_is_active or (asked is not None and not asked.leader)
    return tuple(
        each.name
        for each in view.members
        if each.name != view.me
        and not each.nofailover
        and (anybody or each.name in view.sync.standbys)
        and (named is None or (each.name != named if exclude_candidate else each.name == named))
    )


def failover_possible(
    view: RaceView, peers: Mapping[str, Peer], *, cluster_lsn: int = 0, exclude_candidate: bool = False
) -> Verdict:
    """Decide whether another member could take over from this one, so that it may let go.

    Args:
        view: What this member knows.
        peers: What the others said, by name.
        cluster_lsn: What a candidate must have, bytes; 0: it must be within the lag limit.
        exclude_candidate: Leave out whom a human asked for.
    """
    votes, why = -1, "nobody else is there"
    for peer in _said(peers, candidates_for_failover(view, exclude_candidate=exclude_candidate)):
        lsn = peer.lsn if peer.in_recovery else 0  # a primary received nothing
        if peer.hindrance is not None:
            why = f"{peer.name} is {peer.hindrance}"
        elif lsn < cluster_lsn if cluster_lsn else view.lags(lsn):
            why = f"{peer.name} is too far behind"
        elif view.check_timeline and (not peer.timeline or peer.timeline < view.cluster_timeline):
            why = f"{peer.name} is on timeline {peer.timeline}"
        else:
            votes += 1
    named = view.request is not None and view.request.candidate is not None and not exclude_candidate
    if view.quorum_is_active and not named and votes < view.sync.quorum:
        return _no("quorum", f"{max(votes + 1, 0)} fit replicas are too few for a quorum of {view.sync.quorum}")
    return _yes("possible", f"{votes + 1} can take over") if votes >= 0 else _no("impossible", why)


def _said(peers: Mapping[str, Peer], names: Iterable[str]) -> list[Peer]:
    return [peers.get(name) or Peer(name=name, reachable=False, in_recovery=None) for name in names]


def _yes(rule: str, reason: str) -> Verdict:
    return Verdict(may_lead=True, rule=rule, reason=reason)


def _no(rule: str, reason: str) -> Verdict:
    return Verdict(may_lead=False, rule=rule, reason=reason)
