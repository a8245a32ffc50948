"""Where players are: spread evenly, or as they were measured, and who loses the pod."""

from collections.abc import Sequence


def displaced_evenly(players: int, running: int, staying: int) -> int:
    """Return how many players are on pods that go, where all are spread as evenly as may be.

    The pods with one player more are those with the lowest ordinals, and the highest ordinals go.

    Example:
        >>> displaced_evenly(players=7, running=3, staying=1)
        4
    """
    if staying >= running:
        return 0
    each, more = divmod(players, running)
    return players - each * staying - min(more, staying)


def occupied_floor_evenly(players: int, running: int) -> int:
    """Return the highest ordinal with a player plus one, where all are spread as evenly as may be."""
    return min(players, running)


def place_on_running(row: Sequence[int | None], running: int) -> list[int | None]:
    """Return the players of each running pod from a row that was measured on any number of pods.

    Players of pods that do not run are spread evenly over those that do, lowest ordinals first; pods that were
    not measured have no others. None, a pod that gave no sample, stays None.
    """
    placed = list(row[:running])
    placed += [0] * (running - len(placed))
    astray = sum(each for each in row[running:] if each)
    homes = [place for place, each in enumerate(placed) if each is not None] if astray else []
    if not homes:
        return placed
    share, more = divmod(astray, len(homes))
    for number, place in enumerate(homes):
        placed[place] = (placed[place] or 0) + share + (number < more)
    return placed
