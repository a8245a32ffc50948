"""What became of a manifest on a server: every value that was rendered must come back, and equal.

A server may add fields (defaults, status, its own metadata). It may not drop or rewrite one of ours.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET

Steps = tuple[str | int, ...]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One value that did not come back as it was rendered.

    Attributes:
        at: Steps to the value: ``("spec", "ports", 0, "port")``.
        rendered: What was rendered.
        found: What came back; UNSET where nothing did.
    """

    at: Steps
    rendered: Any
    found: Any

    def __str__(self) -> str:
        where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.at).lstrip(".")
        if self.found is UNSET:
            return f"{where}: {self.rendered!r} was dropped"
        return f"{where}: {self.rendered!r} came back as {self.found!r}"


def differences(rendered: object, found: object, at: Steps = ()) -> list[Difference]:
    """Return every rendered value that is missing from ``found`` or differs there, in document order.

    Lists must come back in their length and order, and texts to the letter: an amount that comes back otherwise
    (``1Gi`` for ``1024Mi``) is a difference that engines would see for ever.
    """
    if isinstance(rendered, Mapping) and isinstance(found, Mapping):
        return [
            each for key, value in rendered.items() for each in differences(value, found.get(key, UNSET), (*at, key))
        ]
    if isinstance(rendered, list) and isinstance(found, list) and len(rendered) == len(found):
        pairs = zip(rendered, found, strict=True)
        return [each for place, pair in enumerate(pairs) for each in differences(*pair, (*at, place))]
    if type(rendered) is type(found) and rendered == found:
        return []
    return [Difference(at=at, rendered=rendered, found=found)]
