"""Failing and sound examples of the rules of edges."""

from typing import Any

from tests.rule_case import DIGEST, RuleCase

CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012"
CLOUDFRONT: dict[str, Any] = {
    "image": "none", "backend": "cloudfront", "cloudfront": {"certificate_arn": CERTIFICATE},
}  # fmt: skip
CLOUDFLARE: dict[str, Any] = {"image": "none", "backend": "cloudflare", "cloudflare": {"zone": "example.com"}}

EDGE: dict[str, RuleCase] = {
    "an edge has no image": RuleCase(
        rule="EdgeConfig.it_has_an_image",
        bad={"image": "none"},
        good={},
        says=["$: lacks 'image', which its pods run\n  fix: add image: nginx:<version>@sha256:<64 hex digits>"],
    ),
    "two classes match the same": RuleCase(
        rule="EdgeConfig.classes_do_not_meet",
        bad={
            "cache_classes": [
                {"name": "a", "match": "/public/", "ttl_secs": 1},
                {"name": "b", "match": "/public/", "ttl_secs": 2},
            ]
        },
        good={
            "cache_classes": [
                {"name": "a", "match": "/public/", "ttl_secs": 1},
                {"name": "b", "match": "/public/b/", "ttl_secs": 2},
            ]
        },
        says=[
            "$.cache_classes[1].match: is '/public/'; also what class 'a' matches\n  fix: give it another "
            "path, or drop one"
        ],
    ),
    "a pod is evicted when it is full": RuleCase(
        rule="EdgeConfig.what_is_kept_has_room",
        bad={"cache_size": "10Gi", "resources": {"ephemeral_limit": "10Gi"}},
        good={"cache_size": "10Gi", "resources": {"ephemeral_limit": "11Gi"}},
        says=[
            "$.cache_size: is '10Gi'; more than resources.ephemeral_limit bears, which is 10Gi: the pod would "
            "be evicted when it is full\n  fix: lower it, or leave ephemeral_limit out"
        ],
    ),
    "a port is exposed that is closed": RuleCase(
        rule="EdgeConfig.exposed_ports_exist",
        bad={"expose": {"ports": ["https"]}},
        good={"expose": {"ports": ["http", "https"]}, "tls": {"secret": "cdn-tls"}},
        says=["$.expose.ports[0]: is 'https'; closed without 'tls'\n  fix: add tls: {secret: <name>}"],
    ),
    "an edge is exposed pod by pod": RuleCase(
        rule="EdgeConfig.exposed_ports_exist",
        bad={"expose": {"ports": ["http"], "per_pod": True}},
        good={"expose": {"ports": ["http"]}},
        says=["$.expose.per_pod: is true; any pod answers any player\n  fix: remove it"],
    ),
    "what never changes is asked for again and again": RuleCase(
        rule="CacheClass.what_never_changes_is_kept_long",
        bad={"immutable": True, "ttl_secs": 60},
        good={"immutable": True, "ttl_secs": 31536000},
        says=[
            "$.ttl_secs: is 60; less than a day for what never changes: browsers would ask for it again and "
            "again\n  fix: set it to 31536000, or immutable to false"
        ],
    ),
    "a provider's edge has an image": RuleCase(
        rule="EdgeConfig.a_provider_runs_no_pods",
        bad={key: value for key, value in CLOUDFRONT.items() if key != "image"},
        good=CLOUDFRONT,
        says=["$.image: not used: nothing of CloudFront runs here\n  fix: remove it, or set backend to nginx"],
    ),
    "a provider's edge has a network": RuleCase(
        rule="EdgeConfig.a_provider_runs_no_pods",
        bad={**CLOUDFLARE, "network": {"allow_from": ["10.0.0.0/8"]}},
        good={**CLOUDFLARE, "network": {}},
        says=["$.network: not used: nothing of Cloudflare runs here\n  fix: remove it, or set backend to nginx"],
    ),
    "a provider does not know what it must": RuleCase(
        rule="EdgeConfig.a_backend_has_its_own_settings",
        bad={"image": "none", "backend": "cloudflare"},
        good=CLOUDFLARE,
        says=["$: lacks 'cloudflare', which its back end must know\n  fix: add cloudflare: {zone: example.com}"],
    ),
    "settings of a provider that is not asked": RuleCase(
        rule="EdgeConfig.a_backend_has_its_own_settings",
        bad={"cloudflare": {"zone": "example.com"}},
        good={},
        says=["$.cloudflare: not used: backend is nginx\n  fix: remove it, or set backend to cloudflare"],
    ),
    "a shield where a provider has none": RuleCase(
        rule="EdgeConfig.its_backend_can_do_that",
        bad={**CLOUDFRONT, "shield": "eu-west-3"},
        good={**CLOUDFRONT, "shield": "eu-west-2"},
        says=[
            "$.shield: is 'eu-west-3'; CloudFront has no Origin Shield there\n  fix: name a region that is eu-west-2: "
            "it is the nearest to that"
        ],
    ),
    "a provider that chooses its shield itself": RuleCase(
        rule="EdgeConfig.its_backend_can_do_that",
        bad={**CLOUDFLARE, "shield": "us-east-1"},
        good=CLOUDFLARE,
        says=[
            "$.shield: is 'us-east-1'; not kept: Cloudflare chooses itself where the tier stands that others ask "
            "first\n  fix: remove it; cdn.md in the runbooks has the request that switches Tiered Cache on"
        ],
    ),
    "an image that does not know its own file": RuleCase(
        rule="EdgeConfig.its_image_knows_its_file",
        bad={"image": f"nginx:1.26.3-alpine@{DIGEST}"},
        good={"image": f"registry.example.com/nginx:1.27.4@{DIGEST}"},
        says=[
            f"$.image: is 'nginx:1.26.3-alpine@{DIGEST[:37]}...'; older than 1.27.4, which first knew "
            "'ssl_certificate_cache' and 'server … resolve'\n  fix: take nginx 1.27.4 or newer"
        ],
    ),
    "memory for less than the names of objects": RuleCase(
        rule="EdgeConfig.names_of_what_is_kept_have_room",
        bad={"resources": {"memory_limit": "64Mi"}},
        good={"resources": {"memory_limit": "128Mi"}},
        says=[
            "$.resources.memory_limit: is '64Mi'; the names of what is kept take 64 MiB alone: nginx would be ended\n"
            "  fix: set it to 128Mi or more"
        ],
    ),
    "an edge that keeps nothing": RuleCase(
        rule="EdgeConfig.something_is_kept",
        bad={"cache_classes": [{"name": "off", "match": "/public/", "ttl_secs": 60, "enabled": False}]},
        good={"cache_classes": [{"name": "on", "match": "/public/", "ttl_secs": 60}]},
        says=[
            "$.cache_classes: warning: none, so nothing is kept: every request goes to an origin\n  fix: add "
            "cache_classes: [{name: hashed, match: /public/build/, ttl_secs: 31536000, immutable: true}]"
        ],
    ),
    "a shield whose port is closed": RuleCase(
        rule="EdgeConfig.the_shield_is_reached",
        bad={"shield": "us-east-1", "tls": {"secret": "cdn-tls"}, "expose": {"ports": ["http"]}},
        good={"shield": "us-east-1", "tls": {"secret": "cdn-tls"}, "expose": {"ports": ["https"]}},
        says=[
            "$.expose.ports: is a list; other edges ask it on port 'https', which is closed\n  fix: add https, or "
            "remove shield"
        ],
    ),
    "a shield without a name": RuleCase(
        rule="EdgeConfig.the_shield_is_reached",
        bad={"shield": "us-east-1", "endpoint": "none"},
        good={"shield": "us-east-1"},
        says=[
            "$.shield: is 'us-east-1'; the edges of other regions do not reach it without 'endpoint'\n  fix: leave "
            "endpoint out, so that the default is taken, or remove shield"
        ],
    ),
    "a shield that has the name of every edge": RuleCase(
        rule="EdgeConfig.the_shield_is_reached",
        bad={"shield": "us-east-1", "endpoint": "edge.example.com"},
        good={"shield": "us-east-1", "endpoint": "{region}.edge.example.com"},
        says=[
            "$.endpoint: is 'edge.example.com'; the same in every region, so that other edges would ask themselves and "
            "not the shield\n  fix: put {region} in it, or leave it out"
        ],
    ),
}
