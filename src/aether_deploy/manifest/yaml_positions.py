"""Where every value of a YAML text stands: parsed for a problem only, because it costs more than reading."""

from collections.abc import Callable
from typing import Any

from aether_deploy.manifest.yaml_events import LOST_KEY, MAX_DEPTH, Place, Source


class _Spot:
    __slots__ = ("inside", "key", "value")

    def __init__(self, value: Place, key: Place | None) -> None:
        self.value = value
        self.key = key
        self.inside: dict[str | int, _Spot] = {}


class Positions:
    """Where every value of a text stands: parsed once, asked many times.

    Attributes:
        first_keys: For the place of each repeated key that of its first; only the first has a path.
    """

    __slots__ = ("_root", "first_keys")

    def __init__(self, root: _Spot | None, first_keys: dict[Place, Place]) -> None:
        self._root = root
        self.first_keys = first_keys

    @classmethod
    def of(cls, text: str) -> "Positions":
        """Return the positions of ``text``; if it is faulty, of what stands before the fault of syntax."""
        return positions_of(Source(text))

    def value(self, path: tuple[str | int, ...]) -> Place | None:
        """Return where the value at ``path`` begins: a block list at its first dash, a map at its first key."""
        spot = self._spot(path)
        return None if spot is None else spot.value

    def key(self, path: tuple[str | int, ...]) -> Place | None:
        """Return where the key of ``path`` begins; None for the root and for an item of a list."""
        spot = self._spot(path)
        return None if spot is None else spot.key

    def _spot(self, path: tuple[str | int, ...]) -> _Spot | None:
        spot = self._root
        for step in path:
            if spot is None:
                return None
            spot = spot.inside.get(step)
        return spot


def place_of(mark: Any) -> Place:
    """Return the place of a mark of PyYAML, which counts from 0."""
    return mark.line + 1, mark.column + 1


def positions_of(source: Source) -> Positions:
    """Return the positions of what was read already."""
    from contextlib import suppress

    import yaml

    document = _Spot((1, 1), None)
    first_keys: dict[Place, Place] = {}
    with suppress(yaml.YAMLError):  # What stands before the fault is known, the rest is nowhere.
        _spread(document, first_keys, source.events())
    return Positions(document.inside.get(0), first_keys)


def _spread(document: _Spot, first_keys: dict[Place, Place], next_event: Callable[[], Any]) -> None:
    """Fill ``document`` with the spots of its root and of all below."""
    from yaml import events

    into, is_map = document, False
    key: tuple[str, Place] | None = None  # the key that waits for its value
    around: list[tuple[_Spot, bool, bool]] = []
    while not isinstance(event := next_event(), events.StreamEndEvent):
        if isinstance(event, events.CollectionEndEvent):
            into, is_map, was_key = around.pop()
            key = (LOST_KEY, place_of(event.start_mark)) if was_key else None
        elif isinstance(event, events.NodeEvent):
            place = place_of(event.start_mark)
            spot = _Spot(place, key[1] if key else None)
            if is_key := is_map and key is None:
                key = (getattr(event, "value", LOST_KEY), place)
                if (first := into.inside.get(key[0])) and first.key:
                    first_keys[place] = first.key
            else:
                into.inside.setdefault(key[0] if key else len(into.inside), spot)
                key = None
            if isinstance(event, events.CollectionStartEvent):
                if len(around) > MAX_DEPTH:
                    return
                around.append((into, is_map, is_key))
                into, is_map, key = spot, isinstance(event, events.MappingStartEvent), None
