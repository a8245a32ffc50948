"""Patches of a description: what they change, what they may not, and where a fault in them is."""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aether_deploy import ConfigError, PatchConfig, PatchTarget, Platform, render_tree
from aether_deploy.config.sink import path_text
from aether_deploy.delivery.loading import Judgement, read_description
from aether_deploy.manifest.value import Manifest
from aether_deploy.manifest.yaml_source import read_document
from aether_deploy.manifest.yaml_text import to_yaml
from aether_deploy.platform.patch_problems import patch_problems
from aether_deploy.platform.patching import patch_objects
from aether_deploy.schemacheck import check_manifests
from tests.cli_cases import CommandLine
from tests.mutations import mutations_of
from tests.patch_cases import random_merge
from tests.platform_cases import BASE, bodies, cluster, evaluate, platform, render
from tests.policies import JUDGES
from tests.real import need_program

SEED = 20_261_128
RANDOM_PATCHES = 400
MUTATIONS = 200
Body = dict[str, Any]
GATEWAY = "target: {kind: Deployment, name: gateway}"
POD = "spec: {template: {spec: "
DNS = f"patches: [{{name: dns, {GATEWAY}, merge: {{{POD}{{dnsPolicy: Default}}}}}}}}}}]"


def patches(*items: str) -> str:
    """Return the section with one patch for each text, named a, b, c."""
    lines = [f"  - {{name: {chr(97 + place)}, {item}}}" for place, item in enumerate(items)]
    return "\n".join(["patches:", *lines])


def pod_patch(fields: str, more: str = "") -> str:
    """Return a merge patch of the gateway's pod."""
    return f"{GATEWAY}, merge: {{{POD}{fields}}}}}}}{more}"


def box_patch(fields: str, more: str = "") -> str:
    """Return a merge patch of the gateway's container."""
    return pod_patch(f"{{containers: [{{name: gateway, {fields}}}]}}", more)


def problems(*texts: str) -> list[str]:
    """Return every problem of the patches over BASE, as it is printed."""
    return [str(problem) for _, problem in patch_problems(platform(*texts), {})]


def pod(*texts: str, region: str = "us-east-1") -> Body:
    body: Body = render(region, *texts)["Deployment", "gateway"]["spec"]["template"]["spec"]
    return body


# --- what a patch does


def test_a_merge_patch_changes_one_field_and_no_other_object() -> None:
    before, after = render("us-east-1"), render("us-east-1", DNS)
    changed = [key for key in before if before[key] != after[key]]

    assert changed == [("Deployment", "gateway")]
    assert {**pod(), "dnsPolicy": "Default"} == pod(DNS)
    assert list(before) == list(after)


def test_a_json_patch_changes_what_it_points_at() -> None:
    text = patches(f"{GATEWAY}, json: [{{op: add, path: /spec/paused, value: true}}]")

    assert render("us-east-1", text)["Deployment", "gateway"]["spec"]["paused"] is True


def test_null_removes_a_field_in_a_file_as_in_python() -> None:
    text = patches(pod_patch("{enableServiceLinks: null}"))
    given = PatchConfig(
        name="a",
        target=PatchTarget(kind="Deployment", name="gateway"),
        merge={"spec": {"template": {"spec": {"enableServiceLinks": None}}}},
    )

    assert "enableServiceLinks" not in pod(text)
    assert platform(text).patches == (given,)


def test_patches_are_applied_in_the_order_of_the_file() -> None:
    first, second = pod_patch("{dnsPolicy: Default}"), pod_patch("{dnsPolicy: ClusterFirst}")

    assert pod(patches(first, second))["dnsPolicy"] == "ClusterFirst"
    assert pod(patches(second, first))["dnsPolicy"] == "Default"


def test_a_patch_is_only_for_the_regions_that_it_names() -> None:
    text = patches("target: {kind: Deployment, name: gateway, regions: [eu-west-1]}, merge: {spec: {paused: true}}")

    assert "paused" not in render("us-east-1", text)["Deployment", "gateway"]["spec"]
    assert render("eu-west-1", text)["Deployment", "gateway"]["spec"]["paused"] is True
    assert problems(text) == []


def test_a_patch_that_is_switched_off_is_not_looked_at() -> None:
    text = patches(f"{GATEWAY}, merge: {{spec: {{bogus: 1}}}}, enabled: false")

    assert problems(text) == []
    assert render("us-east-1", text) == render("us-east-1")


@pytest.mark.parametrize(
    "target, merge",
    [
        ("{kind: Namespace, name: aether-prod}", "{metadata: {annotations: {a.example.com/owner: ops}}}"),
        ("{kind: ServiceAccount, name: gateway}", "{metadata: {annotations: {a.example.com/role: gateway}}}"),
        ("{kind: Service, name: world-server-headless}", "{spec: {publishNotReadyAddresses: false}}"),
        ("{kind: NetworkPolicy, name: gateway}", "{metadata: {labels: {a: b}}}"),
        ("{kind: HorizontalPodAutoscaler, name: world-server}", "{spec: {maxReplicas: 30}}"),
        ("{kind: PodMonitor, name: gateway}", "{spec: {sampleLimit: 1000}}"),
        ("{kind: ConfigMap, name: aether-prod-adapter-rules, namespace: monitoring}", "{metadata: {labels: {a: b}}}"),
    ],
)
def test_every_kind_of_object_of_a_cluster_can_be_patched(target: str, merge: str) -> None:
    watch = "observability: {prometheus: {url: 'http://p:9090', namespace: monitoring}, metrics_adapter: existing}"
    text = patches(f"target: {target}, merge: {merge}")
    before, after = bodies(cluster(platform(watch), "us-east-1")), render("us-east-1", watch, text)

    assert problems(watch, text) == []
    assert [key[0] for key in before if before[key] != after[key]] == [target.split()[1].rstrip(",")]


def test_maps_of_the_author_stay_in_order() -> None:
    text = patches(f"{GATEWAY}, merge: {{metadata: {{labels: {{zone: a, abc: b}}}}}}")
    labels = render("us-east-1", text)["Deployment", "gateway"]["metadata"]["labels"]

    assert list(labels) == sorted(labels)
    assert labels.items() >= {"zone": "a", "abc": "b"}.items()


def test_a_patched_config_file_rolls_the_pods_that_read_it() -> None:
    files = "worlds: [{name: world-server, config_files: [{name: a.toml, path: /etc/a.toml, text: one}]}]"
    text = patches("target: {kind: ConfigMap, name: world-server-config}, merge: {data: {a.toml: two}}")
    said = "worlds: [{name: world-server, config_files: [{name: a.toml, path: /etc/a.toml, text: two}]}]"

    assert render("us-east-1", files, text) == render("us-east-1", said)


def test_a_patched_tree_has_the_same_bytes_each_time() -> None:
    text = patches(pod_patch("{dnsPolicy: Default}"), f"{GATEWAY}, merge: {{metadata: {{labels: {{b: x, a: w}}}}}}")
    trees = [render_tree([platform(text)])[0] for _ in range(2)]

    assert trees[0] == trees[1]
    assert trees[0] != render_tree([platform()])[0]


# --- layers


def test_an_overlay_replaces_what_a_patch_says_as_a_whole() -> None:
    overlay = "environments: {prod: {}, dev: {patches: [{name: dns, merge: {spec: {paused: true}}}]}}"
    patched = platform(DNS, overlay, environment="dev").patches

    assert [dict(each.merge or {}) for each in patched] == [{"spec": {"paused": True}}]


def test_an_overlay_can_switch_a_patch_off_and_add_another() -> None:
    overlay = (
        f"environments: {{dev: {{patches: [{{name: dns, enabled: false}}, {{name: two, {GATEWAY}, merge: {{}}}}]}}}}"
    )

    assert [(each.name, each.enabled) for each in platform(DNS, overlay, environment="dev").patches] == [
        ("dns", False),
        ("two", True),
    ]


def test_a_setting_reaches_into_a_patch_by_its_name() -> None:
    assert platform(DNS, sets={"patches.dns.enabled": False}).patches[0].enabled is False


def test_a_platform_with_patches_is_written_and_read_again() -> None:
    text = patches(
        pod_patch("{enableServiceLinks: null}"), f"{GATEWAY}, json: [{{op: test, path: /kind, value: null}}]"
    )
    system = platform(text)
    values = {name: each for name, each in system.to_values().items() if name != "environment"}

    assert Platform.from_values(values) == msgspec.structs.replace(system, environment="prod")


@pytest.mark.parametrize(
    "value, reason",
    [
        ("1.5", "is 1.5; not a value that every reader of manifests keeps"),
        ("99999999999999999999", "is 99999999999999999999; not a value that every reader of manifests keeps"),
        (r'"a\x07"', r"is 'a\x07'; holds U+0007 at character 2, which no YAML pipeline carries"),
    ],
)
def test_a_value_that_no_manifest_carries_is_refused(value: str, reason: str) -> None:
    found = evaluate(patches(f"{GATEWAY}, merge: {{spec: {{x: [{value}]}}}}")).found

    assert [(problem.path, problem.message) for _, problem in found] == [("$.patches[0].merge.spec.x[0]", reason)]


# --- what is wrong with a target


@pytest.mark.parametrize(
    "target, says",
    [
        (
            "{kind: Deployment, name: gatway}",
            "$.patches[0].target.name: is 'gatway'; no Deployment of that name is rendered\n"
            "  fix: did you mean 'gateway'?",
        ),
        (
            "{kind: Deploymnt, name: gateway}",
            "$.patches[0].target.kind: is 'Deploymnt'; no object of that kind is rendered\n"
            "  fix: did you mean 'Deployment'?",
        ),
        (
            "{kind: ConfigMap, name: gateway}",
            "$.patches[0].target.kind: is 'ConfigMap'; no object of that kind is rendered\n"
            "  fix: known kinds are Namespace, NetworkPolicy, PodDisruptionBudget, ServiceAccount, Service, "
            "Deployment, HorizontalPodAutoscaler, StatefulSet; enabled: false leaves the patch out here",
        ),
        (
            "{kind: Deployment, name: gateway, namespace: aether-prd}",
            "$.patches[0].target.namespace: is 'aether-prd'; Deployment 'gateway' is in another\n"
            "  fix: did you mean 'aether-prod'?",
        ),
    ],
)
def test_a_patch_that_matches_nothing_is_a_problem(target: str, says: str) -> None:
    assert problems(patches(f"target: {target}, merge: {{spec: {{}}}}")) == [says]


def test_a_region_where_the_object_is_not_rendered_is_a_warning() -> None:
    where = "services: [{name: gateway, regions: [us-east-1]}]"
    text = patches(
        "target: {kind: Deployment, name: gateway, regions: [us-east-1, eu-west-1]}, merge: {spec: {paused: true}}"
    )

    assert problems(where, text) == [
        "$.patches[0].target.regions[1]: warning: is 'eu-west-1'; Deployment 'gateway' is not rendered there\n"
        "  fix: remove the region"
    ]


def test_a_patch_that_changes_nothing_is_a_warning() -> None:
    assert problems(patches(pod_patch("{enableServiceLinks: false}"))) == [
        "$.patches[0]: warning: changes nothing: all of it is rendered so already\n  fix: remove it"
    ]


def test_a_waiver_that_waives_nothing_is_a_warning() -> None:
    assert problems(patches(pod_patch("{dnsPolicy: Default}", ", waivers: {cpu_limit: jitter}"))) == [
        "$.patches[0].waivers.cpu_limit: warning: waives nothing: the patched object does not break that rule\n"
        "  fix: remove it"
    ]


# --- what is wrong with what comes out


@pytest.mark.parametrize(
    "item, path, reason",
    [
        (
            f"{GATEWAY}, json: [{{op: test, path: /spec/replicas, value: 9}}]",
            "$.patches[0].json[0].value",
            "Deployment gateway: not what is there, so the test fails",
        ),
        (
            f"{GATEWAY}, json: [{{op: remove, path: /spec/replicas}}, {{op: remove, path: /spec/repliacs}}]",
            "$.patches[0].json[1].path",
            "Deployment gateway: leads nowhere: /spec has no 'repliacs'",
        ),
        (
            pod_patch("{dnsPolcy: Default}"),
            "$.patches[0].merge.spec.template.spec.dnsPolcy",
            "Deployment gateway: spec.template.spec.dnsPolcy is no field of Kubernetes",
        ),
        (
            pod_patch("{dnsPolicy: Defalt}"),
            "$.patches[0].merge.spec.template.spec.dnsPolicy",
            "Deployment gateway: spec.template.spec.dnsPolicy is 'Defalt'; none of the values that Kubernetes knows",
        ),
        (
            box_patch("env: [{name: A, value: 1}]"),
            "$.patches[0].merge.spec.template.spec.containers[0].env[0].value",
            "Deployment gateway: spec.template.spec.containers[gateway].env[A].value is 1; not of type string",
        ),
        (
            f"{GATEWAY}, merge: {{metadata: {{name: other}}}}",
            "$.patches[0].merge.metadata.name",
            "Deployment gateway: metadata.name makes it another object, or one that others no longer find",
        ),
        (
            f"{GATEWAY}, json: [{{op: replace, path: /apiVersion, value: apps/v1beta1}}]",
            "$.patches[0].json[0]",
            "Deployment gateway: apiVersion makes it another object, or one that others no longer find",
        ),
        (
            f"{GATEWAY}, merge: {{spec: {{selector: {{matchLabels: {{a: b}}}}}}}}",
            "$.patches[0].merge.spec.selector",
            "Deployment gateway: spec.selector makes it another object, or one that others no longer find",
        ),
        (
            f"{GATEWAY}, merge: {{metadata: {{labels: {{app.kubernetes.io/managed-by: me}}}}}}",
            "$.patches[0].merge.metadata.labels['app.kubernetes.io/managed-by']",
            "Deployment gateway: metadata.labels['app.kubernetes.io/managed-by'] "
            "makes it another object, or one that others no longer find",
        ),
        (
            "target: {kind: StatefulSet, name: world-server}, merge: {spec: {replicas: 3}}",
            "$.patches[0].merge.spec.replicas",
            "StatefulSet world-server: spec.replicas fights the autoscaler, which owns the count",
        ),
        (
            "target: {kind: PodDisruptionBudget, name: gateway}, "
            "json: [{op: replace, path: /spec/maxUnavailable, value: 0}]",
            "$.patches[0].json[0]",
            "PodDisruptionBudget gateway: spec.maxUnavailable blocks every drain of a node",
        ),
        (
            "target: {kind: Namespace, name: aether-prod}, "
            "merge: {metadata: {annotations: {kustomize.toolkit.fluxcd.io/prune: null}}}",
            "$.patches[0].merge.metadata.annotations['kustomize.toolkit.fluxcd.io/prune']",
            "Namespace aether-prod: metadata.annotations['kustomize.toolkit.fluxcd.io/prune'] "
            "lets an engine delete the namespace, and every volume in it",
        ),
        (
            pod_patch("{hostNetwork: true}"),
            "$.patches[0].merge.spec.template.spec.hostNetwork",
            "Deployment gateway: spec.template.spec.hostNetwork shares what is its node's",
        ),
    ],
)
def test_what_a_patch_may_not_do_is_said_where_it_does_it(item: str, path: str, reason: str) -> None:
    found = [problem for _, problem in patch_problems(platform(patches(item)), {})]

    assert [(problem.path, problem.reason, problem.severity) for problem in found] == [(path, reason, "error")]


def test_a_fault_that_a_later_patch_mends_is_none() -> None:
    text = patches(pod_patch("{hostNetwork: true}"), pod_patch("{hostNetwork: null}"))

    assert problems(text) == []


def test_all_faults_of_all_patches_are_found_at_once() -> None:
    text = patches(pod_patch("{hostNetwork: true}"), "target: {kind: Job, name: x}, merge: {}", box_patch("image: a:b"))
    found = [problem.path for _, problem in patch_problems(platform(text), {})]

    assert found == [
        "$.patches[0].merge.spec.template.spec.hostNetwork",
        "$.patches[1].target.kind",
        "$.patches[2].merge.spec.template.spec.containers[0].image",
    ]


def test_nothing_is_rendered_with_a_faulty_patch_however_it_is_asked_for() -> None:
    with pytest.raises(ConfigError) as caught:
        render_tree([platform(patches(pod_patch("{hostPID: true}")))])

    assert [problem.path for problem in caught.value.problems] == ["$.patches[0].merge.spec.template.spec.hostPID"]


def test_what_an_author_has_waived_on_the_workload_is_waived_for_its_patches() -> None:
    waived = "services: [{name: gateway, image: aether/gateway:v1, waivers: {image_digest: the tag stays}}]"

    assert problems(waived, patches(box_patch("image: aether/gateway:v2"))) == []


def test_a_deviation_that_was_rendered_is_not_held_against_a_patch() -> None:
    deviates = "services: [{name: gateway, resources: {cpu_limit: none}}]"

    assert problems(deviates, patches(pod_patch("{dnsPolicy: Default}"))) == []


def test_an_encrypted_secret_is_not_patched() -> None:
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "key"},
        "data": {"a": "ENC[]"},
        "sops": {"mac": ""},
    }
    patch = PatchConfig(
        name="a", target=PatchTarget(kind="Secret", name="key"), merge={"metadata": {"labels": {"a": "b"}}}
    )
    patched = patch_objects([patch], "us-east-1", [Manifest(body, "secrets")], lambda manifest: {})

    assert patched.manifests[0].body == body
    assert [(path_text(fault.at), fault.reason) for fault in patched.faults] == [
        ("$.patches[0].merge", "Secret key: is encrypted, and a change would break its seal")
    ]


def test_random_patches_make_valid_objects_or_are_refused() -> None:
    rng = random.Random(SEED)
    print("seed", SEED)
    watch = "observability: {prometheus: {url: 'http://p:9090', namespace: monitoring}, metrics_adapter: existing}"
    before = cluster(platform(watch), "us-east-1").manifests
    sound = 0
    for _ in range(RANDOM_PATCHES):
        manifest = rng.choice(before)
        target = PatchTarget(kind=manifest.kind, name=manifest.name)
        patch = PatchConfig(name="a", target=target, merge=random_merge(rng, manifest.body))
        patched = patch_objects([patch], "us-east-1", before, lambda each: {})
        changed = [body for body, old in zip(patched.manifests, before, strict=True) if body is not old]
        sound += not patched.faults

        assert patched == patch_objects([patch], "us-east-1", before, lambda each: {})
        assert [(each.kind, each.name) for each in patched.manifests] == [(each.kind, each.name) for each in before]
        assert check_manifests(each.body for each in changed) == []
        assert all(to_yaml(each.body) for each in changed)
    assert 0 < sound < RANDOM_PATCHES


# --- in files


def judged(folder: Path, *texts: str) -> Judgement:
    """Return the judgement of BASE and ``texts`` as one file on disk."""
    path = folder / "aether.yaml"
    path.write_text("\n".join((BASE, *texts)), "utf-8")
    description = read_description([str(path)])
    return description.evaluate(description.document.environments())


def test_a_problem_of_a_patch_has_its_line_and_column(tmp_path: Path) -> None:
    judgement = judged(tmp_path, patches(pod_patch("{hostNetwork: true}")))
    (problem,) = judgement.problems

    assert judgement.failed
    assert (problem.line, problem.column) == (BASE.count("\n") + 3, 104)
    assert problem.environment is None


def test_a_problem_is_said_of_its_environment_only_where_an_overlay_causes_it(tmp_path: Path) -> None:
    bad = pod_patch("{hostNetwork: true}")
    everywhere = judged(tmp_path, patches(bad), "environments: {prod: {}, dev: {}}").problems
    overlay = f"environments: {{prod: {{}}, dev: {{patches: [{{name: a, {bad}}}]}}}}"
    once = judged(tmp_path, overlay).problems

    assert [problem.environment for problem in everywhere] == [None]
    assert [problem.environment for problem in once] == ["dev"]


def test_a_file_of_a_workload_is_rendered_with_its_patches(tmp_path: Path) -> None:
    (tmp_path / "world.toml").write_text("tick = 30\n", "utf-8")
    files = "config_files: [{name: world.toml, path: /etc/world.toml, source: world.toml}]"
    text = BASE.replace("uses: [voice-relay]", f"uses: [voice-relay]\n    {files}")
    patch = "target: {kind: ConfigMap, name: world-server-config}, merge: {data: {more.toml: x}}"
    (tmp_path / "aether.yaml").write_text("\n".join((text, patches(patch))), "utf-8")
    judgement = read_description([str(tmp_path / "aether.yaml")]).evaluate(["prod"])
    _, clusters = render_tree(judgement.platforms, judgement.files)
    data = bodies(clusters[0].cluster)["ConfigMap", "world-server-config"]["data"]

    assert judgement.problems == ()
    assert data == {"more.toml": "x", "world.toml": "tick = 30\n"}


@pytest.mark.parametrize("verb", ["check", "render", "rehearse", "diff", "publish"])
def test_no_verb_goes_on_with_a_faulty_patch(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    cli = CommandLine(tmp_path, capsys)
    cli.write("aether.yaml", "\n".join((BASE, patches(pod_patch("{hostNetwork: true}")))))
    where = {"render": ("-o", "deploy"), "diff": ("--against", "deploy"), "publish": ("--repo", "clone")}
    ended = cli(verb, "aether.yaml", *where.get(verb, ()))

    assert ended.code == 2
    assert "$.patches[0].merge.spec.template.spec.hostNetwork" in ended.out + ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["aether.yaml"]


def test_a_setting_of_an_older_cluster_is_held_against_its_version() -> None:
    older = "clusters: [{name: us-east-1, kubernetes: v1.34}]"
    text = patches(
        "target: {kind: HorizontalPodAutoscaler, name: world-server}, "
        'merge: {spec: {behavior: {scaleUp: {tolerance: "0.2"}}}}'
    )

    assert problems(text) == []
    assert [problem.splitlines()[0] for problem in problems(older, text)] == [
        "$.patches[0].merge.spec.behavior.scaleUp.tolerance: HorizontalPodAutoscaler world-server: "
        "spec.behavior.scaleUp.tolerance is dropped by Kubernetes v1.34"
    ]


MUTATED = """
name: lobby
kubernetes: v1.37
regions: [{code: us-east-1, zones: [a, b]}]
services: [{name: gateway, image: "example/gateway:v1@sha256:DIGEST"}]
patches:
  - name: dns
    target: {kind: Deployment, name: gateway, regions: [us-east-1], namespace: lobby-prod}
    merge:
      spec:
        template:
          spec:
            dnsConfig: {options: [{name: ndots, value: "2"}]}
            containers: [{name: gateway, stdin: true, env: [{name: B, value: "1"}, {name: A, $patch: delete}]}]
  - name: labels
    target: {kind: Service, name: gateway}
    json:
      - {op: test, path: /spec/ports/0/port, value: 8080}
      - {op: add, path: /metadata/labels/a.b~1c, value: x}
      - {op: copy, from: /metadata/labels/a.b~1c, path: /metadata/labels/d}
  - name: pull
    target: {kind: Deployment, name: gateway}
    merge: {spec: {template: {spec: {containers: [{name: gateway, imagePullPolicy: IfNotPresent}]}}}}
    waivers: {pull_policy: the digest says which}
"""


def test_a_mutated_patch_is_refused_or_renders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    cli = CommandLine(tmp_path, capsys)
    file = cli.write("sound.yaml", MUTATED.replace("DIGEST", "0" * 64))
    print("seed", SEED)

    assert cli("check", "sound.yaml").code == 0
    for mutation in mutations_of(file, seed=SEED, numbers=range(MUTATIONS)):
        (tmp_path / "aether.yaml").write_bytes(mutation.data)

        assert cli("check").code in (0, 2), (mutation.number, mutation.name)


# --- waivers, before the checkers that they are for

WAIVED: Mapping[str, str] = {
    "cpu_limit": box_patch("resources: {limits: {cpu: null}}"),
    "image_digest": box_patch("image: aether/gateway:v1"),
    "probes": box_patch("livenessProbe: null, readinessProbe: null, startupProbe: null"),
    "pull_policy": box_patch("imagePullPolicy: IfNotPresent"),
    "read_only_root": box_patch("securityContext: {readOnlyRootFilesystem: false}"),
    "recreate": f"{GATEWAY}, merge: {{spec: {{strategy: {{type: Recreate, rollingUpdate: null}}}}}}",
    "resources": box_patch("resources: null"),
    "secret_env": box_patch("env: [{name: KEY, valueFrom: {secretKeyRef: {name: a, key: b}}}]"),
    "service_account_token": pod_patch("{automountServiceAccountToken: true}"),
    "single_replica": f"{GATEWAY}, merge: {{spec: {{replicas: 1}}}}",
    "spread": pod_patch("{affinity: null}"),
    "user_id": box_patch("securityContext: {runAsUser: 1000, runAsGroup: 1000}"),
    "node_port": "target: {kind: Service, name: gateway}, merge: {spec: {type: NodePort}}",
}


@pytest.mark.parametrize("name", WAIVED)
def test_a_weaker_setting_needs_a_waiver_by_name(name: str) -> None:
    found = [problem for _, problem in patch_problems(platform(patches(WAIVED[name])), {})]

    assert found
    assert all(problem.fix.endswith(f"or give waivers.{name} of the patch a reason") for problem in found)
    assert problems(patches(f"{WAIVED[name]}, waivers: {{{name}: it is meant}}")) == []


@pytest.mark.real
@pytest.mark.parametrize("judge", JUDGES)
def test_checkers_accept_what_a_patch_waives(judge: str) -> None:
    texts: dict[str, str] = {}
    for name, item in WAIVED.items():
        system = read_document(f"name: {name.replace('_', '-')}", "name.yaml")["name"]
        waived = patches(f"{item}, waivers: {{{name}: it is meant}}")
        tree, _ = render_tree([platform(f"name: {system}", waived)])
        unit = tree.units[0]
        texts |= {f"{name}/{file.path}": file.text for file in unit.files if file.kind != "Kustomization"}
    verdict = JUDGES[judge](need_program(judge), texts)

    assert sorted(str(finding) for finding in verdict.findings) == []


def test_what_patches_make_is_valid_by_the_strict_schemas() -> None:
    for name, item in WAIVED.items():
        made = cluster(platform(patches(f"{item}, waivers: {{{name}: it is meant}}")), "us-east-1")

        assert check_manifests(manifest.body for manifest in made.manifests) == []
