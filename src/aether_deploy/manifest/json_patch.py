"""JSON Patch (RFC 6902) on plain values, with JSON Pointers (RFC 6901).

Written here because it is short, because the place of a fault in the patch is part of the message, and because an
object must keep the order of its keys: a library would be one more thing to install for all who patch nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from aether_deploy.manifest.patch_fault import PatchFault, Steps
from aether_deploy.patterns import Pattern
from aether_deploy.problems import suggestion

OPERATIONS: Mapping[str, tuple[str, ...]] = {
    "add": ("path", "value"),
    "remove": ("path",),
    "replace": ("path", "value"),
    "move": ("from", "path"),
    "copy": ("from", "path"),
    "test": ("path", "value"),
}
"""What each operation needs."""

_INDEX = Pattern("0|[1-9][0-9]*")
_ESCAPE = Pattern("~(?![01])")


def operation_faults(operations: Sequence[Any]) -> list[PatchFault]:
    """Return what is wrong with the operations themselves, whatever they are applied to."""
    faults = []
    for place, operation in enumerate(operations):
        try:
            _check_operation(operation, place)
        except PatchFault as fault:
            faults.append(fault)
    return faults


def json_patch(body: Any, operations: Sequence[Mapping[str, Any]]) -> Any:
    """Return ``body`` after all ``operations``; it is not changed itself.

    Args:
        body: A value of maps, lists and scalars.
        operations: Operations as ``operation_faults`` has nothing against them.

    Raises:
        PatchFault: An operation cannot be applied: nothing is at its path, or a test does not hold.
    """
    for place, operation in enumerate(operations):
        body = _apply(body, operation, place)
    return body


def pointer_steps(pointer: str) -> tuple[str, ...]:
    """Return the steps of a JSON Pointer, unescaped."""
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])


def _check_operation(operation: object, place: int) -> None:
    if not isinstance(operation, Mapping):
        raise PatchFault((place,), "no operation", "write a mapping: {op: replace, path: /spec/…, value: …}")
    name = operation.get("op")
    words = ", ".join(OPERATIONS)
    if name is None:
        raise PatchFault((place,), "has no op", f"add op: one of {words}")
    if not isinstance(name, str) or name not in OPERATIONS:
        raise PatchFault((place, "op"), "no operation of JSON Patch", suggestion(str(name), OPERATIONS, f"use {words}"))
    needed = OPERATIONS[name]
    for key in needed:
        if key not in operation:
            raise PatchFault((place,), f"has no {key}, which {name} needs", f"add {key}")
    for key in operation:
        if key not in ("op", *needed):
            fix = suggestion(str(key), needed, "remove it")
            raise PatchFault((place, str(key)), f"not used by {name}", fix)
    for key in ("path", "from"):
        if key in operation:
            _check_pointer(operation[key], (place, key))
    if name == "move" and operation["path"].startswith(operation["from"] + "/"):
        raise PatchFault((place, "path"), "inside what is moved", "move it elsewhere")


def _check_pointer(pointer: object, at: Steps) -> None:
    if not isinstance(pointer, str) or (pointer and not pointer.startswith("/")):
        raise PatchFault(at, "no JSON Pointer", "write it like /spec/template/spec/containers/0")
    if _ESCAPE.search(pointer):
        raise PatchFault(at, "has a '~' that escapes nothing", "write ~0 for '~' and ~1 for '/'")


def _apply(body: Any, operation: Mapping[str, Any], place: int) -> Any:
    path = pointer_steps(operation["path"])
    at: Steps = (place, "path")
    match operation["op"]:
        case "add":
            return _added(body, path, operation["value"], at)
        case "remove":
            return _removed(body, path, at)
        case "replace":
            _value(body, path, at)
            return _replaced(body, path, operation["value"])
        case "test":
            if not same(_value(body, path, at), operation["value"]):
                raise PatchFault((place, "value"), "not what is there, so the test fails", "adapt the patch")
            return body
        case "copy":
            return _added(body, path, _value(body, pointer_steps(operation["from"]), (place, "from")), at)
        case _:  # move
            source = pointer_steps(operation["from"])
            value = _value(body, source, (place, "from"))
            return _added(_removed(body, source, (place, "from")), path, value, at)


def same(left: object, right: object) -> bool:
    """Return whether two values are equal as JSON: 1 equals 1.0, and neither equals true."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(same(each, right[key]) for key, each in left.items())
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right


def _value(body: Any, path: Sequence[str], at: Steps) -> Any:
    for depth, step in enumerate(path):
        where = "/" + "/".join(path[:depth])
        if isinstance(body, Mapping):
            if step not in body:
                fix = suggestion(step, map(str, body), f"known are {', '.join(map(str, body)) or 'no keys'}")
                raise PatchFault(at, f"leads nowhere: {where} has no '{step}'", fix)
            body = body[step]
        elif isinstance(body, (list, tuple)):
            body = body[_index(step, len(body) - 1, where, at)]
        else:
            raise PatchFault(at, f"leads nowhere: {where} is no mapping and no list", "shorten it")
    return body


def _index(step: str, most: int, where: str, at: Steps) -> int:
    if not _INDEX.fullmatch(step):
        raise PatchFault(
            at, f"leads nowhere: {where} is a list, and '{step}' is no place in it", "write a number from 0"
        )
    if int(step) > most:
        raise PatchFault(at, f"leads nowhere: {where} has {most + 1} items", "use a smaller number")
    return int(step)


def _replaced(body: Any, path: Sequence[str], value: Any) -> Any:
    """Return a copy of ``body`` with another value at a path that is there."""
    if not path:
        return value
    if isinstance(body, Mapping):
        return {**body, path[0]: _replaced(body[path[0]], path[1:], value)}
    place = int(path[0])
    return [*body[:place], _replaced(body[place], path[1:], value), *body[place + 1 :]]


def _added(body: Any, path: Sequence[str], value: Any, at: Steps) -> Any:
    if not path:
        return value
    *around, last = path
    parent = _value(body, around, at)
    where = "/" + "/".join(around)
    if isinstance(parent, Mapping):
        return _replaced(body, around, {**parent, last: value})
    if isinstance(parent, (list, tuple)):
        place = len(parent) if last == "-" else _place_to_add(last, len(parent), where, at)
        return _replaced(body, around, [*parent[:place], value, *parent[place:]])
    raise PatchFault(at, f"leads nowhere: {where} is no mapping and no list", "shorten it")


def _place_to_add(step: str, length: int, where: str, at: Steps) -> int:
    if not _INDEX.fullmatch(step):
        fix = "write a number from 0, or '-' for the end"
        raise PatchFault(at, f"leads nowhere: {where} is a list, and '{step}' is no place in it", fix)
    if int(step) > length:
        raise PatchFault(at, f"leads nowhere: {where} has {length} items", "write '-' for the end")
    return int(step)


def _removed(body: Any, path: Sequence[str], at: Steps) -> Any:
    _value(body, path, at)
    if not path:
        raise PatchFault(at, "the whole object", "name what is inside it")
    *around, last = path
    parent = _value(body, around, at)
    if isinstance(parent, Mapping):
        return _replaced(body, around, {key: each for key, each in parent.items() if key != last})
    place = int(last)
    return _replaced(body, around, [*parent[:place], *parent[place + 1 :]])
