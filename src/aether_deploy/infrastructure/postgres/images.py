"""Images that PostgreSQL with Patroni comes in: who their processes are, what they write, how they are started."""

import re
from collections.abc import Mapping

from aether_deploy.infrastructure.postgres.settings import ImageKind

IDENTITIES: Mapping[str, Mapping[str, int]] = {
    "spilo": {"run_as_user": 101, "run_as_group": 103, "fs_group": 103},
    "patroni": {"run_as_user": 999, "run_as_group": 999, "fs_group": 999},
}
"""User ``postgres`` of each kind of image: of Spilo, and of the official images that Patroni's own are built on."""


def kind_of_image(image: object) -> ImageKind:
    """Return what kind of image a reference names: Spilo's are called ``spilo-<version>``."""
    return "spilo" if _name(image).split("-")[0] == "spilo" else "patroni"


def newest_version(image: str | None) -> int | None:
    """Return the newest PostgreSQL of an image, as far as its name tells: ``spilo-<N>`` has N and some before it.

    Source: zalando/spilo, ``postgres-appliance/Dockerfile``: ``PGVERSION`` and ``PGOLDVERSIONS``; N from 14 on has all
    back to 14.
    """
    number = re.fullmatch("spilo-([0-9]{1,3})", _name(image), re.ASCII)
    return int(number[1]) if number else None


def _name(image: object) -> str:
    return re.split(r"[:@]", str(image).rpartition("/")[2])[0]
