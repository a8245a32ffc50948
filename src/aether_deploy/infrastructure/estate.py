"""Regions, datacenters and links as components see them: plain values, without what is switched off."""

from collections.abc import Mapping
from typing import Any

import msgspec


class Datacenter(msgspec.Struct, frozen=True):
    """One datacenter.

    Attributes:
        name: Its name, unique in the estate: with ``zones`` the zone's, prefixed by the region where it lacks that.
        zone: Value of the zone label of its nodes.
        region: Code of its region.
        cluster: The cluster that its nodes belong to.
        witness: It votes and holds no data.
    """

    name: str
    zone: str
    region: str
    cluster: str
    witness: bool = False


class EstateRegion(msgspec.Struct, frozen=True):
    """One region.

    Attributes:
        code: Its code.
        cluster: The cluster that it is.
        datacenters: Its datacenters in file order, witnesses too.
        provider: Whose region it is.
        storage_class: StorageClass of volumes that name none.
    """

    code: str
    cluster: str
    datacenters: tuple[Datacenter, ...]
    provider: str | None = None
    storage_class: str | None = None

    @property
    def full(self) -> tuple[Datacenter, ...]:
        """The datacenters that hold data."""
        return tuple(each for each in self.datacenters if not each.witness)

    @property
    def zones(self) -> tuple[str, ...]:
        """The zones that pods run in."""
        return tuple(dict.fromkeys(each.zone for each in self.full))


class Estate(msgspec.Struct, frozen=True):
    """Everything that a component must know of the platform around it.

    Attributes:
        system: The system's name.
        environment: The environment.
        regions: The regions that are rendered, in file order.
        disabled: Codes of regions that the file knows and that are switched off.
        round_trips: Round trip between two regions, milliseconds, by their codes; as far as anything tells it.
        bandwidths: Bandwidth between two regions, megabits a second, as far as ``links`` says it.
        tools_image: Image of our own program, for Jobs.
        components: Every component, so that one that fetches from another finds it; their rules look at no other.
    """

    system: str
    environment: str
    regions: tuple[EstateRegion, ...]
    disabled: frozenset[str] = frozenset()
    round_trips: Mapping[frozenset[str], float] = {}
    bandwidths: Mapping[frozenset[str], int] = {}
    tools_image: str | None = None
    components: tuple[Any, ...] = ()

    @property
    def namespace(self) -> str:
        """Namespace of the workloads."""
        return f"{self.system}-{self.environment}"

    @property
    def data_namespace(self) -> str:
        """Namespace of the components."""
        return f"{self.namespace}-data"

    @property
    def datacenters(self) -> tuple[Datacenter, ...]:
        """All datacenters, witnesses too."""
        return tuple(each for region in self.regions for each in region.datacenters)

    def region(self, code: str) -> EstateRegion | None:
        """Return the region of that code; None where it is unknown or switched off."""
        return next((each for each in self.regions if each.code == code), None)

    def datacenter(self, name: str) -> Datacenter | None:
        """Return the datacenter of that name; None where there is none."""
        return next((each for each in self.datacenters if each.name == name), None)

    def component(self, name: str) -> Any:
        """Return the component of that name; None where there is none."""
        return next((each for each in self.components if each.name == name), None)

    def filled(self, text: str, region: str, *, datacenter: Datacenter | None = None, pod: str = "") -> str:
        """Return ``text`` with its placeholders filled in, as they hold in ``region``, or in a datacenter of it."""
        known = self.region(region)
        words = {
            "region": region,
            "environment": self.environment,
            "cluster": datacenter.cluster if datacenter else known.cluster if known else region,
            "datacenter": datacenter.name if datacenter else "",
            "pod": pod,
        }
        for name, word in words.items():
            text = text.replace(f"{{{name}}}", word)
        return text

    def round_trip_ms(self, a: str, b: str) -> float | None:
        """Return the round trip between two regions, milliseconds; None where nothing tells it."""
        return 0.0 if a == b else self.round_trips.get(frozenset((a, b)))


def datacenter_name(region: str, zone: str) -> str:
    """Return the name of a datacenter that a region's ``zones`` imply."""
    return zone if region in zone else f"{region}-{zone}"
