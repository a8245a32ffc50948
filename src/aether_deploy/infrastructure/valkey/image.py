"""What an image's name tells of the server in it."""

import re

FIRST_MAJOR = 9
"""The first version with ``shutdown-on-sigterm failover`` (Valkey 9.0, release notes)."""


def lacks_handover(image: str) -> bool:
    """Return whether an image is known not to hand over when it is told to end; of a tag in words nothing is known."""
    name, _, tag = image.partition("@")[0].rpartition("/")[2].partition(":")
    version = re.match(r"v?(\d+)(?:[.-]|$)", tag)
    of_redis = name == "redis" or name.startswith("redis-")
    return of_redis or (version is not None and int(version[1]) < FIRST_MAJOR)
