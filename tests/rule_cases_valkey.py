"""Failing and sound examples of the rules of session caches."""

from tests.rule_case import DIGEST, RuleCase

VALKEY: dict[str, RuleCase] = {
    "a session cache has no image": RuleCase(
        rule="ValkeyConfig.it_has_an_image",
        bad={"image": "none"},
        good={},
        says=["$: lacks 'image'\n  fix: add image: valkey/valkey:<version>@sha256:<64 hex digits>"],
    ),
    "an image hands over to nobody": RuleCase(
        rule="ValkeyConfig.it_hands_over_when_told_to_end",
        bad={"image": f"registry.example.com:5000/valkey/valkey:8.1.3-alpine@{DIGEST}"},
        good={"image": f"registry.example.com:5000/valkey/valkey:9.0.0-alpine@{DIGEST}"},
        says=[
            "$.image: is 'registry.example.com:5000/valkey/valkey:8.1.3-alpine@sha2...'; lacks 'shutdown-on-sigterm "
            "failover', and so would not start: Valkey 9.0 is the first to have it\n  fix: take image: "
            "valkey/valkey:<version>@sha256:<64 hex digits>, of 9.0 or newer"
        ],
    ),
    "a volume hides the server's file": RuleCase(
        rule="ValkeyConfig.its_volume_is_a_folder_of_its_own",
        bad={"pvc": {"mount_path": "/etc/valkey/data"}},
        good={"pvc": {"mount_path": "/etc/valkey-data"}},
        says=[
            "$.pvc.mount_path: is '/etc/valkey/data'; in /etc/valkey, where the container sees something else\n"
            "  fix: remove it, and it is /data"
        ],
    ),
    "a volume's path is two words": RuleCase(
        rule="ValkeyConfig.its_volume_is_a_folder_of_its_own",
        bad={"pvc": {"mount_path": "/my data"}},
        good={"pvc": {"mount_path": "/my.data"}},
        says=[
            "$.pvc.mount_path: is '/my data'; goes into the server's file, which takes letters, digits and '_', '.', "
            "'-', '/' as they are\n  fix: remove it, and it is /data"
        ],
    ),
    "two primaries elect nobody": RuleCase(
        rule="ValkeyConfig.shards_can_elect",
        bad={"shards": 2},
        good={"shards": 3},
        says=[
            "$.shards: is 2; too few: a replica needs the votes of most primaries, and with one of so few gone there "
            "are none\n  fix: set it to 3"
        ],
    ),
    "a node is larger than any machine": RuleCase(
        rule="ValkeyConfig.a_machine_has_the_memory",
        bad={"maxmemory": "1Pi"},
        good={"maxmemory": "1Ti"},
        says=[
            "$.maxmemory: is '1Pi'; more than any machine has, which is 32Ti at most: no node would ever start\n"
            "  fix: lower it, and take more shards"
        ],
    ),
    "a node would be killed before it is full": RuleCase(
        rule="ValkeyConfig.memory_has_room",
        bad={"maxmemory": "800Mi", "resources": {"memory_limit": "1Gi"}},
        good={"maxmemory": "768Mi", "resources": {"memory_limit": "1Gi"}},
        says=[
            "$.maxmemory: is '800Mi'; 78 % of resources.memory_limit, which is 1Gi: connections, and a copy for a "
            "replica, would have the node killed, with all that it holds\n  fix: lower it to 768Mi or less, or raise "
            "memory_limit to 1200Mi, or leave that out"
        ],
    ),
    "memory is never used": RuleCase(
        rule="ValkeyConfig.memory_has_room",
        bad={"maxmemory": "512Mi", "resources": {"memory_limit": "1Gi"}},
        good={"maxmemory": "615Mi", "resources": {"memory_limit": "1Gi"}},
        says=[
            "$.maxmemory: warning: is '512Mi'; only 50 % of resources.memory_limit, which is 1Gi: the rest is never "
            "used\n  fix: raise it to 614Mi or more, or lower memory_limit to 768Mi"
        ],
    ),
    "a busy node is taken for dead": RuleCase(
        rule="ValkeyConfig.silence_is_told_from_death",
        bad={"node_timeout_ms": 1999},
        good={"node_timeout_ms": 2000},
        says=[
            "$.node_timeout_ms: warning: is 1999; a pause of a node that has much to do, or to copy, would be taken "
            "for its death\n  fix: set it to 2000 to 5000"
        ],
    ),
    "a dead node is missed late": RuleCase(
        rule="ValkeyConfig.silence_is_told_from_death",
        bad={"node_timeout_ms": 15001},
        good={"node_timeout_ms": 15000},
        says=[
            "$.node_timeout_ms: warning: is 15001; players of a shard would wait for up to 30 s for its replica to "
            "take over\n  fix: set it to 2000 to 5000"
        ],
    ),
    "a full cache takes no login": RuleCase(
        rule="ValkeyConfig.writes_do_not_fail_when_full",
        bad={"eviction": "noeviction"},
        good={"eviction": "volatile-ttl"},
        says=[
            "$.eviction: warning: is 'noeviction'; once a node is full nobody can log in\n  fix: set it to volatile-lru"
        ],
    ),
    "a session cache is exposed": RuleCase(
        rule="ValkeyConfig.nothing_outside_is_promised_it",
        bad={"expose": {"internal": True}},
        good={},
        says=[
            "$.expose: nodes send clients to the host names of their pods, which nobody outside of the cluster "
            "reaches\n  fix: remove it, and let the component run in every region where it is used"
        ],
    ),
}
