"""The parameters that each PostgreSQL knows, beside those of its extensions, which have a dot in their names."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache

import msgspec

from aether_deploy.config.base import Fault
from aether_deploy.problems import did_you_mean, suggestion

NAMES_FILE = "known.json"
"""Beside this module: names by the majors that know them, as ``python -m tools.make_parameters`` writes it."""


class _Table(msgspec.Struct, frozen=True):
    source: str
    parameters: dict[str, tuple[int, int]]


def unknown_faults(parameters: Mapping[str, object], version: int) -> Iterator[Fault]:
    """Yield the parameters that PostgreSQL ``version`` does not know; steps begin at the mapping.

    Rule:
        Patroni 4.1.5, ``patroni/postgresql/validator.py``, ``transform_postgresql_parameter_value``: a name without a
        dot that is not in its list is left out, which only its log says.
    """
    known = known_parameters()
    there = [name for name, versions in known.items() if version in versions]
    for name in parameters:
        low = name.lower()
        if "." in low or version in known.get(low, ()):
            continue
        reason = f"no parameter of PostgreSQL {version}{_elsewhere(known.get(low, ()), version)}; Patroni leaves it "
        reason += "out, and only its log says so"
        slip = low not in known and did_you_mean(low, there) is not None
        fix = suggestion(low, there, _REMOVE) if slip else _REMOVE
        # A minor release may bring one that nobody here has heard of.
        yield Fault((name,), reason, fix, severity="error" if slip or low in known else "warning")


_REMOVE = "remove it; one of an extension is written extension.parameter"


def _elsewhere(versions: Sequence[int], version: int) -> str:
    if not versions:
        return ""
    return f": it came with {versions[0]}" if versions[0] > version else f": {versions[-1]} was the last with it"


@cache
def known_parameters() -> Mapping[str, tuple[int, ...]]:
    """Return every name in lower case, sorted, with the major versions that know it."""
    from importlib.resources import files

    text = files("aether_deploy").joinpath("infrastructure", "postgres", NAMES_FILE).read_bytes()
    table = msgspec.json.decode(text, type=_Table)
    return {name: tuple(range(first, last + 1)) for name, (first, last) in table.parameters.items()}
