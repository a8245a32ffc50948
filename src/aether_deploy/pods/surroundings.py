"""What a workload must know of the platform around it, as plain values."""

from collections.abc import Mapping

import msgspec

NEWEST_KUBERNETES = "v1.37"


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """Another workload that this one calls, or that calls this one.

    Attributes:
        name: Its name.
        namespace: Its namespace; None is the own one.
        ports: Its Service's ports, as (name, number, protocol).
        external: It runs in another region; the Service here only names its endpoint.
        url: Its address as one text, where users are told one; an object store has one.
    """

    name: str
    namespace: str | None = None
    ports: tuple[tuple[str, int, str], ...] = ()
    external: bool = False
    url: str | None = None


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """The platform as one workload sees it. The default is a workload that stands alone.

    Attributes:
        kubernetes: API version that is rendered for.
        system: The system's name, for the label ``app.kubernetes.io/part-of``.
        provider: Cloud provider of the region: ``aws``, ``gcp``, ``azure`` or ``other``.
        storage_class: StorageClass of volumes that name none.
        uses: The workloads it calls, by name; a name that is missing is taken to be beside it.
        used_by: The workloads that call it.
        outside: Ports that it dials outside the cluster, as (name, number, protocol).
        outside_annotations: Annotations of the one Service that exposes all its pods, beside its own.
        neighbours: Namespace of each service of ``preferred_colocation`` that runs here; None: all beside it.
        monitoring_namespace: Where Prometheus runs; None: anywhere in the cluster.
        scrape_interval_secs: Render a PodMonitor with this interval; None: no PodMonitor.
        rule_interval_secs: Render a PrometheusRule for what a recording rule computes, evaluated so often; None:
            no PrometheusRule.
        prometheus_url: Address of Prometheus inside the cluster, for KEDA.
        files: Content of each config file's ``source``.
    """

    kubernetes: str = NEWEST_KUBERNETES
    system: str | None = None
    provider: str | None = None
    storage_class: str | None = None
    uses: Mapping[str, Peer] = {}
    used_by: tuple[Peer, ...] = ()
    outside: tuple[tuple[str, int, str], ...] = ()
    outside_annotations: Mapping[str, str] = {}
    neighbours: Mapping[str, str] | None = None
    monitoring_namespace: str | None = None
    scrape_interval_secs: int | None = None
    rule_interval_secs: int | None = None
    prometheus_url: str | None = None
    files: Mapping[str, bytes] = {}
