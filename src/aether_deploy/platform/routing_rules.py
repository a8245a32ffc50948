"""The rules between the section ``routing`` and the rest of the file."""

from collections.abc import Iterator, Mapping
from itertools import combinations
from math import ceil
from typing import TYPE_CHECKING

import msgspec

from aether_deploy.config.base import Fault
from aether_deploy.platform.distance import round_trip_ms
from aether_deploy.platform.expansion import ROUTING, Steps
from aether_deploy.platform.placing import at_layer
from aether_deploy.platform.routing_config import RoutingConfig
from aether_deploy.problems import suggestion
from aether_deploy.routing.probe_target import target_of
from aether_deploy.routing.router_config import NO_SUCH_REGION, probe_faults
from aether_deploy.routing.tracking.health import PROBE_SLACK_MS, detection_secs, probe_needs_ms, probe_round_trips
from aether_deploy.traffic.backend import Landscape

if TYPE_CHECKING:
    from aether_deploy.platform.config import Platform


SLOW_DETECTION_SECS = 60
"""From here on a loss that nobody notices is more likely a slip in the unit than a wish."""


def routing_is_sound(self: "Platform") -> Iterator[Fault]:
    """Judge the section against the rest of the file."""
    routing = self.routing
    if routing is None:
        return
    yield from _residency_faults(self, routing)
    yield from _drain_faults(self, routing)
    if routing.entry is None:
        return
    landscape = self.landscape
    if landscape is None:
        yield _entry_fault(self, routing.entry)
        return
    yield from _router_faults(routing, landscape)
    yield from _self_check_faults(routing, landscape)
    if not landscape.entry.sound:
        return  # what players and probes lack may be among the faults of the entry
    yield from _health_faults(routing, landscape)
    yield from _address_faults(self, landscape)
    if _is_asked(routing):
        yield from _answer_faults(self, landscape)
        yield from _detection_faults(landscape)
    yield from _unreached_residency_faults(routing, landscape)
    yield from _backend_faults(routing, landscape)


def loss_limits_can_hold(self: "Platform") -> Iterator[Fault]:
    """Judge how many regions may be lost against how many there are."""
    routing = self.routing
    if routing is None or routing.limits is None:
        return
    reached = self.landscape.entry.addresses if self.landscape is not None else {}
    codes = [region.code for region in self.regions if region.enabled and region.code in (reached or [region.code])]
    lost = routing.limits.lost_regions
    if codes and lost >= len(codes):
        reason = f"never holds: with {lost} of {len(codes)} region{'s' * (len(codes) > 1)} lost no player finds a place"
        fix = f"set it to {len(codes) - 1} or less" if len(codes) > 1 else "leave limits out, or add a region"
        yield Fault((ROUTING, "limits", "lost_regions"), reason, fix, lost, "warning")


def _is_asked(routing: RoutingConfig) -> bool:
    """Return whether anything asks regions by the section's ``health``."""
    return routing.service is not None or any(each.ASKS for each in routing.sound_backends)


def _backend_faults(routing: RoutingConfig, landscape: Landscape) -> Iterator[Fault]:
    sound, names = routing.sound_backends, [each.name for each in routing.backends]
    for backend in sound:
        at: Steps = (ROUTING, "backends", names.index(backend.name))
        for fault in backend.faults(landscape):
            yield msgspec.structs.replace(fault, at=(*at, *fault.at))
        first = next(each for each in sound if each.NAMES_WORKLOADS == backend.NAMES_WORKLOADS)
        if backend.NAMES_WORKLOADS and first is not backend:
            reason = f"writes the records that '{first.name}' writes, so they would take turns in it"
            yield Fault(at, reason, f"remove it, or switch '{first.name}' off by enabled: false")


def _detection_faults(landscape: Landscape) -> Iterator[Fault]:
    found = detection_secs(landscape.health)
    if found > SLOW_DETECTION_SECS:
        reason = f"lets a region be silent for {found:g} s before anybody goes elsewhere"
        yield Fault((ROUTING, "health"), reason, "lower interval_ms, timeout_ms or fall", severity="warning")


def _self_check_faults(routing: RoutingConfig, landscape: Landscape) -> Iterator[Fault]:
    if routing.self_check is None or any(probe_faults((), routing.self_check)):
        return
    host = target_of(routing.self_check).host
    leads = next((code for code, name in landscape.entry.addresses.items() if name == host), None)
    if leads is not None or host == landscape.hostname:
        where = f"region '{leads}'" if leads is not None else "the regions"
        reason = f"asks {where}, so while that is down it cannot tell whether the router's own network works"
        yield Fault((ROUTING, "self_check"), reason, "name a host outside of all regions", routing.self_check)


def _address_faults(platform: "Platform", landscape: Landscape) -> Iterator[Fault]:
    """Regions at one address cannot be told apart: a probe of one is a probe of all, and players reach any."""
    entry, seen = landscape.entry, dict[str, str]()
    for code, name in entry.addresses.items():
        other = seen.setdefault(name, code)
        if other != code:
            view = next(view for view in platform.authored if view.name == entry.name)
            site = next(site for site in platform.sites if site.region.code == code)
            at = at_layer(platform, view, site, ("endpoint",))
            reason = f"leads to '{other}' and '{code}' alike, so neither probes nor players can tell them apart"
            yield Fault(at, reason, "write {region} in it, or give per_region one of its own", name)
            return


def _entry_fault(platform: "Platform", name: str) -> Fault:
    names = [view.name for view in platform.authored]
    if name in names:
        return Fault((ROUTING, "entry"), "switched off by enabled: false", "enable it, or name another", name)
    fix = suggestion(name, names, f"known are {', '.join(names)}")
    return Fault((ROUTING, "entry"), "no world or service has that name", fix, name)


def _residency_faults(platform: "Platform", routing: RoutingConfig) -> Iterator[Fault]:
    codes = {region.code: region.enabled for region in platform.regions}
    for place, each in enumerate(routing.residency):
        at: Steps = (ROUTING, "residency", place, "regions")
        for item, code in enumerate(each.regions):
            if code not in codes:
                fix = suggestion(code, codes, f"known are {', '.join(codes)}")
                yield Fault((*at, item), NO_SUCH_REGION, fix, code)
        if all(code in codes for code in each.regions) and not any(codes[code] for code in each.regions):
            yield Fault(at, "names no region that is enabled", "name one, or remove the rule", each.regions)


def _drain_faults(platform: "Platform", routing: RoutingConfig) -> Iterator[Fault]:
    codes = {region.code: region.enabled for region in platform.regions}
    for code in routing.drain:
        if code not in codes:
            fix = suggestion(code, codes, f"known are {', '.join(codes)}")
            yield Fault((ROUTING, "drain", code), NO_SUCH_REGION, fix, key=code)
    if routing.drain and all(code in routing.drain for code, enabled in codes.items() if enabled):
        reason = "drains every region, so that new players find none that wants them"
        yield Fault((ROUTING, "drain"), reason, "leave a region out", severity="warning")


def _unreached_residency_faults(routing: RoutingConfig, landscape: Landscape) -> Iterator[Fault]:
    entry = landscape.entry
    for place, each in enumerate(routing.residency):
        here = [code for code in each.regions if code in landscape.regions]
        if here and entry.addresses and not any(code in entry.addresses for code in here):
            reason = f"names no region that '{entry.name}' runs in, so its players find none"
            yield Fault((ROUTING, "residency", place, "regions"), reason, "name one, or run it there", each.regions)


def _answer_faults(platform: "Platform", landscape: Landscape) -> Iterator[Fault]:
    """A probe is a new connection: over a long way it needs more time than an answer."""
    asked, timeout_ms = landscape.question, landscape.health.timeout_ms
    if asked is None:
        return
    regions = [region for region in platform.regions if region.enabled]
    far = [
        (probe_needs_ms(asked.scheme, trip), trip, one.code, other.code)
        for one, other in combinations(regions, 2)
        if {one.code, other.code} & set(landscape.entry.addresses)
        and (trip := round_trip_ms(one, other, platform.links)) is not None
    ]
    if not far:
        return
    needs, trip, one_code, other_code = max(far, key=lambda each: each[0])
    if needs > timeout_ms:
        trips = probe_round_trips(asked.scheme)
        times = f"{trips} round trips of {trip:.4g} ms" if trips > 1 else f"a round trip of {trip:.4g} ms"
        reason = (
            f"{asked.scheme} needs {times} between {one_code} and {other_code} and {PROBE_SLACK_MS} ms, so they would "
            "never find each other healthy"
        )
        fix = f"set it to {ceil(needs)} or more"
        yield Fault((ROUTING, "health", "timeout_ms"), reason, fix, timeout_ms)


def _router_faults(routing: RoutingConfig, landscape: Landscape) -> Iterator[Fault]:
    if routing.service is None:
        return
    if routing.self_check is None and len(landscape.regions) > 1:
        reason = "lacks 'self_check': a router whose own network fails cannot tell that from a world that is down"
        fix = "name what it can ask outside of all regions: https://host/path or tcp://host:port"
        yield Fault((ROUTING,), reason, fix, severity="warning")
    network = routing.service.get("network") if isinstance(routing.service, Mapping) else None
    if isinstance(network, Mapping) and network.get("allow_to"):
        reason = "lets the router dial nothing else, and a region that it cannot dial counts as unhealthy"
        fix = "leave it out, or make sure that the addresses of every region's entry are among them"
        yield Fault((ROUTING, "service", "network", "allow_to"), reason, fix, severity="warning")


def _health_faults(routing: RoutingConfig, landscape: Landscape) -> Iterator[Fault]:
    entry, wanted = landscape.entry, routing.health.port
    if landscape.question is None:
        known = [name for name, _, protocol in entry.ports if protocol == "TCP" and name in entry.exposed]
        at: Steps = (ROUTING, "entry") if wanted is None else (ROUTING, "health", "port")
        add = f"add a TCP port to expose.ports of '{entry.name}'"
        fix = f"name one that is: {', '.join(known)}" if known else add
        reason = f"'{entry.name}' exposes no TCP port that could be probed"
        if wanted is not None:
            reason = f"no TCP port that '{entry.name}' exposes"
        yield Fault(at, reason, fix, entry.name if wanted is None else wanted)
    lacking = [code for code in landscape.regions if code not in entry.addresses]
    if lacking and routing.hostname is None:
        yield Fault(
            (ROUTING,),
            f"nothing says where players reach '{entry.name}' in {lacking[0]}",
            f"add hostname (each region is then {{region}}.<hostname>), or give '{entry.name}' an endpoint",
        )
    elif lacking:
        reason = f"'{entry.name}' does not run in {', '.join(lacking)}, so players are never sent there"
        yield Fault((ROUTING, "entry"), reason, "run it in every region", entry.name, "warning")
