"""What of a server's file depends on where it runs: addresses, folders, and who it is. Here: inside Kubernetes."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from aether_deploy.infrastructure.component import Place
from aether_deploy.infrastructure.estate import Datacenter, Estate
from aether_deploy.infrastructure.nats.ports import CLIENT, GATEWAY, LEAFNODE, MONITOR, ROUTES
from aether_deploy.infrastructure.nats.supercluster import Server, servers_of
from aether_deploy.infrastructure.nats.text import Variable
from aether_deploy.pods.paths import TLS_FOLDER
from aether_deploy.quantities import bytes_of

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.nats import NatsConfig

OPERATORS = "operators"
"""What the user of the system account is called where users are listed."""

POD_NAME = "POD_NAME"
RUN_FOLDER = "/var/run/nats"
PID_FILE = f"{RUN_FOLDER}/nats.pid"
CONFIG_FOLDER = "/etc/nats-config"
ANYWHERE = "0.0.0.0"
LOGIN_KEYS = ("username", "password")
TLS_KEYS = ("ca.crt", "tls.crt", "tls.key")

Value = str | Variable


class Login(msgspec.Struct, frozen=True):
    """What a user logs in with."""

    username: Value
    password: Value


class Wiring(msgspec.Struct, frozen=True, kw_only=True):
    """Where one server is, and how it reaches the others.

    Attributes:
        server_name: Its name.
        listens: Address and port on which it listens for ``client``, ``cluster``, ``gateway``, ``leafnode`` and
            ``monitor``.
        routes: Address and port of each server of its own NATS cluster, itself included.
        gateways: The same of each NATS cluster's servers for other clusters, its own included; empty for one alone.
        gateway_advertise: What it tells other clusters to dial.
        leafnode_advertise: What it tells leafnodes to dial; None keeps it quiet.
        store_dir: Folder of its streams.
        pid_file: File for its process id; None writes none.
        tls_folder: Folder of its certificates.
        logins: What each user logs in with, ``operators`` included.
    """

    server_name: Value
    listens: Mapping[str, str]
    routes: tuple[str, ...]
    gateways: Mapping[str, tuple[str, ...]]
    gateway_advertise: Value | None = None
    leafnode_advertise: Value | None = None
    store_dir: str
    pid_file: str | None = PID_FILE
    tls_folder: str = TLS_FOLDER
    logins: Mapping[str, Login]


def kubernetes_wiring(config: "NatsConfig", estate: Estate, datacenter: Datacenter) -> Wiring:
    """Return the wiring of every server of one datacenter: what differs between its pods is a variable."""
    servers = servers_of(config, estate)
    own = next(each.cluster for each in servers if each.datacenter == datacenter)
    clusters = tuple(dict.fromkeys(each.cluster for each in servers))
    several = len(clusters) > 1 and config.gateway is not None
    leafnodes = config.leafnodes
    return Wiring(
        server_name=Variable(POD_NAME),
        listens={name: f"{ANYWHERE}:{port}" for name, port, _ in (CLIENT, ROUTES, GATEWAY, LEAFNODE, MONITOR)},
        routes=tuple(f"{route_host(config, estate, each)}:{ROUTES[1]}" for each in servers if each.cluster == own),
        gateways={
            cluster: tuple(gateway_address(config, estate, each) for each in servers if each.cluster == cluster)
            for cluster in clusters
        }
        if several
        else {},
        gateway_advertise=Variable("GATEWAY_ADVERTISE") if several else None,
        leafnode_advertise=Variable("LEAFNODE_ADVERTISE") if leafnodes and leafnodes.endpoint else None,
        store_dir=config.pvc.mount_path,
        logins={name: Login(*map(Variable, variables)) for name, variables in login_variables(config).items()},
    )


def route_host(config: "NatsConfig", estate: Estate, server: Server) -> str:
    """Return the host name of a server inside its Kubernetes cluster."""
    return f"{server.pod}.{config.name}-headless.{estate.data_namespace}.svc"


def gateway_address(config: "NatsConfig", estate: Estate, server: Server) -> str:
    """Return the host name and port at which other NATS clusters dial a server."""
    assert config.gateway is not None
    where = server.datacenter
    return estate.filled(config.gateway.endpoint, where.region, datacenter=where, pod=server.pod) + f":{GATEWAY[1]}"


def login_variables(config: "NatsConfig") -> dict[str, tuple[str, str]]:
    """Return the variables with name and password of each user, as the server reads them."""
    names = [OPERATORS, *(user.name for _, user, _ in config.users)]
    return {name: tuple(f"NATS_{key.upper()}_{_word(name)}" for key in LOGIN_KEYS) for name in names}  # type: ignore[misc]


def _word(name: str) -> str:
    return name.replace("-", "_").upper()


def variables_of(config: "NatsConfig", estate: Estate, datacenter: Datacenter) -> list[dict[str, Any]]:
    """Return the environment of a datacenter's pods.

    The server reads a variable as it reads its file: ``12ab`` would be a wrong number, and all after ``#`` would be
    gone. So each password is put into single quotes, within which only a single quote is special.
    """
    found: list[dict[str, Any]] = [
        {"name": POD_NAME, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}}
    ]
    advertised = {"GATEWAY_ADVERTISE": (config.gateway, GATEWAY), "LEAFNODE_ADVERTISE": (config.leafnodes, LEAFNODE)}
    for name, (part, port) in advertised.items():
        if part is not None and part.endpoint is not None:
            host = estate.filled(part.endpoint, datacenter.region, datacenter=datacenter, pod=f"$({POD_NAME})")
            found.append({"name": name, "value": f'"{host}:{port[1]}"'})
    secrets = {OPERATORS: config.operators_secret, **{user.name: secret for _, user, secret in config.users}}
    for user, variables in login_variables(config).items():
        for key, variable in zip(LOGIN_KEYS, variables, strict=True):
            source = {"secretKeyRef": {"name": secrets[user], "key": key}}
            found.append({"name": f"RAW_{variable}", "valueFrom": source})
            found.append({"name": variable, "value": f"'$(RAW_{variable})'"})
    # What is left to Go's garbage collector; the rest of the limit is for what it does not count.
    found.append({"name": "GOMEMLIMIT", "value": f"{_memory_mib(config) * 8 // 10}MiB"})
    return found


def _memory_mib(config: "NatsConfig") -> int:
    return bytes_of(config.resources.memory_limit) // 2**20


def secrets_of(config: "NatsConfig", place: Place) -> dict[str, tuple[str, ...]]:
    """Return the Secrets that the pods at ``place`` need, with the keys of each."""
    found: dict[str, tuple[str, ...]] = dict.fromkeys((secret for _, _, secret in config.users), LOGIN_KEYS)
    found[config.operators_secret] = LOGIN_KEYS
    if config.tls is not None:
        found[config.tls.secret] = TLS_KEYS
    return found
