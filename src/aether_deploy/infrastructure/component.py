"""What all components of the data plane have in common: where one runs, and what it promises to those who use it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from aether_deploy.config.base import FILLED, Config, Fault, FaultyFieldError, judged, rule
from aether_deploy.config.marks import Distinct
from aether_deploy.config.types import (
    DnsLabel,
    ImageRef,
    LabelKey,
    LabelValue,
    NonEmpty,
    ObjectName,
    PortName,
    ServiceName,
)
from aether_deploy.infrastructure.estate import Datacenter, Estate, EstateRegion
from aether_deploy.pods.images import image_faults
from aether_deploy.pods.parts import (
    Endpoint,
    ExposeConfig,
    NetworkConfig,
    ResourceRequirements,
    TolerationConfig,
)
from aether_deploy.pods.storage import PvcConfig
from aether_deploy.pods.surroundings import Surroundings
from aether_deploy.pods.waivers import ComponentWaiverName

Port = tuple[str, int, str]
"""A port of a Service: name, number, protocol."""


def _as_limits(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return resources with a request for each limit that has none: what a component may use is its own."""
    limits = {name: amount for name, amount in said.items() if name.endswith("_limit") and amount not in (None, "none")}
    return {**{name.replace("_limit", "_request"): amount for name, amount in limits.items()}, **said}


class FileChange(msgspec.Struct, frozen=True):
    """What running pods make of a change of their component's ConfigMap.

    Attributes:
        effect: ``reloads``: they take it while they run. ``restarts``: once they restart. ``by hand``: once somebody
            does what ``says`` says. ``refused``: not even so. ``data at risk``: they take it, and what they keep goes.
        says: That, in words.
    """

    effect: Literal["reloads", "restarts", "by hand", "refused", "data at risk"]
    says: str


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One cluster that a component is rendered for.

    Attributes:
        estate: The platform around it.
        region: The region whose cluster it is; for a witness's cluster, the region that lists the witness.
        cluster: The cluster.
        datacenters: The datacenters of that cluster.
        surroundings: What pods must know: API version, provider, storage class, monitoring, who uses the component.
    """

    estate: Estate
    region: EstateRegion
    cluster: str
    datacenters: tuple[Datacenter, ...]
    surroundings: Surroundings

    @property
    def namespace(self) -> str:
        return self.estate.data_namespace


class ComponentExposeConfig(ExposeConfig):
    """How other regions and the outside reach a component.

    Attributes:
        ports: Names of the ports that are exposed; left out, those that other regions call.
    """

    ports: Annotated[Sequence[PortName], Distinct()] = FILLED


class UnreadComponent(msgspec.Struct, frozen=True):
    """A component with faults of its own: its name is known, and it runs nowhere, so that others can be judged.

    Attributes:
        named_regions: The codes of regions that it names, as far as they can be read, each by where it does.
        readable: What can be read of it, and raises FaultyFieldError where it is asked for more; None: nothing can.
    """

    name: str
    regions: Literal["all"] = "all"
    enabled: bool = True
    expose: None = None
    credentials: None = None
    client_ports: tuple[Port, ...] = ()
    named_regions: Mapping[tuple[str | int, ...], str] = {}
    readable: "ComponentConfig | None" = None

    @classmethod
    def of(cls, raw: object, kind: "type[ComponentConfig] | None" = None) -> "UnreadComponent":
        """Return what stands for a value that could not be read; ``kind`` is the type that it is of, where known."""
        name = raw.get("name") if isinstance(raw, Mapping) else getattr(raw, "name", None)
        enabled = raw.get("enabled") if isinstance(raw, Mapping) else True
        known = cls(name if isinstance(name, str) else "", enabled=enabled is not False)
        if kind is None or not isinstance(raw, Mapping):
            return known
        readable = kind.read_partly(raw)
        return msgspec.structs.replace(known, named_regions=_named(kind, readable, raw), readable=readable)

    def faults(self, estate: Estate) -> Iterator[Fault]:
        """Yield what is wrong with it where it is to run, as far as that needs no field that cannot be read."""
        yield from judged(self._faults(estate))

    def _faults(self, estate: Estate) -> Iterator[Fault]:
        if self.readable is not None and self.readable.placed_in(estate):
            yield from self.readable.faults(estate)

    def placed_in(self, estate: Estate) -> tuple[str, ...]:
        """Return the regions where it runs: none."""
        return ()

    def witnesses(self, estate: Estate) -> tuple[Datacenter, ...]:
        """Return where it has a vote: nowhere."""
        return ()

    def serving_region(self, estate: Estate, region: str) -> str | None:
        """Return the region that answers: none."""
        return None

    def client_url(self, estate: Estate) -> str | None:
        """Return the address that users are told: not known."""
        return None


def _named(
    kind: "type[ComponentConfig]", readable: "ComponentConfig", raw: Mapping[str, Any]
) -> Mapping[tuple[str | int, ...], str]:
    """Return the regions that a component names; where its own list of them cannot be read, those named beside it."""
    with suppress(FaultyFieldError):
        return readable.named_regions
    beside = {name: value for name, value in raw.items() if name != "regions"}
    with suppress(FaultyFieldError):
        return kind.read_partly(beside).named_regions
    return {}


class ComponentConfig(Config):
    """One component of the data plane: the fields that every kind has.

    Attributes:
        name: Its name; worlds, services and components share one space of names.
        enabled: false renders nothing, but keeps the name known.
        regions: ``all``, or codes of regions.
        image: Image that its pods run, best ``name:tag@sha256:digest``.
        resources: What its container may use; requests equal limits where left out.
        expose: How other regions and the outside reach it.
        endpoint: Host name at which other regions reach it; ``{region}``, ``{environment}`` and ``{cluster}`` in it
            are those of the place where it runs.
        network: Addresses that may reach it, and that it may reach, beside those of its users.
        labels: Labels of every object and pod, beside ours; selectors do not use them.
        annotations: Annotations of every object and pod, beside ours.
        priority_class: An existing PriorityClass.
        pull_secrets: Secrets for pulling images.
        node_selector: Labels that a node must have.
        tolerations: Taints that do not keep the pods away.
        waivers: Reasons for deliberate deviations, by waiver name.
    """

    KIND_NAME: ClassVar[str]
    """The kind's word: ``postgres``. Every kind has a field ``kind: Literal[<that word>] = FILLED``."""

    DATA_PATH: ClassVar[str] = "/data"
    """Where its pods see their volume, where nothing else is said."""

    EXAMPLES: ClassVar[Mapping[str, Mapping[str, Any]]]
    """Components of the kind as a file has them, by what each shows: every promise of the frame is tested on them."""

    COMPANIONS: ClassVar[Sequence[Mapping[str, Any]]] = ()
    """Components of other kinds that stand beside the examples, since these need them; they are tested as their own."""

    name: ServiceName
    enabled: bool = True
    regions: Literal["all"] | Annotated[Sequence[DnsLabel], Distinct()] = "all"
    image: ImageRef | None = None
    resources: ResourceRequirements = FILLED
    expose: ComponentExposeConfig | None = None
    endpoint: Endpoint | None = None
    network: NetworkConfig = FILLED
    labels: dict[LabelKey, LabelValue] = {}
    annotations: dict[LabelKey, str] = {}
    priority_class: ObjectName | None = None
    pull_secrets: Annotated[Sequence[ObjectName], Distinct()] = ()
    node_selector: dict[LabelKey, LabelValue] = {}
    tolerations: Sequence[TolerationConfig] = ()
    waivers: dict[ComponentWaiverName, NonEmpty] = {}

    @classmethod
    def fill(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what is given and the defaults of the kind beneath it."""
        filled = {"kind": cls.KIND_NAME, "network": {}, **given}
        said = filled.get("resources", {})
        if isinstance(said, Mapping):
            filled["resources"] = {**_as_limits(cls.default_limits()), **_as_limits(said)}
        pvc = filled.get("pvc")
        if isinstance(pvc, Mapping):
            filled["pvc"] = {"mount_path": cls.DATA_PATH, **pvc}
        elif isinstance(pvc, PvcConfig) and "mount_path" not in pvc.to_values():
            filled["pvc"] = msgspec.structs.replace(pvc, mount_path=cls.DATA_PATH)
        expose = filled.get("expose")
        if isinstance(expose, Mapping) and "ports" not in expose:
            filled["expose"] = {**expose, "ports": cls.default_exposed()}
        elif isinstance(expose, ComponentExposeConfig) and "ports" not in expose.to_values():
            filled["expose"] = {**expose.to_values(), "ports": cls.default_exposed()}
        return filled

    @classmethod
    def default_limits(cls) -> Mapping[str, str]:
        """Return what a container of this kind may use where nothing is said, by the limits; requests equal them."""
        raise NotImplementedError

    @classmethod
    def default_exposed(cls) -> Sequence[str]:
        """Return the names of the ports that ``expose`` opens where it names none."""
        raise NotImplementedError

    @rule
    def an_endpoint_is_exposed(self) -> Iterator[Fault]:
        if self.endpoint is not None and self.expose is None:
            yield Fault(("endpoint",), "nothing exposes it", "add expose, or remove it", self.endpoint)

    @rule
    def images_are_pinned(self) -> Iterator[Fault]:
        for at, image in self.images:
            yield from image_faults(at, image, waived="image_digest" in self.waivers)

    @property
    def images(self) -> tuple[tuple[tuple[str | int, ...], str], ...]:
        """Every image that its pods run, with the steps to it."""
        return () if self.image is None else ((("image",), self.image),)

    @property
    def named_regions(self) -> Mapping[tuple[str | int, ...], str]:
        """The codes of regions that it names, each by where it does; steps begin at the component."""
        return {} if self.regions == "all" else {("regions", at): code for at, code in enumerate(self.regions)}

    def placed_in(self, estate: Estate) -> tuple[str, ...]:
        """Return the codes of the regions where it runs, in file order; a disabled component runs nowhere."""
        if not self.enabled:
            return ()
        codes = [region.code for region in estate.regions]
        return tuple(codes if self.regions == "all" else [code for code in codes if code in self.regions])

    def witnesses(self, estate: Estate) -> tuple[Datacenter, ...]:
        """Return the witness datacenters in which it has a vote."""
        return ()

    def serving_region(self, estate: Estate, region: str) -> str | None:
        """Return the region that answers clients in ``region``: that one, where it runs there.

        None means that another region does, which is the nearest by round trip.
        """
        return region if region in self.placed_in(estate) else None

    def client_url(self, estate: Estate) -> str | None:
        """Return the address that users are told as one text; None: host and ports are enough."""
        return None

    def occupies_its_name(self, estate: Estate, region: str) -> bool:
        """Return whether an operator makes a Service of its name in a region where it answers nobody."""
        return False

    @property
    def client_ports(self) -> tuple[Port, ...]:
        """The ports that its users call."""
        raise NotImplementedError

    @property
    def credentials(self) -> str | None:
        """The Secret with what its users log in with; None where nobody logs in."""
        return f"{self.name}-credentials"

    def secrets(self, place: Place) -> Mapping[str, tuple[str, ...]]:
        """Return the Secrets that its pods at ``place`` need, each with the keys that must be in it."""
        return {}

    def faults(self, estate: Estate) -> Iterator[Fault]:
        """Yield what is wrong with it where it is to run; steps begin at the component.

        Asked of a component with faults of its own, too. Rules that do not build on each other are given to
        :func:`~aether_deploy.config.base.judged`, so that one which needs what cannot be read ends no other.
        """
        yield from ()

    def render(self, place: Place) -> list[dict[str, Any]]:
        """Return its objects at ``place``, in any order. Equal input gives equal objects."""
        raise NotImplementedError

    @classmethod
    def file_changes(cls, before: Mapping[str, str], after: Mapping[str, str]) -> Sequence[FileChange]:
        """Return what running pods make of a change of their ConfigMap's data; nothing where nobody knows."""
        return ()

    @classmethod
    def object_changes(cls, before: Mapping[str, Any], after: Mapping[str, Any]) -> Sequence[FileChange]:
        """Return what a change of an operator's object does, said as in ``file_changes``; nothing where unknown."""
        return ()

    @classmethod
    def object_gone(cls, before: Mapping[str, Any]) -> FileChange | None:
        """Return what the end of an operator's object does, said as in ``file_changes``; None where unknown."""
        return None

    def runbooks(self, estate: Estate) -> Mapping[str, str]:
        """Return what people read and run by hand, by file name: ``accounts.md``."""
        return {}
