"""Patroni's configuration of one cluster, as its daemon and ``patroni --validate-config`` read it.

What says who the member is (its name, addresses and passwords) is left to variables of the pod; the rest stands here,
so that all members of a cluster read the same file.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aether_deploy.failover.policy import dynamic_config, watchdog_config
from aether_deploy.infrastructure.postgres.groups import (
    ROLE,
    SCOPE,
    Group,
    groups_in,
    scope_of,
    slot_of,
)
from aether_deploy.infrastructure.postgres.parameters import (
    DEFAULTS,
    DYNAMIC,
    dynamic_parameters,
    is_off,
    local_parameters,
)
from aether_deploy.manifest.labels import selector_labels
from aether_deploy.pods.paths import TLS_FOLDER

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.postgres import PostgresConfig

POSTGRES_PORT = 5432
API_PORT = 8008
SUPERUSER = "postgres"
REPLICATION = "replicator"
REWIND = "rewinder"
CONFIG_FOLDER = "/etc/aether"
DATA_PATH = "/home/postgres/pgdata"
"""Where the volume is mounted where nothing is said, which for Spilo is always so."""
SOCKETS = "/var/run/postgresql"
_PROGRAMS = "/usr/lib/postgresql"
POST_INIT = "post-init.sh"
STANDBY_LEADER = "standby_leader"
"""Role of the leader of a standby cluster: no ``primary``, so that no Service for writes finds it."""

# Collations of the C library change with the image, and with them the order of every index on text.
_INITDB = [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}, "data-checksums"]


def patroni_configuration(
    config: "PostgresConfig", region: str, group: Group | None = None, *, namespace: str, source_host: str | None = None
) -> dict[str, Any]:
    """Return the configuration file of the members of one Patroni cluster, but for what each pod says itself.

    Args:
        config: The component.
        region: Where the cluster runs: the component's region or its standby's.
        group: Which of the component's clusters there; left out, the first.
        namespace: Namespace of its pods, where Patroni keeps its state.
        source_host: Where the standby cluster finds the other region's primary.
    """
    group = group or groups_in(config, region)[0]
    scope = scope_of(config, region)
    citus = {} if config.sharding is None else {"citus": {"database": config.sharding.database, "group": group.number}}
    return {
        "scope": scope,
        "restapi": {"listen": f"0.0.0.0:{API_PORT}", **_api()},
        "kubernetes": {
            "namespace": namespace,
            "labels": selector_labels(config.name),
            "scope_label": SCOPE,
            "role_label": ROLE,
            "leader_label_value": "primary",
            "follower_label_value": "replica",
            "standby_leader_label_value": STANDBY_LEADER,
        },
        **citus,
        "bootstrap": _bootstrap(config, region, source_host),
        "postgresql": {**_server(config), **_local(config)},
        "watchdog": watchdog_config(config.failover),
    }


def spilo_configuration(config: "PostgresConfig", region: str, *, source_host: str | None = None) -> dict[str, Any]:
    """Return what is laid over the configuration that Spilo makes from its variables; lists replace its own.

    Addresses, folders, users and the store are Spilo's, as its variables say.
    """
    return {
        "restapi": _api(),
        "bootstrap": _bootstrap(config, region, source_host),
        # Spilo stays with the version that the data has; for a new cluster it takes this one, or does not start.
        "postgresql": {"bin_dir": _bin_dir(config), **_local(config)},
        "watchdog": watchdog_config(config.failover),
    }


def dynamic_configuration(config: "PostgresConfig", region: str, source_host: str | None = None) -> dict[str, Any]:
    """Return the dynamic configuration of the clusters in a region, as ``bootstrap.dcs`` has it there.

    Args:
        config: The component.
        region: One of its regions.
        source_host: Where a standby cluster finds the other region's primary.
    """
    settings = dynamic_config(config.failover)
    postgresql = {**settings["postgresql"], "parameters": _dynamic_parameters(config)}
    found = {**settings, "postgresql": postgresql}
    slot = slot_of(config)
    if config.standby is None or slot is None:
        return found
    if region != config.standby.region:
        found["slots"] = {slot: {"type": "physical"}}
    elif source_host is not None:
        found["standby_cluster"] = {
            "host": source_host,
            "port": POSTGRES_PORT,
            "primary_slot_name": slot,
            "create_replica_methods": ["basebackup"],
        }
    return found


def patch_body(config: "PostgresConfig", region: str) -> dict[str, Any]:
    """Return the body of ``PATCH /config`` that brings a running cluster to its settings.

    A PATCH leaves alone what it does not name, so parameters that are said no more are named too, with null. Whether
    a cluster follows another region is left alone: that is decided by hand, never by a change of settings.
    """
    body = dynamic_configuration(config, region)
    postgresql = body["postgresql"]
    parameters = {**dict.fromkeys(DYNAMIC), **postgresql["parameters"]}
    return {**body, "postgresql": {**postgresql, "parameters": parameters}}


def _dynamic_parameters(config: "PostgresConfig") -> dict[str, Any]:
    """Return what all members agree on, and what keeps Spilo from its own ways.

    Spilo archives to nowhere and closes a segment for it every half hour, and takes ``max_connections`` from the
    memory of the machine that made the cluster.
    """
    instead = {"archive_mode": "off", "archive_timeout": 0, "max_connections": DEFAULTS["max_connections"]}
    return {
        **(instead if config.image_kind == "spilo" else {}),
        **dynamic_parameters(config.postgresql.parameters),
    }


def archives(config: "PostgresConfig") -> bool:
    """Whether PostgreSQL closes segments of WAL for an archive."""
    said = local_parameters(config.postgresql.parameters)
    return not is_off(said.get("archive_mode", "off")) or said.get("archive_timeout", 0) not in (0, "0")


def _api() -> dict[str, Any]:
    # Who may change the cluster over HTTP: its members, and who is inside a pod. Anybody may ask how it is.
    return {"allowlist": ["127.0.0.1"], "allowlist_include_members": True}


def _bootstrap(config: "PostgresConfig", region: str, source_host: str | None) -> dict[str, Any]:
    return {
        "dcs": dynamic_configuration(config, region, source_host),
        "initdb": _INITDB,
        "post_init": f"/bin/sh {CONFIG_FOLDER}/{POST_INIT}",
    }


def _server(config: "PostgresConfig") -> dict[str, Any]:
    """Return where PostgreSQL is and who its users are."""
    encrypted = {} if config.tls is None else {"sslmode": "require"}
    return {
        "listen": f"0.0.0.0:{POSTGRES_PORT}",
        "data_dir": f"{config.pvc.mount_path}/pgroot/data",
        "bin_dir": _bin_dir(config),
        "pgpass": "/tmp/pgpass",
        "authentication": {
            "superuser": {"username": SUPERUSER, **encrypted},
            "replication": {"username": REPLICATION, **encrypted},
            "rewind": {"username": REWIND, **encrypted},
        },
        "basebackup": [{"checkpoint": "fast"}],
    }


def _bin_dir(config: "PostgresConfig") -> str:
    return f"{_PROGRAMS}/{config.postgresql.version}/bin"


def version_in(settings: Mapping[str, Any]) -> int | None:
    """Return the major version of PostgreSQL that a member's configuration file is for."""
    said = str(settings.get("postgresql", {}).get("bin_dir", ""))
    number = said.removeprefix(f"{_PROGRAMS}/").removesuffix("/bin")
    return int(number) if number.isdecimal() else None


def _local(config: "PostgresConfig") -> dict[str, Any]:
    own: dict[str, Any] = {"unix_socket_directories": SOCKETS} if config.image_kind == "patroni" else {}
    if config.tls is not None and config.image_kind == "patroni":
        own |= {"ssl": "on", "ssl_cert_file": f"{TLS_FOLDER}/tls.crt", "ssl_key_file": f"{TLS_FOLDER}/tls.key"}
    return {
        "parameters": {**own, **local_parameters(config.postgresql.parameters)},
        "pg_hba": _access(config),
    }


def _access(config: "PostgresConfig") -> list[str]:
    """Return who may log in, and how: by password from elsewhere, as the pod's own user inside a pod."""
    remote = "host" if config.tls is None else "hostssl"
    own = [f"host all all {address} scram-sha-256" for address in ("127.0.0.1/32", "::1/128")] if config.tls else []
    return [
        f"local all {SUPERUSER} peer",
        "local all all scram-sha-256",
        f"local replication {REPLICATION} scram-sha-256",
        *own,
        f"{remote} replication {REPLICATION} all scram-sha-256",
        f"{remote} all all all scram-sha-256",
    ]
