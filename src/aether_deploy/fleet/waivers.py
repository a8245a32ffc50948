"""Deliberate deviations from what policy checkers ask, as the annotations by which each checker accepts them.

Sources: checkov ``checkov.io/skip``, kube-score ``kube-score/ignore``, kube-linter
``ignore-check.kube-linter.io``, polaris ``polaris.fairwinds.com/<check>-exempt``; facts of each check's name
are those of the checkers' own lists.
"""

from collections.abc import Mapping

import msgspec


class Waiver(msgspec.Struct, frozen=True, kw_only=True):
    """One deviation.

    Attributes:
        meaning: What the workload does.
        reason: Why that is fine, where the author gives no reason of his own.
        checkov, kube_score, kube_linter, polaris: The checks that it waives.
    """

    meaning: str
    reason: str
    checkov: tuple[str, ...] = ()
    kube_score: tuple[str, ...] = ()
    kube_linter: tuple[str, ...] = ()
    polaris: tuple[str, ...] = ()


WAIVERS: dict[str, Waiver] = {
    "cpu_limit": Waiver(
        meaning="resources.cpu_limit is none",
        reason="a CPU limit shows as jitter",
        checkov=("CKV_K8S_11",),
        kube_score=("container-resources",),
        kube_linter=("unset-cpu-requirements",),
        polaris=("cpuLimitsMissing",),
    ),
    "image_digest": Waiver(
        meaning="an image is named by its tag only",
        reason="the tag is not moved",
        checkov=("CKV_K8S_43",),
    ),
    "priority_class": Waiver(
        meaning="priority_class is left out",
        reason="the cluster's default priority is wanted",
        polaris=("priorityClassNotSet",),
    ),
    "replicas": Waiver(
        meaning="an autoscaler owns the replica count",
        reason="the autoscaler owns the count",
        polaris=("deploymentMissingReplicas",),
    ),
    "single_replica": Waiver(
        meaning="fewer than two pods are run",
        reason="one pod is enough",
        kube_score=("deployment-replicas", "horizontalpodautoscaler-replicas"),
        kube_linter=("minimum-three-replicas",),
        polaris=("deploymentMissingReplicas",),
    ),
    "user_id": Waiver(
        meaning="identity names an id below 10001",
        reason="the image needs this id",
        checkov=("CKV_K8S_40",),
        kube_score=("container-security-context-user-group-id",),
    ),
    "service_account_token": Waiver(
        meaning="identity.automount_token is true",
        reason="the pods call the API server",
        checkov=("CKV_K8S_38",),
        polaris=("automountServiceAccountToken",),
    ),
    "node_port": Waiver(
        meaning="expose.type is NodePort",
        reason="the load balancer is outside the cluster",
        kube_score=("service-type",),
        kube_linter=("exposed-services",),
    ),
    "secret_env": Waiver(
        meaning="an environment variable is named like a secret and is none",
        reason="the value is not secret",
        kube_linter=("env-var-secret",),
        polaris=("sensitiveContainerEnvVar",),
    ),
}


def waiver_annotations(reasons: Mapping[str, str | None]) -> dict[str, str]:
    """Return the annotations that waive ``reasons``: waiver name to the author's reason, if any."""
    annotations: dict[str, str] = {}
    skips: list[str] = []
    ignored: list[str] = []
    for name in sorted(reasons):
        waiver = WAIVERS[name]
        reason = " ".join((reasons[name] or waiver.reason).split())
        skips += [f"{check}={reason}" for check in waiver.checkov]
        ignored += waiver.kube_score
        annotations |= {f"ignore-check.kube-linter.io/{check}": reason for check in waiver.kube_linter}
        annotations |= {f"polaris.fairwinds.com/{check}-exempt": "true" for check in waiver.polaris}
    annotations |= {f"checkov.io/skip{place}": skip for place, skip in enumerate(skips, 1)}
    if ignored:
        annotations["kube-score/ignore"] = ",".join(sorted(set(ignored)))
    return annotations
