"""The scenarios of a rehearsal: each says beforehand what will happen, lets it happen, and compares.

A scenario leaves the cluster as it found it, but for the new template of a rollout. What it expects is computed by
``fleet.predictions`` from the workloads' settings and from where their pods were before.
"""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import msgspec

from aether_deploy.fleet.predictions import (
    Outcome,
    after_drain,
    after_scale,
    after_zone_cut,
    after_zone_loss,
    rollout_of,
)
from aether_deploy.lab.client import ApiError
from aether_deploy.lab.stage import QUIET_SECS, Stage, Verdict, fullest, skew_of
from aether_deploy.lab.watching import Pod
from aether_deploy.problems import ConfigError, Problem, suggestion

# Seconds without a change of any pod, after which a scenario waits no longer.
LOSS_SECS = 150.0  # kube-controller-manager's pod collector waits 40 s for a node to come back, and looks every 20 s
CUT_SECS = 90.0
DRAIN_SECS = 60.0
ROLLOUT_SECS = 60.0
ROLL = "lab.aether.io/rolled"

Play = Callable[[Stage, str], list[Verdict]]


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What a scenario's argument may name: known before anything is booted."""

    zones: tuple[str, ...]
    nodes: tuple[str, ...]
    workloads: tuple[str, ...]


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of scenario.

    Attributes:
        name: What ``--scenario`` calls it.
        argument: What stands after its ``=``; empty where nothing does.
        play: Plays it and returns the verdicts.
        choose: The arguments to play it with where none is given.
        known: Which names the argument may begin with.
    """

    name: str
    argument: str
    play: Play
    choose: Callable[[Stage], list[str]]
    known: Callable[[Known], tuple[str, ...]]


def play_steady(stage: Stage, argument: str) -> list[Verdict]:
    """Everything that is wanted runs, and is spread."""
    pods = ready = 0
    verdicts = []
    for name, config in stage.workloads.items():
        now = stage.now(name)
        pods, ready = pods + config.least_pods, ready + now.ready
        skew = skew_of(stage.placed(name).values())
        spread = config.topology.spread_across_zones
        if now.ready < config.least_pods:
            text = f"expected {config.least_pods} ready; saw {now.ready} ready, {now.pending} Pending"
            verdicts.append(_verdict("steady", name, False, text, stage.words(name)))
        if spread and config.topology.strict and skew > 1:
            verdicts.append(_verdict("steady", name, False, f"strict spread promises a skew of at most 1; saw {skew}"))
    if not verdicts:
        most = max((skew_of(stage.placed(name).values()) for name in stage.workloads), default=0)
        text = f"{ready} of {pods} pods ready; zones differ by {most} pod{'s' * (most != 1)} at most"
        verdicts.append(_verdict("steady", "", True, text))
    return verdicts


def play_zone_loss(stage: Stage, zone: str) -> list[Verdict]:
    """The nodes of a zone are deleted, and come back at the end."""
    expected = {name: after_zone_loss(config, stage.admitted(name), zone) for name, config in stage.workloads.items()}
    gone = {node.name for node in stage.lab.nodes_in(zone)}
    scenario = f"zone-loss={zone}"
    begun = time.monotonic()
    stage.lab.lose_zone(zone)
    stage.patiently(lambda: not any(pod.node in gone for pod in stage.watch.pods()), LOSS_SECS)
    settled = stage.settle(expected)
    promise = f"until {zone} returns: their volumes are there"
    verdicts = [
        stage.judge(scenario, name, outcome, begun, settled=settled, promise=promise if outcome.pending else "")
        for name, outcome in expected.items()
    ]
    stage.lab.return_zone(zone)
    return [*verdicts, *_restored(stage, scenario)]


def play_zone_cut(stage: Stage, zone: str) -> list[Verdict]:
    """The nodes of a zone fall silent, and speak again at the end."""
    expected = {name: after_zone_cut(config, stage.admitted(name), zone) for name, config in stage.workloads.items()}
    scenario = f"zone-cut={zone}"
    begun = time.monotonic()
    stage.lab.cut_zone(zone)
    settled = stage.settle(expected, CUT_SECS)
    promise = f"until {zone} answers: nobody can confirm their end"
    verdicts = [
        stage.judge(scenario, name, outcome, begun, settled=settled, promise=promise if outcome.ending else "")
        for name, outcome in expected.items()
    ]
    stage.lab.join_zone(zone)
    return [*verdicts, *_restored(stage, scenario)]


def play_node_drain(stage: Stage, node: str) -> list[Verdict]:
    """A node is cordoned and its pods are evicted, each when its budget allows it; it is uncordoned at the end."""
    scenario = f"node-drain={node}"
    hit = Counter(pod.workload for pod in stage.watch.pods() if pod.node == node)
    expected = {
        name: after_drain(
            stage.workloads[name], stage.now(name).ready, here=hit[name], company=stage.has_company(name, node)
        )
        for name in sorted(hit)
    }
    stuck = sum(hit[name] - outcome.pending for name, outcome in expected.items() if outcome.pending)
    begun = time.monotonic()
    path = stage.lab.client.path_of("v1", "Node", None, node)
    stage.lab.client.patch(path, {"spec": {"unschedulable": True}})
    try:
        stage.patiently(lambda: _evict_all(stage, node, but=stuck), DRAIN_SECS)
        settled = stage.settle(expected)
        left = len(_pods_on(stage, node))
        verdicts = [_drain_verdict(stage, scenario, node, sum(hit.values()), stuck, left)]
        verdicts += [stage.judge(scenario, name, each, begun, settled=settled) for name, each in expected.items()]
    finally:
        stage.lab.client.patch(path, {"spec": {"unschedulable": None}})
    return [*verdicts, *_restored(stage, scenario)]


def _drain_verdict(stage: Stage, scenario: str, node: str, pods: int, stuck: int, left: int) -> Verdict:
    if left != stuck:
        names = ", ".join(pod.name for pod in _pods_on(stage, node)) or "none"
        return _verdict(scenario, "", False, f"expected {stuck} pods to stay on the node; saw {names}")
    if stuck:
        text = (
            f"the drain does not end: {stuck} of {pods} pods stay, since their budget is used up by those before them"
        )
        return _verdict(scenario, "", True, text)
    return _verdict(scenario, "", True, f"{pods} pods evicted within their budgets")


def _pods_on(stage: Stage, node: str) -> list[Pod]:
    return [pod for pod in stage.watch.pods() if pod.node == node]


def _evict_all(stage: Stage, node: str, *, but: int) -> bool:
    """Ask for the eviction of every pod on the node; return whether no more are left than cannot go."""
    left = _pods_on(stage, node)
    for pod in left:
        if pod.terminating:
            continue
        try:
            stage.lab.client.evict(stage.namespace, pod.name)
        except ApiError as error:
            if error.status not in (404, 429):
                raise
    return len(left) <= but


def play_rollout(stage: Stage, workload: str) -> list[Verdict]:
    """The pod template changes, as a new version changes it, and stays changed."""
    config = stage.workloads[workload]
    scenario = f"rollout={workload}"
    pods = stage.wanted(workload)
    # Controllers count a pod once it was ready for as long as the workload says.
    patience = ROLLOUT_SECS + 2 * config.update.min_ready_secs
    stage.patiently(lambda: stage.is_available(workload), patience)
    expected = rollout_of(config, pods, stage.cluster.site.kubernetes)
    before = {pod.uid for pod in stage.watch.pods(workload)}
    path = stage.lab.client.path_of("apps/v1", config.target_kind, stage.namespace, workload)
    begun = time.monotonic()
    template = {"metadata": {"annotations": {ROLL: str(int(time.time()))}}}
    stage.lab.client.patch(path, {"spec": {"template": template}})

    most = stage.claimed(workload)

    def replaced() -> bool:
        nonlocal most
        most = max(most, stage.claimed(workload))
        new = [pod for pod in stage.watch.pods(workload) if pod.uid not in before]
        return sum(pod.ready for pod in new) == expected.replaced and stage.now(workload) == Outcome(ready=pods)

    def rolled() -> bool:
        return replaced() and stage.has_rolled(workload, expected.replaced)

    # Whoever would replace more than expected has begun to by then, and we hear of it soon after.
    done = stage.patiently(rolled, patience) and not stage.watch.wait(lambda: not replaced(), QUIET_SECS)
    ended = [pod for pod in stage.watch.ended(workload, begun) if pod.uid in before]
    fewest = stage.watch.fewest_ready(workload, begun)
    faults = []
    if not done:
        faults.append(f"expected {expected.replaced} new pods, all {pods} ready; saw {len(ended)} replaced")
    if expected.ordinals and tuple(pod.ordinal for pod in ended) != expected.ordinals[: len(ended)]:
        faults.append(f"expected order {_order(expected.ordinals)}; saw {_order(pod.ordinal for pod in ended)}")
    if fewest < expected.fewest:
        faults.append(f"expected never below {expected.fewest} ready; saw {fewest}")
    if most > pods + expected.extra:
        faults.append(f"expected at most {pods + expected.extra} pods to be asked for; saw {most}")
    order = f", in the order {_order(expected.ordinals)}" if expected.ordinals else ""
    text = f"{expected.replaced} of {pods} pods replaced{order}, never below {expected.fewest}"
    if expected.extra:
        text += f", never above {pods + expected.extra}"
    return [
        _verdict(scenario, workload, not faults, "; ".join(faults) or text, stage.words(workload) if faults else ())
    ]


def _order(ordinals: object) -> str:
    return "-".join(str(ordinal) for ordinal in ordinals)  # type: ignore[attr-defined]


def play_scale(stage: Stage, argument: str) -> list[Verdict]:
    """Somebody sets the replica count; afterwards it is set back."""
    workload, _, count = argument.rpartition(":")
    config = stage.workloads[workload]
    scenario = f"scale={argument}"
    before = stage.wanted(workload)
    expected = after_scale(config, int(count), before=before)
    path = stage.lab.client.path_of("apps/v1", config.target_kind, stage.namespace, workload)
    begun = time.monotonic()
    stage.lab.client.patch(path, {"spec": {"replicas": int(count)}}, subresource="scale")
    settled = stage.settle({workload: expected})
    promise = "" if expected.ready == int(count) else f"the autoscaler corrects {count} to its bound"
    verdicts = [stage.judge(scenario, workload, expected, begun, settled=settled, promise=promise)]
    stage.lab.client.patch(path, {"spec": {"replicas": before}}, subresource="scale")
    return [*verdicts, *_restored(stage, scenario)]


def _restored(stage: Stage, scenario: str) -> list[Verdict]:
    """Wait until everything runs again; a verdict only where it does not."""
    wanted = {name: Outcome(ready=config.least_pods) for name, config in stage.workloads.items()}
    if stage.settle(wanted):
        return []
    late = [name for name, outcome in wanted.items() if not stage.stands_as(name, outcome)]
    return [
        _verdict(scenario, name, False, "expected all to be ready again afterwards; they are not", stage.words(name))
        for name in late
    ]


def _verdict(scenario: str, subject: str, holds: bool, text: str, details: tuple[str, ...] = ()) -> Verdict:
    return Verdict(scenario=scenario, subject=subject, holds=holds, text=text, details=details)


def _fullest_zone(stage: Stage) -> list[str]:
    zones = Counter(zone for pod in stage.watch.pods() if pod.ready and (zone := stage.zone_of(pod)))
    return [fullest({zone: zones[zone] for zone in stage.lab.zones})]


def _fullest_node(stage: Stage) -> list[str]:
    nodes = Counter(pod.node for pod in stage.watch.pods() if pod.ready)
    return [fullest({node.name: nodes[node.name] for node in stage.lab.nodes})]


SCENARIOS: Mapping[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario(name="steady", argument="", play=play_steady, choose=lambda stage: [""], known=lambda known: ()),
        Scenario(
            name="zone-loss",
            argument="ZONE",
            play=play_zone_loss,
            choose=_fullest_zone,
            known=lambda known: known.zones,
        ),
        Scenario(
            name="zone-cut",
            argument="ZONE",
            play=play_zone_cut,
            choose=_fullest_zone,
            known=lambda known: known.zones,
        ),
        Scenario(
            name="node-drain",
            argument="NODE",
            play=play_node_drain,
            choose=_fullest_node,
            known=lambda known: known.nodes,
        ),
        Scenario(
            name="rollout",
            argument="WORKLOAD",
            play=play_rollout,
            choose=lambda stage: list(stage.workloads),
            known=lambda known: known.workloads,
        ),
        Scenario(
            name="scale",
            argument="WORKLOAD:N",
            play=play_scale,
            choose=lambda stage: [f"{name}:{each.least_pods + 1}" for name, each in stage.workloads.items()],
            known=lambda known: known.workloads,
        ),
    )
}
ALL = "all"


def chosen_scenarios(texts: Iterable[str], known: Known) -> list[tuple[Scenario, str]]:
    """Return the scenarios that ``--scenario`` names, each with its argument, which may be empty.

    Raises:
        ConfigError: Scenarios or arguments are unknown; every such fault is in it.
    """
    found: list[tuple[Scenario, str]] = []
    problems = []
    for text in list(texts) or ["steady"]:
        name, equals, argument = text.partition("=")
        if name == ALL and not equals:
            found += [(scenario, "") for scenario in SCENARIOS.values()]
        elif fault := _fault(name, argument if equals else None, known):
            problems.append(Problem(path=f"--scenario {text}", reason=fault[0], fix=fault[1]))
        else:
            found.append((SCENARIOS[name], argument))
    if problems:
        raise ConfigError(problems)
    return found


def _fault(name: str, argument: str | None, known: Known) -> tuple[str, str] | None:
    """Return what is wrong with one scenario and how to mend it, or None."""
    if name == ALL:
        return "takes no argument", f"write --scenario {ALL}"
    if name not in SCENARIOS:
        names = [*SCENARIOS, ALL]
        return "no scenario has that name", suggestion(name, names, f"known are {', '.join(names)}")
    scenario = SCENARIOS[name]
    if argument is None:
        return None
    if not scenario.argument:
        return "takes no argument", f"write --scenario {name}"
    named, _, count = argument.partition(":") if ":" in scenario.argument else (argument, "", "")
    names = list(scenario.known(known))
    if named not in names:
        what = scenario.argument.partition(":")[0].lower()
        return f"this cluster has no {what} '{named}'", suggestion(named, names, f"known are {', '.join(names)}")
    if ":" in scenario.argument and not re.fullmatch(r"[0-9]{1,5}", count):
        says = f"has no count from 0 to 99999 in '{count}'" if count else "lacks the count"
        return says, f"write --scenario {name}={named}:3"
    return None


def play(stage: Stage, scenario: Scenario, argument: str) -> list[Verdict]:
    """Play one scenario; without an argument with those that it chooses itself.

    What does not run beforehand cannot be predicted, so then nothing is played, and that is a verdict.

    Raises:
        EffectError: Nodes fell silent that nobody cut off: the machine is too busy to judge by.
    """
    arguments = [argument] if argument else scenario.choose(stage)
    verdicts: list[Verdict] = []
    for each in arguments:
        ready = {name: Outcome(ready=stage.wanted(name)) for name in stage.workloads}
        if scenario.name != "steady" and not stage.settle(ready):
            title = f"{scenario.name}{'=' * bool(each)}{each}"
            verdicts.append(_verdict(title, "", False, "not played: not all pods are ready beforehand"))
            continue
        verdicts += scenario.play(stage, each)
        stage.lab.wait_for_nodes()
    return verdicts
