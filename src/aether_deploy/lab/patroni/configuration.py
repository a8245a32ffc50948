"""Patroni's configuration for one member on this machine: what was rendered, with what a local process needs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

Settings = Mapping[str, Any]
HOST = "127.0.0.1"
SUPERUSER = "postgres"
PASSWORD = "lab"  # of databases that live for minutes, on the loopback address
STORES = ("kubernetes", "etcd3", "etcd", "consul", "zookeeper", "exhibitor", "raft")
"""Sections of Patroni's configuration that name a store; a member has exactly one."""

# Small, so that several fit beside each other; the time zone of logs is ours to read.
_PARAMETERS: Settings = {
    "shared_buffers": "16MB",
    "max_connections": 50,
    "wal_log_hints": "on",
    "unix_socket_directories": "",
    "log_timezone": "UTC",
}
# Patroni opens these to its own users; what was rendered is for the network of a cluster.
_ACCESS = (f"host replication replicator {HOST}/32 scram-sha-256", f"host all all {HOST}/32 scram-sha-256")
_UNSYNCED = "no-sync"
"""Option of what makes a folder of data: a process that is killed loses nothing, and no machine of a lab is."""

_UNHEARD = ("ssl",)
"""Prefix of parameters that are left out: this PostgreSQL is built without TLS."""

_ELSEWHERE = (*STORES, "citus")
"""Sections that are left out: the store is the lab's, and this PostgreSQL is built without Citus."""

_SHELTERED = ("authentication", "certfile", "keyfile", "cafile", "verify_client")
"""Settings of the REST API that are left out: it is on the loopback address alone."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where one member lives on this machine.

    Attributes:
        name: Its name.
        folder: Its files; nobody else's.
        rest_port: Port of Patroni's REST API.
        postgres_port: Port of PostgreSQL.
    """

    name: str
    folder: Path
    rest_port: int
    postgres_port: int


def member_configuration(
    rendered: Settings, dynamic: Settings, store: Settings, place: Place, *, scope: str, bin_dir: Path
) -> dict[str, Any]:
    """Return the configuration of one member.

    What decides over a failover is taken as it was rendered: the dynamic configuration and the tags. Addresses,
    folders, users, sizes and the store are this machine's, and nothing is run after the first start.

    Args:
        rendered: A configuration that was rendered for a cluster; may be empty.
        dynamic: Settings that win over its ``bootstrap.dcs``: ``ttl``, ``loop_wait``, …
        store: The section of the store, by its name: ``{"etcd3": {…}}``.
        place: Where the member lives.
        scope: Name of the cluster.
        bin_dir: Folder of PostgreSQL's programs.
    """
    kept = {key: value for key, value in rendered.items() if key not in _ELSEWHERE}
    api = {key: value for key, value in (kept.get("restapi") or {}).items() if key not in _SHELTERED}
    return {
        **kept,
        "scope": scope,
        "name": place.name,
        "log": {"level": "INFO", "format": "%(asctime)s.%(msecs)03d %(levelname)s: %(message)s"},
        "restapi": {**api, **_addresses(place.rest_port)},
        "bootstrap": _bootstrap(kept.get("bootstrap") or {}, dynamic),
        "postgresql": {**_postgresql(kept.get("postgresql") or {}, place, bin_dir), **_addresses(place.postgres_port)},
        "watchdog": {"mode": "off"},
        **store,
    }


def _addresses(port: int) -> dict[str, str]:
    return {"listen": f"{HOST}:{port}", "connect_address": f"{HOST}:{port}"}


def _bootstrap(rendered: Settings, dynamic: Settings) -> dict[str, Any]:
    settings = {**(rendered.get("dcs") or {}), **dynamic}
    postgresql = dict(settings.get("postgresql") or {})
    parameters = {**_heard(postgresql.get("parameters") or {}), **_PARAMETERS}
    settings["postgresql"] = {
        "use_pg_rewind": True,
        **postgresql,
        "parameters": parameters,
        "pg_hba": list(_ACCESS),
    }
    return {"dcs": settings, "initdb": [{"encoding": "UTF8"}, "data-checksums", {"locale": "C"}, _UNSYNCED]}


def _heard(parameters: Settings) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if not name.startswith(_UNHEARD)}


def _postgresql(rendered: Settings, place: Place, bin_dir: Path) -> dict[str, Any]:
    kept = {key: value for key, value in rendered.items() if key != "pg_hba"}  # who may log in is decided for all
    return {
        **kept,
        "data_dir": str(place.folder / "data"),
        "bin_dir": str(bin_dir),
        "pgpass": str(place.folder / "pgpass"),
        "basebackup": [{"checkpoint": "fast"}, _UNSYNCED],
        "parameters": {**_heard(rendered.get("parameters") or {}), "unix_socket_directories": ""},
        "authentication": {
            "superuser": {"username": SUPERUSER, "password": PASSWORD},
            "replication": {"username": "replicator", "password": PASSWORD},
            "rewind": {"username": "rewinder", "password": PASSWORD},
        },
    }
