"""What must hold between the settings of an edge, and between them and the store that it fetches from."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from aether_deploy.config.base import Fault
from aether_deploy.infrastructure.edge.policy import origins_of
from aether_deploy.infrastructure.edge.ports import HTTP, HTTPS
from aether_deploy.infrastructure.estate import Estate
from aether_deploy.problems import suggestion
from aether_deploy.quantities import bytes_of

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.edge import EdgeConfig


def it_has_an_image(self: "EdgeConfig") -> Iterator[Fault]:
    if self.image is None:
        yield Fault((), "lacks 'image', which its pods run", "add image: nginx:<version>@sha256:<64 hex digits>")


def classes_do_not_meet(self: "EdgeConfig") -> Iterator[Fault]:
    seen: dict[str, str] = {}
    for place, each in enumerate(self.cache_classes):
        if each.enabled and each.match in seen:
            reason = f"also what class '{seen[each.match]}' matches"
            yield Fault(("cache_classes", place, "match"), reason, "give it another path, or drop one", each.match)
        elif each.enabled:
            seen[each.match] = each.name


def what_is_kept_has_room(self: "EdgeConfig") -> Iterator[Fault]:
    limit = self.resources.ephemeral_limit
    if isinstance(limit, str) and bytes_of(self.cache_size) * 11 // 10 > bytes_of(limit):
        reason = (
            f"more than resources.ephemeral_limit bears, which is {limit}: the pod would be evicted when it is full"
        )
        fix = "lower it, or leave ephemeral_limit out"
        yield Fault(("cache_size",), reason, fix, self.cache_size)


def exposed_ports_exist(self: "EdgeConfig") -> Iterator[Fault]:
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


# --- where it runs


def faults_of(self: "EdgeConfig", estate: Estate) -> Iterator[Fault]:
    """Yield what is wrong with it where it is to run; steps begin at the component."""
    store = estate.component(self.store)
    stores = [each.name for each in estate.components if getattr(each, "kind", "") == "object_store"]
    if store is None or store.name not in stores:
        known = stores if store is None or getattr(store, "kind", None) is not None else None
        if known is None:
            return  # its store could not be read, which is said there
        fix = suggestion(self.store, stores, "name an object store of this file, and a bucket of it")
        yield Fault(("origin",), f"no object store is called '{self.store}'", fix, self.origin)
        return
    if not store.enabled:
        yield Fault(("origin",), f"'{self.store}' is switched off", "switch this off, too", self.origin)
        return
    yield from _of_bucket(self, store)
    yield from _of_shield(self, estate)
    for code in self.placed_in(estate):
        if not origins_of(self, store, estate, code):
            reason = f"reached from no region but its own, so the edge in {code} has nowhere to fetch from"
            fix = f"give '{store.name}' an endpoint and expose its port s3, or place the edge where it is"
            yield Fault(("origin",), reason, fix, self.origin)
            return


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
    if self.shield is None:
        return
    if self.shield in estate.disabled:
        yield Fault(("shield",), "switched off", "name another, or remove it", self.shield)
    elif self.shield not in self.placed_in(estate) and estate.region(self.shield) is not None:
        yield Fault(("shield",), "has no edge of this component", "name a region where it runs", self.shield)
