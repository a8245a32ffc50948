"""SeaweedFS as it is started: arguments and files, from where it runs; here and in a lab the same.

Sources: ``weed server -h``, ``weed filer.sync -h`` and ``weed scaffold`` of 4.48; what each setting is for, measured.
"""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from aether_deploy.infrastructure.object_store.ports import (
    FILER,
    FILER_GRPC,
    MASTER,
    MASTER_GRPC,
    METRICS,
    S3,
    S3_GRPC,
    VOLUME,
    VOLUME_GRPC,
)
from aether_deploy.quantities import bytes_of

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.object_store import ObjectStoreConfig

VOLUME_MB = 1024
"""Size of one volume file. A bucket has volumes of its own: with the usual 30 GB a small disk has room for one."""

VOLUMES_MIN = 100
MASTER_FILE = "master.toml"
FILER_FILE = "filer.toml"
SECURITY_FILE = "security.toml"
IDENTITIES_FILE = "s3.json"
BUCKETS_PATH = "/buckets"
SHARDS = "0-15"
FOLLOW_PAUSE_SECS = 2
COMPARED_AFTER = "1h"


class WeedPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where one server runs.

    Attributes:
        host: The address by which its own services, and others, find it.
        bind: The address on which it listens.
        ports: The port of each of its services, by name.
        data: Folder of its data.
        identities: File of those who log in.
        data_center: The region, as it is told to the server.
        rack: The zone, if it has one of its own.
    """

    host: str
    bind: str
    ports: Mapping[str, int]
    data: str
    identities: str
    data_center: str = ""
    rack: str = ""

    def address(self, http: str, grpc: str) -> str:
        """Return a service's address with both of its ports: a gRPC port that is not the usual one must be said."""
        return f"{self.host}:{self.ports[http]}.{self.ports[grpc]}"


DEFAULT_PORTS = {
    name: number
    for name, number, _ in (S3, S3_GRPC, MASTER, MASTER_GRPC, VOLUME, VOLUME_GRPC, FILER, FILER_GRPC, METRICS)
}


def server_arguments(config: "ObjectStoreConfig", place: WeedPlace) -> list[str]:
    """Return the arguments of ``weed`` for one server: master, volumes, filer and S3 in one process.

    Every port is said, since a default one could be somebody else's, and those of the two table catalogues, which
    open themselves, are closed. Without ``-ip.bind`` it listens on the first address of its host.
    """
    ports = place.ports
    return [
        "-logtostderr",
        "server",
        f"-dir={place.data}",
        f"-ip={place.host}",
        f"-ip.bind={place.bind}",
        *([f"-dataCenter={place.data_center}"] if place.data_center else []),
        *([f"-rack={place.rack}"] if place.rack else []),
        f"-master.port={ports[MASTER[0]]}",
        f"-master.port.grpc={ports[MASTER_GRPC[0]]}",
        "-master.defaultReplication=000",
        f"-master.volumeSizeLimitMB={VOLUME_MB}",
        # With the usual ten seconds a store that was killed is back after 16 s, so after 3.
        "-master.electionTimeout=1s",
        "-master.heartbeatInterval=100ms",
        "-master.telemetry=false",
        f"-volume.port={ports[VOLUME[0]]}",
        f"-volume.port.grpc={ports[VOLUME_GRPC[0]]}",
        f"-volume.max={volumes_max(config)}",
        "-volume.minFreeSpace=5",
        "-volume.preStopSeconds=1",
        "-filer",
        f"-filer.port={ports[FILER[0]]}",
        f"-filer.port.grpc={ports[FILER_GRPC[0]]}",
        "-s3",
        f"-s3.port={ports[S3[0]]}",
        f"-s3.port.grpc={ports[S3_GRPC[0]]}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.autoCreateBucket=false",
        f"-s3.config={place.identities}",
        f"-metricsPort={ports[METRICS[0]]}",
    ]


def volumes_max(config: "ObjectStoreConfig") -> int:
    """Return how many volumes a server may have: as many as fit, and some for each bucket however small the disk."""
    assert config.pvc is not None
    return max(VOLUMES_MIN, bytes_of(config.pvc.size) // (VOLUME_MB * 2**20))


def follow_arguments(place: WeedPlace, *, leader: str) -> list[str]:
    """Return the arguments of the program that copies what the active region's filer tells to this one.

    Args:
        place: The server that follows.
        leader: Address of the other filer, with both of its ports.
    """
    return [
        "-logtostderr",
        "filer.sync",
        f"-a={leader}",
        f"-b={place.address(FILER[0], FILER_GRPC[0])}",
        f"-a.path={BUCKETS_PATH}",
        f"-b.path={BUCKETS_PATH}",
        # Its volume servers have addresses of the other cluster, which nobody here reaches.
        "-a.filerProxy",
        "-isActivePassive",
    ]


def compare_arguments(place: WeedPlace, *, leader: str) -> list[str]:
    """Return the arguments of the program that ends with 2 where a copy lacks what the active region has for an hour.

    What copies has stopped without a word before: it tries for ever to fetch what an object of several parts was
    before it was written again in the same second (measured on 4.48; issue 11010 of its project is a neighbour).
    """
    return [
        "-logtostderr",
        "filer.sync.verify",
        f"-a={leader}",
        f"-b={place.address(FILER[0], FILER_GRPC[0])}",
        f"-a.path={BUCKETS_PATH}",
        f"-b.path={BUCKETS_PATH}",
        "-isActivePassive",
        f"-modifiedTimeAgo={COMPARED_AFTER}",
    ]


def follow_script(arguments: Sequence[str], *, pause_secs: float = FOLLOW_PAUSE_SECS) -> str:
    """Return the shell script that keeps the copying going, and ends at once when its pod does.

    The program ends where it finds one of both filers away when it starts. Were its container to start it again, that
    would wait longer from time to time, up to five minutes.
    """
    said = " ".join(arguments)
    return (
        "trap 'kill \"$child\" 2>/dev/null; exit 0' TERM INT\n"
        f'while :; do\n  weed {said} &\n  child=$!\n  wait "$child"\n'
        f'  sleep {pause_secs:g} &\n  child=$!\n  wait "$child"\ndone\n'
    )


def lifecycle_script(place: WeedPlace) -> str:
    """Return the shell script that carries out what lifecycle rules ask: the server alone does not."""
    s3 = f"{place.host}:{place.ports[S3_GRPC[0]]}"
    return (
        f"echo 's3.lifecycle.run-shard -shards {SHARDS} -events 0 -s3 {s3}' | weed shell "
        f"-master={place.address(MASTER[0], MASTER_GRPC[0])} -filer={place.address(FILER[0], FILER_GRPC[0])}"
    )


def files_of(place: WeedPlace) -> dict[str, str]:
    """Return the files that a server finds in its folder, whoever it is."""
    return {
        # Each bucket begins with as many volumes as this says; the usual seven fill a small disk with empty ones.
        MASTER_FILE: "[master.volume_growth]\ncopy_1 = 1\n",
        FILER_FILE: f"[leveldb2]\nenabled = true\ndir = {json.dumps(f'{place.data}/filerldb2')}\n",
    }


class Identity(msgspec.Struct, frozen=True):
    """Somebody who logs in.

    Attributes:
        name: The name.
        login: Where access key and secret key are: a folder.
        actions: What the server lets this one do.
    """

    name: str
    login: str
    actions: tuple[str, ...]


ADMIN_ACTIONS = ("Admin", "Read", "Write", "List", "Tagging")


def actions_of(access: str, buckets: Sequence[str], *, follows: bool) -> tuple[str, ...]:
    """Return what a user may do, in the server's words.

    Args:
        access: ``read`` or ``write``.
        buckets: Buckets that are open to the user; none is all of them.
        follows: The store follows another: what is written to it would be copied nowhere.
    """
    verbs = ("Read", "List") if access == "read" or follows else ("Read", "List", "Write", "Tagging")
    return tuple(f"{verb}:{bucket}" for bucket in buckets for verb in verbs) if buckets else verbs


def identities_text(identities: Sequence[tuple[str, tuple[str, str], Sequence[str]]]) -> str:
    """Return the file of those who log in: name, access key and secret key, and what each may do."""
    listed = [
        {"name": name, "credentials": [{"accessKey": access, "secretKey": secret}], "actions": list(actions)}
        for name, (access, secret), actions in identities
    ]
    return json.dumps({"identities": listed}, indent=1, sort_keys=True) + "\n"


def security_text(key: str) -> str:
    """Return ``security.toml`` with the key of encryption on disk; without it uploads to such a bucket fail."""
    return f'[s3.sse]\nkek = "{key}"\n'
