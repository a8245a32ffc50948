"""Kind ``postgres``: PostgreSQL that fails over by Patroni."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from aether_deploy.config.base import FILLED, Fault, rule
from aether_deploy.config.marks import OneOf
from aether_deploy.config.sink import FAULTY
from aether_deploy.config.types import DnsLabel, PositiveSeconds
from aether_deploy.failover.policy import FailoverPolicy
from aether_deploy.infrastructure.component import ComponentConfig, FileChange, Place, Port
from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.postgres import changes, rules
from aether_deploy.infrastructure.postgres.backend import Backend, backend_names, backend_of
from aether_deploy.infrastructure.postgres.configuration import DATA_PATH, POSTGRES_PORT
from aether_deploy.infrastructure.postgres.examples import EXAMPLES
from aether_deploy.infrastructure.postgres.images import IDENTITIES, kind_of_image
from aether_deploy.infrastructure.postgres.settings import (
    DATABASE_NAME,
    DatabaseName,
    ImageKind,
    Members,
    PostgresIdentity,
    PostgresServer,
    PostgresSharding,
    PostgresStandby,
    PostgresTls,
)
from aether_deploy.pods.storage import PvcConfig


class PostgresConfig(ComponentConfig):
    """A PostgreSQL cluster: one primary, replicas that take over, and on request shards or a second region.

    Attributes:
        kind: ``postgres``.
        regions: The region of the primary: one. Left out, the only region that is rendered.
        backend: ``patroni`` renders the pods; ``zalando`` a ``postgresql`` object for Zalando's operator.
        image_kind: ``spilo`` is started as Spilo wants it; ``patroni`` is an image in whose PATH ``patroni`` and
            ``psql`` are, with PostgreSQL below ``/usr/lib/postgresql``. Left out, the image's name tells.
        team: Zalando's operator: the team, with which the component's name begins.
        members: Members of the cluster, the primary included; of each cluster, where nothing else is said.
        pvc: The volume of each member.
        failover: When a replica takes over.
        standby: A second cluster in another region that follows this one.
        sharding: Tables spread over groups of members by Citus.
        postgresql: Version and parameters.
        tls: Encrypted connections, and no others; left out, an image of kind ``spilo`` offers them with a
            certificate of its own, one of kind ``patroni`` does not.
        database: A database that is there from the start and belongs to the user of the credentials.
        identity: Who the processes are.
        stop_secs: Longest time that PostgreSQL may take to stop, seconds.

    Rule:
        Patroni 4.1.5, ``docs/kubernetes.rst``, ``docs/standby_cluster.rst``, ``docs/citus.rst``.
    """

    KIND_NAME: ClassVar[str] = "postgres"
    DATA_PATH: ClassVar[str] = DATA_PATH

    EXAMPLES: ClassVar[Mapping[str, Mapping[str, Any]]] = EXAMPLES

    kind: Literal["postgres"] = FILLED
    backend: Annotated[str, OneOf(backend_names())] = "patroni"
    image_kind: ImageKind = FILLED
    team: DnsLabel | None = None
    members: Members = 3
    pvc: PvcConfig
    failover: FailoverPolicy = FILLED
    standby: PostgresStandby | None = None
    sharding: PostgresSharding | None = None
    postgresql: PostgresServer = FILLED
    tls: PostgresTls | None = None
    database: DatabaseName = FILLED
    identity: PostgresIdentity = FILLED
    stop_secs: PositiveSeconds = 300

    @classmethod
    def fill(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        filled = {"kind": cls.KIND_NAME, "failover": {}, "postgresql": {}, **super().fill(given)}
        image, identity = given.get("image"), filled.get("identity", {})
        known = image is None or isinstance(image, str)
        image_kind = filled.setdefault("image_kind", kind_of_image(image) if known else FAULTY)
        if isinstance(identity, Mapping):
            usual = IDENTITIES.get(image_kind) if isinstance(image_kind, str) else None
            filled["identity"] = {**(usual or IDENTITIES["patroni"]), **identity}
        sharding, failover = filled.get("sharding"), filled["failover"]
        sharded = isinstance(sharding, (Mapping, PostgresSharding))
        if sharded and isinstance(failover, Mapping):
            # Patroni's own default with Citus; a policy that says every setting would switch it off.
            filled["failover"] = {"synchronous_mode": "quorum", **failover}
        if "database" not in filled:
            filled["database"] = _database(str(given.get("name", "")), sharding)
        return filled

    @classmethod
    def default_limits(cls) -> Mapping[str, str]:
        return {
            "cpu_limit": "1",
            "memory_limit": "2Gi",
            "ephemeral_limit": "1Gi",
        }

    @classmethod
    def default_exposed(cls) -> Sequence[str]:
        return ("postgresql",)

    def active_in(self, estate: Estate) -> str | None:
        """Return the region of the primary: the one that is named, or the only one there is; None where neither is."""
        if self.regions != "all":
            return self.regions[0] if self.regions else None
        return estate.regions[0].code if len(estate.regions) == 1 else None

    @property
    def renderer(self) -> Backend:
        """The back end that renders it."""
        return backend_of(self.backend)

    @property
    def client_ports(self) -> tuple[Port, ...]:
        return (("postgresql", POSTGRES_PORT, "TCP"),)

    @property
    def credentials(self) -> str | None:
        return self.renderer.credentials(self)

    @property
    def named_regions(self) -> Mapping[tuple[str | int, ...], str]:
        own = dict(super().named_regions)
        return own if self.standby is None else {**own, ("standby", "region"): self.standby.region}

    def placed_in(self, estate: Estate) -> tuple[str, ...]:
        standby = {self.standby.region} if self.standby and self.enabled else set()
        own = super().placed_in(estate)
        return tuple(region.code for region in estate.regions if region.code in {*own, *standby})

    def serving_region(self, estate: Estate, region: str) -> str | None:
        """Return the region itself where it has the primary; a standby answers nobody who asks for the component."""
        return region if region in self.placed_in(estate) and region == self.active_in(estate) else None

    def occupies_its_name(self, estate: Estate, region: str) -> bool:
        """Return whether the standby of an operator is in ``region``: its Service is called as the component."""
        return self.renderer.makes_services and self.standby is not None and region == self.standby.region

    def secrets(self, place: Place) -> Mapping[str, tuple[str, ...]]:
        return self.renderer.secrets(self)

    def faults(self, estate: Estate) -> Iterator[Fault]:
        yield from rules.faults_in(self, estate)
        yield from self.renderer.faults(self, estate)

    def render(self, place: Place) -> list[dict[str, Any]]:
        return self.renderer.render(self, place)

    @classmethod
    def file_changes(cls, before: Mapping[str, str], after: Mapping[str, str]) -> Sequence[FileChange]:
        return changes.file_changes(before, after)

    @classmethod
    def object_changes(cls, before: Mapping[str, Any], after: Mapping[str, Any]) -> Sequence[FileChange]:
        return [each for name in backend_names() for each in backend_of(name).object_changes(before, after)]

    @classmethod
    def object_gone(cls, before: Mapping[str, Any]) -> FileChange | None:
        told = (backend_of(name).object_gone(before) for name in backend_names())
        return next((each for each in told if each is not None), None)

    def runbooks(self, estate: Estate) -> Mapping[str, str]:
        return self.renderer.runbooks(self, estate)

    its_database_has_a_name_of_its_own = rule(rules.its_database_has_a_name_of_its_own)
    the_image_has_the_version = rule(rules.the_image_has_the_version)
    it_runs_in_one_region = rule(rules.it_runs_in_one_region)
    its_pods_have_an_image = rule(rules.its_pods_have_an_image)
    the_standby_is_elsewhere_and_finds_the_primary = rule(rules.the_standby_is_elsewhere_and_finds_the_primary)
    shards_have_what_citus_needs = rule(rules.shards_have_what_citus_needs)
    the_policy_fits_the_members = rule(rules.the_policy_fits_the_members)
    members_have_senders_and_slots = rule(rules.members_have_senders_and_slots)
    a_pod_has_no_watchdog = rule(rules.a_pod_has_no_watchdog)
    an_archive_widens_the_lag = rule(rules.an_archive_widens_the_lag)
    stopping_has_time = rule(rules.stopping_has_time)
    only_the_primary_is_exposed = rule(rules.only_the_primary_is_exposed)
    data_is_kept = rule(rules.data_is_kept)
    a_backend_has_its_fields = rule(rules.a_backend_has_its_fields)


def _database(name: str, sharding: object) -> object:
    """Return the name of the database where none is said; nothing is said of it where its source is faulty."""
    said = sharding.get("database") if isinstance(sharding, Mapping) else getattr(sharding, "database", None)
    found = name.replace("-", "_") if said is None else str(said)
    return found if DATABASE_NAME.fullmatch(found) else FAULTY


KIND = PostgresConfig
