"""The law that a change is held to after it was played: what the diff predicted is what happened."""

from collections.abc import Callable, Iterator, Sequence

from msgspec import UNSET

from aether_deploy.gitops.diff.changes import Change, Effect, ObjectKey
from aether_deploy.gitops.diff.folder import WORKLOADS
from aether_deploy.gitops.diff.pods import pod_count, replacement_of
from aether_deploy.lab.watching import Pod
from tests.diff_stage import Played, bare


def contradictions(played: Played) -> list[str]:
    """Return where a prediction and what happened differ, a line each."""
    if played.unsettled:
        return [played.unsettled]
    return [fault for law in LAWS for fault in law(played)]


def _by_key(played: Played) -> dict[ObjectKey, list[Change]]:
    found: dict[ObjectKey, list[Change]] = {}
    for change in played.diff.changes:
        found.setdefault(change.key, []).append(change)
    return found


def _refusals(played: Played) -> Iterator[str]:
    said = {change.key for change in played.diff.changes if change.effect is Effect.REFUSED}
    yield from (f"{key}: refused, and nothing said so" for key in sorted(played.refused - said))
    yield from (f"{key}: said to be refused, and was taken" for key in sorted(said - played.refused))
    yield from (f"{key}: refused, and yet changed" for key in sorted(played.refused & played.changed()))


def _objects_come_and_go(played: Played) -> Iterator[str]:
    ways = {Effect.ADDED: "new", Effect.REMOVED: "gone"}
    gone = {key for key in played.before.objects if key not in played.after.objects}
    new = {key for key in played.after.objects if key not in played.before.objects}
    said: dict[str, set[ObjectKey]] = {"new": set(), "gone": set()}
    for change in played.diff.changes:
        passes = ways.get(change.effect) or ("gone" if change.effect is Effect.DATA and not change.fields else None)
        if passes is not None:
            said[passes] |= {change.key, *change.more}
    renamed = {key for change in played.diff.changes if "renamed to" in "".join(change.says) for key in new}
    yield from (f"{key}: gone, and nothing said so" for key in sorted(gone - said["gone"]))
    yield from (
        f"{key}: said to be gone, and is there" for key in sorted(said["gone"] - gone) if key.kind != "Namespace"
    )
    yield from (f"{key}: new, and nothing said so" for key in sorted(new - said["new"] - renamed))
    yield from (f"{key}: said to be new, and was not" for key in sorted(said["new"] - new))


def _changes_are_told(played: Played) -> Iterator[str]:
    said = {
        change.key
        for change in played.diff.changes
        if change.fields and change.effect not in (Effect.REFUSED, Effect.HAND_OVER) and "keeps" not in str(change.says)
    }
    said |= {change.key for change in played.diff.changes if change.effect is Effect.HAND_OVER} & played.changed()
    raw = {
        key for key, body in played.before.objects.items() if played.after.objects.get(key, body) != body
    }  # a waiver alone is told, too
    follows = {key for key in played.changed() if key.kind in WORKLOADS and _only_replicas(played, key)}
    yield from (f"{key}: changed, and nothing said so" for key in sorted(played.changed() - said - follows))
    yield from (f"{key}: said to change, and did not" for key in sorted(said - raw - played.refused))


def _only_replicas(played: Played, key: ObjectKey) -> bool:
    """Return whether nothing but the count changed, which its autoscaler writes."""
    before, after = (bare(state.objects[key]) for state in (played.before, played.after))
    return {**before, "spec": {**before["spec"], "replicas": 0}} == {**after, "spec": {**after["spec"], "replicas": 0}}


def _pods_are_replaced(played: Played) -> Iterator[str]:
    for key in played.new:
        if key.kind not in WORKLOADS or key not in played.before.objects:
            continue
        rolls = [each for each in _by_key(played).get(key, []) if each.effect is Effect.ROLLS]
        replaced = played.replaced(key)
        if bool(rolls) != bool(replaced) and not _may_roll(played, key):
            said = "rolls" if rolls else "does not roll"
            yield f"{key}: {said}, and these were replaced: {[pod.name for pod in replaced]}"
        if rolls:
            yield from _replacement(played, key, replaced)


def _may_roll(played: Played, key: ObjectKey) -> bool:
    """Return whether the diff cannot know, and says so: pods may run older templates."""
    return any("older template" in line for each in _by_key(played).get(key, []) for line in each.says)


def _replacement(played: Played, key: ObjectKey, replaced: list[Pod]) -> Iterator[str]:
    found = replacement_of(played.old[key], played.new[key])
    count = min(len(replaced), played.after.wanted(key) or 0)  # a Deployment that shrinks ends more than it replaces
    if not found.pods.least <= count <= found.pods.most:
        yield f"{key}: {found.pods} are to be replaced, and {count} were"
    ordinals = [pod.ordinal for pod in replaced]
    if key.kind == "StatefulSet" and ordinals != sorted(ordinals, key=lambda each: -(each or 0)):
        yield f"{key}: replaced in the order {ordinals}"
    away, more = played.most_away(key), played.most_more(key)
    if away > found.away or (found.away and not away):
        yield f"{key}: {found.away} are to be away at once, and {away} were"
    # The count is kept by ReplicaSets: a pod may be made here before another one, given up already, is deleted there.
    if more > found.more + found.at_once:
        yield f"{key}: {found.more} more are to run meanwhile, and {more} did"


def _counts_follow(played: Played) -> Iterator[str]:
    """A count changes only where a change of scale is told, of the workload or of its autoscaler."""
    for key in played.new:
        old, new = played.before.wanted(key) if key.kind in WORKLOADS else None, None
        if old is None or key not in played.after.objects:
            continue
        new = played.after.wanted(key)
        effects = {each.effect for each in played.diff.changes if _is_of(each, key)}
        told = effects & {Effect.SCALES, Effect.HAND_OVER, Effect.DATA, Effect.ADDED, Effect.REMOVED}
        if old != new and not told:
            yield f"{key}: from {old} to {new} pods, and nothing said so"


def _is_of(change: Change, workload: ObjectKey) -> bool:
    return change.key.namespace == workload.namespace and (
        change.key == workload or (change.key.kind not in WORKLOADS and change.key.name == workload.name)
    )


def _hands_change(played: Played) -> Iterator[str]:
    """A count that nobody else holds falls to one, and the autoscaler lifts it to its least, maybe before pods end."""
    for change in played.diff.changes:
        if change.effect is Effect.HAND_OVER and change.fields[0].after is UNSET:
            ran, least = played.before.wanted(change.key) or 0, pod_count(played.new[change.key]).least
            ended, now = len(played.watch.ended(change.key.name, played.since)), played.after.wanted(change.key)
            if now != least or ended < ran - least:
                yield f"{change.key}: is to fall from {ran} to 1, then be {least}; {ended} ended, now it is {now}"


def _claims_stay(played: Played) -> Iterator[str]:
    """A claim goes, or comes to go with what owns it, only where data is said to be at risk."""
    told = any(each.effect is Effect.DATA for each in played.diff.changes)
    lost = {name for name, uid in played.before.claims.items() if played.after.claims.get(name) != uid}
    doomed = played.after.owned - played.before.owned
    if (lost or doomed) and not told:
        yield f"claims are lost ({sorted(lost)}) or go with their pods ({sorted(doomed)}), and nothing said so"
    used = {f"wal-{name}" for name in played.before.pods} & set(played.before.claims)
    left = {name for name in used if name in played.after.claims and name.removeprefix("wal-") not in played.after.pods}
    ended = {change.key.name for change in played.diff.changes if change.effect in (Effect.SCALES, Effect.HAND_OVER)}
    left = {name for name in left if not any(name.startswith(f"wal-{each}-") for each in ended)}
    if left and not told:
        yield f"claims are left behind, and nothing said so: {sorted(left)}"


LAWS: Sequence[Callable[[Played], Iterator[str]]] = (
    _refusals,
    _objects_come_and_go,
    _changes_are_told,
    _pods_are_replaced,
    _counts_follow,
    _hands_change,
    _claims_stay,
)
