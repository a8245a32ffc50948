"""One typed description of game worlds becomes a hardened, byte-deterministic GitOps tree for Kubernetes."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aether_deploy.contract.checking import check_contract
    from aether_deploy.delivery.comparing import diff_trees
    from aether_deploy.delivery.loading import load_platform, read_description
    from aether_deploy.delivery.publishing import Publication, plan_publish, publish
    from aether_deploy.delivery.traces import load_trace
    from aether_deploy.delivery.tree_reading import StoredTree, read_tree, read_tree_at
    from aether_deploy.delivery.tree_writer import write_tree
    from aether_deploy.failover.bound import FailoverBound, FailoverBounds
    from aether_deploy.failover.bounds import bounds
    from aether_deploy.failover.effective import patroni_effective
    from aether_deploy.failover.policy import FailoverPolicy, dynamic_config
    from aether_deploy.fleet.config import DeploymentConfig, WorkloadKind
    from aether_deploy.gitops.diff.changes import Change, Danger, Diff, Effect
    from aether_deploy.gitops.render import render_tree
    from aether_deploy.gitops.tree import Tree, TreeFile, Unit
    from aether_deploy.infrastructure.analysis.analysing import Analysis
    from aether_deploy.infrastructure.analysis.failures import PlatformFailure
    from aether_deploy.infrastructure.analysis.graph import graph_svg
    from aether_deploy.infrastructure.analysis.impacts import FailureImpact
    from aether_deploy.infrastructure.analysis.judging import analysis_findings
    from aether_deploy.infrastructure.analysis.table import table_markdown, table_text
    from aether_deploy.infrastructure.component import ComponentConfig, ComponentExposeConfig
    from aether_deploy.infrastructure.edge.parts import CacheClass, EdgeCloudflare, EdgeCloudFront, EdgeTls
    from aether_deploy.infrastructure.kinds.edge import EdgeConfig
    from aether_deploy.infrastructure.kinds.nats import NatsConfig, NatsUpdateConfig
    from aether_deploy.infrastructure.kinds.object_store import ObjectStoreConfig
    from aether_deploy.infrastructure.kinds.postgres import PostgresConfig
    from aether_deploy.infrastructure.kinds.valkey import ValkeyConfig
    from aether_deploy.infrastructure.nats.parts import (
        JetStreamConfig,
        NatsAccount,
        NatsGateway,
        NatsLameDuck,
        NatsLeafnodes,
        NatsSidecar,
        NatsStream,
        NatsTls,
        NatsUser,
    )
    from aether_deploy.infrastructure.nats.reloading import reload_class
    from aether_deploy.infrastructure.object_store.parts import (
        CorsRule,
        ObjectBucket,
        ObjectExpiry,
        ObjectLifecycle,
        ObjectLock,
        ObjectTransition,
        StoreUser,
    )
    from aether_deploy.infrastructure.postgres.settings import (
        PostgresIdentity,
        PostgresServer,
        PostgresSharding,
        PostgresStandby,
        PostgresTls,
    )
    from aether_deploy.infrastructure.valkey.survival import zone_survival
    from aether_deploy.infrastructure.valkey.timing import failover_secs
    from aether_deploy.lab.control_plane import ControlPlane
    from aether_deploy.lab.dry_run import dry_run
    from aether_deploy.lab.live import diff_live
    from aether_deploy.lab.rehearsal import rehearse
    from aether_deploy.lab.system.faults import LabFault
    from aether_deploy.lab.system.record import FaultRecord, LabRecord
    from aether_deploy.lab.system.system import LabSystem
    from aether_deploy.manifest.yaml_text import to_yaml, to_yaml_documents
    from aether_deploy.placement.config import AffinityRule, TopologyConfig
    from aether_deploy.platform.analysing import analyse_platform
    from aether_deploy.platform.config import Platform
    from aether_deploy.platform.gitops_config import ArgoCdConfig, FluxConfig, GitOpsConfig
    from aether_deploy.platform.parts import (
        ClusterConfig,
        DatacenterConfig,
        DefaultsConfig,
        LinkConfig,
        Location,
        ObservabilityConfig,
        PrometheusConfig,
        RegionConfig,
        Workload,
    )
    from aether_deploy.platform.patches import PatchConfig, PatchTarget
    from aether_deploy.platform.routing import router_config
    from aether_deploy.platform.routing_config import HealthConfig, RoutingConfig
    from aether_deploy.platform.schema import platform_schema
    from aether_deploy.platform.secrets import SecretItem, SecretKey, SecretsConfig, SecretStore
    from aether_deploy.pods.parts import (
        ContainerConfig,
        DisruptionBudgetConfig,
        DrainConfig,
        ExposeConfig,
        IdentityConfig,
        MetricsConfig,
        NetworkConfig,
        PortConfig,
        PreStopConfig,
        ResourceRequirements,
        TolerationConfig,
        UpdateConfig,
    )
    from aether_deploy.pods.storage import ConfigFile, MountConfig, PvcConfig, RetentionConfig, SecretFile, VolumeConfig
    from aether_deploy.pods.surroundings import Peer, Surroundings
    from aether_deploy.probes.config import Probe, ProbeConfig
    from aether_deploy.problems import (
        ConfigError,
        DecisionError,
        EffectError,
        InvariantError,
        NoAvailableRegionError,
        NoCapacityError,
        NoHealthyRegionError,
        Problem,
        UnknownRegionError,
        UnknownResidencyError,
    )
    from aether_deploy.routing.config import Failover, Primary, Region, RegionRoutingConfig, RoutingDecision
    from aether_deploy.routing.decision.deciding import decide_route
    from aether_deploy.routing.decision.explaining import Candidate, Explanation, Obstacle, explain_route
    from aether_deploy.routing.limits import RoutingLimits
    from aether_deploy.routing.policy import (
        DampingPolicy,
        FailbackPolicy,
        HealthPolicy,
        LatencyExpansion,
        LatencyPolicy,
        LoadPolicy,
        ResidencyRule,
        RoutingPolicy,
        StickyPolicy,
    )
    from aether_deploy.routing.request import Measurement, PartyMember, RouteRequest
    from aether_deploy.routing.routed import Routed
    from aether_deploy.routing.router_config import RouterConfig, RouterLink, RouterPosition, RouterRegion
    from aether_deploy.routing.tracking.capacity import Reservation
    from aether_deploy.routing.tracking.damping import Damping
    from aether_deploy.routing.tracking.health import ProbeOutcome
    from aether_deploy.routing.tracking.tracker import RegionTracker
    from aether_deploy.routing.view import Position, RegionView, RoutingView
    from aether_deploy.routing.viewing import view_of
    from aether_deploy.scaling.autoscaler import Autoscaler
    from aether_deploy.scaling.config import CustomMetric, ScalingConfig
    from aether_deploy.scaling.controller.policy import HpaPolicy
    from aether_deploy.scaling.controller.reconcile import HpaController
    from aether_deploy.scaling.decision import Hold, ScaleDown, ScaleUp, ScalingDecision
    from aether_deploy.service.router.bundle import verify_bundle
    from aether_deploy.simulation.backends import backend_of, compile_policy
    from aether_deploy.simulation.compare import Compared, Difference, compare_backends
    from aether_deploy.simulation.failover.distribution import Distribution, simulate_failovers
    from aether_deploy.simulation.failover.run import FailoverRun, simulate_failover
    from aether_deploy.simulation.failover.setup import FailoverSetup
    from aether_deploy.simulation.findings import Finding
    from aether_deploy.simulation.generators import generate_trace
    from aether_deploy.simulation.lint import lint_policy
    from aether_deploy.simulation.replay import Replay, ReplayStep, ReplayTotals
    from aether_deploy.simulation.routing.players import PlayerGroup, filled_players, read_players
    from aether_deploy.simulation.routing.replay import RoutingReplay, replay_decisions
    from aether_deploy.simulation.routing.simulating import RoutingRun, simulate_routing
    from aether_deploy.simulation.routing.whatif import Loss, WhatIf, losses_of, what_if
    from aether_deploy.simulation.surge import Surge
    from aether_deploy.simulation.trace_csv import read_trace
    from aether_deploy.simulation.traces import Trace
    from aether_deploy.simulation.zone_headroom import zone_loss_min_replicas
    from aether_deploy.timespan import TimeSpan
    from aether_deploy.traffic.backend import BackendConfig, Landscape, Target
    from aether_deploy.traffic.envoy.bounds import failover_bound_ms, return_bound_ms
    from aether_deploy.traffic.envoy.parts import ListenerCheckConfig, ListenerConfig
    from aether_deploy.traffic.envoy.priority import PriorityLoad, priority_load
    from aether_deploy.traffic.kinds.envoy import EnvoyConfig
    from aether_deploy.traffic.kinds.external_dns import ExternalDnsConfig

# Where each public name lives. Names are imported on first use, so that importing the package is cheap.
_ROOMS = {
    "contract.checking": ("check_contract",),
    "delivery.comparing": ("diff_trees",),
    "delivery.loading": ("load_platform", "read_description"),
    "delivery.publishing": ("Publication", "plan_publish", "publish"),
    "delivery.traces": ("load_trace",),
    "delivery.tree_reading": ("StoredTree", "read_tree", "read_tree_at"),
    "delivery.tree_writer": ("write_tree",),
    "failover.bound": ("FailoverBound", "FailoverBounds"),
    "failover.bounds": ("bounds",),
    "failover.effective": ("patroni_effective",),
    "failover.policy": ("FailoverPolicy", "dynamic_config"),
    "fleet.config": ("DeploymentConfig", "WorkloadKind"),
    "gitops.diff.changes": ("Change", "Danger", "Diff", "Effect"),
    "gitops.render": ("render_tree",),
    "gitops.tree": ("Tree", "TreeFile", "Unit"),
    "infrastructure.analysis.analysing": ("Analysis",),
    "infrastructure.analysis.failures": ("PlatformFailure",),
    "infrastructure.analysis.graph": ("graph_svg",),
    "infrastructure.analysis.impacts": ("FailureImpact",),
    "infrastructure.analysis.judging": ("analysis_findings",),
    "infrastructure.analysis.table": ("table_markdown", "table_text"),
    "infrastructure.component": ("ComponentConfig", "ComponentExposeConfig"),
    "infrastructure.edge.parts": ("CacheClass", "EdgeCloudFront", "EdgeCloudflare", "EdgeTls"),
    "infrastructure.kinds.edge": ("EdgeConfig",),
    "infrastructure.kinds.nats": ("NatsConfig", "NatsUpdateConfig"),
    "infrastructure.kinds.object_store": ("ObjectStoreConfig",),
    "infrastructure.kinds.postgres": ("PostgresConfig",),
    "infrastructure.kinds.valkey": ("ValkeyConfig",),
    "infrastructure.nats.parts": (
        "JetStreamConfig", "NatsAccount", "NatsGateway", "NatsLameDuck", "NatsLeafnodes", "NatsSidecar", "NatsStream",
        "NatsTls", "NatsUser",
    ),
    "infrastructure.nats.reloading": ("reload_class",),
    "infrastructure.object_store.parts": (
        "CorsRule", "ObjectBucket", "ObjectExpiry", "ObjectLifecycle", "ObjectLock", "ObjectTransition", "StoreUser",
    ),
    "infrastructure.postgres.settings": (
        "PostgresIdentity", "PostgresServer", "PostgresSharding", "PostgresStandby", "PostgresTls",
    ),
    "infrastructure.valkey.survival": ("zone_survival",),
    "infrastructure.valkey.timing": ("failover_secs",),
    "lab.control_plane": ("ControlPlane",),
    "lab.dry_run": ("dry_run",),
    "lab.live": ("diff_live",),
    "lab.rehearsal": ("rehearse",),
    "lab.system.faults": ("LabFault",),
    "lab.system.record": ("FaultRecord", "LabRecord"),
    "lab.system.system": ("LabSystem",),
    "manifest.yaml_text": ("to_yaml", "to_yaml_documents"),
    "placement.config": ("AffinityRule", "TopologyConfig"),
    "platform.analysing": ("analyse_platform",),
    "platform.config": ("Platform",),
    "platform.gitops_config": ("ArgoCdConfig", "FluxConfig", "GitOpsConfig"),
    "platform.parts": (
        "ClusterConfig", "DatacenterConfig", "DefaultsConfig", "LinkConfig", "Location", "ObservabilityConfig",
        "PrometheusConfig", "RegionConfig", "Workload",
    ),
    "platform.patches": ("PatchConfig", "PatchTarget"),
    "platform.routing": ("router_config",),
    "platform.routing_config": ("HealthConfig", "RoutingConfig"),
    "platform.schema": ("platform_schema",),
    "platform.secrets": ("SecretItem", "SecretKey", "SecretStore", "SecretsConfig"),
    "pods.parts": (
        "ContainerConfig", "DisruptionBudgetConfig", "DrainConfig", "ExposeConfig", "IdentityConfig", "MetricsConfig",
        "NetworkConfig", "PortConfig", "PreStopConfig", "ResourceRequirements", "TolerationConfig", "UpdateConfig",
    ),
    "pods.storage": ("ConfigFile", "MountConfig", "PvcConfig", "RetentionConfig", "SecretFile", "VolumeConfig"),
    "pods.surroundings": ("Peer", "Surroundings"),
    "probes.config": ("Probe", "ProbeConfig"),
    "problems": (
        "ConfigError", "DecisionError", "EffectError", "InvariantError", "NoAvailableRegionError", "NoCapacityError",
        "NoHealthyRegionError", "Problem", "UnknownRegionError", "UnknownResidencyError",
    ),
    "routing.config": ("Failover", "Primary", "Region", "RegionRoutingConfig", "RoutingDecision"),
    "routing.decision.deciding": ("decide_route",),
    "routing.decision.explaining": ("Candidate", "Explanation", "Obstacle", "explain_route"),
    "routing.limits": ("RoutingLimits",),
    "routing.policy": (
        "DampingPolicy", "FailbackPolicy", "HealthPolicy", "LatencyExpansion", "LatencyPolicy", "LoadPolicy",
        "ResidencyRule", "RoutingPolicy", "StickyPolicy",
    ),
    "routing.request": ("Measurement", "PartyMember", "RouteRequest"),
    "routing.routed": ("Routed",),
    "routing.router_config": ("RouterConfig", "RouterLink", "RouterPosition", "RouterRegion"),
    "routing.tracking.capacity": ("Reservation",),
    "routing.tracking.damping": ("Damping",),
    "routing.tracking.health": ("ProbeOutcome",),
    "routing.tracking.tracker": ("RegionTracker",),
    "routing.view": ("Position", "RegionView", "RoutingView"),
    "routing.viewing": ("view_of",),
    "scaling.autoscaler": ("Autoscaler",),
    "scaling.config": ("CustomMetric", "ScalingConfig"),
    "scaling.controller.policy": ("HpaPolicy",),
    "scaling.controller.reconcile": ("HpaController",),
    "scaling.decision": ("Hold", "ScaleDown", "ScaleUp", "ScalingDecision"),
    "service.router.bundle": ("verify_bundle",),
    "simulation.backends": ("backend_of", "compile_policy"),
    "simulation.compare": ("Compared", "Difference", "compare_backends"),
    "simulation.failover.distribution": ("Distribution", "simulate_failovers"),
    "simulation.failover.run": ("FailoverRun", "simulate_failover"),
    "simulation.failover.setup": ("FailoverSetup",),
    "simulation.findings": ("Finding",),
    "simulation.generators": ("generate_trace",),
    "simulation.lint": ("lint_policy",),
    "simulation.replay": ("Replay", "ReplayStep", "ReplayTotals"),
    "simulation.routing.players": ("PlayerGroup", "filled_players", "read_players"),
    "simulation.routing.replay": ("RoutingReplay", "replay_decisions"),
    "simulation.routing.simulating": ("RoutingRun", "simulate_routing"),
    "simulation.routing.whatif": ("Loss", "WhatIf", "losses_of", "what_if"),
    "simulation.surge": ("Surge",),
    "simulation.trace_csv": ("read_trace",),
    "simulation.traces": ("Trace",),
    "simulation.zone_headroom": ("zone_loss_min_replicas",),
    "timespan": ("TimeSpan",),
    "traffic.backend": ("BackendConfig", "Landscape", "Target"),
    "traffic.envoy.bounds": ("failover_bound_ms", "return_bound_ms"),
    "traffic.envoy.parts": ("ListenerCheckConfig", "ListenerConfig"),
    "traffic.envoy.priority": ("PriorityLoad", "priority_load"),
    "traffic.kinds.envoy": ("EnvoyConfig",),
    "traffic.kinds.external_dns": ("ExternalDnsConfig",),
}  # fmt: skip
_HOMES = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "AffinityRule",
    "Analysis",
    "ArgoCdConfig",
    "Autoscaler",
    "BackendConfig",
    "CacheClass",
    "Candidate",
    "Change",
    "ClusterConfig",
    "Compared",
    "ComponentConfig",
    "ComponentExposeConfig",
    "ConfigError",
    "ConfigFile",
    "ContainerConfig",
    "ControlPlane",
    "CorsRule",
    "CustomMetric",
    "Damping",
    "DampingPolicy",
    "Danger",
    "DatacenterConfig",
    "DecisionError",
    "DefaultsConfig",
    "DeploymentConfig",
    "Diff",
    "Difference",
    "DisruptionBudgetConfig",
    "Distribution",
    "DrainConfig",
    "EdgeCloudFront",
    "EdgeCloudflare",
    "EdgeConfig",
    "EdgeTls",
    "Effect",
    "EffectError",
    "EnvoyConfig",
    "Explanation",
    "ExposeConfig",
    "ExternalDnsConfig",
    "FailbackPolicy",
    "Failover",
    "FailoverBound",
    "FailoverBounds",
    "FailoverPolicy",
    "FailoverRun",
    "FailoverSetup",
    "FailureImpact",
    "FaultRecord",
    "Finding",
    "FluxConfig",
    "GitOpsConfig",
    "HealthConfig",
    "HealthPolicy",
    "Hold",
    "HpaController",
    "HpaPolicy",
    "IdentityConfig",
    "InvariantError",
    "JetStreamConfig",
    "LabFault",
    "LabRecord",
    "LabSystem",
    "Landscape",
    "LatencyExpansion",
    "LatencyPolicy",
    "LinkConfig",
    "ListenerCheckConfig",
    "ListenerConfig",
    "LoadPolicy",
    "Location",
    "Loss",
    "Measurement",
    "MetricsConfig",
    "MountConfig",
    "NatsAccount",
    "NatsConfig",
    "NatsGateway",
    "NatsLameDuck",
    "NatsLeafnodes",
    "NatsSidecar",
    "NatsStream",
    "NatsTls",
    "NatsUpdateConfig",
    "NatsUser",
    "NetworkConfig",
    "NoAvailableRegionError",
    "NoCapacityError",
    "NoHealthyRegionError",
    "ObjectBucket",
    "ObjectExpiry",
    "ObjectLifecycle",
    "ObjectLock",
    "ObjectStoreConfig",
    "ObjectTransition",
    "ObservabilityConfig",
    "Obstacle",
    "PartyMember",
    "PatchConfig",
    "PatchTarget",
    "Peer",
    "Platform",
    "PlatformFailure",
    "PlayerGroup",
    "PortConfig",
    "Position",
    "PostgresConfig",
    "PostgresIdentity",
    "PostgresServer",
    "PostgresSharding",
    "PostgresStandby",
    "PostgresTls",
    "PreStopConfig",
    "Primary",
    "PriorityLoad",
    "Probe",
    "ProbeConfig",
    "ProbeOutcome",
    "Problem",
    "PrometheusConfig",
    "Publication",
    "PvcConfig",
    "Region",
    "RegionConfig",
    "RegionRoutingConfig",
    "RegionTracker",
    "RegionView",
    "Replay",
    "ReplayStep",
    "ReplayTotals",
    "Reservation",
    "ResidencyRule",
    "ResourceRequirements",
    "RetentionConfig",
    "RouteRequest",
    "Routed",
    "RouterConfig",
    "RouterLink",
    "RouterPosition",
    "RouterRegion",
    "RoutingConfig",
    "RoutingDecision",
    "RoutingLimits",
    "RoutingPolicy",
    "RoutingReplay",
    "RoutingRun",
    "RoutingView",
    "ScaleDown",
    "ScaleUp",
    "ScalingConfig",
    "ScalingDecision",
    "SecretFile",
    "SecretItem",
    "SecretKey",
    "SecretStore",
    "SecretsConfig",
    "StickyPolicy",
    "StoreUser",
    "StoredTree",
    "Surge",
    "Surroundings",
    "Target",
    "TimeSpan",
    "TolerationConfig",
    "TopologyConfig",
    "Trace",
    "Tree",
    "TreeFile",
    "Unit",
    "UnknownRegionError",
    "UnknownResidencyError",
    "UpdateConfig",
    "ValkeyConfig",
    "VolumeConfig",
    "WhatIf",
    "Workload",
    "WorkloadKind",
    "analyse_platform",
    "analysis_findings",
    "backend_of",
    "bounds",
    "check_contract",
    "compare_backends",
    "compile_policy",
    "decide_route",
    "diff_live",
    "diff_trees",
    "dry_run",
    "dynamic_config",
    "explain_route",
    "failover_bound_ms",
    "failover_secs",
    "filled_players",
    "generate_trace",
    "graph_svg",
    "lint_policy",
    "load_platform",
    "load_trace",
    "losses_of",
    "patroni_effective",
    "plan_publish",
    "platform_schema",
    "priority_load",
    "publish",
    "read_description",
    "read_players",
    "read_trace",
    "read_tree",
    "read_tree_at",
    "rehearse",
    "reload_class",
    "render_tree",
    "replay_decisions",
    "return_bound_ms",
    "router_config",
    "simulate_failover",
    "simulate_failovers",
    "simulate_routing",
    "table_markdown",
    "table_text",
    "to_yaml",
    "to_yaml_documents",
    "verify_bundle",
    "view_of",
    "what_if",
    "write_tree",
    "zone_loss_min_replicas",
    "zone_survival",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        room = _HOMES.get(name)
        if room is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(f"{__name__}.{room}"), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
