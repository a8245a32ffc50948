"""What sends players to regions: the section ``routing`` becomes a router's configuration and workloads of its own."""

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from aether_deploy.config.base import FaultyFieldError
from aether_deploy.fleet.config import DeploymentConfig
from aether_deploy.platform.parts import RegionConfig
from aether_deploy.platform.placing import EntryView
from aether_deploy.platform.routing_config import RoutingConfig
from aether_deploy.pods.parts import PortConfig
from aether_deploy.problems import NoHealthyRegionError
from aether_deploy.routing.policy import HealthPolicy, LatencyPolicy, RoutingPolicy
from aether_deploy.routing.request import RouteRequest
from aether_deploy.routing.router_config import RouterConfig, RouterHome, RouterLink, RouterPosition, RouterRegion
from aether_deploy.routing.tracking.health import Scheme
from aether_deploy.traffic.backend import BackendConfig, Landscape, Question, Target, region_name

if TYPE_CHECKING:
    from aether_deploy.platform.config import Platform


def routing_of(platform: "Platform") -> RoutingConfig | None:
    """Return the section ``routing``; None where there is none, and where it has faults of its own."""
    try:
        return platform.routing
    except FaultyFieldError:
        return None


# --- what a router is told


def router_config(platform: "Platform") -> RouterConfig:
    """Return all that a router of ``platform``, which is sound, is told.

    A platform without a section ``routing`` has a router by the specification's three rules, which asks nobody.

    Guarantee:
        Round trips are those of ``links``, exactly; what nobody measured is left to positions, so that a player's own
        position counts where no link does.
    """
    told = unjudged_router_config(platform)
    return RouterConfig(**{name: getattr(told, name) for name in RouterConfig.__struct_fields__})


def unjudged_router_config(platform: "Platform") -> RouterConfig:
    """Return the same for a platform that may have faults: they are told where they stand, and not once more."""
    routing, landscape = platform.routing, platform.landscape
    if landscape is not None and not landscape.entry.addresses:
        landscape = None  # that players reach no region is a fault of the description, which is told elsewhere
    reached = None if landscape is None else landscape.entry.addresses
    regions = [each for each in _enabled(platform) if reached is None or each.code in reached]
    codes = [region.code for region in regions]
    said: dict[str, Any] = {}
    if routing is not None:
        said = {name: getattr(routing, name) for name in RoutingPolicy.__struct_fields__}
        said["residency"] = tuple(
            msgspec.structs.replace(each, regions=tuple(code for code in each.regions if code in codes))
            for each in routing.residency
        )
        said["health"] = _times_of(routing)
        said["self_check"] = routing.self_check
        said["drain"] = {code: mode for code, mode in routing.drain.items() if code in codes}
    said.setdefault("health", HealthPolicy())
    told = tuple(_router_region(platform, region, landscape) for region in regions)
    homes = tuple(RouterHome.from_checked(**_place(each)) for each in _enabled(platform) if each.code not in codes)
    links = _links(platform, [*codes, *(home.code for home in homes)])
    return RouterConfig.from_checked(**said, regions=told, links=links, homes=homes)


def _enabled(platform: "Platform") -> list[RegionConfig]:
    return [region for region in platform.regions if region.enabled]


def _times_of(routing: RoutingConfig) -> HealthPolicy:
    return HealthPolicy(**{name: getattr(routing.health, name) for name in HealthPolicy.__struct_fields__})


def _links(platform: "Platform", codes: Collection[str]) -> tuple[RouterLink, ...]:
    """Return the measured round trips between regions, sorted."""
    trips = {tuple(sorted(link.between)): link.latency_ms for link in platform.links}
    return tuple(
        RouterLink.from_checked(between=pair, latency_ms=latency_ms)
        for pair, latency_ms in sorted(trips.items())
        if len(set(pair)) == 2 and all(code in codes for code in pair)
    )


def _router_region(platform: "Platform", region: RegionConfig, landscape: Landscape | None) -> RouterRegion:
    found = _place(region)
    if region.latency_ms is not None:
        found["latency_ms"] = region.latency_ms
    if (capacity := capacity_players(platform, region)) > 0:
        found["capacity_players"] = capacity
    if landscape is None:
        return RouterRegion.from_checked(**found)
    found["address"] = landscape.entry.addresses[region.code]
    if (asked := landscape.question) is not None:
        found["probe"] = f"{asked.scheme}://{found['address']}:{asked.port[1]}{asked.path or ''}"
        if asked.server_name is not None:
            found["server_name"] = asked.server_name
    return RouterRegion.from_checked(**found)


def _place(region: RegionConfig) -> dict[str, Any]:
    at = region.location
    return {"code": region.code, "location": None if at is None else RouterPosition(lat=at.lat, lon=at.lon)}


def entry_question(routing: RoutingConfig, entry: Target) -> Question | None:
    """Return what the entry is asked, by the router and by Envoy: at the port that is said, or the first exposed.

    None where it exposes no such TCP port.
    """
    wanted, says = routing.health.port, routing.health.scheme
    exposed = [port for port in entry.ports if port[0] in entry.exposed and port[2] == "TCP"]
    port = next((port for port in exposed if wanted in (None, port[0])), None)
    if port is None:
        return None
    scheme: Scheme = says or ("https" if port[0].startswith("https") else "http")
    if scheme == "tcp":
        return Question(port=port, scheme=scheme)
    return Question(
        port=port,
        scheme=scheme,
        path=routing.health.path,
        server_name=routing.hostname,
        verified=scheme == "https",
    )


def capacity_players(platform: "Platform", region: RegionConfig) -> int:
    """Return the players that ``region`` takes: what it says, or what its worlds can scale to; 0 is unknown."""
    if region.capacity_players is not None:
        return region.capacity_players
    worlds = (view for view in platform.authored if view.section == "worlds" and region.code in view.regions)
    configs = (_authored(platform, view, region.code) for view in worlds)
    return sum(
        config.scaling.max_replicas * config.scaling.target_players_per_pod
        for config in configs
        if config is not None and config.scaling is not None
    )


def _authored(platform: "Platform", view: EntryView, region: str) -> DeploymentConfig | None:
    places = platform.authored_expansions[view.at]
    return (places.get(region) or places[None]).config


# --- what back ends see


def landscape_of(platform: "Platform") -> Landscape | None:
    """Return what back ends see of the platform; None without a sound section ``routing`` and its entry."""
    routing = routing_of(platform)
    views = {view.name: view for view in platform.authored if view.regions}
    if routing is None or routing.entry not in views:
        return None
    entry = _target(platform, routing, views[routing.entry])
    regions = _regions_by_distance(platform, routing)
    order = failover_orders(regions)
    softly = "soft" in regions.drain.values()
    targets = {name: _target(platform, routing, view) for name, view in views.items()}
    bare = Landscape(
        system=platform.name,
        namespace=platform.namespace,
        regions=regions.codes,
        order=order,
        last_resort=failover_orders(regions, soft=False) if softly else order,
        providers={region.code: region.provider for region in _enabled(platform)},
        hostname=routing.hostname,
        entry=entry,
        health=_times_of(routing),
        question=entry_question(routing, entry),
        targets=targets,
        policy=routing,
        drain=regions.drain,
    )
    edges = (each.name for each in routing.sound_backends if _is_exposed(each, bare))
    return msgspec.structs.replace(bare, edges=frozenset(edges))


def _is_exposed(backend: BackendConfig, landscape: Landscape) -> bool:
    """Return whether the outside reaches pods of a back end."""
    if is_refused(backend, landscape):
        return False
    return any("expose" in (backend.workload(landscape, code) or {}) for code in landscape.regions)


def _regions_by_distance(platform: "Platform", routing: RoutingConfig) -> RouterConfig:
    """Return the router's configuration with what orders regions, and nothing else of the policy: a fixed order knows
    no player, no load and no time. Regions without the entry are in it, since other workloads may run there."""
    regions = _enabled(platform)
    codes = [region.code for region in regions]
    latency = routing.latency
    return RouterConfig.from_checked(
        latency=None if latency is None else LatencyPolicy.from_checked(sources=latency.sources, tie_ms=0),
        regions=tuple(_router_region(platform, region, None) for region in regions),
        links=_links(platform, codes),
        health=HealthPolicy(),
        drain={code: mode for code, mode in routing.drain.items() if code in codes},
    )


def failover_orders(config: RouterConfig, *, soft: bool = True) -> dict[str, tuple[str, ...]]:
    """Return for each preferred region the regions in the order in which its players fail over.

    Args:
        config: What a router is told.
        soft: Whether soft drains count.
    """
    drain = {code: mode for code, mode in config.drain.items() if soft or mode == "hard"}
    config = msgspec.structs.replace(config, drain=drain, on_none_healthy="error")
    return {code: tuple(_failover_order(config, code)) for code in config.codes}


def _failover_order(config: RouterConfig, preferred: str) -> Iterator[str]:
    """Ask the decision itself: who is chosen once all before him are down."""
    from aether_deploy.routing.decision.deciding import decide_route  # of no use to those who route nobody
    from aether_deploy.routing.viewing import view_of

    down: set[str] = set()
    while True:
        try:
            routed = decide_route(config, view_of(config, down=down), RouteRequest(preferred=preferred))
        except NoHealthyRegionError:
            return
        down.add(routed.decision.region)
        yield routed.decision.region


def _target(platform: "Platform", routing: RoutingConfig, view: EntryView) -> Target:
    configs = {code: config for code in view.regions if (config := _authored(platform, view, code)) is not None}
    first = next(iter(configs.values()), None)
    ports = tuple(_port(port) for port in first.ports if port.enabled) if first else ()
    balanced = first is not None and first.expose is not None and not first.expose.per_pod
    asked = first.probes.readiness if first else None
    return Target(
        name=view.name,
        ports=ports,
        exposed=frozenset(first.expose.ports) if first and first.expose and balanced else frozenset(),
        regions=frozenset(view.regions),
        addresses={code: name for code, each in configs.items() if (name := _address(platform, routing, each, code))},
        readiness=(asked.path, asked.port, asked.type) if asked is not None and asked.port is not None else None,
        sound=len(configs) == len(view.regions),
    )


def _port(port: PortConfig) -> tuple[str, int, str]:
    return (port.name, port.port, port.protocol)


def _address(platform: "Platform", routing: RoutingConfig, config: DeploymentConfig, code: str) -> str | None:
    """Return the host name at which the outside reaches a workload in a region."""
    if config.endpoint is not None:
        return platform.estate.filled(config.endpoint, code)
    named = config.expose is not None and not config.expose.per_pod
    if config.name == routing.entry or (named and any(each.NAMES_WORKLOADS for each in routing.sound_backends)):
        return region_name(config.name, code, entry=routing.entry, hostname=routing.hostname)
    return None


def is_refused(backend: BackendConfig, landscape: Landscape) -> bool:
    """Return whether a fault keeps a back end from being made: one of its own, or of what it leads to."""
    faulty = any(fault.severity == "error" for fault in backend.faults(landscape))
    return faulty or not backend.leads_to_what_is_sound(landscape)
