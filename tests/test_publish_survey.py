"""A tree in a commit is judged as the same tree on disk is."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from aether_deploy.delivery.disk import TreeBlockedError
from aether_deploy.delivery.git import Git, list_entries
from aether_deploy.delivery.publish_bytes import blob_ids, rendered_files
from aether_deploy.delivery.publish_survey import CommitSurvey
from aether_deploy.delivery.tree_writer import WritePlan, plan_write
from aether_deploy.gitops.tree import JOURNAL_NAME, Tree
from tests.git_cases import git, isolate
from tests.test_tree_interrupted import kill_at
from tests.tree_cases import DEV, PROD, put, tree_of, write

pytestmark = pytest.mark.real

SEED = 20251127
ROUNDS = 60
NAMES = ["service", "deployment", "configmap", "Service", "a", "b"]
FOLDERS = ["aether-prod/gateway", "aether-prod/voice", "aether-prod/Voice", "cluster", "aether-prod"]


def random_tree(chance: random.Random) -> Tree:
    def files() -> dict[str, str]:
        names = {f"{folder}/{name.lower()}.yaml" for folder in FOLDERS[:2] for name in chance.sample(NAMES, 3)}
        return {name: f"{chance.randrange(3)}\n" for name in sorted(names)}

    return tree_of({unit: files() for unit in chance.sample([PROD, DEV, "prod/clusters/dublin"], chance.randint(1, 3))})


def disturb(chance: random.Random, root: Path) -> None:
    """Do something to a folder that somebody might do."""
    files = sorted(path for path in root.rglob("*/*") if path.is_file() and not path.is_symlink())
    if not files:
        return
    victim = chance.choice(files)
    anywhere = f"{chance.choice([PROD, DEV])}/{chance.choice(FOLDERS)}/{chance.choice(NAMES)}.yaml"
    acts: list[Callable[[], object]] = [
        lambda: victim.write_text("edited\n"),
        lambda: victim.unlink(),
        lambda: put(root, anywhere, f"{chance.randrange(3)}\n"),
        lambda: put(root, f"{anywhere}/below/it", "mine\n"),
        lambda: (victim.unlink(), victim.symlink_to("elsewhere")),  # type: ignore[func-returns-value]
        lambda: (shutil.rmtree(victim.parent), victim.parent.symlink_to(".")),  # type: ignore[func-returns-value]
        lambda: put(root, f"{PROD}/aether-prod/gateway/.service.yaml.aether-tmp", "left\n"),
        lambda: put(root, JOURNAL_NAME, "nonsense\n"),
    ]
    try:
        chance.choice(acts)()
    except OSError:  # a file where a folder is wanted, or the other way round
        return


def outcome(act: Callable[[], WritePlan]) -> object:
    """Return a plan, or all that stands in its way."""
    try:
        return act()
    except TreeBlockedError as error:
        return [(each.path, each.reason, each.fix) for each in error.obstacles]


def test_a_commit_is_judged_as_its_checkout_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    print(f"seed {SEED}")
    isolate(tmp_path, monkeypatch)
    chance = random.Random(SEED)
    plans = refusals = 0

    for number in range(ROUNDS):
        repo = tmp_path / str(number)
        git(tmp_path, "init", "--quiet", str(repo))
        root = repo / "deploy"
        before, after = random_tree(chance), random_tree(chance)
        write(root, before)
        if chance.random() < 0.3:
            kill_at(chance.randint(3, 20), lambda: write(root, random_tree(chance)))  # noqa: B023
        for _ in range(chance.choice([0, 0, 1, 1, 2])):
            disturb(chance, root)
        git(repo, "add", "--all")
        git(repo, "commit", "--quiet", "--allow-empty", "-m", "x")
        shutil.rmtree(root)
        git(repo, "reset", "--quiet", "--hard")  # git knows no empty folders
        environments, complete = chance.choice([(["prod", "dev"], True), (["prod"], False)])

        on_disk = outcome(lambda: plan_write(root, after, environments=environments, complete=complete))  # noqa: B023
        files = rendered_files(after)
        entries = list_entries(Git(str(repo)), "HEAD:deploy/")
        survey = CommitSurvey(str(root), Git(str(repo)), entries, files, blob_ids(files, "sha1"))
        in_commit = outcome(
            lambda: plan_write("", after, environments=environments, complete=complete, survey=survey)  # noqa: B023
        )

        assert in_commit == on_disk, (SEED, number)
        plans += isinstance(on_disk, WritePlan)
        refusals += not isinstance(on_disk, WritePlan)

    assert plans > 10
    assert refusals > 10
