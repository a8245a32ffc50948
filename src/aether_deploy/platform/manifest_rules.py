"""The rules that finished manifests are held against, one object at a time and all of a cluster together.

They take the objects as they are and know no description: what they say of an object holds whoever wrote it. Only
objects whose shape is that of their kind may be given to them (``manifest.shape``).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from aether_deploy.config.compiling import compile_type
from aether_deploy.config.sink import FAULTY, Sink
from aether_deploy.config.types import LabelKey, LabelValue
from aether_deploy.fleet.bundle import STATEFUL_MAX_UNAVAILABLE_SINCE
from aether_deploy.fleet.rules import ANNOTATIONS_MAX_BYTES
from aether_deploy.manifest.labels import POD_INDEX
from aether_deploy.manifest.literals import literal_secret
from aether_deploy.manifest.value import Manifest
from aether_deploy.platform.manifest_checks import Body, Finding, Findings
from aether_deploy.platform.pod_rules import labels_of_pods, pod_findings, port_names
from aether_deploy.scaling.modes import TOLERANCE_SINCE, minor_of

WORKLOADS = ("Deployment", "StatefulSet")
CONFIG_MAP_MAX_BYTES = 1024 * 1024
_KEPT = {
    "argocd.argoproj.io/sync-options": {"Prune=false", "Delete=false"},
    "kustomize.toolkit.fluxcd.io/prune": {"disabled"},
}
_ORDER = ("argocd.argoproj.io/sync-wave", "argocd.argoproj.io/hook")
_OPTIONS = "argocd.argoproj.io/sync-options"
_FORCING = {"Replace=true", "Force=true"}
_FORCE = "kustomize.toolkit.fluxcd.io/force"
_SUBSTITUTE = "kustomize.toolkit.fluxcd.io/substitute"
_METRIC_TYPES = {
    "ContainerResource": "containerResource",
    "External": "external",
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
}


def object_findings(body: Body) -> Findings:
    """Yield every rule that an object breaks by itself."""
    yield from _metadata_findings(body)
    yield from _literal_findings(body, ())
    rule = _RULES.get(str(body.get("kind")))
    if rule is not None:
        yield from rule(body)


def _metadata_findings(body: Body) -> Findings:
    metadata = body.get("metadata", {})
    yield from _label_findings(metadata.get("labels", {}), ("metadata", "labels"))
    annotations = metadata.get("annotations", {})
    size = sum(len(key.encode()) + len(str(text).encode()) for key, text in annotations.items())
    if size > ANNOTATIONS_MAX_BYTES:
        reason = f"holds {size} bytes; an object's annotations hold at most {ANNOTATIONS_MAX_BYTES}"
        yield Finding("size", ("metadata", "annotations"), reason, "make them shorter")
    yield from _engine_findings(body, annotations)


def _engine_findings(body: Body, annotations: Mapping[str, str]) -> Findings:
    for key in _ORDER:
        if key in annotations:
            reason = "changes when an engine applies the object"
            yield Finding("engine", ("metadata", "annotations", key), reason, "remove it")
    options = {each.strip() for each in annotations.get(_OPTIONS, "").split(",")}
    if options & _FORCING or annotations.get(_FORCE, "").lower() == "enabled":
        key = _OPTIONS if options & _FORCING else _FORCE
        reason = "lets an engine delete the object to make it anew"
        yield Finding("engine", ("metadata", "annotations", key), reason, "remove it")
    texts = body.get("data", {}) if body.get("kind") == "ConfigMap" else {}
    if any("${" in text for text in texts.values()) and annotations.get(_SUBSTITUTE) != "disabled":
        reason = "is not there, so Flux replaces ${...} in the files"
        yield Finding("engine", ("metadata", "annotations", _SUBSTITUTE), reason, "keep it: disabled")


def _label_findings(labels: Mapping[str, str], at: tuple[str | int, ...]) -> Findings:
    for key, value in labels.items():
        for annotation, text in ((LabelKey, key), (LabelValue, value)):
            sink = Sink()
            if compile_type(annotation).read(text, None, sink) is FAULTY:
                yield Finding("labels", (*at, key), sink.problems[0].message, sink.problems[0].fix)


def _literal_findings(value: object, at: tuple[str | int, ...]) -> Findings:
    if isinstance(value, str):
        if kind := literal_secret(value):
            yield Finding("secret_literal", at, f"holds {kind} in plain sight", "mount it by secret_files")
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _literal_findings(each, (*at, key))
    elif isinstance(value, (list, tuple)):
        for place, each in enumerate(value):
            yield from _literal_findings(each, (*at, place))


# --- objects by kind


def _workload_findings(body: Body) -> Findings:
    spec = body["spec"]
    yield from _label_findings(labels_of_pods(body), ("spec", "template", "metadata", "labels"))
    selector = spec.get("selector", {}).get("matchLabels", {})
    labels = labels_of_pods(body)
    if not selector or any(labels.get(key) != value for key, value in selector.items()):
        yield Finding("selectors", ("spec", "selector"), "does not select its own pods", "keep the label of the pods")
    strategy = spec.get("strategy", {})
    if strategy.get("type") == "Recreate":
        yield Finding("recreate", ("spec", "strategy", "type"), "stops every pod before a new one starts", "keep it")
    rolling = strategy.get("rollingUpdate", {})
    if _is_none(rolling.get("maxSurge", 1)) and _is_none(rolling.get("maxUnavailable", 0)):
        reason = "lets no pod ever be replaced"
        yield Finding("budget", ("spec", "strategy", "rollingUpdate"), reason, "set maxSurge or maxUnavailable to 1")
    for key, value in spec.get("persistentVolumeClaimRetentionPolicy", {}).items():
        if value == "Delete":
            at = ("spec", "persistentVolumeClaimRetentionPolicy", key)
            yield Finding("retention", at, "loses the volume and the log on it with the pod", "set it to Retain")
    yield from pod_findings(body)


def _is_none(amount: object) -> bool:
    return amount in (0, "0", "0%")


def _service_findings(body: Body) -> Findings:
    spec = body["spec"]
    if spec.get("type") == "NodePort":
        yield Finding("node_port", ("spec", "type"), "opens a port of every node", "use expose, or keep ClusterIP")
    if spec.get("type") == "LoadBalancer":
        yield Finding("exposed", ("spec", "type"), "opens the workload to the outside", "use expose, or keep ClusterIP")
    if spec.get("externalIPs"):
        yield Finding("exposed", ("spec", "externalIPs"), "opens the workload to the outside", "remove it")


def _budget_findings(body: Body) -> Findings:
    spec = body["spec"]
    if "minAvailable" in spec:
        reason = "may block every drain of a node: a count that scales can fall to it"
        yield Finding("budget", ("spec", "minAvailable"), reason, "use maxUnavailable: 1")
    elif _is_none(spec.get("maxUnavailable", 0)):
        yield Finding("budget", ("spec", "maxUnavailable"), "blocks every drain of a node", "set it to 1 or more")
    if spec.get("unhealthyPodEvictionPolicy") != "AlwaysAllow":
        reason = "lets a pod that is not ready block the drain of its node"
        yield Finding("eviction_policy", ("spec", "unhealthyPodEvictionPolicy"), reason, "set it to AlwaysAllow")


def _policy_findings(body: Body) -> Findings:
    spec = body["spec"]
    for way in ("Ingress", "Egress"):
        if way not in spec.get("policyTypes", ()):
            yield Finding("network", ("spec", "policyTypes"), f"leaves {way.lower()} open", f"add {way}")
    for way, end in (("ingress", "from"), ("egress", "to")):
        for place, rule in enumerate(spec.get(way, ())):
            if not rule.get(end) and not rule.get("ports"):
                yield Finding("network", ("spec", way, place), "is open to everybody on every port", f"give it {end}")


def _autoscaler_findings(body: Body) -> Findings:
    spec = body["spec"]
    least, most = spec.get("minReplicas", 1), spec.get("maxReplicas", 0)
    yield from _bounds_findings(("spec", "minReplicas"), least, most, "maxReplicas")
    if not spec.get("metrics"):
        yield Finding("autoscaler", ("spec", "metrics"), "scales by CPU, which says nothing of players", "keep them")
    for place, metric in enumerate(spec.get("metrics", ())):
        field = _METRIC_TYPES.get(metric.get("type"))
        if field not in metric:
            reason = f"is of type {metric.get('type')} and has no {field}"
            yield Finding("autoscaler", ("spec", "metrics", place), reason, f"add {field}")


def _scaled_findings(body: Body) -> Findings:
    spec = body["spec"]
    least, most = spec.get("minReplicaCount", 0), spec.get("maxReplicaCount", 100)
    yield from _bounds_findings(("spec", "minReplicaCount"), least, most, "maxReplicaCount")
    if not spec.get("triggers"):
        yield Finding("autoscaler", ("spec", "triggers"), "scales by nothing", "keep the triggers")


def _bounds_findings(at: tuple[str, ...], least: int, most: int, name: str) -> Findings:
    if least > most:
        yield Finding("autoscaler", at, f"is {least}, more than {name}, which is {most}", "lower it")
    elif least < 1:
        yield Finding("autoscaler", at, "lets the last pod go, and nothing asks for the first", "set it to 1 or more")
    elif least == 1:
        reason = "lets one pod be all there is"
        yield Finding("single_replica", at, reason, "set it to 2 or more")


def _namespace_findings(body: Body) -> Findings:
    metadata = body.get("metadata", {})
    for key, wanted in _KEPT.items():
        said = metadata.get("annotations", {}).get(key, "")
        if not wanted <= {each.strip() for each in said.split(",")}:
            reason = "lets an engine delete the namespace, and every volume in it"
            yield Finding("namespace", ("metadata", "annotations", key), reason, f"keep {','.join(sorted(wanted))}")
    if metadata.get("labels", {}).get("pod-security.kubernetes.io/enforce") != "restricted":
        at = ("metadata", "labels", "pod-security.kubernetes.io/enforce")
        yield Finding("namespace", at, "admits pods that are not restricted", "keep restricted")


def _config_map_findings(body: Body) -> Findings:
    size = sum(
        len(key) + len(text.encode()) for group in ("data", "binaryData") for key, text in body.get(group, {}).items()
    )
    if size > CONFIG_MAP_MAX_BYTES:
        reason = f"holds {size} bytes; a ConfigMap holds at most {CONFIG_MAP_MAX_BYTES}"
        yield Finding("size", ("data",), reason, "put what is large into the image")


def _account_findings(body: Body) -> Findings:
    if body.get("automountServiceAccountToken") is not False:
        reason = "gives pods that do not say a token for the API server"
        yield Finding("service_account_token", ("automountServiceAccountToken",), reason, "set it to false")


_RULES: Mapping[str, Callable[[Body], Findings]] = {
    "ConfigMap": _config_map_findings,
    "Deployment": _workload_findings,
    "HorizontalPodAutoscaler": _autoscaler_findings,
    "Namespace": _namespace_findings,
    "NetworkPolicy": _policy_findings,
    "PodDisruptionBudget": _budget_findings,
    "ScaledObject": _scaled_findings,
    "Service": _service_findings,
    "ServiceAccount": _account_findings,
    "StatefulSet": _workload_findings,
}


def version_findings(body: Body, kubernetes: str) -> Findings:
    """Yield every field of an object that a version of Kubernetes drops without a word.

    Source: the feature gates ``MaxUnavailableStatefulSet`` (on from 1.37) and ``HPAConfigurableTolerance`` (1.35).
    """
    minor, spec = minor_of(kubernetes), body.get("spec", {})
    dropped: list[tuple[str | int, ...]] = []
    rolling = spec.get("updateStrategy", {}).get("rollingUpdate", {})
    if body.get("kind") == "StatefulSet" and minor < STATEFUL_MAX_UNAVAILABLE_SINCE and "maxUnavailable" in rolling:
        dropped.append(("spec", "updateStrategy", "rollingUpdate", "maxUnavailable"))
    if body.get("kind") == "HorizontalPodAutoscaler" and minor < TOLERANCE_SINCE:
        ways = [way for way in ("scaleUp", "scaleDown") if "tolerance" in spec.get("behavior", {}).get(way, {})]
        dropped += [("spec", "behavior", way, "tolerance") for way in ways]
    for at in dropped:
        yield Finding("version", at, f"is dropped by Kubernetes {kubernetes}", "remove it, or name a newer version")


# --- objects together

Key = tuple[str | None, str, str]
"""Namespace, kind and name of an object."""


def relations(body: Body) -> Any:
    """Return what of an object the rules between objects look at: while it stays, what they say stays."""
    if body.get("kind") not in WORKLOADS:
        return body.get("spec") if body.get("kind") in _RELATED else None
    spec = body["spec"]
    return labels_of_pods(body), spec.get("replicas"), spec.get("serviceName"), set(port_names(body))


_RELATED = ("HorizontalPodAutoscaler", "NetworkPolicy", "PodDisruptionBudget", "PodMonitor", "ScaledObject", "Service")


class Together:
    """The objects of one cluster, and what of them belongs together."""

    def __init__(self, manifests: Iterable[Manifest]) -> None:
        self._bodies = {(each.namespace, each.kind, each.name): each.body for each in manifests}
        self._scalers: dict[Key, Key] = {}
        self._by_label: dict[tuple[str | None, str, str], list[Key]] = {}
        for key, body in self._bodies.items():
            if key[1] in ("HorizontalPodAutoscaler", "ScaledObject"):
                target = body["spec"].get("scaleTargetRef", {})
                self._scalers[key[0], str(target.get("kind")), str(target.get("name"))] = key
            if key[1] in WORKLOADS:
                for name, value in labels_of_pods(body).items():
                    self._by_label.setdefault((key[0], name, value), []).append(key)

    def findings(self) -> Iterator[tuple[Key, Finding]]:
        """Yield every rule between objects that one of them breaks, with the object."""
        budgets: dict[Key, Key] = {}
        for key, body in self._bodies.items():
            match key[1]:
                case "Deployment" | "StatefulSet":
                    found = self._of_workload(key, body)
                case "Service":
                    found = self._of_service(key, body)
                case "HorizontalPodAutoscaler" | "ScaledObject":
                    found = self._of_autoscaler(key, body)
                case "PodDisruptionBudget":
                    found = self._of_budget(key, body, budgets)
                case "NetworkPolicy":
                    found = self._of_selector(key, body["spec"].get("podSelector"), ("spec", "podSelector"))
                case "PodMonitor":
                    found = self._of_selector(key, body["spec"].get("selector"), ("spec", "selector"))
                case _:
                    continue
            yield from ((key, each) for each in found)

    def _selected(self, namespace: str | None, labels: Mapping[str, str]) -> list[Key]:
        """Return the workloads whose pods have all of ``labels``."""
        wanted = [(namespace, name, value) for name, value in labels.items() if name != POD_INDEX]
        if not wanted:
            return []
        rest = [set(self._by_label.get(each, ())) for each in wanted[1:]]
        return [key for key in self._by_label.get(wanted[0], ()) if all(key in keys for keys in rest)]

    def _of_workload(self, key: Key, body: Body) -> Findings:
        replicas = body["spec"].get("replicas")
        at = ("spec", "replicas")
        if key in self._scalers:
            if replicas is not None:
                yield Finding("replicas", at, "fights the autoscaler, which owns the count", "remove it")
        elif replicas is None or replicas < 1:
            yield Finding("replicas", at, "runs nothing" if replicas == 0 else "is not said", "set it to 1 or more")
        elif replicas == 1:
            yield Finding("single_replica", at, "lets one pod be all there is", "set it to 2 or more")
        service = body["spec"].get("serviceName")
        there = self._bodies.get((key[0], "Service", str(service)))
        if key[1] == "StatefulSet" and (there is None or there["spec"].get("clusterIP") != "None"):
            reason = f"names '{service}', which is no headless Service"
            yield Finding("selectors", ("spec", "serviceName"), reason, "keep it, and its Service headless")

    def _of_service(self, key: Key, body: Body) -> Findings:
        spec = body["spec"]
        if spec.get("type") == "ExternalName":
            return
        found = self._selected(key[0], spec.get("selector", {}))
        if not found:
            yield Finding("selectors", ("spec", "selector"), "selects no pods", "select the label of the pods")
        names = {name for each in found for name in port_names(self._bodies[each])}
        for place, port in enumerate(spec.get("ports", ())):
            target = port.get("targetPort")
            if found and isinstance(target, str) and target not in names:
                at = ("spec", "ports", place, "targetPort")
                yield Finding("selectors", at, f"names '{target}', which is no port of the pods", "name one of them")

    def _of_autoscaler(self, key: Key, body: Body) -> Findings:
        target = body["spec"].get("scaleTargetRef", {})
        wanted = (key[0], str(target.get("kind")), str(target.get("name")))
        if wanted not in self._bodies:
            reason = f"names {wanted[1]} '{wanted[2]}', which is not there"
            yield Finding("autoscaler", ("spec", "scaleTargetRef"), reason, "keep it")

    def _of_budget(self, key: Key, body: Body, budgets: dict[Key, Key]) -> Findings:
        at = ("spec", "selector")
        selector = body["spec"].get("selector")
        yield from self._of_selector(key, selector, at)
        for workload in self._selected(key[0], (selector or {}).get("matchLabels", {})):
            missing, least = body["spec"].get("maxUnavailable"), self._least_pods(workload)
            if isinstance(missing, int) and missing > 1 and missing >= least:
                where = ("spec", "maxUnavailable")
                reason = f"lets a node drain take all of {least} pods"
                yield Finding("budget", where, reason, f"set it to {max(least - 1, 1)} or less")
            other = budgets.setdefault(workload, key)
            if other != key:
                reason = f"selects pods of '{workload[2]}', as budget '{other[2]}' does: no such pod can be evicted"
                yield Finding("budget", at, reason, "let each pod have one budget")

    def _least_pods(self, workload: Key) -> int:
        scaler = self._scalers.get(workload)
        spec = self._bodies[scaler or workload]["spec"]
        least: int = spec.get("minReplicas", spec.get("minReplicaCount", spec.get("replicas", 1)))
        return least

    def _of_selector(self, key: Key, selector: Body | None, at: tuple[str, ...]) -> Findings:
        if not self._selected(key[0], (selector or {}).get("matchLabels", {})):
            yield Finding("selectors", at, "selects no pods", "select the label of the pods")
