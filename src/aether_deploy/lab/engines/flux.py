"""Flux: source-controller reads the repository, kustomize-controller applies it to the cluster that it runs in."""

from collections.abc import Mapping
from typing import Any

from aether_deploy.lab.crds import FLUX_KINDS
from aether_deploy.lab.engines.engine import Body, Engine, Phase, Published, State
from aether_deploy.lab.programs import FLUX_PROGRAMS, KUSTOMIZE_CONTROLLER, SOURCE_CONTROLLER

NAMESPACE = "flux-system"
_SOURCE = ("source.toolkit.fluxcd.io/v1", "GitRepository")
_KUSTOMIZATION = ("kustomize.toolkit.fluxcd.io/v1", "Kustomization")
_REQUESTED = "reconcile.fluxcd.io/requestedAt"
_LOOK_SECS = 30.0


class FluxEngine(Engine):
    """Flux beside a control plane, set up as ``flux bootstrap git --path`` does it."""

    title = "Flux"
    group = "flux"
    needs = FLUX_PROGRAMS
    kinds = FLUX_KINDS
    manager = "kustomize-controller"

    def _boot_programs(self) -> None:
        self._make_namespace(NAMESPACE)
        storage, *ports = self._ports(5)
        stored = f"127.0.0.1:{storage}"
        source, kustomize = SOURCE_CONTROLLER.name, KUSTOMIZE_CONTROLLER.name
        flags = [f"--storage-path={self._folder}", f"--storage-addr={stored}", f"--storage-adv-addr={stored}"]
        self._start_controller(source, ports[0], ports[1], *flags)
        self._start_controller(kustomize, ports[2], ports[3], "--requeue-dependency=1s")
        self._answers(source, ports[0], "/readyz")
        self._answers(kustomize, ports[2], "/readyz")

    def _start_controller(self, name: str, health: int, metrics: int, *flags: str) -> None:
        command = [
            str(self._programs[name]),
            "--events-addr=",
            f"--health-addr=127.0.0.1:{health}",
            f"--metrics-addr=127.0.0.1:{metrics}",
            *flags,
        ]
        environment = {
            "KUBECONFIG": str(self._plane.kubeconfig),
            "RUNTIME_NAMESPACE": NAMESPACE,
            "TMPDIR": str(self._folder),
        }
        self._start(name, command, environment)

    # --- what one may ask of it

    def bootstrap(self, published: Published) -> None:
        """Make the objects that ``flux bootstrap git --path`` makes; they fetch ours from the repository."""
        repository = {"interval": "1m0s", "ref": {"branch": published.branch}, "url": published.url}
        kustomization = {
            "interval": "10m0s",
            "path": f"./{published.path}",
            "prune": True,
            "sourceRef": {"kind": _SOURCE[1], "name": NAMESPACE},
        }
        for kind, spec in ((_SOURCE, repository), (_KUSTOMIZATION, kustomization)):
            metadata = {"name": NAMESPACE, "namespace": NAMESPACE}
            self._apply({"apiVersion": kind[0], "kind": kind[1], "metadata": metadata, "spec": spec})

    def sync_now(self) -> None:
        """Do what ``flux reconcile kustomization --with-source`` does, for everything."""
        asked = f"lab-{next(self._requests)}"
        for body in self._sources():
            self._annotate(body, {_REQUESTED: asked})
        self.wait(lambda: all(map(_is_handled, self._sources())), "Flux looks at the repository", _LOOK_SECS)
        for body in self._kustomizations():
            self._annotate(body, {_REQUESTED: asked})

    def status(self) -> list[State]:
        sources = self._sources()
        fetched = {body["metadata"]["name"]: _fetched(body) for body in sources}
        return [*map(_source_state, sources), *(_state(body, fetched) for body in self._kustomizations())]

    def _sources(self) -> list[Body]:
        return self._client.list(*_SOURCE)

    def _kustomizations(self) -> list[Body]:
        return self._client.list(*_KUSTOMIZATION)


def _is_handled(body: Body) -> bool:
    asked = body["metadata"].get("annotations", {}).get(_REQUESTED)
    return asked in (None, body.get("status", {}).get("lastHandledReconcileAt"))


def _commit(revision: str | None) -> str:
    """Return the commit of a revision, such as ``main@sha1:5ca1ab1e``."""
    return (revision or "").rpartition(":")[2]


def _ready(body: Body) -> dict[str, Any]:
    conditions = body.get("status", {}).get("conditions", ())
    return next((each for each in conditions if each["type"] == "Ready"), {})


def _phase(body: Body) -> Phase:
    ready = _ready(body)
    if body["spec"].get("suspend"):
        return "suspended"
    if ready.get("observedGeneration") != body["metadata"]["generation"] or not _is_handled(body):
        return "working"
    if ready.get("reason") == "DependencyNotReady":
        return "waiting"
    if ready.get("status") == "True":
        return "ready"
    return "failed" if ready.get("status") == "False" else "working"


def _fetched(body: Body) -> str:
    return _commit(body.get("status", {}).get("artifact", {}).get("revision"))


def _source_state(body: Body) -> State:
    return _made(body, _fetched(body), _fetched(body))


def _state(body: Body, fetched: Mapping[str, str]) -> State:
    status = body.get("status", {})
    attempted = status.get("lastAttemptedRevision")
    if _phase(body) == "failed" and _REQUESTED in body["metadata"].get("annotations", {}):
        # Where it finds nothing to apply it notes no attempt; it was asked after this was fetched.
        attempted = fetched.get(body["spec"]["sourceRef"]["name"])
    return _made(body, _commit(attempted), _commit(status.get("lastAppliedRevision")))


def _made(body: Body, attempted: str, applied: str) -> State:
    name = f"{body['kind']} {body['metadata']['name']}"
    phase, message = _phase(body), str(_ready(body).get("message", ""))
    if phase == "failed" and not attempted:
        phase = "working"  # what it applies is not fetched yet
    return State(name=name, attempted=attempted, applied=applied, phase=phase, message=message)
