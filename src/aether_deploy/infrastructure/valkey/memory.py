"""How much of its memory a node may fill."""

from typing import Any

from aether_deploy.quantities import QuantityError, bytes_of

MEMORY_PERCENT_MIN, MEMORY_PERCENT_MAX = 60, 75
"""What ``maxmemory`` may be of the container's limit.

The rest is for connections, for what replicas have not read yet, and for pages that change while a copy is made.
"""

MACHINE_MAX_GB = 32_768
"""The memory of the largest machines that can be rented, GiB: ``u7inh-32tb``, Amazon EC2 instance types."""

_MEBI = 2**20


def limit_for(maxmemory: Any) -> str | None:
    """Return a limit of which ``maxmemory`` is two thirds, whole mebibytes; None where it is no size."""
    try:
        size = bytes_of(maxmemory) if isinstance(maxmemory, str) else int(maxmemory)
    except (QuantityError, TypeError, ValueError):
        return None
    return size_text(-(-size * 3 // 2 // _MEBI) * _MEBI) if size > 0 else None


def percent_of_limit(maxmemory: str, limit: str) -> float:
    """Return what share of its limit a node may fill, percent."""
    return 100 * bytes_of(maxmemory) / bytes_of(limit)


def size_text(size: int) -> str:
    """Return bytes as a quantity: whole gibibytes where they are, else whole mebibytes, rounded down."""
    mebis = size // _MEBI
    return f"{mebis // 1024}Gi" if mebis % 1024 == 0 and mebis else f"{mebis}Mi"
