"""What a bucket is told over the S3 API, one document for each of its settings.

Source: Amazon S3 API Reference, ``PutBucketVersioning``, ``PutBucketLifecycleConfiguration``, ``PutBucketCors``,
``PutBucketPolicy``, ``PutBucketEncryption``, ``PutPublicAccessBlock``, ``PutObjectLockConfiguration``,
``PutBucketReplication``.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from aether_deploy.infrastructure.object_store.capabilities import capabilities_of

if TYPE_CHECKING:
    from aether_deploy.infrastructure.object_store.parts import CorsRule, ObjectBucket, ObjectLifecycle

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


_FEATURES: dict[str, tuple[str, ...]] = {
    "versioning": ("versioning",),
    "lifecycle": ("lifecycle_expiration", "lifecycle_noncurrent", "lifecycle_abort", "lifecycle_transition"),
    "cors": ("cors",),
    "policy": ("public_prefix",),
}
"""Settings that are taken away where nothing is said of them, each with the features of the table that it needs."""


ABORT_DAYS = {"r2": 7}
"""After how many days a provider clears away unfinished uploads: its new buckets have a rule for it, which the first
rules of ours would take away. Source: Cloudflare R2, Object lifecycles."""

# What Amazon blocks on each new bucket since April 2023 but for what a policy opens, as public_prefixes do.
_OPENED = {"BlockPublicAcls": "true", "IgnorePublicAcls": "true", "BlockPublicPolicy": "false",
           "RestrictPublicBuckets": "false"}  # fmt: skip


def documents_of(
    bucket: "ObjectBucket",
    *,
    name: str,
    provider: str,
    replica: tuple[str, str] | None = None,
    partition: str = "aws",
) -> dict[str, str]:
    """Return the settings of a bucket, each by the word of the API for it; empty text wants it not to be there.

    Args:
        bucket: The bucket.
        name: What it is called where it is set up.
        provider: Whose it is: what that cannot do at all is not asked about.
        replica: Role and name of the bucket that it is copied to by its provider.
        partition: Amazon's partition, which names of buckets hold; all other stores say ``aws``, too.
    """
    able = capabilities_of(provider)
    settings = _settings(bucket, name, provider, replica, partition)
    known = {word: any(able[each].can for each in features) for word, features in _FEATURES.items()}
    return {word: text for word, text in settings.items() if text or known.get(word, True)}


def _settings(
    bucket: "ObjectBucket", name: str, provider: str, replica: tuple[str, str] | None, partition: str
) -> dict[str, str]:
    found = {
        "versioning": _root("VersioningConfiguration", _tag("Status", "Enabled")) if bucket.versioning else "",
        "lifecycle": _lifecycle(bucket.lifecycle, ABORT_DAYS.get(provider)),
        "cors": _cors([each for each in bucket.cors if each.enabled]),
    }
    if bucket.block_public_access or (bucket.public_prefixes and provider == "aws"):
        # Before the policy, which it would refuse.
        flags = dict.fromkeys(_OPENED, "true") if bucket.block_public_access else _OPENED
        tags = (_tag(each, value) for each, value in flags.items())
        found["publicAccessBlock"] = _root("PublicAccessBlockConfiguration", *tags)
    found["policy"] = policy_text(name, bucket.public_prefixes, partition)
    if bucket.encryption is not None:
        default = _tag("ApplyServerSideEncryptionByDefault", _tag("SSEAlgorithm", "AES256"))
        found["encryption"] = _root("ServerSideEncryptionConfiguration", _tag("Rule", default))
    if bucket.object_lock is not None:
        lock = bucket.object_lock
        retention = _tag("DefaultRetention", _tag("Mode", lock.mode.upper()), _tag("Days", lock.days))
        enabled = _tag("ObjectLockEnabled", "Enabled")
        found["object-lock"] = _root("ObjectLockConfiguration", enabled, _tag("Rule", retention))
    if replica is not None:
        found["replication"] = _replication(*replica, partition)
    return found


def policy_text(name: str, prefixes: Iterable[str], partition: str = "aws") -> str:
    """Return the policy that lets anybody read below ``prefixes`` of a bucket; empty where there are none."""
    resources = [f"arn:{partition}:s3:::{name}/{each}*" for each in prefixes]
    if not resources:
        return ""
    statement = {
        "Sid": "AetherPublicRead",
        "Effect": "Allow",
        "Principal": "*",
        "Action": ["s3:GetObject"],
        "Resource": resources,
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, sort_keys=True)


def _lifecycle(lifecycle: "ObjectLifecycle | None", abort_days: int | None) -> str:
    rules = [] if lifecycle is None else list(_lifecycle_rules(lifecycle))
    if abort_days is not None and (lifecycle is None or lifecycle.abort_upload_days is None):
        rules.append(_abort_rule(abort_days))
    return _root("LifecycleConfiguration", *rules) if rules else ""


def _lifecycle_rules(lifecycle: "ObjectLifecycle") -> Iterator[str]:
    if lifecycle.noncurrent_days is not None:
        yield _rule(
            "noncurrent",
            "",
            _tag("NoncurrentVersionExpiration", _tag("NoncurrentDays", lifecycle.noncurrent_days)),
        )
    if lifecycle.abort_upload_days is not None:
        yield _abort_rule(lifecycle.abort_upload_days)
    for expiry in lifecycle.expiries:
        if expiry.enabled:
            yield _rule(f"expiry-{expiry.name}", expiry.prefix or "", _tag("Expiration", _tag("Days", expiry.days)))
    for move in lifecycle.transitions:
        if move.enabled:
            body = _tag("Transition", _tag("Days", move.days), _tag("StorageClass", move.storage_class))
            yield _rule(f"transition-{move.name}", move.prefix or "", body)


def _abort_rule(days: int) -> str:
    return _rule("unfinished", "", _tag("AbortIncompleteMultipartUpload", _tag("DaysAfterInitiation", days)))


def _rule(name: str, prefix: str, body: str) -> str:
    where = _tag("Filter", _tag("Prefix", prefix))
    return _tag("Rule", _tag("ID", name), where, _tag("Status", "Enabled"), body)


def _cors(rules: "Sequence[CorsRule]") -> str:
    return _root("CORSConfiguration", *(_cors_rule(each) for each in rules)) if rules else ""


def _cors_rule(rule: "CorsRule") -> str:
    return _tag(
        "CORSRule",
        _tag("ID", rule.name),
        *(_tag("AllowedHeader", each) for each in rule.headers),
        *(_tag("AllowedMethod", each) for each in rule.methods),
        *(_tag("AllowedOrigin", each) for each in rule.origins),
        *(_tag("ExposeHeader", each) for each in rule.expose_headers),
        _tag("MaxAgeSeconds", rule.max_age_secs),
    )


def _replication(role: str, to: str, partition: str) -> str:
    return _root(
        "ReplicationConfiguration",
        _tag("Role", role),
        _tag(
            "Rule",
            _tag("ID", "aether"),
            _tag("Priority", 1),
            _tag("Status", "Enabled"),
            _tag("Filter", _tag("Prefix", "")),
            # A deletion that was copied would take the last copy along.
            _tag("DeleteMarkerReplication", _tag("Status", "Disabled")),
            _tag("Destination", _tag("Bucket", f"arn:{partition}:s3:::{to}")),
        ),
    )


def _root(name: str, *inner: str) -> str:
    return f'<{name} xmlns="{_NAMESPACE}">{"".join(inner)}</{name}>'


def _tag(name: str, *inner: object) -> str:
    texts = (each if isinstance(each, str) and each.startswith("<") else _escaped(str(each)) for each in inner)
    return f"<{name}>{''.join(texts)}</{name}>"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
