"""Objects go to an API server as an engine would send them, and are compared with what came of them."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from aether_deploy.lab.client import ApiError, Client
from aether_deploy.manifest.comparison import Difference, differences
from aether_deploy.manifest.value import Manifest

MANAGER = "aether-deploy"
APPLIERS = (MANAGER, "kubectl", "kubectl-client-side-apply", "argocd-controller", "kustomize-controller")
"""Field managers that apply a tree; each takes fields over from the others."""

ENGINE_MARKS = (
    "argocd.argoproj.io/installation-id",
    "argocd.argoproj.io/tracking-id",
    "kustomize.toolkit.fluxcd.io/name",
    "kustomize.toolkit.fluxcd.io/namespace",
)
"""Labels and annotations by which engines know again what they applied; they put them on beside what is rendered."""

_HTTP_CONFLICT = 409
BY_SERVER = ("creationTimestamp", "uid", "resourceVersion", "generation", "managedFields")
"""Fields of ``metadata`` that only a server writes."""


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one object.

    Attributes:
        manifest: What was sent.
        live: What was there then; None where the server did not take it.
        refused: Why it did not.
        unjudged: Why nobody could judge it: its kind or its namespace is not there, or it is encrypted.
        warnings: What the server warned of.
        differences: What it dropped or rewrote.
        conflicts: Fields of ours that somebody else has changed there, beside engines and ``kubectl apply``.
    """

    manifest: Manifest
    live: dict[str, Any] | None = None
    refused: str | None = None
    unjudged: str | None = None
    warnings: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    conflicts: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether it was taken as it is, without a warning."""
        return not self.faults()

    @property
    def title(self) -> str:
        """Kind and name, as messages show them."""
        namespace = self.manifest.namespace
        name = self.manifest.name if namespace is None else f"{namespace}/{self.manifest.name}"
        return f"{self.manifest.kind} {name}"

    def faults(self) -> list[str]:
        """Return everything that is wrong, a line each."""
        said = [f"{self.title}: refused: {self.refused}"] if self.refused else []
        said += [f"{self.title}: {conflict}" for conflict in self.conflicts]
        said += [f"{self.title}: warning: {warning}" for warning in self.warnings]
        return said + [f"{self.title}: {difference}" for difference in self.differences]


def apply_manifests(client: Client, manifests: Iterable[Manifest], *, dry_run: bool = False) -> list[Applied]:
    """Apply every manifest on the server's side with strict validation; with ``dry_run`` nothing is stored.

    A refusal ends nothing: what happened to each is in the result, in the order given.
    """
    return [_apply(client, manifest, dry_run=dry_run) for manifest in manifests]


def _apply(client: Client, manifest: Manifest, *, dry_run: bool) -> Applied:
    conflicts: tuple[str, ...] = ()
    if decrypted_by_engine(manifest.body):
        return Applied(manifest=manifest, unjudged="sops encrypted it, and an engine decrypts it before it applies it")
    try:
        try:
            answer = client.apply(manifest.body, manager=MANAGER, dry_run=dry_run)
        except ApiError as error:
            if not dry_run or error.status != _HTTP_CONFLICT:
                raise
            # Engines take fields over from each other; what else has them is worth a word before anything ships.
            conflicts = tuple(_conflicts(error))
            answer = client.apply(manifest.body, manager=MANAGER, force=True, dry_run=True)
    except ApiError as error:
        if error.status == 401:
            raise
        if error.status == 404:
            return Applied(manifest=manifest, unjudged=_absent(error, manifest))
        return Applied(manifest=manifest, refused=str(error.body.get("message") or error))
    found = tuple(differences(manifest.body, answer.body))
    return Applied(
        manifest=manifest, live=answer.body, warnings=answer.warnings, differences=found, conflicts=conflicts
    )


def decrypted_by_engine(body: Mapping[str, Any]) -> bool:
    """Return whether an object is a Secret that sops encrypted: a server takes only what an engine makes of it."""
    return body["kind"] == "Secret" and "sops" in body


def _conflicts(error: ApiError) -> Iterator[str]:
    for cause in (error.body.get("details") or {}).get("causes", ()):
        owner = re.search(r'"([^"]+)"', cause.get("message", ""))
        if owner is not None and owner[1] not in APPLIERS:
            yield f"{cause.get('field', '').lstrip('.')}: changed by {owner[1]}, which owns it"


def _absent(error: ApiError, manifest: Manifest) -> str:
    details = error.body.get("details") or {}
    if details.get("kind") == "namespaces":
        return f"the namespace {manifest.namespace} is not there yet"
    return f"the server does not know {manifest.kind} of {manifest.api_version}"


def ownership(live: dict[str, Any]) -> dict[str, Any]:
    """Return what a second apply must leave as it is: the generation, and the fields that are ours."""
    metadata = live["metadata"]
    ours = [
        {"operation": each["operation"], "fields": each["fieldsV1"]}
        for each in metadata.get("managedFields", ())
        if each["manager"] == MANAGER and not each.get("subresource")
    ]
    return {"generation": metadata.get("generation"), "managed": ours}


def changed_by_second_apply(client: Client, first: Iterable[Applied]) -> list[str]:
    """Apply everything again that was taken, and return the titles of what that changed."""
    changed = []
    for applied in first:
        if applied.live is not None:
            before = client.request("GET", client.path_to(applied.manifest.body)).body
            again = _apply(client, applied.manifest, dry_run=False).live
            if again is None or ownership(again) != ownership(before):
                changed.append(applied.title)
    return changed
