"""The message of a commit that nobody wrote a message for: what changes, in numbers and by name."""

from collections.abc import Collection, Iterator, Sequence

from aether_deploy.delivery.tree_writer import WritePlan
from aether_deploy.gitops.tree import INDEX_NAME, Tree

_SUBJECT_MAX = 72
_SUMMARY_MAX = 200
_UNITS_MAX = 10
_FILES_MAX = 8

_Change = tuple[str, str]
"""A mark (``+`` added, ``~`` changed, ``-`` removed) and a path."""


def default_message(
    tree: Tree, environments: Sequence[str], plan: WritePlan, there: Collection[str], summary: str
) -> str:
    """Return subject and body. Equal input gives equal text.

    Args:
        tree: What is published.
        environments: Those that were rendered.
        plan: What changes.
        there: The files that the folder held before, by path.
        summary: What the change does; left empty, the body lists files.
    """
    changes = [("~" if path in there else "+", path) for path in plan.written if not _is_index(path)]
    changes += [("-", path) for path in plan.removed if not _is_index(path)]
    system = next((unit.name for unit in tree.units), "aether-deploy")
    subject = f"{system} ({', '.join(environments)}): {_counts(changes)}"
    if len(subject) > _SUBJECT_MAX:
        subject = f"{system} ({len(environments)} environments): {_counts(changes)}"
    lines = summary.strip().splitlines()
    if len(lines) > _SUMMARY_MAX:
        lines = [*lines[:_SUMMARY_MAX], f"and {len(lines) - _SUMMARY_MAX} more lines"]
    return "\n".join([subject, "", *(lines or _unit_lines(_by_unit(tree, changes)))]).strip() + "\n"


def _is_index(path: str) -> bool:
    return path.rpartition("/")[2] == INDEX_NAME


def _counts(changes: Sequence[_Change]) -> str:
    words = {"+": "added", "~": "changed", "-": "removed"}
    numbers = {mark: sum(each == mark for each, _ in changes) for mark in words}
    said = [f"{number} {words[mark]}" for mark, number in numbers.items() if number]
    return ", ".join(said) or "indexes changed"


def _by_unit(tree: Tree, changes: Sequence[_Change]) -> dict[str, list[_Change]]:
    """Return the changes of each unit; a unit that goes is known by its first three folders."""
    units = {unit.path for unit in tree.units}
    found: dict[str, list[_Change]] = {}
    for mark, path in sorted(changes, key=lambda change: change[1]):
        parts = path.split("/")
        prefixes = ("/".join(parts[:length]) for length in range(len(parts) - 1, 0, -1))
        unit = next((prefix for prefix in prefixes if prefix in units), "/".join(parts[:3][: len(parts) - 1]))
        found.setdefault(unit, []).append((mark, path.removeprefix(f"{unit}/")))
    return found


def _unit_lines(by_unit: dict[str, list[_Change]]) -> Iterator[str]:
    for unit, changes in list(by_unit.items())[:_UNITS_MAX]:
        yield f"{unit}: {_counts(changes)}"
        yield from (f"  {mark} {path}" for mark, path in changes[:_FILES_MAX])
        if len(changes) > _FILES_MAX:
            yield f"  and {len(changes) - _FILES_MAX} more"
    if len(by_unit) > _UNITS_MAX:
        yield f"and {len(by_unit) - _UNITS_MAX} more folders"
