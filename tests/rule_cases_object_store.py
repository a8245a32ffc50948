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
COPIED: dict[str, Any] = {**AWS, "regions": ["us-east-1", "eu-west-1"], "replication_role": ROLE}
R2: dict[str, Any] = {**PROVIDED, "provider": "r2", "url": "https://abc.r2.cloudflarestorage.com"}
ENCRYPTED: dict[str, Any] = {"name": "saves", "encryption": "sse_s3"}
COLD: dict[str, Any] = {"name": "a", "days": 90, "storage_class": "GLACIER"}


def moving(*moves: tuple[str, int, str]) -> dict[str, Any]:
    """Return a bucket whose objects move: name, days and class of each rule."""
    listed = [{"name": name, "days": days, "storage_class": storage_class} for name, days, storage_class in moves]
    return {"name": "saves", "lifecycle": {"transitions": listed}}


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
        rule="ObjectStoreConfig.a_provider_has_an_address",
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
    "Cloudflare compares whole origins": RuleCase(
        rule="ObjectStoreConfig.providers_can_what_is_asked",
        bad={**R2, "buckets": [{"name": "saves", "cors": [{"name": "web", "origins": ["https://*.example.com"]}]}]},
        good={**R2, "buckets": [{"name": "saves", "cors": [{"name": "web", "origins": ["*"]}]}]},
        says=[
            "$.buckets[0].cors[0].origins[0]: is 'https://*.example.com'; r2 cannot let pages of every host below a "
            "domain read a bucket: it compares whole origins (Configure CORS, Common issues: Origin values must match "
            "exactly)\n  fix: remove it, or take a provider that can: aws, ceph_rgw, seaweedfs"
        ],
    ),
    "Amazon keeps some names for itself": RuleCase(
        rule="ObjectStoreConfig.names_can_be_given",
        bad={**AWS, "buckets": [{"name": "saves--x-s3"}, {"name": "xn--saves"}]},
        good={**AWS, "buckets": [{"name": "saves-x-s3"}, {"name": "saves-xn--a"}]},
        says=[
            "$.buckets[0].name: is 'saves--x-s3'; ends with '--x-s3', which aws refuses (Amazon S3 User Guide, General "
            "purpose bucket naming rules)\n  fix: give it another name",
            "$.buckets[1].name: is 'xn--saves'; begins with 'xn--', which aws refuses (Amazon S3 User Guide, General "
            "purpose bucket naming rules)\n  fix: give it another name",
        ],
    ),
    "Google keeps its own name": RuleCase(
        rule="ObjectStoreConfig.names_can_be_given",
        bad={**PROVIDED, "provider": "gcs", "buckets": [{"name": "my-google-saves"}]},
        good={**PROVIDED, "provider": "gcs", "buckets": [{"name": "my-saves"}]},
        says=[
            "$.buckets[0].name: is 'my-google-saves'; has 'google', which gcs refuses (Cloud Storage, Bucket name "
            "requirements)\n  fix: give it another name"
        ],
    ),
    "SeaweedFS keeps a name, too": RuleCase(
        rule="ObjectStoreConfig.names_can_be_given",
        bad={"buckets": [{"name": "saves-s3alias"}]},
        good={"buckets": [{"name": "saves-s3alias", "enabled": False}]},
        says=[
            "$.buckets[0].name: is 'saves-s3alias'; ends with '-s3alias', which seaweedfs refuses (SeaweedFS 4.48: "
            "InvalidBucketName)\n  fix: give it another name"
        ],
    ),
    "the name of a copy is too long": RuleCase(
        rule="ObjectStoreConfig.copies_have_names",
        bad={**COPIED, "buckets": [{**KEPT, "name": "s" * 54}]},
        good={**COPIED, "buckets": [{**KEPT, "name": "s" * 53}]},
        says=[
            f"$.buckets[0].name: is '{'s' * 54}'; makes its copy '{'s' * 54}-eu-west-1' longer than 63 characters\n"
            "  fix: take 1 off"
        ],
    ),
    "a copy has the name of another bucket": RuleCase(
        rule="ObjectStoreConfig.copies_have_names",
        bad={**COPIED, "buckets": [KEPT, {**KEPT, "name": "saves-eu-west-1"}]},
        good={**COPIED, "buckets": [KEPT, {**KEPT, "name": "saves-us-east-1"}]},
        says=[
            "$.buckets[0].name: is 'saves'; makes its copy 'saves-eu-west-1', which is the name of another bucket\n"
            "  fix: give one of both another name"
        ],
    ),
    "objects move to a class that nobody has": RuleCase(
        rule="ObjectStoreConfig.classes_are_the_providers",
        bad={**AWS, "buckets": [moving(("a", 60, "COLD"))]},
        good={**AWS, "buckets": [moving(("a", 60, "GLACIER"))]},
        says=[
            "$.buckets[0].lifecycle.transitions[0].storage_class: is 'COLD'; no class that objects move to at aws\n"
            "  fix: known are STANDARD_IA, INTELLIGENT_TIERING, ONEZONE_IA, GLACIER_IR, GLACIER, DEEP_ARCHIVE"
        ],
    ),
    "Cloudflare has one further class": RuleCase(
        rule="ObjectStoreConfig.classes_are_the_providers",
        bad={**R2, "buckets": [moving(("a", 9, "GLACIER"))]},
        good={**R2, "buckets": [moving(("a", 9, "STANDARD_IA"))]},
        says=[
            "$.buckets[0].lifecycle.transitions[0].storage_class: is 'GLACIER'; no class that objects move to at r2\n"
            "  fix: known are STANDARD_IA"
        ],
    ),
    "Amazon moves nothing within a month": RuleCase(
        rule="ObjectStoreConfig.classes_are_the_providers",
        bad={**AWS, "buckets": [moving(("a", 29, "STANDARD_IA"))]},
        good={**AWS, "buckets": [moving(("a", 30, "STANDARD_IA"))]},
        says=[
            "$.buckets[0].lifecycle.transitions[0].days: is 29; less than 30, before which Amazon S3 moves nothing to "
            "STANDARD_IA\n  fix: set it to 30 or more"
        ],
    ),
    "objects would become warmer again": RuleCase(
        rule="ObjectStoreConfig.classes_are_the_providers",
        bad={**AWS, "buckets": [moving(("a", 90, "STANDARD_IA"), ("b", 60, "GLACIER"))]},
        good={**AWS, "buckets": [moving(("a", 90, "GLACIER"), ("b", 60, "STANDARD_IA"))]},
        says=[
            "$.buckets[0].lifecycle.transitions[0].storage_class: is 'STANDARD_IA'; after transition 'b' has moved "
            "them to GLACIER, from where they do not come back\n  fix: drop one of both, or change their order"
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
    "one Secret for keys of two kinds": RuleCase(
        rule="ObjectStoreConfig.keys_have_a_secret_of_their_own",
        bad={"admin_secret": "keys", "encryption_key_secret": "keys", "buckets": [ENCRYPTED]},
        good={"admin_secret": "keys", "encryption_key_secret": "kek", "buckets": [ENCRYPTED]},
        says=[
            "$.encryption_key_secret: is 'keys'; also the Secret of who sets up buckets: keys of two kinds are changed "
            "apart\n  fix: give it a Secret of its own"
        ],
    ),
    "a key of encryption for nothing": RuleCase(
        rule="ObjectStoreConfig.keys_have_a_secret_of_their_own",
        bad={"encryption_key_secret": "kek", "buckets": [{"name": "saves"}]},
        good={"encryption_key_secret": "kek", "buckets": [ENCRYPTED]},
        says=["$.encryption_key_secret: is 'kek'; not used: no bucket has 'encryption'\n  fix: remove it"],
    ),
    "objects lie where the settings are": RuleCase(
        rule="ObjectStoreConfig.objects_have_a_folder",
        bad={"pvc": {"size": "10Gi", "mount_path": "/etc"}},
        good={"pvc": {"size": "10Gi", "mount_path": "/etcetera"}},
        says=[
            "$.pvc.mount_path: is '/etc'; where /etc/seaweedfs is, which holds something else in its pod\n  fix: leave "
            "it out, or take another: /data",
            "$.pvc.mount_path: is '/etc'; where /etc/aether is, which holds something else in its pod\n  fix: leave "
            "it out, or take another: /data",
        ],
    ),
    "a folder is read as two": RuleCase(
        rule="ObjectStoreConfig.objects_have_a_folder",
        bad={"pvc": {"size": "10Gi", "mount_path": "/data,more"}},
        good={"pvc": {"size": "10Gi", "mount_path": "/data-more"}},
        says=[
            "$.pvc.mount_path: is '/data,more'; read as two folders, for its ','\n  fix: take another: /data",
        ],
    ),
    "a volume is smaller than a file of objects": RuleCase(
        rule="ObjectStoreConfig.objects_have_a_folder",
        bad={"pvc": {"size": "900Mi"}},
        good={"pvc": {"size": "1Gi"}},
        says=[
            "$.pvc.size: is '900Mi'; less than 1Gi, which is one file of objects: it would be full at once\n  fix: set "
            "it to 10Gi or more"
        ],
    ),
    "a server has less memory than it takes": RuleCase(
        rule="ObjectStoreConfig.a_server_has_memory",
        bad={"resources": {"memory_limit": "128Mi"}},
        good={"resources": {"memory_limit": "256Mi"}},
        says=[
            "$.resources.memory_limit: is '128Mi'; less than 256Mi: idle it takes 120Mi, and more with each upload in "
            "parts\n  fix: set it to 512Mi or more"
        ],
    ),
    "every address of the world deletes everything": RuleCase(
        rule="ObjectStoreConfig.the_filer_stays_inside",
        bad={**FOLLOWED, "network": {"allow_from": ["0.0.0.0/0"]}, "expose": {"internal": True}},
        good={**FOLLOWED, "expose": {"internal": True}},
        says=[
            "$.expose.ports: warning: opens port filer, on which anybody may read, change and delete "
            "everything without a login, to every address of the provider's network\n  fix: list the addresses "
            "of the regions that follow in network.allow_from"
        ],
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
    "objects go before they would move": RuleCase(
        rule="ObjectBucket.objects_move_before_they_go",
        bad={"lifecycle": {"transitions": [COLD], "expiries": [{"name": "b", "days": 90}]}},
        good={"lifecycle": {"transitions": [COLD], "expiries": [{"name": "b", "days": 90, "prefix": "tmp/"}]}},
        says=[
            "$.lifecycle.transitions[0].days: is 90; expiry 'b' deletes them after 90 days, before they would move\n"
            "  fix: move them earlier, or delete them later"
        ],
    ),
    "more rules of pages than a bucket takes": RuleCase(
        rule="ObjectBucket.rules_of_pages_are_few",
        bad={"cors": [{"name": f"page-{each}", "origins": ["*"]} for each in range(101)]},
        good={"cors": [{"name": f"page-{each}", "origins": ["*"]} for each in range(100)]},
        says=["$.cors: has 101 rules, and a bucket takes 100\n  fix: join rules that differ only in their origins"],
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
