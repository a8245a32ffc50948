"""Argo CD: the controllers of Applications and of ApplicationSets, the server that renders, and a Redis."""

import base64
import json
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aether_deploy.lab.crds import ARGOCD_KINDS
from aether_deploy.lab.engines.engine import Body, Engine, Phase, Published, State
from aether_deploy.lab.programs import (
    ARGOCD,
    ARGOCD_PROGRAMS,
    INSTALL_REDIS,
    KUSTOMIZE,
    find_redis,
)

NAMESPACE = "argocd"
_API = "argoproj.io/v1alpha1"
_APPLICATION = (_API, "Application")
_SET = (_API, "ApplicationSet")
_REFRESH = "argocd.argoproj.io/refresh"
_REFRESH_SET = "argocd.argoproj.io/application-set-refresh"
_SKIP = "argocd.argoproj.io/skip-reconcile"
_CONTROLLER, _SETS, _RENDERER, _REDIS = (
    "argocd-application-controller",
    "argocd-applicationset-controller",
    "argocd-repo-server",
    "valkey-server",
)
_COMMIT = re.compile("[0-9a-f]{40,64}")
_LOOK_SECS = 60.0
_RESYNC_SECS = 30


class ArgoCdEngine(Engine):
    """Argo CD in one control plane; the same one also plays the clusters that it writes to."""

    title = "Argo CD"
    group = "argo-cd"
    needs = ARGOCD_PROGRAMS
    kinds = ARGOCD_KINDS
    manager = "argocd-controller"

    def _besides(self) -> dict[str, Path | None]:
        return {_REDIS: find_redis()}

    def _fixes(self, missing: Sequence[str]) -> list[str]:
        return super()._fixes(missing) + ([f"`{INSTALL_REDIS}` brings a Redis"] if _REDIS in missing else [])

    # --- boot

    def _boot_programs(self) -> None:
        self._make_namespace(NAMESPACE)
        for body in _settings():
            self._apply(body)
        self._write_kubeconfig()
        redis, renderer, renderer_metrics, controller, sets, sets_health, webhooks = self._ports(7)
        where = {"redis": f"127.0.0.1:{redis}", "renderer": f"127.0.0.1:{renderer}"}
        self._start_redis(redis)
        self._start_argocd(
            _RENDERER,
            "--address=127.0.0.1",
            f"--port={renderer}",
            "--metrics-address=127.0.0.1",
            f"--metrics-port={renderer_metrics}",
            f"--redis={where['redis']}",
            "--disable-tls",
        )
        self._start_argocd(
            _CONTROLLER,
            f"--namespace={NAMESPACE}",
            f"--kubeconfig={self._kubeconfig}",
            f"--metrics-port={controller}",  # the only port that is not on the loopback address: nothing can say so
            f"--redis={where['redis']}",
            f"--repo-server={where['renderer']}",
            "--repo-server-plaintext",
            f"--app-resync={_RESYNC_SECS}",
            "--app-resync-jitter=0",
        )
        self._start_argocd(
            _SETS,
            f"--namespace={NAMESPACE}",
            f"--kubeconfig={self._kubeconfig}",
            f"--metrics-addr=127.0.0.1:{sets}",
            f"--probe-addr=127.0.0.1:{sets_health}",
            f"--webhook-addr=127.0.0.1:{webhooks}",
            f"--argocd-repo-server={where['renderer']}",
            "--repo-server-plaintext",
        )
        self._answers(_RENDERER, renderer_metrics, "/healthz?full=true")
        self._answers(_CONTROLLER, controller, "/healthz")
        self._answers(_SETS, sets, "/metrics")  # it registers nothing that tells its health

    def _start_redis(self, port: int) -> None:
        flags = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]
        flags += ["--set-proc-title", "no"]  # it would write over the environment that tells whose it is
        self._start(_REDIS, [str(self._programs[_REDIS]), *flags], {})

    def _start_argocd(self, name: str, *flags: str) -> None:
        """Start the one program of Argo CD as what it is called now."""
        tools = self._programs[KUSTOMIZE.name].parent
        environment = {
            "ARGOCD_BINARY_NAME": name,
            "ARGOCD_FAKE_IN_CLUSTER": "true",
            "ARGOCD_GPG_ENABLED": "false",
            "ARGOCD_ASK_PASS_SOCK": str(self._folder / "ask-pass.sock"),
            "KUBECONFIG": str(self._kubeconfig),
            "PATH": f"{tools}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "TMPDIR": str(self._folder),
        }
        self._start(name, [str(self._programs[ARGOCD.name]), *flags], environment)

    @property
    def _kubeconfig(self) -> Path:
        return self._folder / "kubeconfig"

    def _write_kubeconfig(self) -> None:
        """Write how the controllers reach the control plane: they work in the namespace that it names."""
        config = json.loads(self._plane.kubeconfig.read_text("utf-8"))
        for each in config["contexts"]:
            each["context"]["namespace"] = NAMESPACE
        self._kubeconfig.write_text(json.dumps(config), "utf-8")

    # --- what one may ask of it

    def register(self, *clusters: str) -> None:
        """Make the control plane known as clusters of these names, two at most, as ``argocd cluster add`` does it."""
        config = json.loads(self._plane.kubeconfig.read_text("utf-8"))
        server, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        port = server["server"].rpartition(":")[2]
        tls = {
            "caData": _encoded(server["certificate-authority"]),
            "certData": _encoded(user["client-certificate"]),
            "keyData": _encoded(user["client-key"]),
        }
        for place, name in enumerate(clusters):
            # Argo CD tells clusters apart by address, and the certificate has these two.
            address = f"https://{('127.0.0.1', 'localhost')[place]}:{port}"
            content = {"name": name, "server": address, "config": json.dumps({"tlsClientConfig": tls})}
            self._apply(_secret(f"cluster-{place}", {"argocd.argoproj.io/secret-type": "cluster"}, content))

    def bootstrap(self, published: Published) -> None:
        """Do what ``kubectl apply --server-side -k`` does with the folder of Argo CD's objects."""
        for body in sorted(published.objects, key=lambda body: body["kind"], reverse=True):  # AppProjects first
            self._apply(body)

    def sync_now(self) -> None:
        """Do what the webhook of a Git server does, for everything."""
        for body in self._sets():
            self._annotate(body, {_REFRESH_SET: "true"})
        self.wait(lambda: not any(_asked(body, _REFRESH_SET) for body in self._sets()), "Argo CD looks", _LOOK_SECS)
        for body in self._applications():
            self._annotate(body, {_REFRESH: "normal"})

    def status(self) -> list[State]:
        found = [state for body in self._sets() if (state := _failed_set(body)) is not None]
        return [*found, *map(_state, self._applications())]

    def _applications(self) -> list[Body]:
        return self._client.list(*_APPLICATION)

    def _sets(self) -> list[Body]:
        return self._client.list(*_SET)


def _settings() -> list[Body]:
    """Return what Argo CD's own manifests have in its namespace before a controller starts."""
    secret = {"server.secretkey": secrets.token_urlsafe(32)}
    project = {
        "sourceRepos": ["*"],
        "destinations": [{"namespace": "*", "server": "*"}],
        "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
    }
    return [
        _part("ConfigMap", "argocd-cm", data={"timeout.reconciliation": f"{_RESYNC_SECS}s"}),
        _part("ConfigMap", "argocd-rbac-cm", data={}),
        _secret("argocd-secret", {}, secret),
        {**_part("AppProject", "default", spec=project), "apiVersion": _API},
    ]


def _part(kind: str, name: str, labels: Mapping[str, str] | None = None, **rest: Any) -> Body:
    labels = {"app.kubernetes.io/part-of": "argocd", **(labels or {})}
    return {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        **rest,
    }


def _secret(name: str, labels: Mapping[str, str], content: Mapping[str, str]) -> Body:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in content.items()}
    return _part("Secret", name, labels, data=encoded)


def _encoded(path: str) -> str:
    return base64.b64encode(Path(path).read_bytes()).decode()


def _asked(body: Body, annotation: str) -> bool:
    return annotation in body["metadata"].get("annotations", {})


def _failed_set(body: Body) -> State | None:
    conditions = body.get("status", {}).get("conditions", ())
    error = next((each for each in conditions if each["type"] == "ErrorOccurred" and each["status"] == "True"), None)
    if error is None:
        return None
    name = f"{body['kind']} {body['metadata']['name']}"
    return State(name=name, attempted="", applied="", phase="failed", message=error["message"])


def _state(body: Body) -> State:
    status = body.get("status", {})
    operation = status.get("operationState", {})
    phase, message = _phase(body)
    revision = status.get("sync", {}).get("revision", "")
    return State(
        name=f"{body['kind']} {body['metadata']['name']}",
        attempted=revision if _COMMIT.fullmatch(revision) else "",  # a branch, where it could not be read
        applied=_synced(operation) if operation.get("phase") == "Succeeded" else "",
        phase=phase,
        message=message,
    )


def _synced(operation: Mapping[str, Any]) -> str:
    """Return the commit that an operation applies."""
    revision: str = operation.get("syncResult", {}).get("revision", "")
    return revision or operation.get("operation", {}).get("sync", {}).get("revision", "")


def _phase(body: Body) -> tuple[Phase, str]:
    status = body.get("status", {})
    sync, operation = status.get("sync", {}), status.get("operationState", {})
    if _asked(body, _SKIP):
        return "suspended", "its controller skips it"
    if _asked(body, _REFRESH):
        return "working", "asked to look"
    errors = [each for each in status.get("conditions", ()) if each["type"].endswith("Error")]
    if errors:
        return "failed", errors[0]["message"]
    message = operation.get("message", "")
    here = _synced(operation) == sync.get("revision")
    if "operation" in body or operation.get("phase") == "Running":
        retries = operation.get("retryCount", 0) and operation.get("finishedAt")
        return ("failed" if retries and here else "working"), message
    if operation.get("phase") in ("Failed", "Error") and here:
        return "failed", message
    if sync.get("status") == "Synced":
        return "ready", status.get("health", {}).get("status", "")
    return "working", sync.get("status", "")
