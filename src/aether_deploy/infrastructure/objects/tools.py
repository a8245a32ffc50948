"""A Job of our own program: a CronJob, since what it made may be lost, and what it was told failed may exist.

A plain Job would not do: its template cannot be changed, and nothing would run it again after a restore.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from aether_deploy.infrastructure.component import ComponentConfig, Place
from aether_deploy.infrastructure.objects.pods import ComponentPod, cron_job
from aether_deploy.infrastructure.objects.rights import config_map
from aether_deploy.pods.fragments import SECRET_MODE, mount_fragment, resources_fragment
from aether_deploy.pods.parts import IdentityConfig, ResourceRequirements
from aether_deploy.pods.paths import CREDENTIALS_FOLDER, TLS_FOLDER

FOLDER = "/etc/aether"
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


class ToolsJob(msgspec.Struct, frozen=True, kw_only=True):
    """What our program is run for.

    Attributes:
        what: What it makes, as the end of the Job's name: ``streams``.
        module: The module that is run; it is given the file's path.
        file: What it reads, as plain values.
        logins: Who logs in: the Secret of each, by the name of its folder below ``CREDENTIALS_FOLDER``.
        tls: Secret of the certificates and the keys that are mounted at ``TLS_FOLDER``; None where none are needed.
    """

    what: str
    module: str
    file: Mapping[str, Any]
    logins: Mapping[str, str] = {}
    tls: tuple[str, Sequence[str]] | None = None


def tools_job(config: ComponentConfig, place: Place, job: ToolsJob) -> list[dict[str, Any]]:
    """Return the CronJob and the ConfigMap with its file; ``tools_image`` must be there."""
    assert place.estate.tools_image is not None
    name, file = f"{config.name}-{job.what}", f"{job.what}.json"
    pod = ComponentPod(
        part=name,
        containers=[_container(place.estate.tools_image, job, file)],
        identity=IdentityConfig(),
        volumes=_volumes(job, name),
        account=config.name,
        restart="Never",
    )
    text = json.dumps(job.file, indent=1, sort_keys=True) + "\n"
    return [
        config_map(config, place, name, {file: text}),
        cron_job(config, place, pod, schedule=SCHEDULE, within_secs=RUN_SECS),
    ]


def _container(image: str, job: ToolsJob, file: str) -> dict[str, Any]:
    mounts = [mount_fragment(job.what, FOLDER, read_only=True), mount_fragment("tmp", "/tmp")]
    mounts += [mount_fragment(f"login-{name}", f"{CREDENTIALS_FOLDER}/{name}", read_only=True) for name in job.logins]
    if job.tls is not None:
        mounts.append(mount_fragment("tls", TLS_FOLDER, read_only=True))
    return {
        "name": job.what,
        "image": image,
        "command": ["python", "-m", job.module],
        "args": [f"{FOLDER}/{file}"],
        "resources": resources_fragment(_RESOURCES),
        "volumeMounts": mounts,
    }


def _volumes(job: ToolsJob, name: str) -> list[dict[str, Any]]:
    volumes: list[dict[str, Any]] = [{"name": job.what, "configMap": {"name": name}}]
    for login, secret in job.logins.items():
        volumes.append({"name": f"login-{login}", "secret": {"secretName": secret, "defaultMode": SECRET_MODE}})
    if job.tls is not None:
        secret, keys = job.tls
        items = [{"key": key, "path": key} for key in keys]
        volumes.append({"name": "tls", "secret": {"secretName": secret, "defaultMode": SECRET_MODE, "items": items}})
    return volumes
