"""Failing and sound examples of the rules of databases, their failover, and brokers."""

from typing import Any

from tests.rule_case import DIGEST, RuleCase

CITUS: dict[str, Any] = {
    "image": f"registry.example.com/patroni-citus:18@{DIGEST}",
}

DATA_PLANE: dict[str, RuleCase] = {
    "an endpoint is exposed by nothing": RuleCase(
        rule="ComponentConfig.an_endpoint_is_exposed",
        of="PostgresConfig",
        bad={"endpoint": "accounts.{region}.example.com"},
        good={"endpoint": "accounts.{region}.example.com", "expose": {"internal": True}},
        says=["$.endpoint: is 'accounts.{region}.example.com'; nothing exposes it\n  fix: add expose, or remove it"],
    ),
    "a database's processes are root": RuleCase(
        rule="PostgresIdentity.nobody_is_root",
        bad={"run_as_user": 0, "run_as_group": 103, "fs_group": 103},
        good={"run_as_user": 101, "run_as_group": 103, "fs_group": 103},
        says=["$.run_as_user: is 0; root, which a restricted namespace refuses\n  fix: use the image's own user"],
    ),
    "a leader trusts its lease for too long": RuleCase(
        rule="FailoverPolicy.a_leader_steps_down_in_time",
        bad={"retry_timeout": 15},
        good={"retry_timeout": 10},
        says=[
            "$.ttl: is 30; less than loop_wait + 2 * retry_timeout, which is 40; Patroni would run with "
            "loop_wait 1 and retry_timeout 14, and say so in its log only\n"
            "  fix: set it to 40 or more, or retry_timeout to 10 or less"
        ],
    ),
    "members drop out of sight": RuleCase(
        rule="FailoverPolicy.members_stay_in_sight",
        bad={"ttl": 20, "loop_wait": 12, "retry_timeout": 3},
        good={"ttl": 20, "loop_wait": 10, "retry_timeout": 3},
        says=[
            "$.loop_wait: warning: is 12; more than half of ttl, which is 20: a member's key lives as long "
            "as the leader's and may expire between two loops\n"
            "  fix: set it to 10 or less"
        ],
    ),
    "the watchdog fires before the next loop": RuleCase(
        rule="FailoverPolicy.the_watchdog_has_time",
        bad={"watchdog": "required", "watchdog_safety_margin": 25},
        good={"watchdog": "required"},
        says=[
            "$.watchdog_safety_margin: is 25; the watchdog would fire 5 s after a renewal, and loop_wait is "
            "10: Patroni uses no watchdog then, and without one nobody ever leads\n"
            "  fix: set it to 19 or less, or lower loop_wait"
        ],
    ),
    "no synchronous replica may take over": RuleCase(
        rule="FailoverPolicy.a_synchronous_replica_may_be_behind",
        bad={"synchronous_mode": True, "maximum_lag_on_failover": 0},
        good={"synchronous_mode": True},
        says=[
            "$.maximum_lag_on_failover: warning: is 0; the limit holds in synchronous mode too, and what "
            "the leader publishes counts WAL of PostgreSQL's own that nobody waits for: no replica may ever "
            "be allowed to take over\n"
            "  fix: set it to 1048576; acknowledged writes are safe without it"
        ],
    ),
    "a synchronous setting has no mode": RuleCase(
        rule="FailoverPolicy.synchronous_settings_have_a_mode",
        bad={"synchronous_mode_strict": True},
        good={"synchronous_mode": True, "synchronous_mode_strict": True},
        says=[
            "$.synchronous_mode_strict: warning: is true; without synchronous_mode it does nothing\n"
            "  fix: set synchronous_mode to true or quorum, or remove it"
        ],
    ),
    "a replica is kept that may not take over": RuleCase(
        rule="FailoverPolicy.a_kept_replica_may_take_over",
        bad={"synchronous_mode": True, "maximum_lag_on_syncnode": 2097152},
        good={"synchronous_mode": True, "maximum_lag_on_syncnode": 1048576},
        says=[
            "$.maximum_lag_on_syncnode: warning: is 2097152; more than maximum_lag_on_failover, which is "
            "1048576: a replica between the two is kept and may not take over\n"
            "  fix: set it to 1048576 or less"
        ],
    ),
    "all servers share one address": RuleCase(
        rule="NatsGateway.each_server_has_its_own",
        bad={"endpoint": "nats.example.com"},
        good={"endpoint": "{pod}.nats.example.com"},
        says=[
            "$.endpoint: is 'nats.example.com'; the same for every server\n"
            "  fix: write {pod} into it: {pod}.nats.example.com"
        ],
    ),
    "a lame duck waits too long": RuleCase(
        rule="NatsLameDuck.the_wait_is_the_shorter",
        bad={"grace_secs": 40, "duration_secs": 30},
        good={"grace_secs": 10, "duration_secs": 30},
        says=[
            "$.grace_secs: is 40; not less than duration_secs, which is 30: the server does not start\n"
            "  fix: lower it, or raise duration_secs"
        ],
    ),
    "a payload is larger than a server takes": RuleCase(
        rule="NatsConfig.a_payload_is_taken",
        bad={"max_payload": "65Mi"},
        good={"max_payload": "8Mi"},
        says=["$.max_payload: is '65Mi'; more than 64Mi: the server does not start\n  fix: lower it to 64Mi or less"],
    ),
    "a stream's account is not there": RuleCase(
        rule="NatsConfig.accounts_of_streams_exist",
        bad={"streams": [{"name": "A", "subjects": ["a.>"], "max_bytes": "1Gi", "account": "APPS"}]},
        good={"streams": [{"name": "A", "subjects": ["a.>"], "max_bytes": "1Gi", "account": "APP"}]},
        says=["$.streams[0].account: is 'APPS'; no account has that name\n  fix: did you mean 'APP'?"],
    ),
    "a port of a broker is exposed that is closed": RuleCase(
        rule="NatsConfig.exposed_ports_exist",
        bad={"expose": {"ports": ["leafnode"]}, "tls": {"secret": "events-tls"}},
        good={"expose": {"ports": ["leafnode"]}, "tls": {"secret": "events-tls"}, "leafnodes": {}},
        says=["$.expose.ports[0]: is 'leafnode'; closed without 'leafnodes'\n  fix: add leafnodes"],
    ),
    "gateways are not exposed": RuleCase(
        rule="NatsConfig.gateways_are_exposed",
        bad={"gateway": {"endpoint": "{pod}.nats.example.com"}, "tls": {"secret": "events-tls"}},
        good={
            "gateway": {"endpoint": "{pod}.nats.example.com"},
            "tls": {"secret": "events-tls"},
            "expose": {"per_pod": True, "ports": ["gateway"]},
        },
        says=[
            "$.gateway: nothing exposes port gateway, so no other region reaches a server\n"
            "  fix: add expose: {type: LoadBalancer, per_pod: true, ports: [gateway]}"
        ],
    ),
    "a broker has no image": RuleCase(
        rule="NatsConfig.it_has_an_image",
        bad={"image": "none"},
        good={},
        says=["$: lacks 'image'\n  fix: add image: nats:<version>@sha256:<64 hex digits>"],
    ),
    "streams in memory take all of it": RuleCase(
        rule="NatsConfig.memory_has_room",
        bad={"jetstream": {"memory_size": "6Gi"}},
        good={"jetstream": {"memory_size": "4Gi"}},
        says=[
            "$.jetstream.memory_size: is '6Gi'; more than half of resources.memory_limit, which is 8Gi\n"
            "  fix: lower it, or raise memory_limit: the server needs memory for connections and for its indexes"
        ],
    ),
    "passwords pass in the open": RuleCase(
        rule="NatsConfig.passwords_do_not_pass_in_the_open",
        bad={"expose": {"ports": ["client"]}},
        good={"expose": {"ports": ["client"]}, "tls": {"secret": "events-tls"}},
        says=[
            "$.expose.ports: warning: opens port client without tls: passwords and messages pass in the open\n"
            "  fix: add tls: {secret: <Secret with tls.crt, tls.key, ca.crt>}"
        ],
    ),
    "users of two accounts have one name": RuleCase(
        rule="NatsConfig.names_of_users_differ",
        bad={
            "accounts": [
                {"name": "APP", "users": [{"name": "app"}]},
                {"name": "OPS", "users": [{"name": "app", "secret": "ops"}]},
            ]
        },
        good={
            "accounts": [
                {"name": "APP", "users": [{"name": "app"}]},
                {"name": "OPS", "users": [{"name": "ops", "secret": "ops"}]},
            ]
        },
        says=[
            "$.accounts[1].users[0].name: is 'app'; a user of another account has that name, and messages "
            "call both by it\n"
            "  fix: give it another"
        ],
    ),
    "nobody can log in": RuleCase(
        rule="NatsConfig.somebody_logs_in",
        bad={"accounts": [{"name": "APP", "users": [{"name": "app", "enabled": False}]}]},
        good={"accounts": [{"name": "APP", "users": [{"name": "app"}]}]},
        says=["$.accounts: has no user\n  fix: add a user: users: [{name: app}]"],
    ),
    "an account is that of the servers": RuleCase(
        rule="NatsConfig.the_system_account_is_its_own",
        bad={"accounts": [{"name": "SYS", "users": [{"name": "app"}]}]},
        good={"accounts": [{"name": "APP", "users": [{"name": "app"}]}]},
        says=[
            "$.accounts[0].name: is 'SYS'; the account of the servers themselves, which cannot have streams\n"
            "  fix: give it another name; operators log in to SYS with system_secret"
        ],
    ),
    "two users have one Secret": RuleCase(
        rule="NatsConfig.users_are_told_apart",
        bad={"accounts": [{"name": "APP", "users": [{"name": "app"}, {"name": "bot"}]}]},
        good={"accounts": [{"name": "APP", "users": [{"name": "app"}, {"name": "bot", "secret": "bot"}]}]},
        says=[
            "$.accounts[0].users[1].secret: is 'events-credentials'; also the Secret of user 'app' of "
            "account 'APP': the server does not start with one user in two places\n"
            "  fix: give each user a Secret of its own"
        ],
    ),
    "a queue is mirrored": RuleCase(
        rule="NatsStream.a_queue_is_not_copied",
        bad={"retention": "workqueue", "mirrors": ["eu-west-1"]},
        good={"retention": "limits", "mirrors": ["eu-west-1"]},
        says=[
            "$.mirrors: messages of a stream with retention workqueue go once they are done, copied or not\n"
            "  fix: set retention to limits, or remove it"
        ],
    ),
    "an aggregate gathers from one region": RuleCase(
        rule="NatsStream.an_aggregate_has_something_to_gather",
        bad={"regions": ["us-east-1"], "aggregate_in": "us-east-1"},
        good={"regions": ["us-east-1", "eu-west-1"], "aggregate_in": "us-east-1"},
        says=[
            "$.aggregate_in: is 'us-east-1'; the stream is in one region, so there is nothing to gather\n"
            "  fix: name more regions, or list the region in mirrors"
        ],
    ),
    "duplicates are remembered longer than messages": RuleCase(
        rule="NatsStream.duplicates_are_not_outlived",
        bad={"max_age_secs": 60, "duplicate_window_secs": 120},
        good={"max_age_secs": 120, "duplicate_window_secs": 120},
        says=[
            "$.duplicate_window_secs: is 120; more than max_age_secs, which is 60: the server refuses the stream\n"
            "  fix: lower it to 60 or less"
        ],
    ),
    "a stream keeps nothing": RuleCase(
        rule="NatsStream.it_keeps_something",
        bad={"subjects": []},
        good={},
        says=["$.subjects: keeps nothing\n  fix: name at least one subject"],
    ),
    "a stream in memory is mirrored": RuleCase(
        rule="NatsStream.memory_is_emptied",
        bad={"storage": "memory", "mirrors": ["eu-west-1"]},
        good={"storage": "file", "mirrors": ["eu-west-1"]},
        says=[
            "$.storage: warning: is 'memory'; emptied when all its servers restart, while the mirrors keep "
            "what they have\n"
            "  fix: set it to file"
        ],
    ),
    "a setting is another back end's": RuleCase(
        rule="PostgresConfig.a_backend_has_its_fields",
        bad={"team": "accounts"},
        good={},
        says=["$.team: is 'accounts'; not used by backend patroni\n  fix: remove it"],
    ),
    "a pod is to have a watchdog": RuleCase(
        rule="PostgresConfig.a_pod_has_no_watchdog",
        bad={"failover": {"watchdog": "automatic"}},
        good={"failover": {"watchdog": "off"}},
        says=[
            "$.failover.watchdog: warning: is 'automatic'; a pod that is restricted sees no device of its "
            "node: Patroni runs without\n"
            "  fix: set it to off: the liveness probe kills a container whose Patroni hangs"
        ],
    ),
    "an archive makes every standby lag": RuleCase(
        rule="PostgresConfig.an_archive_widens_the_lag",
        bad={"postgresql": {"parameters": {"archive_mode": "on", "archive_command": "/bin/true"}}},
        good={
            "failover": {"maximum_lag_on_failover": 33554432},
            "postgresql": {"parameters": {"archive_mode": "on", "archive_command": "/bin/true"}},
        },
        says=[
            "$.failover.maximum_lag_on_failover: warning: is 1048576; less than a segment of WAL, which is "
            "16777216: one that was closed for the archive just before the leader died may put every "
            "replica over the limit\n"
            "  fix: set it to 33554432, or take that nobody leads until a human decides"
        ],
    ),
    "two pods may mount one member's data": RuleCase(
        rule="PostgresConfig.data_is_kept",
        bad={"pvc": {"size": "10Gi", "access_mode": "ReadWriteMany"}},
        good={"pvc": {"size": "10Gi", "access_mode": "ReadWriteOncePod"}},
        says=[
            "$.pvc.access_mode: is 'ReadWriteMany'; lets two pods mount the data of one member\n"
            "  fix: set it to ReadWriteOncePod, or leave it out"
        ],
    ),
    "a database is in two regions": RuleCase(
        rule="PostgresConfig.it_runs_in_one_region",
        bad={"regions": ["us-east-1", "eu-west-1"]},
        good={"regions": ["us-east-1"]},
        says=[
            "$.regions: is a list; not one region; a cluster has one primary, and members that vote across "
            "regions fail over by a WAN\n"
            "  fix: name one region; standby.region takes a second"
        ],
    ),
    "a database has no image": RuleCase(
        rule="PostgresConfig.its_pods_have_an_image",
        bad={"image": "none"},
        good={},
        says=["$: lacks 'image', which its pods run\n  fix: add image: ghcr.io/zalando/spilo-18:4.1-p2, by its digest"],
    ),
    "members lack senders of their log": RuleCase(
        rule="PostgresConfig.members_have_senders_and_slots",
        bad={"members": 5, "postgresql": {"parameters": {"max_wal_senders": 4}}},
        good={"members": 5, "postgresql": {"parameters": {"max_wal_senders": 5}}},
        says=[
            "$.postgresql.parameters.max_wal_senders: 4, and 5 are needed: for 4 that stream and one that is copied\n"
            "  fix: set it to 5 or more"
        ],
    ),
    "each pod of a database is exposed": RuleCase(
        rule="PostgresConfig.only_the_primary_is_exposed",
        bad={"expose": {"per_pod": True}},
        good={"expose": {"internal": True}},
        says=[
            "$.expose.per_pod: is true; which pod takes writes changes with every failover\n"
            "  fix: remove it: the Service follows the primary"
        ],
    ),
    "shards run on an image without Citus": RuleCase(
        rule="PostgresConfig.shards_have_what_citus_needs",
        bad={"sharding": {"database": "game", "workers": 3}},
        good={**CITUS, "sharding": {"database": "game", "workers": 3}},
        says=[
            "$.sharding: needs an image with Citus, and Spilo has none\n"
            "  fix: build one from Patroni's kubernetes/Dockerfile.citus, or leave sharding out"
        ],
    ),
    "a database is killed before it has stopped": RuleCase(
        rule="PostgresConfig.stopping_has_time",
        bad={"stop_secs": 60, "failover": {"primary_stop_timeout": 60}},
        good={"stop_secs": 61, "failover": {"primary_stop_timeout": 60}},
        says=[
            "$.stop_secs: is 60; not more than failover.primary_stop_timeout, which is 60: the pod is killed first\n"
            "  fix: raise it"
        ],
    ),
    "a database has nobody to take over": RuleCase(
        rule="PostgresConfig.the_policy_fits_the_members",
        bad={"members": 1},
        good={"members": 3},
        says=["$.members: warning: is 1; no other member can take over\n  fix: set it to 3, or to 2"],
    ),
    "a standby is beside its primary": RuleCase(
        rule="PostgresConfig.the_standby_is_elsewhere_and_finds_the_primary",
        bad={
            "standby": {"region": "us-east-1", "members": 2},
            "expose": {"internal": True},
            "endpoint": "accounts.{region}.example.com",
        },
        good={
            "standby": {"region": "eu-west-1", "members": 2},
            "expose": {"internal": True},
            "endpoint": "accounts.{region}.example.com",
        },
        says=[
            "$.standby.region: is 'us-east-1'; the region of the cluster that it follows: both are lost together\n"
            "  fix: name another region, or raise members"
        ],
    ),
    "a parameter is Patroni's own": RuleCase(
        rule="PostgresServer.parameters_are_taken",
        bad={"parameters": {"hot_standby": "off"}},
        good={"parameters": {"work_mem": "32MB"}},
        says=["$.parameters.hot_standby: is 'off'; not yours to set: Patroni keeps it on\n  fix: remove it"],
    ),
    "a database has the name of PostgreSQL's own": RuleCase(
        rule="PostgresConfig.its_database_has_a_name_of_its_own",
        bad={"database": "template1"},
        good={"database": "game"},
        says=[
            "$.database: is 'template1'; a database that every cluster has from the start, so that it cannot be made\n"
            "  fix: name one of your own, as database: game"
        ],
    ),
    "an image lacks the version": RuleCase(
        rule="PostgresConfig.the_image_has_the_version",
        bad={"image": f"ghcr.io/zalando/spilo-16:4.1-p2@{DIGEST}"},
        good={"image": f"ghcr.io/zalando/spilo-16:4.1-p2@{DIGEST}", "postgresql": {"version": 16}},
        says=[
            "$.postgresql.version: is 18; not in the image, which is Spilo with PostgreSQL 16 and older ones\n"
            "  fix: set it to 16, or take spilo-18"
        ],
    ),
    "a stream takes larger messages than a server": RuleCase(
        rule="NatsConfig.messages_pass",
        bad={"streams": [{"name": "A", "subjects": ["a.>"], "max_bytes": "1Gi", "max_message_bytes": "2Mi"}]},
        good={"streams": [{"name": "A", "subjects": ["a.>"], "max_bytes": "1Gi", "max_message_bytes": "1Mi"}]},
        says=[
            "$.streams[0].max_message_bytes: is '2Mi'; more than max_payload, which is 1Mi: no server takes such a "
            "message\n  fix: lower it to 1Mi or less, or raise max_payload"
        ],
    ),
    "a parameter is misspelt": RuleCase(
        rule="PostgresServer.parameters_are_known",
        bad={"parameters": {"shared_bufers": "1GB"}},
        good={"parameters": {"shared_buffers": "1GB"}},
        says=[
            "$.parameters.shared_bufers: no parameter of PostgreSQL 18; Patroni leaves it out, and only its log says "
            "so\n  fix: did you mean 'shared_buffers'?"
        ],
    ),
}
