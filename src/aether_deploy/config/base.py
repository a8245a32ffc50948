"""The base of every configuration type: frozen, keyword-only, checked once, trusted after.

Building an object in Python and loading a document run the same type checks and the same rules. A rule is
a method marked with :func:`rule`; it yields the faults it sees. Where a field could not be read, a rule
ends when it looks at it, so that the report holds every other fault and no follow-up.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from typing import Any, Self, TypeVar, dataclass_transform

import msgspec
from msgspec import NODEFAULT, UNSET

from aether_deploy.config.compiling import compile_type
from aether_deploy.config.marks import PythonOnly
from aether_deploy.config.nodes import Node
from aether_deploy.config.sink import FAULTY, Path, Sink
from aether_deploy.problems import ConfigError, Problem, Severity, did_you_mean, shown, suggestion

FILLED: Any = UNSET
"""Default of a field whose value comes from :meth:`Config.fill` when it is left out."""

T = TypeVar("T")


class Fault(msgspec.Struct, frozen=True, gc=False):
    """What a rule reports: steps from its object to the value, and the words of a Problem."""

    at: tuple[str | int, ...]
    reason: str
    fix: str
    value: object = UNSET
    severity: Severity = "error"
    key: str | None = None


Rule = Callable[[Any], Iterator[Fault]]


def rule(method: Callable[[T], Iterator[Fault]]) -> Callable[[T], Iterator[Fault]]:
    """Mark a method as a rule between fields. It may only read the object's fields and properties."""
    method.__rule__ = True  # type: ignore[attr-defined]
    return method


class FieldSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One field of a Config, compiled.

    Attributes:
        name: The field's name.
        node: What it may hold.
        default: The value when left out; ``msgspec.NODEFAULT`` where it is required.
        python_only: Who decides the field when a file is loaded, where a file may not.
    """

    name: str
    node: Node
    default: Any
    python_only: str | None

    @property
    def required(self) -> bool:
        return self.default is NODEFAULT


class Spec(msgspec.Struct, frozen=True):
    """The fields and rules of a Config class, in the order of their definition.

    Attributes:
        fields: Its fields.
        by_name: The same by name.
        defaults: Default of each field that is not required.
        maps: Fields whose default is an empty mapping; every object gets one of its own.
        required: Fields without a default.
        rules: Its rules and those of its bases.
    """

    fields: tuple[FieldSpec, ...]
    by_name: dict[str, FieldSpec]
    defaults: dict[str, Any]
    maps: tuple[str, ...]
    required: frozenset[str]
    rules: tuple[Rule, ...]


_SPECS: dict[type, Spec] = {}


def spec_of(cls: type["Config"]) -> Spec:
    """Return the compiled fields and rules of ``cls``; compiled on first use, so importing stays cheap."""
    spec = _SPECS.get(cls)
    if spec is None:
        spec = _SPECS[cls] = _compile_spec(cls)
    return spec


def _compile_spec(cls: type["Config"]) -> Spec:
    annotations: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if issubclass(base, Config):
            annotations |= getattr(base, "__annotations__", {})
    fields = []
    for name, default in zip(cls.__struct_fields__, _defaults(cls), strict=True):
        annotation = annotations[name]
        marks = getattr(annotation, "__metadata__", ())
        python_only = next((mark.decided_by for mark in marks if isinstance(mark, PythonOnly)), None)
        fields.append(FieldSpec(name=name, node=compile_type(annotation), default=default, python_only=python_only))
    rules = {
        name: value
        for base in reversed(cls.__mro__)
        for name, value in vars(base).items()
        if hasattr(value, "__rule__")
    }
    return Spec(
        fields=tuple(fields),
        by_name={field.name: field for field in fields},
        defaults={field.name: field.default for field in fields if not field.required},
        maps=tuple(field.name for field in fields if type(field.default) is dict),
        required=frozenset(field.name for field in fields if field.required),
        rules=tuple(rules.values()),
    )


def _defaults(cls: type["Config"]) -> list[Any]:
    given = [_made(default) for default in cls.__struct_defaults__]
    return [NODEFAULT] * (len(cls.__struct_fields__) - len(given)) + given


def _made(default: Any) -> Any:
    factory = getattr(default, "factory", None)  # msgspec turns a default of {} into a factory
    return default if factory is None else factory()


class FaultyFieldError(Exception):
    """A rule looked at a field that could not be read."""


def judged(*rules: Iterable[Fault]) -> Iterator[Fault]:
    """Yield what rules report until they look at a field that could not be read: that ends one rule, and no other.

    What a generator yielded before rests on fields that could be.
    """
    for each in rules:
        with suppress(FaultyFieldError):
            yield from each


@cache
def _without(cls: type["Config"], missing: frozenset[str]) -> type["Config"]:
    """Return a class like ``cls`` whose objects refuse to be asked for the fields ``missing``."""

    def asked(self: object, name: str) -> Any:
        if name in missing:
            raise FaultyFieldError(name)
        return super(like, self).__getattribute__(name)

    metaclass: Any = type(cls)
    # Of no module: whoever looks for all kinds of settings takes it for none of them.
    like: Any = metaclass(cls.__name__, (cls,), {"__getattribute__": asked, "__module__": ""})
    return like  # type: ignore[no-any-return]


def _partial(cls: type["Config"], values: dict[str, Any]) -> Any:
    """Return an object of the fields that could be read, for the rules that need no others."""
    missing = frozenset(name for name in cls.__struct_fields__ if name not in values)
    return msgspec.StructMeta.__call__(_without(cls, missing), **values, **dict.fromkeys(missing, UNSET))


class _Meta(msgspec.StructMeta):
    """Makes every Config frozen and keyword-only, and construction a checked reading."""

    def __new__(mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> Any:
        options = {"frozen": True, "kw_only": True, "forbid_unknown_fields": True, **options}
        return super().__new__(mcls, name, bases, namespace, **options)

    def __call__(cls, *args: Any, **given: Any) -> Any:
        if args:
            raise TypeError(f"{cls.__name__} takes keyword arguments only")
        sink = Sink(python=True)
        value = cls.read_values(given, None, sink)  # type: ignore[attr-defined]
        if value is FAULTY or sink.failed:
            raise ConfigError(problem for problem in sink.distinct() if problem.severity == "error")
        value.note_given(given)
        return value


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(msgspec.field,))
class Config(msgspec.Struct, metaclass=_Meta, frozen=True, kw_only=True):
    """Base of all configuration types.

    Guarantee:
        An instance satisfies the types and every error rule of its class; warnings are in
        :meth:`problems`. Lists become tuples. Equal values compare equal however they were made.

    Raises:
        ConfigError: On construction and loading, with all faults at once.
    """

    @classmethod
    def fill(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return ``given`` with defaults that depend on it. The base adds none."""
        return given

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Self:
        """Build an object from plain values, as a file holds them.

        Raises:
            ConfigError: With every fault of the whole document.
        """
        sink = Sink()
        value = cls.read_values(values, None, sink)
        if value is FAULTY or sink.failed:
            raise ConfigError(sink.distinct())
        return value  # type: ignore[no-any-return]

    @classmethod
    def from_checked(cls, **values: Any) -> Self:
        """Build an object of values that others judge: no type is checked, and no rule runs.

        For rules, which look at values that may be wrong: a fault of theirs is told where they stand, and nowhere
        else. Lists must be tuples; what is left out is the field's default.
        """
        spec = spec_of(cls)
        filled = {**spec.defaults, **{name: {} for name in spec.maps}, **values}
        return msgspec.StructMeta.__call__(cls, **filled)  # type: ignore[no-any-return]

    @classmethod
    def read_values(cls, raw: object, path: Path, sink: Sink) -> Any:
        """Read ``raw`` into an object; report every fault to ``sink`` and return FAULTY where none can be."""
        if isinstance(raw, cls):
            return raw
        if type(raw) is not dict and not isinstance(raw, Mapping):
            return sink.fault(path, "expected a mapping", "write a mapping: { ... }", value=shown(raw))
        spec = spec_of(cls)
        given = raw if sink.partial else cls.fill(raw)
        values = _read_fields(spec, raw, given, path, sink)
        return given if sink.partial else _build(cls, spec, values, path, sink)

    @classmethod
    def read_partly(cls, raw: Mapping[str, Any]) -> Self:
        """Return an object of those fields of ``raw`` that can be read, to judge it beside others. Nothing is reported.

        Asked for another field it raises FaultyFieldError; whatever must look at such a field cannot be judged.
        """
        spec = spec_of(cls)
        return _partial(cls, _read_fields(spec, raw, cls.fill(raw), None, Sink(python=True)))  # type: ignore[no-any-return]

    def note_given(self, given: Mapping[str, Any]) -> None:
        """Note what a constructor was given, for types that have to know it later. The base forgets it."""

    def as_given(self) -> dict[str, Any]:
        """Return what the object says beyond its type's defaults, as plain values."""
        return self.to_values()

    def problems(self) -> tuple[Problem, ...]:
        """Return everything the rules say of this object and the objects inside it, warnings included."""
        sink = Sink(python=True)
        _judge(self, None, sink)
        return sink.distinct()

    def to_values(self) -> dict[str, Any]:
        """Return the object as plain values in field order; ``from_values`` turns them into an equal object."""
        return {
            field.name: plain(value)
            for field in spec_of(type(self)).fields
            if (value := getattr(self, field.name)) is not UNSET and value != field.default
        }

    def to_settings(self) -> dict[str, Any]:
        """Return the object as :meth:`to_values` does, with every default that says something: what it means does
        not depend on the defaults of whoever reads it."""
        held = ((field, getattr(self, field.name)) for field in spec_of(type(self)).fields)
        return {
            field.name: _settings(each)
            for field, each in held
            if each is not UNSET and (each != field.default or each not in (None, (), {}))
        }


def _settings(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_settings(each) for each in value]
    return value.to_settings() if isinstance(value, Config) else plain(value)


def plain(value: Any) -> Any:
    """Return a field's value as plain values: no Config, no tuple, off as ``none``."""
    if isinstance(value, Config):
        return value.to_values()
    if isinstance(value, tuple):
        return [plain(each) for each in value]
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if value is None:
        return "none"
    return getattr(value, "value", value)


def _report_unknown(raw: Mapping[str, Any], spec: Spec, path: Path, sink: Sink) -> set[str]:
    """Report unknown keys, and return the fields that they are slips of."""
    slips: set[str] = set()
    if raw.keys() <= spec.by_name.keys():
        return slips
    for key in raw:
        if key in spec.by_name:
            continue
        known = [name for name, field in spec.by_name.items() if sink.python or not field.python_only]
        fix = suggestion(str(key), known, f"remove it; known are {', '.join(known)}")
        sink.fault(path, f"has unknown key {shown(key)}", fix, key=str(key))
        slips |= {close} if (close := did_you_mean(str(key), known)) else set()
    return slips


def _read_fields(
    spec: Spec, raw: Mapping[str, Any], given: Mapping[str, Any], path: Path, sink: Sink
) -> dict[str, Any]:
    """Return the fields that can be read, by name, defaults too, and report what is wrong with the others.

    Args:
        spec: The fields there are.
        raw: What a document says.
        given: The same with defaults that depend on it.
        path: Where it stands.
        sink: Where faults go.
    """
    values = {} if sink.partial else {**spec.defaults, **{name: {} for name in spec.maps}}
    slips = _report_unknown(raw, spec, path, sink)
    if not sink.partial and not spec.required <= given.keys():
        for name in sorted(spec.required - given.keys()):
            sink.fault(path, f"lacks '{name}'", f"add {name}: {spec.by_name[name].node.expects}")
    for name, each in given.items():
        field = spec.by_name.get(name)
        if field is None or each is UNSET:
            continue
        if field.python_only is not None and not sink.python and name in raw:
            fix = "remove it"
            sink.fault((path, name), f"not set in a file; {field.python_only}", fix, value=shown(each))
            continue
        if each is None and sink.partial:
            continue
        # What could not be read was reported by its reader.
        value = FAULTY if each is FAULTY else field.node.read(each, (path, name), sink)
        if value is FAULTY:
            values.pop(name, None)
        else:
            values[name] = value
    for name in slips - raw.keys():  # what it holds is not known, so no rule may judge its default
        values.pop(name, None)
    return values


def _build(cls: type[Config], spec: Spec, values: dict[str, Any], path: Path, sink: Sink) -> Any:
    if len(values) == len(spec.fields):
        built = msgspec.StructMeta.__call__(cls, **values)
        _run_rules(built, spec, path, sink)
        return built
    _run_rules(_partial(cls, values), spec, path, sink)
    return FAULTY


def _run_rules(target: object, spec: Spec, path: Path, sink: Sink) -> None:
    for check in spec.rules:
        for fault in judged(check(target)):
            where = path
            for step in fault.at:
                where = (where, step)
            value = None if fault.value is UNSET else shown(fault.value)
            sink.fault(where, fault.reason, fault.fix, value=value, severity=fault.severity, key=fault.key)


def _judge(value: object, path: Path, sink: Sink) -> None:
    if isinstance(value, Config):
        spec = spec_of(type(value))
        _run_rules(value, spec, path, sink)
        for field in spec.fields:
            _judge(getattr(value, field.name), (path, field.name), sink)
    elif isinstance(value, tuple):
        for index, each in enumerate(value):
            _judge(each, (path, index), sink)
    elif isinstance(value, Mapping):
        for key, each in value.items():
            _judge(each, (path, key), sink)
