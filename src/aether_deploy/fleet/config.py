"""The settings of one workload."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Literal

from msgspec import UNSET

from aether_deploy.config.base import FILLED, Config, plain, rule, spec_of
from aether_deploy.config.compiling import compile_type
from aether_deploy.config.marks import Distinct, Keyed, PythonOnly
from aether_deploy.config.merging import merge
from aether_deploy.config.sink import Sink
from aether_deploy.config.types import (
    Count,
    DnsLabel,
    EnvName,
    ImageRef,
    LabelKey,
    LabelValue,
    NonEmpty,
    ObjectName,
    ServiceName,
)
from aether_deploy.fleet import rules, rules_running
from aether_deploy.fleet.defaults import CONTAINER_RESOURCES, class_defaults, http_port, opened
from aether_deploy.placement.config import TopologyConfig
from aether_deploy.pods.parts import (
    ContainerConfig,
    DisruptionBudgetConfig,
    DrainConfig,
    Endpoint,
    ExposeConfig,
    IdentityConfig,
    MetricsConfig,
    NetworkConfig,
    PortConfig,
    ResourceRequirements,
    TolerationConfig,
    UpdateConfig,
)
from aether_deploy.pods.storage import ConfigFile, PvcConfig, SecretFile, VolumeConfig
from aether_deploy.pods.surroundings import Surroundings
from aether_deploy.pods.waivers import WaiverName
from aether_deploy.probes.config import ProbeConfig
from aether_deploy.scaling.config import CustomMetric, ScalingConfig
from aether_deploy.scaling.modes import drain_secs

UNPLACED = "unplaced"
"""Namespace of an entry until its platform places it: only that knows the environment."""


class WorkloadKind(StrEnum):
    """What runs the pods: a StatefulSet where a volume survives them, else a Deployment."""

    StatefulSet = "StatefulSet"
    Deployment = "Deployment"


class DeploymentConfig(Config):
    """One world server or service, and everything Kubernetes must know of it.

    What is left out comes from the workload's class: ``worlds`` where a ``pvc`` is given, else ``services``
    (in a file the section decides).

    Attributes:
        name: The workload's name; its objects and its Service carry it.
        namespace: Namespace of its objects.
        image: Container image, best ``name:tag@sha256:digest``.
        replicas: Pods to run where nothing scales them; with ``scaling`` only what ``render_yaml`` shows.
        kind: Follows from ``pvc``; a kind that disagrees is a warning.
        resources: What the container may use.
        pvc: The volume of each pod; makes the workload a StatefulSet.
        probes: How the kubelet tells alive from ready.
        topology: How pods spread over zones and nodes, and what they run near.
        scaling: Scaling by player count; ``none`` is off.
        custom_metrics: What the autoscaler reads; for worlds ``aether_world_player_count`` where left out.
        uses: Names of the worlds and services that this one calls: opens the network on both sides and
            sets ``AETHER_<NAME>_HOST`` and ``AETHER_<NAME>_PORT_<PORT>``, for an object store ``AETHER_<NAME>_URL``.
        endpoint: Host name at which other regions reach this workload; ``{region}``, ``{environment}`` and
            ``{cluster}`` in it are those of the place where it runs.
        ports: Ports that it listens on.
        command: Replaces the image's entry point.
        args: Replaces the image's arguments.
        env: Environment variables; values are text, and Kubernetes expands ``$(NAME)`` in them.
        config_files: Files from a ConfigMap.
        secret_files: Files from Secrets.
        volumes: Further volumes.
        sidecars: Containers that start before the workload and end after it.
        init_containers: Containers that end before the workload starts.
        formerly: The workload's name before it was renamed, kept as the annotation ``aether.io/formerly``. To
            Kubernetes a renamed workload is a new one, with empty volumes; the old volumes stay under the old name.
        traffic: ``prefer_zone`` sends callers to pods of their own zone where there are any.
        drain: How a pod leaves.
        expose: How the outside reaches it.
        network: Addresses that it may reach, and that may reach it, besides.
        identity: Who the pods are.
        labels: Labels of every object and pod, beside ours; selectors do not use them.
        annotations: Annotations of every object and pod, beside ours.
        priority_class: An existing PriorityClass.
        pull_secrets: Secrets for pulling images; ``secrets`` brings them, or they must exist in the namespace.
        node_selector: Labels that a node must have.
        tolerations: Taints that do not keep the pods away.
        update: How a new version reaches the pods.
        disruption_budget: How many pods a node drain may take at a time.
        metrics: Where Prometheus scrapes; ``none`` is nowhere.
        waivers: Reasons for deliberate deviations, by waiver name; written where checkers look for them.
        workload_class: Whose defaults apply: ``worlds`` or ``services``.
    """

    name: ServiceName
    namespace: Annotated[DnsLabel, PythonOnly("it follows from the system's name and the environment")] = "default"
    image: ImageRef
    replicas: Count = FILLED
    kind: WorkloadKind | None = None
    resources: ResourceRequirements = FILLED
    pvc: PvcConfig | None = None
    probes: ProbeConfig = FILLED
    topology: TopologyConfig = FILLED
    scaling: ScalingConfig | None = None
    custom_metrics: Annotated[Sequence[CustomMetric], Keyed("name")] = ()
    uses: Annotated[Sequence[ServiceName], Distinct()] = ()
    endpoint: Endpoint | None = None
    ports: Annotated[Sequence[PortConfig], Keyed("name")] = FILLED
    command: Sequence[NonEmpty] = ()
    args: Sequence[str] = ()
    env: dict[EnvName, str] = {}
    config_files: Annotated[Sequence[ConfigFile], Keyed("name")] = ()
    secret_files: Annotated[Sequence[SecretFile], Keyed("name")] = ()
    volumes: Annotated[Sequence[VolumeConfig], Keyed("name")] = ()
    sidecars: Annotated[Sequence[ContainerConfig], Keyed("name")] = ()
    init_containers: Annotated[Sequence[ContainerConfig], Keyed("name")] = ()
    formerly: ServiceName | None = None
    traffic: Literal["prefer_zone"] | None = None
    drain: DrainConfig = FILLED
    expose: ExposeConfig | None = None
    network: NetworkConfig = FILLED
    identity: IdentityConfig = FILLED
    labels: dict[LabelKey, LabelValue] = {}
    annotations: dict[LabelKey, str] = {}
    priority_class: ObjectName | None = None
    pull_secrets: Annotated[Sequence[ObjectName], Distinct()] = ()
    node_selector: dict[LabelKey, LabelValue] = {}
    tolerations: Sequence[TolerationConfig] = ()
    update: UpdateConfig = FILLED
    disruption_budget: DisruptionBudgetConfig = FILLED
    metrics: MetricsConfig | None = FILLED
    waivers: dict[WaiverName, NonEmpty] = {}
    workload_class: Annotated[Literal["worlds", "services"], PythonOnly("its section decides")] = FILLED

    @classmethod
    def fill(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        said = {name: opened(value) for name, value in given.items()}
        if (workload_class := said.get("workload_class")) not in ("worlds", "services"):
            workload_class = "services" if said.get("pvc") in (None, "none") else "worlds"
        defaults = class_defaults(workload_class, said)
        beneath = {name: default for name, default in defaults.items() if name in said}
        port = http_port(said.get("ports"))
        ready = {name: _ready(cls, workload_class, name, port, defaults[name]) for name in defaults if name not in said}
        # A null here is off, said in Python at any depth; a file's null is gone by now.
        over = merge(beneath, {name: said[name] for name in beneath}, compile_type(cls), keep_null=True)
        filled: dict[str, Any] = {**ready, **said, **over, "workload_class": workload_class}
        for name in ("sidecars", "init_containers"):
            if isinstance(filled.get(name), (list, tuple)):
                filled[name] = [_with_resources(container) for container in filled[name]]
        return filled

    def as_given(self) -> dict[str, Any]:
        """Return what the workload says beyond the defaults of its class, as an entry of a platform."""
        bare = type(self)(name=self.name, image=self.image, pvc=self.pvc, workload_class=self.workload_class)
        held = {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not UNSET}
        said = {
            name: plain(value)
            for name, value in held.items()
            if name != "workload_class" and (name in self.said_names() or value != getattr(bare, name))
        }
        if "scaling" in said and "replicas" not in self.said_names() and self.replicas == self.least_pods:
            said.pop("replicas", None)  # it was filled in from the scaling
        short = type(self)(**{**said, "workload_class": self.workload_class})
        return {
            name: each if getattr(short, name) == held[name] else _complete(held[name]) for name, each in said.items()
        }

    def said_names(self) -> frozenset[str]:
        """Return the fields that count as said, even where they equal a default."""
        return frozenset({"name", "image"} | ({"pvc"} if self.pvc is not None else set()))

    @property
    def is_stateful(self) -> bool:
        """Whether the workload is a StatefulSet."""
        return self.pvc is not None

    @property
    def target_kind(self) -> str:
        return "StatefulSet" if self.is_stateful else "Deployment"

    @property
    def most_pods(self) -> int:
        """Most pods that there can be."""
        return self.scaling.max_replicas if self.scaling else self.replicas

    @property
    def least_pods(self) -> int:
        """Fewest pods that there can be, once the first deploy is through."""
        return self.scaling.min_replicas if self.scaling else self.replicas

    @property
    def grace_secs(self) -> int:
        """Longest time that a pod has to end: what ``drain`` says, or what its players need at the budget's pace."""
        return max(self.drain.grace_period_secs, drain_secs(self.scaling))

    kind_follows_the_volume = rule(rules.kind_follows_the_volume)
    names_fit = rule(rules.names_fit)
    namespace_is_hardened = rule(rules.namespace_is_hardened)
    image_is_pinned = rule(rules.image_is_pinned)
    ports_are_distinct = rule(rules.ports_are_distinct)
    port_names_exist = rule(rules.port_names_exist)
    mounts_do_not_overlap = rule(rules.mounts_do_not_overlap)
    container_mounts_exist = rule(rules.container_mounts_exist)
    volume_names_fit = rule(rules.volume_names_fit)
    annotations_fit = rule(rules.annotations_fit)
    scratch_fits = rule(rules.scratch_fits)
    tokens_are_of_use = rule(rules.tokens_are_of_use)
    container_names_are_distinct = rule(rules.container_names_are_distinct)
    budget_leaves_pods = rule(rules_running.budget_leaves_pods)
    metrics_match_scaling = rule(rules_running.metrics_match_scaling)
    replicas_are_the_autoscalers = rule(rules_running.replicas_are_the_autoscalers)
    update_fits_the_kind = rule(rules_running.update_fits_the_kind)
    drain_leaves_time = rule(rules_running.drain_leaves_time)
    endpoints_are_exposed = rule(rules_running.endpoints_are_exposed)
    occupied_pods_can_be_kept = rule(rules_running.occupied_pods_can_be_kept)
    exposed_pods_have_ordinals = rule(rules_running.exposed_pods_have_ordinals)
    secrets_are_files = rule(rules.secrets_are_files)
    literals_are_no_secrets = rule(rules.literals_are_no_secrets)
    labels_are_the_authors = rule(rules.labels_are_the_authors)
    waivers_are_used = rule(rules.waivers_are_used)

    def render_yaml(self) -> str:
        """Return the workload (StatefulSet or Deployment) as one YAML document, complete with
        ``spec.replicas`` and the scaling annotations. Equal settings give equal bytes."""
        from aether_deploy.fleet.bundle import render_workload
        from aether_deploy.manifest.yaml_text import to_yaml

        return to_yaml(render_workload(self, Surroundings(), with_replicas=True))

    def render_bundle(self, surroundings: Surroundings | None = None) -> str:
        """Return every object of the workload as YAML documents, in the order in which they are applied.

        Args:
            surroundings: What the rest of the platform means for this workload; left out, it stands alone.

        Raises:
            ConfigError: If a config file's ``source`` is not among ``surroundings.files``.
        """
        from aether_deploy.fleet.bundle import render_manifests
        from aether_deploy.manifest.yaml_text import to_yaml_documents

        manifests = render_manifests(self, surroundings or Surroundings())
        return to_yaml_documents(manifest.body for manifest in manifests)


def _complete(value: Any) -> Any:
    """Return a value as plain values with all that it says, so that no default of another class can join it."""
    if isinstance(value, tuple):
        return [_complete(each) for each in value]
    if isinstance(value, Config):
        return {name: _complete(each) for name, each in opened(value).items()}
    return plain(value)


# What a class gives where its author says nothing is the same for every workload, and is built once.
_READY: dict[tuple[str, str, int], Any] = {}


def _ready(cls: type[Config], workload_class: str, name: str, port: int, default: Any) -> Any:
    if not isinstance(default, (dict, list)):
        return default
    key = (workload_class, name, port)
    if key not in _READY:
        _READY[key] = spec_of(cls).by_name[name].node.read(default, None, Sink(python=True))
    return _READY[key]


def _with_resources(container: Any) -> Any:
    said = opened(container)
    if not isinstance(said, Mapping) or not isinstance(said.get("resources", {}), Mapping):
        return container
    return {**said, "resources": {**CONTAINER_RESOURCES, **said.get("resources", {})}}
