"""Real Patroni, told by the rendered files and variables, with the rendered Role and pods on a real API server.

Pods are played: their containers do not run. Beside each pod runs a Patroni as that pod would start it, by the token of
the pod's ServiceAccount, so what it may do, which pods it finds and whom Services find then are the rendered ones.
"""

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import yaml

from aether_deploy.infrastructure.component import Place
from aether_deploy.infrastructure.kinds.postgres import PostgresConfig
from aether_deploy.lab.applying import apply_manifests
from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.patroni.configuration import Place as Bench
from aether_deploy.lab.patroni.member import PatroniMember
from aether_deploy.lab.processes import free_ports
from aether_deploy.manifest.value import Manifest, in_apply_order
from tests.lab_cases import in_namespace
from tests.patroni_cases import database_programs
from tests.postgres_cases import PATRONI, STANDBY, Body, config, estate, place

# These take minutes; that a rendered cluster boots at all is seen by test_lab_patroni_kubernetes.
pytestmark = [pytest.mark.real, pytest.mark.failover]

MEMBERS = 2
FAST = {"ttl": 20, "loop_wait": 2, "retry_timeout": 3}
LONG_SECS = 90.0
# What Patroni finds in a pod by itself is in a kubeconfig here; this is the context that it looks for.
CONTEXT = "kind-kind"


LOGIN: dict[str, str] = {"user": "app", "password": "app-secret", "database": "accounts"}


def here(system: str, region: str = "us-east-1") -> Place:
    around = msgspec.structs.replace(estate(), system=system)
    return msgspec.structs.replace(place(region), estate=around)


class Cluster:
    """The cluster: what is on the server, and a Patroni for each of its pods."""

    def __init__(
        self, plane: ControlPlane, component: PostgresConfig, where: Place, folder: Path, source_port: int = 5432
    ) -> None:
        self.plane, self.where, self.folder, self.source_port = plane, where, folder, source_port
        self.programs = database_programs()
        self.bodies = component.render(where)
        self.members: dict[str, PatroniMember] = {}
        self.ports: dict[str, int] = {}
        self._held: list[socket.socket] = []

    def start(self) -> None:
        applied = apply_manifests(self.plane.client, in_apply_order(Manifest(body, "") for body in self.bodies))
        assert [fault for each in applied for fault in each.faults()] == []
        count = self.one("StatefulSet")["spec"]["replicas"]
        self.plane.wait_for(lambda: len(self.pods()) == count, "all pods run", LONG_SECS)
        kubeconfig = self._kubeconfig()
        for name in sorted(self.pods()):
            self.members[name] = self._member(name, kubeconfig)
            self.members[name].start()

    def stop(self) -> None:
        for member in self.members.values():
            member.kill()
        for each in self._held:
            each.close()

    def one(self, kind: str, name: str | None = None) -> Body:
        (body,) = [each for each in self.bodies if each["kind"] == kind and name in (None, each["metadata"]["name"])]
        return body

    def pods(self) -> dict[str, Body]:
        found = self.plane.client.list("v1", "Pod", self.where.namespace)
        return {pod["metadata"]["name"]: pod for pod in found if pod.get("status", {}).get("podIP")}

    def roles(self) -> dict[str, str | None]:
        return {name: pod["metadata"]["labels"].get("role") for name, pod in self.pods().items()}

    def wait_for_roles(self, *wanted: str) -> None:
        self.plane.wait_for(
            lambda: self._alive() and tuple(sorted(map(str, self.roles().values()))) == wanted,
            "pods have roles",
            LONG_SECS,
        )

    def _alive(self) -> bool:
        for member in self.members.values():
            assert member.runs, member.last_words()
        return True

    def behind(self, service: str) -> set[str]:
        """Return the names of the pods that a Service leads to."""
        found = set()
        for each in self.plane.client.list("discovery.k8s.io/v1", "EndpointSlice", self.where.namespace):
            if each["metadata"]["labels"].get("kubernetes.io/service-name") == service:
                found |= {end["targetRef"]["name"] for end in each.get("endpoints") or () if end["conditions"]["ready"]}
        return found

    def sql(self, member: str, text: str) -> str:
        where = f"host=127.0.0.1 port={self.ports[member]} user={LOGIN['user']} dbname={LOGIN['database']}"
        command = [str(self.programs.bin_dir / "psql"), "-X", "-A", "-t", "-d", where, "-c", text]
        done = subprocess.run(
            command, env={"PGPASSWORD": LOGIN["password"]}, capture_output=True, text=True, check=False
        )
        return done.stdout.strip() or done.stderr.strip()

    # --- a pod's Patroni on this machine

    def _member(self, name: str, kubeconfig: Path) -> PatroniMember:
        (port, rest), held = free_ports(2)
        self._held += held
        self.ports[name] = port
        bench = Bench(name=name, folder=self.folder / name, rest_port=rest, postgres_port=port)
        return PatroniMember(bench, self._file(), self._variables(name, bench, kubeconfig), self.programs)

    def _file(self) -> Body:
        """Return the rendered file; only folders that a pod has and this machine has not are others."""
        data = self.one("ConfigMap")["data"]
        secret = self.folder / "credentials"
        if not secret.exists():
            secret.mkdir()
            (secret / "username").write_text(LOGIN["user"])
            (secret / "password").write_text(LOGIN["password"])
            script = data["post-init.sh"].replace("/run/aether/credentials", str(secret))
            (self.folder / "post-init.sh").write_text(script)
        file: Body = yaml.safe_load(data["patroni.yml"].replace("/etc/aether", str(self.folder)))
        file["postgresql"]["parameters"]["unix_socket_directories"] = ""
        if (follows := file["bootstrap"]["dcs"].get("standby_cluster")) is not None:
            follows["port"] = self.source_port
        return file

    def _variables(self, name: str, bench: Bench, kubeconfig: Path) -> dict[str, str]:
        (container,) = self.one("StatefulSet")["spec"]["template"]["spec"]["containers"]
        secrets = {
            each["name"]: f"{each['valueFrom']['secretKeyRef']['key']}-value"
            for each in container["env"]
            if "secretKeyRef" in each.get("valueFrom", {})
        }
        sql, api = (f"127.0.0.1:{port}" for port in (bench.postgres_port, bench.rest_port))
        return {
            "PATH": f"{self.programs.bin_dir}:/usr/bin:/bin",
            "PATRONI_NAME": name,
            "PATRONI_POSTGRESQL_LISTEN": sql,
            "PATRONI_POSTGRESQL_CONNECT_ADDRESS": sql,
            "PATRONI_RESTAPI_LISTEN": api,
            "PATRONI_RESTAPI_CONNECT_ADDRESS": api,
            "PATRONI_POSTGRESQL_DATA_DIR": str(bench.folder / "data"),
            "PATRONI_POSTGRESQL_BIN_DIR": str(self.programs.bin_dir),
            "PATRONI_POSTGRESQL_PGPASS": str(bench.folder / "pgpass"),
            "KUBECONFIG": str(kubeconfig),
            **secrets,
        }

    def _kubeconfig(self) -> Path:
        """Write a kubeconfig with a token of the account that the pods have."""
        account = self.one("StatefulSet")["spec"]["template"]["spec"]["serviceAccountName"]
        path = self.plane.client.path_of("v1", "ServiceAccount", self.where.namespace, account)
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
        token = self.plane.client.request("POST", f"{path}/token", asked).body["status"]["token"]
        settings = json.loads(self.plane.kubeconfig.read_text("utf-8"))
        cluster = settings["contexts"][0]["context"]["cluster"]
        settings["users"] = [{"name": account, "user": {"token": token}}]
        settings["contexts"] = [{"name": CONTEXT, "context": {"cluster": cluster, "user": account}}]
        settings["current-context"] = CONTEXT
        file = self.folder / "kubeconfig"
        file.write_text(json.dumps(settings), "utf-8")
        return file


@pytest.fixture(scope="module")
def cluster(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    component = config(image=PATRONI, members=MEMBERS, failover={**FAST, "synchronous_mode": True})
    where = here("proof")
    cluster = Cluster(control_plane, component, where, tmp_path_factory.mktemp("postgres"))
    with in_namespace(control_plane, where.namespace):
        try:
            cluster.start()
            cluster.wait_for_roles("primary", "replica")
            yield cluster
        finally:
            cluster.stop()


def test_members_elect_a_primary_by_the_rights_of_the_rendered_role(cluster: Cluster) -> None:
    assert sorted(map(str, cluster.roles().values())) == ["primary", "replica"]


def test_services_lead_to_the_primary_and_to_replicas(cluster: Cluster) -> None:
    roles = cluster.roles()
    led = {role: {name for name, each in roles.items() if each == role} for role in ("primary", "replica")}
    wanted = {"accounts": led["primary"], "accounts-repl": led["replica"], "accounts-headless": set(roles)}
    cluster.plane.wait_for(
        lambda: {service: cluster.behind(service) for service in wanted} == wanted, "Services found them", LONG_SECS
    )

    assert len(led["primary"]) == len(led["replica"]) == 1


def test_patroni_keeps_its_state_beside_our_config_map_and_leaves_that_alone(cluster: Cluster) -> None:
    found = {each["metadata"]["name"]: each for each in cluster.plane.client.list("v1", "ConfigMap", "proof-prod-data")}
    ours = cluster.one("ConfigMap")

    assert {"accounts-us-east-1-config", "accounts-us-east-1-leader", "accounts-us-east-1-sync"} <= found.keys()
    assert found["accounts-config"]["data"] == ours["data"]
    assert "config" not in found["accounts-config"]["metadata"]["annotations"]


def test_the_first_user_works_with_the_first_database_on_the_primary(cluster: Cluster) -> None:
    (primary,) = [name for name, role in cluster.roles().items() if role == "primary"]

    assert cluster.sql(primary, "CREATE TABLE t AS SELECT 1 AS x") == "SELECT 1"
    assert cluster.sql(primary, "SELECT rolsuper FROM pg_roles WHERE rolname = 'app'") == "f"


def test_the_dynamic_configuration_is_what_was_rendered(cluster: Cluster) -> None:
    member = next(iter(cluster.members.values()))
    told = member.rest.request("GET", "/config").body
    rendered = yaml.safe_load(cluster.one("ConfigMap")["data"]["patroni.yml"])["bootstrap"]["dcs"]

    assert told == rendered


def test_probes_say_that_members_live_and_are_ready(cluster: Cluster) -> None:
    (container,) = cluster.one("StatefulSet")["spec"]["template"]["spec"]["containers"]
    for member in cluster.members.values():
        for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
            member.rest.request("GET", container[probe]["httpGet"]["path"])  # an ApiError where it says no


def told_roles(member: PatroniMember) -> list[str]:
    return [each["role"] for each in member.rest.request("GET", "/cluster").body["members"]]


def test_a_primary_that_is_gone_is_followed_by_the_services(cluster: Cluster) -> None:
    (primary,) = [name for name, role in cluster.roles().items() if role == "primary"]
    (other,) = [name for name in cluster.members if name != primary]
    # Until the primary has named it synchronous, a replica has no right to lead.
    cluster.plane.wait_for(
        lambda: "sync_standby" in told_roles(cluster.members[primary]), "it is synchronous", LONG_SECS
    )
    cluster.members[primary].stop()
    cluster.plane.wait_for(lambda: cluster.roles()[other] == "primary", "the other leads", LONG_SECS)

    assert cluster.sql(other, "SELECT count(*) FROM t") == "1"
    cluster.plane.wait_for(lambda: other in cluster.behind("accounts"), "the Service leads to it", LONG_SECS)


# --- a second region: another API server would not change what is shown here, so it is another namespace


@pytest.fixture(scope="module")
def regions(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, Cluster]]:
    """Return a cluster and its standby, which finds it at its endpoint."""
    told = {**STANDBY, "standby": {"region": "eu-west-1", "members": 1}}
    said = config(**{"image": PATRONI, "members": 1, "failover": FAST, **told, "expose": {"type": "NodePort"}})
    component = msgspec.structs.replace(said, endpoint="127.0.0.1")  # what a name would lead to
    source = Cluster(control_plane, component, here("proof-us"), tmp_path_factory.mktemp("source"))
    with in_namespace(control_plane, source.where.namespace):
        try:
            source.start()
            source.wait_for_roles("primary")
            port = next(iter(source.ports.values()))
            where = here("proof-eu", "eu-west-1")
            standby = Cluster(control_plane, component, where, tmp_path_factory.mktemp("standby"), source_port=port)
            with in_namespace(control_plane, where.namespace):
                try:
                    standby.start()
                    standby.wait_for_roles("standby_leader")
                    yield source, standby
                finally:
                    standby.stop()
        finally:
            source.stop()


def test_a_standby_follows_by_the_declared_slot_and_no_service_for_writes_finds_it(
    regions: tuple[Cluster, Cluster],
) -> None:
    source, standby = regions
    (primary,), (leader,) = source.members, standby.members
    source.sql(primary, "CREATE TABLE far AS SELECT 7 AS x")
    standby.plane.wait_for(lambda: standby.sql(leader, "SELECT x FROM far") == "7", "the row is there", LONG_SECS)
    standby.plane.wait_for(lambda: standby.behind("accounts-repl") == {leader}, "a Service leads to it", LONG_SECS)
    slots = source.sql(primary, "SELECT slot_name || ' ' || active FROM pg_replication_slots")

    assert slots == "accounts_eu_west_1 true"
    assert standby.behind("accounts-external") == set()
    assert "read-only transaction" in standby.sql(leader, "CREATE TABLE no (x int)")


def test_one_patch_promotes_the_standby_and_its_service_for_writes_finds_it(regions: tuple[Cluster, Cluster]) -> None:
    source, standby = regions
    (primary,), (leader,) = source.members, standby.members
    source.members[primary].kill()
    standby.members[leader].rest.request("PATCH", "/config", {"standby_cluster": None})
    standby.wait_for_roles("primary")
    standby.plane.wait_for(
        lambda: standby.behind("accounts-external") == {leader}, "the Service leads to it", LONG_SECS
    )
    # Its label says whom the lease belongs to, which PostgreSQL hears of a moment later.
    standby.plane.wait_for(
        lambda: standby.sql(leader, "SELECT pg_is_in_recovery()") == "f", "it takes writes", LONG_SECS
    )

    assert standby.sql(leader, "INSERT INTO far VALUES (8)") == "INSERT 0 1"
    assert standby.sql(leader, "SELECT count(*) FROM far") == "2"
