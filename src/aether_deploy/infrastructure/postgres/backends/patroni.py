"""Back end ``patroni``: the pods themselves, with the API server of their cluster as Patroni's store."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aether_deploy.config.base import Fault
from aether_deploy.infrastructure.component import FileChange, Place, Port
from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.objects.naming import PART
from aether_deploy.infrastructure.objects.network import network_policy, outside_service, pod_monitor, service
from aether_deploy.infrastructure.objects.pods import ComponentPod, budget, stateful_set
from aether_deploy.infrastructure.objects.rights import config_map, role, service_account
from aether_deploy.infrastructure.postgres.commands import PROMOTE
from aether_deploy.infrastructure.postgres.configuration import (
    API_PORT,
    POST_INIT,
    POSTGRES_PORT,
    patroni_configuration,
    spilo_configuration,
)
from aether_deploy.infrastructure.postgres.containers import container, volumes
from aether_deploy.infrastructure.postgres.first_user import first_user_script
from aether_deploy.infrastructure.postgres.groups import SCOPE, Group, groups_in, role_selector, scope_of, source_host
from aether_deploy.infrastructure.postgres.region_loss import recovery_by_patroni
from aether_deploy.infrastructure.postgres.runbook import runbooks
from aether_deploy.infrastructure.recovery import Recovery
from aether_deploy.manifest.yaml_text import to_yaml
from aether_deploy.pods.fragments import content_checksum
from aether_deploy.pods.parts import IdentityConfig
from aether_deploy.pods.waivers import joined_annotations, waiver_annotations

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.postgres import PostgresConfig

_SQL: Port = ("postgresql", POSTGRES_PORT, "TCP")
_API: Port = ("api", API_PORT, "TCP")
RIGHTS = (
    {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create", "get", "list", "patch", "watch"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "patch", "watch"]},
)
"""What Patroni 4.1 asks of an API server when its state lies in ConfigMaps; its manual grants ``update`` besides.

It lists and watches both kinds, makes and patches ConfigMaps, reads the leader's again after a conflict, and patches
the Pod of its own member (``patroni/dcs/kubernetes.py``). ``patronictl remove`` would need ``deletecollection``.
"""
# The API server's address belongs to no pod, so no selector matches it.
_API_SERVER = {"ports": [{"protocol": "TCP", "port": 443}, {"protocol": "TCP", "port": 6443}]}


class PatroniBackend:
    """Renders StatefulSets, and all that their members need."""

    makes_services = False

    def scope(self, config: "PostgresConfig", region: str) -> str:
        """Not the component's name: Patroni's ConfigMap is ``<scope>-config``, and ``<component>-config`` is ours."""
        return f"{config.name}-{region}"

    def credentials(self, config: "PostgresConfig") -> str:
        return f"{config.name}-credentials"

    def promotion(self, config: "PostgresConfig", estate: Estate) -> str:
        return f"PATCH its /config with {PROMOTE}"

    def object_changes(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> Sequence[FileChange]:
        return ()

    def object_gone(self, before: Mapping[str, Any]) -> FileChange | None:
        return None

    def secrets(self, config: "PostgresConfig") -> Mapping[str, tuple[str, ...]]:
        rewind = ("rewind-password",) if config.image_kind == "patroni" else ()
        found = {
            self.credentials(config): ("password", "username"),
            f"{config.name}-members": ("replication-password", *rewind, "superuser-password"),
        }
        return found if config.tls is None else {**found, config.tls.secret: ("tls.crt", "tls.key")}

    def faults(self, config: "PostgresConfig", estate: Estate) -> Iterator[Fault]:
        yield from ()

    def render(self, config: "PostgresConfig", place: Place) -> list[dict[str, Any]]:
        groups = groups_in(config, place.region.code)
        files = {group.file: _file(config, place, group) for group in groups}
        texts = {name: to_yaml(settings) for name, settings in files.items()}
        texts[POST_INIT] = first_user_script(config)
        return [
            service_account(config, place),
            *role(config, place, RIGHTS),
            config_map(config, place, f"{config.name}-config", texts),
            *_services(config, place, groups),
            *(_members(config, place, group, files[group.file]) for group in groups),
            *(budget(config, place, name=group.part, selector={PART: group.part}) for group in groups),
            _policy(config, place),
            *pod_monitor(config, place, "api"),
        ]

    def runbooks(self, config: "PostgresConfig", estate: Estate) -> Mapping[str, str]:
        return runbooks(config, estate)

    def recovery(self, config: "PostgresConfig", estate: Estate, region: str) -> Recovery:
        return recovery_by_patroni(config, estate, region)


def _file(config: "PostgresConfig", place: Place, group: Group) -> dict[str, Any]:
    region, source = place.region.code, source_host(config, place.estate, place.region.code)
    if config.image_kind == "spilo":
        return spilo_configuration(config, region, source_host=source)
    return patroni_configuration(config, region, group, namespace=place.namespace, source_host=source)


def _follows(config: "PostgresConfig", place: Place) -> bool:
    return config.standby is not None and place.region.code == config.standby.region


def _services(config: "PostgresConfig", place: Place, groups: tuple[Group, ...]) -> Iterator[dict[str, Any]]:
    """Yield the Services. In a standby's region ``<component>`` is the platform's, and leads to the primary."""
    leads = next(group for group in groups if group.leads)
    primary, replica = role_selector("primary", leads), role_selector("replica", leads)
    follows = _follows(config, place)
    repl = f"{config.name}-repl"
    if follows:
        # Where nobody writes every member may be read; one of them has no role of a replica.
        yield service(config, place, repl, [_SQL])
    else:
        yield _by_role(config, service(config, place, config.name, [_SQL], selector=primary))
        yield _by_role(config, service(config, place, repl, [_SQL], selector=replica))
    yield service(config, place, f"{config.name}-headless", [_SQL, _API], headless=True)
    if config.expose is not None:
        yield _by_role(config, outside_service(config, place, f"{config.name}-external", [_SQL], selector=primary))


def _by_role(config: "PostgresConfig", body: dict[str, Any]) -> dict[str, Any]:
    """Return a Service with the reason why no template has the labels that it selects."""
    ours = waiver_annotations({"role_selector": config.waivers.get("role_selector")}, "outside_service")
    said = joined_annotations(body["metadata"].get("annotations", {}), ours)
    return {**body, "metadata": {**body["metadata"], "annotations": dict(sorted(said.items()))}}


def _members(config: "PostgresConfig", place: Place, group: Group, settings: Mapping[str, Any]) -> dict[str, Any]:
    # What is said for the first start only is no reason to restart anybody: the runbook changes it.
    rolling = {name: each for name, each in settings.items() if name != "bootstrap"}
    identity = config.identity
    pod = ComponentPod(
        part=group.part,
        containers=[container(config, place, group)],
        identity=IdentityConfig(
            run_as_user=identity.run_as_user, run_as_group=identity.run_as_group, fs_group=identity.fs_group
        ),
        volumes=volumes(config),
        grace_secs=config.stop_secs,
        account=config.name,
        token=True,
        labels={SCOPE: scope_of(config, place.region.code), **group.labels},
        checksum=content_checksum({"patroni.yml": to_yaml(rolling)}, {}),
        writable_root=config.image_kind == "spilo",
    )
    return stateful_set(
        config,
        place,
        pod,
        replicas=group.members,
        pvc=config.pvc,
        service=f"{config.name}-headless",
        deviations=["secret_variables"],
    )


def _policy(config: "PostgresConfig", place: Place) -> dict[str, Any]:
    scraped = place.surroundings.scrape_interval_secs is not None
    remote = [{"ports": [{"protocol": "TCP", "port": POSTGRES_PORT}]}]
    follows = _follows(config, place) and not config.network.allow_to
    return network_policy(
        config,
        place,
        client_ports=[_SQL],
        own_ports=[_SQL, _API],
        metrics_ports=[_API] if scraped else [],
        # Where addresses are named they are let in as clients; else whoever finds the load balancer.
        outside_ports=[_SQL] if config.expose is not None and not config.network.allow_from else [],
        egress=[_API_SERVER, *(remote if follows else [])],
    )


BACKEND = PatroniBackend()
