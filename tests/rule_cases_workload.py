"""Failing and sound examples of every rule between the fields of one workload."""

from typing import Any

from tests.rule_case import DIGEST, IMAGE, RuleCase

SHIPPER = {"name": "shipper", "image": IMAGE}
DRAINS: dict[str, Any] = {"drain": {"grace_period_secs": 300, "pre_stop": {"path": "/drain", "port": 8080}}}
KEEPS: dict[str, Any] = {"scaling": {"protect_occupied": True}, "custom_metrics": [{"name": "players"}]}

WORKLOADS: dict[str, RuleCase] = {
    "a Deployment is wanted where a volume is given": RuleCase(
        rule="DeploymentConfig.kind_follows_the_volume",
        bad={"kind": "Deployment", "pvc": {"size": "1Gi"}},
        good={"kind": "StatefulSet", "pvc": {"size": "1Gi"}},
        says=[
            "$.kind: warning: is 'Deployment'; a pvc is given, so a StatefulSet is rendered\n"
            "  fix: leave kind out, or remove the pvc"
        ],
    ),
    "a StatefulSet is wanted without a volume": RuleCase(
        rule="DeploymentConfig.kind_follows_the_volume",
        bad={"kind": "StatefulSet"},
        good={"kind": "Deployment"},
        says=[
            "$.kind: warning: is 'StatefulSet'; no pvc is given, so a Deployment is rendered\n"
            "  fix: leave kind out, or add a pvc"
        ],
    ),
    "a StatefulSet's name leaves no room for its pods' labels": RuleCase(
        rule="DeploymentConfig.names_fit",
        bad={"name": "w" * 53, "pvc": {"size": "1Gi"}},
        good={"name": "w" * 52, "pvc": {"size": "1Gi"}},
        says=[
            "$.name: is 'wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww'; has 53 characters; a "
            "StatefulSet's name has at most 52\n"
            "  fix: shorten it"
        ],
    ),
    "a Service's name would be too long": RuleCase(
        rule="DeploymentConfig.names_fit",
        bad={"name": "g" * 55, "expose": {"ports": ["http"]}},
        good={"name": "g" * 54, "expose": {"ports": ["http"]}},
        says=[
            "$.name: is 'ggggggggggggggggggggggggggggggggggggggggggggggggggggggg'; its object "
            "'ggggggggggggggggggggggggggggggggggggggggggggggggggggggg-external' has 64 characters; a "
            "name has at most 63\n"
            "  fix: shorten it"
        ],
    ),
    "a Secret's volume has a long name": RuleCase(
        rule="DeploymentConfig.volume_names_fit",
        bad={"secret_files": [{"name": "s" * 57, "secret": "tls", "path": "/tls"}]},
        good={"secret_files": [{"name": "s" * 56, "secret": "tls", "path": "/tls"}]},
        says=[
            "$.secret_files[0].name: is 'sssssssssssssssssssssssssssssssssssssssssssssssssssssssss'; its volume "
            "'secret-sssssssssssssssssssssssssssssssssssssssssssssssssssssssss' would have more than 63 characters\n"
            "  fix: use at most 56"
        ],
    ),
    "annotations are too large": RuleCase(
        rule="DeploymentConfig.annotations_fit",
        bad={"annotations": {"a": "x" * 262_144}},
        good={"annotations": {"a": "x" * 262_143}},
        says=[
            "$.annotations: hold 262145 bytes together; an object's annotations hold at most 262144\n"
            "  fix: put what is large into config_files"
        ],
    ),
    "a volume is larger than the disk": RuleCase(
        rule="DeploymentConfig.scratch_fits",
        bad={"volumes": [{"name": "cache", "path": "/cache", "size": "2Gi"}]},
        good={"volumes": [{"name": "cache", "path": "/cache", "size": "1Gi"}]},
        says=[
            "$.volumes[0].size: warning: is '2Gi'; more than resources.ephemeral_limit, which is 1Gi: filling it "
            "evicts the pod\n"
            "  fix: lower it, or raise resources.ephemeral_limit"
        ],
    ),
    "a volume is larger than the memory": RuleCase(
        rule="DeploymentConfig.scratch_fits",
        bad={"volumes": [{"name": "cache", "path": "/cache", "type": "memory", "size": "2Gi"}]},
        good={"volumes": [{"name": "cache", "path": "/cache", "type": "memory", "size": "1Gi"}]},
        says=[
            "$.volumes[0].size: warning: is '2Gi'; more than resources.memory_limit, which is 1Gi: filling it ends "
            "the container\n"
            "  fix: lower it, or raise resources.memory_limit"
        ],
    ),
    "a token leads nowhere": RuleCase(
        rule="DeploymentConfig.tokens_are_of_use",
        bad={"identity": {"automount_token": True}},
        good={"identity": {"automount_token": True}, "network": {"allow_to": ["10.0.0.1/32"]}},
        says=[
            "$.identity.automount_token: warning: is true; of no use: the network policy lets the pods reach no API "
            "server\n"
            "  fix: list its addresses in network.allow_to"
        ],
    ),
    "metrics are on a port of UDP": RuleCase(
        rule="DeploymentConfig.port_names_exist",
        bad={"ports": [{"name": "game", "port": 7777, "protocol": "UDP"}], "metrics": {"port": "game"}},
        good={"ports": [{"name": "game", "port": 7777}], "metrics": {"port": "game"}},
        says=[
            "$.metrics.port: is 'game'; a port of protocol UDP, where nobody can scrape\n"
            "  fix: name a TCP port, or write metrics: none"
        ],
    ),
    "a workload lands where everything does": RuleCase(
        rule="DeploymentConfig.namespace_is_hardened",
        bad={"namespace": "default"},
        good={"namespace": "aether"},
        says=[
            "$.namespace: warning: is 'default'; the namespace that everything without one lands in, and that "
            "nothing hardens\n"
            "  fix: give it a namespace of its own"
        ],
    ),
    "an image has neither tag nor digest": RuleCase(
        rule="DeploymentConfig.image_is_pinned",
        bad={"image": "registry:5000/gateway"},
        good={"image": f"registry:5000/gateway@{DIGEST}"},
        says=[
            "$.image: is 'registry:5000/gateway'; has neither tag nor digest, so every start may run "
            "another version\n"
            "  fix: write name:tag@sha256:digest"
        ],
    ),
    "an image has a tag that moves": RuleCase(
        rule="DeploymentConfig.image_is_pinned",
        bad={"image": "aether/gateway:latest"},
        good={"image": f"aether/gateway:latest@{DIGEST}"},
        says=[
            "$.image: is 'aether/gateway:latest'; the tag latest moves, so every start may run another "
            "version\n"
            "  fix: write name:tag@sha256:digest"
        ],
    ),
    "an image has a tag that could be moved": RuleCase(
        rule="DeploymentConfig.image_is_pinned",
        bad={"image": "aether/gateway:v1"},
        good={"image": "aether/gateway:v1", "waivers": {"image_digest": "the registry forbids it"}},
        says=[
            "$.image: warning: is 'aether/gateway:v1'; named by its tag only, which can be moved\n"
            "  fix: add the digest: name:tag@sha256:digest, or give the waiver image_digest a reason"
        ],
    ),
    "a sidecar's image has no tag": RuleCase(
        rule="DeploymentConfig.image_is_pinned",
        bad={"sidecars": [{"name": "shipper", "image": "shipper"}]},
        good={"sidecars": [{"name": "shipper", "image": "shipper", "enabled": False}]},
        says=[
            "$.sidecars[0].image: is 'shipper'; has neither tag nor digest, so every start may run "
            "another version\n"
            "  fix: write name:tag@sha256:digest"
        ],
    ),
    "two ports have one number": RuleCase(
        rule="DeploymentConfig.ports_are_distinct",
        bad={"ports": [{"name": "https", "port": 8080}]},
        good={"ports": [{"name": "game", "port": 8080, "protocol": "UDP"}]},
        says=["$.ports[1].port: is 8080; taken by port 'http'\n  fix: give it another number"],
    ),
    "a port is that of SSH": RuleCase(
        rule="DeploymentConfig.ports_are_distinct",
        bad={"ports": [{"name": "ssh", "port": 22}]},
        good={"ports": [{"name": "ssh", "port": 22, "enabled": False}]},
        says=["$.ports[1].port: is 22; the port of an SSH server, which checkers refuse\n  fix: use another port"],
    ),
    "a port is exposed that is none": RuleCase(
        rule="DeploymentConfig.port_names_exist",
        bad={"expose": {"ports": ["htpp"]}},
        good={"expose": {"ports": ["http"]}},
        says=["$.expose.ports[0]: is 'htpp'; no port has that name\n  fix: did you mean 'http'?"],
    ),
    "a disabled port is scraped": RuleCase(
        rule="DeploymentConfig.port_names_exist",
        bad={"ports": [{"name": "http", "enabled": False}, {"name": "game", "port": 7777}]},
        good={"ports": [{"name": "http", "enabled": False}, {"name": "game", "port": 7777}], "metrics": "none"},
        says=[
            "$.metrics.port: is 'http'; no port has that name\n"
            "  fix: known are game; metrics: none switches scraping off"
        ],
    ),
    "a volume lies inside another": RuleCase(
        rule="DeploymentConfig.mounts_do_not_overlap",
        bad={"pvc": {"size": "1Gi", "mount_path": "/data"}, "volumes": [{"name": "cache", "path": "/data/cache"}]},
        good={"pvc": {"size": "1Gi", "mount_path": "/data"}, "volumes": [{"name": "cache", "path": "/data-cache"}]},
        says=["$.volumes[0].path: is '/data/cache'; overlaps /data, which is mounted too\n  fix: mount it elsewhere"],
    ),
    "a file lies in scratch": RuleCase(
        rule="DeploymentConfig.mounts_do_not_overlap",
        bad={"config_files": [{"name": "a", "path": "/tmp/a", "text": "a"}]},
        good={"config_files": [{"name": "a", "path": "/etc/a", "text": "a"}]},
        says=[
            "$.config_files[0].path: is '/tmp/a'; overlaps /tmp, which is scratch in every container\n"
            "  fix: mount it elsewhere"
        ],
    ),
    "a sidecar mounts a volume that is none": RuleCase(
        rule="DeploymentConfig.container_mounts_exist",
        bad={"sidecars": [{**SHIPPER, "mounts": [{"volume": "wal", "path": "/wal"}]}]},
        good={"sidecars": [{**SHIPPER, "mounts": [{"volume": "tmp", "path": "/scratch"}]}]},
        says=["$.sidecars[0].mounts[0].volume: is 'wal'; no volume has that name\n  fix: known are tmp"],
    ),
    "a volume has a name of ours": RuleCase(
        rule="DeploymentConfig.container_mounts_exist",
        bad={"volumes": [{"name": "config", "path": "/etc/app"}]},
        good={"volumes": [{"name": "configuration", "path": "/etc/app"}]},
        says=["$.volumes[0].name: is 'config'; a name that the workload's own volumes use\n  fix: choose another"],
    ),
    "a sidecar mounts something over its scratch": RuleCase(
        rule="DeploymentConfig.container_mounts_exist",
        bad={"pvc": {"size": "1Gi"}, "sidecars": [{**SHIPPER, "mounts": [{"volume": "wal", "path": "/tmp"}]}]},
        good={"pvc": {"size": "1Gi"}, "sidecars": [{**SHIPPER, "mounts": [{"volume": "wal", "path": "/wal"}]}]},
        says=[
            "$.sidecars[0].mounts[0].path: is '/tmp'; overlaps /tmp, which is scratch in every container\n"
            "  fix: mount it elsewhere"
        ],
    ),
    "a sidecar has the workload's name": RuleCase(
        rule="DeploymentConfig.container_names_are_distinct",
        bad={"sidecars": [{**SHIPPER, "name": "gateway"}]},
        good={"sidecars": [{**SHIPPER, "name": "gateway-shipper"}]},
        says=["$.sidecars[0].name: is 'gateway'; the name of another container of the pod\n  fix: choose another"],
    ),
    "a sidecar has an init container's name": RuleCase(
        rule="DeploymentConfig.container_names_are_distinct",
        bad={"init_containers": [SHIPPER], "sidecars": [SHIPPER]},
        good={"init_containers": [{**SHIPPER, "name": "fetch"}], "sidecars": [SHIPPER]},
        says=["$.sidecars[0].name: is 'shipper'; the name of another container of the pod\n  fix: choose another"],
    ),
    "a node drain may take all pods": RuleCase(
        rule="DeploymentConfig.budget_leaves_pods",
        bad={"replicas": 3, "disruption_budget": {"max_unavailable": 3}},
        good={"replicas": 3, "disruption_budget": {"max_unavailable": 2}},
        says=[
            "$.disruption_budget.max_unavailable: is 3; lets a node drain take all of 3 pods\n"
            "  fix: set it to 2 or less"
        ],
    ),
    "metrics scale nothing": RuleCase(
        rule="DeploymentConfig.metrics_match_scaling",
        bad={"custom_metrics": [{"name": "players"}]},
        good={"custom_metrics": [{"name": "players"}], "scaling": {}},
        says=["$.custom_metrics: warning: nothing scales by them: scaling is off\n  fix: remove them, or add scaling"],
    ),
    "a service scales by nothing": RuleCase(
        rule="DeploymentConfig.metrics_match_scaling",
        bad={"scaling": {}},
        good={"scaling": "none"},
        says=[
            "$: lacks 'custom_metrics': a service that scales must say by which metric\n"
            "  fix: add custom_metrics: [{name: ...}]"
        ],
    ),
    "a metric has a target of its own": RuleCase(
        rule="DeploymentConfig.metrics_match_scaling",
        bad={"scaling": {"target_players_per_pod": 50}, "custom_metrics": [{"name": "players", "target_value": 60}]},
        good={
            "scaling": {"target_players_per_pod": 50},
            "custom_metrics": [{"name": "queue", "target_value": 60, "metric_type": "External"}],
        },
        says=[
            "$.custom_metrics[0].target_value: is 60; differs from scaling.target_players_per_pod, which "
            "is 50\n"
            "  fix: leave target_value out: it follows target_players_per_pod"
        ],
    ),
    "a workload runs no pods": RuleCase(
        rule="DeploymentConfig.replicas_are_the_autoscalers",
        bad={"replicas": 0},
        good={"replicas": 2},
        says=["$.replicas: is 0; runs nothing\n  fix: set it to 1 or more, or use enabled: false"],
    ),
    "a workload begins beyond what scales it": RuleCase(
        rule="DeploymentConfig.replicas_are_the_autoscalers",
        bad={"replicas": 21, "scaling": {}, "custom_metrics": [{"name": "players"}]},
        good={"replicas": 20, "scaling": {}, "custom_metrics": [{"name": "players"}]},
        says=[
            "$.replicas: warning: is 21; outside 2..20; the autoscaler owns the count\n"
            "  fix: leave replicas out, or change scaling"
        ],
    ),
    "one pod runs": RuleCase(
        rule="DeploymentConfig.replicas_are_the_autoscalers",
        bad={"replicas": 1},
        good={"replicas": 1, "waivers": {"single_replica": "a leader"}},
        says=[
            "$.replicas: warning: is 1; one pod: every update and every lost node interrupts it\n"
            "  fix: set it to 2 or more, or give the waiver single_replica a reason"
        ],
    ),
    "an autoscaler may leave one pod": RuleCase(
        rule="DeploymentConfig.replicas_are_the_autoscalers",
        bad={"scaling": {"min_replicas": 1}, "custom_metrics": [{"name": "players"}]},
        good={"scaling": {"min_replicas": 2}, "custom_metrics": [{"name": "players"}]},
        says=[
            "$.scaling.min_replicas: warning: is 1; one pod: every update and every lost node interrupts "
            "it\n"
            "  fix: set it to 2 or more, or give the waiver single_replica a reason"
        ],
    ),
    "a Deployment has a partition": RuleCase(
        rule="DeploymentConfig.update_fits_the_kind",
        bad={"update": {"partition": 1}},
        good={"update": {"partition": 1}, "pvc": {"size": "1Gi"}},
        says=["$.update.partition: is 1; only a StatefulSet has it, and this is a Deployment\n  fix: remove it"],
    ),
    "a StatefulSet has a surge": RuleCase(
        rule="DeploymentConfig.update_fits_the_kind",
        bad={"update": {"max_surge": 1}, "pvc": {"size": "1Gi"}},
        good={"update": {"max_surge": 1}},
        says=["$.update.max_surge: is 1; only a Deployment has it, and this is a StatefulSet\n  fix: remove it"],
    ),
    "a Deployment waits for deletions": RuleCase(
        rule="DeploymentConfig.update_fits_the_kind",
        bad={"update": {"strategy": "OnDelete"}},
        good={"update": {"strategy": "OnDelete"}, "pvc": {"size": "1Gi"}},
        says=[
            "$.update.strategy: is 'OnDelete'; only a StatefulSet has it, and this is a Deployment\n"
            "  fix: use RollingUpdate"
        ],
    ),
    "a StatefulSet is torn down": RuleCase(
        rule="DeploymentConfig.update_fits_the_kind",
        bad={"update": {"strategy": "Recreate"}, "pvc": {"size": "1Gi"}},
        good={"update": {"strategy": "Recreate"}},
        says=[
            "$.update.strategy: is 'Recreate'; only a Deployment has it, and this is a StatefulSet\n"
            "  fix: use RollingUpdate"
        ],
    ),
    "what is torn down has a bound": RuleCase(
        rule="DeploymentConfig.update_fits_the_kind",
        bad={"update": {"strategy": "Recreate", "max_unavailable": 1}},
        good={"update": {"strategy": "RollingUpdate", "max_unavailable": 1}},
        says=["$.update.max_unavailable: is 1; not used with strategy Recreate\n  fix: remove it"],
    ),
    "no pod of a Deployment can be replaced": RuleCase(
        rule="DeploymentConfig.update_fits_the_kind",
        bad={"update": {"max_surge": 0}},
        good={"update": {"max_surge": 0, "max_unavailable": 1}},
        says=[
            "$.update.max_surge: is 0; with max_unavailable 0 no pod can ever be replaced\n  fix: set one of them to 1"
        ],
    ),
    "no pod of a StatefulSet can be replaced": RuleCase(
        rule="DeploymentConfig.update_fits_the_kind",
        bad={"update": {"max_unavailable": 0}, "pvc": {"size": "1Gi"}},
        good={"update": {"max_unavailable": 1}, "pvc": {"size": "1Gi"}},
        says=["$.update.max_unavailable: is 0; no pod could ever be replaced\n  fix: set it to 1 or more"],
    ),
    "a drain takes longer than an hour": RuleCase(
        rule="DeploymentConfig.drain_leaves_time",
        bad={"drain": {"grace_period_secs": 3601}},
        good={"drain": {"grace_period_secs": 3600}},
        says=[
            "$.drain.grace_period_secs: warning: is 3601; longer than an hour, which node drains and "
            "cluster autoscalers do not wait for\n"
            "  fix: set it to 3600 or less"
        ],
    ),
    "a ConfigMap's name would be too long": RuleCase(
        rule="DeploymentConfig.names_fit",
        bad={"name": "g" * 57, "config_files": [{"name": "a", "path": "/etc/a", "text": "a"}]},
        good={"name": "g" * 57},
        says=[
            "$.name: is 'ggggggggggggggggggggggggggggggggggggggggggggggggggggggggg'; its object "
            "'ggggggggggggggggggggggggggggggggggggggggggggggggggggggggg-config' has 64 characters; a "
            "name has at most 63\n"
            "  fix: shorten it"
        ],
    ),
    "an endpoint leads nowhere": RuleCase(
        rule="DeploymentConfig.endpoints_are_exposed",
        bad={"endpoint": "gateway.{region}.example.com"},
        good={"endpoint": "gateway.{region}.example.com", "expose": {"ports": ["http"]}},
        says=[
            "$.endpoint: is 'gateway.{region}.example.com'; nothing is exposed that other regions could "
            "reach\n"
            "  fix: add expose"
        ],
    ),
    "pods without ordinals are exposed one by one": RuleCase(
        rule="DeploymentConfig.exposed_pods_have_ordinals",
        bad={"expose": {"ports": ["http"], "per_pod": True}},
        good={"expose": {"ports": ["http"], "per_pod": True}, "pvc": {"size": "1Gi"}},
        says=[
            "$.expose.per_pod: is true; only pods of a StatefulSet have ordinals\n  fix: add a pvc, or remove per_pod"
        ],
    ),
    "a thousand pods are exposed one by one": RuleCase(
        rule="DeploymentConfig.exposed_pods_have_ordinals",
        bad={"expose": {"ports": ["http"], "per_pod": True}, "pvc": {"size": "1Gi"}, "scaling": {"max_replicas": 1001}},
        good={
            "expose": {"ports": ["http"], "per_pod": True},
            "pvc": {"size": "1Gi"},
            "scaling": {"max_replicas": 1000},
        },
        says=[
            "$.scaling.max_replicas: is 1001; makes as many Services by expose.per_pod; engines read at most 1000 "
            "objects in time\n"
            "  fix: set it to 1000 or less, or remove per_pod"
        ],
    ),
    "occupied pods without an order are kept": RuleCase(
        rule="DeploymentConfig.occupied_pods_can_be_kept",
        bad={**DRAINS, **KEEPS},
        good={**DRAINS, **KEEPS, "pvc": {"size": "1Gi"}},
        says=[
            "$.scaling.protect_occupied: is true; only pods of a StatefulSet leave in the order of their ordinals\n"
            "  fix: add a pvc, or remove protect_occupied"
        ],
    ),
    "occupied pods that nobody scrapes are kept": RuleCase(
        rule="DeploymentConfig.occupied_pods_can_be_kept",
        bad={**DRAINS, **KEEPS, "pvc": {"size": "1Gi"}, "metrics": "none"},
        good={**DRAINS, **KEEPS, "pvc": {"size": "1Gi"}},
        says=[
            "$.scaling.protect_occupied: is true; nobody can ask which pods are occupied: metrics is none\n"
            "  fix: give metrics a port"
        ],
    ),
    "occupied pods do not drain": RuleCase(
        rule="DeploymentConfig.occupied_pods_can_be_kept",
        bad={**KEEPS, "pvc": {"size": "1Gi"}},
        good={**DRAINS, **KEEPS, "pvc": {"size": "1Gi"}},
        says=[
            "$.drain.pre_stop: warning: does not drain, and a player may join a pod unnoticed shortly before it is "
            "removed\n"
            "  fix: set it to the path and port at which the server drains"
        ],
    ),
    "a secret stands in the environment": RuleCase(
        rule="DeploymentConfig.secrets_are_files",
        bad={"env": {"DB_PASSWORD": "x"}},
        good={"env": {"TOKENS_PER_SECOND": "5"}},
        says=[
            "$.env.DB_PASSWORD: a secret in plain sight, by its name\n"
            "  fix: mount it by secret_files, or give the waiver secret_env a reason"
        ],
    ),
    "a sidecar's secret stands in its environment": RuleCase(
        rule="DeploymentConfig.secrets_are_files",
        bad={"sidecars": [{**SHIPPER, "env": {"api_key": "x"}}]},
        good={"sidecars": [{**SHIPPER, "env": {"api_key": "x"}}], "waivers": {"secret_env": "a public key"}},
        says=[
            "$.sidecars[0].env.api_key: a secret in plain sight, by its name\n"
            "  fix: mount it by secret_files, or give the waiver secret_env a reason"
        ],
    ),
    "a private key stands in an argument": RuleCase(
        rule="DeploymentConfig.literals_are_no_secrets",
        bad={"args": ["--key", "-----BEGIN EC PRIVATE KEY-----\nMHc="]},
        good={"args": ["--key", "-----BEGIN CERTIFICATE-----\nMHc="]},
        says=[
            "$.args[1]: holds a private key in plain sight\n"
            "  fix: mount it by secret_files, or give the waiver secret_literal a reason; if it was ever pushed, "
            "replace it"
        ],
    ),
    "a cloud's access key stands in a config file": RuleCase(
        rule="DeploymentConfig.literals_are_no_secrets",
        bad={"config_files": [{"name": "s3.ini", "path": "/etc/s3.ini", "text": "key = AKIAIOSFODNN7EXAMPLE\n"}]},
        good={
            "config_files": [{"name": "s3.ini", "path": "/etc/s3.ini", "text": "key = AKIAIOSFODNN7EXAMPLE\n"}],
            "waivers": {"secret_literal": "the example of the manual"},
        },
        says=[
            "$.config_files[0].text: holds an AWS access key in plain sight\n"
            "  fix: mount it by secret_files, or give the waiver secret_literal a reason; if it was ever pushed, "
            "replace it"
        ],
    ),
    "a label is one of ours": RuleCase(
        rule="DeploymentConfig.labels_are_the_authors",
        bad={"labels": {"app.kubernetes.io/name": "x"}},
        good={"labels": {"example.com/name": "x"}},
        says=[
            "$.labels['app.kubernetes.io/name']: app.kubernetes.io/ belongs to Kubernetes and to this "
            "program\n"
            "  fix: use a prefix of your own"
        ],
    ),
    "an annotation is one of Kubernetes": RuleCase(
        rule="DeploymentConfig.labels_are_the_authors",
        bad={"annotations": {"k8s.io/x": "y"}},
        good={"annotations": {"notk8s.io/x": "y", "cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}},
        says=[
            "$.annotations['k8s.io/x']: k8s.io/ belongs to Kubernetes and to this program\n"
            "  fix: use a prefix of your own"
        ],
    ),
    "a waiver waives nothing": RuleCase(
        rule="DeploymentConfig.waivers_are_used",
        bad={"waivers": {"cpu_limit": "jitter"}},
        good={"waivers": {"cpu_limit": "jitter"}, "resources": {"cpu_limit": "none"}},
        says=["$.waivers.cpu_limit: warning: waives nothing: the workload does not deviate\n  fix: remove it"],
    ),
}
