"""Where a value stands in a JSON text, without a YAML parser: only the way to the value is read."""

import re
from json import JSONDecoder

_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = JSONDecoder()


def find_in_json(text: str, path: tuple[str | int, ...], *, key: bool = False) -> tuple[int, int] | None:
    """Return line and column, from 1, of the value at ``path``, or of its key.

    Args:
        text: A JSON text that was read without a fault.
        path: Steps from the root.
        key: Find the key of the last step instead of its value.

    Returns:
        The place; None where the text has no such value.
    """
    at = _skip(text, 0)
    for number, step in enumerate(path, 1):
        found = _member(text, at, step) if isinstance(step, str) else _item(text, at, step)
        if found is None:
            return None
        at = found[0] if key and number == len(path) else found[1]
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _member(text: str, at: int, name: str) -> tuple[int, int] | None:
    """Return where the key ``name`` of the object at ``at`` begins, and its value."""
    if text[at] != "{":
        return None
    at = _skip(text, at + 1)
    while text[at] != "}":
        start = at
        said, at = _DECODER.raw_decode(text, at)
        value = _skip(text, _skip(text, at) + 1)
        if said == name:
            return start, value
        at = _after(text, value)
    return None


def _item(text: str, at: int, place: int) -> tuple[int, int] | None:
    """Return where item ``place`` of the array at ``at`` begins, twice."""
    if text[at] != "[":
        return None
    at = _skip(text, at + 1)
    while text[at] != "]":
        if place == 0:
            return at, at
        place -= 1
        at = _after(text, at)
    return None


def _after(text: str, value: int) -> int:
    """Return where the next member or the closing bracket begins, after the value at ``value``."""
    _, end = _DECODER.raw_decode(text, value)
    at = _skip(text, end)
    return _skip(text, at + 1) if text[at] == "," else at
