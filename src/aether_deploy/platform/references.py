"""The rules between sections of the file: names, placements, references. Each yields the faults it sees.

They look at entries as they were written, so that a fault inside an entry hides none between entries.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from aether_deploy.config.base import Fault
from aether_deploy.fleet.bundle import STATEFUL_MAX_UNAVAILABLE_SINCE
from aether_deploy.fleet.network import owns_service
from aether_deploy.platform.components import names_of_components, server_of, standby_faults
from aether_deploy.platform.distance import round_trip_ms
from aether_deploy.platform.expansion import ROUTING, iterate_entries
from aether_deploy.platform.parts import Site
from aether_deploy.platform.placing import EntryView, at_layer, nearest, site_configs
from aether_deploy.platform.routing import routing_of
from aether_deploy.platform.routing_config import ROUTER
from aether_deploy.platform.routing_workloads import names_of_routing
from aether_deploy.pods.surroundings import NEWEST_KUBERNETES
from aether_deploy.problems import did_you_mean, shown, suggestion
from aether_deploy.scaling.modes import minor_of, mode_faults

if TYPE_CHECKING:
    from aether_deploy.platform.config import Platform

OLDEST_MINOR, NEWEST_MINOR = 34, minor_of(NEWEST_KUBERNETES)
Steps = tuple[str | int, ...]


def _names(platform: "Platform") -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for _, _, entry in iterate_entries(platform.worlds, platform.services):
        if isinstance(entry.get("name"), str):
            found.setdefault(entry["name"], entry)
    if platform.routing is not None:
        found = {**names_of_routing(platform.routing), **found}
    return {**names_of_components(platform), **found}


def versions_are_known(self: "Platform") -> Iterator[Fault]:
    said: list[tuple[Steps, str]] = [(("kubernetes",), self.kubernetes)]
    said += [
        (("clusters", place, "kubernetes"), cluster.kubernetes)
        for place, cluster in enumerate(self.clusters)
        if cluster.kubernetes is not None
    ]
    for at, version in said:
        if minor_of(version) < OLDEST_MINOR:
            yield Fault(
                at,
                f"older than v1.{OLDEST_MINOR}, the oldest that is rendered for",
                f"set it to v1.{OLDEST_MINOR} or newer",
                version,
            )
        if minor_of(version) > NEWEST_MINOR:
            yield Fault(
                at,
                f"newer than v1.{NEWEST_MINOR}, the newest that is known",
                f"set it to v1.{NEWEST_MINOR}, or update aether-deploy",
                version,
                "warning",
            )


def something_runs(self: "Platform") -> Iterator[Fault]:
    if not self.worlds and not self.services and not self.components:
        yield Fault((), "lacks workloads", "add worlds, services or components")
    if not any(region.enabled for region in self.regions):
        says = "no region is enabled" if self.regions else "lists no region"
        yield Fault(("regions",), says, "add a region, or enable one")


def namespace_fits(self: "Platform") -> Iterator[Fault]:
    if len(self.namespace) > 63 - len("-data"):
        yield Fault(
            ("name",),
            f"makes the namespace '{self.namespace}-data' longer than 63 characters",
            "shorten it, or the environment's name",
            self.name,
        )


def clusters_are_regions(self: "Platform") -> Iterator[Fault]:
    clusters: dict[str, str] = {}
    for place, region in enumerate(self.regions):
        other = clusters.setdefault(region.cluster, region.code)
        if other != region.code:
            yield Fault(
                ("regions", place),
                f"is in cluster '{region.cluster}', which is region '{other}'",
                "give each region a cluster of its own",
            )
    known = {*clusters, *(dc.cluster for region in self.regions for dc in region.datacenters if dc.cluster)}
    for place, cluster in enumerate(self.clusters):
        if cluster.name not in known:
            fix = suggestion(cluster.name, sorted(known), f"known are {', '.join(sorted(known))}")
            yield Fault(("clusters", place, "name"), "no region is in a cluster of that name", fix, cluster.name)


def links_join_known_regions(self: "Platform") -> Iterator[Fault]:
    codes = [region.code for region in self.regions]
    for place, link in enumerate(self.links):
        for end, code in enumerate(link.between):
            if code not in codes:
                yield Fault(
                    ("links", place, "between", end),
                    "no region has that code",
                    suggestion(code, codes, f"known are {', '.join(codes)}"),
                    code,
                )
    for place, region in enumerate(self.regions):
        for other in self.regions[:place]:
            if round_trip_ms(region, other, self.links) is None:
                yield Fault(
                    ("regions", place),
                    f"nothing tells how far it is from '{other.code}'",
                    f"add links: [{{between: [{other.code}, {region.code}], latency_ms: ...}}], "
                    "or give both regions a location",
                )


def names_are_distinct(self: "Platform") -> Iterator[Fault]:
    routing = routing_of(self)
    seen = {ROUTER: "the router"} if routing is not None and routing.service is not None else {}
    backends = () if routing is None else routing.backends
    sections: list[tuple[Steps, str, str]] = [
        (view.at, view.name, f"one of the {view.section}") for view in self.authored
    ]
    sections += [((ROUTING, "backends", n), each.name, "one of the back ends") for n, each in enumerate(backends)]
    for at, name, section in sections:
        other = seen.setdefault(name, section)
        if name and other != section:
            yield Fault((*at, "name"), f"the name of {other} too", "give it another name", name)
    for place, component in enumerate(self.components):
        if component.name in seen:
            reason = f"the name of {seen[component.name]} too"
            yield Fault(("components", place, "name"), reason, "give it another name", component.name)


def service_names_are_free(self: "Platform") -> Iterator[Fault]:
    for view in self.entries:
        owner, _, suffix = view.name.rpartition("-")
        for other in self.entries_by_name.get(owner, ()):
            configs = [self.config_of(other.at, region) for region in other.regions]
            if any(config is not None and owns_service(config, suffix) for config in configs):
                reason = f"the name of a Service of '{owner}' too"
                yield Fault((*view.at, "name"), reason, "give it another name", view.name)


def placements_exist(self: "Platform") -> Iterator[Fault]:
    codes = [region.code for region in self.regions]
    known = f"known are {', '.join(codes)}"
    for view in self.entries:
        wanted = view.entry.get("regions", "all")
        if isinstance(wanted, (list, tuple)):
            for place, code in enumerate(wanted):
                if isinstance(code, str) and code not in codes:
                    yield Fault(
                        (*view.at, "regions", place),
                        "no region has that code",
                        suggestion(code, codes, known),
                        code,
                    )
            if view.enabled and not view.regions and all(code in codes for code in wanted):
                yield Fault(
                    (*view.at, "regions"),
                    "names no region that is enabled",
                    "name one, or use enabled: false",
                    wanted,
                )
        per_region = view.entry.get("per_region")
        for code in per_region if isinstance(per_region, Mapping) else ():
            at = (*view.at, "per_region", code)
            if code not in codes:
                yield Fault(at, "no region has that code", suggestion(str(code), codes, known))
            elif isinstance(wanted, (list, tuple)) and code not in wanted:
                yield Fault(
                    at,
                    "says what differs in a region where it does not run",
                    "add the region to regions, or remove this",
                    severity="warning",
                )
            overlay = per_region[code] if isinstance(per_region, Mapping) else None
            if isinstance(overlay, Mapping) and "name" in overlay:
                yield Fault((*at, "name"), "a workload has one name everywhere", "remove it", overlay["name"])


def fault_of_entry(platform: "Platform", view: EntryView, fault: Fault) -> Fault:
    """Return a fault inside an entry as the whole document shows it."""
    if view.at[:2] == (ROUTING, "backends"):
        return _fault_of_backend(platform, view, fault)
    if fault.at[0] == "defaults" and fault.severity == "warning":
        return msgspec.structs.replace(fault, reason=f"{fault.reason} (for {view.section}.{view.name})")
    if fault.reason == "lacks 'image'":
        others = [name for name in platform.entries_by_name if name != view.name]
        if close := did_you_mean(view.name, others):
            fix = f"did you mean '{close}', which is there? A workload of its own needs image"
            return msgspec.structs.replace(fault, fix=fix)
    return fault


def _fault_of_backend(platform: "Platform", view: EntryView, fault: Fault) -> Fault:
    """Return a fault inside the workload that a back end makes; where the file has no such field, it is told of the
    back end."""
    assert platform.routing is not None, "a back end stands in the section"
    backend, steps = platform.routing.backends[int(view.at[2])], fault.at[len(view.at) :]
    if fault.at[: len(view.at)] != view.at or not steps or steps[0] in type(backend).__struct_fields__:
        return fault
    inside = ".".join(str(step) for step in steps)
    value = "" if fault.value is UNSET else f"is {shown(fault.value)}; "
    return Fault(view.at, f"makes a workload whose {inside} {value}{fault.reason}", fault.fix, UNSET, fault.severity)


def uses_exist(self: "Platform") -> Iterator[Fault]:
    known = _names(self)
    for steps, name, view in _references(self, "uses"):
        if name == view.name:
            if _uses_itself(self, view):
                fix = "remove it; network.allow_from and allow_to open what its pods need of each other"
                yield Fault(steps, "names itself", fix, name)
        elif name not in known:
            yield Fault(steps, "nothing in this file has that name", suggestion(name, known, _known(known)), name)
        elif known[name].get("enabled") is False and view.enabled:
            yield Fault(steps, "switched off by enabled: false", "remove it here too, or enable it", name)


def _uses_itself(platform: "Platform", view: EntryView) -> bool:
    """Return whether an entry names itself once its layers are one: defaults may name what all others use."""
    places = platform.expansions[view.at].values()
    used = [expanded.values.get("uses") for expanded in places]
    return any(isinstance(names, (list, tuple)) and view.name in names for names in used)


def neighbours_exist(self: "Platform") -> Iterator[Fault]:
    known = _names(self)
    for view in self.entries:
        for steps, rules in _values(self, view, ("topology", "preferred_colocation")):
            for place, near in enumerate(rules if isinstance(rules, (list, tuple)) else ()):
                name = near.get("service") if isinstance(near, Mapping) else None
                at = (*steps, place, "service")
                if isinstance(name, str) and name not in known:
                    yield Fault(at, "nothing in this file has that name", suggestion(name, known, _known(known)), name)
                elif isinstance(name, str) and known[name].get("enabled") is False and view.enabled:
                    yield Fault(at, "switched off by enabled: false", "remove it here too, or enable it", name)


def _known(names: Mapping[str, Any]) -> str:
    return f"known are {', '.join(names)}"


def former_names_are_free(self: "Platform") -> Iterator[Fault]:
    known = _names(self)
    seen: dict[str, str] = {}
    for view in self.entries:
        formerly = view.entry.get("formerly")
        if not isinstance(formerly, str):
            continue
        if formerly in known:
            yield Fault((*view.at, "formerly"), "still the name of a workload", "remove it", formerly)
        other = seen.setdefault(formerly, view.name)
        if other != view.name:
            reason = f"what '{other}' was called, too: its volumes cannot go to both"
            yield Fault((*view.at, "formerly"), reason, "say it of one of them", formerly)


def _references(platform: "Platform", field: str) -> Iterator[tuple[Steps, str, EntryView]]:
    for view in platform.entries:
        for steps, names in _values(platform, view, (field,)):
            for place, name in enumerate(names if isinstance(names, (list, tuple)) else ()):
                if isinstance(name, str):
                    yield (*steps, place), name, view


def _values(platform: "Platform", view: EntryView, path: tuple[str, ...]) -> Iterator[tuple[Steps, Any]]:
    """Return each value that a layer of the entry has at ``path``, with its steps from the root."""
    seen = set()
    for expanded in platform.expansions[view.at].values():
        for layer in expanded.layers:
            held: Any = layer.values
            for step in path:
                held = held.get(step) if isinstance(held, Mapping) else None
            steps = (*layer.at, *path)
            if held is not None and steps not in seen:
                seen.add(steps)
                yield steps, held


def callers_reach_what_they_use(self: "Platform") -> Iterator[Fault]:
    for site in self.sites:
        here = {view.name for view in self.entries if site.region.code in view.regions}  # the faulty, too
        sound = site_configs(self, site)
        for view, config in sound.values():
            if view.at[:2] == (ROUTING, "backends"):
                continue  # its regions and ports are judged by the back end itself, in words of the file
            for place, name in enumerate(config.uses):
                if name in sound and not any(port.enabled for port in sound[name][1].ports):
                    at = at_layer(self, view, site, ("uses", place))
                    yield Fault(at, "listens on no port", f"give '{name}' a port, or remove it here", name)
                if name in here or (there := _elsewhere(self, name, site)) is None:
                    continue
                at = at_layer(self, view, site, ("uses", place))
                code, endpoint = there
                yield from standby_faults(self, view, site, name, at)
                if endpoint is None:
                    yield Fault(
                        at,
                        f"not placed in {site.region.code}, and has no endpoint to reach it at in {code}",
                        f"give '{name}' an endpoint, or place it in {site.region.code}",
                        name,
                    )
                elif not config.network.allow_to:
                    yield Fault(
                        at,
                        f"outside {site.region.code}, so its ports are open to any address from here",
                        f"list its addresses in network.allow_to of '{view.name}'",
                        name,
                        "warning",
                    )


def _elsewhere(platform: "Platform", name: str, site: Site) -> tuple[str, str | None] | None:
    """Return the region in which ``name`` answers those at ``site``, and its endpoint; None where that is here."""
    component = platform.component(name)
    if component is None:
        there = nearest(platform, name, site)
        return there and (there[0].code, there[1].endpoint)
    code = server_of(platform, component, site)
    return None if code in (None, site.region.code) else (code, component.endpoint)


def balancers_stay_internal(self: "Platform") -> Iterator[Fault]:
    for site in self.sites:
        for view, config in site_configs(self, site).values():
            expose = config.expose
            known = site.region.provider in ("aws", "gcp", "azure")
            if expose and expose.internal and not known and not expose.annotations:
                at = at_layer(self, view, site, ("expose", "internal"))
                code = site.region.code
                yield Fault(
                    at,
                    "no field of Kubernetes keeps a load balancer internal, "
                    f"and region '{code}' names no provider that is known",
                    f"give region '{code}' a provider (aws, gcp, azure), or give expose the annotations of yours",
                    True,
                )


def versions_carry_the_fields(self: "Platform") -> Iterator[Fault]:
    for site in self.sites:
        minor = minor_of(site.kubernetes)
        if minor < OLDEST_MINOR:
            continue  # that is a fault of its own
        for view, config in site_configs(self, site).values():
            if config.scaling:
                for fault in mode_faults(
                    config.scaling,
                    config.custom_metrics,
                    kubernetes=site.kubernetes,
                    cluster=site.cluster,
                    stateful=config.is_stateful,
                    rule_interval_secs=self.observability.rule_interval_secs,
                    grace_secs=config.grace_secs,
                ):
                    yield msgspec.structs.replace(fault, at=at_layer(self, view, site, fault.at))
            update = config.update
            if config.is_stateful and update.max_unavailable is not None and minor < STATEFUL_MAX_UNAVAILABLE_SINCE:
                yield Fault(
                    at_layer(self, view, site, ("update", "max_unavailable")),
                    f"Kubernetes {site.kubernetes} of cluster '{site.cluster}' drops it from a StatefulSet; "
                    "it is left out there",
                    f"declare v1.{STATEFUL_MAX_UNAVAILABLE_SINCE} or newer once the cluster runs it",
                    update.max_unavailable,
                    "warning",
                )


def external_metrics_have_one_server(self: "Platform") -> Iterator[Fault]:
    if self.observability.metrics_adapter is not True:
        return
    for site in self.sites:
        scaled = [config for _, config in site_configs(self, site).values() if config.scaling]
        by_keda = [config.name for config in scaled if config.scaling and config.scaling.backend == "keda"]
        others = [
            config.name
            for config in scaled
            if config.name not in by_keda and any(each.metric_type == "External" for each in config.custom_metrics)
        ]
        if by_keda and others:
            yield Fault(
                ("observability", "metrics_adapter"),
                f"registers the API of external metrics for '{others[0]}' in cluster '{site.cluster}', and so does "
                f"KEDA, which scales '{by_keda[0]}': a cluster has one",
                f"scale '{others[0]}' by KEDA too, or by a metric of another type",
                True,
            )
            return
