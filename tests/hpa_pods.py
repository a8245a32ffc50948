"""Pods and their readings of the cases for the autoscaler's controller."""

from collections.abc import Mapping, Sequence
from typing import Any

from aether_deploy.scaling.controller.seen import PodSample, PodSeen

NOW = 1_000_000
"""The time of every case, seconds."""


def pods_of(given: Mapping[str, Any], count: int, requests: Mapping[str, Sequence[int | None]]) -> list[PodSeen]:
    """Return ``count`` pods, named by their number; lists of ``given`` say what is special about each."""

    def said(name: str, number: int, otherwise: Any) -> Any:
        values = given.get(name)
        return otherwise if values is None or number >= len(values) or values[number] is None else values[number]

    pods = []
    for number in range(count):
        started = said("pod_start_age_s", number, float("inf"))
        pods.append(
            PodSeen(
                name=str(number),
                phase=said("pod_phase", number, "Running"),
                ready=said("pod_ready", number, True),
                deleting=said("pod_deleting", number, False),
                started_secs=NOW - started,
                requests_milli=_requests_of(number, requests),
            )
        )
    return pods


def pods_said(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the lists about pods of a whole sync, which may stand with a metric as well."""
    names = ("pod_phase", "pod_ready", "pod_deleting", "pod_start_age_s")
    places = [*given["metrics"], given]
    return {name: place[name] for place in places for name in names if place.get(name) is not None}


def _requests_of(number: int, requests: Mapping[str, Sequence[int | None]]) -> dict[str, int]:
    found = {}
    for key, row in requests.items():
        value = row[number] if number < len(row) else None
        if value is not None:
            found[key] = value
    return found


def levels_of(values: Sequence[int | None]) -> dict[str, int | PodSample]:
    return {str(number): value for number, value in enumerate(values) if value is not None}


def samples_of(values: Sequence[int | None]) -> dict[str, int | PodSample]:
    """Return samples of the metrics server: taken now, over a minute."""
    return {
        str(number): PodSample(milli=value, window_secs=60) for number, value in enumerate(values) if value is not None
    }
