"""Deliberate deviations from what policy checkers ask, as the annotations by which each checker accepts them.

A checker reads annotations of the very object that it reports: of the StatefulSet or Deployment (for its pods
too), of a Service, of the HorizontalPodAutoscaler. Pods carry none, so that a new reason restarts nothing.

Sources: checkov ``checkov.io/skip``, kube-score ``kube-score/ignore``, kube-linter
``ignore-check.kube-linter.io``, polaris ``polaris.fairwinds.com/<check>-exempt``; names of checks are those of
the checkers' own lists.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

import msgspec

from aether_deploy.config.marks import OneOf

Bearer = Literal["workload", "outside_service", "autoscaler"]


class Checks(msgspec.Struct, frozen=True, kw_only=True):
    """Checks that one object of a workload is excused from, by checker."""

    checkov: tuple[str, ...] = ()
    kube_score: tuple[str, ...] = ()
    kube_linter: tuple[str, ...] = ()
    polaris: tuple[str, ...] = ()


class Waiver(msgspec.Struct, frozen=True, kw_only=True):
    """One deviation.

    Attributes:
        meaning: What the workload does.
        reason: Why that is fine, where the author gives no reason of his own.
        workload: What it waives on the StatefulSet or Deployment.
        outside_service: What it waives on the Services of ``expose``.
        autoscaler: What it waives on the HorizontalPodAutoscaler.
        components_only: Only components deviate in this way; a workload cannot.
    """

    meaning: str
    reason: str
    workload: Checks = Checks()
    outside_service: Checks = Checks()
    autoscaler: Checks = Checks()
    components_only: bool = False

    def on(self, bearer: Bearer) -> Checks:
        """Return what is waived on one object."""
        return {
            "workload": self.workload,
            "outside_service": self.outside_service,
            "autoscaler": self.autoscaler,
        }[bearer]


_IGNORED = "kube-score/ignore"
_SKIP = "checkov.io/skip"

WAIVERS: dict[str, Waiver] = {
    "cpu_limit": Waiver(
        meaning="`resources.cpu_limit` is none",
        reason="a CPU limit shows as jitter",
        workload=Checks(checkov=("CKV_K8S_11",), kube_score=("container-resources",), polaris=("cpuLimitsMissing",)),
    ),
    "fixed_count": Waiver(
        meaning="`scaling.min_replicas` equals `max_replicas`",
        reason="the count is fixed",
        autoscaler=Checks(polaris=("hpaMaxAvailability",)),
    ),
    "image_digest": Waiver(
        meaning="an image is named by its tag only",
        reason="the tag is not moved",
        workload=Checks(checkov=("CKV_K8S_43",)),
    ),
    "node_port": Waiver(
        meaning="`expose.type` is NodePort",
        reason="the load balancer is outside the cluster",
        outside_service=Checks(kube_score=("service-type",), kube_linter=("exposed-services",)),
    ),
    "per_pod": Waiver(
        meaning="`expose.per_pod` is true: each Service selects the pod of one ordinal",
        reason="the StatefulSet controller gives each pod the label of its ordinal",
        outside_service=Checks(kube_score=("service-targets-pod",), kube_linter=("dangling-service",)),
    ),
    "priority_class": Waiver(
        meaning="`priority_class` is left out",
        reason="the cluster's default priority is wanted",
        workload=Checks(polaris=("priorityClassNotSet",)),
    ),
    "recreate": Waiver(
        meaning="`update.strategy` is Recreate",
        reason="two versions must not run at a time",
        workload=Checks(kube_score=("deployment-strategy",)),
    ),
    "replicas": Waiver(
        meaning="an autoscaler owns the replica count of a Deployment",
        reason="the autoscaler owns the count",
        workload=Checks(polaris=("deploymentMissingReplicas",)),
    ),
    "role_selector": Waiver(
        meaning="a Service of a component finds the pod that leads by a label that this gives itself",
        reason="the pods label themselves by their role",
        outside_service=Checks(kube_score=("service-targets-pod",), kube_linter=("dangling-service",)),
        components_only=True,
    ),
    "secret_env": Waiver(
        meaning="an environment variable is named like a secret and is none",
        reason="the value is not secret",
        workload=Checks(kube_linter=("env-var-secret",), polaris=("sensitiveContainerEnvVar",)),
    ),
    "secret_literal": Waiver(
        meaning="a text or a config file looks like a private key or an access key of a cloud and is no secret",
        reason="the value is not secret",
        workload=Checks(polaris=("sensitiveContainerEnvVar",)),
    ),
    "secret_variables": Waiver(
        meaning="the image of a component takes passwords from variables only",
        reason="the image reads passwords from nowhere else",
        workload=Checks(checkov=("CKV_K8S_35",)),
        components_only=True,
    ),
    "service_account_token": Waiver(
        meaning="`identity.automount_token` is true",
        reason="the pods call the API server",
        workload=Checks(checkov=("CKV_K8S_38",), polaris=("automountServiceAccountToken",)),
    ),
    "sidecar_probes": Waiver(
        meaning="a container beside that of a component has no probes",
        reason="it is started again when it ends, and nobody asks it",
        workload=Checks(
            checkov=("CKV_K8S_8", "CKV_K8S_9"),
            kube_linter=("no-liveness-probe", "no-readiness-probe"),
            polaris=("livenessProbeMissing", "readinessProbeMissing"),
        ),
        components_only=True,
    ),
    "single_replica": Waiver(
        meaning="one pod may be all there is",
        reason="one pod is enough",
        workload=Checks(
            kube_score=("deployment-replicas",),
            kube_linter=("minimum-three-replicas",),
            polaris=("deploymentMissingReplicas",),
        ),
        autoscaler=Checks(
            kube_score=("horizontalpodautoscaler-replicas",),
            kube_linter=("hpa-minimum-three-replicas",),
            polaris=("hpaMinAvailability",),
        ),
    ),
    "user_id": Waiver(
        meaning="`identity` names an id below 10001",
        reason="the image needs this id",
        workload=Checks(checkov=("CKV_K8S_40",), kube_score=("container-security-context-user-group-id",)),
    ),
    "writable_root": Waiver(
        meaning="the image of a component writes into its root",
        reason="the image writes into its root",
        workload=Checks(
            checkov=("CKV_K8S_22",),
            kube_score=("container-security-context-readonlyrootfilesystem",),
            kube_linter=("no-read-only-root-fs",),
            polaris=("notReadOnlyRootFilesystem",),
        ),
        components_only=True,
    ),
}

WaiverName = Annotated[str, OneOf(tuple(name for name, waiver in WAIVERS.items() if not waiver.components_only))]
ComponentWaiverName = Annotated[str, OneOf(tuple(WAIVERS))]


def joined_annotations(own: Mapping[str, str], ours: Mapping[str, str]) -> dict[str, str]:
    """Return the author's annotations and ours. Checks that the author skips himself stay skipped."""
    joined = {**own, **ours}
    if not own or not ours:
        return joined
    if _IGNORED in own and _IGNORED in ours:
        checks = {check.strip() for text in (own[_IGNORED], ours[_IGNORED]) for check in text.split(",")}
        joined[_IGNORED] = ",".join(sorted(checks - {""}))
    skips = [text for said in (own, ours) for key, text in said.items() if key.startswith(_SKIP)]
    kept = {key: text for key, text in joined.items() if not key.startswith(_SKIP)}
    return kept | {f"{_SKIP}{place}": text for place, text in enumerate(skips, 1)}


def waiver_annotations(reasons: Mapping[str, str | None], bearer: Bearer) -> dict[str, str]:
    """Return the annotations of one object that waive ``reasons``.

    Args:
        reasons: Waiver name to the author's reason, if any.
        bearer: Which object of the workload it is.
    """
    return checks_annotations(
        (WAIVERS[name].on(bearer), reasons[name] or WAIVERS[name].reason) for name in sorted(reasons)
    )


def checks_annotations(waived: Iterable[tuple[Checks, str]]) -> dict[str, str]:
    """Return the annotations that excuse one object from checks, each with its reason."""
    annotations: dict[str, str] = {}
    skips: list[str] = []
    ignored: list[str] = []
    for checks, said in waived:
        reason = " ".join(said.split())
        # A second '=' ends checkov with a stack trace.
        skips += [f"{check}={reason.replace('=', ':')}" for check in checks.checkov]
        ignored += checks.kube_score
        annotations |= {f"ignore-check.kube-linter.io/{check}": reason for check in checks.kube_linter}
        annotations |= {f"polaris.fairwinds.com/{check}-exempt": "true" for check in checks.polaris}
    annotations |= {f"{_SKIP}{place}": skip for place, skip in enumerate(skips, 1)}
    if ignored:
        annotations[_IGNORED] = ",".join(sorted(set(ignored)))
    return annotations
