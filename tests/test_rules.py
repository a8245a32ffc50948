"""Every rule of every configuration type: an example that breaks it, and a neighbour that does not."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

import aether_deploy
from aether_deploy.config import base
from aether_deploy.config.base import Config, spec_of
from aether_deploy.config.sink import Sink
from tests.rule_case import SOUND, RuleCase
from tests.rule_cases_components import COMPONENTS
from tests.rule_cases_data_plane import DATA_PLANE
from tests.rule_cases_edge import EDGE
from tests.rule_cases_gitops import GITOPS
from tests.rule_cases_object_store import OBJECT_STORE
from tests.rule_cases_parts import PARTS
from tests.rule_cases_platform import PLATFORMS
from tests.rule_cases_routing import ROUTING
from tests.rule_cases_scaling import SCALINGS
from tests.rule_cases_secrets import SECRETS
from tests.rule_cases_traffic import TRAFFIC
from tests.rule_cases_valkey import VALKEY
from tests.rule_cases_workload import WORKLOADS

TABLES = (
    PARTS,
    WORKLOADS,
    PLATFORMS,
    SCALINGS,
    GITOPS,
    SECRETS,
    COMPONENTS,
    DATA_PLANE,
    ROUTING,
    TRAFFIC,
    VALKEY,
    OBJECT_STORE,
    EDGE,
)
CASES: dict[str, RuleCase] = {sentence: case for table in TABLES for sentence, case in table.items()}


def configs(parent: type[Config] = Config) -> Iterator[type[Config]]:
    for child in parent.__subclasses__():
        if child.__module__.startswith("aether_deploy."):
            yield child
        yield from configs(child)


for module in pkgutil.walk_packages(aether_deploy.__path__, "aether_deploy."):  # so that every type is known
    importlib.import_module(module.name)
CLASSES = {cls.__name__: cls for cls in configs()}


def said_of(case: RuleCase, values: dict[str, Any]) -> list[str]:
    """Return everything that is said of ``values``, warnings included, as a file with them would show it."""
    sink = Sink(python=True)
    CLASSES[case.class_name].read_values({**SOUND.get(case.class_name, {}), **values}, None, sink)
    return [str(problem) for problem in sink.distinct()]


@pytest.mark.parametrize("sentence", CASES)
def test_a_broken_rule_is_the_only_thing_that_is_reported(sentence: str) -> None:
    case = CASES[sentence]

    assert said_of(case, case.bad) == case.says


@pytest.mark.parametrize("sentence", CASES)
def test_a_neighbour_that_breaks_no_rule_is_sound(sentence: str) -> None:
    case = CASES[sentence]

    assert said_of(case, case.good) == []


@pytest.mark.parametrize("sentence", CASES)
def test_without_its_rule_nobody_sees_the_fault(sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES[sentence]
    spec = spec_of(CLASSES[case.class_name])
    others = tuple(rule for rule in spec.rules if getattr(rule, "__name__", None) != case.method)
    monkeypatch.setitem(base._SPECS, CLASSES[case.class_name], msgspec.structs.replace(spec, rules=others))

    assert said_of(case, case.bad) == []


def test_every_rule_has_an_example() -> None:
    rules = {
        f"{cls.__name__}.{name}"
        for cls in CLASSES.values()
        for name, value in vars(cls).items()
        if hasattr(value, "__rule__")
    }

    assert {case.rule for case in CASES.values()} == rules


def test_every_rule_that_runs_is_one_of_those() -> None:
    running = {getattr(rule, "__name__", "") for cls in CLASSES.values() for rule in spec_of(cls).rules}

    assert running == {case.method for case in CASES.values()}


def test_no_two_examples_have_one_name() -> None:
    assert len(CASES) == sum(map(len, TABLES))
