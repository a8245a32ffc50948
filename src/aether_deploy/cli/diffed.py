"""What ``diff`` prints: a short report for a terminal, Markdown for a pull request, values for machines."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from msgspec import UNSET

from aether_deploy.cli.output import count
from aether_deploy.gitops.diff.changes import Change, Danger, Diff, Effect
from aether_deploy.gitops.diff.recipes import BEGIN, END

_WORDS = {Effect.ROLLS: "rolls pods", Effect.HAND_OVER: "changes hands", Effect.DATA: "with data at risk"}
_TITLES = {
    Danger.NOTHING: "NOTHING",
    Danger.SAFE: "SAFE",
    Danger.ATTENTION: "ATTENTION",
    Danger.DANGEROUS: "DANGEROUS",
}
EXIT_CODES = {Danger.NOTHING: 0, Danger.SAFE: 10, Danger.ATTENTION: 11, Danger.DANGEROUS: 12}
"""What ``diff --exit-code`` ends with."""

_FIELDS_MAX, _PLACES_MAX = 3, 3
_WIDTH = 90
_INDENT = " " * 14


class Group(NamedTuple):
    """The same change in several places; ``what`` is the object, with ``*`` for the name of an environment."""

    change: Change
    places: tuple[str, ...]
    what: str


def diff_text(diff: Diff, *, verbose: bool) -> str:
    """Return the report for a terminal: the most dangerous first, the same change in many clusters once."""
    lines = [_head(diff)]
    for group in _groups(diff):
        lines += _group_lines(group, verbose=verbose)
    return "\n".join(lines + _edited(diff))


def _edited(diff: Diff) -> list[str]:
    """Return which files somebody edited: the diff is from what lies there, not from what was rendered."""
    shown = ", ".join(diff.edited[:_FIELDS_MAX])
    left = len(diff.edited) - _FIELDS_MAX
    more = f", and {left} more" if left > 0 else ""
    return [f"note: edited or removed since it was rendered: {shown}{more}"] if diff.edited else []


def diff_summary(diff: Diff) -> str:
    """Return how dangerous a diff is, and what it does how often: ``SAFE: 1 in place, 2 added``."""
    if not diff.changes:
        return "NOTHING changes"
    effects = Counter(change.effect for change in diff.changes)
    counts = ", ".join(f"{effects[effect]} {_WORDS.get(effect, effect.value)}" for effect in Effect if effects[effect])
    return f"{_TITLES[diff.danger]}: {counts}"


def _head(diff: Diff) -> str:
    summary = diff_summary(diff)
    where = f"{', '.join(diff.environments)}, {_units(diff)}"
    return f"{summary:<{_WIDTH - len(where)}}  {where}"


def _units(diff: Diff) -> str:
    return count(diff.clusters, "cluster")


def _groups(diff: Diff) -> list[Group]:
    """Return the changes, as one what happens alike in several clusters or environments, or to several objects' names.

    Labels and annotations that change alike do so in many objects at once, whatever these are.
    """
    found: dict[Any, list[Change]] = {}
    for change in diff.changes:
        told = (None if _is_labelling(change) else change.key, change.fields, change.says, change.more)
        alike = (change.effect, change.danger, _anywhere(change, repr(told)))
        found.setdefault(alike, []).append(change)
    return [
        Group(same[0], tuple(dict.fromkeys(_place(diff, change) for change in same)), _what(same))
        for same in found.values()
    ]


def _is_labelling(change: Change) -> bool:
    """Return whether a change is of labels and annotations only, and does nothing else."""
    return change.effect is Effect.IN_PLACE and all(field.at[0] == "metadata" for field in change.fields)


def _what(same: Sequence[Change]) -> str:
    names = list(dict.fromkeys(_anywhere(change, str(change.key)) for change in same))
    if len(names) > 1:
        return count(len(names), "object")
    return str(same[0].key) if len({change.key for change in same}) == 1 else names[0]


def _anywhere(change: Change, text: str) -> str:
    """Return a text with ``*`` for the change's environment at the end of a name, as namespaces carry it."""
    environment = change.unit.partition("/")[0]
    return re.sub(rf"-{re.escape(environment)}(?![a-z0-9])", "-*", text)


def _place(diff: Diff, change: Change) -> str:
    if len(diff.environments) < 2:
        return change.place
    return f"{change.unit.partition('/')[0]}/{change.place}"


def _places(places: Sequence[str]) -> str:
    return ", ".join(places) if len(places) <= _PLACES_MAX else f"{len(places)} clusters"


def _group_lines(group: Group, *, verbose: bool) -> list[str]:
    change, places, what = group
    texts = change.field_texts()
    head = f"{change.effect.value:<12}  {_places(places)}  {what}"
    head += _more(change)
    refused = change.effect is Effect.REFUSED
    beside = texts if len(texts) == 1 and not refused else []
    head += "   (immutable)" if refused and texts and change.way_out else ""
    lines = [f"{head}   {beside[0]}" if beside else head]
    if texts and not beside:
        lines.append(_INDENT + _fields(texts, verbose=verbose))
    lines += [f"{_INDENT}{said}" for said in change.says]
    if change.way_out and not verbose:
        commands = sum(command not in (BEGIN, END) and not command.startswith("#") for command in change.way_out)
        lines[-1] += f" ({count(commands, 'command')}: --verbose)"
    lines += [f"{_INDENT}{line}" for line in _waiting(change, verbose=verbose)]
    if verbose:
        lines += _verbose_lines(group)
    return lines


def _fields(texts: Sequence[str], *, verbose: bool) -> str:
    shown = texts if verbose else texts[:_FIELDS_MAX]
    left = len(texts) - len(shown)
    return "; ".join(shown) + (f"; and {left} more" if left else "")


def _waiting(change: Change, *, verbose: bool) -> list[str]:
    lines = []
    for each in change.waiting:
        lines.append(f"waits for that: {each.effect.value}, {_fields(each.field_texts(), verbose=verbose)}")
        lines += [f"then: {said}" for said in each.says]
    return lines


def _more(change: Change) -> str:
    return f" and {count(len(change.more), 'object')} of it" if change.more else ""


def _verbose_lines(group: Group) -> list[str]:
    lines = [f"{_INDENT}with it: {key}" for key in group.change.more]
    if group.change.way_out:
        rest = group.places[1:]
        lines.append(f"{_INDENT}in {group.places[0]}{', and likewise in ' + ', '.join(rest) if rest else ''}:")
        lines += [f"{_INDENT}  {line}" for command in group.change.way_out for line in command.splitlines()]
    return lines


# --- Markdown


def diff_markdown(diff: Diff) -> str:
    """Return the report for a pull request: a table, and the ways out folded below it."""
    lines = [f"### {diff_summary(diff)}", "", f"{', '.join(diff.environments)}, {_units(diff)}"]
    groups = _groups(diff)
    if groups:
        lines += ["", "| effect | where | what | change |", "| --- | --- | --- | --- |"]
        lines += [_row(group) for group in groups]
    for group in groups:
        if group.change.way_out:
            lines += ["", *_folded(group)]
    if diff.edited:
        lines += ["", *_edited(diff)]
    return "\n".join(lines)


def _row(group: Group) -> str:
    change = group.change
    texts = change.field_texts()
    left = len(texts) - _FIELDS_MAX
    said = [f"`{_cell(text)}`" for text in texts[:_FIELDS_MAX]] + ([f"and {left} more"] if left > 0 else [])
    said += [_cell(line) for line in (*change.says, *_waiting(change, verbose=False))]
    effect = f"**{change.effect.value}**" if change.danger is Danger.DANGEROUS else change.effect.value
    what = f"`{_cell(group.what)}`{_more(change)}"
    return f"| {effect} | {_places(group.places)} | {what} | {'<br>'.join(said)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("`", "'").replace("<", "&lt;")


def _folded(group: Group) -> list[str]:
    change, places, _ = group
    likewise = f"; likewise in {', '.join(places[1:])}" if len(places) > 1 else ""
    return [
        f"<details><summary>Way out: {change.key} in {places[0]}{likewise}</summary>",
        "",
        "```sh",
        *change.way_out,
        "```",
        "",
        "</details>",
    ]


# --- values


def diff_values(diff: Diff) -> dict[str, Any]:
    """Return the diff for machines."""
    return {
        "danger": diff.danger.name.lower(),
        "exit_code": EXIT_CODES[diff.danger],
        "environments": list(diff.environments),
        "clusters": diff.clusters,
        "edited": list(diff.edited),
        "changes": [_change_values(change) for change in diff.changes],
    }


def _change_values(change: Change) -> dict[str, Any]:
    return {
        "effect": change.effect.value,
        "danger": change.danger.name.lower(),
        "unit": change.unit,
        "object": _key_values(change),
        "fields": [
            {"path": field.path, "before": _plain(field.before), "after": _plain(field.after)}
            for field in change.fields
        ],
        "says": list(change.says),
        "way_out": list(change.way_out),
        "more": [str(key) for key in change.more],
        "waiting": [_change_values(each) for each in change.waiting],
    }


def _key_values(change: Change) -> dict[str, str]:
    return {name: getattr(change.key, name) for name in change.key.__struct_fields__}


def _plain(value: Any) -> Any:
    return None if value is UNSET else value
