"""The kind ``edge``: a cache before an object store, near to players."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from aether_deploy.config.base import FILLED, Fault, rule
from aether_deploy.config.marks import Keyed, TextRule
from aether_deploy.config.types import HOST_NAME, DnsLabel, PositiveCount, SizeQuantity
from aether_deploy.infrastructure.component import ComponentConfig, FileChange, Place, Port
from aether_deploy.infrastructure.edge import rules
from aether_deploy.infrastructure.edge.examples import COMPANIONS, EXAMPLES
from aether_deploy.infrastructure.edge.parts import CacheClass, EdgeTls
from aether_deploy.infrastructure.edge.ports import HTTP, HTTPS
from aether_deploy.infrastructure.estate import Estate
from aether_deploy.quantities import bytes_of

OriginRef = Annotated[
    str,
    TextRule(
        what="a bucket of an object store",
        pattern="[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9-]*",
        fix="write <object store>/<bucket>: assets/game-assets",
    ),
]
Hostname = Annotated[str, HOST_NAME]


class EdgeConfig(ComponentConfig):
    """A cache before a bucket, in each region: what is public of it, and nothing else.

    Attributes:
        kind: ``edge``.
        backend: ``nginx`` runs here.
        replicas: Pods in each region; each keeps its own.
        origin: The bucket that it fetches from: ``assets/game-assets``. The copy that is nearest is asked first, and
            the others in turn where it does not answer, or has not got the object yet.
        hostname: The name that players ask for.
        shield: A region whose edge the others ask before any origin.
        cache_size: What each pod keeps at most.
        cache_classes: How long what is kept. What belongs to none is passed on and not kept.
        tls: The certificate of ``hostname``; left out, something before the edge has it.
    """

    KIND_NAME: ClassVar[str] = "edge"

    EXAMPLES: ClassVar[Mapping[str, Mapping[str, Any]]] = EXAMPLES
    COMPANIONS: ClassVar[Sequence[Mapping[str, Any]]] = COMPANIONS

    kind: Literal["edge"] = FILLED
    backend: Literal["nginx"] = "nginx"
    replicas: PositiveCount = 2
    origin: OriginRef
    hostname: Hostname
    shield: DnsLabel | None = None
    cache_size: SizeQuantity = "10Gi"
    cache_classes: Annotated[Sequence[CacheClass], Keyed("name")] = ()
    tls: EdgeTls | None = None

    @classmethod
    def fill(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what is given and the defaults of the kind beneath it: room for what is kept, and an address."""
        size, said = given.get("cache_size", "10Gi"), given.get("resources", {})
        if isinstance(said, Mapping) and said.get("ephemeral_limit") is None and _is_size(size):
            given = {**given, "resources": {**said, "ephemeral_limit": room_for(size)}}
        filled = {"kind": cls.KIND_NAME, "expose": {"type": "LoadBalancer"}, **given}
        filled = dict(super().fill(filled))
        if isinstance(given.get("hostname"), str):
            filled.setdefault("endpoint", "{region}." + given["hostname"])
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
    def client_ports(self) -> tuple[Port, ...]:
        return (HTTP,) if self.tls is None else (HTTP, HTTPS)

    @property
    def credentials(self) -> str | None:
        """Nobody logs in: what it answers is public."""
        return None

    @property
    def named_regions(self) -> Mapping[tuple[str | int, ...], str]:
        own = dict(super().named_regions)
        return own if self.shield is None else {**own, ("shield",): self.shield}

    def secrets(self, place: Place) -> Mapping[str, tuple[str, ...]]:
        """Return the Secret with the certificate."""
        return {} if self.tls is None else {self.tls.secret: ("tls.crt", "tls.key")}

    def faults(self, estate: Estate) -> Iterator[Fault]:
        yield from rules.faults_of(self, estate)

    def render(self, place: Place) -> list[dict[str, Any]]:
        from aether_deploy.infrastructure.edge.rendering import objects_of

        return objects_of(self, place)

    @classmethod
    def file_changes(cls, before: Mapping[str, str], after: Mapping[str, str]) -> Sequence[FileChange]:
        """Return what becomes of another file of nginx: its pods are replaced, and begin with nothing kept."""
        changed = [name for name in sorted(before.keys() & after.keys()) if before[name] != after[name]]
        says = f"a new pod takes {', '.join(changed)}; what the old one kept is fetched again"
        return [FileChange("restarts", says)] if changed else []

    def runbooks(self, estate: Estate) -> Mapping[str, str]:
        from aether_deploy.infrastructure.edge.runbook import runbook

        return {f"{self.name}.md": runbook(self, estate)}

    it_has_an_image = rule(rules.it_has_an_image)
    classes_do_not_meet = rule(rules.classes_do_not_meet)
    what_is_kept_has_room = rule(rules.what_is_kept_has_room)
    exposed_ports_exist = rule(rules.exposed_ports_exist)


def _is_size(text: object) -> bool:
    try:
        return isinstance(text, str) and bytes_of(text) > 0
    except ValueError:
        return False


def room_for(size: str) -> str:
    """Return the scratch disk that a pod needs which keeps ``size``: a tenth more, and 1 GiB for logs."""
    return f"{-(-bytes_of(size) * 11 // 10) // 2**20 + 1024}Mi"


KIND = EdgeConfig
