"""The Job that makes streams, and the file that it reads."""

from typing import TYPE_CHECKING, Any

from aether_deploy.infrastructure.component import Place
from aether_deploy.infrastructure.nats.ports import CLIENT
from aether_deploy.infrastructure.nats.streams import Stream, created, streams_of
from aether_deploy.infrastructure.nats.wiring import TLS_KEYS
from aether_deploy.infrastructure.objects.tools import RUN_SECS, ToolsJob, tools_job
from aether_deploy.pods.paths import CREDENTIALS_FOLDER, TLS_FOLDER

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.nats import NatsConfig

FORMAT = 1
WHAT = "streams"
FILE = f"{WHAT}.json"
MODULE = "aether_deploy.jobs.nats_streams"


def streams_job(config: "NatsConfig", place: Place) -> list[dict[str, Any]]:
    """Return the CronJob that makes the streams of the region at ``place``, and its file; none without streams."""
    streams = [each for each in streams_of(config, place.estate) if each.region == place.region.code]
    if not streams or place.estate.tools_image is None or place.cluster != place.region.cluster:
        return []
    makers = {account: maker_of(config, account) for account in dict.fromkeys(each.account for each in streams)}
    file = streams_file(
        config,
        streams,
        servers=f"nats://{config.name}.{place.namespace}.svc:{CLIENT[1]}",
        folders={account: f"{CREDENTIALS_FOLDER}/{user}" for account, (user, _) in makers.items()},
        tls_folder=TLS_FOLDER,
    )
    keys = TLS_KEYS if config.tls is not None and config.tls.verify_clients else ("ca.crt",)
    tls = None if config.tls is None else (config.tls.secret, keys)
    return tools_job(
        config, place, ToolsJob(what=WHAT, module=MODULE, file=file, logins=dict(makers.values()), tls=tls)
    )


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
