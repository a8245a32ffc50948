"""A declared surge: players that come at once, and how long a policy takes to have a place for each of them."""

from collections.abc import Iterator

import msgspec

from aether_deploy.patterns import Pattern
from aether_deploy.scaling.modes import SYNC_SECS
from aether_deploy.simulation.backends import Backend, PodsMetric, Rule, backend_of
from aether_deploy.simulation.findings import Finding, Subject, counted
from aether_deploy.simulation.judged import Judged
from aether_deploy.simulation.replay import Replay

_SURGE = Pattern(r"(?P<players>[0-9]{1,9})/(?P<secs>[0-9]{1,6})(?:\+(?P<start>[0-9]{1,6}))?")
_WATCHED_SECS = 6 * 3600


class Surge(msgspec.Struct, frozen=True, kw_only=True):
    """Players who come evenly within some time, to a policy at its minimum with nobody there.

    Attributes:
        players: How many come.
        within_secs: Within how long, seconds; 0 is all at once.
        pod_start_secs: How long a pod takes until it has players, seconds.
    """

    players: int
    within_secs: int
    pod_start_secs: int = 60

    @classmethod
    def parse(cls, text: str) -> "Surge":
        """Return the surge of ``PLAYERS/SECS`` or ``PLAYERS/SECS+START_SECS``: ``2000/600+90``.

        Raises:
            ValueError: If the text is another.
        """
        found = _SURGE.fullmatch(text)
        if found is None:
            raise ValueError("not a surge: write PLAYERS/SECS, such as 2000/600, or PLAYERS/SECS+START_SECS")
        start = found["start"]
        given = {} if start is None else {"pod_start_secs": int(start)}
        return cls(players=int(found["players"]), within_secs=int(found["secs"]), **given)

    def players_at(self, secs: int) -> int:
        """Return how many have come ``secs`` after the first one."""
        if secs >= self.within_secs:
            return self.players
        return self.players * secs // self.within_secs


class SurgeOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a policy makes of a surge.

    Attributes:
        needed: Pods that serve all of its players with the target each.
        replicas: Pods at the end.
        wanted_secs: When that many were wanted, or as many as may be, seconds after the first player came; None
            where they never were.
        served_secs: From when on there was a place for everybody, seconds; None where there never was.
        overload_percent: Most players by pod that runs, in percent of the target.
    """

    needed: int
    replicas: int
    wanted_secs: int | None
    served_secs: int | None
    overload_percent: int


def replay_surge(
    scaler: Backend, surge: Surge, *, target: int, least: int, most: int, scrape_interval_secs: int
) -> SurgeOutcome:
    """Return what ``scaler`` makes of ``surge``, seeing at each sync the players of the last scrape."""
    needed = -(-surge.players // target)
    goal = min(max(needed, least), most)
    replay = Replay(scaler, target=target, start_replicas=least, start_secs=surge.pod_start_secs)
    end_secs = surge.within_secs + _WATCHED_SECS
    seen = ((secs, surge.players_at(secs - secs % scrape_interval_secs)) for secs in range(0, end_secs + 1, SYNC_SECS))
    wanted_secs = served_secs = None
    overload, replicas = 0, least
    for step in replay.steps(seen):
        replicas = step.wanted
        overload = max(overload, -(-100 * step.players // (target * step.running)))
        if wanted_secs is None and replicas >= goal:
            wanted_secs = step.secs
        if surge.players_at(step.secs) > target * step.running:
            served_secs = None
        elif served_secs is None:
            served_secs = step.secs
        if wanted_secs is not None and step.secs >= surge.within_secs and step.running >= replicas:
            break
    return SurgeOutcome(
        needed=needed,
        replicas=replicas,
        wanted_secs=wanted_secs,
        served_secs=served_secs,
        overload_percent=overload,
    )


def lint_surge(judged: Judged, surge: Surge) -> Iterator[Finding]:
    """Yield what is wrong with how a policy serves ``surge``.

    A surge is late where the count that it needs is wanted later than one cooldown and one look after its end.
    """
    scaling = judged.scaling
    target, most = scaling.target_players_per_pod, scaling.max_replicas
    comes = f"{counted(surge.players, 'player')} within {surge.within_secs} s"
    if surge.players > target * most:
        needed = -(-surge.players // target)
        yield Finding(
            rule="surge",
            severity="error",
            backends=("decide",) if judged.hpa is None else ("decide", "hpa"),
            text=f"{comes} need {counted(needed, 'pod')}, and max_replicas is {most}",
            fix=f"set max_replicas to {needed}",
            suggestion={"max_replicas": needed},
        )
        return
    patience = surge.within_secs + scaling.scale_up_cooldown_secs + judged.scrape_interval_secs + SYNC_SECS
    for name, scaler in _scalers(judged):
        outcome = replay_surge(
            scaler,
            surge,
            target=target,
            least=scaling.min_replicas,
            most=most,
            scrape_interval_secs=judged.scrape_interval_secs,
        )
        late = outcome.wanted_secs
        if late is not None and late <= patience and outcome.served_secs is not None:
            continue
        stays = outcome.served_secs is None
        served = "never" if stays else f"after {outcome.served_secs} s"
        yield Finding(
            rule="surge",
            severity="warning",
            backends=(name,),
            text=f"{comes} get {outcome.replicas} of {outcome.needed} pods, and {served} a place each; a pod has up to "
            f"{outcome.overload_percent} % of the target",
            fix=judged.fix_text(
                {},
                otherwise="raise max_step_up, shorten scale_up_cooldown_secs, or raise min_replicas before it begins",
                backends=(name,) if stays else ("decide",),
            ),
        )


def _scalers(judged: Judged) -> Iterator[tuple[Subject, Backend]]:
    yield "decide", Rule(judged.scaling)
    if judged.hpa is None or judged.other is None:
        return
    if judged.computes_sizes:
        yield "hpa", PodsMetric(judged.hpa)
    elif judged.is_compiled:
        yield (
            "hpa",
            backend_of(judged.scaling, "hpa", kubernetes=judged.kubernetes, interval_secs=judged.scrape_interval_secs),
        )
