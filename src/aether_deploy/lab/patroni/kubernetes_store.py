"""A real API server as the store of a Patroni cluster: ConfigMaps, and a Pod for each member.

Members speak with the token of a ServiceAccount that has one Role and nothing else, so a Role that lacks a verb
shows.
"""

import contextlib
import datetime
import functools
import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aether_deploy.infrastructure.postgres.backends.patroni import RIGHTS
from aether_deploy.lab.client import ApiError, Client
from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.patroni.configuration import HOST, Place, Settings
from aether_deploy.lab.patroni.lease import LeaseWatch
from aether_deploy.lab.patroni.relays import Relays
from aether_deploy.lab.workplace import Workplace
from aether_deploy.problems import EffectError

Rules = Sequence[Mapping[str, Any]]
ACCOUNT = "patroni"
CONTEXT = "lab"
_TOKEN_SECS = 24 * 3600


class KubernetesStore:
    """The API server of a control plane, which a Patroni cluster keeps its lease in, in a namespace of its own."""

    kind = "kubernetes"

    def __init__(
        self,
        plane: ControlPlane,
        namespace: str,
        *,
        section: Settings | None = None,
        access: Sequence[Mapping[str, Any]] | None = None,
        pod_labels: Mapping[str, str] | None = None,
        relayed: bool = False,
    ) -> None:
        """Prepare it.

        Args:
            plane: A control plane that runs, with one node at least.
            namespace: A namespace that does not exist yet.
            section: The section ``kubernetes`` of Patroni's configuration as it was rendered; left out, Patroni's
                defaults and a label of ours.
            access: The ServiceAccount of members, its Role and its RoleBinding as they were rendered; left out, what
                :func:`access_by` gives with :data:`RIGHTS`.
            pod_labels: Labels of a member's Pod as they were rendered; left out, those that ``section`` asks for.
            relayed: Put a relay before each member, so that it can be cut off from the API server.
        """
        self._plane = plane
        self._namespace = namespace
        self._section = dict(section or {"labels": {"application": "patroni"}})
        self._pod_labels = pod_labels
        self._relayed = relayed
        self._relays = Relays()
        self._access = list(access_by(RIGHTS) if access is None else access)
        self._scope = ""
        self._folder = Path()

    def open(self, scope: str, places: Sequence[Place], workplace: Workplace) -> None:
        """Make the namespace, the account with its Role, and a Pod for each member."""
        self._scope = scope
        client = self._plane.client
        client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self._namespace}})
        for body in self._access:
            client.create(self._here(body))
        self._open_door([place.name for place in places], workplace.folder)
        self._plane.wait_for(self._account_is_made, "the service account is made")
        node = self._plane.nodes[0].name
        for place in places:
            client.create(self._pod(place.name, node))

    def section(self, place: Place) -> Mapping[str, Any]:
        """Return the section of Patroni's configuration that names it."""
        ours = {"context": CONTEXT, "namespace": self._namespace, "use_endpoints": False, "pod_ip": HOST}
        return {"kubernetes": {**self._section, **ours}}

    def environment(self, place: Place) -> Mapping[str, str]:
        """Return how Patroni finds the API server."""
        return {"KUBECONFIG": str(self._folder / f"{place.name}.kubeconfig")}

    def freeze(self) -> None:
        """Let the API server hear requests and answer none."""
        self._signal(signal.SIGSTOP)

    def cut(self, member: str) -> None:
        """Let one member reach the API server no more."""
        self._relays.cut(member)

    def mend(self) -> None:
        """Let the API server answer everybody again."""
        self._signal(signal.SIGCONT)
        self._relays.mend()

    def _signal(self, number: signal.Signals) -> None:
        if (pid := self._plane.pids.get("kube-apiserver")) is not None:
            os.kill(pid, number)

    def check(self) -> None:
        """Raise if a program of the control plane ended by itself."""
        self._plane.check()

    def close(self) -> None:
        """Delete the namespace with all that is in it."""
        if not self._scope:
            return
        self._scope = ""
        self.mend()
        self._relays.close()
        with contextlib.suppress(EffectError):  # it ends with its control plane at the latest
            self._plane.client.delete("v1", "Namespace", self._namespace)

    def watch(self) -> contextlib.AbstractContextManager[LeaseWatch]:
        """Return what asks again and again for the ConfigMap of the leader, which says when it was renewed."""
        client = self._plane.client
        path = client.path_of("v1", "ConfigMap", self._namespace, f"{self._scope}-leader")
        return LeaseWatch(lambda watch: _follow(client, path, watch))

    def labels_of(self, member: str) -> dict[str, str]:
        """Return the labels of a member's Pod: Services find it by them, and Patroni keeps its role there."""
        return dict(self._plane.client.get("v1", "Pod", member, self._namespace)["metadata"]["labels"])

    # --- what members need there

    @property
    def _account(self) -> str:
        return str(next(each["metadata"]["name"] for each in self._access if each["kind"] == "ServiceAccount"))

    def _here(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return an object in the namespace of this store."""
        moved = {**body, "metadata": {**body["metadata"], "namespace": self._namespace}}
        if "subjects" in body:
            moved["subjects"] = [{**each, "namespace": self._namespace} for each in body["subjects"]]
        return moved

    def _open_door(self, members: Sequence[str], folder: Path) -> None:
        """Write how each member reaches the API server: as the account, and through its relay if it has one."""
        self._folder = folder
        admin = json.loads(self._plane.kubeconfig.read_text("utf-8"))
        server = str(admin["clusters"][0]["cluster"]["server"])
        port = int(server.rpartition(":")[2])
        if self._relayed:
            self._relays.open(members, port)
        for member in members:
            own = self._relays.port_of(member) if self._relayed else port
            config = self._kubeconfig(admin, f"https://{HOST}:{own}")
            (folder / f"{member}.kubeconfig").write_text(json.dumps(config), "utf-8")

    def _kubeconfig(self, admin: Mapping[str, Any], server: str) -> dict[str, Any]:
        """Return the administrator's kubeconfig with the token of the account in the place of the keys."""
        (named,) = admin["clusters"]
        return {
            **admin,
            "clusters": [{"name": CONTEXT, "cluster": {**named["cluster"], "server": server}}],
            "users": [{"name": self._account, "user": {"token": self._token}}],
            "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": self._account}}],
            "current-context": CONTEXT,
        }

    @functools.cached_property
    def _token(self) -> str:
        path = self._plane.client.path_of("v1", "ServiceAccount", self._namespace, self._account)
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
        asked = {**request, "spec": {"expirationSeconds": _TOKEN_SECS}}
        token: str = self._plane.client.request("POST", f"{path}/token", asked).body["status"]["token"]
        return token

    def _account_is_made(self) -> bool:
        return self._plane.client.find("v1", "ServiceAccount", "default", self._namespace) is not None

    def _pod(self, name: str, node: str) -> dict[str, Any]:
        asked = {**self._section["labels"], self._section.get("scope_label", "cluster-name"): self._scope}
        labels = dict(self._pod_labels or asked)
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": self._namespace, "labels": labels},
            "spec": {
                "nodeName": node,
                "containers": [{"name": "postgres", "image": "registry.example/postgres:lab"}],
                # An API server that was frozen takes its nodes for lost, and would evict what they bear.
                "tolerations": [{"operator": "Exists"}],
            },
        }


def access_by(rules: Rules) -> list[dict[str, Any]]:
    """Return a ServiceAccount, a Role with these rules, and what binds them; in no namespace yet."""
    rbac = "rbac.authorization.k8s.io"
    metadata = {"name": ACCOUNT}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": metadata, "rules": list(rules)},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": ACCOUNT},
            "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT}],
        },
    ]


def _follow(client: Client, path: str, watch: LeaseWatch) -> None:
    version = ""
    while not watch.over:
        try:
            body = client.request("GET", path).body
        except ApiError as error:
            if error.status != 404:  # there is no lease before the first member is made
                raise
        else:
            if (now := body["metadata"]["resourceVersion"]) != version:
                version = now
                _tell(body, watch)
        watch.pause()


def _tell(body: Mapping[str, Any], watch: LeaseWatch) -> None:
    noted = body["metadata"].get("annotations") or {}
    holder, renewed = noted.get("leader") or "", noted.get("renewTime")
    watch.tell(holder, renewed_at=None if not holder or renewed is None else _moment(renewed))


def _moment(renewed: str) -> float:
    """Return when something was, on the monotonic clock; ``renewed`` is of this machine's other clock."""
    return time.monotonic() - (time.time() - datetime.datetime.fromisoformat(renewed).timestamp())
