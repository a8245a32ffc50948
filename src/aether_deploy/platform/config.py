"""The platform of one environment: all sections together, and the rules between them."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any

import msgspec

from aether_deploy.config.base import FILLED, Config, Fault, rule
from aether_deploy.config.marks import Keyed, Partial, PythonOnly, TextRule
from aether_deploy.config.types import DnsLabel, ImageRef, KubernetesVersion
from aether_deploy.fleet.config import DeploymentConfig
from aether_deploy.infrastructure.component import ComponentConfig
from aether_deploy.infrastructure.estate import Estate
from aether_deploy.platform import components as data_plane
from aether_deploy.platform import references
from aether_deploy.platform import secrets as used_secrets
from aether_deploy.platform.components import Component, credential_files, estate_of, placed_faults
from aether_deploy.platform.expansion import (
    PLACEMENT_FIELDS,
    Expanded,
    Steps,
    entry_layers,
    expand_entry,
    iterate_entries,
)
from aether_deploy.platform.gitops_config import GitOpsConfig, pieces_are_told_apart
from aether_deploy.platform.parts import (
    ClusterConfig,
    DefaultsConfig,
    LinkConfig,
    ObservabilityConfig,
    RegionConfig,
    Site,
    Workload,
)
from aether_deploy.platform.patches import PatchConfig, patched_regions_exist
from aether_deploy.platform.placing import EntryView, view_entries
from aether_deploy.platform.routing import landscape_of
from aether_deploy.platform.routing_config import RoutingConfig
from aether_deploy.platform.routing_rules import loss_limits_can_hold, routing_is_sound
from aether_deploy.platform.routing_workloads import RoutingEntry, routing_entries
from aether_deploy.traffic.backend import Landscape

DEFAULT_ENVIRONMENT = "prod"
Overlay = Annotated[Mapping[str, Any], Partial(of=lambda: Platform, checked=())]
Entry = Annotated[Any, Partial(of=Workload, required=("name",), overlay=False, checked=("name", *PLACEMENT_FIELDS))]
SystemName = Annotated[
    str,
    TextRule(
        what="a DNS-1123 label",
        pattern="[a-z0-9]([-a-z0-9]*[a-z0-9])?",
        max_length=40,
        fix="use lower-case letters, digits and '-', and begin and end with a letter or digit",
    ),
]


class Platform(Config, dict=True):
    """Everything that one aether.yaml describes, after its layers, for one environment.

    Attributes:
        name: The system's name; the namespace is ``<name>-<environment>``.
        kubernetes: The API version that is rendered for, ``v1.34`` to ``v1.37``, as text.
        tools_image: Image of this program, which Jobs of components run; needed where a component has such a Job.
        regions: Where it runs: one cluster for each region. File order breaks ties.
        clusters: What differs for one cluster.
        links: Round trips between regions; left out, they are estimated from each region's ``location``.
        defaults: What workloads have in common.
        worlds: World servers, with the class defaults of durable workloads.
        services: Services around them, with the class defaults of stateless workloads.
        routing: How players reach the closest healthy region; left out, nothing sends them.
        components: The data plane; ``kind`` picks the type of each.
        observability: Monitoring.
        gitops: Which engine applies the tree, and from where.
        secrets: Where the Secrets come from that workloads use.
        patches: Changes of rendered objects, for what no field says; applied in the order of the file.
        environments: Overlays of all of the above except ``name``; the first is the default.
        environment: The environment that this platform is.
    """

    name: SystemName
    kubernetes: KubernetesVersion
    tools_image: ImageRef | None = None
    regions: Annotated[Sequence[RegionConfig], Keyed("code")]
    clusters: Annotated[Sequence[ClusterConfig], Keyed("name")] = ()
    links: Annotated[Sequence[LinkConfig], Keyed("between", pair=True)] = ()
    defaults: DefaultsConfig = FILLED
    worlds: Annotated[Sequence[Entry], Keyed("name")] = ()
    services: Annotated[Sequence[Entry], Keyed("name")] = ()
    routing: RoutingConfig | None = None
    components: Annotated[Sequence[Component], Keyed("name")] = ()
    observability: ObservabilityConfig = FILLED
    gitops: GitOpsConfig = FILLED
    secrets: used_secrets.SecretsConfig = FILLED
    patches: Annotated[Sequence[PatchConfig], Keyed("name")] = ()
    environments: dict[DnsLabel, Overlay] = {}
    environment: Annotated[DnsLabel, PythonOnly("--env chooses it")] = DEFAULT_ENVIRONMENT

    @classmethod
    def fill(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"defaults": {}, "observability": {}, "gitops": {}, "secrets": {}, **given}

    versions_are_known = rule(references.versions_are_known)
    something_runs = rule(references.something_runs)
    namespace_fits = rule(references.namespace_fits)
    clusters_are_regions = rule(references.clusters_are_regions)
    links_join_known_regions = rule(references.links_join_known_regions)
    names_are_distinct = rule(references.names_are_distinct)
    placements_exist = rule(references.placements_exist)
    uses_exist = rule(references.uses_exist)
    neighbours_exist = rule(references.neighbours_exist)
    former_names_are_free = rule(references.former_names_are_free)

    @rule
    def entries_are_sound(self) -> Iterator[Fault]:
        for view in self.entries:
            for expanded in self.expansions[view.at].values():
                for fault in expanded.faults:
                    yield references.fault_of_entry(self, view, fault)

    component_regions_exist = rule(data_plane.component_regions_exist)
    components_are_sound = rule(data_plane.components_are_sound)
    component_objects_are_told_apart = rule(data_plane.component_objects_are_told_apart)
    component_names_fit = rule(data_plane.component_names_fit)
    component_balancers_stay_internal = rule(data_plane.component_balancers_stay_internal)
    credentials_have_room = rule(data_plane.credentials_have_room)
    service_names_are_free = rule(references.service_names_are_free)
    routing_is_sound = rule(routing_is_sound)
    loss_limits_can_hold = rule(loss_limits_can_hold)
    callers_reach_what_they_use = rule(references.callers_reach_what_they_use)
    balancers_stay_internal = rule(references.balancers_stay_internal)
    versions_carry_the_fields = rule(references.versions_carry_the_fields)
    secrets_have_a_folder = rule(used_secrets.secrets_have_a_folder)
    encrypted_files_are_of_one_namespace = rule(used_secrets.encrypted_files_are_of_one_namespace)
    secret_items_are_used = rule(used_secrets.secret_items_are_used)
    secret_keys_are_fetched = rule(used_secrets.secret_keys_are_fetched)
    engines_can_decrypt = rule(used_secrets.engines_can_decrypt)
    external_metrics_have_one_server = rule(references.external_metrics_have_one_server)
    patched_regions_exist = rule(patched_regions_exist)
    pieces_are_told_apart = rule(pieces_are_told_apart)

    @cached_property
    def estate(self) -> Estate:
        """Regions, datacenters and links as components see them."""
        return estate_of(self)

    def component(self, name: str) -> ComponentConfig | None:
        """Return the component of that name; None where there is none."""
        return self.components_by_name.get(name)

    @cached_property
    def components_by_name(self) -> dict[str, ComponentConfig]:
        return {component.name: component for component in self.components}

    @cached_property
    def component_faults(self) -> list[tuple[Fault, ...]]:
        """What is wrong with each component where it is to run, in file order."""
        return placed_faults(self)

    @cached_property
    def authored(self) -> list[EntryView]:
        """Every entry of worlds and services, and where it runs."""
        return view_entries(self)

    @cached_property
    def landscape(self) -> Landscape | None:
        """What sends players sees of the platform; None without a sound section ``routing``."""
        return landscape_of(self)

    @cached_property
    def directed(self) -> list[RoutingEntry]:
        """The workloads that the section ``routing`` makes."""
        return routing_entries(self)

    @cached_property
    def entries(self) -> list[EntryView]:
        """Everything that runs as a workload, and where: worlds, services and what routing adds."""
        return [*self.authored, *(each.view for each in self.directed)]

    @cached_property
    def entries_by_name(self) -> dict[str, list[EntryView]]:
        found: dict[str, list[EntryView]] = {}
        for view in self.entries:
            found.setdefault(view.name, []).append(view)
        return found

    @cached_property
    def configs_by_region(self) -> dict[str, dict[str, tuple[EntryView, DeploymentConfig]]]:
        """The workloads of each region that was asked for, by name: filled by ``placing.site_configs``."""
        return {}

    @cached_property
    def placed_configs(self) -> dict[int, DeploymentConfig]:
        """Every entry as it runs, in its namespace, by the identity of what it was expanded to."""
        return {}

    @cached_property
    def manifests_made(self) -> dict[Steps, list[tuple[DeploymentConfig, Any, tuple[Any, ...]]]]:
        """Objects of every entry that were made already, and from what: filled by ``rendering.render_cluster``."""
        return {}

    @cached_property
    def patched_by_cluster(self) -> dict[str, Any]:
        """What patches made of each cluster that was asked for: filled by ``rendering.render_patched``."""
        return {}

    @cached_property
    def authored_expansions(self) -> dict[Steps, dict[str | None, Expanded]]:
        """Every entry of worlds and services as it runs, by place, then by the region where it differs (None:
        elsewhere)."""
        found: dict[Steps, dict[str | None, Expanded]] = {}
        defaults = self.defaults.as_layers()
        for section, place, entry in iterate_entries(self.worlds, self.services):
            per_region = entry.get("per_region")
            regions = (None, *(per_region if isinstance(per_region, Mapping) else ()))
            found[section, place] = {
                region: expand_entry(entry_layers((section, place), section, entry, defaults, region), section)
                for region in regions
            }
        return found

    @cached_property
    def expansions(self) -> dict[Steps, dict[str | None, Expanded]]:
        """Everything that runs as a workload, as it runs: as ``authored_expansions``, with what routing adds."""
        return {**self.authored_expansions, **{each.view.at: each.expansions for each in self.directed}}

    def expanded_in(self, at: Steps, region: str | None) -> Expanded:
        """Return the entry at ``at`` as it runs in ``region``."""
        places = self.expansions[at]
        return places.get(region) or places[None]

    @property
    def namespace(self) -> str:
        """Namespace of the workloads."""
        return f"{self.name}-{self.environment}"

    @property
    def data_namespace(self) -> str:
        """Namespace of the components."""
        return f"{self.namespace}-data"

    @property
    def sites(self) -> tuple[Site, ...]:
        """The clusters that are rendered: one for each region in file order, then those of witnesses alone."""
        versions = {cluster.name: cluster.kubernetes for cluster in self.clusters}
        regions = [
            Site(region, region.cluster, versions.get(region.cluster) or self.kubernetes)
            for region in self.regions
            if region.enabled
        ]
        witnesses = [
            Site(region, cluster, versions.get(cluster) or self.kubernetes, witness=True)
            for region, cluster in data_plane.witness_clusters(self)
        ]
        return (*regions, *witnesses)

    def config_of(self, at: Steps, region: str) -> DeploymentConfig | None:
        """Return the entry at ``at`` as it runs in ``region``; None where it has faults."""
        expanded = self.expanded_in(at, region)
        if expanded.config is None:
            return None
        known = self.placed_configs.get(id(expanded))
        if known is None:
            files = (*expanded.config.secret_files, *credential_files(self, expanded.config))
            known = self.placed_configs[id(expanded)] = msgspec.structs.replace(
                expanded.config, namespace=self.namespace, secret_files=files
            )
        return known
