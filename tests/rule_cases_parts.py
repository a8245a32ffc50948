"""Failing and sound examples of every rule of the parts of a description: probes, scaling, volumes, regions."""

from tests.rule_case import RuleCase

PARTS: dict[str, RuleCase] = {
    "cpu is requested beyond its limit": RuleCase(
        rule="ResourceRequirements.cpu_request_fits_its_limit",
        bad={"cpu_request": "2500m", "cpu_limit": "2"},
        good={"cpu_request": "2000m", "cpu_limit": "2"},
        says=[
            "$.cpu_request: is '2500m'; more than cpu_limit, which is 2\n"
            "  fix: lower it to 2 or less, or raise cpu_limit"
        ],
    ),
    "memory is requested beyond its limit": RuleCase(
        rule="ResourceRequirements.memory_request_fits_its_limit",
        bad={"memory_request": "2Gi", "memory_limit": "2G"},
        good={"memory_request": "2Gi", "memory_limit": "2048Mi"},
        says=[
            "$.memory_request: is '2Gi'; more than memory_limit, which is 2G\n"
            "  fix: lower it to 2G or less, or raise memory_limit"
        ],
    ),
    "scratch is requested beyond its limit": RuleCase(
        rule="ResourceRequirements.ephemeral_request_fits_its_limit",
        bad={"ephemeral_request": "1Gi", "ephemeral_limit": "512Mi"},
        good={"ephemeral_request": "512Mi", "ephemeral_limit": "512Mi"},
        says=[
            "$.ephemeral_request: is '1Gi'; more than ephemeral_limit, which is 512Mi\n"
            "  fix: lower it to 512Mi or less, or raise ephemeral_limit"
        ],
    ),
    "a scaled-down world loses its log": RuleCase(
        rule="RetentionConfig.logs_survive",
        bad={"when_scaled": "Delete"},
        good={"when_scaled": "Retain"},
        says=[
            "$.when_scaled: warning: is 'Delete'; the volume and the write-ahead log on it are lost with "
            "the pod\n"
            "  fix: set it to Retain"
        ],
    ),
    "a deleted world loses its log": RuleCase(
        rule="RetentionConfig.logs_survive",
        bad={"when_deleted": "Delete"},
        good={},
        says=[
            "$.when_deleted: warning: is 'Delete'; the volume and the write-ahead log on it are lost "
            "with the pod\n"
            "  fix: set it to Retain"
        ],
    ),
    "a config file has no content": RuleCase(
        rule="ConfigFile.content_comes_from_one_place",
        bad={},
        good={"text": ""},
        says=["$: lacks its content\n  fix: give exactly one of source and text"],
    ),
    "a config file has two contents": RuleCase(
        rule="ConfigFile.content_comes_from_one_place",
        bad={"source": "a.toml", "text": "a"},
        good={"source": "a.toml"},
        says=["$: has both 'source' and 'text'\n  fix: give exactly one of source and text"],
    ),
    "a claim has no name": RuleCase(
        rule="VolumeConfig.a_claim_is_named_by_its_type",
        bad={"type": "claim"},
        good={"type": "claim", "claim": "shared"},
        says=["$: lacks 'claim', which a volume of type claim needs\n  fix: add claim"],
    ),
    "scratch has a claim": RuleCase(
        rule="VolumeConfig.a_claim_is_named_by_its_type",
        bad={"type": "memory", "claim": "shared"},
        good={"type": "memory", "size": "64Mi"},
        says=["$.claim: is 'shared'; not used by a volume of type memory\n  fix: remove it"],
    ),
    "a claim has a size": RuleCase(
        rule="VolumeConfig.a_claim_is_named_by_its_type",
        bad={"type": "claim", "claim": "shared", "size": "1Gi"},
        good={"size": "1Gi"},
        says=["$.size: is '1Gi'; not used by a volume of type claim\n  fix: remove it"],
    ),
    "a drain over HTTP has no port": RuleCase(
        rule="PreStopConfig.there_is_one_way",
        bad={"path": "/drain"},
        good={"path": "/drain", "port": 8080},
        says=["$: lacks 'port'\n  fix: add port: a drain over HTTP needs path and port"],
    ),
    "a drain over HTTP has no path": RuleCase(
        rule="PreStopConfig.there_is_one_way",
        bad={"port": 8080},
        good={"command": ["drain"]},
        says=["$: lacks 'path'\n  fix: add path: a drain over HTTP needs path and port"],
    ),
    "a drain does nothing": RuleCase(
        rule="PreStopConfig.there_is_one_way",
        bad={},
        good={"sleep_secs": 5},
        says=["$: is not one way to drain\n  fix: give path and port, or command, or sleep_secs"],
    ),
    "a drain has two ways": RuleCase(
        rule="PreStopConfig.there_is_one_way",
        bad={"command": ["drain"], "sleep_secs": 5},
        good={"sleep_secs": 5},
        says=["$: is not one way to drain\n  fix: give path and port, or command, or sleep_secs"],
    ),
    "a pod is killed while it waits": RuleCase(
        rule="DrainConfig.the_wait_fits",
        bad={"grace_period_secs": 5, "pre_stop": {"sleep_secs": 5}},
        good={"grace_period_secs": 6, "pre_stop": {"sleep_secs": 5}},
        says=[
            "$.pre_stop.sleep_secs: is 5; not less than grace_period_secs, which is 5: the pod is killed "
            "while it waits\n"
            "  fix: raise grace_period_secs"
        ],
    ),
    "a port of every node is meant to be internal": RuleCase(
        rule="ExposeConfig.a_node_port_is_not_internal",
        bad={"type": "NodePort", "ports": ["http"], "internal": True},
        good={"type": "LoadBalancer", "ports": ["http"], "internal": True},
        says=[
            "$.internal: is true; nothing keeps a NodePort internal: every node opens it\n"
            "  fix: use a LoadBalancer, or remove it and keep others off the nodes"
        ],
    ),
    "expose names no port": RuleCase(
        rule="ExposeConfig.something_is_exposed",
        bad={"ports": []},
        good={"ports": ["http"]},
        says=["$.ports: exposes nothing\n  fix: name at least one port, or leave expose out"],
    ),
    "a process is root": RuleCase(
        rule="IdentityConfig.nobody_is_root",
        bad={"run_as_user": 0},
        good={"run_as_user": 10001},
        says=["$.run_as_user: is 0; root, which a restricted namespace refuses\n  fix: use 10001 or more"],
    ),
    "a process is in the group of root": RuleCase(
        rule="IdentityConfig.nobody_is_root",
        bad={"run_as_group": 0},
        good={"run_as_group": 10001},
        says=["$.run_as_group: is 0; root, which a restricted namespace refuses\n  fix: use 10001 or more"],
    ),
    "volumes belong to root": RuleCase(
        rule="IdentityConfig.nobody_is_root",
        bad={"fs_group": 0},
        good={"fs_group": 999},
        says=["$.fs_group: is 0; root, which a restricted namespace refuses\n  fix: use 10001 or more"],
    ),
    "a process is a user of the node": RuleCase(
        rule="IdentityConfig.nobody_is_root",
        bad={"run_as_user": 10000},
        good={"run_as_user": 10001},
        says=["$.run_as_user: warning: is 10000; an id that a user of the node may have\n  fix: use 10001 or more"],
    ),
    "a process is in a group of the node": RuleCase(
        rule="IdentityConfig.nobody_is_root",
        bad={"run_as_group": 999},
        good={"run_as_group": 65534},
        says=["$.run_as_group: warning: is 999; an id that a user of the node may have\n  fix: use 10001 or more"],
    ),
    "a taint is borne whatever its value, which is given": RuleCase(
        rule="TolerationConfig.fields_fit_the_operator",
        bad={"key": "arena", "operator": "Exists", "value": "yes"},
        good={"key": "arena", "operator": "Exists"},
        says=["$.value: is 'yes'; not used with operator Exists\n  fix: remove it"],
    ),
    "a taint is borne by its value, without its key": RuleCase(
        rule="TolerationConfig.fields_fit_the_operator",
        bad={"value": "yes"},
        good={"key": "arena", "value": "yes"},
        says=["$: lacks 'key'\n  fix: add key, or set operator to Exists"],
    ),
    "a taint that evicts nobody is borne for a while": RuleCase(
        rule="TolerationConfig.fields_fit_the_operator",
        bad={"key": "arena", "effect": "NoSchedule", "toleration_secs": 60},
        good={"key": "arena", "effect": "NoExecute", "toleration_secs": 60},
        says=["$.toleration_secs: is 60; only used with effect NoExecute\n  fix: remove it"],
    ),
    "a question over HTTP has neither path nor port": RuleCase(
        rule="Probe.type_has_what_it_needs",
        bad={},
        good={"path": "/healthz", "port": 8080},
        says=[
            "$: lacks 'path', which a probe of type http needs\n  fix: add path",
            "$: lacks 'port', which a probe of type http needs\n  fix: add port",
        ],
    ),
    "a connection has a path": RuleCase(
        rule="Probe.type_has_what_it_needs",
        bad={"type": "tcp", "port": 8080, "path": "/healthz"},
        good={"type": "tcp", "port": 8080},
        says=["$.path: is '/healthz'; not used by a probe of type tcp\n  fix: remove it"],
    ),
    "a gRPC question has no port": RuleCase(
        rule="Probe.type_has_what_it_needs",
        bad={"type": "grpc"},
        good={"type": "grpc", "port": 9000},
        says=["$: lacks 'port', which a probe of type grpc needs\n  fix: add port"],
    ),
    "a command is not run by HTTP": RuleCase(
        rule="Probe.type_has_what_it_needs",
        bad={"path": "/healthz", "port": 8080, "command": ["alive"]},
        good={"type": "exec", "command": ["alive"]},
        says=["$.command: is a list; not used by a probe of type http\n  fix: remove it"],
    ),
    "a command has a port, and is missing": RuleCase(
        rule="Probe.type_has_what_it_needs",
        bad={"type": "exec", "port": 8080},
        good={"type": "exec", "command": ["alive"]},
        says=[
            "$.port: is 8080; not used by a probe of type exec\n  fix: remove it",
            "$: lacks 'command', which a probe of type exec needs\n  fix: add command",
        ],
    ),
    "an answer may take longer than the pause between questions": RuleCase(
        rule="Probe.an_answer_comes_before_the_next_question",
        bad={"type": "tcp", "port": 8080, "period_secs": 5, "timeout_secs": 6},
        good={"type": "tcp", "port": 8080, "period_secs": 5, "timeout_secs": 5},
        says=["$.timeout_secs: warning: is 6; longer than period_secs, which is 5\n  fix: set it to 5 or less"],
    ),
    "ready means alive": RuleCase(
        rule="ProbeConfig.questions_differ",
        bad={"readiness": {"path": "/healthz", "port": 8080, "period_secs": 3}},
        good={"readiness": {"path": "/healthz", "port": 8081}},
        says=[
            "$.readiness: asks the same as liveness, so a pod that is still loading is restarted, or "
            "takes players too early\n"
            "  fix: give readiness a path of its own, such as /readyz"
        ],
    ),
    "startup asks for readiness": RuleCase(
        rule="ProbeConfig.startup_asks_for_life",
        bad={"startup": {"path": "/readyz", "port": 8080, "failure_threshold": 120}},
        good={"startup": {"path": "/healthz", "port": 8080, "failure_threshold": 120}},
        says=[
            "$.startup: asks for readiness, so a world whose log replays longer than its budget is "
            "killed again and again\n"
            "  fix: ask what liveness asks"
        ],
    ),
    "the most pods are fewer than the fewest": RuleCase(
        rule="ScalingConfig.bounds_are_ordered",
        bad={"min_replicas": 6, "max_replicas": 4},
        good={"min_replicas": 6, "max_replicas": 6},
        says=[
            "$.max_replicas: is 4; less than min_replicas, which is 6\n"
            "  fix: set it to 6 or more, or lower min_replicas"
        ],
    ),
    "shrinking is faster than growing": RuleCase(
        rule="ScalingConfig.shrinking_is_slower_than_growing",
        bad={"scale_up_cooldown_secs": 60, "scale_down_cooldown_secs": 59},
        good={"scale_up_cooldown_secs": 60, "scale_down_cooldown_secs": 60},
        says=[
            "$.scale_down_cooldown_secs: warning: is 59; shorter than scale_up_cooldown_secs, which is "
            "60: the count will flap\n"
            "  fix: set it to 60 or more"
        ],
    ),
    "a budget below what autoscalers keep account of": RuleCase(
        rule="ScalingConfig.the_budget_lets_pods_go",
        bad={"max_players_displaced_per_hour": 99},
        good={"max_players_displaced_per_hour": 100},
        says=[
            "$.max_players_displaced_per_hour: is 99; less than one pod of 50 players in 1800 s, the longest period "
            "that autoscalers keep account of\n"
            "  fix: set it to 100 or more, or set min_replicas to max_replicas to keep all pods"
        ],
    ),
    "a step's cooldown outlasts the account": RuleCase(
        rule="ScalingConfig.steps_keep_to_their_cooldown",
        bad={"max_step_down": 2, "scale_down_cooldown_secs": 1801},
        good={"max_step_down": 2, "scale_down_cooldown_secs": 1800},
        says=[
            "$.max_step_down: warning: is 2; autoscalers keep account of steps for 1800 s, and the cooldown is 1801 s: "
            "steps come sooner than it says\n"
            "  fix: set the cooldown to 1800 or less"
        ],
    ),
    "a metric of pods has a total": RuleCase(
        rule="CustomMetric.pods_have_averages",
        bad={"name": "players", "target_type": "Value"},
        good={"name": "players", "target_type": "AverageValue"},
        says=["$.target_type: is 'Value'; a metric of pods has only an average\n  fix: set it to AverageValue"],
    ),
    "a total multiplies ready pods": RuleCase(
        rule="CustomMetric.pods_have_averages",
        bad={"name": "players", "metric_type": "Object", "target_type": "Value"},
        good={"name": "players", "metric_type": "Object", "target_type": "AverageValue"},
        says=[
            "$.target_type: warning: is 'Value'; multiplies the pods that are ready: while some are not, more load "
            "means fewer pods\n"
            "  fix: set it to AverageValue, unless that is meant"
        ],
    ),
    "no region takes players": RuleCase(
        rule="RegionRoutingConfig.there_is_a_region",
        bad={"regions": []},
        good={"regions": [{"code": "us-east-1", "latency_ms": 20}]},
        says=["$.regions: no region takes players\n  fix: list at least one region"],
    ),
    "a region has no zones": RuleCase(
        rule="RegionConfig.zones_are_said_once",
        bad={"zones": []},
        good={"zones": ["a"]},
        says=["$: lacks its zones\n  fix: give exactly one of zones and datacenters"],
    ),
    "a region has its zones twice": RuleCase(
        rule="RegionConfig.zones_are_said_once",
        bad={"zones": ["a"], "datacenters": [{"name": "dub1", "zone": "a"}]},
        good={"zones": [], "datacenters": [{"name": "dub1", "zone": "a"}]},
        says=["$: has both 'zones' and 'datacenters'\n  fix: give exactly one of zones and datacenters"],
    ),
    "a zone is named twice": RuleCase(
        rule="RegionConfig.zones_are_said_once",
        bad={"zones": ["a", "b", "a"]},
        good={"zones": ["a", "b", "c"]},
        says=["$.zones[2]: is 'a'; named twice\n  fix: remove one"],
    ),
    "a region is in two clusters": RuleCase(
        rule="RegionConfig.it_is_one_cluster",
        bad={
            "zones": [],
            "datacenters": [{"name": "dub1", "zone": "a", "cluster": "dublin"}, {"name": "dub2", "zone": "b"}],
        },
        good={
            "zones": [],
            "datacenters": [
                {"name": "dub1", "zone": "a", "cluster": "dublin"},
                {"name": "dub2", "zone": "b", "cluster": "paris", "role": "witness"},
            ],
        },
        says=[
            "$.datacenters[1]: in another cluster than the rest of the region, 'dublin'\n"
            "  fix: give a second cluster a region code of its own"
        ],
    ),
    "a region only votes": RuleCase(
        rule="RegionConfig.it_is_one_cluster",
        bad={"zones": [], "datacenters": [{"name": "dub1", "zone": "a", "role": "witness"}]},
        good={"zones": [], "datacenters": [{"name": "dub1", "zone": "a"}]},
        says=["$.datacenters: has no datacenter that runs anything\n  fix: give one the role full"],
    ),
    "a link joins a region with itself": RuleCase(
        rule="LinkConfig.it_joins_two_regions",
        bad={"between": ["us-east-1", "us-east-1"]},
        good={"between": ["us-east-1", "eu-west-1"]},
        says=["$.between: is a list; not two different regions\n  fix: name two regions: [a, b]"],
    ),
    "a link joins three regions": RuleCase(
        rule="LinkConfig.it_joins_two_regions",
        bad={"between": ["us-east-1", "eu-west-1", "ap-south-1"]},
        good={"between": ["ap-south-1", "us-east-1"]},
        says=["$.between: is a list; not two different regions\n  fix: name two regions: [a, b]"],
    ),
    "nothing reads the monitors": RuleCase(
        rule="ObservabilityConfig.monitors_need_prometheus",
        bad={"pod_monitors": True},
        good={"pod_monitors": True, "prometheus": {"url": "http://prometheus:9090", "namespace": "monitoring"}},
        says=["$.pod_monitors: is true; nothing would read them\n  fix: add prometheus"],
    ),
}
