"""The rules by which players are routed, each in a block of its own that is off where it is left out."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from aether_deploy.config.base import Config, Fault, rule
from aether_deploy.config.marks import Distinct, Keyed, TextRule, WholeRule
from aether_deploy.config.types import DnsLabel, PositiveCount, PositiveSeconds, Seconds

LatencySource = Literal["measured", "matrix", "great_circle", "static"]
LATENCY_SOURCES: tuple[LatencySource, ...] = ("measured", "matrix", "great_circle", "static")
Milliseconds = Annotated[int, WholeRule(ge=0, le=600_000)]
PositiveMilliseconds = Annotated[int, WholeRule(ge=1, le=600_000)]
Percent = Annotated[int, WholeRule(ge=1, le=100)]
Penalty = Annotated[int, WholeRule(ge=1, le=1_000_000)]
ResidencyName = Annotated[
    str,
    TextRule(
        what="a name",
        pattern="[a-z0-9]([-a-z0-9]*[a-z0-9])?",
        max_length=63,
        fix="use lower-case letters, digits and '-', and begin and end with a letter or digit",
    ),
]


class LatencyExpansion(Config):
    """A wider cap for those who wait.

    Attributes:
        after_secs: From this long a wait on, seconds.
        max_ms: The cap then, milliseconds; ``none`` is no cap.
    """

    after_secs: PositiveSeconds
    max_ms: PositiveMilliseconds | None


class LatencyPolicy(Config):
    """How far a region may be, and who says how far it is.

    Attributes:
        sources: Where a region's latency comes from, the best first: what the player ``measured``, the ``matrix`` of
            links from his preferred region, the ``great_circle`` from his position, the region's ``static`` one. The
            first that knows the region counts; a region that none knows is the last choice, and never excluded.
        max_ms: Regions that are known to be further than this are a last resort, milliseconds inclusive; left out,
            there is no cap.
        tie_ms: Regions this much further than the closest are as good as it: load decides among them, then file order.
        expansions: Wider caps for players who wait.
        sample_min: Measurements below this many samples are not believed.
        sample_max_age_secs: Nor those older than this, seconds.
    """

    sources: Annotated[Sequence[LatencySource], Distinct()] = LATENCY_SOURCES
    max_ms: PositiveMilliseconds | None = None
    tie_ms: Milliseconds = 5
    expansions: Sequence[LatencyExpansion] = ()
    sample_min: PositiveCount = 3
    sample_max_age_secs: PositiveSeconds = 600

    @rule
    def expansions_widen(self) -> Iterator[Fault]:
        if self.expansions and self.max_ms is None:
            yield Fault(("expansions",), "nothing to widen", "give max_ms, the cap of those who do not wait")
            return
        after, cap = 0, self.max_ms
        for place, each in enumerate(self.expansions):
            at = ("expansions", place)
            if each.after_secs <= after:
                yield Fault((*at, "after_secs"), "not later than the one before", "order them by wait", each.after_secs)
            if cap is None or (each.max_ms is not None and each.max_ms <= cap):
                yield Fault((*at, "max_ms"), "not wider than the cap before", "widen it, or remove it", each.max_ms)
            after, cap = each.after_secs, each.max_ms

    @rule
    def there_is_a_source(self) -> Iterator[Fault]:
        if not self.sources:
            yield Fault(("sources",), "nothing says how far a region is", "leave it out, or name one source")


class HealthPolicy(Config):
    """When a region counts as healthy, by what it answers to probes.

    Attributes:
        interval_ms: Pause between two probes, milliseconds.
        timeout_ms: An answer later than this is none, milliseconds. A probe is a new connection: with ``https`` it
            takes three round trips, with ``http`` two, with ``tcp`` one.
        fall: Timeouts and refused connections in a row that make a region unhealthy. An answer that says "not ready"
            does so at once.
        rise: Answers in a row that make it healthy again.
    """

    interval_ms: PositiveMilliseconds = 1000
    timeout_ms: PositiveMilliseconds = 500
    fall: PositiveCount = 3
    rise: PositiveCount = 2


class DampingPolicy(Config):
    """A region that keeps falling rests until it is calm (after RFC 2439).

    Attributes:
        suppress: Penalty from which a region rests; each fall adds 1000.
        reuse: Penalty at which it returns.
        half_life_secs: Time in which a penalty halves, seconds.
        max_suppress_secs: Longest rest after the last fall, seconds; bounds the penalty.
    """

    suppress: Penalty = 2500
    reuse: Penalty = 750
    half_life_secs: PositiveSeconds = 60
    max_suppress_secs: PositiveSeconds = 300

    @rule
    def it_can_end(self) -> Iterator[Fault]:
        if self.reuse >= self.suppress:
            reason = f"not less than suppress, which is {self.suppress}"
            yield Fault(("reuse",), reason, "lower it, or raise suppress", self.reuse)

    @rule
    def it_can_begin(self) -> Iterator[Fault]:
        ceiling = self.ceiling
        if self.reuse < self.suppress and ceiling <= self.suppress:
            reason = f"holds a penalty to {ceiling:g}, so none ever exceeds suppress, which is {self.suppress}"
            yield Fault(("max_suppress_secs",), reason, "raise it, or lower suppress", self.max_suppress_secs)

    @property
    def ceiling(self) -> float:
        """Highest penalty: one that falls to ``reuse`` within ``max_suppress_secs``."""
        doublings = min(self.max_suppress_secs / self.half_life_secs, 60.0)
        return float(self.reuse * 2.0**doublings)


class FailbackPolicy(Config):
    """How players return to a region that is healthy again.

    Attributes:
        ramp_secs: New players return by share, from a tenth to all over this time, seconds; 0 is at once.
        hold_secs: A player who was sent elsewhere stays there until the region is healthy for this long, seconds, or
            until his next join; 0 is not at all.
    """

    ramp_secs: Seconds = 60
    hold_secs: Seconds = 60


class LoadPolicy(Config):
    """How full a region may be.

    Attributes:
        soft_percent: From this load on new players spill to other regions, by share.
        hard_percent: From this load on it takes nobody.
        report_max_age_secs: A report of players older than this is used with our own reservations on top; older than
            four times as long, the load is unknown and limits nothing, seconds.
        reservation_secs: How long a place is kept for a player who was sent, seconds.
    """

    soft_percent: Percent = 85
    hard_percent: Percent = 95
    report_max_age_secs: PositiveSeconds = 15
    reservation_secs: PositiveSeconds = 30

    @rule
    def soft_comes_first(self) -> Iterator[Fault]:
        if self.soft_percent > self.hard_percent:
            reason = f"more than hard_percent, which is {self.hard_percent}"
            yield Fault(("soft_percent",), reason, "lower it, or raise hard_percent", self.soft_percent)


class StickyPolicy(Config):
    """How long a player stays with the region that he was sent to.

    Attributes:
        slack_ms: He stays while it is at most this much further than his closest region, milliseconds; after a
            failover, than the closest that may take him.
    """

    slack_ms: Milliseconds = 40


class ResidencyRule(Config):
    """Players who may only be in some regions.

    Attributes:
        name: What requests call the rule.
        regions: Codes of the regions.
    """

    name: ResidencyName
    regions: Annotated[Sequence[DnsLabel], Distinct()]

    @rule
    def it_leaves_a_region(self) -> Iterator[Fault]:
        if self.regions == ():
            yield Fault(("regions",), "leaves no region to its players", "name at least one")


class RoutingPolicy(Config):
    """The rules of routing. With every block left out they are the specification's three.

    Attributes:
        on_unknown: A preferred region that is not configured: ``failover`` to the closest healthy one (an old client
            must not be locked out), or ``error``.
        on_none_healthy: No region that is open to the player is healthy: ``error``, or ``fail_open`` to the preferred
            one. Where one is healthy, but full, it is an error always.
        latency: How far a region may be; left out, no cap and no ties.
        damping: Rest for regions that flap; left out, none.
        failback: How players return; left out, at once.
        load: How full a region may be; left out, any.
        sticky: Staying with a region; left out, only measured and preferred regions count.
        residency: Players who may only be in some regions.
    """

    on_unknown: Literal["failover", "error"] = "failover"
    on_none_healthy: Literal["error", "fail_open"] = "error"
    latency: LatencyPolicy | None = None
    damping: DampingPolicy | None = None
    failback: FailbackPolicy | None = None
    load: LoadPolicy | None = None
    sticky: StickyPolicy | None = None
    residency: Annotated[Sequence[ResidencyRule], Keyed("name")] = ()


NEUTRAL = RoutingPolicy()
"""The specification's three rules and nothing else."""
