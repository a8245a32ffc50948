"""Probes decide whether a region is healthy, one outcome after another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aether_deploy.routing.policy import HealthPolicy
from aether_deploy.routing.tracking.health import HealthCount, ProbeOutcome, detection_secs, recovery_secs
from aether_deploy.routing.view import Health

POLICY = HealthPolicy()  # fall 3, rise 2
LETTERS: dict[str, ProbeOutcome] = {"+": "ready", "-": "not_ready", "t": "timeout", "r": "refused"}
WORDS: dict[str, Health] = {"?": "unknown", "H": "healthy", "U": "unhealthy"}
outcomes = st.lists(st.sampled_from(list(LETTERS.values())), max_size=30)
policies = st.builds(HealthPolicy, fall=st.integers(1, 5), rise=st.integers(1, 5))

STORIES = {
    "nothing is known at first, and one answer is enough": ("+", "H"),
    "three silences make an unknown region unhealthy": ("ttt", "??U"),
    "silences of either kind count together": ("+trt", "HHHU"),
    "an answer between silences begins the count anew": ("+tt+tt+", "HHHHHHH"),
    "one answer that says no is enough": ("+-", "HU"),
    "one answer that says no is enough at first, too": ("-", "U"),
    "two answers bring it back": ("+-++", "HUUH"),
    "a silence between two answers begins the count anew": ("+-+t+", "HUUUU"),
    "a refusal between two answers begins the count anew": ("+-+-++", "HUUUUH"),
    "a region that was never healthy needs two answers once it is unhealthy": ("ttt++", "??UUH"),
    "after a return three silences are needed again": ("+ttt++tt+ttt", "HHHUUHHHHHHU"),
}


def after(seen: list[ProbeOutcome], policy: HealthPolicy = POLICY) -> list[Health]:
    count, states = HealthCount(), []
    for outcome in seen:
        count = count.after(outcome, policy)
        states.append(count.state)
    return states


@pytest.mark.parametrize("story", STORIES)
def test_probes_tell_the_health(story: str) -> None:
    seen, states = STORIES[story]

    assert after([LETTERS[letter] for letter in seen]) == [WORDS[letter] for letter in states]


def _oracle(seen: list[ProbeOutcome], policy: HealthPolicy) -> Health:
    """Read the rule backwards over the whole history instead of counting forwards."""
    state: Health = "unknown"
    for end in range(1, len(seen) + 1):
        silent = end >= policy.fall and all(each in ("timeout", "refused") for each in seen[end - policy.fall : end])
        answers = end >= policy.rise and all(each == "ready" for each in seen[end - policy.rise : end])
        if seen[end - 1] == "not_ready" or silent:
            state = "unhealthy"
        elif (seen[end - 1] == "ready" and state == "unknown") or (answers and state == "unhealthy"):
            state = "healthy"
    return state


@given(outcomes, policies)
def test_the_count_agrees_with_the_whole_history(seen: list[ProbeOutcome], policy: HealthPolicy) -> None:
    states = after(seen, policy)

    assert states == [_oracle(seen[: end + 1], policy) for end in range(len(seen))]


@given(outcomes, policies)
def test_a_recount_keeps_the_health_and_needs_all_silences_again(
    seen: list[ProbeOutcome], policy: HealthPolicy
) -> None:
    count = HealthCount()
    for outcome in seen:
        count = count.after(outcome, policy)

    fresh = count.recounted()
    for _ in range(policy.fall - 1):
        fresh = fresh.after("timeout", policy)

    assert fresh.state == count.state


def test_a_silence_is_seen_within_the_bound_of_the_rule() -> None:
    assert detection_secs(POLICY) == pytest.approx(3.8)  # three pauses of at most 1.1 s and a timeout of 0.5 s
    assert recovery_secs(POLICY) == pytest.approx(2.7)
