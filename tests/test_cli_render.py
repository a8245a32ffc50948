"""``render``: what it prints, what ``--check`` says, and what it leaves on disk."""

import shlex
from pathlib import Path

import pytest
import yaml

from tests.cli_cases import ONE_REGION, STAGES, WARNED, WARNING, CommandLine

TREE = [
    "aether.index.jsonl",
    "prod/clusters/us-east-1/aether-prod/kustomization.yaml",
    *(
        f"prod/clusters/us-east-1/aether-prod/world-server/{name}.yaml"
        for name in (
            "horizontalpodautoscaler", "kustomization", "networkpolicy", "poddisruptionbudget", "service-headless",
            "service", "serviceaccount", "statefulset",
        )
    ),
    "prod/clusters/us-east-1/aether.index.jsonl",
    "prod/clusters/us-east-1/cluster/kustomization.yaml",
    "prod/clusters/us-east-1/cluster/namespace-aether-prod.yaml",
    "prod/clusters/us-east-1/kustomization.yaml",
]  # fmt: skip


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    monkeypatch.chdir(tmp_path)
    return CommandLine(tmp_path, capsys)


def files_below(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return content and time of every file."""
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


# --- to a folder


def test_the_summary_says_what_runs_where_and_what_to_do_next(cli: CommandLine) -> None:
    ended = cli("render", str(ONE_REGION), "-o", "deploy")

    assert ended == (
        0,
        "",
        "deploy/prod/clusters/us-east-1      v1.37, 3 zones\n"
        "  cluster                      1  Namespace\n"
        "  aether-prod/gateway          7  Deployment   3..12 pods   500 players each\n"
        "  aether-prod/matchmaking      6  Deployment   3 pods\n"
        "  aether-prod/voice-relay      7  Deployment   3..9 pods    200 players each\n"
        "  aether-prod/world-server     8  StatefulSet  6..20 pods   50 players each, WAL 10Gi each\n"
        "29 objects, 38 files: 38 written, 0 unchanged, 0 removed\n"
        "note: at the first deploy a scaled workload shows 1 replica until its HPA lifts it to the minimum\n"
        "note: aether-prod must have the Secrets gateway-tls, registry, world-signing\n"
        f"next: aether-deploy rehearse {ONE_REGION}"
        "   (or: kubectl apply --server-side -k deploy/prod/clusters/us-east-1)\n",
    )


def test_a_second_render_says_that_nothing_was_written(cli: CommandLine) -> None:
    cli("render", "-o", "deploy")
    before = files_below(cli.folder / "deploy")

    ended = cli("render", "-o", "deploy")

    assert "8 objects, 14 files: 0 written, 14 unchanged, 0 removed\n" in ended.err
    assert files_below(cli.folder / "deploy") == before


def test_the_next_command_can_be_pasted_whatever_the_folder_is_called(cli: CommandLine) -> None:
    setting = "worlds.world-server.env.MOTTO=it's $HOME"
    ended = cli("render", "-o", "my tree; $HOME", "--env", "prod", "--set", setting)

    rehearse, apply = ended.err.splitlines()[-1].removeprefix("next: ").removesuffix(")").split("   (or: ")
    assert shlex.split(rehearse) == ["aether-deploy", "rehearse", "aether.yaml", "--env", "prod", "--set", setting]
    command = shlex.split(apply)
    assert command == ["kubectl", "apply", "--server-side", "-k", "my tree; $HOME/prod/clusters/us-east-1"]
    assert Path(command[-1]).is_dir()


@pytest.mark.parametrize("folder", ["deploy", "deploy/", "./deploy", "a/../deploy"])
def test_the_summary_names_files_by_the_folder_as_it_was_given(folder: str, cli: CommandLine) -> None:
    (cli.folder / "a").mkdir()

    lines = cli("render", "-o", folder).err.splitlines()

    where = f"{folder.rstrip('/')}/prod/clusters/us-east-1"
    assert lines[0] == f"{where}      v1.37, 3 zones"
    assert lines[-1].endswith(f"   (or: kubectl apply --server-side -k {where})")


def test_every_environment_is_rendered_unless_one_is_named(cli: CommandLine) -> None:
    cli.write("aether.yaml", STAGES)

    one = cli("render", "-o", "one", "--env", "staging")
    every = cli("render", "-o", "every")

    assert [path.name for path in sorted((cli.folder / "one").iterdir())] == ["aether.index.jsonl", "staging"]
    assert [path.name for path in sorted((cli.folder / "every").iterdir())] == ["aether.index.jsonl", "prod", "staging"]
    assert one.err.splitlines()[-1] == (
        "next: aether-deploy rehearse aether.yaml --env staging"
        "   (or: kubectl apply --server-side -k one/staging/clusters/us-east-1)"
    )
    assert every.err.splitlines()[-1] == (
        "next: aether-deploy rehearse aether.yaml"
        "   (or: kubectl apply --server-side -k every/prod/clusters/us-east-1,"
        " and each of the 2 cluster folders in its own cluster)"
    )


def test_warnings_are_told_before_the_summary_and_strict_stops_at_them(cli: CommandLine) -> None:
    cli.write("aether.yaml", WARNED)
    says = f"{WARNING}1 warning in aether.yaml (environment prod)\n"

    assert cli("render", "-o", "strict", "--strict") == (
        2, "", says.replace("warning: ", "").replace("1 warning", "1 problem")
    )  # fmt: skip
    assert not (cli.folder / "strict").exists()
    assert cli("render", "-o", "deploy").err.startswith(f"{says}deploy/prod/clusters/us-east-1      v1.37, 3 zones\n")
    assert cli("render", "-o", "deploy", "-q") == (0, "", "")


def test_an_edited_file_stops_the_run_unless_forced(cli: CommandLine) -> None:
    cli("render", "-o", "deploy")
    edited = cli.folder / "deploy/prod/clusters/us-east-1/aether-prod/world-server/service.yaml"
    sound = edited.read_bytes()
    edited.write_bytes(sound + b"# mine\n")
    before = files_below(cli.folder / "deploy")

    assert cli("render", "-o", "deploy") == (
        3,
        "",
        "error: nothing was written to deploy: 1 obstacle\n"
        "deploy/prod/clusters/us-east-1/aether-prod/world-server/service.yaml: was edited since it was rendered\n"
        "  fix: move the edit into the description, or give --force to lose it\n",
    )
    assert files_below(cli.folder / "deploy") == before
    assert cli("render", "-o", "deploy", "--force").code == 0
    assert edited.read_bytes() == sound


# --- --check


def test_check_lists_every_file_that_is_missing_and_writes_nothing(cli: CommandLine) -> None:
    ended = cli("render", "-o", "deploy", "--check")

    assert ended == (
        1, "".join(f"would write   {path}\n" for path in TREE), "14 to write, 0 unchanged, 0 to remove\n"
    )  # fmt: skip
    assert [path.name for path in cli.folder.iterdir()] == ["aether.yaml"]


def test_check_holds_when_the_tree_is_up_to_date(cli: CommandLine) -> None:
    cli("render", "-o", "deploy")

    assert cli("render", "-o", "deploy", "--check") == (0, "", "0 to write, 14 unchanged, 0 to remove\n")
    assert cli("render", "-o", "deploy", "--check", "-q") == (0, "", "")


def test_check_lists_what_differs_and_leaves_it(cli: CommandLine) -> None:
    cli("render", "-o", "deploy")
    before = files_below(cli.folder / "deploy")
    cli.write("aether.yaml", (cli.folder / "aether.yaml").read_text() + "    scaling: none\n")

    folder = "prod/clusters/us-east-1"
    says = (
        f"would write   {folder}/aether-prod/world-server/kustomization.yaml\n"
        f"would write   {folder}/aether-prod/world-server/statefulset.yaml\n"
        f"would write   {folder}/aether.index.jsonl\n"
        f"would remove  {folder}/aether-prod/world-server/horizontalpodautoscaler.yaml\n"
    )
    assert cli("render", "-o", "deploy", "--check") == (1, says, "3 to write, 10 unchanged, 1 to remove\n")
    assert cli("render", "-o", "deploy", "--check", "-q") == (1, "", "")
    assert files_below(cli.folder / "deploy") == before


# --- to standard output


def test_the_manifests_are_those_of_the_tree(cli: CommandLine) -> None:
    cli("render", "-o", "deploy")
    in_tree = [
        yaml.safe_load(content)
        for path, (content, _) in files_below(cli.folder / "deploy").items()
        if path.endswith(".yaml") and not path.endswith("kustomization.yaml")
    ]

    ended = cli("render")
    printed = list(yaml.safe_load_all(ended.out))

    assert ended.err == ""
    assert ended.out.startswith("---\n")
    assert printed[0]["kind"] == "Namespace"
    assert sorted(printed, key=str) == sorted(in_tree, key=str)
    assert cli("render", "-o", "-").out == ended.out


def test_the_manifests_are_those_of_the_first_environment_unless_one_is_named(cli: CommandLine) -> None:
    cli.write("aether.yaml", STAGES)

    assert "namespace: aether-prod\n" in cli("render").out
    assert "namespace: aether-staging\n" not in cli("render").out
    assert "namespace: aether-staging\n" in cli("render", "--env", "staging").out


def test_warnings_stay_out_of_the_manifests(cli: CommandLine) -> None:
    cli.write("aether.yaml", WARNED)

    ended = cli("render")

    assert ended.err == f"{WARNING}1 warning in aether.yaml (environment prod)\n"
    assert all(document["apiVersion"] for document in yaml.safe_load_all(ended.out))
    assert cli("render", "-q") == (0, ended.out, "")
