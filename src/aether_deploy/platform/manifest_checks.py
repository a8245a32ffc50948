"""The rules that finished manifests are held against, by name: what each is about, and whether it may be waived.

What is rendered from a description keeps all of them by construction, so they matter where a patch has changed an
object. Rules that may be waived are about a weaker setting that can be meant; the others are about objects that
would not work, or that a restricted namespace does not admit.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from aether_deploy.pods.waivers import WAIVERS, Bearer, Checks

Body = Mapping[str, Any]


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One rule.

    Attributes:
        meaning: What breaks it.
        because: Why it cannot be waived; empty where it can.
        waives: The checks of policy checkers that a waiver of it excuses the object from.
    """

    meaning: str
    because: str = ""
    waives: Checks = Checks()

    @property
    def waivable(self) -> bool:
        return not self.because


class Finding(msgspec.Struct, frozen=True):
    """A rule that an object breaks.

    Attributes:
        check: The rule's name.
        at: Steps to what is wrong.
        reason: What is wrong with it.
        fix: What to do about it.
    """

    check: str
    at: tuple[str | int, ...]
    reason: str
    fix: str


Findings = Iterator[Finding]

_REFUSED = "the namespace is restricted, so no such pod is ever made"
_BROKEN = "it would not work"

CHECKS: Mapping[str, Check] = {
    "autoscaler": Check(meaning="an autoscaler scales nothing, or by nothing", because=_BROKEN),
    "budget": Check(meaning="a disruption budget blocks node drains, or does not fit the pods", because=_BROKEN),
    "cpu_limit": Check(meaning="a container has no CPU limit", waives=WAIVERS["cpu_limit"].workload),
    "drain": Check(meaning="a pod is killed while it waits in preStop", because=_BROKEN),
    "engine": Check(
        meaning="an annotation changes how or when an engine applies the object",
        because="the order follows from one graph, and a forced replacement loses what is kept",
    ),
    "environment": Check(meaning="a variable is set twice", because="the later one wins, whichever that is"),
    "eviction_policy": Check(meaning="a budget keeps pods that are not ready from being evicted"),
    "exposed": Check(meaning="a Service opens the workload to the outside"),
    "image_digest": Check(meaning="an image is named by its tag only", waives=WAIVERS["image_digest"].workload),
    "image_tag": Check(meaning="an image is not pinned", because="every start may run another version"),
    "labels": Check(meaning="a label is not valid, or one of ours has changed", because=_BROKEN),
    "mounts": Check(meaning="a mount is of no volume, or at a place that is taken", because=_BROKEN),
    "namespace": Check(
        meaning="the namespace can be pruned, or is not restricted",
        because="losing the Namespace loses every claim in it",
    ),
    "network": Check(meaning="a network policy leaves traffic open"),
    "node_port": Check(meaning="a Service opens a port of every node", waives=WAIVERS["node_port"].outside_service),
    "ports": Check(meaning="two ports collide, or one is that of SSH", because=_BROKEN),
    "probes": Check(
        meaning="a probe is missing, or two ask the same",
        waives=Checks(checkov=("CKV_K8S_8", "CKV_K8S_9"), kube_score=("pod-probes", "pod-probes-identical")),
    ),
    "pull_policy": Check(
        meaning="a node may run a stale image",
        waives=Checks(checkov=("CKV_K8S_15",), kube_score=("container-image-pull-policy",)),
    ),
    "read_only_root": Check(
        meaning="a container may write to its root file system",
        waives=Checks(checkov=("CKV_K8S_22",), kube_score=("container-security-context-readonlyrootfilesystem",)),
    ),
    "recreate": Check(meaning="an update stops every pod first", waives=WAIVERS["recreate"].workload),
    "replicas": Check(meaning="the file and an autoscaler fight over the count, or nobody says it", because=_BROKEN),
    "resources": Check(
        meaning="a container has no requests or limits",
        waives=Checks(
            checkov=("CKV_K8S_10", "CKV_K8S_11", "CKV_K8S_12", "CKV_K8S_13"),
            kube_score=("container-ephemeral-storage-request-and-limit", "container-resources"),
        ),
    ),
    "restricted": Check(meaning="a pod is none that a restricted namespace admits", because=_REFUSED),
    "retention": Check(meaning="a world's volume goes with its pod"),
    "secret_env": Check(
        meaning="a secret is in an environment variable",
        waives=Checks(
            checkov=("CKV_K8S_35",),
            kube_linter=("env-var-secret",),
            polaris=("sensitiveContainerEnvVar",),
        ),
    ),
    "secret_literal": Check(meaning="a text holds a secret in plain sight", waives=WAIVERS["secret_literal"].workload),
    "selectors": Check(meaning="a selector or a reference leads to nothing", because=_BROKEN),
    "service_account_token": Check(
        meaning="a pod gets a token for the API server",
        waives=WAIVERS["service_account_token"].workload,
    ),
    "single_replica": Check(meaning="one pod may be all there is", waives=WAIVERS["single_replica"].workload),
    "size": Check(meaning="an object is larger than the API server takes", because="the API server refuses it"),
    "spread": Check(
        meaning="pods may share one node or one zone",
        waives=Checks(
            kube_score=(
                "deployment-has-host-podantiaffinity",
                "pod-topology-spread-constraints",
                "statefulset-has-host-podantiaffinity",
            )
        ),
    ),
    "startup_probe": Check(meaning="the startup probe asks what readiness asks, so a long start is a kill loop"),
    "version": Check(meaning="a cluster is too old for a field", because="the API server drops it without a word"),
    "user_id": Check(
        meaning="a process has an id that a user of the node may have", waives=WAIVERS["user_id"].workload
    ),
}
"""Every rule. Names that workloads have as waivers, too, mean the same here."""


def checks_waived_on(name: str, bearer: Bearer | None) -> Checks:
    """Return what a waiver of ``name`` excuses one object from, by the checkers' own names."""
    if name in WAIVERS and bearer in ("outside_service", "autoscaler"):
        return WAIVERS[name].on(bearer)
    return CHECKS[name].waives
