"""Small trees, and what a folder holds: for the tests of the tree and its writer."""

import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from aether_deploy.delivery.tree_writer import WritePlan, apply_write, locked, plan_write
from aether_deploy.gitops.tree import Tree, TreeFile, Unit, build_tree

SERVICE = "aether-prod/gateway/service.yaml"
PROD = "prod/clusters/us-east-1"
DEV = "dev/clusters/us-east-1"

Files = Mapping[str, str]
Snapshot = dict[str, bytes | None]


def file_of(path: str, text: str = "text\n", *, source: str | None = "services.gateway") -> TreeFile:
    name = path.rpartition("/")[2].removesuffix(".yaml")
    return TreeFile(
        path=path, text=text, api_version="v1", kind="Service", namespace="aether-prod", name=name, source=source
    )


def unit_of(path: str, files: Files, *, name: str = "aether") -> Unit:
    environment, _, rest = path.partition("/")
    cluster = rest.rpartition("/")[2]
    content = tuple(file_of(file, text) for file, text in files.items())
    return Unit(path=path, name=name, environment=environment, cluster=cluster, files=content)


def tree_of(units: Mapping[str, Files], *, name: str = "aether") -> Tree:
    return build_tree(unit_of(path, files, name=name) for path, files in units.items())


def write(root: Path, tree: Tree, *, force: bool = False, only: str | None = None) -> WritePlan:
    """Write ``tree``; with ``only`` as a render of that environment alone."""
    environments = {unit.environment for unit in tree.units} if only is None else {only}
    with locked(root):
        plan = plan_write(root, tree, environments=environments, complete=only is None, force=force)
        apply_write(root, plan)
    return plan


def plan(root: Path, tree: Tree, *, force: bool = False) -> WritePlan:
    return plan_write(root, tree, environments={"prod", "dev"}, complete=True, force=force)


def put(root: Path, path: str, text: str = "mine\n") -> Path:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(text.encode())
    return target


def snapshot(root: Path) -> Snapshot:
    """Return every path below ``root`` with its bytes; None for a folder, the target for a symlink."""
    found: Snapshot = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder, name)
            key = path.relative_to(root).as_posix()
            if path.is_symlink():
                found[key] = str(path.readlink()).encode()
            else:
                found[key] = path.read_bytes() if path.is_file() else None
    return found


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


OLD = tree_of({PROD: {SERVICE: "old\n", "cluster/namespace.yaml": "ns\n"}, DEV: {SERVICE: "dev\n"}})
NEW = tree_of({PROD: {SERVICE: "new\n", "aether-prod/voice/service.yaml": "voice\n"}, DEV: {SERVICE: "dev\n"}})


def fresh(tmp_path: Path, tree: Tree) -> Snapshot:
    """Return what a first render of ``tree`` leaves."""
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    write(folder, tree)
    return snapshot(folder)


def large(text: str, count: int) -> Tree:
    return tree_of({PROD: {f"aether-prod/{number:03}.yaml": text * 1000 for number in range(count)}})
