"""What a node is told: the same for all nodes of a component, whatever their role, since roles change."""

from typing import TYPE_CHECKING

from aether_deploy.infrastructure.valkey.ports import CLIENT
from aether_deploy.infrastructure.valkey.timing import SHUTDOWN_SECS
from aether_deploy.quantities import bytes_of

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.valkey import ValkeyConfig

NODES_FILE = "nodes.conf"

AT_START = frozenset({"bind", "cluster-config-file", "cluster-enabled", "dir", "maxmemory", "port"})
"""Options that a node takes when it starts.

The server would take another ``maxmemory`` and another ``bind`` at once, but the limit of the pod is that of its start.
"""


def options_of(config: "ValkeyConfig") -> dict[str, str]:
    """Return the options of every node, without what tells pods apart and without the password."""
    return {
        "bind": "* -::*",
        "port": str(CLIENT[1]),
        "dir": config.pvc.mount_path,
        # Who a node is and whom it knows. Without the file it would come back as another node.
        "cluster-enabled": "yes",
        "cluster-config-file": NODES_FILE,
        "cluster-node-timeout": str(config.node_timeout_ms),
        # A shard that is down stops nobody else; and one that is cut off answers nobody with what is old.
        "cluster-require-full-coverage": "no",
        "cluster-allow-reads-when-down": "no",
        # A replica that moved to another shard would be in the zone of that shard's primary.
        "cluster-allow-replica-migration": "no",
        # By default a replica that was without its primary for ten node timeouts never takes over. Where votes were
        # missing for longer it is the only copy left, and an old one is worth more than none.
        "cluster-replica-validity-factor": "0",
        "cluster-preferred-endpoint-type": "hostname",
        "shutdown-on-sigterm": "failover",
        "shutdown-timeout": str(SHUTDOWN_SECS),
        # Sessions are worth no disk; only nodes.conf is.
        "save": "",
        "appendonly": "no",
        "maxmemory": str(bytes_of(config.maxmemory)),
        "maxmemory-policy": config.eviction,
        # The default waits for further replicas, and nobody has a second copy meanwhile.
        "repl-diskless-sync-delay": "0",
        "tcp-keepalive": "60",
    }


def settings_of(config: "ValkeyConfig") -> dict[str, str]:
    """Return the options that a running node takes, and that the reconcile program sees to."""
    return {name: value for name, value in options_of(config).items() if name not in AT_START}
