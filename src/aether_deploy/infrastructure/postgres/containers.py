"""The container of a member, by kind of image: what it runs, what it is told, and what it sees."""

import json
from typing import TYPE_CHECKING, Any

from aether_deploy.infrastructure.component import Place
from aether_deploy.infrastructure.objects.pods import CLAIM
from aether_deploy.infrastructure.postgres.configuration import (
    API_PORT,
    CONFIG_FOLDER,
    POSTGRES_PORT,
    REPLICATION,
    SOCKETS,
    STANDBY_LEADER,
    SUPERUSER,
)
from aether_deploy.infrastructure.postgres.groups import ROLE, SCOPE, Group, scope_of
from aether_deploy.infrastructure.postgres.probes import probes
from aether_deploy.manifest.labels import selector_labels
from aether_deploy.pods.fragments import SECRET_MODE, mount_fragment, resources_fragment
from aether_deploy.pods.paths import TLS_FOLDER

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.postgres import PostgresConfig

LOGIN_FOLDER = "/run/aether/credentials"
"""Where the script that makes the first user finds its name and password."""


def container(config: "PostgresConfig", place: Place, group: Group) -> dict[str, Any]:
    """Return the container of a group's members."""
    assert config.image is not None
    spilo = config.image_kind == "spilo"
    command = {} if spilo else {"command": ["patroni", f"{CONFIG_FOLDER}/{group.file}"]}
    return {
        "name": "postgres",
        "image": config.image,
        **command,
        "ports": [
            {"name": "postgresql", "containerPort": POSTGRES_PORT, "protocol": "TCP"},
            {"name": "api", "containerPort": API_PORT, "protocol": "TCP"},
        ],
        "env": _spilo_variables(config, place, group) if spilo else _patroni_variables(config),
        "resources": resources_fragment(config.resources),
        **probes(config.failover, "api"),
        "volumeMounts": _mounts(config),
    }


def volumes(config: "PostgresConfig") -> list[dict[str, Any]]:
    """Return the volumes of a member beside its claim and ``/tmp``."""
    found: list[dict[str, Any]] = [
        {"name": "config", "configMap": {"name": f"{config.name}-config"}},
        # The runtime's own is 64 MiB, on which parallel queries fail.
        {"name": "shm", "emptyDir": {"medium": "Memory"}},
        _secret("credentials", str(config.credentials)),
    ]
    if config.image_kind == "patroni":
        found.append({"name": "sockets", "emptyDir": {}})
    if config.tls is not None:
        found.append(_secret("tls", config.tls.secret))
    return found


def _secret(volume: str, secret: str) -> dict[str, Any]:
    return {"name": volume, "secret": {"secretName": secret, "defaultMode": SECRET_MODE}}


def _mounts(config: "PostgresConfig") -> list[dict[str, Any]]:
    mounts = [
        mount_fragment(CLAIM, config.pvc.mount_path),
        mount_fragment("tmp", "/tmp"),
        mount_fragment("shm", "/dev/shm"),
        mount_fragment("config", CONFIG_FOLDER, read_only=True),
        mount_fragment("credentials", LOGIN_FOLDER, read_only=True),
    ]
    if config.image_kind == "patroni":
        mounts.append(mount_fragment("sockets", SOCKETS))
    if config.tls is not None:
        mounts.append(mount_fragment("tls", TLS_FOLDER, read_only=True))
    return mounts


def _patroni_variables(config: "PostgresConfig") -> list[dict[str, Any]]:
    return [
        _field("PATRONI_NAME", "metadata.name"),
        _field("POD_IP", "status.podIP"),
        # A variable is replaced in those that stand behind it.
        {"name": "PATRONI_POSTGRESQL_CONNECT_ADDRESS", "value": f"$(POD_IP):{POSTGRES_PORT}"},
        {"name": "PATRONI_RESTAPI_CONNECT_ADDRESS", "value": f"$(POD_IP):{API_PORT}"},
        _key("PATRONI_SUPERUSER_PASSWORD", config, "superuser-password"),
        _key("PATRONI_REPLICATION_PASSWORD", config, "replication-password"),
        _key("PATRONI_REWIND_PASSWORD", config, "rewind-password"),
    ]


def _spilo_variables(config: "PostgresConfig", place: Place, group: Group) -> list[dict[str, Any]]:
    """Spilo makes Patroni's configuration from these; what Patroni itself would read it takes away."""
    labels = json.dumps(selector_labels(config.name), separators=(",", ":"))
    tls = {} if config.tls is None else {
        "SSL_CERTIFICATE_FILE": f"{TLS_FOLDER}/tls.crt",
        "SSL_PRIVATE_KEY_FILE": f"{TLS_FOLDER}/tls.key",
    }  # fmt: skip
    said = {
        "DCS_ENABLE_KUBERNETES_API": "true",
        "KUBERNETES_BYPASS_API_SERVICE": "false",
        "KUBERNETES_LABELS": labels,
        "KUBERNETES_LEADER_LABEL_VALUE": "primary",
        "KUBERNETES_ROLE_LABEL": ROLE,
        "KUBERNETES_SCOPE_LABEL": SCOPE,
        "KUBERNETES_STANDBY_LEADER_LABEL_VALUE": STANDBY_LEADER,
        "KUBERNETES_USE_CONFIGMAPS": "true",
        "PGROOT": f"{config.pvc.mount_path}/pgroot",
        "PGUSER_STANDBY": REPLICATION,
        "PGUSER_SUPERUSER": SUPERUSER,
        "PGVERSION": str(config.postgresql.version),
        "SCOPE": scope_of(config, place.region.code),
        "SPILO_PROVIDER": "local",  # or it asks the cloud's metadata, which the network policy closes
        **tls,
    }
    return [
        _field("POD_IP", "status.podIP"),
        _field("POD_NAMESPACE", "metadata.namespace"),
        *({"name": name, "value": said[name]} for name in sorted(said)),
        _key("PGPASSWORD_SUPERUSER", config, "superuser-password"),
        _key("PGPASSWORD_STANDBY", config, "replication-password"),
        {
            "name": "SPILO_CONFIGURATION",
            "valueFrom": {"configMapKeyRef": {"name": f"{config.name}-config", "key": group.file}},
        },
    ]


def _field(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


def _key(name: str, config: "PostgresConfig", key: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": f"{config.name}-members", "key": key}}}
