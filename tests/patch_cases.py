"""Random patches of objects that we render, and what the real kubectl makes of a patch."""

import json
import os
import random
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

from aether_deploy.manifest.merge_keys import KINDS, TYPES
from aether_deploy.manifest.strategic_merge import DELETE_FROM, DIRECTIVE, RETAIN, SET_ORDER
from tests.hardening_cases import OBJECTS

Body = dict[str, Any]


class PatchCase(NamedTuple):
    """One object and a patch of it: a mapping for a merge, a list for a JSON Patch."""

    body: Body
    patch: Any


def objects() -> list[Body]:
    """Return every object of the hardened workloads."""
    return [body for found in OBJECTS.values() for body in found.values()]


def patched_by_kubectl(program: str, cases: Sequence[PatchCase], kind: str, folder: Path) -> list[Any]:
    """Return each object as ``kubectl patch --local`` makes it, or the text of its refusal.

    Args:
        program: The kubectl.
        cases: Objects and patches.
        kind: ``strategic``, ``merge`` or ``json``.
        folder: Where the objects are written.
    """

    def run(place: int) -> Any:
        path = folder / f"{place}.json"
        path.write_text(json.dumps(cases[place].body), "utf-8")
        command = [program, "patch", "--local", "-f", str(path), f"--type={kind}", "-o", "json"]
        command += ["-p", json.dumps(cases[place].patch)]
        environment = {**os.environ, "KUBECONFIG": os.devnull}
        done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=False)
        return json.loads(done.stdout) if done.returncode == 0 else done.stderr

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(run, range(len(cases))))


def meant(value: Any) -> Any:
    """Return an object without nulls, which an API server reads as nothing, and without directives.

    Kubectl leaves both in what it takes over whole from a patch; a server drops nulls and refuses directives.
    """
    if isinstance(value, Mapping):
        kept = {key: each for key, each in value.items() if not _is_no_value(each) and not key.startswith("$")}
        return {key: meant(each) for key, each in kept.items()}
    return [meant(each) for each in value if not _is_no_value(each)] if isinstance(value, list) else value


def _is_no_value(value: Any) -> bool:
    return value is None or (isinstance(value, Mapping) and DIRECTIVE in value)


# --- random strategic merge patches


def random_merge(rng: random.Random, body: Body) -> Body:
    """Return a random strategic merge patch of an object."""
    patch: Body = {}
    while not patch:
        patch = _of_map(rng, body, KINDS.get((body["apiVersion"], body["kind"]), ""), top=True)
    return patch


def _of_map(rng: random.Random, value: Body, of: str, *, top: bool = False) -> Body:
    patch: Body = {}
    for key, each in value.items():
        if top and key in ("apiVersion", "kind"):
            continue
        if rng.random() < (0.7 if isinstance(each, (dict, list)) else 0.15):
            inner, strategy, by = TYPES.get(of, {}).get(key, ("", "", ""))
            if strategy == "replace":  # kubectl takes over whole what stands here, directives too
                patch[key] = {"matchLabels": {"a": "b"}}
            else:
                patch |= _of_field(rng, key, each, inner, by if "merge" in strategy else None)
    if rng.random() < 0.1:
        patch[f"new{rng.randrange(3)}"] = rng.choice([1, "text", {"a": {"b": None, "c": 1}}, [1, 2], None])
    if not top and rng.random() < 0.04:
        patch = {DIRECTIVE: rng.choice(["replace", "delete"]), **patch}
    elif not top and rng.random() < 0.05:
        kept = rng.sample(sorted(value), rng.randrange(len(value) + 1)) if value else []
        said = [key for key, each in patch.items() if each is not None and not key.startswith("$")]
        patch[RETAIN] = [*kept, *(key for key in said if key not in kept)]
    return patch


def _of_field(rng: random.Random, key: str, value: Any, of: str, by: str | None) -> Body:
    if rng.random() < 0.08:
        return {key: None}
    if isinstance(value, dict):
        return {key: _of_map(rng, value, of)}
    if isinstance(value, list) and by:
        return _of_items(rng, key, value, of, by)
    if isinstance(value, list) and value and not isinstance(value[0], dict) and rng.random() < 0.3:
        return {DELETE_FROM + key: rng.sample(value, rng.randrange(1, len(value) + 1))}
    if isinstance(value, list):
        return {key: rng.sample(value, rng.randrange(len(value) + 1))}
    return {key: rng.choice([value, 7 if isinstance(value, int) else f"{value}-x", True])}


def _of_items(rng: random.Random, key: str, value: list[Body], of: str, by: str) -> Body:
    items: list[Body] = []
    for item in value:
        if rng.random() < 0.5:
            items.append({**_plain(_of_map(rng, item, of), by), by: item[by]})
        elif rng.random() < 0.1:
            items.append({DIRECTIVE: "delete", by: item[by]})
    known = value[0][by] if value else "x"
    for number in range(rng.choice([0, 0, 1, 2])):
        items.append({by: number + 60000 if isinstance(known, int) else f"new-{number}", "x": {"y": 1}})
    rng.shuffle(items)
    if rng.random() < 0.05:
        items.append({DIRECTIVE: "replace"})
    patch: Body = {key: items}
    if items and rng.random() < 0.2 and not any(DIRECTIVE in item for item in items):
        order = [{by: item[by]} for item in items]
        order += [{by: item[by]} for item in value if {by: item[by]} not in order and rng.random() < 0.5]
        patch[SET_ORDER + key] = order
    return patch


def _plain(patch: Body, by: str) -> Body:
    """Return a patch of an item without what would take its key away."""
    return {key: each for key, each in patch.items() if key not in (DIRECTIVE, RETAIN, by)}


# --- random JSON patches


def random_operations(rng: random.Random, body: Body) -> list[Body]:
    """Return some random operations on an object; many of them lead nowhere."""
    paths = [path for path in pointers(body) if path.count("/") > 1]
    found: list[Body] = []
    for _ in range(rng.randrange(1, 5)):
        path = rng.choice(paths)
        if rng.random() < 0.25:
            path = rng.choice([f"{path}/0", f"{path}/-", f"{path}~1x", path[:-1] or "/spec", f"{path}/new"])
        operation: Body = {"op": rng.choice(["add", "remove", "replace", "move", "copy", "test"]), "path": path}
        if operation["op"] in ("move", "copy"):
            operation["from"] = rng.choice(paths)
        elif operation["op"] != "remove":
            here = path in paths and rng.random() < 0.7
            operation["value"] = deepcopy(at_pointer(body, path)) if here else rng.choice([1, "a", {"b": 1}, [1]])
        found.append(operation)
    return found


def pointers(value: Any, path: str = "") -> Iterator[str]:
    """Return the pointer of every value in ``value``."""
    if path:
        yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in pairs:
        yield from pointers(each, f"{path}/{str(key).replace('~', '~0').replace('/', '~1')}")


def at_pointer(value: Any, path: str) -> Any:
    for step in path.split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value
