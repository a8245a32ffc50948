"""What a model of the autoscaler makes of what a real one saw, next to what the real one did."""

import copy
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from aether_deploy.lab.syncs import ObservedSync, Pods
from aether_deploy.scaling.controller.policy import HpaPolicy
from aether_deploy.scaling.controller.proposals import Failure, Proposal
from aether_deploy.scaling.controller.reasons import Sync
from aether_deploy.scaling.controller.reconcile import HpaController
from aether_deploy.scaling.controller.seen import PodSeen, Reading, Seen
from tests.scaling_traces import Played


class Judged(NamedTuple):
    """What the model makes of what the autoscaler saw.

    Attributes:
        faults: Where both differ, a line each.
        counts: The counts that the model comes to, one for each sync.
        doubtful: How many syncs were only told from others by what the autoscaler did: pods changed just then, or
            something was just as old as a window.
        shown: What happened: reasons of the model (``Stabilized``), ratios (``at 1.0``), and pods that are ``missing``
            (run and are not scraped), ``pending``, ``unready`` (and served), ``ending``, or ``ending, and served``.
    """

    faults: list[str]
    counts: list[int]
    doubtful: int
    shown: set[str]


def judge(played: Played, *, kubernetes: str = "v1.37") -> Judged:
    """Sync a model with what the autoscaler saw at each sync, and compare what both do."""
    policy = HpaPolicy.from_manifest(played.autoscaler, kubernetes=kubernetes)
    first = played.syncs[0]
    model = HpaController(policy, history=[(first.read_secs, first.spec_replicas)])
    faults, counts, doubtful, shown, late = [], [], 0, set[str](), 0.0
    for number, sync in enumerate(played.syncs):
        views = [sync.pods, *(view for view in sync.pod_views if view != sync.pods)]
        seen = next((each for each in (_seen(policy, sync, v) for v in views) if _proposes(policy, each, sync)), None)
        after, at_once, model = _synced(model, sync, seen or _seen(policy, sync, sync.pods), late)
        late = max(late, sync.done_secs - sync.at_secs)
        doubtful += not at_once or (seen is not None and seen.pods != _pods(sync.pods))
        counts.append(after.replicas)
        shown |= set(_shown_by(after)) | set(_shown_of(sync))
        said = f"sync {number}: {sync.spec_replicas} pods, {_described(sync)}"
        if seen is None:
            faults.append(f"{said}: proposed {sync.proposed}, and the model {_proposals(after.proposals)}")
        if after.replicas != sync.desired:
            faults.append(f"{said}: became {sync.desired}, and the model {after.replicas} ({after.steps})")
    return Judged(faults, counts, doubtful, shown)


def _synced(model: HpaController, sync: ObservedSync, seen: Seen, late_secs: float) -> tuple[Sync, bool, HpaController]:
    """Return what the model does, whether it is what was done, and the model afterwards.

    The autoscaler looked at its clock a moment after what is on record, now and before, so that what was as old as
    a window may have been a little younger or older.
    """
    moments = (sync.at_secs, sync.done_secs, sync.at_secs - late_secs)
    tried = []
    for moment in moments:
        one = copy.deepcopy(model)
        tried.append((one.sync(moment, seen, written_secs=sync.written_secs), one))
        if tried[-1][0].replicas == sync.desired:
            return tried[-1][0], moment == sync.at_secs, one
    return tried[0][0], True, tried[0][1]


def _shown_by(after: Sync) -> Iterator[str]:
    yield from (type(step).__name__ for step in after.steps)
    for each in after.proposals:
        if isinstance(each, Proposal):
            yield f"at {each.ratio}"
            yield each.kept


def _shown_of(sync: ObservedSync) -> Iterator[str]:
    if sync.status_replicas > sync.spec_replicas:
        yield "more than wanted"
    for pod in sync.pods:
        if pod.phase == "Pending":
            yield "pending"
        elif pod.terminating:
            yield "ending" if pod.value_milli is None else "ending, and served"
        elif pod.value_milli is None:
            yield "missing"
        elif not pod.ready:
            yield "unready"


def _proposes(policy: HpaPolicy, seen: Seen, sync: ObservedSync) -> bool:
    """Return whether the model proposes what the autoscaler did, without a memory of anything."""
    if sync.proposed is None:
        return True
    steps = HpaController(policy).sync(0, seen).steps
    return bool(steps) and steps[0].replicas == sync.proposed


def _seen(policy: HpaPolicy, sync: ObservedSync, pods: Pods) -> Seen:
    values: dict[str, Reading] = {}
    for metric, answer in zip(policy.metrics, sync.answers, strict=True):
        if answer.values is not None:
            values[metric.key] = dict(answer.values) if answer.source == "Pods" else list(answer.values.values())
    return Seen(spec_replicas=sync.spec_replicas, status_replicas=sync.status_replicas, pods=_pods(pods), values=values)


def _pods(pods: Pods) -> list[PodSeen]:
    return [PodSeen(name=pod.name, phase=_phase(pod.phase), ready=pod.ready, deleting=pod.terminating) for pod in pods]


def _phase(phase: str) -> Any:
    return phase


def _described(sync: ObservedSync) -> str:
    answers = {answer.metric: answer.values for answer in sync.answers}
    pods = [f"{pod.name} {pod.phase}{' ending' if pod.terminating else ''}" for pod in sync.pods]
    return f"status {sync.status_replicas}, served {answers}, pods {pods}"


def _proposals(proposals: Iterable[Any]) -> list[object]:
    return [each.why if isinstance(each, Failure) else each.replicas for each in proposals]
