"""Changes of descriptions: ``test_diff.py`` holds what a diff says of each, ``test_diff_real.py`` plays them all."""

from collections.abc import Mapping
from typing import NamedTuple

from tests.rule_case import DIGEST

SYSTEM = """
name: dif
kubernetes: v1.37
regions: [{code: us-east-1, provider: aws, zones: [zone-a, zone-b, zone-c], storage_class: ssd}]
defaults: {workloads: {waivers: {image_digest: no registry is asked here}}}
"""


def _slow(kind: str, name: str, secs: int = 1) -> str:
    """Return the patch by which pods take a while to become ready, so that one sees how many are away at once."""
    template = f"{{template: {{metadata: {{annotations: {{lab.aether.io/ready-after: {secs}s}}}}}}}}"
    return f"{{name: slow-{name}, target: {{kind: {kind}, name: {name}}}, merge: {{spec: {template}}}}}"


WORLD = f"""
worlds: [{{name: world, image: "aether/world:v1", pvc: {{size: 1Gi}}, scaling: none, replicas: 3}}]
patches: [{_slow("StatefulSet", "world")}]
"""
SERVICE = f"""
services: [{{name: gateway, image: "aether/gateway:v1", replicas: 3}}]
patches: [{_slow("Deployment", "gateway")}]
"""
SURGING = SERVICE.replace(_slow("Deployment", "gateway"), _slow("Deployment", "gateway", 15))
"""Where pods surge and others may be missing: a controller that hears of new pods when they are ready misses none."""

BOTH = f"""
{WORLD.strip().splitlines()[0]}
{SERVICE.strip().splitlines()[0]}
"""
SCALED = "replicas: null, scaling: {min_replicas: 2, max_replicas: 4}"
OUTSIDE = "expose: {type: LoadBalancer, ports: [http]}"
PLAYERS = "custom_metrics: [{name: aether_gateway_player_count}]"
TEMPLATE = "{{spec: {{template: {{spec: {}}}}}}}"


WATCHED = "prometheus: {url: 'http://prometheus.default:9090', namespace: default}"
SECRET = "secret_files: [{name: signing, secret: world-signing, key: key.pem, path: /run/secrets/signing/key.pem}]"
REPO = "repo: 'https://git.example.com/deploy.git'"
SCALED_WORLD = WORLD.replace("scaling: none, replicas: 3", "scaling: {min_replicas: 2, max_replicas: 4}")
TWO = """
regions:
  - {code: us-east-1, location: {lat: 38.95, lon: -77.45}}
  - {code: eu-west-1, provider: aws, zones: [zone-a, zone-b, zone-c], location: {lat: 53.35, lon: -6.26}}
services:
  - {name: gateway, image: "aether/gateway:v1", replicas: 2, uses: [matchmaking], network: {allow_to: [203.0.113.0/24]}}
  - name: matchmaking
    image: "aether/matchmaking:v1"
    replicas: 2
    regions: [us-east-1]
    expose: {type: LoadBalancer, internal: true, ports: [http]}
    endpoint: "matchmaking.{region}.example.com"
    network: {allow_from: [198.51.100.0/24]}
"""


class DiffCase(NamedTuple):
    """A change of a description.

    Attributes:
        base: What both states have.
        old: What is laid over it before.
        new: What is laid over it after.
        earlier: What was applied before the old state; its pods may still run.
        new_base: What the new state has instead of ``base``.
        cluster: The cluster that it is played in, where there are several.
    """

    base: str
    old: str
    new: str
    earlier: str | None = None
    new_base: str = ""
    cluster: str | None = None


def world(settings: str) -> str:
    return f"worlds: [{{name: world, {settings}}}]\n" if settings else ""


def gateway(settings: str) -> str:
    return f"services: [{{name: gateway, {settings}}}]\n" if settings else ""


def patch(kind: str, name: str, merge: str, *, waivers: str = "") -> str:
    given = f", waivers: {{{waivers}}}" if waivers else ""
    return f"patches: [{{name: tried, target: {{kind: {kind}, name: {name}}}, merge: {merge}{given}}}]\n"


def json_patch(kind: str, name: str, *operations: str) -> str:
    return f"patches: [{{name: tried, target: {{kind: {kind}, name: {name}}}, json: [{', '.join(operations)}]}}]\n"


def patches(*each: str) -> str:
    return f"patches: [{', '.join(f'{{name: p{place}, {text[1:]}' for place, text in enumerate(each))}]\n"


def of_world(old: str, new: str, earlier: str | None = None) -> DiffCase:
    return DiffCase(WORLD, world(old), world(new), earlier and world(earlier))


def of_gateway(old: str, new: str) -> DiffCase:
    return DiffCase(SERVICE, gateway(old), gateway(new))


def pod_of(kind: str, settings: str) -> str:
    name = "world" if kind == "StatefulSet" else "gateway"
    return patch(kind, name, f"{{spec: {{template: {{spec: {settings}}}}}}}")


def container_of(kind: str, settings: str) -> str:
    name = "world" if kind == "StatefulSet" else "gateway"
    return pod_of(kind, f"{{containers: [{{name: {name}, {settings}}}]}}")


def spec_of(kind: str, settings: str, *, name: str = "", waivers: str = "") -> str:
    name = name or ("world" if kind == "StatefulSet" else "gateway")
    return patch(kind, name, f"{{spec: {settings}}}", waivers=waivers)


CASES: Mapping[str, DiffCase] = {
    # --- pods of worlds
    "world-image": of_world("", "image: 'aether/world:v2'"),
    "world-digest": of_world("", f"image: 'aether/world:v1@{DIGEST}'"),
    "world-resources": of_world("", "resources: {cpu_request: 600m}"),
    "world-same-amount": of_world("resources: {cpu_limit: 1000m}", "resources: {cpu_limit: '1'}"),
    "world-env": of_world("env: {A: '1', B: '1'}", "env: {A: '2', B: '1', C: '3'}"),
    "world-port": of_world("", "ports: [{name: game, port: 7777, protocol: UDP}]"),
    "world-probe": of_world("", "probes: {liveness: {path: /healthz, port: 8080, period_secs: 20}}"),
    "world-drain": of_world("", "drain: {grace_period_secs: 600}"),
    "world-mount": of_world("", "pvc: {mount_path: /data/log}"),
    "world-sidecar": of_world("", "sidecars: [{name: shipper, image: 'aether/shipper:v1'}]"),
    "world-config": of_world(
        "config_files: [{name: a.toml, path: /etc/a.toml, text: 'a = 1'}]",
        "config_files: [{name: a.toml, path: /etc/a.toml, text: 'a = 2'}]",
    ),
    "world-config-comes": of_world("", "config_files: [{name: a.toml, path: /etc/a.toml, text: 'a = 1'}]"),
    "world-account": of_world("", "identity: {service_account: default}"),
    "world-user": of_world("", "identity: {run_as_user: 10002}"),
    "world-strict": of_world("", "topology: {strict: true}"),
    "world-two-at-once": of_world(
        "update: {max_unavailable: 2}", "update: {max_unavailable: 2}, image: 'aether/world:v2'"
    ),
    "world-partition-holds": of_world("update: {partition: 2}", "update: {partition: 2}, image: 'aether/world:v2'"),
    "world-partition-all": of_world("update: {partition: 3}", "update: {partition: 3}, image: 'aether/world:v2'"),
    "world-partition-falls": of_world(
        "update: {partition: 2}, image: 'aether/world:v2'",
        "update: {partition: 0}, image: 'aether/world:v2'",
        earlier="update: {partition: 2}",
    ),
    "world-on-delete": of_world(
        "update: {strategy: OnDelete}", "update: {strategy: OnDelete}, image: 'aether/world:v2'"
    ),
    "world-on-delete-ends": of_world(
        "update: {strategy: OnDelete}, image: 'aether/world:v2'",
        "image: 'aether/world:v2'",
        earlier="update: {strategy: OnDelete}",
    ),
    "world-min-ready": of_world("", "update: {min_ready_secs: 1}"),
    # --- counts
    "world-fewer": of_world("", "replicas: 2"),
    "world-more": of_world("", "replicas: 5"),
    "world-more-and-image": of_world("", "replicas: 5, image: 'aether/world:v2'"),
    "world-fewer-and-image": of_world("", "replicas: 2, image: 'aether/world:v2'"),
    "world-fewer-deletes": of_world(
        "pvc: {retention: {when_scaled: Delete}}", "pvc: {retention: {when_scaled: Delete}}, replicas: 2"
    ),
    "world-retention-scaled": of_world("", "pvc: {retention: {when_scaled: Delete}}"),
    "world-retention-deleted": of_world("", "pvc: {retention: {when_deleted: Delete}}"),
    "world-retention-kept": of_world(
        "pvc: {retention: {when_deleted: Delete}}", "pvc: {retention: {when_deleted: Retain}}"
    ),
    "world-handed-over": of_world("", SCALED),
    "world-taken-back": of_world(SCALED, "replicas: 2"),
    "world-min-rises": of_world(SCALED, "replicas: null, scaling: {min_replicas: 3, max_replicas: 4}"),
    "world-max-falls": of_world("replicas: null, scaling: {min_replicas: 4, max_replicas: 5}", SCALED),
    "world-max-falls-low": of_world(
        "replicas: null, scaling: {min_replicas: 4, max_replicas: 5}",
        "replicas: null, scaling: {min_replicas: 2, max_replicas: 3}",
    ),
    "world-target": of_world(
        SCALED, "replicas: null, scaling: {min_replicas: 2, max_replicas: 4, target_players_per_pod: 60}"
    ),
    "world-cooldown": of_world(
        SCALED, "replicas: null, scaling: {min_replicas: 2, max_replicas: 4, scale_down_cooldown_secs: 600}"
    ),
    "world-image-scaled": of_world(SCALED, SCALED + ", image: 'aether/world:v2'"),
    "world-to-keda": DiffCase(
        WORLD + f"observability: {{{WATCHED}}}\n",
        world(SCALED),
        world("replicas: null, scaling: {min_replicas: 2, max_replicas: 4, backend: keda}"),
    ),
    "world-keda-max": DiffCase(
        WORLD + f"observability: {{{WATCHED}}}\n",
        world("replicas: null, scaling: {min_replicas: 2, max_replicas: 4, backend: keda}"),
        world("replicas: null, scaling: {min_replicas: 2, max_replicas: 3, backend: keda}"),
    ),
    # --- refused
    "world-size": of_world("", "pvc: {size: 2Gi}"),
    "world-same-size": of_world("", "pvc: {size: 1024Mi}"),
    "world-class": of_world("", "pvc: {storage_class: fast-ssd}"),
    "world-access": of_world("", "pvc: {access_mode: ReadWriteOncePod}"),
    "world-size-and-image": of_world("", "pvc: {size: 2Gi}, image: 'aether/world:v2', replicas: 2"),
    "world-management": DiffCase(WORLD, "", spec_of("StatefulSet", "{podManagementPolicy: OrderedReady}")),
    "world-claim-label": DiffCase(
        WORLD,
        "",
        json_patch(
            "StatefulSet", "world", "{op: add, path: /spec/volumeClaimTemplates/0/metadata/labels, value: {a: b}}"
        ),
    ),
    "world-volume-mode": DiffCase(
        WORLD,
        "",
        json_patch(
            "StatefulSet", "world", "{op: add, path: /spec/volumeClaimTemplates/0/spec/volumeMode, value: Filesystem}"
        ),
    ),
    # --- what is under a world's Service, budget and policy
    "world-ordinals": DiffCase(WORLD, "", spec_of("StatefulSet", "{ordinals: {start: 1}}")),
    "world-ordinals-back": DiffCase(WORLD, spec_of("StatefulSet", "{ordinals: {start: 2}}"), ""),
    "world-history": DiffCase(WORLD, "", spec_of("StatefulSet", "{revisionHistoryLimit: 3}")),
    "world-defaults-said": DiffCase(
        WORLD,
        "",
        container_of("StatefulSet", "terminationMessagePath: /dev/termination-log, terminationMessagePolicy: File"),
    ),
    "world-pull-policy": DiffCase(
        WORLD,
        "",
        patch(
            "StatefulSet",
            "world",
            TEMPLATE.format("{containers: [{name: world, imagePullPolicy: IfNotPresent}]}"),
            waivers="pull_policy: the nodes keep it",
        ),
    ),
    "world-dns": DiffCase(WORLD, "", pod_of("StatefulSet", "{dnsConfig: {options: [{name: ndots, value: '2'}]}}")),
    "world-label": of_world("", "labels: {team: worlds}"),
    "world-annotation": of_world("", "annotations: {example.com/contact: worlds}"),
    "world-waiver": of_world(
        "resources: {cpu_limit: none}, waivers: {cpu_limit: it bursts}",
        "resources: {cpu_limit: none}, waivers: {cpu_limit: it bursts at times}",
    ),
    "world-limit-goes": of_world("", "resources: {cpu_limit: none}, waivers: {cpu_limit: it bursts}"),
    "world-budget": of_world("", "disruption_budget: {max_unavailable: 2}"),
    "world-policy": of_world("network: {allow_from: [10.0.0.0/8]}", "network: {allow_from: [10.1.0.0/16]}"),
    "world-policy-widens": of_world("", "network: {allow_to: [203.0.113.0/24]}"),
    "world-per-pod": of_world(
        "expose: {type: LoadBalancer, per_pod: true, ports: [http]}",
        "expose: {type: LoadBalancer, per_pod: true, ports: [http]}, replicas: 2",
    ),
    # --- pods of services
    "gateway-image": of_gateway("", "image: 'aether/gateway:v2'"),
    "gateway-surge": DiffCase(
        SURGING,
        gateway("update: {max_surge: 2, max_unavailable: 1}"),
        gateway("update: {max_surge: 2, max_unavailable: 1}, image: 'aether/gateway:v2'"),
    ),
    "gateway-no-surge": of_gateway(
        "update: {max_surge: 0, max_unavailable: 1}",
        "update: {max_surge: 0, max_unavailable: 1}, image: 'aether/gateway:v2'",
    ),
    "gateway-recreate": of_gateway(
        "update: {strategy: Recreate}", "update: {strategy: Recreate}, image: 'aether/gateway:v2'"
    ),
    "gateway-strategy": of_gateway("", "update: {max_surge: 2}"),
    "gateway-percent": DiffCase(
        SURGING,
        spec_of("Deployment", "{strategy: {rollingUpdate: {maxSurge: 50%, maxUnavailable: 50%}}}"),
        spec_of("Deployment", "{strategy: {rollingUpdate: {maxSurge: 50%, maxUnavailable: 50%}}}")
        + gateway("image: 'aether/gateway:v2'"),
    ),
    "gateway-fewer": of_gateway("", "replicas: 2"),
    "gateway-more": of_gateway("", "replicas: 4"),
    "gateway-fewer-and-image": of_gateway("", "replicas: 2, image: 'aether/gateway:v2'"),
    "gateway-handed-over": of_gateway("", f"{SCALED}, {PLAYERS}"),
    "gateway-held": of_gateway(
        f"{SCALED}, {PLAYERS}", f"replicas: null, scaling: {{min_replicas: 3, max_replicas: 6}}, {PLAYERS}"
    ),
    "gateway-paused": DiffCase(
        SERVICE,
        spec_of("Deployment", "{paused: true}"),
        spec_of("Deployment", "{paused: true}") + gateway("image: 'aether/gateway:v2'"),
        earlier="",  # one that is made as paused makes no pods
    ),
    "gateway-resumed": DiffCase(
        SERVICE,
        spec_of("Deployment", "{paused: true}") + gateway("image: 'aether/gateway:v2'"),
        gateway("image: 'aether/gateway:v2'"),
        earlier="",
    ),
    "gateway-history": DiffCase(
        SERVICE, "", spec_of("Deployment", "{revisionHistoryLimit: 3, progressDeadlineSeconds: 60}")
    ),
    "gateway-defaults-said": DiffCase(
        SERVICE,
        "",
        pod_of("Deployment", "{dnsPolicy: ClusterFirst, schedulerName: default-scheduler, serviceAccount: gateway}"),
    ),
    "gateway-tolerations": of_gateway("", "tolerations: [{key: game, operator: Exists}]"),
    "gateway-priority": of_gateway("", "priority_class: system-cluster-critical"),
    "gateway-token": of_gateway("", "identity: {automount_token: true}, waivers: {service_account_token: it asks}"),
    # --- Services of every kind
    "service-external-comes": of_gateway("", "expose: {type: LoadBalancer, ports: [http]}"),
    "service-external-goes": of_gateway("expose: {type: LoadBalancer, ports: [http]}", ""),
    "service-node-port": of_gateway(
        "expose: {type: NodePort, ports: [http]}, waivers: {node_port: outside}",
        "expose: {type: LoadBalancer, ports: [http]}",
    ),
    "service-to-node-port": of_gateway(
        "expose: {type: LoadBalancer, ports: [http]}",
        "expose: {type: NodePort, ports: [http]}, waivers: {node_port: outside}",
    ),
    "service-local": of_gateway(
        "expose: {type: LoadBalancer, ports: [http]}",
        "expose: {type: LoadBalancer, ports: [http], external_traffic_policy: Local}",
    ),
    "service-internal": of_gateway(
        "expose: {type: LoadBalancer, ports: [http]}", "expose: {type: LoadBalancer, ports: [http], internal: true}"
    ),
    "service-traffic": of_gateway("", "traffic: prefer_zone"),
    "service-port": of_gateway("", "ports: [{name: http, port: 8080}, {name: rpc, port: 9090}]"),
    "service-headless": DiffCase(SERVICE, "", spec_of("Service", "{clusterIP: None}", name="gateway")),
    "service-address-kept": DiffCase(SERVICE, spec_of("Service", "{clusterIP: None}", name="gateway"), ""),
    "service-class": DiffCase(
        SERVICE,
        gateway(OUTSIDE),
        gateway(OUTSIDE) + spec_of("Service", "{loadBalancerClass: example.com/fast}", name="gateway-external"),
    ),
    "service-families": DiffCase(SERVICE, "", spec_of("Service", "{ipFamilyPolicy: PreferDualStack}", name="gateway")),
    "service-affinity": DiffCase(SERVICE, "", spec_of("Service", "{sessionAffinity: ClientIP}", name="gateway")),
    # --- objects come, go, change their names
    "gateway-goes": DiffCase(BOTH, "", "services: [{name: gateway, enabled: false}]\n"),
    "gateway-comes": DiffCase(BOTH, "services: [{name: gateway, enabled: false}]\n", ""),
    "world-goes": DiffCase(BOTH, "", "worlds: [{name: world, enabled: false}]\n"),
    "world-goes-with-data": DiffCase(
        BOTH, world("pvc: {retention: {when_deleted: Delete}}"), "worlds: [{name: world, enabled: false}]\n"
    ),
    "world-renamed": DiffCase(
        WORLD,
        "",
        "",
        new_base=WORLD.replace("name: world,", "name: lobby, formerly: world,").replace("name: world}", "name: lobby}"),
    ),
    "world-renamed-without-a-word": DiffCase(
        WORLD,
        "",
        "",
        new_base=WORLD.replace("name: world,", "name: lobby,").replace("name: world}", "name: lobby}"),
    ),
    "gateway-renamed": DiffCase(
        SERVICE,
        "",
        "",
        new_base=SERVICE.replace("name: gateway,", "name: door, formerly: gateway,").replace(
            "name: gateway}", "name: door}"
        ),
    ),
    "world-without-volumes": DiffCase(
        "worlds: [{name: world, image: 'aether/world:v1', scaling: none, replicas: 3}]\n",
        world("pvc: {size: 1Gi}"),
        "",
    ),
    # --- Secrets, monitoring, the cluster's own objects
    "secrets-path": DiffCase(
        f"{WORLD}secrets: {{provider: external_secrets, store: {{name: vault}}, path: 'a/{{secret}}'}}\n",
        world(SECRET),
        world(SECRET) + "secrets: {path: 'b/{secret}'}\n",
    ),
    "secrets-store": DiffCase(
        f"{WORLD}secrets: {{provider: external_secrets, store: {{name: vault}}, path: 'a/{{secret}}'}}\n",
        world(SECRET),
        world(SECRET) + "secrets: {store: {name: other}}\n",
    ),
    "secrets-come": DiffCase(
        f"{WORLD}secrets: {{provider: external_secrets, store: {{name: vault}}, path: 'a/{{secret}}'}}\n",
        "",
        world(SECRET),
    ),
    "secrets-go": DiffCase(
        f"{WORLD}secrets: {{provider: external_secrets, store: {{name: vault}}, path: 'a/{{secret}}'}}\n",
        world(SECRET),
        "",
    ),
    "monitor-interval": DiffCase(
        f"{WORLD}observability: {{{WATCHED}}}\n", "", "observability: {scrape_interval_secs: 30}\n"
    ),
    "monitor-goes": DiffCase(f"{WORLD}observability: {{{WATCHED}}}\n", "", "observability: {pod_monitors: false}\n"),
    "monitoring-comes": DiffCase(WORLD, "", f"observability: {{{WATCHED}}}\n"),
    "rules-change": DiffCase(
        f"{SERVICE}observability: {{{WATCHED}}}\n",
        gateway(f"replicas: null, scaling: {{min_replicas: 2, max_replicas: 4, mode: desired}}, {PLAYERS}"),
        gateway(
            "replicas: null, scaling: {min_replicas: 2, max_replicas: 4, mode: desired, headroom_percent: 20}, "
            + PLAYERS
        ),
    ),
    "rules-go": DiffCase(
        f"{SERVICE}observability: {{{WATCHED}}}\n",
        gateway(f"replicas: null, scaling: {{min_replicas: 2, max_replicas: 4, mode: desired}}, {PLAYERS}"),
        gateway(f"replicas: null, scaling: {{min_replicas: 2, max_replicas: 4, mode: pods}}, {PLAYERS}"),
    ),
    "adapter-comes": DiffCase(
        f"{WORLD}observability: {{{WATCHED}}}\n",
        world(SCALED),
        world(SCALED) + "observability: {metrics_adapter: true}\n",
    ),
    "adapter-goes": DiffCase(
        f"{WORLD}observability: {{{WATCHED}}}\n",
        world(SCALED) + "observability: {metrics_adapter: true}\n",
        world(SCALED),
    ),
    "adapter-elsewhere": DiffCase(
        f"{WORLD}observability: {{{WATCHED}}}\n",
        world(SCALED) + "observability: {metrics_adapter: true}\n",
        world(SCALED) + "observability: {metrics_adapter: existing}\n",
    ),
    "adapter-objects": DiffCase(
        f"{SCALED_WORLD}observability: {{{WATCHED}, metrics_adapter: true}}\n",
        "",
        patches(
            "{target: {kind: ClusterRole, name: dif-adapter-objects-metrics-adapter-reads}, json: ["
            "{op: add, path: /rules/0/resources/-, value: nodes}]}",
            "{target: {kind: APIService, name: v1beta1.custom.metrics.k8s.io}, merge: {spec: {versionPriority: 99}}}",
            "{target: {kind: ClusterRoleBinding, name: dif-adapter-objects-metrics-adapter-reads}, "
            "merge: {metadata: {labels: {team: worlds}}}}",
            "{target: {kind: RoleBinding, name: dif-adapter-objects-metrics-adapter}, "
            "merge: {subjects: [{kind: ServiceAccount, name: other, namespace: default}]}}",
        ),
    ),
    "namespace-label": DiffCase(
        WORLD, "", patch("Namespace", "dif-namespace-label", "{metadata: {labels: {team: worlds}}}")
    ),
    "namespace-warns": DiffCase(
        WORLD,
        "",
        patch("Namespace", "dif-namespace-warns", "{metadata: {labels: {pod-security.kubernetes.io/warn: baseline}}}"),
    ),
    "account-annotation": DiffCase(
        WORLD,
        "",
        patch("ServiceAccount", "world", "{metadata: {annotations: {eks.amazonaws.com/role-arn: worlds}}}"),
    ),
    "budget-percent": DiffCase(WORLD, "", patch("PodDisruptionBudget", "world", "{spec: {maxUnavailable: 34%}}")),
    "config-frozen": DiffCase(
        WORLD,
        world("config_files: [{name: a.toml, path: /etc/a.toml, text: 'a = 1'}]")
        + patch("ConfigMap", "world-config", "{immutable: true}"),
        world("config_files: [{name: a.toml, path: /etc/a.toml, text: 'a = 2'}]")
        + patch("ConfigMap", "world-config", "{immutable: true}"),
    ),
    "config-thawed": DiffCase(
        WORLD,
        world("config_files: [{name: a.toml, path: /etc/a.toml, text: 'a = 1'}]")
        + patch("ConfigMap", "world-config", "{immutable: true}"),
        world("config_files: [{name: a.toml, path: /etc/a.toml, text: 'a = 1'}]"),
    ),
    "config-hidden": DiffCase(
        WORLD,
        world("config_files: [{name: a.toml, path: /etc/a.toml, text: 'a = 1'}]"),
        world("config_files: [{name: a.toml, path: /etc/a.toml, text: 'a = 1'}]")
        + patch("ConfigMap", "world-config", "{data: {b: more}}"),
    ),
    "elsewhere": DiffCase(
        TWO, "", "services: [{name: matchmaking, endpoint: 'mm.{region}.example.com'}]\n", cluster="eu-west-1"
    ),
    "comes-here": DiffCase(
        TWO, "", "services: [{name: matchmaking, regions: [us-east-1, eu-west-1]}]\n", cluster="eu-west-1"
    ),
    "leaves-here": DiffCase(
        TWO, "services: [{name: matchmaking, regions: [us-east-1, eu-west-1]}]\n", "", cluster="eu-west-1"
    ),
    # --- the engine
    "engine-argocd": DiffCase(WORLD, "", f"gitops: {{engine: argocd, {REPO}}}\n", cluster="us-east-1"),
    "engine-flux": DiffCase(WORLD, "", f"gitops: {{engine: flux, {REPO}}}\n"),
    "engine-revision": DiffCase(
        f"name: rev\n{WORLD}gitops: {{engine: flux, {REPO}}}\n", "", "gitops: {revision: next}\n"
    ),
    "engine-interval": DiffCase(
        f"name: paced\n{WORLD}gitops: {{engine: flux, {REPO}}}\n", "", "gitops: {flux: {interval_secs: 120}}\n"
    ),
}
