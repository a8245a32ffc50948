"""``diff``: exit codes, what it compares with, how it prints, and how it fails."""

import json
from pathlib import Path

import pytest

from tests.cli_cases import CommandLine
from tests.git_cases import git, isolate

TEXT = """name: aether
kubernetes: v1.37
regions: [{code: us-east-1, zones: [a, b, c], storage_class: ssd}]
defaults: {workloads: {waivers: {image_digest: our registry keeps every tag}}}
worlds: [{name: world-server, image: "aether/world-server:v1.2.0", pvc: {size: 10Gi}}]
services:
  - name: gateway
    image: aether/gateway:v1.4.0
    scaling: {target_players_per_pod: 500, min_replicas: 3, max_replicas: 12}
    custom_metrics: [{name: aether_gateway_player_count}]
"""
ROLLS = ("gateway:v1.4.0", "gateway:v1.5.0")
REFUSED = ("storage_class: ssd", "storage_class: nvme")
SCALES = ("max_replicas: 12", "max_replicas: 16")


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    monkeypatch.chdir(tmp_path)
    isolate(tmp_path, monkeypatch)
    cli = CommandLine(tmp_path, capsys)
    cli.write("aether.yaml", TEXT)
    return cli


@pytest.fixture
def rendered(cli: CommandLine) -> CommandLine:
    assert cli("render", "-q", "-o", "deploy")[0] == 0
    return cli


def change(*pairs: tuple[str, str]) -> None:
    text = Path("aether.yaml").read_text("utf-8")
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    Path("aether.yaml").write_text(text, "utf-8")


def commit(*paths: str) -> None:
    if not Path(".git").is_dir():
        git(Path(), "init", "-q")
    git(Path(), "add", *paths)
    git(Path(), "commit", "-q", "-m", "a state")


# --- what it says


def test_the_report_says_what_each_change_does(rendered: CommandLine) -> None:
    change(ROLLS, REFUSED, SCALES)

    ended = rendered("diff", "--against", "deploy")

    assert (ended.code, ended.err) == (0, "")
    assert ended.out == (
        "DANGEROUS: 1 refused, 1 rolls pods, 1 in place                               prod, 1 cluster\n"
        "refused       us-east-1  StatefulSet aether-prod/world-server   (immutable)\n"
        "              volumeClaimTemplates[wal].storageClassName ssd -> nvme\n"
        "              way out: keep the pods, recreate the object; claims that exist stay as they are "
        "(8 commands: --verbose)\n"
        "rolls         us-east-1  Deployment aether-prod/gateway   image v1.4.0 -> v1.5.0\n"
        "              3..12 pods, one more while rolling, none fewer; up to 500 players move at a time, 6000 in all\n"
        "              takes 20s to 16m, by grace period and probes\n"
        "in place      us-east-1  HorizontalPodAutoscaler aether-prod/gateway\n"
        "              maxReplicas 12 -> 16; behavior.scaleUp.policies[0].value 9 -> 13\n"
    )


@pytest.mark.parametrize(
    "changes, code",
    [((), 0), ((SCALES,), 10), ((ROLLS,), 11), ((ROLLS, REFUSED), 12)],
    ids=["nothing", "safe", "attention", "dangerous"],
)
def test_the_exit_code_says_how_dangerous_it_is_where_it_is_asked_to(
    rendered: CommandLine, changes: tuple[tuple[str, str], ...], code: int
) -> None:
    change(*changes)

    assert rendered("diff", "--against", "deploy", "--exit-code")[0] == code
    assert rendered("diff", "--against", "deploy")[0] == 0


def test_json_holds_the_same_for_machines(rendered: CommandLine) -> None:
    change(REFUSED)

    code, out, err = rendered("diff", "--against", "deploy", "--json", "--exit-code")

    values = json.loads(out)
    assert (code, err, values["verb"], values["ok"]) == (12, "", "diff", True)
    assert values["result"]["danger"] == "dangerous"
    (found,) = values["result"]["changes"]
    assert found["effect"] == "refused"
    assert (found["way_out"][0], found["way_out"][-1]) == ("( set -eo pipefail", ")")
    assert len(found["way_out"]) == 11


def test_verbose_prints_the_commands_of_each_way_out(rendered: CommandLine) -> None:
    change(REFUSED)

    out = rendered("diff", "--against", "deploy", "--verbose").out

    assert "kubectl -n aether-prod delete statefulset world-server --cascade=orphan\n" in out
    assert "--verbose" not in out


def test_markdown_is_for_a_pull_request(rendered: CommandLine) -> None:
    change(ROLLS)

    out = rendered("diff", "--against", "deploy", "--markdown").out

    assert out.startswith("### ATTENTION: 1 rolls pods\n\nprod, 1 cluster\n\n| effect | where | what | change |\n")


def test_quiet_says_nothing_of_nothing(rendered: CommandLine) -> None:
    assert rendered("diff", "--against", "deploy", "-q") == (0, "", "")
    assert rendered("diff", "--against", "deploy").out.startswith("NOTHING changes ")


def test_nothing_is_written(rendered: CommandLine) -> None:
    change(ROLLS)
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}

    rendered("diff", "--against", "deploy", "--verbose")

    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


# --- environments


def test_an_environment_that_is_gone_is_told_unless_another_is_asked_for(rendered: CommandLine) -> None:
    change(("name: aether\n", "name: aether\nenvironments: {prod: {}, staging: {}}\n"))
    assert rendered("render", "-q", "-o", "deploy")[0] == 0
    change(("environments: {prod: {}, staging: {}}", "environments: {prod: {}}"))

    all_of_them = rendered("diff", "--against", "deploy", "--exit-code")
    asked = rendered("diff", "--against", "deploy", "--exit-code", "--env", "prod")

    assert all_of_them[0] == 12
    assert "data at risk  staging/us-east-1  Namespace aether-staging and 13 objects of it\n" in all_of_them.out
    assert asked[0] == 0
    assert asked.out.startswith("NOTHING changes ")


def test_a_new_environment_is_added(rendered: CommandLine) -> None:
    change(("name: aether\n", "name: aether\nenvironments: {prod: {}, staging: {}}\n"))

    code, out, _ = rendered("diff", "--against", "deploy", "--exit-code")

    assert code == 10
    assert out.startswith("SAFE: ")
    assert "added         staging/us-east-1  StatefulSet aether-staging/world-server and " in out


# --- a commit


def test_a_commit_with_a_tree_is_compared_by_its_tree(rendered: CommandLine) -> None:
    commit("deploy", "aether.yaml")
    change(ROLLS)

    code, out, err = rendered("diff", "--git", "HEAD", "--exit-code")

    assert (code, err) == (11, "")
    assert "rolls         us-east-1  Deployment aether-prod/gateway   image v1.4.0 -> v1.5.0\n" in out


def test_a_commit_without_a_tree_is_compared_by_its_description(cli: CommandLine) -> None:
    commit("aether.yaml")
    change(ROLLS)

    code, out, _ = cli("diff", "--git", "main", "--exit-code")

    assert code == 11
    assert "rolls         us-east-1  Deployment aether-prod/gateway   image v1.4.0 -> v1.5.0\n" in out


def test_a_description_that_was_wrong_then_is_an_error(cli: CommandLine) -> None:
    change(("max_replicas: 12", "max_replicas: 2"))
    commit("aether.yaml")
    change(("max_replicas: 2", "max_replicas: 12"))

    code, out, err = cli("diff", "--git", "main")

    assert (code, out) == (3, "")
    assert err == (
        "error: main: what it describes has 1 problem, and so renders to nothing\n"
        "main:aether.yaml:9:75: $.services[0].scaling.max_replicas: is 2; less than min_replicas, which is 3\n"
        "  fix: compare with another commit, or with a tree: --against DIR\n"
    )


def test_a_description_that_was_not_there_then_is_an_error(cli: CommandLine) -> None:
    Path("README").write_text("a", "utf-8")
    commit("README")

    code, out, err = cli("diff", "--git", "main")

    assert (code, out) == (3, "")
    assert "aether.yaml" in err
    assert "\n  fix: " in err


def test_a_commit_that_nobody_knows_is_an_error(cli: CommandLine) -> None:
    commit("aether.yaml")

    code, out, err = cli("diff", "--git", "nowhere")

    assert (code, out) == (3, "")
    assert "nowhere" in err
    assert "\n  fix: " in err


def test_a_folder_outside_of_git_is_an_error(cli: CommandLine) -> None:
    code, out, err = cli("diff", "--git", "main")

    assert (code, out) == (3, "")
    assert "\n  fix: " in err


# --- wrong input


@pytest.mark.parametrize(
    "arguments, said",
    [
        ((), "name what to compare with: one of --against DIR, --git REF, --live"),
        (("--against", "deploy", "--git", "HEAD"), "name what to compare with"),
        (("--against", "deploy", "--live"), "name what to compare with"),
        (("--against", "deploy", "--cluster", "a"), "say which cluster --live asks; give --live"),
        (("--against", "deploy", "--env", "nowhere"), "has no environment 'nowhere'"),
        (("missing.yaml", "--against", "deploy"), "missing.yaml"),
    ],
)
def test_what_is_asked_wrongly_is_said(rendered: CommandLine, arguments: tuple[str, ...], said: str) -> None:
    code, out, err = rendered("diff", *arguments)

    assert (code, out) == (2, "")
    assert said in err


def test_values_and_markdown_exclude_each_other(rendered: CommandLine) -> None:
    ended = rendered("diff", "--against", "deploy", "--json", "--markdown")

    assert ended.code == 2
    assert ended.answer["problems"][0]["reason"] == "--json and --markdown exclude each other"


def test_problems_of_the_description_stop_it(rendered: CommandLine) -> None:
    change(("max_replicas: 12", "max_replicas: 2"))

    code, out, err = rendered("diff", "--against", "deploy")

    assert (code, out) == (2, "")
    assert "max_replicas: is 2; less than min_replicas" in err


def test_a_folder_without_a_tree_is_an_error(cli: CommandLine) -> None:
    code, out, err = cli("diff", "--against", "nowhere")

    assert (code, out) == (3, "")
    assert "nowhere" in err
    assert "\n  fix: " in err


def test_a_damaged_tree_is_an_error_that_names_the_file(rendered: CommandLine) -> None:
    broken = Path("deploy/prod/clusters/us-east-1/aether-prod/gateway/deployment.yaml")
    broken.write_text("a: [", "utf-8")
    change(ROLLS)

    code, out, err = rendered("diff", "--against", "deploy")

    assert (code, out) == (3, "")
    assert broken.as_posix() in err
    assert "is no YAML" in err
    assert "\n  fix: " in err


def test_a_file_that_somebody_removed_is_added_and_noted(rendered: CommandLine) -> None:
    gone = Path("deploy/prod/clusters/us-east-1/aether-prod/gateway/deployment.yaml")
    gone.unlink()

    code, out, err = rendered("diff", "--against", "deploy")

    assert (code, err) == (0, "")
    assert "added         us-east-1  Deployment aether-prod/gateway\n" in out
    assert f"note: edited or removed since it was rendered: {gone.relative_to('deploy').as_posix()}\n" in out


def test_an_edit_by_hand_is_what_the_diff_is_from(rendered: CommandLine) -> None:
    edited = Path("deploy/prod/clusters/us-east-1/aether-prod/gateway/horizontalpodautoscaler.yaml")
    edited.write_text(edited.read_text("utf-8").replace("maxReplicas: 12", "maxReplicas: 40"), "utf-8")

    code, out, err = rendered("diff", "--against", "deploy", "--exit-code")

    assert (code, err) == (11, "")
    assert "maxReplicas 40 -> 12" in out
    assert "note: edited or removed since it was rendered: " in out


def test_a_file_that_holds_no_object_is_an_error(rendered: CommandLine) -> None:
    edited = Path("deploy/prod/clusters/us-east-1/aether-prod/gateway/deployment.yaml")
    edited.write_text("kind: Deployment\nmetadata: {name: gateway}\nspec: 5\n", "utf-8")

    code, out, err = rendered("diff", "--against", "deploy")

    assert (code, out) == (3, "")
    assert f"{edited.as_posix()}: holds no object of Kubernetes" in err


def test_an_index_that_was_emptied_is_no_first_deploy(rendered: CommandLine) -> None:
    Path("deploy/aether.index.jsonl").write_bytes(b"")

    assert rendered("diff", "--against", "deploy").code == 3
