"""Edges of every shape, and the store that they fetch from."""

from collections.abc import Mapping, Sequence
from typing import Any

_IMAGE = "nginx:1.31.3@sha256:8ef867e9d29ded8bad51d4adda21e728bc0614199ad70ddd0c17560ee1fd4648"
_CLASSES: Sequence[Mapping[str, Any]] = (
    {"name": "hashed", "match": "/public/build/", "ttl_secs": 31536000, "immutable": True},
    {
        "name": "index",
        "match": "/public/index/",
        "ttl_secs": 10,
        "stale_while_revalidate_secs": 60,
        "stale_if_error_secs": 86400,
    },
)

COMPANIONS: Sequence[Mapping[str, Any]] = (
    {
        "name": "origin-store",
        "kind": "object_store",
        "image": "chrislusf/seaweedfs:4.48@sha256:596a8db52acf13ae5df676dc64255a063665ea8705fda36b4aed4c246fbcca0b",
        "regions": ["us-east-1", "eu-west-1"],
        "pvc": {"size": "50Gi"},
        "expose": {"type": "LoadBalancer", "internal": True},
        "endpoint": "origin.{region}.example.com",
        "network": {"allow_from": ["10.0.0.0/8"]},
        "buckets": [
            {
                "name": "game-assets",
                "public_prefixes": ["public/"],
                "cors": [{"name": "web", "origins": ["https://play.example.com"]}],
            }
        ],
    },
    {
        "name": "origin-s3",
        "kind": "object_store",
        "provider": "aws",
        "regions": ["us-east-1", "eu-west-1"],
        "replication_role": "arn:aws:iam::123456789012:role/origin-replication",
        "buckets": [
            {
                "name": "game-assets",
                "versioning": True,
                "lifecycle": {"noncurrent_days": 30},
                "public_prefixes": ["public/"],
                "cors": [{"name": "web", "origins": ["https://play.example.com", "https://*.example.org"]}],
            }
        ],
    },
)

EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "shielded": {
        "name": "cdn",
        "image": _IMAGE,
        "origin": "origin-store/game-assets",
        "hostname": "cdn.example.com",
        "network": {"allow_from": ["198.51.100.0/24"]},
        "shield": "us-east-1",
        "cache_size": "50Gi",
        "cache_classes": [dict(each) for each in _CLASSES],
    },
    "encrypted": {
        "name": "cdn",
        "image": _IMAGE,
        "regions": ["us-east-1", "eu-west-1"],
        "origin": "origin-store/game-assets",
        "hostname": "cdn.example.com",
        "network": {"allow_from": ["198.51.100.0/24"]},
        "tls": {"secret": "cdn-tls"},
        "endpoint": "cdn.{region}.example.com",
        "cache_classes": [dict(_CLASSES[0])],
    },
    "cloudfront": {
        "name": "cdn",
        "backend": "cloudfront",
        "origin": "origin-s3/game-assets",
        "hostname": "cdn.example.com",
        "shield": "us-east-1",
        "cloudfront": {
            "certificate_arn": "arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012"
        },
        "cache_classes": [dict(each) for each in _CLASSES],
    },
    "cloudflare": {
        "name": "cdn",
        "backend": "cloudflare",
        "origin": "origin-s3/game-assets",
        "hostname": "cdn.example.com",
        "cloudflare": {"zone": "example.com"},
        "cache_classes": [dict(each) for each in _CLASSES],
    },
}
