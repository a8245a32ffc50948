"""Failing and sound examples of the rules of object stores."""

from typing import Any

from tests.rule_case import RuleCase

PROVIDED: dict[str, Any] = {"image": "none", "pvc": "none"}
AWS: dict[str, Any] = {**PROVIDED, "provider": "aws"}
FOLLOWED: dict[str, Any] = {
    "regions": ["us-east-1", "eu-west-1"],
    "endpoint": "assets.{region}.example.com",
    "network": {"allow_from": ["10.0.0.0/8"]},
}
KEPT: dict[str, Any] = {"name": "saves", "versioning": True, "lifecycle": {"noncurrent_days": 30}}
ROLE = "arn:aws:iam::123456789012:role/copy"

OBJECT_STORE: dict[str, RuleCase] = {
    "a store that runs here has no image": RuleCase(
        rule="ObjectStoreConfig.a_store_that_runs_has_pods",
        bad={"image": "none"},
        good={},
        says=["$: lacks 'image', which its pods run\n  fix: add image: chrislusf/seaweedfs:<version>@sha256:<digest>"],
    ),
    "a store that runs here has no volume": RuleCase(
        rule="ObjectStoreConfig.a_store_that_runs_has_pods",
        bad={"pvc": "none"},
        good={},
        says=["$: lacks 'pvc', where its pods keep objects\n  fix: add pvc: {size: 500Gi}"],
    ),
    "a store that runs here has an address of somebody else's": RuleCase(
        rule="ObjectStoreConfig.a_store_that_runs_has_pods",
        bad={"url": "https://s3.example.com"},
        good={},
        says=[
            "$.url: is 'https://s3.example.com'; not used by a store that runs here: Kubernetes names it\n  "
            "fix: remove it, or name another provider"
        ],
    ),
    "a provider's store has an image": RuleCase(
        rule="ObjectStoreConfig.a_provider_runs_no_pods",
        bad={"provider": "aws", "pvc": "none"},
        good=AWS,
        says=["$.image: not used: nothing of aws runs here\n  fix: remove it, or set provider to seaweedfs"],
    ),
    "a provider's store has users of ours": RuleCase(
        rule="ObjectStoreConfig.a_provider_runs_no_pods",
        bad={**AWS, "users": [{"name": "app"}]},
        good=AWS,
        says=["$.users: not used: nothing of aws runs here\n  fix: remove it, or set provider to seaweedfs"],
    ),
    "a provider has no address of its own": RuleCase(
        rule="ObjectStoreConfig.a_provider_runs_no_pods",
        bad={**PROVIDED, "provider": "r2"},
        good={**PROVIDED, "provider": "r2", "url": "https://abc.r2.cloudflarestorage.com"},
        says=[
            "$: lacks 'url': r2 has no address of its own\n  fix: add url: https://<account "
            "id>.r2.cloudflarestorage.com"
        ],
    ),
    "SeaweedFS has one class of storage": RuleCase(
        rule="ObjectStoreConfig.providers_can_what_is_asked",
        bad={
            "buckets": [
                {"name": "saves", "lifecycle": {"transitions": [{"name": "a", "days": 9, "storage_class": "GLACIER"}]}}
            ]
        },
        good={"buckets": [{"name": "saves", "lifecycle": {"expiries": [{"name": "a", "days": 9}]}}]},
        says=[
            "$.buckets[0].lifecycle.transitions: seaweedfs cannot move objects to a cheaper class after some "
            "days: it answers 501 NotImplemented (run by the tests)\n  fix: remove it, or take a provider that "
            "can: aws, r2, ceph_rgw"
        ],
    ),
    "Garage keeps one version": RuleCase(
        rule="ObjectStoreConfig.providers_can_what_is_asked",
        bad={**PROVIDED, "provider": "garage", "url": "https://s3.example.com", "buckets": [KEPT]},
        good={**PROVIDED, "provider": "garage", "url": "https://s3.example.com", "buckets": [{"name": "saves"}]},
        says=[
            (
                "$.buckets[0].versioning: is true; garage cannot keep old versions of objects: it keeps one "
                "version of an object (PutBucketVersioning: missing)\n  fix: remove it, or take a provider that "
                "can: aws, gcs, ceph_rgw, seaweedfs"
            ),
            (
                "$.buckets[0].lifecycle.noncurrent_days: is 30; garage cannot delete old versions after some days: "
                "it keeps one version of an object (PutBucketLifecycleConfiguration: without "
                "NoncurrentVersionExpiration)\n  fix: remove it, or take a provider that can: aws, ceph_rgw, "
                "seaweedfs"
            ),
        ],
    ),
    "a copy of Amazon's is made as nobody": RuleCase(
        rule="ObjectStoreConfig.a_copy_at_a_provider_has_a_role",
        bad={**AWS, "regions": ["us-east-1", "eu-west-1"], "buckets": [KEPT]},
        good={**AWS, "regions": ["us-east-1", "eu-west-1"], "buckets": [KEPT], "replication_role": ROLE},
        says=[
            "$: lacks 'replication_role', as which S3 copies to the second region\n  fix: add "
            "replication_role: arn:aws:iam::<account>:role/<name>"
        ],
    ),
    "Amazon copies only versions": RuleCase(
        rule="ObjectStoreConfig.a_copy_at_a_provider_has_a_role",
        bad={**AWS, "regions": ["us-east-1", "eu-west-1"], "buckets": [{"name": "saves"}], "replication_role": ROLE},
        good={**AWS, "regions": ["us-east-1", "eu-west-1"], "buckets": [KEPT], "replication_role": ROLE},
        says=["$.buckets[0].versioning: is false; S3 copies only buckets that keep versions\n  fix: set it to true"],
    ),
    "a role for nothing": RuleCase(
        rule="ObjectStoreConfig.a_copy_at_a_provider_has_a_role",
        bad={"replication_role": ROLE},
        good={},
        says=["$.replication_role: is 'arn:aws:iam::123456789012:role/copy'; only aws asks for one\n  fix: remove it"],
    ),
    "a port is exposed that nobody may call": RuleCase(
        rule="ObjectStoreConfig.exposed_ports_exist",
        bad={"expose": {"ports": ["master"]}},
        good={"expose": {"ports": ["s3"]}},
        says=[
            "$.expose.ports[0]: is 'master'; no port of it that others may call\n  fix: known are s3, filer, filer-grpc"
        ],
    ),
    "one address for each of one pod": RuleCase(
        rule="ObjectStoreConfig.exposed_ports_exist",
        bad={"expose": {"per_pod": True}},
        good={"expose": {}},
        says=["$.expose.per_pod: is true; one pod answers in each region\n  fix: remove it"],
    ),
    "anybody deletes everything": RuleCase(
        rule="ObjectStoreConfig.the_filer_stays_inside",
        bad={**FOLLOWED, "expose": {}},
        good={**FOLLOWED, "expose": {"internal": True}},
        says=[
            "$.expose.internal: is false; opens port filer, on which anybody may read, change and delete "
            "everything without a login\n  fix: set it to true: expose: {type: LoadBalancer, internal: true}"
        ],
    ),
    "anybody inside deletes everything": RuleCase(
        rule="ObjectStoreConfig.the_filer_stays_inside",
        bad={**FOLLOWED, "network": {}, "expose": {"internal": True}},
        good={**FOLLOWED, "expose": {"internal": True}},
        says=[
            "$.expose.ports: warning: opens port filer, on which anybody may read, change and delete "
            "everything without a login, to every address of the provider's network\n  fix: list the addresses "
            "of the regions that follow in network.allow_from"
        ],
    ),
    "two users with one key": RuleCase(
        rule="ObjectStoreConfig.users_are_told_apart",
        bad={"users": [{"name": "app"}, {"name": "report"}]},
        good={"users": [{"name": "app"}, {"name": "report", "secret": "report"}]},
        says=[
            "$.users[1].secret: is 'assets-credentials'; also the Secret of user 'app': the server would take "
            "one for the other\n  fix: give each user a Secret of its own"
        ],
    ),
    "a user of a bucket that is not there": RuleCase(
        rule="ObjectStoreConfig.users_are_told_apart",
        bad={"buckets": [{"name": "saves"}], "users": [{"name": "app", "buckets": ["save"]}]},
        good={"buckets": [{"name": "saves"}], "users": [{"name": "app", "buckets": ["saves"]}]},
        says=["$.users[0].buckets[0]: is 'save'; no bucket has that name\n  fix: did you mean 'saves'?"],
    ),
    "a user is called as who sets up": RuleCase(
        rule="ObjectStoreConfig.users_are_told_apart",
        bad={"users": [{"name": "admin"}]},
        good={"users": [{"name": "app"}]},
        says=["$.users[0].name: is 'admin'; a name that the store uses itself\n  fix: give it another name"],
    ),
    "old versions go that are not kept": RuleCase(
        rule="ObjectBucket.old_versions_exist",
        bad={"lifecycle": {"noncurrent_days": 30}},
        good={"versioning": True, "lifecycle": {"noncurrent_days": 30}},
        says=[
            "$.lifecycle.noncurrent_days: no old versions are kept without versioning\n  fix: set versioning "
            "to true, or remove it"
        ],
    ),
    "versions are locked that are not kept": RuleCase(
        rule="ObjectBucket.old_versions_exist",
        bad={"object_lock": {"days": 30}},
        good={"object_lock": {"days": 30}, "versioning": True, "lifecycle": {"noncurrent_days": 60}},
        says=["$.object_lock: locks versions, and none are kept\n  fix: set versioning to true"],
    ),
    "versions are kept for ever": RuleCase(
        rule="ObjectBucket.old_versions_go",
        bad={"versioning": True},
        good={"versioning": True, "lifecycle": {"noncurrent_days": 30}},
        says=[
            "$.versioning: warning: is true; keeps every version for ever: each upload of the same key takes "
            "room that nothing gives back\n  fix: add lifecycle: {noncurrent_days: 30}"
        ],
    ),
    "a bucket is open and blocked": RuleCase(
        rule="ObjectBucket.what_is_blocked_is_not_public",
        bad={"block_public_access": True, "public_prefixes": ["public/"]},
        good={"block_public_access": True},
        says=[
            "$.block_public_access: is true; refuses the policy by which public_prefixes are read\n  fix: set "
            "it to false, or remove public_prefixes"
        ],
    ),
    "pages of nowhere": RuleCase(
        rule="CorsRule.somebody_may_do_something",
        bad={"origins": []},
        good={"origins": ["https://play.example.com"]},
        says=["$.origins: names nobody\n  fix: add origins, or drop it"],
    ),
    "any page writes": RuleCase(
        rule="CorsRule.strangers_do_not_write",
        bad={"origins": ["*"], "methods": ["GET", "PUT"]},
        good={"origins": ["*"], "methods": ["GET"]},
        says=[
            "$.origins: warning: any page may ask for PUT with what a visitor's browser knows\n  fix: name the origins"
        ],
    ),
}
