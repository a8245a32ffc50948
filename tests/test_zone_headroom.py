"""Zone loss: the smallest count that survives it, judged against every placement that can be reached."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aether_deploy.simulation.zone_headroom import ZoneHeadroom, most_in_one_zone, zone_loss_min_replicas

NOWHERE = -1
Placed = tuple[int, ...]
"""The zone of each ordinal that exists, or NOWHERE while it waits."""

Volumes = tuple[int, ...]
"""The zone of each ordinal that ever ran."""

# --- the model: pods come and go one at a time, in any order; nothing here knows the formula


def allowed(placed: Placed, zones: int, gone: int = NOWHERE) -> Iterator[int]:
    """Zones that a pod may go to under strict spread with a skew of 1, ``gone`` having no nodes."""
    counts = {zone: placed.count(zone) for zone in range(zones) if zone != gone}
    return (zone for zone, count in counts.items() if count == min(counts.values()))


def moves(placed: Placed, zones: int, least: int, most: int) -> Iterator[Placed]:
    """Everything that can happen next: a pod is placed, evicted or added; the highest ordinal is removed."""
    for ordinal, at in enumerate(placed):
        choices = allowed(placed, zones) if at == NOWHERE else [NOWHERE]
        for zone in choices:
            yield (*placed[:ordinal], zone, *placed[ordinal + 1 :])
    if len(placed) < most:
        yield (*placed, NOWHERE)
    if len(placed) > least:
        yield placed[:-1]


def reached(start: Placed, after: Callable[[Placed], Iterator[Placed]]) -> set[Placed]:
    """Every placement that can be reached, those with waiting pods included."""
    seen, left = {start}, [start]
    while left:
        for each in after(left.pop()):
            if each not in seen:
                seen.add(each)
                left.append(each)
    return seen


def worst(states: set[Placed], replicas: int, zones: int) -> int:
    """Most pods in one zone among the states where ``replicas`` pods are wanted and all run."""
    full = [each for each in states if len(each) == replicas and NOWHERE not in each]
    return max(each.count(zone) for each in full for zone in range(zones))


SMALL = [(zones, least, most) for zones in (2, 3, 4) for most in range(1, 7) for least in range(1, most + 1)]


@pytest.mark.parametrize(("zones", "least", "most"), SMALL)
def test_no_reachable_placement_has_more_in_one_zone_and_one_has_as_many(zones: int, least: int, most: int) -> None:
    states = reached((NOWHERE,) * least, lambda placed: moves(placed, zones, least, most))

    assert worst(states, least, zones) == most_in_one_zone(least, zones, most)


@pytest.mark.parametrize("zones", [2, 3, 4])
@pytest.mark.parametrize("most", range(1, 8))
def test_the_answer_survives_any_history_and_one_pod_less_does_not(zones: int, most: int) -> None:
    for needed in range(1, most + 1):
        answer = zone_loss_min_replicas(needed * 10, 10, zones, True, max_replicas=most)
        survives = [n for n in range(1, most + 1) if n - most_in_one_zone(n, zones, most) >= needed]

        assert answer.min_replicas == (survives[0] if survives else None)


@pytest.mark.parametrize("zones", [2, 3, 5])
def test_a_count_that_never_changes_needs_one_zone_more_than_the_players(zones: int) -> None:
    for needed in range(1, 60):
        answer = zone_loss_min_replicas(needed, 1, zones, True)
        smallest = next(n for n in range(1, 200) if n - -(-n // zones) >= needed)

        assert (answer.min_replicas, answer.lost) == (smallest, -(-smallest // zones))


# --- pinned volumes


def pinned_moves(state: tuple[Placed, Volumes], zones: int, least: int, most: int) -> Iterator[tuple[Placed, Volumes]]:
    """As ``moves``; but a pod that ever ran only goes back to where its volume is."""
    placed, volumes = state
    for ordinal, at in enumerate(placed):
        choices: list[int] = [NOWHERE]
        if at == NOWHERE:
            choices = [zone for zone in allowed(placed, zones) if volumes[ordinal] in (NOWHERE, zone)]
        for zone in choices:
            kept = volumes if zone == NOWHERE else (*volumes[:ordinal], zone, *volumes[ordinal + 1 :])
            yield (*placed[:ordinal], zone, *placed[ordinal + 1 :]), kept
    if len(placed) < most:
        yield (*placed, NOWHERE), volumes
    if len(placed) > least:
        yield placed[:-1], volumes


def pinned_reached(
    starts: set[tuple[Placed, Volumes]], zones: int, least: int, most: int
) -> set[tuple[Placed, Volumes]]:
    seen, left = set(starts), list(starts)
    while left:
        for each in pinned_moves(left.pop(), zones, least, most):
            if each not in seen:
                seen.add(each)
                left.append(each)
    return seen


@pytest.mark.parametrize(("zones", "least", "most"), [(2, 2, 4), (2, 3, 5), (2, 4, 5), (3, 3, 5), (3, 4, 5), (3, 2, 5)])
def test_pinned_volumes_keep_the_placement_of_their_first_day(zones: int, least: int, most: int) -> None:
    first = pinned_reached({((NOWHERE,) * least, (NOWHERE,) * most)}, zones, least, least)
    all_ran = {state for state in first if NOWHERE not in state[0]}
    placements = {placed for placed, _ in pinned_reached(all_ran, zones, least, most)}

    assert worst(placements, least, zones) == most_in_one_zone(least, zones, least)


def test_growing_before_all_of_the_first_pods_ran_breaks_that() -> None:
    states = pinned_reached({((NOWHERE,) * 4, (NOWHERE,) * 5)}, 2, 4, 5)

    assert worst({placed for placed, _ in states}, 4, 2) == most_in_one_zone(4, 2, 5) == 3


def test_a_volume_can_make_the_spread_impossible() -> None:
    waiting = ((NOWHERE, 1, 0, 0), (0, 1, 0, 0))

    states = pinned_reached({((NOWHERE,) * 4, (NOWHERE,) * 4)}, 2, 4, 4)

    assert waiting in states
    assert all(NOWHERE in placed for placed, _ in pinned_moves(waiting, 2, 4, 4))


# --- a zone that comes back


def losing_moves(state: tuple[Placed, int], zones: int, least: int, most: int) -> Iterator[tuple[Placed, int]]:
    """As ``moves``, and a zone is lost with its pods, or is back."""
    placed, gone = state
    for ordinal, at in enumerate(placed):
        choices = allowed(placed, zones, gone) if at == NOWHERE else [NOWHERE]
        for zone in choices:
            yield (*placed[:ordinal], zone, *placed[ordinal + 1 :]), gone
    if len(placed) < most:
        yield (*placed, NOWHERE), gone
    if len(placed) > least:
        yield placed[:-1], gone
    if gone != NOWHERE:
        yield placed, NOWHERE
    else:
        for zone in range(zones):
            yield tuple(NOWHERE if at == zone else at for at in placed), zone


@pytest.mark.parametrize(("zones", "least", "most"), [(2, 2, 3), (3, 2, 4), (3, 3, 5), (4, 3, 5), (3, 5, 5)])
def test_after_a_zone_came_back_one_zone_may_hold_more(zones: int, least: int, most: int) -> None:
    start = ((NOWHERE,) * least, NOWHERE)
    seen, left = {start}, [start]
    while left:
        for each in losing_moves(left.pop(), zones, least, most):
            if each not in seen:
                seen.add(each)
                left.append(each)
    placements = {placed for placed, _ in seen}

    assert worst(placements, least, zones) == most_in_one_zone(least, zones - 1, most)


def test_surviving_every_loss_costs_more_than_surviving_the_first() -> None:
    answer = zone_loss_min_replicas(300, 50, 3, True, max_replicas=20)

    assert (answer.min_replicas, answer.repeated) == (13, 16)


def test_two_zones_survive_no_second_loss() -> None:
    assert zone_loss_min_replicas(300, 50, 2, True, max_replicas=20).repeated is None


# --- what it says


def test_the_reckoning_is_told() -> None:
    assert zone_loss_min_replicas(300, 50, 3, True, max_replicas=20) == ZoneHeadroom(
        needed=6,
        min_replicas=13,
        lost=7,
        repeated=16,
        why="6 pods are needed; of 13 pods, placed among at most 20 in 3 zones, one zone holds at most 7, and 6 stay",
        conditions=(
            "all pods run when the zone is lost",
            "every zone has a node that takes the pods whenever one is placed: zones without one do not count as zones",
            "players of lost pods are spread over the others",
            "after a loss pods are not moved back by themselves: restart them, or run 'repeated' pods",
        ),
    )


def test_pinned_volumes_tell_what_they_rest_on() -> None:
    answer = zone_loss_min_replicas(300, 50, 3, True, max_replicas=20, pinned=True)

    assert (answer.min_replicas, answer.lost, answer.repeated) == (9, 3, 9)
    assert answer.conditions[-2:] == (
        "the first 9 pods all run at a time before the count first rises above 9; otherwise 13 pods are needed",
        "a pod of the lost zone stays Pending until the zone is back; so does one whose volume would break the spread",
    )


NO_GUARANTEE = {
    "one zone": ((300, 50, 1, True), {}, "there is one zone: its loss leaves no pod"),
    "soft spread": (
        (300, 50, 3, False),
        {},
        "soft spread (ScheduleAnyway) only scores nodes: all pods may stand in one zone, and no count helps; "
        "set topology.strict: true",
    ),
    "a maximum that is too low": (
        (300, 50, 3, True),
        {"max_replicas": 8},
        "6 pods are needed, and no count up to 8 keeps them when a zone is lost: max_replicas of 9 is the least "
        "that can",
    ),
}


@pytest.mark.parametrize("case", NO_GUARANTEE)
def test_there_is_no_guarantee_with(case: str) -> None:
    given_values, more, why = NO_GUARANTEE[case]

    answer = zone_loss_min_replicas(*given_values, **more)  # type: ignore[arg-type]

    assert (answer.min_replicas, answer.lost, answer.repeated, answer.why) == (None, 0, None, why)


@given(st.integers(0, 5000), st.integers(1, 300), st.integers(2, 6), st.integers(1, 400), st.booleans())
def test_the_players_fit_on_what_stays(players: int, target: int, zones: int, most: int, pinned: bool) -> None:
    answer = zone_loss_min_replicas(players, target, zones, True, max_replicas=most, pinned=pinned)

    if answer.min_replicas is not None:
        assert 1 <= answer.min_replicas <= most
        assert (answer.min_replicas - answer.lost) * target >= players
    if answer.repeated is not None:
        assert answer.min_replicas is not None
        assert answer.repeated >= answer.min_replicas


@pytest.mark.parametrize("wrong", [(-1, 50, 3), (1, 0, 3), (1, 50, 0)])
def test_numbers_that_make_no_sense_are_refused(wrong: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="cannot be negative"):
        zone_loss_min_replicas(*wrong, True)
