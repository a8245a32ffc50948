"""From values to a tree: our pipeline and command line against PyYAML and ``kubectl kustomize``, in one run.

Whole commands are run as processes, in turn with their peer; figures are medians. Kustomize is quadratic in
objects, so it is measured on small trees and extrapolated by the parabola through its measurements.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from aether_deploy.fleet.bundle import render_workload
from aether_deploy.fleet.config import DeploymentConfig
from aether_deploy.manifest.yaml_text import to_yaml
from aether_deploy.pods.surroundings import Surroundings

ROUNDS = 5


def description(worlds: int) -> dict[str, Any]:
    """Return a description of ``worlds`` world servers, each with a full bundle of eight objects."""
    return {
        "name": "aether",
        "kubernetes": "v1.37",
        "regions": [{"code": "us-east-1", "zones": ["us-east-1a", "us-east-1b", "us-east-1c"]}],
        "worlds": [_world(number) for number in range(worlds)],
    }


def _world(number: int) -> dict[str, Any]:
    return {
        "name": f"world-{number:05d}",
        "image": f"registry.example.com/aether/world-server:v1.2.{number}@sha256:{number:064x}",
        "ports": [{"name": "game", "port": 7777, "protocol": "UDP"}],
        "resources": {"cpu_request": "500m", "cpu_limit": "2", "memory_request": "1Gi", "memory_limit": "4Gi"},
        "pvc": {"size": "10Gi", "mount_path": "/data/wal"},
        "env": {"WORLD_ID": f"{number:07x}", "WORLD_TICK_HZ": "30"},
        "config_files": [{"name": "world.toml", "path": "/etc/aether/world.toml", "text": f"[world]\nid = {number}\n"}],
        "scaling": {"target_players_per_pod": 50, "min_replicas": 2, "max_replicas": 20},
    }


def smallest() -> dict[str, Any]:
    """Return the smallest description that there is."""
    return {
        "name": "aether",
        "kubernetes": "v1.37",
        "regions": [{"code": "us-east-1", "zones": ["us-east-1a", "us-east-1b", "us-east-1c"]}],
        "worlds": [{"name": "world-server", "image": "aether/world-server:v1.2.0", "pvc": {"size": "10Gi"}}],
    }


def _median_secs(rounds: int, *actions: Callable[[], object]) -> list[float]:
    """Return the median time of each action, seconds; the actions take turns, after one turn to warm up."""
    times: list[list[float]] = [[] for _ in actions]
    for turn in range(rounds + 1):
        for action, taken in zip(actions, times, strict=True):
            start = time.perf_counter()
            action()
            if turn:
                taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


def values_to_text(worlds: int = 1000) -> dict[str, float]:
    """Return how much faster building and emitting is than building the same dicts and PyYAML's C dumper."""
    configs = [DeploymentConfig.from_values(_world(number)) for number in range(worlds)]
    around = Surroundings()

    def bodies() -> list[dict[str, Any]]:
        return [render_workload(config, around, with_replicas=False) for config in configs]

    def ours() -> str:
        return "".join(to_yaml(body) for body in bodies())

    def pyyaml() -> str:
        return "".join(yaml.dump(body, Dumper=yaml.CSafeDumper, sort_keys=False) for body in bodies())

    mine, theirs, build = _median_secs(ROUNDS, ours, pyyaml, bodies)
    return {
        "values to text, ms per 1000": mine * 1e6 / worlds,
        "of that building, ms per 1000": build * 1e6 / worlds,
        "values to text, times as fast as building and PyYAML C": theirs / mine,
    }


def command_line() -> list[str]:
    """Return the command line that users call, from this environment."""
    return [str(Path(sys.executable).with_name("aether-deploy"))]


def _run(*command: str) -> None:
    # PYTHONDONTWRITEBYTECODE would hide what compiled bytecode is worth.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)


def _write(folder: Path, name: str, values: dict[str, Any]) -> tuple[str, str]:
    """Write a description as JSON and as YAML, and return both paths."""
    as_json, as_yaml = folder / f"{name}.json", folder / f"{name}.yaml"
    as_json.write_text(json.dumps(values, indent=1), "utf-8")
    as_yaml.write_text(yaml.dump(values, Dumper=yaml.CSafeDumper, sort_keys=False), "utf-8")
    return str(as_json), str(as_yaml)


def start(kubectl: str) -> dict[str, float]:
    """Return the time of the smallest render against ``kubectl kustomize`` on one document."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        as_json, as_yaml = _write(folder, "smallest", smallest())
        peer = folder / "one"
        peer.mkdir()
        (peer / "a.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n", "utf-8")
        (peer / "kustomization.yaml").write_text("resources:\n- a.yaml\n", "utf-8")
        call = command_line()
        ours, from_yaml, theirs, bare, click = _median_secs(
            15,
            lambda: _run(*call, "render", as_json),
            lambda: _run(*call, "render", as_yaml),
            lambda: _run(kubectl, "kustomize", str(peer)),
            lambda: _run(sys.executable, "-c", "import msgspec"),
            lambda: _run(sys.executable, "-c", "import msgspec, click"),
        )
    return {
        "start from JSON, ms": ours * 1e3,
        "start from YAML, ms": from_yaml * 1e3,
        "kubectl kustomize on one document, ms": theirs * 1e3,
        "start from JSON, times as long as kustomize": ours / theirs,
        "start from YAML, times as long as kustomize": from_yaml / theirs,
        "of that click, ms": (click - bare) * 1e3,
    }


def whole_command(kubectl: str, worlds: int = 1000, measured: Sequence[int] = (100, 300)) -> dict[str, float]:
    """Return the time of rendering ``worlds`` worlds against kustomize on the tree, and of an unchanged run."""
    call = command_line()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        as_json, as_yaml = _write(folder, "large", description(worlds))
        first, again, from_yaml = _render_times(call, folder, as_json, as_yaml)
        points = _kustomize_points(call, folder, kubectl, measured)
    fitted = _parabola(points, worlds)
    return {
        f"render of {worlds} worlds from JSON, s": first,
        f"render of {worlds} worlds from YAML, s": from_yaml,
        "unchanged render, s": again,
        "unchanged render, share of the first": again / first,
        **{f"kubectl kustomize on {count} worlds, s": secs for count, secs in points},
        f"kubectl kustomize on {worlds} worlds, extrapolated, s": fitted,
        "render from JSON, times as fast as kustomize": fitted / first,
        "render from YAML, times as fast as kustomize": fitted / from_yaml,
    }


def _render_times(call: list[str], folder: Path, as_json: str, as_yaml: str) -> tuple[float, float, float]:
    """Return the medians of a first render, of an unchanged one, and of a first one from YAML."""
    taken: dict[str, list[float]] = {"first": [], "again": [], "yaml": []}
    for turn in range(ROUNDS):
        for kind, source in (("first", as_json), ("again", as_json), ("yaml", as_yaml)):
            target = str(folder / f"{'yaml' if kind == 'yaml' else 'json'}-{turn}")
            os.sync()  # no run pays for what the one before it left to the disk
            start = time.perf_counter()
            _run(*call, "render", "-q", source, "-o", target)
            taken[kind].append(time.perf_counter() - start)
    first, again, from_yaml = (statistics.median(taken[kind]) for kind in ("first", "again", "yaml"))
    return first, again, from_yaml


def fitted_kustomize_secs(kubectl: str, worlds: int, measured: Sequence[int] = (100, 300)) -> float:
    """Return how long ``kubectl kustomize`` takes on a cluster of ``worlds`` worlds, extrapolated, seconds."""
    with tempfile.TemporaryDirectory() as name:
        return _parabola(_kustomize_points(command_line(), Path(name), kubectl, measured), worlds)


def _kustomize_points(call: list[str], folder: Path, kubectl: str, measured: Sequence[int]) -> list[tuple[int, float]]:
    return [(count, _kustomize_secs(call, folder, kubectl, count)) for count in (1, *measured)]


def _kustomize_secs(call: list[str], folder: Path, kubectl: str, worlds: int) -> float:
    source, _ = _write(folder, f"peer-{worlds}", description(worlds))
    tree = folder / f"tree-{worlds}"
    _run(*call, "render", "-q", source, "-o", str(tree))
    start = time.perf_counter()
    _run(kubectl, "kustomize", str(tree / "prod/clusters/us-east-1"))
    return time.perf_counter() - start


def _parabola(points: Sequence[tuple[int, float]], at: int) -> float:
    """Return the value at ``at`` of the parabola through three points (Lagrange)."""
    total = 0.0
    for x, y in points:
        others = [other for other, _ in points if other != x]
        term = y
        for other in others:
            term *= (at - other) / (x - other)
        total += term
    return total


def memory() -> dict[str, float]:
    """Return the peak memory of rendering 1,000 and 10,000 worlds, MB."""
    call = command_line()
    found = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for worlds in (1000, 10_000):
            source, _ = _write(folder, f"memory-{worlds}", description(worlds))
            code = (
                "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
                "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
            )
            target = folder / f"tree-{worlds}"
            command = [sys.executable, "-c", code, *call, "render", "-q", source, "-o", str(target)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            unit = 1 if sys.platform == "darwin" else 1024
            found[f"peak memory of {worlds} worlds, MB"] = int(done.stdout.split()[-1]) * unit / 1e6
            shutil.rmtree(target)
    return found


def phases(worlds: int = 1000) -> dict[str, float]:
    """Return where the time of a render goes, ms, phase by phase, in this process."""
    from aether_deploy.delivery.loading import read_description
    from aether_deploy.delivery.tree_writer import apply_write, plan_write
    from aether_deploy.gitops.layout import cluster_unit
    from aether_deploy.gitops.render import render_clusters
    from aether_deploy.gitops.tree import build_tree

    found = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        as_json, as_yaml = _write(folder, "large", description(worlds))
        clock = time.perf_counter
        marks = [("", clock())]

        def lap(phase: str) -> None:
            marks.append((phase, clock()))

        read_description([as_yaml])
        lap("read YAML")
        read = read_description([as_json])
        lap("read JSON")
        judgement = read.evaluate(["prod"])
        lap("layers, checks, rules")
        platform = judgement.platforms[0]
        clusters = render_clusters([platform], judgement.files)
        lap("build manifests")
        units = [cluster_unit(platform, each.cluster) for each in clusters]
        lap("emit YAML")
        tree = build_tree(units)
        lap("check paths")
        target = str(folder / "tree")
        plan = plan_write(target, tree, environments=["prod"], complete=True)
        lap("plan")
        apply_write(target, plan, None)
        lap("write files")
        plan_write(target, tree, environments=["prod"], complete=True)
        lap("plan, unchanged")
    for (_, before), (phase, after) in pairwise(marks):
        found[f"phase: {phase}, ms"] = (after - before) * 1e3
    return found
