"""Whether a region is healthy, from one probe to the next.

``unknown`` until the first answer. ``fall`` silences in a row, or one answer that says "not ready", make a region
unhealthy; ``rise`` answers in a row make it healthy again. The first success of an unknown region is enough: a router
that has just started has no reason to doubt it.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from aether_deploy.routing.policy import HealthPolicy
from aether_deploy.routing.view import Health

ProbeOutcome = Literal["ready", "not_ready", "timeout", "refused"]
SILENCES: frozenset[ProbeOutcome] = frozenset({"timeout", "refused"})
Scheme = Literal["http", "https", "tcp"]
READY_STATUSES = range(200, 400)
"""Answers that say "ready": those that the kubelet takes for it. A redirect is not followed."""
_ROUND_TRIPS: Mapping[Scheme, int] = {"tcp": 1, "http": 2, "https": 3}
PROBE_SLACK_MS = 50
"""What a probe takes beside its round trips: a region answers, and packets wait in queues."""
SPREAD = 0.1
"""By how much of an interval the pause between two probes varies, up and down: regions are not asked at once, and
routers do not keep in step (R8)."""
JITTER = 1 + SPREAD
"""The longest pause between two probes, in intervals."""


class HealthCount(msgspec.Struct, frozen=True):
    """What probes say of one region, and how many in a row say otherwise.

    Attributes:
        state: What they say.
        streak: Outcomes in a row that speak against it: silences of a region that is not unhealthy, successes of one
            that is.
    """

    state: Health = "unknown"
    streak: int = 0

    def after(self, outcome: ProbeOutcome, policy: HealthPolicy) -> "HealthCount":
        """Return what is known after one more probe.

        Rule:
            R8: 1 success from unknown, ``fall`` silences or 1 explicit "not ready" to unhealthy, ``rise`` back.
        """
        if outcome == "not_ready":
            return _UNHEALTHY
        if outcome == "ready":
            if self.state != "unhealthy" or self.streak + 1 >= policy.rise:
                return _HEALTHY
            return HealthCount("unhealthy", self.streak + 1)
        if self.state == "unhealthy" or self.streak + 1 >= policy.fall:
            return _UNHEALTHY
        return HealthCount(self.state, self.streak + 1)

    def recounted(self) -> "HealthCount":
        """Return the same health, with nothing counted against it."""
        return HealthCount(self.state)


_UNHEALTHY = HealthCount("unhealthy")
_HEALTHY = HealthCount("healthy")


def probe_round_trips(scheme: Scheme) -> int:
    """Return how often a probe goes to the region and back: each is a new connection.

    Rule:
        One for TCP's handshake (RFC 9293), one for that of TLS 1.3 (RFC 8446), one for question and answer.
    """
    return _ROUND_TRIPS[scheme]


def probe_needs_ms(scheme: Scheme, round_trip_ms: float) -> float:
    """Return the least ``timeout_ms`` with which a region so far away is ever found healthy, milliseconds."""
    return probe_round_trips(scheme) * round_trip_ms + PROBE_SLACK_MS


def detection_secs(policy: HealthPolicy) -> float:
    """Return the longest time from a region's silence to ``unhealthy``, seconds.

    It may fall silent right after a probe; then ``fall`` probes must run out, and the last one takes its timeout. Two
    probes of one region never run at once.
    """
    return (policy.fall * _pause_ms(policy) + policy.timeout_ms) / 1000


def recovery_secs(policy: HealthPolicy) -> float:
    """Return the longest time from a region's first good answer to ``healthy``, seconds."""
    return (policy.rise * _pause_ms(policy) + policy.timeout_ms) / 1000


def _pause_ms(policy: HealthPolicy) -> float:
    return max(policy.interval_ms * JITTER, policy.timeout_ms)
