"""Probe settings and their Kubernetes form."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from msgspec import UNSET, UnsetType

from aether_deploy.config.base import Config, Fault, rule
from aether_deploy.config.types import HttpPath, NonEmpty, PortNumber, PositiveCount, PositiveSeconds, Seconds
from aether_deploy.manifest.boxes import YamlConfig

_WANTS = {
    "http": ("path", "port"),
    "https": ("path", "port"),
    "tcp": ("port",),
    "grpc": ("port",),
    "exec": ("command",),
}


class Probe(Config):
    """One question that the kubelet asks a container.

    Attributes:
        path: HTTP path that is asked; goes with the types ``http`` and ``https``.
        port: Port number that is asked; goes with every type but ``exec``.
        initial_delay_secs: Pause before the first question, seconds.
        period_secs: Pause between two questions, seconds.
        failure_threshold: Failures in a row that count.
        timeout_secs: How long one answer may take, seconds.
        type: How to ask: ``http`` (2xx or 3xx is yes), ``https`` (the same, whatever the certificate), ``tcp`` (a
            connection), ``grpc``, ``exec`` (exit 0).
        command: What ``exec`` runs in the container.
    """

    path: HttpPath | None = None
    port: PortNumber | None = None
    initial_delay_secs: Seconds = 0
    period_secs: PositiveSeconds = 10
    failure_threshold: PositiveCount = 3
    timeout_secs: PositiveSeconds = 1
    type: Literal["http", "https", "tcp", "grpc", "exec"] = "http"
    command: Sequence[NonEmpty] = ()

    @rule
    def type_has_what_it_needs(self) -> Iterator[Fault]:
        wanted = _WANTS[self.type]
        for name in ("path", "port", "command"):
            given = getattr(self, name) not in (None, ())
            if given and name not in wanted:
                yield Fault((name,), f"not used by a probe of type {self.type}", "remove it", getattr(self, name))
            if not given and name in wanted:
                yield Fault((), f"lacks '{name}', which a probe of type {self.type} needs", f"add {name}")

    @rule
    def an_answer_comes_before_the_next_question(self) -> Iterator[Fault]:
        if self.timeout_secs > self.period_secs:
            yield Fault(
                ("timeout_secs",),
                f"longer than period_secs, which is {self.period_secs}",
                f"set it to {self.period_secs} or less",
                self.timeout_secs,
                "warning",
            )


class ProbeConfig(YamlConfig):
    """The probes of one workload.

    Attributes:
        liveness: "Is the process alive?" A failure restarts the container.
        readiness: "Is the world loaded?" A failure takes the pod out of its Services. It must not mean "has
            room": a full world that turns unready may be evicted without regard to its budget.
        startup: Holds the other two back until the process has started, on the liveness path, so that a
            long replay of the write-ahead log is not killed; ``none`` switches it off.

    Rule:
        The specification, "Health Probes".
    """

    liveness: Probe
    readiness: Probe
    startup: Probe | None | UnsetType = UNSET

    @rule
    def questions_differ(self) -> Iterator[Fault]:
        if asks(self.liveness) == asks(self.readiness):
            yield Fault(
                ("readiness",),
                "asks the same as liveness, so a pod that is still loading is restarted, or takes players too early",
                "give readiness a path of its own, such as /readyz",
            )

    @rule
    def startup_asks_for_life(self) -> Iterator[Fault]:
        if isinstance(self.startup, Probe) and asks(self.startup) == asks(self.readiness):
            yield Fault(
                ("startup",),
                "asks for readiness, so a world whose log replays longer than its budget is killed again and again",
                "ask what liveness asks",
            )

    def all(self) -> Iterator[tuple[str, Probe]]:
        """Return the probes that are on, by name, in the order of a container's fields."""
        for name in ("liveness", "readiness", "startup"):
            probe = getattr(self, name)
            if isinstance(probe, Probe):
                yield name, probe


def asks(probe: Probe) -> tuple[object, ...]:
    """Return what a probe asks, without when and how often."""
    return (probe.type, probe.path, probe.port, probe.command)


def probe_fragment(probe: Probe, port_names: dict[int, str]) -> dict[str, Any]:
    """Return the Kubernetes form of ``probe``.

    Args:
        probe: The settings.
        port_names: Name of each of the container's TCP ports by number.
    """
    port: str | int = port_names.get(probe.port or 0, probe.port or 0)
    action = _action(probe, port)
    if probe.initial_delay_secs:
        action["initialDelaySeconds"] = probe.initial_delay_secs
    action["periodSeconds"] = probe.period_secs
    action["timeoutSeconds"] = probe.timeout_secs
    action["failureThreshold"] = probe.failure_threshold
    return action


def _action(probe: Probe, port: str | int) -> dict[str, Any]:
    match probe.type:
        case "http":
            return {"httpGet": {"path": probe.path, "port": port}}
        case "https":
            return {"httpGet": {"path": probe.path, "port": port, "scheme": "HTTPS"}}
        case "tcp":
            return {"tcpSocket": {"port": port}}
        case "grpc":
            return {"grpc": {"port": probe.port}}
        case "exec":
            return {"exec": {"command": list(probe.command)}}
