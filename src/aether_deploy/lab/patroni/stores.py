"""What Patroni keeps its leader lease in: what a cluster needs of any such store."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from aether_deploy.lab.patroni.configuration import Place
from aether_deploy.lab.patroni.lease import LeaseWatch
from aether_deploy.lab.workplace import Workplace


class Store(Protocol):
    """A store of this machine, which can fail.

    Attributes:
        kind: What :func:`aether_deploy.failover.bounds` calls it.
    """

    kind: str

    def open(self, scope: str, places: Sequence[Place], workplace: Workplace) -> None:
        """Start what there is to start, and make what members need there before they come."""

    def section(self, place: Place) -> Mapping[str, Any]:
        """Return the section of Patroni's configuration that names this store."""

    def environment(self, place: Place) -> Mapping[str, str]:
        """Return variables that the member's Patroni needs."""

    def watch(self) -> contextlib.AbstractContextManager[LeaseWatch]:
        """Return what writes down, while its block runs, who holds the lease and when it was renewed."""

    def freeze(self) -> None:
        """Let it hear requests and answer none."""

    def cut(self, member: str) -> None:
        """Let one member reach it no more, and all others as before."""

    def mend(self) -> None:
        """Let it answer everybody again."""

    def check(self) -> None:
        """Raise if a program of it has ended by itself."""

    def close(self) -> None:
        """End what was started and remove what was made; safe to call twice."""
