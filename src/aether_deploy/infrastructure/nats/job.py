"""The Job that makes streams: a CronJob, since what it made may be lost, and what it was told failed may exist."""

import json
from typing import TYPE_CHECKING, Any

from aether_deploy.infrastructure.component import Place
from aether_deploy.infrastructure.nats.ports import CLIENT
from aether_deploy.infrastructure.nats.streams import Stream, created, streams_of
from aether_deploy.infrastructure.nats.wiring import TLS_FOLDER, TLS_KEYS
from aether_deploy.infrastructure.objects import ComponentPod, config_map, cron_job
from aether_deploy.pods.fragments import SECRET_MODE, mount_fragment, resources_fragment
from aether_deploy.pods.parts import IdentityConfig, ResourceRequirements

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.nats import NatsConfig

FORMAT = 1
FOLDER = "/etc/aether"
FILE = "streams.json"
CREDENTIALS = "/run/aether/secrets"
MODULE = "aether_deploy.jobs.nats_streams"
SCHEDULE = "*/5 * * * *"
RUN_SECS = 240
"""A run ends before the next begins."""

_RESOURCES = ResourceRequirements(
    cpu_request="50m",
    cpu_limit="500m",
    memory_request="128Mi",
    memory_limit="128Mi",
    ephemeral_request="64Mi",
    ephemeral_limit="64Mi",
)


def streams_job(config: "NatsConfig", place: Place) -> list[dict[str, Any]]:
    """Return the CronJob that makes the streams of the region at ``place``, and its file; none without streams."""
    streams = [each for each in streams_of(config, place.estate) if each.region == place.region.code]
    if not streams or place.estate.tools_image is None or place.cluster != place.region.cluster:
        return []
    name = f"{config.name}-streams"
    accounts = list(dict.fromkeys(each.account for each in streams))
    file = streams_file(
        config,
        streams,
        servers=f"nats://{config.name}.{place.namespace}.svc:{CLIENT[1]}",
        folders={each: f"{CREDENTIALS}/{maker_of(config, each)[0]}" for each in accounts},
        tls_folder=TLS_FOLDER,
    )
    pod = ComponentPod(
        part=name,
        containers=[_container(config, place, accounts)],
        identity=IdentityConfig(),
        volumes=_volumes(config, name, accounts),
        account=config.name,
        restart="Never",
    )
    job = cron_job(config, place, pod, schedule=SCHEDULE, within_secs=RUN_SECS)
    return [config_map(config, place, name, {FILE: json.dumps(file, indent=1, sort_keys=True) + "\n"}), job]


def maker_of(config: "NatsConfig", account: str) -> tuple[str, str]:
    """Return the name and the Secret of the user that makes the streams of an account: its first without limits."""
    found = ((user.name, secret) for owner, user, secret in config.users if owner.name == account and user.unlimited)
    return next(found)


def streams_file(
    config: "NatsConfig", streams: list[Stream], *, servers: str, folders: dict[str, str], tls_folder: str
) -> dict[str, Any]:
    """Return what the program reads.

    Args:
        config: The component.
        streams: The streams that it is to make.
        servers: Address of the servers.
        folders: For each account, the folder with the files ``username`` and ``password``.
        tls_folder: The folder with the certificates.
    """
    accounts = [
        {
            "name": account,
            "credentials": folder,
            "streams": [created(each) for each in streams if each.account == account],
        }
        for account, folder in folders.items()
    ]
    said: dict[str, Any] = {"format": FORMAT, "servers": servers, "wait_secs": RUN_SECS - 60, "accounts": accounts}
    if config.tls is not None:
        said["tls"] = {"folder": tls_folder, "certificate": config.tls.verify_clients}
    return said


def _container(config: "NatsConfig", place: Place, accounts: list[str]) -> dict[str, Any]:
    mounts = [mount_fragment("streams", FOLDER, read_only=True), mount_fragment("tmp", "/tmp")]
    for account in accounts:
        user, _ = maker_of(config, account)
        mounts.append(mount_fragment(f"login-{user}", f"{CREDENTIALS}/{user}", read_only=True))
    if config.tls is not None:
        mounts.append(mount_fragment("tls", TLS_FOLDER, read_only=True))
    return {
        "name": "streams",
        "image": place.estate.tools_image,
        "command": ["python", "-m", MODULE],
        "args": [f"{FOLDER}/{FILE}"],
        "resources": resources_fragment(_RESOURCES),
        "volumeMounts": mounts,
    }


def _volumes(config: "NatsConfig", name: str, accounts: list[str]) -> list[dict[str, Any]]:
    volumes: list[dict[str, Any]] = [{"name": "streams", "configMap": {"name": name}}]
    for account in accounts:
        user, secret = maker_of(config, account)
        volumes.append({"name": f"login-{user}", "secret": {"secretName": secret, "defaultMode": SECRET_MODE}})
    if config.tls is not None:
        keys = TLS_KEYS if config.tls.verify_clients else ("ca.crt",)
        items = [{"key": key, "path": key} for key in keys]
        mounted = {"secretName": config.tls.secret, "defaultMode": SECRET_MODE, "items": items}
        volumes.append({"name": "tls", "secret": mounted})
    return volumes
