"""Object stores of every shape: of one's own in two regions, and of a provider."""

from collections.abc import Mapping
from typing import Any

_IMAGE = "chrislusf/seaweedfs:4.48@sha256:596a8db52acf13ae5df676dc64255a063665ea8705fda36b4aed4c246fbcca0b"
_BUCKET: Mapping[str, Any] = {
    "name": "game-assets",
    "versioning": True,
    "public_prefixes": ["public/"],
    "lifecycle": {"noncurrent_days": 30, "abort_upload_days": 7},
    "cors": [{"name": "web", "origins": ["https://play.example.com"], "methods": ["GET", "HEAD"]}],
}

EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "two-regions": {
        "name": "assets",
        "provider": "seaweedfs",
        "image": _IMAGE,
        "regions": ["us-east-1", "eu-west-1"],
        "pvc": {"size": "500Gi"},
        "expose": {"type": "LoadBalancer", "internal": True},
        "endpoint": "assets.{region}.example.com",
        "network": {"allow_from": ["10.0.0.0/8"], "allow_to": ["10.0.0.0/8"]},
        "buckets": [{**_BUCKET, "encryption": "sse_s3"}, {"name": "replays"}],
        "users": [
            {"name": "game"},
            {"name": "report", "secret": "assets-report", "buckets": ["replays"], "access": "read"},
        ],
    },
    "every-region": {
        "name": "assets",
        "image": _IMAGE,
        "pvc": {"size": "50Gi"},
        "expose": {"type": "LoadBalancer", "internal": True, "ports": ["s3", "filer", "filer-grpc"]},
        "endpoint": "assets.{region}.example.com",
        "network": {"allow_from": ["10.0.0.0/8"]},
        "buckets": [{"name": "game-assets"}],
    },
    "aws": {
        "name": "assets",
        "provider": "aws",
        "regions": ["us-east-1", "eu-west-1"],
        "replication_role": "arn:aws:iam::123456789012:role/assets-replication",
        "buckets": [
            {
                **_BUCKET,
                "lifecycle": {
                    "noncurrent_days": 30,
                    "transitions": [{"name": "cold", "prefix": "builds/", "days": 90, "storage_class": "STANDARD_IA"}],
                },
            },
            {
                "name": "saves",
                "versioning": True,
                "lifecycle": {"noncurrent_days": 90},
                "object_lock": {"days": 30},
                "block_public_access": True,
                "encryption": "sse_s3",
            },
        ],
    },
}
