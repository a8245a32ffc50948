"""The kind ``nats``: a NATS supercluster with JetStream, one cluster for each region."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from aether_deploy.config.base import FILLED, Config, Fault, rule
from aether_deploy.config.marks import Keyed
from aether_deploy.config.types import DnsLabel, ObjectName, PositiveCount, SizeQuantity
from aether_deploy.infrastructure.component import ComponentConfig, FileChange, Place, Port
from aether_deploy.infrastructure.estate import Datacenter, Estate
from aether_deploy.infrastructure.nats.examples import EXAMPLES
from aether_deploy.infrastructure.nats.parts import (
    MAX_PAYLOAD_LIMIT,
    JetStreamConfig,
    NatsAccount,
    NatsGateway,
    NatsLameDuck,
    NatsLeafnodes,
    NatsSidecar,
    NatsStream,
    NatsTls,
    NatsUser,
)
from aether_deploy.infrastructure.nats.ports import CLIENT, SYSTEM_ACCOUNT
from aether_deploy.infrastructure.nats.streams import account_of
from aether_deploy.pods.storage import PvcConfig
from aether_deploy.problems import suggestion
from aether_deploy.quantities import bytes_of


class NatsUpdateConfig(Config):
    """How a change that needs a restart reaches the servers.

    Attributes:
        strategy: ``OnDelete``: each server restarts when its pod is deleted; the runbook does so one by one, and
            waits for each. ``RollingUpdate``: each datacenter at once, and all of them at a time, since none of
            their StatefulSets waits for another: streams stop meanwhile.
    """

    strategy: Literal["OnDelete", "RollingUpdate"] = "OnDelete"


class NatsConfig(ComponentConfig):
    """A messaging backbone: NATS clusters in regions, joined by gateways, with streams that survive their servers.

    Attributes:
        kind: ``nats``.
        servers_per_zone: Servers in each datacenter.
        pvc: The volume of each server; its size is what the server gives to streams.
        jetstream: How servers keep streams.
        gateway: How regions reach each other; needed from two regions on.
        leafnodes: Servers at the edge that connect to this component; ``{}`` lets them.
        tls: Certificates of the servers.
        accounts: Who logs in; left out, one account ``APP`` with one user.
        system_secret: Secret with ``username`` and ``password`` of the operators' user; left out,
            ``<name>-system``.
        streams: Streams that are to exist.
        witness: A datacenter outside of the regions, with one server that votes and keeps no stream.
        max_payload: Largest message of all.
        lame_duck: How a server leaves.
        update: How a change that needs a restart reaches the servers.
        reloader: Sidecar that tells a server of a new file: image ``natsio/nats-server-config-reloader``. Left out,
            every change needs a restart.
        exporter: Sidecar for Prometheus: image ``natsio/prometheus-nats-exporter``.
    """

    KIND_NAME: ClassVar[str] = "nats"

    EXAMPLES: ClassVar[Mapping[str, Mapping[str, Any]]] = EXAMPLES

    kind: Literal["nats"] = FILLED
    servers_per_zone: PositiveCount = 1
    pvc: PvcConfig
    jetstream: JetStreamConfig = FILLED
    gateway: NatsGateway | None = None
    leafnodes: NatsLeafnodes | None = None
    tls: NatsTls | None = None
    accounts: Annotated[Sequence[NatsAccount], Keyed("name")] = FILLED
    system_secret: ObjectName | None = None
    streams: Annotated[Sequence[NatsStream], Keyed("name")] = ()
    witness: DnsLabel | None = None
    max_payload: SizeQuantity = "1Mi"
    lame_duck: NatsLameDuck = FILLED
    update: NatsUpdateConfig = FILLED
    reloader: NatsSidecar | None = None
    exporter: NatsSidecar | None = None

    @classmethod
    def fill(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what is given and the defaults of the kind beneath it."""
        filled = {"kind": cls.KIND_NAME, "jetstream": {}, "lame_duck": {}, "update": {}, **super().fill(given)}
        filled.setdefault("accounts", [{"name": "APP", "users": [{"name": "app"}]}])
        expose = given.get("expose")
        if isinstance(expose, Mapping) and "ports" not in expose and given.get("gateway") in (None, "none"):
            filled["expose"] = {**expose, "ports": ["client"]}
        return filled

    @classmethod
    def default_limits(cls) -> Mapping[str, str]:
        """Return what its makers ask for JetStream in production: two processors and 8 GiB, requests as limits."""
        return {
            "cpu_limit": "2",
            "memory_limit": "8Gi",
            "ephemeral_limit": "256Mi",
        }

    @classmethod
    def default_exposed(cls) -> Sequence[str]:
        return ["gateway"]

    # --- what others need to know of it

    @property
    def client_ports(self) -> tuple[Port, ...]:
        return (CLIENT,)

    def witnesses(self, estate: Estate) -> tuple[Datacenter, ...]:
        """Return its witness, where it is one that can be."""
        found = estate.datacenter(self.witness) if self.witness is not None else None
        if found is None or not found.witness or len(self.placed_in(estate)) < 2:
            return ()  # beside one region a vote elsewhere decides nothing: without the region there is no majority
        return (found,)

    @property
    def users(self) -> tuple[tuple[NatsAccount, NatsUser, str], ...]:
        """Every user with its account and its Secret, in file order."""
        found = [(account, user) for account in self.accounts if account.enabled for user in account.users]
        switched_on = [(account, user) for account, user in found if user.enabled]
        return tuple((account, user, user.secret or f"{self.name}-credentials") for account, user in switched_on)

    @property
    def operators_secret(self) -> str:
        """Secret of the user of the system account."""
        return self.system_secret or f"{self.name}-system"

    @property
    def credentials(self) -> str | None:
        """The Secret of the first user of all: those that use the component log in with it."""
        return self.users[0][2] if self.users else None

    def secrets(self, place: Place) -> Mapping[str, tuple[str, ...]]:
        """Return the Secrets of its users, of its operators, and of its certificates."""
        from aether_deploy.infrastructure.nats.wiring import secrets_of

        return secrets_of(self, place)

    def faults(self, estate: Estate) -> Iterator[Fault]:
        from aether_deploy.infrastructure.nats.rules import faults_of

        yield from faults_of(self, estate)

    def render(self, place: Place) -> list[dict[str, Any]]:
        from aether_deploy.infrastructure.nats.rendering import objects_of

        return objects_of(self, place)

    @classmethod
    def file_changes(cls, before: Mapping[str, str], after: Mapping[str, str]) -> Sequence[FileChange]:
        from aether_deploy.infrastructure.nats.changes import file_changes

        return file_changes(before, after)

    def runbooks(self, estate: Estate) -> Mapping[str, str]:
        from aether_deploy.infrastructure.nats.runbook import runbook

        return {f"{self.name}.md": runbook(self, estate)}

    # --- rules between its fields

    @rule
    def it_has_an_image(self) -> Iterator[Fault]:
        if self.image is None:
            yield Fault((), "lacks 'image'", "add image: nats:<version>@sha256:<64 hex digits>")

    @rule
    def a_payload_is_taken(self) -> Iterator[Fault]:
        if bytes_of(self.max_payload) > MAX_PAYLOAD_LIMIT:
            yield Fault(
                ("max_payload",),
                "more than 64Mi: the server does not start",
                "lower it to 64Mi or less",
                self.max_payload,
            )
        elif bytes_of(self.max_payload) > 8 * 2**20:
            reason = "more than 8Mi: one message holds up all others of its connection"
            yield Fault(("max_payload",), reason, "keep large things in an object store", self.max_payload, "warning")

    @rule
    def messages_pass(self) -> Iterator[Fault]:
        for place, stream in enumerate(self.streams):
            size = stream.max_message_bytes
            if stream.enabled and size is not None and bytes_of(size) > bytes_of(self.max_payload):
                reason = f"more than max_payload, which is {self.max_payload}: no server takes such a message"
                fix = f"lower it to {self.max_payload} or less, or raise max_payload"
                yield Fault(("streams", place, "max_message_bytes"), reason, fix, size)

    @rule
    def memory_has_room(self) -> Iterator[Fault]:
        size, limit = bytes_of(self.jetstream.memory_size), bytes_of(self.resources.memory_limit)
        if size * 2 > limit:
            yield Fault(
                ("jetstream", "memory_size"),
                f"more than half of resources.memory_limit, which is {self.resources.memory_limit}",
                "lower it, or raise memory_limit: the server needs memory for connections and for its indexes",
                self.jetstream.memory_size,
            )

    @rule
    def exposed_ports_exist(self) -> Iterator[Fault]:
        if self.expose is None:
            return
        known = ["client"]
        known += ["leafnode"] if self.leafnodes is not None else []
        known += ["gateway"] if self.gateway is not None else []
        for place, name in enumerate(self.expose.ports):
            if name in ("gateway", "leafnode") and name not in known:
                section = "gateway" if name == "gateway" else "leafnodes"
                yield Fault(("expose", "ports", place), f"closed without '{section}'", f"add {section}", name)
            elif name not in known:
                yield Fault(("expose", "ports", place), "no port of it", f"known are {', '.join(known)}", name)

    @rule
    def gateways_are_exposed(self) -> Iterator[Fault]:
        if self.gateway is None:
            return
        if self.expose is None or "gateway" not in self.expose.ports:
            fix = "add expose: {type: LoadBalancer, per_pod: true, ports: [gateway]}"
            yield Fault(("gateway",), "nothing exposes port gateway, so no other region reaches a server", fix)
        elif not self.expose.per_pod:
            reason = "one address for all servers, while gateway.endpoint names each: two regions would not find two "
            yield Fault(("expose", "per_pod"), f"{reason}given servers of each other", "set it to true", False)

    @rule
    def passwords_do_not_pass_in_the_open(self) -> Iterator[Fault]:
        exposed = () if self.expose is None else self.expose.ports
        open_ports = [name for name in ("client", "leafnode") if name in exposed]
        if self.tls is None and open_ports:
            yield Fault(
                ("expose", "ports"),
                f"opens port {open_ports[0]} without tls: passwords and messages pass in the open",
                "add tls: {secret: <Secret with tls.crt, tls.key, ca.crt>}",
                severity="warning",
            )

    @rule
    def users_are_told_apart(self) -> Iterator[Fault]:
        seen: dict[str, str] = {self.operators_secret: "system_secret"}
        for place, account in enumerate(self.accounts):
            for at, user in enumerate(account.users):
                if not (account.enabled and user.enabled):
                    continue
                secret = user.secret or f"{self.name}-credentials"
                steps = ("accounts", place, "users", at, "secret")
                if secret in seen:
                    reason = f"also the Secret of {seen[secret]}: the server does not start with one user in two places"
                    yield Fault(steps, reason, "give each user a Secret of its own", secret)
                seen.setdefault(secret, f"user '{user.name}' of account '{account.name}'")

    @rule
    def names_of_users_differ(self) -> Iterator[Fault]:
        seen: set[str] = set()
        for place, account in enumerate(self.accounts):
            for at, user in enumerate(account.users):
                if user.name in seen:
                    reason = "a user of another account has that name, and messages call both by it"
                    yield Fault(("accounts", place, "users", at, "name"), reason, "give it another", user.name)
                seen.add(user.name)

    @rule
    def the_system_account_is_its_own(self) -> Iterator[Fault]:
        for place, account in enumerate(self.accounts):
            if account.enabled and account.name.upper() in (SYSTEM_ACCOUNT, "$SYS", "$G"):
                yield Fault(
                    ("accounts", place, "name"),
                    "the account of the servers themselves, which cannot have streams",
                    "give it another name; operators log in to SYS with system_secret",
                    account.name,
                )

    @rule
    def somebody_logs_in(self) -> Iterator[Fault]:
        if not self.users:
            yield Fault(("accounts",), "has no user", "add a user: users: [{name: app}]")

    @rule
    def accounts_of_streams_exist(self) -> Iterator[Fault]:
        known = {each.name: each for each in self.accounts if each.enabled}
        makers = {name: any(u.enabled and u.unlimited for u in each.users) for name, each in known.items()}
        able = [name for name, each in known.items() if each.jetstream and makers[name]]
        for place, stream in enumerate(self.streams):
            named = stream.account
            if not stream.enabled or named in able:
                continue
            steps = ("streams", place, "account")
            if named is None and not any(each.jetstream for each in known.values()):
                yield Fault(steps[:2], "no account may have streams", "set jetstream: true on an account")
            elif named is None and account_of(self, stream) not in able:
                reason = f"nobody can make it: account '{account_of(self, stream)}' has no user without limits"
                yield Fault(steps[:2], reason, "add such a user, or name another account", stream.name)
            elif named is not None and named not in known:
                fix = suggestion(named, list(known), f"known are {', '.join(known)}")
                yield Fault(steps, "no account has that name", fix, named)
            elif named is not None:
                lacks = "no user without limits" if known[named].jetstream else "no streams: its jetstream is false"
                yield Fault(steps, f"that account has {lacks}", f"name another, or change account '{named}'", named)


KIND = NatsConfig
