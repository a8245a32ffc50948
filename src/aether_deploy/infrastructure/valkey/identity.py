"""Which node is which pod, and which nodes are of one cluster."""

from collections.abc import Iterator
from ipaddress import ip_address

from aether_deploy.infrastructure.valkey.views import Peer, Seen, Views, owned_of


def unlike(me: Peer, *, pod: str, host: str) -> str:
    """Return why a node that answers at a pod's address is not that pod; nothing where it is.

    Addresses are given to other pods again: one of another cluster may answer where a pod was found. Each announces
    the host name of its pod. A plan of addresses (a lab) knows but the first part of that, the name of the pod.
    """
    announced = me.hostname.partition(".")[0]
    if me.hostname == host or (_is_address(host) and announced == pod):
        return ""
    return f"is another node: {me.hostname or 'one that announces no host name'}"


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def twins_of(views: Views) -> Iterator[str]:
    """Yield which pods are one node: then nobody can tell what is asked of whom."""
    first: dict[str, str] = {}
    for pod, seen in views.items():
        if seen.me.id in first:
            yield f"{first[seen.me.id]} and {pod} are the same node: stale DNS, or a copy of a volume"
        first.setdefault(seen.me.id, pod)


def outside_of(views: Views) -> dict[str, str]:
    """Return nodes of another cluster than that of who introduces, with the reason: to meet them would merge the two.

    Of two owners of a slot one gives up all that it holds. A node that is new knows nobody; one that lives in a cluster
    shares whom it knows with each other node of that.
    """
    introducer = introducer_of(views)
    host = views[introducer]
    return {
        pod: f"{pod}: is of another cluster, of which {introducer} knows nobody: see where its volume is from"
        for pod, seen in views.items()
        if not _acquainted(seen, host) and _has_a_cluster(seen, host)
    }


def _acquainted(one: Seen, other: Seen) -> bool:
    return not one.peers.keys().isdisjoint(other.peers.keys())


def _has_a_cluster(seen: Seen, host: Seen) -> bool:
    others = [peer for peer in seen.peers.values() if peer.id != seen.me.id]
    taken = [slots for peer in host.peers.values() for slots in peer.slots]
    overlaps = any(owned_of(seen.me, slots) for slots in taken)
    return seen.me.primary is not None or overlaps or any(peer.slots for peer in others)


def introducer_of(views: Views) -> str:
    """Return the node that knows most slots, of several one that most nodes share acquaintances with."""

    def weight(pod: str) -> tuple[int, int]:
        seen = views[pod]
        slots = sum(end - first + 1 for peer in seen.peers.values() for first, end in peer.slots)
        return slots, sum(_acquainted(seen, other) for other in views.values())

    return max(views, key=weight)
