"""The Job that makes the cluster and keeps it as planned, and the file that it reads."""

from typing import TYPE_CHECKING, Any

from aether_deploy.infrastructure.component import Place
from aether_deploy.infrastructure.estate import Estate, EstateRegion
from aether_deploy.infrastructure.objects.tools import RUN_SECS, ToolsJob, tools_job
from aether_deploy.infrastructure.valkey.layout import host_of, nodes_of, slot_ranges
from aether_deploy.infrastructure.valkey.options import settings_of
from aether_deploy.infrastructure.valkey.ports import CLIENT
from aether_deploy.infrastructure.valkey.starting import password_file

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.valkey import ValkeyConfig

FORMAT = 1
WHAT = "cluster"
FILE = f"{WHAT}.json"
MODULE = "aether_deploy.jobs.valkey_cluster"
WAIT_SECS = RUN_SECS - 60


def cluster_job(config: "ValkeyConfig", place: Place) -> list[dict[str, Any]]:
    """Return the CronJob of the cluster at ``place``, and its file."""
    if place.estate.tools_image is None:
        return []
    file = plan_file(config, place.estate, place.region)
    logins = {config.name: str(config.credentials)}
    return tools_job(config, place, ToolsJob(what=WHAT, module=MODULE, file=file, logins=logins))


def plan_file(config: "ValkeyConfig", estate: Estate, region: EstateRegion) -> dict[str, Any]:
    """Return what the program reads: for each shard its slots and its nodes, the one that is to be primary first."""
    shards: list[dict[str, Any]] = [{"slots": list(each), "nodes": []} for each in slot_ranges(config.shards)]
    for node in nodes_of(config, region):
        shards[node.shard]["nodes"].append(
            {
                "name": node.pod,
                "host": host_of(config, estate, node.pod),
                "port": CLIENT[1],
                "zone": node.datacenter.zone,
            }
        )
    return {
        "format": FORMAT,
        "wait_secs": WAIT_SECS,
        "password_file": password_file(config),
        "settings": settings_of(config),
        "shards": shards,
    }
