"""One Patroni cluster among several of a lab: it shares their store, and boots as fast as Patroni lets it.

Patroni looks around once per ``loop_wait``. A member that starts before there is a leader waits out such a pause, and
so does what follows a change. So the member that is to lead starts first and the others once it leads; and who has to
look again is asked for it by a change of nothing.
"""

import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

from aether_deploy.lab.client import MERGE
from aether_deploy.lab.patroni.configuration import Place, Settings, member_configuration
from aether_deploy.lab.patroni.etcd_store import EtcdStore
from aether_deploy.lab.patroni.member import PatroniMember
from aether_deploy.lab.patroni.programs import PatroniPrograms
from aether_deploy.problems import EffectError

_ASK_AGAIN_SECS = 1.0
_SYNCHRONOUS = ("sync_standby", "quorum_standby")


class PatroniGroup:
    """One cluster.

    Attributes:
        scope: Its name.
        members: Its members by name, the one that leads first of all at the beginning.
    """

    def __init__(
        self,
        scope: str,
        places: Sequence[Place],
        store: EtcdStore,
        programs: PatroniPrograms,
        *,
        rendered: Settings,
        dynamic: Settings,
    ) -> None:
        """Write the configuration of each member; nothing runs before :meth:`start`.

        Args:
            scope: Its name.
            places: Where each member lives.
            store: What it keeps its lease in; open, and shared with others.
            programs: How the programs are run.
            rendered: Patroni's configuration as it was rendered.
            dynamic: Dynamic configuration that wins over what was rendered.
        """
        self.scope = scope
        self.members: dict[str, PatroniMember] = {}
        self._store = store
        self._asked_at = 0.0
        for place in places:
            said = member_configuration(
                rendered, dynamic, store.section(place), place, scope=scope, bin_dir=programs.bin_dir
            )
            self._settings: Mapping[str, Any] = said["bootstrap"]["dcs"]
            self.members[place.name] = PatroniMember(place, said, store.environment(place), programs)

    # --- its boot

    def start(self) -> None:
        """Start the member that is to lead."""
        next(iter(self.members.values())).start()

    def boot(self) -> bool:
        """Take the next step of the boot, if it is time for one, and return whether the cluster is whole.

        Raises:
            DaemonError: A member's Patroni ends each time.
        """
        for member in self.members.values():
            member.supervise()
        first, *others = self.members.values()
        if not _leads(first):
            return False
        for member in others:
            if not member.runs:
                member.start()
        if not all(map(_follows, others)):
            self._look_again(first)  # who follows needs a slot, which the leader makes when it sees him
            return False
        return self._is_covered(first, others)

    def settled(self) -> bool:
        """Return whether those that run are as safe as they can be: one leads, all others follow, and as many of them
        as may be are waited for by each write. Who has to look again is asked for it."""
        running = [member for member in self.members.values() if member.runs]
        leader = self.leader()
        if leader is None or leader not in running or not _leads(leader):
            return False
        others = [member for member in running if member is not leader]
        if not all(map(_follows, others)):
            self._look_again(leader)
            return False
        return self._is_covered(leader, others)

    def _is_covered(self, leader: PatroniMember, others: Sequence[PatroniMember]) -> bool:
        """Return whether writes wait for replicas as the settings have it."""
        if not others or not self._waits_for_replicas:
            return True
        wanted = len(others)
        if self._settings.get("synchronous_mode") != "quorum":  # named replicas, of which there are as many as said
            wanted = min(wanted, int(self._settings.get("synchronous_node_count", 1)))
        if sum(each["role"] in _SYNCHRONOUS for each in self.told()) >= wanted:
            return True
        self._look_again(*others, leader)  # who follows says how it is before the leader counts
        return False

    @property
    def _waits_for_replicas(self) -> bool:
        follows = "standby_cluster" in self._settings
        return self._settings.get("synchronous_mode") not in (None, False, "off") and not follows

    def _look_again(self, *members: PatroniMember) -> None:
        """Have members look around now rather than after their pause: a change of nothing is asked of them."""
        if time.monotonic() - self._asked_at < _ASK_AGAIN_SECS:
            return
        self._asked_at = time.monotonic()
        for member in members:
            with contextlib.suppress(EffectError):
                said = {"ttl": self._settings.get("ttl", 30)}
                member.rest.request("PATCH", "/config", said, content_type=MERGE)

    # --- what it says of itself

    def told(self) -> list[dict[str, Any]]:
        """Return the members as ``GET /cluster`` tells them, by any member that answers; none where none does."""
        for member in self.members.values():
            if member.runs:
                with contextlib.suppress(EffectError):
                    return list(member.rest.request("GET", "/cluster").body["members"])
        return []

    def leader(self) -> PatroniMember | None:
        """Return the member that holds the leader lease, whether it lives or not; None where nobody does."""
        with contextlib.suppress(EffectError):
            return self.members.get(self._store.holder(self.scope))
        return None

    def last_words(self) -> str:
        """Return what its members printed last."""
        return "\n".join(member.last_words(3) for member in self.members.values() if member.runs)


def _status(member: PatroniMember) -> Mapping[str, Any]:
    """Return what a member says of itself now; what others know of it may be as old as a pause."""
    with contextlib.suppress(EffectError):
        return member.rest.request("GET", "/patroni").body
    return {}


def _leads(member: PatroniMember) -> bool:
    told = _status(member)
    if told.get("role") == "standby_leader":
        return told.get("replication_state") == "streaming"
    return (told.get("role"), told.get("state")) == ("primary", "running")


def _follows(member: PatroniMember) -> bool:
    return _status(member).get("replication_state") == "streaming"
