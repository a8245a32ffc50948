"""Plans that a cluster does not have, two clusters at once, and where applying decisions ends."""

import random
from collections.abc import Mapping, Sequence

import msgspec
import pytest

from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.valkey.identity import unlike
from aether_deploy.infrastructure.valkey.job import plan_file
from aether_deploy.infrastructure.valkey.reconciling import Decision, PlannedNode, PlannedShard, decide
from aether_deploy.infrastructure.valkey.views import Peer, Seen, SlotRange
from aether_deploy.jobs.valkey_cluster import _not_again
from tests.test_valkey_job import (
    A0,
    A1,
    ADDRESSES,
    B0,
    B1,
    C0,
    C1,
    FRESH,
    PLANNED_ROLES,
    PODS,
    SLOTS,
    changed,
    commands,
    decided,
    ghost,
    world,
)
from tests.valkey_cases import ONE, valkey, zoned

SEED = 20261126


def plan(where: Estate, *, order: str = "", shards: int = 3, replicas: int = 1) -> tuple[PlannedShard, ...]:
    """Return the plan of a region with its zones in another order, or with some of them only."""
    region = where.regions[0]
    by_zone = {each.zone[-1]: each for each in region.datacenters}
    if order:
        region = msgspec.structs.replace(region, datacenters=tuple(by_zone[letter] for letter in order))
    said = plan_file(
        valkey(shards=shards, replicas=replicas), msgspec.structs.replace(where, regions=(region,)), region
    )
    return msgspec.convert(said["shards"], tuple[PlannedShard, ...])


class Cluster:
    """As much of a cluster as decisions change: who follows whom, and who owns what. Copies come at once."""

    def __init__(self, shards: Sequence[PlannedShard]) -> None:
        self.primaries: dict[str, str | None] = {}
        self.slots: dict[str, SlotRange] = {}
        for shard in shards:
            first = shard.nodes[0].name
            self.slots[first] = shard.slots
            self.primaries |= {node.name: None if node.name == first else first for node in shard.nodes}
        self.failovers = 0

    def views(self, pods: Sequence[str]) -> dict[str, Seen]:
        everybody = dict(self.primaries) | {pod: None for pod in pods if pod not in self.primaries}
        peers = {
            pod: Peer(
                id=pod, address=f"{pod}:6379", flags=frozenset({"master"}), primary=primary, linked=True,
                slots=(self.slots[pod],) if pod in self.slots else (),
            )
            for pod, primary in everybody.items()
        }  # fmt: skip
        return {
            pod: Seen(
                address=f"{pod}:6379",
                peers={**peers, pod: msgspec.structs.replace(peers[pod], flags=frozenset({"myself", "master"}))},
                synced=everybody[pod] is not None,
            )
            for pod in pods
        }

    def apply(self, decision: Decision) -> None:
        for step in decision.steps:
            match step.command:
                case ("CLUSTER", "REPLICATE", owner):
                    assert step.pod not in self.slots
                    self.primaries[step.pod] = owner
                case ("CLUSTER", "FAILOVER"):
                    self.failovers += 1
                    old = self.primaries[step.pod]
                    assert old is not None
                    self.slots[step.pod] = self.slots.pop(old)
                    followers = [pod for pod, primary in self.primaries.items() if primary == old]
                    self.primaries |= dict.fromkeys([*followers, old], step.pod)
                    self.primaries[step.pod] = None
                case _:
                    raise AssertionError(step)

    def copies(self) -> dict[SlotRange, int]:
        """Return how many nodes hold each range of slots, its owner included."""
        return {each: 1 + list(self.primaries.values()).count(pod) for pod, each in self.slots.items()}


ORDERS = ["abcd", "bacd", "dcba", "abc", "bcd", "acd", "bac", "cab", "abdc"]


@pytest.mark.parametrize("shards, replicas", [(3, 1), (5, 1), (6, 1), (5, 2)])
@pytest.mark.parametrize("after", ORDERS)
@pytest.mark.parametrize("before", ORDERS)
def test_whatever_the_plan_becomes_steps_end_and_no_shard_loses_its_copies(
    before: str, after: str, shards: int, replicas: int
) -> None:
    where = zoned(4)
    old, new = (plan(where, order=order, shards=shards, replicas=replicas) for order in (before, after))
    pods = [node.name for shard in new for node in shard.nodes]
    cluster = Cluster(old)
    decision = decide(new, {}, cluster.views(pods))
    steps = 0
    while decision.steps:
        cluster.apply(decision)
        steps += len(decision.steps)
        assert steps <= 3 * len(pods), commands(decision)
        assert min(cluster.copies().values()) >= 2, commands(decision)
        decision = decide(new, {}, cluster.views(pods))

    assert cluster.failovers <= shards
    if before == after:
        assert (steps, decision) == (0, Decision())


def test_a_planned_primary_that_follows_another_shard_takes_nothing_over() -> None:
    two_copies = {**PLANNED_ROLES, A0: C0, B1: None}
    owners = {B1: SLOTS[A0], B0: SLOTS[B0], C0: SLOTS[C0]}
    found = decided(world(two_copies, owners))

    assert commands(found) == [f"{A0}: CLUSTER REPLICATE {B1}"]
    alone = decided(world({**two_copies, A1: C0}, owners, silent=[A1]))
    assert not [step for step in alone.steps if "FAILOVER" in step.command]


def test_nothing_is_given_up_while_shards_are_planned_for_others() -> None:
    swapped = (
        msgspec.structs.replace(plan(ONE)[0], nodes=plan(ONE)[1].nodes),
        msgspec.structs.replace(plan(ONE)[1], nodes=plan(ONE)[0].nodes),
        plan(ONE)[2],
    )
    found = decide(swapped, {}, world({**PLANNED_ROLES, A1: B0}))

    assert (found.steps, found.waiting) == ((), "")
    assert f"{A1}: follows {B0}, and stays: shards are planned for others than hold them" in found.faults
    drifted = world({**PLANNED_ROLES, C0: A1, A1: None}, {**SLOTS, C0: (), A1: SLOTS[C0]})
    assert commands(decided(drifted)) == [f"{C0}: CLUSTER FAILOVER"]
    assert not decide(swapped, {}, drifted).steps


def test_the_only_copy_of_a_shard_stays_and_one_of_two_goes() -> None:
    crossed = {**PLANNED_ROLES, C1: C0, A1: B0}
    found = decided(world(crossed))

    assert found.steps == ()
    assert found.faults == (
        f"{C1}: is the only copy of what {C0} holds, and stays: give that one another first",
        f"{A1}: is the only copy of what {B0} holds, and stays: give that one another first",
    )
    both = world({**PLANNED_ROLES, C1: C0, B1: C0, A1: C0})
    assert len(decided(both).steps) == 2
    assert len(decided(changed(both, A1, synced=False)).steps) == 1


def test_two_owners_of_a_shard_are_waited_for() -> None:
    views = world({**PLANNED_ROLES, B1: None}, {**SLOTS, B1: SLOTS[A0]})

    found = decided(views)
    assert (found.steps, found.waiting) == ((), f"two nodes hold slots 0-5460: {A0} and {B1}")


def test_a_failover_is_asked_for_once() -> None:
    drift = {**PLANNED_ROLES, A0: B1, B1: None}
    decision = decided(world(drift, {B1: SLOTS[A0], B0: SLOTS[B0], C0: SLOTS[C0]}))

    assert _not_again(decision, set()) == decision
    again = _not_again(decision, {A0})
    assert (again.steps, again.waiting) == ((), f"{A0} was asked to take over, and did not yet")


def test_a_dead_owner_that_a_node_outside_of_the_plan_follows_is_kept() -> None:
    owners = {B0: SLOTS[B0], C0: SLOTS[C0]}
    outside = Peer(
        id="outside", address="10.0.0.98:6379", flags=frozenset({"slave"}), primary="ghost", linked=True
    )  # fmt: skip
    roles = {**PLANNED_ROLES, A0: None, B1: None}

    assert not decided(world(roles, owners, ghosts=[ghost(SLOTS[A0]), outside])).steps
    dead = msgspec.structs.replace(outside, linked=False, flags=frozenset({"slave", "fail"}))
    assert len(decided(world(roles, owners, ghosts=[ghost(SLOTS[A0]), dead])).steps) == 2 * len(PODS)


@pytest.mark.parametrize("slots", [((0, 5000),), ((0, 16383),), ((0, 5460), (7000, 7000))])
def test_a_dead_owner_of_other_slots_than_a_shard_of_the_plan_is_kept(slots: Sequence[SlotRange]) -> None:
    views = world({**PLANNED_ROLES, A0: None, B1: None}, {C0: SLOTS[C0]}, ghosts=[ghost(slots), ghost(slots)])

    assert not [step for step in decided(views).steps if "FORGET" in step.command]


# --- who is who


NODE = PlannedNode(name=A0, host=f"{A0}.sessions-headless.aether-prod-data.svc", port=6379)
ANNOUNCED = {
    NODE.host: "",
    f"{B1}.sessions-headless.aether-prod-data.svc": f"is another node: {B1}.sessions-headless.aether-prod-data.svc",
    f"{A0}.sessions-headless.aether-dev-data.svc": f"is another node: {A0}.sessions-headless.aether-dev-data.svc",
    "": "is another node: one that announces no host name",
}


@pytest.mark.parametrize("hostname, reason", ANNOUNCED.items())
def test_a_node_is_the_pod_whose_host_name_it_announces(hostname: str, reason: str) -> None:
    me = msgspec.structs.replace(world()[A0].me, hostname=hostname)

    assert unlike(me, pod=NODE.name, host=NODE.host) == reason


def test_where_a_plan_has_addresses_the_name_of_the_pod_is_compared() -> None:
    me = msgspec.structs.replace(world()[A0].me, hostname=NODE.host)

    assert unlike(me, pod=A0, host="10.0.0.1") == ""
    other = msgspec.structs.replace(me, hostname=f"{B1}.x")
    assert unlike(other, pod=A0, host="10.0.0.1") == f"is another node: {B1}.x"


def test_why_a_node_does_not_answer_is_told() -> None:
    found = decide(plan(ONE), {}, world(silent=[A1]), {A1: "10.0.0.6:6379: is another node: x"})

    assert found.faults == (f"{A1} does not answer: 10.0.0.6:6379: is another node: x",)


def test_two_pods_with_one_node_stop_everything() -> None:
    views = world()
    twin = decided({**views, B1: views[A0]})

    assert (twin.steps, twin.waiting) == ((), "")
    assert twin.faults == (f"{A0} and {B1} are the same node: stale DNS, or a copy of a volume",)


# --- two clusters


def foreign(views: Mapping[str, Seen]) -> dict[str, Seen]:
    """Return what nodes say with all of them in another cluster: other ids, other addresses."""

    def other(peer: Peer) -> Peer:
        return msgspec.structs.replace(
            peer, id=f"x-{peer.id}", address=f"9{peer.address}", primary=peer.primary and f"x-{peer.primary}"
        )

    return {
        pod: msgspec.structs.replace(
            seen, address=f"9{seen.address}", peers={f"x-{id_}": other(peer) for id_, peer in seen.peers.items()}
        )
        for pod, seen in views.items()
    }


def test_a_node_of_another_cluster_is_neither_met_nor_asked_for_anything() -> None:
    for theirs in (A0, A1):
        views = {**world(), theirs: foreign(world())[theirs]}
        found = decided(views)

        assert found.steps == ()
        assert f"{theirs}: is of another cluster" in found.faults[0]


def test_a_node_that_owns_what_is_owned_is_not_met_though_it_knows_nobody() -> None:
    alone = foreign(world(FRESH, SLOTS, knows={}))[A0]

    assert not decided({**world(), A0: alone}).steps
    fresh = foreign(world(FRESH, {}, knows={}))[A1]
    assert commands(decided({**world(), A1: fresh})) == [f"{A0}: CLUSTER MEET 910.0.0.{PODS.index(A1) + 1} 6379"]


def test_whatever_two_clusters_say_they_are_not_merged() -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    met = 0
    for _ in range(3000):
        roles: dict[str, str | None] = dict(PLANNED_ROLES)
        silent = [pod for pod in PODS if chance.random() < 0.1]
        knows = {pod: [each for each in PODS if chance.random() < 0.9] for pod in PODS}
        ours = world(roles, SLOTS, silent=silent, knows=knows)
        theirs = foreign(world(roles, SLOTS))
        fresh = foreign(world(FRESH, {}, knows={}))
        views = {
            pod: chance.choices([ours.get(pod, fresh[pod]), theirs[pod], fresh[pod]], [6, 3, 1])[0] for pod in PODS
        }
        side = {views[pod].address: views[pod] is theirs[pod] for pod in PODS}
        new = {pod for pod in PODS if views[pod] is fresh[pod]}
        for step in decided(views).steps:
            its = step.pod not in new and side[views[step.pod].address]
            match step.command:
                case ("CLUSTER", "MEET", address, port):
                    met += 1
                    pod = next(each for each in PODS if views[each].address == f"{address}:{port}")
                    assert pod in new or side[views[pod].address] == its
                case ("CLUSTER", "REPLICATE", owner):
                    assert step.pod in new or owner.startswith("x-") == its
                case ("CLUSTER", "FORGET", _):
                    raise AssertionError(step)
    assert met > 300
    assert len(ADDRESSES) == len(PODS)
