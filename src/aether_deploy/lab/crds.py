"""Definitions of the custom kinds that we render: the real ones, pinned, so that a real server judges those too.

They are files inside Go modules. One is looked for in the user's cache only, and Go brings it there.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import msgspec

from aether_deploy.lab.applying import MANAGER
from aether_deploy.lab.building import GO_FIX, NETWORK_FIX, BuildError, bring_once, say
from aether_deploy.lab.client import ApiError, Client
from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.programs import BRING, cache_folder
from aether_deploy.manifest.value import Manifest

_NOT_YET = (404, 429, 503)  # not listed yet, or "storage is (re)initializing"


class CustomKind(msgspec.Struct, frozen=True, kw_only=True):
    """One custom kind, and the file that defines it.

    Attributes:
        name: Name of its CustomResourceDefinition.
        api_version: What its objects say in ``apiVersion``.
        kind: What they say in ``kind``.
        module: The Go module that has the file.
        version: Version of the module, with its ``v``.
        hash: The module's hash, as go.sum has it; empty where no proxy of Go has the version, and the file is ours: a
            copy without what we never write.
        path: The file inside the module, or beside ours.
    """

    name: str
    api_version: str
    kind: str
    module: str
    version: str
    hash: str
    path: str

    @property
    def cached(self) -> Path:
        """Where the file belongs in the user's cache, whether it is there or not; or where it lies in this program."""
        if not self.hash:
            return _DEFINITIONS / self.path
        module = re.sub(r"/v\d+$", "", self.module).rpartition("/")[2]
        return cache_folder() / "crds" / module / self.version / Path(self.path).name


_DEFINITIONS = Path(__file__).parent / "definitions"
_OPERATOR = {
    "api_version": "monitoring.coreos.com/v1",
    "module": "github.com/prometheus-operator/prometheus-operator",
    "version": "v0.85.0",
    "hash": "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
}
CUSTOM_KINDS = (
    CustomKind(
        name="podmonitors.monitoring.coreos.com",
        kind="PodMonitor",
        path="example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml",
        **_OPERATOR,
    ),
    CustomKind(
        name="prometheusrules.monitoring.coreos.com",
        kind="PrometheusRule",
        path="example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
        **_OPERATOR,
    ),
    CustomKind(
        name="scaledobjects.keda.sh",
        api_version="keda.sh/v1alpha1",
        kind="ScaledObject",
        module="github.com/kedacore/keda/v2",
        version="v2.21.0",
        hash="h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps=",
        path="config/crd/bases/keda.sh_scaledobjects.yaml",
    ),
    CustomKind(
        name="externalsecrets.external-secrets.io",
        api_version="external-secrets.io/v1",
        kind="ExternalSecret",
        module="github.com/external-secrets/external-secrets",
        version="v0.20.4",
        hash="h1:HhNAjWfFEshhItphr28SGsHzf2bUP7uDAOVLg76uNAg=",
        path="config/crds/bases/external-secrets.io_externalsecrets.yaml",
    ),
    CustomKind(
        name="sealedsecrets.bitnami.com",
        api_version="bitnami.com/v1alpha1",
        kind="SealedSecret",
        module="github.com/bitnami-labs/sealed-secrets",
        version="v0.32.0",
        hash="h1:e/t+rIMMx0wvTo+/aq40t5lZHoe+kVASJ5oYHXZQWcU=",
        path="helm/sealed-secrets/crds/bitnami.com_sealedsecrets.yaml",
    ),
    CustomKind(
        name="dnsendpoints.externaldns.k8s.io",
        api_version="externaldns.k8s.io/v1alpha1",
        kind="DNSEndpoint",
        module="sigs.k8s.io/external-dns",
        version="v0.22.0",
        hash="h1:+ASJ3KF7DLqHo2LsG8Qinuh2J389MS86I19i/r8ewUc=",
        path="config/crd/standard/dnsendpoints.externaldns.k8s.io.yaml",
    ),
    CustomKind(
        name="postgresqls.acid.zalan.do",
        api_version="acid.zalan.do/v1",
        kind="postgresql",
        module="github.com/zalando/postgres-operator",
        version="v2.0.1",
        hash="",
        path="postgresqls.json",
    ),
)

_SOURCES = ("Bucket", "ExternalArtifact", "GitRepository", "HelmChart", "HelmRepository", "OCIRepository")
FLUX_KINDS = (
    *(
        CustomKind(
            name=f"{plural}.source.toolkit.fluxcd.io",
            api_version="source.toolkit.fluxcd.io/v1",
            kind=kind,
            module="github.com/fluxcd/source-controller",
            version="v1.7.3",
            hash="h1:gFfeBiNUgF0kFFGap/rrMeJqz+0Tod0ARENJO8w/UA8=",
            path=f"config/crd/bases/source.toolkit.fluxcd.io_{plural}.yaml",
        )
        for kind in _SOURCES
        if (plural := re.sub("y$", "ie", kind.lower()) + "s")
    ),
    CustomKind(
        name="kustomizations.kustomize.toolkit.fluxcd.io",
        api_version="kustomize.toolkit.fluxcd.io/v1",
        kind="Kustomization",
        module="github.com/fluxcd/kustomize-controller",
        version="v1.9.6",
        hash="h1:XB+G3A0mky0j5uVHZWv4oSlS2RvZBoNIUhstIvY0JKE=",
        path="config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml",
    ),
)
"""Flux's controllers start only where every kind is known that they watch, used or not."""

_ARGOCD = {
    "api_version": "argoproj.io/v1alpha1",
    "module": "github.com/argoproj/argo-cd/v3",
    "version": "v3.2.6",
    "hash": "h1:nDCjBnHyxUf6JFuCKjuuXHS23LFj6/TjuO/APrS1ku4=",
}
ARGOCD_KINDS = (
    CustomKind(
        name="applications.argoproj.io", kind="Application", path="manifests/crds/application-crd.yaml", **_ARGOCD
    ),
    CustomKind(
        name="applicationsets.argoproj.io",
        kind="ApplicationSet",
        path="manifests/crds/applicationset-crd.yaml",
        **_ARGOCD,
    ),
    CustomKind(name="appprojects.argoproj.io", kind="AppProject", path="manifests/crds/appproject-crd.yaml", **_ARGOCD),
)
ENGINE_KINDS = (*FLUX_KINDS, *ARGOCD_KINDS)
"""What the engines are told in; a control plane needs them only where an engine runs beside it."""


def custom_kind_of(manifest: Manifest) -> CustomKind | None:
    """Return the custom kind that a manifest is of; None where Kubernetes itself has its kind, or nobody knows it."""
    wanted = (manifest.api_version, manifest.kind)
    return next((each for each in (*CUSTOM_KINDS, *ENGINE_KINDS) if (each.api_version, each.kind) == wanted), None)


def find_definition(custom: CustomKind) -> Path | None:
    """Return the file that defines a custom kind, or None where it was never brought."""
    return custom.cached if custom.cached.is_file() else None


def bring_definition(custom: CustomKind) -> Path:
    """Put the file that defines a custom kind into the user's cache unless it is there, and return its path.

    Raises:
        BuildError: Go is missing, its module cannot be had, or is not the pinned one.
    """

    def copy(target: Path) -> None:
        partial = target.with_name(f".{target.name}.{os.getpid()}")
        partial.write_bytes((_module_folder(custom) / custom.path).read_bytes())
        partial.replace(target)

    return bring_once(custom.cached, f"{custom.name} {custom.version}", "seconds", copy)


def _module_folder(custom: CustomKind) -> Path:
    go = shutil.which("go")
    if go is None:
        raise BuildError(f"Go is missing, and {custom.name} is brought with it\n  fix: {GO_FIX}")
    wanted = f"{custom.module}@{custom.version}"
    with tempfile.TemporaryDirectory() as folder:  # outside of every module, whose replacements would count
        command = [go, "mod", "download", "-json", wanted]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    try:
        found = json.loads(done.stdout)
    except ValueError:
        found = {"Error": done.stderr.strip()}
    if done.returncode != 0 or "Dir" not in found:
        say(str(found.get("Error") or done.stderr.strip()))
        raise BuildError(f"`go mod download {wanted}` ended with exit code {done.returncode}\n  fix: {NETWORK_FIX}")
    if found["Sum"] != custom.hash:
        fix = "see which proxy the settings of Go name: it gives out another content for this version"
        raise BuildError(f"{wanted} has the hash {found['Sum']}, and {custom.hash} is pinned\n  fix: {fix}")
    return Path(found["Dir"])


def custom_kinds_of(manifests: Iterable[Manifest]) -> tuple[CustomKind, ...]:
    """Return the custom kinds that there are among ``manifests``, each once."""
    return tuple(dict.fromkeys(custom for each in manifests if (custom := custom_kind_of(each)) is not None))


def install_definitions(lab: ControlPlane, kinds: Iterable[CustomKind]) -> tuple[CustomKind, ...]:
    """Make custom kinds known to a control plane, as far as the cache has their definitions.

    Returns:
        The kinds that are known to it now: objects of them can be applied at once.

    Raises:
        EffectError: The server does not take a definition.
    """
    found = {custom: path for custom in kinds if (path := find_definition(custom)) is not None}
    for path in found.values():
        lab.client.apply(_read(path), manager=MANAGER, force=True)
    for custom in found:
        _wait_for(lab, custom)
    return tuple(found)


def _read(path: Path) -> dict[str, object]:
    import yaml

    # Those of Argo CD have 1.5 MB, for which the reader in Python takes ten seconds.
    body: dict[str, object] = yaml.load(path.read_text("utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return body


def _wait_for(lab: ControlPlane, custom: CustomKind) -> None:
    lab.wait_for(lambda: _is_known(lab.client, custom), f"the server knows {custom.kind}")


def _is_known(client: Client, custom: CustomKind) -> bool:
    try:
        client.list(custom.api_version, custom.kind)
    except ApiError as error:
        if error.status in _NOT_YET:
            return False
        raise
    return True


def how_to_judge(manifest: Manifest) -> str | None:
    """Return what lets a control plane know the manifest's kind, where a definition is pinned and not brought."""
    custom = custom_kind_of(manifest)
    if custom is None or find_definition(custom) is not None:
        return None
    return f"`{BRING} {custom.name}` brings its definition"
