"""What must hold between the settings of a PostgreSQL cluster, and between them and the regions where it runs."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from aether_deploy.config.base import Fault, judged
from aether_deploy.failover.policy import archiving_fault, member_faults
from aether_deploy.infrastructure.estate import Estate, EstateRegion
from aether_deploy.infrastructure.postgres.configuration import DATA_PATH, archives
from aether_deploy.infrastructure.postgres.groups import groups_in
from aether_deploy.infrastructure.postgres.images import newest_version
from aether_deploy.infrastructure.postgres.parameters import number_of
from aether_deploy.problems import suggestion

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.postgres import PostgresConfig


# --- of the component alone


def it_runs_in_one_region(self: "PostgresConfig") -> Iterator[Fault]:
    if self.regions != "all" and len(self.regions) != 1:
        yield Fault(("regions",), _ONE_REGION, _NAME_ONE, self.regions)


_ONE_REGION = "not one region; a cluster has one primary, and members that vote across regions fail over by a WAN"
_NAME_ONE = "name one region; standby.region takes a second"

_RESERVED = ("postgres", "template0", "template1")


def its_database_has_a_name_of_its_own(self: "PostgresConfig") -> Iterator[Fault]:
    said: dict[tuple[str, ...], str] = {("database",): self.database}
    if self.sharding is not None:
        said = {("sharding", "database"): self.sharding.database, **said}
    for at, name in said.items():
        if name in _RESERVED:
            reason = "a database that every cluster has from the start, so that it cannot be made"
            yield Fault(at, reason, f"name one of your own, as {at[-1]}: game", name)
            return  # where one follows from the other, once


def the_image_has_the_version(self: "PostgresConfig") -> Iterator[Fault]:
    newest, version = newest_version(self.image), self.postgresql.version
    if newest is not None and version > newest:
        reason = f"not in the image, which is Spilo with PostgreSQL {newest} and older ones"
        yield Fault(("postgresql", "version"), reason, f"set it to {newest}, or take spilo-{version}", version)


def its_pods_have_an_image(self: "PostgresConfig") -> Iterator[Fault]:
    if self.backend == "patroni" and self.image is None:
        yield Fault(
            (), "lacks 'image', which its pods run", "add image: ghcr.io/zalando/spilo-18:4.1-p2, by its digest"
        )


def the_standby_is_elsewhere_and_finds_the_primary(self: "PostgresConfig") -> Iterator[Fault]:
    standby = self.standby
    if standby is None:
        return
    if self.regions != "all" and standby.region in self.regions:
        reason = "the region of the cluster that it follows: both are lost together"
        yield Fault(("standby", "region"), reason, "name another region, or raise members", standby.region)
    if self.endpoint is None:  # one that nothing exposes is refused wherever it stands
        reason = f"lacks 'endpoint': the standby in '{standby.region}' streams from the primary over it"
        yield Fault((), reason, "add endpoint and expose, or set standby to none")
    elif not any(word in self.endpoint for word in ("{region}", "{cluster}")):
        reason = "the same name in both regions: the standby, and after a promotion the former primary, find whichever "
        reason += "load balancer it leads to, and that may be their own"
        yield Fault(("endpoint",), reason, "put {region} into it", self.endpoint, "warning")
    if self.sharding is not None:
        reason = "not with sharding: each group would need an address of its own to stream from"
        yield Fault(("standby",), reason, "set standby to none, or leave sharding out")
    if self.image_kind == "patroni" and self.backend == "patroni" and self.tls is None:
        reason = "passwords and data go to another region as plain text"
        yield Fault(("standby",), reason, "give tls a secret", severity="warning")


def shards_have_what_citus_needs(self: "PostgresConfig") -> Iterator[Fault]:
    if self.sharding is None:
        return
    if self.image_kind == "spilo" and self.backend == "patroni":
        reason = "needs an image with Citus, and Spilo has none"
        fix = "build one from Patroni's kubernetes/Dockerfile.citus, or leave sharding out"
        yield Fault(("sharding",), reason, fix)
    if not self.failover.is_synchronous:
        reason = "a group that fails over may lose writes that others keep, and with them transactions over several"
        yield Fault(("failover", "synchronous_mode"), reason, "set it to quorum", False, "warning")
    if self.database != self.sharding.database:
        reason = f"not sharding.database, which is '{self.sharding.database}'"
        yield Fault(("database",), reason, "remove it", self.database)


def the_policy_fits_the_members(self: "PostgresConfig") -> Iterator[Fault]:
    counts = {"members": self.members}
    if self.sharding is not None:
        counts["sharding.members_per_worker"] = self.sharding.members_per_worker
    seen = set()
    for name, members in counts.items():
        at = tuple(name.split("."))
        if members == 1:
            reason = "no other member can take over"
            yield Fault(at, reason, "set it to 3, or to 2", members, "warning")
            continue
        for fault in member_faults(self.failover, members):
            if fault.at not in seen:
                seen.add(fault.at)
                yield Fault(("failover", *fault.at), fault.reason, fault.fix, fault.value, fault.severity)
    strict = self.failover.is_synchronous and self.failover.synchronous_mode_strict
    count = self.failover.synchronous_node_count
    if self.standby is not None and strict and self.standby.members <= count:
        reason = (
            f"failover.synchronous_mode_strict wants {count} replicas: once it is promoted no write is acknowledged"
        )
        fix = f"set it to {count + 1} or more"
        yield Fault(("standby", "members"), reason, fix, self.standby.members, "warning")
    if self.failover.synchronous_mode == "quorum" and self.members == 2:
        reason = "a quorum of one replica: the same as true, since no other can have a write"
        yield Fault(("failover", "synchronous_mode"), reason, "set members to 3, or this to true", "quorum", "warning")


def members_have_senders_and_slots(self: "PostgresConfig") -> Iterator[Fault]:
    members = max([self.members, *([self.sharding.members_per_worker] if self.sharding else [])])
    others = members - 1 + (1 if self.standby else 0)
    said = self.postgresql.parameters
    # One sender more: a new member copies the primary while the others stream.
    for name, needed in (("max_wal_senders", others + 1), ("max_replication_slots", others)):
        number = number_of(said, name)
        if number < needed and (name != "max_replication_slots" or self.failover.use_slots):
            reason = f"{number}, and {needed} are needed: for {others} that stream"
            reason += " and one that is copied" if name == "max_wal_senders" else ""
            yield Fault(("postgresql", "parameters", name), reason, f"set it to {needed} or more")


def a_pod_has_no_watchdog(self: "PostgresConfig") -> Iterator[Fault]:
    mode = self.failover.watchdog
    if mode == "off":
        return
    never = mode == "required"
    reason = "a pod that is restricted sees no device of its node: " + (
        "without its watchdog no member ever leads" if never else "Patroni runs without"
    )
    fix = "set it to off: the liveness probe kills a container whose Patroni hangs"
    yield Fault(("failover", "watchdog"), reason, fix, mode, "error" if never else "warning")


def an_archive_widens_the_lag(self: "PostgresConfig") -> Iterator[Fault]:
    if not archives(self):
        return
    fault = archiving_fault(self.failover)
    if fault is not None:
        yield Fault(("failover", *fault.at), fault.reason, fault.fix, fault.value, fault.severity)


def stopping_has_time(self: "PostgresConfig") -> Iterator[Fault]:
    if self.stop_secs <= self.failover.primary_stop_timeout:
        reason = f"not more than failover.primary_stop_timeout, which is {self.failover.primary_stop_timeout}"
        yield Fault(("stop_secs",), f"{reason}: the pod is killed first", "raise it", self.stop_secs)


def only_the_primary_is_exposed(self: "PostgresConfig") -> Iterator[Fault]:
    if self.expose is None:
        return
    if self.expose.per_pod:
        reason = "which pod takes writes changes with every failover"
        yield Fault(("expose", "per_pod"), reason, "remove it: the Service follows the primary", True)
    known = [name for name, _, _ in self.client_ports]
    for place, name in enumerate(self.expose.ports):
        if name not in known:
            fix = suggestion(name, known, f"known are {', '.join(known)}")
            yield Fault(("expose", "ports", place), "no port that is exposed", fix, name)


def data_is_kept(self: "PostgresConfig") -> Iterator[Fault]:
    if self.pvc.access_mode == "ReadWriteMany":
        reason = "lets two pods mount the data of one member"
        yield Fault(("pvc", "access_mode"), reason, "set it to ReadWriteOncePod, or leave it out", "ReadWriteMany")
    if self.pvc.as_given().get("retention") is not None:
        yield Fault(("pvc", "retention"), "not used: volumes of a database are always kept", "remove it")
    if self.image_kind == "spilo" and self.pvc.mount_path != DATA_PATH:
        reason = "not where Spilo keeps its data"
        yield Fault(("pvc", "mount_path"), reason, "remove it", self.pvc.mount_path)


def a_backend_has_its_fields(self: "PostgresConfig") -> Iterator[Fault]:
    if self.team is not None and self.backend != "zalando":
        yield Fault(("team",), f"not used by backend {self.backend}", "remove it", self.team)


# --- of the component in its regions


def faults_in(config: "PostgresConfig", estate: Estate) -> Iterator[Fault]:
    """Yield what is wrong with a component where it is to run; steps begin at the component."""
    if config.active_in(estate) is None and config.regions == "all":
        yield Fault(("regions",), _ONE_REGION, _NAME_ONE, "all")
        return
    placed = [region for code in config.placed_in(estate) if (region := estate.region(code)) is not None]
    yield from judged(
        _primary_faults(config, estate),
        _standby_faults(config, estate),
        *(_zone_faults(config, each, active=each.code == config.active_in(estate)) for each in placed),
    )


def _primary_faults(config: "PostgresConfig", estate: Estate) -> Iterator[Fault]:
    code = config.active_in(estate)
    if config.standby is not None and code in estate.disabled:
        reason = "switched off, and the standby would follow nobody"
        yield Fault(("regions", 0), reason, "switch the region on, set enabled: false here, or move the primary", code)


def _standby_faults(config: "PostgresConfig", estate: Estate) -> Iterator[Fault]:
    code = config.standby.region if config.standby is not None else None
    if code in estate.disabled:
        yield Fault(("standby", "region"), "switched off", "set standby to none, or name another region", code)


def _zone_faults(config: "PostgresConfig", region: EstateRegion, *, active: bool) -> Iterator[Fault]:
    """A zone takes all its members along; what they alone had is gone, or nobody may take over who has it."""
    largest = max(groups_in(config, region.code), key=lambda group: group.members)
    worker = ("members",) if largest.leads else ("sharding", "members_per_worker")
    at = worker if active else ("standby", "members")
    zones = len(region.zones)
    if largest.members > 1 and zones < 2:
        reason = f"all in one zone of region '{region.code}': its loss is the loss of them all"
        yield Fault(at, reason, "give the region more zones", largest.members, "warning")
    elif active and config.failover.is_synchronous and zones >= 2:
        together = -(-largest.members // zones)
        count = config.failover.synchronous_node_count
        if together - 1 >= count:
            reason = f"{together} of them share a zone of region '{region.code}': it may hold every copy of a write "
            reason += "that was acknowledged, and then nobody takes over by himself"
            fix = f"set failover.synchronous_node_count to {together}, or this to {zones * count} or fewer, or give "
            fix += f"the region {-(-largest.members // count)} zones"
            yield Fault(at, reason, fix, largest.members, "warning")
