"""How a region stands, for people: what decisions see of it, and the figures behind that."""

from typing import Literal

import msgspec

from aether_deploy.routing.decision.candidates import takes_new_players
from aether_deploy.routing.policy import RoutingPolicy
from aether_deploy.routing.tracking.draining import Drain
from aether_deploy.routing.tracking.region_track import RegionTrack
from aether_deploy.routing.view import DrainMode, Health, RegionView


class DrainStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A drain as it goes.

    Attributes:
        by: ``order``; ``description``, which no order ends; or ``both``, and then the stricter counts.
        mode: ``soft`` takes no new players, but those who return; ``hard`` takes nobody.
        share: Share of new players that it still takes, 1 to 0.
        since_secs: How long it goes on, seconds.
        deadline_in_secs: When it is over whoever is left, seconds from now; None where nobody set a time.
        done: Nobody is left, or its deadline has passed: who is left then is not waited for.
        empty: Nobody is left, as a report since its begin says that is not too old to count: no session ends with the
            region.
        remaining_secs: How long until it is done as players leave, and to its deadline at most, seconds; None where
            neither is known.
    """

    by: Literal["order", "description", "both"]
    mode: DrainMode
    share: float
    since_secs: float
    deadline_in_secs: float | None
    done: bool
    empty: bool
    remaining_secs: float | None


class RegionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One region as it stands.

    Attributes:
        code: Its code.
        health: What probes say.
        takes_players: It takes new players, all or a share: it is healthy and not full, does not rest, and no drain
            keeps them away.
        penalty: Of its falls; it rests from ``damping.suppress`` on.
        rests_secs: How long it still rests, seconds; 0 where it does not.
        ramp: Share of new players that it takes after a recovery, 0 to 1.
        healthy_secs: How long it is healthy since it was last unhealthy, seconds; None where it never was, or is not.
        players: Players that it reported last; None where it did not.
        reserved: Players for whom a place is kept.
        capacity: Players that it takes; None where nobody said.
        load: Players and reservations over capacity; None where it is unknown.
        load_stale: The last report of players is older than the policy likes.
        load_at_least: Nobody reported players, or too long ago: the load is that of the reservations alone.
        report_age_secs: How old that is, seconds.
        builds: Builds that its worlds speak.
        drain: The drain that it is in.
    """

    code: str
    health: Health
    takes_players: bool
    penalty: float
    rests_secs: float
    ramp: float
    healthy_secs: float | None
    players: int | None
    reserved: int
    capacity: int | None
    load: float | None
    load_stale: bool
    load_at_least: bool
    report_age_secs: float | None
    builds: tuple[str, ...]
    drain: DrainStatus | None


def status_of(track: RegionTrack, policy: RoutingPolicy, now: float) -> RegionStatus:
    """Return how a region stands under a policy; ``now`` is a time of the tracker's steady clock, seconds."""
    view = track.view(now)
    track.book.expire(now)  # a place that ends may change nothing that decisions see
    damping, report = track.standing.damping, track.book.report
    rests_until = damping.rests_until if damping is not None and view.suppressed else now
    healthy_secs = track.healthy_secs(now)
    return RegionStatus(
        code=view.code,
        health=view.health,
        takes_players=takes_new_players(policy, view),
        penalty=0.0 if damping is None else round(damping.value(now), 1),
        rests_secs=round(rests_until - now, 3),
        ramp=view.ramp,
        healthy_secs=round(healthy_secs, 3) if 0 < healthy_secs < float("inf") else None,
        players=None if report is None else report.players,
        reserved=track.book.reserved,
        capacity=track.book.capacity(now),
        load=view.load,
        load_stale=view.load_stale,
        load_at_least=view.load_at_least,
        report_age_secs=None if report is None else round(now - report.at, 3),
        builds=tuple(sorted(view.builds)),
        drain=_drain(track, view, now) if track.drains else None,
    )


def _drain(track: RegionTrack, view: RegionView, now: float) -> DrainStatus:
    drains, done_at = track.drains, track.drained_at(now)
    deadlines = [max(0.0, drain.deadline - now) for drain in drains if drain.deadline_secs is not None]
    return DrainStatus(
        by=_by(drains, track.ordered),
        mode=view.drain,
        share=view.drain_share,
        since_secs=round(now - min(drain.since for drain in drains), 3),
        deadline_in_secs=round(min(deadlines), 3) if deadlines else None,
        done=track.is_drained(now),
        empty=track.is_emptied(now),
        remaining_secs=None if done_at is None else round(done_at - now, 1),
    )


def _by(drains: tuple[Drain, ...], ordered: Drain | None) -> Literal["order", "description", "both"]:
    if len(drains) > 1:
        return "both"
    return "description" if ordered is None else "order"
