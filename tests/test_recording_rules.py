"""Recording rules against Prometheus' own evaluator: they decide what ``compute_desired_replicas`` decides."""

import itertools
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from aether_deploy import CustomMetric, Hold, ScalingConfig
from aether_deploy.lab.programs import INSTALL_PROMETHEUS
from aether_deploy.manifest.yaml_text import to_yaml
from aether_deploy.scaling.recording import Scaled, rule_groups
from tests.real import need

pytestmark = pytest.mark.real

METRIC = CustomMetric(name="aether_world_player_count")
STEP, POINTS = 15, 61
SEED = 20261125
TRACES = 60
FLAT = f"+0x{POINTS - 1}"
SETTINGS = {
    "plain": ScalingConfig(min_replicas=2, max_replicas=20),
    "headroom": ScalingConfig(target_players_per_pod=7, max_replicas=30, headroom_percent=30),
    "stepwise": ScalingConfig(max_step_up=3, max_step_down=2, max_replicas=40),
    "eager": ScalingConfig(min_replicas=1, scale_up_cooldown_secs=0, scale_down_cooldown_secs=0),
    "odd-times": ScalingConfig(scale_up_cooldown_secs=20, scale_down_cooldown_secs=100),
    "odd-by-one": ScalingConfig(scale_up_cooldown_secs=61, scale_down_cooldown_secs=76),
    "fixed": ScalingConfig(min_replicas=5, max_replicas=5),
}


class Pod(NamedTuple):
    """One pod over time.

    Attributes:
        name: Its name.
        players: Its players at each scrape; None where it was not scraped.
        ending: Whether it was told to end.
        twice: Whether two jobs scrape it.
    """

    name: str
    players: tuple[int | None, ...]
    ending: bool
    twice: bool


class Story(NamedTuple):
    """What Prometheus scrapes over a while.

    Attributes:
        name: The workload, whose settings are those of its name.
        kind: ``StatefulSet`` or ``Deployment``.
        replicas: Pods that it is to have when the story begins.
        pods: Its pods.
    """

    name: str
    kind: str
    replicas: int
    pods: tuple[Pod, ...]

    @property
    def scaled(self) -> Scaled:
        return scaled(self.name, self.kind)


def scaled(name: str, kind: str) -> Scaled:
    return Scaled(namespace=f"worlds-{kind.lower()}", kind=kind, name=name)


def story_of(chance: random.Random) -> Story:
    name, kind = chance.choice(list(SETTINGS)), chance.choice(["StatefulSet", "Deployment"])
    scaling = SETTINGS[name]
    target, replicas = scaling.target_players_per_pod, chance.randint(0, scaling.max_replicas + 3)
    count = chance.randint(0, 8)
    # All players together, moving between nothing and more than all pods could take, with ends of the band.
    most = target * (scaling.max_replicas + 2)
    crowd = [chance.choice([0, most, target * replicas, -(-target * replicas // 2), chance.randint(0, most)])]
    while len(crowd) < POINTS:
        stays = chance.random() < 0.8
        crowd.append(
            crowd[-1] if stays else max(0, crowd[-1] + chance.randint(-most, most) // chance.choice([1, 4, 40]))
        )
    begins = {pod: chance.randrange(POINTS) for pod in range(count) if chance.random() < 0.2}
    gaps = {(pod, at + more) for pod, at in begins.items() for more in range(9)}
    return Story(
        name,
        kind,
        replicas,
        tuple(
            Pod(
                f"{name}-{pod}" if kind == "StatefulSet" else f"{name}-7c9d5b6f44-x{pod:03}z",
                tuple(
                    None if (pod, at) in gaps else total // count + (pod < total % count)
                    for at, total in enumerate(crowd)
                ),
                ending=chance.random() < 0.15,
                twice=chance.random() < 0.3,
            )
            for pod in range(count)
        ),
    )


def series_of(story: Story) -> list[dict[str, str]]:
    namespace, kube = story.scaled.namespace, {}
    found = []
    for pod in story.pods:
        where = f'namespace="{namespace}",pod="{pod.name}"'
        values = " ".join("stale" if each is None else str(each) for each in pod.players)
        found += [
            {"series": f'{METRIC.name}{{{where},job="{job}"}}', "values": values}
            for job in ("pods", "services")[: 1 + pod.twice]
        ]
        kube[f'kube_pod_status_phase{{{where},phase="Running"}}'] = 1
        kube[f'kube_pod_status_phase{{{where},phase="Pending"}}'] = 0
        if pod.ending:
            kube[f"kube_pod_deletion_timestamp{{{where}}}"] = 17000000
    # Pods of other workloads, with names that are not unlike.
    for other in (f"{story.name}-lobby-0", f"a-{story.name}-0", f"{story.name}-x-7c9d5b6f44-abcde"):
        kube[f'{METRIC.name}{{namespace="{namespace}",pod="{other}"}}'] = 500
        kube[f'kube_pod_status_phase{{namespace="{namespace}",pod="{other}",phase="Running"}}'] = 1
    kube[story.scaled.replicas] = story.replicas
    return [*found, *({"series": name, "values": f"{value}{FLAT}"} for name, value in kube.items())]


def expected_of(story: Story) -> list[int]:
    """Return the count at each evaluation, by the library's own decision."""
    scaling = SETTINGS[story.name]
    count, changed_at = story.replicas, -1
    found: list[int] = []
    running = sum(not pod.ending for pod in story.pods)
    for place in range(POINTS):
        samples = [pod.players[place] for pod in story.pods]
        said = sum(pod.players[place] is not None and not pod.ending for pod in story.pods)
        since = None if changed_at < 0 else (place - changed_at) * STEP
        decision = scaling.compute_desired_replicas(
            sum(each or 0 for each in samples), count, secs_since_scale_up=since, secs_since_scale_down=since
        )
        held = min(max(count, scaling.min_replicas), scaling.max_replicas)
        wanted = held if isinstance(decision, Hold) else decision.target_replicas
        nobody_speaks = all(each is None for each in samples)
        nobody_runs_who_could = running == 0 or said < running
        if nobody_speaks or (wanted < held and nobody_runs_who_could):
            wanted = held
        if found and wanted != count:
            changed_at = place
        count = wanted
        found.append(count)
    return found


def rules_text() -> str:
    groups = [
        group
        for kind in ("StatefulSet", "Deployment")
        for name, scaling in SETTINGS.items()
        for group in rule_groups(scaling, [METRIC], scaled(name, kind), interval_secs=STEP)
    ]
    return to_yaml({"groups": groups})


def promtool(folder: Path, rules: str, tests: list[dict[str, Any]]) -> subprocess.CompletedProcess[str]:
    """Evaluate ``tests`` with Prometheus' own tool and return what it said."""
    program = need(shutil.which("promtool"), "promtool", INSTALL_PROMETHEUS)
    (folder / "rules.yaml").write_text(rules)
    body = {"rule_files": ["rules.yaml"], "evaluation_interval": f"{STEP}s", "tests": tests}
    (folder / "test.yaml").write_text(yaml.safe_dump(body))
    return subprocess.run(
        [program, "test", "rules", "test.yaml"], cwd=folder, capture_output=True, text=True, check=False
    )


def judged(
    record: str, target: Scaled, series: list[dict[str, str]], values: list[int | None], name: str
) -> dict[str, Any]:
    """Return a test of what ``record`` is at the last evaluations, one for each of ``values``."""
    labels = f'{record}{{namespace="{target.namespace}",{target.label}="{target.name}"}}'
    judgements = [
        {
            "expr": record + target.selector,
            "eval_time": f"{(POINTS - len(values) + place) * STEP}s",
            "exp_samples": [] if value is None else [{"labels": labels, "value": value}],
        }
        for place, value in enumerate(values)
    ]
    return {"name": name, "interval": f"{STEP}s", "input_series": series, "promql_expr_test": judgements}


def told(story: Story) -> dict[str, Any]:
    return judged(
        "aether_world_desired_replicas", story.scaled, series_of(story), [*expected_of(story)], str(story)[:80]
    )


def test_the_rule_decides_as_the_library_does(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    stories = [story_of(chance) for _ in range(TRACES)]

    done = promtool(tmp_path, rules_text(), [told(each) for each in stories])

    assert done.returncode == 0, f"seed {SEED}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    changes = [sum(a != b for a, b in itertools.pairwise(expected_of(each))) for each in stories]
    assert sum(changes) > 100


def crowd(players: list[int]) -> Story:
    """Four pods that share players, as many at each scrape as ``players`` says, the last number to the end."""
    long = [*players, *[players[-1]] * POINTS][:POINTS]
    pods = tuple(Pod(f"plain-{each}", tuple(total // 4 for total in long), False, False) for each in range(4))
    return Story("plain", "StatefulSet", 4, pods)


def test_a_scale_down_is_not_undone_and_a_cooldown_not_cut_short(tmp_path: Path) -> None:
    story = crowd([160, 160, 320, 320, 480, 480, 480, 480, 480, 40])
    counts = expected_of(story)

    done = promtool(tmp_path, rules_text(), [told(story)])

    assert done.returncode == 0, done.stdout + done.stderr
    assert counts[:10] == [4, 4, 7, 7, 7, 7, 10, 10, 10, 10]
    assert counts[25:28] == [10, 2, 2]


# --- the floor

KEPT = ScalingConfig(protect_occupied=True)
WORLD = Scaled(namespace="worlds", kind="StatefulSet", name="world")
FLOORS: dict[str, tuple[int, dict[int, int], tuple[int, ...], int | None]] = {
    # sentence: replicas, floor that each pod says by ordinal, ending ordinals, floor
    "nobody is there": (4, {0: 0, 1: 0, 2: 0, 3: 0}, (), 0),
    "the highest in use counts": (4, {0: 1, 1: 0, 2: 3, 3: 0}, (), 3),
    "a pod says nothing": (4, {0: 1, 1: 0, 2: 3}, (), None),
    "a released pod that ends does not lift it": (3, {0: 1, 1: 0, 2: 0, 3: 4}, (3,), 1),
    "an ending pod does not stand in for a silent one": (3, {0: 1, 1: 0, 3: 4}, (3,), None),
}


@pytest.mark.parametrize("sentence", FLOORS)
def test_the_floor_is_the_highest_ordinal_in_use(tmp_path: Path, sentence: str) -> None:
    replicas, said, ending, floor = FLOORS[sentence]
    series = [
        {"series": f'{name}{{namespace="worlds",pod="world-{ordinal}"}}', "values": f"{value}{FLAT}"}
        for ordinal, floor_said in said.items()
        for name, value in (("aether_world_ordinal_floor", floor_said), (METRIC.name, 1 if floor_said else 0))
    ]
    series += [
        {
            "series": f'kube_pod_deletion_timestamp{{namespace="worlds",pod="world-{ordinal}"}}',
            "values": f"17000000{FLAT}",
        }
        for ordinal in ending
    ]
    series += [
        {
            "series": f'kube_pod_status_phase{{namespace="worlds",pod="world-{ordinal}",phase="Running"}}',
            "values": f"1{FLAT}",
        }
        for ordinal in range(max(replicas, *said) + 1)
        if ordinal < replicas or ordinal in ending
    ]
    series.append({"series": WORLD.replicas, "values": f"{replicas}{FLAT}"})
    rules = to_yaml({"groups": rule_groups(KEPT, [METRIC], WORLD, interval_secs=STEP)})

    done = promtool(
        tmp_path,
        rules,
        [
            judged("aether_world_replica_floor", WORLD, series, [floor], sentence),
        ],
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_a_wrong_rule_is_seen(tmp_path: Path) -> None:
    done = promtool(tmp_path, rules_text().replace("ceil(", "floor("), [told(crowd([240, 241]))])

    assert done.returncode == 1
    assert "exp:" in done.stdout + done.stderr
