"""The section ``components``: where each runs, what calls it, and what its folder holds."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from aether_deploy.config.base import Fault
from aether_deploy.config.marks import Tagged
from aether_deploy.infrastructure.component import ComponentConfig, Place, UnreadComponent
from aether_deploy.infrastructure.estate import Datacenter, Estate, EstateRegion, datacenter_name
from aether_deploy.infrastructure.registry import component_types
from aether_deploy.platform.distance import round_trip_ms
from aether_deploy.platform.encrypted import SecretUse
from aether_deploy.platform.parts import RegionConfig, Site
from aether_deploy.pods.names import CONTROLLER_NAME_MAX, name_max
from aether_deploy.pods.paths import CREDENTIALS_FOLDER
from aether_deploy.pods.storage import SecretFile
from aether_deploy.pods.surroundings import Peer, Surroundings
from aether_deploy.problems import suggestion

if TYPE_CHECKING:
    from aether_deploy.fleet.config import DeploymentConfig
    from aether_deploy.platform.config import Platform
    from aether_deploy.platform.placing import EntryView

Steps = tuple[str | int, ...]


def _unread(raw: object) -> UnreadComponent:
    """Return what stands for a component that could not be read, with what can be read of it."""
    kind = raw.get("kind") if isinstance(raw, Mapping) else None
    return UnreadComponent.of(raw, component_types().get(kind) if isinstance(kind, str) else None)


Component = Annotated[Any, Tagged("kind", component_types, _unread)]


def estate_of(platform: "Platform") -> Estate:
    """Return regions, datacenters and links as components see them."""
    regions = tuple(_region(region) for region in platform.regions if region.enabled)
    shown = [region for region in platform.regions if region.enabled]
    trips = {}
    for place, one in enumerate(shown):
        for other in shown[:place]:
            found = round_trip_ms(one, other, platform.links)
            if found is not None:
                trips[frozenset((one.code, other.code))] = found
    return Estate(
        system=platform.name,
        environment=platform.environment,
        regions=regions,
        disabled=frozenset(region.code for region in platform.regions if not region.enabled),
        round_trips=trips,
        bandwidths={frozenset(link.between): link.bandwidth_mbps for link in platform.links if link.bandwidth_mbps},
        tools_image=platform.tools_image,
        components=tuple(platform.components),
    )


def _region(region: RegionConfig) -> EstateRegion:
    code = region.code
    datacenters = [Datacenter(datacenter_name(code, zone), zone, code, region.cluster) for zone in region.zones]
    datacenters += [
        Datacenter(each.name, each.zone, code, each.cluster or region.cluster, each.role == "witness")
        for each in region.datacenters
        if each.enabled
    ]
    return EstateRegion(code, region.cluster, tuple(datacenters), region.provider, region.storage_class)


def components_at(platform: "Platform", site: Site) -> list[ComponentConfig]:
    """Return the components that have pods at ``site``, by name."""
    found = [each for each in platform.components if each.enabled and _runs_at(platform, each, site)]
    return sorted(found, key=lambda each: str(each.name))


def _runs_at(platform: "Platform", component: ComponentConfig, site: Site) -> bool:
    placed = not site.witness and site.region.code in component.placed_in(platform.estate)
    return placed or any(each.cluster == site.cluster for each in component.witnesses(platform.estate))


def witness_clusters(platform: "Platform") -> Iterator[tuple[RegionConfig, str]]:
    """Yield the clusters in which components have nothing but a witness, each with the region that lists it."""
    regions = {region.code: region for region in platform.regions}
    own = {region.cluster for region in platform.regions}
    seen: set[str] = set()
    for component in platform.components:
        for datacenter in component.witnesses(platform.estate) if component.enabled else ():
            if datacenter.cluster not in own and datacenter.cluster not in seen:
                seen.add(datacenter.cluster)
                yield regions[datacenter.region], datacenter.cluster


def place_of(platform: "Platform", site: Site, surroundings: Surroundings) -> Place:
    """Return the place that ``site`` is for components."""
    region = platform.estate.region(site.region.code)
    assert region is not None
    here = tuple(each for each in platform.estate.datacenters if each.cluster == site.cluster)
    return Place(
        estate=platform.estate, region=region, cluster=site.cluster, datacenters=here, surroundings=surroundings
    )


def component_peer(platform: "Platform", component: ComponentConfig, *, external: bool = False) -> Peer:
    """Return a component as those that use it see it."""
    exposed = component.expose.ports if external and component.expose else None
    ports = tuple(port for port in component.client_ports if exposed is None or port[0] in exposed)
    return Peer(
        name=component.name,
        namespace=platform.data_namespace,
        ports=ports,
        external=external,
        url=component.client_url(platform.estate),
    )


def server_of(platform: "Platform", component: ComponentConfig, site: Site) -> str | None:
    """Return the code of the region whose pods answer clients at ``site``; None where it runs nowhere."""
    own = component.serving_region(platform.estate, site.region.code)
    if own is not None:
        return own
    serving = {
        code
        for region in component.placed_in(platform.estate)
        if (code := component.serving_region(platform.estate, region)) is not None
    }
    return min(serving, key=lambda code: _far(platform, site, code), default=None)


def _far(platform: "Platform", site: Site, code: str) -> tuple[float, int]:
    trip = platform.estate.round_trip_ms(site.region.code, code)
    order = [region.code for region in platform.estate.regions]
    return (float("inf") if trip is None else trip, order.index(code))


def endpoint_of(platform: "Platform", component: ComponentConfig, code: str) -> str | None:
    """Return the host name at which other regions reach a component in region ``code``; None where it has none."""
    return None if component.endpoint is None else platform.estate.filled(component.endpoint, code)


def credential_files(platform: "Platform", config: "DeploymentConfig") -> list[SecretFile]:
    """Return the credentials of the components that a workload uses, as files of it."""
    found = []
    for name in config.uses:
        component = platform.component(name)
        if component is not None and component.credentials is not None:
            secret = component.credentials
            item = f"{name}-credentials" if "." in secret else secret  # it names a volume, which has no dots
            found.append(SecretFile(name=item, secret=secret, path=f"{CREDENTIALS_FOLDER}/{name}"))
    return found


def component_secrets(components: Iterable[ComponentConfig], place: Place) -> tuple[SecretUse, ...]:
    """Return every Secret that ``components`` need at ``place``, each once, by name."""
    keys: dict[str, dict[str, str]] = {}
    pulls: set[str] = set()
    for component in components:
        pulls.update(component.pull_secrets)
        for secret, needed in component.secrets(place).items():
            keys.setdefault(secret, {}).update(dict.fromkeys(needed, component.name))
    return tuple(
        SecretUse(name, tuple(sorted(keys.get(name, {}).items())), name in pulls) for name in sorted({*keys, *pulls})
    )


# --- rules of the platform


def component_regions_exist(self: "Platform") -> Iterator[Fault]:
    codes = [region.code for region in self.regions]
    for place, component in enumerate(self.components):
        for at, code in component.named_regions.items():
            if code not in codes:
                fix = suggestion(code, codes, f"known are {', '.join(codes)}")
                yield Fault(("components", place, *at), "no region has that code", fix, code)
        wanted = component.regions
        if wanted == "all":
            continue
        placed = component.placed_in(self.estate)
        if (
            component.enabled
            and not placed
            and not isinstance(component, UnreadComponent)
            and all(code in codes for code in wanted)
        ):
            yield Fault(
                ("components", place, "regions"),
                "names no region that is enabled",
                "name one, or use enabled: false",
                wanted,
            )


def placed_faults(platform: "Platform") -> list[tuple[Fault, ...]]:
    """Return what is wrong with each component where it is to run, in file order."""
    return [
        tuple(each.faults(platform.estate)) if each.enabled and _is_judged(platform, each) else ()
        for each in platform.components
    ]


def _is_judged(platform: "Platform", component: ComponentConfig | UnreadComponent) -> bool:
    """Return whether a component is to run somewhere; one that could not be read sees to that itself."""
    return isinstance(component, UnreadComponent) or bool(component.placed_in(platform.estate))


def components_are_sound(self: "Platform") -> Iterator[Fault]:
    for place, faults in enumerate(self.component_faults):
        yield from (msgspec.structs.replace(fault, at=("components", place, *fault.at)) for fault in faults)


def component_names_fit(self: "Platform") -> Iterator[Fault]:
    """Look at the names that objects really get, where a name is long enough for the question to arise."""
    longest = max((len(each.name) for each in self.estate.datacenters), default=0)
    for place, component in _rendered(self):
        if len(component.name) + longest + _LONGEST_ENDING <= CONTROLLER_NAME_MAX:
            continue
        found = _names(self, component)
        over = sorted((name_max(kind) - len(name), kind, name) for kind, name in found if len(name) > name_max(kind))
        if over:
            less, kind, name = over[0]
            reason = f"makes the {kind} '{name}' with {len(name)} characters, and its name has at most {name_max(kind)}"
            yield Fault(("components", place, "name"), reason, f"take {-less} off", component.name)


_LONGEST_ENDING = len("-headless-00")


def _rendered(platform: "Platform") -> list[tuple[int, ComponentConfig]]:
    """Return the components that can be rendered, each with its place."""
    return [
        (place, each)
        for place, (each, faults) in enumerate(zip(platform.components, platform.component_faults, strict=True))
        if each.placed_in(platform.estate) and not any(fault.severity == "error" for fault in faults)
    ]


def _names(platform: "Platform", component: ComponentConfig) -> set[tuple[str, str]]:
    """Return kind and name of the component's objects in all clusters."""
    return {
        (body["kind"], body["metadata"]["name"])
        for site in platform.sites
        if _runs_at(platform, component, site)
        for body in component.render(place_of(platform, site, Surroundings(kubernetes=site.kubernetes)))
    }


def component_objects_are_told_apart(self: "Platform") -> Iterator[Fault]:
    """Look at components of which one's name begins as the other's: ``accounts`` and ``accounts-repl``."""
    rendered = _rendered(self)
    for place, component in rendered:
        for _, other in rendered:
            if component.name.startswith(f"{other.name}-"):
                for kind, name in sorted(_names(self, component) & _names(self, other))[:1]:
                    reason = f"its {kind} '{name}' is one of '{other.name}' too"
                    yield Fault(("components", place, "name"), reason, "give it another name", component.name)


def component_balancers_stay_internal(self: "Platform") -> Iterator[Fault]:
    for place, component in enumerate(self.components):
        expose = component.expose
        if expose is None or not expose.internal or expose.annotations:
            continue
        for code in component.placed_in(self.estate):
            region = self.estate.region(code)
            if region is not None and region.provider not in ("aws", "gcp", "azure"):
                yield Fault(
                    ("components", place, "expose", "internal"),
                    "no field of Kubernetes keeps a load balancer internal, "
                    f"and region '{code}' names no provider that is known",
                    f"give region '{code}' a provider (aws, gcp, azure), or give expose the annotations of yours",
                    True,
                )


def credentials_have_room(self: "Platform") -> Iterator[Fault]:
    """A workload's own Secret files must not stand where the credentials of what it uses go."""
    for view in self.entries:
        taken = next(_files_in_the_way(self, view), None)
        if taken is not None:
            reason = f"its secret_files has '{taken}' where the credentials of what it uses go"
            yield Fault((*view.at, "uses"), reason, "give that file another name and path")


def _files_in_the_way(platform: "Platform", view: "EntryView") -> Iterator[str]:
    for code in view.regions:
        config = platform.expanded_in(view.at, code).config
        if config is not None:
            given = credential_files(platform, config)
            yield from (own.name for file in given for own in config.secret_files if _in_the_way(own, file))


def _in_the_way(own: SecretFile, given: SecretFile) -> bool:
    """Return whether two files have one name, or one lies in the other's folder."""
    return (
        own.name == given.name or f"{own.path}/".startswith(f"{given.path}/") or given.path.startswith(f"{own.path}/")
    )


def standby_faults(platform: "Platform", view: "EntryView", site: Site, name: str, at: Steps) -> Iterator[Fault]:
    """Yield that a component's name leads users at ``site`` to a standby, since its operator calls a Service so."""
    component = platform.component(name)
    if component is not None and component.occupies_its_name(platform.estate, site.region.code):
        reason = f"its operator makes a Service of that name in {site.region.code}, which takes no writes"
        fix = f"run '{view.name}' elsewhere, or let another back end run '{name}'"
        yield Fault(at, reason, fix, name)


def names_of_components(platform: "Platform") -> Mapping[str, Mapping[str, Any]]:
    """Return every component's name, with whether it is switched on."""
    return {each.name: {"name": each.name, "enabled": each.enabled} for each in platform.components}
