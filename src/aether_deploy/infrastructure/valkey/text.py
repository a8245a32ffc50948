"""The text of a node's file, and back."""

from collections.abc import Mapping


def text_of(options: Mapping[str, str]) -> str:
    """Return the file's text. Equal options give equal bytes."""
    return "".join(f"{name} {_word(value)}\n" for name, value in options.items())


def _word(value: str) -> str:
    return value if value else '""'


def options_in(text: str) -> dict[str, str]:
    """Return the options of a text that :func:`text_of` wrote.

    Raises:
        ValueError: It did not.
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, separator, value = line.partition(" ")
        if not (separator and name and value) or name in found:
            raise ValueError(f"no line of ours: {line!r}")
        found[name] = "" if value == '""' else value
    return found
