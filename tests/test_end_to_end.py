"""The specification's last paragraph, for real: a typed description is committed, applied, scaled, gated and routed.

Two regions run, each a control plane with Flux, Prometheus and its adapter; nodes and players are played. What is seen
is told in a transcript, which is the section "What happens" of the README.
"""

import contextlib
import difflib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from aether_deploy import (
    Failover,
    Hold,
    LinkConfig,
    ObservabilityConfig,
    Platform,
    Primary,
    PrometheusConfig,
    PvcConfig,
    Region,
    RegionConfig,
    RegionRoutingConfig,
    ScaleDown,
    ScaleUp,
    ScalingConfig,
    TopologyConfig,
    Workload,
    render_tree,
)
from aether_deploy.lab.git_server import GitServer
from aether_deploy.platform.gitops_config import GitOpsConfig
from tests.conftest import HOW_TO_UPDATE
from tests.live_region import LiveRegion, live_region
from tests.players import on
from tests.scaling_cases import why

README = Path(__file__).resolve().parents[1] / "README.md"
SECTION = re.compile(r"(^## What happens$.*?^```text\n)(.*?)(?=^```$)", re.MULTILINE | re.DOTALL)
US, EU = "us-east-1", "eu-west-1"
WORLD = "world-server"
IMAGE = "registry.example.com/aether/world-server:v1.2.0@sha256:" + "0" * 64
LOG = "10Gi"
SCALING = ScalingConfig(target_players_per_pod=50, min_replicas=3, max_replicas=20)


def platform_at(url: str) -> Platform:
    """Return the system that is published to a repository."""
    return Platform(
        name="aether",
        kubernetes="v1.37",
        regions=[
            RegionConfig(code=code, zones=[f"{code}{letter}" for letter in "abc"], latency_ms=latency)
            for code, latency in ((US, 20), (EU, 90))
        ],
        links=[LinkConfig(between=[US, EU], latency_ms=80)],
        worlds=[
            Workload(
                name=WORLD,
                image=IMAGE,
                pvc=PvcConfig(size=LOG),
                topology=TopologyConfig(strict=True),
                scaling=SCALING,
            )
        ],
        observability=ObservabilityConfig(
            prometheus=PrometheusConfig(url="http://prometheus.monitoring:9090", namespace="monitoring"),
            pod_monitors=False,
            rules=False,
            metrics_adapter="existing",
        ),
        gitops=GitOpsConfig(engine="flux", repo=url),
    )


class Story:
    """What happens, a line at a time, and the world that it happens in."""

    def __init__(self, platform: Platform, git: GitServer, folder: Path) -> None:
        self.lines: list[str] = []
        self.platform = platform
        self.git = git
        self.folder = folder
        self.commit = ""
        self.regions: dict[str, LiveRegion] = {}

    def tell(self, step: str, line: str) -> None:
        self.lines.append(f"{step:<9} {line}".replace(self.commit or "\0", "<id>"))

    def run(self, *command: str) -> str:
        """Run a program beside the description, and return what it prints."""
        own = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
        own |= {f"GIT_{who}_{what}": "lab@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        ended = subprocess.run(
            command,
            cwd=self.folder,
            env={**environment, **own, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout.strip()

    def route(self, preferred: str) -> str:
        """Return where a player goes by the regions as they are this moment, and tell it."""
        router = RegionRoutingConfig(
            regions=[
                Region(
                    code=each.code, latency_ms=each.latency_ms or 0, healthy=bool(self.regions[each.code].open_worlds())
                )
                for each in self.platform.regions
            ]
        )
        decision = router.route_player(preferred)
        self.tell("route", f"a player of {preferred}: {_routed(decision)}")
        return decision.region


def _routed(decision: Primary | Failover) -> str:
    match decision:
        case Primary(region=region):
            return f"Primary, {region}"
        case Failover(region=region, reason=reason):
            return f"Failover, {region} ({reason})"


def _decided(decision: ScaleUp | ScaleDown | Hold) -> str:
    match decision:
        case Hold(reason=reason):
            return f"hold ({reason})"
        case ScaleUp(target_replicas=count) | ScaleDown(target_replicas=count):
            return f"{count} worlds"


# --- the steps


def publish(story: Story) -> None:
    """The description in Python becomes a commit."""
    platform = story.platform
    assert platform.problems() == ()
    zones = len(platform.regions[0].zones)
    sizes = f"{SCALING.min_replicas} to {SCALING.max_replicas} worlds, {SCALING.target_players_per_pod} players a world"
    story.tell("describe", f"{WORLD} in {US} and {EU}, {zones} zones each: {sizes}, a log of {LOG} each")
    (story.folder / "aether.yaml").write_text(json.dumps(platform.to_values()), "utf-8")
    story.tell("check", story.run("aether-deploy", "check", "aether.yaml").splitlines()[0])

    story.run("git", "clone", "--quiet", str(story.git.repository), "clone")
    story.commit = story.run("aether-deploy", "publish", "--quiet", "--repo", "clone", "--push", "aether.yaml")
    bare = ("git", "-C", str(story.git.repository))
    assert story.run(*bare, "rev-parse", "main") == story.commit
    subject = story.run(*bare, "log", "-1", "--format=%s", "main")
    story.tell("publish", f"commit {story.commit} on main: {subject}")


def apply(story: Story) -> None:
    """The engines apply the commit, and the autoscalers start the worlds that there are to be at least."""
    for code, region in story.regions.items():
        region.follow(story.git.url, f"{story.platform.gitops.path}/prod/engine/flux/{code}")
    for code, region in story.regions.items():
        region.sync(story.commit)
        assert region.drift() == []
        what = f"all {region.objects} objects are there as rendered"
        story.tell("apply", f"{code}: {region.engine.title} applied commit {story.commit}; {what}")
    least = SCALING.min_replicas
    for code, region in story.regions.items():
        assert region.rescaled(least).endswith('"Current number of replicas below Spec.MinReplicas"')
        region.wait("the worlds are open", lambda region=region: region.open_worlds() == region.names(least))  # type: ignore[misc]
        assert region.spread() == (1, 1, 1)
        story.tell("start", f"{code}: {least} worlds are ready, {spread(region)} over the zones")


def grow(story: Story) -> None:
    """Players come, and the autoscaler does what the rule says."""
    us, least = story.regions[US], SCALING.min_replicas
    few = us.play(on({0: 40, 1: 40, 2: 40}))
    us.wait("the autoscaler reads players", us.reads_players)
    held = SCALING.compute_desired_replicas(total(few), least)
    assert (held, us.replicas) == (Hold(reason="in-band"), least)
    story.tell("play", f"{US}: {counted(few)} on {least} worlds; the scaling rule: {_decided(held)}")

    us.hold_new_worlds()
    many = us.play(on({0: 101, 1: 100, 2: 100}))
    wanted = SCALING.compute_desired_replicas(total(many), least)
    assert isinstance(wanted, ScaleUp)
    story.tell("play", f"{US}: {counted(many)} on {least} worlds; the scaling rule: {_decided(wanted)}")
    story.tell("scale", f"{US}: {us.rescaled(wanted.target_replicas)}")
    us.sync(story.commit)
    assert us.drift() == []
    assert us.replicas == wanted.target_replicas
    story.tell("scale", f"{US}: {us.engine.title} looks at the repository again, and leaves the {us.replicas} alone")


def gate(story: Story) -> None:
    """Players reach the new worlds when their logs are replayed, and not before."""
    us, least = story.regions[US], SCALING.min_replicas
    count = us.replicas
    new = us.names(count) - us.names(least)
    us.wait("the new worlds run", lambda: us.runs_unready() == new)
    us.wait("the Service knows them", lambda: us.endpoints().keys() == us.names(count))
    assert us.open_worlds() == us.names(least)
    story.tell("replay", f"{US}: {len(new)} new worlds run and replay their logs; the Service leads to {least}")

    us.end_replay()
    us.wait("the new worlds are open", lambda: us.open_worlds() == us.names(count))
    assert us.spread() == (3, 2, 2)
    assert us.replicas == count
    story.tell("ready", f"{US}: their logs are replayed; the Service leads to {count}, {spread(us)} over the zones")


def lose(story: Story) -> None:
    """A region falls silent, and its players go to the other one."""
    us, eu = story.regions[US], story.regions[EU]
    count, playing = us.replicas, total(us.play(on({0: 101, 1: 100, 2: 100})))
    own = total(eu.play(on({0: 30, 1: 30, 2: 30})))
    assert (story.route(US), story.route(EU)) == (US, EU)

    us.fall_silent()
    us.wait("no world is open", lambda: not us.open_worlds())
    us.wait("the autoscaler says so", lambda: why(us.plane, us.namespace, WORLD)[0] == "False")
    reason = why(us.plane, us.namespace, WORLD)[1]
    story.tell("lose", f"{US}: no node answers any more; the Service leads to 0 of {count} worlds")
    assert us.replicas == count
    story.tell("lose", f"{US}: the autoscaler has no metrics ({reason}), and leaves the {count} alone")

    region = story.route(US)
    assert (region, story.route(EU)) == (EU, EU)
    welcome(story, story.regions[region], own, playing)


def welcome(story: Story, region: LiveRegion, own: int, moved: int) -> None:
    """A region takes players of another one, and grows for them."""
    count = region.replicas
    each, more = divmod(own + moved, count)
    there = region.play(on({ordinal: each + (ordinal < more) for ordinal in range(count)}))
    wanted = SCALING.compute_desired_replicas(total(there), count)
    assert isinstance(wanted, ScaleUp)
    rule = f"the scaling rule: {_decided(wanted)}"
    story.tell("move", f"{region.code}: {counted(there)} on {count} worlds, {moved} of them from {US}; {rule}")
    grown = wanted.target_replicas
    story.tell("scale", f"{region.code}: {region.rescaled(grown)}")
    region.wait("all worlds are open", lambda: region.open_worlds() == region.names(grown))
    assert region.replicas == grown
    story.tell("ready", f"{region.code}: the Service leads to {grown}, {spread(region)} over the zones")


def return_home(story: Story, before: Mapping[str, tuple[str, str]]) -> None:
    """The region answers again, with the worlds and the logs that it had."""
    us = story.regions[US]
    us.answer_again()
    us.wait("its worlds are open again", lambda: us.open_worlds() == before.keys())
    assert us.identities() == before
    assert us.drift() == []
    same = f"the same {len(before)} worlds, on the same volumes"
    story.tell("return", f"{US}: its nodes answer again; the Service leads to {same}")
    assert story.route(US) == US


def total(players: Mapping[str, float]) -> int:
    return int(sum(players.values()))


def counted(players: Mapping[str, float]) -> str:
    return f"{total(players)} players are counted"


def spread(region: LiveRegion) -> str:
    return "-".join(map(str, region.spread()))


# --- the whole


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    with contextlib.ExitStack() as stack:
        git = stack.enter_context(GitServer(tmp_path))
        platform = platform_at(git.url)
        found = Story(platform, git, tmp_path)
        _, clusters = render_tree([platform])
        for region, rendered in zip(platform.regions, clusters, strict=True):
            found.regions[region.code] = stack.enter_context(live_region(region, rendered, WORLD))
        yield found


@pytest.mark.engines
def test_from_a_description_to_players_in_another_region(story: Story, request: pytest.FixtureRequest) -> None:
    publish(story)
    apply(story)
    with contextlib.ExitStack() as stack:
        for region in story.regions.values():
            stack.enter_context(region.counted(SCALING.max_replicas))
        grow(story)
        gate(story)
        before = story.regions[US].identities()
        lose(story)
        return_home(story, before)

    check_readme(README, story.lines, update=bool(request.config.getoption("update_golden")))


def check_readme(readme: Path, lines: list[str], *, update: bool) -> None:
    """Fail unless a README tells exactly this; or make it so."""
    text = readme.read_text("utf-8")
    told = SECTION.search(text)
    assert told is not None, f'{readme.name} has no section "What happens" with a block of text'
    happened = "".join(f"{line}\n" for line in lines)
    if update:
        readme.write_text(text[: told.start(2)] + happened + text[told.end(2) :], "utf-8")
    elif told[2] != happened:
        shown = difflib.unified_diff(told[2].splitlines(), lines, "README", "what happened", lineterm="")
        pytest.fail("\n".join([*shown, HOW_TO_UPDATE]), pytrace=False)


def test_a_readme_that_tells_otherwise_is_noticed_and_can_be_updated(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(README.read_text("utf-8"), "utf-8")
    lines = ["start     it starts", "end       it ends"]

    with pytest.raises(pytest.fail.Exception, match="it starts"):
        check_readme(readme, lines, update=False)
    check_readme(readme, lines, update=True)

    check_readme(readme, lines, update=False)
    with pytest.raises(pytest.fail.Exception, match="it ends"):
        check_readme(readme, lines[:1], update=False)
    assert SECTION.sub("", readme.read_text("utf-8")) == SECTION.sub("", README.read_text("utf-8"))
