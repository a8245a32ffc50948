"""Manifests against the strict schemas: good ones pass, and every fault is named with its place."""

import builtins
import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

import aether_deploy
from aether_deploy.lab.crds import CUSTOM_KINDS
from aether_deploy.problems import EffectError, Problem
from aether_deploy.schemacheck import check_manifests
from tests.real import need
from tools import make_schemas

Body = dict[str, Any]
SCHEMAS = Path(aether_deploy.__file__).parent / "schemas" / "kubernetes.json"

POD: Body = {
    "metadata": {"labels": {"app.kubernetes.io/name": "gateway"}, "annotations": {"a.example/b": "1"}},
    "spec": {
        "serviceAccountName": "gateway",
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 60,
        "securityContext": {"runAsNonRoot": True, "fsGroup": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"app.kubernetes.io/name": "gateway"}},
            }
        ],
        "tolerations": [{"key": "game", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}],
        "containers": [
            {
                "name": "gateway",
                "image": "registry.example/gateway:1@sha256:" + "0" * 64,
                "ports": [{"name": "game", "containerPort": 7777, "protocol": "UDP"}],
                "env": [{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
                "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "1Gi", "cpu": 1}},
                "readinessProbe": {"tcpSocket": {"port": "game"}, "periodSeconds": 5},
                "livenessProbe": {"httpGet": {"path": "/live", "port": 8080, "scheme": "HTTP"}},
                "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
            }
        ],
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}],
    },
}


def body_of(api_version: str, kind: str, name: str, **fields: Any) -> Body:
    metadata = {"name": name, "namespace": "aether-prod"}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **copy.deepcopy(fields)}


SELECTOR: Body = {"matchLabels": {"app.kubernetes.io/name": "gateway"}}
GOOD = {
    "Deployment": body_of(
        *("apps/v1", "Deployment", "gateway"),
        spec={
            "selector": SELECTOR,
            "replicas": 3,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}},
            "template": POD,
        },
    ),
    "StatefulSet": body_of(
        *("apps/v1", "StatefulSet", "world"),
        spec={
            "serviceName": "world",
            "selector": SELECTOR,
            "podManagementPolicy": "Parallel",
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
            "template": POD,
            "volumeClaimTemplates": [
                {
                    "metadata": {"name": "data"},
                    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}},
                }
            ],
        },
    ),
    "HorizontalPodAutoscaler": body_of(
        *("autoscaling/v2", "HorizontalPodAutoscaler", "gateway"),
        spec={
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "gateway"},
            "minReplicas": 2,
            "maxReplicas": 10,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
                },
                {
                    "type": "Pods",
                    "pods": {
                        "metric": {"name": "players"},
                        "target": {"type": "AverageValue", "averageValue": "80"},
                    },
                },
            ],
            "behavior": {
                "scaleDown": {
                    "stabilizationWindowSeconds": 300,
                    "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}],
                }
            },
        },
    ),
    "NetworkPolicy": body_of(
        *("networking.k8s.io/v1", "NetworkPolicy", "gateway"),
        spec={
            "podSelector": SELECTOR,
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {
                    "from": [{"namespaceSelector": {"matchLabels": {"a": "b"}}}],
                    "ports": [{"port": "game", "protocol": "UDP"}],
                }
            ],
            "egress": [
                {
                    "to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}],
                    "ports": [{"port": 53, "endPort": 54, "protocol": "TCP"}],
                }
            ],
        },
    ),
    "Secret": body_of("v1", "Secret", "token", type="Opaque", data={"token": "czNjcmV0"}),
    "Service": body_of(
        *("v1", "Service", "gateway"),
        spec={"selector": {"a": "b"}, "clusterIP": "None", "ports": [{"port": 7777, "targetPort": "game"}]},
    ),
    "PodDisruptionBudget": body_of(
        *("policy/v1", "PodDisruptionBudget", "gateway"),
        spec={"selector": SELECTOR, "maxUnavailable": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow"},
        status={"currentHealthy": 1},
    ),
    "PodMonitor": body_of(
        *("monitoring.coreos.com/v1", "PodMonitor", "gateway"),
        spec={
            "selector": SELECTOR,
            "podMetricsEndpoints": [{"port": "metrics", "interval": "30s", "path": "/metrics"}],
        },
    ),
}
CONTAINER = ("spec", "template", "spec", "containers", 0)
AT_CONTAINER = "$.spec.template.spec.containers[0]"

Change = Callable[[Body], object]


def put(*steps: str | int, value: object) -> Change:
    def change(body: Any) -> None:
        for step in steps[:-1]:
            body = body[step]
        body[steps[-1]] = value

    return change


def cut(*steps: str | int) -> Change:
    def change(body: Any) -> None:
        for step in steps[:-1]:
            body = body[step]
        del body[steps[-1]]

    return change


# Claim: (kind, change, path, message, fix)
FAULTS: dict[str, tuple[str, Change, str, str, str]] = {
    "an unknown field": (
        *("Deployment", put("spec", "replica", value=3), "$.spec"),
        *("has unknown key 'replica'", "did you mean 'replicas'?"),
    ),
    "an unknown field of the object": (
        *("Service", put("sepc", value={}), "$"),
        *("has unknown key 'sepc'", "did you mean 'spec'?"),
    ),
    "an unknown field of a claim template": (
        *("StatefulSet", put("spec", "volumeClaimTemplates", 0, "spec", "size", value="1Gi")),
        *("$.spec.volumeClaimTemplates[0].spec", "has unknown key 'size'"),
        "remove it; known are accessModes, dataSource, dataSourceRef, resources, selector, storageClassName, "
        "volumeAttributesClassName, volumeMode, volumeName",
    ),
    "a text for a number": (
        *("Deployment", put("spec", "replicas", value="3"), "$.spec.replicas"),
        *("is '3'; not of type integer", "write a value of type integer"),
    ),
    "a fraction for a whole number": (
        *("HorizontalPodAutoscaler", put("spec", "maxReplicas", value=2.5), "$.spec.maxReplicas"),
        *("is 2.5; not of type integer", "write a value of type integer"),
    ),
    "a number for a label": (
        *("Deployment", put("metadata", "labels", value={"a.b/c": 1}), "$.metadata.labels['a.b/c']"),
        *("is 1; not of type string", "write a value of type string"),
    ),
    "a truth value for a port": (
        *("NetworkPolicy", put("spec", "egress", 0, "ports", 0, "port", value=True)),
        *("$.spec.egress[0].ports[0].port", "is true; not of type integer or string"),
        "write a value of type integer or string",
    ),
    "a list for a map": (
        *("NetworkPolicy", put("spec", "podSelector", value=[]), "$.spec.podSelector"),
        *("is a list; not of type object", "write a value of type object"),
    ),
    "null for a map": (
        *("Deployment", put("spec", "template", value=None), "$.spec.template"),
        *("is null; not of type object", "write a value of type object"),
    ),
    "a number beyond 32 bits": (
        *("Deployment", put("spec", "replicas", value=2**31), "$.spec.replicas"),
        *("is 2147483648; greater than the maximum 2147483647", "write a value within the limits"),
    ),
    "a missing selector": ("Deployment", cut("spec", "selector"), "$.spec", "has no selector", "add selector"),
    "a missing spec": ("Deployment", cut("spec"), "$", "has no spec", "add spec"),
    "a pod without a spec": (
        *("StatefulSet", cut("spec", "template", "spec"), "$.spec.template", "has no spec", "add spec"),
    ),
    "a container without a name": (*("Deployment", cut(*CONTAINER, "name"), AT_CONTAINER, "has no name", "add name"),),
    "missing metadata": ("Deployment", cut("metadata"), "$", "has no metadata", "add metadata"),
    "a lower-case protocol": (
        *("Deployment", put(*CONTAINER, "ports", 0, "protocol", value="udp"), f"{AT_CONTAINER}.ports[0].protocol"),
        *("is 'udp'; none of the values that Kubernetes knows", "did you mean 'UDP'?"),
    ),
    "an unknown policy": (
        *("StatefulSet", put("spec", "podManagementPolicy", value="Sorted"), "$.spec.podManagementPolicy"),
        *("is 'Sorted'; none of the values that Kubernetes knows", "use 'OrderedReady', 'Parallel'"),
    ),
    "an unknown access mode": (
        *("StatefulSet", put("spec", "volumeClaimTemplates", 0, "spec", "accessModes", 0, value="RWO")),
        *("$.spec.volumeClaimTemplates[0].spec.accessModes[0]", "is 'RWO'; none of the values that Kubernetes knows"),
        "use 'ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod'",
    ),
    "a quantity with a space": (
        *("Deployment", put(*CONTAINER, "resources", "limits", "cpu", value="500 m")),
        f"{AT_CONTAINER}.resources.limits.cpu",
        "is '500 m'; no quantity: a number and a suffix, without spaces, such as 500m or 1.5Gi",
        "write a quantity such as 500m or 1.5Gi",
    ),
    "a quantity with a slip": (
        *("Deployment", put("spec", "template", "spec", "volumes", 0, "emptyDir", "sizeLimit", value="64mi")),
        *("$.spec.template.spec.volumes[0].emptyDir.sizeLimit", "is '64mi'; has the unknown suffix mi: use Mi"),
        "write a quantity such as 500m or 1.5Gi",
    ),
    "data that are not base64": (
        *("Secret", put("data", "token", value="s3cret!"), "$.data.token"),
        *("is 's3cret!'; not base64", "encode it as base64"),
    ),
    "a time that is none": (
        *("Secret", put("metadata", "creationTimestamp", value="today"), "$.metadata.creationTimestamp"),
        *("is 'today'; no time", "write a time such as 2026-01-31T12:00:00Z"),
    ),
    "an old version": (
        *("HorizontalPodAutoscaler", put("apiVersion", value="autoscaling/v2beta2"), "$.apiVersion"),
        "is 'autoscaling/v2beta2'; has no schema for HorizontalPodAutoscaler, so it cannot be judged",
        "write autoscaling/v2",
    ),
    "a missing version": (
        *("Deployment", cut("apiVersion"), "$.apiVersion"),
        *("is null; has no schema for Deployment, so it cannot be judged", "write apps/v1"),
    ),
    "an interval that Prometheus cannot read": (
        *("PodMonitor", put("spec", "podMetricsEndpoints", 0, "interval", value="soon")),
        "$.spec.podMetricsEndpoints[0].interval",
        "is 'soon'; does not match "
        "^(0|(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?)$",
        "write a value that matches",
    ),
    "an unknown field of a custom resource": (
        *("PodMonitor", put("spec", "podMetricsEndpoint", value=[]), "$.spec"),
        *("has unknown key 'podMetricsEndpoint'", "did you mean 'podMetricsEndpoints'?"),
    ),
}


@pytest.mark.parametrize("kind", GOOD)
def test_a_good_manifest_passes(kind: str) -> None:
    assert check_manifests([GOOD[kind]]) == []


@pytest.mark.parametrize("claim", FAULTS)
def test_a_fault_is_named_with_its_place(claim: str) -> None:
    kind, change, path, message, fix = FAULTS[claim]
    body = copy.deepcopy(GOOD[kind])
    change(body)

    problems = check_manifests([body])

    name = f"{kind} aether-prod/{GOOD[kind]['metadata']['name']}" if "metadata" in body else f"{kind} (no name)"
    assert [(each.path, each.message, each.fix) for each in problems] == [(f"{name} {path}", message, fix)]


def test_a_kind_without_a_schema_is_never_passed() -> None:
    bodies = [body_of("example.org/v1", "Widget", "w"), body_of("apps/v1", "Deploymnt", "d"), {}]

    assert check_manifests(bodies) == [
        Problem(
            path="Widget aether-prod/w $.kind",
            reason="a kind without a schema, so it cannot be judged",
            fix="leave such objects to a check that knows them",
            value="'Widget'",
        ),
        Problem(
            path="Deploymnt aether-prod/d $.kind",
            reason="a kind without a schema, so it cannot be judged",
            fix="did you mean 'Deployment'?",
            value="'Deploymnt'",
        ),
        Problem(
            path="object (no name) $.kind",
            reason="a kind without a schema, so it cannot be judged",
            fix="leave such objects to a check that knows them",
            value="null",
        ),
    ]


def test_all_faults_come_at_once_and_in_the_order_of_the_text() -> None:
    service = body_of("v1", "Service", "s", spec={"type": "Internal", "ports": [{"port": "x"}, {}], "port": 1})
    secret = body_of("v1", "Secret", "t", stringData={"a": 1}, dta={})

    assert [f"{each.path}: {each.message}" for each in check_manifests([service, secret])] == [
        "Service aether-prod/s $.spec: has unknown key 'port'",
        "Service aether-prod/s $.spec.type: is 'Internal'; none of the values that Kubernetes knows",
        "Service aether-prod/s $.spec.ports[0].port: is 'x'; not of type integer",
        "Service aether-prod/s $.spec.ports[1]: has no port",
        "Secret aether-prod/t $: has unknown key 'dta'",
        "Secret aether-prod/t $.stringData.a: is 1; not of type string",
    ]


def test_an_unknown_key_is_named_apart_so_that_its_line_can_be_found() -> None:
    (problem,) = check_manifests([body_of("v1", "ConfigMap", "c", dta={})])

    assert (problem.key, problem.value) == ("dta", None)


def test_any_mapping_is_judged() -> None:
    assert check_manifests([MappingProxyType(GOOD["Secret"])]) == []


def test_without_the_engine_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = builtins.__import__

    def refuse(name: str, *rest: Any) -> Any:
        if name == "jsonschema_rs":
            raise ImportError(name)
        return plain(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)

    with pytest.raises(EffectError, match=r"pip install 'aether-deploy\[check\]'"):
        check_manifests([])


def test_every_kind_has_a_strict_schema() -> None:
    schemas = json.loads(SCHEMAS.read_text("utf-8"))
    expected = {f"{version} {kind}" for version, kinds in make_schemas.KINDS.items() for kind in kinds}
    custom = {f"{each.api_version} {each.kind}" for each in CUSTOM_KINDS}

    assert schemas["kinds"].keys() == expected | custom
    for schema in (*schemas["kinds"].values(), *schemas["$defs"].values()):
        assert "properties" not in schema or schema["additionalProperties"] is False
    assert "description" not in schemas["$defs"]["core.v1.ContainerPort"]["properties"]["protocol"]


def test_a_new_keyword_in_the_sources_is_never_ignored() -> None:
    with pytest.raises(make_schemas.SourceError, match="unknown keywords"):
        make_schemas.Converter({}).convert({"type": "object", "x-kubernetes-embedded-resource": True})


@pytest.mark.real
def test_the_schemas_are_those_of_the_pinned_sources() -> None:
    need(shutil.which("go"), "Go", "install it from https://go.dev/dl/")
    try:
        made = make_schemas.make_schemas()
    except make_schemas.MissingError as error:
        need(None, f"a source of the schemas ({error})", make_schemas.COMMAND)
        raise

    assert made == SCHEMAS.read_text("utf-8")
