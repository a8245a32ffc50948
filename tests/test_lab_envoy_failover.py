"""How soon a real Envoy sends new sessions elsewhere and back, beside what is predicted; and every order of outages."""

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from aether_deploy.lab.envoy import Edge
from aether_deploy.routing.policy import HealthPolicy, RoutingPolicy
from aether_deploy.traffic.envoy.bounds import Failure, failover_bound_ms, return_bound_ms
from tests.envoy_cases import REGIONS
from tests.envoy_edges import PROTOCOLS, Edges, all_orders, answered, decided, edges, told
from tests.envoy_regions import State, ask_http, ask_https, ask_udp

# A timeout far above what a busy machine needs to answer: a check that is not answered in time is no answer.
HEALTH = HealthPolicy(interval_ms=300, timeout_ms=2000, fall=3, rise=2)
FAILURES: dict[Failure, State] = {"silence": "silent", "refusal": "refusing", "not_ready": "not_ready"}
_PATIENCE_SECS = 0.1
ASK: dict[str, Callable[[str], str]] = {
    "https": lambda address: _answer(lambda: ask_https(address, wait_secs=_PATIENCE_SECS)),
    "web": lambda address: _answer(lambda: ask_http(address, wait_secs=_PATIENCE_SECS)),
    "rtp": lambda address: _answer(lambda: ask_udp(address, wait_secs=_PATIENCE_SECS)),
}


def _answer(ask: Callable[[], str]) -> str:
    try:
        return ask()
    except OSError:
        return ""


class Watch:
    """New sessions of one protocol, one after the other, and when each began and who answered."""

    def __init__(self, address: str, protocol: str) -> None:
        self._address, self._protocol = address, protocol
        self.seen: list[tuple[float, float, str]] = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._ending.set()
        self._thread.join()

    def settled_ms(self, since: float, region: str) -> tuple[float, float]:
        """Return when the first session began that ``region`` answered, and the longest time between two sessions,
        both milliseconds: the first cannot be closer to the moment than the second. No other region answers later."""
        after = [each for each in self.seen if each[0] >= since]
        first = next((at for at, each in enumerate(after) if each[2] == region), None)
        assert first is not None, f"{self._protocol} never reached {region}"
        assert {each[2] for each in after[first:]} <= {region, ""}, f"{self._protocol} left {region} again"
        pauses = [later[0] - earlier[0] for earlier, later in zip(self.seen, self.seen[1:], strict=False)]
        return 1000 * (after[first][0] - since), 1000 * max(pauses)

    def has_seen(self, since: float, region: str) -> bool:
        """Return whether a session began since then that ``region`` answered."""
        return any(began >= since and who == region for began, _, who in tuple(self.seen))

    def _run(self) -> None:
        while not self._ending.is_set():
            began = time.monotonic()
            who = ASK[self._protocol](self._address)
            self.seen.append((began, time.monotonic(), who))
            time.sleep(0.005)


def lacked_ms(edge: Edge) -> float:
    """Return how long the threads of an Envoy, and ours, were ready to run and had no processor, milliseconds."""
    lacked = 0.0
    for process in (edge.daemon.pid, os.getpid()):
        for thread in Path(f"/proc/{process}/task").iterdir():
            with suppress(OSError):  # it has ended
                lacked += int((thread / "schedstat").read_text().split()[1]) / 1e6
    return lacked


def moved(running: Edges, state: State, expected: str) -> tuple[dict[str, tuple[float, float]], float]:
    """Change what ``us`` does while players come, and return when those of each protocol reach ``expected``, and what
    of that this machine may have cost."""
    watches = {name: Watch(running.edges["us"].address, name) for name in PROTOCOLS}
    before = "us" if expected != "us" else "eu"
    running.wait_for(lambda: all(each.has_seen(0, before) for each in watches.values()), f"players in {before}")
    since, lacked = time.monotonic(), lacked_ms(running.edges["us"])
    running.land.become("us", state)
    running.wait_for(lambda: all(each.has_seen(since, expected) for each in watches.values()), f"them in {expected}")
    lacked = lacked_ms(running.edges["us"]) - lacked
    time.sleep(0.7)  # in which nobody goes elsewhere
    for each in watches.values():
        each.end()
    return {name: each.settled_ms(since, expected) for name, each in watches.items()}, lacked


def check_bounds(running: Edges, failure: Failure) -> list[str]:
    """Take ``us`` down and up again, and hold both times against their bounds; return the figures."""
    times = {"interval_ms": HEALTH.interval_ms, "timeout_ms": HEALTH.timeout_ms}
    away = failover_bound_ms(**times, fall=HEALTH.fall, failure=failure)
    back = return_bound_ms(**times, rise=HEALTH.rise)
    lines = []
    for what, state, bound, region in (("away", FAILURES[failure], away, "eu"), ("back", "up", back, "us")):
        times_of, lacked = moved(running, state, region)
        for name, (took, pause) in times_of.items():
            slack = f"sessions {pause:.0f} ms apart, {lacked:.0f} ms without a processor"
            lines.append(f"{failure} {what} {name}: {took:.0f} ms, bound {bound:.0f} ms, {slack}")
            assert took <= bound + pause + lacked, lines[-1]
    return lines


@pytest.mark.real
@pytest.mark.parametrize("failure", list(FAILURES))
def test_players_go_elsewhere_and_return_within_the_predicted_bounds(tmp_path: Path, failure: Failure) -> None:
    with edges(tmp_path, ["us"], health=HEALTH) as running:
        print("\n".join(check_bounds(running, failure)))


@pytest.mark.failover
@pytest.mark.parametrize("failure", list(FAILURES))
def test_the_bounds_hold_again_and_again(tmp_path: Path, failure: Failure) -> None:
    with edges(tmp_path, ["us"], health=HEALTH) as running:
        for _ in range(10):
            print("\n".join(check_bounds(running, failure)))


@pytest.mark.failover
def test_in_every_order_of_outages_envoy_picks_what_the_decision_picks(tmp_path: Path) -> None:
    with edges(tmp_path) as running:
        for journey in all_orders():
            for at, status in enumerate(journey):
                running.become(status)
                for region in REGIONS:
                    wanted = {decided(RoutingPolicy(), region, status)}

                    got = answered(running.edges[region], wanted)
                    assert got == dict.fromkeys(PROTOCOLS, wanted), (region, told(journey[: at + 1]))
