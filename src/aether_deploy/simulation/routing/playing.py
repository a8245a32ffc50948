"""A router in a world of faults: everything that happens, in the order of its time, and judged after each step."""

from random import Random
from typing import NoReturn

from aether_deploy.problems import InvariantError, NoHealthyRegionError
from aether_deploy.routing.request import RouteRequest
from aether_deploy.routing.router_config import RouterConfig
from aether_deploy.routing.tracking.health import SPREAD, detection_secs, recovery_secs
from aether_deploy.routing.view import RegionView, RoutingView
from aether_deploy.simulation.failover.engine import Engine, Steps
from aether_deploy.simulation.routing.checking import Judge
from aether_deploy.simulation.routing.events import FaultKind, RegionFault, plan_faults
from aether_deploy.simulation.routing.expecting import Asked
from aether_deploy.simulation.routing.rules import Rules
from aether_deploy.simulation.routing.world import Site, World, joining_secs, report_secs

LAST_EVENTS = 20
ANSWER_SECS = 0.02
SESSION_SECS = 120.0
MOST_PLAYERS = 40
USUAL_LOAD = 0.4
NEVER_COMES, CHANGES_HIS_MIND = 0.05, 0.1


class Play:
    """One simulation: the router, its world, and the judge of both."""

    def __init__(
        self,
        config: RouterConfig,
        seed: int,
        secs: float,
        fault_every_secs: float,
        kinds: tuple[FaultKind, ...],
        rules: Rules,
    ) -> None:
        self.config, self.seed, self.rules, self.secs = config, seed, rules, secs
        self.chance, self.engine = Random(seed), Engine()
        self.world, self.kept, self.answered = World(config), frozenset[str](), False
        self.skew = self.own = self.last_now = 0.0
        self.tracker = rules.tracker(config, now=0.0)
        self.judge = Judge(config, rules.decide, self._broken)
        self.trace: list[str] = []
        self.steps = self.views = self.joined = self.refused = 0
        self.away_until = self.secs
        self._view, self._wake_at = self.tracker.view(0.0), float("inf")
        self.faults = plan_faults(config, self.chance, until_secs=secs, every_secs=fault_every_secs, kinds=kinds)

    def run(self, calm_secs: float) -> None:
        """Let the faults come, then the calm, and everybody come home.

        Raises:
            InvariantError: A promise was broken.
        """
        for code, site in self.world.sites.items():
            self._start(self._reports(site))
            self._start(self._arrivals(code, site))
            if site.region.probe is not None:
                self._start(self._probes(site))
        self._start(self._self_checks())
        for fault in self.faults:
            self.engine.call(fault.at_secs, lambda fault=fault: self._strike(fault))  # type: ignore[misc]
        self.engine.run(self.secs + calm_secs)
        self._step()
        if not self.judge.at_home(self._view):
            away = [f"{a.request.player} at {a.region}" for a in self.judge.askers if a.region != a.home]
            self._broken(f"{calm_secs:.0f} s after the last fault not everybody is home: {', '.join(away)}")

    # --- time, and the judge

    def _start(self, steps: Steps) -> None:
        self.engine.start(steps, self.chance.random())

    def _now(self) -> float:
        """Return the time as the router has it, and reckon what it would be without jumps back."""
        now = self.engine.now + self.skew
        self.own += max(0.0, now - self.last_now)
        self.last_now = now
        return now

    def _step(self) -> None:
        """Judge what is seen now, and look again when that changes by time alone."""
        now = self._now()
        self.steps += 1
        view = self.tracker.view(now)
        if view is not self._view:
            self.views += 1
            self._view = view
            self._note(f"view {view.epoch}: {_summary(view)}")
        self.judge.judge(view, self.own, keep=self._must_keep())
        if view.stale and self.engine.now > self.world.sees_since + self._noticing_secs():
            self._broken("what is seen is stale, and the router sees")
        if self.engine.now >= self.secs and not self.judge.at_home(view):
            self.away_until = self.engine.now
        due = self.tracker.next_change(now)
        if due is not None and due <= now:
            self._broken(f"the next change is not later than now: {due} <= {now}")
        if due is not None:
            self._wake(due)

    def _wake(self, due: float) -> None:
        """Look again at a time of the router's, unless somebody looks before."""
        wake_at = due - self.skew
        while wake_at + self.skew < due:  # rounding must not wake it too early, it would see nothing new
            wake_at += 1e-9
        if not self.engine.now < self._wake_at <= wake_at:
            self._wake_at = wake_at
            self.engine.call(wake_at, self._step)

    def _must_keep(self) -> frozenset[str]:
        """Return the regions that a blind router has to keep, once it had the time to notice that it is."""
        noticed = self.world.blind_since + self._noticing_secs()
        return self.kept if self.world.blind and self.engine.now > noticed else frozenset()

    def _noticing_secs(self) -> float:
        return detection_secs(self.config.health) + recovery_secs(self.config.health)

    def _note(self, what: str) -> None:
        self.trace.append(f"{self.engine.now:10.3f}  {what}")

    def _broken(self, what: str) -> NoReturn:
        events = "\n".join(self.trace[-LAST_EVENTS:])
        raise InvariantError(f"{what}\nseed {self.seed}, {self.engine.now:.3f} s\n{events}")

    # --- what goes on by itself

    def _probes(self, site: Site) -> Steps:
        policy, code = self.config.health, site.region.code
        while True:
            outcome = self.world.probe(site, self.engine.now, self.chance)
            takes = policy.timeout_ms / 1000 if outcome == "timeout" else min(ANSWER_SECS, policy.timeout_ms / 1000)
            yield takes
            now = self._now()
            self.judge.expected[code].probe(outcome, blind=self._view.stale)
            if self.tracker.observe(code, outcome, now):
                self._note(f"{code} answers {outcome}")
            self._step()
            yield max(0.0, policy.interval_ms / 1000 * self.chance.uniform(1 - SPREAD, 1 + SPREAD) - takes)

    def _self_checks(self) -> Steps:
        policy = self.config.health
        while True:
            ok = not (self.world.blind or self.world.target_lost)
            yield ANSWER_SECS if ok else policy.timeout_ms / 1000
            self.answered = self.answered or ok
            self.tracker.self_check(ok, self._now())
            self._step()
            yield policy.interval_ms / 1000

    def _reports(self, site: Site) -> Steps:
        code = site.region.code
        while True:
            if self.world.reaches_router(site):
                now = self._now()
                self.tracker.report_load(code, players=site.players, now=now)
                self.judge.expected[code].reported(self.own, site.players)
                site.reported_at = self.engine.now
                self._step()
            yield report_secs(self.config) * self.chance.uniform(0.8, 1.0)

    def _arrivals(self, code: str, site: Site) -> Steps:
        capacity = site.region.capacity_players
        usual = min(MOST_PLAYERS, USUAL_LOAD * capacity) if capacity is not None else MOST_PLAYERS
        number = 0
        while True:
            yield self.chance.expovariate(usual / SESSION_SECS)
            number += 1
            self.engine.start(self._session(code, f"{code}#{number}"))

    def _session(self, home: str, player: str) -> Steps:
        """One player who comes once: he asks, is sent, joins or not, plays and leaves."""
        code = self._send(home, player)
        if code is None:
            return
        now = self._now()
        kept = self.tracker.reserve(code, now=now)
        self.judge.expected[code].places[kept.id] = (self.own + kept.lease_secs, False)
        self._step()
        mood = self.chance.random()
        yield self.chance.uniform(0.1, 0.9) * joining_secs(self.config)
        if mood < NEVER_COMES:
            return
        joins = mood >= CHANGES_HIS_MIND
        now = self._now()
        self.tracker.release(kept.id, now, joined=joins)
        expected = self.judge.expected[code]
        if joins:
            expected.joined(kept.id)
        else:
            expected.places.pop(kept.id, None)
        self.world.sites[code].players += joins
        self.joined += joins
        self._step()
        if joins:
            yield self.chance.expovariate(1 / SESSION_SECS)
            self.world.sites[code].players -= 1

    def _send(self, home: str, player: str) -> str | None:
        view = self.tracker.view(self._now())
        try:
            code = self.rules.decide(self.config, view, RouteRequest(player=player, preferred=home)).decision.region
        except NoHealthyRegionError:
            self.refused += 1
            return None
        site = self.world.sites[code]
        if self.world.is_knowingly_full(site, self.engine.now):
            self._broken(f"{player} was sent to {code}, where {site.players} of {site.region.capacity_players} are")
        return code

    # --- what goes wrong

    def _strike(self, fault: RegionFault) -> None:
        self._note(f"fault: {fault}")
        match fault.kind:
            case "clock-jump":
                self._step()  # how much time passed until a jump back, nobody could tell otherwise
                self.skew += fault.amount
                if fault.amount > 0:
                    self.world.jumped_at = self.engine.now
            case "reload":
                self.tracker = self.tracker.reconfigured(self.config, self._now())
            case "drain":
                self._drain(fault)
            case "surge":
                for number in range(int(fault.amount)):
                    late = fault.lasts_secs * self.chance.random()
                    self.engine.start(self._session(fault.regions[0], f"{fault.at_secs:.3f}#{number}"), late)
            case "flaps":
                self.engine.start(self._flap(fault))
            case _:
                self._hit(fault, +1)
                self.engine.call(fault.ends_at, lambda: self._heal(fault))
        self._step()

    def _heal(self, fault: RegionFault) -> None:
        self._hit(fault, -1)
        self._note(f"over: {fault}")
        self._step()

    def _hit(self, fault: RegionFault, by: int) -> None:
        if fault.kind == "blind-router" and not self.world.blind:
            self.kept = self._sound()
        self.world.suffer(fault, by, self.engine.now)

    def _sound(self) -> frozenset[str]:
        """Return the regions that have to be kept if the router turns blind now.

        They are seen as healthy, and had not begun to fall silent themselves; fewer than two, or than half, are not,
        nor are any before the router's own target answered for the first time.
        """
        if not self.answered:
            return frozenset()
        probed = [site for site in self.world.sites.values() if site.region.probe is not None]
        fine = [site.region.code for site in probed if site.fine]
        sound = [
            code
            for code in fine
            if self._view.by_code[code].health == "healthy" and not self.judge.expected[code].silent_in_a_row
        ]
        return frozenset(sound) if len(sound) >= 2 and 2 * len(sound) >= len(probed) else frozenset()

    def _flap(self, fault: RegionFault) -> Steps:
        falls = int(fault.amount)
        for _ in range(falls):
            self.world.suffer(fault, +1, self.engine.now)
            yield fault.lasts_secs / falls / 2
            self.world.suffer(fault, -1, self.engine.now)
            yield fault.lasts_secs / falls / 2

    def _drain(self, fault: RegionFault) -> None:
        code, now = fault.regions[0], self._now()
        self.tracker.drain(code, fault.mode, bleed_secs=fault.bleed_secs, deadline_secs=fault.deadline_secs, now=now)
        self.judge.expected[code].drain = Asked(fault.mode, self.own, fault.bleed_secs, fault.deadline_secs)
        self.engine.call(fault.ends_at, lambda: self._undrain(code))

    def _undrain(self, code: str) -> None:
        self.tracker.undrain(code, self._now())
        self.judge.expected[code].drain = None
        self._note(f"{code} is back in service")
        self._step()


def _summary(view: RoutingView) -> str:
    return ("stale; " if view.stale else "") + "; ".join(map(_region_summary, view.regions))


def _region_summary(region: RegionView) -> str:
    parts = [region.code, region.health]
    if region.suppressed:
        parts.append("rests")
    if region.health == "healthy" and region.ramp < 1:
        parts.append(f"ramp {region.ramp:.2f}")
    if region.load is not None:
        parts.append(f"load {region.load:.3f}{' (old)' if region.load_stale else ''}")
    if region.drain != "none":
        parts.append(f"drain {region.drain} {region.drain_share:.2f}")
    return " ".join(parts)
