"""Make the table of strategic merge keys: ``python -m tools.make_merge_keys``.

By which key the items of a list meet, and which maps and lists a patch replaces whole, is said by the marks
``x-kubernetes-patch-strategy`` and ``x-kubernetes-patch-merge-key`` of the API server's OpenAPI document,
``api/openapi-spec/swagger.json`` of the Kubernetes that ``lab/modules/kubernetes-1.37/go.mod`` pins. Only types that
lead to such a mark are kept: everything else follows the default, by which maps merge and lists are replaced.

Prints the path of the file. Exit code 3 where Go or the pinned module cannot be had.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools.make_schemas import KINDS, SourceError, run_go

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "src" / "aether_deploy" / "manifest" / "merge_keys.py"
COMMAND = "python -m tools.make_merge_keys"

HEAD = '''"""By what the lists of an object merge under a strategic merge patch: written by ``{command}``.

Source: Kubernetes {version}, ``api/openapi-spec/swagger.json``, the marks ``x-kubernetes-patch-strategy`` and
``x-kubernetes-patch-merge-key`` of each field.
"""

from collections.abc import Mapping

Field = tuple[str, str, str]
"""The type of what a field holds, its patch strategy, and the key by which its items meet; empty where none is."""

KINDS: Mapping[tuple[str, str], str] = {{
{kinds}}}
"""The type of each kind that Kubernetes itself has, by API version and kind."""

TYPES: Mapping[str, Mapping[str, Field]] = {{
{types}}}  # fmt: skip
'''


def make_table() -> str:
    """Return the text of the table; equal pins give equal text.

    Raises:
        SourceError: When Go or the pinned module cannot be had.
    """
    folder = Path(run_go("list", "-m", "-f", "{{.Dir}}", "k8s.io/kubernetes").strip())
    version = run_go("list", "-m", "-f", "{{.Version}}", "k8s.io/kubernetes").strip()
    definitions = json.loads((folder / "api/openapi-spec/swagger.json").read_text("utf-8"))["definitions"]
    marked = _marked(definitions)
    names = {
        ("/".join(filter(None, (each["group"], each["version"]))), each["kind"]): name
        for name, schema in definitions.items()
        for each in schema.get("x-kubernetes-group-version-kind", ())
    }
    roots = {(version, kind): names[version, kind] for version, kinds in KINDS.items() for kind in kinds}
    reached = sorted(_reached(roots.values(), marked), key=_short)
    if len({_short(name) for name in reached}) < len(reached):
        raise SourceError("two types share a short name")
    kinds = "".join(f'    ("{api}", "{kind}"): "{_short(name)}",\n' for (api, kind), name in roots.items())
    types = "".join(_lines(name, marked[name]) for name in reached)
    return HEAD.format(command=COMMAND, version=version, kinds=kinds, types=types)


Marked = dict[str, dict[str, tuple[str, str, str]]]


def _marked(definitions: Mapping[str, Any]) -> Marked:
    """Return the fields that are marked or lead to such, by definition."""
    found: Marked = {}
    while True:
        grown = {name: fields for name, schema in definitions.items() if (fields := _fields(schema, found))}
        if grown == found:
            return found
        found = grown


def _fields(schema: Mapping[str, Any], known: Marked) -> dict[str, tuple[str, str, str]]:
    fields = {}
    for name, each in schema.get("properties", {}).items():
        if name == "status":
            continue
        target = (each.get("items") or each.get("additionalProperties") or each).get("$ref", "")
        inner = target.removeprefix("#/definitions/")
        strategy = each.get("x-kubernetes-patch-strategy", "")
        key = each.get("x-kubernetes-patch-merge-key", "")
        if "additionalProperties" in each:
            continue  # its keys are no fields; none of the kinds below has a mark behind such a map
        if strategy or key or inner in known:
            fields[name] = (inner if inner in known else "", strategy, key)
    return fields


def _reached(roots: Any, marked: Marked) -> set[str]:
    found: set[str] = set()
    waiting = [root for root in roots if root in marked]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [inner for inner, _, _ in marked[name].values() if inner]
    return found


def _short(name: str) -> str:
    return name.rpartition(".")[2]


def _lines(name: str, fields: Mapping[str, tuple[str, str, str]]) -> str:
    inside = "".join(
        f'        "{field}": ("{_short(inner)}", "{strategy}", "{key}"),\n'
        for field, (inner, strategy, key) in sorted(fields.items())
    )
    return f'    "{_short(name)}": {{\n{inside}    }},\n'


def main() -> int:
    """Write the table and print its path."""
    try:
        text = make_table()
    except SourceError as error:
        print(f"cannot make the table: {error}", file=sys.stderr)
        return 3
    TARGET.write_text(text, "utf-8", newline="\n")
    print(TARGET)
    return 0


if __name__ == "__main__":
    sys.exit(main())
