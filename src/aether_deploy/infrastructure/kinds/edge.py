"""The kind ``edge``: a cache before an object store, near to players."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from aether_deploy.config.base import FILLED, Fault, rule
from aether_deploy.config.marks import Keyed, OneOf, TextRule
from aether_deploy.config.sink import FAULTY
from aether_deploy.config.types import DnsLabel, PositiveCount, SizeQuantity
from aether_deploy.infrastructure.component import ComponentConfig, FileChange, Place, Port
from aether_deploy.infrastructure.edge import rules
from aether_deploy.infrastructure.edge.backend import RUNS_HERE, Backend, backend_names, backend_of
from aether_deploy.infrastructure.edge.examples import COMPANIONS, EXAMPLES
from aether_deploy.infrastructure.edge.outside import DOCUMENT
from aether_deploy.infrastructure.edge.parts import (
    PUBLIC_NAME,
    CacheClass,
    EdgeCloudflare,
    EdgeCloudFront,
    EdgeTls,
    PublicName,
)
from aether_deploy.infrastructure.edge.ports import HTTP, HTTPS
from aether_deploy.infrastructure.estate import Estate
from aether_deploy.patterns import Pattern
from aether_deploy.quantities import bytes_of

OriginRef = Annotated[
    str,
    TextRule(
        what="a bucket of an object store",
        pattern="[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9-]*",
        fix="write <object store>/<bucket>: assets/game-assets",
    ),
]
_NAME = Pattern(PUBLIC_NAME)


class EdgeConfig(ComponentConfig):
    """A cache before a bucket, in each region or at a provider: what is public of it, and nothing else.

    Attributes:
        kind: ``edge``.
        backend: ``nginx`` runs here. ``cloudflare`` and ``cloudfront`` are a provider's: what they must be told lies
            in the runbooks, to be applied by hand, and nothing runs here.
        replicas: nginx: pods in each region, each of which keeps its own; left out, 2.
        origin: The bucket that it fetches from: ``assets/game-assets``. The copy that is nearest is asked first, and
            the others in turn where it does not answer, or has not got the object yet.
        hostname: The name that players ask for.
        shield: A region whose edge the others ask before any origin; with ``cloudfront``, one of Amazon's.
        cache_size: nginx: what each pod keeps at most; left out, 10Gi.
        cache_classes: How long what is kept. What belongs to none is passed on and not kept.
        tls: nginx: the certificate of ``hostname``; left out, something before the edge has it.
        cloudflare: What an edge of Cloudflare must know.
        cloudfront: What an edge of CloudFront must know.
    """

    KIND_NAME: ClassVar[str] = "edge"

    EXAMPLES: ClassVar[Mapping[str, Mapping[str, Any]]] = EXAMPLES
    COMPANIONS: ClassVar[Sequence[Mapping[str, Any]]] = COMPANIONS

    kind: Literal["edge"] = FILLED
    backend: Annotated[str, OneOf(backend_names())] = RUNS_HERE
    replicas: PositiveCount = FILLED
    origin: OriginRef
    hostname: PublicName
    shield: DnsLabel | None = None
    cache_size: SizeQuantity = FILLED
    cache_classes: Annotated[Sequence[CacheClass], Keyed("name")] = ()
    tls: EdgeTls | None = None
    cloudflare: EdgeCloudflare | None = None
    cloudfront: EdgeCloudFront | None = None

    @classmethod
    def fill(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what is given and the defaults of the kind beneath it: room for what is kept, and an address."""
        if any(given.get("backend") == name for name in backend_names() if name != RUNS_HERE):
            return {"kind": cls.KIND_NAME, **super().fill(given)}
        given = {"replicas": 2, "cache_size": "10Gi", **given}
        size, said = given["cache_size"], given.get("resources", {})
        if isinstance(said, Mapping) and said.get("ephemeral_limit") is None and _is_size(size):
            given = {**given, "resources": {**said, "ephemeral_limit": room_for(size)}}
        filled = {"kind": cls.KIND_NAME, "expose": {"type": "LoadBalancer"}, **given}
        filled = dict(super().fill(filled))
        known = isinstance(given.get("hostname"), str) and _NAME.fullmatch(given["hostname"])
        filled.setdefault("endpoint", "{region}." + given["hostname"] if known else FAULTY)
        expose = given.get("expose", {"type": "LoadBalancer"})
        if isinstance(expose, Mapping) and "ports" not in expose and given.get("tls") not in (None, "none"):
            filled["expose"] = {**expose, "ports": [HTTP[0], HTTPS[0]]}
        return filled

    @classmethod
    def default_limits(cls) -> Mapping[str, str]:
        return {
            "cpu_limit": "500m",
            "memory_limit": "512Mi",
            "ephemeral_limit": "12Gi",
        }

    @classmethod
    def default_exposed(cls) -> Sequence[str]:
        return [HTTP[0]]

    @property
    def store(self) -> str:
        """The object store that it fetches from."""
        return self.origin.partition("/")[0]

    @property
    def bucket(self) -> str:
        """The bucket that it fetches from."""
        return self.origin.partition("/")[2]

    @property
    def renderer(self) -> Backend:
        """The back end that renders it."""
        return backend_of(self.backend)

    @property
    def runs_here(self) -> bool:
        """Whether it has pods."""
        return self.backend == RUNS_HERE

    @property
    def client_ports(self) -> tuple[Port, ...]:
        return self.renderer.ports(self)

    def serving_region(self, estate: Estate, region: str) -> str | None:
        """Return the region itself where it has pods there: a provider's edge answers from nowhere in particular."""
        return super().serving_region(estate, region) if self.runs_here else None

    def client_url(self, estate: Estate) -> str | None:
        """Return the address of a provider's edge: its certificate has that name, and no other."""
        return None if self.runs_here else f"https://{self.hostname}"

    @property
    def credentials(self) -> str | None:
        """Nobody logs in: what it answers is public."""
        return None

    @property
    def named_regions(self) -> Mapping[tuple[str | int, ...], str]:
        own = dict(super().named_regions)
        # A provider has regions of its own.
        return {**own, ("shield",): self.shield} if self.shield is not None and self.runs_here else own

    def secrets(self, place: Place) -> Mapping[str, tuple[str, ...]]:
        """Return the Secret with the certificate."""
        return {} if self.tls is None else {self.tls.secret: ("tls.crt", "tls.key")}

    def faults(self, estate: Estate) -> Iterator[Fault]:
        yield from rules.faults_of(self, estate)

    def render(self, place: Place) -> list[dict[str, Any]]:
        return self.renderer.render(self, place)

    @classmethod
    def file_changes(cls, before: Mapping[str, str], after: Mapping[str, str]) -> Sequence[FileChange]:
        """Return what becomes of another file of nginx, or of what a provider is told.

        Pods that get another file are replaced, and begin with nothing kept. What a provider is told somebody applies.
        """
        names = sorted(before.keys() | after.keys())
        changed = [name for name in names if name in after and before.get(name) != after[name]]
        told = [name for name in changed if name.endswith(DOCUMENT)]
        left = [name for name in names if name.endswith(DOCUMENT) and name not in after]
        found = [FileChange("by hand", f"somebody has to apply {', '.join(told)}, as the runbook says")] if told else []
        if left:
            says = f"what {', '.join(left)} made at the provider stays there until somebody deletes it"
            found.append(FileChange("by hand", says))
        if found or not changed:
            return found
        says = f"a new pod takes {', '.join(changed)}; what the old one kept is fetched again"
        return [FileChange("restarts", says)]

    def runbooks(self, estate: Estate) -> Mapping[str, str]:
        return self.renderer.runbooks(self, estate)

    it_has_an_image = rule(rules.it_has_an_image)
    classes_do_not_meet = rule(rules.classes_do_not_meet)
    what_is_kept_has_room = rule(rules.what_is_kept_has_room)
    exposed_ports_exist = rule(rules.exposed_ports_exist)
    its_image_knows_its_file = rule(rules.its_image_knows_its_file)
    names_of_what_is_kept_have_room = rule(rules.names_of_what_is_kept_have_room)
    something_is_kept = rule(rules.something_is_kept)
    the_shield_is_reached = rule(rules.the_shield_is_reached)
    a_provider_runs_no_pods = rule(rules.a_provider_runs_no_pods)
    a_backend_has_its_own_settings = rule(rules.a_backend_has_its_own_settings)
    its_backend_can_do_that = rule(rules.its_backend_can_do_that)


def _is_size(text: object) -> bool:
    try:
        return isinstance(text, str) and bytes_of(text) > 0
    except ValueError:
        return False


def room_for(size: str) -> str:
    """Return the scratch disk that a pod needs which keeps ``size``: a tenth more, and 1 GiB for logs."""
    return f"{-(-bytes_of(size) * 11 // 10) // 2**20 + 1024}Mi"


KIND = EdgeConfig
