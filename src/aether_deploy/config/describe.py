"""What a field is, in words: read from the docstrings, so that it is written once."""

import re
from typing import Any

from aether_deploy.config.base import Config

_UNITS = {
    "_secs": "seconds",
    "_ms": "milliseconds",
    "_percent": "percent",
    "_players": "players",
    "_mbps": "megabits a second",
}


def summary_of(cls: type) -> str:
    """Return the first paragraph of a class's docstring on one line."""
    return " ".join((cls.__doc__ or "").strip().partition("\n\n")[0].split())


def rule_of(cls: type) -> str | None:
    """Return the ``Rule`` section of a class's docstring: the source of what it does."""
    return " ".join(_section(cls, "Rule").split()) or None


def field_descriptions(cls: type[Config]) -> dict[str, str]:
    """Return the description of every field of ``cls``, from the ``Attributes`` of it and its bases."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if issubclass(base, Config):
            found |= _attributes(_section(base, "Attributes"))
    return found


def unit_of(name: str) -> str | None:
    """Return the unit that a field's name ends with."""
    return next((unit for suffix, unit in _UNITS.items() if name.endswith(suffix)), None)


def _section(cls: type, title: str) -> str:
    """Return the lines of one section of a class's own docstring, as Python 3.13 keeps it: without indentation."""
    from inspect import cleandoc

    doc = cleandoc(vars(cls).get("__doc__") or "")
    match = re.search(rf"^{title}:\n((?:    .*\n|\s*\n)*)", doc + "\n", re.MULTILINE)
    return match.group(1) if match else ""


def _attributes(section: str) -> dict[str, str]:
    found: dict[str, Any] = {}
    name = None
    for line in section.splitlines():
        begun = re.match(r"    ([a-z][a-z0-9_]*): (.*)", line)
        if begun:
            name = begun.group(1)
            found[name] = begun.group(2)
        elif name is not None and line.strip():
            found[name] += " " + line.strip()
    return {key: text.replace("``", "`") for key, text in found.items()}
