"""Ways out as commands: what gets a change done that a cluster refuses, or that would lose pods or data.

They are for bash, in one piece: they look before they delete, and stop at the first failure, with the engine still
held. Each was run on a real control plane; see ``tests/test_diff_ways_out.py``.
"""

from collections.abc import Mapping
from shlex import quote

import msgspec

from aether_deploy.gitops.diff.changes import ObjectKey
from aether_deploy.gitops.layout import file_name

BEGIN, END = "( set -eo pipefail", ")"
HAND_OVER = "aether-handover"
"""Field manager that keeps a count of replicas alive while its owner changes."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a workload's files lie, and how its engine is held still meanwhile.

    Attributes:
        folder: The workload's folder, from where the commands are given: ``deploy/prod/clusters/us-east-1/…``.
        suspend: Commands that stop the engine; none where nothing applies the tree by itself.
        resume: Commands that let it go on.
        manager: Field manager by which the engine applies; commands use it too, or a field that Git drops later
            would stay, because they own it still.
        sums: The SHA-256 of the folder's files as they are to be, by name, as far as they are known.
    """

    folder: str
    suspend: tuple[str, ...] = ()
    resume: tuple[str, ...] = ()
    manager: str = "kubectl"
    sums: Mapping[str, str] = {}

    def around(self, file: str, *commands: str) -> list[str]:
        """Return ``commands`` with the engine held still around them, if the folder's ``file`` is the new one."""
        path, known = f"{self.folder}/{file}", self.sums.get(file)
        check = f"test -f {quote(path)}"
        if known is not None:
            check = f"""echo {quote(f"{known}  {path}")} | sha256sum --check --quiet -"""
        published = "published to the engine's branch and " if self.suspend else ""
        return [
            BEGIN,
            *self.suspend,
            f"# the change must now be {published}rendered here; the next line checks that",
            check,
            *commands,
            *self.resume,
            END,
        ]

    def apply(self) -> str:
        """Return the command that applies the folder as the engine would."""
        manager = "" if self.manager == "kubectl" else f" --field-manager={self.manager}"
        return f"kubectl apply --server-side --force-conflicts{manager} -k {quote(self.folder)}"


def recreate_workload(key: ObjectKey, place: Place, *, autoscaled: bool) -> list[str]:
    """Return how a StatefulSet is made anew without losing a pod: the pods are orphaned and adopted.

    Args:
        key: The StatefulSet.
        place: Where its file lies.
        autoscaled: Whether Git leaves the count to an autoscaler. Then it is carried over first: an object that is
            applied without ``spec.replicas`` gets one, and pods would end before the autoscaler acts. Who carried it
            keeps nothing but the count, until the autoscaler writes it.
    """
    name, namespace, kind = quote(key.name), quote(key.namespace), key.kind.lower()
    file = quote(f"{place.folder}/{kind}.yaml")
    delete = f"kubectl -n {namespace} delete {kind} {name} --cascade=orphan"
    if not autoscaled:
        return place.around(f"{kind}.yaml", delete, place.apply())
    return place.around(
        f"{kind}.yaml",
        f"n=$(kubectl -n {namespace} get {kind} {name} -o jsonpath={{.spec.replicas}})",
        'test "$n" -ge 0',
        delete,
        f'kubectl patch --local -f {file} --type=merge -p "{{\\"spec\\":{{\\"replicas\\":$n}}}}" -o yaml | '
        f"kubectl apply --server-side --field-manager={HAND_OVER} -f -",
        place.apply(),
        *hand_over_to_autoscaler(key),
    )


def recreate_object(key: ObjectKey, place: Place) -> list[str]:
    """Return how an object is made anew that has no pods to keep."""
    namespace = f"-n {quote(key.namespace)} " if key.namespace else ""
    return place.around(
        file_name(key.kind, key.name, place.folder.rpartition("/")[2]),
        f"kubectl {namespace}delete {key.kind.lower()} {quote(key.name)}",
        place.apply(),
    )


def hand_over_to_autoscaler(key: ObjectKey) -> list[str]:
    """Return how Git gives up a count of replicas without it falling to one.

    Under server-side apply a field that its only owner leaves out goes back to its default, so another owner takes it
    first. Source: Kubernetes documentation, "Server-Side Apply", Transferring ownership.
    """
    name, namespace, kind = quote(key.name), quote(key.namespace), key.kind.lower()
    body = (
        f'{{\\"apiVersion\\":\\"apps/v1\\",\\"kind\\":\\"{key.kind}\\",\\"metadata\\":{{\\"name\\":\\"{key.name}\\"}},'
    )
    body += '\\"spec\\":{\\"replicas\\":${n:?}}}'
    return [
        f"n=$(kubectl -n {namespace} get {kind} {name} -o jsonpath={{.spec.replicas}})",
        f'echo "{body}" | kubectl -n {namespace} apply --server-side --field-manager={HAND_OVER} '
        "--force-conflicts --validate=false -f -",
    ]


def hand_over_last_applied(key: ObjectKey) -> list[str]:
    """Return the same for objects that were applied on the client's side: their record forgets the count first.

    Source: Kubernetes documentation, "Migrating Deployments and StatefulSets to horizontal autoscaling".
    """
    command = f"kubectl -n {quote(key.namespace)} apply edit-last-applied {key.kind.lower()}/{quote(key.name)}"
    return [f"# instead, where it was applied without --server-side, delete replicas from the record: {command}"]


def move_volumes(old: ObjectKey, new: ObjectKey, claims: tuple[str, ...], place: Place) -> list[str]:
    """Return how a renamed StatefulSet gets the volumes of its old name.

    A claim cannot be renamed: each volume is kept and released, and a claim with the new name takes it, before the new
    StatefulSet would make empty ones.

    Args:
        old: The StatefulSet as it was called.
        new: As it is called now.
        claims: Names of its claim templates.
        place: Where the files of the new one lie.
    """
    namespace, name = quote(old.namespace), quote(old.name)
    keep = """'{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Retain","whenScaled":"Retain"}}}'"""
    pairs = [(f"{claim}-{old.name}", f"{claim}-{new.name}") for claim in claims]
    return place.around(
        f"{new.kind.lower()}.yaml",
        *(_retain_volumes(namespace, claim) for claim, _ in pairs),
        f"kubectl -n {namespace} patch statefulset {name} --type=merge -p {keep}",
        f"kubectl -n {namespace} delete statefulset {name} --cascade=foreground",
        *(_move_claims(namespace, *pair) for pair in pairs),
        place.apply(),
        "# the volumes stay on the reclaim policy Retain",
    )


def _each_claim(namespace: str, claim: str) -> tuple[str, ...]:
    """Return the first lines of a loop over all claims of a template: ``$i`` is the ordinal, ``$pv`` the volume."""
    get = f"kubectl -n {namespace} get pvc"
    return (
        f"ordinals=$({get} -o name | sed -n 's|.*/{claim}-\\([0-9]*\\)$|\\1|p')",
        'test -n "$ordinals"',
        "for i in $ordinals; do",
        f"  pv=$({get} {claim}-$i -o jsonpath={{.spec.volumeName}})",
        '  test -n "$pv"',
    )


def _retain_volumes(namespace: str, claim: str) -> str:
    """Return what keeps the volumes of a claim template whatever happens to their claims."""
    retain = """'{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}'"""
    return "\n".join(
        (
            *_each_claim(namespace, claim),
            f"  kubectl patch pv $pv -p {retain}",
            '  test "$(kubectl get pv $pv -o jsonpath={.spec.persistentVolumeReclaimPolicy})" = Retain',
            "done",
        )
    )


def _move_claims(namespace: str, old: str, new: str) -> str:
    """Return what has claims of a new name take the volumes of the old ones."""
    metadata = f"""{{"name":"{new}-'$i'","namespace":"{namespace}"}}"""
    patch = f"""'[{{"op":"replace","path":"/metadata","value":{metadata}}},{{"op":"remove","path":"/status"}}]'"""
    release = """'[{"op":"remove","path":"/spec/claimRef"}]'"""
    return "\n".join(
        (
            *_each_claim(namespace, old),
            f"  claim=$(kubectl -n {namespace} get pvc {old}-$i -o json | "
            f"kubectl patch --local -f - --type=json -p {patch} -o json)",
            f"  kubectl -n {namespace} delete pvc {old}-$i",
            f"  kubectl patch pv $pv --type=json -p {release}",
            '  echo "$claim" | kubectl create -f -',
            "done",
        )
    )
