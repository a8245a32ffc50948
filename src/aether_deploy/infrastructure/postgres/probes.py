"""How the kubelet asks Patroni, and what it makes of the answers.

*Liveness* is ``/liveness``: Patroni's loop turns. It says nothing of PostgreSQL or of the store, so an outage of the
API server restarts nobody. A Patroni that hangs while its PostgreSQL takes writes is the one way to two primaries, and
a pod has no watchdog; so the container is killed at once, without the minutes that a regular stop gets.

*Readiness* is ``/readiness``: the leader, or a replica that streams and is not behind. A rolling update goes on only
when the member before it is again one that could take over. But no replica streams while nobody leads, and a budget
lets pods go that are not ready: just then drains could take them all. So a member may answer no for as long as a
failover takes before it counts as not ready; one that starts is ready at its first yes.
"""

from typing import Any

from aether_deploy.failover.policy import FailoverPolicy

PERIOD_SECS = 10
TIMEOUT_SECS = 5
_HUNG_GRACE_SECS = 10
_STARTING_SECS = 300
_REJOIN_SECS = 12
"""Race, promotion, and the replicas' way to the new leader: measured up to 11.6 s."""


def readiness_failures(policy: FailoverPolicy) -> int:
    """Return how many times in a row a member may answer no: longer than a failover takes."""
    longest = policy.ttl + 2 * policy.loop_wait + _REJOIN_SECS
    return -(-longest // PERIOD_SECS)


def probes(policy: FailoverPolicy, port: str) -> dict[str, Any]:
    """Return the probes of a container whose Patroni answers at ``port``."""
    timing = {"periodSeconds": PERIOD_SECS, "timeoutSeconds": TIMEOUT_SECS}
    alive = {"httpGet": {"path": "/liveness", "port": port}}
    return {
        "livenessProbe": {
            **alive,
            **timing,
            "failureThreshold": 3,
            "terminationGracePeriodSeconds": _HUNG_GRACE_SECS,
        },
        "readinessProbe": {
            "httpGet": {"path": "/readiness", "port": port},
            **timing,
            "failureThreshold": readiness_failures(policy),
        },
        "startupProbe": {
            **alive,
            "periodSeconds": 5,
            "timeoutSeconds": TIMEOUT_SECS,
            "failureThreshold": _STARTING_SECS // 5,
        },
    }
