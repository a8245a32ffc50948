"""What is to be decided before a region can go for good: what the rules say of the description without it."""

import re
from collections.abc import Iterator, Mapping

from aether_deploy.gitops.disaster.layer import gone_layer
from aether_deploy.gitops.disaster.loss import RegionLoss
from aether_deploy.platform.layers import Document, Source
from aether_deploy.problems import Problem

_PLACE = re.compile(r"^\$\.(components|worlds|services)\[(\d+)\]\.?")


def decisions(loss: RegionLoss) -> tuple[Problem, ...]:
    """Return every error that ``aether-deploy check`` has for the platform without the region, as far as no file that
    the description names is needed to see it."""
    layers = (loss.platform.to_values(), gone_layer(loss).values)
    found = Document(tuple(Source(str(place), values) for place, values in enumerate(layers))).evaluate(None).found
    return tuple(problem for _, problem in found if problem.severity == "error")


def decision_lines(loss: RegionLoss) -> Iterator[str]:
    """Yield each decision as an item of a list in Markdown, by the name of what it is about."""
    for problem in decisions(loss):
        place = _PLACE.match(problem.path)
        entries = getattr(loss.platform, place.group(1)) if place else ()
        entry = entries[int(place.group(2))] if place else None
        name = entry.get("name") if isinstance(entry, Mapping) else getattr(entry, "name", None)
        rest = problem.path[place.end() :] if place else problem.path.removeprefix("$.")
        where = " ".join(f"`{each}`" for each in (name, rest) if each)
        yield f"- {where}: {problem.message}. {problem.fix[:1].upper()}{problem.fix[1:]}."
