"""Probes and the end of a pod, as the kubelet has them: its rules, on a clock that tests may turn faster.

Rule:
    Kubernetes 1.37, ``pkg/kubelet/prober/worker.go`` (doProbe), ``pkg/probe/http/http.go`` (DoHTTPProbe),
    ``pkg/kubelet/kuberuntime/kuberuntime_container.go`` (killContainer).
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

ORDER = ("startup", "liveness", "readiness")
MINIMUM_GRACE_SECS = 2

Ask = Callable[[str, float], int | None]
"""Return the status of a GET of a path within some seconds; None where there is no answer."""


class Asked(NamedTuple):
    """One question and its answer."""

    probe: str
    at_secs: float
    success: bool


class _Worker:
    """What the kubelet keeps for one probe of one container."""

    def __init__(self, name: str, spec: Mapping[str, Any]) -> None:
        self.name = name
        self.period_secs = float(spec["periodSeconds"])
        self.delay_secs = float(spec.get("initialDelaySeconds", 0))
        self.timeout_secs = float(spec["timeoutSeconds"])
        self.thresholds = {True: int(spec.get("successThreshold", 1)), False: int(spec["failureThreshold"])}
        self.path = str(spec["httpGet"]["path"])
        self.due_secs = 0.0
        self.last: bool | None = None
        self.run = 0


class Kubelet:
    """The kubelet of one container, from its start.

    Attributes:
        started: The startup probe has succeeded, or there is none.
        ready: What Services go by.
        killed_by: The probe for which the container is restarted; None while it lives.
        asked: Every question, in order.
    """

    def __init__(self, container: Mapping[str, Any], ask: Ask) -> None:
        """Watch a container.

        Args:
            container: As it is rendered.
            ask: How it is asked.
        """
        self._workers = [_Worker(name, container[f"{name}Probe"]) for name in ORDER if f"{name}Probe" in container]
        self._ask = ask
        self.started = "startupProbe" not in container
        self.ready = "readinessProbe" not in container
        self.killed_by: Literal["startup", "liveness"] | None = None
        self.asked: list[Asked] = []

    def step(self, at_secs: float) -> None:
        """Do what is due.

        Args:
            at_secs: Time since the container started, in seconds of its probes.
        """
        for worker in self._workers:
            if self.killed_by is None and at_secs >= worker.due_secs:
                worker.due_secs = max(worker.due_secs + worker.period_secs, at_secs)  # a ticker drops what is late
                self._probe(worker, at_secs)

    def count(self, probe: str, *, success: bool) -> int:
        """Return how often a probe got such an answer."""
        return sum(each.probe == probe and each.success == success for each in self.asked)

    def _probe(self, worker: _Worker, at_secs: float) -> None:
        if int(at_secs) < worker.delay_secs or self.started == (worker.name == "startup"):
            return
        status = self._ask(worker.path, worker.timeout_secs)
        success = status is not None and 200 <= status < 400
        self.asked.append(Asked(worker.name, at_secs, success))
        worker.run = worker.run + 1 if worker.last == success else 1
        worker.last = success
        if worker.run < worker.thresholds[success]:
            return
        match worker.name, success:
            case "readiness", _:
                self.ready = success
            case "startup", True:
                self.started = True
            case ("startup" | "liveness") as name, False:
                self.killed_by = name


class Ended(NamedTuple):
    """How a container ended.

    Attributes:
        code: Its exit code; None if it had to be killed.
        hook_secs: How long preStop took.
        total_secs: How long it took from the decision to stop, preStop included.
    """

    code: int | None
    hook_secs: float
    total_secs: float


def stop(
    grace_secs: float,
    *,
    pre_stop: Callable[[float], object],
    terminate: Callable[[float], int | None],
    now: Callable[[], float],
) -> Ended:
    """End a container: preStop first, SIGTERM after it, and what is left of the grace period until SIGKILL.

    Args:
        grace_secs: terminationGracePeriodSeconds.
        pre_stop: Runs the hook, at most so many seconds.
        terminate: Sends SIGTERM and waits at most so many seconds for the exit code; None if there is none.
        now: The clock, seconds.
    """
    begun = now()
    pre_stop(grace_secs)
    hook_secs = now() - begun
    left = max(grace_secs - int(hook_secs), MINIMUM_GRACE_SECS)
    return Ended(terminate(left), hook_secs, now() - begun)
