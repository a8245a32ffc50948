"""Regular expressions that are compiled when they are first used: all of them at once are a tenth of a short run."""

import re
from collections.abc import Callable, Iterator


class Pattern:
    """One such expression, with the methods of a compiled one that are in use here."""

    fullmatch: Callable[..., re.Match[str] | None]
    match: Callable[..., re.Match[str] | None]
    search: Callable[..., re.Match[str] | None]
    finditer: Callable[..., Iterator[re.Match[str]]]
    sub: Callable[..., str]

    def __init__(self, text: str) -> None:
        self._text = text

    def __getattr__(self, name: str) -> object:
        """Compile, and keep the methods, so that this is not asked again."""
        if name not in Pattern.__annotations__:
            raise AttributeError(name)
        compiled = re.compile(self._text)
        for method in Pattern.__annotations__:
            setattr(self, method, getattr(compiled, method))
        return getattr(compiled, name)
