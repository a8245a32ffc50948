"""Back end ``cloudflare``: rules of a zone, as the bodies of requests to Cloudflare's API. Nothing runs here."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from aether_deploy.config.base import Fault
from aether_deploy.infrastructure.component import Place, Port
from aether_deploy.infrastructure.edge.cloudflare_rules import document_text, documents_of
from aether_deploy.infrastructure.edge.outside import HTTPS, copies_reached, fetching_faults, objects_of, page_faults
from aether_deploy.infrastructure.edge.provider_runbooks import cloudflare_runbook
from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.object_store.regions import SELF_HOSTED
from aether_deploy.pods.names import NAME_MAX

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.edge import EdgeConfig
    from aether_deploy.infrastructure.kinds.object_store import ObjectStoreConfig

LONGEST_NAME = NAME_MAX - len("-external")
"""So that its back end can be changed without another name."""


class CloudflareBackend:
    """Renders rules: one origin, no choice of where the shield stands."""

    called = "Cloudflare"

    def ports(self, config: "EdgeConfig") -> tuple[Port, ...]:
        return (HTTPS,)

    def own_faults(self, config: "EdgeConfig") -> Iterator[Fault]:
        if config.shield is not None:
            reason = "not kept: Cloudflare chooses itself where the tier stands that others ask first"
            fix = f"remove it; {config.name}.md in the runbooks has the request that switches Tiered Cache on"
            yield Fault(("shield",), reason, fix, config.shield)
        if config.cloudflare is None:
            return
        zone = config.cloudflare.zone
        inner = config.hostname.removesuffix(f".{zone}")
        if config.hostname not in (zone, f"{inner}.{zone}"):
            reason = f"'{config.hostname}' does not end in it, so the zone gets no request for it"
            yield Fault(("cloudflare", "zone"), reason, "name the zone that hostname belongs to", zone)
        elif config.hostname != zone and "." in inner:
            reason = f"more than one label below the zone '{zone}': Universal SSL has no certificate for it"
            fix = f"take a name such as {inner.replace('.', '-')}.{zone}, or order an advanced certificate"
            yield Fault(("hostname",), reason, fix, config.hostname, "warning")

    def placed_faults(self, config: "EdgeConfig", store: "ObjectStoreConfig", estate: Estate) -> Iterator[Fault]:
        origins = copies_reached(config, store, estate)
        yield from fetching_faults(config, store, origins[:1], self.called)
        yield from page_faults(config, estate, self.called)
        if len(config.name) > LONGEST_NAME:
            reason = f"has {len(config.name)} characters; with backend nginx its Service '<name>-external' takes 63"
            yield Fault(("name",), reason, f"take {len(config.name) - LONGEST_NAME} off", config.name)
        if len(origins) > 1:
            spare = ", ".join(each.name for each in origins[1:])
            reason = f"rules of Cloudflare name one origin: the copy in {spare} is never asked"
            fix = "put a load balancer of Cloudflare before them by hand, or set backend to cloudfront or nginx"
            yield Fault(("origin",), reason, fix, config.origin, "warning")
        if origins and not origins[0].is_s3 and store.provider != SELF_HOSTED:
            reason = f"'{store.name}' is asked by a host name of its own, which not every plan of Cloudflare may set"
            fix = "check that yours has Host header overrides in Origin Rules, or set backend to cloudfront or nginx"
            yield Fault(("origin",), reason, fix, config.origin, "warning")

    def render(self, config: "EdgeConfig", place: Place) -> list[dict[str, Any]]:
        return objects_of(config, place)

    def runbooks(self, config: "EdgeConfig", estate: Estate) -> Mapping[str, str]:
        files = {
            f"{config.name}-cloudflare-{phase}.json": document_text(body)
            for phase, body in documents_of(config, estate).items()
        }
        return {f"{config.name}.md": cloudflare_runbook(config, estate), **files}

    def origins_asked(self, count: int) -> int:
        return min(count, 1)


BACKEND = CloudflareBackend()
