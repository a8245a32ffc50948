"""How long a failover takes, and what follows from it for the pods."""

from math import ceil

from aether_deploy.timespan import TimeSpan

FACTORS = (1.0, 2.0)
"""Shortest and longest failover, in node timeouts.

A peer is doubted when it has not answered for one timeout, and it is asked at least every half of one; most primaries
must doubt it, and each tells every other of its doubts at least every half of one, too. The best replica asks for votes
at once. Measured on 9.1.2 after SIGKILL: 1.2 to 1.9 timeouts of 1 s, 1.1 to 1.97 of 2 s, 1.2 to 1.7 of 5 s; after
SIGSTOP 1.4 to 1.6.
"""

_CLIENT_SECS = 0.2
"""Votes, and clients that look for the new primary."""

SHUTDOWN_SECS = 10
"""How long a primary that is told to end waits for its replicas (``shutdown-timeout``)."""

HANDOVER = TimeSpan(0.0, 0.3, 1.1)
"""Gap for clients when a primary is told to end and hands over; measured on 9.1.2 in 8 of 9 trials."""

_MARGIN_SECS = 5


def failover_secs(node_timeout_ms: int) -> TimeSpan:
    """Return how long a shard takes no writes after its primary is gone without a word."""
    timeout = node_timeout_ms / 1000
    best, worst = (factor * timeout for factor in FACTORS)
    return TimeSpan(best, (best + worst + _CLIENT_SECS) / 2, worst + _CLIENT_SECS)


def return_pause_secs(node_timeout_ms: int) -> int:
    """Return how long a primary that starts again stays away, whole seconds: longer than its replica needs.

    It comes back empty. Before its replica has taken over it would still be primary, and the replica would throw away
    what it has to be as empty.
    """
    return ceil(failover_secs(node_timeout_ms).worst) + 1


def grace_secs(node_timeout_ms: int) -> int:
    """Return how long a pod has to end: longer than handing over may take, and than a failover without it."""
    return SHUTDOWN_SECS + ceil(failover_secs(node_timeout_ms).worst) + _MARGIN_SECS
