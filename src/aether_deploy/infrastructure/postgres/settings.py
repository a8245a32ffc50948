"""The parts of a PostgreSQL cluster's settings."""

from collections.abc import Iterator
from typing import Annotated, Literal

from aether_deploy.config.base import FILLED, Config, Fault, rule
from aether_deploy.config.marks import TextRule, WholeRule
from aether_deploy.config.types import DnsLabel, ObjectName, UserId
from aether_deploy.infrastructure.postgres.known import unknown_faults
from aether_deploy.infrastructure.postgres.parameters import Value, parameter_faults
from aether_deploy.patterns import Pattern

Members = Annotated[int, WholeRule(ge=1, le=100)]
ImageKind = Literal["spilo", "patroni"]

_DATABASE = "[a-z_][a-z0-9_]*"
DATABASE_NAME = Pattern(_DATABASE)

DatabaseName = Annotated[
    str,
    TextRule(
        what="a name of a database",
        pattern=_DATABASE,
        max_length=63,
        fix="use lower-case letters, digits and '_', not beginning with a digit",
    ),
]
ParameterName = Annotated[
    str,
    TextRule(
        what="a parameter of PostgreSQL",
        pattern=r"[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)?",
        max_length=127,
        fix="write it as SHOW names it: work_mem, or extension.parameter",
    ),
]


class PostgresStandby(Config):
    """A second cluster in another region that follows the first, and takes over when a human says so.

    Attributes:
        region: Code of its region.
        members: Its members; one of them streams from the other region, the others from that one.
    """

    region: DnsLabel
    members: Members = 2


class PostgresSharding(Config):
    """Citus: tables spread over groups of members, each group a Patroni cluster of its own.

    Attributes:
        database: The database whose tables are spread.
        workers: Groups that hold shards, beside the coordinator's.
        members_per_worker: Members of each of those groups.
    """

    database: DatabaseName
    workers: Annotated[int, WholeRule(ge=1, le=1000)]
    members_per_worker: Members = 2


class PostgresServer(Config):
    """PostgreSQL itself.

    Attributes:
        version: Its major version, which the image must have.
        parameters: Its parameters, as ``postgresql.conf`` names them. What all members must agree on
            (``max_connections``, ``wal_level`` …) is changed by the runbook; the rest rolls the pods.
    """

    version: Annotated[int, WholeRule(ge=14, le=18)] = 18
    parameters: dict[ParameterName, Value] = {}

    @rule
    def parameters_are_taken(self) -> Iterator[Fault]:
        for fault in parameter_faults(self.parameters):
            yield Fault(("parameters", *fault.at), fault.reason, fault.fix, fault.value)

    @rule
    def parameters_are_known(self) -> Iterator[Fault]:
        for fault in unknown_faults(self.parameters, self.version):
            yield Fault(("parameters", *fault.at), fault.reason, fault.fix, fault.value, fault.severity)


class PostgresTls(Config):
    """Encrypted connections.

    Attributes:
        secret: Secret with ``tls.crt`` and ``tls.key``; every member has the same.
    """

    secret: ObjectName


class PostgresIdentity(Config):
    """Who the processes are; the image decides it.

    Attributes:
        run_as_user: User id of PostgreSQL; left out, the one that the kind of image has.
        run_as_group: Its group.
        fs_group: Group that owns the volume.
    """

    run_as_user: UserId = FILLED
    run_as_group: UserId = FILLED
    fs_group: UserId = FILLED

    @rule
    def nobody_is_root(self) -> Iterator[Fault]:
        for name in ("run_as_user", "run_as_group", "fs_group"):
            if getattr(self, name) == 0:
                yield Fault((name,), "root, which a restricted namespace refuses", "use the image's own user", 0)
