"""PostgreSQL in a lab: every Patroni cluster of a component, each region's with an etcd as its store."""

import socket
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import msgspec

from aether_deploy.infrastructure.estate import Estate, EstateRegion
from aether_deploy.infrastructure.kinds.postgres import PostgresConfig
from aether_deploy.infrastructure.postgres.configuration import patroni_configuration, spilo_configuration
from aether_deploy.infrastructure.postgres.groups import Group, groups_in
from aether_deploy.infrastructure.postgres.shards import shards_of
from aether_deploy.lab.interrupts import deferred
from aether_deploy.lab.patroni import daemon
from aether_deploy.lab.patroni.configuration import Place
from aether_deploy.lab.patroni.etcd_store import EtcdStore, find_etcd
from aether_deploy.lab.patroni.group import PatroniGroup
from aether_deploy.lab.patroni.guard import start_guard
from aether_deploy.lab.patroni.member import PatroniMember, kill_together
from aether_deploy.lab.patroni.process_tree import postmaster_in
from aether_deploy.lab.patroni.programs import find_patroni_programs
from aether_deploy.lab.processes import free_ports
from aether_deploy.lab.system.member import Member, Probe
from aether_deploy.lab.system.members.standing import PACE_SECS, Standing, address_of
from aether_deploy.lab.system.network import HOST, Address, Network, Server
from aether_deploy.lab.system.record import LabProcess
from aether_deploy.lab.workplace import Workplace
from aether_deploy.platform.config import Platform
from aether_deploy.problems import EffectError

STANDBY_PART = "standby"
PORT = "postgresql"
_ROOM_MB_EACH = 120
_BOOT_SECS = 240.0
_PACE_SECS = 5 * PACE_SECS  # Patroni and the database take their time to start
_POLL_SECS = 0.25
_BACKEND = "patroni"


def members_of(platform: Platform, network: Network) -> Sequence[Member]:
    """Return every database of ``platform`` that Patroni runs.

    Raises:
        MissingProgramsError: Programs are not on this machine; with what brings them.
    """
    return [PostgresMember(each, platform.estate, network) for each in _databases(platform) if each.backend == _BACKEND]


def left_out_of(platform: Platform) -> Sequence[str]:
    """Return which databases do not run here, each with the reason."""
    return [
        f"{each.name}: its pods are made by Zalando's operator, which needs a cluster"
        for each in _databases(platform)
        if each.backend != _BACKEND
    ]


def _databases(platform: Platform) -> Iterator[PostgresConfig]:
    for each in platform.components:
        if isinstance(each, PostgresConfig) and each.enabled and each.placed_in(platform.estate):
            yield each


class _Cluster(msgspec.Struct, frozen=True):
    """One Patroni cluster and where it stands."""

    part: str
    region: EstateRegion
    group: PatroniGroup
    follows: bool

    def address(self, member: PatroniMember) -> str:
        """Return what the process of a member is called in the lab."""
        return address_of(self.region.code, member.name)

    def datacenter(self, name: str) -> str:
        """Return where a member stands: members go round the region's zones, as a spread of at most one allows."""
        full = self.region.full
        return full[list(self.group.members).index(name) % len(full)].name


class PostgresMember(Member):
    """One component."""

    kind = "postgres"

    def __init__(self, config: PostgresConfig, estate: Estate, network: Network) -> None:
        """Look for what it runs; nothing starts before the block is entered.

        Raises:
            MissingProgramsError: Programs are not on this machine; with what brings them.
        """
        self.name = config.name
        self.left_out = tuple(_left_out(config))
        self._config, self._estate, self._network = config, estate, network
        self._programs = msgspec.structs.replace(
            find_patroni_programs(), patroni=(sys.executable, "-m", daemon.__name__)
        )
        self._etcd = find_etcd()
        self._clusters: list[_Cluster] = []
        self._stores: list[EtcdStore] = []
        self._standing = Standing()
        self._life = ExitStack()
        self._held: list[socket.socket] = []

    # --- life

    def _end(self) -> None:
        self._life.close()

    def _boot(self) -> None:
        with deferred():
            workplace = Workplace.new(room_mb=_ROOM_MB_EACH * sum(each.members for _, each in self._groups()))
            self._life.callback(workplace.remove)
            guard = start_guard(workplace.folder)
            self._life.callback(guard.communicate)
        self._life.callback(self._let_ports_go)
        self._life.callback(self._close_stores)
        self._life.callback(self._kill_all)
        for region in dict.fromkeys(region.code for region, _ in self._groups()):
            self._place(region, workplace)
        self._wait_whole()

    def _groups(self) -> Iterator[tuple[EstateRegion, Group]]:
        """Yield every Patroni cluster, those of the region that takes writes first."""
        active = self._config.active_in(self._estate)
        placed = self._config.placed_in(self._estate)
        for code in sorted(placed, key=lambda code: code != active):
            region = self._estate.region(code)
            assert region is not None, "a component is placed where the estate is"
            yield from ((region, group) for group in groups_in(self._config, code))

    def _place(self, code: str, workplace: Workplace) -> None:
        """Open the store of a region, and put the clusters there."""
        store = EtcdStore(program=self._etcd, name=f"etcd-{code}")
        self._stores.append(store)
        store.open(self.name, (), workplace)
        for region, group in self._groups():
            if region.code == code:
                self._clusters.append(self._cluster(region, group, store, workplace))
        if code == self._config.active_in(self._estate):
            self._network.front(Server(self.name, code, PORT), self._leading, blocking=True)

    def _cluster(self, region: EstateRegion, group: Group, store: EtcdStore, workplace: Workplace) -> _Cluster:
        ports, held = free_ports(2 * group.members)
        self._held += held
        places = [
            Place(
                name=(name := f"{group.part}-{number}"),
                folder=workplace.folder / name,
                rest_port=ports[2 * number],
                postgres_port=ports[2 * number + 1],
            )
            for number in range(group.members)
        ]
        rendered = self._rendered(region.code, group)
        dynamic: dict[str, Any] = {}
        source = rendered["bootstrap"]["dcs"].get("standby_cluster")
        if source is not None:
            active = self._config.active_in(self._estate) or ""
            found = self._network.reach(region.code, Server(self.name, active, PORT))
            dynamic["standby_cluster"] = {**source, "host": found.host, "port": found.port}
        made = PatroniGroup(group.part, places, store, self._programs, rendered=rendered, dynamic=dynamic)
        return _Cluster(self._part(group, source is not None), region, made, source is not None)

    def _rendered(self, region: str, group: Group) -> dict[str, Any]:
        """Return what is rendered for a cluster's pods; where it follows, any host stands for the source."""
        source = HOST if self._config.standby is not None and region == self._config.standby.region else None
        if self._config.image_kind == "spilo":
            return spilo_configuration(self._config, region, source_host=source)
        return patroni_configuration(
            self._config, region, group, namespace=self._estate.data_namespace, source_host=source
        )

    def _part(self, group: Group, follows: bool) -> str:
        """Return what an analysis calls the cluster."""
        if follows:
            return STANDBY_PART
        first, *workers = shards_of(groups_in(self._config, self._config.active_in(self._estate) or ""))
        return first.part if group.leads else workers[0].part

    def _wait_whole(self) -> None:
        begun, whole = time.monotonic(), set[str]()
        started = set[str]()
        while len(whole) < len(self._clusters):
            for each in self._clusters:
                scope = each.group.scope
                if scope not in started and (not each.follows or self._leading()):
                    each.group.start()
                    started.add(scope)
                if scope in started and scope not in whole and each.group.boot():
                    whole.add(scope)
            self._supervise()
            if self._network.is_closed:
                raise EffectError(f"the lab ends before {self.name} is whole")
            if time.monotonic() - begun > _BOOT_SECS:
                words = "\n".join(each.group.last_words() for each in self._clusters if each.group.scope not in whole)
                raise EffectError(
                    f"{self.name} is not whole after {_BOOT_SECS:g} s\n{words}\n  fix: see what its members say above"
                )
            time.sleep(_POLL_SECS)

    def _leading(self) -> Sequence[Address]:
        """Return where the leader of the cluster that clients ask takes them; none where nobody leads."""
        leader = next(each for each in self._clusters if not each.follows).group.leader()
        return () if leader is None or not leader.runs else (Address(HOST, leader.place.postgres_port),)

    def _kill_all(self) -> None:
        kill_together([member for _, member in self._members()])

    def _close_stores(self) -> None:
        for store in self._stores:
            store.close()

    def _let_ports_go(self) -> None:
        for each in self._held:
            each.close()
        self._held.clear()

    def check(self) -> None:
        for store in self._stores:
            store.check()
        for _, member in self._members():
            member.check()

    def _supervise(self) -> None:
        """Look after what boots, as kubelets would; once all serves, whoever ends by himself is told of."""
        for store in self._stores:
            store.check()
        for _, member in self._members():
            member.supervise()

    # --- what it runs

    def _members(self) -> Iterator[tuple[_Cluster, PatroniMember]]:
        for cluster in self._clusters:
            yield from ((cluster, member) for member in cluster.group.members.values())

    def processes(self) -> Sequence[LabProcess]:
        leaders = {cluster.group.scope: cluster.group.leader() for cluster in self._clusters}
        return [self._process(cluster, member, leaders[cluster.group.scope]) for cluster, member in self._members()]

    def pids(self) -> Sequence[int]:
        """Return those of Patroni, of PostgreSQL, which is no child of it, and of the stores."""
        each = [pid for _, member in self._members() for pid in (member.pid, postmaster_in(member.data))]
        return [pid for pid in each if pid is not None] + [pid for store in self._stores for pid in store.pids()]

    def _process(self, cluster: _Cluster, member: PatroniMember, leader: PatroniMember | None) -> LabProcess:
        return LabProcess(
            name=member.name,
            member=self.name,
            region=cluster.region.code,
            datacenter=cluster.datacenter(member.name),
            state=self._standing.state_of(cluster.address(member), member),
            pid=member.pid,
            leads=(cluster.part,) if member is leader else (),
        )

    def settings(self, region: str) -> dict[str, Any]:
        """Return the dynamic configuration of the first cluster of a region, as its leader tells it.

        Raises:
            EffectError: Nobody leads there, or does not answer.
        """
        leader = self._first(region).leader()
        if leader is None:
            raise EffectError(f"nobody leads {self.name} in {region}")
        return leader.rest.request("GET", "/config").body

    def told(self, region: str) -> list[dict[str, Any]]:
        """Return the members of the first cluster of a region as Patroni tells them; none where none answers."""
        return self._first(region).told()

    def rows_in(self, region: str, number: int) -> int:
        """Return how many rows of a number a leader in ``region`` has: one, or none yet.

        Raises:
            EffectError: Nobody leads there, or does not answer.
        """
        from aether_deploy.lab.system.members.postgres_probes import rows_at  # needs psycopg, which may be missing

        return rows_at(self._first(region), number)

    def _first(self, region: str) -> PatroniGroup:
        return next(each.group for each in self._clusters if each.region.code == region)

    def _each(self, names: Collection[str]) -> list[PatroniMember]:
        return [member for cluster, member in self._members() if cluster.address(member) in names]

    def kill(self, names: Collection[str]) -> None:
        self._standing.end(names)
        kill_together(self._each(names))

    def freeze(self, names: Collection[str]) -> None:
        self._standing.freeze(names)
        for member in self._each(names):
            member.freeze()

    def mend(self, names: Collection[str]) -> None:
        for member in self._each(names):
            member.thaw()
            if not member.runs:
                member.start()
                time.sleep(_PACE_SECS)
        self._standing.mend(names)

    def settle(self, within_secs: float) -> bool:
        deadline = time.monotonic() + within_secs
        is_settled = True
        for cluster in self._clusters:
            leads = any(each.runs for each in cluster.group.members.values())
            while leads and not (is_safe := cluster.group.settled()) and time.monotonic() < deadline:
                time.sleep(_POLL_SECS)
            is_settled = is_settled and (not leads or is_safe)
        return is_settled

    # --- who asks it

    def probes(self) -> Sequence[Probe]:
        by_part: dict[str, list[_Cluster]] = {}
        for cluster in self._clusters:
            by_part.setdefault(cluster.part, []).append(cluster)
        return [self._probe(part, clusters) for part, clusters in by_part.items()]

    def _probe(self, part: str, clusters: Sequence[_Cluster]) -> Probe:
        from aether_deploy.lab.system.members.postgres_probes import FollowingProbe, WritingProbe  # need psycopg

        groups, region = [each.group for each in clusters], clusters[0].region.code
        if clusters[0].follows:
            return FollowingProbe(self.name, part, region, groups)
        copies = [each.group for each in self._clusters if each.follows]
        return WritingProbe(self.name, part, region, groups, copies)


def _left_out(config: PostgresConfig) -> Iterator[str]:
    yield f"{config.name}: Patroni keeps its lease in etcd here, one for a region, and in the Kubernetes API elsewhere"
    if config.sharding is not None:
        yield f"{config.name}: without Citus: coordinator and workers are databases of their own, no query spans them"
    if config.tls is not None:
        yield f"{config.name}: without TLS, which this PostgreSQL is built without"
