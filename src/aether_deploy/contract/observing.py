"""What a running world server shows of itself: answers to probes, and the two numbers that decide on replicas."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from aether_deploy.contract.asking import NoReply, Reply, Target, ask
from aether_deploy.contract.exposition import Exposition, Sample, read_exposition
from aether_deploy.contract.rules import FLOOR, PLAYERS

PROBE_TRIES = 3
POLL_SECS = 0.1
TEXT_FORMAT = "text/plain;version=0.0.4"


class Waits(NamedTuple):
    """How long is waited; each is an upper bound.

    Attributes:
        probe_secs: For the answer to a probe; ``timeout_secs`` of the probes, seconds.
        scrape_secs: For the metrics, seconds. Prometheus waits 10.
        game_secs: For the answer to a datagram, sent again meanwhile, seconds.
        change_secs: For a change to show, seconds.
        grace_secs: For a drain to end; the pod's terminationGracePeriodSeconds, seconds.
    """

    probe_secs: float = 1.0
    scrape_secs: float = 10.0
    game_secs: float = 3.0
    change_secs: float = 15.0
    grace_secs: float = 300.0


class Numbers(NamedTuple):
    """The two numbers that decide on replicas; None where there is none, or too many to tell which."""

    players: float | None
    floor: float | None


class Server:
    """A world server that runs."""

    def __init__(self, target: Target, waits: Waits) -> None:
        self.target = target
        self.waits = waits

    def probe(self, path: str) -> Reply | NoReply:
        """Ask as a kubelet does: one slow answer is no failure, several in a row are."""
        reply: Reply | NoReply = NoReply("not asked")
        for _ in range(PROBE_TRIES):
            reply = ask(self.target, path, within_secs=self.waits.probe_secs)
            if isinstance(reply, Reply) or not reply.connected:
                break
        return reply

    def scrape(self) -> Reply | NoReply:
        """Ask for the metrics as Prometheus does."""
        return ask(self.target, "/metrics", within_secs=self.waits.scrape_secs, accept=TEXT_FORMAT)

    def numbers(self) -> Numbers:
        """Scrape, and return the numbers that decide on replicas."""
        reply = self.scrape()
        return numbers_of(read_exposition(reply.body)) if isinstance(reply, Reply) else Numbers(None, None)

    def until(self, wanted: Callable[[Numbers], bool], meanwhile: Callable[[], object] | None = None) -> Numbers | None:
        """Scrape until the numbers are as wanted; return them, or None if they are not in time."""
        deadline = time.monotonic() + self.waits.change_secs
        while True:
            numbers = self.numbers()
            if wanted(numbers):
                return numbers
            if time.monotonic() > deadline:
                return None
            if meanwhile is not None:
                meanwhile()
            time.sleep(POLL_SECS)


def numbers_of(exposition: Exposition) -> Numbers:
    """Return the numbers that decide on replicas. Players of several worlds in one pod are added."""
    players, floor = exposition.of(PLAYERS), exposition.of(FLOOR)
    return Numbers(
        sum(sample.value for sample in players) if players and are_worlds(players) else None,
        floor[0].value if len(floor) == 1 else None,
    )


def are_worlds(samples: Sequence[Sample]) -> bool:
    """Whether samples are one number, or one for each value of the label ``world``: so recording rules add them."""
    return len({dict(sample.labels).get("world") for sample in samples}) == len(samples)
