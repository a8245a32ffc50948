"""The workloads and objects that the section ``routing`` makes: the router, and those of back ends."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from aether_deploy.config.compiling import compile_type
from aether_deploy.config.merging import merge
from aether_deploy.fleet.config import DeploymentConfig
from aether_deploy.manifest.value import Manifest
from aether_deploy.platform.expansion import ROUTING, Expanded, Layer, Steps, expand_entry
from aether_deploy.platform.parts import Site
from aether_deploy.platform.placing import EntryView
from aether_deploy.platform.routing import is_refused, routing_of, unjudged_router_config
from aether_deploy.platform.routing_config import ROUTER, RoutingConfig, secrets_of_router
from aether_deploy.routing.probe_target import target_of
from aether_deploy.routing.router_config import probe_faults
from aether_deploy.traffic.backend import Landscape, Port

if TYPE_CHECKING:
    from aether_deploy.platform.config import Platform

ROUTER_FILE = "/etc/aether/router.json"
_ROUTER_PORT = 8080


class RoutingEntry(msgspec.Struct, frozen=True):
    """A workload that the section ``routing`` makes.

    Attributes:
        view: Where it stands and runs.
        expansions: As it runs in each region.
        outside: Ports that its pods dial outside their cluster, by region.
    """

    view: EntryView
    expansions: dict[str | None, Expanded]
    outside: Mapping[str, tuple[Port, ...]]


def names_of_routing(routing: RoutingConfig) -> dict[str, Mapping[str, Any]]:
    """Return the names of the workloads that the section makes, with whether each is switched on."""
    names = {each.name: {"name": each.name, "enabled": each.enabled} for each in routing.backends}
    return {**({ROUTER: {"name": ROUTER}} if routing.service is not None else {}), **names}


def routing_entries(platform: "Platform") -> list[RoutingEntry]:
    """Return the workloads that the section makes: the router, and those of back ends that have pods."""
    routing, landscape = routing_of(platform), platform.landscape
    if routing is None or landscape is None:
        return []
    found = []
    if isinstance(routing.service, Mapping):
        outside = tuple(_dialled_by_router(routing, landscape))
        said = _router_values(platform, routing.service)
        found.append(
            _entry(
                platform,
                (ROUTING, "service"),
                ROUTER,
                dict.fromkeys(landscape.regions, said),
                dict.fromkeys(landscape.regions, outside),
            )
        )
    taken = {view.name for view in platform.authored} | {ROUTER}
    sound = [each.name for each in routing.sound_backends if each.name not in taken]
    for place, backend in enumerate(routing.backends):
        if backend.name in sound and not is_refused(backend, landscape):
            made = {code: backend.workload(landscape, code) for code in landscape.regions}
            pods = {code: each for code, each in made.items() if each is not None}
            if pods:
                dials = {code: backend.outside(landscape, code) for code in pods}
                found.append(_entry(platform, (ROUTING, "backends", place), backend.name, pods, dials))
    return found


def _dialled_by_router(routing: RoutingConfig, landscape: Landscape) -> Iterator[Port]:
    if landscape.question is not None:
        yield landscape.question.port
    if routing.self_check is not None and not any(probe_faults((), routing.self_check)):
        yield ("self-check", target_of(routing.self_check).port, "TCP")


def _entry(
    platform: "Platform",
    at: Steps,
    name: str,
    values: Mapping[str, Mapping[str, Any]],
    outside: Mapping[str, tuple[Port, ...]],
) -> RoutingEntry:
    defaults = platform.defaults.as_layers()
    beneath = [Layer(("defaults", each), defaults[each]) for each in ("workloads", "services") if defaults[each]]
    made: list[tuple[Mapping[str, Any], Expanded]] = []
    expansions: dict[str | None, Expanded] = {}
    for code, each in values.items():
        known = next((expanded for said, expanded in made if said == each), None)
        if known is None:
            known = expand_entry((*beneath, Layer(at, {"name": name, **each})), "services")
            made.append((each, known))
        expansions[code] = known
    expansions[None] = made[0][1]
    return RoutingEntry(EntryView(at, {"name": name, "enabled": True}, tuple(values)), expansions, outside)


def _router_values(platform: "Platform", service: Mapping[str, Any]) -> dict[str, Any]:
    """Return the router as an entry of ``services``: what it needs, with what the author says over it."""
    import json

    said = {name: value for name, value in service.items() if name not in ("name", "regions", "per_region", "enabled")}
    args = ["router", "serve", "--config", ROUTER_FILE, "--listen", f"0.0.0.0:{_ROUTER_PORT}"]
    for option, _, each in secrets_of_router(said):
        if isinstance(each.get("path"), str):
            args += [option, each["path"]]
    text = json.dumps(unjudged_router_config(platform).to_settings(), indent=2) + "\n"
    base: dict[str, Any] = {
        "args": args,
        "config_files": [{"name": "router.json", "path": ROUTER_FILE, "text": text}],
        "topology": {"spread_across_zones": True},
    }
    return dict(merge(base, said, compile_type(DeploymentConfig)))


def routing_manifests(platform: "Platform", site: Site) -> dict[str, list[Manifest]]:
    """Return the objects of back ends at ``site`` beside those of their workloads, by the back end's name."""
    routing, landscape = routing_of(platform), platform.landscape
    if routing is None or landscape is None or site.witness:
        return {}
    found = {}
    for backend in routing.sound_backends:
        bodies = backend.render(landscape, site.region.code)
        if bodies:
            found[backend.name] = [Manifest(body, f"{ROUTING}.{backend.name}") for body in bodies]
    return found


def outside_annotations(platform: "Platform", site: Site, name: str) -> dict[str, str]:
    """Return what back ends write on the external Service of a workload at ``site``."""
    routing, landscape = routing_of(platform), platform.landscape
    found: dict[str, str] = {}
    if routing is not None and landscape is not None and not site.witness:
        for backend in routing.sound_backends:
            found |= backend.annotations(landscape, site.region.code, name)
    return found


def dialled_outside(platform: "Platform", site: Site, name: str) -> tuple[Port, ...]:
    """Return the ports that a workload of routing dials outside its cluster."""
    return next((each.outside.get(site.region.code, ()) for each in platform.directed if each.view.name == name), ())
