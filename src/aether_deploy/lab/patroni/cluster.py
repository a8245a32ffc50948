"""A real Patroni cluster on this machine, from the configuration that was rendered for a cluster elsewhere."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from aether_deploy.lab.client import MERGE
from aether_deploy.lab.interrupts import deferred
from aether_deploy.lab.life import Booted
from aether_deploy.lab.patroni.configuration import Place, Settings, member_configuration
from aether_deploy.lab.patroni.guard import start_guard
from aether_deploy.lab.patroni.lease import LeaseWatch
from aether_deploy.lab.patroni.member import PatroniMember
from aether_deploy.lab.patroni.programs import PatroniPrograms, find_patroni_programs
from aether_deploy.lab.patroni.stores import Store
from aether_deploy.lab.processes import free_ports
from aether_deploy.lab.workplace import Workplace
from aether_deploy.problems import EffectError

if TYPE_CHECKING:
    from aether_deploy.lab.patroni.writers import Writers

SCOPE = "accounts"
ROOM_MB = 600
"""Space that three members need: a database and its log are 80 MB each before anything is written."""

_HEALTHY_SECS = 240.0
_POLL_SECS = 0.1
_SWITCHOVER_SECS = 60.0


class PatroniCluster(Booted):
    """One cluster.

        with PatroniCluster(EtcdStore(), dynamic={"ttl": 20, "loop_wait": 2, "retry_timeout": 3}) as cluster:
            cluster.wait_healthy()
            cluster.kill(cluster.leader())

    Everything that it runs ends with the block, and with this process, however that ends.

    Attributes:
        scope: Its name.
        members: Its members by name.
        lease: What happened to its leader lease since it was started.
        writers: Clients that write to each member without a pause.
        store: What it keeps its lease in.
    """

    def __init__(
        self,
        store: Store,
        *,
        members: int = 3,
        dynamic: Settings | None = None,
        rendered: Settings | None = None,
        tags: Mapping[str, Settings] | None = None,
        scope: str = SCOPE,
        programs: PatroniPrograms | None = None,
    ) -> None:
        """Prepare a cluster; nothing runs before the block is entered.

        Args:
            store: What it keeps its lease in; the cluster opens and closes it.
            members: How many there are. They are called ``<scope>-0``, ``<scope>-1``, …
            dynamic: Dynamic configuration: ``ttl``, ``loop_wait``, … It wins over what was rendered.
            rendered: Patroni's configuration as it was rendered.
            tags: Tags of single members, by name.
            scope: Its name.
            programs: How the programs are run; left out, they are looked for.

        Raises:
            MissingProgramsError: Programs are not on this machine; with what brings them.
        """
        self.scope = scope
        self.store = store
        self.members: dict[str, PatroniMember] = {}
        self.lease: LeaseWatch
        self.writers: Writers
        self._names = [f"{scope}-{number}" for number in range(members)]
        self._dynamic = dict(dynamic or {})
        self._rendered = dict(rendered or {})
        self._tags = dict(tags or {})
        self._programs = programs or find_patroni_programs()
        self._life = ExitStack()
        self._held: list[socket.socket] = []

    # --- life

    def _end(self) -> None:
        self._life.close()

    def _boot(self) -> None:
        from aether_deploy.lab.patroni.writers import Writers  # needs psycopg, which may be missing

        workplace = self._open_workplace()
        ports, self._held = free_ports(2 * len(self._names))
        self._life.callback(self._release_ports)
        places = [
            Place(name=name, folder=workplace.folder / name, rest_port=ports[2 * at], postgres_port=ports[2 * at + 1])
            for at, name in enumerate(self._names)
        ]
        self._life.callback(self.store.close)
        self.store.open(self.scope, places, workplace)
        self.lease = self._life.enter_context(self.store.watch())
        self._life.callback(self._kill_all)
        for place in places:
            self.members[place.name] = self._member(place)
        for member in self.members.values():
            member.start()
        self.writers = Writers(places)
        self._life.callback(self.writers.stop)

    def _open_workplace(self) -> Workplace:
        with deferred():
            workplace = Workplace.new(room_mb=ROOM_MB)
            self._life.callback(workplace.remove)
            self._life.callback(_dismiss, start_guard(workplace.folder))
        return workplace

    def _member(self, place: Place) -> PatroniMember:
        configuration = member_configuration(
            self._rendered,
            self._dynamic,
            self.store.section(place),
            place,
            scope=self.scope,
            bin_dir=self._programs.bin_dir,
        )
        if place.name in self._tags:
            configuration["tags"] = {**(configuration.get("tags") or {}), **self._tags[place.name]}
        return PatroniMember(place, configuration, self.store.environment(place), self._programs)

    def _kill_all(self) -> None:
        for member in self.members.values():
            member.kill()

    def _release_ports(self) -> None:
        for each in self._held:
            each.close()
        self._held.clear()

    def check(self) -> None:
        """Raise if a program that should run has ended by itself.

        Raises:
            DaemonError: It has; the message quotes its log.
        """
        self.store.check()

    # --- what it says of itself

    def told(self) -> list[dict[str, Any]]:
        """Return the members as ``GET /cluster`` tells them, by any member that answers.

        Raises:
            EffectError: No member answers.
        """
        for member in self.members.values():
            if member.runs:
                with contextlib.suppress(EffectError):
                    return list(member.rest.request("GET", "/cluster").body["members"])
        raise EffectError("no member of the cluster answers\n  fix: see their logs")

    def leader(self) -> PatroniMember:
        """Return the member that holds the lease, as the store says.

        Raises:
            EffectError: Nobody does.
        """
        events = self.lease.events
        if not events or not events[-1].holder:
            raise EffectError("nobody holds the leader lease\n  fix: wait until the cluster is healthy")
        return self.members[events[-1].holder]

    def replicas(self) -> list[PatroniMember]:
        """Return all members but the leader, by name."""
        leader = self.leader()
        return [member for member in self.members.values() if member is not leader]

    def is_healthy(self) -> bool:
        """Return whether one leader runs and every other member streams from it, on its timeline, without lag."""
        try:
            told = self.told()
            leader = self.leader()
        except EffectError:
            return False
        timelines = {each.get("timeline") for each in told}
        leading = [each["name"] for each in told if each["role"] == "leader" and each["state"] == "running"]
        following = [each for each in told if each["role"] != "leader"]
        return (
            len(told) == len(self.members)
            and len(timelines) == 1
            and leading == [leader.name]
            and all(each["state"] == "streaming" and each.get("lag") == 0 for each in following)
        )

    def wait_healthy(self, within_secs: float = _HEALTHY_SECS) -> float:
        """Wait until the cluster is healthy, and return how long that took, seconds.

        Raises:
            DaemonError: A member's Patroni ended by itself.
            EffectError: Not in time; with what the cluster says of itself.
        """
        begun = time.monotonic()
        while not self.is_healthy():
            self.check()
            for member in self.members.values():
                member.supervise()
            if time.monotonic() - begun > within_secs:
                words = "\n".join(member.last_words(2) for member in self.members.values())
                raise EffectError(
                    f"the cluster is not healthy after {within_secs:g} s: {self._said()}\n{words}\n"
                    "  fix: see what its members say above"
                )
            time.sleep(_POLL_SECS)
        return time.monotonic() - begun

    def _said(self) -> str:
        try:
            told = self.told()
        except EffectError:
            return "no member answers"
        return ", ".join(f"{each['name']} is {each['role']} {each['state']} lag {each.get('lag')}" for each in told)

    # --- what can be done to it

    def at_phase(self, phase_secs: float) -> None:
        """Return ``phase_secs`` after a renewal of the lease.

        Raises:
            EffectError: Nobody renews it.
        """
        renewed = self.lease.next_renewal(_HEALTHY_SECS)
        time.sleep(max(0.0, renewed.at + phase_secs - time.monotonic()))

    def restore(self) -> None:
        """Mend all that was done to it: start, thaw and connect again, and wait until the cluster is healthy."""
        self.store.mend()
        for member in self.members.values():
            member.thaw()
            if not member.runs:
                member.start()
        self.wait_healthy()

    def patch_config(self, body: Settings) -> dict[str, Any]:
        """Change the dynamic configuration as day 2 does, and return what it is then."""
        return self.leader().rest.request("PATCH", "/config", dict(body), content_type=MERGE).body

    def switchover(self, candidate: str | None = None) -> float:
        """Ask for a switchover, wait until the lease changed hands, and return when it was asked, monotonic seconds.

        Raises:
            ApiError: Patroni refuses.
            EffectError: The lease did not change hands in time.
        """
        leader = self.leader()
        asked = time.monotonic()
        body = {"leader": leader.name, **({} if candidate is None else {"candidate": candidate})}
        with contextlib.suppress(TimeoutError):
            leader.rest.request("POST", "/switchover", body)
        self.wait_taken(asked, not_by=leader.name, within_secs=_SWITCHOVER_SECS)
        return asked

    def wait_taken(self, moment: float, *, not_by: str, within_secs: float) -> str:
        """Wait until another member took the lease after ``moment``, and return its name.

        Raises:
            EffectError: Nobody did in time.
        """
        deadline = time.monotonic() + within_secs
        while (event := self.lease.taken_after(moment, not_by=not_by)) is None:
            if time.monotonic() > deadline:
                raise EffectError(
                    f"nobody but {not_by} took the lease within {within_secs:g} s\n  fix: see the logs of the members"
                )
            time.sleep(_POLL_SECS / 5)
        return event.holder


def _dismiss(guard: "subprocess.Popen[bytes]") -> None:
    """Let the guard do its work now: end what is left, which is nothing if all went well."""
    assert guard.stdin is not None
    guard.stdin.close()
    guard.wait()
