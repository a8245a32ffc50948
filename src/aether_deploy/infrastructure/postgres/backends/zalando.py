"""Back end ``zalando``: a ``postgresql`` object, from which Zalando's operator makes the pods.

The operator runs Patroni with the same settings, as far as its object has them; what it has no field for is a problem.
Source: zalando/postgres-operator v2.0.1, ``pkg/apis/acid.zalan.do/v1/postgresql_type.go``.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aether_deploy.config.base import Fault
from aether_deploy.failover.policy import FailoverPolicy
from aether_deploy.infrastructure.component import FileChange, Place
from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.objects.naming import metadata_of
from aether_deploy.infrastructure.postgres.configuration import API_PORT, POSTGRES_PORT
from aether_deploy.infrastructure.postgres.groups import groups_in, slot_of, source_host
from aether_deploy.infrastructure.postgres.operator_changes import OBJECT_GONE, operator_changes
from aether_deploy.infrastructure.postgres.operator_runbook import operator_runbook, promotion_text
from aether_deploy.infrastructure.postgres.parameters import as_setting, folded
from aether_deploy.infrastructure.recovery import NOTHING_TO_DO, Recovery
from aether_deploy.pods.fragments import toleration_fragment
from aether_deploy.pods.names import CONTROLLER_NAME_MAX
from aether_deploy.pods.network import INTERNAL_ANNOTATIONS, blocks, dns_egress, pods_of
from aether_deploy.quantities import canonical

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.postgres import PostgresConfig

_KIND = "acid.zalan.do/v1"
_SECRET = "{user}.{cluster}.credentials.postgresql.acid.zalan.do"
_USERS = ("postgres", "standby")
_FIELDS = (
    "ttl",
    "loop_wait",
    "retry_timeout",
    "maximum_lag_on_failover",
    "synchronous_mode",
    "synchronous_mode_strict",
    "synchronous_node_count",
    "failsafe_mode",
)
_IDENTITY = {"spiloRunAsUser": "run_as_user", "spiloRunAsGroup": "run_as_group", "spiloFSGroup": "fs_group"}


class ZalandoBackend:
    """Renders the operator's object, and the rules of the network that it does not make."""

    makes_services = True

    def scope(self, config: "PostgresConfig", region: str) -> str:
        """The object's name, in each region the same."""
        return config.name

    def credentials(self, config: "PostgresConfig") -> str:
        return _secret(config, config.database)

    def promotion(self, config: "PostgresConfig", estate: Estate) -> str:
        where = "" if config.standby is None else f" {config.standby.region}"
        return f"name{where} in regions and publish, so that 'standby' leaves its postgresql object"

    def object_changes(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> Sequence[FileChange]:
        return operator_changes(before, after) if after.get("kind") == "postgresql" else ()

    def object_gone(self, before: Mapping[str, Any]) -> FileChange | None:
        return OBJECT_GONE if before.get("kind") == "postgresql" else None

    def secrets(self, config: "PostgresConfig") -> Mapping[str, tuple[str, ...]]:
        """The operator takes passwords from Secrets that are there; without them each region would make its own."""
        return {_secret(config, user): _KEYS for user in (*_USERS, config.database)}

    def faults(self, config: "PostgresConfig", estate: Estate) -> Iterator[Fault]:
        yield from _name_faults(config)
        if config.database in _USERS:
            yield Fault(("database",), "the operator's own user, and the database's is called like it", "name another")
        yield from _policy_faults(config.failover)
        yield from _lost_fields(config)
        reason = "the operator's pods name no seccomp profile and keep capabilities: namespace "
        reason += f"'{estate.data_namespace}' is restricted and admits none of them"
        fix = (
            "use backend patroni; or let a mutating policy of your cluster add both, or a patch with a waiver lower "
            "the level of that namespace"
        )
        yield Fault(("backend",), reason, fix, config.backend, "warning")

    def render(self, config: "PostgresConfig", place: Place) -> list[dict[str, Any]]:
        return [_cluster(config, place), _policy(config, place)]

    def runbooks(self, config: "PostgresConfig", estate: Estate) -> Mapping[str, str]:
        return {f"{config.name}.md": operator_runbook(config, estate)}

    def recovery(self, config: "PostgresConfig", estate: Estate, region: str) -> Recovery:
        active = config.active_in(estate)
        if config.standby is None or active is None or region != active:
            return NOTHING_TO_DO
        return Recovery(lost=promotion_text(config, active, config.standby.region))


_KEYS = ("password", "username")


def _secret(config: "PostgresConfig", user: str) -> str:
    """Return the Secret of a user, as the operator names it."""
    return _SECRET.format(user=user.replace("_", "-"), cluster=config.name)


def _name_faults(config: "PostgresConfig") -> Iterator[Fault]:
    if config.team is None:
        yield Fault((), "lacks 'team', which the operator wants", f"add team: {config.name.partition('-')[0]}")
    elif not config.name.startswith(f"{config.team}-"):
        reason = f"does not begin with its team, which the operator wants: '{config.team}-'"
        yield Fault(("name",), reason, f"call it {config.team}-{config.name}", config.name)
    over = len(config.name) - CONTROLLER_NAME_MAX
    if over > 0:
        reason = f"what the operator calls its StatefulSet, whose name has at most {CONTROLLER_NAME_MAX} characters"
        yield Fault(("name",), reason, f"take {over} off", config.name)


def _policy_faults(policy: FailoverPolicy) -> Iterator[Fault]:
    """Yield what the operator's object has no field for. Zero it takes for nothing said, and Patroni for a value."""
    if policy.synchronous_mode == "quorum":
        reason = "the operator's object has only true and false"
        yield Fault(("failover", "synchronous_mode"), reason, "set it to true, or use backend patroni", "quorum")
    if policy.maximum_lag_on_failover == 0:
        reason = "the operator leaves a 0 out, and Patroni takes its default then"
        yield Fault(("failover", "maximum_lag_on_failover"), reason, "set it to 1 or more", 0)
    plain = FailoverPolicy()
    for name in FailoverPolicy.__struct_fields__:
        if name not in _FIELDS and getattr(policy, name) != getattr(plain, name):
            reason = "the operator's object has no field for it"
            yield Fault(("failover", name), reason, "remove it, or use backend patroni", getattr(policy, name))


def _lost_fields(config: "PostgresConfig") -> Iterator[Fault]:
    lost: dict[str, object] = {
        "sharding": config.sharding,
        "waivers": config.waivers,
        "pull_secrets": config.pull_secrets,
    }
    for name, value in lost.items():
        if value:
            reason = "the operator's object has no field for it"
            yield Fault((name,), reason, "remove it, or use backend patroni")
    if config.image_kind != "spilo" and config.image is not None:
        yield Fault(("image",), "the operator runs images of Spilo only", "name one, or none", config.image)
    if config.pvc.access_mode != "ReadWriteOnce":
        reason = "the operator's volumes are ReadWriteOnce"
        yield Fault(("pvc", "access_mode"), reason, "remove it", config.pvc.access_mode)
    expose = config.expose
    if expose is not None and expose.external_traffic_policy is not None:
        reason = "the operator's object has no field for it"
        at = ("expose", "external_traffic_policy")
        yield Fault(at, reason, "remove it, or use backend patroni", expose.external_traffic_policy)


def _cluster(config: "PostgresConfig", place: Place) -> dict[str, Any]:
    (group,) = groups_in(config, place.region.code)
    said = folded(config.postgresql.parameters)
    spec: dict[str, Any] = {
        "teamId": config.team,
        "numberOfInstances": group.members,
        **({"dockerImage": config.image} if config.image else {}),
        "postgresql": {
            "version": str(config.postgresql.version),
            **({"parameters": {name: str(as_setting(said[name])) for name in sorted(said)}} if said else {}),
        },
        "volume": _volume(config, place),
        "patroni": _patroni(config, place),
        "resources": _resources(config),
        "users": {config.database: []},
        "databases": {config.database: config.database},
        **{field: getattr(config.identity, name) for field, name in _IDENTITY.items()},
        "enableShmVolume": True,
        **_scheduling(config),
        **_exposed(config, place),
    }
    if config.tls is not None:
        spec["tls"] = {"secretName": config.tls.secret, "certificateFile": "tls.crt", "privateKeyFile": "tls.key"}
    if config.annotations:
        spec["podAnnotations"] = dict(sorted(config.annotations.items()))
    source = source_host(config, place.estate, place.region.code)
    if source is not None:
        spec["standby"] = {
            "standby_host": source,
            "standby_port": str(POSTGRES_PORT),
            "standby_primary_slot_name": slot_of(config),
        }
    return {"apiVersion": _KIND, "kind": "postgresql", "metadata": metadata_of(config, place), "spec": spec}


def _patroni(config: "PostgresConfig", place: Place) -> dict[str, Any]:
    slot = slot_of(config)
    keeps = config.standby is not None and place.region.code != config.standby.region
    return {
        **{name: getattr(config.failover, name) for name in _FIELDS},
        "initdb": {"data-checksums": "true", "encoding": "UTF8", "locale": "C.UTF-8"},
        **({"slots": {slot: {"type": "physical"}}} if keeps else {}),
    }


def _volume(config: "PostgresConfig", place: Place) -> dict[str, Any]:
    storage_class = config.pvc.storage_class or place.region.storage_class
    found = {"size": canonical(config.pvc.size)}
    return found if storage_class is None else {**found, "storageClass": storage_class}


def _resources(config: "PostgresConfig") -> dict[str, Any]:
    said = config.resources
    limits = {} if said.cpu_limit is None else {"cpu": canonical(said.cpu_limit)}
    return {
        "requests": {"cpu": canonical(said.cpu_request), "memory": canonical(said.memory_request)},
        "limits": {**limits, "memory": canonical(said.memory_limit)},
    }


def _scheduling(config: "PostgresConfig") -> dict[str, Any]:
    found: dict[str, Any] = {
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {"matchLabels": {"cluster-name": config.name}},
            }
        ]
    }
    if config.priority_class is not None:
        found["podPriorityClassName"] = config.priority_class
    if config.tolerations:
        found["tolerations"] = [toleration_fragment(each) for each in config.tolerations]
    if config.node_selector:
        terms = [
            {"key": key, "operator": "In", "values": [config.node_selector[key]]}
            for key in sorted(config.node_selector)
        ]
        found["nodeAffinity"] = {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": terms}]}
        }
    return found


def _exposed(config: "PostgresConfig", place: Place) -> dict[str, Any]:
    """The operator opens the Service of the primary itself."""
    expose = config.expose
    if expose is None:
        return {"enableMasterLoadBalancer": False, "enableReplicaLoadBalancer": False}
    if expose.type == "NodePort":
        found: dict[str, Any] = {"enableMasterLoadBalancer": False, "enableMasterNodePort": True}
    else:
        found = {"enableMasterLoadBalancer": True}
    found["enableReplicaLoadBalancer"] = False
    if config.network.allow_from:
        found["allowedSourceRanges"] = list(config.network.allow_from)
    internal = INTERNAL_ANNOTATIONS.get(place.surroundings.provider or "", {}) if expose.internal else {}
    annotations = {**internal, **expose.annotations}
    if annotations:
        found["masterServiceAnnotations"] = dict(sorted(annotations.items()))
    return found


def _policy(config: "PostgresConfig", place: Place) -> dict[str, Any]:
    """Return the policy of the operator's pods, which have labels of its own."""
    own = {"podSelector": {"matchLabels": {"cluster-name": config.name}}}
    sql, api = {"protocol": "TCP", "port": POSTGRES_PORT}, {"protocol": "TCP", "port": API_PORT}
    allowed = blocks(config.network.allow_from)
    ingress: list[dict[str, Any]] = [{"from": [own], "ports": [sql, api]}]
    if place.surroundings.used_by:
        ingress.append({"from": [pods_of(peer) for peer in place.surroundings.used_by], "ports": [sql]})
    if allowed or config.expose is not None:
        ingress.append({**({"from": allowed} if allowed else {}), "ports": [sql]})
    # The operator calls both, and its namespace is not known here.
    ingress.append({"from": _OPERATOR, "ports": [sql, api]})
    egress: list[dict[str, Any]] = [
        dns_egress(),
        {"to": [own], "ports": [sql, api]},
        {"ports": [{"protocol": "TCP", "port": 443}, {"protocol": "TCP", "port": 6443}]},
    ]
    if config.network.allow_to:
        egress.append({"to": blocks(config.network.allow_to)})
    elif source_host(config, place.estate, place.region.code) is not None:
        egress.append({"ports": [sql]})
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata_of(config, place),
        "spec": {**own, "policyTypes": ["Ingress", "Egress"], "ingress": ingress, "egress": egress},
    }


# As the operator's manifests and as its chart label it.
_OPERATOR = [
    {"namespaceSelector": {}, "podSelector": {"matchLabels": {key: "postgres-operator"}}}
    for key in ("app.kubernetes.io/name", "name")
]

BACKEND = ZalandoBackend()
