"""What Prometheus reads of a router.

Rule:
    Prometheus text format 0.0.4; names after its best practices (``_total`` counts, base units).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from aether_deploy.routing.routed import code_of
from aether_deploy.routing.tracking.status import RegionStatus
from aether_deploy.service.http.server import Server
from aether_deploy.service.router.probing import OUTCOMES, Outcome

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "aether_router_"
BUCKETS_SECS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
Labels = tuple[tuple[str, str], ...]
Sample = tuple[str, Labels, float]


class Counts:
    """What a router has counted since it began."""

    def __init__(self) -> None:
        self.decisions: Counter[tuple[str, str, str]] = Counter()
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self.reloads: Counter[str] = Counter()
        self.self_checks: Counter[Outcome] = Counter()
        self.refused_admin = 0
        self.refused_tokens = 0
        self.shared_by_address = 0
        self._probes: Counter[tuple[str, Outcome]] = Counter()
        self._buckets: dict[str, list[int]] = {}
        self._probe_secs: Counter[str] = Counter()

    def decided(self, decision: str, region: str, reason: str, count: int = 1) -> None:
        """Count decisions; of the reason only its code, before the colon."""
        self.decisions[decision, region, code_of(reason)] += count

    def probed(self, region: str, outcome: Outcome, secs: float) -> None:
        """Count a probe."""
        self._probes[region, outcome] += 1
        buckets = self._buckets.setdefault(region, [0] * (len(BUCKETS_SECS) + 1))
        buckets[sum(secs > bound for bound in BUCKETS_SECS)] += 1
        self._probe_secs[region] += secs  # type: ignore[assignment]

    def probe_samples(self, regions: Sequence[str]) -> Iterator[str]:
        """Yield the lines about probes of these regions; each outcome is there from the begin, as 0."""
        outcomes: list[Sample] = [
            ("", (("outcome", outcome), ("region", region)), self._probes[region, outcome])
            for region in regions
            for outcome in OUTCOMES
        ]
        yield from _family("probes_total", "counter", "Probes of regions, by what they brought.", outcomes)
        yield from _family(
            "probe_duration_seconds",
            "histogram",
            "How long probes of regions take.",
            [sample for region in regions for sample in self._histogram(region)],
        )

    def _histogram(self, region: str) -> Iterator[Sample]:
        counted = self._buckets.get(region, [0] * (len(BUCKETS_SECS) + 1))
        so_far = 0
        for bound, count in zip((*BUCKETS_SECS, None), counted, strict=True):
            so_far += count
            le = "+Inf" if bound is None else f"{bound:g}"
            yield "_bucket", (("le", le), ("region", region)), so_far
        yield "_sum", (("region", region),), self._probe_secs[region]
        yield "_count", (("region", region),), so_far


def metrics_text(
    counts: Counts,
    regions: Sequence[RegionStatus],
    gauges: Mapping[str, tuple[str, float]],
    server: Server | None = None,
) -> bytes:
    """Return all metrics.

    Args:
        counts: What was counted.
        regions: How regions stand.
        gauges: Help and value of further gauges, by name.
        server: What clients ask through.
    """
    lines = [
        *_decisions(counts),
        *counts.probe_samples([region.code for region in regions]),
        *_self_checks(counts),
        *_regions(regions),
        *(line for name, (words, value) in gauges.items() for line in _family(name, "gauge", words, [("", (), value)])),
        *_requests(counts),
        *(() if server is None else _server(server)),
    ]
    return "".join(f"{line}\n" for line in lines).encode("utf-8")


def _decisions(counts: Counts) -> Iterator[str]:
    samples: list[Sample] = [
        ("", (("decision", decision), ("reason", reason), ("region", region)), count)
        for (decision, region, reason), count in sorted(counts.decisions.items())
    ]
    yield from _family("decisions_total", "counter", "Players who were told a region, or that there is none.", samples)
    yield from _family(
        "decisions_by_address_total",
        "counter",
        "Players without a name who were told a region while one took a share of players: their address decided.",
        [("", (), counts.shared_by_address)],
    )


def _self_checks(counts: Counts) -> Iterator[str]:
    samples: list[Sample] = [("", (("outcome", outcome),), counts.self_checks[outcome]) for outcome in OUTCOMES]
    words = "Times that the router asked what it checks itself by, by what that brought."
    yield from _family("self_checks_total", "counter", words, samples)


def _requests(counts: Counts) -> Iterator[str]:
    samples: list[Sample] = [
        ("", (("method", method), ("path", path), ("status", str(status))), count)
        for (method, path, status), count in sorted(counts.requests.items())
    ]
    yield from _family("requests_total", "counter", "Requests that were answered, by what was asked.", samples)
    reloads: list[Sample] = [("", (("outcome", name),), counts.reloads[name]) for name in ("done", "refused")]
    yield from _family("reloads_total", "counter", "Times that the configuration was read again.", reloads)
    refused: list[Sample] = [("", (), counts.refused_admin)]
    yield from _family("admin_refused_total", "counter", "Orders without the right bearer token.", refused)
    tokens: list[Sample] = [("", (), counts.refused_tokens)]
    yield from _family("tokens_refused_total", "counter", "Sticky tokens that could not be believed.", tokens)


def _server(server: Server) -> Iterator[str]:
    yield from _family("http_connections", "gauge", "Open connections.", [("", (), server.connections)])
    yield from _family("http_streams", "gauge", "Open streams.", [("", (), server.streams)])
    counts = server.counts
    counted = {
        "connections": ("Connections that were accepted.", counts.connections),
        "connections_refused": (
            "Connections refused: too many, or of one client too many.",
            counts.refused_connections,
        ),
        "requests_refused": ("Requests that broke a rule or a limit of HTTP.", counts.refused_requests),
        "requests_timed_out": ("Requests that did not come in time.", counts.timed_out),
        "clients_dropped": ("Clients that did not read.", counts.dropped),
        "answers_failed": ("Answers that failed by a mistake of ours.", counts.failed),
    }
    for name, (words, count) in counted.items():
        yield from _family(f"http_{name}_total", "counter", words, [("", (), count)])


def _regions(regions: Sequence[RegionStatus]) -> Iterator[str]:
    facts: Mapping[str, tuple[str, Iterable[tuple[RegionStatus, float | None]]]] = {
        "region_healthy": ("Whether probes say that a region is healthy.", _each(regions, "health", "healthy")),
        "region_health_known": ("Whether a region was probed.", ((one, one.health != "unknown") for one in regions)),
        "region_takes_players": (
            "Whether new players may be sent there.",
            ((one, one.takes_players) for one in regions),
        ),
        "region_penalty": ("Penalty of a region's falls.", ((one, one.penalty) for one in regions)),
        "region_suppressed": ("Whether a region rests from falling.", ((one, one.rests_secs > 0) for one in regions)),
        "region_ramp_ratio": ("Share of new players that it takes.", ((one, one.ramp) for one in regions)),
        "region_load_ratio": ("Players and reservations over capacity.", ((one, one.load) for one in regions)),
        "region_players": ("Players that a region reported.", ((one, one.players) for one in regions)),
        "region_reserved_players": ("Players for whom a place is kept.", ((one, one.reserved) for one in regions)),
        "region_capacity_players": ("Players that a region takes.", ((one, one.capacity) for one in regions)),
        "region_report_age_seconds": ("Age of its last report.", ((one, one.report_age_secs) for one in regions)),
    }
    for name, (words, values) in facts.items():
        samples: list[Sample] = [("", (("region", one.code),), value) for one, value in values if value is not None]
        yield from _family(name, "gauge", words, samples)
    drains: list[Sample] = [
        ("", (("mode", mode), ("region", one.code)), one.drain is not None and one.drain.mode == mode)
        for one in regions
        for mode in ("soft", "hard")
    ]
    yield from _family("region_draining", "gauge", "Whether a region is being drained, by mode.", drains)


def _each(regions: Sequence[RegionStatus], name: str, word: str) -> list[tuple[RegionStatus, float]]:
    return [(one, getattr(one, name) == word) for one in regions]


def _family(name: str, kind: str, words: str, samples: Sequence[Sample]) -> Iterator[str]:
    full = PREFIX + name
    yield f"# HELP {full} {words}"
    yield f"# TYPE {full} {kind}"
    for suffix, labels, value in samples:
        said = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
        yield f"{full}{suffix}{{{said}}} {value:.12g}" if said else f"{full}{suffix} {value:.12g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
