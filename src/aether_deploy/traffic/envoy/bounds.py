"""How soon players are sent elsewhere, and how soon they return: bounds from the times of the health checks.

Envoy waits its interval from the end of one check to the next, so a check that times out costs both. The router
counts from the beginning of a check; its bounds are smaller, and its own.
"""

from typing import Literal

Failure = Literal["silence", "refusal", "not_ready"]


def failover_bound_ms(
    *,
    interval_ms: int,
    timeout_ms: int,
    fall: int,
    failure: Failure = "silence",
    round_trip_ms: float = 0.0,
    dns_ttl_ms: float = 0.0,
) -> float:
    """Return the longest time from a region's failure until new sessions go elsewhere, milliseconds.

    Args:
        interval_ms: From the end of one check to the next.
        timeout_ms: An answer later than this is none.
        fall: Checks in a row without an answer that count.
        failure: ``silence``: nothing answers; ``refusal``: connections are refused; ``not_ready``: an answer says so,
            and one is enough.
        round_trip_ms: To the region; what a refusal or an answer takes.
        dns_ttl_ms: How long clients keep the address of the dead region, where they find it by DNS.
    """
    if failure == "not_ready":
        # A check that is under way when the region falls may still say yes.
        found = interval_ms + min(2 * round_trip_ms, 2.0 * timeout_ms)
    elif failure == "refusal":
        found = fall * (interval_ms + min(round_trip_ms, float(timeout_ms))) + min(round_trip_ms, float(timeout_ms))
    else:
        found = float(fall * (interval_ms + timeout_ms))
    return found + dns_ttl_ms


def return_bound_ms(
    *, interval_ms: int, timeout_ms: int, rise: int, round_trip_ms: float = 0.0, dns_ttl_ms: float = 0.0
) -> float:
    """Return the longest time from a region's recovery until new sessions go there again, milliseconds.

    Args:
        interval_ms: From the end of one check to the next.
        timeout_ms: A check that was sent just before the recovery may still wait as long.
        rise: Answers in a row that count.
        round_trip_ms: To the region; what each answer takes.
        dns_ttl_ms: How long clients keep the address of the other region, where they find it by DNS.
    """
    return timeout_ms + rise * (interval_ms + min(round_trip_ms, float(timeout_ms))) + dns_ttl_ms
