"""Flux: for each cluster, the repository and one Kustomization for each piece, in the order of the stages.

Sources: Flux, ``docs/spec/v1/kustomizations.md`` of kustomize-controller and ``docs/spec/v1/gitrepositories.md`` of
source-controller.
"""

from collections.abc import Sequence
from typing import Any

from aether_deploy.gitops.engines.objects import engine_object
from aether_deploy.gitops.layout import folder_files
from aether_deploy.gitops.pieces import Piece, RenderedCluster, piece_name_of, pieces_of
from aether_deploy.gitops.stages import DATA, HEALTHY_FIRST, WORKLOADS, stages_before
from aether_deploy.gitops.tree import Unit
from aether_deploy.manifest.value import Manifest
from aether_deploy.platform.config import Platform
from aether_deploy.quantities import canonical_duration

_REPOSITORY = ("source.toolkit.fluxcd.io/v1", "GitRepository")
_KUSTOMIZATION = ("kustomize.toolkit.fluxcd.io/v1", "Kustomization")
_INTERVAL, _RETRY = "10m0s", "2m0s"


def render_units(platform: Platform, clusters: Sequence[RenderedCluster]) -> tuple[Unit, ...]:
    """Return a unit of Flux's objects for each cluster; Flux runs in the cluster that it writes to.

    Their folders have no kustomization.yaml: Flux makes one itself, and keeps its own objects beside ours.
    """
    return tuple(_unit(platform, each) for each in clusters)


def _unit(platform: Platform, rendered: RenderedCluster) -> Unit:
    cluster = rendered.cluster.site.cluster
    pieces = pieces_of(rendered)
    manifests = [_repository(platform), *(_kustomization(platform, rendered, piece, pieces) for piece in pieces)]
    return Unit(
        path=f"{platform.environment}/engine/flux/{cluster}",
        name=platform.name,
        environment=platform.environment,
        cluster=cluster,
        files=tuple(folder_files("", manifests, leaf=cluster, kustomized=False)),
    )


def _repository(platform: Platform) -> Manifest:
    flux = platform.gitops.flux
    spec: dict[str, Any] = {
        "interval": canonical_duration(flux.interval_secs),
        "url": platform.gitops.repo,
        "ref": {"branch": platform.gitops.revision},
    }
    if flux.secret is not None:
        spec["secretRef"] = {"name": flux.secret}
    return engine_object(platform, _REPOSITORY, flux.namespace, platform.name, spec)


def _kustomization(platform: Platform, rendered: RenderedCluster, piece: Piece, pieces: Sequence[Piece]) -> Manifest:
    """Return what applies one piece.

    Its deletion leaves the objects: a cluster's folder that is renamed or removed takes nothing along.
    """
    earlier = set(stages_before(piece.stage, frozenset(each.stage for each in pieces)))
    before = [{"name": _name(platform, each)} for each in pieces if each.stage in earlier]
    spec: dict[str, Any] = {"dependsOn": before} if before else {}
    spec |= {
        "interval": _INTERVAL,
        "retryInterval": _RETRY,
        "timeout": canonical_duration(platform.gitops.flux.timeout_secs),
        "sourceRef": {"kind": _REPOSITORY[1], "name": platform.name},
        "path": f"./{platform.gitops.path}/{rendered.path}/{piece.folder}",
        "prune": True,
        # What nothing waits for is not waited for: a world that is Pending would hold up the next commit.
        "wait": piece.stage in HEALTHY_FIRST,
        "deletionPolicy": "Orphan",
    }
    if platform.secrets.provider == "sops" and piece.stage in (DATA, WORKLOADS):
        key = platform.secrets.sops_key_secret
        spec["decryption"] = {"provider": "sops"} | ({"secretRef": {"name": key}} if key is not None else {})
    return engine_object(platform, _KUSTOMIZATION, platform.gitops.flux.namespace, _name(platform, piece), spec)


def _name(platform: Platform, piece: Piece) -> str:
    return f"{platform.namespace}-{piece.name}"


def commands_around(platform: Platform, cluster: str, folder: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the commands that suspend the Kustomization of a folder, and resume it.

    The field manager has a name of its own: Flux takes back what a manager ``kubectl`` has set in objects of Flux.
    """
    name = piece_name_of(platform, folder)
    patch = f"kubectl -n {platform.gitops.flux.namespace} patch kustomizations.kustomize.toolkit.fluxcd.io "
    patch += f'{platform.namespace}-{name} --type=merge --field-manager=aether-hold -p \'{{"spec":{{"suspend":%s}}}}\''
    return (patch % "true",), (patch % "false",)
