"""What happens to pods, from a watch that misses nothing: who was ready when, and in which order pods changed."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from types import TracebackType
from typing import Any, Self

import msgspec

from aether_deploy.lab.client import ApiError, Client
from aether_deploy.manifest.labels import INSTANCE

_ASK_SECS = 5.0
REVISIONS = ("controller-revision-hash", "pod-template-hash")
_HTTP_GONE = 410


class Pod(msgspec.Struct, frozen=True, kw_only=True):
    """One pod at one moment.

    Attributes:
        name: Its name.
        uid: What tells it from another pod of the same name.
        workload: The workload that it belongs to.
        node: The node that it is bound to.
        ready: Whether it is ready, and not about to end.
        terminating: Whether it was told to end.
        revision: The revision of the template that it was made from.
        waits_for: The scheduler's words, where it finds no node.
        image: Image of its first container.
        phase: ``Pending``, ``Running``, ``Succeeded`` or ``Failed``.
        condition: Whether its condition ``Ready`` is true, even while it ends.
    """

    name: str
    uid: str
    workload: str
    node: str | None
    ready: bool
    terminating: bool
    revision: str | None
    waits_for: str | None
    image: str
    phase: str = "Running"
    condition: bool = False

    @property
    def ordinal(self) -> int | None:
        """Its place in a StatefulSet."""
        last = self.name.rpartition("-")[2]
        return int(last) if last.isdecimal() else None


class Change(msgspec.Struct, frozen=True):
    """A pod appeared, changed or (``gone``) vanished, ``at`` seconds of the monotonic clock."""

    at: float
    pod: Pod
    gone: bool


def pod_of(body: Mapping[str, Any]) -> Pod:
    """Return what matters of a Pod object."""
    metadata, spec, status = body["metadata"], body["spec"], body.get("status", {})
    conditions = {each["type"]: each for each in status.get("conditions", ())}
    scheduled = conditions.get("PodScheduled", {})
    terminating = "deletionTimestamp" in metadata
    labels = metadata.get("labels", {})
    condition = conditions.get("Ready", {}).get("status") == "True"
    return Pod(
        name=metadata["name"],
        uid=metadata["uid"],
        workload=labels.get(INSTANCE, ""),
        node=spec.get("nodeName"),
        ready=condition and not terminating,
        terminating=terminating,
        revision=next((labels[name] for name in REVISIONS if name in labels), None),
        waits_for=scheduled.get("message") if scheduled.get("status") == "False" else None,
        image=spec["containers"][0]["image"],
        phase=status.get("phase", "Pending"),
        condition=condition,
    )


class PodWatch:
    """The pods of one namespace from now on.

    Attributes:
        history: Every change since the watch began, in order.
    """

    def __init__(self, client: Client, namespace: str, check: Callable[[], None]) -> None:
        """Prepare the watch.

        Args:
            client: The API server.
            namespace: Where the pods are.
            check: Raises where the control plane has died; called while one waits.
        """
        self.history: list[Change] = []
        self._client = client
        self._namespace = namespace
        self._check = check
        self._pods: dict[str, Pod] = {}
        self._changed = threading.Condition()
        self._error: Exception | None = None
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="pod-watch", daemon=True)

    def __enter__(self) -> Self:
        version = self._relist()
        self._version = version
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending = True

    # --- now

    def pods(self, workload: str | None = None) -> list[Pod]:
        """Return the pods that there are, sorted by name."""
        with self._changed:
            found = [pod for pod in self._pods.values() if workload in (None, pod.workload)]
        return sorted(found, key=lambda pod: (pod.workload, pod.ordinal or 0, pod.name))

    def ready(self, workload: str) -> int:
        """Return how many pods of a workload are ready."""
        return sum(pod.ready for pod in self.pods(workload))

    def wait(self, until: Callable[[], bool], within_secs: float) -> bool:
        """Wait until ``until`` holds; look whenever a pod changes. Returns whether it came to hold in time.

        Raises:
            EffectError: A program of the control plane ended, or the API server does not answer.
        """
        deadline = time.monotonic() + within_secs
        asked = time.monotonic()
        while True:
            with self._changed:
                seen = len(self.history)
            if until():
                return True
            self._check()
            if self._error is not None:
                raise self._error
            left = deadline - time.monotonic()
            if left <= 0 or time.monotonic() > asked + _ASK_SECS:
                # Pods that do not change are no news from a server that hangs.
                self._client.request("GET", "/livez")
                asked = time.monotonic()
            if left <= 0:
                return False
            with self._changed:
                if len(self.history) == seen:
                    self._changed.wait(min(left, 0.25))

    # --- what was

    def counts(self, workload: str, since: float) -> list[tuple[float, int]]:
        """Return how many pods of a workload were ready, from ``since`` on: moments and counts."""
        pods: dict[str, bool] = {}
        found: list[tuple[float, int]] = []
        for change in self._copy():
            if change.pod.workload != workload:
                continue
            pods[change.pod.uid] = change.pod.ready and not change.gone
            ready = sum(pods.values())
            if change.at <= since:
                found = [(since, ready)]
            elif not found or found[-1][1] != ready:
                found.append((change.at, ready))
        return found

    def fewest_ready(self, workload: str, since: float) -> int:
        """Return the fewest ready pods that a workload had at any moment from ``since`` on."""
        return min((ready for _, ready in self.counts(workload, since)), default=0)

    def secs_below(self, workload: str, least: int, since: float) -> float:
        """Return for how long, from ``since`` to now, fewer than ``least`` pods of a workload were ready."""
        counts = [*self.counts(workload, since), (time.monotonic(), 0)]
        return sum(following - at for (at, ready), (following, _) in pairwise(counts) if ready < least)

    def ended(self, workload: str, since: float) -> list[Pod]:
        """Return the pods of a workload that were told to end from ``since`` on, in that order."""
        found: dict[str, Pod] = {}
        for change in self._copy():
            if change.at > since and change.pod.workload == workload and (change.pod.terminating or change.gone):
                found.setdefault(change.pod.uid, change.pod)
        return list(found.values())

    def _copy(self) -> list[Change]:
        with self._changed:
            return list(self.history)

    # --- the thread

    def _run(self) -> None:
        path = self._client.path_of("v1", "Pod", self._namespace)
        while not self._ending:
            try:
                self._follow_or_relist(path)
            except Exception as error:
                return self._fail(error)
        return None

    def _follow_or_relist(self, path: str) -> None:
        try:
            self._follow(self._client.watch(path, self._version))
        except ApiError as error:
            if error.status != _HTTP_GONE:
                raise
            self._version = self._relist()

    def _follow(self, events: Iterable[Mapping[str, Any]]) -> None:
        for event in events:
            if self._ending:
                return
            body = event["object"]
            if event["type"] == "ERROR":
                raise ApiError("watch pods", int(body.get("code", 500)), dict(body))
            self._version = body["metadata"]["resourceVersion"]
            if event["type"] != "BOOKMARK":
                self._note(pod_of(body), gone=event["type"] == "DELETED")

    def _relist(self) -> str:
        answer = self._client.request("GET", self._client.path_of("v1", "Pod", self._namespace))
        pods = {pod.name: pod for pod in map(pod_of, answer.body["items"])}
        for name, pod in list(self._pods.items()):
            if name not in pods or pods[name].uid != pod.uid:
                self._note(pod, gone=True)
        for pod in pods.values():
            if self._pods.get(pod.name) != pod:
                self._note(pod, gone=False)
        version: str = answer.body["metadata"]["resourceVersion"]
        return version

    def _note(self, pod: Pod, *, gone: bool) -> None:
        with self._changed:
            self.history.append(Change(time.monotonic(), pod, gone))
            if not gone:
                self._pods[pod.name] = pod
            elif pod.name in self._pods and self._pods[pod.name].uid == pod.uid:
                del self._pods[pod.name]
            self._changed.notify_all()

    def _fail(self, error: Exception) -> None:
        if not self._ending:
            self._error = error
        with self._changed:
            self._changed.notify_all()
