"""``publish``: what it prints, where it goes by default, and how it ends."""

from hashlib import sha256
from pathlib import Path

import pytest

from tests.cli_cases import FAULTY, SMALL, STAGES, UNKNOWN_SIZE, WARNED, WARNING, CommandLine
from tests.git_cases import clone_of, commit, files_at, git, hook, isolate, tip, untouched

pytestmark = pytest.mark.real

GITOPS = "gitops: {engine: flux, repo: 'https://git.example.com/x.git', revision: live, path: trees/aether}\n"
WORLD = "deploy/prod/clusters/us-east-1/aether-prod/world-server"


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    isolate(tmp_path, monkeypatch)
    clone_of(tmp_path)
    monkeypatch.chdir(tmp_path)
    return CommandLine(tmp_path, capsys)


def clone(cli: CommandLine) -> Path:
    return cli.folder / "clone"


# --- what it prints


def test_the_commit_is_printed_and_the_rest_is_a_message(cli: CommandLine) -> None:
    ended = cli("publish", "--repo", "clone")

    assert ended == (0, f"{tip(clone(cli))}\n", "committed to main of clone: 14 written, 0 removed\n")
    assert git(clone(cli), "log", "-1", "--format=%s") == "aether (prod): 12 added\n"


def test_a_second_run_prints_the_commit_that_holds_the_tree(cli: CommandLine) -> None:
    first = cli("publish", "--repo", "clone")

    assert cli("publish", "--repo", "clone") == (
        0, first.out, "nothing to publish: main of clone holds this tree already\n"
    )  # fmt: skip
    assert cli("publish", "--repo", "clone", "-q") == (0, first.out, "")


def test_a_push_is_told(cli: CommandLine) -> None:
    commit(clone(cli), {"a.txt": "a\n"})

    ended = cli("publish", "--repo", "clone", "--push")

    assert ended.out == f"{tip(cli.folder / 'remote.git')}\n"
    assert ended.err == (
        "committed to main of clone: 14 written, 0 removed, "
        "pushed to origin, with 1 commit of the clone that it lacked\n"
    )


def test_a_push_of_what_was_published_before_is_told(cli: CommandLine) -> None:
    first = cli("publish", "--repo", "clone")

    assert cli("publish", "--repo", "clone", "--push", "--dry-run") == (
        0,
        f"nothing to commit: main holds this tree at {first.out[:12]}\n"
        "would push main to origin, with 1 commit of the clone that it lacked\n",
        "nothing was changed\n",
    )
    assert cli("publish", "--repo", "clone", "--push") == (
        0,
        first.out,
        "main of clone held this tree, pushed to origin, with 1 commit of the clone that it lacked\n",
    )


PLAN = f"""\
would commit to main on top of <base>
would write   {WORLD}/kustomization.yaml
would write   {WORLD}/statefulset.yaml
would write   deploy/prod/clusters/us-east-1/aether.index.jsonl
would remove  {WORLD}/horizontalpodautoscaler.yaml
message:
  aether (prod): 2 changed, 1 removed

"""


def test_a_dry_run_prints_the_plan_and_changes_nothing(cli: CommandLine) -> None:
    cli("publish", "--repo", "clone")
    cli.write("aether.yaml", SMALL + "    scaling: none\n")

    with untouched(clone(cli)):
        ended = cli("publish", "--repo", "clone", "--dry-run")

    assert ended.code == 0
    assert ended.out.replace(tip(clone(cli))[:12], "<base>").startswith(PLAN)
    assert ended.err == "3 written, 1 removed; nothing was changed\n"
    assert cli("publish", "--repo", "clone").code == 0
    message = git(clone(cli), "log", "-1", "--format=%B").rstrip("\n")
    assert ended.out.endswith("message:\n" + "".join(f"  {line}".rstrip() + "\n" for line in message.splitlines()))


def test_a_dry_run_of_the_first_commit_and_of_no_change_say_so(cli: CommandLine) -> None:
    git(cli.folder, "init", "--quiet", "empty")

    assert cli("publish", "--repo", "empty", "--dry-run").out.startswith("would commit to main as its first commit\n")
    published = cli("publish", "--repo", "empty").out
    assert cli("publish", "--repo", "empty", "--dry-run") == (
        0,
        f"nothing to commit: main holds this tree at {published[:12]}\n",
        "nothing to publish: main of empty holds this tree already\n",
    )


def test_the_message_says_what_the_change_does_to_the_clusters(cli: CommandLine) -> None:
    cli("publish", "--repo", "clone")

    cli("publish", "--repo", "clone", "--set", "worlds.world-server.scaling.max_replicas=30")

    subject, empty, head, *_ = git(clone(cli), "log", "-1", "--format=%B").splitlines()
    assert (subject, empty) == ("aether (prod): 2 changed", "")
    assert head.startswith("SAFE: ")
    assert "HorizontalPodAutoscaler" in git(clone(cli), "log", "-1", "--format=%B")


def test_a_file_that_is_no_object_any_more_keeps_nobody_from_publishing(cli: CommandLine) -> None:
    """The body then lists files."""
    cli("publish", "--repo", "clone")
    index = clone(cli) / "deploy/prod/clusters/us-east-1/aether.index.jsonl"
    service = clone(cli) / f"{WORLD}/service.yaml"
    old = sha256(service.read_bytes()).hexdigest()
    new = sha256(b"- nonsense\n").hexdigest()
    commit(
        clone(cli),
        {
            f"{WORLD}/service.yaml": "- nonsense\n",
            str(index.relative_to(clone(cli))): index.read_text().replace(old, new),
        },
    )

    assert cli("publish", "--repo", "clone").code == 0
    assert "~ aether-prod/world-server/service.yaml" in git(clone(cli), "log", "-1", "--format=%b")


def test_a_message_of_ones_own_is_the_message(cli: CommandLine) -> None:
    cli("publish", "--repo", "clone", "--message", "ship it")

    assert git(clone(cli), "log", "-1", "--format=%B") == "ship it\n\n"


def test_the_answer_for_machines_is_one_object(cli: CommandLine) -> None:
    before = tip(clone(cli))

    answer = cli("publish", "--repo", "clone", "--json", "--push").answer

    result = answer.pop("result")
    assert answer == {"format": 1, "verb": "publish", "ok": True, "problems": []}
    written, message = result.pop("written"), result.pop("message")
    assert (len(written), written[0]) == (14, "deploy/aether.index.jsonl")
    assert message.startswith("aether (prod): 12 added\n\n")
    assert result == {
        "repository": "clone",
        "branch": "main",
        "base": before,
        "commit": tip(clone(cli)),
        "removed": [],
        "remote": "origin",
        "taken_along": 0,
        "notes": [],
        "changed": True,
        "dry_run": False,
    }


def test_a_plan_for_machines_has_no_commit_yet(cli: CommandLine) -> None:
    result = cli("publish", "--repo", "clone", "--json", "--dry-run").answer["result"]

    assert (result["commit"], result["changed"], result["dry_run"]) == (None, True, True)


def test_a_note_is_printed(cli: CommandLine) -> None:
    blocking = clone(cli) / "deploy/aether.index.jsonl"
    hook(clone(cli), "pre-push", f"mkdir -p {blocking.parent}; echo mine >{blocking}")

    ended = cli("publish", "--repo", "clone", "--push")

    assert ended.code == 0
    assert ended.err.splitlines()[1] == (
        "note: main of origin holds the tree, but the clone's stays behind: "
        f"{clone(cli)} has changes that are in the way: deploy/aether.index.jsonl"
    )


# --- where it goes


def test_the_working_directory_is_the_default(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(clone(cli))

    ended = cli("publish", "../aether.yaml")

    assert ended.err == "committed to main of .: 14 written, 0 removed\n"


def test_the_description_names_branch_and_folder(cli: CommandLine) -> None:
    cli.write("aether.yaml", SMALL + GITOPS)

    ended = cli("publish", "--repo", "clone")

    assert ended.err.startswith("committed to live of clone: ")
    assert "trees/aether/prod/clusters/us-east-1/kustomization.yaml" in files_at(clone(cli), "live")
    assert tip(clone(cli), "refs/heads/live~1") == tip(clone(cli), "refs/heads/main")


def test_an_option_is_stronger_than_the_description(cli: CommandLine) -> None:
    cli.write("aether.yaml", SMALL + GITOPS)

    assert cli("publish", "--repo", "clone", "--branch", "eu").err.startswith("committed to eu of clone: ")


def test_without_a_repository_in_the_description_its_branch_means_nothing(cli: CommandLine) -> None:
    git(clone(cli), "switch", "--quiet", "--create", "trunk")

    assert cli("publish", "--repo", "clone").err.startswith("committed to trunk of clone: ")


def test_environments_that_go_elsewhere_are_published_one_by_one(cli: CommandLine) -> None:
    overlay = "environments: {prod: {}, staging: {gitops: {revision: staging, path: other}}}\n"
    cli.write("aether.yaml", SMALL + GITOPS + overlay)

    assert cli("publish", "--repo", "clone") == (
        2,
        "",
        "$.gitops.revision: differs between environments: live, staging\n"
        "  fix: take them one by one, with --env NAME\n"
        "1 problem\n",
    )
    assert cli("publish", "--repo", "clone", "--env", "staging").err.startswith("committed to staging of clone: ")
    assert cli("publish", "--repo", "clone", "--env", "prod").err.startswith("committed to live of clone: ")


def test_all_environments_are_published_unless_one_is_named(cli: CommandLine) -> None:
    cli.write("aether.yaml", STAGES)
    cli("publish", "--repo", "clone", "--env", "staging")
    one = files_at(clone(cli), below="deploy/")

    cli("publish", "--repo", "clone")

    assert {path.split("/")[1] for path in one} == {"aether.index.jsonl", "staging"}
    assert {path.split("/")[1] for path in files_at(clone(cli), below="deploy/")} == {
        "aether.index.jsonl",
        "prod",
        "staging",
    }
    assert git(clone(cli), "log", "-2", "--format=%s").splitlines() == [
        "aether (prod, staging): 12 added",
        "aether (staging): 12 added",
    ]


# --- how it ends


def test_a_faulty_description_is_published_nowhere(cli: CommandLine) -> None:
    cli.write("aether.yaml", FAULTY)

    with untouched(clone(cli)):
        assert cli("publish", "--repo", "clone") == (2, "", UNKNOWN_SIZE)


def test_warnings_are_told_and_strict_stops_at_them(cli: CommandLine) -> None:
    cli.write("aether.yaml", WARNED)
    says = f"{WARNING}1 warning in aether.yaml (environment prod)\n"

    with untouched(clone(cli)):
        assert cli("publish", "--repo", "clone", "--strict").code == 2
    assert cli("publish", "--repo", "clone").err == f"{says}committed to main of clone: 14 written, 0 removed\n"


def test_an_empty_message_is_wrong_use(cli: CommandLine) -> None:
    assert cli("publish", "--repo", "clone", "--message", " ") == (
        2,
        "",
        "error: --message is empty; leave it out for one that says what changes\n"
        "  fix: see aether-deploy publish --help\n",
    )


def test_a_branch_with_an_impossible_name_is_wrong_input(cli: CommandLine) -> None:
    assert cli("publish", "--repo", "clone", "--branch", "").code == 2
    assert cli("publish", "--repo", "clone", "--branch", "a..b") == (
        2, "", "--branch: is 'a..b'; no name that Git takes for a branch\n  fix: name one such as main\n1 problem\n"
    )  # fmt: skip


def test_what_the_world_refuses_ends_with_3_and_says_why(cli: CommandLine) -> None:
    hook(clone(cli), "pre-commit", "echo 'not on Fridays' >&2; exit 1")

    with untouched(clone(cli)):
        assert cli("publish", "--repo", "clone") == (
            3,
            "",
            "error: clone: a hook refused the commit (pre-commit); nothing was published\n"
            "  | not on Fridays\n"
            "  fix: mend what the hook says, then run again\n",
        )


def test_obstacles_are_problems_for_machines(cli: CommandLine) -> None:
    cli("publish", "--repo", "clone")
    edited = clone(cli) / f"{WORLD}/service.yaml"
    edited.write_text("mine\n")

    ended = cli("publish", "--repo", "clone", "--json")

    assert ended.code == 3
    assert not ended.answer["ok"]
    (problem,) = ended.answer["problems"]
    assert (problem["file"], problem["reason"]) == (
        f"{clone(cli)}/deploy",
        f"has edits that are not committed: {WORLD}/service.yaml",
    )
