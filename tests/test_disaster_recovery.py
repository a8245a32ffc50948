"""The page about losing a region: true to what is analysed, decided and rendered, and every command of it runs."""

import json
import os
import re
import shlex
import shutil
import subprocess
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import yaml

from aether_deploy.cli.main import run
from aether_deploy.delivery.loading import Judgement, read_description
from aether_deploy.gitops.disaster.deciding import decisions
from aether_deploy.gitops.disaster.layer import gone_layer, layers_of, lost_layer, promoted_layer, returning_layer
from aether_deploy.gitops.disaster.loss import RegionLoss, losses_of
from aether_deploy.gitops.disaster.page import page_text
from aether_deploy.gitops.disaster.publishing import SAYING_ALL
from aether_deploy.gitops.disaster.steps import gone_steps, lost_steps, returned_steps
from aether_deploy.gitops.pieces import RenderedCluster
from aether_deploy.gitops.render import render_clusters, render_tree
from aether_deploy.gitops.runbooks import runbook_units
from aether_deploy.infrastructure.kinds.postgres import PostgresConfig
from aether_deploy.infrastructure.recovery import recovery_of
from aether_deploy.platform.config import Platform
from tests.cli_cases import ROOT, CommandLine
from tests.component_cases import clusters_of, component_of, every_example, platform_of
from tests.jetstream_stand_in import write_nats
from tests.kubectl import COMMAND, find_kubectl
from tests.real import need

EXAMPLE = ROOT / "examples/three-regions/aether.yaml"
REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")
ENGINES = {
    "argocd": (),
    "argocd, a piece for each workload": (("gitops.split", "workload"),),
    "flux": (("gitops.engine", "flux"), ("gitops.argocd", "null")),
    "no engine": (("gitops", "null"),),
}


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(tmp_path, capsys)


@cache
def judged(engine: str = "argocd", *, environment: str = "prod", layer: str = "") -> Judgement:
    """Return the example, with a file on top of it if one is named; it must have no fault."""
    files = [str(EXAMPLE), *([layer] if layer else [])]
    found = read_description(files, list(ENGINES[engine])).evaluate([environment])
    assert not found.failed, found.problems
    return found


def platform(engine: str = "argocd", *, environment: str = "prod") -> Platform:
    return judged(engine, environment=environment).platforms[0]


def page(of: Platform) -> str:
    return page_text(of, losses_of(of))


def losses() -> dict[str, RegionLoss]:
    return {loss.code: loss for loss in losses_of(platform())}


# --- what it covers


@pytest.mark.parametrize("environment", ["prod", "staging", "dev"])
def test_each_environment_has_one_page_that_covers_every_region_of_it(environment: str) -> None:
    here = platform(environment=environment)
    (unit,) = runbook_units(here)
    (file,) = [each for each in unit.files if each.path == "disaster-recovery.md"]
    codes = [region.code for region in here.regions if region.enabled]

    assert unit.path == f"{environment}/runbooks"
    assert re.findall(r"^## (\S+) is lost$", file.text, re.MULTILINE) == codes
    for name in (each.name for each in here.components if each.enabled):
        assert len(re.findall(rf"^\| {name} \|", file.text, re.MULTILINE)) == len(codes)


def test_one_region_without_components_has_no_page(tmp_path: Path) -> None:
    example = ROOT / "examples/one-region/aether.yaml"

    assert run(["render", "-q", str(example), "-o", str(tmp_path)]) == 0
    assert not list(tmp_path.rglob("runbooks"))


def test_where_nothing_else_runs_people_wait() -> None:
    (loss,) = losses_of(platform(environment="dev"))

    assert [title for title, _ in lost_steps(loss)] == ["See that us-east-1 is lost", "Wait"]
    assert layers_of(loss) == ()


def test_commands_are_on_the_page_only_which_knows_how_this_platform_is_published() -> None:
    for layer in (each for loss in losses().values() for each in layers_of(loss)):
        words = " ".join(layer.text.replace("# ", " ").split())

        assert "disaster-recovery.md has the commands" in words
        assert "aether-deploy" not in words


def test_equal_descriptions_give_equal_pages() -> None:
    again = read_description([str(EXAMPLE)]).evaluate(["prod"]).platforms[0]

    assert page(again) == page(platform())


# --- true to the analysis and the decision


@every_example
def test_a_kind_says_what_to_do_where_the_analysis_asks_for_somebody(kind: str, title: str) -> None:
    here = platform_of(kind, title)
    component = component_of(kind, title)
    for loss in losses_of(here):
        cell = None if loss.row is None else loss.row.cells.get(component.name)
        human = [each.human for each in cell.impact.effects if each.human] if cell is not None else []
        recovery = recovery_of(component, here.estate, loss.code)

        assert bool(recovery.lost) == bool(human), (loss.code, human)


@every_example
def test_what_a_recovery_names_is_rendered(kind: str, title: str) -> None:
    here = platform_of(kind, title)
    component = component_of(kind, title)
    for loss in losses_of(here):
        recovery = recovery_of(component, here.estate, loss.code)
        there = next(each for each in clusters_of(kind, title) if each.cluster.site.cluster == loss.cluster)
        names = {(each.kind, each.name) for each in there.cluster.manifests}

        replicas = {
            (each.kind, each.name): each.body["spec"]["replicas"]
            for each in there.cluster.manifests
            if each.kind == "StatefulSet" and each.name in recovery.fenced
        }
        pods = [f"{name}-{place}" for name in recovery.fenced for place in range(replicas["StatefulSet", name])]

        assert {("StatefulSet", name) for name in recovery.fenced} <= names
        ends = [
            each.body["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
            for each in there.cluster.manifests
            if each.kind == "StatefulSet" and each.name in recovery.fenced
        ]

        assert list(recovery.fenced_pods) == pods
        assert recovery.grace_secs == max(ends, default=0)
        assert {("CronJob", name) for name in (*recovery.at_once, *recovery.still)} <= names


def test_losses_and_times_are_those_of_the_analysis() -> None:
    text = page(platform())
    for loss in losses().values():
        assert loss.row is not None
        for name, cell in loss.row.cells.items():
            for effect in cell.impact.effects:
                (row,) = re.findall(rf"^## {loss.code} is lost$.*?^(\| {name} \|.*?)$", text, re.MULTILINE | re.DOTALL)
                assert effect.note in row
                assert effect.loss is None or effect.loss.text in row


@pytest.mark.parametrize("lost", REGIONS)
def test_players_go_where_the_router_sends_them(lost: str, cli: CommandLine) -> None:
    asked = cli("route", str(EXAMPLE), "--preferred", lost, "--down", lost, "-q")
    (sent,) = re.findall(rf"Whoever was in {lost} is sent to (\S+)", page(platform()))

    assert asked.out.split()[:2] == ["failover", sent]


def test_who_may_be_nowhere_else_is_told_so() -> None:
    text = page(platform())

    assert text.count("under the residency rule `eu-players` may be nowhere else") == 1
    assert "eu-players" not in text.partition("## eu-west-1 is lost")[0]


# --- the order of things


def test_nothing_takes_the_place_of_a_region_that_may_still_write() -> None:
    titles = [title for title, _ in lost_steps(losses()["us-east-1"])]

    assert titles == [
        "See that us-east-1 is lost",
        "Copy these pages, and follow the copy",
        "Publish what holds without us-east-1",
        "See that us-east-1 takes no more writes",
        "Let another region take the place of accounts",
        "Let another region take the place of assets",
        "Publish who takes its place",
        "Let another region take the place of events",
        "Look",
    ]


def test_players_come_back_once_all_is_right() -> None:
    titles = [title for title, _ in returned_steps(losses()["us-east-1"])]

    assert titles == [
        "Before it is reached: see that us-east-1 takes no writes",
        "Let the engine start what was taken away",
        "Bring accounts back",
        "Bring events back",
        "Bring assets back",
        "Publish who follows",
        "Have Jobs set right what is left",
        "Send players there again",
        "Clear away what was for this loss",
    ]


def test_a_region_that_nobody_could_reach_is_fenced_before_it_is_reached_again() -> None:
    lost, back = dict(lost_steps(losses()["us-east-1"])), dict(returned_steps(losses()["us-east-1"]))
    once = commands(lost["See that us-east-1 takes no more writes"])
    text = back["Before it is reached: see that us-east-1 takes no writes"]

    assert "scale statefulset/accounts-us-east-1 statefulset/assets-us-east-1 --replicas=0 &&" in once
    assert commands(text) == once
    assert text.startswith("**Only if step 5 or 6 above was done.**\n")
    assert "**before its links are joined**" in text


def test_where_no_engine_does_it_people_tell_jobs_of_a_region_that_is_back_to_keep_still() -> None:
    whole = platform("no engine")
    events = tuple(each for each in whole.components if each.name == "events")
    here, *_ = losses_of(msgspec.structs.replace(whole, components=events))
    titles = [title for title, _ in returned_steps(here)]

    assert not any(recovery.fenced for _, recovery in here.recoveries)
    assert titles[:2] == ["Apply what was published meanwhile", "Bring events back"]
    assert "kubectl --context us-east-1 apply" in dict(returned_steps(here))[titles[0]]


def test_servers_have_as_long_to_end_as_the_slowest_of_them_needs() -> None:
    text = dict(lost_steps(losses()["us-east-1"]))["See that us-east-1 takes no more writes"]
    accounts = platform().component("accounts")
    (secs,) = re.findall(r"--timeout=(\d+)s", text)

    assert isinstance(accounts, PostgresConfig)
    assert int(secs) > accounts.stop_secs


@pytest.mark.parametrize("engine", ENGINES)
def test_each_command_that_publishes_says_that_files_of_earlier_losses_are_named(engine: str) -> None:
    text = page(platform(engine))
    looks = re.findall(r"^aether-deploy (?:diff|publish .* --dry-run)", text, re.MULTILINE)

    assert looks
    assert len(re.findall(rf"^{re.escape(SAYING_ALL)} Look:$", text, re.MULTILINE)) == len(looks)
    assert "right behind aether.yaml, all files of earlier losses" in text.partition("## us-east-1 is lost")[0]


@pytest.mark.parametrize("engine", ENGINES)
def test_what_looks_is_never_pasted_with_what_does_it(engine: str) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```$", page(platform(engine)), re.MULTILINE | re.DOTALL)
    does = [each.splitlines() for each in blocks if re.search(r"--push| render | apply ", each)]

    assert any(len(lines) > 1 for lines in does) == (engine == "no engine")
    assert not any(re.search(r"--dry-run|deploy diff", line) for lines in does for line in lines)
    assert all(line.endswith(" &&") for lines in does for line in lines[:-1])


def test_no_component_has_its_place_published_before_all_are_ready() -> None:
    here = losses()["us-east-1"]
    steps = {title.split()[-1]: text for title, text in lost_steps(here) if title.startswith("Let another")}

    titles = [title for title, _ in lost_steps(here)]
    publishes = titles.index("Publish who takes its place") + 1

    for name in (each.name for each, recovery in here.recoveries if recovery.promoted):
        assert f"\nStep {publishes} publishes that" in steps[name]
        assert "Make sure that" not in steps[name]
        assert "really away" not in steps[name]


def test_a_standby_that_goes_for_good_is_let_go_of() -> None:
    assert "Let go of accounts there" in [title for title, _ in gone_steps(losses()["eu-west-1"])]
    assert "Let go of accounts there" not in [title for title, _ in gone_steps(losses()["us-east-1"])]


def test_what_brings_a_component_back_names_the_step_that_it_is_left_out_without() -> None:
    here = losses()["us-east-1"]
    done = {str(place): title.split()[-1] for place, (title, _) in enumerate(lost_steps(here), start=1)}
    back = {title.split()[1]: text for title, text in returned_steps(here) if title.startswith("Bring ")}
    named = {
        name: re.findall(r"^\*\*Only if step (\d+) above was done\.\*\*$", text, re.M) for name, text in back.items()
    }

    assert list(back) == ["accounts", "events", "assets"]
    assert {name: [done[place] for place in places] for name, places in named.items()} == {
        name: [name] for name in back
    }


# --- the layers that are published meanwhile


def on_top(code: str, folder: Path) -> Platform:
    """Return the platform with the layer of a lost region on top."""
    (folder / "lost.yaml").write_text(lost_layer(losses()[code]).text, "utf-8")
    found = read_description([str(EXAMPLE), str(folder / "lost.yaml")]).evaluate(["prod"])
    assert not found.failed, found.problems
    return found.platforms[0]


@pytest.mark.parametrize("lost", REGIONS)
def test_a_layer_is_sound_and_no_player_is_sent_to_the_lost_region(lost: str, tmp_path: Path) -> None:
    without = on_top(lost, tmp_path)

    tree, _ = render_tree([without])
    (served,) = [
        file
        for unit in tree.units
        for file in unit.files
        if unit.cluster == next(each.cluster for each in without.regions if each.code != lost)
        and file.path == "aether-prod/router/configmap-config.yaml"
    ]
    assert f'"{lost}":"hard"' in served.text.replace(" ", "").replace('\\"', '"')


@pytest.mark.parametrize("layers", [("lost", "promoted"), ("lost", "returning"), ("promoted",), ("returning",)])
@pytest.mark.parametrize("lost", REGIONS)
def test_the_layers_that_commands_publish_pass_check(
    lost: str, layers: tuple[str, ...], cli: CommandLine, tmp_path: Path
) -> None:
    found = {each.file: each.text for each in layers_of(losses()[lost])}
    files = [file for what in layers if (file := f"{what}-{lost}.yaml") in found]
    for file in files:
        (tmp_path / file).write_text(found[file], "utf-8")

    ended = cli("check", str(EXAMPLE), *(str(tmp_path / file) for file in files), "--env", "prod")

    assert ended.code == 0, ended.err
    assert len(files) == len(layers) or lost != "us-east-1"


def fields_of(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["name"]: {key: value for key, value in each.items() if key != "name"} for each in values["components"]}


def test_a_layer_says_of_each_component_all_that_taking_its_place_and_following_needs() -> None:
    here = losses()["us-east-1"]
    accounts = {"regions": ["eu-west-1"], "standby": {"region": "us-east-1", "members": 2}}

    assert fields_of(promoted_layer(here).values) == {"accounts": accounts, "assets": {"regions": ["eu-west-1"]}}
    assert fields_of(returning_layer(here).values) == {
        "accounts": accounts,
        "assets": {"regions": ["eu-west-1", "us-east-1"]},
    }
    assert not any(promoted_layer(losses()[code]).values for code in ("eu-west-1", "ap-south-1"))


def test_a_layer_is_stronger_than_what_an_environment_says(tmp_path: Path) -> None:
    (tmp_path / "overlay.yaml").write_text("environments: {prod: {components: [{name: assets, regions: [us-east-1]}]}}")
    (tmp_path / "promoted.yaml").write_text(promoted_layer(losses()["us-east-1"]).text, "utf-8")
    files = [str(EXAMPLE), str(tmp_path / "overlay.yaml"), str(tmp_path / "promoted.yaml")]
    (platform,) = read_description(files).evaluate(["prod"]).platforms
    assets = platform.component("assets")

    assert assets is not None
    assert assets.regions == ("eu-west-1",)


@pytest.mark.parametrize("lost", REGIONS)
def test_what_must_be_decided_before_a_region_goes_for_good_is_what_check_says(
    lost: str, cli: CommandLine, tmp_path: Path
) -> None:
    here = losses()[lost]
    (tmp_path / "gone.yaml").write_text(gone_layer(here).text, "utf-8")
    ended = cli("check", str(EXAMPLE), str(tmp_path / "gone.yaml"), "--env", "prod", "--json")
    told = {(each["path"], each["reason"]) for each in json.loads(ended.out)["problems"] if each["severity"] == "error"}
    text = dict(gone_steps(here))["Take it out of the description"]

    assert ended.code == 2
    assert {(each.path, each.reason) for each in decisions(here)} == told
    assert all(each.reason in text for each in decisions(here))
    assert ("names no region that is enabled" in text) == (lost != "ap-south-1")


TWO_REGIONS = """\
name: lobby
kubernetes: v1.37
regions:
  - {code: us, zones: [us-a, us-b]}
  - {code: eu, zones: [eu-a, eu-b]}
links: [{between: [us, eu], latency_ms: 80}]
worlds: [{name: world, image: "lobby/world:v1", pvc: {size: 10Gi}}]
services: [{name: lobby, image: "lobby/lobby:v1", regions: [us, eu]}]
"""


def test_where_nothing_is_to_be_decided_check_accepts_the_layer_as_it_is(cli: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "two.yaml").write_text(TWO_REGIONS, "utf-8")
    here, *_ = losses_of(read_description([str(tmp_path / "two.yaml")]).evaluate(["prod"]).platforms[0])
    (tmp_path / "gone.yaml").write_text(gone_layer(here).text, "utf-8")

    ended = cli("check", str(tmp_path / "two.yaml"), str(tmp_path / "gone.yaml"))

    assert ended.code == 0, ended.err
    assert gone_layer(here).values == {
        "regions": [{"code": "us", "enabled": False}],
        "services": [{"name": "lobby", "regions": ["eu"]}],
    }
    assert "refuses" not in dict(gone_steps(here))["Take it out of the description"]


def test_jobs_that_would_undo_what_people_do_keep_still(tmp_path: Path) -> None:
    for rendered in render_clusters([on_top("us-east-1", tmp_path)], {}):
        found = [each for each in rendered.cluster.manifests if each.kind == "CronJob"]
        jobs = {each.name: each.body["spec"].get("suspend") for each in found}
        assert jobs["events-streams"] is True
        assert jobs["sessions-cluster"] is not True


def test_who_called_a_lost_region_calls_another_one(tmp_path: Path) -> None:
    def called(rendered: list[RenderedCluster]) -> str:
        (there,) = [each for each in rendered if each.cluster.site.cluster == "ap-south-1"]
        (host,) = [
            each.body["spec"]["externalName"]
            for each in there.cluster.manifests
            if (each.kind, each.name) == ("Service", "matchmaking")
        ]
        return str(host)

    assert called(render_clusters([platform()], {})) == "matchmaking.eu-west-1.example.com"
    assert called(render_clusters([on_top("eu-west-1", tmp_path)], {})) == "matchmaking.us-east-1.example.com"


# --- its commands


class Asked(NamedTuple):
    """One call of kubectl on the page, as far as it names something."""

    cluster: str
    namespace: str
    words: list[str]


def commands(text: str) -> str:
    """Return every command of a page, one after the other."""
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return "".join(textwrap.dedent(block) for block in blocks)


def asked_of_kubectl(text: str) -> Iterator[Asked]:
    for line in commands(text).replace("\\\n", " ").splitlines():
        if line.startswith("kubectl --context ") and " -n " in line:
            _, _, cluster, _, namespace, *words = shlex.split(line)
            yield Asked(cluster, namespace, words)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_object_that_commands_name_is_rendered_there(engine: str) -> None:
    here = platform(engine)
    rendered = {each.cluster.site.cluster: each for each in render_clusters([here], {})}
    known = {
        (cluster, manifest.namespace, manifest.kind.lower(), manifest.name)
        for cluster, each in rendered.items()
        for manifest in each.cluster.manifests
    }
    calls = [each for each in asked_of_kubectl(page(here)) if each.namespace.startswith("aether-")]
    named = {
        (each.cluster, each.namespace, *word.removeprefix("--from=").split("/"))
        for each in calls
        for word in each.words
        if re.fullmatch(r"(--from=)?[a-z]+/[a-z0-9-]+", word)
    }

    assert {each.cluster for each in calls} == set(rendered)
    known |= {
        (cluster, space, "pod", f"{name}-{place}")
        for (cluster, space, kind, name) in known
        if kind == "statefulset"
        for place in range(9)
    }

    assert {kind for _, _, kind, _ in named} == {"cronjob", "statefulset", "pod"}
    assert named <= known


@pytest.mark.parametrize("engine", ENGINES)
def test_members_that_commands_choose_are_rendered_there(engine: str) -> None:
    here = platform(engine)
    labels = {
        (each.cluster.site.cluster, label)
        for each in render_clusters([here], {})
        for manifest in each.cluster.manifests
        if manifest.kind == "StatefulSet"
        for label in manifest.body["spec"]["template"]["metadata"]["labels"].items()
    }
    chosen = {
        (cluster, tuple(label.split("=")))
        for cluster, selector in re.findall(r"^ *on (\S+) (aether\.io\S+)", page(here), re.MULTILINE)
        for label in selector.split(",")
        if label != "role=primary"  # Patroni's own
    }

    assert {cluster for cluster, _ in chosen} == {"us-east-1", "dublin"}
    assert chosen <= labels


@pytest.mark.parametrize("engine", ENGINES)
def test_the_engine_that_is_held_is_the_one_that_applies_and_is_let_go_again(engine: str) -> None:
    here = platform(engine)
    text = page(here)
    objects = [
        yaml.safe_load(file.text)["metadata"]["name"]
        for unit in render_tree([here])[0].units
        if "/engine/" in unit.path
        for file in unit.files
        if file.kind in ("Kustomization", "ApplicationSet") and file.name
    ]
    held = re.findall(r"annotate application (\S+) \S+=true", text) + re.findall(
        r"kubectl --context us-east-1 -n flux-system patch \S+ (\S+) .*true", text
    )
    let_go = re.findall(r"annotate application (\S+) \S+-$", text, re.MULTILINE) + re.findall(
        r"kubectl --context us-east-1 -n flux-system patch \S+ (\S+) .*false", text
    )

    assert held[: len(let_go)] == let_go
    assert held == let_go * 2  # while it is away, and once more when it is back
    assert bool(held) == (engine != "no engine")
    assert all(any(name == each or name.startswith(f"{each}-us-east-1") for each in objects) for name in held)
    assert ("kubectl --context dublin apply --server-side -k deploy/" in text) == (engine == "no engine")


STANDS_IN = """\
#!/bin/bash
# Has the real kubectl read every word, up to where a program of the pod begins; says that pods are there.
printf '%s\\n' "$*" >> "$LOG"
case "$*" in
  *" get pod -l "*) echo pod/member-0; exit ;;
  *" get pod/assets-"*) echo seaweedfs$FOLLOWS ;;
  *.status.active*) echo "${ACTIVE:-}" ;;
  *"/primary") [ -z "$FOLLOWS" ] || exit 22 ;;
esac
words=()
for word in "$@"; do [ "$word" = -- ] && break; words+=("$word"); done
exec "$KUBECTL" "${words[@]}" --help > /dev/null
"""
ANSWERS = '#!/bin/sh\nprintf \'%s %s\\n\' "$(basename "$0")" "$*" >> "$LOG"\n'
PUBLISHES = ANSWERS + 'case "$*" in *--push*) rm -rf deploy ;; esac  # what is rendered then has other pages\n'
MIRROR = {"mirror": {"name": "MATCHES"}}
STREAMS: dict[str, dict[str, Any]] = {
    "MATCHES": {"subjects": ["matches.>"]},
    "MATCHES-mirror-eu-west-1": MIRROR,
    "MATCHES-mirror-ap-south-1": MIRROR,
}


def run_commands(
    text: str, folder: Path, *, options: str = "set -eu -o pipefail", follows: str = ""
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run commands in bash with programs that stand in for those that reach clusters; return what they were asked."""
    kubectl = need(find_kubectl(), "kubectl", COMMAND)
    need(shutil.which("jq"), "jq", "apt-get install jq")
    programs = {"kubectl": STANDS_IN, "aether-deploy": PUBLISHES, "sleep": "#!/bin/sh\n"}
    for name in ("kubectl", "curl", "sleep", "aether-deploy"):
        program = folder / name
        program.write_text(programs.get(name, ANSWERS))
        program.chmod(0o755)
    (folder / "deploy/prod/runbooks").mkdir(parents=True)
    for layer in (each for loss in losses().values() for each in layers_of(loss)):
        (folder / "deploy/prod/runbooks" / layer.file).write_text(layer.text)
    log = folder / "log"
    log.touch()
    write_nats(folder, STREAMS, log)
    environment = {
        "FOLLOWS": follows,
        "PATH": f"{folder}:{os.environ['PATH']}",
        "KUBECTL": kubectl,
        "LOG": str(log),
        "KUBECONFIG": os.devnull,
    }
    script = f"{options}\n{text}"
    done = subprocess.run(
        ["bash"], input=script, capture_output=True, text=True, env=environment, cwd=folder, check=False
    )
    return done, log.read_text().splitlines()


@pytest.mark.real
@pytest.mark.parametrize("engine", ["argocd", "flux", "no engine"])
def test_every_command_runs_and_kubectl_knows_all_words(engine: str, tmp_path: Path) -> None:
    functions, *sections = re.split(r"^## \S+ is lost$", page(platform(engine)), flags=re.MULTILINE)
    for lost, section in zip(REGIONS, sections, strict=True):
        while_lost, _, after = section.partition(f"### When {lost} is back")
        back, _, gone = after.partition("### If it never is")
        for end, steps in (("back", back), ("gone", gone)):
            folder = tmp_path / f"{lost}-{end}"
            folder.mkdir()
            done, _ = run_commands(commands(functions + while_lost + steps), folder)

            assert (done.returncode, done.stderr) == (0, ""), (lost, end)
            # Only what is still published is left: nothing else that the next loss would take for its own.
            kept = {"gone": [f"gone-{lost}.yaml"], "back": ["returning-us-east-1.yaml"] if lost == "us-east-1" else []}
            assert sorted(each.name for each in folder.glob(f"*{lost}*")) == kept[end], (lost, end)


@pytest.mark.real
def test_a_copy_is_whole_or_not_there_and_one_that_is_there_is_shown_and_kept(tmp_path: Path) -> None:
    copying = commands(dict(lost_steps(losses()["us-east-1"]))["Copy these pages, and follow the copy"])
    (tmp_path / "runbooks-us-east-1-lost.part").mkdir()
    (tmp_path / "runbooks-us-east-1-lost.part/half.md").touch()
    (tmp_path / "promoted-us-east-1.yaml").touch()

    done, _ = run_commands(copying, tmp_path)
    copied = sorted(each.name for each in (tmp_path / "runbooks-us-east-1-lost").iterdir())
    again = subprocess.run(["bash", "-eu", "-c", copying], capture_output=True, text=True, cwd=tmp_path, check=True)

    assert "promoted-us-east-1.yaml" in done.stdout
    assert copied == sorted(each.name for each in (tmp_path / "deploy/prod/runbooks").iterdir())
    assert "./runbooks-us-east-1-lost\n" in again.stdout
    assert not list(tmp_path.glob("*.part"))
    assert not (tmp_path / "runbooks-us-east-1-lost/runbooks").exists()


@pytest.mark.real
def test_of_a_stream_and_its_copies_the_last_that_could_be_gone_back_to_goes_last(tmp_path: Path) -> None:
    functions, section, *_ = re.split(r"^## \S+ is lost$", page(platform()), flags=re.MULTILINE)

    _, asked = run_commands(commands(functions + section.partition("### If it never is")[0]), tmp_path)

    assert len([line for line in asked if line.startswith("--context")]) > 20
    assert any(" -- curl --fail" in line and "standby_cluster" in line for line in asked)
    assert any(line.endswith("delete pvc data-assets-us-east-1-0") for line in asked)
    assert [line.split()[-1] for line in asked if " DELETE " in line] == [
        "MATCHES",
        "MATCHES-mirror-ap-south-1",
        "MATCHES-mirror-eu-west-1",
    ]
    assert [*json.loads((tmp_path / "streams.json").read_text())] == ["MATCHES"]


@pytest.mark.real
def test_pasted_as_a_whole_nothing_that_brings_back_destroys_what_no_other_region_took(tmp_path: Path) -> None:
    here = losses()["us-east-1"]
    functions = commands(page(platform()).partition("## us-east-1 is lost")[0])
    back = "".join(text for title, text in returned_steps(here) if title.startswith("Bring "))

    done, asked = run_commands(functions + commands(back), tmp_path, options="", follows=" follow")
    changes = [line for line in asked if re.search(r" delete |--request PATCH| (UPDATE|CREATE|DELETE) ", line)]

    assert "false" in done.stdout
    assert "eu-west-1 does not take writes: stop" in done.stderr
    assert any("/primary" in line for line in asked)
    assert changes == []


@pytest.mark.real
def test_nothing_is_deleted_for_a_mirror_that_does_not_answer(tmp_path: Path) -> None:
    functions = commands(page(platform()).partition("## us-east-1 is lost")[0])
    (text,) = [text for title, text in lost_steps(losses()["us-east-1"]) if title.endswith("place of events")]

    _, asked = run_commands(functions + commands(text.replace("mirror-eu-west-1", "mirror-away")), tmp_path, options="")

    assert any(line.endswith(" INFO MATCHES-mirror-away") for line in asked)
    assert not any(" DELETE " in line for line in asked)


@pytest.mark.real
@pytest.mark.parametrize(("active", "ended"), [("", 0), ('[{"name":"events-streams-1"}]', 1)])
def test_a_job_that_still_runs_is_waited_for(active: str, ended: int, tmp_path: Path) -> None:
    (text,) = [text for title, text in returned_steps(losses()["us-east-1"]) if title == "Bring events back"]
    block = commands(text).partition("owns ")[0]

    done, asked = run_commands(block, tmp_path, options=f"export ACTIVE='{active}'")

    assert done.returncode == ended
    assert ("no Job runs, and none will" in done.stdout) == (not active)
    assert [line.split()[1] for line in asked if "suspend" in line] == ["us-east-1", "dublin", "ap-south-1"]
    assert len([line for line in asked if "status.active" in line]) == 3


@pytest.mark.real
def test_why_servers_do_not_delete_a_stream_is_said(tmp_path: Path) -> None:
    functions = commands(page(platform()).partition("## us-east-1 is lost")[0])
    refuses = """jetstream() { [ -e asked ] && echo '{"success": true}' || echo '{"error": {"code": 503,
      "description": "JetStream system temporarily unavailable"}}'; touch asked; }"""

    done, _ = run_commands(f"{functions}{refuses}\nerase events MATCHES\n", tmp_path)

    assert done.stdout.splitlines() == [
        "MATCHES is still there: JetStream system temporarily unavailable",
        "MATCHES is deleted",
    ]


@pytest.mark.real
def test_a_word_that_kubectl_does_not_know_is_found(tmp_path: Path) -> None:
    done, _ = run_commands("kubectl --context a -n b scale statefulset/c --replica=0\n", tmp_path)

    assert done.returncode != 0
    assert "unknown flag: --replica" in done.stderr


@pytest.mark.parametrize("engine", ENGINES)
def test_aether_deploy_knows_every_verb_and_option_of_its_commands(engine: str, cli: CommandLine) -> None:
    text = commands(page(platform(engine)))
    lines = dict.fromkeys(line.removesuffix(" &&") for line in text.splitlines() if line.startswith("aether-deploy "))

    files = [line.split(" aether.yaml")[1].split(" --")[0].split() for line in lines]
    known = {layer.file for loss in losses().values() for layer in layers_of(loss)}

    assert {file for each in files for file in each} == known
    assert max(files, key=len) == ["lost-us-east-1.yaml", "promoted-us-east-1.yaml"]
    for line in lines:
        ended = cli(*shlex.split(line)[1:], "-h")
        assert (ended.code, ended.err) == (0, ""), line
