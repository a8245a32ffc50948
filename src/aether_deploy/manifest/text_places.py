"""Where values stand in a text that is YAML or JSON."""

from contextlib import suppress
from typing import Any


class TextPlaces:
    """The places of one text; it is parsed for them once, and only when one is asked for."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._positions: Any = None

    def find(self, steps: tuple[str | int, ...], *, at_key: bool) -> tuple[int, int] | None:
        """Return line and column of the value at ``steps``, or of its key; None where nothing is there."""
        from aether_deploy.manifest.json_places import find_in_json

        if self._text.lstrip()[:1] == "{":
            with suppress(ValueError, IndexError):  # flow-style YAML looks like JSON, too
                return find_in_json(self._text, steps, key=at_key)
        if self._positions is None:
            from aether_deploy.manifest.yaml_positions import Positions

            self._positions = Positions.of(self._text)
        found: tuple[int, int] | None = self._positions.key(steps) if at_key else self._positions.value(steps)
        return found
