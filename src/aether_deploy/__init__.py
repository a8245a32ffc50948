"""One typed description of game worlds becomes a hardened, byte-deterministic GitOps tree for Kubernetes."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aether_deploy.delivery.loading import load_platform, read_description
    from aether_deploy.delivery.tree_writer import write_tree
    from aether_deploy.fleet.config import DeploymentConfig, WorkloadKind
    from aether_deploy.fleet.parts import (
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
    from aether_deploy.fleet.storage import (
        ConfigFile,
        MountConfig,
        PvcConfig,
        RetentionConfig,
        SecretFile,
        VolumeConfig,
    )
    from aether_deploy.fleet.surroundings import Peer, Surroundings
    from aether_deploy.gitops.render import render_tree
    from aether_deploy.gitops.tree import Tree, TreeFile, Unit
    from aether_deploy.lab.control_plane import ControlPlane
    from aether_deploy.lab.dry_run import dry_run
    from aether_deploy.lab.rehearsal import rehearse
    from aether_deploy.manifest.yaml_text import to_yaml, to_yaml_documents
    from aether_deploy.placement.config import AffinityRule, TopologyConfig
    from aether_deploy.platform.config import Platform
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
    from aether_deploy.platform.schema import platform_schema
    from aether_deploy.probes.config import Probe, ProbeConfig
    from aether_deploy.problems import (
        ConfigError,
        DecisionError,
        EffectError,
        InvariantError,
        NoHealthyRegionError,
        Problem,
        UnknownRegionError,
    )
    from aether_deploy.routing.config import Failover, Primary, Region, RegionRoutingConfig, RoutingDecision
    from aether_deploy.scaling.config import CustomMetric, ScalingConfig
    from aether_deploy.scaling.decision import Hold, ScaleDown, ScaleUp, ScalingDecision

# Where each public name lives. Names are imported on first use, so that importing the package is cheap.
_ROOMS = {
    "delivery.loading": ("load_platform", "read_description"),
    "delivery.tree_writer": ("write_tree",),
    "fleet.config": ("DeploymentConfig", "WorkloadKind"),
    "fleet.parts": (
        "ContainerConfig", "DisruptionBudgetConfig", "DrainConfig", "ExposeConfig", "IdentityConfig",
        "MetricsConfig", "NetworkConfig", "PortConfig", "PreStopConfig",
        "ResourceRequirements", "TolerationConfig", "UpdateConfig",
    ),
    "fleet.storage": ("ConfigFile", "MountConfig", "PvcConfig", "RetentionConfig", "SecretFile", "VolumeConfig"),
    "fleet.surroundings": ("Peer", "Surroundings"),
    "gitops.render": ("render_tree",),
    "gitops.tree": ("Tree", "TreeFile", "Unit"),
    "lab.control_plane": ("ControlPlane",),
    "lab.dry_run": ("dry_run",),
    "lab.rehearsal": ("rehearse",),
    "manifest.yaml_text": ("to_yaml", "to_yaml_documents"),
    "placement.config": ("AffinityRule", "TopologyConfig"),
    "platform.config": ("Platform",),
    "platform.parts": (
        "ClusterConfig", "DatacenterConfig", "DefaultsConfig", "LinkConfig", "Location", "ObservabilityConfig",
        "PrometheusConfig", "RegionConfig", "Workload",
    ),
    "platform.schema": ("platform_schema",),
    "probes.config": ("Probe", "ProbeConfig"),
    "problems": (
        "ConfigError", "DecisionError", "EffectError", "InvariantError", "NoHealthyRegionError", "Problem",
        "UnknownRegionError",
    ),
    "routing.config": ("Failover", "Primary", "Region", "RegionRoutingConfig", "RoutingDecision"),
    "scaling.config": ("CustomMetric", "ScalingConfig"),
    "scaling.decision": ("Hold", "ScaleDown", "ScaleUp", "ScalingDecision"),
}  # fmt: skip
_HOMES = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "AffinityRule",
    "ClusterConfig",
    "ConfigError",
    "ConfigFile",
    "ContainerConfig",
    "ControlPlane",
    "CustomMetric",
    "DatacenterConfig",
    "DecisionError",
    "DefaultsConfig",
    "DeploymentConfig",
    "DisruptionBudgetConfig",
    "DrainConfig",
    "EffectError",
    "ExposeConfig",
    "Failover",
    "Hold",
    "IdentityConfig",
    "InvariantError",
    "LinkConfig",
    "Location",
    "MetricsConfig",
    "MountConfig",
    "NetworkConfig",
    "NoHealthyRegionError",
    "ObservabilityConfig",
    "Peer",
    "Platform",
    "PortConfig",
    "PreStopConfig",
    "Primary",
    "Probe",
    "ProbeConfig",
    "Problem",
    "PrometheusConfig",
    "PvcConfig",
    "Region",
    "RegionConfig",
    "RegionRoutingConfig",
    "ResourceRequirements",
    "RetentionConfig",
    "RoutingDecision",
    "ScaleDown",
    "ScaleUp",
    "ScalingConfig",
    "ScalingDecision",
    "SecretFile",
    "Surroundings",
    "TolerationConfig",
    "TopologyConfig",
    "Tree",
    "TreeFile",
    "Unit",
    "UnknownRegionError",
    "UpdateConfig",
    "VolumeConfig",
    "Workload",
    "WorkloadKind",
    "dry_run",
    "load_platform",
    "platform_schema",
    "read_description",
    "rehearse",
    "render_tree",
    "to_yaml",
    "to_yaml_documents",
    "write_tree",
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
