"""Failing and sound examples of every rule between the sections of a description."""

from tests.rule_case import EU_WEST, EXPOSED, GATEWAY, MATCHMAKING, US_EAST, WORLD, RuleCase

DEPLOYMENT = {"kind": "Deployment", "name": "gateway"}
PORTLESS = {"ports": [{"name": "http", "enabled": False}], "metrics": "none"}

PLATFORMS: dict[str, RuleCase] = {
    "Kubernetes is too old": RuleCase(
        rule="Platform.versions_are_known",
        bad={"kubernetes": "v1.33"},
        good={"kubernetes": "v1.35"},
        says=[
            "$.kubernetes: is 'v1.33'; older than v1.34, the oldest that is rendered for\n"
            "  fix: set it to v1.34 or newer"
        ],
    ),
    "Kubernetes is newer than we are": RuleCase(
        rule="Platform.versions_are_known",
        bad={"kubernetes": "v1.38"},
        good={"kubernetes": "v1.37"},
        says=[
            "$.kubernetes: warning: is 'v1.38'; newer than v1.37, the newest that is known\n"
            "  fix: set it to v1.37, or update aether-deploy"
        ],
    ),
    "one cluster's Kubernetes is too old": RuleCase(
        rule="Platform.versions_are_known",
        bad={"clusters": [{"name": "us-east-1", "kubernetes": "v1.30"}]},
        good={"clusters": [{"name": "us-east-1", "kubernetes": "v1.36"}]},
        says=[
            "$.clusters[0].kubernetes: is 'v1.30'; older than v1.34, the oldest that is rendered for\n"
            "  fix: set it to v1.34 or newer"
        ],
    ),
    "nothing is run": RuleCase(
        rule="Platform.something_runs",
        bad={"services": []},
        good={"services": [GATEWAY]},
        says=["$: lacks workloads\n  fix: add worlds, services or components"],
    ),
    "no region is listed": RuleCase(
        rule="Platform.something_runs",
        bad={"regions": []},
        good={"regions": [US_EAST]},
        says=["$.regions: lists no region\n  fix: add a region, or enable one"],
    ),
    "no region is enabled": RuleCase(
        rule="Platform.something_runs",
        bad={"regions": [{**US_EAST, "enabled": False}]},
        good={"regions": [{**US_EAST, "enabled": False}, EU_WEST]},
        says=["$.regions: no region is enabled\n  fix: add a region, or enable one"],
    ),
    "a namespace would be too long": RuleCase(
        rule="Platform.namespace_fits",
        bad={"name": "a" * 40, "environment": "e" * 18},
        good={"name": "a" * 40, "environment": "e" * 17},
        says=[
            "$.name: is 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'; makes the namespace "
            "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-eeeeeeeeeeeeeeeeee-data' longer than 63 "
            "characters\n"
            "  fix: shorten it, or the environment's name"
        ],
    ),
    "two regions are one cluster": RuleCase(
        rule="Platform.clusters_are_regions",
        bad={
            "regions": [
                {**US_EAST, "zones": [], "datacenters": [{"name": "dub1", "zone": "a", "cluster": "eu-west-1"}]},
                EU_WEST,
            ]
        },
        good={"regions": [US_EAST, EU_WEST]},
        says=[
            "$.regions[1]: is in cluster 'eu-west-1', which is region 'us-east-1'\n"
            "  fix: give each region a cluster of its own"
        ],
    ),
    "a cluster is none of a region": RuleCase(
        rule="Platform.clusters_are_regions",
        bad={"clusters": [{"name": "us-east1"}]},
        good={"clusters": [{"name": "us-east-1"}]},
        says=[
            "$.clusters[0].name: is 'us-east1'; no region is in a cluster of that name\n"
            "  fix: did you mean 'us-east-1'?"
        ],
    ),
    "a link ends nowhere": RuleCase(
        rule="Platform.links_join_known_regions",
        bad={"links": [{"between": ["us-east-1", "eu-west1"], "latency_ms": 76}], "regions": [US_EAST, EU_WEST]},
        good={"links": [{"between": ["us-east-1", "eu-west-1"], "latency_ms": 76}], "regions": [US_EAST, EU_WEST]},
        says=["$.links[0].between[1]: is 'eu-west1'; no region has that code\n  fix: did you mean 'eu-west-1'?"],
    ),
    "the distance of two regions is unknown": RuleCase(
        rule="Platform.links_join_known_regions",
        bad={"regions": [US_EAST, {"code": "eu-west-1", "zones": ["a"]}]},
        good={
            "regions": [US_EAST, {"code": "eu-west-1", "zones": ["a"]}],
            "links": [{"between": ["eu-west-1", "us-east-1"], "latency_ms": 76}],
        },
        says=[
            "$.regions[1]: nothing tells how far it is from 'us-east-1'\n"
            "  fix: add links: [{between: [us-east-1, eu-west-1], latency_ms: ...}], or give both "
            "regions a location"
        ],
    ),
    "a world and a service share a name": RuleCase(
        rule="Platform.names_are_distinct",
        bad={"worlds": [{**WORLD, "name": "gateway"}]},
        good={"worlds": [WORLD]},
        says=["$.services[0].name: is 'gateway'; the name of one of the worlds too\n  fix: give it another name"],
    ),
    "a service has the name of a world's headless Service": RuleCase(
        rule="Platform.service_names_are_free",
        bad={"worlds": [WORLD], "services": [{**GATEWAY, "name": "world-headless"}]},
        good={"services": [{**GATEWAY, "name": "world-headless"}]},
        says=[
            "$.services[0].name: is 'world-headless'; the name of a Service of 'world' too\n  fix: give it another name"
        ],
    ),
    "a service has the name of another's outer Service": RuleCase(
        rule="Platform.service_names_are_free",
        bad={"services": [{**GATEWAY, "expose": EXPOSED}, {**GATEWAY, "name": "gateway-external"}]},
        good={"services": [GATEWAY, {**GATEWAY, "name": "gateway-external"}]},
        says=[
            "$.services[1].name: is 'gateway-external'; the name of a Service of 'gateway' too\n"
            "  fix: give it another name"
        ],
    ),
    "a service has the name of one pod's Service": RuleCase(
        rule="Platform.service_names_are_free",
        bad={
            "worlds": [{**WORLD, "expose": {**EXPOSED, "per_pod": True}}],
            "services": [{**GATEWAY, "name": "world-19"}],
        },
        good={
            "worlds": [{**WORLD, "expose": {**EXPOSED, "per_pod": True}}],
            "services": [{**GATEWAY, "name": "world-20"}, {**GATEWAY, "name": "world-external"}],
        },
        says=["$.services[0].name: is 'world-19'; the name of a Service of 'world' too\n  fix: give it another name"],
    ),
    "a workload is placed in a region that is none": RuleCase(
        rule="Platform.placements_exist",
        bad={"services": [{**GATEWAY, "regions": ["us-east1"]}]},
        good={"services": [{**GATEWAY, "regions": ["us-east-1"]}]},
        says=["$.services[0].regions[0]: is 'us-east1'; no region has that code\n  fix: did you mean 'us-east-1'?"],
    ),
    "a workload is placed where nothing runs": RuleCase(
        rule="Platform.placements_exist",
        bad={"regions": [US_EAST, {**EU_WEST, "enabled": False}], "services": [{**GATEWAY, "regions": ["eu-west-1"]}]},
        good={
            "regions": [US_EAST, {**EU_WEST, "enabled": False}],
            "services": [{**GATEWAY, "regions": ["eu-west-1", "us-east-1"]}],
        },
        says=[
            "$.services[0].regions: is a list; names no region that is enabled\n  fix: name one, or use enabled: false"
        ],
    ),
    "a workload differs in a region that is none": RuleCase(
        rule="Platform.placements_exist",
        bad={"services": [{**GATEWAY, "per_region": {"mars": {"replicas": 3}}}]},
        good={"services": [{**GATEWAY, "per_region": {"us-east-1": {"replicas": 3}}}]},
        says=["$.services[0].per_region.mars: no region has that code\n  fix: known are us-east-1"],
    ),
    "a workload differs where it does not run": RuleCase(
        rule="Platform.placements_exist",
        bad={
            "regions": [US_EAST, EU_WEST],
            "services": [{**GATEWAY, "regions": ["us-east-1"], "per_region": {"eu-west-1": {"replicas": 3}}}],
        },
        good={"regions": [US_EAST, EU_WEST], "services": [{**GATEWAY, "per_region": {"eu-west-1": {"replicas": 3}}}]},
        says=[
            "$.services[0].per_region.eu-west-1: warning: says what differs in a region where it does "
            "not run\n"
            "  fix: add the region to regions, or remove this"
        ],
    ),
    "a workload has another name in a region": RuleCase(
        rule="Platform.placements_exist",
        bad={"services": [{**GATEWAY, "per_region": {"us-east-1": {"name": "gate"}}}]},
        good={"services": [{**GATEWAY, "per_region": {"us-east-1": {"labels": {"a": "b"}}}}]},
        says=[
            "$.services[0].per_region.us-east-1.name: is 'gate'; a workload has one name everywhere\n  fix: remove it"
        ],
    ),
    "a workload uses itself": RuleCase(
        rule="Platform.uses_exist",
        bad={"services": [{**GATEWAY, "uses": ["gateway"]}]},
        good={"services": [GATEWAY]},
        says=[
            "$.services[0].uses[0]: is 'gateway'; names itself\n"
            "  fix: remove it; network.allow_from and allow_to open what its pods need of each other"
        ],
    ),
    "a workload uses nothing that is there": RuleCase(
        rule="Platform.uses_exist",
        bad={"services": [{**GATEWAY, "uses": ["matchmaker"]}, MATCHMAKING]},
        good={"services": [{**GATEWAY, "uses": ["matchmaking"]}, MATCHMAKING]},
        says=[
            "$.services[0].uses[0]: is 'matchmaker'; nothing in this file has that name\n"
            "  fix: did you mean 'matchmaking'?"
        ],
    ),
    "a workload uses what is switched off": RuleCase(
        rule="Platform.uses_exist",
        bad={"services": [{**GATEWAY, "uses": ["matchmaking"]}, {**MATCHMAKING, "enabled": False}]},
        good={"services": [{**GATEWAY, "uses": ["matchmaking"], "enabled": False}, {**MATCHMAKING, "enabled": False}]},
        says=[
            "$.services[0].uses[0]: is 'matchmaking'; switched off by enabled: false\n"
            "  fix: remove it here too, or enable it"
        ],
    ),
    "the defaults use nothing that is there": RuleCase(
        rule="Platform.uses_exist",
        bad={"defaults": {"services": {"uses": ["voice"]}}},
        good={"defaults": {"services": {"uses": ["matchmaking"]}}, "services": [GATEWAY, {**MATCHMAKING, "uses": []}]},
        says=["$.defaults.services.uses[0]: is 'voice'; nothing in this file has that name\n  fix: known are gateway"],
    ),
    "a workload would be near nothing that is there": RuleCase(
        rule="Platform.neighbours_exist",
        bad={
            "services": [
                {**GATEWAY, "topology": {"preferred_colocation": [{"service": "voice-rely"}]}},
                {**MATCHMAKING, "name": "voice-relay"},
            ]
        },
        good={
            "services": [
                {**GATEWAY, "topology": {"preferred_colocation": [{"service": "voice-relay"}]}},
                {**MATCHMAKING, "name": "voice-relay"},
            ]
        },
        says=[
            "$.services[0].topology.preferred_colocation[0].service: is 'voice-rely'; nothing in this "
            "file has that name\n"
            "  fix: did you mean 'voice-relay'?"
        ],
    ),
    "a workload would be near what is switched off": RuleCase(
        rule="Platform.neighbours_exist",
        bad={
            "services": [
                {**GATEWAY, "topology": {"preferred_colocation": [{"service": "matchmaking"}]}},
                {**MATCHMAKING, "enabled": False},
            ]
        },
        good={
            "services": [{**GATEWAY, "topology": {"preferred_colocation": [{"service": "matchmaking"}]}}, MATCHMAKING]
        },
        says=[
            "$.services[0].topology.preferred_colocation[0].service: is 'matchmaking'; switched off by "
            "enabled: false\n"
            "  fix: remove it here too, or enable it"
        ],
    ),
    "a former name is in use": RuleCase(
        rule="Platform.former_names_are_free",
        bad={"services": [{**GATEWAY, "formerly": "matchmaking"}, MATCHMAKING]},
        good={"services": [{**GATEWAY, "formerly": "gate"}, MATCHMAKING]},
        says=["$.services[0].formerly: is 'matchmaking'; still the name of a workload\n  fix: remove it"],
    ),
    "an entry is faulty": RuleCase(
        rule="Platform.entries_are_sound",
        bad={"services": [{**GATEWAY, "replicas": 0}]},
        good={"services": [{**GATEWAY, "replicas": 2}]},
        says=["$.services[0].replicas: is 0; runs nothing\n  fix: set it to 1 or more, or use enabled: false"],
    ),
    "an entry is faulty in one region": RuleCase(
        rule="Platform.entries_are_sound",
        bad={
            "regions": [US_EAST, EU_WEST],
            "services": [{**GATEWAY, "per_region": {"eu-west-1": {"drain": {"grace_period_secs": 7200}}}}],
        },
        good={
            "regions": [US_EAST, EU_WEST],
            "services": [{**GATEWAY, "per_region": {"eu-west-1": {"drain": {"grace_period_secs": 60}}}}],
        },
        says=[
            "$.services[0].per_region.eu-west-1.drain.grace_period_secs: warning: is 7200; longer than "
            "an hour, which node drains and cluster autoscalers do not wait for\n"
            "  fix: set it to 3600 or less"
        ],
    ),
    "what is used listens on nothing": RuleCase(
        rule="Platform.callers_reach_what_they_use",
        bad={"services": [{**GATEWAY, "uses": ["matchmaking"]}, {**MATCHMAKING, **PORTLESS}]},
        good={"services": [GATEWAY, {**MATCHMAKING, **PORTLESS}]},
        says=[
            "$.services[0].uses[0]: is 'matchmaking'; listens on no port\n"
            "  fix: give 'matchmaking' a port, or remove it here"
        ],
    ),
    "an entry that changes another is misspelt": RuleCase(
        rule="Platform.entries_are_sound",
        bad={"services": [MATCHMAKING, {"name": "matchmakin", "replicas": 3}]},
        good={"services": [MATCHMAKING]},
        says=[
            "$.services[1]: lacks 'image'\n"
            "  fix: did you mean 'matchmaking', which is there? A workload of its own needs image"
        ],
    ),
    "what is used elsewhere cannot be reached": RuleCase(
        rule="Platform.callers_reach_what_they_use",
        bad={
            "regions": [US_EAST, EU_WEST],
            "services": [{**GATEWAY, "uses": ["matchmaking"]}, {**MATCHMAKING, "regions": ["us-east-1"]}],
        },
        good={"regions": [US_EAST, EU_WEST], "services": [{**GATEWAY, "uses": ["matchmaking"]}, MATCHMAKING]},
        says=[
            "$.services[0].uses[0]: is 'matchmaking'; not placed in eu-west-1, and has no endpoint to "
            "reach it at in us-east-1\n"
            "  fix: give 'matchmaking' an endpoint, or place it in eu-west-1"
        ],
    ),
    "what is used elsewhere may be anywhere": RuleCase(
        rule="Platform.callers_reach_what_they_use",
        bad={
            "regions": [US_EAST, EU_WEST],
            "services": [
                {**GATEWAY, "uses": ["matchmaking"]},
                {**MATCHMAKING, "regions": ["us-east-1"], "expose": EXPOSED, "endpoint": "m.example.com"},
            ],
        },
        good={
            "regions": [US_EAST, EU_WEST],
            "services": [
                {**GATEWAY, "uses": ["matchmaking"], "network": {"allow_to": ["203.0.113.0/24"]}},
                {**MATCHMAKING, "regions": ["us-east-1"], "expose": EXPOSED, "endpoint": "m.example.com"},
            ],
        },
        says=[
            "$.services[0].uses[0]: warning: is 'matchmaking'; outside eu-west-1, so its ports are open "
            "to any address from here\n"
            "  fix: list its addresses in network.allow_to of 'gateway'"
        ],
    ),
    "a load balancer would be public": RuleCase(
        rule="Platform.balancers_stay_internal",
        bad={"services": [{**GATEWAY, "expose": {**EXPOSED, "internal": True}}]},
        good={
            "regions": [{**US_EAST, "provider": "aws"}],
            "services": [{**GATEWAY, "expose": {**EXPOSED, "internal": True}}],
        },
        says=[
            "$.services[0].expose.internal: is true; no field of Kubernetes keeps a load balancer "
            "internal, and region 'us-east-1' names no provider that is known\n"
            "  fix: give region 'us-east-1' a provider (aws, gcp, azure), or give expose the annotations "
            "of yours"
        ],
    ),
    "a load balancer of another provider would be public": RuleCase(
        rule="Platform.balancers_stay_internal",
        bad={
            "regions": [{**US_EAST, "provider": "other"}],
            "services": [{**GATEWAY, "expose": {**EXPOSED, "internal": True}}],
        },
        good={
            "regions": [{**US_EAST, "provider": "other"}],
            "services": [
                {
                    **GATEWAY,
                    "expose": {**EXPOSED, "internal": True, "annotations": {"lb.example.com/scope": "internal"}},
                }
            ],
        },
        says=[
            "$.services[0].expose.internal: is true; no field of Kubernetes keeps a load balancer "
            "internal, and region 'us-east-1' names no provider that is known\n"
            "  fix: give region 'us-east-1' a provider (aws, gcp, azure), or give expose the annotations "
            "of yours"
        ],
    ),
    "a cluster drops the autoscaler's tolerance": RuleCase(
        rule="Platform.versions_carry_the_fields",
        bad={"kubernetes": "v1.34", "services": [{**GATEWAY, "scaling": {}, "custom_metrics": [{"name": "players"}]}]},
        good={"kubernetes": "v1.35", "services": [{**GATEWAY, "scaling": {}, "custom_metrics": [{"name": "players"}]}]},
        says=[
            "$.services[0].scaling: warning: Kubernetes v1.34 of cluster 'us-east-1' drops the "
            "autoscaler's tolerance: from 0.9 to 1.1 of the target it holds, and below it scales down "
            "(mode legacy)\n"
            "  fix: declare v1.35 or newer once the cluster runs it"
        ],
    ),
    "a cluster drops a StatefulSet's bound": RuleCase(
        rule="Platform.versions_carry_the_fields",
        bad={"kubernetes": "v1.36", "worlds": [{**WORLD, "update": {"max_unavailable": 2}}]},
        good={"kubernetes": "v1.37", "worlds": [{**WORLD, "update": {"max_unavailable": 2}}]},
        says=[
            "$.worlds[0].update.max_unavailable: warning: is 2; Kubernetes v1.36 of cluster 'us-east-1' "
            "drops it from a StatefulSet; it is left out there\n"
            "  fix: declare v1.37 or newer once the cluster runs it"
        ],
    ),
    "a patch says nothing": RuleCase(
        rule="PatchConfig.there_is_one_way",
        bad={"target": DEPLOYMENT},
        good={"target": DEPLOYMENT, "merge": {"spec": {}}},
        says=["$: lacks what it changes\n  fix: give exactly one of merge and json"],
    ),
    "a patch goes two ways": RuleCase(
        rule="PatchConfig.there_is_one_way",
        bad={"target": DEPLOYMENT, "merge": {}, "json": []},
        good={"target": DEPLOYMENT, "json": []},
        says=["$: has both 'merge' and 'json'\n  fix: give exactly one of merge and json"],
    ),
    "an operation is none": RuleCase(
        rule="PatchConfig.operations_are_sound",
        bad={"target": DEPLOYMENT, "json": [{"op": "delete", "path": "/spec/paused"}]},
        good={"target": DEPLOYMENT, "json": [{"op": "remove", "path": "/spec/paused"}]},
        says=[
            "$.json[0].op: no operation of JSON Patch\n  fix: use add, remove, replace, move, copy, test",
        ],
    ),
    "a patch waives an unknown rule": RuleCase(
        rule="PatchConfig.waivers_are_known",
        bad={"target": DEPLOYMENT, "merge": {}, "waivers": {"cpu_limits": "jitter"}},
        good={"target": DEPLOYMENT, "merge": {}, "waivers": {"cpu_limit": "jitter"}},
        says=["$.waivers.cpu_limits: no rule of that name\n  fix: did you mean 'cpu_limit'?"],
    ),
    "a patch waives what has to hold": RuleCase(
        rule="PatchConfig.waivers_are_known",
        bad={"target": DEPLOYMENT, "merge": {}, "waivers": {"restricted": "it must"}},
        good={"target": DEPLOYMENT, "merge": {}, "waivers": {"read_only_root": "it must"}},
        says=[
            "$.waivers.restricted: not to be waived: the namespace is restricted, so no such pod is ever made\n"
            "  fix: remove it"
        ],
    ),
    "a patch is for no region": RuleCase(
        rule="PatchTarget.regions_are_named",
        bad={**DEPLOYMENT, "regions": []},
        good={**DEPLOYMENT, "regions": ["us-east-1"]},
        says=["$.regions: is a list; names no region\n  fix: name one, or leave regions out"],
    ),
    "a patch is for a region that is not there": RuleCase(
        rule="Platform.patched_regions_exist",
        bad={"patches": [{"name": "dns", "target": {**DEPLOYMENT, "regions": ["us-est-1"]}, "merge": {}}]},
        good={"patches": [{"name": "dns", "target": {**DEPLOYMENT, "regions": ["us-east-1"]}, "merge": {}}]},
        says=[
            "$.patches[0].target.regions[0]: is 'us-est-1'; no region has that code\n  fix: did you mean 'us-east-1'?"
        ],
    ),
    "two workloads were the same one": RuleCase(
        rule="Platform.former_names_are_free",
        bad={
            "services": [
                {**GATEWAY, "name": "edge", "formerly": "gateway"},
                {**GATEWAY, "name": "front", "formerly": "gateway"},
            ]
        },
        good={"services": [{**GATEWAY, "name": "edge", "formerly": "gateway"}, {**GATEWAY, "name": "front"}]},
        says=[
            "$.services[1].formerly: is 'gateway'; what 'edge' was called, too: its volumes cannot go to both\n"
            "  fix: say it of one of them"
        ],
    ),
}
