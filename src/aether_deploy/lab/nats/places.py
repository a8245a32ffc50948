"""Where the servers of a lab are: ports, folders and logins, as values for the renderer of their files."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from aether_deploy.infrastructure.kinds.nats import NatsConfig
from aether_deploy.infrastructure.nats.supercluster import Server
from aether_deploy.infrastructure.nats.wiring import OPERATORS, Login, Wiring

HOST = "127.0.0.1"
LISTENERS = ("client", "cluster", "gateway", "leafnode", "monitor")


class ServerPlace(msgspec.Struct, frozen=True, kw_only=True):
    """One server of a lab.

    Attributes:
        server: Who it is.
        ports: Where it listens, by what for.
        folder: Its folder: ``nats.conf`` and its streams.
        dialed: Port at which other clusters dial it.
    """

    server: Server
    ports: Mapping[str, int]
    folder: Path
    dialed: int

    @property
    def file(self) -> Path:
        return self.folder / "nats.conf"


def logins_of(config: NatsConfig) -> dict[str, Login]:
    """Return a login for each user: its own name, and a word made of it."""
    names = [OPERATORS, *(user.name for _, user, _ in config.users)]
    return {name: Login(name, f"{name}-word") for name in names}


def wiring_of(config: NatsConfig, place: ServerPlace, places: Sequence[ServerPlace], tls_folder: Path) -> Wiring:
    """Return the wiring of one server among ``places``."""
    clusters = tuple(dict.fromkeys(each.server.cluster for each in places))
    several = len(clusters) > 1
    return Wiring(
        server_name=place.server.pod,
        listens={name: f"{HOST}:{port}" for name, port in place.ports.items()},
        routes=tuple(
            f"{HOST}:{each.ports['cluster']}" for each in places if each.server.cluster == place.server.cluster
        ),
        gateways={
            cluster: tuple(f"{HOST}:{each.dialed}" for each in places if each.server.cluster == cluster)
            for cluster in clusters
        }
        if several
        else {},
        gateway_advertise=f"{HOST}:{place.dialed}" if several else None,
        store_dir=str(place.folder / "data"),
        pid_file=str(place.folder / "nats.pid"),
        tls_folder=str(tls_folder),
        logins=logins_of(config),
    )
