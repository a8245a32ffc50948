"""Pieces of the generated pages."""

from collections.abc import Sequence

COMMAND = "make docs"
NOTE = f"<!-- Written by `{COMMAND}`; edit the code it comes from, not this file. -->\n"


def table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a Markdown table; a ``|`` in a cell is escaped."""
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)
