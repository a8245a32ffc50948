"""What our own programs do for a store, and the files that they read: buckets, and who may log in."""

from typing import TYPE_CHECKING, Any

from aether_deploy.infrastructure.component import Place
from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.object_store.amazon import partition_of
from aether_deploy.infrastructure.object_store.documents import documents_of
from aether_deploy.infrastructure.object_store.regions import (
    active_region,
    bucket_name,
    home_regions,
    inside_address,
    location_of,
    signing_region,
)
from aether_deploy.infrastructure.object_store.seaweed import ADMIN_ACTIONS, actions_of
from aether_deploy.infrastructure.objects.tools import RUN_SECS, ToolsJob, tools_job
from aether_deploy.pods.paths import CREDENTIALS_FOLDER

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.object_store import ObjectStoreConfig

FORMAT = 1
WHAT = "buckets"
FILE = f"{WHAT}.json"
MODULE = "aether_deploy.jobs.object_store_buckets"
CURRENT = "current"
CURRENT_FILE = f"{CURRENT}.json"
CURRENT_MODULE = "aether_deploy.jobs.object_store_current"
IDENTITIES_MODULE = "aether_deploy.jobs.object_store_identities"
IDENTITIES_SOURCE = "identities.json"
ADMIN = "admin"
"""Who sets up buckets."""

LOGIN_KEYS = ("access_key", "secret_key")
ENCRYPTION = "encryption"
ENCRYPTION_KEYS = ("kek",)


def sets_up_buckets(config: "ObjectStoreConfig", estate: Estate, region: str) -> bool:
    """Return whether buckets are set up in ``region``: wherever the store has objects.

    A store of our own that follows gets objects from the first one, but not each change of a bucket's settings:
    measured on SeaweedFS 4.48, a policy that was set right after its bucket was made is missing there for good.
    """
    homes = {each.code for each in home_regions(config, estate)}
    return region in homes and any(each.enabled for each in config.buckets)


def buckets_job(config: "ObjectStoreConfig", place: Place) -> list[dict[str, Any]]:
    """Return the CronJob that sets buckets up from ``place``, and its file; none where nothing is to be set up."""
    region = place.region.code
    if place.estate.tools_image is None or not sets_up_buckets(config, place.estate, region):
        return []
    file = buckets_file(
        config,
        place.estate,
        region,
        url=inside_address(config, place.estate, region).url,
        credentials=f"{CREDENTIALS_FOLDER}/{ADMIN}",
    )
    job = ToolsJob(what=WHAT, module=MODULE, file=file, logins={ADMIN: config.operators_secret})
    return tools_job(config, place, job)


def buckets_file(
    config: "ObjectStoreConfig", estate: Estate, region: str, *, url: str, credentials: str
) -> dict[str, Any]:
    """Return what the program reads that sets buckets up.

    Args:
        config: The component.
        estate: Where it runs.
        region: The region whose copy is set up.
        url: Where that answers.
        credentials: Folder of the files ``access_key`` and ``secret_key``.
    """
    location = location_of(config, region)
    return {
        "format": FORMAT,
        "url": url,
        "region": signing_region(config, region),
        **({"location": location} if location else {}),
        "credentials": credentials,
        "wait_secs": RUN_SECS - 60,
        "buckets": [
            {
                "name": bucket_name(config, estate, each.name, region),
                "locked": each.object_lock is not None,
                "settings": documents_of(
                    each,
                    name=bucket_name(config, estate, each.name, region),
                    provider=config.provider,
                    replica=_replica(config, estate, each.name, region),
                    partition=partition_of(signing_region(config, region)),
                ),
            }
            for each in config.buckets
            if each.enabled
        ],
    }


def current_job(config: "ObjectStoreConfig", place: Place, *, filer: str) -> list[dict[str, Any]]:
    """Return the CronJob that sets right which version of an object is the current one in a copy, and its file.

    Args:
        config: The component.
        place: A region that follows.
        filer: Where the filer of that region answers Jobs: ``http://host:8888``.
    """
    region = place.region.code
    if place.estate.tools_image is None or not versioned_buckets(config):
        return []
    url = inside_address(config, place.estate, region).url
    file = current_file(config, region, url=url, filer=filer, credentials=f"{CREDENTIALS_FOLDER}/{ADMIN}")
    job = ToolsJob(what=CURRENT, module=CURRENT_MODULE, file=file, logins={ADMIN: config.operators_secret})
    return tools_job(config, place, job)


def versioned_buckets(config: "ObjectStoreConfig") -> list[str]:
    """Return the buckets that keep versions; a lock needs them, too."""
    return [each.name for each in config.buckets if each.enabled and (each.versioning or each.object_lock)]


def current_file(config: "ObjectStoreConfig", region: str, *, url: str, filer: str, credentials: str) -> dict[str, Any]:
    """Return what the program reads that sets right which version is the current one.

    Args:
        config: The component.
        region: The region of the copy.
        url: Where that answers S3.
        filer: Where its filer answers.
        credentials: Folder of the files ``access_key`` and ``secret_key``.
    """
    return {
        "format": FORMAT,
        "url": url,
        "filer": filer,
        "region": signing_region(config, region),
        "credentials": credentials,
        "buckets": versioned_buckets(config),
    }


def _replica(config: "ObjectStoreConfig", estate: Estate, bucket: str, region: str) -> tuple[str, str] | None:
    """Return role and name of the bucket to which a provider copies; our own store copies without it.

    The setting names one bucket: the first region that follows. Further ones are refused by a rule.
    """
    homes = home_regions(config, estate)
    if config.replication_role is None or len(homes) < 2 or homes[0].code != region:
        return None
    return config.replication_role, bucket_name(config, estate, bucket, homes[1].code)


def identities_file(
    config: "ObjectStoreConfig", estate: Estate, region: str, *, folder: str, logins: str = CREDENTIALS_FOLDER
) -> dict[str, Any]:
    """Return what the program reads that writes down who may log in.

    Args:
        config: The component.
        estate: Where it runs.
        region: The region of the server.
        folder: Where the server expects its files.
        logins: The folder with a folder for each login.
    """
    active = active_region(config, estate)
    follows = active is not None and active.code != region
    people = [{"name": ADMIN, "login": f"{logins}/{ADMIN}", "actions": list(ADMIN_ACTIONS)}]
    for user, _ in config.logins:
        actions = list(actions_of(user.access, user.buckets, follows=follows))
        people.append({"name": user.name, "login": f"{logins}/{user.name}", "actions": actions})
    encryption = {"encryption": f"{logins}/{ENCRYPTION}"} if config.encrypts else {}
    return {"format": FORMAT, "folder": folder, "identities": people, **encryption}
