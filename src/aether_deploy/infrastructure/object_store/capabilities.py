"""What each provider can do, as data with the source of every row; what it cannot is a problem at the field."""

from collections.abc import Mapping
from functools import cache
from typing import Literal

import msgspec

Provider = Literal["aws", "gcs", "r2", "ceph_rgw", "garage", "seaweedfs"]
MATRIX_FILE = "capabilities.json"
"""Beside this module."""


class Capability(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether one provider can do one thing.

    Attributes:
        can: It can, over the S3 API, as our set-up of buckets asks for it.
        source: Who says so.
        why: What keeps it from it; empty where it can.
    """

    can: bool
    source: str
    why: str = ""


class ProviderRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One provider: what says what it can do, and what it can."""

    source: str
    features: dict[str, Capability]


class Matrix(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole table.

    Attributes:
        features: Every thing that a bucket may ask for, in words.
        providers: Every provider with what it can do of that.
    """

    features: dict[str, str]
    providers: dict[str, ProviderRow]


@cache
def matrix() -> Matrix:
    """Return the table of all providers."""
    from importlib.resources import files

    text = files("aether_deploy").joinpath("infrastructure", "object_store", MATRIX_FILE).read_bytes()
    return msgspec.json.decode(text, type=Matrix)


def capabilities_of(provider: str) -> Mapping[str, Capability]:
    """Return what ``provider`` can do, by feature."""
    return matrix().providers[provider].features


def able(feature: str) -> list[str]:
    """Return the providers that can do ``feature``."""
    return [name for name, row in matrix().providers.items() if row.features[feature].can]
