"""Marks that a field's annotation carries: what a text or number must be, how a list merges, who decides."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec


class TextRule(msgspec.Struct, frozen=True, kw_only=True):
    """What a text must look like.

    Attributes:
        what: The field's term for it: ``a DNS-1123 label``.
        fix: How to mend one that does not match.
        pattern: Regular expression for the whole text, in the dialect that JSON Schema shares.
        max_length: Characters, inclusive.
        check: Says what is wrong with a text that matches ``pattern``, or None.
        numbers: Whole numbers are read as their text (quantities: ``cpu_limit: 2``).
    """

    what: str
    fix: str
    pattern: str | None = None
    max_length: int | None = None
    check: Callable[[str], str | None] | None = None
    numbers: bool = False


class WholeRule(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of a whole number, inclusive, and how a text stands for one (durations)."""

    ge: int | None = None
    le: int | None = None
    parse: Callable[[str], int] | None = None
    parse_pattern: str | None = None


class NumberRule(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of a number, inclusive."""

    ge: float
    le: float


class Keyed(msgspec.Struct, frozen=True):
    """A list of named things: layers merge it by this field of its items.

    Attributes:
        field: The field, a text.
        pair: It is a list of texts instead, whose order does not count.
    """

    field: str
    pair: bool = False

    def key_of(self, item: object) -> object:
        """Return what identifies ``item``; None where it has no usable key."""
        key = item.get(self.field) if isinstance(item, Mapping) else getattr(item, self.field, None)
        if self.pair:
            texts = frozenset(part for part in key if isinstance(part, str)) if isinstance(key, (list, tuple)) else None
            return texts or None
        return key if isinstance(key, str) else None


class Distinct(msgspec.Struct, frozen=True):
    """A list whose items are all different."""


class OneOf(msgspec.Struct, frozen=True):
    """A closed set of words that is a table's keys."""

    words: tuple[str, ...]


class PythonOnly(msgspec.Struct, frozen=True):
    """A field that Python code may set and a file may not, because something else decides it there."""

    decided_by: str


class Partial(msgspec.Struct, frozen=True):
    """The value is a mapping with some fields of a Config: an overlay, or an entry still to be layered.

    Attributes:
        of: The Config class, or a function that returns it where it is not yet defined.
        required: Fields that the mapping must have.
        overlay: ``null`` in it waits to remove something from what the overlay is laid over.
        checked: Fields whose types are checked where the mapping stands; None: all, and unknown keys too.
            What is not checked here is checked once the layers are laid over each other.
    """

    of: Any
    required: tuple[str, ...] = ()
    overlay: bool = True
    checked: tuple[str, ...] | None = None

    @property
    def cls(self) -> Any:
        return self.of if isinstance(self.of, type) else self.of()


class Verbatim(msgspec.Struct, frozen=True, kw_only=True):
    """A value that is no setting of ours: any mapping or list, kept as it was written, ``null`` included.

    Layers replace it whole.

    Attributes:
        what: What it is: ``a strategic merge patch``.
        list: It is a list; else a mapping.
        schema: Says what its JSON Schema holds beyond its type.
    """

    what: str
    list: bool = False
    schema: Callable[[], Mapping[str, Any]] = dict


class Placeholders(msgspec.Struct, frozen=True):
    """Names that ``{name}`` stands for in this text."""

    names: tuple[str, ...]


class Tagged(msgspec.Struct, frozen=True):
    """One of several Config classes: a field of the value says which.

    Attributes:
        field: The field, which every value has.
        types: Returns the classes by its word; called on first use, so that classes may load late.
        unread: Returns what stands for a value with faults in a list, so that rules can judge the others.
    """

    field: str
    types: Callable[[], Mapping[str, Any]]
    unread: Callable[[object], Any]
