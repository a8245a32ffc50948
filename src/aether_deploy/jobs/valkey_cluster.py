"""Make a Valkey cluster as planned and keep it so: ``python -m aether_deploy.jobs.valkey_cluster FILE``.

It looks at all nodes, takes the next steps that ``infrastructure.valkey.reconciling`` decides, and looks again, until
there is nothing to do or the time is over. Each step may be the last that it is given time for: a run that was ended
anywhere is taken up by the next. Two runs never act at a time.

Exit: 0 all is as planned, 1 something is not, 2 the file is wrong, 3 no node answers, or none lets us in.
"""

import socket
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import uniform

import msgspec

from aether_deploy.infrastructure.valkey.identity import unlike
from aether_deploy.infrastructure.valkey.job import FORMAT
from aether_deploy.infrastructure.valkey.reconciling import Decision, PlannedNode, PlannedShard, Step, decide
from aether_deploy.infrastructure.valkey.views import Seen, fields_in, peers_in
from aether_deploy.jobs.told import UnusableFileError, not_rendered, told
from aether_deploy.jobs.valkey_protocol import Connection, NoAnswer, Refused

_ANSWER_SECS = 3.0
_PAUSE_SECS = 0.25
_TURN_SECS = (0.5, 2.0)
_UNSEEN = "what was done last has not shown yet"
TURN_NAME = "aether-reconcile"
"""Name of a run's connections: who finds another one of that name on a node does not act."""


class PlanFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the program is to do; ``infrastructure.valkey.job`` writes it."""

    format: int
    wait_secs: float
    password_file: str
    settings: dict[str, str]
    shards: tuple[PlannedShard, ...]

    @property
    def nodes(self) -> tuple[PlannedNode, ...]:
        return tuple(node for shard in self.shards for node in shard.nodes)


class NobodyThere(Exception):
    """No node answers, or none lets us in."""


class AnotherRun(Exception):
    """Another run acts on these nodes."""


class Nodes:
    """The nodes of a plan, looked at and acted upon over a connection each, which is made anew when it ends."""

    def __init__(self, plan: PlanFile, password: str) -> None:
        self._plan = plan
        self._password = password
        self._connections: dict[str, tuple[str, Connection]] = {}
        self.silent: dict[str, str] = {}

    def __enter__(self) -> "Nodes":
        return self

    def __exit__(self, *_: object) -> None:
        for _address, connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def look(self) -> dict[str, Seen]:
        """Return what each node says that answers; why the others do not stands in ``silent`` then."""
        views = {}
        self.silent = {}
        for node in self._plan.nodes:
            try:
                views[node.name] = self._look_at(node)
            except (NoAnswer, Refused, OSError, ValueError) as error:
                self.silent[node.name] = str(error)
                self._forget(node.name)
        return views

    def _look_at(self, node: PlannedNode) -> Seen:
        ip = _resolved(node)
        connection = self._connection(node, ip)
        replication = fields_in(connection.text("INFO", "replication"))
        cluster = fields_in(connection.text("CLUSTER", "INFO"))
        peers = peers_in(connection.text("CLUSTER", "NODES"))
        me = next(each for each in peers.values() if "myself" in each.flags)
        stranger = unlike(me, pod=node.name, host=node.host)
        if stranger:
            raise NoAnswer(f"{ip}:{node.port}: {stranger}")
        keys = connection.call("DBSIZE")
        names = list(self._plan.settings)
        said = connection.call("CONFIG", "GET", *names) if names else []
        pairs = [str(each) for each in said] if isinstance(said, list) else []
        return Seen(
            address=f"{ip}:{node.port}",
            peers=peers,
            serves=cluster.get("cluster_state") == "ok",
            synced=replication.get("master_link_status") == "up"
            and replication.get("master_sync_in_progress", "0") == "0",
            keys=keys if isinstance(keys, int) else 0,
            epoch=int(cluster.get("cluster_current_epoch", "0")),
            settings=dict(zip(pairs[::2], pairs[1::2], strict=True)),
        )

    def _connection(self, node: PlannedNode, ip: str) -> Connection:
        known = self._connections.get(node.name)
        if known is not None and known[0] == ip:
            return known[1]
        self._forget(node.name)
        connection = Connection((ip, node.port), answer_secs=_ANSWER_SECS)
        try:
            connection.call("AUTH", self._password)
            connection.call("CLIENT", "SETNAME", TURN_NAME)
            if _others_in(connection):
                raise AnotherRun(node.name)
        except BaseException:
            connection.close()
            raise
        self._connections[node.name] = (ip, connection)
        return connection

    def _forget(self, name: str) -> None:
        known = self._connections.pop(name, None)
        if known is not None:
            known[1].close()

    def act(self, step: Step) -> str:
        """Take a step; return what the node says against it, or nothing."""
        try:
            self._connections[step.pod][1].call(*step.command)
        except (NoAnswer, Refused) as error:
            return "" if step.optional and isinstance(error, Refused) else str(error)
        return ""


def _resolved(node: PlannedNode) -> str:
    found = socket.getaddrinfo(node.host, node.port, type=socket.SOCK_STREAM)
    return str(found[0][4][0])


def _others_in(connection: Connection) -> bool:
    """Return whether another run has a connection to this node.

    Each gives its name before it looks. So of two runs that share a node at most one sees nobody else.
    """
    own = connection.call("CLIENT", "ID")
    for line in connection.text("CLIENT", "LIST").splitlines():
        fields = dict(word.partition("=")[::2] for word in line.split(" "))
        if fields.get("name") == TURN_NAME and fields.get("id") != str(own):
            return True
    return False


@contextmanager
def _turn(plan: PlanFile, password: str, deadline: float) -> Iterator[tuple[Nodes, dict[str, Seen]]]:
    """Give the nodes and a first look at them to one run at a time.

    Raises:
        AnotherRun: Another one acts all the time.
    """
    with ExitStack() as stack:
        while True:
            try:
                with ExitStack() as attempt:
                    nodes = attempt.enter_context(Nodes(plan, password))
                    views = nodes.look()
                    stack.push(attempt.pop_all())
                break
            except AnotherRun:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(uniform(*_TURN_SECS))
        yield nodes, views


def reconcile(plan: PlanFile, password: str) -> tuple[str, ...]:
    """Bring the cluster to the plan, saying what is done; return what is not as planned in the end.

    Raises:
        NobodyThere: No node answers.
        AnotherRun: Another run acts all the time.
    """
    deadline = time.monotonic() + plan.wait_secs
    asked: set[str] = set()
    with _turn(plan, password, deadline) as (nodes, views):
        while True:
            decision = Decision(waiting="no node answers")
            if views:
                decision = _not_again(decide(plan.shards, plan.settings, views, nodes.silent), asked)
            refused = _carried_out(nodes, decision)
            asked |= {step.pod for step in decision.steps if _is_failover(step)}
            if decision.is_final and not _still_starting(nodes):
                return decision.faults
            if time.monotonic() >= deadline:
                break
            time.sleep(_PAUSE_SECS)
            views = nodes.look()
        if not views:
            reasons = "; ".join(f"{pod}: {why}" for pod, why in nodes.silent.items())
            raise NobodyThere(f"no node answers: {reasons}")
        waiting = decision.waiting or (_UNSEEN if decision.steps and not refused else "")
        waited = (f"not in time: {waiting}",) if waiting else ()
        return (*decision.faults, *waited, *refused)


def _is_failover(step: Step) -> bool:
    return step.command == ("CLUSTER", "FAILOVER")


def _not_again(decision: Decision, asked: Collection[str]) -> Decision:
    """Return a decision without failovers of nodes that this run asked before.

    One takes a moment; and each is a gap for players, so none is asked for over and over, whatever the plan says.
    """
    again = [step for step in decision.steps if _is_failover(step) and step.pod in asked]
    if not again:
        return decision
    steps = tuple(step for step in decision.steps if step not in again)
    waiting = decision.waiting or f"{again[0].pod} was asked to take over, and did not yet"
    return msgspec.structs.replace(decision, steps=steps, waiting=waiting)


def _still_starting(nodes: Nodes) -> bool:
    """Return whether a node only reads its data yet, and will answer soon."""
    return any(why.startswith("LOADING") for why in nodes.silent.values())


def _carried_out(nodes: Nodes, decision: Decision) -> tuple[str, ...]:
    refused = []
    for step in decision.steps:
        against = nodes.act(step)
        print(f"{step.says}{f': refused: {against}' if against else ''}", flush=True)
        if against:
            refused.append(f"{step.says}: refused: {against}")
    return tuple(refused)


def _read(arguments: list[str]) -> tuple[PlanFile, str]:
    """Return the plan and the password.

    Raises:
        UnusableFileError: There is none that can be used.
    """
    plan = told("aether_deploy.jobs.valkey_cluster", arguments, PlanFile, format=FORMAT)
    try:
        password = Path(plan.password_file).read_text("utf-8").rstrip("\n")
    except OSError as error:
        raise not_rendered(arguments[0], error) from error
    if not plan.shards or not all(shard.nodes for shard in plan.shards):
        raise not_rendered(arguments[0], "has a shard without nodes")
    return plan, password


def main(arguments: list[str]) -> int:
    """Run the program; the module's docstring says what it returns."""
    try:
        plan, password = _read(arguments)
    except UnusableFileError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        faults = reconcile(plan, password)
    except NobodyThere as error:
        print(f"{error}\n  fix: see that the pods run, and that the Secret is theirs", file=sys.stderr)
        return 3
    except AnotherRun as error:
        print(f"another run acts on {error}\n  fix: wait for it to end", file=sys.stderr)
        return 1
    for fault in faults:
        print(f"FAIL {fault}")
    if not faults:
        print("ok   as planned")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
