"""What a running router knows and answers by: regions as they are, and everything that hangs on them.

One thread, one writer. Every change goes through :meth:`LiveRouter.refresh`, which replaces the view, the ready
answers and what listeners are told, in this order; so nobody is told of a change that answers do not show yet.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from aether_deploy.routing.decision.candidates import table_of
from aether_deploy.routing.decision_log import LoggedAnswer
from aether_deploy.routing.request import RouteRequest
from aether_deploy.routing.router_config import RouterConfig
from aether_deploy.routing.tracking.health import SILENCES
from aether_deploy.routing.tracking.status import RegionStatus
from aether_deploy.routing.tracking.tracker import RegionTracker
from aether_deploy.routing.view import RoutingView
from aether_deploy.service.http.messages import Response
from aether_deploy.service.router.answers import RouteAnswers
from aether_deploy.service.router.deciding_log import DecisionLog
from aether_deploy.service.router.feed import Feed, event
from aether_deploy.service.router.journal import Journal, Level
from aether_deploy.service.router.metrics import Counts
from aether_deploy.service.router.probing import Probed
from aether_deploy.service.router.ready import ReadyAnswer, ready_answers
from aether_deploy.service.router.recent import RecentDecisions
from aether_deploy.service.router.signing import SigningKeys
from aether_deploy.service.router.stickiness import TokenReader
from aether_deploy.service.router.telling import Known, tell_changes

STALE_INTERVALS = 3
_COUNTS = "if two regions or more, and half of all, are silent too, they stay as they were"
_PROVES_NOTHING = "it never answered, so it proves nothing: regions that fall silent are taken for dead"


class Prepared(NamedTuple):
    """Everything that a router goes by after a reload, made before anything is replaced."""

    config: RouterConfig
    keys: SigningKeys | None
    tracker: RegionTracker
    view: RoutingView
    answers: RouteAnswers
    tokens: TokenReader
    ready: dict[bytes, ReadyAnswer]


class LiveRouter:
    """A router's state.

    Attributes:
        config: What it is told.
        keys: What it signs with; None where it does not.
        view: What it knows.
        ready: Answers that are known before anybody asks, by target; replaced as a whole.
        counts: What it counted.
        checked: When it last asked what it checks itself by, and what came of that; None where it asks nothing, or has
            no answer yet.
        feed: Who listens.
        changed: Called after each change, so that who waits for the next one looks again.
    """

    def __init__(
        self,
        config: RouterConfig,
        keys: SigningKeys | None,
        *,
        clock: Callable[[], float],
        wall: Callable[[], float],
        journal: Journal,
        decisions: DecisionLog | None = None,
        life: str = "",
    ) -> None:
        """Begin, knowing nothing of any region.

        Args:
            config: What it is told.
            keys: What it signs with.
            clock: Says how late it is; never set by anybody: every age and wait goes by it.
            wall: Says what day it is, seconds since 1970: for logs, and for what it signs.
            journal: What it says of itself.
            decisions: Where it notes decisions.
            life: Begins the ids of reservations: another one for each process.
        """
        self.config, self.keys, self.journal, self.wall = config, keys, journal, wall
        self.counts, self.feed, self.recent = Counts(), Feed(), RecentDecisions()
        self.changed: Callable[[], None] = lambda: None
        self.probed: dict[str, tuple[float, Probed]] = {}
        self.checked: tuple[float, Probed] | None = None
        self.ready: dict[bytes, bytes] = {}
        self._ready: dict[bytes, ReadyAnswer] = {}
        self._asked: dict[bytes, int] = {}
        self._clock, self._decisions = clock, decisions
        self._log_failure: str | None = None
        self._tracker = RegionTracker(config, now=clock(), life=life)
        self.answers = RouteAnswers(config, keys, wall=wall)
        self.tokens = TokenReader(keys)
        self.view = self._tracker.view(clock())
        if decisions is not None:
            decisions.told(config, self.view)
        self._prepare()

    # --- time

    @property
    def now(self) -> float:
        """The time of the clock that nobody sets, seconds."""
        return self._clock()

    def next_change(self) -> float | None:
        """Return when something may change by time alone, seconds of that clock; None: never."""
        return self._tracker.next_change(self.now)

    def refresh(self) -> RoutingView:
        """Return what is known now; where that is new, everything that hangs on it is replaced first."""
        view = self._tracker.view(self.now)
        if view is not self.view:
            self.count_ready()
            before, self.view = self.view, view
            if self._decisions is not None:
                self._decisions.knows(view)
            self._prepare()
            tell_changes(before, view, lambda: self._known(view), self.feed, self.journal)
            self.changed()
        return view

    def renew(self) -> None:
        """Sign anew what is given out; called as time goes by."""
        if self._prepared_for != self.answers.renewals():
            self._prepare()

    # --- what happens

    def observe(self, code: str, probed: Probed) -> None:
        """Take what a probe brought."""
        if code not in self._codes:  # the configuration changed meanwhile
            return
        now = self.now
        self.counts.probed(code, probed.outcome, probed.secs)
        self.probed[code] = now, probed
        self._tracker.observe(code, probed.outcome, now)
        self.refresh()

    def self_check(self, url: str, probed: Probed) -> None:
        """Take what came of asking the URL that the router checks its own network by.

        It is noted the first time, and whenever it turns: one that nobody is told of could be silent for ever, and the
        router would take a world that is down for itself.
        """
        before, self.checked = self.checked, (self.now, probed)
        self.counts.self_checks[probed.outcome] += 1
        answers = _answers(probed)
        counts = self._tracker.self_check(answers, self.now)
        if before is None or _answers(before[1]) != answers:
            means = _COUNTS if counts else _PROVES_NOTHING
            more = {} if answers else {"means": means}
            level: Level = "info" if answers else "warning"
            self.journal.say("self_check", level, url=url, answers=answers, detail=probed.detail, **more)
        self.refresh()

    def forget_self_check(self) -> None:
        """Forget what came of it: from now on nothing is asked, or something else."""
        self.checked = None
        self._tracker.self_check(None, self.now)
        self.refresh()

    def order(self, act: Callable[[RegionTracker, float], Any]) -> Any:
        """Do what an operator orders, and return what came of it."""
        done = act(self._tracker, self.now)
        self.refresh()
        return done

    def prepare(self, config: RouterConfig, keys: SigningKeys | None) -> Prepared:
        """Make everything that another configuration needs, and replace nothing.

        What is known of regions that remain is kept. It is good as long as nothing happens in between.
        """
        now = self.now
        tracker, answers = self._tracker.reconfigured(config, now), RouteAnswers(config, keys, wall=self.wall)
        view = tracker.view(now)
        return Prepared(config, keys, tracker, view, answers, TokenReader(keys), ready_answers(answers, view))

    def go_on_by(self, prepared: Prepared) -> None:
        """Replace all of it at once."""
        self.count_ready()
        self.config, self.keys, self.answers, self.tokens = (
            prepared.config, prepared.keys, prepared.answers, prepared.tokens
        )  # fmt: skip
        self._tracker, self.view = prepared.tracker, prepared.view
        self.probed = {code: each for code, each in self.probed.items() if code in self._codes}
        self._take(prepared.ready)
        if self._decisions is not None:
            self._decisions.told(self.config, self.view)
        self.feed.publish("reload", self.snapshot(), epoch=self.view.epoch)
        self.changed()

    # --- decisions

    def route(self, request: RouteRequest, *, is_named: bool = True) -> Response:
        """Return the answer to a player; ``is_named`` says whether he gave a name, or is known by his address."""
        view = self.refresh()
        outcome = self.answers.decide(view, request)
        said = LoggedAnswer.of(outcome)
        self.counts.shared_by_address += not is_named and bool(table_of(self.config, view).shares)
        self.counts.decided(said.decision, said.region or "", said.reason or "")
        self.recent.add(request.preferred, said)
        if self._decisions is not None:
            self._decisions.decided(request, said)
        return self.answers.response(view, outcome)

    def counted(self, target: bytes) -> None:
        """Note that a ready answer was given."""
        self._asked[target] = self._asked.get(target, 0) + 1

    def tick(self) -> None:
        """Note and tell what was decided since the last time; called about once a second."""
        self.count_ready()
        self.renew()
        self._watch_log()
        told = self.recent.take(round(self.wall(), 3))
        if self.feed.listeners:
            self.feed.publish("regions", self.snapshot(), epoch=self.view.epoch)
            if told:
                self.feed.publish("decisions", {"decisions": told}, epoch=self.view.epoch)

    # --- what is told

    def known(self) -> Known:
        """Return all that is known now."""
        return self._known(self.refresh())

    def statuses(self) -> Sequence[RegionStatus]:
        """Return how each region stands."""
        return self.known().statuses

    def regions(self) -> list[dict[str, Any]]:
        """Return everything about each region, as plain values."""
        return self.known().regions()

    def snapshot(self) -> dict[str, Any]:
        """Return everything that is known, as plain values."""
        return self.known().snapshot()

    def first_event(self) -> bytes:
        """Return what a new listener is told: everything that is known."""
        return event("snapshot", self.snapshot(), epoch=self.view.epoch)

    @property
    def unasked(self) -> list[str]:
        """Regions that nobody asks how they are: they are healthy, and the router is ready, whatever happens."""
        return [region.code for region in self.config.regions if region.probe is None]

    def summary(self) -> dict[str, object]:
        """Return what the router goes by, in short."""
        return {
            "regions": [region.code for region in self.config.regions],
            "unasked": self.unasked,
            "epoch": self.view.epoch,
            "signs_with": None if self.keys is None else self.keys.key_id,
        }

    def gauges(self) -> dict[str, tuple[str, float]]:
        """Return help and value of what is measured beside regions and counts, by name."""
        age = self._known(self.view).snapshot_age_secs()
        gauges: dict[str, tuple[str, float]] = {
            "epoch": ("Number of the view that answers come from.", self.view.epoch),
            "view_stale": ("Whether probes are blind, and healths are those from before.", self.view.stale),
            "ready_answers": ("Answers that are known before anybody asks.", len(self.ready)),
            "streams": ("Who listens to events.", self.feed.listeners),
        }
        if age is not None:
            gauges["snapshot_age_seconds"] = "Age of the oldest probe.", age
        if self.checked is not None:
            words = "Whether what the router checks itself by answered the last time."
            gauges["self_check_answers"] = words, _answers(self.checked[1])
        if self._decisions is not None:
            gauges["decisions_not_logged"] = "Decisions that the log does not hold.", self._decisions.dropped
        return gauges

    def why_not_ready(self) -> str | None:
        """Return why answers cannot be relied on yet, or any more; None where they can."""
        missing = [region.code for region in self.config.regions if region.probe and region.code not in self.probed]
        if missing:
            return f"not probed yet: {', '.join(missing)}"
        health, age = self.config.health, self._known(self.view).snapshot_age_secs()
        oldest = STALE_INTERVALS * max(health.interval_ms, health.timeout_ms) / 1000
        return f"the oldest probe is {age} s old" if age is not None and age > oldest else None

    # --- inside

    @property
    def _codes(self) -> frozenset[str]:
        return frozenset(region.code for region in self.config.regions)

    def _known(self, view: RoutingView) -> Known:
        now = self.now
        statuses = [self._tracker.status(region.code, now) for region in view.regions]
        probed = {code: (now - at, probed) for code, (at, probed) in self.probed.items()}
        checked = None if self.checked is None else (now - self.checked[0], self.checked[1])
        return Known(self.config, view, statuses, probed, self.recent.last(), checked)

    def _prepare(self) -> None:
        self._take(ready_answers(self.answers, self.view))

    def _take(self, ready: dict[bytes, ReadyAnswer]) -> None:
        self._prepared_for = self.answers.renewals()
        self._ready = ready
        self.ready = {target: answer.response for target, answer in ready.items()}

    def _watch_log(self) -> None:
        """Say that the disk takes no decisions any more, or takes them again."""
        failure = None if self._decisions is None else self._decisions.failure
        if failure != self._log_failure:
            self._log_failure = failure
            level: Level = "info" if failure is None else "error"
            self.journal.say("decision_log", level, takes=failure is None, failure=failure)

    def count_ready(self) -> None:
        """Count, note and tell the ready answers that were given, before others take their place."""
        asked, self._asked = self._asked, {}
        for target, count in asked.items():
            if target not in self._ready:
                continue
            request, routed, _ = self._ready[target]
            said = LoggedAnswer.of(routed)
            self.counts.decided(said.decision, said.region or "", said.reason or "", count)
            self.counts.requests["GET", "/v1/route", 200] += count
            self.recent.add(request.preferred, said, count)
            if self._decisions is not None:
                self._decisions.decided(request, said, count=count)


def _answers(probed: Probed) -> bool:
    return probed.outcome not in SILENCES
