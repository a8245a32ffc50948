"""What the bounds of several failures have in common, and the figures they rest on.

Figures of races and promotions were measured with Patroni 4.1.5 and PostgreSQL 18 on one machine.
"""

import math
from typing import Any

import msgspec

from aether_deploy.failover.bound import FailoverBound
from aether_deploy.failover.policy import FailoverPolicy
from aether_deploy.failover.timings import EXPIRY_SECS, REPLICA_DELAY_SECS, REQUEST_TIMEOUT_SECS, StoreKind
from aether_deploy.timespan import TimeSpan

RACE = TimeSpan(0.01, 0.04, 0.15)
"""From the end of the key's life, as members learn of it, to the key in other hands; everybody answers or refuses."""
PROMOTE = TimeSpan(0.05, 0.09, 0.2)
"""From the key to the first write, with nothing left to replay."""
RESTART = TimeSpan(2.5, 3.1, 3.8)
"""Crash recovery and start of a primary in place; grows with the WAL since its last checkpoint."""
LET_GO = TimeSpan(0.3, 1.15, 2.1)
"""From a primary found crashed to its key released and in other hands."""
STEP_DOWN = TimeSpan(2.25, 2.3, 2.4)
"""PostgreSQL is polled every second, and replicas get another one; independent of every setting."""
REQUEST = TimeSpan(0.02, 0.1, 0.2)
"""Until what a human asked for is in the store and members know of it."""
STOPPED = "synchronous_mode_strict, and no replica is left: writes stop until the lost member is back"
REWIND_SECS = 5.0
RETRY_SECS = 1.4
ROUNDS = 2
"""Most rounds in which replicas that still stream leave the key to each other."""
FAILSAFE_SECS = 2 * REQUEST_TIMEOUT_SECS
"""How long a leader without the store asks members that do not answer."""


class Case:
    """A policy and its surroundings, and what several rows need of them."""

    def __init__(
        self,
        policy: FailoverPolicy,
        dcs: StoreKind,
        members: int,
        *,
        black_hole: bool,
        replay_secs: float,
        repair_secs: float | None,
    ) -> None:
        self.policy, self.dcs, self.members = policy, dcs, members
        self.black_hole, self.repair_secs = black_hole, repair_secs
        self.ttl, self.loop_wait, self.retry_timeout = (
            float(policy.ttl),
            float(policy.loop_wait),
            float(policy.retry_timeout),
        )
        self.promote = PROMOTE.later(replay_secs)
        self.sync = policy.is_synchronous

    def detect(self) -> tuple[TimeSpan, str]:
        """Return when a dead leader's key is free, and the formula."""
        if self.dcs == "kubernetes":
            loops = math.floor((self.ttl - REPLICA_DELAY_SECS) / self.loop_wait) + 1
            end = loops * self.loop_wait + REPLICA_DELAY_SECS
            turn = f"{loops} x {self.loop_wait:g} + {REPLICA_DELAY_SECS:g}"
            text = f"{turn} - φ (the first look of a replica after ttl {self.ttl:g})"
            return TimeSpan(end - self.loop_wait, end - self.loop_wait / 2, end), text
        late = EXPIRY_SECS[self.dcs]
        text = f"ttl {self.ttl:g} - φ + 0..{late:g}"
        return TimeSpan(self.ttl - self.loop_wait, self.ttl - self.loop_wait / 2 + late / 2, self.ttl + late), text

    def asked(self, *, silent: bool) -> TimeSpan:
        """Return the race, in which everybody is asked who is known; with ``silent`` one of them does not answer."""
        return RACE.later(REQUEST_TIMEOUT_SECS) if silent else RACE

    def after_promotion(self) -> tuple[TimeSpan, str]:
        """Return how long the first write of a winner waits for replicas, and the words."""
        if self.is_alone:
            return TimeSpan(
                0.0, 2.0 + self.loop_wait / 2, 2 * self.loop_wait + REWIND_SECS + 4.0
            ), " + the former leader is back"
        if self.policy.synchronous_mode == "quorum" and self.policy.synchronous_node_count > self.members - 2:
            return TimeSpan(
                self.loop_wait, 1.5 * self.loop_wait, 2 * self.loop_wait + 3.0
            ), f" + {self.loop_wait:g}..{2 * self.loop_wait:g} (too few replicas left)"
        if self.policy.synchronous_mode == "quorum" or (self.sync and self.policy.synchronous_mode_strict):
            return self.connecting
        return TimeSpan(0.0, 0.0, 0.0), ""

    @property
    def connecting(self) -> tuple[TimeSpan, str]:
        """How long it takes until a replica streams from the winner, and the words.

        At once, unless every replica that is left has what the winner lacks: then one is rewound, in its next loop.
        That worst case is a caution. Writes by quorum were measured to come back as early as all others
        (``tests/cases/patroni_measured.json``), and so they do in all but a few of ten thousand simulated failovers.
        """
        worst = self.loop_wait + REWIND_SECS
        words = f" + 0..{worst:g} (a replica connects: at once, as always measured, or once it is rewound)"
        return TimeSpan(0.0, 0.05, worst), words

    @property
    def is_alone(self) -> bool:
        """Whether a winner has nobody left who could acknowledge a write, and must not write alone."""
        return self.sync and self.policy.synchronous_mode_strict and self.members < 3

    @property
    def may_reset(self) -> bool:
        """Whether the watchdog may fire before a leader without the store has stepped down."""
        policy = self.policy
        return policy.watchdog != "off" and policy.watchdog_timeout_secs < self.loop_wait + 2 * self.retry_timeout

    @property
    def reset_note(self) -> str:
        return (
            f"the watchdog may reset the leader's machine {self.policy.watchdog_timeout_secs} s after its last renewal"
        )

    def settled(self, row: FailoverBound) -> FailoverBound:
        """Return the bound of a failure that takes a member away: a strict winner without replicas waits for it."""
        if not self.is_alone:
            return row
        return msgspec.structs.replace(row, fate="stopped", writable=None, note=STOPPED)

    def lost(self, secs: float) -> dict[str, Any]:
        """Return what an asynchronous winner may lack, ``secs`` after the leader last published its position."""
        if self.sync:
            return {}
        most = self.policy.maximum_lag_on_failover
        return {"loss_bytes": most, "loss_secs": secs, "loss": f"at most {most} bytes + {secs:g} s"}

    def lost_by_reset(self) -> dict[str, Any]:
        """Return what an asynchronous winner may lack of a leader without the store, whose machine may be reset.

        In failsafe mode it may be reset long after it last published its position, so nothing bounds how far behind a
        winner may be.
        """
        if self.sync or not self.may_reset:
            return {}
        if self.policy.failsafe_mode:
            return {"loss_bytes": None, "loss_secs": None, "loss": "what no replica has when the watchdog fires"}
        return self.lost(float(self.policy.watchdog_timeout_secs))
