"""The rules that finished manifests are held against: ours keep them, and what a checker reports they report too."""

import random
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any

import pytest

from aether_deploy import DeploymentConfig, Surroundings
from aether_deploy.fleet.bundle import render_manifests
from aether_deploy.lab.client import ApiError
from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.manifest.merge_keys import KINDS
from aether_deploy.manifest.patch_fault import PatchFault
from aether_deploy.manifest.shape import has_schema, misshapen
from aether_deploy.manifest.strategic_merge import strategic_merge
from aether_deploy.manifest.value import Manifest
from aether_deploy.platform.manifest_checks import CHECKS, Finding
from aether_deploy.platform.manifest_rules import Together, object_findings, version_findings
from aether_deploy.platform.patching import where_text
from aether_deploy.schemacheck import check_manifests
from tests.hardening_cases import CONFIGS, OBJECTS
from tests.lab_cases import in_namespace
from tests.patch_cases import objects, random_merge
from tests.platform_cases import cluster, platform
from tests.policy_cases import BASES, Mutation, mutated, mutations

Body = dict[str, Any]
SEED = 20_261_127
PATCHES = 1500
PODS = 300


def manifests_of(config: DeploymentConfig) -> list[Manifest]:
    return render_manifests(config, Surroundings())


def findings(manifests: Iterable[Manifest]) -> list[Finding]:
    """Return every rule that is broken by an object alone, or by several together."""
    every = list(manifests)
    alone = [finding for manifest in every for finding in object_findings(manifest.body)]
    return [*alone, *(finding for _, finding in Together(every).findings())]


# --- what is rendered keeps all of them


@pytest.mark.parametrize("name", CONFIGS)
def test_a_hardened_workload_breaks_no_rule(name: str) -> None:
    found = {finding.check for finding in findings(manifests_of(CONFIGS[name]))}

    assert found == ({"exposed"} if CONFIGS[name].expose else set())


def test_a_platform_breaks_no_rule_but_those_that_it_waives() -> None:
    watch = "observability: {prometheus: {url: 'http://p:9090', namespace: monitoring}, metrics_adapter: true}"
    found = findings(cluster(platform(watch), "us-east-1").manifests)

    # The adapter reads the API server, and its image is published by tag.
    assert {finding.check for finding in found} == {"image_digest", "service_account_token"}


# --- what checkers report

# A patch can take no object away and make none another; such mutations are no matter of these rules.
BEYOND = {
    "a world has no budget",
    "a service has no budget",
    "there is no network policy",
    "the API version is gone",
}
MUTATIONS = {each.what: each for each in mutations() if each.what not in BEYOND}


@pytest.mark.parametrize("what", MUTATIONS)
def test_what_a_checker_would_report_is_a_finding(what: str) -> None:
    mutation: Mutation = MUTATIONS[what]
    config = DeploymentConfig(**BASES[mutation.base], namespace="aether-prod")
    sound = [manifest.body for manifest in manifests_of(config)]

    assert findings(Manifest(body, "") for body in sound) == []
    assert findings(Manifest(body, "") for body in mutated(sound, mutation))


# --- each rule once, by itself


def world() -> list[Body]:
    """Return the objects of a world that scales, with a sidecar, an init container and a config file."""
    return [manifest.body for manifest in manifests_of(CONFIGS["a world with company"])]


BOX = "POD.containers.0"
RULES: Mapping[str, tuple[str, str, str, Any]] = {
    "a sysctl is not safe": ("restricted", "StatefulSet", "POD.securityContext.sysctls", [{"name": "a", "value": "1"}]),
    "SELinux is left": ("restricted", "StatefulSet", f"{BOX}.securityContext.seLinuxOptions", {"type": "spc_t"}),
    "AppArmor is off": ("restricted", "StatefulSet", "POD.securityContext.appArmorProfile", {"type": "Unconfined"}),
    "proc is unmasked": ("restricted", "StatefulSet", f"{BOX}.securityContext.procMount", "Unmasked"),
    "a probe asks another host": ("restricted", "StatefulSet", f"{BOX}.livenessProbe.httpGet.host", "10.0.0.1"),
    "the group of the volumes is root": ("user_id", "StatefulSet", "POD.securityContext.fsGroup", 0),
    "pods spread over nothing": ("spread", "StatefulSet", "POD.topologySpreadConstraints", []),
    "a wait is longer than the grace": ("drain", "StatefulSet", "POD.terminationGracePeriodSeconds", 5),
    "a port is taken twice": ("ports", "StatefulSet", f"{BOX}.ports.1", {"containerPort": 8080}),
    "a port is that of SSH": ("ports", "StatefulSet", f"{BOX}.ports.0.containerPort", 22),
    "a request is above its limit": ("resources", "StatefulSet", f"{BOX}.resources.requests.cpu", "64"),
    "an environment is taken from a Secret": (
        "secret_env",
        "StatefulSet",
        f"{BOX}.envFrom",
        [{"secretRef": {"name": "a"}}],
    ),
    "a variable is named like a secret": ("secret_env", "StatefulSet", f"{BOX}.env.0.name", "DB_PASSWORD"),
    "an argument is a key": ("secret_literal", "StatefulSet", f"{BOX}.args", ["AKIA" + "A" * 16]),
    "a config file is a key": ("secret_literal", "ConfigMap", "data.key", "-----BEGIN PRIVATE KEY-----"),
    "a mount is of no volume": ("mounts", "StatefulSet", f"{BOX}.volumeMounts.0.name", "nobody"),
    "two mounts are at one place": ("mounts", "StatefulSet", f"{BOX}.volumeMounts.1.mountPath", "/tmp"),
    "startup asks what readiness asks": (
        "startup_probe",
        "StatefulSet",
        f"{BOX}.startupProbe",
        {"httpGet": {"path": "/readyz", "port": "http"}},
    ),
    "no pod can be replaced": (
        "budget",
        "Deployment",
        "spec.strategy.rollingUpdate",
        {"maxSurge": 0, "maxUnavailable": 0},
    ),
    "volumes go with their pods": (
        "retention",
        "StatefulSet",
        "spec.persistentVolumeClaimRetentionPolicy.whenScaled",
        "Delete",
    ),
    "a drain may take all pods": ("budget", "PodDisruptionBudget", "spec.maxUnavailable", 9),
    "a budget counts no pods": ("budget", "PodDisruptionBudget", "spec.maxUnavailable", "0%"),
    "unready pods block a drain": ("eviction_policy", "PodDisruptionBudget", "spec.unhealthyPodEvictionPolicy", None),
    "a Service opens a load balancer": ("exposed", "Service", "spec.type", "LoadBalancer"),
    "a Service has addresses outside": ("exposed", "Service", "spec.externalIPs", ["192.0.2.1"]),
    "a Service leads to no port": ("selectors", "Service", "spec.ports.0.targetPort", "nobody"),
    "a policy lets everybody in": ("network", "NetworkPolicy", "spec.ingress", [{}]),
    "an autoscaler may scale to nothing": ("autoscaler", "HorizontalPodAutoscaler", "spec.minReplicas", 0),
    "an autoscaler's bounds cross": ("autoscaler", "HorizontalPodAutoscaler", "spec.maxReplicas", 1),
    "an autoscaler has no metric": ("autoscaler", "HorizontalPodAutoscaler", "spec.metrics", []),
    "a metric lacks what its type needs": (
        "autoscaler",
        "HorizontalPodAutoscaler",
        "spec.metrics.0",
        {"type": "Object", "pods": {}},
    ),
    "an account gives tokens": ("service_account_token", "ServiceAccount", "automountServiceAccountToken", True),
    "a ConfigMap is too large": ("size", "ConfigMap", "data.large", "a" * 1024 * 1024),
    "annotations are too large": ("size", "ServiceAccount", "metadata.annotations.a", "a" * 256 * 1024),
    "a label is too long": ("labels", "Service", "metadata.labels.a", "a" * 64),
    "a wave is changed": ("engine", "Service", "metadata.annotations.argocd·argoproj·io/sync-wave", "5"),
    "an engine may replace": (
        "engine",
        "StatefulSet",
        "metadata.annotations.argocd·argoproj·io/sync-options",
        "Prune=false, Replace=true",
    ),
    "Flux may force": ("engine", "StatefulSet", "metadata.annotations.kustomize·toolkit·fluxcd·io/force", "enabled"),
    "a second budget has the same pods": ("budget", "PodDisruptionBudget", "", None),
}


@pytest.mark.parametrize("sentence", [each for each in RULES if RULES[each][2]])
def test_a_broken_rule_is_the_only_one(sentence: str) -> None:
    check, kind, path, value = RULES[sentence]
    config = CONFIGS["a service"] if kind == "Deployment" else CONFIGS["a world with company"]
    before = [manifest.body for manifest in manifests_of(config)]
    bodies = deepcopy(before)
    for body in bodies:
        if body["kind"] == kind:
            _set(body, path, value)
    found = findings(Manifest(body, "") for body in bodies)

    assert bodies != before
    assert {finding.check for finding in found} == {check}
    assert all(finding.reason and finding.fix for finding in found)


def _set(body: Body, path: str, value: Any) -> None:
    at: Any = body
    *around, last = (step.replace("·", ".") for step in path.replace("POD", "spec.template.spec").split("."))
    for step in around:
        at = at[int(step)] if isinstance(at, list) else at.setdefault(step, {})
    if value is None:
        del at[last]
    elif isinstance(at, list):
        at[int(last) : int(last) + 1] = [value]
    else:
        at[last] = value


def test_two_budgets_on_one_pod_are_a_finding() -> None:
    bodies = world()
    (budget,) = (body for body in bodies if body["kind"] == "PodDisruptionBudget")
    second = {**budget, "metadata": {**budget["metadata"], "name": "second"}}
    (found,) = findings(Manifest(body, "") for body in (*bodies, second))

    assert found.check == "budget"
    assert found.reason == "selects pods of 'world', as budget 'world' does: no such pod can be evicted"


def test_the_namespace_has_to_stay_restricted_and_kept() -> None:
    (namespace,) = cluster(platform(), "us-east-1").cluster
    for group in ("labels", "annotations"):
        metadata = {key: each for key, each in namespace.body["metadata"].items() if key != group}

        assert {each.check for each in object_findings({**namespace.body, "metadata": metadata})} == {"namespace"}


def test_flux_has_to_leave_files_with_placeholders_alone() -> None:
    metadata = {"name": "a", "annotations": {}}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "${HOME}"}}

    assert [each.check for each in object_findings(body)] == ["engine"]


@pytest.mark.parametrize(
    "kind, steps, older, newer",
    [
        ("StatefulSet", ("spec", "updateStrategy", "rollingUpdate", "maxUnavailable"), "v1.36", "v1.37"),
        ("HorizontalPodAutoscaler", ("spec", "behavior", "scaleUp", "tolerance"), "v1.34", "v1.35"),
    ],
)
def test_a_field_that_a_version_drops_is_a_finding(kind: str, steps: tuple[str, ...], older: str, newer: str) -> None:
    body = next(each for each in world() if each["kind"] == kind)
    _set(body, ".".join(steps), 2)

    assert ("version", steps) in [(each.check, each.at) for each in version_findings(body, older)]
    assert list(version_findings(body, newer)) == []


def test_every_rule_is_tried() -> None:
    tried = {check for check, _, _, _ in RULES.values()} | {"namespace", "version"}
    of_mutations = {
        finding.check
        for mutation in MUTATIONS.values()
        for finding in findings(
            Manifest(body, "")
            for body in mutated(
                [each.body for each in manifests_of(DeploymentConfig(**BASES[mutation.base], namespace="a"))], mutation
            )
        )
    }

    assert tried | of_mutations == set(CHECKS)


# --- the shape of objects, before the engine of the strict schemas


def test_what_is_rendered_has_its_shape() -> None:
    assert all(has_schema(body) for body in objects())
    assert [fault for body in objects() for fault in misshapen(body)] == []


def test_the_shape_of_patched_objects_is_judged_as_the_strict_schemas_judge_it() -> None:
    rng = random.Random(SEED)
    print("seed", SEED)
    verdicts = set()
    for body in rng.choices(objects(), k=PATCHES):
        try:
            patched = strategic_merge(body, random_merge(rng, body))
        except PatchFault:
            continue
        ours, theirs = misshapen(patched), check_manifests([patched])
        verdicts.add(bool(ours))

        assert bool(ours) == bool(theirs), patched
        assert len(ours) <= len(theirs), patched  # the engine names a wrong type twice where words are listed, too
    assert verdicts == {True, False}


def test_places_are_named_as_people_name_them() -> None:
    (body,) = (each for each in world() if each["kind"] == "StatefulSet")

    assert where_text(body, ("spec", "template", "spec", "containers", 0, "image")) == (
        "spec.template.spec.containers[world].image"
    )
    assert where_text(body, ("metadata", "labels", "a.b/c")) == "metadata.labels['a.b/c']"
    assert where_text(body, ("spec", "nothing", 3, "x")) == "spec.nothing[3].x"


# --- restricted pods, before a real API server


def pod_mutations(rng: random.Random) -> Iterator[Body]:
    """Yield pods with random security settings."""
    template = next(body for body in world() if body["kind"] == "StatefulSet")["spec"]["template"]
    for _ in range(PODS):
        pod = deepcopy(template)
        spec = pod["spec"]
        spec["volumes"] = [volume for volume in spec["volumes"] if "persistentVolumeClaim" not in volume]
        spec["volumes"] += [{"name": "wal", "emptyDir": {}}, {"name": "assets", "emptyDir": {}}]
        for _ in range(rng.choice([1, 1, 2])):
            _mutate(rng, spec)
        yield pod


def _mutate(rng: random.Random, spec: Body) -> None:
    box = rng.choice([*spec["containers"], *spec["initContainers"]])
    holder = rng.choice([box, box, spec])
    context = holder.setdefault("securityContext", {})
    choices: list[tuple[Body, str, Any]] = [
        (context, "runAsNonRoot", rng.choice([None, False])),
        (context, "runAsUser", rng.choice([0, None, 1000])),
        (context, "seccompProfile", rng.choice([None, {"type": "Unconfined"}])),
        (context, "seLinuxOptions", {"type": rng.choice(["spc_t", "container_t"])}),
        (context, "seLinuxOptions", {"level": "s0", "user": rng.choice(["", "u"])}),
        (context, "appArmorProfile", {"type": rng.choice(["Unconfined", "RuntimeDefault"])}),
        (spec, rng.choice(["hostNetwork", "hostPID", "hostIPC"]), True),
        (spec.setdefault("securityContext", {}), "sysctls", [{"name": rng.choice(SYSCTLS), "value": "1"}]),
        (box.setdefault("securityContext", {}), "privileged", rng.choice([True, None])),
        (box["securityContext"], "allowPrivilegeEscalation", rng.choice([True, None])),
        (box["securityContext"], "capabilities", rng.choice(CAPABILITIES)),
        (box["securityContext"], "procMount", "Unmasked"),
        (spec, "volumes", [*spec["volumes"], VOLUMES[rng.randrange(len(VOLUMES))]]),
    ]
    into, key, value = rng.choice(choices)
    if value is None:
        into.pop(key, None)
    else:
        into[key] = value
    for each in (*spec["containers"], *spec["initContainers"]):
        if each.get("securityContext", {}).get("privileged"):  # the API server wants both or neither
            each["securityContext"].pop("allowPrivilegeEscalation", None)


SYSCTLS = ["net.ipv4.tcp_syncookies", "net.ipv4.tcp_rmem", "kernel.msgmax", "net.core.somaxconn"]
CAPABILITIES: list[Any] = [
    None,
    {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
    {"drop": ["ALL"], "add": ["SYS_TIME"]},
    {"drop": ["CHOWN"]},
]
VOLUMES: list[Body] = [
    {"name": "more", "hostPath": {"path": "/"}},
    {"name": "more", "nfs": {"server": "a", "path": "/"}},
    {"name": "more", "downwardAPI": {}},
]


@pytest.mark.real
def test_a_restricted_namespace_refuses_exactly_what_we_call_restricted(control_plane: ControlPlane) -> None:
    rng = random.Random(SEED)
    print("seed", SEED)
    kinds = set()
    with in_namespace(control_plane, "restricted-pods"):
        for number, pod in enumerate(pod_mutations(rng)):
            ours = [each for each in _restricted(pod) if each.check == "restricted"]
            refused = _refusal(control_plane, number, pod)
            if refused is not None and "PodSecurity" not in refused:
                continue  # the API server has something else against it
            kinds.add(bool(ours))

            assert bool(ours) == (refused is not None), (ours, refused, pod["spec"])
    assert kinds == {True, False}


def _restricted(template: Body) -> list[Finding]:
    (body,) = (each for each in world() if each["kind"] == "StatefulSet")
    return list(object_findings({**body, "spec": {**body["spec"], "template": template}}))


def _refusal(plane: ControlPlane, number: int, template: Body) -> str | None:
    """Return why a server takes no such pod; None where it would."""
    metadata = {"name": f"pod-{number}", "namespace": "restricted-pods", "labels": template["metadata"]["labels"]}
    pod: Body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {**template["spec"]}}
    pod["spec"]["serviceAccountName"] = "default"
    try:
        plane.client.request("POST", "/api/v1/namespaces/restricted-pods/pods?dryRun=All", pod)
    except ApiError as error:
        return str(error.body.get("message") or error.reason)
    return None


def test_kinds_with_merge_keys_are_kinds_with_a_schema() -> None:
    assert all(has_schema({"apiVersion": version, "kind": kind}) for version, kind in KINDS)
    assert OBJECTS
