"""One region for real: a control plane in its zones, Flux that follows the repository, and players that are counted."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from aether_deploy import RegionConfig
from aether_deploy.gitops.pieces import RenderedCluster
from aether_deploy.lab.applying import MANAGER
from aether_deploy.lab.client import ApiError, Body
from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.engines.engine import Published, State
from aether_deploy.lab.engines.flux import FluxEngine
from aether_deploy.lab.flags import Pace
from aether_deploy.lab.metrics_chain import MetricsChain
from aether_deploy.lab.nodes import READY_AFTER, fake_nodes
from aether_deploy.lab.programs import NEWEST, MissingProgramsError, find_metrics_programs
from aether_deploy.lab.watching import Pod, PodWatch, pod_of
from aether_deploy.manifest.comparison import differences
from aether_deploy.manifest.labels import INSTANCE
from aether_deploy.problems import EffectError
from tests.players import PLAYERS, Placing, Players
from tests.real import miss
from tests.scaling_cases import chain_beside, why

PACE = Pace(hpa_sync_secs=1, node_grace_secs=16, toleration_secs=300)
"""Nobody evicts pods meanwhile: of a region that falls silent, the first zone is noticed before the last."""

SECS = 180.0
NEVER = "24h"
HELD = "worlds-replay"
_ADMISSION = "admissionregistration.k8s.io/v1"
_APPS = "apps/v1"
_NOT_YET = (404, 503)


class LiveRegion:
    """A region that runs, and one world in it.

    Attributes:
        code: Code of the region.
        plane: Its cluster.
        engine: Its Flux.
        watch: The pods of its worlds.
        chain: The way of the players to the autoscaler, once it is there.
        players: Who plays there, likewise.
    """

    chain: MetricsChain
    players: Players

    def __init__(self, plane: ControlPlane, engine: FluxEngine, rendered: RenderedCluster, world: str) -> None:
        self.code = rendered.cluster.site.region.code
        self.plane = plane
        self.engine = engine
        self.watch = PodWatch(plane.client, rendered.cluster.namespace, engine.check)
        self._cluster = rendered.cluster
        self._world = world
        self._zones = {node.name: node.zone for node in plane.nodes}

    @property
    def namespace(self) -> str:
        return self._cluster.namespace

    def wait(self, what: str, holds: Callable[[], object]) -> None:
        """Wait until something holds; a refusal of an API that is not there yet means not yet."""

        def looked() -> bool:
            self.engine.check()
            try:
                return bool(holds())
            except ApiError as error:
                if error.status in _NOT_YET:
                    return False
                raise

        self.plane.wait_for(looked, f"{self.code}: {what}", SECS)

    # --- the engine

    def follow(self, url: str, path: str) -> None:
        """Let Flux follow the main branch of a repository."""
        self.engine.bootstrap(Published(url=url, branch="main", path=path, objects=()))

    def sync(self, commit: str) -> None:
        """Have Flux look, and wait until it has applied a commit as a whole; what it fails at first it tries again."""
        self.engine.sync_now()
        try:
            self.wait(f"{commit[:8]} is applied", lambda: not self._behind(commit))
        except EffectError as error:
            raise EffectError("\n  ".join([str(error), *map(str, self._behind(commit))])) from error

    def _behind(self, commit: str) -> list[State]:
        """Return the pieces that are not ready at a commit."""
        return [each for each in self.engine.status() if each.phase != "ready" or each.applied != commit]

    def drift(self) -> list[str]:
        """Return what is rendered and not so in the cluster, a line each."""
        found = []
        for each in self._cluster.manifests:
            live = self.plane.client.find(each.api_version, each.kind, each.name, each.namespace)
            title = f"{each.kind} {each.name}"
            found += [f"{title}: is not there"] if live is None else []
            found += [f"{title}: {difference}" for difference in differences(each.body, live or each.body)]
        return found

    @property
    def objects(self) -> int:
        """How many objects are rendered for the region."""
        return len(self._cluster.manifests)

    # --- the worlds

    @property
    def replicas(self) -> int:
        """How many worlds there are to be."""
        found: int = self.plane.client.get(_APPS, "StatefulSet", self._world, self.namespace)["spec"]["replicas"]
        return found

    def endpoints(self) -> dict[str, bool]:
        """Return the pods that the Service knows, and whether it leads players to each."""
        slices = self.plane.client.list(
            "discovery.k8s.io/v1", "EndpointSlice", self.namespace, labels=f"kubernetes.io/service-name={self._world}"
        )
        found = [each for one in slices for each in one.get("endpoints") or ()]
        return {each["targetRef"]["name"]: each["conditions"]["ready"] for each in found}

    def open_worlds(self) -> set[str]:
        """Return the pods that the Service leads players to."""
        return {name for name, is_open in self.endpoints().items() if is_open}

    def names(self, count: int) -> set[str]:
        """Return the names of the first worlds."""
        return {f"{self._world}-{ordinal}" for ordinal in range(count)}

    def spread(self) -> tuple[int, ...]:
        """Return how many worlds each zone has, the fullest first."""
        counts = Counter(dict.fromkeys(self.plane.zones, 0))
        counts.update(self._zones[pod.node] for pod in self._pods() if pod.node is not None)
        return tuple(sorted(counts.values(), reverse=True))

    def identities(self) -> dict[str, tuple[str, str]]:
        """Return, of each world, the uid of its pod and the volume that holds its log."""
        claims = self.plane.client.list("v1", "PersistentVolumeClaim", self.namespace)
        volumes = {each["metadata"]["name"].partition("-")[2]: each["spec"]["volumeName"] for each in claims}
        return {pod.name: (pod.uid, volumes[pod.name]) for pod in self._pods()}

    def runs_unready(self) -> set[str]:
        """Return the worlds that run and are not ready."""
        return {pod.name for pod in self._pods() if pod.phase == "Running" and not pod.condition}

    def _pods(self) -> list[Pod]:
        """Return the worlds as the API server has them now; a watch is told a moment later."""
        found = self.plane.client.list("v1", "Pod", self.namespace, labels=f"{INSTANCE}={self._world}")
        return [pod_of(body) for body in found]

    # --- players and the autoscaler

    @contextlib.contextmanager
    def counted(self, most: int) -> Iterator[None]:
        """Count players: exporters, Prometheus, and the adapter by the rules that the engine brought.

        Args:
            most: Worlds that there may be.
        """
        name = f"{self.namespace}-adapter-rules"
        rules = self.plane.client.get("v1", "ConfigMap", name, "monitoring")["data"]["config.yaml"]
        with (
            chain_beside(self.plane, adapter=rules) as self.chain,
            Players(self.chain.exporters, self.watch, self.namespace) as self.players,
        ):
            self.chain.exporters.expect(self.namespace, sorted(self.names(most)))
            yield

    def play(self, placing: Placing) -> Mapping[str, float]:
        """Place players, and wait until the autoscaler can read them; return how many each world has."""
        placed = self.players.place(self._world, placing).said
        wanted = {pod: f"{count:g}" for pod, count in placed.items()}
        self.wait(
            "players are counted", lambda: wanted.items() <= self.chain.pods_metric(self.namespace, PLAYERS).items()
        )
        return placed

    def reads_players(self) -> bool:
        """Return whether the autoscaler says that it reads players."""
        return why(self.plane, self.namespace, self._world) == ("True", "ValidMetricFound")

    def rescaled(self, count: int) -> str:
        """Wait until the autoscaler has set a count, and return that with its own words on why."""
        self.wait(f"{count} worlds", lambda: self._reasons(count))
        return f'the autoscaler sets {count}, "{self._reasons(count)[-1]}"'

    def _reasons(self, count: int) -> list[str]:
        said = [each["message"] for each in self.plane.client.list("v1", "Event", self.namespace)]
        start = f"New size: {count}; reason: "
        return [message.removeprefix(start) for message in said if message.startswith(start)]

    # --- what befalls it

    def hold_new_worlds(self) -> None:
        """Let worlds that start from now on run and stay unready, as those do that replay a long log."""
        for body in _held():
            self.plane.client.apply(body, manager=MANAGER, force=True)
        path = self.plane.client.path_of("v1", "Pod", "monitoring")

        def is_held() -> bool:
            answer = self.plane.client.request("POST", path, _POD, query={"dryRun": "All"}).body
            return READY_AFTER in answer["metadata"].get("annotations", {})

        self.wait("new worlds are held", is_held)

    def end_replay(self) -> None:
        """Let the worlds that are held become ready."""
        for pod in sorted(self.runs_unready()):
            path = self.plane.client.path_of("v1", "Pod", self.namespace, pod)
            self.plane.client.patch(path, {"metadata": {"annotations": {READY_AFTER: None}}})

    def fall_silent(self) -> None:
        """Cut all zones off: no node is heard of any more, and nobody answers Prometheus."""
        for zone in self.plane.zones:
            self.plane.cut_zone(zone)
        self.players.place(self._world, lambda pods: {})

    def answer_again(self) -> None:
        """Undo :meth:`fall_silent`."""
        for zone in self.plane.zones:
            self.plane.join_zone(zone)
        self.wait("its nodes are back", self._nodes_are_ready)

    def _nodes_are_ready(self) -> bool:
        nodes = self.plane.client.list("v1", "Node")
        conditions = [each for node in nodes for each in node["status"]["conditions"]]
        return [each["status"] for each in conditions if each["type"] == "Ready"] == ["True"] * len(self.plane.nodes)


_POD: Body = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "asked-for", "namespace": "monitoring"},
    "spec": {"containers": [{"name": "any", "image": "any:v1"}]},
}


def _held() -> list[Body]:
    """Return the policy by which the API server marks pods that are made: the lab's kubelets heed the mark."""
    mark = f'Object{{metadata: Object.metadata{{annotations: {{"{READY_AFTER}": "{NEVER}"}}}}}}'
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    spec = {
        "matchConstraints": {"resourceRules": [rule]},
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": mark}}],
    }
    policy, binding = "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"
    return [
        {"apiVersion": _ADMISSION, "kind": policy, "metadata": {"name": HELD}, "spec": spec},
        {"apiVersion": _ADMISSION, "kind": binding, "metadata": {"name": HELD}, "spec": {"policyName": HELD}},
    ]


@contextlib.contextmanager
def live_region(region: RegionConfig, rendered: RenderedCluster, world: str) -> Iterator[LiveRegion]:
    """Boot a region, or end the calling test where programs are missing."""
    try:
        nodes = fake_nodes(region.zone_names, region=region.code, per_zone=2)
        plane = ControlPlane(NEWEST, nodes=nodes, pace=PACE)
        engine = FluxEngine(plane)
        find_metrics_programs()
    except MissingProgramsError as error:
        miss(str(error))
    with plane, engine:
        live = LiveRegion(plane, engine, rendered, world)
        plane.client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "monitoring"}})
        with live.watch:
            yield live
