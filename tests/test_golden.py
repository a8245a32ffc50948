"""Golden files: what the examples and a table of workloads render to, for the eyes of a reviewer."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from aether_deploy import DeploymentConfig
from aether_deploy.cli.main import run
from tests.bundle_cases import CASES, BundleCase
from tests.conftest import DIFF_LINES_MAX, GOLDEN, HOW_TO_UPDATE, Golden

DIGESTED = {"three-regions": ("staging", "dev")}
"""Environments of an example that are kept as digests: they are the first one with an overlay, and as large."""
EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*/aether.yaml"))


def stable(text: str) -> str:
    """Return an index without its hashes, which change with every line of the files beside it."""
    return re.sub(r'"sha256":"[0-9a-f]{64}"', '"sha256":"<sha256>"', text)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.parent.name)
def test_every_example_renders_to_its_golden_tree(example: Path, tmp_path: Path, check_golden: Golden) -> None:
    assert run(["render", "-q", str(example), "-o", str(tmp_path)]) == 0
    paths = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    files = {path.relative_to(tmp_path).as_posix(): stable(path.read_bytes().decode()) for path in paths}

    check_golden(example.parent.name, abridged(files, DIGESTED.get(example.parent.name, ())))


def abridged(files: dict[str, str], environments: Sequence[str]) -> dict[str, str]:
    """Return the files with a list of digests in place of those of ``environments``: it says which file changed."""
    kept = {path: text for path, text in files.items() if path.partition("/")[0] not in environments}
    for environment in environments:
        lines = [
            f"{hashlib.sha256(text.encode()).hexdigest()[:16]}  {path}\n"
            for path, text in files.items()
            if path.startswith(f"{environment}/")
        ]
        kept[f"{environment}.digests"] = "".join(lines)
    return kept


def test_every_workload_of_the_table_renders_to_its_golden_bundle(check_golden: Golden) -> None:
    check_golden("bundles", {f"{name}.yaml": bundle(case) for name, case in CASES.items()})


def bundle(case: BundleCase) -> str:
    return DeploymentConfig(**case.values).render_bundle(case.around)


def test_no_golden_file_belongs_to_nothing() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {
        "bundles",
        "components",
        "diff",
        "diff-ways-out",
        "edge",
        "engines",
        "traffic",
        *(path.parent.name for path in EXAMPLES),
    }


def test_a_digest_tells_which_file_of_an_environment_changed() -> None:
    before = abridged({"prod/a": "1\n", "dev/a": "1\n", "dev/b": "1\n"}, ["dev"])
    after = abridged({"prod/a": "1\n", "dev/a": "1\n", "dev/b": "2\n"}, ["dev"])

    assert before.keys() == {"prod/a", "dev.digests"}
    told = [line.split() for line in set(after["dev.digests"].splitlines()) - set(before["dev.digests"].splitlines())]
    assert [path for _, path in told] == ["dev/b"]


FILES = {"a/one.yaml": "one: 1\n", "two.yaml": "two: 2\n"}


def kept(tmp_path: Path) -> Golden:
    Golden(tmp_path, update=True)("case", FILES)
    return Golden(tmp_path, update=False)


def complaint(check: Golden, files: dict[str, str]) -> list[str]:
    with pytest.raises(pytest.fail.Exception) as failed:
        check("case", files)
    return str(failed.value).splitlines()


def test_golden_files_that_were_written_are_equal(tmp_path: Path) -> None:
    kept(tmp_path)("case", FILES)


def test_a_missing_golden_file_fails_and_says_how_to_update(tmp_path: Path) -> None:
    assert complaint(kept(tmp_path), {**FILES, "new.yaml": "new: 1\n"}) == [
        "tests/golden/case/new.yaml is missing: what is rendered now has it",
        HOW_TO_UPDATE,
    ]


def test_a_golden_file_left_over_fails_and_says_how_to_update(tmp_path: Path) -> None:
    assert complaint(kept(tmp_path), {"two.yaml": FILES["two.yaml"]}) == [
        "tests/golden/case/a/one.yaml is left over: what is rendered now lacks it",
        HOW_TO_UPDATE,
    ]


def test_a_changed_golden_file_fails_with_the_difference_and_says_how_to_update(tmp_path: Path) -> None:
    assert complaint(kept(tmp_path), {**FILES, "two.yaml": "two: 3\n"}) == [
        "tests/golden/case/two.yaml differs from what is rendered now",
        "--- two.yaml (golden)",
        "+++ two.yaml (now)",
        "@@ -1 +1 @@",
        "-two: 2",
        "+two: 3",
        HOW_TO_UPDATE,
    ]


def test_a_change_of_everything_is_still_a_message_that_can_be_read(tmp_path: Path) -> None:
    many = "".join(f"line{number}: 1\n" for number in range(500))

    assert len(complaint(kept(tmp_path), {**FILES, "two.yaml": many})) == 1 + DIFF_LINES_MAX + 1 + 1


def test_an_update_removes_what_is_left_over(tmp_path: Path) -> None:
    kept(tmp_path)
    Golden(tmp_path, update=True)("case", {"two.yaml": "two: 3\n"})

    assert [path.name for path in tmp_path.rglob("*.yaml")] == ["two.yaml"]
