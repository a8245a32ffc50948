"""Layers make one document: FILE1 < FILE2 < ... < the environment's overlay < ``--set``.

Every layer stays known, so that a problem can be shown where its value was written.
"""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import msgspec
from msgspec import UNSET

from aether_deploy.config.compiling import compile_type
from aether_deploy.config.merging import child, list_key, merge, narrowed
from aether_deploy.config.nodes import Node
from aether_deploy.config.sink import FAULTY, Sink, path_text
from aether_deploy.patterns import Pattern
from aether_deploy.platform.config import DEFAULT_ENVIRONMENT, Platform
from aether_deploy.platform.expansion import SECTIONS, Steps, began, translate, value_at
from aether_deploy.problems import ConfigError, Problem, shown, suggestion

_STEP = Pattern(r"""(?:^|\.)(?:"([^"]+)"|'([^']+)'|([^.\[\]"']+))|\[([0-9]+)\]""")


class Source(msgspec.Struct, frozen=True):
    """One file.

    Attributes:
        name: How the user calls it.
        values: What it holds.
    """

    name: str
    values: Mapping[str, Any]


class Setting(msgspec.Struct, frozen=True):
    """One ``--set``: steps by name or position, and the value; None removes."""

    path: str
    value: Any

    @property
    def steps(self) -> Steps:
        """The path's steps.

        Raises:
            ConfigError: If the path cannot be read.
        """
        found: list[str | int] = []
        end = 0
        for match in _STEP.finditer(self.path):
            if match.start() != end:
                break
            end = match.end()
            double, single, bare, position = match.groups()
            found.append(int(position) if position is not None else double or single or bare)
        if end != len(self.path) or not found:
            raise self.refused("cannot be read as a path", "write it like worlds.world-server.image or worlds[0].image")
        return tuple(found)

    def refused(self, reason: str, fix: str) -> ConfigError:
        return ConfigError([Problem(path=f"--set {self.path}", reason=reason, fix=fix)])


class Origin(msgspec.Struct, frozen=True):
    """Where a value was written.

    Attributes:
        source: Place of the file among the sources; None for ``--set``.
        steps: Steps in that file.
        environment: The environment whose overlay holds it.
    """

    source: int | None
    steps: Steps
    environment: str | None = None


class Evaluation(msgspec.Struct, frozen=True):
    """The platform of one environment, or what is wrong with it.

    Attributes:
        environment: The environment.
        platform: The platform; None where there are errors.
        found: Problems, each with the steps of its path in the merged document.
        values: The merged document.
        overlay: The environment whose overlay it includes, if any.
    """

    environment: str
    platform: Platform | None
    found: tuple[tuple[Steps, Problem], ...]
    values: Mapping[str, Any]
    overlay: str | None


class Document(msgspec.Struct, frozen=True, dict=True):
    """All layers of one description.

    Attributes:
        sources: The files, the weakest first.
        settings: The ``--set`` options, in order.
    """

    sources: tuple[Source, ...]
    settings: tuple[Setting, ...] = ()

    @cached_property
    def base(self) -> dict[str, Any]:
        """Return the files as one document, without any environment's overlay."""
        values: dict[str, Any] = {}
        for source in self.sources:
            values = merge(values, source.values, _root())
        return values

    def environments(self) -> tuple[str, ...]:
        """Return the environments in file order; the first is the default."""
        said = self.base.get("environments")
        names = tuple(name for name in said if isinstance(name, str)) if isinstance(said, Mapping) else ()
        return names or (DEFAULT_ENVIRONMENT,)

    def merged(self, environment: str | None) -> dict[str, Any]:
        """Return the document of ``environment``, or without any overlay for None.

        Raises:
            ConfigError: If a ``--set`` does not fit the document.
        """
        values = self.base
        overlay = value_at(values, ("environments", environment or ""))
        if isinstance(overlay, Mapping):
            said = {key: value for key, value in overlay.items() if key not in _FIXED}
            values = merge(values, said, _root())
        for setting in self.settings:
            if setting.steps[0] in _FIXED[1:]:
                raise setting.refused(
                    "changes an overlay, and --set is stronger than overlays",
                    "write the path as it is without overlays, and choose the environment with --env",
                )
            values = _apply(setting, values)
        return values

    def evaluate(self, environment: str | None) -> Evaluation:
        """Return the platform of ``environment`` and everything that is wrong with it.

        Raises:
            ConfigError: If the document has no such environment, or a ``--set`` does not fit.
        """
        known = self.environments()
        if environment is not None and environment not in known:
            fix = suggestion(environment, known, f"known are {', '.join(known)}")
            problem = Problem(path="$.environments", reason=f"has no environment {shown(environment)}", fix=fix)
            raise ConfigError([problem])
        values = self.merged(environment)
        sink = Sink(python=True)
        if "environment" in values:
            sink.fault(
                (None, "environment"),
                "not set in a file; --env chooses it",
                "remove it",
                value=shown(values["environment"]),
            )
        _check_overlays(values, sink)
        _note_shadowed(self.settings, values, sink)
        name = environment or known[0]
        # A name that cannot be one is reported where it stands, as a key of environments.
        readable = child(_root(), "environment").read(name, None, Sink()) is not FAULTY
        named = {**values, "environment": name if readable else DEFAULT_ENVIRONMENT}
        platform = Platform.read_values(named, None, sink)
        failed = platform is FAULTY or sink.failed
        found = tuple(dict.fromkeys(sink.found))
        return Evaluation(name, None if failed else platform, found, values, environment)

    def origin(self, evaluation: Evaluation, steps: Steps, *, key: str | None = None) -> Origin | None:
        """Return where the value at ``steps`` of an evaluated document was written.

        A scalar belongs to the strongest layer that has it, a container to the one that began it.
        """
        merged = evaluation.values
        wanted = steps if key is None else (*steps, key)
        if any(_covers(_named(setting, merged), wanted) for setting in self.settings):
            return Origin(None, wanted)
        hits = [
            (Origin(place, (*at, *found), environment), value_at(values, found))
            for place, at, environment, values in self._layers(evaluation.overlay)
            if (found := translate(wanted, merged, values, _root())) is not None
        ]
        if not hits:
            return None
        return hits[began([value for _, value in hits], wanted, _root())][0]

    def _layers(self, environment: str | None) -> Iterable[tuple[int, Steps, str | None, object]]:
        for place, source in enumerate(self.sources):
            yield place, (), None, source.values
        for place, source in enumerate(self.sources):
            at: Steps = ("environments", environment or "")
            overlay = value_at(source.values, at)
            if isinstance(overlay, Mapping):
                yield place, at, environment, overlay


_FIXED = ("name", "environments")


def _root() -> Node:
    return compile_type(Platform)


def _check_overlays(values: Mapping[str, Any], sink: Sink) -> None:
    overlays = values.get("environments")
    for environment, overlay in overlays.items() if isinstance(overlays, Mapping) else ():
        for key in _FIXED if isinstance(overlay, Mapping) else ():
            if key in overlay:
                at = (((None, "environments"), environment), key)
                sink.fault(
                    at,
                    "the same in every environment",
                    "remove it from the overlay",
                    value=shown(overlay[key]),
                )


def _note_shadowed(settings: Iterable[Setting], values: Mapping[str, Any], sink: Sink) -> None:
    """Warn of each ``--set`` on an entry that a region's own value beats."""
    for setting in settings:
        steps = _named(setting, values)
        if steps is None or len(steps) < 3 or steps[0] not in SECTIONS:
            continue
        per_region = value_at(values, (*steps[:2], "per_region"))
        for region, overlay in per_region.items() if isinstance(per_region, Mapping) else ():
            if value_at(overlay, steps[2:]) is not UNSET:
                path: Any = None
                for step in (*steps[:2], "per_region", region, *steps[2:]):
                    path = (path, step)
                fix = "set it there, too, or remove it from per_region"
                sink.fault(path, f"stronger than --set {setting.path}", fix, severity="warning")


def _covers(setting: Steps | None, wanted: Steps) -> bool:
    return setting is not None and wanted[: len(setting)] == setting


def _named(setting: Setting, values: object) -> Steps | None:
    """Return the steps of ``setting`` with names of list items as positions; None where one is missing."""
    node, found = _root(), []
    for step in setting.steps:
        place = _position(step, values, node)
        if place is None:
            return None
        found.append(place)
        values, node = value_at(values, (place,)), child(narrowed(node, values), step)
    return tuple(found)


def _position(step: str | int, values: object, node: Node) -> str | int | None:
    if not isinstance(values, (list, tuple)):
        return step
    if isinstance(step, int):
        return step if step < len(values) else None
    keyed = list_key(node)
    return next((i for i, item in enumerate(values) if keyed and keyed.key_of(item) == step), None)


def _apply(setting: Setting, values: dict[str, Any]) -> dict[str, Any]:
    changed: dict[str, Any] = _with_value(setting, setting.steps, values, _root(), ())
    return changed


def _with_value(setting: Setting, rest: Steps, values: Any, node: Node, done: Steps) -> Any:
    if not rest:
        return setting.value
    step, *more = rest
    node = narrowed(node, values)
    if values is None and list_key(node) is not None:
        values = []  # a name leads to an item, and there is none yet
    place = _position(step, values, node)
    if place is None:
        keyed = list_key(node)
        names = [str(keyed.key_of(item)) for item in values] if keyed else []
        fix = suggestion(str(step), names, f"known are {', '.join(names)}" if names else "add the item in a file")
        raise setting.refused(f"{path_text(done)} has no item {shown(step)}", fix)
    if isinstance(values, (list, tuple)):
        changed = list(values)
        changed[int(place)] = _with_value(setting, tuple(more), values[int(place)], child(node, step), (*done, place))
        return changed if more or setting.value is not None else [v for i, v in enumerate(changed) if i != place]
    if isinstance(step, int) or not isinstance(values, (Mapping, type(None))):
        raise setting.refused(
            f"{path_text(done)} is no {'list' if isinstance(step, int) else 'mapping'}", "shorten the path"
        )
    held = dict(values or {})
    inner = _with_value(setting, tuple(more), held.get(step), child(node, step), (*done, step))
    if inner is None and not more:
        held.pop(step, None)
    else:
        held[step] = inner
    return held
