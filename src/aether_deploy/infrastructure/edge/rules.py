"""What must hold between the settings of an edge, and between them and the store that it fetches from."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from aether_deploy.config.base import Fault, judged
from aether_deploy.infrastructure.component import UnreadComponent
from aether_deploy.infrastructure.edge.nginx import KEYS_MB, OLDEST
from aether_deploy.infrastructure.edge.policy import origins_of
from aether_deploy.infrastructure.edge.ports import HTTP, HTTPS
from aether_deploy.infrastructure.estate import Estate
from aether_deploy.patterns import Pattern
from aether_deploy.pods.parts import NetworkConfig
from aether_deploy.problems import suggestion
from aether_deploy.quantities import bytes_of

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.edge import EdgeConfig
    from aether_deploy.infrastructure.kinds.object_store import ObjectStoreConfig

_TAG = Pattern(r"nginx[^/@]*:v?([0-9]+)\.([0-9]+)\.([0-9]+)")

_BLOCKS = {
    "cloudflare": "{zone: example.com}",
    "cloudfront": "{certificate_arn: arn:aws:acm:us-east-1:<account>:certificate/<id>}",
}
"""Settings of one back end each, called as it, and how they look."""

_POD_FIELDS = (
    "image",
    "replicas",
    "cache_size",
    "expose",
    "endpoint",
    "tls",
    "network",
    "priority_class",
    "pull_secrets",
    "node_selector",
    "tolerations",
)
"""Settings of pods, and of what leads to them."""


def classes_do_not_meet(self: "EdgeConfig") -> Iterator[Fault]:
    seen: dict[str, str] = {}
    for place, each in enumerate(self.cache_classes):
        if each.enabled and each.match in seen:
            reason = f"also what class '{seen[each.match]}' matches"
            yield Fault(("cache_classes", place, "match"), reason, "give it another path, or drop one", each.match)
        elif each.enabled:
            seen[each.match] = each.name


def something_is_kept(self: "EdgeConfig") -> Iterator[Fault]:
    if not any(each.enabled for each in self.cache_classes):
        fix = "add cache_classes: [{name: hashed, match: /public/build/, ttl_secs: 31536000, immutable: true}]"
        reason = "none, so nothing is kept: every request goes to an origin"
        yield Fault(("cache_classes",), reason, fix, severity="warning")


def a_backend_has_its_own_settings(self: "EdgeConfig") -> Iterator[Fault]:
    yield from judged(*(_settings_of(self, name) for name in _BLOCKS))


def _settings_of(self: "EdgeConfig", name: str) -> Iterator[Fault]:
    said = getattr(self, name)
    if name != self.backend and said is not None:
        yield Fault((name,), f"not used: backend is {self.backend}", f"remove it, or set backend to {name}")
    elif name == self.backend and said is None:
        yield Fault((), f"lacks '{name}', which its back end must know", f"add {name}: {_BLOCKS[name]}")


def its_backend_can_do_that(self: "EdgeConfig") -> Iterator[Fault]:
    yield from self.renderer.own_faults(self)


def a_provider_runs_no_pods(self: "EdgeConfig") -> Iterator[Fault]:
    if self.runs_here:
        return
    yield from judged(*(_unused(self, name) for name in _POD_FIELDS))


def _unused(self: "EdgeConfig", name: str) -> Iterator[Fault]:
    said = getattr(self, name)
    if said and said != NetworkConfig():
        fix = "remove it, or set backend to nginx"
        yield Fault((name,), f"not used: nothing of {self.renderer.called} runs here", fix)


# --- of pods


def it_has_an_image(self: "EdgeConfig") -> Iterator[Fault]:
    if self.runs_here and self.image is None:
        yield Fault((), "lacks 'image', which its pods run", "add image: nginx:<version>@sha256:<64 hex digits>")


def what_is_kept_has_room(self: "EdgeConfig") -> Iterator[Fault]:
    limit = self.resources.ephemeral_limit
    if self.runs_here and isinstance(limit, str) and bytes_of(self.cache_size) * 11 // 10 > bytes_of(limit):
        reason = (
            f"more than resources.ephemeral_limit bears, which is {limit}: the pod would be evicted when it is full"
        )
        fix = "lower it, or leave ephemeral_limit out"
        yield Fault(("cache_size",), reason, fix, self.cache_size)


def exposed_ports_exist(self: "EdgeConfig") -> Iterator[Fault]:
    if not self.runs_here:
        return
    known = [HTTP[0]] if self.tls is None else [HTTP[0], HTTPS[0]]
    for place, name in enumerate(self.expose.ports if self.expose else ()):
        if name not in known:
            reason = "closed without 'tls'" if name == HTTPS[0] else "no port of it"
            fix = (
                "add tls: {secret: <name>}"
                if name == HTTPS[0]
                else suggestion(name, known, f"known are {', '.join(known)}")
            )
            yield Fault(("expose", "ports", place), reason, fix, name)
    if self.expose is not None and self.expose.per_pod:
        yield Fault(("expose", "per_pod"), "any pod answers any player", "remove it", True)


def its_image_knows_its_file(self: "EdgeConfig") -> Iterator[Fault]:
    found = _TAG.search(self.image or "") if self.runs_here else None
    if found and tuple(map(int, found.groups())) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        reason = f"older than {oldest}, which first knew 'ssl_certificate_cache' and 'server … resolve'"
        yield Fault(("image",), reason, f"take nginx {oldest} or newer", self.image)


def names_of_what_is_kept_have_room(self: "EdgeConfig") -> Iterator[Fault]:
    limit, least = self.resources.memory_limit, f"{2 * KEYS_MB}Mi"
    if self.runs_here and isinstance(limit, str) and bytes_of(limit) < bytes_of(least):
        reason = f"the names of what is kept take {KEYS_MB} MiB alone: nginx would be ended"
        yield Fault(("resources", "memory_limit"), reason, f"set it to {least} or more", limit)


def the_shield_is_reached(self: "EdgeConfig") -> Iterator[Fault]:
    """Yield why the edges of other regions do not reach that of the shield."""
    if self.shield is None or not self.runs_here:
        return
    port = HTTP[0] if self.tls is None else HTTPS[0]
    if self.endpoint is None or self.expose is None:
        missing = "endpoint" if self.endpoint is None else "expose"
        fix = f"leave {missing} out, so that the default is taken, or remove shield"
        yield Fault(("shield",), f"the edges of other regions do not reach it without '{missing}'", fix, self.shield)
        return
    if "{region}" not in self.endpoint and "{cluster}" not in self.endpoint:
        reason = "the same in every region, so that other edges would ask themselves and not the shield"
        yield Fault(("endpoint",), reason, "put {region} in it, or leave it out", self.endpoint)
    if port not in self.expose.ports:
        reason = f"other edges ask it on port '{port}', which is closed"
        yield Fault(("expose", "ports"), reason, f"add {port}, or remove shield", self.expose.ports)


# --- where it runs


def faults_of(self: "EdgeConfig", estate: Estate) -> Iterator[Fault]:
    """Yield what is wrong with it where it is to run; steps begin at the component."""
    yield from judged(_of_origin(self, estate), _of_shield(self, estate))


def _of_origin(self: "EdgeConfig", estate: Estate) -> Iterator[Fault]:
    store = estate.component(self.store)
    if isinstance(store, UnreadComponent):  # what is wrong with it is said there; its buckets may be known
        if _is_store(store.readable):
            yield from _of_bucket(self, store.readable)
        return
    if not _is_store(store):
        stores = [each.name for each in estate.components if _is_store(getattr(each, "readable", each))]
        fix = suggestion(self.store, stores, "name an object store of this file, and a bucket of it")
        yield Fault(("origin",), f"no object store is called '{self.store}'", fix, self.origin)
        return
    if not store.enabled:
        yield Fault(("origin",), f"'{self.store}' is switched off", "switch this off, too", self.origin)
        return
    found = []
    for each in _of_bucket(self, store):
        found.append(each)
        yield each
    if not any(fault.at == ("origin",) for fault in found):
        yield from self.renderer.placed_faults(self, store, estate)


def _is_store(component: object) -> bool:
    return getattr(component, "KIND_NAME", None) == "object_store"


def _of_bucket(self: "EdgeConfig", store: "object") -> Iterator[Fault]:
    buckets = {each.name: each for each in store.buckets}  # type: ignore[attr-defined]
    bucket = buckets.get(self.bucket)
    if bucket is None:
        fix = suggestion(self.bucket, list(buckets), f"known are {', '.join(buckets) or 'none'}")
        yield Fault(("origin",), f"'{self.store}' has no bucket '{self.bucket}'", fix, self.origin)
        return
    if not bucket.enabled or not bucket.public_prefixes:
        what = "is switched off" if not bucket.enabled else "has no public_prefixes, so that nothing of it can be read"
        yield Fault(("origin",), f"bucket '{self.bucket}' {what}", "give it public_prefixes: [public/]", self.origin)
        return
    opened = [f"/{each}" for each in bucket.public_prefixes]
    for place, each in enumerate(self.cache_classes):
        if each.enabled and not any(each.match.startswith(prefix) for prefix in opened):
            reason = f"outside of what is public in '{self.origin}': nothing below it is ever answered"
            yield Fault(("cache_classes", place, "match"), reason, f"begin it with {' or '.join(opened)}", each.match)


def _of_shield(self: "EdgeConfig", estate: Estate) -> Iterator[Fault]:
    if self.runs_here and self.shield in estate.disabled:
        yield Fault(("shield",), "switched off", "name another, or remove it", self.shield)


def shield_runs_here(self: "EdgeConfig", estate: Estate) -> Iterator[Fault]:
    """Yield why the edges of other regions could not ask that of the shield."""
    if self.shield is None or self.shield in estate.disabled or estate.region(self.shield) is None:
        return
    if self.shield not in self.placed_in(estate):
        yield Fault(("shield",), "has no edge of this component", "name a region where it runs", self.shield)


def every_edge_has_an_origin(self: "EdgeConfig", store: "ObjectStoreConfig", estate: Estate) -> Iterator[Fault]:
    """Yield the first region whose edge could fetch from nowhere."""
    for code in self.placed_in(estate):
        if not origins_of(self, store, estate, code):
            reason = f"reached from no region but its own, so the edge in {code} has nowhere to fetch from"
            fix = f"give '{store.name}' an endpoint and expose its port s3, or place the edge where it is"
            yield Fault(("origin",), reason, fix, self.origin)
            return
