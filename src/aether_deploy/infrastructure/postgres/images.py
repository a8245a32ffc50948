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
    last = re.split(r"[:@]", str(image).rpartition("/")[2])[0]
    return "spilo" if last.split("-")[0] == "spilo" else "patroni"
