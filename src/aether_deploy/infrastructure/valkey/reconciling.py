"""What brings a cluster from what its nodes say to what is planned, one careful step after another.

Nothing here throws sessions away: no FORCE, no TAKEOVER, no RESET. A node that holds slots keeps them, one that holds
keys and no slots is left alone, and a failover is asked for of a replica that has all that its primary has.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from aether_deploy.infrastructure.valkey.identity import introducer_of, outside_of, twins_of
from aether_deploy.infrastructure.valkey.views import Peer, Seen, SlotRange, Views, holds_all, owned_of


class PlannedNode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A node of the plan: its name, where it is found, and its zone."""

    name: str
    host: str
    port: int
    zone: str = ""


class PlannedShard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A shard of the plan: its first and last slot, and its nodes, the one that is to be primary first."""

    slots: SlotRange
    nodes: tuple[PlannedNode, ...]

    @property
    def title(self) -> str:
        return f"slots {self.slots[0]}-{self.slots[1]}"


class Step(msgspec.Struct, frozen=True):
    """One command for one node, and what it is for. Some may be refused, and nothing is lost."""

    pod: str
    command: tuple[str, ...]
    says: str
    optional: bool = False


class Decision(msgspec.Struct, frozen=True):
    """What to do next.

    Attributes:
        steps: Commands that can be given now.
        waiting: What is on its way, where there is nothing to do but to look again.
        faults: What is not as planned and is not mended here.
    """

    steps: tuple[Step, ...] = ()
    waiting: str = ""
    faults: tuple[str, ...] = ()

    @property
    def is_final(self) -> bool:
        """Whether looking again would change nothing."""
        return not self.steps and not self.waiting


def decide(
    shards: Sequence[PlannedShard],
    settings: Mapping[str, str],
    views: Views,
    reasons: Mapping[str, str] | None = None,
) -> Decision:
    """Return what to do next about a cluster.

    Args:
        shards: The plan.
        settings: What every node is to be set to.
        views: What the nodes that answer say; at least one does.
        reasons: Why the others do not, by the name of the pod, as far as that is known.
    """
    pods = [node.name for shard in shards for node in shard.nodes]
    silent = tuple(_silent(pod, (reasons or {}).get(pod)) for pod in pods if pod not in views)
    twins = tuple(twins_of(views))
    if twins:
        return Decision(faults=silent + twins)
    outside = outside_of(views)
    if outside:
        # Nothing is asked of them, and whatever needs all nodes waits.
        views = {pod: seen for pod, seen in views.items() if pod not in outside}
        silent += tuple(outside.values())
    for stage in (_made, _introduced, _forgotten):
        found = stage(shards, views, bool(silent))
        if not found.is_final:
            return msgspec.structs.replace(found, faults=silent + found.faults)
    moved = tuple(_moved(shards, views))
    if moved:
        return Decision(tuple(_settled(settings, views)), faults=silent + moved)
    found = _following(shards, views)
    if not found.is_final:
        return msgspec.structs.replace(found, faults=silent + found.faults)
    settled = tuple(_settled(settings, views))
    back = Decision() if _displaced(shards, views) else _failed_back(shards, views)
    waiting = "" if settled or back.steps else back.waiting
    return Decision(settled + back.steps, waiting, silent + found.faults + back.faults)


def _silent(pod: str, reason: str | None) -> str:
    return f"{pod} does not answer{f': {reason}' if reason else ''}"


# --- slots that nobody owns


def _made(shards: Sequence[PlannedShard], views: Views, incomplete: bool) -> Decision:
    """Give slots that no node has ever heard of an owner to the primaries of the plan."""
    free = [place for place, shard in enumerate(shards) if not _anybody_owns(shard.slots, views)]
    if not free:
        return Decision()
    if incomplete:
        # A node that is silent may own them.
        return Decision(waiting=f"{shards[free[0]].title}: nobody owns them, and not all nodes answer")
    return Decision(tuple(step for place in free for step in _given(place, shards[place], views)), "", ())


def _anybody_owns(slots: SlotRange, views: Views) -> bool:
    return any(owned_of(peer, slots) for seen in views.values() for peer in seen.peers.values())


def _given(place: int, shard: PlannedShard, views: Views) -> Iterator[Step]:
    pod = next((node.name for node in shard.nodes if views[node.name].me.primary is None), None)
    if pod is None:
        return
    if len(views[pod].peers) == 1 and views[pod].epoch == 0:
        # Two primaries with one epoch would settle it between them, but only after a while.
        yield Step(pod, ("CLUSTER", "SET-CONFIG-EPOCH", str(place + 1)), f"{pod}: epoch {place + 1}", optional=True)
    first, last = map(str, shard.slots)
    yield Step(pod, ("CLUSTER", "ADDSLOTSRANGE", first, last), f"{pod}: owns {shard.title}")


# --- nodes that do not know each other, or not where they are


def _introduced(shards: Sequence[PlannedShard], views: Views, incomplete: bool) -> Decision:
    """Have the node that knows most slots meet all that it does not know, or knows elsewhere."""
    pods = [node.name for shard in shards for node in shard.nodes if node.name in views]
    host = introducer_of(views)
    steps = []
    for pod in pods:
        if pod != host and not (_reaches(views[host], views[pod]) and _knows(views[pod], views[host])):
            address, _, port = views[pod].address.rpartition(":")
            steps.append(Step(host, ("CLUSTER", "MEET", address, port), f"{host}: meets {pod} at {address}"))
    if steps:
        return Decision(tuple(steps))
    strangers = [
        (one, other) for one in pods for other in pods if one != other and not _reaches(views[one], views[other])
    ]
    if strangers:
        one, other = strangers[0]
        return Decision(waiting=f"{one} does not reach {other} yet")
    return Decision()


def _knows(seen: Seen, other: Seen) -> bool:
    return other.me.id in seen.peers


def _reaches(seen: Seen, other: Seen) -> bool:
    peer = seen.peers.get(other.me.id)
    return peer is not None and peer.linked and peer.address == other.address and "handshake" not in peer.flags


# --- nodes that are no more


def _forgotten(shards: Sequence[PlannedShard], views: Views, incomplete: bool) -> Decision:
    """Have all forget nodes that no pod is any more: a pod that lost its file came back as another node.

    Only once every pod answers and all hold the lost one to be dead. One that owns slots is kept as long as any node
    follows it, a pod or not, since that one may take over; and as long as what it owns is not one shard of the plan,
    since to give the slots of a shard again would leave the others without an owner.
    """
    if incomplete:
        return Decision()
    alive = {seen.me.id for seen in views.values()}
    known = {peer.id: peer for seen in views.values() for peer in seen.peers.values()}
    followed = {peer.primary for seen in views.values() for peer in seen.peers.values() if not _is_dead(peer)}
    steps: list[Step] = []
    for id_ in sorted(known.keys() - alive - followed):
        opinions = [seen.peers[id_] for seen in views.values() if id_ in seen.peers]
        if all(_is_dead(each) and _is_of_plan(each, shards) for each in opinions):
            for pod, seen in views.items():
                if id_ in seen.peers:
                    says = f"{pod}: forgets {id_[:8]}, which no pod is any more"
                    steps.append(Step(pod, ("CLUSTER", "FORGET", id_), says, optional=True))
    return Decision(tuple(steps))


def _is_of_plan(peer: Peer, shards: Sequence[PlannedShard]) -> bool:
    return not peer.slots or any(_is_owner(peer, shard) for shard in shards)


def _is_dead(peer: Peer) -> bool:
    return not peer.linked and bool({"fail", "noaddr"} & peer.flags)


# --- who follows whom


def _moved(shards: Sequence[PlannedShard], views: Views) -> Iterator[str]:
    """Yield who owns other slots than one shard of the plan: then nothing about shards is changed.

    So it is after somebody moved slots, and when the plan has another number of shards than the cluster.
    """
    for pod, seen in views.items():
        if not _is_of_plan(seen.me, shards):
            yield f"{pod}: owns other slots than any shard of the plan: move them by hand"


def _is_owner(peer: Peer, shard: PlannedShard) -> bool:
    owned = sum(last - first + 1 for first, last in peer.slots)
    return holds_all(peer, shard.slots) and owned == owned_of(peer, shard.slots)


def _owners(shard: PlannedShard, views: Views) -> list[str]:
    return [pod for pod, seen in views.items() if _is_owner(seen.me, shard)]


def _displaced(shards: Sequence[PlannedShard], views: Views) -> bool:
    """Return whether a node owns a shard that is planned for others: then no copy is given up for the plan."""
    return any(pod not in [node.name for node in shard.nodes] for shard in shards for pod in _owners(shard, views))


def _following(shards: Sequence[PlannedShard], views: Views) -> Decision:
    """Have every node that is to follow another do so."""
    steps: list[Step] = []
    faults: list[str] = []
    waiting = ""
    copies = _Copies(views, _displaced(shards, views))
    for shard in shards:
        owners = _owners(shard, views)
        if len(owners) > 1:
            # They settle it between them once they know each other; until then nobody knows who gives up what it holds.
            return Decision(waiting=f"two nodes hold {shard.title}: {' and '.join(owners)}")
        if not owners:
            says = f"{shard.title}: their primary does not answer"
            waiting = waiting or (says if _may_be_taken_over(shard, views) else "")
            faults.append(says)
        elif owners[0] not in [node.name for node in shard.nodes]:
            faults.append(f"{shard.title}: {owners[0]} owns them, which is planned for others: move them by hand")
        else:
            for node in shard.nodes:
                found = _follow(node.name, views.get(node.name), views[owners[0]].me, copies)
                steps += [found] if isinstance(found, Step) else []
                faults += [found] if isinstance(found, str) else []
    return Decision(tuple(steps), "" if steps else waiting, tuple(faults))


def _may_be_taken_over(shard: PlannedShard, views: Views) -> bool:
    """Return whether a replica that answers follows a primary of these slots that does not."""
    gone = {
        peer.id
        for seen in views.values()
        for peer in seen.peers.values()
        if owned_of(peer, shard.slots) and peer.id not in {each.me.id for each in views.values()}
    }
    return any(node.name in views and views[node.name].me.primary in gone for node in shard.nodes)


class _Copies:
    """Who may leave the primary that it follows, and what is left of copies when it does."""

    def __init__(self, views: Views, displaced: bool) -> None:
        self._displaced = displaced
        self._serving = {seen.me.id: pod for pod, seen in views.items() if seen.me.slots}
        self._complete = Counter(seen.me.primary for seen in views.values() if seen.synced)

    def kept(self, seen: Seen) -> str:
        """Return why a node is to stay where it is; nothing where it may go, and is counted as gone."""
        primary = seen.me.primary
        if primary is None:
            return ""
        if primary not in self._serving:
            return "follows a primary that does not answer, and may hold the only copy: see to that one first"
        if self._displaced:
            return f"follows {self._serving[primary]}, and stays: shards are planned for others than hold them"
        if seen.synced and self._complete[primary] < 2:
            return f"is the only copy of what {self._serving[primary]} holds, and stays: give that one another first"
        self._complete[primary] -= seen.synced
        return ""


def _follow(pod: str, seen: Seen | None, owner: Peer, copies: _Copies) -> Step | str | None:
    """Return what has a node follow the owner of its slots, or why that is not done; None where it is so."""
    if seen is None or seen.me.id == owner.id or seen.me.primary == owner.id:
        return None
    me = seen.me
    if me.slots:
        return f"{pod}: owns the slots of another shard: move them by hand"
    if me.primary is None and seen.keys:
        return f"{pod}: holds {seen.keys} keys and no slots: look at them, and empty it by hand"
    kept = copies.kept(seen)
    return f"{pod}: {kept}" if kept else Step(pod, ("CLUSTER", "REPLICATE", owner.id), f"{pod}: follows {owner.id[:8]}")


# --- back to the plan


def _settled(settings: Mapping[str, str], views: Views) -> Iterator[Step]:
    for pod, seen in views.items():
        for name, value in settings.items():
            if name in seen.settings and seen.settings[name] != value:
                says = f"{pod}: {name} is {value}, and was {seen.settings[name]}"
                yield Step(pod, ("CONFIG", "SET", name, value), says)


def _failed_back(shards: Sequence[PlannedShard], views: Views) -> Decision:
    """Have planned primaries that follow take over, one at a time, each once it has all that its primary has."""
    by_id = {seen.me.id: pod for pod, seen in views.items()}
    for shard in shards:
        for node in shard.nodes:
            seen = views.get(node.name)
            if seen is not None and seen.me.primary is not None and not seen.synced:
                return Decision(waiting=f"{node.name} copies from its primary")
    for shard in shards:
        name = shard.nodes[0].name
        seen = views.get(name)
        if seen is None or seen.me.primary is None:
            continue
        if not any(_is_owner(each.me, shard) and each.me.id == seen.me.primary for each in views.values()):
            continue  # it would take over another shard
        if not seen.serves or not all(each.serves for each in views.values()):
            return Decision(waiting="the cluster does not serve yet")
        from_pod = by_id.get(seen.me.primary, seen.me.primary[:8])
        return Decision((Step(name, ("CLUSTER", "FAILOVER"), f"{name}: takes {shard.title} back from {from_pod}"),))
    unfit = next((pod for pod, seen in views.items() if not seen.serves), None)
    return Decision(waiting=f"{unfit} does not hold the cluster fit to serve yet") if unfit else Decision()
