"""A real cluster is asked what it would make of every object; nothing is stored there.

The connection is that of the user's ``kubectl``: ``kubectl proxy`` knows every way to log in, and speaks plain HTTP
for as long as we ask. It does so on a socket in a folder of our own, because whoever reaches it has the user's rights.
"""

import contextlib
import shlex
import shutil
import socket
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from aether_deploy.lab.applying import Applied, apply_manifests
from aether_deploy.lab.client import ApiError, Client
from aether_deploy.lab.interrupts import deferred
from aether_deploy.lab.processes import Daemon
from aether_deploy.lab.programs import BRING, NEWEST, MissingProgramsError, find_program, kubernetes_program
from aether_deploy.lab.workplace import Workplace
from aether_deploy.manifest.value import Manifest
from aether_deploy.problems import EffectError

_START_SECS = 90.0


class DryRun(msgspec.Struct, frozen=True, kw_only=True):
    """What a real cluster would make of the objects.

    Attributes:
        kubernetes: Its version.
        applied: What would become of each object.
    """

    kubernetes: str
    applied: tuple[Applied, ...]

    @property
    def unjudged(self) -> list[Applied]:
        """Objects that a dry run cannot judge: their namespace or their kind is not there yet."""
        return [applied for applied in self.applied if applied.unjudged]

    @property
    def judged(self) -> int:
        """How many objects were judged."""
        return len(self.applied) - len(self.unjudged)

    @property
    def faults(self) -> list[str]:
        """What the cluster would refuse, warn of, drop or rewrite."""
        return [fault for applied in self.applied for fault in applied.faults()]

    @property
    def holds(self) -> bool:
        """Whether it would take everything that it judged, as it is."""
        return not self.faults


def dry_run(
    manifests: Iterable[Manifest],
    *,
    kubeconfig: str | None = None,
    context: str | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> DryRun:
    """Ask the cluster of a kubeconfig what it would make of ``manifests``, changing nothing.

    Args:
        manifests: What to ask about, in apply order.
        kubeconfig: The file that names the cluster; left out, the one that ``kubectl`` takes.
        context: The context in it; left out, the current one.
        say: Told what is going on.

    Raises:
        MissingProgramsError: There is no ``kubectl``.
        EffectError: The cluster cannot be reached.
    """
    say("connecting")
    with asked_cluster(kubeconfig, context) as (client, version):
        say("asking")
        applied = tuple(apply_manifests(client, manifests, dry_run=True))
    return DryRun(kubernetes=version, applied=applied)


@contextlib.contextmanager
def asked_cluster(kubeconfig: str | None, context: str | None) -> Iterator[tuple[Client, str]]:
    """Yield requests to the cluster of a kubeconfig, and its version; it lets nothing through that a dry run needs not.

    Args:
        kubeconfig: The file that names the cluster; None for the one that ``kubectl`` takes.
        context: The context in it; None for the current one.

    Raises:
        MissingProgramsError: There is no ``kubectl``.
        EffectError: The cluster cannot be reached, or knows nobody of ours.
    """
    with _proxy(kubeconfig, context) as client:
        try:
            yield client, client.request("GET", "/version").body["gitVersion"]
        except ApiError as error:  # kubectl answers in the place of a server that it cannot reach
            command = shlex.join(["kubectl", "version", *_flags(kubeconfig, context)])
            said = error.body.get("message") or error.reason
            raise EffectError(f"the cluster does not answer: {said}\n  fix: see that `{command}` does") from error


def _flags(kubeconfig: str | None, context: str | None) -> list[str]:
    flags = [f"--kubeconfig={Path(kubeconfig).resolve()}"] if kubeconfig is not None else []
    return flags + ([f"--context={context}"] if context is not None else [])


@contextlib.contextmanager
def _proxy(kubeconfig: str | None, context: str | None) -> Iterator[Client]:
    """Run ``kubectl proxy`` while the block runs."""
    kubectl, flags = str(_kubectl()), _flags(kubeconfig, context)
    place: Workplace | None = None
    proxy: Daemon | None = None
    try:
        with deferred():
            place = Workplace.new()
        address = place.folder / "api"
        guards = [f"--unix-socket={address}", "--reject-methods=^(POST|PUT|DELETE)$"]
        # Where the user is, because a kubeconfig may name files and programs from there.
        proxy = Daemon("kubectl", [kubectl, "proxy", *guards, *flags], place.folder, works_in=Path.cwd())
        proxy.start()
        proxy.wait_until(lambda: _listens(address), _START_SECS)
        yield Client(address, None, name="the cluster")
    finally:
        with deferred():
            if proxy is not None:
                proxy.kill()
                proxy.reap()
            if place is not None:
                place.remove()


def _listens(address: Path) -> bool:
    """Return whether somebody answers at a Unix socket: its file is there a moment before."""
    with socket.socket(socket.AF_UNIX) as attempt:
        return attempt.connect_ex(str(address)) == 0


def _kubectl() -> Path:
    on_path = shutil.which("kubectl")
    found = Path(on_path) if on_path else find_program(kubernetes_program("kubectl", NEWEST))
    if found is None:
        raise MissingProgramsError(
            f"kubectl is not on this machine\n  fix: install it, or let `{BRING} kubectl` build it (it needs Go)"
        )
    return found
