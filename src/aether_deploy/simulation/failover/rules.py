"""The rules that a simulated member decides by: those of production, unless a test breaks one to see it caught."""

from collections.abc import Callable, Iterable
from typing import Literal, Protocol

import msgspec

from aether_deploy.failover import cycle, election, quorum, synchronous
from aether_deploy.failover.cycle import Situation, Step
from aether_deploy.failover.election import Verdict
from aether_deploy.failover.quorum import QuorumState, Resolution, SyncStep
from aether_deploy.failover.seen import Peer, RaceView, SyncKey
from aether_deploy.failover.synchronous import NamedState, Promotion


class JudgesPeers(Protocol):
    def __call__(self, view: RaceView, peers: Iterable[Peer], *, former_leader: str | None) -> Verdict: ...


class PreparesPromotion(Protocol):
    def __call__(self, me: str, key: SyncKey, synchronous: bool | Literal["quorum"], *, strict: bool) -> Promotion: ...


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What decides.

    Attributes:
        step: What a member does in a loop.
        alone: Whether it may lead, as far as nobody must be asked.
        to_ask: Whom it asks.
        judge: Whether it may lead by what they said.
        promotion: What it sets before it is promoted.
        named: Which synchronous replicas there are, by name.
        by_quorum: The same by quorum.
        compare: The store gives a key only if it is free.
    """

    step: Callable[[Situation], Step] = cycle.decide_step
    alone: Callable[[RaceView], Verdict | None] = election.decide_alone
    to_ask: Callable[[RaceView], tuple[str, ...]] = election.members_to_ask
    judge: JudgesPeers = election.judge_peers
    promotion: PreparesPromotion = synchronous.resolve_promotion
    named: Callable[[NamedState], tuple[SyncStep, ...]] = synchronous.resolve_named
    by_quorum: Callable[[QuorumState], Resolution] = quorum.resolve_quorum
    compare: bool = True


PRODUCTION = Rules()
