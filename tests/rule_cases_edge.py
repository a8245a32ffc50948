"""Failing and sound examples of the rules of edges."""

from tests.rule_case import RuleCase

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
}
