"""Failing and sound examples of the rules of routing."""

from typing import Any

from tests.rule_case import DIGEST, EU_WEST, EXPOSED, GATEWAY, US_EAST, RuleCase

ROUTER = {"image": f"aether/router:v1@{DIGEST}"}
TOKEN = {"name": "admin-token", "secret": "router", "key": "token", "path": "/run/secrets/router/token"}
ENTRY = {**GATEWAY, "expose": EXPOSED}
HERE = {"entry": "gateway", "hostname": "play.example.com"}
EU_PLAYERS = {"name": "eu-players", "regions": ["eu-west-1"]}
SELF_CHECK = "https://status.example.com/"
TWO = {"regions": [US_EAST, EU_WEST], "services": [ENTRY]}
ASKED = {**HERE, "service": ROUTER, "self_check": SELF_CHECK}
DNS = {"kind": "external_dns", "provider": "aws", "health_checks": {"us-east-1": "a", "eu-west-1": "b"}}
OPEN_DNS = {**HERE, "on_none_healthy": "fail_open"}
QUIET = {"sources": ["matrix", "static"], "tie_ms": 0}
EDGE = {
    "name": "edge",
    "kind": "envoy",
    "image": f"envoyproxy/envoy:distroless-v1.40.0@{DIGEST}",
    "listeners": [{"name": "web", "port": 9080, "to": "gateway"}],
}
LOST = "never holds: with 2 of 2 regions lost no player finds a place"
HTTPS: dict[str, Any] = {
    "services": [
        {
            **GATEWAY,
            "ports": [{"name": "https", "port": 8443}],
            "expose": {"type": "LoadBalancer", "ports": ["https"]},
        }
    ],
    "links": [{"between": ["us-east-1", "eu-west-1"], "latency_ms": 151}],
    "regions": [US_EAST, EU_WEST],
}

ROUTING: dict[str, RuleCase] = {
    "a cap is widened that is not there": RuleCase(
        rule="LatencyPolicy.expansions_widen",
        bad={"expansions": [{"after_secs": 10, "max_ms": 100}]},
        good={"max_ms": 50, "expansions": [{"after_secs": 10, "max_ms": 100}]},
        says=["$.expansions: nothing to widen\n  fix: give max_ms, the cap of those who do not wait"],
    ),
    "a cap is narrowed for those who wait, and earlier": RuleCase(
        rule="LatencyPolicy.expansions_widen",
        bad={"max_ms": 50, "expansions": [{"after_secs": 20, "max_ms": 100}, {"after_secs": 10, "max_ms": 80}]},
        good={"max_ms": 50, "expansions": [{"after_secs": 10, "max_ms": 80}, {"after_secs": 20, "max_ms": 100}]},
        says=[
            "$.expansions[1].after_secs: is 10; not later than the one before\n  fix: order them by wait",
            "$.expansions[1].max_ms: is 80; not wider than the cap before\n  fix: widen it, or remove it",
        ],
    ),
    "nothing says how far a region is": RuleCase(
        rule="LatencyPolicy.there_is_a_source",
        bad={"sources": []},
        good={"sources": ["static"]},
        says=["$.sources: nothing says how far a region is\n  fix: leave it out, or name one source"],
    ),
    "a rest that never ends": RuleCase(
        rule="DampingPolicy.it_can_end",
        bad={"reuse": 2500},
        good={"reuse": 2499},
        says=["$.reuse: is 2500; not less than suppress, which is 2500\n  fix: lower it, or raise suppress"],
    ),
    "a rest that never begins": RuleCase(
        rule="DampingPolicy.it_can_begin",
        bad={"max_suppress_secs": 60},
        good={"max_suppress_secs": 120},
        says=[
            "$.max_suppress_secs: is 60; holds a penalty to 1500, so none ever exceeds suppress, which is 2500\n"
            "  fix: raise it, or lower suppress"
        ],
    ),
    "full before it is nearly full": RuleCase(
        rule="LoadPolicy.soft_comes_first",
        bad={"soft_percent": 96},
        good={"soft_percent": 95},
        says=["$.soft_percent: is 96; more than hard_percent, which is 95\n  fix: lower it, or raise hard_percent"],
    ),
    "a residency that leaves no region": RuleCase(
        rule="ResidencyRule.it_leaves_a_region",
        bad={"name": "eu-players", "regions": []},
        good=EU_PLAYERS,
        says=["$.regions: leaves no region to its players\n  fix: name at least one"],
    ),
    "a router without regions": RuleCase(
        rule="RouterConfig.there_is_a_region",
        bad={"regions": []},
        good={"regions": [{"code": "us-east-1"}]},
        says=["$.regions: no region takes players\n  fix: list at least one region"],
    ),
    "a link of a router between one region and itself": RuleCase(
        rule="RouterLink.it_joins_two_regions",
        bad={"between": ["us", "us"], "latency_ms": 5},
        good={"between": ["us", "eu"], "latency_ms": 5},
        says=["$.between: is a list; not two different regions\n  fix: name two regions: [a, b]"],
    ),
    "a link of a router to a region that is not there": RuleCase(
        rule="RouterConfig.links_join_regions",
        bad={"regions": [{"code": "us"}, {"code": "eu"}], "links": [{"between": ["us", "ue"], "latency_ms": 5}]},
        good={"regions": [{"code": "us"}, {"code": "eu"}], "links": [{"between": ["us", "eu"], "latency_ms": 5}]},
        says=["$.links[0].between[1]: is 'ue'; no region has that code\n  fix: known are us, eu"],
    ),
    "a home of a router that takes players": RuleCase(
        rule="RouterConfig.homes_take_nobody",
        bad={"regions": [{"code": "us"}], "homes": [{"code": "us"}]},
        good={
            "regions": [{"code": "us"}],
            "homes": [{"code": "eu"}],
            "links": [{"between": ["us", "eu"], "latency_ms": 5}],
        },
        says=["$.homes[0].code: is 'us'; a region that takes players\n  fix: name it once"],
    ),
    "a residency of a router in a region that is not there": RuleCase(
        rule="RouterConfig.residency_names_regions",
        bad={"regions": [{"code": "us-east-1"}], "residency": [EU_PLAYERS]},
        good={"regions": [{"code": "eu-west-1"}], "residency": [EU_PLAYERS]},
        says=["$.residency[0].regions[0]: is 'eu-west-1'; no region has that code\n  fix: did you mean 'us-east-1'?"],
    ),
    "a drain of a router in a region that is not there": RuleCase(
        rule="RouterConfig.drains_name_regions",
        bad={"regions": [{"code": "us-east-1"}], "drain": {"eu-west-1": "soft"}},
        good={"regions": [{"code": "us-east-1"}], "drain": {"us-east-1": "soft"}},
        says=["$.drain.eu-west-1: no region has that code\n  fix: did you mean 'us-east-1'?"],
    ),
    "an order of a hard drain that waits": RuleCase(
        rule="DrainOrder.a_hard_drain_has_no_times",
        bad={"mode": "hard", "bleed_secs": 10, "deadline_secs": 20},
        good={"mode": "soft", "bleed_secs": 10, "deadline_secs": 20},
        says=[
            "$.bleed_secs: is 10; nothing to wait for: a hard drain takes nobody at once\n"
            "  fix: leave it out, or order soft",
            "$.deadline_secs: is 20; nothing to wait for: a hard drain takes nobody at once\n"
            "  fix: leave it out, or order soft",
        ],
    ),
    "an order of a drain that bleeds beyond its deadline": RuleCase(
        rule="DrainOrder.bleeding_ends_by_the_deadline",
        bad={"bleed_secs": 31, "deadline_secs": 30},
        good={"bleed_secs": 30, "deadline_secs": 30},
        says=[
            "$.bleed_secs: is 31; longer than deadline_secs, which is 30, and nobody is let in from then on\n"
            "  fix: shorten it, or give a later deadline"
        ],
    ),
    "a self-check of a router that nobody can be asked": RuleCase(
        rule="RouterConfig.the_self_check_can_be_asked",
        bad={"regions": [{"code": "us-east-1"}], "self_check": "tcp://host:99999"},
        good={"regions": [{"code": "us-east-1"}], "self_check": "tcp://host:9999"},
        says=[
            "$.self_check: is 'tcp://host:99999'; cannot be asked: Port out of range 0-65535\n"
            "  fix: write it like https://host:443/readyz or tcp://host:7777"
        ],
    ),
    "a region of a router that cannot be asked": RuleCase(
        rule="RouterRegion.it_can_be_asked",
        bad={"code": "us-east-1", "probe": "http://h\u00f6st/readyz", "server_name": "two names"},
        good={"code": "us-east-1", "probe": "http://host/readyz", "server_name": "name"},
        says=[
            "$.probe: is 'http://h\u00f6st/readyz'; holds what no request can\n"
            "  fix: write it like https://host:443/readyz or tcp://host:7777",
            "$.server_name: is 'two names'; no name that a certificate can be for\n  fix: write a host name",
        ],
    ),
    "a self-check that nobody can be asked": RuleCase(
        rule="RoutingConfig.the_self_check_can_be_asked",
        bad={"self_check": "tcp://host:0"},
        good={"self_check": "tcp://host:1"},
        says=[
            "$.self_check: is 'tcp://host:0'; cannot be asked: tcp://host:0 names no host and port\n"
            "  fix: write it like https://host:443/readyz or tcp://host:7777"
        ],
    ),
    "a path that no request can have": RuleCase(
        rule="HealthConfig.the_path_can_be_asked",
        bad={"path": "/ready#z"},
        good={"path": "/ready?z"},
        says=["$.path: is '/ready#z'; holds what no request can\n  fix: write it in ASCII, without '#'"],
    ),
    "a router that nobody answers": RuleCase(
        rule="RoutingConfig.somebody_answers_for_a_region",
        bad={"service": ROUTER},
        good={"service": ROUTER, "entry": "gateway"},
        says=[
            "$: lacks 'entry'\n  fix: name the service whose probe says whether a region is healthy: service asks it"
        ],
    ),
    "a router of another name that is somewhere": RuleCase(
        rule="RoutingConfig.the_router_has_one_name",
        bad={"entry": "gateway", "service": {**ROUTER, "name": "directions", "regions": ["us-east-1"]}},
        good={"entry": "gateway", "service": {**ROUTER, "replicas": 3}},
        says=[
            "$.service.name: the router is named 'router'\n  fix: remove it",
            "$.service.regions: the router runs in every region\n  fix: remove it",
        ],
    ),
    "a secret of the router that is a folder": RuleCase(
        rule="RoutingConfig.the_router_reads_files",
        bad={
            "entry": "gateway",
            "service": {**ROUTER, "secret_files": [{**TOKEN, "key": None}, {**TOKEN, "name": "x"}]},
        },
        good={"entry": "gateway", "service": {**ROUTER, "secret_files": [TOKEN]}},
        says=[
            "$.service.secret_files[0]: lacks 'key', so its path is a folder, and the router reads a file "
            "(--admin-token-file)\n  fix: name the key of the Secret that holds it",
        ],
    ),
    "an entry that is not there": RuleCase(
        rule="Platform.routing_is_sound",
        bad={"routing": {**HERE, "entry": "gatway"}, "services": [ENTRY]},
        good={"routing": HERE, "services": [ENTRY]},
        says=[
            "$.routing.entry: is 'gatway'; no world or service has that name\n  fix: did you mean 'gateway'?",
        ],
    ),
    "an entry that is switched off": RuleCase(
        rule="Platform.routing_is_sound",
        bad={"routing": HERE, "services": [{**ENTRY, "enabled": False}, {**ENTRY, "name": "other"}]},
        good={"routing": HERE, "services": [ENTRY, {**ENTRY, "name": "other"}]},
        says=[
            "$.routing.entry: is 'gateway'; switched off by enabled: false\n  fix: enable it, or name another",
        ],
    ),
    "an entry that exposes no port to probe": RuleCase(
        rule="Platform.routing_is_sound",
        bad={"routing": HERE, "services": [GATEWAY]},
        good={"routing": HERE, "services": [ENTRY]},
        says=[
            "$.routing.entry: is 'gateway'; 'gateway' exposes no TCP port that could be probed\n"
            "  fix: add a TCP port to expose.ports of 'gateway'",
        ],
    ),
    "a health port that is not exposed": RuleCase(
        rule="Platform.routing_is_sound",
        bad={"routing": {**HERE, "health": {"port": "https"}}, "services": [ENTRY]},
        good={"routing": {**HERE, "health": {"port": "http"}}, "services": [ENTRY]},
        says=[
            "$.routing.health.port: is 'https'; no TCP port that 'gateway' exposes\n  fix: name one that is: http",
        ],
    ),
    "players cannot reach any region": RuleCase(
        rule="Platform.routing_is_sound",
        bad={"routing": {"entry": "gateway"}, "services": [ENTRY]},
        good={"routing": {"entry": "gateway"}, "services": [{**ENTRY, "endpoint": "{region}.example.com"}]},
        says=[
            "$.routing: nothing says where players reach 'gateway' in us-east-1\n"
            "  fix: add hostname (each region is then {region}.<hostname>), or give 'gateway' an endpoint",
        ],
    ),
    "players of a router cannot reach any region": RuleCase(
        rule="Platform.routing_is_sound",
        bad={"routing": {"entry": "gateway", "service": ROUTER}, "services": [ENTRY]},
        good={
            "routing": {"entry": "gateway", "service": ROUTER},
            "services": [{**ENTRY, "endpoint": "{region}.example.com"}],
        },
        says=[
            "$.routing: nothing says where players reach 'gateway' in us-east-1\n"
            "  fix: add hostname (each region is then {region}.<hostname>), or give 'gateway' an endpoint",
        ],
    ),
    "a region without the entry": RuleCase(
        rule="Platform.routing_is_sound",
        bad={
            "regions": [US_EAST, EU_WEST],
            "routing": HERE,
            "services": [{**ENTRY, "regions": ["us-east-1"]}],
        },
        good={"regions": [US_EAST, EU_WEST], "routing": HERE, "services": [ENTRY]},
        says=[
            "$.routing.entry: warning: is 'gateway'; 'gateway' does not run in eu-west-1, so players are never sent "
            "there\n  fix: run it in every region",
        ],
    ),
    "a residency in a region that is not there": RuleCase(
        rule="Platform.routing_is_sound",
        bad={"regions": [US_EAST, EU_WEST], "routing": {"residency": [{**EU_PLAYERS, "regions": ["eu-west-2"]}]}},
        good={"regions": [US_EAST, EU_WEST], "routing": {"residency": [EU_PLAYERS]}},
        says=[
            "$.routing.residency[0].regions[0]: is 'eu-west-2'; no region has that code\n"
            "  fix: did you mean 'eu-west-1'?",
        ],
    ),
    "a residency in regions that are switched off": RuleCase(
        rule="Platform.routing_is_sound",
        bad={
            "regions": [US_EAST, {**EU_WEST, "enabled": False}],
            "routing": {"residency": [EU_PLAYERS]},
        },
        good={"regions": [US_EAST, EU_WEST], "routing": {"residency": [EU_PLAYERS]}},
        says=[
            "$.routing.residency[0].regions: is a list; names no region that is enabled\n"
            "  fix: name one, or remove the rule",
        ],
    ),
    "a residency where the entry does not run": RuleCase(
        rule="Platform.routing_is_sound",
        bad={
            **TWO,
            "services": [{**ENTRY, "regions": ["us-east-1"]}],
            "routing": {"entry": "gateway", "hostname": "play.example.com", "residency": [EU_PLAYERS]},
        },
        good={**TWO, "routing": {**HERE, "residency": [EU_PLAYERS]}},
        says=[
            "$.routing.entry: warning: is 'gateway'; 'gateway' does not run in eu-west-1, so players are never sent "
            "there\n  fix: run it in every region",
            "$.routing.residency[0].regions: is a list; names no region that 'gateway' runs in, so its players find "
            "none\n  fix: name one, or run it there",
        ],
    ),
    "a drain of a region that is not there": RuleCase(
        rule="Platform.routing_is_sound",
        bad={**TWO, "routing": {"drain": {"eu-west-2": "soft"}}},
        good={**TWO, "routing": {"drain": {"eu-west-1": "soft"}}},
        says=["$.routing.drain.eu-west-2: no region has that code\n  fix: did you mean 'eu-west-1'?"],
    ),
    "a drain of every region": RuleCase(
        rule="Platform.routing_is_sound",
        bad={**TWO, "routing": {"drain": {"eu-west-1": "soft", "us-east-1": "hard"}}},
        good={**TWO, "routing": {"drain": {"eu-west-1": "soft"}}},
        says=[
            "$.routing.drain: warning: drains every region, so that new players find none that wants them\n"
            "  fix: leave a region out",
        ],
    ),
    "a probe that has no time for its round trips": RuleCase(
        rule="Platform.routing_is_sound",
        bad={**HTTPS, "routing": {**ASKED, "health": {"timeout_ms": 502}}},
        good={**HTTPS, "routing": {**ASKED, "health": {"timeout_ms": 503}}},
        says=[
            "$.routing.health.timeout_ms: is 502; https needs 3 round trips of 151 ms between us-east-1 and eu-west-1 "
            "and 50 ms, so they would never find each other healthy\n  fix: set it to 503 or more",
        ],
    ),
    "a probe that has no time for an estimated way": RuleCase(
        rule="Platform.routing_is_sound",
        bad={**TWO, "routing": {**ASKED, "health": {"timeout_ms": 213}}},
        good={**TWO, "routing": {**ASKED, "health": {"timeout_ms": 214}}},
        says=[
            "$.routing.health.timeout_ms: is 213; http needs 2 round trips of 81.98 ms between us-east-1 and eu-west-1 "
            "and 50 ms, so they would never find each other healthy\n  fix: set it to 214 or more",
        ],
    ),
    "a loss that is noticed after a minute": RuleCase(
        rule="Platform.routing_is_sound",
        bad={**TWO, "routing": {**ASKED, "health": {"interval_ms": 18_000, "timeout_ms": 601}}},
        good={**TWO, "routing": {**ASKED, "health": {"interval_ms": 18_000, "timeout_ms": 600}}},
        says=[
            "$.routing.health: warning: lets a region be silent for 60.001 s before anybody goes elsewhere\n"
            "  fix: lower interval_ms, timeout_ms or fall",
        ],
    ),
    "a probe that has no time, where something probes": RuleCase(
        rule="Platform.routing_is_sound",
        bad={**TWO, "routing": {**ASKED, "health": {"timeout_ms": 1}}},
        good={**TWO, "routing": {**HERE, "health": {"timeout_ms": 1}}},
        says=[
            "$.routing.health.timeout_ms: is 1; http needs 2 round trips of 81.98 ms between us-east-1 and eu-west-1 "
            "and 50 ms, so they would never find each other healthy\n  fix: set it to 214 or more",
        ],
    ),
    "a self-check of a region": RuleCase(
        rule="Platform.routing_is_sound",
        bad={**TWO, "routing": {**ASKED, "self_check": "https://eu-west-1.play.example.com/"}},
        good={**TWO, "routing": {**ASKED, "self_check": "https://status.example.com/"}},
        says=[
            "$.routing.self_check: is 'https://eu-west-1.play.example.com/'; asks region 'eu-west-1', so while that "
            "is down it cannot tell whether the router's own network works\n  fix: name a host outside of all regions",
        ],
    ),
    "a self-check of all regions": RuleCase(
        rule="Platform.routing_is_sound",
        bad={**TWO, "routing": {**ASKED, "self_check": "tcp://play.example.com:443"}},
        good={**TWO, "routing": {**ASKED, "self_check": "tcp://example.com:443"}},
        says=[
            "$.routing.self_check: is 'tcp://play.example.com:443'; asks the regions, so while that "
            "is down it cannot tell whether the router's own network works\n  fix: name a host outside of all regions",
        ],
    ),
    "an entry at one address in all regions": RuleCase(
        rule="Platform.routing_is_sound",
        bad={**TWO, "routing": HERE, "services": [{**ENTRY, "endpoint": "play.example.com"}]},
        good={**TWO, "routing": HERE, "services": [{**ENTRY, "endpoint": "{region}.example.com"}]},
        says=[
            "$.services[0].endpoint: is 'play.example.com'; leads to 'us-east-1' and 'eu-west-1' alike, so neither "
            "probes nor players can tell them apart\n  fix: write {region} in it, or give per_region one of its own",
        ],
    ),
    "two back ends write one record": RuleCase(
        rule="Platform.routing_is_sound",
        bad={**TWO, "routing": {**OPEN_DNS, "backends": [{**DNS, "name": "one"}, {**DNS, "name": "two"}]}},
        good={
            **TWO,
            "routing": {**OPEN_DNS, "backends": [{**DNS, "name": "one"}, {**DNS, "name": "two", "enabled": False}]},
        },
        says=[
            "$.routing.backends[1]: writes the records that 'one' writes, so they would take turns in it\n"
            "  fix: remove it, or switch 'one' off by enabled: false",
        ],
    ),
    "more regions may be lost than there are": RuleCase(
        rule="Platform.loss_limits_can_hold",
        bad={**TWO, "routing": {"limits": {"lost_regions": 2}}},
        good={**TWO, "routing": {"limits": {"lost_regions": 1}}},
        says=[f"$.routing.limits.lost_regions: warning: is 2; {LOST}\n  fix: set it to 1 or less"],
    ),
    "the only region may be lost": RuleCase(
        rule="Platform.loss_limits_can_hold",
        bad={"routing": {"limits": {}}},
        good={**TWO, "routing": {"limits": {}}},
        says=[
            "$.routing.limits.lost_regions: warning: is 1; never holds: with 1 of 1 region lost no player finds a "
            "place\n  fix: leave limits out, or add a region",
        ],
    ),
    "a back end has the name of the router": RuleCase(
        rule="Platform.names_are_distinct",
        bad={**TWO, "routing": {**ASKED, **OPEN_DNS, "backends": [{**DNS, "name": "router"}]}},
        good={**TWO, "routing": {**ASKED, **OPEN_DNS, "backends": [{**DNS, "name": "dns"}]}},
        says=["$.routing.backends[0].name: is 'router'; the name of the router too\n  fix: give it another name"],
    ),
    "a service has the name of the router": RuleCase(
        rule="Platform.names_are_distinct",
        bad={**TWO, "services": [ENTRY, {**GATEWAY, "name": "router"}], "routing": ASKED},
        good={**TWO, "services": [ENTRY, {**GATEWAY, "name": "router"}], "routing": HERE},
        says=["$.services[1].name: is 'router'; the name of the router too\n  fix: give it another name"],
    ),
    "a back end has the name of a service": RuleCase(
        rule="Platform.names_are_distinct",
        bad={
            **TWO,
            "routing": {**HERE, "latency": QUIET, "backends": [{**EDGE, "name": "gateway"}]},
        },
        good={**TWO, "routing": {**HERE, "latency": QUIET, "backends": [EDGE]}},
        says=[
            "$.routing.backends[0].name: is 'gateway'; the name of one of the services too\n  fix: give it another name"
        ],
    ),
    "a router that cannot tell whether itself is cut off": RuleCase(
        rule="Platform.routing_is_sound",
        bad={**TWO, "routing": {**HERE, "service": ROUTER}},
        good={**TWO, "routing": {**HERE, "service": ROUTER, "self_check": SELF_CHECK}},
        says=[
            "$.routing: warning: lacks 'self_check': a router whose own network fails cannot tell that from a world "
            "that is down\n  fix: name what it can ask outside of all regions: https://host/path or tcp://host:port",
        ],
    ),
    "a router that may dial some blocks only": RuleCase(
        rule="Platform.routing_is_sound",
        bad={
            **TWO,
            "routing": {
                **HERE,
                "service": {**ROUTER, "network": {"allow_to": ["203.0.113.0/24"]}},
                "self_check": SELF_CHECK,
            },
        },
        good={**TWO, "routing": {**HERE, "service": ROUTER, "self_check": SELF_CHECK}},
        says=[
            "$.routing.service.network.allow_to: warning: lets the router dial nothing else, and a region that it "
            "cannot dial counts as unhealthy\n  fix: leave it out, or make sure that the addresses of every region's "
            "entry are among them",
        ],
    ),
}
