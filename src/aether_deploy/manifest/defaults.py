"""What an API server fills in where a manifest says nothing: two manifests that differ by that alone are the same.

Sources: Kubernetes 1.37 ``pkg/apis/{core,apps,autoscaling,networking,rbac}/v*/defaults.go``. Defaults that only a pod
gets, and not the template that it is made from, are left out: they change no template.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Body = dict[str, Any]
Steps = tuple[str, ...]
Default = Callable[[Body], Any]

_EACH = "[]"
_FIELD_OF_POD = {"apiVersion": "v1"}
_PROBE: Mapping[Steps, Any] = {
    (): {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3},
    ("httpGet",): {"scheme": "HTTP", "path": "/"},
    ("grpc",): {"service": ""},
}
_HOOK: Mapping[Steps, Any] = {("httpGet",): {"scheme": "HTTP", "path": "/"}}


def _pull_policy(container: Body) -> str:
    name, at, _ = str(container.get("image", "")).partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return "Always" if tag == "latest" or not (tag or at) else "IfNotPresent"


_CONTAINER: Mapping[Steps, Any] = {
    (): {
        "imagePullPolicy": _pull_policy,
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "resources": {},
    },
    ("ports", _EACH): {"protocol": "TCP"},
    ("env", _EACH, "valueFrom", "fieldRef"): _FIELD_OF_POD,
    **{
        (probe, *at): each
        for probe in ("livenessProbe", "readinessProbe", "startupProbe")
        for at, each in _PROBE.items()
    },
    **{("lifecycle", hook, *at): each for hook in ("postStart", "preStop") for at, each in _HOOK.items()},
}
_MODE = {"defaultMode": 0o644}
_POD: Mapping[Steps, Any] = {
    (): {
        "restartPolicy": "Always",
        "dnsPolicy": "ClusterFirst",
        "schedulerName": "default-scheduler",
        "terminationGracePeriodSeconds": 30,
        "securityContext": {},
        "serviceAccount": lambda pod: pod.get("serviceAccountName"),
    },
    **{(kind, _EACH, *at): each for kind in ("containers", "initContainers") for at, each in _CONTAINER.items()},
    **{("volumes", _EACH, kind): _MODE for kind in ("configMap", "secret", "projected", "downwardAPI")},
    ("volumes", _EACH, "downwardAPI", "items", _EACH, "fieldRef"): _FIELD_OF_POD,
    ("volumes", _EACH, "projected", "sources", _EACH, "serviceAccountToken"): {"expirationSeconds": 3600},
    ("volumes", _EACH, "hostPath"): {"type": ""},
}
_WORKLOAD: Mapping[Steps, Any] = {("spec", "template", "spec", *at): each for at, each in _POD.items()}
_ROLLING = {"maxSurge": "25%", "maxUnavailable": "25%"}


def _service_defaults(spec: Body) -> Body:
    outside = spec.get("type") in ("LoadBalancer", "NodePort")
    if spec.get("type") == "ExternalName":
        return {"sessionAffinity": "None"}
    return {
        "type": "ClusterIP",
        "sessionAffinity": "None",
        "internalTrafficPolicy": "Cluster",
        **({"externalTrafficPolicy": "Cluster"} if outside else {}),
        **({"allocateLoadBalancerNodePorts": True} if spec.get("type") == "LoadBalancer" else {}),
    }


_DEFAULTS: Mapping[str, Mapping[Steps, Any]] = {
    "StatefulSet": {
        **_WORKLOAD,
        ("spec",): {
            "podManagementPolicy": "OrderedReady",
            "revisionHistoryLimit": 10,
            "minReadySeconds": 0,
            "updateStrategy": {},
            "persistentVolumeClaimRetentionPolicy": {},
            "serviceName": "",
        },
        ("spec", "updateStrategy"): {
            "type": "RollingUpdate",
            "rollingUpdate": lambda strategy: {} if strategy["type"] == "RollingUpdate" else None,
        },
        ("spec", "updateStrategy", "rollingUpdate"): {"partition": 0, "maxUnavailable": 1},
        ("spec", "persistentVolumeClaimRetentionPolicy"): {"whenDeleted": "Retain", "whenScaled": "Retain"},
        ("spec", "volumeClaimTemplates", _EACH): {"apiVersion": "v1", "kind": "PersistentVolumeClaim"},
        ("spec", "volumeClaimTemplates", _EACH, "spec"): {"volumeMode": "Filesystem"},
    },
    "Deployment": {
        **_WORKLOAD,
        ("spec",): {
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": 600,
            "minReadySeconds": 0,
            "paused": False,
            "strategy": {},
        },
        ("spec", "strategy"): {
            "type": "RollingUpdate",
            "rollingUpdate": lambda strategy: {} if strategy["type"] == "RollingUpdate" else None,
        },
        ("spec", "strategy", "rollingUpdate"): _ROLLING,
    },
    "Service": {
        ("spec",): _service_defaults,
        ("spec", "ports", _EACH): {"protocol": "TCP", "targetPort": lambda port: port.get("port")},
    },
    "HorizontalPodAutoscaler": {("spec",): {"minReplicas": 1}},
    "NetworkPolicy": {("spec", way, _EACH, "ports", _EACH): {"protocol": "TCP"} for way in ("ingress", "egress")},
    "RoleBinding": {("subjects", _EACH): lambda subject: _subject_defaults(subject)},
    "ClusterRoleBinding": {("subjects", _EACH): lambda subject: _subject_defaults(subject)},
}


def _subject_defaults(subject: Body) -> Body:
    return {"apiGroup": "" if subject.get("kind") == "ServiceAccount" else "rbac.authorization.k8s.io"}


def with_defaults(body: Mapping[str, Any]) -> Body:
    """Return a manifest with what the API server fills in; ``spec.replicas`` is left as it is, because it has owners.

    Args:
        body: A manifest of a kind of Kubernetes; others are returned as they are.
    """
    table = _DEFAULTS.get(body.get("kind", ""))
    if table is None:
        return dict(body)
    filled: Body = _without_empty_lists(copy.deepcopy(dict(body)))
    for steps in sorted(table, key=len):
        for place in _places(filled, steps):
            _fill(place, table[steps])
    return filled


def _without_empty_lists(value: Any) -> Any:
    """An empty list is the same as none in every kind of Kubernetes."""
    if isinstance(value, dict):
        return {key: _without_empty_lists(each) for key, each in value.items() if each != [] and each is not None}
    return [_without_empty_lists(each) for each in value] if isinstance(value, list) else value


def _places(value: Any, steps: Steps) -> Iterator[Body]:
    if not steps:
        if isinstance(value, dict):
            yield value
    elif steps[0] == _EACH:
        for each in value if isinstance(value, list) else ():
            yield from _places(each, steps[1:])
    elif isinstance(value, dict) and steps[0] in value:
        yield from _places(value[steps[0]], steps[1:])


def _fill(place: Body, defaults: Mapping[str, Any] | Default) -> None:
    values = defaults(place) if callable(defaults) else defaults
    for field, default in values.items():
        if field not in place:
            value = default(place) if callable(default) else default
            if value is not None:
                place[field] = copy.deepcopy(value)
