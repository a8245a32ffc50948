"""The real way of a number of players to an autoscaler, beside a control plane: exporters, Prometheus, its adapter.

Everything runs on the loopback address, and the adapter's answers to the autoscaler are noted on the way.
"""

import contextlib
import functools
import shutil
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from aether_deploy.lab.adapter_proxy import AdapterProxy
from aether_deploy.lab.applying import MANAGER
from aether_deploy.lab.autoscaler_record import AutoscalerRecord
from aether_deploy.lab.client import ApiError, Body, Client
from aether_deploy.lab.control_plane import USER, ControlPlane
from aether_deploy.lab.exporters import TARGETS, Exporters
from aether_deploy.lab.life import Booted
from aether_deploy.lab.metrics_flags import (
    NAMESPACE,
    Cadence,
    adapter_flags,
    groups,
    kube_state_metrics_flags,
    prometheus_config,
    prometheus_flags,
    registration,
)
from aether_deploy.lab.processes import Daemon, free_ports
from aether_deploy.lab.programs import (
    KUBE_STATE_METRICS,
    PROMETHEUS,
    PROMETHEUS_ADAPTER,
    find_metrics_programs,
)
from aether_deploy.problems import EffectError

_START_SECS = 180.0  # nothing is measured by it: other programs may want the machine at the same time
_NOT_YET = (404, 503)


class MetricsChain(Booted):
    """The chain beside one control plane, within its block.

        with ControlPlane("v1.37.2") as plane, MetricsChain(plane, adapter=ADAPTER_CONFIG) as chain:
            chain.exporters.serve("worlds", "world-0", {"aether_world_player_count": 40})

    Everything that it runs ends with the block, and the control plane forgets the metrics API.

    Attributes:
        exporters: The endpoints of pods.
        proxy: What the adapter served to the autoscaler.
        cadence: How often each part looks.
    """

    def __init__(
        self,
        plane: ControlPlane,
        *,
        adapter: str,
        rules: Mapping[str, str] | None = None,
        cadence: Cadence | None = None,
    ) -> None:
        """Prepare the chain; nothing runs before the block is entered.

        Args:
            plane: The control plane, in whose folder everything is kept.
            adapter: Configuration of the adapter.
            rules: Recording rules: the text of each file, by its name.
            cadence: How often each part looks.

        Raises:
            MissingProgramsError: Programs are not on this machine.
        """
        self._programs = find_metrics_programs()
        self._plane = plane
        self._adapter = adapter
        self._rules = dict(rules or {})
        self.cadence = cadence or Cadence()
        self.exporters = Exporters()
        self.proxy: AdapterProxy
        self._external = bool((yaml.safe_load(adapter) or {}).get("externalRules"))
        self._daemons: dict[str, Daemon] = {}
        self._held: list[socket.socket] = []
        self._servers = contextlib.ExitStack()
        self._prometheus: Client
        self._begun = False

    # --- life

    def _end(self) -> None:
        try:
            if self._begun:
                self._unregister()
        finally:
            for daemon in self._daemons.values():
                daemon.kill()
            for daemon in self._daemons.values():
                daemon.reap()
            self._daemons.clear()
            self._servers.close()
            for each in self._held:
                each.close()
            self._held.clear()
            if self._begun:
                shutil.rmtree(self._plane.folder / "metrics", ignore_errors=True)
                self._begun = False

    def check(self) -> None:
        """Raise if a program of the chain or of the control plane has ended by itself.

        Raises:
            DaemonError: It has; the message quotes its log.
        """
        self._plane.check()
        for daemon in self._daemons.values():
            daemon.check()

    @property
    def pids(self) -> dict[str, int]:
        """Process id of each program of the chain that runs, by name."""
        return {name: pid for name, daemon in self._daemons.items() if (pid := daemon.pid) is not None}

    @property
    def record(self) -> AutoscalerRecord:
        """What autoscalers saw and did, if the control plane records it."""
        return AutoscalerRecord(self._plane.folder, self.proxy.served)

    # --- what it tells

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return what Prometheus makes of an expression now: each series with its labels and value.

        Raises:
            EffectError: The expression is wrong, or Prometheus does not answer.
        """
        answer = self._prometheus.request("GET", "/api/v1/query", query={"query": expression}).body
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    def value(self, expression: str) -> float | None:
        """Return the value of an expression that has one series; None where it has none, or several."""
        found = self.query(expression)
        return float(found[0]["value"][1]) if len(found) == 1 else None

    def pods_metric(self, namespace: str, metric: str, *, labels: str = "") -> dict[str, str]:
        """Return what the metrics API answers for the pods of a namespace: a quantity for each.

        Raises:
            ApiError: The metrics API does not know the metric.
        """
        path = f"/apis/custom.metrics.k8s.io/v1beta2/namespaces/{quote(namespace)}/pods/*/{quote(metric)}"
        query = {"labelSelector": labels} if labels else None
        items = self._plane.client.request("GET", path, query=query).body["items"]
        return {item["describedObject"]["name"]: item["value"] for item in items}

    def wait_for(self, ready: Callable[[], bool], what: str, within_secs: float = _START_SECS) -> None:
        """Wait until ``ready`` says so; a refusal of the API server means not yet.

        Raises:
            EffectError: Not in time, or a program ended.
        """

        def looked() -> bool:
            self.check()
            try:
                return ready()
            except ApiError as error:
                if error.status in _NOT_YET:
                    return False
                raise

        self._plane.wait_for(looked, what, within_secs)

    # --- boot

    def _boot(self) -> None:
        self._begun = True
        keys, admin, at = self._plane.folder, self._plane.kubeconfig, self._plane.folder / "metrics"
        at.mkdir()
        ports, self._held = free_ports(4)
        prometheus, state, state_itself, adapter = ports
        self._servers.enter_context(self.exporters)
        self.proxy = self._servers.enter_context(AdapterProxy(keys, adapter))
        self._prometheus = Client(prometheus, None, name=PROMETHEUS)
        (at / "prometheus.yml").write_text(
            prometheus_config(
                self.cadence,
                rules=self._write_rules(at / "rules"),
                targets=f"http://127.0.0.1:{self.exporters.port}{TARGETS}",
                state_port=state,
            ),
            "utf-8",
        )
        (at / "adapter.yaml").write_text(self._adapter, "utf-8")
        states = KUBE_STATE_METRICS.name
        self._start(PROMETHEUS, prometheus_flags(at, prometheus))
        self._start(states, kube_state_metrics_flags(admin, state, state_itself))
        self._start(PROMETHEUS_ADAPTER.name, adapter_flags(at, keys, admin, adapter, prometheus, self.cadence))
        self._ready(PROMETHEUS, lambda: self._prometheus.text("/-/ready") is not None)
        asked = Client(state_itself, None, name=states)
        self._ready(states, lambda: asked.text("/readyz") is not None)
        asked_too = Client.from_certificates(adapter, keys, USER)
        self._ready(PROMETHEUS_ADAPTER.name, lambda: asked_too.text("/readyz") == "ok")
        # That of a chain before stays for seconds, and takes everything with it that comes into it meanwhile.
        self._plane.wait_for(self._none_is_ending, f"an earlier namespace {NAMESPACE} is gone", _START_SECS)
        for body in registration(self.proxy.port, external=self._external):
            self._plane.client.apply(body, manager=MANAGER, force=True)
        for served in groups(external=self._external):
            self.wait_for(functools.partial(self._is_served, served), f"{served[0]} is served")

    def _write_rules(self, folder: Path) -> list[Path]:
        folder.mkdir()
        for name, text in self._rules.items():
            (folder / name).write_text(text, "utf-8")
        return [folder / name for name in self._rules]

    def _start(self, name: str, flags: Sequence[str]) -> None:
        daemon = Daemon(name, [str(self._programs[name]), *flags], self._plane.folder)
        daemon.log.unlink(missing_ok=True)  # of a chain that was here before
        self._daemons[name] = daemon
        daemon.start()

    def _ready(self, name: str, ready: Callable[[], bool]) -> None:
        def alive_and_ready() -> bool:
            self.check()
            return ready()

        self._daemons[name].wait_until(alive_and_ready, _START_SECS)

    def _none_is_ending(self) -> bool:
        found = self._plane.client.find("v1", "Namespace", NAMESPACE)
        return found is None or "deletionTimestamp" not in found["metadata"]

    def _is_served(self, served: tuple[str, str]) -> bool:
        group, version = served
        found = self._plane.client.get("apiregistration.k8s.io/v1", "APIService", f"{version}.{group}")
        return _is_available(found) and bool(self._plane.client.request("GET", f"/apis/{group}/{version}").body)

    def _unregister(self) -> None:
        """Let the control plane forget the metrics API, unless it has ended already."""
        with contextlib.suppress(EffectError):
            for group, version in groups(external=self._external):
                with contextlib.suppress(ApiError):
                    self._plane.client.delete("apiregistration.k8s.io/v1", "APIService", f"{version}.{group}")
            with contextlib.suppress(ApiError):
                self._plane.client.delete("v1", "Namespace", NAMESPACE)


def _is_available(api_service: Body) -> bool:
    conditions = api_service.get("status", {}).get("conditions", ())
    return any(each["type"] == "Available" and each["status"] == "True" for each in conditions)
