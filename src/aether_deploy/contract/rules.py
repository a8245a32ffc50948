"""The rules of the contract: what each promises, how to keep it, and who relies on it."""

from typing import Literal, NamedTuple

PLAYERS = "aether_world_player_count"
FLOOR = "aether_world_ordinal_floor"
REPLAYING = "aether_world_wal_replaying"

Outcome = Literal["ok", "fail", "skipped"]


class Rule(NamedTuple):
    """One promise of a world server.

    Attributes:
        promise: What holds.
        fix: What to do where it does not.
        source: Who relies on it.
    """

    promise: str
    fix: str
    source: str


class Verdict(NamedTuple):
    """What was found out about one rule.

    Attributes:
        rule: Its id, which is its heading in docs/world-server-contract.md.
        outcome: ``ok``, ``fail``, or ``skipped`` where it could not be tried.
        seen: What the server did; of a skipped rule, why it was not tried.
        fix: What to do; None unless it failed.
        source: Who relies on the rule.
    """

    rule: str
    outcome: Outcome
    seen: str
    fix: str | None
    source: str


RULES = {
    "healthz": Rule(
        "GET /healthz is 200 at once as long as the process can work, during replay and drain too",
        "answer /healthz from the event loop itself, and do long work elsewhere",
        "liveness and startup probes: after failure_threshold failures in a row the kubelet restarts the container",
    ),
    "readyz": Rule(
        "GET /readyz is 503 until the world is loaded, and 200 from then on",
        "answer /readyz with 503 or 200 at once, by whether the world is loaded and nothing else",
        "readiness probe: Services and kube-proxy send players to ready pods only",
    ),
    "loading": Rule(
        "/readyz is 503 while the write-ahead log is replayed",
        "answer /readyz with 503 until the last record is applied",
        "readiness probe: players who come too early meet an older world, and their changes are lost",
    ),
    "own-paths": Rule(
        "an unknown path is no success",
        "answer 404 where nothing is meant",
        "probes and preStop: with a server that answers everything, a wrong path in a description goes unnoticed",
    ),
    "metrics": Rule(
        "GET /metrics is 200 and readable by every reader of the Prometheus text format",
        "use a Prometheus client library, or mend these lines",
        "Prometheus takes a page as a whole or not at all; without it the autoscaler holds, and never scales",
    ),
    "metrics-type": Rule(
        "/metrics has the content type text/plain; version=0.0.4 where that is asked for",
        "send Content-Type: text/plain; version=0.0.4; charset=utf-8",
        "Prometheus 3 fails a scrape that has no known content type",
    ),
    "player-count": Rule(
        f"/metrics has {PLAYERS}, a gauge, finite and not negative, in one series or one for each label world",
        f"give {PLAYERS} one series of type gauge: the players who are in now",
        "HorizontalPodAutoscaler: the mean of this number over all pods decides the number of replicas",
    ),
    "ordinal-floor": Rule(
        f"/metrics has {FLOOR} once, a gauge: the pod's ordinal + 1 while players are on or the log is not "
        "archived, else 0",
        f"give {FLOOR} one series of type gauge: ordinal + 1 while anything would be lost with this pod, else 0",
        "replica floor: a StatefulSet is trimmed from the top, and this keeps it from trimming an occupied world",
    ),
    "game-port": Rule(
        "the players' port is open",
        "bind the UDP port before /readyz is 200, on all addresses of the pod",
        "players, by the Service of the pod",
    ),
    "join-counted": Rule(
        "a player who joins is counted",
        f"set {PLAYERS} when a player joins",
        "HorizontalPodAutoscaler: players who are not counted get no room",
    ),
    "join-floor": Rule(
        "the floor is above 0 while a player is on",
        f"set {FLOOR} to ordinal + 1 before the player is told that he is in",
        "replica floor: a pod that reports 0 may be deleted with its players",
    ),
    "ready-with-players": Rule(
        "/readyz stays 200 while players are on",
        "leave players out of readiness: it means that the world is loaded, never that it has room",
        "kube-proxy cuts the players of an unready pod, and its disruption budget lets it be evicted at any time",
    ),
    "leave-counted": Rule(
        "a player who leaves is no longer counted",
        f"set {PLAYERS} when a player leaves",
        "HorizontalPodAutoscaler: pods for players who left are never given back",
    ),
    "leave-floor": Rule(
        "the floor falls to 0 once nobody is on and the log is archived",
        f"archive the log when the world is empty, and then set {FLOOR} to 0",
        "replica floor: a floor that never falls keeps every pod for ever",
    ),
    "gate": Rule(
        "POST /admission closes a world to new players, keeps those that are in, and opens it again",
        "refuse joins while ordinal >= joinable_replicas, and change nothing else",
        "replica floor: a player must not join a pod between the last scrape and its deletion",
    ),
    "drain-refuses": Rule(
        "nobody can join while the world drains",
        "refuse joins from the moment that /drain is called",
        "preStop: with new players a drain never ends, and the grace period ends it",
    ),
    "drain-tells": Rule(
        "players are told where to go while the world drains",
        "send players away when /drain is called, and again every second: datagrams get lost",
        "preStop: players who are not told stay until they are cut",
    ),
    "drain-waits": Rule(
        "/drain does not answer while players are on, before its deadline",
        "answer /drain when nobody is on and the log is archived, or at the deadline",
        "preStop: SIGTERM follows the answer at once",
    ),
    "drain-healthz": Rule(
        "/healthz stays 200 while the world drains",
        "keep answering until the process ends",
        "liveness probe: the kubelet stops asking only once the pod is being deleted, and drains begin before that too",
    ),
    "drain-readyz": Rule(
        "/readyz stays 200 while the world drains",
        "leave draining out of readiness, and refuse joins instead",
        "kube-proxy cuts the players of a pod that is no longer serving: those whom the drain is to see off",
    ),
    "drain-ends": Rule(
        "every call of /drain is answered with 200, within the grace period",
        "let all calls wait for the same drain, and answer at a deadline that is earlier than the grace period",
        "preStop: a hook that outlives terminationGracePeriodSeconds leaves 2 s between SIGTERM and SIGKILL",
    ),
    "drain-floor": Rule(
        "the floor is 0 after a drain",
        "archive the log before /drain is answered",
        "replica floor: an empty pod must be given back",
    ),
}


def holds(rule: str, seen: str) -> Verdict:
    """Return that a rule holds, with what was seen."""
    return Verdict(rule, "ok", seen, None, RULES[rule].source)


def fails(rule: str, seen: str) -> Verdict:
    """Return that a rule does not hold, with what was seen instead."""
    return Verdict(rule, "fail", seen, RULES[rule].fix, RULES[rule].source)


def skips(rule: str, why: str) -> Verdict:
    """Return that a rule could not be tried."""
    return Verdict(rule, "skipped", why, None, RULES[rule].source)


def judges(rule: str, good: bool, seen: str) -> Verdict:
    """Return that a rule holds or not, with what was seen in either case."""
    return holds(rule, seen) if good else fails(rule, seen)
