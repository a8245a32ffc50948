"""The tree as values: what may stand in one folder, on any file system."""

import msgspec
import pytest

from aether_deploy.gitops.tree import Tree, TreeFile, Unit, build_tree, check_units, path_fault
from aether_deploy.problems import ConfigError
from tests.tree_cases import DEV, PROD, SERVICE, file_of, tree_of, unit_of


def test_a_tree_is_sorted_whatever_order_its_units_and_files_come_in() -> None:
    there = build_tree([unit_of(PROD, {"b.yaml": "b", "a.yaml": "a"}), unit_of(DEV, {"c.yaml": "c"})])
    back = build_tree([unit_of(DEV, {"c.yaml": "c"}), unit_of(PROD, {"a.yaml": "a", "b.yaml": "b"})])

    assert there == back
    assert [unit.path for unit in there.units] == [DEV, PROD]
    assert [file.path for file in there.units[1].files] == ["a.yaml", "b.yaml"]


def test_a_tree_counts_objects_without_and_files_with_kustomizations_and_indexes() -> None:
    kustomization = TreeFile(path="kustomization.yaml", text="", kind="Kustomization")
    unit = unit_of(PROD, {"a.yaml": "a", "b.yaml": "b"})

    tree = build_tree([msgspec.structs.replace(unit, files=(*unit.files, kustomization))])

    assert (tree.objects, tree.file_count) == (2, 5)


def test_two_objects_with_one_path_are_a_problem_that_names_both() -> None:
    first = file_of(SERVICE, source="services.gateway")
    second = file_of(SERVICE, source="services.gate")
    unit = msgspec.structs.replace(unit_of(PROD, {}), files=(first, second))

    problems = check_units([unit])

    assert [str(problem) for problem in problems] == [
        "$.services.gate: Service aether-prod/service of services.gate goes to "
        "prod/clusters/us-east-1/aether-prod/gateway/service.yaml, "
        "and so does Service aether-prod/service of services.gateway\n"
        "  fix: rename one of the two"
    ]


CASE_COLLISIONS = {
    "files of one folder": ({PROD: {"a/x.yaml": "", "a/X.yaml": ""}}, ["a/x.yaml differs from {}/a/X.yaml"]),
    "folders of one unit": ({PROD: {"a/x.yaml": "", "A/y.yaml": ""}}, ["a differs from {}/A"]),
    "a file and a folder": ({PROD: {"a": "", "A/y.yaml": ""}}, ["a differs from {}/A"]),
}


@pytest.mark.parametrize("case", CASE_COLLISIONS)
def test_paths_that_differ_only_in_case_are_a_problem(case: str) -> None:
    units, expected = CASE_COLLISIONS[case]
    problems = check_units([unit_of(path, files) for path, files in units.items()])

    assert [problem.reason for problem in problems] == [
        f"{PROD}/{text.format(PROD)} only in upper and lower case" for text in expected
    ]


def test_environments_that_differ_only_in_case_are_one_problem_however_much_they_hold() -> None:
    units = [unit_of("Prod/x", {"a.yaml": "", "b.yaml": ""}), unit_of("prod/x", {"a.yaml": "", "b.yaml": ""})]

    assert [problem.reason for problem in check_units(units)] == ["prod differs from Prod only in upper and lower case"]


def test_a_path_that_is_a_file_and_a_folder_is_a_problem() -> None:
    problems = check_units([unit_of(PROD, {"a": "", "a/x.yaml": ""})])

    assert [problem.reason for problem in problems] == [
        "prod/clusters/us-east-1/a is a file, and a folder for Service aether-prod/x of services.gateway"
    ]


def test_units_are_named_once_and_never_lie_in_each_other() -> None:
    units = [unit_of("prod/a", {}), unit_of("prod/a", {}), unit_of("prod/a/b", {})]

    assert [problem.reason for problem in check_units(units)] == [
        "two units have the path prod/a",
        "the unit prod/a/b lies in the unit prod/a",
    ]


UNSAFE = {
    "": "is empty",
    "/etc/passwd": "is absolute",
    "C:/x": "is absolute",
    "..": "leads out of its folder",
    "a/../../b": "leads out of its folder",
    "a\\b": "holds a backslash",
    "a\0b": "holds a character that cannot be printed",
    "a\nb": "holds a character that cannot be printed",
    "a//b": "is not in its shortest form",
    "./a": "is not in its shortest form",
    "a/": "is not in its shortest form",
    "a/aether.index.jsonl": "uses a name that is reserved",
    "Aether.Pending.jsonl": "uses a name that is reserved",
    ".GIT/config": "uses a name that is reserved",
    ".x.aether-tmp": "uses a name that is reserved",
    "a/" * 600 + "b": "is longer than 1024 characters",
}


@pytest.mark.parametrize("path", UNSAFE, ids=lambda path: ascii(path)[:20])
def test_a_path_that_is_unsafe_below_some_root_never_becomes_part_of_a_tree(path: str) -> None:
    assert path_fault(path) == UNSAFE[path]
    with pytest.raises(ConfigError):
        Tree((Unit(path=PROD, name="aether", environment="prod", files=(file_of(path),)),))
    with pytest.raises(ConfigError):
        Tree((Unit(path=path, name="aether", environment="prod"),))


@pytest.mark.parametrize("path", ["a", "a/b.yaml", "a..b/c", ".gitkeep", "größe/ü.yaml", "clusterrole-system:x.yaml"])
def test_an_ordinary_path_is_safe(path: str) -> None:
    assert path_fault(path) is None


def test_all_faults_of_a_tree_are_reported_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        tree_of({PROD: {"../x": "", "a.yaml": "", "A.yaml": ""}, f"{PROD}/b": {}})

    assert [problem.reason for problem in caught.value.problems] == [
        "the file's path '../x' leads out of its folder",
        "the unit prod/clusters/us-east-1/b lies in the unit prod/clusters/us-east-1",
        "prod/clusters/us-east-1/a.yaml differs from prod/clusters/us-east-1/A.yaml only in upper and lower case",
    ]
