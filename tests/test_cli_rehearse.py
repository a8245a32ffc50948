"""``aether-deploy rehearse``: what it says, and how it ends. Most of it by a made-up rehearsal, the rest for real."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aether_deploy.cli.verbs import rehearse as verb
from aether_deploy.gitops.pieces import RenderedCluster
from aether_deploy.lab.applying import apply_manifests
from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.programs import NEWEST
from aether_deploy.lab.rehearsal import Nodes, Rehearsed
from aether_deploy.lab.stage import Stage, Verdict
from aether_deploy.manifest.value import Manifest
from aether_deploy.problems import EffectError
from tests.cli_cases import ONE_REGION, ROOT, SMALL, STAGES, CommandLine
from tests.kubectl import COMMAND, find_kubectl
from tests.lab_cases import boot_for_tests
from tests.real import need
from tests.test_cli_process import on_terminal

TWO_REGIONS = ROOT / "examples/two-regions/aether.yaml"
CONTROLLERS = "kube-controller-manager"
really = pytest.mark.real

MET = Rehearsed(
    path="prod/clusters/us-east-1",
    kubernetes="v1.37.2",
    nodes=9,
    zones=("us-east-1a", "us-east-1b", "us-east-1c"),
    applied=(),
    assumed=(),
    placement={"world-server": {"us-east-1a": 1, "us-east-1b": 1, "us-east-1c": 0}},
    pending={"world-server": 0},
    verdicts=(Verdict(scenario="steady", subject="", holds=True, text="2 of 2 pods ready"),),
)
MET_TEXT = """\
Kubernetes v1.37.2, 9 nodes in 3 zones; 0 objects applied, nothing dropped or rewritten
                  us-east-1a  us-east-1b  us-east-1c  pending
  world-server             1           1           0        0
ok    steady  2 of 2 pods ready
1 expectation met
"""
FAILED = msgspec.structs.replace(
    MET,
    pending={"world-server": 1},
    assumed=("Secret aether-prod/registry",),
    verdicts=(
        *MET.verdicts,
        Verdict(
            scenario="zone-loss=us-east-1a",
            subject="world-server",
            holds=False,
            text="expected 2 ready; saw 1 ready, 1 Pending",
            details=("scheduler: 0/6 nodes are available: 6 Insufficient cpu.",),
        ),
    ),
)
FAILED_LINES = """\
FAIL  zone-loss  world-server: expected 2 ready; saw 1 ready, 1 Pending
                 scheduler: 0/6 nodes are available: 6 Insufficient cpu.
"""
FAILED_TEXT = f"""\
Kubernetes v1.37.2, 9 nodes in 3 zones; 0 objects applied, nothing dropped or rewritten
                  us-east-1a  us-east-1b  us-east-1c  pending
  world-server             1           1           0        1
ok    steady     2 of 2 pods ready
{FAILED_LINES}\
1 of 2 expectations failed
the cluster must have: Secret aether-prod/registry
"""


class Played(msgspec.Struct):
    """A rehearsal that was asked for."""

    cluster: str
    version: str
    scenarios: list[str]
    nodes: Nodes


class MadeUp:
    """Stands for all rehearsals: notes what was asked for and returns what it was told to, by cluster."""

    def __init__(self) -> None:
        self.asked: list[Played] = []
        self.found: dict[str, Rehearsed | Exception] = {}

    def __call__(
        self,
        rendered: RenderedCluster,
        version: str,
        scenarios: list[str],
        *,
        nodes: Nodes,
        say: Callable[[str], None],
    ) -> Rehearsed:
        cluster = rendered.cluster.site.cluster
        self.asked.append(Played(cluster, version, list(scenarios), nodes))
        say("playing")
        found = self.found.get(cluster, MET)
        if isinstance(found, Exception):
            raise found
        return msgspec.structs.replace(found, path=rendered.path)


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> MadeUp:
    """Let nothing boot."""
    stand_in = MadeUp()
    monkeypatch.setattr(verb, "rehearse", stand_in)
    monkeypatch.setattr(verb, "need_programs", lambda versions: None)
    monkeypatch.setattr(verb, "need_certificates", lambda: None)
    return stand_in


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    monkeypatch.chdir(tmp_path)
    return CommandLine(tmp_path, capsys)


# --- what it prints


def test_a_rehearsal_that_holds_is_told_on_standard_output(cli: CommandLine, made_up: MadeUp) -> None:
    assert cli("rehearse") == (0, MET_TEXT, "")
    assert made_up.asked == [Played("us-east-1", "v1.37.2", [], Nodes())]


def test_an_expectation_that_failed_ends_with_1_and_quotes_the_scheduler(cli: CommandLine, made_up: MadeUp) -> None:
    made_up.found["us-east-1"] = FAILED

    assert cli("rehearse", "--scenario", "zone-loss=us-east-1a") == (1, FAILED_TEXT, "")


def test_quiet_tells_only_what_does_not_hold(cli: CommandLine, made_up: MadeUp) -> None:
    assert cli("rehearse", "-q") == (0, "", "")

    made_up.found["us-east-1"] = FAILED
    assert cli("rehearse", "-q", "--scenario", "zone-loss=us-east-1a") == (1, FAILED_LINES, "")


def test_json_has_everything(cli: CommandLine, made_up: MadeUp) -> None:
    made_up.found["us-east-1"] = FAILED

    ended = cli("rehearse", "--json")

    assert (ended.code, ended.err) == (1, "")
    assert {key: ended.answer[key] for key in ("format", "verb", "ok", "problems")} == {
        "format": 1,
        "verb": "rehearse",
        "ok": False,
        "problems": [],
    }
    (cluster,) = ended.answer["result"]["clusters"]
    assert cluster["placement"] == FAILED.placement
    assert cluster["verdicts"][1] == {
        "scenario": "zone-loss=us-east-1a",
        "subject": "world-server",
        "holds": False,
        "text": "expected 2 ready; saw 1 ready, 1 Pending",
        "details": ["scheduler: 0/6 nodes are available: 6 Insufficient cpu."],
        "fewest": None,
        "secs_below": None,
    }


def test_several_clusters_are_rehearsed_in_turn_and_told_under_their_folders(cli: CommandLine, made_up: MadeUp) -> None:
    made_up.found["dublin"] = FAILED

    ended = cli("rehearse", str(TWO_REGIONS))

    head = "prod/clusters/us-east-1\n"
    assert ended.code == 1
    assert ended.out.startswith(f"{head}{MET_TEXT}\nprod/clusters/dublin\n")
    # Nobody asked for this zone, so it is named.
    assert "FAIL  zone-loss=us-east-1a  world-server: expected 2 ready; saw 1 ready, 1 Pending\n" in ended.out
    assert [(each.cluster, each.version) for each in made_up.asked] == [("us-east-1", "v1.37.2"), ("dublin", "v1.36.3")]


def test_what_was_found_of_one_cluster_is_told_even_if_the_next_cannot_be_rehearsed(
    cli: CommandLine, made_up: MadeUp
) -> None:
    made_up.found["dublin"] = EffectError("etcd ended by itself (exit code 1)\n  fix: see its log")

    ended = cli("rehearse", str(TWO_REGIONS))

    assert ended.code == 3
    assert ended.out == f"prod/clusters/us-east-1\n{MET_TEXT}"
    assert ended.err == "error: etcd ended by itself (exit code 1)\n  fix: see its log\n"


def test_one_cluster_of_several_can_be_chosen(cli: CommandLine, made_up: MadeUp) -> None:
    assert cli("rehearse", str(TWO_REGIONS), "--cluster", "dublin") == (0, MET_TEXT, "")
    assert [each.cluster for each in made_up.asked] == ["dublin"]


def test_the_first_environment_is_rehearsed_unless_another_one_is_named(cli: CommandLine, made_up: MadeUp) -> None:
    cli.write("aether.yaml", STAGES)

    assert cli("rehearse").code == 0
    assert cli("rehearse", "--env", "staging").code == 0
    assert [each.version for each in made_up.asked] == ["v1.37.2", "v1.36.3"]


def test_a_scenario_is_played_where_its_argument_is_known(cli: CommandLine, made_up: MadeUp) -> None:
    scenarios = ("--scenario", "zone-loss=eu-west-1b", "--scenario", "rollout=matchmaking", "--scenario", "steady")

    assert cli("rehearse", str(TWO_REGIONS), *scenarios).code == 0
    assert [each.scenarios for each in made_up.asked] == [
        ["rollout=matchmaking", "steady"],
        ["zone-loss=eu-west-1b", "steady"],
    ]


@pytest.mark.parametrize(("given", "version"), [("v1.37", "v1.37.2"), ("1.35", "v1.35.4"), ("1.36.1", "v1.36.1")])
def test_the_version_may_be_a_minor_or_a_patch(given: str, version: str, cli: CommandLine, made_up: MadeUp) -> None:
    assert cli("rehearse", "--k8s", given).code == 0
    assert made_up.asked[0].version == version


def test_the_nodes_can_be_chosen(cli: CommandLine, made_up: MadeUp) -> None:
    assert cli("rehearse", "--nodes-per-zone", "1", "--node-cpu", "500m", "--node-memory", "1.5Gi").code == 0
    assert made_up.asked[0].nodes == Nodes(per_zone=1, cpu="500m", memory="1.5Gi")


def test_progress_is_shown_on_a_terminal_only_and_wiped(tmp_path: Path) -> None:
    (tmp_path / "aether.yaml").write_text(SMALL)
    code = (
        "import sys\nfrom aether_deploy.cli.progress import steps\n"
        "with steps(quiet='-q' in sys.argv) as say:\n    say('booting')\n    say('playing')\nprint('done')\n"
    )
    script = tmp_path / "aether-deploy"
    script.write_text(f"#!{sys.executable}\n{code}")
    script.chmod(0o755)

    shown = _on_terminal(script, tmp_path)

    assert re.sub(r" +\d+ s", "   N s", shown) == "\r   N s  booting\x1b[K\r   N s  playing\x1b[K\r\x1b[Kdone\n"
    assert _on_terminal(script, tmp_path, "-q") == "done\n"


def _on_terminal(script: Path, folder: Path, *arguments: str) -> str:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("tests.cli_cases.PROGRAM", script)
        code, shown = on_terminal(*arguments, folder=folder)
    assert code == 0
    return shown


def test_nothing_but_the_answer_is_told_in_a_pipe(cli: CommandLine, made_up: MadeUp) -> None:
    assert cli("rehearse").err == ""


# --- what is wrong with what was asked for


@pytest.fixture
def nothing_boots(monkeypatch: pytest.MonkeyPatch) -> None:
    def boot(*_: Any, **__: Any) -> None:
        raise AssertionError("it boots")

    monkeypatch.setattr(ControlPlane, "__enter__", boot)


@pytest.mark.usefixtures("nothing_boots")
def test_everything_that_is_wrong_with_the_options_is_said_before_anything_boots(cli: CommandLine) -> None:
    wrong = ["--scenario", "zone-lost", "--scenario", "zone-loss=us-east-1d", "--scenario", "rollout=world-servr"]
    wrong += ["--cluster", "us-east-2", "--k8s", "v1.73.2x", "--node-cpu", "1 core", "--node-memory", "0"]

    assert cli("rehearse", *wrong) == (
        2,
        "",
        "--cluster us-east-2: no cluster has that name\n"
        "  fix: did you mean 'us-east-1'?\n"
        "--k8s v1.73.2x: is no version\n"
        "  fix: did you mean 'v1.37.2'?\n"
        "--node-cpu: is '1 core'; no quantity: a number and a suffix, without spaces, such as 500m or 1.5Gi\n"
        "  fix: write --node-cpu 16\n"
        "--node-memory: is '0'; not more than zero\n"
        "  fix: write --node-memory 64Gi\n"
        "--scenario zone-lost: no scenario has that name\n"
        "  fix: did you mean 'zone-loss'?\n"
        "--scenario zone-loss=us-east-1d: this cluster has no zone 'us-east-1d'\n"
        "  fix: did you mean 'us-east-1c'?\n"
        "--scenario rollout=world-servr: this cluster has no workload 'world-servr'\n"
        "  fix: did you mean 'world-server'?\n"
        "7 problems\n",
    )


@pytest.mark.usefixtures("nothing_boots")
def test_a_minor_that_nobody_knows_is_said_with_those_that_are_known(cli: CommandLine) -> None:
    assert cli("rehearse", "--k8s", "v1.12") == (
        2,
        "",
        "--k8s v1.12: no version of that minor is known\n"
        "  fix: known are v1.34.4, v1.35.4, v1.36.3, v1.37.2\n"
        "1 problem\n",
    )


@pytest.mark.usefixtures("nothing_boots")
def test_a_description_that_is_wrong_boots_nothing(cli: CommandLine) -> None:
    cli.write("aether.yaml", SMALL.replace("10Gi", "10Gi, sise: 1"))

    assert cli("rehearse").code == 2
    assert cli("rehearse", "--env", "prodd").code == 2


@pytest.mark.usefixtures("nothing_boots")
def test_missing_programs_of_all_clusters_are_one_message_with_what_brings_them(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    names = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")

    assert cli("rehearse") == (
        3,
        "",
        "error: a control plane needs programs that are not on this machine: "
        f"{', '.join(f'{name} v1.37.2' for name in names)}, etcd v3.7.3, kwok v0.8.0\n"
        "  fix: `python -m aether_deploy.lab` builds them (it needs Go); "
        "or let KUBEBUILDER_ASSETS name a folder that has them\n",
    )
    assert cli("rehearse", str(TWO_REGIONS), "--json").answer["problems"][0]["reason"].count("kube-apiserver") == 2


@pytest.mark.usefixtures("nothing_boots")
def test_without_the_extra_one_message_says_how_to_install_it(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)

    assert cli("rehearse") == (
        3,
        "",
        "error: a control plane needs the package cryptography\n  fix: pip install 'aether-deploy[lab]'\n",
    )


# --- a real cluster, what is wrong with naming it


def test_a_real_cluster_takes_no_options_of_the_rehearsal(cli: CommandLine) -> None:
    ended = cli("rehearse", "--context", "prod", "--scenario", "steady", "--node-cpu", "4")

    assert ended == (
        2,
        "",
        "error: a real cluster is only asked by dry run; leave --scenario, --node-cpu out\n"
        "  fix: see aether-deploy rehearse --help\n",
    )


def test_a_real_cluster_is_one_of_those_that_are_described(cli: CommandLine) -> None:
    assert cli("rehearse", str(TWO_REGIONS), "--context", "dublin") == (
        2,
        "",
        "--cluster: a real cluster is one of several\n  fix: name it: us-east-1, dublin\n1 problem\n",
    )


def test_a_kubeconfig_that_is_not_there_is_wrong_input(cli: CommandLine) -> None:
    assert cli("rehearse", "--kubeconfig", "gone") == (
        2,
        "",
        "--kubeconfig gone: is no file\n  fix: name the file of the cluster\n1 problem\n",
    )


# --- for real


class TestForReal:
    pytestmark = really

    def test_the_example_of_one_region_runs_as_it_is(self, cli: CommandLine) -> None:
        ended = cli("rehearse", str(ONE_REGION))

        assert (ended.code, ended.err) == (0, "")
        assert ended.out.splitlines()[:6] == [
            "Kubernetes v1.37.2, 9 nodes in 3 zones; 29 objects applied, nothing dropped or rewritten",
            "                  us-east-1a  us-east-1b  us-east-1c  pending",
            "  gateway                  1           1           1        0",
            "  matchmaking              1           1           1        0",
            "  voice-relay              1           1           1        0",
            "  world-server             2           2           2        0",
        ]
        assert "15 of 15 pods ready" in ended.out
        assert "FAIL" not in ended.out

    def test_pods_that_do_not_fit_are_told_in_the_words_of_the_scheduler(
        self, cli: CommandLine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Stage.settle, "__defaults__", (15.0,))  # they will not fit later either
        cli.write("aether.yaml", SMALL.replace("pvc:", "resources: {cpu_request: '2', cpu_limit: '2'}\n    pvc:"))

        ended = cli("rehearse", "--node-cpu", "1", "--nodes-per-zone", "1")

        assert ended.code == 1
        assert "world-server: expected 2 ready; saw 0 ready, " in ended.out
        assert "scheduler: 0/3 nodes are available: " in ended.out
        assert "Insufficient cpu" in ended.out

    def test_several_clusters_boot_in_turn(self, cli: CommandLine) -> None:
        ended = cli("rehearse", str(TWO_REGIONS), "--env", "staging", "--k8s", NEWEST, "--json")

        assert (ended.code, ended.err) == (0, "")
        clusters = ended.answer["result"]["clusters"]
        assert [each["path"] for each in clusters] == ["staging/clusters/us-east-1", "staging/clusters/dublin"]
        assert [each["kubernetes"] for each in clusters] == [NEWEST, NEWEST]
        assert [verdict["holds"] for each in clusters for verdict in each["verdicts"]].count(False) == 0

    def test_a_real_cluster_is_asked_and_not_changed(self, cli: CommandLine) -> None:
        cli.write("aether.yaml", f"{SMALL}observability: {{prometheus: {{url: 'http://p.m:9090', namespace: m}}}}\n")
        with boot_for_tests(per_zone=1) as plane:
            cluster = ("--kubeconfig", str(plane.kubeconfig), "--context", "lab")
            before = _versions(plane)

            empty = cli("rehearse", *cluster)

            assert (empty.code, empty.err) == (0, "")
            assert empty.out.startswith(
                f"Kubernetes {NEWEST}: 1 of 9 objects judged by dry run, nothing refused, dropped or rewritten\n"
                "  not judged: "
            )
            assert "StatefulSet aether-prod/world-server: the namespace aether-prod is not there yet\n" in empty.out
            assert empty.out.endswith(
                "\n  not judged: pods; a dry run makes none, so neither pod security nor scheduling was seen\n"
            )
            assert _versions(plane) == before

            _make_namespace(plane)
            before = _versions(plane)
            asked = cli("rehearse", *cluster, "--json")

            assert (asked.code, asked.answer["ok"]) == (0, True)
            assert list(asked.answer["result"]["not_judged"]) == ["PodMonitor aether-prod/world-server"]
            assert asked.answer["result"]["judged"] > 7
            assert _versions(plane) == before

            nowhere = cli("rehearse", "--kubeconfig", str(plane.kubeconfig), "--context", "nope")
            assert (nowhere.code, nowhere.out) == (3, "")
            assert 'context "nope" does not exist' in nowhere.err

    def test_a_real_cluster_that_does_not_answer_is_one_clear_error(self, cli: CommandLine) -> None:
        need(find_kubectl(), "kubectl", COMMAND)
        cluster = {"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}
        context = {"name": "dead", "context": {"cluster": "c", "user": ""}}
        config = {"apiVersion": "v1", "kind": "Config", "clusters": [cluster], "contexts": [context]}
        path = cli.write("dead.json", json.dumps(config))

        ended = cli("rehearse", "--kubeconfig", "dead.json", "--context", "dead")

        command = f"kubectl version --kubeconfig={path} --context=dead"
        assert ended == (
            3,
            "",
            "error: the cluster does not answer: dial tcp 127.0.0.1:1: connect: connection refused\n"
            f"  fix: see that `{command}` does\n",
        )


def _make_namespace(plane: ControlPlane) -> None:
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "aether-prod"}}
    (applied,) = apply_manifests(plane.client, [Manifest(body, "")])
    assert applied.sound


def _versions(plane: ControlPlane) -> dict[str, str]:
    """Return the version of every object in the cluster, but of those that its nodes and controllers keep writing, or
    that it makes for itself some time after it has begun."""
    found = {}
    for group, resources in _collections(plane).items():
        for resource in resources:
            for item in plane.client.request("GET", f"{group}/{resource}").body.get("items") or ():
                metadata = item["metadata"]
                name = f"{resource}/{metadata.get('namespace', '')}/{metadata['name']}"
                managers = {each["manager"] for each in metadata.get("managedFields", ())}
                own = CONTROLLERS in managers and managers <= {CONTROLLERS, "kube-apiserver"}
                if resource not in ("nodes", "leases", "events", "componentstatuses") and not own:
                    found[name] = metadata["resourceVersion"]
    assert len(found) > 50
    return found


def _collections(plane: ControlPlane) -> dict[str, list[str]]:
    groups = ["/api/v1"] + [
        f"/apis/{group['preferredVersion']['groupVersion']}"
        for group in plane.client.request("GET", "/apis").body["groups"]
    ]
    return {
        group: [
            each["name"]
            for each in plane.client.request("GET", group).body["resources"]
            if "list" in each["verbs"] and "/" not in each["name"]
        ]
        for group in groups
    }
