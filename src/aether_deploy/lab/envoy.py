"""A real Envoy that runs what we render for one region, on an address of its own."""

import json
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

from aether_deploy.lab.processes import Daemon
from aether_deploy.lab.programs import find_lab_program
from aether_deploy.traffic.envoy.parts import ADMIN_PORT, OPS_PORT
from aether_deploy.traffic.kinds.envoy import TRUSTED_CA

Host = tuple[str, int, str]
"""A cluster, one of its priorities, and an address in that."""
_CHECK_SECS = 60
_READY_SECS = 90
_READINESS_SECS = 5
_ANSWER_SECS = 60
_GRACE_SECS = 5


def find_envoy() -> Path:
    """Return the program ``envoy`` as the extra ``[lab]`` brings it.

    Raises:
        MissingProgramsError: It is not on this machine; with what brings it.
    """
    return find_lab_program("envoy", package="envoy", on_path=False)


def validation_fault(program: Path, file: Path) -> str | None:
    """Return what Envoy's own check says against a file; None where it takes it. Nothing is started or opened."""
    command = [str(program), "--mode", "validate", "--log-level", "error", "-c", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_CHECK_SECS, check=False)
    return None if done.returncode == 0 else (done.stdout + done.stderr).strip()


def placed_text(text: str, address: str, trusted_ca: Path | None = None) -> str:
    """Return a rendered file with every address that Envoy listens at replaced, and the file of who is trusted by its
    image where there is another one here; nothing else of it changes.

    Addresses are the listeners' ``0.0.0.0``, and the admin interface's ``127.0.0.1`` with the cluster that leads to it.
    Ports, names, priorities and checks stay as they are rendered, and regions are found by their names.
    """
    placed = text.replace('address: "0.0.0.0"', f'address: "{address}"').replace(
        'address: "127.0.0.1"', f'address: "{address}"'
    )
    return placed if trusted_ca is None else placed.replace(f"filename: {TRUSTED_CA}", f"filename: {trusted_ca}")


class Edge:
    """One Envoy of one region's edge.

    Attributes:
        address: Where its listeners are, each at its rendered port.
    """

    def __init__(
        self,
        program: Path,
        text: str,
        folder: Path,
        *,
        address: str,
        resolver: tuple[str, int],
        trusted_ca: Path | None = None,
    ) -> None:
        """Prepare an Envoy.

        Args:
            program: The program.
            text: What was rendered for its region.
            folder: Where its file and its log go.
            address: Where it listens, on the loopback network.
            resolver: Address and port of the DNS server that knows the regions; it stands for the cluster's.
            trusted_ca: File with the certificates of who vouches for regions; it stands for the image's.
        """
        self.address = address
        file = folder / f"envoy-{address}.yaml"
        file.write_text(placed_text(text, address, trusted_ca), "utf-8")
        over = json.dumps(_asking(*resolver))
        command = [str(program), "-c", str(file), "--config-yaml", over, "--disable-hot-restart"]
        self._daemon = Daemon(f"envoy-{address}", [*command, "--concurrency", "1", "--log-level", "warning"], folder)

    @property
    def daemon(self) -> Daemon:
        """The program."""
        return self._daemon

    def start(self) -> None:
        """Start it, and return once it takes sessions.

        Raises:
            DaemonError: It ended, or is not ready in time; the message quotes its log.
        """
        self._daemon.start()
        self._daemon.wait_until(self.is_ready, _READY_SECS)

    def stop(self) -> None:
        """End it. Returns when it is gone."""
        self._daemon.stop(_GRACE_SECS)

    def check(self) -> None:
        """Raise DaemonError if it has ended by itself."""
        self._daemon.check()

    def ask(self, path: str, port: int = ADMIN_PORT, *, within_secs: float = _ANSWER_SECS) -> str:
        """Return what its admin interface, or another port of it, answers to a GET."""
        with urllib.request.urlopen(f"http://{self.address}:{port}{path}", timeout=within_secs) as answer:
            return str(answer.read().decode())

    def hosts(self) -> dict[Host, bool]:
        """Return every address that its clusters have now, and whether new sessions may go there."""
        statuses: list[dict[str, Any]] = json.loads(self.ask("/clusters?format=json"))["cluster_statuses"]
        return {
            (cluster["name"], host.get("priority", 0), host["address"]["socket_address"]["address"]): not host[
                "health_status"
            ].get("failed_active_health_check", False)
            for cluster in statuses
            for host in cluster.get("host_statuses", [])
        }

    def is_ready(self) -> bool:
        """Return whether it takes sessions now."""
        try:
            return self.ask("/readyz", OPS_PORT, within_secs=_READINESS_SECS).strip() == "LIVE"
        except OSError:
            return False


def _asking(address: str, port: int) -> dict[str, Any]:
    kind = "envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig"
    return {
        "typed_dns_resolver_config": {
            "name": "envoy.network.dns_resolver.cares",
            "typed_config": {
                "@type": f"type.googleapis.com/{kind}",
                "resolvers": [{"socket_address": {"protocol": "UDP", "address": address, "port_value": port}}],
                "dns_resolver_options": {"no_default_search_domain": True},
            },
        }
    }
