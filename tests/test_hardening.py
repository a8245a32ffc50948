"""Every pod passes what policy checkers ask and what a restricted namespace admits, field by field."""

from aether_deploy import DeploymentConfig
from aether_deploy.quantities import parse_quantity
from tests.hardening_cases import (
    OBJECTS,
    Objects,
    containers_of,
    every_workload,
    keys_of,
    labels_of,
    of_kind,
    pod_of,
    rendered,
    workload_of,
)
from tests.rule_case import IMAGE

# --- pod


@every_workload
def test_a_pod_runs_as_nobody_of_the_node(objects: Objects) -> None:
    context = pod_of(objects)["securityContext"]

    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] > 10000
    assert context["runAsGroup"] > 10000
    assert context["fsGroup"] > 10000
    assert context["fsGroupChangePolicy"] == "OnRootMismatch"
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}


@every_workload
def test_a_pod_shares_nothing_with_its_node(objects: Objects) -> None:
    keys = set(keys_of(objects))

    assert keys.isdisjoint({"hostNetwork", "hostPID", "hostIPC", "hostPath", "hostPort", "hostUsers", "hostAliases"})


@every_workload
def test_a_pod_has_no_token_and_a_service_account_of_its_own(objects: Objects) -> None:
    pod = pod_of(objects)
    (account,) = of_kind(objects, "ServiceAccount")

    assert pod["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] == account["metadata"]["name"] == workload_of(objects)["metadata"]["name"]
    assert account["automountServiceAccountToken"] is False
    assert "serviceAccount" not in pod


@every_workload
def test_a_pod_without_a_priority_says_that_it_is_meant(objects: Objects) -> None:
    annotations = workload_of(objects)["metadata"]["annotations"]

    assert "priorityClassName" not in pod_of(objects)
    assert annotations["polaris.fairwinds.com/priorityClassNotSet-exempt"] == "true"


def test_a_pod_with_a_priority_needs_no_waiver() -> None:
    objects = rendered(DeploymentConfig(name="gateway", image=IMAGE, priority_class="worlds"))

    assert pod_of(objects)["priorityClassName"] == "worlds"
    assert not any("priorityClass" in key for key in workload_of(objects)["metadata"].get("annotations", {}))


@every_workload
def test_pods_spread_over_zones_and_nodes(objects: Objects) -> None:
    constraints = pod_of(objects)["topologySpreadConstraints"]

    assert [each["topologyKey"] for each in constraints] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    for each in constraints:
        assert each["maxSkew"] >= 1
        assert each["labelSelector"]["matchLabels"].items() <= labels_of(objects).items()


@every_workload
def test_pods_keep_away_from_pods_with_their_own_labels(objects: Objects) -> None:
    terms = pod_of(objects)["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]

    assert {term["podAffinityTerm"]["topologyKey"] for term in terms} == {
        "topology.kubernetes.io/zone",
        "kubernetes.io/hostname",
    }
    for term in terms:
        assert term["podAffinityTerm"]["labelSelector"]["matchLabels"].items() <= labels_of(objects).items()


@every_workload
def test_a_pod_says_how_long_it_takes_to_leave(objects: Objects) -> None:
    pod = pod_of(objects)

    assert pod["terminationGracePeriodSeconds"] >= 30
    assert pod["containers"][0]["lifecycle"]["preStop"] == {"sleep": {"seconds": 5}}


@every_workload
def test_a_pod_is_not_told_of_every_service(objects: Objects) -> None:
    assert pod_of(objects)["enableServiceLinks"] is False


# --- container


@every_workload
def test_every_image_has_a_tag_and_a_digest_and_is_always_pulled(objects: Objects) -> None:
    for container in containers_of(objects):
        assert container["image"] == IMAGE
        assert container["imagePullPolicy"] == "Always"


@every_workload
def test_every_container_has_requests_and_limits(objects: Objects) -> None:
    for container in containers_of(objects):
        requests, limits = container["resources"]["requests"], container["resources"]["limits"]
        assert set(requests) == set(limits) == {"cpu", "memory", "ephemeral-storage"}
        assert all(parse_quantity(requests[name]) <= parse_quantity(limits[name]) for name in requests)


@every_workload
def test_every_container_can_do_nothing_special(objects: Objects) -> None:
    for container in containers_of(objects):
        context = container["securityContext"]
        assert context["runAsUser"] > 10000
        assert context["runAsGroup"] > 10000
        assert {name: each for name, each in context.items() if not name.startswith("runAs") or "Non" in name} == {
            "runAsNonRoot": True,
            "privileged": False,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        }


@every_workload
def test_liveness_and_readiness_are_there_and_differ(objects: Objects) -> None:
    main = pod_of(objects)["containers"][0]
    actions = [
        {name: main[probe].get(name) for name in ("httpGet", "tcpSocket", "grpc", "exec")}
        for probe in ("livenessProbe", "readinessProbe")
    ]

    assert actions[0] != actions[1]


@every_workload
def test_a_probe_asks_a_port_by_its_name_and_no_other_host(objects: Objects) -> None:
    main = pod_of(objects)["containers"][0]
    names = {port["name"] for port in main["ports"]}

    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        action = main.get(probe, {}).get("httpGet") or main.get(probe, {}).get("tcpSocket")
        assert probe == "startupProbe" or action
        assert not action or action["port"] in names
        assert not action or "host" not in action


@every_workload
def test_environment_names_are_unique_and_none_is_a_secret(objects: Objects) -> None:
    for container in containers_of(objects):
        names = [each["name"] for each in container.get("env", ())]
        assert len(names) == len(set(names))
        assert not any(word in name for name in names for word in ("SECRET", "PASSWORD", "TOKEN"))
        assert all(set(each) == {"name", "value"} for each in container.get("env", ()))
        assert "envFrom" not in container


@every_workload
def test_every_container_has_scratch_of_its_own_at_tmp(objects: Objects) -> None:
    volumes = {volume["name"]: volume for volume in pod_of(objects)["volumes"]}

    assert "emptyDir" in volumes["tmp"]
    for container in containers_of(objects):
        assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]


@every_workload
def test_ports_are_named_once_and_none_is_that_of_ssh(objects: Objects) -> None:
    ports = pod_of(objects)["containers"][0]["ports"]

    assert len({port["name"] for port in ports}) == len(ports)
    assert len({(port["containerPort"], port["protocol"]) for port in ports}) == len(ports)
    assert 22 not in {port["containerPort"] for port in ports}


@every_workload
def test_every_mount_is_of_a_volume_and_no_two_are_at_one_place(objects: Objects) -> None:
    pod = pod_of(objects)
    claims = [claim["metadata"]["name"] for claim in workload_of(objects)["spec"].get("volumeClaimTemplates", ())]
    known = {volume["name"] for volume in pod["volumes"]} | set(claims)

    for container in containers_of(objects):
        paths = [mount["mountPath"] for mount in container["volumeMounts"]]
        assert {mount["name"] for mount in container["volumeMounts"]} <= known
        assert len(paths) == len(set(paths))
        assert not any("docker.sock" in path for path in paths)


@every_workload
def test_containers_have_names_of_their_own(objects: Objects) -> None:
    names = [container["name"] for container in containers_of(objects)]

    assert len(names) == len(set(names))


def test_a_sidecar_is_an_init_container_that_goes_on() -> None:
    containers = pod_of(OBJECTS["a world with company"])["initContainers"]

    assert [(each["name"], each.get("restartPolicy")) for each in containers] == [
        ("fetch", None),
        ("shipper", "Always"),
        ("proxy", "Always"),
    ]


def test_secrets_and_config_files_are_mounted_read_only() -> None:
    objects = OBJECTS["a world with company"]
    mounts = {mount["mountPath"]: mount for mount in pod_of(objects)["containers"][0]["volumeMounts"]}
    secrets = [volume["secret"] for volume in pod_of(objects)["volumes"] if "secret" in volume]

    assert all(mounts[path]["readOnly"] for path in ("/etc/world.toml", "/run/secrets/key", "/assets"))
    assert secrets == [{"secretName": "world-signing", "defaultMode": 0o440}]


# --- what a restricted namespace admits

ADMITTED_VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret"
}  # fmt: skip


@every_workload
def test_a_restricted_namespace_admits_the_volumes(objects: Objects) -> None:
    for volume in pod_of(objects)["volumes"]:
        (kind,) = set(volume) - {"name"}
        assert kind in ADMITTED_VOLUMES


@every_workload
def test_a_restricted_namespace_admits_the_rest(objects: Objects) -> None:
    keys = set(keys_of(pod_of(objects)))

    assert keys.isdisjoint({"sysctls", "procMount", "seLinuxOptions", "appArmorProfile", "windowsOptions", "add"})
    assert "host" not in keys
