"""What must hold between the settings of an object store, and between them and the regions where it runs."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import UNSET

from aether_deploy.config.base import Fault, judged
from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.object_store.capabilities import able, capabilities_of, matrix
from aether_deploy.infrastructure.object_store.ports import EXPOSABLE, FOLLOWED
from aether_deploy.infrastructure.object_store.provider_rules import faults_of_places
from aether_deploy.infrastructure.object_store.regions import SELF_HOSTED, home_regions
from aether_deploy.problems import suggestion
from aether_deploy.quantities import bytes_of

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.object_store import ObjectStoreConfig
    from aether_deploy.infrastructure.object_store.parts import ObjectBucket

Steps = tuple[str | int, ...]

OWN_FOLDERS = ("/tmp", "/etc/seaweedfs", "/etc/aether", "/run/aether")
"""Folders in its pod that hold something else than objects: ``rendering`` mounts there."""

SIZE_MIN_MB = 1024
MEMORY_MIN_MB = 256

_URL_FIXES = {
    "r2": "add url: https://<account id>.r2.cloudflarestorage.com",
    "ceph_rgw": "add url: https://<host of the gateway>",
    "garage": "add url: https://<host of the S3 API>",
}


# --- of the component alone


def a_store_that_runs_has_pods(self: "ObjectStoreConfig") -> Iterator[Fault]:
    if self.provider != SELF_HOSTED:
        return
    if self.image is None:
        yield Fault((), "lacks 'image', which its pods run", "add image: chrislusf/seaweedfs:<version>@sha256:<digest>")
    if self.pvc is None:
        yield Fault((), "lacks 'pvc', where its pods keep objects", "add pvc: {size: 500Gi}")
    if self.url is not None:
        fix = "remove it, or name another provider"
        yield Fault(("url",), "not used by a store that runs here: Kubernetes names it", fix, self.url)


def a_provider_runs_no_pods(self: "ObjectStoreConfig") -> Iterator[Fault]:
    if self.provider == SELF_HOSTED:
        return
    yield from judged(*(_unused(self, name) for name in ("image", "pvc", "expose", "users", "encryption_key_secret")))


def _unused(self: "ObjectStoreConfig", name: str) -> Iterator[Fault]:
    if getattr(self, name):
        reason = f"not used: nothing of {self.provider} runs here"
        yield Fault((name,), reason, "remove it, or set provider to seaweedfs")


def a_provider_has_an_address(self: "ObjectStoreConfig") -> Iterator[Fault]:
    if self.provider in _URL_FIXES and self.url is None:
        yield Fault((), f"lacks 'url': {self.provider} has no address of its own", _URL_FIXES[self.provider])


def providers_can_what_is_asked(self: "ObjectStoreConfig") -> Iterator[Fault]:
    known = capabilities_of(self.provider)
    for feature, at, value in _asked(self):
        row = known[feature]
        if row.can:
            continue
        what = matrix().features[feature]
        others = [name for name in able(feature) if name != self.provider]
        reason = f"{self.provider} cannot {what}: {row.why} ({row.source})"
        yield Fault(at, reason, f"remove it, or take a provider that can: {', '.join(others)}", value)


def _asked(self: "ObjectStoreConfig") -> Iterator[tuple[str, Steps, object]]:
    """Yield every feature that is asked for, with where and with the value there."""
    for place, bucket in enumerate(self.buckets):
        if bucket.enabled:
            for feature, at, value in _asked_of(bucket):
                yield feature, ("buckets", place, *at), value
    if self.regions != "all" and len(self.regions) > 1:
        yield "replication", ("regions",), self.regions


def _asked_of(bucket: "ObjectBucket") -> Iterator[tuple[str, Steps, object]]:
    life = bucket.lifecycle
    if bucket.versioning:
        yield "versioning", ("versioning",), True
    if life is not None and life.noncurrent_days is not None:
        yield "lifecycle_noncurrent", ("lifecycle", "noncurrent_days"), life.noncurrent_days
    if life is not None and life.abort_upload_days is not None:
        yield "lifecycle_abort", ("lifecycle", "abort_upload_days"), life.abort_upload_days
    if life is not None and any(each.enabled for each in life.expiries):
        yield "lifecycle_expiration", ("lifecycle", "expiries"), UNSET
    if life is not None and any(each.enabled for each in life.transitions):
        yield "lifecycle_transition", ("lifecycle", "transitions"), UNSET
    if any(each.enabled for each in bucket.cors):
        yield "cors", ("cors",), UNSET
    for place, page in enumerate(bucket.cors):
        for at, origin in enumerate(page.origins if page.enabled else ()):
            if "//*." in origin:
                yield "cors_wildcard", ("cors", place, "origins", at), origin
    if bucket.public_prefixes:
        yield "public_prefix", ("public_prefixes",), bucket.public_prefixes
    if bucket.block_public_access:
        yield "public_access_block", ("block_public_access",), True
    if bucket.encryption is not None:
        yield "encryption", ("encryption",), bucket.encryption
    if bucket.object_lock is not None:
        yield "object_lock", ("object_lock",), UNSET


def a_copy_at_a_provider_has_a_role(self: "ObjectStoreConfig") -> Iterator[Fault]:
    several = self.regions != "all" and len(self.regions) > 1
    if self.provider != "aws" or not several:
        if self.replication_role is not None:
            reason = "not used: nothing is copied by a provider" if self.provider == "aws" else "only aws asks for one"
            yield Fault(("replication_role",), reason, "remove it", self.replication_role)
        return
    if self.replication_role is None:
        fix = "add replication_role: arn:aws:iam::<account>:role/<name>"
        yield Fault((), "lacks 'replication_role', as which S3 copies to the second region", fix)
    if self.regions != "all" and len(self.regions) > 2:
        reason = "more than two: a bucket is copied to one other"
        yield Fault(("regions",), reason, "name two", self.regions)
    for place, bucket in enumerate(self.buckets):
        if bucket.enabled and not bucket.versioning:
            reason = "S3 copies only buckets that keep versions"
            yield Fault(("buckets", place, "versioning"), reason, "set it to true", False)


def exposed_ports_exist(self: "ObjectStoreConfig") -> Iterator[Fault]:
    known = [name for name, _, _ in EXPOSABLE]
    for place, name in enumerate(self.expose.ports if self.expose else ()):
        if name not in known:
            fix = suggestion(name, known, f"known are {', '.join(known)}")
            yield Fault(("expose", "ports", place), "no port of it that others may call", fix, name)
    if self.expose is not None and self.expose.per_pod:
        yield Fault(("expose", "per_pod"), "one pod answers in each region", "remove it", True)


def the_filer_stays_inside(self: "ObjectStoreConfig") -> Iterator[Fault]:
    """Whoever reaches a filer reads, changes and deletes everything: it asks nobody who he is."""
    opened = [name for name in (self.expose.ports if self.expose else ()) if name in FOLLOWED]
    if not opened:
        return
    what = f"opens port {opened[0]}, on which anybody may read, change and delete everything without a login"
    if self.expose is not None and not self.expose.internal:
        yield Fault(("expose", "internal"), what, "set it to true: expose: {type: LoadBalancer, internal: true}", False)
    elif not self.network.allow_from or any(each.endswith("/0") for each in self.network.allow_from):
        fix = "list the addresses of the regions that follow in network.allow_from"
        yield Fault(("expose", "ports"), f"{what}, to every address of the provider's network", fix, severity="warning")


def keys_have_a_secret_of_their_own(self: "ObjectStoreConfig") -> Iterator[Fault]:
    if self.provider != SELF_HOSTED:
        return
    if not self.encrypts and self.encryption_key_secret is not None:
        reason = "not used: no bucket has 'encryption'"
        yield Fault(("encryption_key_secret",), reason, "remove it", self.encryption_key_secret)
    taken = {
        self.operators_secret: "who sets up buckets",
        **{secret: f"user '{user.name}'" for user, secret in self.logins},
    }
    if self.encrypts and self.encryption_secret in taken:
        reason = f"also the Secret of {taken[self.encryption_secret]}: keys of two kinds are changed apart"
        yield Fault(("encryption_key_secret",), reason, "give it a Secret of its own", self.encryption_secret)


def objects_have_a_folder(self: "ObjectStoreConfig") -> Iterator[Fault]:
    """What the server reads and writes beside its objects lies in other folders of its pod."""
    if self.pvc is None:
        return
    path = self.pvc.mount_path
    for folder in OWN_FOLDERS:
        if f"{path}/".startswith(f"{folder}/") or f"{folder}/".startswith(f"{path}/"):
            reason = f"where {folder} is, which holds something else in its pod"
            yield Fault(("pvc", "mount_path"), reason, "leave it out, or take another: /data", path)
    if "," in path:
        yield Fault(("pvc", "mount_path"), "read as two folders, for its ','", "take another: /data", path)
    if bytes_of(self.pvc.size) < SIZE_MIN_MB * 2**20:
        reason = f"less than {SIZE_MIN_MB // 1024}Gi, which is one file of objects: it would be full at once"
        yield Fault(("pvc", "size"), reason, "set it to 10Gi or more", self.pvc.size)


def a_server_has_memory(self: "ObjectStoreConfig") -> Iterator[Fault]:
    limit = self.resources.memory_limit
    if self.provider == SELF_HOSTED and isinstance(limit, str) and bytes_of(limit) < MEMORY_MIN_MB * 2**20:
        reason = f"less than {MEMORY_MIN_MB}Mi: idle it takes 120Mi, and more with each upload in parts"
        yield Fault(("resources", "memory_limit"), reason, "set it to 512Mi or more", limit)


def users_are_told_apart(self: "ObjectStoreConfig") -> Iterator[Fault]:
    seen = {self.operators_secret: "who sets up buckets"}
    known = [each.name for each in self.buckets]
    for place, user in enumerate(self.users):
        secret = user.secret or f"{self.name}-credentials"
        if user.enabled and secret in seen:
            reason = f"also the Secret of {seen[secret]}: the server would take one for the other"
            yield Fault(("users", place, "secret"), reason, "give each user a Secret of its own", secret)
        elif user.enabled:
            seen[secret] = f"user '{user.name}'"
        if user.name in ("admin", "encryption", "anonymous"):
            fix = "give it another name"
            yield Fault(("users", place, "name"), "a name that the store uses itself", fix, user.name)
        for at, bucket in enumerate(user.buckets):
            if bucket not in known:
                fix = suggestion(bucket, known, f"known are {', '.join(known) or 'none'}")
                yield Fault(("users", place, "buckets", at), "no bucket has that name", fix, bucket)


# --- where it runs


def faults_of(self: "ObjectStoreConfig", estate: Estate) -> Iterator[Fault]:
    """Yield what is wrong with it where it is to run; steps begin at the component."""
    yield from judged(
        _runs_somewhere(self, estate),
        faults_of_places(self, estate),
        _jobs_have_an_image(self, estate),
        _all_follow(self, estate),
        _leader_is_reached(self, estate),
    )


def _runs_somewhere(self: "ObjectStoreConfig", estate: Estate) -> Iterator[Fault]:
    if self.regions != "all" and not home_regions(self, estate):
        reason, fix = "names no region that is enabled", "name one, or use enabled: false"
        yield Fault(("regions",), reason, fix, self.regions)


def _jobs_have_an_image(self: "ObjectStoreConfig", estate: Estate) -> Iterator[Fault]:
    jobs = self.provider == SELF_HOSTED or any(each.enabled for each in self.buckets)
    if jobs and estate.tools_image is None:
        what = "who may log in is written down" if self.provider == SELF_HOSTED else "buckets are set up"
        yield Fault((), f"needs tools_image, with which {what}", "add tools_image to the file")


def _all_follow(self: "ObjectStoreConfig", estate: Estate) -> Iterator[Fault]:
    if self.regions != "all" or len(home_regions(self, estate)) < 2:
        return
    row = capabilities_of(self.provider)["replication"]
    if not row.can:
        reason = f"{self.provider} cannot {matrix().features['replication']}: {row.why} ({row.source})"
        yield Fault(("regions",), reason, "name one region", "all")
    elif self.provider == "aws":
        yield Fault(("regions",), "does not say which region takes writes", "name two regions, that one first", "all")


def _leader_is_reached(self: "ObjectStoreConfig", estate: Estate) -> Iterator[Fault]:
    if self.provider != SELF_HOSTED or len(home_regions(self, estate)) < 2:
        return
    if self.endpoint is None:
        fix = "add endpoint: <name>.{region}.<domain>, and expose: {type: LoadBalancer, internal: true}"
        yield Fault((), "lacks 'endpoint', at which the other regions follow the first", fix)
    elif "{region}" not in self.endpoint and "{cluster}" not in self.endpoint:
        fix = "write {region} where they differ: <name>.{region}.<domain>"
        yield Fault(("endpoint",), "one name for several regions, each of which has a store", fix, self.endpoint)
    missing = [name for name in FOLLOWED if self.expose is None or name not in self.expose.ports]
    if missing and self.expose is not None:
        reason = f"closes port {missing[0]}, by which the other regions follow the first"
        fix = "name s3, filer and filer-grpc, or leave ports out and list the regions"
        yield Fault(("expose", "ports"), reason, fix, self.expose.ports)
