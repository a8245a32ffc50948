"""The order in which regions take a player."""

import math
from collections.abc import Sequence
from typing import Any

from aether_deploy.routing.decision.candidates import CandidateTable, Standing
from aether_deploy.routing.decision.eligibility import LAST_LEVEL


def ranking(table: CandidateTable, standing: Standing, count: int) -> list[int]:
    """Return the places of the first ``count`` regions that may take the player, best first.

    Each is the one that would be chosen if those before it were down. On one rung of the ladder the preferred region
    comes first; then the one that he returns to, while it is little further than the closest; then the closest. One
    who was sent elsewhere stays there, however much further it is than others on its rung, until his preferred region
    is healthy for long enough.

    Rule:
        R2, R3, R7, and R10 for those who stay.
    """
    latencies, means = standing.latencies, standing.means
    levels = list(map(int.bit_length, standing.masks))
    keys: list[Any] = list(zip(levels, latencies) if means is None else zip(levels, latencies, means))  # noqa: B905
    left = sorted(table.places, key=keys.__getitem__)  # of equal ones the first in the file stays the first
    wanted, returning, slack, tie_ms = standing.place, standing.returning, table.slack_ms, table.tie_ms
    held = returning is not None and wanted is not None and wanted != returning and table.held[wanted]
    picked: list[int] = []
    while left and len(picked) < count:
        place = left[0]
        level = levels[place]
        if level > LAST_LEVEL:
            break
        if (
            wanted is not None
            and levels[wanted] == level
            and not (held and returning is not None and levels[returning] == level)
        ):
            place = wanted
        elif (
            returning is not None
            and levels[returning] == level
            and (held or (slack is not None and latencies[returning] <= latencies[place] + slack))
        ):
            place = returning
        elif tie_ms is not None and len(left) > 1 and latencies[left[1]] <= latencies[place] + tie_ms:
            place = _least_loaded(table, standing, levels, left, tie_ms)
        picked.append(place)
        left.remove(place)
        if place == returning:
            returning, held = None, False
        if place == wanted:
            held = table.holds
            wanted = standing.then if place == standing.place else None
    return picked


def _least_loaded(
    table: CandidateTable, standing: Standing, levels: Sequence[int], left: Sequence[int], tie_ms: float
) -> int:
    """Return which of the regions that are as close as the closest has the least load, then stands first in the file.

    What nobody knows is as close as nothing: there the file decides.

    Rule:
        R3.
    """
    closest = left[0]
    loads, latencies, means = table.loads, standing.latencies, standing.means
    if latencies[closest] == math.inf:
        return closest
    limit = latencies[closest] + tie_ms
    mean_limit = math.inf if means is None else means[closest] + tie_ms
    found = closest
    for place in left:
        if levels[place] != levels[closest] or latencies[place] > limit:
            break
        within = means is None or means[place] <= mean_limit
        if within and (loads[place] < loads[found] or (loads[place] == loads[found] and place < found)):
            found = place
    return found
