"""The whole platform: ``examples/three-regions`` through render, render again, check and analyze, as users run them.

Its peers are ``kubectl kustomize``, which both engines call on each folder of a cluster, and PyYAML's C emitter on the
same objects. All take turns; times are the best of several turns, since others on the machine only add.
"""

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

from aether_deploy.delivery.loading import read_description
from aether_deploy.gitops.render import render_tree
from aether_deploy.manifest.yaml_text import to_yaml
from benchmarks.fleet import peak_of
from benchmarks.pipeline import command_line
from tests.kubectl import COMMAND, find_kubectl

EXAMPLE = Path(__file__).parents[1] / "examples" / "three-regions" / "aether.yaml"
ROUNDS = 5


def measure(kubectl: str) -> dict[str, float]:
    """Return the figures of the example."""
    with tempfile.TemporaryDirectory() as name:
        target = Path(name) / "deploy"
        ours = _commands(target)
        peak_of(ours["render"])
        clusters = sorted(target.glob("*/clusters/*"))
        peers = {each.relative_to(target).as_posix(): [kubectl, "kustomize", str(each)] for each in clusters}
        secs, megabytes = _taken({**ours, **peers}, before={"render": lambda: shutil.rmtree(target)})
    kustomize = sum(secs[name] for name in peers)
    largest = max(peers, key=lambda name: secs[name])
    emitted, dumped, objects = _emitted()
    return {
        "platform: objects of three environments": objects,
        **{f"platform: {name}, s": secs[name] for name in ours},
        **{f"platform: {name}, peak memory, MB": megabytes[name] for name in ours},
        "platform: kubectl kustomize on all clusters, s": kustomize,
        "platform: kubectl kustomize on the largest cluster, peak memory, MB": megabytes[largest],
        "platform: render, times as fast as kustomize on all clusters": kustomize / secs["render"],
        "platform: analyze with all pairs, share of kustomize on the largest cluster": secs["analyze"] / secs[largest],
        "platform: its objects to text, times as fast as PyYAML C": dumped / emitted,
    }


def _commands(target: Path) -> dict[str, list[str]]:
    file, call = str(EXAMPLE), command_line()
    return {
        "render": [*call, "render", "-q", file, "-o", str(target)],
        "unchanged render": [*call, "render", "-q", file, "-o", str(target)],
        "check": [*call, "check", "-q", file],
        "analyze": [*call, "analyze", "-q", "--pairs", file],
    }


def _taken(
    commands: dict[str, list[str]], before: dict[str, Callable[[], object]]
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the best time of each command, seconds, and its peak memory, MB; all take turns."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    memory: dict[str, float] = dict.fromkeys(commands, 0.0)
    for _ in range(ROUNDS):
        for name, command in commands.items():
            before.get(name, bool)()
            secs, megabytes = peak_of(command, may_find=name == "analyze")
            times[name].append(secs)
            memory[name] = max(memory[name], megabytes)
    return {name: min(taken) for name, taken in times.items()}, memory


def _emitted() -> tuple[float, float, int]:
    """Return the times of our emitter and of PyYAML's in C on every object, seconds, and how many objects there are."""
    judged = read_description([str(EXAMPLE)]).evaluate(["prod", "staging", "dev"])
    _, clusters = render_tree(judged.platforms, judged.files)
    bodies = [each.body for rendered in clusters for each in rendered.cluster.manifests]
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(_secs(bodies, to_yaml))
        theirs.append(_secs(bodies, lambda body: yaml.dump(body, Dumper=yaml.CSafeDumper, sort_keys=False)))
    return min(ours), min(theirs), len(bodies)


def _secs(bodies: Sequence[object], emit: Callable[..., object]) -> float:
    started = time.perf_counter()
    for body in bodies:
        emit(body)
    return time.perf_counter() - started


if __name__ == "__main__":
    found = find_kubectl()
    if found is None:
        sys.exit(f"kubectl is not on this machine; to bring it: {COMMAND}")
    for name, value in measure(str(found)).items():
        print(f"{name:<78} {value:>10.3f}")
