"""What makes a component's pods: StatefulSets, Deployments and CronJobs, hardened alike."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from aether_deploy.infrastructure.component import ComponentConfig, Place
from aether_deploy.infrastructure.objects.naming import labels_of, metadata_of, part_labels
from aether_deploy.manifest.labels import selector_labels
from aether_deploy.placement.config import TopologyConfig, affinity_fragment
from aether_deploy.pods.fragments import container_security, pod_security, toleration_fragment
from aether_deploy.pods.parts import IdentityConfig
from aether_deploy.pods.storage import PvcConfig
from aether_deploy.pods.waivers import WAIVERS, waiver_annotations
from aether_deploy.quantities import canonical

HOST = "kubernetes.io/hostname"

ZONE = "topology.kubernetes.io/zone"

CLAIM = "data"
"""Name of the claim template, and of the volume, that holds a component's data."""


class ComponentPod(msgspec.Struct, frozen=True, kw_only=True):
    """The pods of one StatefulSet or Job of a component.

    Attributes:
        part: Name of the StatefulSet or Job.
        containers: The containers, without their security contexts.
        identity: Who the pods are, as the image wants it.
        init_containers: Containers that end before.
        volumes: Volumes beside the claim.
        zone: The zone that they run in; left out, they spread over zones, and wait rather than crowd one.
        grace_secs: Longest time that a pod has to end, seconds.
        account: Name of their ServiceAccount.
        token: Whether they get a token for the API server.
        labels: Further labels of the pods.
        checksum: Of what rolls the pods when it changes; left out, nothing does.
        writable_root: Whether the image writes into its root.
        share_processes: Whether its containers see, and may signal, each other's processes.
        restart: When a container that ends is started again; left out, always.
    """

    part: str
    containers: Sequence[dict[str, Any]]
    identity: IdentityConfig
    init_containers: Sequence[dict[str, Any]] = ()
    volumes: Sequence[dict[str, Any]] = ()
    zone: str | None = None
    grace_secs: int = 30
    account: str
    token: bool = False
    labels: Mapping[str, str] = {}
    checksum: str | None = None
    writable_root: bool = False
    share_processes: bool = False
    restart: Literal["OnFailure", "Never"] | None = None


def stateful_set(
    config: ComponentConfig,
    place: Place,
    pod: ComponentPod,
    *,
    replicas: int,
    pvc: PvcConfig,
    service: str,
    deviations: Iterable[str] = (),
    on_delete: bool = False,
) -> dict[str, Any]:
    """Return a StatefulSet of the component.

    Args:
        config: The component.
        place: Where it runs.
        pod: Its pods.
        replicas: How many.
        pvc: The volume of each pod.
        service: Its governing headless Service.
        deviations: Waivers that the pods need beside those that follow from ``config`` and ``pod``.
        on_delete: A pod gets a new template only once somebody deletes it.
    """
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": metadata_of(config, place, pod.part, annotations=_waived(config, pod, replicas, deviations)),
        "spec": {
            "serviceName": service,
            "replicas": replicas,
            "podManagementPolicy": "Parallel",
            "updateStrategy": {"type": "OnDelete"} if on_delete else rolling,
            # A claim that goes with its StatefulSet would take the data along.
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
            "selector": {"matchLabels": part_labels(config, pod.part)},
            "template": pod_template(config, place, pod),
            "volumeClaimTemplates": [_claim(place, pvc)],
        },
    }


def deployment(
    config: ComponentConfig, place: Place, pod: ComponentPod, *, replicas: int, deviations: Iterable[str] = ()
) -> dict[str, Any]:
    """Return a Deployment of the component: pods that are all alike and keep nothing that would be missed.

    Args:
        config: The component.
        place: Where it runs.
        pod: Its pods.
        replicas: How many.
        deviations: Waivers that the pods need beside those that follow from ``config`` and ``pod``.
    """
    template = pod_template(config, place, pod)
    for each in template["spec"]["topologySpreadConstraints"]:
        each["whenUnsatisfiable"] = "ScheduleAnyway"  # one more while rolling, and none that waits for a lost zone
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata_of(config, place, pod.part, annotations=_waived(config, pod, replicas, deviations)),
        "spec": {
            "replicas": replicas,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "selector": {"matchLabels": part_labels(config, pod.part)},
            "template": template,
        },
    }


def cron_job(
    config: ComponentConfig,
    place: Place,
    pod: ComponentPod,
    *,
    schedule: str,
    within_secs: int,
    deviations: Iterable[str] = (),
) -> dict[str, Any]:
    """Return a CronJob of the component: a Job cannot be changed, so an engine could not apply the next version of it.

    Args:
        config: The component.
        place: Where it runs.
        pod: Its pods.
        schedule: When it runs, as cron has it.
        within_secs: Longest time that one run may take, seconds.
        deviations: Waivers that the pods need beside those that follow from ``config`` and ``pod``.
    """
    template = pod_template(config, place, pod)
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": metadata_of(config, place, pod.part, annotations=_waived(config, pod, 2, deviations)),
        "spec": {
            "schedule": schedule,
            "startingDeadlineSeconds": within_secs,
            "concurrencyPolicy": "Forbid",
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 1,
            "jobTemplate": {
                "metadata": {"labels": template["metadata"]["labels"]},
                "spec": {"activeDeadlineSeconds": within_secs, "backoffLimit": 2, "template": template},
            },
        },
    }


def _claim(place: Place, pvc: PvcConfig) -> dict[str, Any]:
    storage_class = pvc.storage_class or place.region.storage_class
    return {
        "metadata": {"name": CLAIM},
        "spec": {
            "accessModes": [pvc.access_mode],
            **({"storageClassName": storage_class} if storage_class else {}),
            "resources": {"requests": {"storage": canonical(pvc.size)}},
        },
    }


def _waived(config: ComponentConfig, pod: ComponentPod, replicas: int, deviations: Iterable[str]) -> dict[str, str]:
    fixed = {
        "image_digest": any("@sha256:" not in each["image"] for each in (*pod.containers, *pod.init_containers)),
        "priority_class": config.priority_class is None,
        "cpu_limit": config.resources.cpu_limit is None,
        "single_replica": replicas < 2,
        "service_account_token": pod.token,
        "user_id": min(pod.identity.run_as_user, pod.identity.run_as_group) <= 10000,
        "writable_root": pod.writable_root,
    }
    names = {name for name, deviates in fixed.items() if deviates} | set(deviations)
    assert names <= WAIVERS.keys()
    return waiver_annotations({name: config.waivers.get(name) for name in names}, "workload")


def pod_template(config: ComponentConfig, place: Place, pod: ComponentPod) -> dict[str, Any]:
    """Return the template of the component's pods."""
    annotations = dict(config.annotations)
    if pod.checksum is not None:
        annotations["checksum/config"] = pod.checksum
    labels = {**part_labels(config, pod.part), **pod.labels}
    metadata: dict[str, Any] = {"labels": labels_of(config, place, labels)}
    if annotations:
        metadata["annotations"] = dict(sorted(annotations.items()))
    return {"metadata": metadata, "spec": _pod_spec(config, pod)}


def _pod_spec(config: ComponentConfig, pod: ComponentPod) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "serviceAccountName": pod.account,
        "automountServiceAccountToken": pod.token,
        "enableServiceLinks": False,
    }
    if config.priority_class is not None:
        spec["priorityClassName"] = config.priority_class
    if pod.share_processes:
        spec["shareProcessNamespace"] = True
    if pod.restart is not None:
        spec["restartPolicy"] = pod.restart
    spec["securityContext"] = pod_security(pod.identity)
    spec["terminationGracePeriodSeconds"] = pod.grace_secs
    if config.pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in config.pull_secrets]
    node_selector = {**config.node_selector, **({ZONE: pod.zone} if pod.zone else {})}
    if node_selector:
        spec["nodeSelector"] = dict(sorted(node_selector.items()))
    apart = TopologyConfig(spread_across_zones=pod.zone is None)
    spec["affinity"] = affinity_fragment(apart, part_labels(config, pod.part), [])
    if config.tolerations:
        spec["tolerations"] = [toleration_fragment(each) for each in config.tolerations]
    spec["topologySpreadConstraints"] = _spread(config, pod)
    if pod.init_containers:
        spec["initContainers"] = [_secured(pod, each) for each in pod.init_containers]
    spec["containers"] = [_secured(pod, each) for each in pod.containers]
    spec["volumes"] = [{"name": "tmp", "emptyDir": {}}, *pod.volumes]
    return spec


def _secured(pod: ComponentPod, container: dict[str, Any]) -> dict[str, Any]:
    security = container_security(pod.identity, read_only_root=not pod.writable_root)
    return {"imagePullPolicy": "Always", **container, "securityContext": security}


def _spread(config: ComponentConfig, pod: ComponentPod) -> list[dict[str, Any]]:
    """Two members on one node, or in one zone, would be one failure; those of one zone differ by their nodes."""
    selector = {"matchLabels": part_labels(config, pod.part)}
    hosts = {"maxSkew": 1, "topologyKey": HOST, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": selector}
    if pod.zone is not None:
        return [{**hosts, "whenUnsatisfiable": "DoNotSchedule", "nodeTaintsPolicy": "Honor"}]
    zones = {
        "maxSkew": 1, "topologyKey": ZONE, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": selector,
        "nodeTaintsPolicy": "Honor",
    }  # fmt: skip
    return [zones, hosts]


def budget(
    config: ComponentConfig, place: Place, *, name: str | None = None, selector: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the disruption budget of the component's pods: one at a time."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata_of(config, place, name),
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": {**selector_labels(config.name), **(selector or {})}},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }
