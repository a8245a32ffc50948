"""A span of time adds up, and reads the same wherever it is printed."""

import pytest

from aether_deploy.timespan import TimeSpan


def test_spans_add_up_case_by_case() -> None:
    assert TimeSpan(1.0, 2.0, 3.0) + TimeSpan(0.5, 0.5, 4.0) == TimeSpan(1.5, 2.5, 7.0)
    assert TimeSpan(1.0, 2.0, 3.0).later(2.0) == TimeSpan(3.0, 4.0, 5.0)


def test_machines_read_a_hundredth_and_people_a_tenth() -> None:
    span = TimeSpan(22.5649, 27.681, 47.85)

    assert span.rounded() == TimeSpan(22.56, 27.68, 47.85)
    assert str(span) == "22.6 / 27.7 / 47.9"


@pytest.mark.parametrize(
    ("best", "worst", "text"),
    [
        (20.0, 33.4, "20-33 s"),
        (0.15, 3.0, "0.1-3 s"),
        (2.55, 45.85, "2.5-46 s"),
        (9.96, 10.04, "10 s"),
        (5.0, 5.0, "5 s"),
        (12.1, 12.4, "12 s"),
    ],
)
def test_best_and_worst_are_as_short_as_they_can_be_read(best: float, worst: float, text: str) -> None:
    span = TimeSpan(best, (best + worst) / 2, worst)

    assert span.range_text() == text
    assert span.range_text(" to ") == text.replace("-", " to ")
