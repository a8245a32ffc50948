"""A client that talks with one node of a cluster at a time, and knows the way to the next."""

import contextlib

from aether_deploy.infrastructure.valkey.ports import CLIENT
from aether_deploy.jobs.valkey_protocol import Connection
from aether_deploy.lab.valkey.cluster import PASSWORD, ValkeyCluster


class NodeClient:
    """The connection to one node.

    Attributes:
        address: Where that node is; empty: the first of the cluster.
    """

    def __init__(self, cluster: ValkeyCluster, *, answer_secs: float, address: str = "") -> None:
        """Prepare to talk with the node at ``address``, which has to answer within ``answer_secs``."""
        self.address = address
        self._cluster = cluster
        self._answer_secs = answer_secs
        self._connection: Connection | None = None

    def connected(self) -> Connection:
        """Return the connection, which is opened where there is none.

        Raises:
            NoAnswer: Nobody answers there.
            Refused: The node refuses the password.
        """
        if self._connection is None:
            address = self.address or next(iter(self._cluster.places.values())).address
            self._connection = Connection((address, CLIENT[1]), answer_secs=self._answer_secs)
            self._connection.call("AUTH", PASSWORD)
        return self._connection

    def turn_to(self, address: str) -> None:
        """Leave the node for the one at ``address``."""
        self.leave()
        self.address = address

    def look_around(self) -> None:
        """Turn to the next node: it answers, or says who does."""
        addresses = [place.address for place in self._cluster.places.values()]
        place = addresses.index(self.address) if self.address in addresses else -1
        self.turn_to(addresses[(place + 1) % len(addresses)])

    def leave(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.close()
        self._connection = None
