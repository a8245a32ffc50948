"""Regions, clusters, links and the other sections beside the workloads."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec

from aether_deploy.config.base import Config, Fault, rule
from aether_deploy.config.marks import Distinct, Keyed, Partial, PythonOnly, TextRule
from aether_deploy.config.types import (
    Count,
    DnsLabel,
    KubernetesVersion,
    LabelValue,
    Latitude,
    Longitude,
    ObjectName,
    PositiveCount,
    seconds,
)
from aether_deploy.fleet.config import UNPLACED, DeploymentConfig

Provider = Literal["aws", "gcp", "azure", "other"]


class Location(Config):
    """Where a region is.

    Attributes:
        lat: Latitude, degrees north.
        lon: Longitude, degrees east.
    """

    lat: Latitude
    lon: Longitude


class DatacenterConfig(Config):
    """One datacenter of a region.

    Attributes:
        name: Its name.
        zone: The zone that its nodes are labelled with.
        cluster: The cluster that its nodes belong to; left out, the one named by the region's code.
        role: ``full``, or ``witness``: components may vote there, and hold no data. It may belong to a cluster of its
            own, which outlives the region. Nothing that is rendered keeps pods off its nodes: taint them, where they
            are nodes of the region's cluster.
        enabled: false takes it away, but keeps it known; its nodes are as for ``witness``.
    """

    name: DnsLabel
    zone: LabelValue
    cluster: DnsLabel | None = None
    role: Literal["full", "witness"] = "full"
    enabled: bool = True


class RegionConfig(Config):
    """One region: one Kubernetes cluster over some zones.

    Attributes:
        code: Its code: ``us-east-1``.
        provider: Whose region it is; decides how a load balancer is kept internal.
        zones: Values of the zone label of its nodes; each zone is a datacenter. Give this or ``datacenters``.
        datacenters: The long form of ``zones``, for names of your own or a cluster not named like the region.
        location: Where it is; latencies between regions are estimated from it where ``links`` has none.
        storage_class: StorageClass of every volume in the region that names none.
        latency_ms: Round trip from players at large, milliseconds: the last resort of routing.
        capacity_players: Players that the region takes; left out, as many as its worlds can scale to.
        enabled: false takes it away, but keeps it known.
    """

    code: DnsLabel
    provider: Provider | None = None
    zones: Sequence[LabelValue] = ()
    datacenters: Annotated[Sequence[DatacenterConfig], Keyed("name")] = ()
    location: Location | None = None
    storage_class: ObjectName | None = None
    latency_ms: Count | None = None
    capacity_players: PositiveCount | None = None
    enabled: bool = True

    @rule
    def zones_are_said_once(self) -> Iterator[Fault]:
        if bool(self.zones) == bool(self.datacenters):
            says = "has both 'zones' and 'datacenters'" if self.zones else "lacks its zones"
            yield Fault((), says, "give exactly one of zones and datacenters")
        for place, zone in enumerate(self.zones):
            if zone in self.zones[:place]:
                yield Fault(("zones", place), "named twice", "remove one", zone)

    @rule
    def it_is_one_cluster(self) -> Iterator[Fault]:
        for place, datacenter in enumerate(self.datacenters):
            if datacenter.role == "full" and (datacenter.cluster or self.code) != self.cluster:
                yield Fault(
                    ("datacenters", place),
                    f"in another cluster than the rest of the region, '{self.cluster}'",
                    "give a second cluster a region code of its own",
                )
        if self.datacenters and not any(dc.role == "full" and dc.enabled for dc in self.datacenters):
            yield Fault(("datacenters",), "has no datacenter that runs anything", "give one the role full")

    @property
    def cluster(self) -> str:
        """Name of the region's cluster."""
        full = (dc for dc in self.datacenters if dc.role == "full" and dc.enabled)
        return next((dc.cluster or self.code for dc in full), self.code)

    @property
    def zone_names(self) -> tuple[str, ...]:
        """The zones that pods of the region run in."""
        full = dict.fromkeys(dc.zone for dc in self.datacenters if dc.role == "full" and dc.enabled)
        return tuple(self.zones or full)


class ClusterConfig(Config):
    """What differs for one cluster.

    Attributes:
        name: Its name: the region's code, or the ``cluster`` of its datacenters.
        kubernetes: The API version that is rendered for; left out, the platform's.
    """

    name: DnsLabel
    kubernetes: KubernetesVersion | None = None


class LinkConfig(Config):
    """The network between two regions.

    Attributes:
        between: The two regions' codes, in any order.
        latency_ms: Round trip, milliseconds.
        bandwidth_mbps: Bandwidth, megabits a second; `analyze` notes where it is not said and copies cross it.
    """

    between: Sequence[DnsLabel]
    latency_ms: PositiveCount
    bandwidth_mbps: PositiveCount | None = None

    @rule
    def it_joins_two_regions(self) -> Iterator[Fault]:
        if len(set(self.between)) != 2 or len(self.between) != 2:
            yield Fault(("between",), "not two different regions", "name two regions: [a, b]", self.between)


PartialWorkload = Annotated[Any, Partial(of=DeploymentConfig, overlay=False)]


class DefaultsConfig(Config):
    """What many workloads have in common. An entry's own values win.

    Attributes:
        workloads: For all worlds and services.
        worlds: For all worlds; stronger than ``workloads``.
        services: For all services; stronger than ``workloads``.
    """

    workloads: PartialWorkload = {}
    worlds: PartialWorkload = {}
    services: PartialWorkload = {}

    def as_layers(self) -> dict[str, Mapping[str, Any]]:
        """Return the defaults by the name of their layer."""
        return {"workloads": self.workloads, "worlds": self.worlds, "services": self.services}


class Workload(DeploymentConfig, dict=True):
    """One entry of ``worlds`` or ``services``: a workload and where it runs.

    What its author says beats the platform's ``defaults``, in Python as in a file.

    Attributes:
        enabled: false renders nothing, but keeps the name known.
        regions: ``all``, or codes of regions.
        per_region: What differs in a region, by its code: an overlay of the entry.
    """

    namespace: Annotated[DnsLabel, PythonOnly("it follows from the system's name and the environment")] = UNPLACED
    enabled: bool = True
    regions: Literal["all"] | Annotated[Sequence[DnsLabel], Distinct()] = "all"
    per_region: dict[DnsLabel, Annotated[Mapping[str, Any], Partial(of=DeploymentConfig, checked=())]] = {}

    def note_given(self, given: Mapping[str, Any]) -> None:
        """Note which fields the author said: they beat the platform's defaults even where they equal the class's."""
        self.__dict__["given"] = frozenset(given) - {"workload_class"}

    def said_names(self) -> frozenset[str]:
        """Return the fields that count as said, even where they equal a default."""
        given: frozenset[str] = self.__dict__.get("given", frozenset())
        return super().said_names() | given


class PrometheusConfig(Config):
    """The Prometheus that scrapes the cluster.

    Attributes:
        url: Its address inside the cluster, for the metrics adapter and for KEDA.
        namespace: Its namespace, which network policies let in.
    """

    url: Annotated[
        str,
        TextRule(
            what="an http or https address",
            pattern=r"https?://[^\s/?#]+(/[^\s?#]*)?",
            fix="write http://host:port",
        ),
    ]
    namespace: DnsLabel


class ObservabilityConfig(Config):
    """Monitoring. Without ``prometheus`` no object is rendered that needs a custom resource definition.

    Attributes:
        prometheus: The Prometheus that scrapes the cluster.
        scrape_interval_secs: Pause between two scrapes, and between two evaluations of recording rules, seconds.
            Prometheus forgets a sample after 300 seconds, and what the rules remember must outlast a pause.
        pod_monitors: Render a PodMonitor beside each workload; left out, if ``prometheus`` is given. The cluster
            must know PodMonitors, which come with the Prometheus operator.
        rules: Render a PrometheusRule beside each workload whose count a recording rule computes; left out, if
            ``prometheus`` is given. Its rules read kube-state-metrics, which the cluster must run.
        metrics_adapter: What makes metrics readable for autoscalers: ``true`` renders a Prometheus adapter into
            ``prometheus.namespace``, ``existing`` only its rules, as a ConfigMap, for one that is there.
    """

    prometheus: PrometheusConfig | None = None
    scrape_interval_secs: Annotated[int, seconds(ge=1, le=120)] = 15
    pod_monitors: bool | None = None
    rules: bool | None = None
    metrics_adapter: bool | Literal["existing"] = False

    @rule
    def monitors_need_prometheus(self) -> Iterator[Fault]:
        for name in ("pod_monitors", "rules", "metrics_adapter"):
            said = getattr(self, name)
            if said and self.prometheus is None:
                yield Fault((name,), "nothing would read them", "add prometheus", said)

    @property
    def rule_interval_secs(self) -> int | None:
        """How often recording rules are evaluated, seconds; None where none are."""
        return self.scrape_interval_secs if self.prometheus is not None and self.rules is not False else None

    @property
    def renders_pod_monitors(self) -> bool:
        return self.prometheus is not None and self.pod_monitors is not False


class Site(msgspec.Struct, frozen=True):
    """One cluster that is rendered.

    Attributes:
        region: The region that it is.
        cluster: Its name.
        kubernetes: The API version that is rendered for.
        witness: It runs nothing but witnesses of components; ``region`` is the one that lists them.
    """

    region: RegionConfig
    cluster: str
    kubernetes: str
    witness: bool = False

    @property
    def zone_names(self) -> tuple[str, ...]:
        """The zones that its nodes are in, as far as anything is rendered for them."""
        if not self.witness:
            return self.region.zone_names
        votes = (each for each in self.region.datacenters if each.role == "witness" and each.enabled)
        return tuple(dict.fromkeys(each.zone for each in votes if each.cluster == self.cluster))
