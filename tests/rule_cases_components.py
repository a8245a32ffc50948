"""Failing and sound examples of the rules between components and the rest of a description."""

from tests.rule_case import DIGEST, EU_WEST, GATEWAY, US_EAST, RuleCase

THREE_ZONES = {**US_EAST, "zones": ["us-east-1a", "us-east-1b", "us-east-1c"]}
EVENTS = {"kind": "nats", "name": "events", "image": f"nats:2.15.1@{DIGEST}", "pvc": {"size": "10Gi"}}
CREDENTIALS = {"name": "events-credentials", "secret": "mine", "path": "/etc/mine"}
LONG = "events-" + "b" * 38
INTERNAL = {"internal": True, "ports": ["client"]}

COMPONENTS: dict[str, RuleCase] = {
    "a component is in a region that is not there": RuleCase(
        rule="Platform.component_regions_exist",
        bad={"regions": [THREE_ZONES], "components": [{**EVENTS, "regions": ["us-east-1", "us-est-1"]}]},
        good={"regions": [THREE_ZONES], "components": [{**EVENTS, "regions": ["us-east-1"]}]},
        says=[
            "$.components[0].regions[1]: is 'us-est-1'; no region has that code\n  fix: did you mean 'us-east-1'?",
        ],
    ),
    "a component is in regions that are switched off": RuleCase(
        rule="Platform.component_regions_exist",
        bad={
            "regions": [THREE_ZONES, {**EU_WEST, "enabled": False}],
            "components": [{**EVENTS, "regions": ["eu-west-1"]}],
        },
        good={
            "regions": [THREE_ZONES, {**EU_WEST, "enabled": False}],
            "components": [{**EVENTS, "regions": ["eu-west-1"], "enabled": False}],
        },
        says=[
            "$.components[0].regions: is a list; names no region that is enabled\n"
            "  fix: name one, or use enabled: false"
        ],
    ),
    "a component does not fit the place where it is to run": RuleCase(
        rule="Platform.components_are_sound",
        bad={"regions": [THREE_ZONES], "components": [{**EVENTS, "witness": "nowhere"}]},
        good={"regions": [THREE_ZONES], "components": [EVENTS]},
        says=[
            "$.components[0].witness: warning: is 'nowhere'; no datacenter has that name, or it is disabled; one "
            "region has no use for it\n  fix: set witness: none here, or run in a second region"
        ],
    ),
    "two components make one Service": RuleCase(
        rule="Platform.component_objects_are_told_apart",
        bad={"regions": [THREE_ZONES], "components": [EVENTS, {**EVENTS, "name": "events-headless"}]},
        good={"regions": [THREE_ZONES], "components": [EVENTS, {**EVENTS, "name": "events-more"}]},
        says=[
            "$.components[1].name: is 'events-headless'; its Service 'events-headless' is one of 'events' too\n"
            "  fix: give it another name"
        ],
    ),
    "an image of a component may move": RuleCase(
        rule="ComponentConfig.images_are_pinned",
        of="NatsConfig",
        bad={"image": "nats:latest"},
        good={"image": f"nats:2.15.1@{DIGEST}"},
        says=[
            "$.image: is 'nats:latest'; the tag latest moves, so every start may run another version\n"
            "  fix: write name:tag@sha256:digest"
        ],
    ),
    "an object of a component would have too long a name": RuleCase(
        rule="Platform.component_names_fit",
        bad={"regions": [THREE_ZONES], "components": [{**EVENTS, "name": LONG}]},
        good={"regions": [THREE_ZONES], "components": [{**EVENTS, "name": LONG[:40]}]},
        says=[
            f"$.components[0].name: is '{LONG}'; makes the StatefulSet '{LONG}-us-east-1a' with 56 characters, and its "
            "name has at most 52\n  fix: take 4 off"
        ],
    ),
    "nothing keeps the balancer of a component internal": RuleCase(
        rule="Platform.component_balancers_stay_internal",
        bad={"regions": [THREE_ZONES], "components": [{**EVENTS, "expose": INTERNAL, "tls": {"secret": "events-tls"}}]},
        good={
            "regions": [{**THREE_ZONES, "provider": "aws"}],
            "components": [{**EVENTS, "expose": INTERNAL, "tls": {"secret": "events-tls"}}],
        },
        says=[
            "$.components[0].expose.internal: is true; no field of Kubernetes keeps a load balancer internal, "
            "and region 'us-east-1' names no provider that is known\n"
            "  fix: give region 'us-east-1' a provider (aws, gcp, azure), or give expose the annotations of yours"
        ],
    ),
    "a file stands where credentials go": RuleCase(
        rule="Platform.credentials_have_room",
        bad={
            "regions": [THREE_ZONES],
            "services": [{**GATEWAY, "uses": ["events"], "secret_files": [CREDENTIALS]}],
            "components": [EVENTS],
        },
        good={
            "regions": [THREE_ZONES],
            "services": [{**GATEWAY, "uses": ["events"], "secret_files": [{**CREDENTIALS, "name": "mine"}]}],
            "components": [EVENTS],
        },
        says=[
            "$.services[0].uses: its secret_files has 'events-credentials' where the credentials of what it uses go\n"
            "  fix: give that file another name and path"
        ],
    ),
}
