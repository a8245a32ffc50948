"""Strict reading of an aether.yaml, in YAML or JSON, into plain values.

YAML means different things to different readers: ``on`` is a boolean to YAML 1.1 and a text to YAML 1.2,
a repeated key wins or fails, ``1.30`` loses its zero. Whatever two readers could take differently is
refused here with its place, and so is what hides content: anchors, merge keys, tags, further documents.

Values are built straight from the parser's events. That is several times faster than composing nodes
first, needs no recursion, and sees an alias or a deep nesting before anything is built of it.
"""

from collections.abc import Callable
from typing import Any, Final

from aether_deploy.config.sink import FAULTY, path_text
from aether_deploy.manifest.yaml_events import (
    AMBIGUITY,
    AMBIGUOUS,
    BOOLEANS,
    LOST_KEY,
    MAX_DEPTH,
    MAX_PROBLEMS,
    NULLS,
    Place,
    Refused,
    Source,
    SourceFloat,
    is_too_deep,
    short,
)
from aether_deploy.manifest.yaml_positions import Positions, place_of, positions_of
from aether_deploy.problems import ConfigError, Problem, shown

__all__ = ["MAX_DEPTH", "MAX_PROBLEMS", "SourceFloat", "read_document", "read_partly"]

_REFUSED_KEYS: Final = AMBIGUOUS | NULLS | BOOLEANS.keys() | {"<<"}
_NO_SHARING: Final = "anchors and aliases are not supported"
_NO_TAGS: Final = "tags are not supported"


class _KeyItself(str):
    """The step into a collection that is a key. Compared by identity: no key that is read is this one."""

    __slots__ = ()


_KEY_ITSELF: Final = _KeyItself(LOST_KEY)


class _RefusedKey(str):
    """A key that was refused; what stands under it is not judged."""

    __slots__ = ()


def read_document(text: str, name: str) -> dict[str, object]:
    """Return the mapping that ``text`` holds.

    Args:
        text: YAML or JSON; a byte order mark at its start is no part of it.
        name: What the user calls the file, for the problems.

    Returns:
        Maps with str keys, lists, str, int, bool, None and SourceFloat, in the order of the text.

    Raises:
        ConfigError: With every fault in document order, up to MAX_PROBLEMS, each with file, line and
            column. After a fault of syntax, or beyond MAX_DEPTH, nothing more can be found.

    Example:
        >>> read_document("name: aether\\nworlds: [{replicas: 3}]", "aether.yaml")
        {'name': 'aether', 'worlds': [{'replicas': 3}]}
    """
    values, problems = read_partly(text, name)
    if problems:
        raise ConfigError(problems)
    assert values is not None
    return values


def read_partly(text: str, name: str) -> tuple[dict[str, object] | None, tuple[Problem, ...]]:
    """Return what can be read of ``text``, and every fault of reading it, in document order.

    A value that was refused stands as FAULTY, so that whoever judges the others leaves it out; a refused key is
    left out with its value. Nothing can be read after a fault of syntax, or beyond MAX_DEPTH and MAX_PROBLEMS:
    then the values are None.
    """
    source = Source(text)
    if source.values is not None:
        return source.values, ()
    reading = _Reading(source, name)
    values = reading.read()
    problems = tuple(sorted(reading.problems, key=lambda problem: (problem.line or 0, problem.column or 0)))
    if not isinstance(values, dict):
        return None, problems
    return _without_refused_keys(values) if problems else values, problems


def _without_refused_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_refused_keys(each) for key, each in value.items() if not isinstance(key, _RefusedKey)}
    return [_without_refused_keys(each) for each in value] if isinstance(value, list) else value


# --- values -------------------------------------------------------------------------------------------


class _EnoughError(Exception):
    """There is no sense in reading on."""


class _Reading:
    """One pass over the events of a document: values as they come, problems where they stand."""

    def __init__(self, source: Source, name: str) -> None:
        self.problems: list[Problem] = []
        self._source = source
        self._name = name
        self._around: list[tuple[Any, Any]] = []  # open collections, each with the key that leads inwards
        self._positions: Positions | None = None

    def read(self) -> object:
        """Return the document's root; what it is worth, the problems tell."""
        from contextlib import suppress

        with suppress(_EnoughError):
            return self._read()
        return None

    def _read(self) -> object:
        import yaml

        try:
            return self._read_by(self._source.events)
        except yaml.YAMLError as error:
            if is_too_deep(error):
                return self._read_by(self._source.events_however_deep)
            if not self._source.faults:  # else their replacements may be what the parser stumbled over
                fault = self._source.syntax_fault(error)
                self._report(fault.place, [], fault.reason, fault.fix)
            return None

    def _read_by(self, events: Callable[[], Callable[[], Any]]) -> object:
        """Read the document from its beginning."""
        self.problems.clear()
        self._around.clear()
        for fault in self._source.faults:
            self._report(fault.place, [], fault.reason, fault.fix)
        return self._checked_root(self._build(events()))

    def _build(self, next_event: Callable[[], Any]) -> list[object]:
        """Return a list of the root, or an empty one.

        This is one loop without helpers on the good path: a call for each of 100 events per world is what
        reading would cost otherwise. ``key`` is the key that waits for its value, or None.
        """
        from yaml import events

        map_start, list_start = events.MappingStartEvent, events.SequenceStartEvent
        map_end, list_end, scalar = events.MappingEndEvent, events.SequenceEndEvent, events.ScalarEvent
        words, around = self._source.words, self._around
        root: list[object] = []
        into: Any = root
        is_map, key = False, None
        while True:
            event = next_event()
            kind = type(event)
            if kind is scalar:
                text = event.value
                if event.tag is not None or event.anchor is not None:
                    self._refuse_properties(event, into, key)
                if is_map and key is None:
                    key = text
                    if text in into or (text in _REFUSED_KEYS and not event.style):
                        self._refuse_key(event, into)
                        key = key if text in into else _RefusedKey(text)
                    continue
                value = text if event.style else words[text]
                if event.tag is not None:
                    value = FAULTY
                elif type(value) is Refused:
                    self._refuse(event, into, key, value.reason, value.fix, value=short(text))
                    value = FAULTY
                if is_map:
                    into[key], key = value, None
                else:
                    into.append(value)
            elif kind is map_start or kind is list_start:
                inner: Any = {} if kind is map_start else []
                step = self._enter(event, into, key, is_map)
                if not is_map:
                    into.append(inner)
                elif step is not _KEY_ITSELF:
                    into[key] = inner
                around.append((into, step))
                into, key, is_map = inner, None, kind is map_start
            elif kind is map_end or kind is list_end:
                into, step = around.pop()
                key, is_map = (_RefusedKey(LOST_KEY) if step is _KEY_ITSELF else None), type(into) is dict
            elif kind is events.AliasEvent:
                self._refuse_alias(event, into, key)
                if not is_map:
                    into.append(FAULTY)
                elif key is not None:
                    into[key], key = FAULTY, None
                else:
                    key = _RefusedKey(LOST_KEY)
            elif kind is events.DocumentStartEvent and root:
                fix = "remove it, or put it into a file of its own"
                self._report(place_of(event.start_mark), [], "holds a second document", fix)
                raise _EnoughError
            elif kind is events.StreamEndEvent:
                return root

    def _enter(self, event: Any, into: Any, key: Any, is_map: bool) -> Any:
        """Return the step that leads into the collection that begins with ``event``: a key, or None."""
        if event.tag is not None or event.anchor is not None:
            self._refuse_properties(event, into, key)
        if len(self._around) == MAX_DEPTH:
            steps = self._steps(into, key)[:3]  # enough to find it; all of them would fill the screen
            self._report(place_of(event.start_mark), steps, f"nested deeper than {MAX_DEPTH} levels", "flatten it")
            raise _EnoughError
        if not is_map or key is not None:
            return key
        fix = "write text for the key; quote a text that begins with a bracket"
        self._refuse(event, into, None, "has a key that is a mapping or a list", fix)
        return _KEY_ITSELF

    def _refuse_properties(self, event: Any, into: Any, key: Any) -> None:
        if event.anchor is not None:
            reason = f"has the anchor &{short(event.anchor)}; {_NO_SHARING}"
            self._refuse(event, into, key, reason, "write the value out in each place")
        if event.tag is not None:
            tag = short(event.tag.replace("tag:yaml.org,2002:", "!!"))
            self._refuse(event, into, key, f"has the tag {tag}; {_NO_TAGS}", "remove it, and quote what is text")

    def _refuse_alias(self, event: Any, into: Any, key: Any) -> None:
        name, fix = f"*{short(event.anchor)}", "write the value out"
        if type(into) is dict and key is None:
            self._refuse(event, into, None, f"has the key {name}; {_NO_SHARING}", fix)
        else:
            self._refuse(event, into, key, _NO_SHARING, fix, value=name)

    def _refuse_key(self, event: Any, into: Any) -> None:
        text = event.value
        fix = f'quote it: "{text}"'
        if event.style or text not in _REFUSED_KEYS:
            line, column = self._first_key(place_of(event.start_mark))
            reason = f"has key {shown(text)} again, first in line {line}, column {column}"
            fix = "keep one of the two"
        elif text == "<<":
            reason, fix = "has a merge key; merge keys are not supported", "write the keys out"
        elif not text:
            reason, fix = "has an empty key", "write the key before the colon"
        elif text in AMBIGUOUS:
            reason = f"has key {text}; {AMBIGUITY}"
        else:
            reason = f"has key {text}, which is no text"
        self._refuse(event, into, None, reason, fix, key_text=text)

    def _first_key(self, repeated: Place) -> Place:
        if self._positions is None:
            self._positions = positions_of(self._source)
        return self._positions.first_keys[repeated]

    def _checked_root(self, roots: list[object]) -> object:
        root = roots[0] if roots else None
        if isinstance(root, dict):
            return root
        place = positions_of(self._source).value(()) or (1, 1)
        if root is None:
            self._report(place, [], "is empty", "describe the platform; aether-deploy init writes a first file")
        else:
            self._report(place, [], "expected a mapping", "write keys and values, such as name: aether", shown(root))
        return root

    def _refuse(
        self,
        event: Any,
        into: Any,
        key: Any,
        reason: str,
        fix: str,
        *,
        value: str | None = None,
        key_text: str | None = None,
    ) -> None:
        self._report(place_of(event.start_mark), self._steps(into, key), reason, fix, value, key_text)

    def _steps(self, into: Any, key: Any) -> list[Any]:
        """Return the path of what comes next: under ``key`` of ``into``, or if that is a list, at its end."""
        outer = [len(each) - 1 if step is None else step for each, step in self._around[1:]]
        if LOST_KEY in outer:  # inside a key that is no text, to which no path leads
            return outer[: outer.index(LOST_KEY)]
        if not self._around:
            return []
        if type(into) is list:
            return [*outer, len(into)]
        return outer if key is None else [*outer, key]

    def _report(
        self,
        place: Place,
        steps: list[Any],
        reason: str,
        fix: str,
        value: str | None = None,
        key_text: str | None = None,
    ) -> None:
        if len(self.problems) == MAX_PROBLEMS:
            raise _EnoughError
        problem = Problem(
            path=path_text(steps),
            reason=reason,
            fix=fix,
            value=value,
            file=self._name,
            line=place[0],
            column=place[1],
            key=key_text,
        )
        self.problems.append(problem)
