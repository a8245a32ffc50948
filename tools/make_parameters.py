"""Make the table of PostgreSQL's parameters: ``python -m tools.make_parameters``.

Which parameters a version knows is said by the lists that Patroni ships, and by which it leaves others out:
``patroni/postgresql/available_parameters/*.yml`` of the installed package (extra ``lab``). Only names and majors are
kept, and only those of versions that ``postgresql.version`` may be.

Prints the path of the file. Exit code 3 where Patroni is not installed.
"""

import importlib
import importlib.util
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "src" / "aether_deploy" / "infrastructure" / "postgres" / "known.json"
COMMAND = "python -m tools.make_parameters"
MAJORS = range(14, 19)
SINCE = {
    "debug_discard_caches": 14,
    "debug_logical_replication_streaming": 16,
    "enable_memoize": 14,
    "file_extend_method": 16,
}
"""First majors of parameters that Patroni's lists have one too late or not at all, by PostgreSQL's release notes.

Patroni takes them all the same: it asks ``postgres --describe-config`` before it leaves one out.
"""
_SECTIONS = ("parameters", "recovery_parameters")
_MINORS = 10_000


class SourceError(Exception):
    """Patroni's lists cannot be had."""


def make_table() -> str:
    """Return the text of the file; one version of Patroni gives one text.

    Raises:
        SourceError: Patroni is not installed, or knows a parameter in versions that are not in a row.
    """
    if importlib.util.find_spec("patroni") is None:
        raise SourceError("patroni is not installed; to bring it: pip install 'aether-deploy[lab]'")
    version = importlib.import_module("patroni.version").__version__
    lists = importlib.import_module("patroni.postgresql.available_parameters")
    majors: dict[str, set[int]] = {}
    for file in lists.get_validator_files():
        document = yaml.safe_load(file.read_text("utf-8"))
        for section in _SECTIONS:
            for name, validators in document.get(section, {}).items():
                majors.setdefault(name.lower(), set()).update(_majors(validators))
    for name, first in SINCE.items():
        majors.setdefault(name, set()).update(range(first, MAJORS.stop))
    spans = {name: [min(each), max(each)] for name, each in sorted(majors.items()) if _in_a_row(name, each)}
    lines = ",\n".join(f"    {json.dumps(name)}: {json.dumps(span)}" for name, span in spans.items())
    source = json.dumps(f"Patroni {version}, patroni/postgresql/available_parameters")
    return f'{{\n  "source": {source},\n  "parameters": {{\n{lines}\n  }}\n}}\n'


def _majors(validators: Iterable[Mapping[str, Any]]) -> set[int]:
    """Return the majors in whose last minor a parameter is known."""
    return {
        major
        for major in MAJORS
        for each in validators
        if each["version_from"] <= major * _MINORS + _MINORS - 1
        and (each.get("version_till") or _MINORS * 100) > major * _MINORS
    }


def _in_a_row(name: str, majors: set[int]) -> bool:
    if majors and len(majors) != max(majors) - min(majors) + 1:
        raise SourceError(f"{name} is known in {sorted(majors)}: the file has the first and the last only")
    return bool(majors)


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
