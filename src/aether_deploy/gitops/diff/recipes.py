"""Ways out as commands: what gets a change done that a cluster refuses, or that would lose pods or data.

Each was run on a real control plane; see ``tests/test_diff_ways_out.py``.
"""

from shlex import quote

import msgspec

from aether_deploy.gitops.diff.changes import ObjectKey

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
    """

    folder: str
    suspend: tuple[str, ...] = ()
    resume: tuple[str, ...] = ()
    manager: str = "kubectl"

    def around(self, *commands: str) -> list[str]:
        """Return ``commands`` with the engine held still around them."""
        return [*self.suspend, *commands, *self.resume]

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
        return place.around(delete, place.apply())
    return place.around(
        f"n=$(kubectl -n {namespace} get {kind} {name} -o jsonpath={{.spec.replicas}})",
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
    body += '\\"spec\\":{\\"replicas\\":$n}}'
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
    namespace = quote(old.namespace)
    return place.around(
        f"kubectl -n {namespace} delete statefulset {quote(old.name)} --cascade=foreground",
        *(_move_claims(namespace, f"{claim}-{old.name}", f"{claim}-{new.name}") for claim in claims),
        place.apply(),
    )


def _move_claims(namespace: str, old: str, new: str) -> str:
    get = f"kubectl -n {namespace} get pvc"
    metadata = f"""{{"name":"{new}-'$i'","namespace":"{namespace}"}}"""
    patch = f"""'[{{"op":"replace","path":"/metadata","value":{metadata}}},{{"op":"remove","path":"/status"}}]'"""
    retain = """'{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}'"""
    release = """'[{"op":"remove","path":"/spec/claimRef"}]'"""
    return "\n".join(
        (
            f"for i in $({get} -o name | sed -n 's|.*/{old}-\\([0-9]*\\)$|\\1|p'); do",
            f"  pv=$({get} {old}-$i -o jsonpath={{.spec.volumeName}})",
            f"  kubectl patch pv $pv -p {retain}",
            f"  {get} {old}-$i -o json | kubectl patch --local -f - --type=json -p {patch} -o json > {new}-$i.json",
            f"  kubectl -n {namespace} delete pvc {old}-$i",
            f"  kubectl patch pv $pv --type=json -p {release}",
            f"  kubectl create -f {new}-$i.json",
            "done",
        )
    )
